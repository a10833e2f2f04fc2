//! Recall: the originator takes a record back, and every holder carries it out and says so.
//!
//! A recall takes back every version. It follows each copy the way the copy went, through every holder that passed the
//! record on. A holder destroys the content's key, hands the recall on, and states that it has removed the record; the
//! copy is outstanding at the originator until that statement has come.

use std::collections::BTreeSet;

use format::receipt::State;
use format::record::{AgreementRef, Header, Kind, Link, RecallContent, Relation, Salted};
use format::verify;
use format::{OrgId, RecordId, RecordNumber, Timestamp};
use policy::access::Pass;

use super::agreement::report;
use super::directory::{invalid, wrong_state};
use super::draft::not_found;
use super::release::header_of;
use super::who_has::{may_have, ways_to};
use crate::command::{Outcome, Refusal};
use crate::entry::{Event, Removal};
use crate::node::{Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::Store;
use crate::rows::{Change, Condition, HoldingRow, HoldingState, Outgoing, RecordRow, Stage};
use crate::vault::Part;

/// Days for which a recall itself is kept: longer than anything that it could still have to stop.
const RECALL_DAYS: u32 = 3650;

/// What a record that steers another is made from.
pub(super) struct Steering<'a> {
    /// Recall or consent.
    pub(super) kind: Kind,
    /// The header of what it concerns, whose agreement, marking and purpose it takes.
    pub(super) like: &'a Header,
    /// Links, to what it concerns and answers.
    pub(super) links: Vec<Link>,
    /// For whom.
    pub(super) audience: BTreeSet<OrgId>,
    /// Content JSON.
    pub(super) content: Vec<u8>,
    /// Until when it is kept.
    pub(super) retain_until: Timestamp,
}

impl<S: Store> Node<S> {
    pub(crate) fn recall(&mut self, pass: &Pass, number: &RecordNumber, reason: String, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        if reason.trim().is_empty() {
            return Err(invalid("reason", "a recall says why"));
        }
        let versions: Vec<RecordRow> = self.store.versions(number)?.into_iter().filter(|row| row.originator == *self.me.org()).collect();
        let released: Vec<RecordRow> = versions.into_iter().filter(|row| row.stage == Stage::Released && row.kind.carries_information()).collect();
        let latest = released.last().ok_or_else(|| not_found(number))?;
        if latest.condition == Condition::Recalled {
            return Err(wrong_state(
                format!("{number} är redan återkallad; who-has visar vilka som har bekräftat"),
                format!("{number} is recalled already; who has confirmed is shown by who-has"),
            ));
        }
        let like = header_of(latest)?;
        let mut plan = Plan::default();
        let mut copies = Vec::new();
        for row in &released {
            copies.extend(self.store.holdings(&row.id)?);
        }
        hold_back(&copies, &mut plan, now);
        let direct = self.ways(&copies, |copy| may_have(copy.state));
        let holders: BTreeSet<OrgId> = copies.into_iter().filter(|copy| may_have(copy.state)).map(|copy| copy.holder).collect();
        for row in &released {
            let mut row = plan.latest(row.clone());
            row.condition = Condition::Recalled;
            let id = row.id;
            plan.change(Change::Record(Box::new(row)));
            self.flag_built_on(id, id, &mut plan)?;
        }
        let links = released.iter().map(|row| Link { relation: Relation::Concerns, to: row.id }).collect();
        // Where nobody has a copy the recall still names the audience, as evidence that it was meant for them.
        let audience = if holders.is_empty() { like.audience.iter().cloned().collect() } else { holders.union(&direct).cloned().collect() };
        let content = serde_json::to_vec(&RecallContent { reason }).map_err(|e| invalid("reason", e))?;
        let steering = Steering { kind: Kind::Recall, like: &like, links, audience, content, retain_until: now.plus_days(RECALL_DAYS) };
        let (recall, _) = self.issue(pass, steering, &mut plan, now)?;
        for org in &direct {
            plan.change(Change::Holding(self.copy(recall, org, HoldingState::Queued, BTreeSet::new(), now)));
            plan.change(Change::Queue(org.clone(), Outgoing::Record(recall)));
        }
        plan.event(Event::Recalled { record: latest.id, recall, outstanding: holders.into_iter().collect() });
        Ok((Outcome::Record { record: latest.id, number: number.clone(), version: latest.version }, plan))
    }

