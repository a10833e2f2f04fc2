//! Asking: a restored node asks a peer what it last saw, and goes on from there once the peer has accepted.

use format::checkpoint::Checkpoint;
use format::merkle::{self, Frontier};
use format::parcel::ParcelHeader;
use format::receipt::Receipt;
use format::recovery::{Account, Ask, Inquiry};
use format::verify;
use format::{Digest, OrgId, Signed, Timestamp};

use super::{Accounted, Asking, account_key};
use crate::act::directory::invalid;
use crate::command::Refusal;
use crate::entry::{Actor, Event};
use crate::exchange::{WINDOW, receipt_key};
use crate::node::{Node, Plan, ledger_name};
use crate::ports::{Store, StoreError, StoreResult};
use crate::rows::{Change, HoldingRow, HoldingState, Outgoing, PeerRow, RecoveryRow, SeenCheckpoint, StatementKind, StatementRow, Suspicion};
use crate::state::LedgerTree;

impl<S: Store> Node<S> {
    /// What to ask a peer with, if this node was restored and waits for the peer. It changes nothing.
    ///
    /// # Errors
    /// The store failed.
    pub fn ask(&mut self, peer: &OrgId, now: Timestamp) -> Result<Option<Asking>, Refusal> {
        self.refresh()?;
        let (Some(recovery), true) = (self.state.recovery.clone(), self.state.awaits(peer)) else { return Ok(None) };
        let now = self.now(now);
        let state = self.state.peer(peer);
        let (cosigned, cosigned_consistency) = self.cosigned(&state, &recovery)?;
        let receipted_consistency = if state.received == 0 { Vec::new() } else { self.consistency(state.receipted_size, recovery.size)? };
        let declared = recovery.declared.map(|digest| self.store.statement(StatementKind::Recovery, &digest)).transpose()?.flatten();
        let size = |seen: &Option<SeenCheckpoint>| seen.as_ref().map_or(0, |seen| seen.size);
        let inquiry = Inquiry {
            org: self.me.org().clone(),
            to: peer.clone(),
            era: recovery.era,
            checkpoint: self.checkpoint_note(recovery.size, recovery.root)?,
            acknowledged: state.acknowledged,
            received: state.received,
            cosigned,
            cosigned_consistency,
            receipted_consistency,
            parcel_seen: size(&state.checkpoint),
            receipt_seen: size(&state.receipt_checkpoint),
            recovery: recovery.declared,
            asked: now,
        };
        let (parcel_seen, receipt_seen) = (inquiry.parcel_seen, inquiry.receipt_seen);
        let inquiry = verify::state(&inquiry, &self.me.keys).map_err(|e| invalid("inquiry", e))?;
        let recovery = declared.map(|row| Signed::parse(&row.bytes).map_err(|e| StoreError::Corrupt { what: "recovery", why: e.to_string() })).transpose()?;
        let digest = inquiry.digest();
        let bytes = Ask { inquiry: inquiry.signed().clone(), recovery }.to_bytes();
        Ok(Some(Asking { peer: peer.clone(), inquiry: digest, parcel_seen, receipt_seen, bytes }))
    }

    /// The ledger as it stood in the last parcel with a receipt, with the peer's cosignature, and that the restored one
    /// continues it.
    fn cosigned(&self, state: &PeerRow, recovery: &RecoveryRow) -> Result<(Option<String>, Vec<Digest>), Refusal> {
        if state.acknowledged == 0 {
            return Ok((None, Vec::new()));
        }
        let corrupt = |why: String| Refusal::Store(StoreError::Corrupt { what: "receipt", why });
        let size = self.shown_in(state)?;
        let row = self.store.statement(StatementKind::ReceiptIn, &receipt_key(&state.org, state.acknowledged))?;
        // After an earlier recovery the receipts before it are the peer's alone.
        let Some(row) = row else { return Ok((None, Vec::new())) };
        let signed = Signed::parse(&row.bytes).map_err(|e| corrupt(e.to_string()))?;
        let receipt: Receipt = serde_json::from_slice(signed.payload()).map_err(|e| corrupt(e.to_string()))?;
        let root = Frontier::load(size, &LedgerTree(&self.store))?.root();
        let text = Checkpoint::new(self.me.ledger_name(), size, root).map_err(|e| corrupt(e.to_string()))?.to_note();
        let note = format!("{text}\n{}", receipt.cosignature);
        // Where an earlier recovery began, the last receipt is for an older ledger than the one that goes on.
        let holds = self.state.directory.read_cosigned(&state.org, &note).is_some();
        if holds { Ok((Some(note), self.consistency(size, recovery.size)?)) } else { Ok((None, Vec::new())) }
    }

