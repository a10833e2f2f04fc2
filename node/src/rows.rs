//! What a node keeps, row by row, in domain words.
//!
//! These types cross the store port. They carry no derive for any storage format: each store writes them into columns
//! of its own. Signed statements are kept as the exact bytes that were signed; content only as ciphertext under a key
//! of its own, which is itself wrapped. A [`Batch`] is everything one act changes, together with its ledger entries.

use std::collections::BTreeSet;

use format::merkle::Hash;
use format::parcel::{ItemKind, ItemRef};
use format::record::Kind;
use format::{AgreementId, Digest, OrgId, RecordId, RecordNumber, Timestamp};
use policy::access::Role;

pub use format::signed::Signatures;
pub use policy::access::Stage;
pub use policy::release::Condition;

/// A record without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// SHA-256 of `header`. A draft's changes each time it is edited; from submission on it is fixed.
    pub id: RecordId,
    /// Exact header bytes (JSON).
    pub header: Vec<u8>,
    /// The originator's signatures, from release on.
    pub signatures: Option<Signatures>,
    /// Repeated from the header, to be searched by.
    pub kind: Kind,
    /// Repeated from the header.
    pub originator: OrgId,
    /// Repeated from the header.
    pub number: RecordNumber,
    /// Repeated from the header.
    pub version: u32,
    /// Repeated from the header.
    pub agreement: AgreementId,
    /// Repeated from the header.
    pub created: Timestamp,
    /// Repeated from the header.
    pub retain_until: Timestamp,
    /// How far it has come here.
    pub stage: Stage,
    /// Whether it still stands.
    pub condition: Condition,
    /// Member who drafted it; empty for received records.
    pub drafted_by: String,
    /// Member who submitted it.
    pub submitted_by: Option<String>,
    /// Member who approved it.
    pub approved_by: Option<String>,
    /// It was sent back by an approver; the reason is in the ledger.
    pub sent_back: bool,
    /// The organisation that handed it over; none for own records.
    pub from: Option<OrgId>,
    /// When it came to this node: drafted or received.
    pub arrived: Timestamp,
    /// Something that it is based on was corrected or recalled.
    pub flagged: bool,
    /// The grant under which it was received or is held for passing on, a consent record.
    pub grant: Option<RecordId>,
}

/// Content as it is stored: ciphertext, and the record's key wrapped under the node's storage key.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentRow {
    /// The record's key, wrapped. Destroying it is the purge.
    pub wrapped_key: Vec<u8>,
    /// Salt and content bytes, encrypted.
    pub ciphertext: Vec<u8>,
}

impl std::fmt::Debug for ContentRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentRow({} bytes)", self.ciphertext.len())
    }
}

/// Name of an object outside the store: 16 random bytes, which tell nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(pub [u8; 16]);

impl std::fmt::Display for ObjectName {
    /// 32 hexadecimal digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One encrypted piece of an attachment.
#[derive(Clone, PartialEq, Eq)]
pub struct PieceRow {
    /// The record's number and version, which stay the same while a draft is edited.
    pub record: (RecordNumber, u32),
    /// Which attachment, from 0.
    pub attachment: u32,
    /// Which piece, from 0.
    pub index: u64,
    /// Leaf hash of the piece in the attachment's tree.
    pub leaf: Hash,
    /// The object that the bytes are in, where they are not here.
    pub object: Option<ObjectName>,
    /// Encrypted bytes; where they are in an object, that object's key, encrypted in the same way.
    pub ciphertext: Vec<u8>,
}

impl std::fmt::Debug for PieceRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PieceRow({} {}/{})", self.record.0, self.attachment, self.index)
    }
}

/// Where a copy of a record is, as far as evidence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldingState {
    /// Released, and still here.
    Queued,
    /// Left in a parcel; no word yet.
    Sent,
    /// The holder confirmed that it has it.
    Held,
    /// The holder refused it.
    Refused,
    /// It never left: something forbade it in the last moment.
    HeldBack,
    /// The holder confirmed that it no longer has it.
    Removed,
}

/// One organisation's copy of one record, as seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldingRow {
    /// The record.
    pub record: RecordId,
    /// Who has, or had, or will have it.
    pub holder: OrgId,
    /// Who passed it to the holder; this node's organisation for direct copies.
    pub via: OrgId,
    /// How it stands.
    pub state: HoldingState,
    /// Parcel in which it left from here, where it did.
    pub sequence: Option<u64>,
    /// Digest of the receipt or notice that proves the state, where there is one.
    pub evidence: Option<Digest>,
    /// Reason codes, when refused or held back.
    pub reasons: BTreeSet<String>,
    /// Since when.
    pub since: Timestamp,
}

