//! The layout of the database, and the way from an older one.
//!
//! Each layout is a file of SQL by number. It moves forward only: a database that a newer version wrote is refused
//! before anything in it is touched, and so is one that holds something else. The invariant: `layout.number` is the
//! number of the last file that was carried out, whole.

use super::open::OpenError;
use super::wire::Wire;

/// The layouts in order; the first has number 1.
const LAYOUTS: [&str; 3] = [include_str!("schema/0001.sql"), include_str!("schema/0002.sql"), include_str!("schema/0003.sql")];

/// Brings the database to the newest layout, all or nothing. Of processes that come together one does it.
pub(super) fn migrate(wire: &Wire) -> Result<(), OpenError> {
    wire.hold(true);
    let migrated = wire.run(super::TAKE).map_err(OpenError::from).and_then(|()| migrate_in_turn(wire));
    let ended = wire.run(if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" });
    wire.hold(false);
    migrated?;
    Ok(ended?)
}

fn migrate_in_turn(wire: &Wire) -> Result<(), OpenError> {
    let newest = i64::try_from(LAYOUTS.len()).unwrap_or(i64::MAX);
    let from = match found(wire)? {
        layout if layout == newest => return Ok(()),
        layout if layout > newest => return Err(OpenError::Newer { found: layout, known: newest }),
        layout => layout,
    };
    if from == 0 {
        wire.run("CREATE SCHEMA samverkan; CREATE TABLE samverkan.layout (number bigint NOT NULL); INSERT INTO samverkan.layout VALUES (0)")?;
    }
    for (number, sql) in (1..).zip(LAYOUTS).filter(|(number, _)| *number > from) {
        wire.run(sql)?;
        wire.run(&format!("UPDATE layout SET number = {number}"))?;
        tracing::info!(store.layout = number, "the store has a new layout");
    }
    Ok(())
}

/// The layout of the database, 0 for one without anything in it.
fn found(wire: &Wire) -> Result<i64, OpenError> {
    let tables = "SELECT count(*) FILTER (WHERE relname = 'layout' AND nspname = 'samverkan'), count(*)
                  FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                  WHERE relkind IN ('r', 'p', 'm', 'v', 'f') AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";
    match wire.first(tables, &[], |columns| Ok((columns.integer()?, columns.integer()?)))? {
        Some((0, 0)) => Ok(0),
        Some((1, _)) => wire.first("SELECT number FROM samverkan.layout", &[], |columns| columns.integer())?.ok_or(OpenError::Foreign),
        _ => Err(OpenError::Foreign),
    }
}
