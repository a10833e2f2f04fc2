//! Values and columns: between the types of the port and those of PostgreSQL, checked on the way.
//!
//! It knows no table. The invariant: whatever a server answers, reading ends in a value of the right type or in an
//! error; nothing is cut short, rounded or replaced by a default.

use std::borrow::Cow;
use std::error::Error as _;
use std::str::FromStr;

use format::{Digest, OrgId, RecordId, Timestamp};
use node::ports::{StoreError, StoreResult};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::stored::{Code, corrupt};

/// What PostgreSQL could not do, in the words of the port.
pub(super) fn fault(error: Error) -> StoreError {
    const GONE: [SqlState; 6] = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::DATABASE_DROPPED,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    let Some(told) = error.as_db_error() else {
        // Nothing came back from the server, or something that is no answer; or the value did not fit its column.
        let cause = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        let lost = error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>());
        return if lost { away(&cause) } else { StoreError::Failed(cause) };
    };
    let code = told.code();
    match code {
        code if GONE.contains(code) || code.code().starts_with("08") => away(told.message()),
        code if *code == SqlState::LOCK_NOT_AVAILABLE => away("another process on the same database has not given up its turn"),
        code if *code == SqlState::DISK_FULL => StoreError::Full,
        code if code.code().starts_with("XX") => corrupt("database", told.message()),
        _ => StoreError::Failed(format!("{} ({})", told.message(), code.code())),
    }
}

/// The server is gone, for the time being.
pub(super) fn away(why: impl ToString) -> StoreError {
    StoreError::Away(why.to_string())
}

/// A value on its way to the server.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Integer(Option<i64>),
    Flag(bool),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<Cow<'a, [u8]>>),
    Integers(Vec<Option<i64>>),
    Flags(Vec<bool>),
    Texts(Vec<Option<Cow<'a, str>>>),
    Blobs(Vec<Option<Cow<'a, [u8]>>>),
}

impl Value<'_> {
    pub(super) fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Integer(value) => value,
            Self::Flag(value) => value,
            Self::Text(value) => value,
            Self::Bytes(value) => value,
            Self::Integers(values) => values,
            Self::Flags(values) => values,
            Self::Texts(values) => values,
            Self::Blobs(values) => values,
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value.into()))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Some(value.into()))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value.map(Into::into))
    }
}

impl<'a> From<&'a OrgId> for Value<'a> {
    fn from(value: &'a OrgId) -> Self {
        value.as_str().into()
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Some(value.into()))
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Self::Bytes(value.map(Into::into))
    }
}

impl<'a> From<&'a RecordId> for Value<'a> {
    fn from(value: &'a RecordId) -> Self {
        (&value.0).into()
    }
}

impl<'a> From<&'a Digest> for Value<'a> {
    fn from(value: &'a Digest) -> Self {
        value.as_bytes().as_slice().into()
    }
}

/// The columns of a row, read from left to right.
pub(super) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

/// Says that a column is not null, whatever it holds.
struct Anything;

impl FromSql<'_> for Anything {
    fn from_sql(_: &Type, _: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl<'r> Columns<'r> {
    pub(super) const fn of(row: &'r Row) -> Self {
        Self { row, next: 0 }
    }

    fn take<T: FromSql<'r>>(&mut self, what: &str) -> StoreResult<T> {
        let value = self.row.try_get(self.next);
        self.next += 1;
        value.map_err(|_| self.misfit(what))
    }

    fn misfit(&self, what: &str) -> StoreError {
        let name = self.next.checked_sub(1).and_then(|index| self.row.columns().get(index)).map_or("?", |column| column.name());
        corrupt("column", format!("`{name}` is not {what}"))
    }

    /// Reads a column that may be null.
    pub(super) fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> StoreResult<T>) -> StoreResult<Option<T>> {
        if self.take::<Option<Anything>>("there")?.is_none() {
            return Ok(None);
        }
        self.next -= 1;
        read(self).map(Some)
    }

    pub(super) fn integer(&mut self) -> StoreResult<i64> {
        self.take("an integer")
    }

    /// Reads any unsigned integer or other narrower one.
    pub(super) fn number<T: TryFrom<i64>>(&mut self) -> StoreResult<T> {
        let value = self.integer()?;
        T::try_from(value).map_err(|_| self.misfit("within its range"))
    }

    pub(super) fn flag(&mut self) -> StoreResult<bool> {
        self.take("true or false")
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
        self.take("text")
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
        self.take("bytes")
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

    /// Reads several identifiers, each by its grammar.
    pub(super) fn several<T: FromStr>(&mut self) -> StoreResult<Vec<T>> {
        let texts: Vec<&str> = self.take("a list of texts")?;
        texts.into_iter().map(|text| text.parse().map_err(|_| self.misfit("within its grammar"))).collect()
    }

    pub(super) fn integers(&mut self) -> StoreResult<Vec<i64>> {
        self.take("a list of integers")
    }
}
