//! The account: what a peer answers a restored node, and how it recognises it.
//!
//! Whoever asks with a new era has lost something, or holds somebody's keys and an old backup. Either way exchange stops
//! until a person has looked. Numbers are given; nothing is given back.

use format::checkpoint::Checkpoint;
use format::merkle::Frontier;
use format::parcel::ParcelHeader;
use format::receipt::Receipt;
use format::recovery::{Account, Inquiry, Recovery};
use format::verify::{self, KeyDirectory};
use format::{Digest, Signed, Timestamp};

use super::Asked;
use super::ask::continues;
use crate::act::directory::{invalid, wrong_state};
use crate::command::Refusal;
use crate::entry::{Actor, Event};
use crate::exchange::receipt_key;
use crate::node::{Node, Plan, ledger_name};
use crate::planted::{Bug, planted};
use crate::ports::{Store, StoreError, StoreResult};
use crate::rows::{Change, PeerRow, SeenCheckpoint, StatementKind, StatementRow, Suspicion, about_org};
use crate::state::LedgerTree;

impl<S: Store> Node<S> {
    /// Answers a restored node, and stops exchange with it. Gives the signed account.
    ///
    /// # Errors
    /// The store failed.
    pub fn account(&mut self, asked: &Asked, now: Timestamp) -> Result<Vec<u8>, Refusal> {
        self.refresh()?;
        let now = self.now(now);
        let peer = asked.from().clone();
        if self.state.directory.revoked(&peer) {
            return Err(wrong_state(format!("kortet för {peer} är återkallat"), format!("the card of {peer} was revoked")));
        }
        let state = self.state.peer(&peer);
        if Some(asked.inquiry.era) > state.era {
            // Where nothing was ever exchanged nothing can have been lost: there is nothing for a person to look at. A second
            // time there is: whoever keeps being restored.
            let new = state.is_new() && state.era.is_none() && state.suspicion.is_none();
            let plan = match &asked.recovery {
                Some(recovery) if new => self.enter_era(state, recovery, &asked.inquiry, now)?,
                None if new => Plan::default(),
                _ => self.recognise(state, asked, now)?,
            };
            self.keep(plan, &Actor::Organisation(peer.clone()), now)?;
        }
        if planted(Bug::RecoveryUnasked)
            && let Some(recovery) = &asked.recovery
        {
            let plan = self.accept_recovery(&peer, recovery.digest(), now).map(|(_, plan)| plan).unwrap_or_default();
            self.keep(plan, &Actor::Node, now)?;
        }
        let account = self.state_account(asked, now)?;
        let account = verify::state(&account, &self.me.keys).map_err(|e| invalid("account", e))?;
        Ok(account.signed().to_bytes())
    }

    /// A peer says that it was restored: exchange with it stops, and what it shows is kept for a person to look at.
    fn recognise(&self, mut state: PeerRow, asked: &Asked, now: Timestamp) -> Result<Plan, Refusal> {
        let mut plan = Plan::default();
        let tied = self.is_tied(&state, &asked.inquiry)? || planted(Bug::RecoveryUntied);
        let why = if tied { Suspicion::RolledBack } else { Suspicion::SplitLedger };
        if state.suspicion.is_none() || (state.suspicion != Some(why) && !tied) {
            plan.event(Event::Suspended { peer: state.org.clone(), why });
            state.suspicion = Some(why);
            if !tied {
                plan.change(keep(StatementKind::Fault, asked.inquiry.digest(), &state, None, asked.inquiry.signed(), now));
            }
            plan.change(Change::Peer(state.clone()));
        }
        if let Some(recovery) = asked.recovery.as_ref().filter(|_| tied) {
            let key = recovery.digest();
            if self.store.statement(StatementKind::Recovery, &key)?.is_none() {
                plan.change(keep(StatementKind::Recovery, key, &state, Some(about_org(&state.org)), recovery.signed(), now));
                plan.change(keep(StatementKind::Inquiry, key, &state, None, asked.inquiry.signed(), now));
            }
        }
        Ok(plan)
    }

    /// Whether the restored ledger continues what this node has seen of it and signed for, as far as the asker remembers.
    fn is_tied(&self, state: &PeerRow, inquiry: &Inquiry) -> Result<bool, Refusal> {
        let name = ledger_name(&state.org);
        let Some(restored) = self.state.directory.read_note(&state.org, &inquiry.checkpoint) else { return Ok(false) };
        let cosigned = inquiry.cosigned.as_ref().map(|note| {
            let mine = self.state.directory.read_cosigned(self.me.org(), note);
            mine.is_some_and(|seen| seen.origin() == name && continues(&seen, &restored, &inquiry.cosigned_consistency))
        });
        // A receipt that never came here ties nothing, and neither does one of an era that the asker has forgotten with the
        // rest: then the other tie must do.
        let receipted = inquiry.received == 0
            || inquiry.received > state.acknowledged
            || (state.era.is_some() && (inquiry.cosigned.is_some() || inquiry.acknowledged == 0))
            || self.shown_by(state, inquiry.received)?.iter().any(|seen| continues(seen, &restored, &inquiry.receipted_consistency));
        // What it remembers no parcel of cannot be tied to anything; that, too, is for a person to see.
        let cosigned = cosigned.unwrap_or(inquiry.acknowledged == 0 || state.era.is_some());
        Ok(cosigned && receipted && inquiry.acknowledged <= state.received)
    }

