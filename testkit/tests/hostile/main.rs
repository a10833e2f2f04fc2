//! A hostile peer: an organisation with valid keys and an agreement that says whatever it likes.
//!
//! Each behaviour is played against a node of its own, through the door that every parcel and every answer takes. It must
//! end as its line says: in a refusal with its code, a receipt that refuses the item, or the end of exchange with that
//! peer. Afterwards nothing of it is held, the refusal is written down, and what an honest peer sends is taken in. Some
//! belong to the classes of byzantine faults in other systems; the name says which.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that goes wrong should stop")]

mod answers;
mod parcels;
mod peer;

use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::exchange::{Acknowledgement, Answer, Dispatch};
use node::ports::{MAX_PAGE, Reader, RecordQuery};
use node::rows::{HoldingState, Suspicion};
use samverkan_testkit::federation::{Federation, Organisation, agreement, approved, hand_over, id, release_record, report, seal};
use store::sqlite::Sqlite;

use peer::Peer;

/// How a behaviour ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The whole parcel, or the answer, is refused with this code.
    Refused(&'static str),
    /// The parcel gets a receipt in which its item is refused with this reason.
    Item(&'static str),
    /// Exchange with the peer stops.
    Stopped(Suspicion),
    /// Another parcel is awaited.
    Awaited(u64),
    /// Nothing changes.
    Nothing,
}

/// A node, an honest peer of it, and a hostile one.
pub(crate) struct Scene {
    pub(crate) federation: Federation<Sqlite>,
    pub(crate) mal: Peer,
    /// Its keys are known to nobody.
    pub(crate) stranger: Organisation,
    pub(crate) victim: OrgId,
    pub(crate) honest: OrgId,
    pub(crate) now: Timestamp,
}

impl Scene {
    /// Everyone has agreed on everything, and the hostile peer has sent one sound report.
    fn new() -> Self {
        let organisations = [Organisation::new("se-sapo", "SAPO", "SE"), Organisation::new("no-pst", "PST", "NO"), Organisation::new("xx-mal", "MAL", "XX")];
        let mut federation = Federation::new(&organisations, || Sqlite::memory().unwrap()).unwrap();
        let [victim, honest, mal]: [OrgId; 3] = ["se-sapo", "no-pst", "xx-mal"].map(id);
        federation.agree(&agreement("all", &[&victim, &honest, &mal], format::agreement::Onward::Consent)).unwrap();
        federation.agree(&agreement("two", &[&victim, &honest], format::agreement::Onward::Never)).unwrap();
        let now = federation.now;
        let mal = Peer::take_over(&mut federation, &mal, &victim);
        let mut scene = Self { federation, mal, stranger: Organisation::new("zz-far", "FAR", "ZZ"), victim, honest, now };
        scene.sends_something_sound();
        scene
    }

    /// Hands an envelope of the hostile peer to the node.
    fn hand(&mut self, envelope: &[u8]) -> (End, Option<Vec<String>>) {
        let (mal, now) = (self.mal.org().clone(), self.now);
        match hand_over(self.federation.node(&self.victim), &mal, envelope, now) {
            Err(node::Refusal::Invalid { why, .. }) => (End::Refused(code(&why)), None),
            Err(other) => panic!("{other:?}"),
            Ok(Answer::Stopped(why)) => (End::Stopped(why), None),
            Ok(Answer::Expected(sequence)) => (End::Awaited(sequence), None),
            Ok(Answer::Receipt(bytes)) => {
                let (_, receipt) = samverkan_testkit::chronicle::read_receipt(&bytes).unwrap();
                (End::Nothing, Some(receipt.outcomes.iter().flat_map(|outcome| outcome.reasons.iter().cloned()).collect()))
            }
        }
    }

    /// The hostile peer can still be heard: nothing that it said before keeps the queue.
    fn sends_something_sound(&mut self) {
        let item = self.mal.record(self.now, |_| {});
        let envelope = self.mal.parcel(&[item]);
        let (end, reasons) = self.hand(&envelope);
        assert_eq!((end, reasons), (End::Nothing, Some(Vec::new())), "a sound parcel is taken in");
        self.mal.was_taken_in();
    }

    /// An honest peer is heard as ever.
    fn honest_peer_is_heard(&mut self) {
        let (honest, victim, now) = (self.honest.clone(), self.victim.clone(), self.now);
        let (record, _) = approved(self.federation.node(&honest), report("two", &[&victim], "something true"), now).unwrap();
        release_record(self.federation.node(&honest), record, now).unwrap();
        while self.federation.carry(&honest, &victim).unwrap() {}
        assert!(self.federation.node(&victim).store().content(&record).unwrap().is_some(), "what an honest peer sends is taken in");
    }

    /// The numbers of everything that the node holds.
    fn held(&mut self) -> Vec<(RecordNumber, RecordId, u32)> {
        let query = RecordQuery { limit: MAX_PAGE, ..RecordQuery::default() };
        let rows = self.federation.node(&self.victim).store().records(&query).unwrap();
        rows.into_iter().map(|(_, row)| (row.number, row.id, row.version)).collect()
    }

    fn entries(&mut self, what: &str) -> usize {
        let entries = self.federation.node(&self.victim).store().entries(0, 10_000).unwrap();
        entries.iter().filter(|entry| entry.what == what).count()
    }

    /// A report of the node to the hostile peer, dispatched: the record, and the parcel as the peer reads it.
    pub(crate) fn sent_to_mal(&mut self) -> (RecordId, Vec<u8>) {
        let (victim, mal, now) = (self.victim.clone(), self.mal.org().clone(), self.now);
        let node = self.federation.node(&victim);
        let (record, _) = approved(node, report("all", &[&mal], "a secret"), now).unwrap();
        release_record(node, record, now).unwrap();
        (record, self.dispatched())
    }

    /// The envelope of the next parcel for the hostile peer.
    pub(crate) fn dispatched(&mut self) -> Vec<u8> {
        let (victim, mal, now) = (self.victim.clone(), self.mal.org().clone(), self.now);
        let node = self.federation.node(&victim);
        let after = node.state().peer(&mal).sent;
        let dispatch: Dispatch = node.dispatch(&mal, after, now).unwrap().unwrap();
        node.commit().unwrap();
        seal(self.federation.node(&victim), dispatch).unwrap()
    }

    /// Takes an answer of the hostile peer in.
    pub(crate) fn answered(&mut self, answer: &[u8]) -> End {
        let (mal, now) = (self.mal.org().clone(), self.now);
        let node = self.federation.node(&self.victim);
        let before = node.state().peer(&mal);
        let directory = std::sync::Arc::clone(&node.state().directory);
        match Acknowledgement::read(&mal, answer, &directory) {
            Err(reject) => return End::Refused(reject.code()),
            Ok(acknowledgement) => node.acknowledge(acknowledgement, now).unwrap(),
        }
        node.commit().unwrap();
        let after = node.state().peer(&mal);
        match after.suspicion {
            Some(why) => End::Stopped(why),
            None => {
                assert_eq!(after.acknowledged, before.acknowledged, "the answer counted as a receipt");
                End::Nothing
            }
        }
    }

    fn copy(&mut self, record: &RecordId) -> HoldingState {
        let mal = self.mal.org().clone();
        self.federation.node(&self.victim).store().holdings(record).unwrap().into_iter().find(|copy| copy.holder == mal).unwrap().state
    }
}

/// The code in a refusal's words, which begin with it.
fn code(why: &str) -> &'static str {
    const CODES: &[&str] = &[
        "too-large",
        "bad-encoding",
        "unknown-suite",
        "wrong-recipient",
        "not-opened",
        "unknown-organisation",
        "bad-signature",
        "not-theirs",
        "bad-json",
        "malformed",
        "wrong-sender",
        "card-revoked",
    ];
    CODES.iter().find(|code| why.starts_with(**code)).unwrap_or_else(|| panic!("no known code: {why}"))
}

