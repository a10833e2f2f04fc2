//! Review: a second person approves exactly the submitted bytes, or sends them back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use format::RecordId;
use format::record::Kind;
use policy::access::Pass;
use policy::reason::Reason;

use super::directory::wrong_state;
use super::draft::not_found;
use crate::command::{Outcome, Refusal};
use crate::entry::{Entry, Event};
use crate::node::{Node, Plan};
use crate::ports::{Store, StoreError};
use crate::rows::{Change, ContentRow, RecordRow, Stage};
use crate::vault::Part;

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

    pub(crate) fn send_back(&mut self, pass: &Pass, record: &RecordId, reason: &str) -> Result<(Outcome, Plan), Refusal> {
        let mut row = self.submitted(pass, record)?;
        let content = self.store.content(record)?.ok_or_else(|| not_found(&row.number))?;
        let key = self.me.vault.unwrap(&content)?;
        // WHY: it tells of the content, so it is readable as long as the content is, and to whoever may read that.
        let sealed = self.me.vault.seal_piece(&key, Part::Return(&row.number, row.version), reason.as_bytes(), self.entropy.as_mut());
        row.stage = Stage::Draft;
        row.submitted_by = None;
        row.sent_back = true;
        let (number, version) = (row.number.clone(), row.version);
        let mut plan = Plan::default();
        plan.event(Event::SentBack { record: Some(*record), number: number.clone(), version, sealed: Some(STANDARD.encode(sealed)), reason: None });
        plan.change(Change::Record(Box::new(row)));
        Ok((Outcome::Drafted { number, version }, plan))
    }

    /// Why a draft was sent back last; none where it was not, or was so before the reason was kept with the record.
    pub(super) fn sent_back_because(&self, row: &RecordRow, content: &ContentRow) -> Result<Option<String>, Refusal> {
        if !row.sent_back {
            return Ok(None);
        }
        let fault = |why: String| StoreError::Corrupt { what: "reason of sending back", why };
        let entries = self.store.entries_about(&row.id)?;
        let Some(json) = entries.into_iter().rfind(|entry| entry.what == "sent-back").and_then(|entry| entry.json) else { return Ok(None) };
        let entry: Entry = serde_json::from_slice(&json).map_err(|e| fault(e.to_string()))?;
        let Event::SentBack { sealed: Some(sealed), .. } = entry.event else { return Ok(None) };
        let sealed = STANDARD.decode(sealed).map_err(|e| fault(e.to_string()))?;
        let words = self.me.vault.open_piece(&self.me.vault.unwrap(content)?, Part::Return(&row.number, row.version), &sealed)?;
        String::from_utf8(words).map(Some).map_err(|e| fault(e.to_string()).into())
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
