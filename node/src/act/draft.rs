//! Drafts: written, attached to, changed, given up.
//!
//! A draft already has the header that it will be submitted with, so that what people see is what will be signed; its
//! id changes whenever it does. Attachments come in pieces, in order, and are encrypted as they come.

use std::collections::BTreeSet;

use format::attachment::{AttachmentRef, MAX_SIZE, PIECE};
use format::record::{AgreementRef, AttachmentName, Content, Header, Kind, MAX_ATTACHMENTS, Salted, TextContent};
use format::verify;
use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp, json, stix};
use policy::access::Pass;
use policy::reason::Reason;

use super::agreement::report;
use super::directory::{invalid, wrong_state};
use super::release::header_of;
use crate::command::{DraftInput, Outcome, Refusal};
use crate::entry::Event;
use crate::exchange::Leaves;
use crate::node::{Node, Plan};
use crate::objects::{Placed, seal_piece};
use crate::ports::Store;
use crate::rows::{Change, Condition, ContentRow, RecordRow, Stage};
use crate::vault::Part;

/// The most characters in a title.
const MAX_TITLE: usize = 300;

impl<S: Store> Node<S> {
    pub(crate) fn draft(&mut self, pass: &Pass, input: &DraftInput, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        if !matches!(input.kind, Kind::Report | Kind::Lesson | Kind::Alert) {
            return Err(invalid("kind", "a draft is a report, a lesson or an alert"));
        }
        let mut plan = Plan::default();
        let number = self.next_number(&mut plan, now);
        self.begin(pass, input, (number, 1, None), plan, now)
    }

    /// A correction is drafted like any record: it becomes the next version of the one it corrects.
    pub(crate) fn correct(&mut self, pass: &Pass, number: &RecordNumber, input: &DraftInput, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let versions = self.store.versions(number)?;
        let latest = versions.last().filter(|row| row.originator == *self.me.org()).ok_or_else(|| not_found(number))?;
        if latest.stage != Stage::Released {
            return Err(wrong_state(
                format!("version {} av {number} skrivs redan", latest.version),
                format!("version {} of {number} is being written already", latest.version),
            ));
        }
        if latest.condition != Condition::Current {
            return Err(wrong_state(
                format!("{number} är återkallad, eller så har gallringstiden gått ut: skriv en ny handling"),
                format!("{number} was recalled, or its retention has ended: write a new record"),
            ));
        }
        self.check_settled(latest)?;
        if input.content.reason.as_deref().unwrap_or_default().trim().is_empty() {
            return Err(invalid("reason", "a correction says why"));
        }
        let mut input = input.clone();
        input.kind = Kind::Correction;
        // A correction follows every copy of what it corrects, whoever the author thinks of.
        for row in &versions {
            input.audience.extend(header_of(row)?.audience);
            let copies = self.store.holdings(&row.id)?;
            input.audience.extend(copies.into_iter().filter(|copy| super::who_has::may_have(copy.state)).map(|copy| copy.holder));
        }
        let (version, supersedes) = (latest.version + 1, Some(latest.id));
        self.begin(pass, &input, (number.clone(), version, supersedes), Plan::default(), now)
    }

