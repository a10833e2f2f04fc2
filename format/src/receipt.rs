//! Receipts: a holder's signed word on what reached it and what became of it.
//!
//! A receipt answers one parcel, names every item in it with its outcome, and carries the holder's ledger checkpoint
//! and its cosignature of the sender's. A deferral answers a parcel that was not taken in, where no connection vouches
//! for who says so. A notice speaks of one record towards its originator, through however many
//! hands the record went: received, refused, removed, or passed on to someone. Together they are the evidence from
//! which "who has it" is computed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, OrgId, RecordId};
use crate::json::Budget;
use crate::time::Timestamp;
use crate::verify::{Malformed, Statement, ensure};

/// What became of one item of a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Outcome {
    /// The item, by its digest in the parcel's header.
    pub item: Digest,
    /// What became of it.
    pub result: ItemResult,
    /// Stable codes of the reasons, where it was refused.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reasons: BTreeSet<String>,
}

/// What can become of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemResult {
    /// Taken in and durable.
    Accepted,
    /// Not taken in; the reasons say why.
    Refused,
    /// Named in the header, and not in the parcel: the sender held it back.
    Withheld,
}

/// A holder's answer to a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Receipt {
    /// Who received.
    pub holder: OrgId,
    /// Who had sent.
    pub sender: OrgId,
    /// The parcel's place in the sequence from sender to holder.
    pub sequence: u64,
    /// SHA-256 of the parcel's signed header.
    pub parcel: Digest,
    /// Every item of the parcel, in its order.
    pub outcomes: Vec<Outcome>,
    /// The holder's ledger checkpoint, a signed C2SP note.
    pub checkpoint: String,
    /// Ledger size in the holder's receipt before this one, 0 before the first.
    pub seen: u64,
    /// Consistency proof from `seen` to the checkpoint.
    pub consistency: Vec<Digest>,
    /// The holder's cosignature of the checkpoint in the parcel, a C2SP note line.
    pub cosignature: String,
    /// When it was received.
    pub received: Timestamp,
    /// The holder's era, once it was restored from a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub era: Option<Timestamp>,
}

impl Statement for Receipt {
    const CONTEXT: &'static str = "samverkan/receipt/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        ensure(self.sequence >= 1, "sequence", "starts at 1")?;
        ensure(self.outcomes.len() <= crate::parcel::MAX_ITEMS, "outcomes", "are no more than a parcel's items")?;
        ensure(self.checkpoint.len() <= crate::checkpoint::MAX_NOTE, "checkpoint", "is at most 8 KiB")?;
        ensure(self.cosignature.len() <= crate::checkpoint::MAX_NOTE, "cosignature", "is at most 8 KiB")?;
        ensure(self.consistency.len() <= crate::merkle::MAX_PROOF, "consistency", "has at most 64 hashes")?;
        ensure(self.outcomes.iter().all(|o| o.reasons.len() <= 16), "outcomes", "have at most 16 reasons each")?;
        ensure(self.outcomes.iter().all(|o| o.reasons.iter().all(|r| is_reason(r))), "reasons", "are codes of a-z and -")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.holder == *signer
    }
}

/// Why a parcel was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A parcel before it is missing: this number is awaited.
    Awaits(u64),
    /// Exchange is stopped until a person has looked: two histories.
    Fork,
    /// Exchange is stopped: the sender has forgotten what it had confirmed.
    RolledBack,
    /// Exchange is stopped: the sender's ledger does not continue.
    SplitLedger,
    /// Exchange is stopped: the holder itself was restored from a backup, and the sender has yet to accept it.
    Restored,
}

/// A holder's answer to a parcel that it did not take in, for channels that carry answers without TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Deferral {
    /// Who was shown the parcel.
    pub holder: OrgId,
    /// Who had sent it.
    pub sender: OrgId,
    /// The parcel's place in the sequence from sender to holder.
    pub sequence: u64,
    /// Why it was not taken in.
    pub why: Why,
    /// When it was stated.
    pub at: Timestamp,
}

impl Statement for Deferral {
    const CONTEXT: &'static str = "samverkan/deferral/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        ensure(self.holder != self.sender, "holder", "is another organisation than sender")?;
        ensure(self.sequence >= 1, "sequence", "starts at 1")?;
        let earlier = !matches!(self.why, Why::Awaits(number) if number == 0 || number >= self.sequence);
        ensure(earlier, "why.awaits", "is the number of an earlier parcel")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.holder == *signer
    }
}

fn is_reason(code: &str) -> bool {
    (1..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// What a notice says of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum State {
    /// The holder has it.
    Held,
    /// The holder did not take it in.
    Refused,
    /// The holder has destroyed the content, and its key.
    Removed,
    /// The holder is about to pass it on; stated before the first byte leaves.
    PassedOn {
        /// To whom.
        to: OrgId,
    },
    /// The holder is about to pass it on in an emergency, without the originator's consent; stated before the first byte
    /// leaves, to the originator and to whoever gets it.
    Emergency {
        /// To whom.
        to: OrgId,
        /// The consent record that states the threat, for the originator alone.
        statement: RecordId,
    },
}

impl State {
    /// To whom the holder says that it passes the record on, in an emergency or not.
    #[must_use]
    pub const fn passed_on_to(&self) -> Option<&OrgId> {
        match self {
            Self::PassedOn { to } | Self::Emergency { to, .. } => Some(to),
            Self::Held | Self::Refused | Self::Removed => None,
        }
    }
}

/// A holder's statement about one record, for its originator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Notice {
    /// Who states it.
    pub holder: OrgId,
    /// For whom it is stated.
    pub originator: OrgId,
    /// The record.
    pub record: RecordId,
    /// What is so.
    pub state: State,
    /// When it was stated.
    pub at: Timestamp,
}

impl Statement for Notice {
    const CONTEXT: &'static str = "samverkan/notice/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        let onward = match &self.state {
            State::PassedOn { to } | State::Emergency { to, .. } => *to != self.holder && *to != self.originator,
            State::Held | State::Refused | State::Removed => true,
        };
        ensure(onward, "state.to", "is another organisation than holder and originator")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.holder == *signer
    }
}