    /// Makes, signs and keeps a record that steers another.
    pub(super) fn issue(&mut self, pass: &Pass, steering: Steering<'_>, plan: &mut Plan, now: Timestamp) -> Result<(RecordId, Header), Refusal> {
        let mut salt = [0; 32];
        self.entropy.fill(&mut salt);
        let content = Salted { salt, bytes: steering.content };
        let like = steering.like;
        let header = Header {
            kind: steering.kind,
            originator: self.me.org().clone(),
            number: self.next_number(plan, now),
            version: 1,
            supersedes: None,
            agreement: AgreementRef { id: like.agreement.id.clone(), version: like.agreement.version },
            audience: steering.audience.into_iter().filter(|org| org != self.me.org()).collect(),
            marking: like.marking.clone(),
            grading: None,
            purpose: like.purpose.clone(),
            legal_basis: like.legal_basis.clone(),
            categories: BTreeSet::new(),
            language: like.language.clone(),
            created: now,
            retain_until: steering.retain_until,
            links: steering.links,
            content: content.reference(),
            attachments: Vec::new(),
        };
        let signed = verify::state(&header, &self.me.keys).map_err(|e| invalid("record", report(&e)))?;
        let (sealed, _) = self.me.vault.seal(Part::Content(&header.number, 1), &content, self.entropy.as_mut());
        let id = RecordId(signed.digest());
        let row = RecordRow {
            id,
            header: signed.signed().payload().to_vec(),
            signatures: Some(signed.signed().signatures().clone()),
            kind: header.kind,
            originator: header.originator.clone(),
            number: header.number.clone(),
            version: 1,
            agreement: header.agreement.id.clone(),
            created: now,
            retain_until: header.retain_until,
            stage: Stage::Released,
            condition: Condition::Current,
            drafted_by: pass.member().to_owned(),
            submitted_by: None,
            approved_by: None,
            sent_back: false,
            from: None,
            arrived: now,
            flagged: false,
            grant: None,
        };
        plan.change(Change::NewRecord(Box::new(row), Some(sealed)));
        Ok((id, header))
    }

    /// Carries out a recall that arrived, and hands it on.
    pub(crate) fn obey(&self, header: &Header, recall: RecordId, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let mut copies = Vec::new();
        for record in header.linked(Relation::Concerns) {
            let held = self.store.record(&record)?.filter(|row| row.originator == header.originator).map(|row| plan.latest(row));
            plan.event(Event::RecallObeyed { record, recall, originator: header.originator.clone() });
            let Some(mut row) = held else {
                if !planted(Bug::TombstoneForgotten) {
                    plan.change(Change::Tombstone(record, header.originator.clone()));
                }
                self.notify(record, &header.originator, State::Removed, from, plan, now)?;
                continue;
            };
            copies.extend(self.store.holdings(&record)?);
            let back = row.from.clone().unwrap_or_else(|| from.clone());
            row.condition = Condition::Recalled;
            plan.change(Change::Record(Box::new(row)));
            if !planted(Bug::RecallKeepsContent) {
                plan.change(Change::DestroyContent(record));
            }
            plan.event(Event::Removed { record, because: Removal::Recalled });
            if !planted(Bug::RecallFlagsNothing) {
                self.flag_built_on(record, record, plan)?;
            }
            self.notify(record, &header.originator, State::Removed, &back, plan, now)?;
            if *from != back {
                self.notify(record, &header.originator, State::Removed, from, plan, now)?;
            }
        }
        copies.retain(|copy| copy.holder != *self.me.org());
        let mine: Vec<HoldingRow> = copies.iter().filter(|copy| copy.via == *self.me.org()).cloned().collect();
        hold_back(&mine, plan, now);
        // The originator was told of every copy that was to go from here, and waits for each one's own word; so the recall
        // follows those too that were refused, or did not leave after all.
        if planted(Bug::RecallNotRelayed) {
            return Ok(());
        }
        let open = |copy: &HoldingRow| may_have(copy.state) || (copy.via == *self.me.org() && copy.state != HoldingState::Removed);
        for org in self.ways(&copies, open) {
            plan.change(Change::Holding(self.copy(recall, &org, HoldingState::Queued, BTreeSet::new(), now)));
            plan.change(Change::Queue(org, Outgoing::Record(recall)));
        }
        Ok(())
    }

