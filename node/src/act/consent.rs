//! Consent: the third-party rule in practice.
//!
//! A holder asks, the originator answers, both in signed records; a grant names one record, one holder, one recipient
//! and may end. With it, or where the agreement's terms let it, the holder passes the record on in the originator's
//! own signed words, says so to the originator before the first byte leaves, and shows the recipient what permits it.

use std::collections::BTreeSet;

use format::parcel::Evidence;
use format::receipt::State;
use format::record::{ConsentAct, ConsentContent, Content, Header, Kind, Link, Relation};
use format::{OrgId, RecordId, Signed, Timestamp};
use policy::access::Pass;
use policy::release::{Decision, Emergency, Grant};

use super::directory::{invalid, wrong_state};
use super::recall::Steering;
use super::release::{Weighing, header_of, signed_record};
use crate::command::{Outcome, Refusal};
use crate::entry::{Event, RefusedTo};
use crate::node::{Identity, Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::{self, Reader, Store, StoreError, StoreResult};
use crate::rows::{RecordRow, Stage, StatementKind};
use crate::vault::Part;

/// Reads a consent record's content; none when it was destroyed.
pub(super) fn consent_of(reader: &dyn Reader, me: &Identity, row: &RecordRow) -> StoreResult<Option<(format::record::Salted, ConsentContent)>> {
    let Some(content) = reader.content(&row.id)? else {
        return Ok(None);
    };
    let salted = me.vault.open(Part::Content(&row.number, row.version), &content)?;
    match Content::parse(row.kind, &salted.bytes) {
        Ok(Content::Consent(consent)) => Ok(Some((salted, consent))),
        _ => Err(StoreError::Corrupt { what: "consent", why: format!("{} does not read as one", row.number) }),
    }
}

/// What there is to pass another organisation's record on to one recipient with.
#[derive(Debug, Default)]
pub struct Leave {
    /// The originator's consent, with its consent record.
    pub grant: Option<(RecordId, Grant)>,
    /// An emergency that this node has stated.
    pub emergency: Option<Emergency>,
}

/// What there is to pass a record on to `recipient` with at `now`: a grant that still holds, or else the newest; and an
/// emergency that was released. For a record of this organisation there is nothing.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn leave(reader: &dyn Reader, me: &Identity, record: &RecordRow, recipient: &OrgId, now: Timestamp) -> StoreResult<Leave> {
    if record.originator == *me.org() {
        return Ok(Leave::default());
    }
    let emergency = match super::emergency::notice(reader, &record.id, me.org(), recipient)? {
        Some(_) => Some(emergency(reader, me, record, recipient)?),
        None => None,
    };
    Ok(Leave { grant: grant(reader, me, record, recipient, now)?, emergency })
}

/// An emergency for passing a record on to `recipient`, with whether the originator has said no to just that.
pub(super) fn emergency(reader: &dyn Reader, me: &Identity, record: &RecordRow, recipient: &OrgId) -> StoreResult<Emergency> {
    let denied = !answers(reader, me, record, recipient, ConsentAct::Deny)?.is_empty();
    Ok(Emergency { record: record.id, holder: me.org().clone(), recipient: recipient.clone(), denied })
}

/// The originator's consent records to this node about one record and recipient that do `act`, newest first.
fn answers(
    reader: &dyn Reader,
    me: &Identity,
    record: &RecordRow,
    recipient: &OrgId,
    act: ConsentAct,
) -> StoreResult<Vec<(RecordRow, format::record::Salted, ConsentContent)>> {
    let mut found = Vec::new();
    for row in reader.linking_to(&record.id)? {
        if row.kind != Kind::Consent || row.originator != record.originator {
            continue;
        }
        let Some((salted, consent)) = consent_of(reader, me, &row)? else {
            continue;
        };
        if consent.act == act && consent.recipient == *recipient && consent.holder == *me.org() {
            found.push((row, salted, consent));
        }
    }
    found.reverse();
    Ok(found)
}

/// The originator's grants to this node for one record, newest first, with their rows.
fn grants(reader: &dyn Reader, me: &Identity, record: &RecordRow, recipient: &OrgId) -> StoreResult<Vec<(RecordRow, format::record::Salted, Grant)>> {
    let mut found = Vec::new();
    for (row, salted, consent) in answers(reader, me, record, recipient, ConsentAct::Grant)? {
        if let Some(grant) = Grant::read(&header_of(&row)?, &consent) {
            found.push((row, salted, grant));
        }
    }
    Ok(found)
}

