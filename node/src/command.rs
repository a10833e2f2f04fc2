//! Commands: what a member can ask of a node, and what comes back.
//!
//! A command may fail; what it changes is decided whole before anything is written. Every command arrives with a
//! [`policy::access::Pass`], which only the access decision makes, and `node` checks that the pass is for the command.

use std::collections::BTreeSet;

use format::agreement::{Agreement, Text};
use format::grading::Grading;
use format::id::{LegalBasis, Purpose};
use format::marking::Marking;
use format::record::{Kind, Link, Salted, SubjectCategory, TextContent};
use format::{AgreementId, Digest, OrgId, RecordId, RecordNumber, Timestamp};
use policy::access::{Permission, Role};
use policy::reason::Reason;

use crate::exchange::Dispatch;
use crate::objects::{Fetched, ObjectFault, ObjectRef, Placed};
use crate::ports::{RecordQuery, StoreError};
use crate::released::Released;
use crate::rows::{ObjectName, RecordRow};

/// What an author gives for a draft.
#[derive(Debug, Clone)]
pub struct DraftInput {
    /// Report, lesson or alert; for a correction, what the corrected record is.
    pub kind: Kind,
    /// The agreement, in its version in force.
    pub agreement: AgreementId,
    /// For whom.
    pub audience: BTreeSet<OrgId>,
    /// How it must be handled.
    pub marking: Marking,
    /// How reliable and sure.
    pub grading: Option<Grading>,
    /// What it may be processed for.
    pub purpose: Purpose,
    /// The provision that permits the release.
    pub legal_basis: LegalBasis,
    /// Whom its personal data concern.
    pub categories: BTreeSet<SubjectCategory>,
    /// Language tag.
    pub language: String,
    /// Days until every holder destroys it; the agreement's longest when absent.
    pub retention_days: Option<u32>,
    /// Records it answers or builds on.
    pub links: Vec<Link>,
    /// Title, text, names of attachments to come, embedded STIX.
    pub content: TextContent,
}

/// What a member asks for.
#[derive(Debug)]
pub enum Command {
    /// Believes a card whose fingerprint the member compared.
    ImportCard { bytes: Vec<u8>, fingerprint: Digest },
    /// Makes this organisation's next card, with other addresses and another contact point where these are given, and with
    /// the keys that were made to follow if that is asked for.
    RenewCard { addresses: Option<Vec<String>>, contact: Option<String>, new_keys: bool },
    /// Revokes this organisation's own card, and tells every peer; or has another's card believed no longer here.
    RevokeCard { org: OrgId, reason: String },
    /// Puts a version of an agreement forward, signed by this organisation.
    ProposeAgreement(Box<Agreement>),
    /// Signs a version that was put forward.
    SignAgreement { id: AgreementId, version: u32 },
    /// Leaves an agreement, in every version, at once.
    Withdraw { id: AgreementId },
    /// Begins a draft.
    Draft(Box<DraftInput>),
    /// Begins a correction of a released record of this organisation.
    Correct { number: RecordNumber, input: Box<DraftInput> },
    /// Replaces a draft's header and text; its attachments stay.
    Edit { number: RecordNumber, version: u32, input: Box<DraftInput> },
    /// Stores one piece of an attachment to a draft; pieces come in order. One that was placed outside the store is kept there.
    AttachPiece { number: RecordNumber, version: u32, index: u64, bytes: Vec<u8>, placed: Option<Placed> },
    /// Ends an attachment whose pieces are all stored.
    AttachEnd { number: RecordNumber, version: u32, name: String, media_type: String, size: u64 },
    /// Gives up a draft.
    Discard { number: RecordNumber, version: u32 },
    /// Fixes a draft's bytes and puts it before a second person.
    Submit { number: RecordNumber, version: u32 },
    /// Approves exactly the bytes with this id.
    Approve { record: RecordId },
    /// Sends a submitted draft back to its author.
    SendBack { record: RecordId, reason: String },
    /// Releases an approved record. It is signed before anything leaves and before the commit, together with whatever else is
    /// released until then.
    Release { record: RecordId },
    /// Takes a released record back from every holder, in all its versions.
    Recall { number: RecordNumber, reason: String },
    /// Passes another organisation's record on.
    PassOn { record: RecordId, to: OrgId },
    /// States a threat for which a record should be passed on without consent, and puts that before a second person.
    StateEmergency { record: RecordId, to: OrgId, reason: String },
    /// Passes a record on in an emergency, as the statement says.
    ReleaseInEmergency { statement: RecordId },
    /// Asks a record's originator whether it may be passed on.
    AskConsent { record: RecordId, recipient: OrgId, reason: String },
    /// Answers such a question.
    AnswerConsent { ask: RecordId, grant: bool, reason: String, expires: Option<Timestamp> },
    /// Reads a record.
    Open { record: RecordId },
    /// Reads a piece of an attachment.
    OpenPiece { record: RecordId, attachment: u32, index: u64 },
    /// Lists records with their titles.
    List(Box<RecordQuery>),
    /// Notes that the ledger is exported, and tells up to which entry.
    ExportLedger,
    /// Adds a member.
    AddMember { id: String, name: String, roles: BTreeSet<Role>, password: String },
    /// Sets a member's roles and whether the account is in use.
    ChangeMember { id: String, roles: BTreeSet<Role>, active: bool },
    /// Sets a password hash (PHC form) and ends the member's sessions.
    SetPassword { member: String, password: String },
    /// Adds a session or API token.
    AddCredential { member: String, hash: Digest, label: String, token: bool, expires: Timestamp },
    /// Revokes a session or API token.
    RevokeCredential { hash: Digest },
    /// Replaces the house rules, which the caller has validated.
    SetHouseRules { text: String },
    /// Lets exchange with a suspended peer go on, from its sequence number `from`.
    Resume { peer: OrgId, from: u64 },
    /// Writes the next parcel for a peer, after its parcel `after`, to a file.
    CarryOut { peer: OrgId, after: u64, fetched: Fetched },
    /// Takes in what is in a file: notes that it is done, before the first parcel is.
    CarryIn,
    /// Notes that a backup is about to be made, to be opened with the key of this fingerprint.
    BackUp { key: Digest },
    /// Approves this node's own recovery from a backup; the second member's approval declares it.
    ApproveRecovery,
    /// Accepts a peer's recovery, the SHA-256 of which was compared.
    AcceptRecovery { peer: OrgId, recovery: Digest },
}

