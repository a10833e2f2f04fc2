//! The store on PostgreSQL: a database of its own, for several processes at a time.
//!
//! [`Postgres`] is a process's writer, which also reads what it has not committed yet; [`PostgresReader`] only reads
//! what is committed. Of all writers one has its turn at a time: a turn is a transaction that holds one lock of the
//! database, and ends with it. A batch is a savepoint in it. The invariant: whoever has the turn knows every commit
//! before it, and whatever happens to a process or its connection, the server ends its turn and keeps nothing of it.

mod ahead;
mod arrival;
mod behind;
mod checks;
mod fellows;
mod open;
mod read;
mod road;
mod row;
mod schema;
mod statements;
mod turn;
mod wire;
mod write;

use std::time::Duration;

use node::ports::{News, Store, StoreError, StoreResult};
use node::rows::Batch;
use tokio::time::Instant;

pub(crate) use arrival::{Cargo, Kind};
pub use checks::Unsafe;
pub use fellows::PostgresFellows;
pub use open::OpenError;
pub use road::Database;

use ahead::Ahead;
use behind::Behind;
use wire::Wire;

/// Begins a turn: a transaction with the one lock under which a process decides ("Samv", 0). What follows sees every
/// commit before it.
const TAKE: &str = "BEGIN; SELECT pg_advisory_xact_lock(1398893942, 0)";

/// How often the table of keys is written anew, at most, after content was destroyed.
const SCRUB: Duration = Duration::from_secs(10);

/// A connection to a store on PostgreSQL; without a parameter, one that writes.
#[derive(Debug)]
pub struct Postgres<Access = Writer> {
    wire: Wire,
    ahead: Ahead,
    behind: Behind,
    access: Access,
}

/// A connection that only reads.
pub type PostgresReader = Postgres<ReadOnly>;

/// Marks a connection that only reads.
#[derive(Debug)]
pub struct ReadOnly(());

/// What the writer knows besides its connection.
#[derive(Debug)]
pub struct Writer {
    /// Number of ledger entries, with those not committed yet; meaningful in a turn.
    size: u64,
    turn: Turn,
    /// The last turn whose changes this process knows; none when it must read everything again.
    known: Option<turn::Known>,
    /// What this turn will have others know.
    news: turn::Written,
    scrub: Scrub,
}

/// How the writer's turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is not this process's turn.
    None,
    /// It is; batches may wait for their commit.
    Held,
}

/// Whether content was destroyed, by this process or perhaps by one before it, and its key may still be in a file.
#[derive(Debug)]
struct Scrub {
    due: bool,
    last: Option<Instant>,
}

impl Store for Postgres {
    fn take_turn(&mut self) -> StoreResult<News> {
        self.behind.check()?;
        match self.access.turn {
            Turn::Held => Ok(News::Nothing),
            Turn::None => self.begin(),
        }
    }

    fn append(&mut self, batch: &Batch) -> StoreResult<()> {
        // Whoever did not ask for the news has to read everything before it relies on its memory.
        if self.access.turn == Turn::None && !matches!(self.take_turn()?, News::Nothing) {
            self.access.news.unheard = true;
        }
        self.behind.check()?;
        if batch.expected != self.access.size {
            return Err(StoreError::Conflict { expected: batch.expected, actual: self.access.size });
        }
        write::check(batch)?;
        self.ahead.forget(batch);
        self.access.size = batch.expected + u64::try_from(batch.entries.len()).unwrap_or_default();
        self.access.news.note(batch);
        if self.behind.wait(batch) { self.behind.catch_up(&self.wire) } else { Ok(()) }
    }

    fn commit(&mut self) -> StoreResult<()> {
        if self.access.turn == Turn::None {
            self.scrub();
            return Ok(());
        }
        let ended = self.behind.catch_up(&self.wire).and_then(|()| self.end_turn());
        if ended.is_err() {
            self.forget();
        } else {
            self.ahead.clear();
            self.access.turn = Turn::None;
            self.wire.hold(false);
            self.scrub();
        }
        ended
    }

    fn rollback(&mut self) -> StoreResult<()> {
        self.forget();
        Ok(())
    }
}

impl<Access> Postgres<Access> {
    /// The connection, once the server knows of everything that was appended.
    fn wire(&self) -> StoreResult<&Wire> {
        self.behind.catch_up(&self.wire)?;
        Ok(&self.wire)
    }
}

impl Postgres {
    /// Goes back to the last commit, and lets others have their turn.
    fn forget(&mut self) {
        if self.access.turn != Turn::None && self.wire.run("ROLLBACK").is_err() {
            // The server ends the turn of a connection that is gone.
            self.wire.cut("an act failed, and could not be undone");
        }
        self.wire.hold(false);
        self.ahead.clear();
        self.behind.clear();
        self.access.turn = Turn::None;
        self.access.news = turn::Written::default();
        self.access.known = None;
    }

    /// Writes the table of keys anew, without those that were destroyed. Unlike a deletion or an ordinary vacuum, that
    /// leaves nothing of them in the database's files. It waits for whoever reads a key, so it is not done at every turn.
    ///
    /// WHY: not `VACUUM FULL`, which copies dead rows too while an old snapshot could still see them. A column that gets
    /// its own type by way of an expression has the rows copied that live now, and no others.
    fn scrub(&mut self) {
        let Scrub { due, last } = &mut self.access.scrub;
        if !*due || last.is_some_and(|last| last.elapsed() < SCRUB) {
            return;
        }
        *last = Some(Instant::now());
        match self.wire.run("ALTER TABLE content_key ALTER wrapped TYPE bytea USING wrapped || ''::bytea") {
            Ok(()) => *due = false,
            Err(error) => tracing::warn!(%error, "destroyed keys stay in the database's files until a later commit"),
        }
    }
}
