//! An organisation changes its keys: every peer follows by the word of the old ones, nothing on the way is lost, and what
//! was signed before still holds.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world should fail there")]

use std::sync::Arc;

use format::agreement::Onward;
use format::card::{self, Card};
use format::keys::{Seeds, SigningKeys};
use format::seal::OpeningKey;
use format::verify::KeyDirectory;
use format::{Digest, OrgId, RecordId};
use node::command::{Command, Outcome, Refusal};
use node::exchange::Acknowledgement;
use node::inspection::inspect;
use node::node::{Identity, Node};
use node::ports::{NoPlace, Reader};
use node::vault::{SeededEntropy, Vault};
use policy::house::NoHouseRules;
use samverkan_testkit::federation::{Federation, Organisation, act, agreement, approved, beginning, hand_over, id, release_record, report, seal};
use store::sqlite::{Options, Sqlite};

/// The seeds that the test kit draws for an organisation, and those of its keys to come.
fn seeds(org: &str, generation: &[u8]) -> Seeds {
    let mut drawn = 0_u64;
    let mut seeds = Seeds::generate(|bytes| {
        drawn += 1;
        *bytes = *Digest::of_parts(&[generation, org.as_bytes(), &drawn.to_be_bytes()]).as_bytes();
    });
    if generation != b"testkit" {
        seeds.storage = self::seeds(org, b"testkit").storage;
    }
    seeds
}

fn identity(org: &str, now: &[u8], next: Option<&[u8]>, further: &[&[u8]]) -> Arc<Identity> {
    let signing = |generation: &[u8]| SigningKeys::new(id(org), &seeds(org, generation)).unwrap();
    let opening = |generation: &[u8]| OpeningKey::new(&seeds(org, generation).x_wing).unwrap();
    Arc::new(Identity {
        short: id("SAPO"),
        keys: signing(now),
        opening: opening(now),
        next: next.map(signing),
        further: further.iter().map(|generation| opening(generation)).collect(),
        vault: Vault::new(&seeds(org, now).storage),
    })
}

struct World {
    federation: Federation<Sqlite>,
    folder: tempfile::TempDir,
    sapo: OrgId,
    pet: OrgId,
    pst: OrgId,
}

impl World {
    fn new() -> Self {
        let organisations = [("se-sapo", "SAPO", "SE"), ("dk-pet", "PET", "DK"), ("no-pst", "PST", "NO")];
        let organisations = organisations.map(|(org, short, country)| Organisation::new(org, short, country));
        let folder = tempfile::tempdir().unwrap();
        let mut made = 0;
        let mut federation = Federation::new(&organisations, || {
            made += 1;
            Sqlite::open(&folder.path().join(format!("{made}.db")), &Options::default()).unwrap()
        })
        .unwrap();
        let [sapo, pet, pst]: [OrgId; 3] = ["se-sapo", "dk-pet", "no-pst"].map(id);
        federation.agree(&agreement("ctg", &[&sapo, &pet, &pst], Onward::Free)).unwrap();
        Self { federation, folder, sapo, pet, pst }
    }

    /// Starts the node of the first organisation again, with other keys.
    fn restart(&mut self, identity: Arc<Identity>) {
        drop(self.federation.nodes.remove(&self.sapo));
        let store = Sqlite::open(&self.folder.path().join("1.db"), &Options::default()).unwrap();
        let node = Node::open(store, identity, Box::new(SeededEntropy::new(77, beginning())), Arc::new(NoHouseRules)).unwrap();
        self.federation.nodes.insert(self.sapo.clone(), node);
    }

    fn release(&mut self, by: &OrgId, to: &OrgId, title: &str) -> RecordId {
        let now = self.federation.now;
        let (record, _) = approved(self.federation.node(by), report("ctg", &[to], title), now).unwrap();
        release_record(self.federation.node(by), record, now).unwrap();
        record
    }

    fn holds(&mut self, at: &OrgId, record: &RecordId) -> bool {
        self.federation.node(at).store().content(record).unwrap().is_some()
    }

