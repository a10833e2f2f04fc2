//! The second person: approves exactly the bytes named, or sends them back.

use node::Command;

use crate::access::{Desk, Held};
use crate::problem::Problem;
use crate::rest::drafts::write::{draft_place, record_place};
use crate::rest::input::{Json, Told};
use crate::rest::reply::View;
use crate::view::draft::{DraftPlace, RecordPlace};
use crate::view::record::Because;

impl Told for Because {}

pub(crate) async fn approve(mut desk: Desk<Held>, (): ()) -> Result<View<RecordPlace>, Problem> {
    let record = desk.subject().0.id;
    record_place(desk.execute(Command::Approve { record }).await?).map(View)
}

pub(crate) async fn send_back(mut desk: Desk<Held>, Json(because): Json<Because>) -> Result<View<DraftPlace>, Problem> {
    let record = desk.subject().0.id;
    draft_place(desk.execute(Command::SendBack { record, reason: because.reason }).await?).map(View)
}
