//! Opening a record. That it is opened is noted in the ledger before it is shown.

use node::act::release::signed_record;
use node::command::RecordView;
use node::{Command, Outcome};

use crate::access::{Desk, Held, Subject};
use crate::problem::Problem;
use crate::rest::input::Cose;
use crate::rest::reply::View;
use crate::view::record::RecordBody;

pub(crate) async fn open(mut desk: Desk<Held>, (): ()) -> Result<View<RecordBody>, Problem> {
    let record = desk.subject().0.id;
    RecordBody::of(&opened(&mut desk, record).await?).map(View)
}

/// The header with its originator's signatures: what proves whose record it is, and tells nothing of its content.
pub(crate) async fn signed(mut desk: Desk<Held>, (): ()) -> Result<Cose, Problem> {
    let record = desk.subject().0.id;
    let view = opened(&mut desk, record).await?;
    signed_record(&view.row).map(|signed| Cose(signed.to_bytes())).ok_or_else(Problem::not_found)
}

/// The record, released to the asker.
pub(super) async fn opened<S: Subject>(desk: &mut Desk<S>, record: format::RecordId) -> Result<RecordView, Problem> {
    let Outcome::Opened(released) = desk.execute(Command::Open { record }).await? else { return Err(Problem::odd_outcome()) };
    desk.take(*released)
}
