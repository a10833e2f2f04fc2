//! Copies: a store as one commit left it, while its node serves, and whether a file that came back is whole.
//!
//! A copy is made by SQLite itself from a connection that only reads, so it needs no leave of the writer and stops
//! nobody. It holds what the store holds, and nothing of what was destroyed before. A copy is plain: whoever makes one
//! closes it and removes it.

use std::path::Path;

use node::ports::{StoreError, StoreResult};
use rusqlite::{Connection, OpenFlags};

use super::open::{OpenError, harden};
use super::row::fault;
use super::{Sqlite, schema};

/// Memory for pages while a copy is made, in KiB.
const CACHE_KIB: u32 = 4096;

/// Writes the store in the file `store` to the new file `copy`, as the last commit left it.
///
/// # Errors
/// The store cannot be read, or there is no room for a copy.
pub fn copy(store: &Path, copy: &Path) -> Result<(), OpenError> {
    let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    harden(&connection, CACHE_KIB)?;
    if schema::found(&connection)? == 0 {
        return Err(OpenError::Foreign);
    }
    write_to(&connection, copy)
}

fn write_to(connection: &Connection, copy: &Path) -> Result<(), OpenError> {
    super::open::private_file(copy)?;
    let name = copy.to_str().ok_or_else(|| OpenError::File { path: copy.to_owned(), source: std::io::ErrorKind::InvalidInput.into() })?;
    connection.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

impl<Access> Sqlite<Access> {
    /// Writes what this connection sees to the new file `copy`.
    ///
    /// # Errors
    /// A transaction is open, or there is no room.
    pub fn copy_to(&self, copy: &Path) -> Result<(), OpenError> {
        write_to(&self.connection, copy)
    }

    /// Whether the file is whole: every page, index and reference.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub fn check_whole(&self) -> StoreResult<()> {
        let corrupt = |why: String| StoreError::Corrupt { what: "store", why };
        let told: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(fault)?;
        if told != "ok" {
            return Err(corrupt(told));
        }
        let stray = self.connection.prepare("PRAGMA foreign_key_check").and_then(|mut check| check.exists([])).map_err(fault)?;
        if stray { Err(corrupt("a row refers to another that is not there".to_owned())) } else { Ok(()) }
    }
}
