//! The export: a checkpoint and every entry up to it, as lines, one page in memory at a time.
//!
//! That the ledger is exported is itself an entry, and the last one in the export. See `docs/protocol/ledger.md`.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use node::{Command, Outcome, ledger};

use crate::access::Desk;
use crate::problem::Problem;
use crate::rest::limits::MAX_ENTRIES;
use crate::rest::reply::Lines;

pub(crate) async fn export(mut desk: Desk, (): ()) -> Result<Lines, Problem> {
    let Outcome::Exported(end) = desk.execute(Command::ExportLedger).await? else { return Err(Problem::odd_outcome()) };
    let me = Arc::clone(desk.identity());
    let (_, note) = desk.read(move |reader| ledger::checkpoint(reader, &me, Some(end))).await?;
    let note = serde_json::to_string(&note).map_err(Problem::internal)?;
    let first = Bytes::from(format!("{{\"checkpoint\":{note}}}\n"));
    let rest = stream::try_unfold((desk, 0), move |(desk, from)| async move {
        let page = page(&desk, from, end).await.inspect_err(|problem| tracing::warn!(problem.code = problem.code().as_str(), "an export broke off"));
        let page = page.map_err(|problem| std::io::Error::other(problem.code().as_str()))?;
        Ok(page.map(|(lines, next)| (lines, (desk, next))))
    });
    Ok(Lines(Body::from_stream(stream::iter([Ok::<_, std::io::Error>(first)]).chain(rest))))
}

/// The lines from `from` on, and where the next page begins; none at the end.
async fn page(desk: &Desk, from: u64, end: u64) -> Result<Option<(Bytes, u64)>, Problem> {
    if from >= end {
        return Ok(None);
    }
    let mut rows = desk.read(move |reader| reader.entries(from, MAX_ENTRIES)).await?;
    rows.retain(|row| row.index < end);
    let next = rows.last().map(|row| row.index + 1).ok_or_else(|| Problem::internal(format_args!("the ledger has no entry {from}")))?;
    let lines: Vec<u8> = rows.iter().flat_map(ledger::export_line).collect();
    Ok(Some((lines.into(), next)))
}
