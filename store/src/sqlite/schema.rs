//! The layout of the file, and the way from an older one.
//!
//! Each layout is a file of SQL by number. It moves forward only: a store that a newer version wrote is refused before
//! anything in it is touched. The invariant: `user_version` is the number of the last file that was carried out, whole.

use rusqlite::{Connection, TransactionBehavior};

use super::open::OpenError;

/// Says that a SQLite file is ours: "Samv".
pub(super) const APPLICATION: i32 = 0x5361_6d76;

/// The layouts in order; the first has number 1.
const LAYOUTS: [&str; 3] = [include_str!("schema/0001.sql"), include_str!("schema/0002.sql"), include_str!("schema/0003.sql")];

/// The number of the layout that this version reads and writes.
pub(super) const LAYOUT: i32 = 3;

/// The layout of the file, 0 for a file without anything in it.
///
/// # Errors
/// The file is not a store, or was written by a newer version.
pub(super) fn found(connection: &Connection) -> Result<i32, OpenError> {
    let integer = |sql| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
    let application = integer("PRAGMA application_id")?;
    let layout = integer("PRAGMA user_version")?;
    let tables = integer("SELECT count(*) FROM sqlite_schema")?;
    match (application, layout, tables) {
        (0, 0, 0) => Ok(0),
        (APPLICATION, 1..=LAYOUT, 1..) => Ok(layout),
        (APPLICATION, layout, 1..) if layout > LAYOUT => Err(OpenError::Newer { found: layout, known: LAYOUT }),
        _ => Err(OpenError::Foreign),
    }
}

/// Brings a file from layout `from` to [`LAYOUT`], all or nothing.
pub(super) fn migrate(connection: &mut Connection, from: i32) -> Result<(), OpenError> {
    if from == LAYOUT {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (number, sql) in (1..).zip(LAYOUTS).filter(|(number, _)| *number > from) {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        tracing::info!(store.layout = number, "the store has a new layout");
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_layout_is_the_one_that_is_written() {
        assert_eq!(usize::try_from(LAYOUT).unwrap(), LAYOUTS.len());
    }
}
