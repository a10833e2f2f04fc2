//! Opening a store: is it ours, is it whole, is it in use, and is the library sound.
//!
//! It sets up connections and hands them on; what is written later is no concern of its. The invariant: of the writers
//! on one file only one exists, in this process or another, and it holds the lock for as long as it lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use node::ports::{StoreError, StoreResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::row::fault;
use super::schema;
use super::{ReadOnly, Sqlite, SqliteReader, Transaction, Writer};

/// The oldest SQLite in which a checkpoint that meets a reset of the write-ahead log loses nothing.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Bytes in a page. WHY: where content lies in a row depends on it; see `docs/protocol/store.md`.
pub(super) const PAGE: u32 = 4096;

/// Statements kept prepared by a connection, more than there are in this crate.
const STATEMENTS: usize = 128;

/// How a store uses the machine.
#[derive(Debug, Clone)]
pub struct Options {
    /// Memory for pages of the writer, in KiB.
    pub cache_kib: u32,
    /// Memory for pages of each reader, in KiB.
    pub reader_cache_kib: u32,
    /// Size in KiB at which the write-ahead log is carried over into the file.
    pub log_kib: u32,
    /// The most that the file may grow to, in bytes; as far as the disk goes when absent.
    pub max_bytes: Option<u64>,
    /// How long to wait for another connection of this process.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_kib: 8 * 1024, reader_cache_kib: 2 * 1024, log_kib: 64 * 1024, max_bytes: None, patience: Duration::from_secs(5) }
    }
}

/// A store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The library has a fault that can lose what was committed.
    #[error("SQLite {found} can lose committed data (the WAL-reset fault): build with SQLite 3.51.3 or later, such as the bundled one")]
    Library {
        /// Its version.
        found: String,
    },
    /// Somebody else writes to it.
    #[error("another process has the store open: stop it first, or choose another data folder (`{}` is locked)", lock.display())]
    InUse {
        /// The file that is locked.
        lock: PathBuf,
    },
    /// It is something else.
    #[error("the file is not a Samverkan store: choose another path, or put the right file there")]
    Foreign,
    /// It was written by a newer version.
    #[error("the store has layout {found}, and this version knows layouts up to {known}: start the version that wrote it, or restore a backup from before")]
    Newer {
        /// Its layout.
        found: i32,
        /// The newest layout known here.
        known: i32,
    },
    /// The file system does not do what a store needs.
    #[error("the file system does not support a write-ahead log: put the store on a local disk")]
    FileSystem,
    /// A file could not be used.
    #[error("`{}` cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite refused.
    #[error("the store cannot be opened")]
    Sqlite(#[source] rusqlite::Error),
    /// What it holds cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) { Self::Foreign } else { Self::Sqlite(error) }
    }
}

impl Sqlite {
    /// Opens the store in the file at `path`, and makes one if there is none.
    ///
    /// # Errors
    /// It is not a store, is in use, was written by a newer version, or the machine does not let it be used.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        check_library(rusqlite::version_number())?;
        let path = resolve(path)?;
        let lock = lock(&path)?;
        // WHY: made here rather than by SQLite, so that nobody else can read it; SQLite gives its log the same rights.
        private_file(&path)?;
        let mut connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(options.patience)?;
        let layout = schema::found(&connection)?;
        harden(&connection, options.cache_kib)?;
        write_ahead(&connection, options)?;
        schema::migrate(&mut connection, layout)?;
        // What a crash left in the log is carried over, so that it holds nothing of what was destroyed since.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let mut writer = Self { connection, access: Writer::new(Some((path, options.clone())), Some(lock)) };
        writer.access.size = writer.stored_size()?;
        Ok(writer)
    }

    /// A store in memory, gone when it is dropped. It has no readers of its own and serves simulations and tests.
    ///
    /// # Errors
    /// The library is not sound, or there is no memory.
    pub fn memory() -> Result<Self, OpenError> {
        check_library(rusqlite::version_number())?;
        let mut connection =
            Connection::open_in_memory_with_flags(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        harden(&connection, Options::default().cache_kib)?;
        schema::migrate(&mut connection, 0)?;
        Ok(Self { connection, access: Writer::new(None, None) })
    }

    /// Opens a further connection, which only reads and sees what is committed.
    ///
    /// # Errors
    /// The store is in memory, or SQLite refused.
    pub fn reader(&self) -> StoreResult<SqliteReader> {
        let Some((path, options)) = &self.access.origin else {
            return Err(StoreError::Failed("a store in memory is read through its writer".to_owned()));
        };
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(fault)?;
        connection.busy_timeout(options.patience).map_err(fault)?;
        harden(&connection, options.reader_cache_kib).map_err(fault)?;
        connection.pragma_update(None, "query_only", true).map_err(fault)?;
        Ok(Sqlite { connection, access: ReadOnly(()) })
    }
}

