//! Terms that change while things are on the way: a party leaves, is expelled or joins, and versions meet.
//!
//! Each test plays nodes with parcels between them that are carried when the test says so, so that the order in which
//! things arrive is the test's own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set up its world should fail there")]

use std::collections::BTreeSet;

use format::agreement::{Agreement, Joining, Onward, PartyRole};
use format::record::Kind;
use format::{OrgId, RecordId};
use node::act::who_has;
use node::command::{Command, Outcome, Refusal};
use node::ports::{Reader, RecordQuery};
use node::rows::{Condition, HoldingState, Stage};
use policy::accord::Standing;
use samverkan_testkit::federation::{Federation, Organisation, act, agreement, approved, id, put_through, release_record, report};
use store::sqlite::Sqlite;

const ORGS: [(&str, &str, &str); 4] = [("se-sapo", "SAPO", "SE"), ("dk-pet", "PET", "DK"), ("no-pst", "PST", "NO"), ("fi-supo", "SUPO", "FI")];

struct World {
    federation: Federation<Sqlite>,
    sapo: OrgId,
    pet: OrgId,
    pst: OrgId,
    supo: OrgId,
}

impl World {
    /// Four organisations; `parties` of them are in the agreement `ctg`, which the first chairs.
    fn new(parties: usize, joining: Joining) -> Self {
        let organisations = ORGS.map(|(org, short, country)| Organisation::new(org, short, country));
        let mut federation = Federation::new(&organisations, || Sqlite::memory().unwrap()).unwrap();
        let [sapo, pet, pst, supo]: [OrgId; 4] = ORGS.map(|(org, ..)| id(org));
        let mut first = agreement("ctg", [&sapo, &pet, &pst, &supo].get(..parties).unwrap(), Onward::Within);
        first.terms.joining = joining;
        first.parties.iter_mut().find(|party| party.org == sapo).unwrap().role = PartyRole::Chair;
        federation.agree(&first).unwrap();
        Self { federation, sapo, pet, pst, supo }
    }

    fn version(&mut self, at: &OrgId, version: u32) -> Agreement {
        self.federation.node(at).state().directory.agreements().get(&id("ctg"), version).unwrap().agreement.clone()
    }

    fn standing(&mut self, at: &OrgId, version: u32) -> Option<Standing> {
        let now = self.federation.now;
        let named = format::record::AgreementRef { id: id("ctg"), version };
        self.federation.node(at).state().directory.agreements().known(&named, now).map(|known| known.standing().clone())
    }

    /// What `by` would put forward as this version, following another, after a change.
    fn next(&mut self, by: &OrgId, follows: u32, version: u32, change: impl FnOnce(&mut Agreement)) -> Agreement {
        let now = self.federation.now;
        let mut next = self.version(by, follows);
        next.supersedes = self.federation.node(by).state().directory.agreement_digest(&next.id, follows);
        next.version = version;
        next.proposed_by = by.clone();
        next.proposed = now;
        change(&mut next);
        next
    }

    fn propose(&mut self, next: &Agreement) -> Outcome {
        let now = self.federation.now;
        act(self.federation.node(&next.proposed_by), "lena", None, Command::ProposeAgreement(Box::new(next.clone())), now).unwrap()
    }

    fn sign(&mut self, at: &OrgId, version: u32) {
        let now = self.federation.now;
        act(self.federation.node(at), "rolf", None, Command::SignAgreement { id: id("ctg"), version }, now).unwrap();
    }

    fn approved(&mut self, by: &OrgId, audience: &[&OrgId], title: &str) -> (RecordId, format::RecordNumber) {
        let now = self.federation.now;
        approved(self.federation.node(by), report("ctg", audience, title), now).unwrap()
    }

    fn release(&mut self, by: &OrgId, audience: &[&OrgId], title: &str) -> (RecordId, format::RecordNumber) {
        let now = self.federation.now;
        let made = self.approved(by, audience, title);
        release_record(self.federation.node(by), made.0, now).unwrap();
        made
    }

