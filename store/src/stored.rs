//! Stored forms: how words and small structures of the port are written into columns.
//!
//! Every word has a number, and what has no columns of its own is JSON with a version. Neither follows from the names
//! or the order in the domain types: those may change, what is stored may not. The invariant: each form written here
//! reads back to the same value, and anything else is [`StoreError::Corrupt`], never a guess.

use std::collections::BTreeSet;

use format::parcel::{ItemKind, ItemRef};
use format::record::{Kind, Link};
use format::{Digest, RecordId};
use node::ports::{StoreError, StoreResult};
use node::rows::{Condition, HoldingState, Outgoing, ParcelItem, Stage, StatementKind, Suspicion};
use policy::access::Role;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Says that something stored cannot be read.
pub(crate) fn corrupt(what: &'static str, why: impl ToString) -> StoreError {
    StoreError::Corrupt { what, why: why.to_string() }
}

/// A number as the signed integer of a column.
pub(crate) fn integer(number: u64) -> StoreResult<i64> {
    i64::try_from(number).map_err(|_| StoreError::Failed(format!("{number} is larger than a store can hold")))
}

// STORED: record.handle
/// The first eight bytes of an id as a number.
pub(crate) fn handle(id: &RecordId) -> i64 {
    id.0.as_bytes().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// A word that is stored as a number.
pub(crate) trait Code: Sized + Copy {
    /// What the word is, for error messages.
    const WHAT: &'static str;
    /// The number that is stored.
    fn code(self) -> i64;
    /// The word that a number stands for.
    fn known(code: i64) -> Option<Self>;

    /// Reads a stored number.
    fn from_code(code: i64) -> StoreResult<Self> {
        Self::known(code).ok_or_else(|| corrupt(Self::WHAT, format!("{code} stands for nothing")))
    }
}

// STORED: record.kind
impl Code for Kind {
    const WHAT: &'static str = "kind of record";

    fn code(self) -> i64 {
        match self {
            Self::Report => 1,
            Self::Lesson => 2,
            Self::Alert => 3,
            Self::Correction => 4,
            Self::Recall => 5,
            Self::Consent => 6,
            Self::Receipt => 7,
        }
    }

    fn known(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Report,
            2 => Self::Lesson,
            3 => Self::Alert,
            4 => Self::Correction,
            5 => Self::Recall,
            6 => Self::Consent,
            7 => Self::Receipt,
            _ => return None,
        })
    }
}

// STORED: record.stage
impl Code for Stage {
    const WHAT: &'static str = "stage";

    fn code(self) -> i64 {
        match self {
            Self::Draft => 1,
            Self::Submitted => 2,
            Self::Approved => 3,
            Self::Released => 4,
            Self::Received => 5,
        }
    }

    fn known(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Draft,
            2 => Self::Submitted,
            3 => Self::Approved,
            4 => Self::Released,
            5 => Self::Received,
            _ => return None,
        })
    }
}

// STORED: record.condition
impl Code for Condition {
    const WHAT: &'static str = "condition";

    fn code(self) -> i64 {
        match self {
            Self::Current => 1,
            Self::Superseded => 2,
            Self::Recalled => 3,
            Self::Expired => 4,
            Self::Removed => 5,
        }
    }

    fn known(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Current,
            2 => Self::Superseded,
            3 => Self::Recalled,
            4 => Self::Expired,
            5 => Self::Removed,
            _ => return None,
        })
    }
}

// STORED: holding.state
impl Code for HoldingState {
    const WHAT: &'static str = "state of a copy";

    fn code(self) -> i64 {
        match self {
            Self::Queued => 1,
            Self::Sent => 2,
            Self::Held => 3,
            Self::Refused => 4,
            Self::HeldBack => 5,
            Self::Removed => 6,
        }
    }

    fn known(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Queued,
            2 => Self::Sent,
            3 => Self::Held,
            4 => Self::Refused,
            5 => Self::HeldBack,
            6 => Self::Removed,
            _ => return None,
        })
    }
}

// STORED: peer.suspicion
impl Code for Suspicion {
    const WHAT: &'static str = "suspicion";