    fn begin(
        &mut self,
        pass: &Pass,
        input: &DraftInput,
        (number, version, supersedes): (RecordNumber, u32, Option<RecordId>),
        mut plan: Plan,
        now: Timestamp,
    ) -> Result<(Outcome, Plan), Refusal> {
        let mut text = input.content.clone();
        text.attachments = Vec::new();
        let mut salt = [0; 32];
        self.entropy.fill(&mut salt);
        let content = write_text(&text, salt)?;
        let header = self.header(input, &number, version, supersedes, &content, Vec::new(), now)?;
        let payload = payload(&header)?;
        let (sealed, _) = self.me.vault.seal(Part::Content(&number, version), &content, self.entropy.as_mut());
        let row = RecordRow {
            id: RecordId(Digest::of(&payload)),
            header: payload,
            signatures: None,
            kind: header.kind,
            originator: header.originator,
            number: number.clone(),
            version,
            agreement: header.agreement.id,
            created: header.created,
            retain_until: header.retain_until,
            stage: Stage::Draft,
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
        plan.event(Event::Drafted { number: number.clone(), version });
        plan.change(Change::NewRecord(Box::new(row), Some(sealed)));
        Ok((Outcome::Drafted { number, version }, plan))
    }

    pub(crate) fn edit(&mut self, pass: &Pass, number: &RecordNumber, version: u32, input: &DraftInput, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let (row, content, before) = self.own_draft(pass, number, version)?;
        let was = header_of(&row)?;
        let mut input = input.clone();
        if was.version > 1 {
            input.kind = Kind::Correction;
            input.audience.extend(was.audience.iter().cloned());
        }
        let mut text = input.content.clone();
        text.attachments = before.attachments;
        let content = write_text(&text, content.salt)?;
        let header = self.header(&input, number, version, was.supersedes, &content, was.attachments, now)?;
        let mut plan = Plan::default();
        plan.event(Event::Drafted { number: number.clone(), version });
        self.replace_draft(row, &header, &content, &mut plan)?;
        Ok((Outcome::Drafted { number: number.clone(), version }, plan))
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of the command")]
    pub(crate) fn attach_piece(
        &mut self,
        pass: &Pass,
        number: &RecordNumber,
        version: u32,
        index: u64,
        bytes: &[u8],
        placed: Option<&Placed>,
        now: Timestamp,
    ) -> Result<(Outcome, Plan), Refusal> {
        if bytes.is_empty() || bytes.len() > PIECE || index >= MAX_SIZE / PIECE as u64 {
            return Err(invalid("piece", "it is 1 byte to 1 MiB, and an attachment is at most 4 GiB"));
        }
        let (row, content, text) = self.own_draft(pass, number, version)?;
        let attachment = u32::try_from(text.attachments.len()).unwrap_or(u32::MAX);
        if text.attachments.len() >= MAX_ATTACHMENTS {
            return Err(invalid("attachment", format!("a record has at most {MAX_ATTACHMENTS}")));
        }
        let sealed = self.sealed(&row)?;
        let piece = seal_piece(&self.me, &sealed, &row, (attachment, index), (&content.salt, bytes), placed, self.entropy.as_mut(), now)?;
        let mut plan = Plan::default();
        plan.change(Change::Piece(piece));
        Ok((Outcome::Done, plan))
    }

    pub(crate) fn attach_end(
        &mut self,
        pass: &Pass,
        number: &RecordNumber,
        version: u32,
        name: String,
        media_type: String,
        size: u64,
    ) -> Result<(Outcome, Plan), Refusal> {
        if !is_label(&name, 200) || !is_label(&media_type, 100) {
            return Err(invalid("attachment", "its name is 1 to 200 characters, its media type 1 to 100, without control characters"));
        }
        let (row, content, mut text) = self.own_draft(pass, number, version)?;
        let attachment = u32::try_from(text.attachments.len()).unwrap_or(u32::MAX);
        let mut leaves = self.store.piece_leaves(&(number.clone(), version), attachment)?;
        let pieces = size.div_ceil(PIECE as u64);
        // Pieces past the end are left over from an upload that was broken off.
        leaves.retain(|index, _| *index < pieces);
        if size == 0 || leaves.len() as u64 != pieces {
            return Err(invalid("attachment", format!("{} of {pieces} pieces are here: send it again", leaves.len())));
        }
        let leaves: Vec<_> = leaves.into_values().collect();
        let reference = AttachmentRef { size, root: Digest::from(Leaves(&leaves).root()) };
        let mut header = header_of(&row)?;
        header.attachments.push(reference);
        text.attachments.push(AttachmentName { name, media_type });
        let content = write_text(&text, content.salt)?;
        header.content = content.reference();
        let mut plan = Plan::default();
        plan.event(Event::Attached { number: number.clone(), version, attachment, size, root: reference.root });
        self.replace_draft(row, &header, &content, &mut plan)?;
        Ok((Outcome::Drafted { number: number.clone(), version }, plan))
    }

    pub(crate) fn discard(&self, pass: &Pass, number: &RecordNumber, version: u32) -> Result<(Outcome, Plan), Refusal> {
        self.own_draft(pass, number, version)?;
        let mut plan = Plan::default();
        plan.event(Event::Discarded { number: number.clone(), version });
        plan.change(Change::DiscardDraft(number.clone(), version));
        Ok((Outcome::Done, plan))
    }

    pub(crate) fn submit(&self, pass: &Pass, number: &RecordNumber, version: u32, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let (mut row, _, _) = self.own_draft(pass, number, version)?;
        let mut header = header_of(&row)?;
        let kept_for = header.retain_until.as_ms().saturating_sub(header.created.as_ms());
        header.created = now;
        header.retain_until = now.plus_ms(kept_for);
        row.header = payload(&header)?;
        row.id = RecordId(Digest::of(&row.header));
        row.created = header.created;
        row.retain_until = header.retain_until;
        row.stage = Stage::Submitted;
        row.submitted_by = Some(pass.member().to_owned());
        row.approved_by = None;
        row.sent_back = false;
        let record = row.id;
        let mut plan = Plan::default();
        plan.event(Event::Submitted { record, number: number.clone(), version });
        plan.change(Change::Record(Box::new(row)));
        Ok((Outcome::Record { record, number: number.clone(), version }, plan))
    }

    /// The next number of this organisation in the year of `now`.
    pub(crate) fn next_number(&self, plan: &mut Plan, now: Timestamp) -> RecordNumber {
        let year = now.year();
        let serial = self.state.serials.get(&year).copied().unwrap_or(0) + 1;
        plan.change(Change::Serial(year, serial));
        RecordNumber::new(&self.me.short, year, serial)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of the header that the input does not have")]
    fn header(
        &self,
        input: &DraftInput,
        number: &RecordNumber,
        version: u32,
        supersedes: Option<RecordId>,
        content: &Salted,
        attachments: Vec<AttachmentRef>,
        now: Timestamp,
    ) -> Result<Header, Refusal> {
        let known = self
            .state
            .directory
            .agreements()
            .current(&input.agreement, now)
            .ok_or_else(|| Refusal::NotFound { what: "agreement in force", name: input.agreement.to_string() })?;
        let agreement = &known.accord().agreement;
        let days = input.retention_days.unwrap_or(agreement.terms.longest_retention_days);
        let audience: BTreeSet<OrgId> = input.audience.iter().filter(|org| *org != self.me.org()).cloned().collect();
        Ok(Header {
            kind: input.kind,
            originator: self.me.org().clone(),
            number: number.clone(),
            version,
            supersedes,
            agreement: AgreementRef { id: agreement.id.clone(), version: agreement.version },
            audience: audience.into_iter().collect(),
            marking: input.marking.clone(),
            grading: input.grading,
            purpose: input.purpose.clone(),
            legal_basis: input.legal_basis.clone(),
            categories: input.categories.clone(),
            language: input.language.clone(),
            created: now,
            retain_until: now.plus_days(days),
            links: input.links.clone(),
            content: content.reference(),
            attachments,
        })
    }

    fn own_draft(&self, pass: &Pass, number: &RecordNumber, version: u32) -> Result<(RecordRow, Salted, TextContent), Refusal> {
        let row = self.store.record_by_number(number, Some(version))?.filter(|row| row.originator == *self.me.org()).ok_or_else(|| not_found(number))?;
        if row.drafted_by != pass.member() {
            return Err(Refusal::Forbidden(vec![Reason::NotOwnDraft]));
        }
        if row.stage != Stage::Draft {
            return Err(Refusal::Forbidden(vec![Reason::WrongStage { stage: row.stage }]));
        }
        let content = self.me.vault.open(Part::Content(number, version), &self.sealed(&row)?)?;
        match Content::parse(row.kind, &content.bytes) {
            Ok(Content::Text(text)) => Ok((row, content, text)),
            _ => Err(wrong_state(format!("{number} är inget utkast med text"), format!("{number} is not a draft with text"))),
        }
    }

    fn sealed(&self, row: &RecordRow) -> Result<ContentRow, Refusal> {
        self.store.content(&row.id)?.ok_or_else(|| not_found(&row.number))
    }

    fn replace_draft(&mut self, mut row: RecordRow, header: &Header, content: &Salted, plan: &mut Plan) -> Result<(), Refusal> {
        let sealed = self.sealed(&row)?;
        let key = self.me.vault.unwrap(&sealed)?;
        let ciphertext = self.me.vault.seal_under(&key, Part::Content(&row.number, row.version), content, self.entropy.as_mut());
        row.header = payload(header)?;
        row.id = RecordId(Digest::of(&row.header));
        row.kind = header.kind;
        row.agreement = header.agreement.id.clone();
        row.created = header.created;
        row.retain_until = header.retain_until;
        let id = row.id;
        plan.change(Change::Record(Box::new(row)));
        plan.change(Change::Content(id, ContentRow { wrapped_key: sealed.wrapped_key, ciphertext }));
        Ok(())
    }
}

pub(super) fn payload(header: &Header) -> Result<Vec<u8>, Refusal> {
    verify::to_payload(header).map_err(|e| invalid("record", report(&e)))
}

/// Writes content and reads it back through the gate that a receiver will use.
fn write_text(text: &TextContent, salt: [u8; 32]) -> Result<Salted, Refusal> {
    if !is_label(&text.title, MAX_TITLE) {
        return Err(invalid("title", "it is 1 to 300 characters without control characters"));
    }
    if let Some(bundle) = &text.stix {
        stix::summary(bundle.get().as_bytes()).map_err(|e| invalid("stix", report(&e)))?;
    }
    let bytes = serde_json::to_vec(text).map_err(|e| invalid("content", e))?;
    json::check(&bytes, &json::Budget::BODY).map_err(|e| invalid("content", e))?;
    Ok(Salted { salt, bytes })
}

fn is_label(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control)
}

pub(super) fn not_found(number: &RecordNumber) -> Refusal {
    Refusal::NotFound { what: "record", name: number.to_string() }
}