    fn renew(&mut self, new_keys: bool) -> Result<Outcome, Refusal> {
        let (now, sapo) = (self.federation.now, self.sapo.clone());
        act(self.federation.node(&sapo), "ada", None, Command::RenewCard { addresses: None, contact: None, new_keys }, now)
    }

    /// The next parcel from one to another, decided and sealed, and not handed over yet.
    fn on_the_way(&mut self, from: &OrgId, to: &OrgId) -> Vec<u8> {
        let now = self.federation.now;
        let sender = self.federation.node(from);
        let after = sender.state().peer(to).acknowledged;
        let dispatch = sender.dispatch(to, after, now).unwrap().unwrap();
        sender.commit().unwrap();
        seal(self.federation.node(from), dispatch).unwrap()
    }

    /// Hands a parcel over that was on its way for long, and the answer back.
    fn arrive(&mut self, from: &OrgId, to: &OrgId, envelope: &[u8]) {
        let now = self.federation.now;
        let answer = hand_over(self.federation.node(to), from, envelope, now).unwrap();
        let sender = self.federation.node(from);
        let directory = Arc::clone(&sender.state().directory);
        sender.acknowledge(Acknowledgement::read(to, &answer.to_bytes(), &directory).unwrap(), now).unwrap();
        sender.commit().unwrap();
    }
}

#[test]
fn keys_change_and_nothing_on_the_way_is_lost() {
    let mut world = World::new();
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    let first = world.release(&sapo, &pet, "signed with the old keys");
    world.federation.settle().unwrap();
    assert!(matches!(world.renew(true), Err(Refusal::WrongState(_))), "no new keys are prepared");

    world.restart(identity("se-sapo", b"testkit", Some(b"second"), &[b"second"]));
    world.renew(true).unwrap();
    assert!(matches!(world.renew(true), Err(Refusal::WrongState(_))), "the card has them already");
    world.federation.settle().unwrap();
    let next = SigningKeys::new(sapo.clone(), &seeds("se-sapo", b"second")).unwrap();
    for at in [&sapo, &pet, &pst] {
        let directory = Arc::clone(&world.federation.node(at).state().directory);
        let card = directory.card(&sapo).unwrap();
        assert_eq!((card.card.serial, card.keys.fingerprint(), card.former.len()), (2, next.public().fingerprint(), 1), "{at}");
    }

    // The old keys sign still; peers seal to the new ones. A card with another address is signed with what is on the card.
    let second = world.release(&sapo, &pst, "signed with the old keys, after the card");
    let back = world.release(&pet, &sapo, "sealed to the new keys");
    world.federation.settle().unwrap();
    assert!(world.holds(&pst, &second) && world.holds(&sapo, &back));
    world.renew(false).unwrap();
    world.federation.settle().unwrap();

    // On the day on which the keys change, parcels are on their way in both directions.
    let late = world.release(&sapo, &pet, "on its way when the keys changed");
    let out = world.on_the_way(&sapo, &pet);
    let returning = world.release(&pet, &sapo, "on its way back");
    let incoming = world.on_the_way(&pet, &sapo);
    world.restart(identity("se-sapo", b"second", None, &[b"testkit"]));
    world.arrive(&sapo, &pet, &out);
    world.arrive(&pet, &sapo, &incoming);
    assert!(world.holds(&pet, &late) && world.holds(&sapo, &returning));

    let third = world.release(&sapo, &pst, "signed with the new keys");
    world.federation.settle().unwrap();
    assert!(world.holds(&pst, &third));

    // What the old keys signed is passed on, and holds at whoever gets it now.
    let now = world.federation.now;
    act(world.federation.node(&pet), "rolf", Some(&first), Command::PassOn { record: first, to: pst.clone() }, now).unwrap();
    world.federation.settle().unwrap();
    assert!(world.holds(&pst, &first));
    for at in [&sapo, &pet, &pst] {
        let node = world.federation.node(at);
        inspect(node.store(), &NoPlace, node.identity(), |_| ()).unwrap();
        assert!(node.state().peers.values().all(|peer| peer.suspicion.is_none()));
    }

    // And once more, with the first keys two generations back.
    world.restart(identity("se-sapo", b"second", Some(b"third"), &[b"third", b"testkit"]));
    world.renew(true).unwrap();
    world.federation.settle().unwrap();
    world.restart(identity("se-sapo", b"third", None, &[b"second"]));
    let last = world.release(&sapo, &pet, "signed with the third keys");
    world.federation.settle().unwrap();
    assert!(world.holds(&pet, &last));
    assert_eq!(world.federation.node(&pet).state().directory.former(&sapo).len(), 2);
}

