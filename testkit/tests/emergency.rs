//! Emergency release: another's record is passed on without consent, and its originator is told in the same breath.
//!
//! What it sets aside is one rule, and each test that refuses it here would pass if it set aside one more.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set up its world should fail there")]

use format::agreement::Onward;
use format::marking::{Caveat, Tlp};
use format::record::{ConsentContent, Content, Kind};
use format::{OrgId, RecordId};
use node::act::who_has;
use node::command::{Command, DraftInput, Outcome, Refusal};
use node::ports::{Reader, RecordQuery};
use node::rows::{HoldingState, RecordRow, Stage};
use node::vault::Part;
use samverkan_testkit::federation::{Federation, Organisation, act, agreement, approved, id, open, release_record, report};
use store::sqlite::{Options, Sqlite};

struct World {
    federation: Federation<Sqlite>,
    folder: tempfile::TempDir,
    sapo: OrgId,
    pet: OrgId,
    europol: OrgId,
}

fn organisations() -> [Organisation; 3] {
    [Organisation::new("se-sapo", "SAPO", "SE"), Organisation::new("dk-pet", "PET", "DK"), Organisation::new("eu-europol", "EUROPOL", "EU")]
}

impl World {
    /// The originator and the holder have an agreement with this rule, and the holder has one with a third.
    fn new(onward: Onward) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut number = 0;
        let store = || {
            number += 1;
            Sqlite::open(&folder.path().join(format!("{number}.db")), &Options::default()).unwrap()
        };
        let mut federation = Federation::new(&organisations(), store).unwrap();
        let [sapo, pet, europol]: [OrgId; 3] = ["se-sapo", "dk-pet", "eu-europol"].map(id);
        federation.agree(&agreement("ctg", &[&sapo, &pet], onward)).unwrap();
        federation.agree(&agreement("pet-europol", &[&pet, &europol], Onward::Never)).unwrap();
        Self { federation, folder, sapo, pet, europol }
    }

    /// A report that the holder has.
    fn held(&mut self, change: impl FnOnce(&mut DraftInput)) -> RecordId {
        let now = self.federation.now;
        let mut input = report("ctg", &[&self.pet], "a crossing");
        change(&mut input);
        let sapo = self.sapo.clone();
        let (record, _) = approved(self.federation.node(&sapo), input, now).unwrap();
        release_record(self.federation.node(&sapo), record, now).unwrap();
        self.federation.settle().unwrap();
        record
    }

    fn state(&mut self, record: RecordId) -> Result<Outcome, Refusal> {
        let (now, pet, to) = (self.federation.now, self.pet.clone(), self.europol.clone());
        let command = Command::StateEmergency { record, to, reason: "Boards at nine; nobody in Stockholm answers.".to_owned() };
        act(self.federation.node(&pet), "lena", None, command, now)
    }

    fn stated(&mut self, record: RecordId) -> RecordId {
        let Outcome::Record { record, .. } = self.state(record).unwrap() else { panic!("not stated") };
        record
    }

    fn release(&mut self, statement: RecordId, member: &str) -> Result<Outcome, Refusal> {
        let (now, pet) = (self.federation.now, self.pet.clone());
        act(self.federation.node(&pet), member, Some(&statement), Command::ReleaseInEmergency { statement }, now)
    }

    fn row(&mut self, at: &OrgId, record: &RecordId) -> Option<RecordRow> {
        self.federation.node(at).store().record(record).unwrap()
    }

    fn reads(&mut self, at: &OrgId, record: &RecordId) -> bool {
        self.federation.node(at).store().content(record).unwrap().is_some()
    }

    /// Stops the holder's node, and starts it on what its store holds.
    fn restart_holder(&mut self) {
        drop(self.federation.nodes.remove(&self.pet));
        let store = Sqlite::open(&self.folder.path().join("2.db"), &Options::default()).unwrap();
        let [_, organisation, _] = organisations();
        self.federation.nodes.insert(self.pet.clone(), open(&organisation, store, 99).unwrap());
    }

    fn words(&mut self, at: &OrgId) -> Vec<String> {
        let node = self.federation.node(at);
        let size = node.state().frontier.size();
        let entries = node.store().entries(0, usize::try_from(size).unwrap()).unwrap();
        entries.into_iter().map(|entry| entry.what).collect()
    }
}

fn codes(refusal: &Result<Outcome, Refusal>) -> Vec<&'static str> {
    let Err(Refusal::Forbidden(reasons)) = refusal else { panic!("not refused: {refusal:?}") };
    reasons.iter().map(|reason| reason.code()).collect()
}

