//! Reading the ledger: checkpoint, entries, proof.

use std::sync::Arc;

use format::RecordId;
use node::ledger;

use crate::access::Desk;
use crate::problem::Problem;
use crate::rest::input::Query;
use crate::rest::limits::{MAX_ENTRIES, PAGE};
use crate::rest::reply::{Text, View};
use crate::view::ledger::{EntriesQuery, EntryPage, EntryView, ProofQuery, ProofView};

pub(crate) async fn checkpoint(desk: Desk, (): ()) -> Result<Text, Problem> {
    let me = Arc::clone(desk.identity());
    let (_, note) = desk.read(move |reader| ledger::checkpoint(reader, &me, None)).await?;
    Ok(Text(note))
}

pub(crate) async fn entries(desk: Desk, Query(query): Query<EntriesQuery>) -> Result<View<EntryPage>, Problem> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_ENTRIES);
    let about = query.record.map(|id| id.parse::<RecordId>()).transpose().map_err(|fault| Problem::query(format!("record: {fault}")))?;
    let rows = desk.read(move |reader| match about {
        None => reader.entries(query.from, limit),
        Some(id) => Ok(reader.entries_about(&id)?.into_iter().filter(|row| row.index >= query.from).take(limit).collect()),
    });
    let rows = rows.await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.index + 1);
    let entries = rows.into_iter().map(EntryView::of).collect::<Result<_, _>>()?;
    Ok(View(EntryPage { entries, next }))
}

pub(crate) async fn proof(desk: Desk, Query(query): Query<ProofQuery>) -> Result<View<ProofView>, Problem> {
    let me = Arc::clone(desk.identity());
    let proof = desk.read(move |reader| ledger::prove(reader, &me, query.entry)).await?;
    ProofView::of(proof.ok_or_else(Problem::not_found)?).map(View)
}