    fn copy(&mut self, at: &OrgId, record: &RecordId, holder: &OrgId) -> (HoldingState, BTreeSet<String>) {
        let copies = self.federation.node(at).store().holdings(record).unwrap();
        copies.into_iter().find(|copy| copy.holder == *holder).map(|copy| (copy.state, copy.reasons)).unwrap()
    }

    fn reads(&mut self, at: &OrgId, record: &RecordId) -> bool {
        self.federation.node(at).store().content(record).unwrap().is_some()
    }

    fn carry_all(&mut self, from: &OrgId, to: &OrgId) {
        while self.federation.carry(from, to).unwrap() {}
    }
}

fn codes(refusal: &Result<Outcome, Refusal>) -> Vec<&'static str> {
    let Err(Refusal::Forbidden(reasons)) = refusal else { panic!("not refused: {refusal:?}") };
    reasons.iter().map(|reason| reason.code()).collect()
}

#[test]
fn who_withdraws_or_is_expelled_receives_nothing_more_at_any_peer() {
    for expelled in [true, false] {
        let mut world = World::new(4, Joining::All);
        let (sapo, pet, pst, supo) = (world.sapo.clone(), world.pet.clone(), world.pst.clone(), world.supo.clone());
        let (held, number) = world.release(&sapo, &[&pst, &pet], "held before");
        world.federation.settle().unwrap();
        // Two peers have something in line for it when it goes.
        let (waiting, _) = world.release(&sapo, &[&pst], "still in line");
        let (other, _) = world.release(&pet, &[&pst], "in line at another peer");
        let out = pst.clone();
        if expelled {
            let next = world.next(&sapo, 1, 2, |next| next.parties.retain(|party| party.org != out));
            world.propose(&next);
            for (from, to) in [(&sapo, &pet), (&sapo, &supo)] {
                world.carry_all(from, to);
            }
            world.sign(&pet, 2);
            assert!(matches!(world.standing(&pet, 2), Some(Standing::Proposed { .. })), "one signature is missing");
            world.sign(&supo, 2);
            for (from, to) in [(&pet, &sapo), (&supo, &sapo), (&supo, &pet)] {
                world.carry_all(from, to);
            }
        } else {
            let now = world.federation.now;
            act(world.federation.node(&pst), "rolf", None, Command::Withdraw { id: id("ctg") }, now).unwrap();
            for to in [&sapo, &pet, &supo] {
                world.carry_all(&pst, to);
            }
        }
        world.federation.settle().unwrap();
        let code = if expelled { "not-a-party" } else { "withdrawn" };
        for (at, record) in [(&sapo, waiting), (&pet, other)] {
            let (state, reasons) = world.copy(at, &record, &pst);
            assert_eq!(state, HoldingState::HeldBack);
            assert!(reasons.contains(code), "{reasons:?}");
            assert!(!world.reads(&pst, &record));
        }
        // It is no recipient any more, neither at the originator nor from a holder.
        let now = world.federation.now;
        let (later, _) = world.approved(&sapo, &[&pst], "after");
        assert!(codes(&release_record(world.federation.node(&sapo), later, now)).contains(&code));
        let (shared, _) = world.release(&sapo, &[&pet, &pst], "to one of two");
        world.federation.settle().unwrap();
        assert!(world.reads(&pet, &shared) && !world.reads(&pst, &shared));
        let passed = act(world.federation.node(&pet), "rolf", None, Command::PassOn { record: shared, to: pst.clone() }, now);
        assert!(codes(&passed).contains(&code), "{passed:?}");
        // What it holds it keeps, and may not pass on.
        assert!(world.reads(&pst, &held));
        let onward = act(world.federation.node(&pst), "rolf", None, Command::PassOn { record: held, to: supo.clone() }, now);
        assert!(codes(&onward).contains(&code), "{onward:?}");
        // A correction does not reach it; a recall does, and is answered.
        let mut input = report("ctg", &[&pst, &pet], "held, corrected");
        input.content.reason = Some("the place was wrong".to_owned());
        let drafted = act(world.federation.node(&sapo), "anna", None, Command::Correct { number: number.clone(), input: Box::new(input) }, now).unwrap();
        let (second, _) = put_through(world.federation.node(&sapo), drafted, now).unwrap();
        release_record(world.federation.node(&sapo), second, now).unwrap();
        world.federation.settle().unwrap();
        assert!(!world.reads(&pst, &second) && world.reads(&pet, &second));
        act(world.federation.node(&sapo), "rolf", None, Command::Recall { number, reason: "taken back".to_owned() }, now).unwrap();
        world.federation.settle().unwrap();
        assert!(!world.reads(&pst, &held));
        let row = world.federation.node(&sapo).store().record(&held).unwrap().unwrap();
        let holders = who_has::holders(world.federation.node(&sapo).store(), &row).unwrap();
        assert!(holders.outstanding.is_empty() && holders.confirmed.contains(&pst), "{holders:?}");
    }
}

