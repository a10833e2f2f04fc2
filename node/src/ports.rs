//! The ports: what a node asks of the world, in domain words.
//!
//! A node does no I/O. It reads and writes through [`Reader`] and [`Store`], keeps attachments as [`Objects`] where they are
//! not in the store, draws randomness from [`Entropy`], and is told the time. Every store implements the same two traits natively and is held to the same conformance suite. What
//! was appended is visible to the same store's reads at once, and durable when `commit` has returned, not before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use format::merkle::Hash;
use format::record::Kind;
use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};

use crate::rows::{
    Batch, ContentRow, CredentialRow, EntryRow, HoldingRow, MemberRow, ObjectName, OutgoingRow, ParcelRow, PeerRow, PieceRow, RecordRow, RecoveryRow, Stage,
    StatementKind, StatementRow,
};

/// The store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The batch was decided on another state than the store's.
    #[error("the store has {actual} ledger entries, and the act was decided on {expected}")]
    Conflict {
        /// Ledger size the act was decided on.
        expected: u64,
        /// Ledger size in the store.
        actual: u64,
    },
    /// There is no room; nothing of the batch was kept.
    #[error("the store has no room left")]
    Full,
    /// The store is out of reach, for the time being. Nothing since the last commit may be relied on, and whether a commit
    /// under way came to pass shows when the store is back.
    #[error("the store cannot be reached: {0}")]
    Away(String),
    /// The store could not read or write. Nothing since the last commit may be relied on.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The disk failed under the store. What is on it shows when the store is opened anew, and until then nothing can be kept.
    #[error("the disk failed under the store: {0}")]
    Broken(String),
    /// The store holds something that this version cannot read.
    #[error("the store holds a {what} that cannot be read: {why}")]
    Corrupt {
        /// What it was reading.
        what: &'static str,
        /// What was wrong with it.
        why: String,
    },
}

/// A result of the store.
pub type StoreResult<T> = Result<T, StoreError>;

/// Everything small that a node holds in memory while it runs.
#[derive(Debug, Default)]
pub struct Opening {
    /// State of exchange, by peer.
    pub peers: Vec<PeerRow>,
    /// Number of ledger entries.
    pub ledger_size: u64,
    /// Time of the last ledger entry.
    pub last_entry: Option<Timestamp>,
    /// Last serial given out, by year.
    pub serials: BTreeMap<i16, u64>,
    /// House rules, empty when there are none.
    pub house_rules: String,
    /// This node's own recovery from a backup, once there was one.
    pub recovery: Option<RecoveryRow>,
    /// Whether pieces of attachments are in objects outside the store.
    pub objects: bool,
}

/// Which records to list.
#[derive(Debug, Clone, Default)]
pub struct RecordQuery {
    /// Only at this stage.
    pub stage: Option<Stage>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only from this originator.
    pub originator: Option<OrgId>,
    /// Only with the flag "based on something that changed".
    pub flagged: bool,
    /// Older than this place in the list; from the newest when absent.
    pub before: Option<u64>,
    /// At most this many, never more than [`MAX_PAGE`].
    pub limit: usize,
}

/// The most rows in one page.
pub const MAX_PAGE: usize = 200;

/// Statements that are read at a time.
const FEW: usize = 16;

