//! Release: who gets a record, and why not the others.
//!
//! The same weighing serves the preview, the act of release, and the moment a record leaves. Releasing queues the
//! record for those to whom the rules permit it and notes for the rest which rule forbids it; whether it then leaves
//! is decided again when it does.

use std::collections::BTreeSet;

use format::receipt::State;
use format::record::{Header, Kind};
use format::{OrgId, RecordId, Signed, Timestamp};
use policy::house::HouseRules;
use policy::release::{self, Approval, Condition, Countries, Decision, PassingOn, Release};

use super::consent::Leave;
use super::directory::wrong_state;
use super::who_has::on_its_way_or_there;
use crate::command::{Outcome, Refusal};
use crate::entry::{Event, RefusedTo};
use crate::exchange::MAX_QUEUE;
use crate::node::{Identity, Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::{Reader, Store, StoreError, StoreResult};
use crate::rows::{Change, HoldingRow, HoldingState, Outgoing, RecordRow, Stage};
use crate::state::Directory;

/// What every weighing of a release looks at besides the record and its recipient.
#[derive(Debug, Clone, Copy)]
pub struct Weighing<'a> {
    /// Organisations and agreements.
    pub directory: &'a Directory,
    /// This node's organisation.
    pub me: &'a OrgId,
    /// The organisation's own rules.
    pub house: &'a dyn HouseRules,
    /// The time.
    pub now: Timestamp,
}

impl Weighing<'_> {
    /// Whether the record may leave for `recipient`.
    ///
    /// `leave` is what there is to pass another organisation's record on with; `steers` tells that this is a recall or
    /// correction of a copy that the recipient got from here.
    #[must_use]
    pub fn release(&self, row: &RecordRow, header: &Header, recipient: &OrgId, leave: &Leave, steers: bool) -> Decision {
        let agreements = self.directory.agreements();
        let onward = (header.originator != *self.me).then(|| PassingOn {
            grant: leave.grant.as_ref().map(|(_, grant)| grant),
            emergency: leave.emergency.as_ref(),
            under: release::under(agreements, self.me, recipient, header, self.now),
        });
        release::decide(&Release {
            now: self.now,
            sender: self.me,
            recipient,
            recipient_known: self.directory.card(recipient).is_some(),
            countries: Countries { originator: self.directory.country(&header.originator), recipient: self.directory.country(recipient) },
            record: row.id,
            header,
            condition: row.condition,
            approval: Approval {
                drafted_by: Some(row.drafted_by.as_str()),
                submitted_by: row.submitted_by.as_deref(),
                approved_by: row.approved_by.as_deref(),
            },
            named: agreements.known(&header.agreement, self.now),
            onward,
            house: self.house,
            steers_held: steers,
        })
    }
}

/// The header of a stored record. Its bytes hash to the record's id, so they are the ones that passed the gate for JSON
/// when they were written or came in, and are not sent through it again.
///
/// # Errors
/// The stored bytes are not a header, which only a damaged store can cause.
pub fn header_of(row: &RecordRow) -> StoreResult<Header> {
    serde_json::from_slice(&row.header).map_err(|e| StoreError::Corrupt { what: "record header", why: e.to_string() })
}

/// A stored record with its originator's signatures, from release on.
#[must_use]
pub fn signed_record(row: &RecordRow) -> Option<Signed> {
    Some(Signed::from_parts(row.originator.clone(), row.header.clone(), row.signatures.clone()?))
}

/// Who will get a record, and why not the others: every organisation in its audience and every other known one.
///
/// # Errors
/// The store cannot be read.
pub fn preview(reader: &dyn Reader, me: &Identity, weighing: &Weighing<'_>, row: &RecordRow) -> StoreResult<Vec<(OrgId, Decision)>> {
    let header = header_of(row)?;
    let known = weighing.directory.cards().map(|pinned| pinned.card.org.clone());
    let all: BTreeSet<OrgId> = known.chain(header.audience.iter().cloned()).filter(|org| org != me.org()).collect();
    let mut rows = Vec::with_capacity(all.len());
    for org in all {
        let decision = weighing.release(row, &header, &org, &super::consent::leave(reader, me, row, &org, weighing.now)?, false);
        rows.push((org, decision));
    }
    Ok(rows)
}

