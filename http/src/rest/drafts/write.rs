//! Beginning, changing, giving up and submitting drafts.

use format::json::Budget;
use node::{Command, Outcome};

use crate::access::{Desk, Drafted};
use crate::problem::Problem;
use crate::rest::input::{Json, Told};
use crate::rest::limits::DRAFT_BODY;
use crate::rest::reply::{Done, Made, View};
use crate::view::draft::{DraftBody, DraftPlace, RecordPlace};

impl Told for DraftBody {
    const BUDGET: Budget = DRAFT_BODY;
}

pub(crate) async fn begin(mut desk: Desk, Json(body): Json<DraftBody>) -> Result<Made<DraftPlace>, Problem> {
    let input = Box::new(body.read()?);
    draft_place(desk.execute(Command::Draft(input)).await?).map(Made)
}

pub(crate) async fn change(mut desk: Desk<Drafted>, Json(body): Json<DraftBody>) -> Result<View<DraftPlace>, Problem> {
    let Drafted(row) = desk.subject();
    let (number, version, input) = (row.number.clone(), row.version, Box::new(body.read()?));
    draft_place(desk.execute(Command::Edit { number, version, input }).await?).map(View)
}

pub(crate) async fn discard(mut desk: Desk<Drafted>, (): ()) -> Result<Done, Problem> {
    let Drafted(row) = desk.subject();
    let (number, version) = (row.number.clone(), row.version);
    desk.execute(Command::Discard { number, version }).await?;
    Ok(Done)
}

pub(crate) async fn submit(mut desk: Desk<Drafted>, (): ()) -> Result<View<RecordPlace>, Problem> {
    let Drafted(row) = desk.subject();
    let (number, version) = (row.number.clone(), row.version);
    record_place(desk.execute(Command::Submit { number, version }).await?).map(View)
}

/// Where a draft is, from what became of a command that begins or changes one.
pub(crate) fn draft_place(outcome: Outcome) -> Result<DraftPlace, Problem> {
    let Outcome::Drafted { number, version } = outcome else { return Err(Problem::odd_outcome()) };
    Ok(DraftPlace { number: number.to_string(), version })
}

/// Which record it is, from what became of a command that makes or decides on one.
pub(crate) fn record_place(outcome: Outcome) -> Result<RecordPlace, Problem> {
    let Outcome::Record { record, number, version } = outcome else { return Err(Problem::odd_outcome()) };
    Ok(RecordPlace { id: record.to_string(), number: number.to_string(), version })
}