#[test]
fn a_peer_whose_card_was_on_its_way_follows_and_one_that_was_left_behind_compares_it() {
    let mut world = World::new();
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    world.restart(identity("se-sapo", b"testkit", Some(b"second"), &[b"second"]));
    world.renew(true).unwrap();
    // The parcel with the card is decided now, and arrives after the change. For the other peer there is none.
    let card = world.on_the_way(&sapo, &pet);
    world.restart(identity("se-sapo", b"second", None, &[b"testkit"]));
    let record = world.release(&sapo, &pet, "signed with the new keys");
    world.arrive(&sapo, &pet, &card);
    while world.federation.carry(&sapo, &pet).unwrap() {}
    assert!(world.holds(&pet, &record));

    let left = world.release(&sapo, &pst, "to the one that was left behind");
    let unread = world.federation.carry(&sapo, &pst).unwrap_err().to_string();
    assert!(unread.contains("bad-signature"), "{unread}");
    let (now, pinned) = (world.federation.now, Arc::clone(world.federation.node(&sapo).state().directory.card(&sapo).unwrap()));
    let import = Command::ImportCard { bytes: pinned.bytes.clone(), fingerprint: pinned.keys.fingerprint() };
    act(world.federation.node(&pst), "ada", None, import, now).unwrap();
    world.federation.settle().unwrap();
    assert!(world.holds(&pst, &left), "what was decided meanwhile arrives");
}

#[test]
fn revoking_the_new_keys_ends_the_old_ones_too() {
    let mut world = World::new();
    let (sapo, pet) = (world.sapo.clone(), world.pet.clone());
    world.restart(identity("se-sapo", b"testkit", Some(b"second"), &[b"second"]));
    world.renew(true).unwrap();
    world.federation.settle().unwrap();
    let before = world.release(&sapo, &pet, "signed with the old keys, and never handed over in time");
    let late = world.on_the_way(&sapo, &pet);
    let now = world.federation.now;
    let revoke = Command::RevokeCard { org: sapo.clone(), reason: "a key was stolen".to_owned() };
    act(world.federation.node(&pet), "ada", None, revoke, now).unwrap();
    let refused = hand_over(world.federation.node(&pet), &sapo, &late, now).unwrap_err().to_string();
    assert!(refused.contains("card-revoked"), "{refused}");
    assert!(!world.holds(&pet, &before));
}

#[test]
fn only_the_word_of_the_keys_before_makes_keys_follow() {
    let organisation = Organisation::new("se-sapo", "SAPO", "SE");
    let (held, keys) = card::introduce(&organisation.card).unwrap();
    let [next, thief] = [b"second".as_slice(), b"thief"].map(|generation| SigningKeys::new(id("se-sapo"), &seeds("se-sapo", generation)).unwrap());
    let other = Organisation::new("dk-pet", "PET", "DK");
    let old = &organisation.identity.keys;
    let card = || held.value().clone();
    assert!(card().with_keys(next.public(), old).unwrap().succeeds(&keys));
    assert!(!card().succeeds(&keys), "no word at all");
    assert!(!card().with_keys(next.public(), &thief).unwrap().succeeds(&keys), "the thief's own word");
    assert!(card().with_keys(next.public(), &other.identity.keys).is_err(), "another organisation's word is not its to give");
    let honest = card().with_keys(next.public(), old).unwrap();
    let swapped = Card { keys: thief.public().texts().clone(), ..honest };
    assert!(!swapped.succeeds(&keys), "a word for other keys");
    assert!(card().with_keys(old.public(), old).is_err(), "keys do not follow themselves");
}
