//! A store that fails on demand: before any call, in the middle of a commit, or by the death of whoever called it.
//!
//! It wraps a real store and promises what a store promises, no more: after an error nothing since the last commit is
//! kept, and a commit that reached the disk stays even when nobody lived to hear of it. Beside that it is the
//! simulation's witness: it notes which ledger entries became durable and which records a batch touched. The node
//! has one end of it, the world the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use format::merkle::Hash;
use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::ports::{Counts, Opening, Reader, RecordQuery, Store, StoreError, StoreResult};
use node::rows::{
    Batch, Change, ContentRow, CredentialRow, EntryRow, HoldingRow, MemberRow, ObjectName, Outgoing, OutgoingRow, ParcelRow, PieceRow, RecordRow,
    StatementKind, StatementRow,
};
use store::sqlite::{Options, Sqlite};

/// How a store call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails, and so do the next ones of the burst.
    Fails,
    /// There is no room for what was to be written.
    Full,
    /// The process dies before the call does anything.
    Crash,
    /// The commit reaches the disk, and the process dies before it can say so.
    DiesAfterCommit,
}

/// A fault that waits for its moment.
#[derive(Debug, Clone, Copy)]
pub struct Armed {
    /// What.
    pub fault: Fault,
    /// How many calls go well before it.
    pub after: u32,
    /// How many calls it hits, for [`Fault::Fails`].
    pub burst: u32,
}

/// What the witness noted since it was last asked.
#[derive(Debug, Default)]
pub struct Witnessed {
    /// Ledger entries that became durable, in order.
    pub entries: Vec<EntryRow>,
    /// Records that durable batches touched.
    pub touched: BTreeSet<RecordId>,
    /// Records that durable batches put in line for somebody.
    pub queued: BTreeSet<(RecordId, OrgId)>,
    /// Faults that struck.
    pub struck: Vec<Fault>,
    /// A call that writes was answered with an error.
    pub write_failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Append,
    Commit,
}

#[derive(Debug)]
struct Inner {
    sqlite: Option<Sqlite>,
    file: Option<PathBuf>,
    armed: Option<Armed>,
    dead: bool,
    pending: Vec<EntryRow>,
    pending_touched: BTreeSet<RecordId>,
    pending_queued: BTreeSet<(RecordId, OrgId)>,
    witnessed: Witnessed,
}

/// One end of a store that can fail; clones are ends of the same store.
#[derive(Debug, Clone)]
pub struct Faulty(Arc<Mutex<Inner>>);

fn gone() -> StoreError {
    StoreError::Failed("the process is gone".to_owned())
}

impl Faulty {
    /// A store in memory.
    ///
    /// # Panics
    /// There is no memory.
    #[must_use]
    #[expect(clippy::expect_used, reason = "without a store there is nothing to simulate")]
    pub fn memory() -> Self {
        Self::over(Sqlite::memory().expect("a store in memory"), None)
    }

    /// A store in a file, which can be copied, put back and searched.
    ///
    /// # Panics
    /// The file cannot be used.
    #[must_use]
    #[expect(clippy::expect_used, reason = "without a store there is nothing to simulate")]
    pub fn file(path: &Path) -> Self {
        Self::over(Sqlite::open(path, &Options::default()).expect("a store in a file"), Some(path.to_owned()))
    }

    fn over(sqlite: Sqlite, file: Option<PathBuf>) -> Self {
        let witnessed = Witnessed::default();
        let inner = Inner {
            sqlite: Some(sqlite),
            file,
            armed: None,
            dead: false,
            pending: Vec::new(),
            pending_touched: BTreeSet::new(),
            pending_queued: BTreeSet::new(),
            witnessed,
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a fault, in place of one that was set.
    pub fn arm(&self, armed: Option<Armed>) {
        self.inner().armed = armed;
    }

    /// The fault that waits.
    #[must_use]
    pub fn armed(&self) -> Option<Armed> {
        self.inner().armed
    }

    /// Whether the process that used the store has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.inner().dead
    }

    /// The file in which the store is, if it is in one.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        self.inner().file.clone()
    }

    /// The process ends, and what it had not committed is gone.
    pub fn end(&self) {
        let mut inner = self.inner();
        inner.forget();
        inner.dead = true;
    }

    /// A new process takes the store over.
    ///
    /// # Errors
    /// The store cannot be opened again.
    pub fn begin(&self) -> StoreResult<()> {
        let mut inner = self.inner();
        inner.forget();
        inner.dead = false;
        inner.armed = None;
        if let Some(path) = inner.file.clone() {
            inner.sqlite = None;
            inner.sqlite = Some(Sqlite::open(&path, &Options::default()).map_err(|e| StoreError::Failed(e.to_string()))?);
        }
        Ok(())
    }

