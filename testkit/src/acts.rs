//! Acts: what members think of doing, looking at what their node holds.
//!
//! Each idea comes from the store as it is at that moment and from the world's chance; some are foolish on purpose, for a
//! node must refuse those too. Texts carry a canary, a word that is found again wherever the text went. Nothing here
//! decides whether an act is allowed.

use std::collections::BTreeSet;
use std::rc::Rc;

use fastrand::Rng;
use format::agreement::{Agreement, Form, Onward, PartyRole};
use format::marking::{Caveat, Marking, Tlp};
use format::record::{Kind, Link, Relation};
use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::Command;
use node::act::release;
use node::command::DraftInput;
use node::node::Identity;
use node::ports::{Reader, RecordQuery};
use node::rows::{Condition, RecordRow, Stage};
use store::sqlite::Sqlite;

use crate::chronicle::CANARY;
use crate::federation::{agreement, id, report};
use crate::shelf::Shelf;

/// What a member is about to do.
#[derive(Debug)]
pub struct Act {
    /// The kind, for coverage.
    pub word: &'static str,
    /// Who.
    pub member: String,
    /// About which record the member asked leave.
    pub about: Option<RecordId>,
    /// What.
    pub command: Command,
    /// The record as it was seen, where there is one.
    pub row: Option<RecordRow>,
}

/// How often members think of what, drawn anew for each run.
#[derive(Debug, Clone)]
pub struct Temper {
    weights: Vec<(Idea, u32)>,
    /// In thousandths: a member asks leave about another record than the one acted on.
    pub careless: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idea {
    Draft,
    Edit,
    Attach,
    Discard,
    Submit,
    Approve,
    SendBack,
    Release,
    Correct,
    Recall,
    Ask,
    Answer,
    PassOn,
    Open,
    OpenPiece,
    List,
    Export,
    Propose,
    Sign,
    Expel,
    Withdraw,
}

impl Temper {
    /// Draws a temper: each idea is up to three times as frequent, or as rare, as usual.
    pub fn draw(rng: &mut Rng) -> Self {
        use Idea::{
            Answer, Approve, Ask, Attach, Correct, Discard, Draft, Edit, Expel, Export, List, Open, OpenPiece, PassOn, Propose, Recall, Release, SendBack,
            Sign, Submit, Withdraw,
        };
        let usual = [
            (Draft, 90),
            (Edit, 8),
            (Attach, 20),
            (Discard, 6),
            (Submit, 120),
            (Approve, 120),
            (SendBack, 8),
            (Release, 140),
            (Correct, 50),
            (Recall, 30),
            (Ask, 40),
            (Answer, 70),
            (PassOn, 90),
            (Open, 30),
            (OpenPiece, 20),
            (List, 6),
            (Export, 3),
            (Propose, 4),
            (Sign, 30),
            (Expel, 4),
            (Withdraw, 2),
        ];
        let weights = usual.map(|(idea, weight)| (idea, weight * [1, 2, 2, 3, 6].get(rng.usize(..5)).copied().unwrap_or(2)));
        let mut weights = weights.to_vec();
        if rng.u8(..3) > 0 {
            weights.retain(|(idea, _)| *idea != Withdraw);
        }
        Self { weights, careless: if rng.u8(..4) == 0 { 60 } else { 0 } }
    }

    /// Nobody leaves an agreement, or makes another.
    pub fn stay(&mut self) {
        self.weights.retain(|(idea, _)| !matches!(idea, Idea::Withdraw | Idea::Propose | Idea::Sign | Idea::Expel));
    }

    fn idea(&self, rng: &mut Rng) -> Idea {
        let mut drawn = rng.u32(..self.weights.iter().map(|(_, weight)| weight).sum::<u32>().max(1));
        for (idea, weight) in &self.weights {
            if drawn < *weight {
                return *idea;
            }
            drawn -= weight;
        }
        Idea::Draft
    }
}

/// What a member sees when thinking of something to do.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The world's chance.
    pub rng: &'a mut Rng,
    /// The store as it is now.
    pub store: &'a Sqlite,
    /// What of it is outside.
    pub shelf: &'a Shelf,
    /// The node's organisation.
    pub me: &'a Identity,
    /// Everyone.
    pub orgs: &'a [OrgId],
    /// Agreements by name, with all their parties.
    pub agreements: Vec<Rc<Agreement>>,
    /// The time.
    pub now: Timestamp,
    /// Canaries that were made.
    pub canaries: &'a mut Vec<String>,
}

