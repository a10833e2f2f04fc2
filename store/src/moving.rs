//! Moving a store from SQLite to PostgreSQL, table by table.
//!
//! It copies rows as they lie, in an order that does not change, a piece of a table at a time; what is already there is
//! not copied again, so a move that was broken off goes on where it stopped. It does not judge what it copies: its
//! caller verifies both stores before the move is finished. The invariant: a database with half a store in it is marked
//! as such, and is opened by nothing but the move that began it.

use format::Digest;
use format::merkle::Hash;
use node::ports::{Reader as _, StoreError, StoreResult};

use crate::postgres::{Cargo, Database, Kind, OpenError, Postgres};
use crate::sqlite::Sqlite;

/// The most rows, and about the most bytes, that one statement takes over.
const ROWS: usize = 1_000;
const BYTES: usize = 4 << 20;

/// A table: how its rows are read from SQLite, in the order of its key and with the columns that PostgreSQL has.
struct Table {
    name: &'static str,
    select: &'static str,
    insert: &'static str,
    kinds: &'static [Kind],
}

use Kind::{Bytes as B, Flag as F, Integer as I, Targets as L, Text as T};

/// Every table but `turn`, which tells processes of each other, and `layout`.
const TABLES: &[Table] = &[
    Table {
        name: "record",
        select: "SELECT seq, id, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by, submitted_by, approved_by,
                     sent_back, came_from, arrived, flagged, consent, content IS NOT NULL, bytes
                 FROM record JOIN header ON header.record = seq ORDER BY seq",
        insert: "INSERT INTO record SELECT seq, id, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by,
                     submitted_by, approved_by, sent_back, came_from, arrived, flagged, consent, content, targets::bytea[], NULL, NULL
                 FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[],
                     $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::boolean[], $16::text[], $17::bigint[], $18::boolean[],
                     $19::bytea[], $20::boolean[], $21::text[])
                 AS t (seq, id, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by, submitted_by,
                     approved_by, sent_back, came_from, arrived, flagged, consent, content, targets)",
        kinds: &[I, B, I, T, T, I, T, I, I, I, I, T, T, T, F, T, I, F, B, F, L],
    },
    Table {
        name: "header",
        select: "SELECT record, bytes, ed25519, ml_dsa_65, inclusion, ciphertext FROM header ORDER BY record",
        insert: "WITH header_of AS MATERIALIZED (
                     SELECT *, sha256(ed25519 || ml_dsa_65) AS signed FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[])
                         AS t (record, bytes, ed25519, ml_dsa_65, inclusion, ciphertext)),
                 signatures AS (
                     INSERT INTO signature SELECT DISTINCT ON (signed) signed, ed25519, ml_dsa_65 FROM header_of WHERE signed IS NOT NULL
                     ON CONFLICT (digest) DO NOTHING),
                 records AS (UPDATE record SET signed = header_of.signed, inclusion = header_of.inclusion FROM header_of WHERE seq = header_of.record)
                 INSERT INTO header SELECT record, bytes, ciphertext FROM header_of",
        kinds: &[I, B, B, B, B, B],
    },
    Table {
        name: "content_key",
        select: "SELECT record.seq, wrapped FROM record JOIN content_key ON content_key.seq = record.content ORDER BY record.seq",
        insert: "INSERT INTO content_key SELECT * FROM unnest($1::bigint[], $2::bytea[])",
        kinds: &[I, B],
    },
    Table {
        name: "piece",
        select: "SELECT record, attachment, place, leaf, ciphertext, object FROM piece ORDER BY record, attachment, place",
        insert: "INSERT INTO piece SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[])",
        kinds: &[I, I, I, B, B, B],
    },
    Table {
        name: "tombstone",
        select: "SELECT id, org FROM tombstone ORDER BY id",
        insert: "INSERT INTO tombstone SELECT * FROM unnest($1::bytea[], $2::text[])",
        kinds: &[B, T],
    },
    Table {
        name: "holding",
        select: "SELECT record, holder, via, state, sequence, evidence, reasons, since FROM holding ORDER BY record, holder, via",
        insert: "INSERT INTO holding
                 SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::text[], $8::bigint[])",
        kinds: &[I, T, T, I, I, B, T, I],
    },
    Table {
        name: "outgoing",
        select: "SELECT peer, position, what, subject, attachment, next, item FROM outgoing ORDER BY peer, position",
        insert: "INSERT INTO outgoing OVERRIDING SYSTEM VALUE
                 SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[])",
        kinds: &[T, I, I, B, I, I, I],
    },
    Table {
        name: "parcel",
        select: "SELECT peer, sequence, header, digest, items FROM parcel ORDER BY peer, sequence",
        insert: "INSERT INTO parcel SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bytea[], $5::text[])",
        kinds: &[T, I, B, B, T],
    },
    Table {
        name: "peer",
        select: "SELECT org, sent, sent_digest, acknowledged, shown_size, receipted_size, received, received_digest, parcel_size, parcel_root, parcel_note,
                     receipt_size, receipt_root, receipt_note, suspicion, era
                 FROM peer ORDER BY org",
        insert: "INSERT INTO peer
                 SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[],
                     $9::bigint[], $10::bytea[], $11::text[], $12::bigint[], $13::bytea[], $14::text[], $15::bigint[], $16::bigint[])",
        kinds: &[T, I, B, I, I, I, I, B, I, B, T, I, B, T, I, I],
    },
    Table {
        name: "statement",
        select: "SELECT seq, kind, key, org, about, bytes, at FROM statement ORDER BY seq",
        insert: "INSERT INTO statement OVERRIDING SYSTEM VALUE
                 SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::text[], $5::bytea[], $6::bytea[], $7::bigint[])",
        kinds: &[I, I, B, T, B, B, I],
    },
    Table {
        name: "entry",
        select: "SELECT place, leaf, salt, json, what, record, about, at FROM entry ORDER BY place",
        insert: "INSERT INTO entry
                 SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::bytea[], $7::bigint[], $8::bigint[])",
        kinds: &[I, B, B, B, T, B, I, I],
    },
    Table {
        name: "subtree",
        select: "SELECT level, place, hash FROM subtree ORDER BY level, place",
        insert: "INSERT INTO subtree SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])",
        kinds: &[I, I, B],
    },
    Table {
        name: "member",
        select: "SELECT id, name, roles, active, password FROM member ORDER BY id",
        insert: "INSERT INTO member SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[])",
        kinds: &[T, T, T, F, T],
    },
    Table {
        name: "credential",
        select: "SELECT seq, hash, member, label, token, created, expires FROM credential ORDER BY seq",
        insert: "INSERT INTO credential OVERRIDING SYSTEM VALUE
                 SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::boolean[], $6::bigint[], $7::bigint[])",
        kinds: &[I, B, T, T, F, I, I],
    },
    Table {
        name: "serial",
        select: "SELECT year, last FROM serial ORDER BY year",
        insert: "INSERT INTO serial SELECT * FROM unnest($1::bigint[], $2::bigint[])",
        kinds: &[I, I],
    },
    Table {
        name: "house_rules",
        select: "SELECT one, rules FROM house_rules",
        insert: "INSERT INTO house_rules SELECT * FROM unnest($1::bigint[], $2::text[])",
        kinds: &[I, T],
    },
    Table {
        name: "recovery",
        select: "SELECT one, era, size, root, approvals, declared FROM recovery",
        insert: "INSERT INTO recovery SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::text[], $6::bytea[])",
        kinds: &[I, I, I, B, T, B],
    },
];

