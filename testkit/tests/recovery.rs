//! A node is restored from an old backup: it is recognised, two persons approve, each peer accepts, and what it lost
//! comes back.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world should fail there")]

use std::path::Path;
use std::sync::Arc;

use format::agreement::Onward;
use format::{Digest, OrgId, RecordId, RecordNumber};
use node::Node;
use node::command::{Command, Outcome, Refusal};
use node::inspection;
use node::ports::Reader;
use node::recovery::{Accounted, Asked};
use node::rows::{Condition, HoldingState, Stage, StatementKind, Suspicion, about_org};
use node::vault::SeededEntropy;
use policy::house::NoHouseRules;
use samverkan_testkit::federation::{Federation, Organisation, act, agreement, approved, beginning, id, release_record, report};
use store::sqlite::{Options, Sqlite};

struct World {
    federation: Federation<Sqlite>,
    folder: tempfile::TempDir,
    organisations: Vec<Organisation>,
    sapo: OrgId,
    pet: OrgId,
    pst: OrgId,
}

fn world() -> World {
    let organisations = vec![Organisation::new("se-sapo", "SAPO", "SE"), Organisation::new("dk-pet", "PET", "DK"), Organisation::new("no-pst", "PST", "NO")];
    let folder = tempfile::tempdir().unwrap();
    let mut made = 0;
    let mut federation = Federation::new(&organisations, || {
        made += 1;
        Sqlite::open(&folder.path().join(format!("{made}.db")), &Options::default()).unwrap()
    })
    .unwrap();
    let [sapo, pet, pst]: [OrgId; 3] = ["se-sapo", "dk-pet", "no-pst"].map(id);
    federation.agree(&agreement("ctg", &[&sapo, &pet, &pst], Onward::Consent)).unwrap();
    World { federation, folder, organisations, sapo, pet, pst }
}

impl World {
    /// Releases a report of one organisation to others, and carries it there.
    fn release(&mut self, from: &OrgId, to: &[&OrgId], title: &str) -> (RecordId, RecordNumber) {
        let now = self.federation.now;
        let node = self.federation.node(from);
        let (record, number) = approved(node, report("ctg", to, title), now).unwrap();
        release_record(node, record, now).unwrap();
        self.federation.settle().unwrap();
        (record, number)
    }

    fn recall(&mut self, from: &OrgId, number: &RecordNumber) {
        let now = self.federation.now;
        act(self.federation.node(from), "rolf", None, Command::Recall { number: number.clone(), reason: "wrong".to_owned() }, now).unwrap();
        self.federation.settle().unwrap();
    }

    /// Puts an organisation's node back on a copy of its store.
    fn restore(&mut self, org: &OrgId, copy: &Path) {
        let now = self.federation.now;
        drop(self.federation.nodes.remove(org));
        let organisation = self.organisations.iter().find(|organisation| organisation.identity.org() == org).unwrap();
        let store = Sqlite::open(copy, &Options::default()).unwrap();
        store.check_whole().unwrap();
        inspection::inspect(&store, &node::ports::NoPlace, &organisation.identity, |_| ()).unwrap();
        let entropy = Box::new(SeededEntropy::new(99, now));
        let mut node = Node::open(store, Arc::clone(&organisation.identity), entropy, Arc::new(NoHouseRules)).unwrap();
        node.mark_restored(now).unwrap();
        node.commit().unwrap();
        self.federation.nodes.insert(org.clone(), node);
    }

    /// The restored node asks a peer and takes the answer in. Gives whether exchange goes on.
    fn ask(&mut self, restored: &OrgId, peer: &OrgId) -> bool {
        let now = self.federation.now;
        let Some(asking) = self.federation.node(restored).ask(peer, now).unwrap() else { return false };
        let node = self.federation.node(peer);
        let directory = Arc::clone(&node.state().directory);
        let asked = Asked::read(peer, restored, asking.bytes(), &directory).unwrap();
        let answer = node.account(&asked, now).unwrap();
        node.commit().unwrap();
        let node = self.federation.node(restored);
        let directory = Arc::clone(&node.state().directory);
        let settled = node.take_account(Accounted::read(&asking, &answer, &directory).unwrap(), now).unwrap();
        node.commit().unwrap();
        settled
    }

    fn approve(&mut self, org: &OrgId, member: &str) -> Result<Outcome, Refusal> {
        let now = self.federation.now;
        act(self.federation.node(org), member, None, Command::ApproveRecovery, now)
    }

