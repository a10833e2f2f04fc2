//! Who has a record, and what was done with it here.

use node::act::who_has;

use crate::access::{Cited, Desk};
use crate::problem::Problem;
use crate::rest::reply::View;
use crate::view::decision::HoldersView;
use crate::view::ledger::{EntryPage, EntryView};

pub(crate) async fn holders(desk: Desk<Cited>, (): ()) -> Result<View<HoldersView>, Problem> {
    let row = desk.subject().0.clone();
    let holders = desk.read(move |reader| who_has::holders(reader, &row)).await?;
    Ok(View(holders.into()))
}

/// Every ledger entry about the record, oldest first.
pub(crate) async fn log(desk: Desk<Cited>, (): ()) -> Result<View<EntryPage>, Problem> {
    let id = desk.subject().0.id;
    let rows = desk.read(move |reader| reader.entries_about(&id)).await?;
    let entries = rows.into_iter().map(EntryView::of).collect::<Result<_, _>>()?;
    Ok(View(EntryPage { entries, next: None }))
}
