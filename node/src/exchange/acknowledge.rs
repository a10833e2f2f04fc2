//! Acknowledge: a peer's answer to a parcel is taken in, and with it the evidence of who has what.
//!
//! Receipts are taken in in sequence. One that does not fit what was sent, a ledger that does not continue, or a peer
//! that has forgotten what it confirmed, stops exchange until a person has looked.

use std::collections::BTreeSet;

use format::parcel::ParcelHeader;
use format::receipt::{Deferral, ItemResult, Receipt, Why};
use format::verify::{KeyDirectory, Reject, Verified, verify};
use format::{OrgId, Signed, Timestamp};

use super::dispatch::records_among;
use super::receive::{Answer, read_continued, receipt_key};
use crate::act::release::header_of;
use crate::command::Refusal;
use crate::entry::Event;
use crate::node::{Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::{Next, Store};
use crate::rows::{Change, HoldingRow, HoldingState, Outgoing, ParcelRow, PeerRow, StatementKind, StatementRow, Suspicion};
use crate::state::Directory;

/// A peer's answer, its receipt verified.
#[derive(Debug)]
pub struct Acknowledgement {
    from: OrgId,
    answer: Verdict,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Receipt(Box<Verified<Receipt>>),
    Expected(u64),
    Stopped(Suspicion),
    /// It was carried, and may be old.
    Deferred(Box<Verified<Deferral>>),
}

impl Acknowledgement {
    pub(super) const fn new(from: OrgId, answer: Verdict) -> Self {
        Self { from, answer }
    }

    /// Reads a peer's answer and verifies the receipt in it.
    ///
    /// # Errors
    /// The bytes are no answer, or the receipt does not verify or is not the peer's.
    pub fn read(peer: &OrgId, bytes: &[u8], directory: &Directory) -> Result<Self, Reject> {
        let answer = match Answer::parse(bytes).ok_or(Reject::Encoding("the answer does not parse"))? {
            Answer::Receipt(receipt) => {
                let receipt: Verified<Receipt> = verify(&receipt, directory)?;
                if receipt.signer() != peer {
                    return Err(Reject::NotTheirs(receipt.signer().clone()));
                }
                Verdict::Receipt(Box::new(receipt))
            }
            Answer::Expected(sequence) => Verdict::Expected(sequence),
            Answer::Stopped(why) => Verdict::Stopped(why),
        };
        Ok(Self { from: peer.clone(), answer })
    }

    /// Who answered.
    #[must_use]
    pub const fn from(&self) -> &OrgId {
        &self.from
    }

    /// The number of the parcel that it answers, where it says so.
    #[must_use]
    pub fn answers(&self) -> Option<u64> {
        match &self.answer {
            Verdict::Receipt(receipt) => Some(receipt.sequence),
            Verdict::Deferred(deferral) => Some(deferral.sequence),
            Verdict::Expected(_) | Verdict::Stopped(_) => None,
        }
    }

    /// Why the parcel was not taken in, if it was not and the peer signed for that.
    #[must_use]
    pub fn deferred(&self) -> Option<Why> {
        if let Verdict::Deferred(deferral) = &self.answer { Some(deferral.why) } else { None }
    }

    /// The sequence that the receipt confirms, if it is one.
    #[must_use]
    pub fn confirms(&self) -> Option<u64> {
        if let Verdict::Receipt(receipt) = &self.answer { Some(receipt.sequence) } else { None }
    }
}

impl<S: Store> Node<S> {
    pub(crate) fn decide_acknowledge(&mut self, acknowledgement: Acknowledgement, now: Timestamp) -> Result<Plan, Refusal> {
        let state = self.state.peer(&acknowledgement.from);
        if state.suspicion.is_some() {
            // What is still on its way says nothing before a person has looked, and comes again after that.
            return Ok(Plan::default());
        }
        match acknowledgement.answer {
            Verdict::Receipt(receipt) => self.take_receipt(state, &receipt, now),
            // Asking for less than it confirmed means that it forgot; for more, that a parcel is still on its way.
            Verdict::Expected(sequence) if sequence <= state.acknowledged => Ok(stop(state, Suspicion::RolledBack)),
            Verdict::Expected(_) => Ok(Plan::default()),
            Verdict::Deferred(deferral) => self.take_deferral(state, &deferral),
            Verdict::Stopped(why) => {
                tracing::warn!(peer.id = %state.org, why = why.as_str(), "the peer has stopped exchange");
                Ok(Plan::default())
            }
        }
    }

    /// A deferral may be older than what is known. It tells of a peer that forgot only if it answers a parcel which was
    /// put together after the peer had confirmed what it now awaits.
    fn take_deferral(&self, state: PeerRow, deferral: &Deferral) -> Result<Plan, Refusal> {
        if deferral.sequence > state.sent {
            return Ok(stop(state, Suspicion::Fork));
        }
        let awaited = match deferral.why {
            Why::Awaits(number) => number,
            why => {
                tracing::warn!(peer.id = %state.org, ?why, "the peer has stopped exchange");
                return Ok(Plan::default());
            }
        };
        if awaited > state.acknowledged || deferral.sequence <= state.acknowledged {
            return Ok(Plan::default());
        }
        let confirmed = self.store.statement(StatementKind::ReceiptIn, &receipt_key(&state.org, awaited))?;
        let parcel = self.store.parcel(&state.org, deferral.sequence)?;
        let (Some(confirmed), Some(parcel)) = (confirmed, parcel) else {
            return Ok(Plan::default());
        };
        let made: Option<Verified<ParcelHeader>> = verify(&parcel.header, self.state.directory.as_ref()).ok();
        let forgot = made.is_some_and(|header| confirmed.at < header.created);
        Ok(if forgot { stop(state, Suspicion::RolledBack) } else { Plan::default() })
    }

    fn take_receipt(&mut self, mut state: PeerRow, receipt: &Verified<Receipt>, now: Timestamp) -> Result<Plan, Refusal> {
        let sequence = receipt.sequence;
        if receipt.era < state.era && !planted(Bug::EraIgnored) {
            // Given before the peer was restored, and lost with what it confirmed.
            return Ok(Plan::default());
        }
        if receipt.era > state.era {
            return Ok(stop(state, Suspicion::RolledBack));
        }
        if receipt.sender != *self.me.org() || sequence > state.sent {
            return Ok(stop(state, Suspicion::Fork));
        }
        if sequence != state.acknowledged + 1 {
            // One that was taken in already, or one that came before its turn and will come again.
            return Ok(Plan::default());
        }
        let Some(parcel) = self.store.parcel(&state.org, sequence)? else {
            return Ok(stop(state, Suspicion::Fork));
        };
        let fits = receipt.parcel == parcel.digest
            && receipt.outcomes.len() == parcel.items.len()
            && receipt.outcomes.iter().zip(&parcel.items).all(|(outcome, item)| outcome.item == item.named.digest);
        if !fits && !planted(Bug::ReceiptUnmatched) {
            return Ok(stop(state, Suspicion::Fork));
        }
        if self.state.directory.keys(&state.org).is_none() {
            return Ok(Plan::default());
        }
        if !cosigns(&parcel, &receipt.cosignature, &state.org, &self.state.directory) {
            return Ok(stop(state, Suspicion::Fork));
        }
        let before = state.receipt_checkpoint.as_ref();
        let Some(checkpoint) = read_continued(&self.state.directory, &state.org, &receipt.checkpoint, before, receipt.seen, &receipt.consistency) else {
            return Ok(stop(state, Suspicion::SplitLedger));
        };
        let mut plan = Plan::default();
        let (mut accepted, mut refused) = (0, 0);
        self.store.look_ahead(&Next::Confirmed(&records_among(parcel.items.iter().map(|item| &item.what))))?;
        for (outcome, item) in receipt.outcomes.iter().zip(&parcel.items) {
            match outcome.result {
                ItemResult::Accepted => accepted += 1,
                ItemResult::Refused | ItemResult::Withheld => refused += 1,
            }
            if let (Outgoing::Returned(_), ItemResult::Withheld) = (&item.what, outcome.result) {
                // Its content was destroyed here after the parcel was made, so its bytes were no longer those: it goes without.
                plan.change(Change::Queue(state.org.clone(), item.what.clone()));
            }
            if let Outgoing::Record(record) = &item.what {
                let (reached, reasons) = match outcome.result {
                    ItemResult::Accepted => (HoldingState::Held, BTreeSet::new()),
                    ItemResult::Refused => (HoldingState::Refused, outcome.reasons.clone()),
                    ItemResult::Withheld => (HoldingState::HeldBack, outcome.reasons.clone()),
                };
                let copy = HoldingRow {
                    record: *record,
                    holder: state.org.clone(),
                    via: self.me.org().clone(),
                    state: reached,
                    sequence: Some(sequence),
                    evidence: Some(receipt.digest()),
                    reasons,
                    since: now,
                };
                if outcome.result == ItemResult::Accepted && (state.era.is_some() || self.state.recovery.is_some()) {
                    // It was in line for a second time, and taken out of it by a recall that this copy had not seen.
                    self.recall_reaches(record, &state.org, &mut plan, now)?;
                }
                if !self.show_agreement(&copy, &mut plan, now)? {
                    self.set_copy(copy, &mut plan)?;
                }
            }
        }
        plan.event(Event::Receipted { peer: state.org.clone(), sequence, accepted, refused });
        plan.change(Change::Statement(StatementRow {
            kind: StatementKind::ReceiptIn,
            key: receipt_key(&state.org, sequence),
            org: state.org.clone(),
            about: Some(receipt.digest()),
            bytes: receipt.signed().to_bytes(),
            at: now,
        }));
        plan.change(Change::ParcelsDone(state.org.clone(), sequence));
        state.acknowledged = sequence;
        state.receipt_checkpoint = Some(checkpoint);
        plan.change(Change::Peer(state));
        Ok(plan)
    }

    /// A party that refused a record for want of the agreement, or of signatures on it, is shown what is held here, and gets
    /// the record once more after it. Gives whether that is so: it is tried once for each copy, which bears the reasons.
    fn show_agreement(&self, copy: &HoldingRow, plan: &mut Plan, now: Timestamp) -> Result<bool, Refusal> {
        let wanting = ["agreement-unknown", "agreement-unsigned"];
        if copy.state != HoldingState::Refused || !copy.reasons.iter().any(|code| wanting.contains(&code.as_str())) || planted(Bug::AgreementNotShown) {
            return Ok(false);
        }
        let before = self.store.holdings(&copy.record)?.into_iter().find(|known| known.holder == copy.holder && known.via == copy.via);
        let (Some(before), Some(row)) = (before, self.store.record(&copy.record)?) else { return Ok(false) };
        let header = header_of(&row)?;
        let named = self.state.directory.agreements().get(&header.agreement.id, header.agreement.version);
        // A stranger to the agreement is not shown it.
        let theirs = named.is_some_and(|accord| accord.party(&copy.holder, now));
        if before.state != HoldingState::Sent || !before.reasons.is_empty() || !theirs || !self.room(&copy.holder) {
            return Ok(false);
        }
        for what in self.shown(&header.agreement.id, u32::MAX)? {
            plan.change(Change::Queue(copy.holder.clone(), what));
        }
        self.queue_record(copy.record, &header, &copy.holder, plan, now);
        plan.change(Change::Holding(HoldingRow { state: HoldingState::Queued, sequence: None, ..copy.clone() }));
        Ok(true)
    }

    /// Sets a copy's state as evidence tells it; what is known to be removed stays removed.
    pub(crate) fn set_copy(&self, copy: HoldingRow, plan: &mut Plan) -> Result<(), Refusal> {
        let known = self.store.holdings(&copy.record)?.into_iter().find(|held| held.holder == copy.holder && held.via == copy.via);
        let removed = known.is_some_and(|held| held.state == HoldingState::Removed);
        if !removed || copy.state == HoldingState::Removed || planted(Bug::RemovalUndone) {
            plan.change(Change::Holding(copy));
        }
        Ok(())
    }
}

/// Whether a line by `peer` confirms the checkpoint that this parcel showed.
fn cosigns(parcel: &ParcelRow, line: &str, peer: &OrgId, directory: &Directory) -> bool {
    let header = Signed::parse(&parcel.header).ok().and_then(|signed| serde_json::from_slice::<ParcelHeader>(signed.payload()).ok());
    header.is_some_and(|header| directory.read_cosigned(peer, &format!("{}{line}", header.checkpoint)).is_some())
}

fn stop(mut state: PeerRow, why: Suspicion) -> Plan {
    let mut plan = Plan::default();
    plan.event(Event::Suspended { peer: state.org.clone(), why });
    state.suspicion = Some(why);
    plan.change(Change::Peer(state));
    plan
}