    /// The peer's ledger as it was in its receipt for a parcel, and where an earlier recovery that was accepted began.
    fn shown_by(&self, state: &PeerRow, sequence: u64) -> StoreResult<Vec<Checkpoint>> {
        let kept = self.store.statement(StatementKind::ReceiptIn, &receipt_key(&state.org, sequence))?;
        let receipt = kept.and_then(|row| serde_json::from_slice::<Receipt>(Signed::parse(&row.bytes).ok()?.payload()).ok());
        let mut notes: Vec<String> = receipt.map(|receipt| receipt.checkpoint).into_iter().collect();
        for row in self.store.statements_about(StatementKind::Recovery, &about_org(&state.org))? {
            let recovery = Signed::parse(&row.bytes).ok().and_then(|signed| serde_json::from_slice::<Recovery>(signed.payload()).ok());
            notes.extend(recovery.filter(|recovery| Some(recovery.era) <= state.era).map(|recovery| recovery.checkpoint));
        }
        // They were verified when they were taken in; one that does not hold ties nothing.
        Ok(notes.iter().filter_map(|note| self.state.directory.read_note(&state.org, note)).collect())
    }

    fn state_account(&self, asked: &Asked, now: Timestamp) -> Result<Account, Refusal> {
        let inquiry = asked.inquiry.value();
        let state = self.state.peer(asked.from());
        let shown = self.shown_in(&state)?;
        let parcel = (state.acknowledged > 0).then_some(shown);
        let receipt = (state.received > 0).then_some(state.receipted_size);
        let note = |seen: &Option<SeenCheckpoint>| seen.as_ref().map(|seen| seen.note.clone());
        Ok(Account {
            org: self.me.org().clone(),
            to: asked.from().clone(),
            inquiry: asked.inquiry.digest(),
            era: state.era,
            accepted: state.era == Some(inquiry.era) && inquiry.recovery.is_some(),
            received: state.received,
            received_digest: state.received_digest,
            acknowledged: state.acknowledged,
            acknowledged_digest: self.acknowledged_digest(&state)?,
            parcel_checkpoint: parcel.map(|size| self.note_at(size)).transpose()?,
            parcel_consistency: self.proof_for(inquiry.parcel_seen, parcel)?,
            receipt_checkpoint: receipt.map(|size| self.note_at(size)).transpose()?,
            receipt_consistency: self.proof_for(inquiry.receipt_seen, receipt)?,
            seen_in_parcel: note(&state.checkpoint),
            seen_in_receipt: note(&state.receipt_checkpoint),
            at: now,
        })
    }

    /// A proof that what the asker remembers and what is stated are of one ledger, whichever is the larger. It may
    /// remember more than there ever was: then there is none.
    fn proof_for(&self, seen: u64, stated: Option<u64>) -> StoreResult<Vec<Digest>> {
        match stated {
            Some(stated) if seen.max(stated) <= self.state.frontier.size() => self.consistency(seen.min(stated), seen.max(stated)),
            _ => Ok(Vec::new()),
        }
    }

    fn note_at(&self, size: u64) -> Result<String, Refusal> {
        let root = Frontier::load(size, &LedgerTree(&self.store))?.root();
        let name = self.me.ledger_name();
        let note = Checkpoint::new(name.clone(), size, root).and_then(|checkpoint| checkpoint.sign(&name, self.me.keys.ed25519()));
        note.map_err(|e| invalid("checkpoint", e))
    }

    /// Digest of the header of the last parcel to a peer for which there is a receipt.
    fn acknowledged_digest(&self, state: &PeerRow) -> StoreResult<Digest> {
        if state.acknowledged == 0 {
            return Ok(Digest::from([0; 32]));
        }
        if state.acknowledged == state.sent {
            return Ok(state.sent_digest);
        }
        // The next parcel names the one before.
        let corrupt = |why: &str| StoreError::Corrupt { what: "parcel", why: why.to_owned() };
        let next = self.store.parcel(&state.org, state.acknowledged + 1)?.ok_or_else(|| corrupt("one without a receipt is missing"))?;
        let signed = Signed::parse(&next.header).map_err(|_| corrupt("its header does not parse"))?;
        let header: ParcelHeader = serde_json::from_slice(signed.payload()).map_err(|_| corrupt("its header does not read"))?;
        Ok(header.previous)
    }
}

fn keep(kind: StatementKind, key: Digest, state: &PeerRow, about: Option<Digest>, signed: &Signed, at: Timestamp) -> Change {
    Change::Statement(StatementRow { kind, key, org: state.org.clone(), about, bytes: signed.to_bytes(), at })
}