impl Desk<'_> {
    /// Thinks of something to do.
    pub fn think(&mut self, temper: &Temper) -> Option<Act> {
        for _ in 0..6 {
            let idea = temper.idea(self.rng);
            if let Some(act) = self.follow(idea) {
                return Some(act);
            }
        }
        self.follow(Idea::Draft)
    }

    /// The next step of a record on its way out, by whoever may take it.
    pub fn push_through(&mut self, number: &RecordNumber, version: u32) -> Option<Act> {
        let row = self.store.record_by_number(number, Some(version)).ok().flatten()?;
        let approver = if row.drafted_by == "rolf" { "ruth" } else { "rolf" };
        let (word, member, command) = match row.stage {
            Stage::Draft => ("submit", row.drafted_by.clone(), Command::Submit { number: number.clone(), version }),
            Stage::Submitted => ("approve", approver.to_owned(), Command::Approve { record: row.id }),
            Stage::Approved => ("release", approver.to_owned(), Command::Release { record: row.id }),
            Stage::Released | Stage::Received => return None,
        };
        Some(self.act(word, &member, Some(row), command))
    }

    /// The next piece of an attachment, or its end.
    pub fn attach_to(&mut self, number: &RecordNumber, version: u32) -> Option<Act> {
        let row = self.store.record_by_number(number, Some(version)).ok().flatten().filter(|row| row.stage == Stage::Draft)?;
        let command = self.attach(&row);
        let member = row.drafted_by.clone();
        Some(self.act("attach", &member, Some(row), command))
    }

    /// A recall of this record.
    pub fn recall(&mut self, number: &RecordNumber) -> Option<Act> {
        let command = Command::Recall { number: number.clone(), reason: format!("all of it {}", self.canary()) };
        Some(self.act("recall", "rolf", None, command))
    }

    fn follow(&mut self, idea: Idea) -> Option<Act> {
        match idea {
            Idea::Draft => self.draft(),
            Idea::Edit => self.on_draft("edit", |desk, row| {
                let input = desk.input(None)?;
                Some(Command::Edit { number: row.number.clone(), version: row.version, input: Box::new(input) })
            }),
            Idea::Discard => self.on_draft("discard", |_, row| Some(Command::Discard { number: row.number.clone(), version: row.version })),
            Idea::Submit => self.on_draft("submit", |_, row| Some(Command::Submit { number: row.number.clone(), version: row.version })),
            Idea::Attach => self.on_draft("attach", |desk, row| Some(desk.attach(row))),
            Idea::Approve => self.on_own(Stage::Submitted, "approve", |_, row| Some(Command::Approve { record: row.id })),
            Idea::SendBack => {
                self.on_own(Stage::Submitted, "send-back", |_, row| Some(Command::SendBack { record: row.id, reason: "another word, please".to_owned() }))
            }
            Idea::Release => self.on_own(Stage::Approved, "release", |_, row| Some(Command::Release { record: row.id })),
            Idea::Correct => self.on_released("correct", |desk, row| {
                let mut input = desk.input(Some(row))?;
                input.content.reason = Some(format!("it was wrong {}", desk.canary()));
                Some(Command::Correct { number: row.number.clone(), input: Box::new(input) })
            }),
            Idea::Recall => {
                self.on_released("recall", |desk, row| Some(Command::Recall { number: row.number.clone(), reason: format!("taken back {}", desk.canary()) }))
            }
            Idea::Ask => self.on_received("ask-consent", |desk, row| {
                let recipient = desk.somebody()?;
                Some(Command::AskConsent { record: row.id, recipient, reason: format!("they need it {}", desk.canary()) })
            }),
            Idea::PassOn => self.on_received("pass-on", |desk, row| {
                let to = desk.wanted(row).or_else(|| desk.somebody())?;
                Some(Command::PassOn { record: row.id, to })
            }),
            Idea::Open => self.open(),
            Idea::Answer => self.answer(),
            Idea::OpenPiece => {
                let query = RecordQuery { limit: 60, ..RecordQuery::default() };
                let attached = |row: &RecordRow| release::header_of(row).is_ok_and(|header| !header.attachments.is_empty());
                let row = self.one(&query, |row| row.stage >= Stage::Released && attached(row))?;
                let command = Command::OpenPiece { record: row.id, attachment: 0, index: 0 };
                Some(self.act("open-piece", "lena", Some(row), command))
            }
            Idea::List => Some(self.act("list", "lena", None, Command::List(Box::new(RecordQuery { limit: 20, ..RecordQuery::default() })))),
            Idea::Export => Some(self.act("export-ledger", "osk", None, Command::ExportLedger)),
            Idea::Propose => self.propose(),
            Idea::Sign => self.sign(),
            Idea::Expel => self.expel(),
            Idea::Withdraw => {
                let chosen = self.rng.choice(&self.agreements)?.id.clone();
                Some(self.act("withdraw", "rolf", None, Command::Withdraw { id: chosen }))
            }
        }
    }

    #[expect(clippy::unused_self, reason = "reads like the others")]
    fn act(&self, word: &'static str, member: &str, row: Option<RecordRow>, command: Command) -> Act {
        Act { word, member: member.to_owned(), about: row.as_ref().map(|row| row.id), command, row }
    }

    fn canary(&mut self) -> String {
        let canary = format!("{CANARY}{:032x}", self.rng.u128(..));
        self.canaries.push(canary.clone());
        canary
    }

    fn somebody(&mut self) -> Option<OrgId> {
        let others: Vec<&OrgId> = self.orgs.iter().filter(|org| *org != self.me.org()).collect();
        self.rng.choice(others).cloned()
    }

    /// Somebody for whom consent to this record was given.
    fn wanted(&mut self, row: &RecordRow) -> Option<OrgId> {
        let consents = self.store.linking_to(&row.id).ok()?;
        let audiences = consents.iter().filter(|row| row.kind == Kind::Consent).filter_map(|row| release::header_of(row).ok());
        let all: Vec<OrgId> = audiences.flat_map(|header| header.audience).filter(|org| org != self.me.org() && *org != row.originator).collect();
        self.rng.choice(all)
    }

    fn rows(&self, query: &RecordQuery) -> Vec<RecordRow> {
        self.store.records(query).unwrap_or_default().into_iter().map(|(_, row)| row).collect()
    }

    fn one(&mut self, query: &RecordQuery, fits: impl Fn(&RecordRow) -> bool) -> Option<RecordRow> {
        let rows: Vec<RecordRow> = self.rows(query).into_iter().filter(fits).collect();
        self.rng.choice(rows)
    }

    fn on_draft(&mut self, word: &'static str, command: impl FnOnce(&mut Self, &RecordRow) -> Option<Command>) -> Option<Act> {
        let row = self.one(&RecordQuery { stage: Some(Stage::Draft), limit: 12, ..RecordQuery::default() }, |_| true)?;
        let command = command(self, &row)?;
        let member = if self.rng.u8(..30) == 0 { "lena".to_owned() } else { row.drafted_by.clone() };
        Some(Act { word, member, about: Some(row.id), command, row: Some(row) })
    }

    fn on_own(&mut self, stage: Stage, word: &'static str, command: impl FnOnce(&mut Self, &RecordRow) -> Option<Command>) -> Option<Act> {
        let row = self.one(&RecordQuery { stage: Some(stage), limit: 12, ..RecordQuery::default() }, |_| true)?;
        let command = command(self, &row)?;
        // The other release officer is the one who also drafts.
        let member = if self.rng.u8(..4) == 0 { "ruth" } else { "rolf" };
        Some(Act { word, member: member.to_owned(), about: Some(row.id), command, row: Some(row) })
    }

    fn on_released(&mut self, word: &'static str, command: impl FnOnce(&mut Self, &RecordRow) -> Option<Command>) -> Option<Act> {
        let query = RecordQuery { stage: Some(Stage::Released), limit: 20, ..RecordQuery::default() };
        let row = self.one(&query, |row| row.kind.carries_information() && row.condition == Condition::Current)?;
        let command = command(self, &row)?;
        let member = if word == "correct" { "anna" } else { "rolf" };
        let about = if word == "correct" { None } else { Some(row.id) };
        Some(Act { word, member: member.to_owned(), about, command, row: Some(row) })
    }

    fn on_received(&mut self, word: &'static str, command: impl FnOnce(&mut Self, &RecordRow) -> Option<Command>) -> Option<Act> {
        let query = RecordQuery { stage: Some(Stage::Received), limit: 30, ..RecordQuery::default() };
        let any = self.rng.u8(..12) == 0;
        let row = self.one(&query, |row| any || (row.kind.carries_information() && row.condition == Condition::Current))?;
        let command = command(self, &row)?;
        Some(Act { word, member: "rolf".to_owned(), about: Some(row.id), command, row: Some(row) })
    }

    fn open(&mut self) -> Option<Act> {
        let stage = if self.rng.u8(..4) == 0 { Stage::Released } else { Stage::Received };
        let row = self.one(&RecordQuery { stage: Some(stage), limit: 30, ..RecordQuery::default() }, |_| true)?;
        let command = Command::Open { record: row.id };
        Some(self.act("open", "lena", Some(row), command))
    }

    fn answer(&mut self) -> Option<Act> {
        let query = RecordQuery { stage: Some(Stage::Received), kind: Some(Kind::Consent), limit: 20, ..RecordQuery::default() };
        let row = self.one(&query, |_| true)?;
        if self.store.linking_to(&row.id).ok()?.iter().any(|row| row.originator == *self.me.org()) && self.rng.u8(..8) > 0 {
            return None;
        }
        let grant = self.rng.u8(..5) > 0;
        let expires = (grant && self.rng.u8(..4) == 0).then(|| self.now.plus_ms(self.rng.i64(10_000..4_000_000)));
        let command = Command::AnswerConsent { ask: row.id, grant, reason: format!("weighed {}", self.canary()), expires };
        Some(self.act("answer-consent", "rolf", Some(row), command))
    }

    fn draft(&mut self) -> Option<Act> {
        let input = self.input(None)?;
        let member = ["anna", "lena", "ruth"].get(self.rng.usize(..3)).copied().unwrap_or("anna");
        Some(self.act("draft", member, None, Command::Draft(Box::new(input))))
    }

    /// What an author gives. Mostly for parties, now and then for somebody who is not.
    fn input(&mut self, corrects: Option<&RecordRow>) -> Option<DraftInput> {
        let mine: Vec<Rc<Agreement>> = self.agreements.iter().filter(|agreement| agreement.party(self.me.org()).is_some()).cloned().collect();
        let chosen = match corrects {
            Some(row) => mine.into_iter().find(|agreement| agreement.id == row.agreement)?,
            None => self.rng.choice(mine)?,
        };
        let mut audience: BTreeSet<&OrgId> = chosen.parties.iter().map(|party| &party.org).filter(|org| *org != self.me.org()).collect();
        if audience.len() > 1 {
            audience.retain(|_| self.rng.u8(..3) > 0);
        }
        let stranger = self.somebody()?;
        if audience.is_empty() || self.rng.u8(..8) == 0 {
            audience.insert(&stranger);
        }
        let canary = self.canary();
        let audience: Vec<&OrgId> = audience.into_iter().collect();
        let mut input = report(chosen.id.as_str(), &audience, &canary);
        input.kind = [Kind::Report, Kind::Report, Kind::Lesson, Kind::Alert].get(self.rng.usize(..4)).copied().unwrap_or(Kind::Report);
        input.retention_days = Some([1, 2, 9, 30, 30].get(self.rng.usize(..5)).copied().unwrap_or(30));
        input.marking = self.marking();
        if self.rng.u8(..4) == 0
            && let Some(source) = self.one(&RecordQuery { limit: 20, ..RecordQuery::default() }, |row| row.stage >= Stage::Released)
        {
            input.links = vec![Link { relation: Relation::BasedOn, to: source.id }];
        }
        Some(input)
    }

    fn marking(&mut self) -> Marking {
        let classification = ["se:open", "se:k", "se:k", "se:h"].get(self.rng.usize(..4)).copied().unwrap_or("se:k");
        let tlp = match self.rng.u8(..12) {
            0 => Tlp::Amber,
            1 => Tlp::AmberStrict,
            2 => Tlp::Red,
            3..=5 => Tlp::Clear,
            _ => Tlp::Green,
        };
        let mut marking = Marking::new(known(classification), tlp);
        if self.rng.u8(..12) == 0 {
            marking.caveats.insert(Caveat::OriginatorControl);
        }
        if self.rng.u8(..16) == 0 {
            marking.caveats.insert(Caveat::NationalOnly);
        }
        if self.rng.u8(..12) == 0 {
            let all: BTreeSet<OrgId> = self.orgs.iter().filter(|_| self.rng.bool()).cloned().collect();
            marking.releasable_to = Some(all).filter(|list| !list.is_empty());
        }
        marking
    }

    fn attach(&mut self, row: &RecordRow) -> Command {
        let header = release::header_of(row).ok();
        let waiting = header.map_or(0, |header| header.attachments.len());
        let place = (row.number.clone(), row.version);
        let leaves = self.store.piece_leaves(&place, u32::try_from(waiting).unwrap_or(0)).unwrap_or_default();
        if let Some((index, _)) = leaves.last_key_value() {
            let last = self.store.piece(&place, u32::try_from(waiting).unwrap_or(0), *index).ok().flatten();
            // A ciphertext is its plaintext with a nonce of 12 bytes and a tag of 16.
            let length = last.map_or(1, |piece| match piece.object {
                Some(name) => self.shelf.size(&name) as u64 - 28,
                None => piece.ciphertext.len() as u64 - 28,
            });
            if length == format::attachment::PIECE as u64 && *index == 0 {
                let bytes = self.bytes(300);
                return Command::AttachPiece { number: row.number.clone(), version: row.version, index: 1, bytes, placed: None };
            }
            let size = index * format::attachment::PIECE as u64 + length;
            let name = format!("{}.txt", self.canary());
            return Command::AttachEnd { number: row.number.clone(), version: row.version, name, media_type: "text/plain".to_owned(), size };
        }
        let size = if self.rng.u8(..24) == 0 { format::attachment::PIECE } else { self.rng.usize(60..900) };
        let bytes = self.bytes(size);
        Command::AttachPiece { number: row.number.clone(), version: row.version, index: 0, bytes, placed: None }
    }

    fn bytes(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = self.canary().into_bytes();
        bytes.resize(size, b'.');
        bytes
    }

    fn propose(&mut self) -> Option<Act> {
        let name = format!("avtal-{}", self.rng.u32(100..));
        let other = self.somebody()?;
        let mut agreement = generate(self.rng, &name, &[self.me.org(), &other]);
        agreement.proposed = self.now;
        agreement.valid_from = self.now;
        Some(self.act("propose-agreement", "lena", None, Command::ProposeAgreement(Box::new(agreement))))
    }

    /// A new version of an agreement of several, without one of its parties.
    fn expel(&mut self) -> Option<Act> {
        let mine = |agreement: &&Rc<Agreement>| agreement.parties.len() > 2 && agreement.party(self.me.org()).is_some();
        let several: Vec<Rc<Agreement>> = self.agreements.iter().filter(mine).cloned().collect();
        let before = self.rng.choice(several)?;
        let newest = self.agreements.iter().filter(|agreement| agreement.id == before.id).map(|agreement| agreement.version).max()?;
        let others: Vec<&OrgId> = before.parties.iter().map(|party| &party.org).filter(|org| *org != self.me.org()).collect();
        let out = (*self.rng.choice(&others)?).clone();
        let mut next = Agreement::clone(&before);
        next.parties.retain(|party| party.org != out);
        next.form = if next.parties.len() == 2 { Form::Bilateral } else { next.form };
        next.version = newest + 1;
        next.supersedes = Some(Digest::of(&serde_json::to_vec(before.as_ref()).ok()?));
        next.proposed_by = self.me.org().clone();
        next.proposed = self.now;
        Some(self.act("expel", "lena", None, Command::ProposeAgreement(Box::new(next))))
    }

    fn sign(&mut self) -> Option<Act> {
        // Mostly what is new, for the rest is signed already.
        let later: Vec<&Rc<Agreement>> = self.agreements.iter().filter(|agreement| agreement.version > 1 && agreement.party(self.me.org()).is_some()).collect();
        let chosen =
            if self.rng.u8(..4) > 0 { self.rng.choice(later).or_else(|| self.rng.choice(&self.agreements)) } else { self.rng.choice(&self.agreements) }?;
        let command = Command::SignAgreement { id: chosen.id.clone(), version: chosen.version };
        Some(self.act("sign-agreement", "rolf", None, command))
    }
}

