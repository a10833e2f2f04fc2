//! The arriving end of a move: rows as they lay in another store, and the mark of a store that is not whole yet.
//!
//! See `moving.rs`. The invariant: while the mark is there, the database is not opened as a store.

use node::ports::{StoreError, StoreResult};
use node::rows::StatementRow;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::ahead::Ahead;
use super::behind::Behind;
use super::open::OpenError;
use super::road::{Database, Road};
use super::row::Value;
use super::wire::{Step, Wire};
use super::{Postgres, Writer, read, schema, statements};
use crate::stored::corrupt;

/// What a column holds, in both stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    /// 0 or 1 in SQLite.
    Flag,
    Text,
    Bytes,
    /// A header, of which the records to which it points are wanted.
    Targets,
}

/// A column on its way. There is a list for each kind, of which the column uses its own.
#[derive(Debug)]
struct Column {
    kind: Kind,
    integers: Vec<Option<i64>>,
    flags: Vec<bool>,
    texts: Vec<Option<String>>,
    blobs: Vec<Option<Vec<u8>>>,
}

/// Rows on their way, column by column.
#[derive(Debug)]
pub(crate) struct Cargo {
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl Cargo {
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        let column = |kind: &Kind| Column { kind: *kind, integers: Vec::new(), flags: Vec::new(), texts: Vec::new(), blobs: Vec::new() };
        Self { columns: kinds.iter().map(column).collect(), rows: 0, bytes: 0 }
    }

    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn add(&mut self, row: &Row<'_>) -> StoreResult<()> {
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value = row.get_ref(index).map_err(|error| StoreError::Failed(error.to_string()))?;
            self.bytes += column.add(value)?;
        }
        self.rows += 1;
        Ok(())
    }
}

impl Column {
    /// Takes a value in, and gives about how many bytes it has.
    fn add(&mut self, value: ValueRef<'_>) -> StoreResult<usize> {
        match (self.kind, value) {
            (Kind::Integer, ValueRef::Integer(number)) => self.integers.push(Some(number)),
            (Kind::Integer, ValueRef::Null) => self.integers.push(None),
            (Kind::Flag, ValueRef::Integer(flag @ (0 | 1))) => self.flags.push(flag == 1),
            (Kind::Text, ValueRef::Null) => self.texts.push(None),
            (Kind::Text, ValueRef::Text(text)) => {
                self.texts.push(Some(std::str::from_utf8(text).map_err(|error| corrupt("text", error))?.to_owned()));
                return Ok(text.len());
            }
            (Kind::Bytes, ValueRef::Null) => self.blobs.push(None),
            (Kind::Bytes, ValueRef::Blob(bytes)) => {
                self.blobs.push(Some(bytes.to_vec()));
                return Ok(bytes.len());
            }
            (Kind::Targets, ValueRef::Blob(header)) => self.texts.push(statements::targets(header)),
            (kind, _) => return Err(corrupt("column", format!("it does not hold what is called {kind:?}"))),
        }
        Ok(8)
    }

    fn value(&self) -> Value<'_> {
        match self.kind {
            Kind::Integer => Value::Integers(self.integers.clone()),
            Kind::Flag => Value::Flags(self.flags.clone()),
            Kind::Text | Kind::Targets => Value::Texts(self.texts.iter().map(|text| text.as_deref().map(Into::into)).collect()),
            Kind::Bytes => Value::Blobs(self.blobs.iter().map(|bytes| bytes.as_deref().map(Into::into)).collect()),
        }
    }
}

impl Postgres {
    /// Opens a database in which there may be half a store.
    pub(crate) fn open_half(database: &Database) -> Result<Self, OpenError> {
        let wire = Wire::open(Road::new(database)?)?;
        schema::migrate(&wire)?;
        Ok(Self { wire, ahead: Ahead::default(), behind: Behind::default(), access: Writer::default() })
    }

    /// The mark of a move that was begun into this database and not finished.
    pub(crate) fn half_of(&self) -> StoreResult<Option<String>> {
        self.wire.first("SELECT mark FROM half", &[], |columns| columns.string())
    }

    pub(crate) fn mark_half(&self, mark: &str) -> StoreResult<()> {
        self.wire.carry_out(&[Step::new("INSERT INTO half (one, mark) VALUES (1, $1)", [mark.into()])])
    }

    pub(crate) fn count_rows(&self, table: &'static str) -> StoreResult<u64> {
        let question = match table {
            "record" => "SELECT count(*) FROM record",
            "header" => "SELECT count(*) FROM header",
            "content_key" => "SELECT count(*) FROM content_key",
            "piece" => "SELECT count(*) FROM piece",
            "tombstone" => "SELECT count(*) FROM tombstone",
            "holding" => "SELECT count(*) FROM holding",
            "outgoing" => "SELECT count(*) FROM outgoing",
            "parcel" => "SELECT count(*) FROM parcel",
            "peer" => "SELECT count(*) FROM peer",
            "statement" => "SELECT count(*) FROM statement",
            "entry" => "SELECT count(*) FROM entry",
            "subtree" => "SELECT count(*) FROM subtree",
            "member" => "SELECT count(*) FROM member",
            "credential" => "SELECT count(*) FROM credential",
            "serial" => "SELECT count(*) FROM serial",
            "house_rules" => "SELECT count(*) FROM house_rules",
            _ => "SELECT count(*) FROM recovery",
        };
        self.wire.first(question, &[], |columns| columns.number()).map(Option::unwrap_or_default)
    }

    /// Puts rows where they belong, all or none of them, and gives how many there were.
    pub(crate) fn put(&self, insert: &'static str, cargo: &mut Cargo) -> StoreResult<u64> {
        let kinds: Vec<Kind> = cargo.columns.iter().map(|column| column.kind).collect();
        let cargo = std::mem::replace(cargo, Cargo::new(&kinds));
        if cargo.rows == 0 {
            return Ok(0);
        }
        let values: Vec<Value<'_>> = cargo.columns.iter().map(Column::value).collect();
        self.wire.carry_out(&[Step::new(insert, values).must(cargo.rows, || "room for every row".to_owned())])?;
        Ok(u64::try_from(cargo.rows).unwrap_or_default())
    }

    /// Signed statements after a place in the list of all, each with its place.
    ///
    /// # Errors
    /// The database failed.
    pub fn statements_after(&self, after: i64, limit: usize) -> StoreResult<Vec<(i64, StatementRow)>> {
        read::statements_after(&self.wire, after, limit)
    }

    /// Takes the mark away, once numbers that are given out go on after those that came.
    pub(crate) fn make_whole(&self) -> StoreResult<()> {
        self.wire.run(
            "BEGIN;
             SELECT setval('record_seq', (SELECT coalesce(max(seq), 0) + 1 FROM record), false);
             SELECT setval(pg_get_serial_sequence('outgoing', 'position'), (SELECT coalesce(max(position), 0) + 1 FROM outgoing), false);
             SELECT setval(pg_get_serial_sequence('statement', 'seq'), (SELECT coalesce(max(seq), 0) + 1 FROM statement), false);
             SELECT setval(pg_get_serial_sequence('credential', 'seq'), (SELECT coalesce(max(seq), 0) + 1 FROM credential), false);
             INSERT INTO turn (number, size, statement, peers, queued, counts, serials, rules)
             SELECT max(number) + 1, (SELECT coalesce(max(place) + 1, 0) FROM entry),
                 (SELECT coalesce(max(seq), 0) FROM statement WHERE kind <= 3), '{}', '{}', '{}', true, true FROM turn;
             DELETE FROM half;
             COMMIT;
             ANALYZE",
        )
    }
}
