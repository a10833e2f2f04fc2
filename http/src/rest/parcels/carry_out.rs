//! Writing a bundle: a peer's parcels, or the answers to its parcels, one in memory at a time.
//!
//! Each parcel is decided, and noted in the ledger, before its first byte leaves. Whoever breaks off asks again: a parcel
//! that was put together keeps its number.

use axum::body::{Body, Bytes};
use format::bundle::{BundleWriter, Kind};
use format::{OrgId, Timestamp};
use futures_util::{StreamExt, stream};
use node::exchange::{self, Answer};
use node::objects::Fetched;
use node::{Command, Outcome, Recipient};

use crate::access::{Desk, Org};
use crate::problem::Problem;
use crate::rest::input::Query;
use crate::rest::reply::Bundle;
use crate::view::carried::{Answered, Wanted};

/// A bundle with parcels, as far as it is written.
struct Parcels {
    desk: Desk<Org>,
    writer: Option<BundleWriter>,
    after: u64,
    left: u64,
}

pub(crate) async fn parcels(desk: Desk<Org>, Query(wanted): Query<Wanted>) -> Result<Bundle, Problem> {
    let peer = desk.subject().0.card.org.clone();
    let state = desk.read(move |reader| reader.peer(&peer)).await?;
    let (sent, acknowledged) = state.map_or((0, 0), |state| (state.sent, state.acknowledged));
    let after = match wanted.from {
        _ if wanted.new => sent,
        None => acknowledged,
        Some(from) if (acknowledged..=sent).contains(&from.saturating_sub(1)) => from.saturating_sub(1),
        Some(from) => {
            return Err(Problem::invalid(
                "from",
                format!("parcel {from} has its receipt or was never put together; choose from {} to {}", acknowledged + 1, sent + 1),
            ));
        }
    };
    let mut parcels = Parcels { desk, writer: Some(BundleWriter::default()), after, left: wanted.most.unwrap_or(u64::MAX) };
    // The first part before the first byte: what is in the way is told with a status of its own.
    let first = parcels.next().await?;
    let rest = stream::try_unfold(parcels, |mut parcels| async move {
        let part = parcels.next().await.inspect_err(|problem| tracing::warn!(problem.code = problem.code().as_str(), "a bundle broke off"));
        part.map(|part| part.map(|part| (part, parcels))).map_err(|problem| std::io::Error::other(problem.code().as_str()))
    });
    Ok(Bundle(Body::from_stream(stream::iter(first.map(Ok)).chain(rest))))
}

impl Parcels {
    /// The next part, and after the last one the end; then nothing.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(writer) = &mut self.writer else { return Ok(None) };
        let (peer, after) = (self.desk.subject().0.card.org.clone(), self.after);
        let decided =
            if self.left == 0 { Outcome::CarriedOut(None) } else { self.desk.execute(Command::CarryOut { peer, after, fetched: Fetched::default() }).await? };
        let Outcome::CarriedOut(dispatch) = decided else { return Err(Problem::odd_outcome()) };
        let Some(dispatch) = dispatch else { return Ok(self.writer.take().map(|writer| writer.end().into())) };
        self.after = dispatch.sequence();
        let envelope = self.desk.seal(*dispatch).await?;
        self.left = self.left.saturating_sub(envelope.len() as u64);
        Ok(Some(writer.part(Kind::Parcel, self.after, &envelope).into()))
    }
}

/// The answers to a peer's parcels. They were given before; here they are closed for the way.
pub(crate) async fn answers(desk: Desk<Org>, Query(Answered { first, last }): Query<Answered>) -> Result<Bundle, Problem> {
    let peer = desk.subject().0.card.org.clone();
    let answers = desk.read(move |reader| match reader.peer(&peer)? {
        Some(state) => exchange::answers(reader, &state, first, last),
        None => Ok(Vec::new()),
    });
    let (mut writer, mut left) = (BundleWriter::default(), answers.await?.into_iter());
    let now = desk.now();
    let mut ended = false;
    let parts = std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let Some((number, answer)) = left.next() else {
            ended = true;
            return Some(Ok(std::mem::take(&mut writer).end()));
        };
        let sealed = seal(&desk, number, &answer, now);
        Some(sealed.map(|envelope| writer.part(Kind::Answer, number, &envelope)))
    });
    Ok(Bundle(Body::from_stream(stream::iter(parts))))
}

fn seal(desk: &Desk<Org>, number: u64, answer: &Answer, now: Timestamp) -> Result<Vec<u8>, std::io::Error> {
    let peer: OrgId = desk.subject().0.card.org.clone();
    let sealed = exchange::seal_answer(desk.identity(), &desk.directory(), &peer, number, answer, now).map_err(std::io::Error::other)?;
    sealed.hand_to(&Recipient::Organisation(peer)).map_err(|_| std::io::Error::other("an answer was released to somebody else"))
}