#[test]
fn what_the_expelled_sends_is_refused_with_the_reason_and_its_own_work_stays() {
    let mut world = World::new(4, Joining::All);
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    let (own, _) = world.release(&pst, &[&sapo], "its own");
    world.federation.settle().unwrap();
    // It has not heard yet, and something of its own is on its way.
    let next = world.next(&sapo, 1, 2, |next| next.parties.retain(|party| party.org != pst));
    world.propose(&next);
    let supo = world.supo.clone();
    for to in [&pet, &supo] {
        world.carry_all(&sapo, to);
        world.sign(to, 2);
        world.carry_all(to, &sapo);
    }
    let (late, _) = world.release(&pst, &[&sapo], "sent without knowing");
    world.carry_all(&pst, &sapo);
    let (state, reasons) = world.copy(&pst, &late, &sapo);
    assert_eq!((state, reasons.contains("not-a-party")), (HoldingState::Refused, true), "{reasons:?}");
    world.federation.settle().unwrap();
    // It has been told, and its own node says so before anything leaves.
    let now = world.federation.now;
    let (more, _) = world.approved(&pst, &[&sapo], "knowing");
    assert!(codes(&release_record(world.federation.node(&pst), more, now)).contains(&"not-a-party"));
    assert!(world.reads(&pst, &own) && world.reads(&sapo, &own));
}

#[test]
fn nobody_is_expelled_without_the_rest_and_nobody_prevents_its_own_expulsion() {
    let mut world = World::new(4, Joining::Chair);
    let (sapo, pet, pst, supo) = (world.sapo.clone(), world.pet.clone(), world.pst.clone(), world.supo.clone());
    // Whoever is about to be expelled takes the next number, at one party first.
    let rival = world.next(&pst, 1, 2, |next| next.terms.longest_retention_days = 1);
    world.propose(&rival);
    world.carry_all(&pst, &pet);
    let proposal = world.next(&sapo, 1, 2, |next| next.parties.retain(|party| party.org != pst));
    world.propose(&proposal);
    world.federation.settle().unwrap();
    assert!(matches!(world.standing(&sapo, 2), Some(Standing::Proposed { .. })), "the chair alone does not expel");
    // The number is taken at one party. The next number follows what all have.
    let next = world.next(&sapo, 1, 3, |next| next.parties.retain(|party| party.org != pst));
    world.propose(&next);
    world.federation.settle().unwrap();
    world.sign(&pet, 3);
    world.federation.settle().unwrap();
    assert!(matches!(world.standing(&sapo, 3), Some(Standing::Proposed { missing }) if missing == [supo.clone()].into()));
    world.sign(&supo, 3);
    world.federation.settle().unwrap();
    for at in [&sapo, &pet, &supo, &pst] {
        assert_eq!(world.standing(at, 3), Some(Standing::InForce), "{at}");
    }
    let now = world.federation.now;
    let (record, _) = world.approved(&sapo, &[&pst], "after");
    assert!(codes(&release_record(world.federation.node(&sapo), record, now)).contains(&"not-a-party"));
}

