//! Correction: a draft that will take a released record's place.

use node::Command;

use crate::access::{Corrected, Desk};
use crate::problem::Problem;
use crate::rest::drafts::write::draft_place;
use crate::rest::input::Json;
use crate::rest::reply::Made;
use crate::view::draft::{DraftBody, DraftPlace};

pub(crate) async fn correct(mut desk: Desk<Corrected>, Json(body): Json<DraftBody>) -> Result<Made<DraftPlace>, Problem> {
    let (number, input) = (desk.subject().0.number.clone(), Box::new(body.read()?));
    draft_place(desk.execute(Command::Correct { number, input }).await?).map(Made)
}
