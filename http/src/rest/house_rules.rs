//! House rules: the organisation's own, which can only forbid further.

use format::json::Budget;

use super::input::{Json, Told};
use super::limits::MAX_HOUSE_RULES;
use super::reply::{Done, View};
use crate::access::Desk;
use crate::problem::Problem;
use crate::view::peer::HouseRulesText;

impl Told for HouseRulesText {
    const BUDGET: Budget = Budget { bytes: 2 * MAX_HOUSE_RULES, depth: 2, values: 8, string: MAX_HOUSE_RULES };
}

pub(super) async fn show(desk: Desk, (): ()) -> Result<View<HouseRulesText>, Problem> {
    let text = desk.read(|reader| Ok(reader.opening()?.house_rules)).await?;
    Ok(View(HouseRulesText { text }))
}

pub(super) async fn replace(mut desk: Desk, Json(body): Json<HouseRulesText>) -> Result<Done, Problem> {
    desk.set_house_rules(body.text).await?;
    Ok(Done)
}
