//! Opening a store on PostgreSQL: is the server sound, is the database ours, and do we know its layout.
//!
//! It sets up connections and hands them on; what is written later is no concern of its. The invariant: nothing is
//! opened on a server that could lose what it confirmed, or on a database that holds something else.

use std::io;

use node::ports::{Reader as _, StoreError, StoreResult};

use super::ahead::Ahead;
use super::behind::Behind;
use super::checks::Unsafe;
use super::road::Database;
use super::{Postgres, PostgresReader, ReadOnly, Scrub, Turn, Writer};

/// A store on PostgreSQL cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address says nothing, or too much.
    #[error("the address of the database cannot be used: {why}")]
    Address {
        /// What is wrong with it.
        why: String,
    },
    /// Nothing protects what would be sent.
    #[error(
        "{host} is another machine, and nothing says whose certificate it may show: name a file of authorities in `store.authority-file`, or use a server on this machine"
    )]
    Unprotected {
        /// Which.
        host: String,
    },
    /// The file of authorities is none.
    #[error("the authorities in `store.authority-file` cannot be used: {why}")]
    Authorities {
        /// Why.
        why: String,
    },
    /// The server does not answer, or not to us.
    #[error("the database server cannot be used")]
    Unreached(#[source] tokio_postgres::Error),
    /// It could lose what it confirms.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// It is something else.
    #[error("the database holds something other than a Samverkan store: give the node a database of its own")]
    Foreign,
    /// It was written by a newer version.
    #[error("the store has layout {found}, and this version knows layouts up to {known}: start the version that wrote it, or restore a backup from before")]
    Newer {
        /// Its layout.
        found: i64,
        /// The newest layout known here.
        known: i64,
    },
    /// A move into it was not finished.
    #[error("the database holds half a store, for a move into it was not finished: go on with `samverkan store move --resume`")]
    Half,
    /// The operating system refused.
    #[error("the operating system gives no way to wait for a connection")]
    Machine(#[source] io::Error),
    /// What it holds cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// This and what lies below it, in one line: what a node says while its store is away.
    pub(super) fn told(&self) -> String {
        let mut words = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(deeper) = cause {
            words = format!("{words}: {deeper}");
            cause = deeper.source();
        }
        words
    }
}

impl Postgres {
    /// Opens the store in a database, and makes one if there is nothing in it. Do so on a thread that may wait.
    ///
    /// # Errors
    /// The server cannot be reached or relied on, or the database is not ours or newer than this version.
    pub fn open(database: &Database) -> Result<Self, OpenError> {
        let store = Self::open_half(database)?;
        if store.half_of()?.is_some() {
            return Err(OpenError::Half);
        }
        // Whatever it holds must read, before anybody relies on it.
        store.opening()?;
        Ok(store)
    }

    /// Opens a further connection, which only reads and sees what is committed.
    ///
    /// # Errors
    /// The server cannot be reached or relied on any more.
    pub fn reader(&self) -> StoreResult<PostgresReader> {
        Ok(Postgres { wire: self.wire.another()?, ahead: Ahead::default(), behind: Behind::default(), access: ReadOnly(()) })
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self { size: 0, turn: Turn::None, known: None, news: super::turn::Written::default(), scrub: Scrub { due: true, last: None } }
    }
}
