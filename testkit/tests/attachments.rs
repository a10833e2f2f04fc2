//! Attachments outside the store: placed, sent, taken in and read through a place that goes out of reach, loses things, and is
//! cleaned of what nothing needs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set up its world should fail there")]

use std::collections::BTreeSet;
use std::sync::Arc;

use format::agreement::Onward;
use format::attachment::PIECE;
use format::parcel::MAX_ITEMS;
use format::record::MAX_ATTACHMENTS;
use format::{OrgId, RecordId, RecordNumber, Timestamp};
use node::exchange::{self, Acknowledgement};
use node::inspection::{InspectionFault, inspect};
use node::objects::{Fetched, ObjectFault, Placed};
use node::ports::{NoPlace, Objects as _, Reader as _};
use node::vault::SeededEntropy;
use node::{Command, Node, Outcome, Recipient, Refusal};
use samverkan_testkit::federation::{Federation, Organisation, act, agreement, beginning, id, put_through, release_record, report};
use samverkan_testkit::shelf::{self, Shelf};
use store::sqlite::Sqlite;

const TAIL: usize = 4000;

/// An entropy that gives other bytes each time it is asked for.
fn entropy() -> SeededEntropy {
    static DRAWN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    SeededEntropy::new(DRAWN.fetch_add(1, std::sync::atomic::Ordering::Relaxed), beginning())
}

/// Two organisations, each with a shelf of its own.
struct World {
    federation: Federation<Sqlite>,
    sapo: OrgId,
    pet: OrgId,
    ours: Shelf,
    theirs: Shelf,
}

fn world() -> World {
    let organisations = [Organisation::new("se-sapo", "SAPO", "SE"), Organisation::new("dk-pet", "PET", "DK")];
    let mut federation = Federation::new(&organisations, || Sqlite::memory().unwrap()).unwrap();
    let [sapo, pet] = ["se-sapo", "dk-pet"].map(id);
    federation.agree(&agreement("ctg", &[&sapo, &pet], Onward::Consent)).unwrap();
    let world = World { federation, sapo, pet, ours: Shelf::default(), theirs: Shelf::default() };
    world.set(0, false);
    world
}

impl World {
    /// Sets both shelves' clocks to so many hours after the beginning, and whether ours is out of reach.
    fn set(&self, hours: i64, away: bool) {
        let now = beginning().plus_ms(hours * 3_600_000);
        self.ours.set(now, away);
        self.theirs.set(now, false);
    }

    fn node(&mut self) -> &mut Node<Sqlite> {
        self.federation.node(&self.sapo)
    }

    /// A released report with an attachment of two pieces, and another without.
    fn release(&mut self) -> (RecordId, RecordNumber) {
        let now = self.federation.now;
        let (pet, shelf) = (self.pet.clone(), self.ours.clone());
        let node = self.node();
        let drafted = act(node, "anna", None, Command::Draft(Box::new(report("ctg", &[&pet], "with an attachment"))), now).unwrap();
        let Outcome::Drafted { number, version } = &drafted else { panic!("no draft") };
        let (number, version) = (number.clone(), *version);
        let draft = node.store().record_by_number(&number, Some(version)).unwrap().map(|row| row.id);
        for (index, bytes) in (0..).zip([vec![7; PIECE], vec![9; TAIL]]) {
            let command = Command::AttachPiece { number: number.clone(), version, index, bytes, placed: None };
            let command = shelf::place(command, &shelf, &mut entropy(), now).unwrap();
            act(node, "anna", draft.as_ref(), command, now).unwrap();
        }
        let end = Command::AttachEnd { number, version, name: "map.png".to_owned(), media_type: "image/png".to_owned(), size: (PIECE + TAIL) as u64 };
        act(node, "anna", draft.as_ref(), end, now).unwrap();
        let record = put_through(node, drafted, now).unwrap();
        release_record(node, record.0, now).unwrap();
        record
    }

