//! Cards that are revoked: by their own organisation, whose peers follow, and by hand, by one that believes no longer.
//!
//! Nothing new that the key signs is taken in, nothing goes to it, and what came before stays, with a word about it. Exchange
//! goes on when a later card was compared.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world should fail there")]

use std::sync::Arc;

use format::agreement::Onward;
use format::verify::{self, KeyDirectory};
use format::{Digest, OrgId, RecordId};
use node::command::{Command, Outcome, Refusal};
use node::ports::{NoPlace, Reader};
use node::rows::{HoldingState, Suspicion};
use samverkan_testkit::federation::{Federation, Organisation, act, agreement, approved, hand_over, id, release_record, report, seal};
use store::sqlite::Sqlite;

struct World {
    federation: Federation<Sqlite>,
    sapo: OrgId,
    pet: OrgId,
    pst: OrgId,
}

impl World {
    fn new() -> Self {
        let organisations = [("se-sapo", "SAPO", "SE"), ("dk-pet", "PET", "DK"), ("no-pst", "PST", "NO")];
        let organisations = organisations.map(|(org, short, country)| Organisation::new(org, short, country));
        let mut federation = Federation::new(&organisations, || Sqlite::memory().unwrap()).unwrap();
        let [sapo, pet, pst]: [OrgId; 3] = ["se-sapo", "dk-pet", "no-pst"].map(id);
        federation.agree(&agreement("ctg", &[&sapo, &pet, &pst], Onward::Free)).unwrap();
        federation.settle().unwrap();
        Self { federation, sapo, pet, pst }
    }

    fn revoke(&mut self, at: &OrgId, org: &OrgId) -> Result<Outcome, Refusal> {
        let now = self.federation.now;
        act(self.federation.node(at), "ada", None, Command::RevokeCard { org: org.clone(), reason: "a key was stolen".to_owned() }, now)
    }

    fn release(&mut self, by: &OrgId, to: &OrgId, title: &str) -> RecordId {
        let now = self.federation.now;
        let (record, _) = approved(self.federation.node(by), report("ctg", &[to], title), now).unwrap();
        release_record(self.federation.node(by), record, now).unwrap();
        record
    }

    fn revoked(&mut self, at: &OrgId, org: &OrgId) -> bool {
        let node = self.federation.node(at);
        let told = node.state().directory.revoked(org);
        assert_eq!(told, node.state().peer(org).suspicion == Some(Suspicion::Revoked), "{at} about {org}");
        told
    }

    fn entries(&mut self, at: &OrgId, what: &str) -> usize {
        self.federation.node(at).store().entries(0, 10_000).unwrap().iter().filter(|entry| entry.what == what).count()
    }

    /// The marks on a record that is read, and that it is still readable.
    fn revoked_later(&mut self, at: &OrgId, record: &RecordId) -> bool {
        let now = self.federation.now;
        let opened = act(self.federation.node(at), "anna", Some(record), Command::Open { record: *record }, now).unwrap();
        let Outcome::Opened(view) = opened else { unreachable!("a record was opened") };
        let member = node::released::Recipient::Member("anna".to_owned());
        let view = view.hand_to(&member).unwrap();
        assert!(view.content.is_some(), "what came before stays");
        view.revoked_later.is_some()
    }

    /// How many signed statements hold, for whoever inspects a store.
    fn statements(&mut self, at: &OrgId) -> u64 {
        let node = self.federation.node(at);
        node::inspection::inspect(node.store(), &NoPlace, node.identity(), |_| ()).unwrap().statements
    }

    /// The next parcel from one to another, handed over: why it was not taken in.
    fn refused(&mut self, from: &OrgId, to: &OrgId) -> String {
        let now = self.federation.now;
        let sender = self.federation.node(from);
        let after = sender.state().peer(to).acknowledged;
        let dispatch = sender.dispatch(to, after, now).unwrap().unwrap();
        sender.commit().unwrap();
        let envelope = seal(self.federation.node(from), dispatch).unwrap();
        hand_over(self.federation.node(to), from, &envelope, now).unwrap_err().to_string()
    }

    /// A later card of an organisation's, as a file, with its fingerprint.
    fn later_card(&mut self, of: &OrgId) -> (Vec<u8>, Digest) {
        let now = self.federation.now;
        let node = self.federation.node(of);
        let pinned = Arc::clone(node.state().directory.card(of).unwrap());
        let card = format::card::Card { serial: pinned.card.serial + 1, issued: now, ..pinned.card.clone() };
        let card = verify::state(&card, &node.identity().keys).unwrap();
        (card.signed().to_bytes(), pinned.keys.fingerprint())
    }

