//! Taking back: a restored node's own records come home from those who hold them.
//!
//! Only what carries this organisation's own signatures is taken, and only after a recovery. A record that was taken
//! back is as it was when it left: released, and recalled or replaced if it was. What a peer holds says nothing of what
//! others were to get, so the record is put in line again for the rest of its audience.

use std::collections::BTreeSet;

use format::record::{Header, Kind, Relation, Salted};
use format::verify::Verified;
use format::{OrgId, RecordId, Timestamp};

use crate::act::release::header_of;
use crate::act::who_has::may_have;
use crate::command::Refusal;
use crate::entry::Event;
use crate::exchange::refuse;
use crate::node::{Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::{Store, StoreResult};
use crate::rows::{Change, Condition, ContentRow, HoldingRow, HoldingState, Outgoing, RecordRow, Stage, StatementKind};
use crate::vault::Part;

impl<S: Store> Node<S> {
    pub(crate) fn take_back(
        &mut self,
        header: &Verified<Header>,
        content: Option<Salted>,
        from: &OrgId,
        plan: &mut Plan,
        now: Timestamp,
    ) -> Result<Result<(), BTreeSet<String>>, Refusal> {
        if header.signer() != self.me.org() || self.state.recovery.is_none() {
            return Ok(refuse("not-concerned"));
        }
        let id = RecordId(header.digest());
        let held = self.store.record_by_number(&header.number, Some(header.version))?;
        match held {
            Some(row) if row.originator == *self.me.org() && row.stage < Stage::Released => self.release_again(row, header, content, plan)?,
            Some(row) if row.id == id => {
                self.fill_again(&row, content, plan)?;
                return Ok(Ok(()));
            }
            Some(_) => return Ok(refuse("equivocation")),
            None => self.insert_again(header, content, plan, now)?,
        }
        let (year, serial) = header.number.place();
        if self.state.serials.get(&year).is_none_or(|last| serial > *last) {
            plan.change(Change::Serial(year, serial));
        }
        plan.event(Event::Recovered { record: id, number: header.number.clone(), version: header.version, from: from.clone() });
        self.follow_again(id, header, from, plan, now)?;
        Ok(Ok(()))
    }

    /// How a record stands that comes back.
    fn standing_of(&self, id: &RecordId, header: &Header, now: Timestamp) -> Result<Condition, Refusal> {
        let recalled = self.store.tombstone(id)?.is_some_and(|by| by == *self.me.org());
        Ok(if recalled {
            Condition::Recalled
        } else if header.retain_until <= now {
            Condition::Expired
        } else if self.outdated(header)? {
            Condition::Superseded
        } else {
            Condition::Current
        })
    }

    fn insert_again(&mut self, header: &Verified<Header>, content: Option<Salted>, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let id = RecordId(header.digest());
        let condition = self.standing_of(&id, header, now)?;
        let sealed = content.map(|content| self.me.vault.seal(Part::Content(&header.number, header.version), &content, self.entropy.as_mut()).0);
        let row = RecordRow {
            id,
            header: header.signed().payload().to_vec(),
            signatures: Some(header.signed().signatures().clone()),
            kind: header.kind,
            originator: header.originator.clone(),
            number: header.number.clone(),
            version: header.version,
            agreement: header.agreement.id.clone(),
            created: header.created,
            retain_until: header.retain_until,
            stage: Stage::Released,
            condition,
            drafted_by: String::new(),
            submitted_by: None,
            approved_by: None,
            sent_back: false,
            from: None,
            arrived: now,
            flagged: self.builds_on_changed(header)?,
            grant: None,
        };
        plan.change(Change::NewRecord(Box::new(row), sealed.filter(|_| condition != Condition::Expired)));
        Ok(())
    }

    /// A draft in the backup had been released before the loss: it is what it was released as.
    fn release_again(&mut self, mut row: RecordRow, header: &Verified<Header>, content: Option<Salted>, plan: &mut Plan) -> Result<(), Refusal> {
        let sealed = self.store.content(&row.id)?;
        row.id = RecordId(header.digest());
        row.header = header.signed().payload().to_vec();
        row.signatures = Some(header.signed().signatures().clone());
        row.kind = header.kind;
        row.agreement = header.agreement.id.clone();
        row.created = header.created;
        row.retain_until = header.retain_until;
        row.stage = Stage::Released;
        row.condition = if self.store.tombstone(&row.id)?.is_some() { Condition::Recalled } else { Condition::Current };
        let id = row.id;
        plan.change(Change::Record(Box::new(row)));
        if let (Some(content), Some(sealed)) = (content, sealed) {
            // Under the key that it had: its attachments are under the same.
            let key = self.me.vault.unwrap(&sealed)?;
            let ciphertext = self.me.vault.seal_under(&key, Part::Content(&header.number, header.version), &content, self.entropy.as_mut());
            plan.change(Change::Content(id, ContentRow { wrapped_key: sealed.wrapped_key, ciphertext }));
        }
        Ok(())
    }

    /// Content that came from no one before comes now.
    fn fill_again(&mut self, row: &RecordRow, content: Option<Salted>, plan: &mut Plan) -> Result<(), Refusal> {
        let wanted = matches!(row.condition, Condition::Current | Condition::Superseded) && self.store.content(&row.id)?.is_none();
        if let Some(content) = content.filter(|_| wanted) {
            let (sealed, _) = self.me.vault.seal(Part::Content(&row.number, row.version), &content, self.entropy.as_mut());
            plan.change(Change::Content(row.id, sealed));
        }
        Ok(())
    }

    /// What a record that came back does to others, and for whom it is put in line.
    fn follow_again(&self, id: RecordId, header: &Header, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        if header.kind == Kind::Recall {
            return self.recall_again(id, header, plan, now);
        }
        if !header.kind.carries_information() {
            return Ok(());
        }
        self.supersede(id, header, None, plan, now)?;
        let standing = self.standing_of(&id, header, now)?;
        let known = self.store.holdings(&id)?;
        for org in header.audience.iter().filter(|org| *org != from && matches!(standing, Condition::Current | Condition::Superseded)) {
            let queued = plan.changes.iter().any(|change| matches!(change, Change::Holding(row) if row.record == id && row.holder == *org));
            if !queued && self.room(org) && !known.iter().any(|copy| copy.holder == *org) {
                self.queue_record(id, header, org, plan, now);
            }
        }
        Ok(())
    }

    /// A recall that came back takes effect here again, and follows every copy that is known: it may not have reached all.
    fn recall_again(&self, recall: RecordId, header: &Header, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        if planted(Bug::LostRecallRevived) {
            return Ok(());
        }
        let (mut copies, mut latest) = (Vec::new(), None);
        for record in header.linked(Relation::Concerns) {
            let own = self.store.record(&record)?.filter(|row| row.originator == *self.me.org() && row.stage == Stage::Released);
            let Some(mut row) = own.map(|row| plan.latest(row)) else {
                plan.change(Change::Tombstone(record, self.me.org().clone()));
                continue;
            };
            copies.extend(self.store.holdings(&record)?);
            row.condition = Condition::Recalled;
            latest = Some(row.id);
            plan.change(Change::Record(Box::new(row)));
            self.flag_built_on(record, record, plan)?;
        }
        for copy in copies.iter().filter(|copy| copy.state == HoldingState::Queued) {
            plan.change(Change::Holding(HoldingRow { state: HoldingState::HeldBack, reasons: ["recalled".to_owned()].into(), since: now, ..copy.clone() }));
        }
        let open: BTreeSet<OrgId> = self.ways(&copies, |copy| may_have(copy.state));
        for org in &open {
            plan.change(Change::Holding(self.copy(recall, org, HoldingState::Queued, BTreeSet::new(), now)));
            plan.change(Change::Queue(org.clone(), Outgoing::Record(recall)));
        }
        if let Some(record) = latest {
            plan.event(Event::Recalled { record, recall, outstanding: open.into_iter().collect() });
        }
        Ok(())
    }

    /// Whether every peer has accepted the recovery, and said that nothing of what it gives back is still to come.
    fn all_came_back(&self) -> StoreResult<bool> {
        let Some(declared) = self.state.recovery.as_ref().and_then(|recovery| recovery.declared) else { return Ok(false) };
        let said: BTreeSet<OrgId> = self.store.statements_about(StatementKind::Notice, &declared)?.into_iter().map(|word| word.org).collect();
        Ok(self.state.peers.keys().all(|peer| said.contains(peer)))
    }

    /// Why something that was begun before the backup waits until every peer has said what it knows of it.
    pub(crate) fn check_settled(&self, row: &RecordRow) -> Result<(), Refusal> {
        let begun_before = self.state.era().is_some_and(|era| row.arrived < era || header_of(row).is_ok_and(|header| header.created < era));
        if !begun_before || self.all_came_back()? {
            return Ok(());
        }
        Err(crate::act::directory::wrong_state(
            format!(
                "{} påbörjades före säkerhetskopian, och kan ha lämnats ut sedan dess: vänta tills alla motnoder har godtagit återställningen och lämnat tillbaka det de har, eller skriv en ny handling",
                row.number
            ),
            format!(
                "{} was begun before the backup, and may have been released since: wait until every peer has accepted the recovery and given back what it has, or write a new record",
                row.number
            ),
        ))
    }
}
