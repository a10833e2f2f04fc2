//! Envelopes that somebody carried: through a mailbox or as a file, without a connection that says who is there.
//!
//! A parcel that was carried is from whoever signed it, and is taken in through the same door as any other. Its answer
//! is closed to its sender and says by a signature whose it is: a receipt as it is, or else a deferral. An answer may
//! come late, twice or not at all; nothing follows from an old one that did not follow from it when it was new.

use format::receipt::{Deferral, Receipt, Why};
use format::seal::{SealFault, is_padding, pad};
use format::verify::{self, KeyDirectory, Reject, Verified, verify};
use format::{OrgId, Timestamp};
use minicbor::{Decoder, Encoder};

use super::acknowledge::{Acknowledgement, Verdict};
use super::dispatch::DispatchFault;
use super::inbound::{Inbound, InboundFault, read};
use super::receive::{Answer, receipt_key};
use crate::node::Identity;
use crate::ports::{Reader, StoreResult};
use crate::released::{Recipient, Released};
use crate::rows::{PeerRow, StatementKind, Suspicion};
use crate::state::Directory;

/// The most receipts that are written out again at a time.
pub const MAX_ANSWERS: u64 = 1024;

/// Opens an envelope that was carried here, and verifies what is inside. It is from whoever signed it.
///
/// # Errors
/// See [`InboundFault`]. Nothing was changed anywhere.
pub fn open_carried(me: &Identity, directory: &Directory, envelope: &[u8]) -> Result<Inbound, InboundFault> {
    read(me, directory, &me.open(envelope)?, |_| false)
}

/// Closes this node's answer to `peer`'s parcel of number `sequence`, so that it can be carried. Padded.
///
/// # Errors
/// The peer's card is not held, or its key did not seal.
pub fn seal_answer(
    me: &Identity,
    directory: &Directory,
    peer: &OrgId,
    sequence: u64,
    answer: &Answer,
    now: Timestamp,
) -> Result<Released<Vec<u8>>, DispatchFault> {
    let keys = directory.keys(peer).ok_or_else(|| DispatchFault::Unknown(peer.clone()))?;
    let why = match answer {
        Answer::Receipt(_) => None,
        Answer::Expected(number) => Some(Why::Awaits(*number)),
        Answer::Stopped(Suspicion::Fork) => Some(Why::Fork),
        Answer::Stopped(Suspicion::RolledBack) => Some(Why::RolledBack),
        Answer::Stopped(Suspicion::SplitLedger) => Some(Why::SplitLedger),
        Answer::Stopped(Suspicion::Restored) => Some(Why::Restored),
        Answer::Stopped(Suspicion::Revoked) => return Err(DispatchFault::Unknown(peer.clone())),
    };
    let (kind, message) = match (answer, why) {
        (Answer::Receipt(receipt), _) => (RECEIPT, receipt.clone()),
        (_, Some(why)) => (DEFERRAL, defer(me, peer, sequence, why, now)?),
        (_, None) => return Err(DispatchFault::Unsigned),
    };
    let mut plain = to_bytes(kind, &message);
    pad(&mut plain);
    Ok(Released::new(Recipient::Organisation(peer.clone()), keys.sealing().seal_answer(peer, &plain)?))
}

fn defer(me: &Identity, sender: &OrgId, sequence: u64, why: Why, at: Timestamp) -> Result<Vec<u8>, DispatchFault> {
    let deferral = Deferral { holder: me.org().clone(), sender: sender.clone(), sequence, why, at };
    verify::state(&deferral, &me.keys).map(|stated| stated.signed().to_bytes()).map_err(|_| DispatchFault::Unsigned)
}

/// This node's answers to `peer`'s parcels from `first` to `last`, each with its number: the receipts that were given,
/// and for the last of the rest why it was not taken in. At most [`MAX_ANSWERS`], the later ones.
///
/// # Errors
/// The store could not be read.
pub fn answers(reader: &dyn Reader, state: &PeerRow, first: u64, last: u64) -> StoreResult<Vec<(u64, Answer)>> {
    let mut answers = Vec::new();
    for sequence in first.max(last.saturating_sub(MAX_ANSWERS - 1)).max(1)..=last.min(state.received) {
        if let Some(row) = reader.statement(StatementKind::ReceiptOut, &receipt_key(&state.org, sequence))? {
            answers.push((sequence, Answer::Receipt(row.bytes)));
        }
    }
    if let Some(why) = state.suspicion {
        answers.push((last.max(1), Answer::Stopped(why)));
    } else if last > state.received + 1 {
        answers.push((last, Answer::Expected(state.received + 1)));
    }
    Ok(answers)
}

const RECEIPT: u8 = 0;
const DEFERRAL: u8 = 3;

/// The bytes that are sealed: as over a connection, but that what is not a receipt is signed too.
fn to_bytes(kind: u8, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut e = Encoder::new(&mut out);
    // INVARIANT: writing to memory does not fail.
    let _written: Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
        e.array(2)?.u8(kind)?.bytes(message)?;
        Ok(())
    })();
    out
}

/// Why a carried answer was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// It does not open.
    #[error(transparent)]
    Seal(#[from] SealFault),
    /// What is inside is nobody's answer to a parcel of this node.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// It answers a parcel that somebody else had sent.
    #[error("it answers a parcel of `{0}`")]
    Addressee(OrgId),
}

impl AnswerFault {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Seal(fault) => fault.code(),
            Self::Reject(reject) => reject.code(),
            Self::Addressee(_) => "wrong-recipient",
        }
    }
}

impl Acknowledgement {
    /// Opens an answer that was carried here and verifies it. It is from whoever signed it.
    ///
    /// # Errors
    /// It does not open, does not verify, or is not for this node.
    pub fn open(me: &Identity, directory: &Directory, envelope: &[u8]) -> Result<Self, AnswerFault> {
        let plain = me.open_answer(envelope)?;
        let (kind, message) = parse(&plain).ok_or(Reject::Encoding("the answer does not parse"))?;
        if kind == RECEIPT {
            let receipt: Verified<Receipt> = verify(message, directory)?;
            // WHY: whoever holds a receipt for another could close it to this node, and exchange with its holder would stop.
            if receipt.sender != *me.org() {
                return Err(AnswerFault::Addressee(receipt.sender.clone()));
            }
            return Ok(Self::new(receipt.signer().clone(), Verdict::Receipt(Box::new(receipt))));
        }
        let deferral: Verified<Deferral> = verify(message, directory)?;
        if deferral.sender != *me.org() {
            return Err(AnswerFault::Addressee(deferral.sender.clone()));
        }
        Ok(Self::new(deferral.signer().clone(), Verdict::Deferred(Box::new(deferral))))
    }
}

fn parse(plain: &[u8]) -> Option<(u8, &[u8])> {
    let mut d = Decoder::new(plain);
    if d.array().ok()? != Some(2) {
        return None;
    }
    let (kind, message) = (d.u8().ok().filter(|kind| [RECEIPT, DEFERRAL].contains(kind))?, d.bytes().ok()?);
    let (answer, rest) = plain.split_at_checked(d.position())?;
    (is_padding(rest) && to_bytes(kind, message) == answer).then_some((kind, message))
}
