//! Recovery: how a node that was restored from a backup is recognised, and gets back what it lost.
//!
//! A restored node says so to itself first ([`mark_restored`](crate::node::Node::mark_restored)) and is then open for reading alone. It asks every
//! peer what that peer last saw of it, two members approve that it goes on, and a person at each peer accepts it; only
//! then both go on, from where the peer remembers, and the peer gives back what it has. See
//! `docs/protocol/recovery.md`. The invariant: no parcel is made or taken in between a restored node and a peer that
//! has not accepted its recovery.

mod accept;
mod account;
mod approve;
mod ask;
mod give_back;
mod take_back;

use format::recovery::{Account, Ask, Inquiry, Recovery};
use format::verify::{Reject, Verified, verify};
use format::{Digest, OrgId, Signed, Timestamp};

use crate::ports::{Reader, StoreError, StoreResult};
use crate::rows::{PeerRow, RecoveryRow, StatementKind, about_org};
use crate::state::Directory;

/// Serials that are passed over after a recovery: more than were given out between backup and loss.
pub const SERIALS_PASSED_OVER: u64 = 100_000;

/// A question to a peer, on its way.
#[derive(Debug, Clone)]
pub struct Asking {
    peer: OrgId,
    inquiry: Digest,
    parcel_seen: u64,
    receipt_seen: u64,
    bytes: Vec<u8>,
}

impl Asking {
    /// Who is asked.
    #[must_use]
    pub const fn peer(&self) -> &OrgId {
        &self.peer
    }

    /// The bytes to hand over.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A restored node's question, verified.
#[derive(Debug)]
pub struct Asked {
    inquiry: Verified<Inquiry>,
    recovery: Option<Verified<Recovery>>,
}

impl Asked {
    /// Reads what `carrier` asked with, and verifies it.
    ///
    /// # Errors
    /// The bytes are no such question, or not the carrier's to this node.
    pub fn read(me: &OrgId, carrier: &OrgId, bytes: &[u8], directory: &Directory) -> Result<Self, Reject> {
        let ask = Ask::parse(bytes)?;
        let inquiry: Verified<Inquiry> = verify(&ask.inquiry.to_bytes(), directory)?;
        let recovery: Option<Verified<Recovery>> = ask.recovery.map(|signed| verify(&signed.to_bytes(), directory)).transpose()?;
        if inquiry.signer() != carrier || recovery.as_ref().is_some_and(|recovery| recovery.signer() != carrier) {
            return Err(Reject::NotTheirs(inquiry.signer().clone()));
        }
        if inquiry.to != *me {
            return Err(Reject::Encoding("the inquiry is addressed to another organisation"));
        }
        if inquiry.recovery != recovery.as_ref().map(Verified::digest) || recovery.as_ref().is_some_and(|recovery| recovery.era != inquiry.era) {
            return Err(Reject::Encoding("the inquiry does not name the recovery that comes with it"));
        }
        Ok(Self { inquiry, recovery })
    }

    /// Who asks.
    #[must_use]
    pub const fn from(&self) -> &OrgId {
        self.inquiry.signer()
    }
}

/// A peer's account, verified as the answer to a question.
#[derive(Debug)]
pub struct Accounted {
    account: Verified<Account>,
    parcel_seen: u64,
    receipt_seen: u64,
}

impl Accounted {
    /// Reads a peer's answer to `asking`, and verifies it.
    ///
    /// # Errors
    /// The bytes are no account of that peer, or answer another question.
    pub fn read(asking: &Asking, bytes: &[u8], directory: &Directory) -> Result<Self, Reject> {
        let account: Verified<Account> = verify(bytes, directory)?;
        if *account.signer() != asking.peer {
            return Err(Reject::NotTheirs(account.signer().clone()));
        }
        if account.inquiry != asking.inquiry {
            return Err(Reject::Encoding("the account answers another inquiry"));
        }
        Ok(Self { account, parcel_seen: asking.parcel_seen, receipt_seen: asking.receipt_seen })
    }

    /// Whose it is.
    #[must_use]
    pub const fn from(&self) -> &OrgId {
        self.account.signer()
    }

    /// Whether the peer has accepted the recovery.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.account.accepted
    }
}

/// What a peer has said it last saw of this node: when exchange went on, or before.
///
/// # Errors
/// The store cannot be read.
pub fn last_account(reader: &dyn Reader, peer: &OrgId, recovery: &RecoveryRow) -> StoreResult<Option<Account>> {
    for settled in [true, false] {
        if let Some(row) = reader.statement(StatementKind::Account, &account_key(peer, recovery.era, settled))? {
            return approve::read_account(&row.bytes).map(Some);
        }
    }
    Ok(None)
}

/// A peer's latest recovery, if it waits for a person here.
///
/// # Errors
/// The store cannot be read.
pub fn pending_recovery(reader: &dyn Reader, row: &PeerRow) -> StoreResult<Option<(Digest, Recovery)>> {
    let corrupt = |why: String| StoreError::Corrupt { what: "recovery", why };
    let mut latest: Option<(Digest, Recovery)> = None;
    for kept in reader.statements_about(StatementKind::Recovery, &about_org(&row.org))? {
        let signed = Signed::parse(&kept.bytes).map_err(|e| corrupt(e.to_string()))?;
        let recovery: Recovery = serde_json::from_slice(signed.payload()).map_err(|e| corrupt(e.to_string()))?;
        let newer = Some(recovery.era) > row.era.max(latest.as_ref().map(|(_, latest)| latest.era));
        latest = if newer { Some((kept.key, recovery)) } else { latest };
    }
    Ok(latest)
}

/// Key under which a peer's account in an era is kept: the first one, and the one by which exchange went on.
pub(crate) fn account_key(peer: &OrgId, era: Timestamp, settled: bool) -> Digest {
    Digest::of_parts(&[peer.as_str().as_bytes(), b"\n", &era.as_ms().to_be_bytes(), &[u8::from(settled)]])
}