/// What an act is about to ask, record by record.
#[derive(Debug, Clone, Copy)]
pub enum Next<'a> {
    /// Records that members' commands name.
    Named(&'a [RecordId]),
    /// Records that may leave: each with its content.
    Leaving(&'a [RecordId]),
    /// Records that a peer has confirmed: where copies of each are.
    Confirmed(&'a [RecordId]),
    /// Records that have arrived: whether they, their numbers or their recalls are here.
    Arriving(&'a [(RecordId, RecordNumber)]),
}

/// Reading what is kept.
pub trait Reader: Send {
    /// Says what will be asked next, so that a store that is a journey away can fetch it in one. It changes no answer.
    ///
    /// # Errors
    /// The store cannot be read.
    fn look_ahead(&self, _: &Next<'_>) -> StoreResult<()> {
        Ok(())
    }
    /// What a node loads when it starts, besides what [`Reader::directory`] gives.
    fn opening(&self) -> StoreResult<Opening>;
    /// Cards, agreement signatures and withdrawals, in the order in which they were kept: those after a place in the list,
    /// each with its place, at most `limit`. [`directory`] gives them all.
    fn directory(&self, after: u64, limit: usize) -> StoreResult<Vec<(u64, StatementRow)>>;
    /// A record by id.
    fn record(&self, id: &RecordId) -> StoreResult<Option<RecordRow>>;
    /// A record by number; the newest version when none is named.
    fn record_by_number(&self, number: &RecordNumber, version: Option<u32>) -> StoreResult<Option<RecordRow>>;
    /// A page of records, newest first, each with its place in the list.
    fn records(&self, query: &RecordQuery) -> StoreResult<Vec<(u64, RecordRow)>>;
    /// Every version of a number, oldest first.
    fn versions(&self, number: &RecordNumber) -> StoreResult<Vec<RecordRow>>;
    /// Records that link to this one by `based-on`, `answers`, `concerns` or `supersedes`.
    fn linking_to(&self, id: &RecordId) -> StoreResult<Vec<RecordRow>>;
    /// Whether the record was recalled before it came, and by whom.
    fn tombstone(&self, id: &RecordId) -> StoreResult<Option<OrgId>>;
    /// A record's content; none when it was destroyed or never kept.
    fn content(&self, id: &RecordId) -> StoreResult<Option<ContentRow>>;
    /// One piece of an attachment.
    fn piece(&self, record: &(RecordNumber, u32), attachment: u32, index: u64) -> StoreResult<Option<PieceRow>>;
    /// Leaf hashes of the pieces of an attachment that are here, by index.
    fn piece_leaves(&self, record: &(RecordNumber, u32), attachment: u32) -> StoreResult<BTreeMap<u64, Hash>>;
    /// Which of these objects a piece is in.
    fn objects_in_use(&self, names: &[ObjectName]) -> StoreResult<BTreeSet<ObjectName>>;
    /// Where copies of a record are, ordered by holder.
    fn holdings(&self, id: &RecordId) -> StoreResult<Vec<HoldingRow>>;
    /// The first rows of a peer's queue, oldest first.
    fn outgoing(&self, peer: &OrgId, limit: usize) -> StoreResult<Vec<OutgoingRow>>;
    /// Number of rows in a peer's queue.
    fn outgoing_count(&self, peer: &OrgId) -> StoreResult<u64>;
    /// The state of exchange with a peer; none before the first parcel.
    fn peer(&self, peer: &OrgId) -> StoreResult<Option<PeerRow>> {
        Ok(self.opening()?.peers.into_iter().find(|row| row.org == *peer))
    }
    /// A parcel that has no receipt yet.
    fn parcel(&self, peer: &OrgId, sequence: u64) -> StoreResult<Option<ParcelRow>>;
    /// Evidence by kind and key.
    fn statement(&self, kind: StatementKind, key: &Digest) -> StoreResult<Option<StatementRow>>;
    /// Evidence by kind and what it is about, oldest first.
    fn statements_about(&self, kind: StatementKind, about: &Digest) -> StoreResult<Vec<StatementRow>>;
    /// Records whose retention has ended by `now` and whose content is still here, soonest first.
    fn due(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<RecordId>>;
    /// Ledger entries from `from` on, at most `limit`.
    fn entries(&self, from: u64, limit: usize) -> StoreResult<Vec<EntryRow>>;
    /// Ledger entries about a record, oldest first, at most [`MAX_PAGE`].
    fn entries_about(&self, id: &RecordId) -> StoreResult<Vec<EntryRow>>;
    /// What is kept of the ledger's tree: at level 0 an entry's leaf, at another level divisible by four the hash of a
    /// complete subtree.
    fn subtree(&self, level: u8, index: u64) -> StoreResult<Hash>;
    /// A member.
    fn member(&self, id: &str) -> StoreResult<Option<MemberRow>>;
    /// All members, ordered by id.
    fn members(&self) -> StoreResult<Vec<MemberRow>>;
    /// A session or token by the SHA-256 of its secret.
    fn credential(&self, hash: &Digest) -> StoreResult<Option<CredentialRow>>;
    /// A session or token by the SHA-256 of its secret, with the member whose it is.
    fn whose(&self, hash: &Digest) -> StoreResult<Option<(CredentialRow, MemberRow)>> {
        let Some(credential) = self.credential(hash)? else { return Ok(None) };
        Ok(self.member(&credential.member)?.map(|member| (credential, member)))
    }
    /// A member's sessions and tokens, newest first.
    fn credentials(&self, member: &str) -> StoreResult<Vec<CredentialRow>>;
    /// Numbers for health: records held, ledger entries, rows waiting to leave, parcels without receipt.
    fn counts(&self) -> StoreResult<Counts>;
}

/// Every card, agreement signature and withdrawal, in the order in which they were kept. A few are in memory at a time: in a
/// large federation each may be many kilobytes.
pub fn directory(reader: &dyn Reader) -> impl Iterator<Item = StoreResult<StatementRow>> {
    let (mut after, mut page) = (Some(0), Vec::new().into_iter());
    std::iter::from_fn(move || {
        if page.len() == 0
            && let Some(place) = after.take()
        {
            match reader.directory(place, FEW) {
                Ok(next) => {
                    after = next.last().filter(|_| next.len() == FEW).map(|(last, _)| *last);
                    page = next.into_iter();
                }
                Err(fault) => return Some(Err(fault)),
            }
        }
        page.next().map(|(_, row)| Ok(row))
    })
}

/// Numbers for health pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records held, drafts included.
    pub records: u64,
    /// Ledger entries.
    pub entries: u64,
    /// Rows waiting to leave, over all peers.
    pub outgoing: u64,
    /// Parcels without receipt, over all peers.
    pub parcels: u64,
}

/// What other processes have written to the same store since this one last had its turn.
#[derive(Debug)]
pub enum News {
    /// Nothing.
    Nothing,
    /// This.
    Changes(Box<Changes>),
    /// More than is told: everything must be read again.
    Everything,
}

/// What has changed of that which a node holds in memory.
#[derive(Debug, Default)]
pub struct Changes {
    /// Cards, agreement signatures and withdrawals that were added, in the order in which they were kept.
    pub statements: Vec<StatementRow>,
    /// Peers whose state of exchange has changed.
    pub peers: Vec<PeerRow>,
    /// Leaves of the ledger entries that were added.
    pub leaves: Vec<Hash>,
    /// Time of the last ledger entry.
    pub last_entry: Option<Timestamp>,
    /// Last serial given out, by year, where one was given out.
    pub serials: BTreeMap<i16, u64>,
    /// By how much a peer's queue has grown, or shrunk.
    pub queued: BTreeMap<OrgId, i64>,
    /// House rules, where they or the recovery may have changed.
    pub house_rules: Option<String>,
    /// This node's own recovery, where it may have changed.
    pub recovery: Option<RecoveryRow>,
}

/// Reading and writing. There is one writer at a time.
pub trait Store: Reader {
    /// Waits until no other process decides on this store, and keeps others from it until the next [`Self::commit`] or
    /// [`Self::rollback`]. Tells what others have written in between. A store of one process has no others.
    ///
    /// # Errors
    /// The store cannot be read, or another does not give up its turn.
    fn take_turn(&mut self) -> StoreResult<News> {
        Ok(News::Nothing)
    }
    /// Adds a batch to the open transaction, opening one, and taking the turn, if there is none. A store that is a journey
    /// away may tell later that a batch cannot be kept: when it is next asked something, or at the commit.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] leaves the transaction as it was before the call; after any other error the caller
    /// rolls back.
    fn append(&mut self, batch: &Batch) -> StoreResult<()>;
    /// Makes everything appended durable. After an error nothing of it is kept.
    fn commit(&mut self) -> StoreResult<()>;
    /// Gives up what was appended since the last commit.
    fn rollback(&mut self) -> StoreResult<()>;
    /// Writes something that says nothing, to find out whether there is room again. It counts with the next commit. Gives
    /// whether it did: a store that does not only knows when the next act is kept.
    ///
    /// # Errors
    /// There is no room, or the store failed.
    fn try_out(&mut self) -> StoreResult<bool> {
        Ok(false)
    }
}

/// The other processes that serve the same node on the same store.
pub trait Fellows: Send {
    /// Waits at most `patience` for a word from a fellow. Not to be told more than once is not promised; to be told at
    /// all is, as long as no error came in between.
    ///
    /// # Errors
    /// The store is out of reach: whatever was said since then was missed.
    fn listen(&mut self, patience: Duration) -> StoreResult<Word>;

    /// Shares out who is courier to which of `peers`, and gives those for whom it is this process until it is asked
    /// again. A peer that is no longer given must be left before the next time.
    ///
    /// # Errors
    /// The store is out of reach: this process is courier to nobody.
    fn share_out(&mut self, peers: &BTreeSet<OrgId>) -> StoreResult<BTreeSet<OrgId>>;
}

/// What fellows have said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// Something was written that counts at once: a card, an agreement, a withdrawal, house rules.
    pub at_once: bool,
    /// Peers for whom something waits.
    pub queued: BTreeSet<OrgId>,
    /// Something waits for more peers than were named.
    pub for_all: bool,
}

/// The place outside the store where attachments are kept is out of reach, or did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the place where attachments are kept cannot be used: {0}")]
pub struct PlaceAway(pub String);

/// Objects outside the store: a folder or a bucket of this node's own, in which each piece of an attachment is an object,
/// encrypted. Any call may wait for a network: it is made where that holds nobody up.
pub trait Objects: Send + Sync {
    /// Puts an object there, whole and durable when this returns. Names are never used twice.
    ///
    /// # Errors
    /// See [`PlaceAway`]; the object may be there nevertheless.
    fn put(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<(), PlaceAway>;
    /// Gets an object; none when there is none.
    ///
    /// # Errors
    /// See [`PlaceAway`].
    fn get(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, PlaceAway>;
    /// The objects whose names begin with this byte, each with its age, by the clock of whoever put it there.
    ///
    /// # Errors
    /// See [`PlaceAway`].
    fn list(&self, first: u8) -> Result<Vec<(ObjectName, Duration)>, PlaceAway>;
    /// Removes an object. One that is not there is removed.
    ///
    /// # Errors
    /// See [`PlaceAway`].
    fn remove(&self, name: &ObjectName) -> Result<(), PlaceAway>;
}

/// No place outside the store: every piece is in the store itself.
#[derive(Debug, Clone, Copy)]
pub struct NoPlace;

impl NoPlace {
    fn away<T>() -> Result<T, PlaceAway> {
        Err(PlaceAway("this node has none: see [attachments] in its configuration".to_owned()))
    }
}

impl Objects for NoPlace {
    fn put(&self, _: &ObjectName, _: Vec<u8>) -> Result<(), PlaceAway> {
        Self::away()
    }

    fn get(&self, _: &ObjectName) -> Result<Option<Vec<u8>>, PlaceAway> {
        Self::away()
    }

    fn list(&self, _: u8) -> Result<Vec<(ObjectName, Duration)>, PlaceAway> {
        Self::away()
    }

    fn remove(&self, _: &ObjectName) -> Result<(), PlaceAway> {
        Self::away()
    }
}

/// Unpredictable bytes.
pub trait Entropy: Send {
    /// Fills 32 bytes.
    fn fill(&mut self, bytes: &mut [u8; 32]);
}