/// A known code.
fn known(classification: &str) -> format::marking::Classification {
    id(classification)
}

/// An agreement between these, with terms drawn by chance.
#[must_use]
pub fn generate(rng: &mut Rng, name: &str, parties: &[&OrgId]) -> Agreement {
    let onward = match rng.u8(..8) {
        0 => Onward::Never,
        1..=3 => Onward::Consent,
        4..=5 => Onward::Within,
        _ => Onward::Free,
    };
    let mut agreement = agreement(name, parties, onward);
    if rng.u8(..6) == 0 {
        agreement.terms.kinds.remove(&Kind::Lesson);
    }
    if rng.u8(..6) == 0 {
        agreement.terms.ceiling = known("se:k");
    }
    if rng.u8(..4) == 0 {
        agreement.terms.longest_retention_days = 10;
    }
    agreement.terms.four_eyes = rng.u8(..5) > 0;
    if rng.u8(..8) == 0 {
        agreement.valid_until = Some(agreement.valid_from.plus_ms(rng.i64(3_600_000..20 * 86_400_000)));
    }
    if parties.len() > 2 && rng.u8(..3) == 0 {
        let observer = rng.usize(..agreement.parties.len());
        let proposer = agreement.proposed_by.clone();
        if let Some(party) = agreement.parties.get_mut(observer).filter(|party| party.org != proposer) {
            party.role = PartyRole::Observer;
        }
    }
    agreement
}