impl<S: Store> Node<S> {
    pub(crate) fn release(&mut self, record: &RecordId, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let mut row = self.own_record(record)?;
        if row.stage != Stage::Approved {
            return Err(wrong_state(
                format!("{} är ingen godkänd handling hos {}", row.number, self.me.org()),
                format!("{} is not an approved record of {}", row.number, self.me.org()),
            ));
        }
        self.check_settled(&row)?;
        let header = header_of(&row)?;
        let (permitted, refused) = self.weigh_audience(&row, &header, now)?;
        if permitted.is_empty() {
            return Err(Refusal::Forbidden(refused.into_iter().flat_map(|(_, reasons)| reasons).collect()));
        }
        row.stage = Stage::Released;
        let mut plan = Plan::default();
        plan.event(Event::Released {
            record: *record,
            number: row.number.clone(),
            version: row.version,
            agreement: header.agreement.id.clone(),
            agreement_version: header.agreement.version,
            purpose: header.purpose.clone(),
            legal_basis: header.legal_basis.clone(),
            recipients: permitted.clone(),
            refused: refused.iter().map(|(org, reasons)| RefusedTo { org: org.clone(), reasons: codes(reasons) }).collect(),
        });
        let number = row.number.clone();
        plan.unsigned = Some((*record, row.header.clone()));
        plan.change(Change::Record(Box::new(row)));
        for org in &permitted {
            self.queue_record(*record, &header, org, &mut plan, now);
        }
        for (org, reasons) in &refused {
            plan.change(Change::Holding(self.copy(*record, org, HoldingState::HeldBack, codes(reasons), now)));
        }
        self.supersede(*record, &header, None, &mut plan, now)?;
        Ok((Outcome::Released { record: *record, number, recipients: permitted, refused }, plan))
    }

    /// The audience in two parts: to whom the rules permit release, and to whom not, with reasons.
    #[expect(clippy::type_complexity, reason = "two lists, named where they are used")]
    fn weigh_audience(&self, row: &RecordRow, header: &Header, now: Timestamp) -> Result<(Vec<OrgId>, Vec<(OrgId, Vec<policy::reason::Reason>)>), Refusal> {
        let weighing = Weighing { directory: &self.state.directory, me: self.me.org(), house: self.house.as_ref(), now };
        let (mut permitted, mut refused) = (Vec::new(), Vec::new());
        let onward = self.onward_holders(header)?;
        for org in &header.audience {
            if onward.contains(org) {
                // Whoever passed the record on to it hands the correction on too.
                continue;
            }
            if self.state.queued.get(org).is_some_and(|waiting| *waiting >= MAX_QUEUE) {
                return Err(Refusal::Busy(format!("{MAX_QUEUE} items wait for {org} already: release again when it has taken some in")));
            }
            match weighing.release(row, header, org, &Leave::default(), self.steers_copy_of(header, org)?) {
                Decision::Permit(_) => permitted.push(org.clone()),
                Decision::Refuse(reasons) => refused.push((org.clone(), reasons)),
            }
        }
        Ok((permitted, refused))
    }

    /// Organisations that have what a correction corrects only through another holder.
    fn onward_holders(&self, header: &Header) -> StoreResult<BTreeSet<OrgId>> {
        let mut copies = Vec::new();
        for before in self.versions_before(header)? {
            copies.extend(self.store.holdings(&before.id)?);
        }
        let direct: BTreeSet<&OrgId> = copies.iter().filter(|copy| copy.via == *self.me.org()).map(|copy| &copy.holder).collect();
        Ok(copies.iter().map(|copy| &copy.holder).filter(|org| !direct.contains(org)).cloned().collect())
    }

    /// The versions before a correction that were released or received here. The one just before need not be among them.
    fn versions_before(&self, header: &Header) -> StoreResult<Vec<RecordRow>> {
        let mut versions = if header.version > 1 { self.store.versions(&header.number)? } else { Vec::new() };
        versions.retain(|row| row.originator == header.originator && row.version < header.version && row.stage >= Stage::Released);
        versions.retain(|row| !planted(Bug::VersionsSkipped) || header.supersedes == Some(row.id));
        Ok(versions)
    }