    fn code(self) -> i64 {
        match self {
            Self::Fork => 1,
            Self::RolledBack => 2,
            Self::SplitLedger => 3,
            Self::Restored => 4,
            Self::Revoked => 5,
        }
    }

    fn known(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Fork,
            2 => Self::RolledBack,
            3 => Self::SplitLedger,
            4 => Self::Restored,
            5 => Self::Revoked,
            _ => return None,
        })
    }
}

// STORED: statement.kind; 1 to 3 are those that a node loads when it starts.
impl Code for StatementKind {
    const WHAT: &'static str = "kind of statement";

    fn code(self) -> i64 {
        match self {
            Self::Card => 1,
            Self::Agreement => 2,
            Self::Withdrawal => 3,
            Self::ReceiptIn => 4,
            Self::ReceiptOut => 5,
            Self::Notice => 6,
            Self::Fault => 7,
            Self::Recovery => 8,
            Self::Inquiry => 9,
            Self::Account => 10,
            Self::Revocation => 11,
        }
    }

    fn known(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Card,
            2 => Self::Agreement,
            3 => Self::Withdrawal,
            4 => Self::ReceiptIn,
            5 => Self::ReceiptOut,
            6 => Self::Notice,
            7 => Self::Fault,
            8 => Self::Recovery,
            9 => Self::Inquiry,
            10 => Self::Account,
            11 => Self::Revocation,
            _ => return None,
        })
    }
}

// STORED: outgoing.item, and `item` in parcel.items
impl Code for ItemKind {
    const WHAT: &'static str = "kind of item";

    fn code(self) -> i64 {
        match self {
            Self::Record => 1,
            Self::Piece => 2,
            Self::Agreement => 3,
            Self::Withdrawal => 4,
            Self::Notice => 5,
            Self::Returned => 6,
            Self::Card => 7,
            Self::Revocation => 8,
        }
    }

    fn known(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Record,
            2 => Self::Piece,
            3 => Self::Agreement,
            4 => Self::Withdrawal,
            5 => Self::Notice,
            6 => Self::Returned,
            7 => Self::Card,
            8 => Self::Revocation,
            _ => return None,
        })
    }
}

const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Analyst => "analyst",
        Role::Liaison => "liaison",
        Role::ReleaseOfficer => "release-officer",
        Role::TipDesk => "tip-desk",
        Role::Secretary => "secretary",
        Role::Auditor => "auditor",
        Role::Administrator => "administrator",
    }
}

fn role_known(word: &str) -> Option<Role> {
    Some(match word {
        "analyst" => Role::Analyst,
        "liaison" => Role::Liaison,
        "release-officer" => Role::ReleaseOfficer,
        "tip-desk" => Role::TipDesk,
        "secretary" => Role::Secretary,
        "auditor" => Role::Auditor,
        "administrator" => Role::Administrator,
        _ => return None,
    })
}

/// Writes what has a JSON form.
fn to_json(what: &'static str, value: &impl Serialize) -> StoreResult<String> {
    serde_json::to_string(value).map_err(|fault| StoreError::Failed(format!("the {what} could not be written: {fault}")))
}

// STORED: member.roles, a JSON array of words
pub(crate) fn write_roles(roles: &BTreeSet<Role>) -> StoreResult<String> {
    to_json("roles", &roles.iter().copied().map(role_word).collect::<Vec<_>>())
}

pub(crate) fn read_roles(json: &str) -> StoreResult<BTreeSet<Role>> {
    let words: Vec<String> = serde_json::from_str(json).map_err(|fault| corrupt("roles", fault))?;
    words.iter().map(|word| role_known(word).ok_or_else(|| corrupt("role", "the word stands for nothing"))).collect()
}

// STORED: holding.reasons, a JSON array of reason codes
pub(crate) fn write_reasons(reasons: &BTreeSet<String>) -> StoreResult<String> {
    to_json("reasons", reasons)
}

pub(crate) fn read_reasons(json: &str) -> StoreResult<BTreeSet<String>> {
    serde_json::from_str(json).map_err(|fault| corrupt("reasons", fault))
}

// STORED: recovery.approvals, a JSON array of arrays of a member and the place of an entry
pub(crate) fn write_approvals(approvals: &[(String, u64)]) -> StoreResult<String> {
    to_json("approvals", &approvals)
}

