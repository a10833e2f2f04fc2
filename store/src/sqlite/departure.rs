//! The departing end of a move to another store: rows as they lie. See `moving.rs`. It reads, and changes nothing.

use node::ports::{StoreError, StoreResult};
use rusqlite::Row;

use super::Sqlite;
use super::row::{fault, first};

impl Sqlite {
    /// How many rows a query has.
    pub(crate) fn count_rows(&self, select: &str) -> StoreResult<u64> {
        let counted = first(&self.connection, &format!("SELECT count(*) FROM ({select})"), [], |columns| columns.number())?;
        Ok(counted.unwrap_or_default())
    }

    /// Every row of a query after the first `skipped`, one after the other.
    pub(crate) fn each_row(&self, select: &str, skipped: u64, mut take: impl FnMut(&Row<'_>) -> StoreResult<()>) -> StoreResult<()> {
        let mut statement = self.connection.prepare(select).map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        let mut place = 0;
        while let Some(row) = rows.next().map_err(fault)? {
            if place >= skipped {
                take(row)?;
            }
            place += 1;
        }
        if place < skipped { Err(StoreError::Failed("more was moved than there is".to_owned())) } else { Ok(()) }
    }
}
