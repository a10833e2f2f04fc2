//! Recovery: how a node that was restored from a backup finds its place again.
//!
//! It asks each peer, in an inquiry, what that peer last saw of it, and proves that the ledger it was restored to
//! continues what the peer has seen. The peer answers with an account. A recovery, which two members approve, says that
//! a new era of the organisation's ledger begins there; what it means is decided by a person at each peer. Nothing here
//! judges any of it: these are the statements, and how the two that are asked with travel together.

use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Serialize};

use crate::checkpoint::MAX_NOTE;
use crate::id::{Digest, OrgId};
use crate::json::Budget;
use crate::merkle::{Hash, MAX_PROOF};
use crate::signed::{MAX_SIGNED, Signed};
use crate::time::Timestamp;
use crate::verify::{Malformed, Reject, Statement, ensure};

/// How many members approve a recovery.
pub const APPROVALS: usize = 2;

/// A restored node's question to one peer: what did you last see of me?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Inquiry {
    /// Who was restored.
    pub org: OrgId,
    /// Who is asked.
    pub to: OrgId,
    /// When the new era began. It names the era.
    pub era: Timestamp,
    /// The ledger as it was restored, a signed C2SP note.
    pub checkpoint: String,
    /// The last parcel to the peer for which a receipt is remembered.
    pub acknowledged: u64,
    /// The last parcel from the peer that is remembered.
    pub received: u64,
    /// The ledger in parcel `acknowledged`, a note with the peer's cosignature. It is absent where there is no receipt, or
    /// where an earlier recovery lost it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosigned: Option<String>,
    /// Proof that `checkpoint` continues `cosigned`.
    pub cosigned_consistency: Vec<Digest>,
    /// Proof that `checkpoint` continues the ledger in the receipt for parcel `received`.
    pub receipted_consistency: Vec<Digest>,
    /// Size of the peer's ledger in its last parcel that is remembered, 0 if there is none.
    pub parcel_seen: u64,
    /// Size of the peer's ledger in its last receipt that is remembered, 0 if there is none.
    pub receipt_seen: u64,
    /// SHA-256 of the recovery, once it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Digest>,
    /// When it was asked.
    pub asked: Timestamp,
}

impl Statement for Inquiry {
    const CONTEXT: &'static str = "samverkan/inquiry/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        ensure(self.org != self.to, "to", "is another organisation than org")?;
        ensure(self.checkpoint.len() <= MAX_NOTE, "checkpoint", "is at most 8 KiB")?;
        ensure(self.cosigned.as_ref().is_none_or(|note| note.len() <= MAX_NOTE), "cosigned", "is at most 8 KiB")?;
        ensure(self.cosigned.is_none() || self.acknowledged > 0, "cosigned", "is not there before a parcel has a receipt")?;
        ensure(self.cosigned_consistency.len() <= MAX_PROOF, "cosigned-consistency", "has at most 64 hashes")?;
        ensure(self.receipted_consistency.len() <= MAX_PROOF, "receipted-consistency", "has at most 64 hashes")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.org == *signer
    }
}

/// A peer's answer to an inquiry: this is what I last saw of you, and where I stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Account {
    /// Who states it.
    pub org: OrgId,
    /// Who asked.
    pub to: OrgId,
    /// SHA-256 of the inquiry.
    pub inquiry: Digest,
    /// The last era of the asker's that was accepted here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub era: Option<Timestamp>,
    /// Whether the recovery that the inquiry names has been accepted here.
    pub accepted: bool,
    /// The last parcel from the asker that was taken in, 0 if there is none.
    pub received: u64,
    /// SHA-256 of its header, 64 zeros if there is none.
    pub received_digest: Digest,
    /// The last parcel to the asker for which its receipt was taken in, 0 if there is none.
    pub acknowledged: u64,
    /// SHA-256 of its header, 64 zeros if there is none.
    pub acknowledged_digest: Digest,
    /// The ledger of who states it, as in parcel `acknowledged`: a signed note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcel_checkpoint: Option<String>,
    /// Proof that it continues the ledger of the size in the inquiry's `parcel-seen`.
    pub parcel_consistency: Vec<Digest>,
    /// The same ledger, as in the receipt for parcel `received`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_checkpoint: Option<String>,
    /// Proof that it continues the ledger of the size in the inquiry's `receipt-seen`.
    pub receipt_consistency: Vec<Digest>,
    /// The asker's own note in its last parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_in_parcel: Option<String>,
    /// The asker's own note in its last receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_in_receipt: Option<String>,
    /// When it was stated.
    pub at: Timestamp,
}