    /// Carries one parcel to the peer, as a handle and a courier do. Gives how many items it had.
    fn carry(&mut self) -> Result<Option<usize>, Refusal> {
        let now = self.federation.now;
        let (sapo, pet, ours, theirs) = (self.sapo.clone(), self.pet.clone(), self.ours.clone(), self.theirs.clone());
        let node = self.federation.node(&sapo);
        let after = node.state().peer(&pet).acknowledged;
        let Some(dispatch) = shelf::dispatch(node, &ours, &pet, after, now)? else { return Ok(None) };
        node.commit()?;
        let items = dispatch.items();
        let fetched = shelf::for_seal(node, &dispatch, &ours)?;
        let sealed = dispatch.seal(node.store(), &fetched, node.identity(), &node.state().directory);
        let sealed = sealed.map_err(|fault| Refusal::Invalid { what: "parcel", why: fault.to_string() })?;
        let envelope = sealed.hand_to(&Recipient::Organisation(pet.clone())).unwrap();
        let receiver = self.federation.node(&pet);
        let directory = Arc::clone(&receiver.state().directory);
        let mut inbound = exchange::open(receiver.identity(), &directory, &sapo, &envelope).unwrap();
        shelf::place_inbound(receiver, &mut inbound, &theirs, &mut entropy(), now)?;
        let answer = receiver.receive(inbound, now)?;
        receiver.commit()?;
        let node = self.federation.node(&sapo);
        let directory = Arc::clone(&node.state().directory);
        node.acknowledge(Acknowledgement::read(&pet, &answer.to_bytes(), &directory).unwrap(), now)?;
        node.commit()?;
        Ok(Some(items))
    }

    fn carry_all(&mut self) {
        while self.carry().unwrap().is_some() {}
    }

    /// Reads a piece as a member of an organisation does.
    fn read(&mut self, org: &OrgId, record: RecordId, index: u64) -> Result<Vec<u8>, Refusal> {
        let (now, shelf) = (self.federation.now, if *org == self.sapo { self.ours.clone() } else { self.theirs.clone() });
        let outcome = act(self.federation.node(org), "lena", Some(&record), Command::OpenPiece { record, attachment: 0, index }, now)?;
        assert!(matches!(outcome, Outcome::PieceAway(_)), "the store does not have it");
        let Outcome::Piece(released) = shelf::fetch(outcome, &shelf)? else { panic!("no piece") };
        Ok(released.hand_to(&Recipient::Member("lena".to_owned())).unwrap())
    }
}

#[test]
fn an_attachment_goes_from_one_place_to_the_other_and_both_places_hold_nothing_that_can_be_read() {
    let mut world = world();
    let (record, _) = world.release();
    assert_eq!(world.ours.names().len(), 2);
    world.carry_all();
    assert_eq!(world.theirs.names().len(), 2);
    for org in [world.sapo.clone(), world.pet.clone()] {
        assert_eq!(world.read(&org, record, 0).unwrap(), vec![7; PIECE]);
        assert_eq!(world.read(&org, record, 1).unwrap(), vec![9; TAIL]);
    }
    for bytes in world.ours.bytes().iter().chain(&world.theirs.bytes()) {
        assert!(!bytes.windows(16).any(|window| window == [7; 16] || window == [9; 16]));
    }
    assert!(world.ours.names().is_disjoint(&world.theirs.names()), "names say nothing of what is the same");
    for (org, shelf) in [(world.sapo.clone(), world.ours.clone()), (world.pet.clone(), world.theirs.clone())] {
        let node = world.federation.node(&org);
        let found = inspect(node.store(), &shelf, node.identity(), |_| ()).unwrap();
        assert_eq!((found.pieces, found.incomplete.len()), (2, 0));
        assert!(node.store().opening().unwrap().objects);
    }
}

#[test]
fn while_the_place_is_out_of_reach_everything_but_attachments_leaves() {
    let mut world = world();
    let (record, _) = world.release();
    world.set(0, true);
    assert_eq!(world.carry().unwrap(), Some(1), "the record itself");
    let (pet, now) = (world.pet.clone(), world.federation.now);
    let drafted = act(world.node(), "anna", None, Command::Draft(Box::new(report("ctg", &[&pet], "without"))), now).unwrap();
    let other = put_through(world.node(), drafted, now).unwrap();
    release_record(world.node(), other.0, now).unwrap();
    assert_eq!(world.carry().unwrap(), Some(1), "what was released after it");
    assert_eq!(world.carry().unwrap(), None, "the attachment waits");
    assert!(matches!(world.read(&world.sapo.clone(), record, 0), Err(Refusal::Object(ObjectFault::Away(_)))));
    world.set(0, false);
    assert_eq!(world.carry().unwrap(), Some(2), "both pieces");
    assert_eq!(world.read(&pet, record, 1).unwrap(), vec![9; TAIL]);
}

