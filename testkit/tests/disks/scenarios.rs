//! The scenarios: what a node does with its store, from its founding to its return from a backup.
//!
//! Each is played once on a sound disk, in steps that are one commit each. They are chosen so that every kind of change
//! that a store knows is on the disk in at least one of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use disk::{Disk, Image, Mount};
use format::agreement::Onward;
use format::{Digest, OrgId, RecordId, RecordNumber};
use node::Node;
use node::command::{Command, Outcome};
use node::ports::Reader as _;
use node::recovery::{Accounted, Asked};
use node::rows::{StatementKind, about_org};
use policy::access::Role;
use samverkan_testkit::federation::{self, MEMBERS, act, agreement, id, report};
use store::sqlite::{Options, Sqlite};

use crate::stage::{Done, FILE, Played, Stage, blank, organisations, sapo};

/// A name and a script, which is told its name.
pub(crate) type Scenario = (&'static str, fn(&'static str) -> Played);

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("found", found),
    ("bring an older layout forward", migrate),
    ("release", release),
    ("receive", receive),
    ("correct", correct),
    ("pass on", pass_on),
    ("recall at the originator", recall),
    ("recall at a holder", recalled),
    ("expire", expire),
    ("attach and discard", attach),
    ("agreements", agreements),
    ("members and house rules", members),
    ("emergency", emergency),
    ("back up", back_up),
    ("restore", restore),
];

fn found(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    stage.begin_on(&blank());
    let organisations = organisations();
    let card = organisations[0].card.clone();
    let now = stage.federation.now;
    stage.step("set up", move |node, _| {
        let ada =
            node::rows::MemberRow { id: "ada".into(), name: "ada".into(), roles: BTreeSet::from([Role::Administrator]), active: true, password: String::new() };
        node.set_up(card.clone(), ada, now)?;
        node.commit()?;
        Ok(Done::Nothing)
    });
    for (member, roles) in MEMBERS.iter().filter(|(member, _)| *member != "ada").take(3) {
        stage.member("add a member", "ada", None, || Command::AddMember {
            id: (*member).to_owned(),
            name: (*member).to_owned(),
            roles: roles.iter().copied().collect(),
            password: String::new(),
        });
    }
    for other in organisations.into_iter().skip(1) {
        let (bytes, fingerprint) = (other.card, other.fingerprint);
        stage.member("import a card", "ada", None, move || Command::ImportCard { bytes: bytes.clone(), fingerprint });
    }
    stage.end(name)
}

/// A store as it was before there were recoveries, and what its node does next.
fn migrate(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    let sapo = stage.me.clone();
    let pet = stage.peers[0].clone();
    let now = stage.federation.now;
    let (record, _) = federation::approved(stage.federation.node(&sapo), report("ctg", &[&pet], "before"), now).unwrap();
    federation::release_record(stage.federation.node(&sapo), record, now).unwrap();
    stage.federation.settle().unwrap();
    let image = older(&stage);
    stage.begin_on(&image);
    stage.member("draft", "anna", None, move || Command::Draft(Box::new(report("ctg", &[&pet], "after"))));
    stage.end(name)
}

/// The stage's store in layout 1, which has everything that later ones have but what came with them.
fn older(stage: &Stage) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(&stage.image());
    let mounted = Mount::new(folder.path(), &disk);
    let connection = rusqlite::Connection::open_with_flags(folder.path().join(FILE), rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection
        .execute_batch(
            "DROP INDEX piece_object; ALTER TABLE piece DROP COLUMN object; ALTER TABLE peer DROP COLUMN era; DROP TABLE recovery; PRAGMA user_version = 1;",
        )
        .unwrap();
    connection.close().unwrap();
    drop(mounted);
    disk.image()
}

fn release(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    stage.begin();
    let [pet, pst] = [stage.peers[0].clone(), stage.peers[1].clone()];
    stage.release(report("ctg", &[&pet, &pst], "a crossing"));
    stage.exchange();
    stage.end(name)
}