impl Statement for Account {
    const CONTEXT: &'static str = "samverkan/account/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        let zeros = Digest::from([0; 32]);
        let notes = [&self.parcel_checkpoint, &self.receipt_checkpoint, &self.seen_in_parcel, &self.seen_in_receipt];
        ensure(self.org != self.to, "to", "is another organisation than org")?;
        ensure((self.received == 0) == (self.received_digest == zeros), "received-digest", "is zeros before the first parcel, and not after")?;
        ensure((self.acknowledged == 0) == (self.acknowledged_digest == zeros), "acknowledged-digest", "is zeros before the first receipt, and not after")?;
        ensure(self.parcel_checkpoint.is_some() == (self.acknowledged > 0), "parcel-checkpoint", "is there once a parcel has a receipt, and not before")?;
        ensure(self.receipt_checkpoint.is_some() == (self.received > 0), "receipt-checkpoint", "is there once a parcel was taken in, and not before")?;
        ensure(notes.into_iter().flatten().all(|note| note.len() <= MAX_NOTE), "notes", "are at most 8 KiB each")?;
        ensure(self.parcel_consistency.len() <= MAX_PROOF, "parcel-consistency", "has at most 64 hashes")?;
        ensure(self.receipt_consistency.len() <= MAX_PROOF, "receipt-consistency", "has at most 64 hashes")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.org == *signer
    }
}

/// One member's approval of a recovery: where it stands in the restored ledger. Who it was can be shown with the
/// entry's salt, and is not said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Approval {
    /// The place of the entry.
    pub entry: u64,
    /// Its leaf.
    pub leaf: Digest,
}

/// An organisation's word that a new era of its ledger begins where a backup ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recovery {
    /// Whose.
    pub org: OrgId,
    /// When the era began. It names the era; a later one has a later time.
    pub era: Timestamp,
    /// The ledger as it was restored, a signed C2SP note.
    pub checkpoint: String,
    /// Who approved it: two members, by their entries after that checkpoint.
    pub approvals: Vec<Approval>,
    /// When the second of them did.
    pub declared: Timestamp,
}

impl Statement for Recovery {
    const CONTEXT: &'static str = "samverkan/recovery/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        ensure(self.checkpoint.len() <= MAX_NOTE, "checkpoint", "is at most 8 KiB")?;
        ensure(self.approvals.len() == APPROVALS, "approvals", "are two")?;
        ensure(self.approvals.windows(2).all(|pair| matches!(pair, [a, b] if a.entry < b.entry)), "approvals", "stand in the order of their entries")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.org == *signer
    }
}

/// What a restored node asks a peer with: its inquiry, and its recovery once that is approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The inquiry.
    pub inquiry: Signed,
    /// The recovery.
    pub recovery: Option<Signed>,
}

impl Ask {
    /// The most bytes that are looked at.
    pub const MAX: usize = 2 * MAX_SIGNED + 32;

    /// The bytes: a CBOR array of both messages.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut e = Encoder::new(&mut out);
        // INVARIANT: writing to memory does not fail.
        let _written: Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
            e.array(2)?.bytes(&self.inquiry.to_bytes())?;
            match &self.recovery {
                Some(recovery) => e.bytes(&recovery.to_bytes())?,
                None => e.null()?,
            };
            Ok(())
        })();
        out
    }

    /// Reads the bytes, without verifying what they carry.
    ///
    /// # Errors
    /// Not an ask in the one accepted encoding, or over a limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        const BAD: Reject = Reject::Encoding("the inquiry does not parse");
        if bytes.len() > Self::MAX {
            return Err(Reject::TooLarge { size: bytes.len(), limit: Self::MAX });
        }
        let mut d = Decoder::new(bytes);
        if d.array().map_err(|_| BAD)? != Some(2) {
            return Err(BAD);
        }
        let inquiry = Signed::parse(d.bytes().map_err(|_| BAD)?)?;
        let recovery = if d.datatype().map_err(|_| BAD)? == minicbor::data::Type::Null {
            d.null().map_err(|_| BAD)?;
            None
        } else {
            Some(Signed::parse(d.bytes().map_err(|_| BAD)?)?)
        };
        let ask = Self { inquiry, recovery };
        if ask.to_bytes() == bytes { Ok(ask) } else { Err(Reject::Encoding("the inquiry says the same in other bytes")) }
    }
}

/// Hashes as proofs are checked with.
#[must_use]
pub fn hashes(proof: &[Digest]) -> Vec<Hash> {
    proof.iter().map(|hash| *hash.as_bytes()).collect()
}