fn grant(reader: &dyn Reader, me: &Identity, record: &RecordRow, recipient: &OrgId, now: Timestamp) -> StoreResult<Option<(RecordId, Grant)>> {
    let mut all = grants(reader, me, record, recipient)?;
    let valid = all.iter().position(|(_, _, grant)| grant.expires.is_none_or(|expires| now < expires)).unwrap_or(0);
    Ok((valid < all.len()).then(|| all.swap_remove(valid)).map(|(row, _, grant)| (row.id, grant)))
}

/// What shows the recipient that a record may be passed on to it: the grant, or else the originator's signature on the terms,
/// and the word of this node that there is an emergency.
pub(crate) fn evidence(reader: &dyn Reader, me: &Identity, record: &RecordRow, recipient: &OrgId, now: Timestamp) -> StoreResult<Evidence> {
    let grant = grants(reader, me, record, recipient)?.into_iter().find(|(_, _, grant)| grant.expires.is_none_or(|expires| now < expires));
    let grant = grant.and_then(|(row, salted, _)| signed_record(&row).map(|signed| (signed, salted)));
    let (mut terms, mut emergency) = (None, None);
    if grant.is_none() {
        emergency = super::emergency::notice(reader, &record.id, me.org(), recipient)?;
        let header = header_of(record)?;
        for row in ports::directory(reader) {
            let row = row?;
            if row.kind == StatementKind::Agreement && row.org == header.originator {
                let signed = Signed::parse(&row.bytes).map_err(|e| StoreError::Corrupt { what: "agreement", why: e.to_string() })?;
                let names = serde_json::from_slice::<format::agreement::Agreement>(signed.payload())
                    .is_ok_and(|agreement| agreement.id == header.agreement.id && agreement.version == header.agreement.version);
                if names {
                    terms = Some(signed);
                }
            }
        }
    }
    Ok(Evidence { grant, terms, emergency })
}

impl<S: Store> Node<S> {
    pub(crate) fn ask_consent(&mut self, pass: &Pass, record: &RecordId, recipient: OrgId, reason: String, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let row = self.received(record)?;
        if self.state.directory.card(&recipient).is_none() || recipient == row.originator || recipient == *self.me.org() {
            return Err(invalid("recipient", format!("{recipient} is not a third organisation whose card is held here")));
        }
        let like = header_of(&row)?;
        let content = ConsentContent { act: ConsentAct::Ask, holder: self.me.org().clone(), recipient: recipient.clone(), reason, expires: None };
        let links = vec![Link { relation: Relation::Concerns, to: *record }];
        let audience = BTreeSet::from([row.originator.clone()]);
        let mut plan = Plan::default();
        let outcome = self.issue_consent(pass, &like, content, links, audience, &row.originator, &mut plan, now)?;
        plan.event(Event::ConsentAsked { record: *record, ask: outcome.0, recipient });
        Ok((outcome.1, plan))
    }