    /// Closes the store, does something with its file, and leaves it closed until [`Self::begin`].
    ///
    /// # Errors
    /// The store is not in a file, or the file cannot be used.
    pub fn with_file(&self, act: impl FnOnce(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
        self.end();
        let mut inner = self.inner();
        inner.sqlite = None;
        let path = inner.file.clone().ok_or(std::io::ErrorKind::NotFound)?;
        act(&path)
    }

    /// Looks into the store without a fault in the way.
    ///
    /// # Panics
    /// The store is closed.
    #[expect(clippy::expect_used, reason = "the world looks only into stores that are open")]
    pub fn peek<T>(&self, look: impl FnOnce(&Sqlite) -> T) -> T {
        look(self.inner().sqlite.as_ref().expect("an open store"))
    }

    /// What was noted since this was last asked.
    #[must_use]
    pub fn take_witnessed(&self) -> Witnessed {
        std::mem::take(&mut self.inner().witnessed)
    }

    fn read<T>(&self, ask: impl FnOnce(&Sqlite) -> StoreResult<T>) -> StoreResult<T> {
        let mut inner = self.inner();
        inner.strike(Call::Read)?;
        ask(inner.open()?)
    }
}

impl Inner {
    fn open(&self) -> StoreResult<&Sqlite> {
        self.sqlite.as_ref().ok_or_else(gone)
    }

    /// Lets a fault strike, if this call is its moment.
    fn strike(&mut self, call: Call) -> StoreResult<()> {
        if self.dead {
            return Err(gone());
        }
        let Some(mut armed) = self.armed else { return Ok(()) };
        let fits = match armed.fault {
            Fault::Fails | Fault::Crash => true,
            Fault::Full => call != Call::Read,
            Fault::DiesAfterCommit => call == Call::Commit,
        };
        if armed.after > 0 || !fits {
            armed.after = armed.after.saturating_sub(1);
            self.armed = Some(armed);
            return Ok(());
        }
        armed.burst = armed.burst.saturating_sub(1);
        self.armed = Some(armed).filter(|armed| armed.burst > 0 && armed.fault == Fault::Fails);
        self.witnessed.struck.push(armed.fault);
        self.witnessed.write_failed |= call != Call::Read;
        match armed.fault {
            Fault::Fails => {
                if call == Call::Commit {
                    self.forget();
                }
                Err(StoreError::Failed("simulated".to_owned()))
            }
            Fault::Full => {
                if call == Call::Commit {
                    self.forget();
                }
                Err(StoreError::Full)
            }
            Fault::Crash => {
                self.forget();
                self.dead = true;
                Err(gone())
            }
            Fault::DiesAfterCommit => {
                self.settle()?;
                self.dead = true;
                Err(gone())
            }
        }
    }

    fn forget(&mut self) {
        self.pending.clear();
        self.pending_touched.clear();
        self.pending_queued.clear();
        if let Some(sqlite) = &mut self.sqlite {
            let _nothing_open = sqlite.rollback();
        }
    }

    fn settle(&mut self) -> StoreResult<()> {
        self.sqlite.as_mut().ok_or_else(gone)?.commit()?;
        self.witnessed.entries.append(&mut self.pending);
        self.witnessed.touched.append(&mut self.pending_touched);
        self.witnessed.queued.append(&mut self.pending_queued);
        Ok(())
    }

    fn append(&mut self, batch: &Batch) -> StoreResult<()> {
        self.sqlite.as_mut().ok_or_else(gone)?.append(batch).inspect_err(|_| self.witnessed.write_failed = true)?;
        self.pending.extend(batch.entries.iter().cloned());
        for change in &batch.changes {
            if let Change::Queue(peer, Outgoing::Record(record)) = change {
                self.pending_queued.insert((*record, peer.clone()));
            }
            self.pending_touched.extend(match change {
                Change::NewRecord(row, _) | Change::Record(row) => Some(row.id),
                Change::Signatures(id, _) | Change::Content(id, _) | Change::DestroyContent(id) => Some(*id),
                Change::Holding(row) => Some(row.record),
                _ => None,
            });
        }
        Ok(())
    }
}

impl Store for Faulty {
    fn append(&mut self, batch: &Batch) -> StoreResult<()> {
        let mut inner = self.inner();
        inner.strike(Call::Append)?;
        inner.append(batch)
    }

