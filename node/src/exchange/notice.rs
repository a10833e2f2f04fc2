//! Notices: a holder's word to a record's originator, through however many hands the record went.
//!
//! A notice goes back the way the record came. Each organisation on the way takes it in for its own view of the copies
//! it passed on, and hands it further. Since parcels keep their order, an originator that reads "removed" from someone
//! has already read of everyone to whom that one had passed the record on.

use std::collections::BTreeSet;

use format::parcel::ItemKind;
use format::receipt::{Notice, State};
use format::record::Kind;
use format::verify::{self, Verified};
use format::{OrgId, RecordId, Timestamp};

use super::receive::refuse;
use crate::act::release::header_of;
use crate::command::Refusal;
use crate::entry::Event;
use crate::node::{Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::{Store, StoreResult};
use crate::rows::{Change, Condition, HoldingRow, HoldingState, Outgoing, RecordRow, StatementKind, StatementRow};

impl<S: Store> Node<S> {
    /// States something about a copy held here, for its originator, by way of `to`.
    pub(crate) fn notify(&self, record: RecordId, originator: &OrgId, state: State, to: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let notice = Notice { holder: self.me.org().clone(), originator: originator.clone(), record, state, at: now };
        let notice = verify::state(&notice, &self.me.keys).map_err(|e| Refusal::Invalid { what: "notice", why: e.to_string() })?;
        keep_notice(&notice, plan, now);
        plan.change(Change::Queue(to.clone(), Outgoing::Statement(ItemKind::Notice, notice.digest())));
        Ok(())
    }

    pub(super) fn take_notice(
        &mut self,
        notice: &Verified<Notice>,
        from: &OrgId,
        plan: &mut Plan,
        now: Timestamp,
    ) -> Result<Result<(), BTreeSet<String>>, Refusal> {
        if self.store.statement(StatementKind::Notice, &notice.digest())?.is_some() {
            return Ok(Ok(()));
        }
        if notice.holder == *self.me.org() {
            return self.remember_passing_on(notice, plan, now);
        }
        if self.state.recovery.as_ref().is_some_and(|recovery| recovery.declared == Some(notice.record.0)) {
            // Not of a record but of this node's own recovery: nothing that was given back is still to come.
            keep_notice(notice, plan, now);
            return Ok(Ok(()));
        }
        if self.state.recovery.is_some() && self.store.record(&notice.record)?.is_none() {
            // It speaks of something that was lost here and is on its way back: it is taken up when that has come. What was
            // recalled does not come back, and the word goes on the way the recall came.
            keep_notice(notice, plan, now);
            for recall in self.store.linking_to(&notice.record)?.into_iter().filter(|link| link.kind == Kind::Recall && link.originator == notice.originator) {
                if let Some(back) = recall.from.filter(|back| back != from) {
                    plan.change(Change::Queue(back, Outgoing::Statement(ItemKind::Notice, notice.digest())));
                }
            }
            return Ok(Ok(()));
        }
        self.apply_notice(notice, from, plan, now)
    }

    /// This node's own word on a copy comes back: what it had passed on is lost with its store, and goes the same way again.
    fn remember_passing_on(&self, notice: &Verified<Notice>, plan: &mut Plan, now: Timestamp) -> Result<Result<(), BTreeSet<String>>, Refusal> {
        let (Some(_), Some(to)) = (&self.state.recovery, notice.state.passed_on_to()) else { return Ok(refuse("not-concerned")) };
        // An emergency, and a recall of what is itself lost, go by this word.
        keep_notice(notice, plan, now);
        let Some(row) = self.store.record(&notice.record)? else {
            self.recall_reaches(&notice.record, to, plan, now)?;
            return Ok(Ok(()));
        };
        let known = self.store.holdings(&row.id)?.iter().any(|copy| copy.holder == *to && copy.via == *self.me.org());
        match row.condition {
            _ if known => {}
            Condition::Current | Condition::Superseded => self.queue_record(row.id, &header_of(&row)?, to, plan, now),
            Condition::Recalled => {
                plan.change(Change::Holding(self.copy(row.id, to, HoldingState::Sent, BTreeSet::new(), now)));
                self.recall_reaches(&row.id, to, plan, now)?;
            }
            Condition::Expired | Condition::Removed => {}
        }
        Ok(Ok(()))
    }

    fn apply_notice(&mut self, notice: &Verified<Notice>, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<Result<(), BTreeSet<String>>, Refusal> {
        let me = self.me.org().clone();
        let row = self.store.record(&notice.record)?;
        let further = match &row {
            Some(row) if row.originator == notice.originator => row.from.clone(),
            _ => return Ok(refuse("not-concerned")),
        };
        if notice.originator == me && row.as_ref().is_some_and(|row| row.signatures.is_none()) {
            return Ok(refuse("not-concerned"));
        }
        let copies = self.store.holdings(&notice.record)?;
        // Only somebody to whom the record went from here, or from one of those, can speak of its copy.
        if !copies.iter().any(|copy| copy.holder == notice.holder) && !self.is_concerned(row.as_ref(), &notice.holder)? {
            // That it went to whoever hands in its own notice may have been lost here.
            if self.state.recovery.is_none() || notice.holder != *from {
                return Ok(refuse("not-a-holder"));
            }
            if let Some(back) = &further {
                self.notify(notice.record, &notice.originator, State::PassedOn { to: from.clone() }, back, plan, now)?;
            }
        }
        let unknown = || if notice.holder == *from && self.state.recovery.is_some() { me.clone() } else { from.clone() };
        let via = copies.iter().find(|copy| copy.holder == notice.holder).map_or_else(unknown, |copy| copy.via.clone());
        let copy = |holder: &OrgId, via: OrgId, state| HoldingRow {
            record: notice.record,
            holder: holder.clone(),
            via,
            state,
            sequence: None,
            evidence: Some(notice.digest()),
            reasons: BTreeSet::new(),
            since: now,
        };
        match &notice.state {
            State::Held => {
                self.set_copy(copy(&notice.holder, via, HoldingState::Held), plan)?;
                self.recall_reaches(&notice.record, from, plan, now)?;
            }
            State::Refused => self.set_copy(copy(&notice.holder, via, HoldingState::Refused), plan)?,
            State::Removed => {
                if !copies.iter().any(|copy| copy.holder == notice.holder) {
                    plan.change(Change::Holding(copy(&notice.holder, via, HoldingState::Removed)));
                }
                for held in copies.iter().filter(|copy| copy.holder == notice.holder) {
                    self.set_copy(copy(&notice.holder, held.via.clone(), HoldingState::Removed), plan)?;
                }
            }
            State::PassedOn { to } | State::Emergency { to, .. } => {
                if !copies.iter().any(|copy| copy.holder == *to && copy.via == notice.holder) {
                    // Who has once removed it does not take it in again, whichever way it comes.
                    let removed = copies.iter().find(|copy| copy.holder == *to && copy.state == HoldingState::Removed);
                    let sent = copy(to, notice.holder.clone(), HoldingState::Sent);
                    plan.change(Change::Holding(removed.map_or(sent, |gone| HoldingRow { via: notice.holder.clone(), since: now, ..gone.clone() })));
                }
            }
        }
        keep_notice(notice, plan, now);
        plan.event(Event::Noticed { record: notice.record, holder: notice.holder.clone(), state: notice.state.clone() });
        if let Some(further) = further.filter(|_| notice.originator != me && !planted(Bug::NoticeNotForwarded)) {
            plan.change(Change::Queue(further, Outgoing::Statement(ItemKind::Notice, notice.digest())));
        }
        Ok(Ok(()))
    }

    /// Takes up the notices that came before the record they speak of, which had been lost here.
    pub(super) fn take_early_notices(&mut self, record: &RecordId, now: Timestamp) -> Result<Plan, Refusal> {
        let mut plan = Plan::default();
        if self.store.record(record)?.is_none_or(|row| row.stage < crate::rows::Stage::Released) {
            return Ok(plan);
        }
        for row in self.store.statements_about(StatementKind::Notice, &record.0)? {
            let directory = std::sync::Arc::clone(self.directory());
            let Ok(notice) = verify::verify::<Notice>(&row.bytes, directory.as_ref()) else { continue };
            let known = self.store.holdings(record)?.iter().any(|copy| copy.evidence == Some(notice.digest()));
            if notice.holder == *self.me.org() {
                let _judged = self.remember_passing_on(&notice, &mut plan, now)?;
            } else if !known {
                // What it cannot say any more is refused by itself, and nobody waits for an answer.
                let _judged = self.apply_notice(&notice, &row.org, &mut plan, now)?;
            }
        }
        Ok(plan)
    }

    /// Whether some version of the record went to `holder`, or its recall: that concerns all of them, may come before them,
    /// and is answered for each.
    fn is_concerned(&self, row: Option<&RecordRow>, holder: &OrgId) -> StoreResult<bool> {
        let Some(row) = row else { return Ok(false) };
        let mut sources = self.store.versions(&row.number)?;
        sources.extend(self.store.linking_to(&row.id)?.into_iter().filter(|link| link.kind == Kind::Recall));
        for source in sources.iter().filter(|source| source.originator == row.originator) {
            if self.store.holdings(&source.id)?.iter().any(|copy| copy.holder == *holder) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(super) fn keep_notice(notice: &Verified<Notice>, plan: &mut Plan, now: Timestamp) {
    plan.change(Change::Statement(StatementRow {
        kind: StatementKind::Notice,
        key: notice.digest(),
        org: notice.signer().clone(),
        about: Some(notice.record.0),
        bytes: notice.signed().to_bytes(),
        at: now,
    }));
}
