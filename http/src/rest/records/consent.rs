//! Consent: asked of an originator, answered by one; and what is done where it cannot be asked in time.

use node::Command;

use super::release;
use crate::access::{Cited, Desk, Held};
use crate::problem::Problem;
use crate::rest::drafts::write::record_place;
use crate::rest::input::{Json, Told};
use crate::rest::reply::{Made, View};
use crate::view::decision::ReleaseView;
use crate::view::draft::RecordPlace;
use crate::view::record::{ConsentAnswer, ConsentRequest, EmergencyStatement};

impl Told for ConsentRequest {}
impl Told for ConsentAnswer {}
impl Told for EmergencyStatement {}

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

pub(crate) async fn state_emergency(mut desk: Desk<Cited>, Json(body): Json<EmergencyStatement>) -> Result<Made<RecordPlace>, Problem> {
    let record = desk.subject().0.id;
    let EmergencyStatement { to, reason } = body;
    record_place(desk.execute(Command::StateEmergency { record, to, reason }).await?).map(Made)
}

pub(crate) async fn release_in_emergency(mut desk: Desk<Held>, (): ()) -> Result<View<ReleaseView>, Problem> {
    let statement = desk.subject().0.id;
    let outcome = desk.execute(Command::ReleaseInEmergency { statement }).await?;
    release::view(outcome, desk.language()).map(View)
}
