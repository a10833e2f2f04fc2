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
use crate::command::Refusal;
use crate::entry::Event;
use crate::node::{Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::{Store, StoreResult};
use crate::rows::{Change, HoldingRow, HoldingState, Outgoing, RecordRow, StatementKind, StatementRow};

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
            return Ok(refuse("not-a-holder"));
        }
        let via = copies.iter().find(|copy| copy.holder == notice.holder).map_or_else(|| from.clone(), |copy| copy.via.clone());
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
            State::Held => self.set_copy(copy(&notice.holder, via, HoldingState::Held), plan)?,
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