    /// Queues a record with its attachments for one organisation.
    pub(crate) fn queue_record(&self, record: RecordId, header: &Header, org: &OrgId, plan: &mut Plan, now: Timestamp) {
        plan.change(Change::Holding(self.copy(record, org, HoldingState::Queued, BTreeSet::new(), now)));
        plan.change(Change::Queue(org.clone(), Outgoing::Record(record)));
        for attachment in (0_u32..).take(header.attachments.len()) {
            plan.change(Change::Queue(org.clone(), Outgoing::Attachment { record, attachment, next: 0 }));
        }
    }

    /// A copy that goes, or does not go, from here.
    pub(crate) fn copy(&self, record: RecordId, holder: &OrgId, state: HoldingState, reasons: BTreeSet<String>, since: Timestamp) -> HoldingRow {
        HoldingRow { record, holder: holder.clone(), via: self.me.org().clone(), state, sequence: None, evidence: None, reasons, since }
    }

    /// A later version takes the place of all before it: that is noted, it is handed on to every copy that went or will
    /// go from here, and what builds on the earlier ones is flagged. `from` handed it over, where it is another's. Where a
    /// copy went through another holder, that one hands it on, and says so.
    pub(crate) fn supersede(&self, by: RecordId, header: &Header, from: Option<&OrgId>, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        for before in self.versions_before(header)? {
            let before = before.id;
            for copy in self.store.holdings(&before)? {
                let already = plan.changes.iter().any(|change| matches!(change, Change::Holding(row) if row.record == by && row.holder == copy.holder));
                if copy.via == *self.me.org() && on_its_way_or_there(copy.state) && !already && !planted(Bug::CorrectionNotRelayed) {
                    if let Some(from) = from {
                        self.notify(by, &header.originator, State::PassedOn { to: copy.holder.clone() }, from, plan, now)?;
                    }
                    self.queue_record(by, header, &copy.holder, plan, now);
                }
            }
            let Some(mut row) = self.store.record(&before)?.map(|row| plan.latest(row)) else {
                continue;
            };
            if row.condition == Condition::Current {
                row.condition = Condition::Superseded;
                plan.event(Event::Superseded { record: before, later: by });
                plan.change(Change::Record(Box::new(row)));
            }
            self.flag_built_on(before, before, plan)?;
        }
        Ok(())
    }

    /// Whether a later version of a record that arrives is here already.
    pub(crate) fn outdated(&self, header: &Header) -> StoreResult<bool> {
        let versions = self.store.versions(&header.number)?;
        Ok(versions.iter().any(|row| row.originator == header.originator && row.version > header.version))
    }

    /// Flags every record that builds on one that changed, and what builds on those.
    pub(crate) fn flag_built_on(&self, changed: RecordId, because: RecordId, plan: &mut Plan) -> Result<(), Refusal> {
        let mut open = vec![changed];
        let mut seen = BTreeSet::from([changed]);
        while let Some(source) = open.pop() {
            for row in self.store.linking_to(&source)? {
                let mut row = plan.latest(row);
                let builds = header_of(&row)?.linked(format::record::Relation::BasedOn).any(|to| to == source);
                if builds && seen.insert(row.id) {
                    open.push(row.id);
                    if !row.flagged {
                        row.flagged = true;
                        plan.event(Event::Flagged { record: row.id, because });
                        plan.change(Change::Record(Box::new(row)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a record that arrives builds on one that was changed before.
    pub(crate) fn builds_on_changed(&self, header: &Header) -> StoreResult<bool> {
        if planted(Bug::FlagForgotten) {
            return Ok(false);
        }
        for source in header.linked(format::record::Relation::BasedOn) {
            let changed = self.store.record(&source)?.is_some_and(|row| row.flagged || !matches!(row.condition, Condition::Current));
            if changed || self.store.tombstone(&source)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a recall or correction that arrives is about a copy that was received from the same organisation.
    pub(crate) fn steers_own_copy(&self, header: &Header, from: &OrgId) -> StoreResult<bool> {
        let about: Vec<RecordId> = match header.kind {
            Kind::Recall => header.linked(format::record::Relation::Concerns).collect(),
            Kind::Correction => header.supersedes.into_iter().collect(),
            _ => return Ok(false),
        };
        for record in about {
            let held = self.store.record(&record)?;
            if held.is_some_and(|row| row.originator == header.originator && row.from.as_ref() == Some(from)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Codes of reasons.
pub(crate) fn codes(reasons: &[policy::reason::Reason]) -> BTreeSet<String> {
    reasons.iter().map(|reason| reason.code().to_owned()).collect()
}