fn receive(name: &'static str) -> Played {
    let mut stage = Stage::new(1, Onward::Consent);
    stage.begin();
    let (record, _) = from_sapo(&mut stage, "a cell");
    stage.exchange();
    from_sapo(&mut stage, "another");
    from_sapo(&mut stage, "a third");
    stage.exchange();
    stage.member("read", "anna", Some(record), move || Command::Open { record });
    stage.end(name)
}

/// The originator releases a report to this node; it is not carried yet.
fn from_sapo(stage: &mut Stage, title: &str) -> (RecordId, RecordNumber) {
    let (now, me) = (stage.federation.now, stage.me.clone());
    let originator = stage.federation.node(&sapo());
    let made = federation::approved(originator, report("ctg", &[&me], title), now).unwrap();
    federation::release_record(originator, made.0, now).unwrap();
    made
}

fn correct(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    stage.begin();
    let pet = stage.peers[0].clone();
    let (_, number) = stage.release(report("ctg", &[&pet], "a place"));
    stage.exchange();
    let mut input = report("ctg", &[&pet], "another place");
    input.content.reason = Some("the place was wrong".to_owned());
    let (record, _) = stage.approve(move || Command::Correct { number: number.clone(), input: Box::new(input.clone()) });
    stage.member("release", "rolf", Some(record), move || Command::Release { record });
    stage.exchange();
    stage.end(name)
}

fn pass_on(name: &'static str) -> Played {
    let mut stage = Stage::new(1, Onward::Consent);
    let (record, _) = from_sapo(&mut stage, "a cell");
    stage.federation.settle().unwrap();
    stage.begin();
    let pst = stage.peers.iter().find(|peer| **peer != sapo()).cloned().unwrap();
    let recipient = pst.clone();
    let asked = stage.member("ask for consent", "lena", None, move || Command::AskConsent {
        record,
        recipient: recipient.clone(),
        reason: "they hold the other half".to_owned(),
    });
    let Outcome::Record { record: ask, .. } = asked else { panic!("not asked") };
    stage.exchange();
    let now = stage.federation.now;
    let answer = Command::AnswerConsent { ask, grant: true, reason: "agreed".to_owned(), expires: None };
    act(stage.federation.node(&sapo()), "rolf", None, answer, now).unwrap();
    stage.exchange();
    stage.member("pass on", "rolf", None, move || Command::PassOn { record, to: pst.clone() });
    stage.exchange();
    stage.end(name)
}

fn recall(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    stage.begin();
    let pet = stage.peers[0].clone();
    let (_, number) = stage.release(report("ctg", &[&pet], "a rumour"));
    stage.exchange();
    stage.member("recall", "rolf", None, move || Command::Recall { number: number.clone(), reason: "the source withdrew".to_owned() });
    stage.exchange();
    stage.end(name)
}

fn recalled(name: &'static str) -> Played {
    let mut stage = Stage::new(1, Onward::Consent);
    let (_, number) = from_sapo(&mut stage, "a rumour");
    from_sapo(&mut stage, "a fact");
    stage.federation.settle().unwrap();
    stage.begin();
    let now = stage.federation.now;
    let recall = Command::Recall { number, reason: "the source withdrew".to_owned() };
    act(stage.federation.node(&sapo()), "rolf", None, recall, now).unwrap();
    stage.exchange();
    stage.end(name)
}

fn expire(name: &'static str) -> Played {
    let mut stage = Stage::new(1, Onward::Consent);
    from_sapo(&mut stage, "one");
    from_sapo(&mut stage, "two");
    stage.federation.settle().unwrap();
    stage.begin();
    stage.federation.now = stage.federation.now.plus_days(31);
    for _ in 0..2 {
        let now = stage.federation.now;
        stage.step("expire", move |node, _| {
            node.expire(1, now)?;
            node.commit()?;
            Ok(Done::Nothing)
        });
    }
    stage.exchange();
    stage.end(name)
}

