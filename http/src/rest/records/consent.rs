//! Consent: asked of an originator, answered by one.

use node::Command;

use crate::access::{Cited, Desk};
use crate::problem::Problem;
use crate::rest::drafts::write::record_place;
use crate::rest::input::{Json, Told};
use crate::rest::reply::Made;
use crate::view::draft::RecordPlace;
use crate::view::record::{ConsentAnswer, ConsentRequest};

impl Told for ConsentRequest {}
impl Told for ConsentAnswer {}

pub(crate) async fn ask(mut desk: Desk<Cited>, Json(body): Json<ConsentRequest>) -> Result<Made<RecordPlace>, Problem> {
    let record = desk.subject().0.id;
    let ConsentRequest { recipient, reason } = body;
    record_place(desk.execute(Command::AskConsent { record, recipient, reason }).await?).map(Made)
}

pub(crate) async fn answer(mut desk: Desk<Cited>, Json(body): Json<ConsentAnswer>) -> Result<Made<RecordPlace>, Problem> {
    let ask = desk.subject().0.id;
    let ConsentAnswer { grant, reason, expires } = body;
    record_place(desk.execute(Command::AnswerConsent { ask, grant, reason, expires }).await?).map(Made)
}
