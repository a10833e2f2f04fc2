//! Parcels and answers that are carried, without a connection: the same door, and answers that may be old or another's.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests say what they expect by failing")]

use std::sync::Arc;

use format::agreement::Onward;
use format::{OrgId, RecordId, Timestamp, seal};
use node::exchange::{self, Acknowledgement, Answer, AnswerFault, InboundFault};
use node::objects::Fetched;
use node::ports::Reader;
use node::rows::{HoldingState, Suspicion};
use node::{Node, Recipient};
use samverkan_testkit::federation::{self, Federation, Organisation, beginning, id};
use store::sqlite::Sqlite;

struct World {
    federation: Federation<Sqlite>,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let organisations = [("se-sapo", "SAPO"), ("se-fra", "FRA"), ("no-pst", "PST")].map(|(org, short)| Organisation::new(org, short, "SE"));
        let mut federation = Federation::new(&organisations, || Sqlite::memory().unwrap()).unwrap();
        let orgs: Vec<OrgId> = organisations.iter().map(|organisation| organisation.identity.org().clone()).collect();
        federation.agree(&federation::agreement("ctg", &orgs.iter().collect::<Vec<_>>(), Onward::Never)).unwrap();
        federation.settle().unwrap();
        Self { federation, now: beginning().plus_ms(1_000_000) }
    }

    fn node(&mut self, org: &str) -> &mut Node<Sqlite> {
        self.federation.node(&id(org))
    }

    fn tick(&mut self) -> Timestamp {
        self.now = self.now.plus_ms(1000);
        self.now
    }

    /// A report of `from` to `to`, released and in line.
    fn report(&mut self, from: &str, to: &str, title: &str) -> RecordId {
        let now = self.tick();
        let input = federation::report("ctg", &[&id(to)], title);
        let node = self.node(from);
        let (record, _) = federation::approved(node, input, now).unwrap();
        federation::release_record(node, record, now).unwrap();
        node.commit().unwrap();
        record
    }

    /// The parcel of `from` to `to` after `after`, sealed for carrying.
    fn parcel(&mut self, from: &str, to: &str, after: u64) -> Option<(u64, Vec<u8>)> {
        let now = self.tick();
        let node = self.node(from);
        let dispatch = node.dispatch_within(exchange::CARRIED_WINDOW, &id(to), after, &Fetched::default(), now).unwrap();
        node.commit().unwrap();
        let dispatch = dispatch?.padded();
        Some((dispatch.sequence(), federation::seal(node, dispatch).unwrap()))
    }

    /// Takes an envelope in at `at`, and gives the answer as it is carried back.
    fn take(&mut self, at: &str, envelope: &[u8]) -> (Answer, Vec<u8>) {
        let now = self.tick();
        let node = self.node(at);
        let (me, directory) = (Arc::clone(node.identity()), Arc::clone(&node.state().directory));
        let inbound = exchange::open_carried(&me, &directory, envelope).unwrap();
        let (from, sequence) = (inbound.from().clone(), inbound.sequence());
        let answer = node.receive(inbound, now).unwrap();
        node.commit().unwrap();
        let sealed = exchange::seal_answer(&me, &directory, &from, sequence, &answer, now).unwrap();
        (answer, sealed.hand_to(&Recipient::Organisation(from)).unwrap())
    }

    fn open_answer(&mut self, at: &str, envelope: &[u8]) -> Result<Acknowledgement, AnswerFault> {
        let node = self.node(at);
        Acknowledgement::open(node.identity(), &node.state().directory, envelope)
    }

    fn acknowledge(&mut self, at: &str, envelope: &[u8]) {
        let acknowledgement = self.open_answer(at, envelope).unwrap();
        let now = self.tick();
        let node = self.node(at);
        node.acknowledge(acknowledgement, now).unwrap();
        node.commit().unwrap();
    }

    fn peer(&mut self, at: &str, peer: &str) -> node::rows::PeerRow {
        self.node(at).state().peer(&id(peer))
    }
}

#[test]
fn a_parcel_is_carried_and_its_receipt_carried_back() {
    let mut world = World::new();
    let record = world.report("se-sapo", "se-fra", "one");
    let before = world.peer("se-sapo", "se-fra").sent;
    let (number, envelope) = world.parcel("se-sapo", "se-fra", before).unwrap();
    assert_eq!(number, before + 1);
    let (answer, sealed) = world.take("se-fra", &envelope);
    assert!(matches!(answer, Answer::Receipt(_)));
    assert!(!sealed.windows(7).any(|window| window == b"se-fra/"), "nothing of the receipt shows");
    world.acknowledge("se-sapo", &sealed);
    assert_eq!(world.peer("se-sapo", "se-fra").acknowledged, number);
    let copies = world.node("se-sapo").store().holdings(&record).unwrap();
    assert_eq!(copies[0].state, HoldingState::Held);
    // The same parcel, and its answer, however often they come.
    let (again, sealed_again) = world.take("se-fra", &envelope);
    assert_eq!(again, answer);
    world.acknowledge("se-sapo", &sealed_again);
    world.acknowledge("se-sapo", &sealed);
    assert_eq!(world.peer("se-sapo", "se-fra").suspicion, None);
}