    fn accept(&mut self, peer: &OrgId, restored: &OrgId) -> Result<Outcome, Refusal> {
        let now = self.federation.now;
        let node = self.federation.node(peer);
        let shown = node.store().statements_about(StatementKind::Recovery, &about_org(restored)).unwrap();
        let recovery = shown.last().map_or(Digest::from([0; 32]), |row| row.key);
        act(node, "ada", None, Command::AcceptRecovery { peer: restored.clone(), recovery }, now)
    }

    /// The whole ceremony, and everything carried until it rests.
    fn recover(&mut self, org: &OrgId, peers: &[&OrgId]) {
        for peer in peers {
            assert!(!self.ask(org, peer));
        }
        self.approve(org, "rolf").unwrap();
        self.approve(org, "ruth").unwrap();
        for peer in peers {
            assert!(!self.ask(org, peer), "nobody has accepted yet");
            self.accept(peer, org).unwrap();
            assert!(self.ask(org, peer));
        }
        self.federation.settle().unwrap();
    }

    fn condition(&mut self, at: &OrgId, record: &RecordId) -> Option<(Stage, Condition)> {
        self.federation.node(at).store().record(record).unwrap().map(|row| (row.stage, row.condition))
    }

    fn copy_at(&mut self, at: &OrgId, record: &RecordId, holder: &OrgId) -> Option<HoldingState> {
        let copies = self.federation.node(at).store().holdings(record).unwrap();
        copies.into_iter().find(|copy| copy.holder == *holder).map(|copy| copy.state)
    }
}

#[test]
fn what_was_lost_comes_back_and_nothing_recalled_becomes_current() {
    let mut world = world();
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    let (before, before_number) = world.release(&sapo, &[&pet, &pst], "before the backup");
    let (theirs_before, theirs_number) = world.release(&pet, &[&sapo], "theirs, before the backup");
    let copy = world.folder.path().join("backup.db");
    world.federation.node(&sapo).store().copy_to(&copy).unwrap();
    // All of this is lost.
    let (own, own_number) = world.release(&sapo, &[&pet, &pst], "own, after the backup");
    let (theirs, _) = world.release(&pst, &[&sapo], "theirs, after the backup");
    world.recall(&sapo, &before_number);
    world.recall(&pet, &theirs_number);
    assert_eq!(world.condition(&sapo, &theirs_before), Some((Stage::Received, Condition::Recalled)));
    world.federation.now = world.federation.now.plus_ms(60_000);

    world.restore(&sapo, &copy);
    assert_eq!(world.condition(&sapo, &before), Some((Stage::Released, Condition::Current)), "it does not know better yet");
    let now = world.federation.now;
    let refused = act(world.federation.node(&sapo), "rolf", None, Command::Recall { number: before_number, reason: "x".to_owned() }, now);
    assert!(matches!(refused, Err(Refusal::WrongState(_))), "members read, and no more");
    let read = act(world.federation.node(&sapo), "anna", Some(&theirs_before), Command::Open { record: theirs_before }, now);
    assert!(matches!(read, Err(Refusal::WrongState(_))), "what may have been recalled stays closed");
    world.recover(&sapo, &[&pet, &pst]);

    assert_eq!(world.condition(&sapo, &own), Some((Stage::Released, Condition::Current)), "its own record is back");
    assert!(world.federation.node(&sapo).store().content(&own).unwrap().is_some(), "with its content");
    assert_eq!(world.condition(&sapo, &theirs), Some((Stage::Received, Condition::Current)), "theirs is, too");
    assert_eq!(world.condition(&sapo, &before), Some((Stage::Released, Condition::Recalled)), "its own recall is in effect again");
    assert_eq!(world.condition(&sapo, &theirs_before), Some((Stage::Received, Condition::Recalled)), "and so is theirs");
    assert!(world.federation.node(&sapo).store().content(&theirs_before).unwrap().is_none());
    for holder in [&pet, &pst] {
        assert_eq!(world.copy_at(&sapo, &own, holder), Some(HoldingState::Held), "who has it is known again");
        assert_eq!(world.copy_at(&sapo, &before, holder), Some(HoldingState::Removed));
    }
    assert_eq!(world.copy_at(&pet, &theirs_before, &sapo), Some(HoldingState::Removed));
    // Both go on, in both directions, and no number is used twice.
    let (_, number) = world.release(&sapo, &[&pet, &pst], "after the recovery");
    assert!(number.place().1 > own_number.place().1 + 1000);
    let (late, _) = world.release(&pst, &[&sapo], "theirs, after the recovery");
    assert_eq!(world.condition(&sapo, &late), Some((Stage::Received, Condition::Current)));
    let node = world.federation.node(&sapo);
    let organisation = Arc::clone(node.identity());
    inspection::inspect(node.store(), &node::ports::NoPlace, &organisation, |_| ()).unwrap();
}

