//! Release, and passing on what others released.

use node::{Command, Outcome};
use policy::Language;

use crate::access::{Desk, Held};
use crate::problem::Problem;
use crate::rest::input::{Json, Told};
use crate::rest::reply::View;
use crate::view::decision::{HeldBack, ReleaseView};
use crate::view::record::PassingOn;

impl Told for PassingOn {}

pub(crate) async fn release(mut desk: Desk<Held>, (): ()) -> Result<View<ReleaseView>, Problem> {
    let record = desk.subject().0.id;
    let outcome = desk.execute(Command::Release { record }).await?;
    view(outcome, desk.language()).map(View)
}

pub(crate) async fn pass_on(mut desk: Desk<Held>, Json(body): Json<PassingOn>) -> Result<View<ReleaseView>, Problem> {
    let record = desk.subject().0.id;
    let outcome = desk.execute(Command::PassOn { record, to: body.to }).await?;
    view(outcome, desk.language()).map(View)
}

pub(super) fn view(outcome: Outcome, language: Language) -> Result<ReleaseView, Problem> {
    let Outcome::Released { record, number, recipients, refused } = outcome else { return Err(Problem::odd_outcome()) };
    Ok(ReleaseView {
        id: record.to_string(),
        number: number.to_string(),
        recipients: recipients.iter().map(ToString::to_string).collect(),
        refused: refused.iter().map(|(org, reasons)| HeldBack::of(org, reasons, language)).collect(),
    })
}
