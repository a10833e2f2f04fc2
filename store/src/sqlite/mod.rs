//! The store on SQLite: one file, one writer, readers that never wait for it.
//!
//! [`Sqlite`] is the writer, which also reads what it has not committed yet; [`SqliteReader`] only reads what is
//! committed. A batch is a savepoint in the open transaction, a commit is one write to the log that is on the disk
//! when it returns. The invariant: once SQLite has given up a transaction, nothing is committed until the caller has
//! taken note of it, and after a failure to write or to synchronise nothing is committed any more.

mod copy;
mod departure;
mod open;
mod read;
mod row;
mod schema;
mod write;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use node::ports::{Store, StoreError, StoreResult};
use node::rows::Batch;
use rusqlite::Connection;

pub use copy::copy;
pub use open::{OpenError, Options};
use row::fault;

/// A connection to a store in SQLite; without a parameter, the one that writes.
#[derive(Debug)]
pub struct Sqlite<Access = Writer> {
    connection: Connection,
    access: Access,
}

/// A connection that only reads.
pub type SqliteReader = Sqlite<ReadOnly>;

/// Marks a connection that only reads.
#[derive(Debug)]
pub struct ReadOnly(());

/// What the writer knows besides its connection.
#[derive(Debug)]
pub struct Writer {
    /// Where the file is, and how its readers are opened; none for a store in memory.
    origin: Option<(PathBuf, Options)>,
    _lock: Option<File>,
    /// Number of ledger entries, with those not committed yet.
    size: u64,
    transaction: Transaction,
    /// Content was destroyed, and the log may still have it.
    scrub: bool,
}

/// How the writer's transaction stands.
#[derive(Debug)]
enum Transaction {
    /// There is none.
    Closed,
    /// Batches wait for their commit.
    Open,
    /// SQLite gave it up, and the caller has yet to take note.
    Lost,
    /// The disk failed: what is on it is known again when the store is opened anew.
    Dead(String),
}

impl Store for Sqlite {
    fn append(&mut self, batch: &Batch) -> StoreResult<()> {
        self.note_given_up();
        match &self.access.transaction {
            Transaction::Lost => return Err(StoreError::Failed("an earlier act failed, and was not rolled back".to_owned())),
            Transaction::Dead(why) => return Err(StoreError::Broken(why.clone())),
            Transaction::Open | Transaction::Closed if batch.expected != self.access.size => {
                return Err(StoreError::Conflict { expected: batch.expected, actual: self.access.size });
            }
            Transaction::Open => {}
            Transaction::Closed => {
                self.run("BEGIN IMMEDIATE")?;
                self.access.transaction = Transaction::Open;
            }
        }
        self.act(batch).map_err(|error| self.after_failed_act(error))
    }

    fn commit(&mut self) -> StoreResult<()> {
        self.note_given_up();
        match &self.access.transaction {
            Transaction::Closed => return Ok(()),
            Transaction::Dead(why) => return Err(StoreError::Broken(why.clone())),
            Transaction::Lost => {
                self.forget()?;
                return Err(StoreError::Failed("nothing was committed, for an earlier act failed".to_owned()));
            }
            Transaction::Open => {}
        }
        if let Err(error) = self.run("COMMIT") {
            let forgotten = self.forget();
            if !matches!(error, StoreError::Full) || forgotten.is_err() {
                // WHY: after a failed synchronisation nobody knows what the disk has, and to try again proves nothing.
                self.access.transaction = Transaction::Dead(error.to_string());
                return Err(StoreError::Broken(error.to_string()));
            }
            return Err(error);
        }
        self.access.transaction = Transaction::Closed;
        self.scrub();
        Ok(())
    }

    fn rollback(&mut self) -> StoreResult<()> {
        self.forget()
    }

    fn try_out(&mut self) -> StoreResult<bool> {
        self.note_given_up();
        if matches!(self.access.transaction, Transaction::Closed) {
            self.run("BEGIN IMMEDIATE")?;
            self.access.transaction = Transaction::Open;
            // The number that stands there already: the page is written all the same.
            let written = self.connection.pragma_update(None, "user_version", schema::LAYOUT).map_err(fault);
            written.map_err(|error| self.after_failed_act(error))?;
        }
        Ok(true)
    }
}

impl Sqlite {
    fn run(&self, sql: &str) -> StoreResult<()> {
        row::prepare(&self.connection, sql)?.execute([]).map(|_| ()).map_err(fault)
    }

    fn act(&mut self, batch: &Batch) -> StoreResult<()> {
        self.run("SAVEPOINT act")?;
        let written = write::batch(&self.connection, batch)?;
        self.run("RELEASE act")?;
        self.access.size = written.size;
        self.access.scrub |= written.destroyed;
        Ok(())
    }

    /// Takes note of a transaction that SQLite gave up.
    ///
    /// WHY: it does so also when a read fails. Left unnoticed, the next batch would be a transaction of its own, kept at
    /// once and without those before it.
    fn note_given_up(&mut self) {
        if matches!(self.access.transaction, Transaction::Open) && self.connection.is_autocommit() {
            self.access.transaction = Transaction::Lost;
        }
    }

    /// Undoes what a failed batch left, finds out whether the batches before it are still there, and gives what to tell.
    fn after_failed_act(&mut self, error: StoreError) -> StoreError {
        if !self.connection.is_autocommit() && self.run("ROLLBACK TO act").and_then(|()| self.run("RELEASE act")).is_ok() {
            return error;
        }
        // SQLite gave up the whole transaction: because there is no room, or else because it could not write.
        if matches!(error, StoreError::Full) {
            self.access.transaction = Transaction::Lost;
            return error;
        }
        self.access.transaction = Transaction::Dead(error.to_string());
        StoreError::Broken(error.to_string())
    }

    /// Goes back to the last commit.
    fn forget(&mut self) -> StoreResult<()> {
        if !self.connection.is_autocommit() {
            self.run("ROLLBACK")?;
        }
        if !matches!(self.access.transaction, Transaction::Dead(_)) {
            self.access.transaction = Transaction::Closed;
        }
        self.access.size = self.stored_size()?;
        Ok(())
    }

    fn stored_size(&self) -> StoreResult<u64> {
        row::first(&self.connection, "SELECT coalesce(max(place) + 1, 0) FROM entry", [], |columns| columns.number()).map(Option::unwrap_or_default)
    }

    /// Empties the log of what was destroyed, by carrying it over into the file. While a reader is busy it does not go
    /// all the way, and the next commit tries again.
    fn scrub(&mut self) {
        let Some((_, options)) = self.access.origin.as_ref().filter(|_| self.access.scrub) else { return };
        let emptied = self
            .connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)))
            .and_then(|busy| self.connection.busy_timeout(options.patience).map(|()| busy));
        match emptied {
            Ok(busy) => self.access.scrub = busy != 0,
            Err(error) => tracing::warn!(%error, "destroyed content stays in the log until a later commit"),
        }
    }
}