fn attach(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    stage.begin();
    let pet = stage.peers[0].clone();
    for kept in [true, false] {
        let audience = pet.clone();
        let drafted = stage.member("draft", "anna", None, move || Command::Draft(Box::new(report("ctg", &[&audience], "a picture"))));
        let Outcome::Drafted { number, version } = drafted else { panic!("not drafted") };
        let draft = stage.node().store().record_by_number(&number, Some(version)).unwrap().unwrap().id;
        let of = number.clone();
        let piece = move || Command::AttachPiece { number: of.clone(), version, index: 0, bytes: vec![7; 30_000], placed: None };
        stage.member("attach a piece", "anna", Some(draft), piece);
        let of = number.clone();
        let ended =
            move || Command::AttachEnd { number: of.clone(), version, name: "picture.png".to_owned(), media_type: "image/png".to_owned(), size: 30_000 };
        stage.member("end the attachment", "anna", Some(draft), ended);
        let current = stage.node().store().record_by_number(&number, Some(version)).unwrap().unwrap().id;
        if kept {
            let record = stage.submit(&number, version);
            stage.member("approve", "rolf", Some(record), move || Command::Approve { record });
            stage.member("release", "rolf", Some(record), move || Command::Release { record });
        } else {
            let of = number.clone();
            stage.member("discard", "anna", Some(current), move || Command::Discard { number: of.clone(), version });
        }
    }
    stage.exchange();
    stage.end(name)
}

fn agreements(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    stage.begin();
    let (me, pet, now) = (stage.me.clone(), stage.peers[0].clone(), stage.federation.now);
    let proposed = agreement("pact", &[&me, &pet], Onward::Never);
    stage.member("propose an agreement", "lena", None, move || Command::ProposeAgreement(Box::new(proposed.clone())));
    stage.exchange();
    act(stage.federation.node(&pet), "rolf", None, Command::SignAgreement { id: id("pact"), version: 1 }, now).unwrap();
    let theirs = agreement("treaty", &[&pet, &me], Onward::Never);
    act(stage.federation.node(&pet), "lena", None, Command::ProposeAgreement(Box::new(theirs)), now).unwrap();
    stage.exchange();
    stage.member("sign an agreement", "rolf", None, || Command::SignAgreement { id: id("treaty"), version: 1 });
    stage.member("withdraw", "rolf", None, || Command::Withdraw { id: id("pact") });
    stage.exchange();
    stage.end(name)
}

fn members(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    stage.begin();
    let expires = stage.federation.now.plus_days(1);
    let roles = |roles: &[Role]| roles.iter().copied().collect::<BTreeSet<_>>();
    stage.member("add a member", "ada", None, move || Command::AddMember {
        id: "mia".to_owned(),
        name: "Mia".to_owned(),
        roles: roles(&[Role::Analyst]),
        password: "one".to_owned(),
    });
    stage.member("change a member", "ada", None, move || Command::ChangeMember { id: "mia".to_owned(), roles: roles(&[Role::Liaison]), active: true });
    stage.member("set a password", "ada", None, || Command::SetPassword { member: "mia".to_owned(), password: "two".to_owned() });
    stage.member("add a token", "anna", None, move || Command::AddCredential {
        member: "anna".to_owned(),
        hash: Digest::from([3; 32]),
        label: "script".to_owned(),
        token: true,
        expires,
    });
    stage.member("revoke a token", "ada", None, || Command::RevokeCredential { hash: Digest::from([3; 32]) });
    stage.member("set house rules", "rolf", None, || Command::SetHouseRules { text: "forbid (principal, action, resource);".to_owned() });
    stage.member("export the ledger", "osk", None, || Command::ExportLedger);
    stage.member("close an account", "ada", None, move || Command::ChangeMember { id: "mia".to_owned(), roles: roles(&[Role::Liaison]), active: false });
    stage.end(name)
}

fn emergency(name: &'static str) -> Played {
    let mut stage = Stage::new(1, Onward::Consent);
    let (record, _) = from_sapo(&mut stage, "a threat");
    stage.federation.settle().unwrap();
    stage.begin();
    let pst = stage.peers.iter().find(|peer| **peer != sapo()).cloned().unwrap();
    let stated = stage.member("state an emergency", "lena", None, move || Command::StateEmergency {
        record,
        to: pst.clone(),
        reason: "Boards at nine; nobody in Stockholm answers.".to_owned(),
    });
    let Outcome::Record { record: statement, .. } = stated else { panic!("not stated") };
    stage.member("release in an emergency", "rolf", Some(statement), move || Command::ReleaseInEmergency { statement });
    stage.exchange();
    stage.end(name)
}