/// What waits to leave for a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A record.
    Record(RecordId),
    /// Pieces of an attachment, from `next` on.
    Attachment {
        /// The record.
        record: RecordId,
        /// Which attachment.
        attachment: u32,
        /// The next piece to send.
        next: u64,
    },
    /// A signed statement that is kept as evidence: agreement, withdrawal, notice.
    Statement(ItemKind, Digest),
    /// A record of the peer's own, to be given back after its recovery.
    Returned(RecordId),
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRow {
    /// Order within the peer's queue; given by the store.
    pub position: u64,
    /// What.
    pub what: Outgoing,
}

/// An item of a parcel that was put together, as it can be put together again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParcelItem {
    /// As the header names it.
    pub named: ItemRef,
    /// Where it comes from; for an attachment, `next` is the one piece.
    pub what: Outgoing,
}

/// A parcel that left, or is about to, and has no receipt yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParcelRow {
    /// To whom.
    pub peer: OrgId,
    /// Its place in the sequence.
    pub sequence: u64,
    /// The signed header, a COSE_Sign message.
    pub header: Vec<u8>,
    /// SHA-256 of the header's signed bytes.
    pub digest: Digest,
    /// Its items.
    pub items: Vec<ParcelItem>,
}

/// A ledger checkpoint of a peer, as last verified here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCheckpoint {
    /// Tree size.
    pub size: u64,
    /// Tree root.
    pub root: Hash,
    /// The signed note.
    pub note: String,
}

/// Why nothing is exchanged with a peer until a person has looked.
// STORED: in ledger entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suspicion {
    /// Two different parcels with one sequence number.
    Fork,
    /// The peer has forgotten what it had confirmed.
    RolledBack,
    /// The peer's ledger is not a continuation of what it showed before.
    SplitLedger,
    /// This node itself was restored from a backup, and the peer has yet to accept its recovery.
    Restored,
    /// The peer's card was revoked, and no later one is held.
    Revoked,
}

impl Suspicion {
    /// The word in bytes and interfaces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::RolledBack => "rolled-back",
            Self::SplitLedger => "split-ledger",
            Self::Restored => "restored",
            Self::Revoked => "revoked",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Fork, Self::RolledBack, Self::SplitLedger, Self::Restored, Self::Revoked].into_iter().find(|known| known.as_str() == word)
    }
}

/// The state of exchange with one peer, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// The peer.
    pub org: OrgId,
    /// Sequence of the last parcel put together for the peer, 0 before the first.
    pub sent: u64,
    /// Digest of that parcel's header.
    pub sent_digest: Digest,
    /// Sequence up to which the peer has given receipts.
    pub acknowledged: u64,
    /// Size of this node's ledger in the checkpoint of the last parcel put together.
    pub shown_size: u64,
    /// Size of this node's ledger in the last receipt given to the peer.
    pub receipted_size: u64,
    /// Sequence of the last parcel taken in from the peer.
    pub received: u64,
    /// Digest of that parcel's header.
    pub received_digest: Digest,
    /// The peer's checkpoint in the last parcel taken in.
    pub checkpoint: Option<SeenCheckpoint>,
    /// The peer's checkpoint in its last receipt.
    pub receipt_checkpoint: Option<SeenCheckpoint>,
    /// Why exchange is stopped, where it is.
    pub suspicion: Option<Suspicion>,
    /// The peer's era that was accepted here, once it was restored from a backup.
    pub era: Option<Timestamp>,
}

impl PeerRow {
    /// A peer with which nothing was exchanged yet.
    #[must_use]
    pub fn new(org: OrgId) -> Self {
        let zero = Digest::from([0; 32]);
        Self {
            org,
            sent: 0,
            sent_digest: zero,
            acknowledged: 0,
            shown_size: 0,
            receipted_size: 0,
            received: 0,
            received_digest: zero,
            checkpoint: None,
            receipt_checkpoint: None,
            suspicion: None,
            era: None,
        }
    }

    /// Whether nothing ever reached the other, either way, as far as is known here.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.acknowledged == 0 && self.received == 0
    }
}

/// This node's own recovery from a backup: the last one, once there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryRow {
    /// When the era began that the restoring began. It names the era.
    pub era: Timestamp,
    /// Size of the ledger as it was restored.
    pub size: u64,
    /// Root of that ledger.
    pub root: Hash,
    /// Members who approved the recovery, each with the place of the ledger entry that says so.
    pub approvals: Vec<(String, u64)>,
    /// SHA-256 of the recovery, once enough had approved it.
    pub declared: Option<Digest>,
}

/// What sort of signed statement is kept as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementKind {
    /// An organisation's card.
    Card,
    /// One party's signature on a version of an agreement.
    Agreement,
    /// A party's withdrawal.
    Withdrawal,
    /// A receipt for a parcel sent from here.
    ReceiptIn,
    /// A receipt given here for a parcel received.
    ReceiptOut,
    /// A notice about a record.
    Notice,
    /// A parcel header, or an inquiry, that proves a peer's fault.
    Fault,
    /// A peer's recovery, or this node's own.
    Recovery,
    /// The inquiry with which a peer's recovery came.
    Inquiry,
    /// What a peer last saw of this node, after this one was restored.
    Account,
    /// A revocation of a card.
    Revocation,
}

