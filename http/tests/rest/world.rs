//! One node in the middle of its work, made once and copied for each test that changes it.

use std::path::Path;
use std::sync::OnceLock;

use format::agreement::Onward;
use format::attachment::PIECE;
use format::{Digest, OrgId, RecordId, RecordNumber};
use node::ports::Reader;
use node::{Command, Node, Outcome};
use policy::access::Role;
use samverkan_http::access::Password;
use store::sqlite::Sqlite;
use tempfile::TempDir;
use testkit::federation::{Federation, Organisation, act, agreement, approved, beginning, id, put_through, release_record, report};

/// A member for each role, in the order of the roles.
pub(crate) const MEMBERS: [(&str, Role); 7] = [
    ("anna", Role::Analyst),
    ("lena", Role::Liaison),
    ("rolf", Role::ReleaseOfficer),
    ("tove", Role::TipDesk),
    ("sven", Role::Secretary),
    ("osk", Role::Auditor),
    ("ada", Role::Administrator),
];

/// The password of `anna`; the others have none.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// What the attachment that came from elsewhere holds, besides a whole piece.
pub(crate) const TAIL: &[u8] = b"the end of a received attachment";

/// What is on the node, by the names that tests use.
pub(crate) struct World {
    folder: TempDir,
    /// Drafts of `anna`, `lena`, `tove` and `sven`.
    pub(crate) drafts: Vec<(&'static str, RecordNumber)>,
    /// Drafted and submitted by `anna`.
    pub(crate) submitted: (RecordId, RecordNumber),
    /// Drafted and submitted by `anna`, approved by `rolf`.
    pub(crate) approved: (RecordId, RecordNumber),
    /// The same, released to `dk-pet`.
    pub(crate) released: (RecordId, RecordNumber),
    /// From `no-pst`, with an attachment of more than a piece; not to be passed on without consent.
    pub(crate) received: (RecordId, RecordNumber),
    /// From `no-pst`, and free to be passed on among the parties.
    pub(crate) free: (RecordId, RecordNumber),
    /// The question of `dk-pet` whether it may pass the released one on to `no-pst`.
    pub(crate) ask: RecordId,
    /// A threat that `anna` stated, so that the received one should go to `dk-pet`.
    pub(crate) emergency: RecordId,
    /// An organisation whose card is not held yet.
    pub(crate) stranger: Organisation,
    /// Who the node is.
    pub(crate) home: Organisation,
}

pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(make)
}

impl World {
    /// A copy of the store in `folder`.
    pub(crate) fn copy_to(&self, folder: &Path) {
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }

    /// The draft of a member, or `anna`'s for those who have none.
    pub(crate) fn draft_of(&self, member: &str) -> &RecordNumber {
        let own = self.drafts.iter().find(|(author, _)| *author == member);
        &own.unwrap_or(&self.drafts[0]).1
    }
}

/// The secret of a member's session.
pub(crate) fn secret(member: &str) -> [u8; 32] {
    *Digest::of(member.as_bytes()).as_bytes()
}

/// The secret of a member's token.
pub(crate) fn token(member: &str) -> [u8; 32] {
    *Digest::of(format!("token of {member}").as_bytes()).as_bytes()
}

fn make() -> World {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.db");
    let organisations = [Organisation::new("se-sapo", "SAPO", "SE"), Organisation::new("no-pst", "PST", "NO"), Organisation::new("dk-pet", "PET", "DK")];
    let mut first = Some(Sqlite::open(&path, &store::sqlite::Options::default()).unwrap());
    let mut federation = Federation::new(&organisations, || first.take().unwrap_or_else(|| Sqlite::memory().unwrap())).unwrap();
    let [se, no, dk]: [OrgId; 3] = [id("se-sapo"), id("no-pst"), id("dk-pet")];
    let now = federation.now;
    federation.agree(&agreement("ctg", &[&se, &no, &dk], Onward::Consent)).unwrap();
    federation.agree(&agreement("open", &[&se, &no, &dk], Onward::Within)).unwrap();
    let pending = Box::new(agreement("pending", &[&no, &se], Onward::Never));
    act(federation.node(&no), "lena", None, Command::ProposeAgreement(pending), now).unwrap();

    let received = with_attachment(federation.node(&no), &se);
    let free = approved(federation.node(&no), report("open", &[&se], "free"), now).unwrap();
    release_record(federation.node(&no), free.0, now).unwrap();
    members(federation.node(&se));
    let released = approved(federation.node(&se), report("ctg", &[&dk], "released"), now).unwrap();
    release_record(federation.node(&se), released.0, now).unwrap();
    federation.settle().unwrap();
    let question = Command::AskConsent { record: released.0, recipient: no, reason: "they asked".to_owned() };
    let Outcome::Record { record: ask, .. } = act(federation.node(&dk), "lena", None, question, now).unwrap() else { panic!("no question") };
    federation.settle().unwrap();

    let node = federation.node(&se);
    let drafts = ["anna", "lena", "tove", "sven"].map(|author| (author, draft(node, author)));
    let approved = approved(node, report("ctg", &[&dk], "approved"), now).unwrap();
    let submitted = submitted(node, &dk);
    let threat = Command::StateEmergency { record: received.0, to: dk, reason: "tonight, and nobody answers".to_owned() };
    let Outcome::Record { record: emergency, .. } = act(node, "anna", None, threat, now).unwrap() else { panic!("no statement") };
    drop(federation);
    let [home, ..] = organisations;
    World {
        folder,
        drafts: drafts.to_vec(),
        submitted,
        approved,
        released,
        received,
        free,
        ask,
        emergency,
        stranger: Organisation::new("fi-supo", "SUPO", "FI"),
        home,
    }
}