fn back_up(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    stage.begin();
    let pet = stage.peers[0].clone();
    stage.release(report("ctg", &[&pet], "before the backup"));
    stage.member("note the backup", "ada", None, || Command::BackUp { key: Digest::from([5; 32]) });
    stage.step("copy the store", |_, folder| {
        store::sqlite::copy(&folder.join(FILE), &folder.join("copy.db")).map_err(|e| node::ports::StoreError::Failed(e.to_string()))?;
        Ok(Done::Nothing)
    });
    stage.exchange();
    stage.end(name)
}

/// The node comes back on an older image, and peers give back what it lost.
fn restore(name: &'static str) -> Played {
    let mut stage = Stage::new(0, Onward::Consent);
    let (pet, pst) = (stage.peers[0].clone(), stage.peers[1].clone());
    let now = stage.federation.now;
    let old = stage.image();
    let lost = federation::approved(stage.node(), report("ctg", &[&pet, &pst], "lost and given back"), now).unwrap();
    federation::release_record(stage.node(), lost.0, now).unwrap();
    stage.federation.settle().unwrap();
    stage.begin_on(&old);
    stage.step("mark as restored", move |node, _| {
        node.mark_restored(now)?;
        node.commit()?;
        Ok(Done::Nothing)
    });
    for peer in [&pet, &pst] {
        assert!(!ask(&mut stage, peer));
    }
    stage.member("approve the recovery", "rolf", None, || Command::ApproveRecovery);
    stage.member("approve the recovery", "ruth", None, || Command::ApproveRecovery);
    for peer in [&pet, &pst] {
        assert!(!ask(&mut stage, peer), "nobody has accepted yet");
        let me = stage.me.clone();
        let at: &mut Node<Sqlite> = stage.federation.node(peer);
        let shown = at.store().statements_about(StatementKind::Recovery, &about_org(&me)).unwrap();
        let recovery = shown.last().map_or(Digest::from([0; 32]), |row| row.key);
        act(at, "ada", None, Command::AcceptRecovery { peer: me, recovery }, now).unwrap();
        assert!(ask(&mut stage, peer));
    }
    stage.exchange();
    stage.end(name)
}

fn ask(stage: &mut Stage, peer: &OrgId) -> bool {
    let (now, me, to) = (stage.federation.now, stage.me.clone(), peer.clone());
    let asked = stage.step("ask a peer", move |node, _| {
        let asking = node.ask(&to, now)?;
        node.commit()?;
        Ok(Done::Asks(asking))
    });
    let Done::Asks(Some(asking)) = asked else { return false };
    let at = stage.federation.node(peer);
    let directory = Arc::clone(&at.state().directory);
    let asked = Asked::read(peer, &me, asking.bytes(), &directory).unwrap();
    let answer = at.account(&asked, now).unwrap();
    at.commit().unwrap();
    let settled = stage.step("take an account", move |node, _| {
        let directory = Arc::clone(&node.state().directory);
        let accounted = Accounted::read(&asking, &answer, &directory).map_err(|e| node::command::Refusal::Invalid { what: "account", why: e.to_string() })?;
        let settled = node.take_account(accounted, now)?;
        node.commit()?;
        Ok(Done::Settled(settled))
    });
    matches!(settled, Done::Settled(true))
}

/// Opens what is on an image as a store, without looking further.
pub(crate) fn open(folder: &std::path::Path) -> Result<Sqlite, String> {
    Sqlite::open(&folder.join(FILE), &Options::default()).map_err(|fault| {
        let why = std::error::Error::source(&fault).map(|cause| format!(": {cause}"));
        format!("the store does not open: {fault}{}", why.unwrap_or_default())
    })
}