#[test]
fn it_reaches_the_third_and_the_originator_and_a_recall_follows() {
    let mut world = World::new(Onward::Consent);
    let (sapo, pet, europol) = (world.sapo.clone(), world.pet.clone(), world.europol.clone());
    let record = world.held(|_| {});
    let statement = world.stated(record);
    world.federation.settle().unwrap();
    assert!(!world.reads(&europol, &record) && world.row(&sapo, &statement).is_none(), "nothing leaves on one member's word");
    assert!(codes(&world.release(statement, "lena")).contains(&"role-lacks"));
    world.release(statement, "rolf").unwrap();

    // The node dies before anything has left: record, statement and notice are in line.
    world.restart_holder();
    world.federation.settle().unwrap();
    assert!(world.reads(&europol, &record));
    let held = world.federation.node(&pet).store().holdings(&statement).unwrap();
    assert!(held.iter().any(|copy| copy.holder == sapo && copy.state == HoldingState::Held), "{held:?}");

    // The originator reads who got it and why; the recipient sees that it was an emergency, and not the reason.
    let row = world.row(&sapo, &statement).unwrap();
    let node = world.federation.node(&sapo);
    let sealed = node.store().content(&statement).unwrap().unwrap();
    let words = node.identity().vault.open(Part::Content(&row.number, row.version), &sealed).unwrap();
    let Ok(Content::Consent(ConsentContent { recipient, reason, .. })) = Content::parse(Kind::Consent, &words.bytes) else { panic!("no statement") };
    assert_eq!((recipient, reason.contains("nobody in Stockholm answers")), (europol.clone(), true));
    assert!(world.row(&europol, &statement).is_none());
    let now = world.federation.now;
    let Outcome::Opened(view) = act(world.federation.node(&europol), "lena", None, Command::Open { record }, now).unwrap() else { panic!("not opened") };
    let view = view.hand_to(&node::Recipient::Member("lena".to_owned())).unwrap();
    assert_eq!(view.emergency, Some(pet.clone()));
    assert!(world.words(&pet).contains(&"emergency-released".to_owned()));
    assert!(world.words(&sapo).iter().filter(|word| *word == "noticed").count() >= 2);
    assert!(world.words(&europol).contains(&"noticed".to_owned()));

    // The originator answers by a recall, which follows the copy.
    let number = world.row(&sapo, &record).unwrap().number;
    act(world.federation.node(&sapo), "rolf", None, Command::Recall { number, reason: "not that source".to_owned() }, now).unwrap();
    world.federation.settle().unwrap();
    assert!(!world.reads(&europol, &record) && !world.reads(&pet, &record));
    let row = world.row(&sapo, &record).unwrap();
    let holders = who_has::holders(world.federation.node(&sapo).store(), &row).unwrap();
    assert!(holders.outstanding.is_empty() && holders.confirmed.contains(&europol), "{holders:?}");
}

#[test]
fn it_sets_aside_nothing_but_the_rule_of_consent() {
    let refused = |onward, change: fn(&mut DraftInput)| {
        let mut world = World::new(onward);
        let record = world.held(change);
        codes(&world.state(record)).join(" ")
    };
    assert!(refused(Onward::Never, |_| {}).contains("onward-never"));
    for (code, change) in [
        ("onward-tlp", (|input| input.marking.tlp = Tlp::AmberStrict) as fn(&mut DraftInput)),
        ("emergency-not-allowed", |input| _ = input.marking.caveats.insert(Caveat::OriginatorControl)),
        ("not-releasable", |input| input.marking.releasable_to = Some([id("dk-pet")].into())),
    ] {
        let found = refused(Onward::Consent, change);
        assert!(found.contains(code), "{code}: {found}");
    }
}

#[test]
fn whoever_has_left_or_said_no_or_taken_it_back_is_not_passed_by() {
    let mut world = World::new(Onward::Consent);
    let (sapo, pet, europol) = (world.sapo.clone(), world.pet.clone(), world.europol.clone());
    let now = world.federation.now;
    let record = world.held(|_| {});
    let statement = world.stated(record);
    // Asked, and answered: no.
    let ask = Command::AskConsent { record, recipient: europol.clone(), reason: "please".to_owned() };
    let Outcome::Record { record: ask, .. } = act(world.federation.node(&pet), "lena", None, ask, now).unwrap() else { panic!("not asked") };
    world.federation.settle().unwrap();
    let deny = Command::AnswerConsent { ask, grant: false, reason: "no".to_owned(), expires: None };
    act(world.federation.node(&sapo), "rolf", None, deny, now).unwrap();
    world.federation.settle().unwrap();
    assert!(codes(&world.release(statement, "rolf")).contains(&"emergency-not-allowed"));
    // Released, and taken back before it has left.
    let other = world.held(|_| {});
    let statement = world.stated(other);
    world.release(statement, "rolf").unwrap();
    let number = world.row(&sapo, &other).unwrap().number;
    act(world.federation.node(&sapo), "rolf", None, Command::Recall { number, reason: "not that one".to_owned() }, now).unwrap();
    while world.federation.carry(&sapo, &pet).unwrap() {}
    world.federation.settle().unwrap();
    assert!(!world.reads(&europol, &other));
    // The holder has left the agreement.
    let third = world.held(|_| {});
    act(world.federation.node(&pet), "rolf", None, Command::Withdraw { id: id("ctg") }, now).unwrap();
    assert!(codes(&world.state(third)).contains(&"withdrawn"));
    let received = world.federation.node(&europol).store().records(&RecordQuery { stage: Some(Stage::Received), limit: 20, ..RecordQuery::default() }).unwrap();
    assert!(received.iter().all(|(_, row)| row.kind != Kind::Report), "nothing reached the third");
}

#[test]
fn a_recipient_is_shown_it_and_takes_it_from_nobody_else() {
    let mut world = World::new(Onward::Consent);
    let (pet, europol) = (world.pet.clone(), world.europol.clone());
    let record = world.held(|_| {});
    let now = world.federation.now;
    let usual = act(world.federation.node(&pet), "rolf", None, Command::PassOn { record, to: europol.clone() }, now);
    assert!(codes(&usual).contains(&"consent-missing"), "{usual:?}");
    let statement = world.stated(record);
    world.release(statement, "rolf").unwrap();
    let again = world.state(record);
    assert!(matches!(again, Err(Refusal::WrongState(_))), "it is on its way: {again:?}");
    world.federation.settle().unwrap();
    assert!(world.reads(&europol, &record));
    // Passed on once in an emergency, it is not passed on further by whoever got it.
    let sapo = world.sapo.clone();
    let further = act(world.federation.node(&europol), "lena", None, Command::StateEmergency { record, to: pet, reason: "more".to_owned() }, now);
    assert!(codes(&further).contains(&"agreement-unknown"), "{further:?}");
    assert!(world.row(&sapo, &record).is_some());
}