    fn import(&mut self, at: &OrgId, (bytes, fingerprint): (Vec<u8>, Digest)) -> Result<Outcome, Refusal> {
        let now = self.federation.now;
        act(self.federation.node(at), "ada", None, Command::ImportCard { bytes, fingerprint }, now)
    }
}

#[test]
fn an_organisation_revokes_its_own_card_and_every_peer_follows() {
    let mut world = World::new();
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    let before = world.release(&sapo, &pet, "before");
    world.federation.settle().unwrap();
    assert!(!world.revoked_later(&pet, &before));

    world.federation.now = world.federation.now.plus_ms(1000);
    world.revoke(&sapo, &sapo).unwrap();
    assert!(world.revoke(&sapo, &sapo).is_err(), "once is enough");
    world.federation.settle().unwrap();
    for at in [&sapo, &pet, &pst] {
        assert!(world.revoked(at, &sapo), "{at}");
        assert_eq!(world.entries(at, "card-revoked"), 1, "{at}");
    }
    assert!(world.revoked_later(&pet, &before), "a reader sees that the key was revoked after it came");

    // Nothing new is said in its name, and nothing goes to it.
    let now = world.federation.now;
    assert!(matches!(approved(world.federation.node(&sapo), report("ctg", &[&pet], "after"), now), Err(Refusal::WrongState(_))));
    let waiting = world.release(&pet, &sapo, "to a stolen key");
    world.federation.settle().unwrap();
    let copies = world.federation.node(&pet).store().holdings(&waiting).unwrap();
    assert_eq!(copies.first().unwrap().state, HoldingState::Queued);

    // Its keys are never believed again, whatever people compare; and no person lets exchange go on by a number.
    let later = world.later_card(&sapo);
    assert!(matches!(world.import(&pet, later), Err(Refusal::Invalid { what: "card", .. })));
    let from = world.federation.node(&pet).state().peer(&sapo).received + 1;
    assert!(matches!(act(world.federation.node(&pet), "ada", None, Command::Resume { peer: sapo, from }, now), Err(Refusal::WrongState(_))));

    // The others exchange as ever.
    let other = world.release(&pet, &pst, "among the others");
    world.federation.settle().unwrap();
    assert!(!world.revoked_later(&pst, &other));
}

#[test]
fn a_card_that_is_distrusted_by_hand_is_believed_again_once_a_later_one_was_compared() {
    let mut world = World::new();
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    world.revoke(&pet, &sapo).unwrap();
    assert!(world.revoked(&pet, &sapo));
    assert!(!world.revoked(&pst, &sapo), "nobody else is told");

    let record = world.release(&sapo, &pet, "by a key that is not believed");
    let why = world.refused(&sapo, &pet);
    assert!(why.contains("card-revoked"), "{why}");
    assert!(world.federation.node(&pet).store().record(&record).unwrap().is_none());

    // Another that passes such a record on is refused just this item, and is heard as ever.
    let told = world.release(&sapo, &pst, "passed on");
    world.federation.carry(&sapo, &pst).unwrap();
    let now = world.federation.now;
    act(world.federation.node(&pst), "rolf", Some(&told), Command::PassOn { record: told, to: pet.clone() }, now).unwrap();
    let refused = world.entries(&pet, "refused");
    while world.federation.carry(&pst, &pet).unwrap() {}
    assert!(world.federation.node(&pet).store().record(&told).unwrap().is_none());
    assert_eq!(world.entries(&pet, "refused"), refused + 1, "the refusal is written down");

    let (bytes, fingerprint) = world.later_card(&sapo);
    assert!(world.import(&pet, (bytes.clone(), Digest::of(b"another"))).is_err(), "with another fingerprint nothing changes");
    assert!(world.revoked(&pet, &sapo));
    world.import(&pet, (bytes, fingerprint)).unwrap();
    assert!(!world.revoked(&pet, &sapo));
    while world.federation.carry(&sapo, &pet).unwrap() {}
    assert!(world.federation.node(&pet).store().record(&record).unwrap().is_some(), "what was refused comes again");
}

#[test]
fn a_revoked_card_is_revoked_after_a_restart_too() {
    let mut world = World::new();
    let (sapo, pet) = (world.sapo.clone(), world.pet.clone());
    let before = world.statements(&pet);
    world.revoke(&pet, &sapo).unwrap();
    assert_eq!(world.statements(&pet), before + 1, "whoever inspects the store verifies the revocation too");
    let again = node::state::State::load(world.federation.node(&pet).store()).unwrap();
    assert!(again.directory.revoked(&sapo));
    assert!(again.directory.card(&sapo).is_some(), "the card stays, so that what was signed before verifies");
}
