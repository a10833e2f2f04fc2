//! Emergency release: another's record is passed on without consent, to prevent an immediate and serious threat.
//!
//! One member states the threat, and why the originator cannot be asked in good time; another one releases. The statement is
//! a consent record for the originator alone. In the commit in which the record is put in line for whoever needs it, the
//! statement and a notice are put in line for the originator: there is no moment at which the one is there without the
//! other. Nothing but the agreement's rule of prior consent is set aside (`docs/protocol/release.md`, E4).

use std::collections::BTreeSet;

use format::receipt::{Notice, State};
use format::record::{ConsentAct, ConsentContent, Kind, Link, Relation};
use format::{OrgId, RecordId, Signed, Timestamp};
use policy::access::Pass;
use policy::release::Decision;

use super::consent::{Leave, consent_of, emergency, leave};
use super::directory::{invalid, wrong_state};
use super::recall::Steering;
use super::release::{Weighing, header_of};
use crate::command::{Outcome, Refusal};
use crate::entry::Event;
use crate::node::{Node, Plan};
use crate::ports::{Reader, Store, StoreError, StoreResult};
use crate::rows::{Change, RecordRow, Stage, StatementKind};

/// The notice by which `holder` says that it passes a record on to `recipient` in an emergency, if it is held here.
pub(crate) fn notice(reader: &dyn Reader, record: &RecordId, holder: &OrgId, recipient: &OrgId) -> StoreResult<Option<Signed>> {
    for row in reader.statements_about(StatementKind::Notice, &record.0)? {
        let corrupt = |e: &dyn std::error::Error| StoreError::Corrupt { what: "notice", why: e.to_string() };
        let signed = Signed::parse(&row.bytes).map_err(|e| corrupt(&e))?;
        let notice: Notice = serde_json::from_slice(signed.payload()).map_err(|e| corrupt(&e))?;
        if notice.holder == *holder && matches!(&notice.state, State::Emergency { to, .. } if to == recipient) {
            return Ok(Some(signed));
        }
    }
    Ok(None)
}

impl<S: Store> Node<S> {
    /// States a threat, and puts the statement before a second person.
    pub(crate) fn state_emergency(&mut self, pass: &Pass, record: &RecordId, to: OrgId, reason: String, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        if reason.trim().is_empty() {
            return Err(invalid("reason", "it says what the threat is, and why the originator cannot be asked in good time"));
        }
        let row = self.received(record)?;
        let emergency = emergency(&self.store, &self.me, &row, &to)?;
        self.weigh_emergency(&row, &to, emergency, now)?;
        let like = header_of(&row)?;
        let content = ConsentContent { act: ConsentAct::Emergency, holder: self.me.org().clone(), recipient: to.clone(), reason, expires: None };
        let content = serde_json::to_vec(&content).map_err(|e| invalid("emergency", e))?;
        let steering = Steering {
            kind: Kind::Consent,
            like: &like,
            links: vec![Link { relation: Relation::Concerns, to: *record }],
            audience: BTreeSet::from([row.originator.clone()]),
            content,
            retain_until: like.retain_until,
        };
        let mut plan = Plan::default();
        let (statement, header) = self.issue(pass, steering, &mut plan, now)?;
        let made = plan.changes.iter_mut().find_map(|change| if let Change::NewRecord(row, _) = change { Some(row) } else { None });
        if let Some(made) = made {
            // It waits for a second person, and is signed when that one releases.
            made.stage = Stage::Submitted;
            made.signatures = None;
            made.submitted_by = Some(pass.member().to_owned());
        }
        plan.event(Event::EmergencyStated { record: *record, statement, recipient: to });
        plan.event(Event::Submitted { record: statement, number: header.number.clone(), version: 1 });
        Ok((Outcome::Record { record: statement, number: header.number, version: 1 }, plan))
    }

    /// A second person releases what was stated.
    pub(crate) fn release_in_emergency(&mut self, pass: &Pass, statement: &RecordId, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let mut stated = self.submitted(pass, statement)?;
        let content = if stated.kind == Kind::Consent { consent_of(&self.store, &self.me, &stated)? } else { None };
        let Some((_, ConsentContent { recipient: to, .. })) = content.filter(|(_, content)| content.act == ConsentAct::Emergency) else {
            return Err(wrong_state(format!("{} säger inget om en nödsituation", stated.number), format!("{} does not state an emergency", stated.number)));
        };
        let header = header_of(&stated)?;
        let concerned = header.linked(Relation::Concerns).next();
        let record = concerned.ok_or_else(|| wrong_state(format!("{} nämner ingen handling", stated.number), format!("{} names no record", stated.number)))?;
        let row = self.received(&record)?;
        let emergency = emergency(&self.store, &self.me, &row, &to)?;
        self.weigh_emergency(&row, &to, emergency, now)?;
        stated.stage = Stage::Released;
        stated.approved_by = Some(pass.member().to_owned());
        let weighing = Weighing { directory: &self.state.directory, me: self.me.org(), house: self.house.as_ref(), now };
        // Whoever cannot be told cannot be passed by.
        if let Decision::Refuse(reasons) = weighing.release(&stated, &header, &row.originator, &Leave::default(), false) {
            return Err(Refusal::Forbidden(reasons));
        }
        let mut plan = Plan::default();
        plan.event(Event::EmergencyReleased { record, to: to.clone(), statement: *statement, approved_by: pass.member().to_owned() });
        plan.event(Event::Released {
            record: *statement,
            number: stated.number.clone(),
            version: stated.version,
            agreement: header.agreement.id.clone(),
            agreement_version: header.agreement.version,
            purpose: header.purpose.clone(),
            legal_basis: header.legal_basis.clone(),
            recipients: vec![row.originator.clone()],
            refused: Vec::new(),
        });
        plan.unsigned = Some((*statement, stated.header.clone()));
        plan.change(Change::Record(Box::new(stated)));
        let back = row.from.clone().unwrap_or_else(|| row.originator.clone());
        self.queue_record(*statement, &header, &row.originator, &mut plan, now);
        self.notify(record, &row.originator, State::Emergency { to: to.clone(), statement: *statement }, &back, &mut plan, now)?;
        self.queue_record(record, &header_of(&row)?, &to, &mut plan, now);
        Ok((Outcome::Released { record, number: row.number, recipients: vec![to], refused: Vec::new() }, plan))
    }

    /// Whether an emergency lets a record go to `to`, and is needed for that.
    fn weigh_emergency(&self, row: &RecordRow, to: &OrgId, emergency: policy::release::Emergency, now: Timestamp) -> Result<(), Refusal> {
        let header = header_of(row)?;
        let weighing = Weighing { directory: &self.state.directory, me: self.me.org(), house: self.house.as_ref(), now };
        let without = Leave { emergency: None, ..leave(&self.store, &self.me, row, to, now)? };
        if matches!(weighing.release(row, &header, to, &without, false), Decision::Permit(_)) {
            return Err(wrong_state(
                format!("{} får lämnas vidare till {to} som vanligt: använd vidarelämnande", row.number),
                format!("{} may be passed on to {to} as usual: pass it on", row.number),
            ));
        }
        let with = Leave { emergency: Some(emergency), ..without };
        if let Decision::Refuse(reasons) = weighing.release(row, &header, to, &with, false) {
            return Err(Refusal::Forbidden(reasons));
        }
        self.not_there(row, to)
    }
}