#[test]
fn however_many_attachments_wait_for_their_place_what_is_behind_them_leaves() {
    let mut world = world();
    let (pet, now, shelf) = (world.pet.clone(), world.federation.now, world.ours.clone());
    // More of them than a parcel has items.
    for n in 0..=MAX_ITEMS / MAX_ATTACHMENTS {
        let node = world.node();
        let drafted = act(node, "anna", None, Command::Draft(Box::new(report("ctg", &[&pet], &format!("no {n}")))), now).unwrap();
        let Outcome::Drafted { number, version } = &drafted else { panic!("no draft") };
        let (number, version) = (number.clone(), *version);
        for _ in 0..MAX_ATTACHMENTS {
            let draft = node.store().record_by_number(&number, Some(version)).unwrap().map(|row| row.id);
            let piece = Command::AttachPiece { number: number.clone(), version, index: 0, bytes: vec![7; 10], placed: None };
            act(node, "anna", draft.as_ref(), shelf::place(piece, &shelf, &mut entropy(), now).unwrap(), now).unwrap();
            let (name, media_type) = ("map.png".to_owned(), "image/png".to_owned());
            act(node, "anna", draft.as_ref(), Command::AttachEnd { number: number.clone(), version, name, media_type, size: 10 }, now).unwrap();
        }
        let record = put_through(node, drafted, now).unwrap();
        release_record(node, record.0, now).unwrap();
    }
    world.set(0, true);
    world.carry_all();
    assert!(world.node().store().outgoing_count(&pet).unwrap() > MAX_ITEMS as u64, "attachments, and nothing else");
    let drafted = act(world.node(), "anna", None, Command::Draft(Box::new(report("ctg", &[&pet], "behind them all"))), now).unwrap();
    let last = put_through(world.node(), drafted, now).unwrap();
    release_record(world.node(), last.0, now).unwrap();
    assert_eq!(world.carry().unwrap(), Some(1));
    world.set(0, false);
    world.carry_all();
    assert_eq!(world.node().store().outgoing_count(&pet).unwrap(), 0);
}

#[test]
fn a_parcel_that_goes_again_waits_for_its_place_and_then_has_the_same_bytes() {
    let mut world = world();
    let (record, _) = world.release();
    let (now, pet, ours) = (world.federation.now, world.pet.clone(), world.ours.clone());
    // It was decided and written down, and the process ended before it was sealed.
    let node = world.node();
    let decided = shelf::dispatch(node, &ours, &pet, 0, now).unwrap().unwrap();
    node.commit().unwrap();
    assert_eq!(decided.items(), 3);
    drop(decided);
    world.set(0, true);
    let fault = world.carry().unwrap_err();
    assert!(fault.to_string().contains("cannot be reached"), "{fault}");
    world.set(0, false);
    assert_eq!(world.carry().unwrap(), Some(3));
    assert_eq!(world.read(&pet, record, 0).unwrap(), vec![7; PIECE]);
}

#[test]
fn a_lost_or_changed_object_is_told_and_what_follows_it_goes_on() {
    let mut world = world();
    let (record, number) = world.release();
    let lost = *world.ours.names().first().unwrap();
    world.ours.lose(Some(lost));
    world.carry_all();
    let read: Vec<bool> = (0..2).map(|index| world.read(&world.sapo.clone(), record, index).is_ok()).collect();
    assert_eq!(read.iter().filter(|read| **read).count(), 1);
    let (node, now) = (world.node(), beginning());
    let entries = node.store().entries_about(&record).unwrap();
    let told = entries.iter().any(|entry| String::from_utf8_lossy(entry.json.as_deref().unwrap_or_default()).contains("attachment-lost"));
    assert!(told, "that it did not leave is in the ledger");
    act(node, "rolf", None, Command::Recall { number, reason: "wrong".to_owned() }, now).unwrap();
    assert_eq!(world.carry().unwrap(), Some(1), "the recall");

    let mut world = self::world();
    let (record, _) = world.release();
    world.ours.names().iter().for_each(|name| world.ours.spoil(name));
    assert!(matches!(world.read(&world.sapo.clone(), record, 0), Err(Refusal::Object(ObjectFault::Damaged(_)))));
    let shelf = world.ours.clone();
    let node = world.node();
    assert!(matches!(inspect(node.store(), &shelf, node.identity(), |_| ()), Err(InspectionFault::Object(ObjectFault::Damaged(_)))));
    let found = inspect(node.store(), &Shelf::default(), node.identity(), |_| ()).unwrap();
    assert_eq!((found.pieces, found.incomplete.len()), (0, 1), "an empty place is told, and is no fault of the store");
    assert!(matches!(inspect(node.store(), &NoPlace, node.identity(), |_| ()), Err(InspectionFault::Object(ObjectFault::Away(_)))));
}