#[test]
fn a_recovery_takes_two_members_and_a_person_at_the_peer() {
    let mut world = world();
    let (sapo, pet) = (world.sapo.clone(), world.pet.clone());
    let copy = world.folder.path().join("backup.db");
    world.federation.node(&sapo).store().copy_to(&copy).unwrap();
    world.release(&sapo, &[&pet], "lost");
    world.federation.now = world.federation.now.plus_ms(60_000);
    world.restore(&sapo, &copy);
    assert!(!world.ask(&sapo, &pet));
    assert_eq!(world.federation.node(&pet).state().peer(&sapo).suspicion, Some(Suspicion::RolledBack), "exchange stopped when it was recognised");
    world.approve(&sapo, "rolf").unwrap();
    assert!(matches!(world.approve(&sapo, "rolf"), Err(Refusal::WrongState(_))), "one member does not approve twice");
    assert!(matches!(world.approve(&sapo, "anna"), Err(Refusal::Forbidden(_))), "an analyst does not approve");
    assert!(world.federation.node(&sapo).state().restored());
    assert!(matches!(world.accept(&pet, &sapo), Err(Refusal::NotFound { .. })), "there is nothing to accept yet");
    world.approve(&sapo, "ada").unwrap();
    assert!(!world.ask(&sapo, &pet), "declared, and not accepted");
    assert!(world.federation.node(&sapo).dispatch(&pet, 0, beginning()).unwrap().is_none(), "nothing leaves before");
    world.accept(&pet, &sapo).unwrap();
    assert!(matches!(world.accept(&pet, &sapo), Err(Refusal::WrongState(_))), "and once only");
    assert!(world.ask(&sapo, &pet));
    assert!(!world.ask(&sapo, &pet), "there is nothing more to ask");
}

#[test]
fn a_node_that_is_restored_twice_begins_a_later_era() {
    let mut world = world();
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    let (copy, again) = (world.folder.path().join("backup.db"), world.folder.path().join("again.db"));
    world.federation.node(&sapo).store().copy_to(&copy).unwrap();
    std::fs::copy(&copy, &again).unwrap();
    let (first, _) = world.release(&sapo, &[&pet], "lost once");
    world.federation.now = world.federation.now.plus_ms(60_000);
    world.restore(&sapo, &copy);
    world.recover(&sapo, &[&pet, &pst]);
    let (second, _) = world.release(&sapo, &[&pet, &pst], "lost twice");
    // The clock of the second restore is behind: the era must be a later one all the same.
    world.restore(&sapo, &again);
    world.recover(&sapo, &[&pet, &pst]);
    for record in [first, second] {
        assert_eq!(world.condition(&sapo, &record), Some((Stage::Released, Condition::Current)));
    }
}

#[test]
fn what_was_to_be_passed_on_in_an_emergency_and_was_forgotten_goes_after_all_and_is_recalled() {
    let mut world = world();
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    let (record, number) = world.release(&sapo, &[&pet], "a crossing");
    let copy = world.folder.path().join("before.db");
    world.federation.node(&pet).store().copy_to(&copy).unwrap();
    let now = world.federation.now;
    let command = Command::StateEmergency { record, to: pst.clone(), reason: "Boards at nine; nobody in Stockholm answers.".to_owned() };
    let Outcome::Record { record: statement, .. } = act(world.federation.node(&pet), "lena", None, command, now).unwrap() else { panic!("not stated") };
    act(world.federation.node(&pet), "rolf", Some(&statement), Command::ReleaseInEmergency { statement }, now).unwrap();
    // The originator was told; then the disk was lost, before the record itself left.
    while world.federation.carry(&pet, &sapo).unwrap() {}
    assert_eq!(world.copy_at(&sapo, &record, &pst), Some(HoldingState::Sent));

    world.restore(&pet, &copy);
    assert_eq!(world.copy_at(&pet, &record, &pst), None, "it is forgotten");
    world.recover(&pet, &[&sapo, &pst]);
    assert_eq!(world.copy_at(&pet, &record, &pst), Some(HoldingState::Held), "its own word came back, and it was kept");

    world.recall(&sapo, &number);
    assert_eq!(world.condition(&pst, &record), Some((Stage::Received, Condition::Recalled)));
    assert_eq!(world.copy_at(&sapo, &record, &pst), Some(HoldingState::Removed));
}