#[test]
fn two_proposals_that_cross_do_not_end_the_agreement() {
    let mut world = World::new(3, Joining::All);
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    let one = world.next(&sapo, 1, 2, |next| next.terms.longest_retention_days = 100);
    let other = world.next(&pet, 1, 2, |next| next.terms.longest_retention_days = 200);
    world.propose(&one);
    world.propose(&other);
    world.federation.settle().unwrap();
    for at in [&sapo, &pet, &pst] {
        assert!(matches!(world.standing(at, 2), Some(Standing::Proposed { .. })), "{at}");
        assert_eq!(world.standing(at, 1), Some(Standing::InForce), "{at}");
    }
    let agreed = world.next(&pet, 1, 3, |next| next.terms.longest_retention_days = 150);
    world.propose(&agreed);
    world.federation.settle().unwrap();
    world.sign(&sapo, 3);
    world.sign(&pst, 3);
    world.federation.settle().unwrap();
    for at in [&sapo, &pet, &pst] {
        assert_eq!(world.standing(at, 3), Some(Standing::InForce), "{at}");
    }
}

#[test]
fn a_release_under_the_first_version_arrives_after_the_second_is_in_force() {
    for narrower in [false, true] {
        let mut world = World::new(3, Joining::All);
        let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
        let (early, _) = world.release(&sapo, &[&pet], "under the first version");
        let next = world.next(&pet, 1, 2, |next| {
            if narrower {
                next.terms.kinds.remove(&Kind::Report);
            } else {
                next.terms.longest_retention_days = 300;
            }
        });
        world.propose(&next);
        for from in [&pet, &pst] {
            for to in [&sapo, &pet, &pst] {
                if from != to {
                    world.carry_all(from, to);
                }
            }
            if *from == pet {
                world.sign(&pst, 2);
            }
        }
        // The one that sends has not signed; it does so in a version that the recipient hears of first.
        world.sign(&sapo, 2);
        world.federation.settle().unwrap();
        assert_eq!(world.standing(&pet, 2), Some(Standing::InForce));
        // Both versions bind: what the newer one forbids does not leave, or is not taken in.
        assert_eq!(world.reads(&pet, &early), !narrower);
        if narrower {
            let (state, reasons) = world.copy(&sapo, &early, &pet);
            assert_eq!(state, HoldingState::HeldBack);
            assert!(reasons.contains("kind-not-agreed"), "{reasons:?}");
        }
    }
}

#[test]
fn a_record_released_before_a_party_joined_arrives_after() {
    let mut world = World::new(3, Joining::Chair);
    let (sapo, pet, pst, supo) = (world.sapo.clone(), world.pet.clone(), world.pst.clone(), world.supo.clone());
    let (early, _) = world.release(&pst, &[&pet], "under the first version");
    let next = world.next(&sapo, 1, 2, |next| {
        next.parties.push(format::agreement::Party { org: supo.clone(), role: PartyRole::Member, from: next.proposed, until: None });
        next.parties.sort_by(|a, b| a.org.cmp(&b.org));
    });
    world.propose(&next);
    world.carry_all(&sapo, &supo);
    world.sign(&supo, 2);
    world.carry_all(&supo, &pet);
    world.carry_all(&sapo, &pet);
    assert_eq!(world.standing(&pet, 2), Some(Standing::InForce));
    assert_eq!(world.standing(&pst, 2), None, "the sender has not heard");
    world.carry_all(&pst, &pet);
    assert!(world.reads(&pet, &early), "both versions permit it");
}

#[test]
fn a_record_under_a_version_that_the_recipient_does_not_hold_is_healed() {
    let mut world = World::new(3, Joining::All);
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    let next = world.next(&sapo, 1, 2, |next| next.terms.longest_retention_days = 300);
    world.propose(&next);
    world.carry_all(&sapo, &pet);
    world.carry_all(&sapo, &pst);
    world.sign(&pet, 2);
    world.sign(&pst, 2);
    world.carry_all(&pet, &sapo);
    world.carry_all(&pst, &sapo);
    // One party's signature has not come to the other yet, and a record under the version overtakes it.
    let now = world.federation.now;
    let mut input = report("ctg", &[&pst], "under the second version");
    input.retention_days = Some(20);
    let (record, _) = approved(world.federation.node(&sapo), input, now).unwrap();
    release_record(world.federation.node(&sapo), record, now).unwrap();
    assert!(world.federation.carry(&sapo, &pst).unwrap());
    let (state, reasons) = world.copy(&sapo, &record, &pst);
    assert_eq!((state, reasons.contains("agreement-unsigned")), (HoldingState::Queued, true), "{reasons:?}");
    world.carry_all(&sapo, &pst);
    assert_eq!(world.copy(&sapo, &record, &pst).0, HoldingState::Held);
    assert!(world.reads(&pst, &record));
    world.federation.settle().unwrap();
}