pub(crate) fn read_approvals(json: &str) -> StoreResult<Vec<(String, u64)>> {
    serde_json::from_str(json).map_err(|fault| corrupt("approvals", fault))
}

// STORED: the columns of `outgoing`, and where an item of parcel.items comes from
/// What waits to leave, as columns: `what` is 1 for a record, 2 for an attachment, 3 for a statement, 4 for a record to
/// be given back.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutgoingColumns {
    pub(crate) what: i64,
    pub(crate) subject: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attachment: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<i64>,
}

impl OutgoingColumns {
    pub(crate) fn write(outgoing: &Outgoing) -> StoreResult<Self> {
        Ok(match outgoing {
            Outgoing::Record(id) => Self { what: 1, subject: id.0, attachment: None, next: None, item: None },
            Outgoing::Attachment { record, attachment, next } => {
                Self { what: 2, subject: record.0, attachment: Some(i64::from(*attachment)), next: Some(integer(*next)?), item: None }
            }
            Outgoing::Statement(kind, digest) => Self { what: 3, subject: *digest, attachment: None, next: None, item: Some(kind.code()) },
            Outgoing::Returned(id) => Self { what: 4, subject: id.0, attachment: None, next: None, item: None },
        })
    }

    pub(crate) fn read(&self) -> StoreResult<Outgoing> {
        Ok(match *self {
            Self { what: 1, subject, attachment: None, next: None, item: None } => Outgoing::Record(RecordId(subject)),
            Self { what: 2, subject, attachment: Some(attachment), next: Some(next), item: None } => Outgoing::Attachment {
                record: RecordId(subject),
                attachment: attachment.try_into().map_err(|_| corrupt("queue", "an attachment's number is out of range"))?,
                next: next.try_into().map_err(|_| corrupt("queue", "a piece's number is out of range"))?,
            },
            Self { what: 3, subject, attachment: None, next: None, item: Some(kind) } => Outgoing::Statement(ItemKind::from_code(kind)?, subject),
            Self { what: 4, subject, attachment: None, next: None, item: None } => Outgoing::Returned(RecordId(subject)),
            Self { what, .. } => return Err(corrupt("queue", format!("a row of kind {what} does not have the columns it should"))),
        })
    }
}

// STORED: parcel.items, version 1; a sample is testdata/parcel-items-1.json
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParcelItems {
    version: u32,
    items: Vec<StoredItem>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredItem {
    item: i64,
    digest: Digest,
    from: OutgoingColumns,
}

const PARCEL_ITEMS: u32 = 1;

pub(crate) fn write_items(items: &[ParcelItem]) -> StoreResult<String> {
    let stored = |item: &ParcelItem| Ok(StoredItem { item: item.named.kind.code(), digest: item.named.digest, from: OutgoingColumns::write(&item.what)? });
    let items = items.iter().map(stored).collect::<StoreResult<_>>()?;
    to_json("items of a parcel", &ParcelItems { version: PARCEL_ITEMS, items })
}

pub(crate) fn read_items(json: &str) -> StoreResult<Vec<ParcelItem>> {
    let stored: ParcelItems = serde_json::from_str(json).map_err(|fault| corrupt("items of a parcel", fault))?;
    if stored.version != PARCEL_ITEMS {
        return Err(corrupt("items of a parcel", format!("they are of version {}", stored.version)));
    }
    let item = |item: &StoredItem| {
        let named = ItemRef { kind: ItemKind::from_code(item.item)?, digest: item.digest };
        Ok(ParcelItem { named, what: item.from.read()? })
    };
    stored.items.iter().map(item).collect()
}

/// The records to which a header points, each once. A header that does not parse points nowhere: the store is not the
/// place to judge it.
pub(crate) fn targets(header: &[u8]) -> BTreeSet<RecordId> {
    /// The two members of a header that name other records.
    #[derive(Deserialize)]
    struct Pointing {
        #[serde(default)]
        supersedes: Option<RecordId>,
        #[serde(default)]
        links: Vec<Link>,
    }
    serde_json::from_slice::<Pointing>(header)
        .map_or_else(|_| BTreeSet::new(), |found| found.links.iter().map(|link| link.to).chain(found.supersedes).collect())
}
