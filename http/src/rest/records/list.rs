//! Listing records, newest first. The list is noted in the ledger before it is shown.

use node::ports::{MAX_PAGE, RecordQuery};
use node::{Command, Outcome};

use crate::access::{Desk, visible};
use crate::problem::Problem;
use crate::rest::input::Query;
use crate::rest::limits::PAGE;
use crate::rest::reply::View;
use crate::view::record::{ListQuery, RecordLine, RecordPage};

pub(crate) async fn list(mut desk: Desk, Query(query): Query<ListQuery>) -> Result<View<RecordPage>, Problem> {
    let query = read(query)?;
    let next = after(&desk, query.clone()).await?;
    let Outcome::Listed(released) = desk.execute(Command::List(Box::new(query))).await? else { return Err(Problem::odd_outcome()) };
    let (asker, now) = (desk.asker(), desk.now());
    let rows = desk.take(released)?;
    let seen = rows.iter().filter(|(_, view)| visible(&view.row, asker, now));
    let records = seen.map(|(_, view)| RecordLine::of(view)).collect::<Result<_, _>>()?;
    Ok(View(RecordPage { records, next }))
}

/// Where the next page begins, if this one is full: by what is kept, of which the asker may see less.
async fn after(desk: &Desk, query: RecordQuery) -> Result<Option<u64>, Problem> {
    let limit = query.limit;
    let kept = desk.read(move |reader| reader.records(&query)).await?;
    Ok(kept.last().filter(|_| kept.len() == limit).map(|(place, _)| *place))
}

fn read(query: ListQuery) -> Result<RecordQuery, Problem> {
    Ok(RecordQuery {
        stage: word("stage", query.stage)?,
        kind: word("kind", query.kind)?,
        originator: word("originator", query.originator)?,
        flagged: query.flagged,
        before: query.before,
        limit: query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE),
    })
}

fn word<T: std::str::FromStr>(name: &str, given: Option<String>) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    given.map(|text| text.parse()).transpose().map_err(|fault| Problem::query(format!("{name}: {fault}")))
}
