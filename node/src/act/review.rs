//! Review: a second person approves exactly the submitted bytes, or sends them back.

use format::RecordId;
use format::record::Kind;
use policy::access::Pass;
use policy::reason::Reason;

use super::directory::wrong_state;
use crate::command::{Outcome, Refusal};
use crate::entry::Event;
use crate::node::{Node, Plan};
use crate::ports::Store;
use crate::rows::{Change, RecordRow, Stage};

impl<S: Store> Node<S> {
    pub(crate) fn approve(&self, pass: &Pass, record: &RecordId) -> Result<(Outcome, Plan), Refusal> {
        let mut row = self.submitted(pass, record)?;
        if row.kind == Kind::Consent {
            return Err(wrong_state(
                format!("{} anger en nödsituation: pröva den som nödutlämnande", row.number),
                format!("{} states an emergency: release it as one", row.number),
            ));
        }
        row.stage = Stage::Approved;
        row.approved_by = Some(pass.member().to_owned());
        let (number, version) = (row.number.clone(), row.version);
        let mut plan = Plan::default();
        plan.event(Event::Approved { record: *record, number: number.clone(), version });
        plan.change(Change::Record(Box::new(row)));
        Ok((Outcome::Record { record: *record, number, version }, plan))
    }

    pub(crate) fn send_back(&self, pass: &Pass, record: &RecordId, reason: String) -> Result<(Outcome, Plan), Refusal> {
        let mut row = self.submitted(pass, record)?;
        row.stage = Stage::Draft;
        row.submitted_by = None;
        row.sent_back = true;
        let (number, version) = (row.number.clone(), row.version);
        let mut plan = Plan::default();
        plan.event(Event::SentBack { number: number.clone(), version, reason });
        plan.change(Change::Record(Box::new(row)));
        Ok((Outcome::Drafted { number, version }, plan))
    }

    /// A submitted record that the member neither drafted nor submitted.
    pub(crate) fn submitted(&self, pass: &Pass, record: &RecordId) -> Result<RecordRow, Refusal> {
        let row = self.own_record(record)?;
        if row.stage != Stage::Submitted {
            return Err(Refusal::Forbidden(vec![Reason::WrongStage { stage: row.stage }]));
        }
        if row.drafted_by == pass.member() || row.submitted_by.as_deref() == Some(pass.member()) {
            return Err(Refusal::Forbidden(vec![Reason::OwnDraft]));
        }
        Ok(row)
    }

    /// A record of this organisation.
    pub(crate) fn own_record(&self, record: &RecordId) -> Result<RecordRow, Refusal> {
        let row = self.store.record(record)?.filter(|row| row.originator == *self.me.org());
        row.ok_or_else(|| Refusal::NotFound { what: "record", name: record.to_string() })
    }
}