impl Command {
    /// The permissions of which a pass must be for one.
    #[must_use]
    pub const fn permissions(&self) -> &'static [Permission] {
        match self {
            Self::ImportCard { .. } | Self::RenewCard { .. } | Self::RevokeCard { .. } | Self::Resume { .. } | Self::AcceptRecovery { .. } => {
                &[Permission::ManageDirectory]
            }
            Self::BackUp { .. } => &[Permission::BackUp],
            Self::ApproveRecovery => &[Permission::ApproveRecovery],
            Self::ProposeAgreement(_) => &[Permission::ProposeAgreement],
            Self::SignAgreement { .. } => &[Permission::SignAgreement],
            Self::Withdraw { .. } => &[Permission::WithdrawAgreement],
            Self::Draft(_) | Self::Correct { .. } | Self::Edit { .. } | Self::AttachPiece { .. } | Self::AttachEnd { .. } | Self::Discard { .. } => {
                &[Permission::DraftRecord]
            }
            Self::Submit { .. } => &[Permission::SubmitRecord],
            Self::Approve { .. } | Self::SendBack { .. } => &[Permission::ApproveRecord],
            Self::Release { .. } => &[Permission::ReleaseRecord],
            Self::Recall { .. } => &[Permission::Recall],
            Self::PassOn { .. } => &[Permission::PassOn],
            Self::ReleaseInEmergency { .. } => &[Permission::ReleaseInEmergency],
            Self::AskConsent { .. } | Self::StateEmergency { .. } => &[Permission::AskConsent],
            Self::AnswerConsent { .. } => &[Permission::AnswerConsent],
            Self::Open { .. } | Self::OpenPiece { .. } => &[Permission::ReadRecord, Permission::ReadDraft],
            Self::List(_) => &[Permission::SearchRecords],
            Self::ExportLedger => &[Permission::ReadLedger],
            Self::CarryOut { .. } | Self::CarryIn => &[Permission::CarryFiles],
            Self::AddMember { .. } | Self::ChangeMember { .. } => &[Permission::ManageMembers],
            Self::SetPassword { .. } | Self::RevokeCredential { .. } => &[Permission::ManageMembers, Permission::ManageOwnTokens],
            Self::AddCredential { .. } => &[Permission::ManageOwnTokens],
            Self::SetHouseRules { .. } => &[Permission::ManageHouseRules],
        }
    }

    /// The act's word for the ledger.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ImportCard { .. } => "import-card",
            Self::RenewCard { .. } => "renew-card",
            Self::RevokeCard { .. } => "revoke-card",
            Self::ProposeAgreement(_) => "propose-agreement",
            Self::SignAgreement { .. } => "sign-agreement",
            Self::Withdraw { .. } => "withdraw",
            Self::Draft(_) => "draft",
            Self::Correct { .. } => "correct",
            Self::Edit { .. } => "edit",
            Self::AttachPiece { .. } | Self::AttachEnd { .. } => "attach",
            Self::Discard { .. } => "discard",
            Self::Submit { .. } => "submit",
            Self::Approve { .. } => "approve",
            Self::SendBack { .. } => "send-back",
            Self::Release { .. } => "release",
            Self::Recall { .. } => "recall",
            Self::PassOn { .. } => "pass-on",
            Self::StateEmergency { .. } => "state-emergency",
            Self::ReleaseInEmergency { .. } => "release-in-emergency",
            Self::AskConsent { .. } => "ask-consent",
            Self::AnswerConsent { .. } => "answer-consent",
            Self::Open { .. } | Self::OpenPiece { .. } => "open",
            Self::List(_) => "list",
            Self::ExportLedger => "export-ledger",
            Self::AddMember { .. } => "add-member",
            Self::ChangeMember { .. } => "change-member",
            Self::SetPassword { .. } => "set-password",
            Self::AddCredential { .. } => "add-credential",
            Self::RevokeCredential { .. } => "revoke-credential",
            Self::SetHouseRules { .. } => "set-house-rules",
            Self::Resume { .. } => "resume",
            Self::CarryOut { .. } => "carry-out",
            Self::CarryIn => "carry-in",
            Self::BackUp { .. } => "back-up",
            Self::ApproveRecovery => "approve-recovery",
            Self::AcceptRecovery { .. } => "accept-recovery",
        }
    }

    /// The record that it names, where it names one by id.
    #[must_use]
    pub const fn names(&self) -> Option<RecordId> {
        match self {
            Self::Approve { record }
            | Self::SendBack { record, .. }
            | Self::Release { record }
            | Self::PassOn { record, .. }
            | Self::StateEmergency { record, .. }
            | Self::AskConsent { record, .. }
            | Self::Open { record }
            | Self::OpenPiece { record, .. } => Some(*record),
            _ => None,
        }
    }

    /// Whether it may be carried out on a node that was restored and whose recovery is not declared yet: reading, what it
    /// takes to log in, and the approval itself. The same goes for a node whose own card was revoked.
    #[must_use]
    pub const fn is_for_restored(&self) -> bool {
        matches!(
            self,
            Self::ApproveRecovery
                | Self::Open { .. }
                | Self::OpenPiece { .. }
                | Self::List(_)
                | Self::ExportLedger
                | Self::AddCredential { .. }
                | Self::RevokeCredential { .. }
                | Self::SetPassword { .. }
        )
    }
}

