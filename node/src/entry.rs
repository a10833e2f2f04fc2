//! Ledger entries: what a node writes down of everything it does.
//!
//! An [`Entry`] says who did what, when, to which record, for which purpose, towards whom. It never holds content. It
//! is stored as JSON and hashed into the ledger's tree with a salt, so that it can be erased without breaking the
//! tree. Events are facts in the past tense: nothing here can fail.

use std::collections::BTreeSet;

use format::id::Purpose;
use format::receipt::State;
use format::{AgreementId, Digest, OrgId, RecordId, RecordNumber, Timestamp};
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::rows::Suspicion;

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A member of this organisation.
    Member(String),
    /// Another organisation, by a signed statement.
    Organisation(OrgId),
    /// The node itself, in the course of its duties.
    Node,
}

/// An entry of the ledger, version 1.
// STORED: JSON in the store and in exports; testdata/entry-1.jsonl holds a sample of every event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// An organisation to which something was refused, and the reasons' codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RefusedTo {
    /// The organisation.
    pub org: OrgId,
    /// Codes of the reasons.
    pub reasons: BTreeSet<String>,
}

/// What happened.
// STORED: see `Entry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "what")]
#[strum(serialize_all = "kebab-case")]
pub enum Event {
    /// A card was believed, after its fingerprint was compared.
    CardImported { org: OrgId, serial: u32, fingerprint: Digest },
    /// A card is believed no longer: its own organisation revoked it, or this one distrusts it.
    CardRevoked { org: OrgId, serial: u32, fingerprint: Digest, revocation: Digest, revoked_by: OrgId },
    /// A version of an agreement was put forward.
    AgreementProposed { agreement: AgreementId, version: u32, digest: Digest },
    /// A party's signature arrived, or was given.
    AgreementSigned { agreement: AgreementId, version: u32, party: OrgId },
    /// A party left.
    PartyWithdrew { agreement: AgreementId, party: OrgId },
    /// A draft was begun or changed.
    Drafted { number: RecordNumber, version: u32 },
    /// An attachment was added to a draft.
    Attached { number: RecordNumber, version: u32, attachment: u32, size: u64, root: Digest },
    /// A draft was given up.
    Discarded { number: RecordNumber, version: u32 },
    /// A draft's bytes were fixed and put before a second person.
    Submitted { record: RecordId, number: RecordNumber, version: u32 },
    /// A second person approved exactly these bytes.
    Approved { record: RecordId, number: RecordNumber, version: u32 },
    /// A second person sent it back. Why is encrypted under the record's own key, in base64, and is gone when that is.
    /// Entries from before that was so name no record and say it in words.
    SentBack {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<RecordId>,
        number: RecordNumber,
        version: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sealed: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A record was released.
    Released {
        record: RecordId,
        number: RecordNumber,
        version: u32,
        agreement: AgreementId,
        agreement_version: u32,
        purpose: Purpose,
        legal_basis: format::id::LegalBasis,
        recipients: Vec<OrgId>,
        refused: Vec<RefusedTo>,
    },
    /// A parcel is about to leave. Written before its first byte does. `statements` are those in it that are no records.
    Sent {
        peer: OrgId,
        sequence: u64,
        parcel: Digest,
        records: Vec<RecordId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        statements: Vec<Digest>,
    },
    /// A record did not leave: something forbade it in the last moment.
    HeldBack { record: RecordId, recipient: OrgId, reasons: BTreeSet<String> },
    /// A peer's receipt arrived.
    Receipted { peer: OrgId, sequence: u64, accepted: u32, refused: u32 },
    /// A record was taken in.
    Received { record: RecordId, number: RecordNumber, version: u32, originator: OrgId, from: OrgId },
    /// Something from a peer was not taken in.
    Refused { from: OrgId, item: Digest, record: Option<RecordId>, reasons: BTreeSet<String> },
    /// A member was refused an act.
    Denied { act: String, record: Option<RecordId>, reasons: BTreeSet<String> },
    /// A member is about to read a record. Written before it is shown.
    Opened { record: RecordId, purpose: Option<Purpose> },
    /// A member is about to see a list of records. Written before it is shown.
    Listed { query: String, purpose: Option<Purpose> },
    /// A record is taken back from every holder.
    Recalled { record: RecordId, recall: RecordId, outstanding: Vec<OrgId> },
    /// The originator took back a record that was held here, or had not come yet.
    RecallObeyed { record: RecordId, recall: RecordId, originator: OrgId },
    /// A record's content and key were destroyed.
    Removed { record: RecordId, because: Removal },
    /// A record was replaced by a later version.
    Superseded { record: RecordId, later: RecordId },
    /// A record builds on something that was corrected or recalled.
    Flagged { record: RecordId, because: RecordId },
    /// A record of another organisation is passed on.
    PassedOn { record: RecordId, to: OrgId, grant: Option<RecordId> },
    /// A member stated a threat for which a record should be passed on without consent.
    EmergencyStated { record: RecordId, statement: RecordId, recipient: OrgId },
    /// A record of another organisation is passed on in an emergency, without its consent; the originator is told in the
    /// statement.
    EmergencyReleased { record: RecordId, to: OrgId, statement: RecordId, approved_by: String },
    /// A holder's notice about a copy arrived.
    Noticed { record: RecordId, holder: OrgId, state: State },
    /// Consent was asked for.
    ConsentAsked { record: RecordId, ask: RecordId, recipient: OrgId },
    /// Consent was given or refused.
    ConsentAnswered { record: RecordId, answer: RecordId, holder: OrgId, recipient: OrgId, granted: bool },
    /// Exchange with a peer stopped until a person has looked.
    Suspended { peer: OrgId, why: Suspicion },
    /// A person let exchange with a peer go on.
    Resumed { peer: OrgId, from: u64 },
    /// A member was added.
    MemberAdded { member: String, roles: BTreeSet<String> },
    /// A member's roles or standing changed.
    MemberChanged { member: String, roles: BTreeSet<String>, active: bool },
    /// A member's password was set.
    PasswordSet { member: String },
    /// A session or token was made.
    CredentialAdded { member: String, token: bool, label: String, expires: Timestamp },
    /// A session or token was revoked.
    CredentialRevoked { member: String },
    /// The house rules were replaced.
    HouseRulesSet { digest: Digest },
    /// A parcel is about to be written to a file. Written before its first byte is.
    CarriedOut { peer: OrgId, sequence: u64 },
    /// What is in a file is about to be taken in.
    CarriedIn,
    /// The ledger was exported.
    LedgerExported { entries: u64 },
    /// A backup is about to be made, to be opened with the key of this fingerprint.
    BackedUp { key: Digest },
    /// The store was restored from a backup, and a new era of the ledger begins here.
    Restored { era: Timestamp, entries: u64, root: Digest },
    /// A member approved the recovery.
    RecoveryApproved { era: Timestamp },
    /// A second member approved it, and peers are told. Those that had not said what they last saw are named.
    RecoveryDeclared { era: Timestamp, recovery: Digest, unheard: BTreeSet<OrgId> },
    /// What a peer last saw of this node: so much of the ledger there was, and what is not here any more is lost.
    Accounted { peer: OrgId, entries: u64, root: Option<Digest>, received: u64, acknowledged: u64 },
    /// Exchange with a peer goes on, which has accepted the recovery.
    Settled { peer: OrgId, era: Timestamp },
    /// A record of this organisation's own came back from a peer.
    Recovered { record: RecordId, number: RecordNumber, version: u32, from: OrgId },
    /// A person accepted a peer's recovery. The peer's ledger had `seen` entries, and was restored with `restored`.
    RecoveryAccepted { peer: OrgId, era: Timestamp, recovery: Digest, restored: u64, seen: u64 },
}

/// Why content was destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// The originator recalled it.
    Recalled,
    /// Its retention ended.
    Expired,
}

impl Event {
    /// The word by which entries are searched.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.into()
    }

    /// The record it is about, where there is one.
    #[must_use]
    pub const fn record(&self) -> Option<RecordId> {
        match self {
            Self::Submitted { record, .. }
            | Self::Approved { record, .. }
            | Self::Released { record, .. }
            | Self::HeldBack { record, .. }
            | Self::Received { record, .. }
            | Self::Opened { record, .. }
            | Self::Recalled { record, .. }
            | Self::RecallObeyed { record, .. }
            | Self::Removed { record, .. }
            | Self::Superseded { record, .. }
            | Self::Flagged { record, .. }
            | Self::PassedOn { record, .. }
            | Self::EmergencyStated { record, .. }
            | Self::EmergencyReleased { record, .. }
            | Self::Noticed { record, .. }
            | Self::Recovered { record, .. }
            | Self::ConsentAsked { record, .. }
            | Self::ConsentAnswered { record, .. } => Some(*record),
            Self::Refused { record, .. } | Self::Denied { record, .. } | Self::SentBack { record, .. } => *record,
            _ => None,
        }
    }
}