    /// Size of this node's ledger in the last parcel to a peer for which there is a receipt.
    pub(super) fn shown_in(&self, state: &PeerRow) -> StoreResult<u64> {
        if state.sent == state.acknowledged {
            return Ok(state.shown_size);
        }
        // The next parcel says what the one before it showed.
        let corrupt = |why: String| StoreError::Corrupt { what: "parcel", why };
        let next = self.store.parcel(&state.org, state.acknowledged + 1)?.ok_or_else(|| corrupt("one without a receipt is missing".to_owned()))?;
        let signed = Signed::parse(&next.header).map_err(|e| corrupt(e.to_string()))?;
        let header: ParcelHeader = serde_json::from_slice(signed.payload()).map_err(|e| corrupt(e.to_string()))?;
        Ok(header.seen)
    }

    /// Takes in a peer's account: notes what it last saw, and goes on from there if it has accepted the recovery. Gives
    /// whether exchange goes on.
    ///
    /// # Errors
    /// The store failed.
    pub fn take_account(&mut self, accounted: Accounted, now: Timestamp) -> Result<bool, Refusal> {
        self.refresh()?;
        let now = self.now(now);
        let peer = accounted.from().clone();
        let (Some(recovery), true) = (self.state.recovery.clone(), self.state.awaits(&peer)) else { return Ok(false) };
        let actor = Actor::Organisation(peer.clone());
        let state = self.state.peer(&peer);
        let Some((parcel, receipt)) = self.continued_by(&state, &accounted) else {
            tracing::warn!(peer.id = %peer, "the peer's ledger does not continue what this node remembers of it: exchange stays closed");
            return Ok(false);
        };
        let account = accounted.account.value().clone();
        let mut plan = Plan::default();
        let first = account_key(&peer, recovery.era, false);
        if self.store.statement(StatementKind::Account, &first)?.is_none() {
            let seen = self.largest_seen(&account);
            plan.event(Event::Accounted {
                peer: peer.clone(),
                entries: seen.as_ref().map_or(0, Checkpoint::size),
                root: seen.map(|seen| Digest::from(seen.root())),
                received: account.received,
                acknowledged: account.acknowledged,
            });
            plan.change(statement(first, &accounted, now));
        }
        let settles = account.accepted && recovery.declared.is_some();
        if settles {
            plan.change(statement(account_key(&peer, recovery.era, true), &accounted, now));
            self.line_up_again(&state, &mut plan, now)?;
            plan.event(Event::Settled { peer: peer.clone(), era: recovery.era });
            plan.change(Change::Peer(PeerRow {
                org: peer,
                sent: account.received,
                sent_digest: account.received_digest,
                acknowledged: account.received,
                shown_size: recovery.size,
                receipted_size: recovery.size,
                received: account.acknowledged,
                received_digest: account.acknowledged_digest,
                checkpoint: parcel,
                receipt_checkpoint: receipt,
                suspicion: None,
                era: state.era,
            }));
        }
        self.keep(plan, &actor, now)?;
        Ok(settles)
    }