/// What statements about an organisation, its recoveries and revocations, are found by.
#[must_use]
pub fn about_org(org: &OrgId) -> Digest {
    Digest::of(org.as_str().as_bytes())
}

/// A signed statement, kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {
    /// What sort.
    pub kind: StatementKind,
    /// SHA-256 of the signed bytes. For agreements, which many sign, of signed bytes and signer.
    pub key: Digest,
    /// Who signed, or for receipts the peer.
    pub org: OrgId,
    /// What it is about: a record, an agreement version's digest, or the sequence of a receipt, as a digest.
    pub about: Option<Digest>,
    /// The COSE_Sign message.
    pub bytes: Vec<u8>,
    /// When it came to this node.
    pub at: Timestamp,
}

/// A person with an account on this node.
#[derive(Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// Log-in name, `[a-z0-9.-]`.
    pub id: String,
    /// Name shown to colleagues.
    pub name: String,
    /// What the person may do.
    pub roles: BTreeSet<Role>,
    /// Whether the account is in use.
    pub active: bool,
    /// Argon2id hash in PHC form.
    pub password: String,
}

impl std::fmt::Debug for MemberRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemberRow({} {:?} active={})", self.id, self.roles, self.active)
    }
}

/// A session or API token, kept as the SHA-256 of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRow {
    /// SHA-256 of the secret.
    pub hash: Digest,
    /// Whose.
    pub member: String,
    /// What it is for, in the member's words; empty for sessions.
    pub label: String,
    /// Whether it is an API token rather than a session.
    pub token: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Not valid from this time on.
    pub expires: Timestamp,
}

/// One ledger entry as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// Place in the ledger, from 0.
    pub index: u64,
    /// The leaf: SHA-256 of salt and entry. It stays when they are erased.
    pub leaf: Hash,
    /// Salt; none once erased.
    pub salt: Option<[u8; 32]>,
    /// Entry JSON; none once erased.
    pub json: Option<Vec<u8>>,
    /// What it tells, a word, to be searched by.
    pub what: String,
    /// The record it is about.
    pub record: Option<RecordId>,
    /// When.
    pub at: Timestamp,
}

impl std::fmt::Debug for EntryRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EntryRow({} {})", self.index, self.what)
    }
}

/// One change to what the store holds.
#[derive(Debug, Clone)]
pub enum Change {
    /// A new record with its content. Content may be absent for a record whose content is already gone.
    NewRecord(Box<RecordRow>, Option<ContentRow>),
    /// A record's row, found by number, version and originator, is replaced; content stays.
    Record(Box<RecordRow>),
    /// The originator's signatures on a record that was released.
    Signatures(RecordId, Signatures),
    /// A draft's content is replaced.
    Content(RecordId, ContentRow),
    /// A draft is given up, with its content and pieces.
    DiscardDraft(RecordNumber, u32),
    /// Content key, content and pieces are destroyed.
    DestroyContent(RecordId),
    /// A piece of an attachment is stored.
    Piece(PieceRow),
    /// A record that is not held here was recalled: it will be refused if it comes.
    Tombstone(RecordId, OrgId),
    /// A copy's state is set.
    Holding(HoldingRow),
    /// Something waits to leave for a peer.
    Queue(OrgId, Outgoing),
    /// A waiting row is replaced, or removed when `None`.
    Requeue(OrgId, u64, Option<Outgoing>),
    /// A parcel was put together.
    Parcel(ParcelRow),
    /// Parcels of the peer up to this sequence have receipts and need not be sent again.
    ParcelsDone(OrgId, u64),
    /// The state of exchange with a peer.
    Peer(PeerRow),
    /// Evidence is kept; a statement that is already kept stays as it is.
    Statement(StatementRow),
    /// A member is added or changed.
    Member(MemberRow),
    /// A session or token is added.
    Credential(CredentialRow),
    /// A session or token is revoked.
    RevokeCredential(Digest),
    /// All sessions and tokens of a member are revoked.
    RevokeCredentials(String),
    /// The last serial given out in a year.
    Serial(i16, u64),
    /// The organisation's own house rules.
    HouseRules(String),
    /// This node's own recovery from a backup.
    Recovery(RecoveryRow),
}

/// All that one act changes.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Size of the ledger on which the act was decided; the store refuses the batch on any other.
    pub expected: u64,
    /// Changes, in order.
    pub changes: Vec<Change>,
    /// Ledger entries, in order; the first has index `expected`.
    pub entries: Vec<EntryRow>,
    /// Complete subtrees of the ledger's tree to keep: level, index, hash. Level 0 is in the entries; of the others only
    /// levels divisible by four are kept, and the rest is computed from them.
    pub subtrees: Vec<(u8, u64, Hash)>,
}