#[test]
fn only_objects_that_nothing_needs_and_that_are_old_are_removed() {
    let mut world = world();
    let (record, number) = world.release();
    world.carry_all();
    let needed = world.ours.names();
    let now = world.federation.now;
    // An upload that was broken off between the place and the act that would have kept it.
    let _stray = Placed::place(b"stray", &world.ours, &mut entropy(), now).unwrap();
    assert_eq!(world.ours.names().len(), 3);
    let sweep = |world: &mut World| {
        let shelf = world.ours.clone();
        shelf::sweep(world.node().store(), &shelf).unwrap()
    };
    assert_eq!(sweep(&mut world), 0, "it may still be kept");
    world.set(2, false);
    assert_eq!(sweep(&mut world), 1);
    assert_eq!(world.ours.names(), needed);

    act(world.node(), "rolf", None, Command::Recall { number, reason: "wrong".to_owned() }, now).unwrap();
    world.node().commit().unwrap();
    world.set(4, false);
    assert_eq!(sweep(&mut world), if world.node().store().content(&record).unwrap().is_some() { 0 } else { 2 });
    world.carry_all();
    let theirs = world.theirs.clone();
    let pet = world.pet.clone();
    assert_eq!(shelf::sweep(world.federation.node(&pet).store(), &theirs).unwrap(), 2, "the recalled attachment is gone there");
    assert_eq!(theirs.names(), BTreeSet::new());
}

#[test]
fn a_restored_node_removes_nothing_before_a_peer_has_accepted_it() {
    let mut world = world();
    world.release();
    world.carry_all();
    let now = world.federation.now;
    Placed::place(b"of the node that the backup is of", &world.ours, &mut entropy(), now).unwrap();
    world.set(2, false);
    let shelf = world.ours.clone();
    let node = world.node();
    node.mark_restored(now).unwrap();
    node.commit().unwrap();
    assert_eq!(shelf::sweep(node.store(), &shelf).unwrap(), 0);
    assert_eq!(shelf.names().len(), 3);
}

#[test]
fn a_piece_that_waited_too_long_after_it_was_placed_is_not_kept() {
    let mut world = world();
    let (pet, shelf) = (world.pet.clone(), world.ours.clone());
    let node = world.node();
    let drafted = act(node, "anna", None, Command::Draft(Box::new(report("ctg", &[&pet], "slow"))), beginning()).unwrap();
    let Outcome::Drafted { number, version } = drafted else { panic!("no draft") };
    let draft = node.store().record_by_number(&number, Some(version)).unwrap().map(|row| row.id);
    let command = |at: Timestamp| {
        let piece = Command::AttachPiece { number: number.clone(), version, index: 0, bytes: vec![1; 10], placed: None };
        shelf::place(piece, &shelf, &mut entropy(), at).unwrap()
    };
    let later = beginning().plus_ms(11 * 60_000);
    assert!(matches!(act(node, "anna", draft.as_ref(), command(beginning()), later), Err(Refusal::Busy(_))));
    act(node, "anna", draft.as_ref(), command(later), later).unwrap();
}

#[test]
fn nothing_is_fetched_for_what_may_not_leave_and_nothing_is_placed_that_does_not_fit() {
    let mut world = world();
    let (_, number) = world.release();
    let (now, pet, ours) = (world.federation.now, world.pet.clone(), world.ours.clone());
    let node = world.node();
    let names = exchange::objects_waiting(node.store(), &pet).unwrap();
    assert_eq!(names.len(), 2);
    let mut fetched = Fetched::default();
    fetched.fetch(&names, &ours).unwrap();
    // It is recalled between the fetching and the decision.
    act(node, "rolf", None, Command::Recall { number, reason: "wrong".to_owned() }, now).unwrap();
    let dispatch = node.dispatch_within(exchange::WINDOW, &pet, 0, &fetched, now).unwrap();
    assert!(dispatch.is_none_or(|dispatch| dispatch.items() <= 1), "nothing but the recall leaves");
    assert_eq!(world.theirs.names().len(), 0);
    assert_eq!(world.theirs.get(names.first().unwrap()).unwrap(), None);
}