/// A record as its reader gets it.
#[derive(Debug)]
pub struct RecordView {
    /// Its row, with the exact header.
    pub row: RecordRow,
    /// Its content; none when it was destroyed.
    pub content: Option<Salted>,
    /// Why it was sent back, in a draft that was; none in a list.
    pub sent_back_because: Option<String>,
    /// Who passed it on to here in an emergency, without its originator's consent.
    pub emergency: Option<OrgId>,
    /// When its originator's card was revoked, if that was after it came; none in a list.
    pub revoked_later: Option<Timestamp>,
}

/// What became of a command.
#[derive(Debug)]
pub enum Outcome {
    /// Done, and nothing more to say.
    Done,
    /// A draft with this number and version was begun or changed.
    Drafted { number: RecordNumber, version: u32 },
    /// The record with this id was submitted, approved, released, or made.
    Record { record: RecordId, number: RecordNumber, version: u32 },
    /// A record was released to some, and refused to others with reasons.
    Released { record: RecordId, number: RecordNumber, recipients: Vec<OrgId>, refused: Vec<(OrgId, Vec<Reason>)> },
    /// A record for its reader.
    Opened(Box<Released<RecordView>>),
    /// A piece of an attachment for its reader.
    Piece(Released<Vec<u8>>),
    /// The same, where the piece is in an object that is still to be fetched.
    PieceAway(Released<ObjectRef>),
    /// A page of records for its reader, each with its place in the list.
    Listed(Released<Vec<(u64, RecordView)>>),
    /// Number of entries in the ledger, the one that notes the export included.
    Exported(u64),
    /// A parcel to be put together and written to a file; none when nothing waits, or no further one may leave.
    CarriedOut(Option<Box<Dispatch>>),
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Rules forbid it; the reasons say which.
    #[error("the rules forbid it")]
    Forbidden(Vec<Reason>),
    /// What it speaks of is not here, or not for this member to see.
    #[error("there is no {what} `{name}` here")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// As it was named.
        name: String,
    },
    /// It does not fit the state things are in.
    #[error("{}", .0.en)]
    WrongState(Text),
    /// What was given is not valid.
    #[error("{what}: {why}")]
    Invalid {
        /// Which input.
        what: &'static str,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// The pass is for something else.
    #[error("the permission given is not for this act")]
    WrongPass,
    /// A limit of this node is reached; later it may work.
    #[error("{0}")]
    Busy(String),
    /// A parcel can be decided once these objects are fetched.
    #[error("attachments must be fetched first")]
    NotFetched(Vec<ObjectName>),
    /// An attachment cannot be kept or read outside the store.
    #[error(transparent)]
    Object(#[from] ObjectFault),
    /// The store failed; nothing was done.
    #[error("the store is not available, and nothing was done")]
    Store(#[from] StoreError),
}
