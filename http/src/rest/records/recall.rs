//! Recall: the originator takes a record back, in every version, from every holder.

use node::Command;

use crate::access::{Cited, Desk};
use crate::problem::Problem;
use crate::rest::drafts::write::record_place;
use crate::rest::input::Json;
use crate::rest::reply::View;
use crate::view::draft::RecordPlace;
use crate::view::record::Because;

pub(crate) async fn recall(mut desk: Desk<Cited>, Json(because): Json<Because>) -> Result<View<RecordPlace>, Problem> {
    let number = desk.subject().0.number.clone();
    record_place(desk.execute(Command::Recall { number, reason: because.reason }).await?).map(View)
}