    /// Where a recall goes from here to reach every copy that is `open`: the way the copies went, and straight to those
    /// that went on through somebody who was restored since, and may have forgotten it.
    pub(crate) fn ways(&self, copies: &[HoldingRow], open: impl Fn(&HoldingRow) -> bool) -> BTreeSet<OrgId> {
        let mut ways = ways_to(copies, self.me.org(), &open);
        let forgotten = |copy: &&HoldingRow| copy.via != *self.me.org() && open(copy) && self.state.peer(&copy.via).era.is_some();
        let straight = copies.iter().filter(forgotten).map(|copy| copy.holder.clone());
        ways.extend(straight.filter(|org| org != self.me.org() && self.state.directory.card(org).is_some()));
        ways
    }

    /// A recall that was carried out here follows a copy that was not known of then: it was lost with somebody's store.
    pub(crate) fn recall_reaches(&self, record: &RecordId, holder: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let originator = match self.store.record(record)? {
            Some(row) if row.condition == Condition::Recalled => row.originator,
            Some(_) => return Ok(()),
            None => match self.store.tombstone(record)? {
                Some(originator) => originator,
                None => return Ok(()),
            },
        };
        for recall in self.store.linking_to(record)?.iter().filter(|link| link.kind == Kind::Recall && link.originator == originator) {
            if !self.store.holdings(&recall.id)?.iter().any(|copy| copy.holder == *holder) {
                plan.change(Change::Holding(self.copy(recall.id, holder, HoldingState::Queued, BTreeSet::new(), now)));
                plan.change(Change::Queue(holder.clone(), Outgoing::Record(recall.id)));
            }
        }
        Ok(())
    }

    /// A recall that was obeyed comes again by another way: whoever hands it on passed some version on to here, waits for
    /// this node's word on it, and may be the only one to forward it, since the first way need not have had that version.
    /// After a recovery it comes again the same way, and asks whether the copy came back.
    pub(crate) fn answer_recall_again(&self, recall: &RecordRow, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let answered = recall.from.as_ref() == Some(from) && self.state.recovery.is_none();
        if recall.kind != Kind::Recall || answered || recall.originator == *self.me.org() {
            return Ok(());
        }
        let concerned: Vec<RecordId> = header_of(recall)?.linked(Relation::Concerns).collect();
        concerned.into_iter().try_for_each(|record| self.notify(record, &recall.originator, State::Removed, from, plan, now))
    }
}

/// What waits to leave will not.
fn hold_back(copies: &[HoldingRow], plan: &mut Plan, now: Timestamp) {
    let held_back = |state| match state {
        HoldingState::Sent => planted(Bug::UnderWayHeldBack),
        HoldingState::Held => planted(Bug::HoldersForgotten),
        state => state == HoldingState::Queued,
    };
    for copy in copies.iter().filter(|copy| held_back(copy.state)) {
        plan.change(Change::Holding(HoldingRow { state: HoldingState::HeldBack, reasons: ["recalled".to_owned()].into(), since: now, ..copy.clone() }));
    }
}
