//! Putting agreements forward, signing them, leaving them.

use format::json::Budget;
use node::Command;

use super::read::version;
use crate::access::{Desk, Pact};
use crate::problem::Problem;
use crate::rest::input::{Json, Told};
use crate::rest::limits::AGREEMENT_BODY;
use crate::rest::reply::{Done, Made, View};
use crate::view::agreement::{AgreementBody, AgreementView, Signature};

impl Told for AgreementBody {
    const BUDGET: Budget = AGREEMENT_BODY;
}
impl Told for Signature {}

pub(crate) async fn propose(mut desk: Desk, Json(body): Json<AgreementBody>) -> Result<Made<AgreementView>, Problem> {
    let agreement = body.read()?;
    let (id, number) = (agreement.id.clone(), agreement.version);
    desk.execute(Command::ProposeAgreement(Box::new(agreement))).await?;
    version(&desk, id, number).map(Made)
}

pub(crate) async fn sign(mut desk: Desk<Pact>, Json(signature): Json<Signature>) -> Result<View<AgreementView>, Problem> {
    let id = desk.subject().0.clone();
    desk.execute(Command::SignAgreement { id: id.clone(), version: signature.version }).await?;
    version(&desk, id, signature.version).map(View)
}

pub(crate) async fn withdraw(mut desk: Desk<Pact>, (): ()) -> Result<Done, Problem> {
    let id = desk.subject().0.clone();
    desk.execute(Command::Withdraw { id }).await?;
    Ok(Done)
}
