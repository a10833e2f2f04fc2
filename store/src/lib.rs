//! The store: the node's port to durable storage, on SQLite and on PostgreSQL.
//!
//! It keeps rows and gives them back; it decides nothing, reads no clock and opens no content, which comes here
//! encrypted. What it promises, and how the tables lie, is in `docs/protocol/store.md`; `tests/conformance.rs` holds
//! every store to it. The invariant: after any crash the store holds exactly the batches of some commit, in order, and
//! of those every one whose commit returned.

pub mod moving;
pub mod postgres;
pub mod sqlite;
mod stored;

pub use moving::{Move, MoveError};
pub use postgres::{Database, Postgres, PostgresReader};
pub use sqlite::{OpenError, Options, Sqlite, SqliteReader, copy};