    /// The peer's ledger as in its last parcel and receipt, if it continues what is remembered here.
    fn continued_by(&self, state: &PeerRow, accounted: &Accounted) -> Option<(Option<SeenCheckpoint>, Option<SeenCheckpoint>)> {
        let name = ledger_name(&state.org);
        let account = accounted.account.value();
        let read = |note: &Option<String>, before: &Option<SeenCheckpoint>, seen: u64, proof: &[Digest]| {
            let Some(note) = note else { return Some(None) };
            let stated = self.state.directory.read_note(&state.org, note)?;
            let one = match before {
                Some(before) => {
                    let before = Checkpoint::new(name.clone(), before.size, before.root).ok().filter(|before| before.size() == seen)?;
                    // What is remembered here may be larger: a parcel whose receipt never arrived.
                    if before.size() <= stated.size() { continues(&before, &stated, proof) } else { continues(&stated, &before, proof) }
                }
                None => true,
            };
            one.then(|| Some(SeenCheckpoint { size: stated.size(), root: stated.root(), note: note.clone() }))
        };
        // A peer that has forgotten more than a window of what it sent, or a receipt that it gave, was restored itself.
        if state.received > account.acknowledged + WINDOW || state.acknowledged > account.received {
            return None;
        }
        let parcel = read(&account.parcel_checkpoint, &state.checkpoint, accounted.parcel_seen, &account.parcel_consistency)?;
        let receipt = read(&account.receipt_checkpoint, &state.receipt_checkpoint, accounted.receipt_seen, &account.receipt_consistency)?;
        Some((parcel, receipt))
    }

    /// The largest ledger of this node's own that a peer saw, by this node's own signature.
    fn largest_seen(&self, account: &Account) -> Option<Checkpoint> {
        let own = |note: &String| self.state.directory.read_note(self.me.org(), note);
        [&account.seen_in_parcel, &account.seen_in_receipt].into_iter().flatten().filter_map(own).max_by_key(Checkpoint::size)
    }

    /// Puts what is in parcels without a receipt in line again, before what waits: those parcels will not be sent.
    fn line_up_again(&self, state: &PeerRow, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let mut line: Vec<Outgoing> = Vec::new();
        for sequence in state.acknowledged + 1..=state.sent {
            for item in self.store.parcel(&state.org, sequence)?.map(|parcel| parcel.items).unwrap_or_default() {
                let rest = |known: &Outgoing| match (known, &item.what) {
                    (Outgoing::Attachment { record: a, attachment: m, .. }, Outgoing::Attachment { record: b, attachment: n, .. }) => a == b && m == n,
                    (known, what) => known == what,
                };
                if !line.iter().any(rest) {
                    line.push(item.what);
                }
            }
        }
        plan.change(Change::ParcelsDone(state.org.clone(), state.sent));
        if line.is_empty() {
            return Ok(());
        }
        for what in &line {
            if let Outgoing::Record(record) = what {
                plan.change(Change::Holding(HoldingRow { since: now, ..self.copy(*record, &state.org, HoldingState::Queued, [].into(), now) }));
            }
        }
        for row in self.store.outgoing(&state.org, usize::MAX)? {
            plan.change(Change::Requeue(state.org.clone(), row.position, None));
            if !line.contains(&row.what) {
                line.push(row.what);
            }
        }
        for what in line {
            plan.change(Change::Queue(state.org.clone(), what));
        }
        Ok(())
    }

    /// Whether a peer whose card is taken in now may know more of this node than it does itself.
    pub(crate) fn new_peer(&self, org: &OrgId, plan: &mut Plan) {
        if self.state.recovery.is_some() && org != self.me.org() && !self.state.peers.contains_key(org) {
            plan.change(Change::Peer(PeerRow { suspicion: Some(Suspicion::Restored), ..PeerRow::new(org.clone()) }));
        }
    }
}

fn statement(key: Digest, accounted: &Accounted, at: Timestamp) -> Change {
    Change::Statement(StatementRow {
        kind: StatementKind::Account,
        key,
        org: accounted.from().clone(),
        about: None,
        bytes: accounted.account.signed().to_bytes(),
        at,
    })
}

/// Whether a ledger at `now` continues the one at `before`, by a proof.
pub(super) fn continues(before: &Checkpoint, now: &Checkpoint, proof: &[Digest]) -> bool {
    match before.size() {
        size if size > now.size() => false,
        size if size == now.size() => before.root() == now.root(),
        size => merkle::verify_consistency(size, now.size(), &format::recovery::hashes(proof), &before.root(), &now.root()).is_ok(),
    }
}
