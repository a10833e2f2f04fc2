//! Fetching an attachment, one piece in memory at a time, each released to the asker anew.

use axum::body::{Body, Bytes};
use format::RecordId;
use format::attachment::PIECE;
use futures_util::{StreamExt, stream};
use node::{Command, Outcome};

use super::open::opened;
use crate::access::{Desk, Enclosure};
use crate::problem::Problem;
use crate::rest::reply::File;
use crate::view::record::RecordBody;

/// Pieces of one attachment, as far as they were fetched.
struct Pieces {
    desk: Desk<Enclosure>,
    record: RecordId,
    attachment: u32,
    next: u64,
    end: u64,
}

pub(crate) async fn fetch(mut desk: Desk<Enclosure>, (): ()) -> Result<File, Problem> {
    let (record, attachment) = (desk.subject().row.id, desk.subject().attachment);
    let body = RecordBody::of(&opened(&mut desk, record).await?)?;
    let place = usize::try_from(attachment).map_err(|_| Problem::not_found())?;
    let described = body.attachments.into_iter().nth(place).ok_or_else(Problem::not_found)?;
    let name = described.name.ok_or_else(Problem::not_found)?;
    let mut pieces = Pieces { desk, record, attachment, next: 0, end: described.size.div_ceil(PIECE as u64) };
    // The first piece before the first byte: what is missing is told with a status of its own.
    let first = pieces.next().await?;
    let rest = stream::try_unfold(pieces, |mut pieces| async move {
        let piece = pieces.next().await.inspect_err(|problem| tracing::warn!(problem.code = problem.code().as_str(), "an attachment broke off"));
        piece.map(|piece| piece.map(|piece| (piece, pieces))).map_err(|problem| std::io::Error::other(problem.code().as_str()))
    });
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(rest));
    Ok(File { name, size: described.size, body })
}

impl Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.next >= self.end {
            return Ok(None);
        }
        let (record, attachment, index) = (self.record, self.attachment, self.next);
        let outcome = self.desk.execute(Command::OpenPiece { record, attachment, index }).await?;
        let Outcome::Piece(released) = outcome else { return Err(Problem::odd_outcome()) };
        self.next += 1;
        self.desk.take(released).map(|bytes| Some(bytes.into()))
    }
}
