//! Giving back: what a restored organisation has lost and this node has, put in line for it.
//!
//! This node's own ledger tells what that is: everything after the size that the organisation remembers to have seen
//! of it. Its own records come first, then what was in the parcels that it lost, and last its own word on whom it passed
//! records on to. All of it is weighed again when it
//! leaves, and whatever the organisation has after all changes nothing there.

use std::collections::{BTreeMap, BTreeSet};

use format::parcel::ItemKind;
use format::receipt::State;
use format::record::{Kind, Relation};
use format::recovery::Inquiry;
use format::{Digest, OrgId, RecordId, Timestamp};

use crate::act::agreement::signature_key;
use crate::act::release::header_of;
use crate::command::Refusal;
use crate::entry::{Entry, Event};
use crate::node::{Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::{self, Store, StoreResult};
use crate::rows::{Change, Condition, HoldingRow, HoldingState, Outgoing, RecordRow, StatementKind};

/// Entries that are read at a time.
const PAGE: usize = 200;

/// What a restored organisation has lost, by this node's ledger.
#[derive(Default)]
struct Lost {
    /// Its own records that came here.
    own: Vec<RecordId>,
    /// Records that were in parcels it has forgotten.
    sent: Vec<RecordId>,
    /// Statements that were.
    statements: Vec<Digest>,
    /// Signatures and withdrawals of its own.
    signed: BTreeSet<Digest>,
    /// Records that it said to have passed on, and to whom.
    passed_on: Vec<(RecordId, OrgId)>,
}

impl<S: Store> Node<S> {
    pub(super) fn give_back(&self, peer: &OrgId, inquiry: &Inquiry, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let lost = self.lost_by(peer, inquiry)?;
        for record in lost.own.iter().filter(|_| !planted(Bug::NothingGivenBack)) {
            let Some(row) = self.store.record(record)? else { continue };
            plan.change(Change::Queue(peer.clone(), Outgoing::Returned(*record)));
            if self.store.content(record)?.is_none() {
                continue;
            }
            for attachment in (0_u32..).take(header_of(&row)?.attachments.len()) {
                plan.change(Change::Queue(peer.clone(), Outgoing::Attachment { record: *record, attachment, next: 0 }));
            }
            if row.from.as_ref() == Some(peer) && row.kind.carries_information() {
                self.notify(*record, peer, State::Held, peer, plan, now)?;
            }
        }
        if planted(Bug::LostParcelsForgotten) {
            return Ok(());
        }
        for (kind, key) in self.kinds_of(&lost)? {
            plan.change(Change::Queue(peer.clone(), Outgoing::Statement(kind, key)));
        }
        for record in lost.sent {
            if let Some(row) = self.store.record(&record)? {
                self.send_anew(&row, peer, plan, now)?;
            }
        }
        // What it has forgotten to have passed on it cannot take back for others.
        for (record, to) in &lost.passed_on {
            for word in self.store.statements_about(StatementKind::Notice, &record.0)?.into_iter().filter(|row| row.org == *peer) {
                plan.change(Change::Queue(peer.clone(), Outgoing::Statement(ItemKind::Notice, word.key)));
            }
            if self.state.directory.card(to).is_some() {
                self.recall_reaches(record, to, plan, now)?;
            }
        }
        Ok(())
    }

    fn lost_by(&self, peer: &OrgId, inquiry: &Inquiry) -> Result<Lost, Refusal> {
        let mut lost = Lost::default();
        let mut from = inquiry.parcel_seen.min(inquiry.receipt_seen);
        loop {
            let page = self.store.entries(from, PAGE)?;
            let Some(last) = page.last().map(|row| row.index) else { return Ok(lost) };
            for json in page.into_iter().filter_map(|row| row.json) {
                // An entry of a kind that this version does not know speaks of nothing that it can give back.
                if let Ok(entry) = serde_json::from_slice::<Entry>(&json) {
                    self.note_lost(&mut lost, entry.event, peer, inquiry)?;
                }
            }
            from = last + 1;
        }
    }

    fn note_lost(&self, lost: &mut Lost, event: Event, peer: &OrgId, inquiry: &Inquiry) -> StoreResult<()> {
        match event {
            Event::Received { record, originator, .. } if originator == *peer => lost.own.push(record),
            Event::Sent { peer: to, sequence, records, statements, .. } if to == *peer && sequence > inquiry.received => {
                lost.sent.extend(records);
                lost.statements.extend(statements);
            }
            Event::AgreementSigned { agreement, version, party } if party == *peer => {
                let digest = self.state.directory.agreement_digest(&agreement, version);
                lost.signed.extend(digest.map(|digest| signature_key(&digest, &party)));
            }
            Event::PartyWithdrew { agreement, party } if party == *peer => {
                for row in ports::directory(&self.store) {
                    let row = row?;
                    let its = row.kind == StatementKind::Withdrawal && row.org == *peer && contains(&row.bytes, agreement.as_str().as_bytes());
                    lost.signed.extend(its.then_some(row.key));
                }
            }
            Event::Noticed { record, holder, state } if holder == *peer => {
                lost.passed_on.extend(state.passed_on_to().filter(|to| *to != self.me.org()).map(|to| (record, to.clone())));
            }
            _ => {}
        }
        Ok(())
    }

    /// Each lost statement once, with what it is, in the order in which they were sent.
    fn kinds_of(&self, lost: &Lost) -> StoreResult<Vec<(ItemKind, Digest)>> {
        let kinds =
            [(ItemKind::Agreement, StatementKind::Agreement), (ItemKind::Withdrawal, StatementKind::Withdrawal), (ItemKind::Notice, StatementKind::Notice)];
        let (mut seen, mut all) = (BTreeMap::new(), Vec::new());
        for key in lost.signed.iter().chain(&lost.statements) {
            for (item, kind) in kinds {
                if self.store.statement(kind, key)?.is_some() && seen.insert(*key, ()).is_none() {
                    all.push((item, *key));
                }
            }
        }
        Ok(all)
    }

    /// A record that was sent, and is lost there, goes again; a recall once more for every copy, for the copies may be
    /// back.
    fn send_anew(&self, row: &RecordRow, peer: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        if row.originator == *peer {
            // What was given back once, and lost again.
            plan.change(Change::Queue(peer.clone(), Outgoing::Returned(row.id)));
            return Ok(());
        }
        if !matches!(row.condition, Condition::Current | Condition::Superseded) {
            return Ok(());
        }
        let header = header_of(row)?;
        if header.kind == Kind::Recall {
            for record in header.linked(Relation::Concerns) {
                for copy in self.store.holdings(&record)? {
                    if copy.holder == *peer && copy.state == HoldingState::Removed {
                        // Its word that it had removed the copy shows that it had one.
                        plan.change(Change::Holding(HoldingRow { state: HoldingState::Held, since: now, ..copy }));
                    }
                }
            }
        }
        self.queue_record(row.id, &header, peer, plan, now);
        Ok(())
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len().max(1)).any(|window| window == wanted)
}
