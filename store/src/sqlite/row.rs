//! Reading columns: from what SQLite gives to the types of the port, checked on the way.
//!
//! It knows no table. The invariant: whatever bytes a file holds, reading ends in a value of the right type or in an
//! error; nothing is cut short, rounded or replaced by a default.

use std::str::FromStr;

use format::{Digest, Timestamp};
use node::ports::{StoreError, StoreResult};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, ErrorCode, Params, Row};

use crate::stored::{Code, corrupt};

/// What SQLite could not do, in the words of the port.
pub(super) fn fault(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => corrupt("file", error),
        _ => StoreError::Failed(error.to_string()),
    }
}

/// A prepared statement, kept for the next time.
pub(super) fn prepare<'c>(connection: &'c Connection, sql: &str) -> StoreResult<CachedStatement<'c>> {
    connection.prepare_cached(sql).map_err(fault)
}

/// Runs a statement and tells how many rows it changed.
pub(super) fn change(connection: &Connection, sql: &str, values: impl Params) -> StoreResult<usize> {
    prepare(connection, sql)?.execute(values).map_err(fault)
}

/// Every row of a query, each read by `read`.
pub(super) fn all<T>(connection: &Connection, sql: &str, values: impl Params, read: impl Fn(&mut Columns<'_>) -> StoreResult<T>) -> StoreResult<Vec<T>> {
    let mut statement = prepare(connection, sql)?;
    let mut rows = statement.query(values).map_err(fault)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        found.push(read(&mut Columns { row, next: 0 })?);
    }
    Ok(found)
}

/// The first row of a query, if there is one.
pub(super) fn first<T>(connection: &Connection, sql: &str, values: impl Params, read: impl Fn(&mut Columns<'_>) -> StoreResult<T>) -> StoreResult<Option<T>> {
    let mut statement = prepare(connection, sql)?;
    let mut rows = statement.query(values).map_err(fault)?;
    rows.next().map_err(fault)?.map(|row| read(&mut Columns { row, next: 0 })).transpose()
}

/// The columns of a row, read from left to right.
pub(super) struct Columns<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    fn take(&mut self) -> StoreResult<ValueRef<'r>> {
        let value = self.row.get_ref(self.next).map_err(fault)?;
        self.next += 1;
        Ok(value)
    }

    fn misfit(&self, what: &str) -> StoreError {
        let name = self.next.checked_sub(1).and_then(|index| self.row.as_ref().column_name(index).ok()).unwrap_or("?");
        corrupt("column", format!("`{name}` is not {what}"))
    }

    /// Reads a column that may be null.
    pub(super) fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> StoreResult<T>) -> StoreResult<Option<T>> {
        if self.take()? == ValueRef::Null {
            return Ok(None);
        }
        self.next -= 1;
        read(self).map(Some)
    }

    pub(super) fn integer(&mut self) -> StoreResult<i64> {
        let value = self.take()?;
        value.as_i64().map_err(|_| self.misfit("an integer"))
    }

    /// Reads any unsigned integer or other narrower one.
    pub(super) fn number<T: TryFrom<i64>>(&mut self) -> StoreResult<T> {
        let value = self.integer()?;
        T::try_from(value).map_err(|_| self.misfit("within its range"))
    }

    pub(super) fn flag(&mut self) -> StoreResult<bool> {
        match self.integer()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.misfit("0 or 1")),
        }
    }

    pub(super) fn time(&mut self) -> StoreResult<Timestamp> {
        let ms = self.integer()?;
        let time = Timestamp::from_ms(ms);
        if time.as_ms() == ms { Ok(time) } else { Err(self.misfit("a time")) }
    }

    pub(super) fn code<T: Code>(&mut self) -> StoreResult<T> {
        T::from_code(self.integer()?)
    }

    pub(super) fn text(&mut self) -> StoreResult<&'r str> {
        let value = self.take()?;
        value.as_str().map_err(|_| self.misfit("text"))
    }

    pub(super) fn string(&mut self) -> StoreResult<String> {
        self.text().map(str::to_owned)
    }

    /// Reads an identifier by its grammar.
    pub(super) fn parsed<T: FromStr>(&mut self) -> StoreResult<T> {
        let text = self.text()?;
        text.parse().map_err(|_| self.misfit("within its grammar"))
    }

    pub(super) fn bytes(&mut self) -> StoreResult<&'r [u8]> {
        let value = self.take()?;
        value.as_blob().map_err(|_| self.misfit("bytes"))
    }

    pub(super) fn vec(&mut self) -> StoreResult<Vec<u8>> {
        self.bytes().map(<[u8]>::to_vec)
    }

    pub(super) fn array<const N: usize>(&mut self) -> StoreResult<[u8; N]> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| self.misfit("of its length"))
    }

    pub(super) fn digest(&mut self) -> StoreResult<Digest> {
        self.array().map(Digest::from)
    }
}