#[test]
fn every_parcel_of_a_hostile_peer_ends_in_refusal_and_the_queue_goes_on() {
    let behaviours = parcels::all();
    assert!(behaviours.len() >= 45);
    for behaviour in behaviours {
        let name = behaviour.name;
        let mut scene = Scene::new();
        let envelope = (behaviour.act)(&mut scene);
        let (held, refused, suspended) = (scene.held(), scene.entries("refused"), scene.entries("suspended"));
        let (mut end, reasons) = scene.hand(&envelope);
        if let (Some(reasons), End::Item(expected)) = (&reasons, &behaviour.end)
            && reasons.iter().any(|reason| reason == expected)
        {
            end = End::Item(expected);
            scene.mal.was_taken_in();
        }
        assert_eq!(end, behaviour.end, "{name} (reasons: {reasons:?})");
        assert_eq!(scene.held(), held, "{name}: nothing of it is held");
        match end {
            End::Item(_) => assert_eq!(scene.entries("refused"), refused + 1, "{name}: the refusal is written down"),
            End::Stopped(_) => {
                assert_eq!(scene.entries("suspended"), suspended + 1, "{name}: the end of exchange is written down");
                let envelope = scene.mal.parcel(&[]);
                assert_eq!(scene.hand(&envelope).0, End::Refused("malformed"), "{name}: an empty parcel is none");
            }
            // Whoever is believed no longer is not heard with anything.
            End::Refused("card-revoked") => {}
            End::Refused(_) | End::Awaited(_) | End::Nothing => scene.sends_something_sound(),
        }
        scene.honest_peer_is_heard();
    }
}