#[test]
fn many_parcels_leave_without_a_receipt_and_their_receipts_count_in_turn() {
    let mut world = World::new();
    let start = world.peer("se-sapo", "se-fra").sent;
    let mut envelopes = Vec::new();
    for n in 0..8 {
        world.report("se-sapo", "se-fra", &format!("no {n}"));
        envelopes.push(world.parcel("se-sapo", "se-fra", start + n).unwrap());
    }
    assert_eq!(envelopes.last().unwrap().0, start + 8, "more than a connection has on its way");
    let answers: Vec<Vec<u8>> = envelopes.iter().map(|(_, envelope)| world.take("se-fra", envelope).1).collect();
    for answer in answers.iter().rev() {
        world.acknowledge("se-sapo", answer);
    }
    assert_eq!(world.peer("se-sapo", "se-fra").acknowledged, start + 1, "the others come again in their turn");
    for answer in &answers {
        world.acknowledge("se-sapo", answer);
    }
    assert_eq!(world.peer("se-sapo", "se-fra").acknowledged, start + 8);
}

#[test]
fn an_answer_is_for_whoever_sent_the_parcel_and_opens_as_nothing_else() {
    let mut world = World::new();
    world.report("se-sapo", "se-fra", "one");
    let before = world.peer("se-sapo", "se-fra").sent;
    let (_, envelope) = world.parcel("se-sapo", "se-fra", before).unwrap();
    let (answer, sealed) = world.take("se-fra", &envelope);
    assert_eq!(seal::recipient(&sealed), Some(id("se-sapo")));
    assert!(matches!(world.open_answer("no-pst", &sealed), Err(AnswerFault::Seal(_))));
    assert!(matches!(world.open_answer("se-sapo", &envelope), Err(AnswerFault::Seal(_))));
    let node = world.node("se-sapo");
    let opened = exchange::open_carried(node.identity(), &node.state().directory, &sealed);
    assert!(matches!(opened, Err(InboundFault::Seal(_))), "an answer is no parcel");
    // A receipt that somebody closes to another than its sender stops nothing there.
    let node = world.node("no-pst");
    let (me, directory) = (Arc::clone(node.identity()), Arc::clone(&node.state().directory));
    let stolen = exchange::seal_answer(&me, &directory, &id("se-fra"), 1, &answer, beginning()).unwrap();
    let stolen = stolen.hand_to(&Recipient::Organisation(id("se-fra"))).unwrap();
    assert!(matches!(world.open_answer("se-fra", &stolen), Err(AnswerFault::Addressee(org)) if org == id("se-sapo")));
    assert_eq!(world.peer("se-fra", "no-pst").suspicion, None);
    for at in (0..sealed.len()).step_by(97) {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(world.open_answer("se-sapo", &changed).is_err(), "byte {at}");
    }
}

#[test]
fn an_old_deferral_says_nothing_and_a_new_one_shows_a_peer_that_forgot() {
    let mut world = World::new();
    let start = world.peer("se-sapo", "se-fra").sent;
    world.report("se-sapo", "se-fra", "one");
    let (first, one) = world.parcel("se-sapo", "se-fra", start).unwrap();
    world.report("se-sapo", "se-fra", "two");
    let (second, two) = world.parcel("se-sapo", "se-fra", first).unwrap();
    // The second comes first: a gap, and no fault, however late the word of it arrives.
    let (early, deferral) = world.take("se-fra", &two);
    assert_eq!(early, Answer::Expected(first));
    world.acknowledge("se-sapo", &deferral);
    let (_, receipt) = world.take("se-fra", &one);
    world.acknowledge("se-sapo", &receipt);
    world.acknowledge("se-sapo", &deferral);
    assert_eq!(world.peer("se-sapo", "se-fra").suspicion, None, "it was said before the receipt");
    let (_, receipt) = world.take("se-fra", &two);
    world.acknowledge("se-sapo", &receipt);
    world.acknowledge("se-sapo", &deferral);
    assert_eq!((world.peer("se-sapo", "se-fra").suspicion, world.peer("se-sapo", "se-fra").acknowledged), (None, second));
    // A parcel put together after that, answered with a number that was confirmed before: the peer has forgotten.
    world.report("se-sapo", "se-fra", "three");
    let (third, _) = world.parcel("se-sapo", "se-fra", second).unwrap();
    let node = world.node("se-fra");
    let (me, directory) = (Arc::clone(node.identity()), Arc::clone(&node.state().directory));
    let now = world.tick();
    let forgot = exchange::seal_answer(&me, &directory, &id("se-sapo"), third, &Answer::Expected(second), now).unwrap();
    let forgot = forgot.hand_to(&Recipient::Organisation(id("se-sapo"))).unwrap();
    world.acknowledge("se-sapo", &forgot);
    assert_eq!(world.peer("se-sapo", "se-fra").suspicion, Some(Suspicion::RolledBack));
}

#[test]
fn answers_are_given_again_for_what_was_carried() {
    let mut world = World::new();
    let start = world.peer("se-sapo", "se-fra").sent;
    let mut envelopes = Vec::new();
    for n in 0..3 {
        world.report("se-sapo", "se-fra", &format!("no {n}"));
        envelopes.push(world.parcel("se-sapo", "se-fra", start + n).unwrap().1);
    }
    world.take("se-fra", &envelopes[0]);
    world.take("se-fra", &envelopes[2]);
    let state = world.peer("se-fra", "se-sapo");
    let answers = exchange::answers(world.node("se-fra").store(), &state, start + 1, start + 3).unwrap();
    let kinds: Vec<_> = answers.iter().map(|(number, answer)| (*number - start, matches!(answer, Answer::Receipt(_)))).collect();
    assert_eq!(kinds, [(1, true), (3, false)]);
    assert_eq!(answers[1].1, Answer::Expected(start + 2));
    assert!(exchange::answers(world.node("se-fra").store(), &state, 0, u64::MAX).unwrap().len() <= 1025);
}