fn draft(node: &mut Node<Sqlite>, author: &str) -> RecordNumber {
    let input = Box::new(report("ctg", &[&id("dk-pet")], &format!("draft of {author}")));
    let Outcome::Drafted { number, .. } = act(node, author, None, Command::Draft(input), beginning()).unwrap() else { panic!("no draft") };
    number
}

fn submitted(node: &mut Node<Sqlite>, to: &OrgId) -> (RecordId, RecordNumber) {
    let input = Box::new(report("ctg", &[to], "submitted"));
    let Outcome::Drafted { number, version } = act(node, "anna", None, Command::Draft(input), beginning()).unwrap() else { panic!("no draft") };
    let draft = node.store().record_by_number(&number, Some(version)).unwrap().map(|row| row.id);
    let outcome = act(node, "anna", draft.as_ref(), Command::Submit { number: number.clone(), version }, beginning()).unwrap();
    let Outcome::Record { record, .. } = outcome else { panic!("not submitted") };
    (record, number)
}

fn with_attachment(node: &mut Node<Sqlite>, to: &OrgId) -> (RecordId, RecordNumber) {
    let now = beginning();
    let input = Box::new(report("ctg", &[to], "received"));
    let drafted = act(node, "anna", None, Command::Draft(input), now).unwrap();
    let Outcome::Drafted { number, version } = &drafted else { panic!("no draft") };
    let (number, version) = (number.clone(), *version);
    let draft = node.store().record_by_number(&number, Some(version)).unwrap().map(|row| row.id);
    for (index, bytes) in (0..).zip([vec![7; PIECE], TAIL.to_vec()]) {
        act(node, "anna", draft.as_ref(), Command::AttachPiece { number: number.clone(), version, index, bytes, placed: None }, now).unwrap();
    }
    let end =
        Command::AttachEnd { number, version, name: "../a \"file\".html".to_owned(), media_type: "text/html".to_owned(), size: (PIECE + TAIL.len()) as u64 };
    act(node, "anna", draft.as_ref(), end, now).unwrap();
    let record = put_through(node, drafted, now).unwrap();
    release_record(node, record.0, now).unwrap();
    record
}

/// The members that the test kit does not have, a session and a token for each, and a password for one.
fn members(node: &mut Node<Sqlite>) {
    let now = beginning();
    for (member, role) in MEMBERS.into_iter().filter(|(_, role)| matches!(role, Role::TipDesk | Role::Secretary)) {
        let add = Command::AddMember { id: member.to_owned(), name: member.to_owned(), roles: [role].into(), password: String::new() };
        act(node, "ada", None, add, now).unwrap();
    }
    let password: Password = serde_json::from_value(PASSWORD.into()).unwrap();
    let password = password.hash(&[1; 32]).unwrap();
    act(node, "ada", None, Command::SetPassword { member: "anna".to_owned(), password }, now).unwrap();
    for (member, _) in MEMBERS {
        for (secret, token) in [(secret(member), false), (token(member), true)] {
            let label = if token { "a token" } else { "" }.to_owned();
            let add = Command::AddCredential { member: member.to_owned(), hash: Digest::of(&secret), label, token, expires: now.plus_days(1) };
            act(node, member, None, add, now).unwrap();
        }
    }
}

/// A draft as JSON, under an agreement.
pub(crate) fn draft_json(agreement: &str, title: &str) -> serde_json::Value {
    serde_json::json!({
        "kind": "report",
        "agreement": agreement,
        "audience": ["dk-pet"],
        "marking": { "classification": "se:k", "tlp": "green" },
        "grading": "admiralty:B2",
        "purpose": "counter-terrorism",
        "legal-basis": "2019:1182 2:4",
        "language": "en",
        "retention-days": 30,
        "content": { "title": title, "text": "What is known." },
    })
}

/// The first version of an agreement as JSON, put forward by this node.
pub(crate) fn agreement_json(name: &str) -> serde_json::Value {
    let agreement = agreement(name, &[&id("se-sapo"), &id("no-pst")], Onward::Never);
    serde_json::to_value(agreement).unwrap()
}
