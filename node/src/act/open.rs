//! Opening: a member reads a record, after the ledger entry that says so.

use format::RecordId;
use policy::access::{Pass, Permission};

use super::directory::wrong_state;
use crate::command::{Outcome, RecordView, Refusal};
use crate::entry::Event;
use crate::node::{Node, Plan};
use crate::objects::{Kept, open_piece};
use crate::planted::{Bug, planted};
use crate::ports::{MAX_PAGE, RecordQuery, Store};
use crate::released::{Recipient, Released};
use crate::rows::{RecordRow, Stage};
use crate::vault::Part;

fn to_member<T>(pass: &Pass, value: T) -> Released<T> {
    Released::new(Recipient::Member(pass.member().to_owned()), value)
}

impl<S: Store> Node<S> {
    pub(crate) fn open_record(&self, pass: &Pass, record: &RecordId) -> Result<(Outcome, Plan), Refusal> {
        let row = self.readable(pass, record)?;
        self.check_open(&row)?;
        let mut plan = Plan::default();
        if !planted(Bug::OpenedUnwritten) {
            plan.event(Event::Opened { record: *record, purpose: pass.purpose().cloned() });
        }
        let mut view = self.view(row)?;
        if let Some(content) = self.store.content(record)? {
            view.sent_back_because = self.sent_back_because(&view.row, &content)?;
        }
        view.revoked_later = self.revoked_after(&view.row.originator, view.row.arrived)?;
        Ok((Outcome::Opened(Box::new(to_member(pass, view))), plan))
    }

    pub(crate) fn open_piece(&self, pass: &Pass, record: &RecordId, attachment: u32, index: u64) -> Result<(Outcome, Plan), Refusal> {
        let row = self.readable(pass, record)?;
        self.check_open(&row)?;
        let missing = || Refusal::NotFound { what: "piece of an attachment", name: format!("{attachment}/{index}") };
        let content = self.store.content(record)?.ok_or_else(missing)?;
        let piece = self.store.piece(&(row.number.clone(), row.version), attachment, index)?.ok_or_else(missing)?;
        let kept = open_piece(&self.me, &content, &piece)?;
        let mut plan = Plan::default();
        if index == 0 {
            plan.event(Event::Opened { record: *record, purpose: pass.purpose().cloned() });
        }
        let outcome = match kept {
            Kept::Bytes(bytes) => Outcome::Piece(to_member(pass, bytes)),
            Kept::Object(object) => Outcome::PieceAway(to_member(pass, object)),
        };
        Ok((outcome, plan))
    }

    pub(crate) fn list(&self, pass: &Pass, query: &RecordQuery) -> Result<(Outcome, Plan), Refusal> {
        let mut query = query.clone();
        query.limit = query.limit.clamp(1, MAX_PAGE);
        let mut rows = Vec::new();
        for (place, row) in self.store.records(&query)? {
            // A draft is its author's until it is put before others.
            if row.stage != Stage::Draft || row.drafted_by == pass.member() {
                rows.push((place, self.view(row)?));
            }
        }
        let words = [
            query.stage.map(|stage| format!("stage={stage}")),
            query.kind.map(|kind| format!("kind={kind}")),
            query.originator.as_ref().map(|org| format!("originator={org}")),
            query.flagged.then(|| "flagged".to_owned()),
        ];
        let mut plan = Plan::default();
        plan.event(Event::Listed { query: words.into_iter().flatten().collect::<Vec<_>>().join(" "), purpose: pass.purpose().cloned() });
        Ok((Outcome::Listed(to_member(pass, rows)), plan))
    }

    pub(crate) fn export_ledger(&self) -> (Outcome, Plan) {
        let entries = self.state.frontier.size() + 1;
        let mut plan = Plan::default();
        plan.event(Event::LedgerExported { entries });
        (Outcome::Exported(entries), plan)
    }

    /// A record that a pass lets its member read: drafts with one permission, everything else with the other.
    fn readable(&self, pass: &Pass, record: &RecordId) -> Result<RecordRow, Refusal> {
        let row = self.store.record(record)?.filter(|row| {
            let draft = matches!(row.stage, Stage::Draft | Stage::Submitted | Stage::Approved);
            draft == (pass.permission() == Permission::ReadDraft)
        });
        row.ok_or_else(|| Refusal::NotFound { what: "record", name: record.to_string() })
    }

    /// Whether a record stays closed: it came from a peer that has not yet said what it took back since the backup.
    pub(crate) fn closed(&self, row: &RecordRow) -> bool {
        row.stage == Stage::Received && row.from.as_ref().is_some_and(|from| self.state.awaits(from))
    }

    pub(crate) fn check_open(&self, row: &RecordRow) -> Result<(), Refusal> {
        if !self.closed(row) {
            return Ok(());
        }
        Err(wrong_state(
            format!("{} kan ha återkallats efter säkerhetskopian: den öppnas när utbytet med den som lämnade den fortsätter", row.number),
            format!("{} may have been recalled after the backup: it is opened when exchange with whoever handed it over goes on", row.number),
        ))
    }

    fn view(&self, row: RecordRow) -> Result<RecordView, Refusal> {
        let content = if self.closed(&row) { None } else { self.store.content(&row.id)? };
        let content = content.map(|sealed| self.me.vault.open(Part::Content(&row.number, row.version), &sealed)).transpose()?;
        let emergency = match &row.from {
            Some(from) if *from != row.originator => super::emergency::notice(&self.store, &row.id, from, self.me.org())?.map(|_| from.clone()),
            _ => None,
        };
        Ok(RecordView { row, content, sent_back_because: None, emergency, revoked_later: None })
    }
}