impl Writer {
    fn new(origin: Option<(PathBuf, Options)>, lock: Option<File>) -> Self {
        Self { origin, _lock: lock, size: 0, transaction: Transaction::Closed, scrub: false }
    }
}

fn check_library(found: i32) -> Result<(), OpenError> {
    if found >= OLDEST_SQLITE {
        return Ok(());
    }
    Err(OpenError::Library { found: format!("{}.{}.{}", found / 1_000_000, found / 1000 % 1000, found % 1000) })
}

/// The path without links, so that two names of one file have one lock.
fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let fault = |source| OpenError::File { path: path.to_owned(), source };
    match path.canonicalize() {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or_else(|| fault(io::ErrorKind::InvalidInput.into()))?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok(folder.canonicalize().map_err(fault)?.join(name))
        }
        found => found.map_err(fault),
    }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let file = private_file(&lock)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { lock }),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path: lock, source }),
    }
}

/// Opens a file, and makes one that only its owner may read if there is none.
pub(super) fn private_file(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| OpenError::File { path: path.to_owned(), source })
}

/// What every connection gets: enforced references, no trust in what the file's own schema says, bounded memory.
pub(super) fn harden(connection: &Connection, cache_kib: u32) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    // The pragma answers with the size that it set.
    connection.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(())).or_else(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        other => Err(other),
    })
}

/// What the writer gets besides: a log that is on the disk when a commit returns, and no trace of what is deleted.
fn write_ahead(connection: &Connection, options: &Options) -> Result<(), OpenError> {
    connection.pragma_update(None, "page_size", PAGE)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::FileSystem);
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    let secure: i64 = connection.pragma_update_and_check(None, "secure_delete", true, |row| row.get(0))?;
    debug_assert_eq!(secure, 1);
    // Where content lies in a row depends on it.
    if connection.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))? != PAGE {
        return Err(OpenError::Foreign);
    }
    let log_pages = u64::from(options.log_kib) * 1024 / u64::from(PAGE);
    let discard = |_: &rusqlite::Row<'_>| Ok(());
    connection.pragma_update_and_check(None, "wal_autocheckpoint", i64::try_from(log_pages.max(1)).unwrap_or(i64::MAX), discard)?;
    connection.pragma_update_and_check(None, "journal_size_limit", i64::from(options.log_kib) * 1024, discard)?;
    if let Some(bytes) = options.max_bytes {
        let pages = i64::try_from(bytes / u64::from(PAGE)).unwrap_or(i64::MAX);
        connection.pragma_update_and_check(None, "max_page_count", pages.max(1), discard)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_with_the_fault_is_refused() {
        assert!(check_library(3_051_003).is_ok());
        let refusal = check_library(3_051_002).unwrap_err().to_string();
        assert!(refusal.starts_with("SQLite 3.51.2 can lose committed data") && refusal.contains("3.51.3 or later"), "{refusal}");
    }
}