    pub(crate) fn answer_consent(
        &mut self,
        pass: &Pass,
        ask: &RecordId,
        grant: bool,
        reason: String,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Outcome, Plan), Refusal> {
        let row = self.received(ask)?;
        let asked = if row.kind == Kind::Consent { consent_of(&self.store, &self.me, &row)? } else { None };
        let Some((_, asked)) = asked.filter(|(_, asked)| asked.act == ConsentAct::Ask && asked.holder == row.originator) else {
            return Err(wrong_state(format!("{} är ingen fråga om medgivande", row.number), format!("{} is not a question about consent", row.number)));
        };
        if expires.is_some_and(|expires| expires <= now) {
            return Err(invalid("expires", "a grant ends in the future"));
        }
        let concerned = header_of(&row)?.linked(Relation::Concerns).next();
        let record = concerned.ok_or_else(|| wrong_state(format!("{} nämner ingen handling", row.number), format!("{} names no record", row.number)))?;
        let own = self.own_record(&record)?;
        let like = header_of(&own)?;
        let act = if grant { ConsentAct::Grant } else { ConsentAct::Deny };
        let content = ConsentContent { act, holder: asked.holder.clone(), recipient: asked.recipient.clone(), reason, expires };
        let links = vec![Link { relation: Relation::Answers, to: *ask }, Link { relation: Relation::Concerns, to: record }];
        // The holder shows a grant to the recipient, so the recipient is in its audience; a refusal concerns the holder.
        let mut audience = BTreeSet::from([asked.holder.clone()]);
        if grant {
            audience.insert(asked.recipient.clone());
        }
        let mut plan = Plan::default();
        let (answer, outcome) = self.issue_consent(pass, &like, content, links, audience, &asked.holder, &mut plan, now)?;
        plan.event(Event::ConsentAnswered { record, answer, holder: asked.holder, recipient: asked.recipient, granted: grant });
        Ok((outcome, plan))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one record")]
    fn issue_consent(
        &mut self,
        pass: &Pass,
        like: &Header,
        content: ConsentContent,
        links: Vec<Link>,
        audience: BTreeSet<OrgId>,
        to: &OrgId,
        plan: &mut Plan,
        now: Timestamp,
    ) -> Result<(RecordId, Outcome), Refusal> {
        if content.reason.trim().is_empty() {
            return Err(invalid("reason", "it says why, for whoever reads it later"));
        }
        let content = serde_json::to_vec(&content).map_err(|e| invalid("consent", e))?;
        let steering = Steering { kind: Kind::Consent, like, links, audience, content, retain_until: like.retain_until };
        let (id, header) = self.issue(pass, steering, plan, now)?;
        let row = plan.changes.iter().find_map(|change| if let crate::rows::Change::NewRecord(row, _) = change { Some(row.as_ref()) } else { None });
        let weighing = Weighing { directory: &self.state.directory, me: self.me.org(), house: self.house.as_ref(), now };
        match row.map(|row| weighing.release(row, &header, to, &Leave::default(), false)) {
            Some(Decision::Permit(_)) => {}
            Some(Decision::Refuse(reasons)) => return Err(Refusal::Forbidden(reasons)),
            None => return Err(wrong_state("svaret om medgivande kunde inte göras", "the consent record was not made")),
        }
        self.queue_record(id, &header, to, plan, now);
        plan.event(Event::Released {
            record: id,
            number: header.number.clone(),
            version: 1,
            agreement: header.agreement.id.clone(),
            agreement_version: header.agreement.version,
            purpose: header.purpose.clone(),
            legal_basis: header.legal_basis.clone(),
            recipients: vec![to.clone()],
            refused: Vec::<RefusedTo>::new(),
        });
        Ok((id, Outcome::Record { record: id, number: header.number, version: 1 }))
    }

    pub(crate) fn pass_on(&self, record: &RecordId, to: &OrgId, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let row = self.received(record)?;
        self.check_open(&row)?;
        let header = header_of(&row)?;
        let Leave { grant, .. } = leave(&self.store, &self.me, &row, to, now)?;
        let leave = Leave { grant, emergency: None };
        let weighing = Weighing { directory: &self.state.directory, me: self.me.org(), house: self.house.as_ref(), now };
        if let Decision::Refuse(reasons) = weighing.release(&row, &header, to, &leave, false) {
            return Err(Refusal::Forbidden(reasons));
        }
        self.not_there(&row, to)?;
        let mut plan = Plan::default();
        plan.event(Event::PassedOn { record: *record, to: to.clone(), grant: leave.grant.map(|(consent, _)| consent) });
        let back = row.from.clone().unwrap_or_else(|| header.originator.clone());
        // The originator is told first: its view of the copies is never behind where they are.
        if !planted(Bug::PassingOnUntold) {
            self.notify(*record, &header.originator, State::PassedOn { to: to.clone() }, &back, &mut plan, now)?;
        }
        self.queue_record(*record, &header, to, &mut plan, now);
        Ok((Outcome::Released { record: *record, number: row.number, recipients: vec![to.clone()], refused: Vec::new() }, plan))
    }

    /// Refuses what an organisation has already, or is to get.
    pub(super) fn not_there(&self, row: &RecordRow, to: &OrgId) -> Result<(), Refusal> {
        let copies = self.store.holdings(&row.id)?;
        if copies.iter().any(|copy| copy.holder == *to && super::who_has::on_its_way_or_there(copy.state)) {
            return Err(wrong_state(
                format!("{to} har redan {}, eller så är den på väg", row.number),
                format!("{to} has {} already, or it is on its way", row.number),
            ));
        }
        Ok(())
    }

    /// A record received from another organisation.
    pub(crate) fn received(&self, record: &RecordId) -> Result<RecordRow, Refusal> {
        let row = self.store.record(record)?.filter(|row| row.stage == Stage::Received);
        row.ok_or_else(|| Refusal::NotFound { what: "received record", name: record.to_string() })
    }
}