#[test]
fn who_joins_gets_what_is_new_and_nothing_of_what_was() {
    for joining in [Joining::Chair, Joining::All] {
        let mut world = World::new(3, joining);
        let (sapo, pet, pst, supo) = (world.sapo.clone(), world.pet.clone(), world.pst.clone(), world.supo.clone());
        let (old, _) = world.release(&sapo, &[&pet], "from before");
        world.federation.settle().unwrap();
        let from = world.federation.now;
        let next = world.next(&sapo, 1, 2, |next| {
            next.parties.push(format::agreement::Party { org: supo.clone(), role: PartyRole::Member, from, until: None });
            next.parties.sort_by(|a, b| a.org.cmp(&b.org));
        });
        world.propose(&next);
        if joining == Joining::All {
            // Another party's signature comes to whoever joins before the version itself does.
            world.carry_all(&sapo, &pet);
            world.carry_all(&sapo, &pst);
            world.sign(&pet, 2);
            world.sign(&pst, 2);
            world.carry_all(&pet, &supo);
            assert_eq!(world.standing(&supo, 2), None, "it is kept, and waits for the version before");
        }
        world.federation.settle().unwrap();
        world.sign(&supo, 2);
        world.federation.settle().unwrap();
        for at in [&sapo, &pet, &pst, &supo] {
            assert_eq!(world.standing(at, 2), Some(Standing::InForce), "{joining:?} {at}");
        }
        assert!(!world.reads(&supo, &old));
        let now = world.federation.now;
        let passed = act(world.federation.node(&pet), "rolf", None, Command::PassOn { record: old, to: supo.clone() }, now);
        assert!(codes(&passed).contains(&"consent-missing"), "it was no party when that was released: {passed:?}");
        let (new, _) = world.release(&pet, &[&supo], "from now on");
        world.federation.settle().unwrap();
        assert!(world.reads(&supo, &new));
        let received =
            world.federation.node(&supo).store().records(&RecordQuery { stage: Some(Stage::Received), limit: 10, ..RecordQuery::default() }).unwrap();
        assert!(received.iter().all(|(_, row)| row.condition == Condition::Current));
    }
}

#[test]
fn a_card_with_another_address_goes_to_every_peer_and_one_with_more_takes_a_person() {
    let mut world = World::new(3, Joining::All);
    let (sapo, pet, pst) = (world.sapo.clone(), world.pet.clone(), world.pst.clone());
    let now = world.federation.now;
    let renew = |address: &str| Command::RenewCard { addresses: Some(vec![address.to_owned()]), contact: None, new_keys: false };
    assert!(act(world.federation.node(&sapo), "ada", None, renew("no address"), now).is_err());
    act(world.federation.node(&sapo), "ada", None, renew("old.sapo.example:7443"), now).unwrap();
    act(world.federation.node(&sapo), "ada", None, renew("new.sapo.example:7443"), now).unwrap();
    world.federation.settle().unwrap();
    for at in [&sapo, &pet, &pst] {
        let directory = world.federation.node(at).state().directory.clone();
        let card = &directory.card(&sapo).unwrap().card;
        assert_eq!((card.serial, card.addresses.clone()), (3, vec!["new.sapo.example:7443".to_owned()]), "{at}");
    }
    // Exchange goes on, and what was signed before still verifies.
    let (record, _) = world.release(&sapo, &[&pet], "from the new address");
    world.federation.settle().unwrap();
    assert!(world.reads(&pet, &record));
}