#[test]
fn no_answer_of_a_hostile_peer_counts_as_a_receipt() {
    let behaviours = answers::all();
    assert!(behaviours.len() >= 12);
    for behaviour in behaviours {
        let name = behaviour.name;
        let mut scene = Scene::new();
        let (record, envelope) = scene.sent_to_mal();
        let answer = (behaviour.act)(&mut scene, &envelope);
        assert_eq!(scene.answered(&answer), behaviour.end, "{name}");
        assert_eq!(scene.copy(&record), HoldingState::Sent, "{name}: the copy is outstanding");
        scene.honest_peer_is_heard();
    }
}

/// A recall can come before its record, so one of something unknown is remembered. However many come, and whatever they
/// name, they take back nothing that is not the flooder's, and others are heard as ever.
#[test]
fn a_flood_of_recalls_takes_back_nothing_of_others() {
    let mut scene = Scene::new();
    scene.honest_peer_is_heard();
    let standing = scene.held();
    let named: Vec<_> = standing.iter().map(|(_, id, _)| scene.mal.recall(scene.now, *id)).collect();
    let envelope = scene.mal.parcel(&named);
    assert_eq!(scene.hand(&envelope), (End::Nothing, Some(Vec::new())));
    scene.mal.was_taken_in();
    for n in 0..4 {
        let items: Vec<_> = (0..256).map(|m| scene.mal.recall(scene.now, RecordId(Digest::of(format!("{n} {m}").as_bytes())))).collect();
        let envelope = scene.mal.parcel(&items);
        assert_eq!(scene.hand(&envelope), (End::Nothing, Some(Vec::new())));
        scene.mal.was_taken_in();
    }
    for (number, id, _) in standing {
        let row = scene.federation.node(&scene.victim).store().record(&id).unwrap().unwrap();
        let own = row.originator == *scene.mal.org();
        assert_eq!(row.condition == node::rows::Condition::Current, !own, "{number} by {}", row.originator);
    }
    scene.honest_peer_is_heard();
}