    fn commit(&mut self) -> StoreResult<()> {
        let mut inner = self.inner();
        inner.strike(Call::Commit)?;
        inner.settle()
    }

    fn rollback(&mut self) -> StoreResult<()> {
        let mut inner = self.inner();
        if inner.dead {
            return Err(gone());
        }
        inner.forget();
        Ok(())
    }
}

impl Reader for Faulty {
    fn opening(&self) -> StoreResult<Opening> {
        self.read(|store| store.opening())
    }

    fn directory(&self, after: u64, limit: usize) -> StoreResult<Vec<(u64, StatementRow)>> {
        self.read(|store| store.directory(after, limit))
    }

    fn record(&self, id: &RecordId) -> StoreResult<Option<RecordRow>> {
        self.read(|store| store.record(id))
    }

    fn record_by_number(&self, number: &RecordNumber, version: Option<u32>) -> StoreResult<Option<RecordRow>> {
        self.read(|store| store.record_by_number(number, version))
    }

    fn records(&self, query: &RecordQuery) -> StoreResult<Vec<(u64, RecordRow)>> {
        self.read(|store| store.records(query))
    }

    fn versions(&self, number: &RecordNumber) -> StoreResult<Vec<RecordRow>> {
        self.read(|store| store.versions(number))
    }

    fn linking_to(&self, id: &RecordId) -> StoreResult<Vec<RecordRow>> {
        self.read(|store| store.linking_to(id))
    }

    fn tombstone(&self, id: &RecordId) -> StoreResult<Option<OrgId>> {
        self.read(|store| store.tombstone(id))
    }

    fn content(&self, id: &RecordId) -> StoreResult<Option<ContentRow>> {
        self.read(|store| store.content(id))
    }

    fn piece(&self, record: &(RecordNumber, u32), attachment: u32, index: u64) -> StoreResult<Option<PieceRow>> {
        self.read(|store| store.piece(record, attachment, index))
    }

    fn piece_leaves(&self, record: &(RecordNumber, u32), attachment: u32) -> StoreResult<BTreeMap<u64, Hash>> {
        self.read(|store| store.piece_leaves(record, attachment))
    }

    fn objects_in_use(&self, names: &[ObjectName]) -> StoreResult<BTreeSet<ObjectName>> {
        self.read(|store| store.objects_in_use(names))
    }

    fn holdings(&self, id: &RecordId) -> StoreResult<Vec<HoldingRow>> {
        self.read(|store| store.holdings(id))
    }

    fn outgoing(&self, peer: &OrgId, limit: usize) -> StoreResult<Vec<OutgoingRow>> {
        self.read(|store| store.outgoing(peer, limit))
    }

    fn outgoing_count(&self, peer: &OrgId) -> StoreResult<u64> {
        self.read(|store| store.outgoing_count(peer))
    }

    fn parcel(&self, peer: &OrgId, sequence: u64) -> StoreResult<Option<ParcelRow>> {
        self.read(|store| store.parcel(peer, sequence))
    }

    fn statement(&self, kind: StatementKind, key: &Digest) -> StoreResult<Option<StatementRow>> {
        self.read(|store| store.statement(kind, key))
    }

    fn statements_about(&self, kind: StatementKind, about: &Digest) -> StoreResult<Vec<StatementRow>> {
        self.read(|store| store.statements_about(kind, about))
    }

    fn due(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<RecordId>> {
        self.read(|store| store.due(now, limit))
    }

    fn entries(&self, from: u64, limit: usize) -> StoreResult<Vec<EntryRow>> {
        self.read(|store| store.entries(from, limit))
    }

    fn entries_about(&self, id: &RecordId) -> StoreResult<Vec<EntryRow>> {
        self.read(|store| store.entries_about(id))
    }

    fn subtree(&self, level: u8, index: u64) -> StoreResult<Hash> {
        self.read(|store| store.subtree(level, index))
    }

    fn member(&self, id: &str) -> StoreResult<Option<MemberRow>> {
        self.read(|store| store.member(id))
    }

    fn members(&self) -> StoreResult<Vec<MemberRow>> {
        self.read(|store| store.members())
    }

    fn credential(&self, hash: &Digest) -> StoreResult<Option<CredentialRow>> {
        self.read(|store| store.credential(hash))
    }

    fn credentials(&self, member: &str) -> StoreResult<Vec<CredentialRow>> {
        self.read(|store| store.credentials(member))
    }

    fn counts(&self) -> StoreResult<Counts> {
        self.read(|store| store.counts())
    }
}