/// A store cannot be moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is a store in the database already.
    #[error("the database holds a store already, and nothing is written over it: name an empty database")]
    Occupied,
    /// A move was begun and not finished.
    #[error("a move into this database was begun and not finished: add --resume to go on with it")]
    Begun,
    /// It was begun from another store, or this one went on since.
    #[error("what is in the database was moved from another store, or from this one before it went on: name an empty database")]
    Other,
    /// One of the stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A move under way.
#[derive(Debug)]
pub struct Move {
    from: Sqlite,
    to: Postgres,
}

impl Move {
    /// Begins a move, or goes on with it. `root` is that of the ledger, and says which store it is.
    ///
    /// # Errors
    /// The database cannot be used, or holds something other than the beginning of this move.
    pub fn begin(from: Sqlite, database: &Database, root: &Hash, resume: bool) -> Result<Self, MoveError> {
        let to = Postgres::open_half(database)?;
        let mark = Digest::from(*root).to_string();
        match to.half_of()? {
            Some(other) if other != mark => return Err(MoveError::Other),
            Some(_) if !resume => return Err(MoveError::Begun),
            Some(_) => {}
            None if to.opening()?.ledger_size > 0 || !to.members()?.is_empty() => return Err(MoveError::Occupied),
            None => to.mark_half(&mark)?,
        }
        Ok(Self { from, to })
    }

    /// Rows to move, those that are there already among them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rows(&self) -> StoreResult<u64> {
        TABLES.iter().map(|table| self.from.count_rows(table.select)).sum()
    }

    /// Copies everything that is not there yet, and tells after each step how many rows are.
    ///
    /// # Errors
    /// One of the stores failed. What was copied stays, and the move can go on from there.
    pub fn copy(&mut self, mut told: impl FnMut(u64)) -> StoreResult<()> {
        for table in TABLES {
            let there = self.to.count_rows(table.name)?;
            told(there);
            let mut cargo = Cargo::new(table.kinds);
            self.from.each_row(table.select, there, |row| {
                cargo.add(row)?;
                if cargo.rows() >= ROWS || cargo.bytes() >= BYTES {
                    told(self.to.put(table.insert, &mut cargo)?);
                }
                Ok(())
            })?;
            told(self.to.put(table.insert, &mut cargo)?);
        }
        Ok(())
    }

    /// Both stores, for reading.
    #[must_use]
    pub const fn stores(&self) -> (&Sqlite, &Postgres) {
        (&self.from, &self.to)
    }

    /// Finishes the move: from now on the database is a store.
    ///
    /// # Errors
    /// The database failed; the move can go on from there.
    pub fn finish(self) -> StoreResult<()> {
        self.to.make_whole()
    }
}
