//! The rules of release and admission against a second, naive model, over some millions of small cases.
//!
//! Each thread has a seed of its own, which is printed; the cases depend on nothing else. Beside agreement between the
//! two, three properties hold: tightening adds no reader, a party's leaving adds no reader, and what a sender may
//! release a receiver with the same knowledge admits.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that goes wrong should stop where it does")]

mod model;
mod world;

use std::collections::BTreeMap;

use fastrand::Rng;
use format::OrgId;
use format::agreement::Onward;
use format::record::{AgreementRef, Header};
use model::{Case, House, RULES, Slot, Stand, bit, refusals};
use samverkan_policy::admission::{self, Admission, Evidence};
use samverkan_policy::release::{self, Approval, Condition, Countries, Emergency, Grant, PassingOn, Release};
use samverkan_policy::{Accord, Agreements, Facts, HouseError, HouseForbid, HouseRules, Known, Standing};
use world::{World, once_in, pick, record, subset};

const THREADS: u64 = 2;
const WORLDS: usize = 5_000;
const HEADERS: usize = 15;
const CASES: usize = 14;

/// How often something came up, by what sort of thing it is and which.
type Seen = BTreeMap<(&'static str, &'static str), u64>;

impl HouseRules for House {
    fn forbids(&self, _: &Facts<'_>) -> Result<Vec<HouseForbid>, HouseError> {
        match self {
            Self::Silent => Ok(Vec::new()),
            Self::Forbids => Ok(vec![HouseForbid { rule: "r".to_owned(), sv: "nej".to_owned(), en: "no".to_owned() }]),
            Self::Fails => Err(HouseError::new("broken".to_owned())),
        }
    }
}

#[test]
fn the_rules_and_the_naive_model_agree() {
    let explore = |thread: u64| {
        println!("seed {}", 20_261_122 + thread);
        let mut rng = Rng::with_seed(20_261_122 + thread);
        let mut seen = Seen::new();
        (0..WORLDS).for_each(|_| explore_world(&mut rng, &mut seen));
        seen
    };
    let threads: Vec<_> = (0..THREADS).map(|thread| std::thread::spawn(move || explore(thread))).collect();
    let mut seen = Seen::new();
    for (what, times) in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
        *seen.entry(what).or_default() += times;
    }
    println!("{seen:#?}");
    let least = |sort: &'static str, which: &'static str, times: u64| {
        let found = seen.get(&(sort, which)).copied().unwrap_or_default();
        assert!(found >= times, "{sort} {which} came up {found} times");
    };
    least("cases", "release", 2_000_000);
    least("cases", "admission", 1_000_000);
    for (code, _) in RULES {
        least("reason", code, 100);
        // That an emergency does not help comes beside what it should have helped against.
        if *code != "emergency-not-allowed" {
            least("only reason", code, 1);
        }
    }
    for way in ["direct", "relayed", "steered", "returned", "by-consent", "emergency", "within", "free", "recall"] {
        least("permit", way, 100);
        least("admit", way, 100);
    }
    ["tighter marking", "tighter terms", "somebody left"].iter().for_each(|change| least("refused still", change, 10_000));
}

fn explore_world(rng: &mut Rng, seen: &mut Seen) {
    let world = World::new(rng);
    check_standings(&world);
    let (stricter, change) = stricter(rng, &world);
    let slots = slots(&world, &stricter);
    for _ in 0..HEADERS {
        let named = if once_in(rng, 40) { &slots[slots.len() - 1] } else { pick(rng, &slots[..slots.len() - 1]) };
        let header = world.header(rng, &named.name);
        let mut tighter = header.clone();
        tighter.marking = header.marking.join(&world::marking(rng, &world.orgs));
        for number in 0..CASES {
            let from = if once_in(rng, 2) { &header.originator } else { pick(rng, &world.orgs) };
            let mut to = pick(rng, &world.orgs);
            while (to == from || *to == header.originator) && !once_in(rng, 6) {
                to = pick(rng, &world.orgs);
            }
            let (grant, emergency) = (world.grant(rng, &header, from, to), world.emergency(rng, from, to));
            let case = case(rng, &world, &slots, named, &header, (from, to), (&grant, &emergency));
            let released = decide_release(&case, seen);
            if number % 2 == 0 {
                let knows = !once_in(rng, 3);
                decide_admission(&Case { arriving: true, named: case.named.filter(|_| knows), ..case }, seen);
            }
            if released {
                let admitted = admission::decide(&admission_of(&case));
                assert!(matches!(admitted, admission::Decision::Admit(_)), "released, and then not admitted: {header:#?}");
            } else if number % 2 == 1 {
                still_refused(&case, &tighter, change, seen);
            }
        }
    }
}

fn case<'a>(
    rng: &mut Rng,
    world: &World,
    slots: &'a [Slot<'a>],
    named: &'a Slot<'a>,
    header: &'a Header,
    ends: (&'a OrgId, &'a OrgId),
    (grant, emergency): (&'a Grant, &'a Emergency),
) -> Case<'a> {
    let country = *pick(rng, &[Some("SE"), Some("SE"), Some("EU"), None]);
    let mut member = |usual| if once_in(rng, 9) { *pick(rng, &[None, Some(""), Some("ada"), Some("bo")]) } else { Some(usual) };
    let approval = Approval { drafted_by: member("ada"), submitted_by: member("ada"), approved_by: member("bo") };
    let failing = [Condition::Superseded, Condition::Recalled, Condition::Expired, Condition::Removed];
    let terms = if once_in(rng, 6) { pick(rng, slots) } else { named };
    Case {
        arriving: false,
        now: world.now,
        from: ends.0,
        to: ends.1,
        card: !once_in(rng, 30),
        countries: Countries { originator: country, recipient: if once_in(rng, 3) { Some("NO") } else { country } },
        record: record(0),
        header,
        condition: if once_in(rng, 8) { *pick(rng, &failing) } else { Condition::Current },
        approval,
        named: Some(named),
        under: Some(pick(rng, slots)).filter(|_| !once_in(rng, 8)),
        grant: Some(grant).filter(|_| !once_in(rng, 3)),
        emergency: Some(emergency).filter(|_| once_in(rng, 3)),
        terms: terms.accord.filter(|_| once_in(rng, 2)).map(|accord| &accord.agreement),
        house: if once_in(rng, 25) { *pick(rng, &[House::Forbids, House::Fails]) } else { House::Silent },
        about_copy: once_in(rng, 6),
    }
}

fn decide_release(case: &Case<'_>, seen: &mut Seen) -> bool {
    let outcome = match release::decide(&release_of(case, |slot| slot.known.as_ref())) {
        release::Decision::Permit(permit) => {
            assert_eq!((permit.record(), permit.sender(), permit.recipient()), (record(0), case.from, case.to));
            Ok(permit.grounds()[0].code())
        }
        release::Decision::Refuse(reasons) => Err(reasons.iter().map(|reason| reason.code()).collect()),
    };
    compare(case, outcome, ("release", "permit"), seen)
}

fn decide_admission(case: &Case<'_>, seen: &mut Seen) -> bool {
    let outcome = match admission::decide(&admission_of(case)) {
        admission::Decision::Admit(admit) => Ok(admit.grounds()[0].code()),
        admission::Decision::Refuse(reasons) => Err(reasons.iter().map(|reason| reason.code()).collect()),
    };
    compare(case, outcome, ("admission", "admit"), seen)
}

fn compare(case: &Case<'_>, outcome: Result<&'static str, Vec<&'static str>>, side: (&'static str, &'static str), seen: &mut Seen) -> bool {
    let mut note = |sort, which| *seen.entry((sort, which)).or_default() += 1;
    note("cases", side.0);
    match &outcome {
        Ok(way) => note(side.1, way),
        Err(codes) => {
            codes.iter().for_each(|code| note("reason", code));
            codes.iter().filter(|_| codes.len() == 1).for_each(|code| note("only reason", code));
        }
    }
    let found = outcome.as_ref().err().map_or(0, |codes| codes.iter().fold(0, |bits, code| bits | bit(code)));
    let expected = refusals(case);
    let names = || RULES.iter().map(|(code, _)| code).filter(|code| expected & bit(code) != 0).collect::<Vec<_>>();
    assert!(found == expected && outcome.is_err() == (found != 0), "the rules say {outcome:?}, the model {:?}\n{:#?}", names(), case.header);
    outcome.is_ok()
}

fn release_of<'a>(case: &'a Case<'a>, known: impl Fn(&'a Slot<'a>) -> Option<&'a Known<'a>>) -> Release<'a> {
    Release {
        now: case.now,
        sender: case.from,
        recipient: case.to,
        recipient_known: case.card,
        countries: case.countries,
        record: case.record,
        header: case.header,
        condition: case.condition,
        approval: case.approval,
        named: case.named.and_then(&known).cloned(),
        onward: Some(PassingOn { grant: case.grant, emergency: case.emergency, under: case.under.and_then(&known).cloned() }),
        house: &case.house,
        steers_held: case.about_copy,
    }
}

fn admission_of<'a>(case: &'a Case<'a>) -> Admission<'a> {
    let known = |slot: &'a Slot<'a>| slot.known.clone();
    Admission {
        now: case.now,
        me: case.to,
        sender: case.from,
        countries: case.countries,
        record: case.record,
        header: case.header,
        named: case.named.and_then(known),
        onward: Some(Evidence { grant: case.grant, emergency: case.emergency, terms: case.terms, under: case.under.and_then(known) }),
        steers_held: case.about_copy,
    }
}

/// What was refused is refused with a tighter marking, and under stricter agreements that stand as these do.
fn still_refused(case: &Case<'_>, tighter: &Header, change: &'static str, seen: &mut Seen) {
    let refused = |release| matches!(release::decide(&release), release::Decision::Refuse(_));
    let marked = Case { header: tighter, ..*case };
    if seen[&("cases", "release")].is_multiple_of(8) {
        assert!(refused(release_of(&marked, |slot| slot.known.as_ref())), "a tighter marking added a reader: {:#?} {tighter:#?}", case.header);
        *seen.entry(("refused still", "tighter marking")).or_default() += 1;
    } else if [case.named, case.under].into_iter().flatten().all(|slot| slot.known.is_none() || slot.stricter.is_some()) {
        assert!(refused(release_of(case, |slot| slot.stricter.as_ref())), "{change}, and that added a reader: {:#?}", case.header);
        *seen.entry(("refused still", change)).or_default() += 1;
    }
}

/// Every version in the world, and last one that nobody knows.
fn slots<'w>(world: &'w World, stricter: &'w Agreements) -> Vec<Slot<'w>> {
    let stands = |known: &Known<'_>| (known.standing().clone(), known.newer().map(Accord::name));
    let slot = |versions: &'w [Accord], accord: &'w Accord| {
        let name = accord.name();
        let known = world.agreements.known(&name, world.now);
        let stricter = stricter.known(&name, world.now).filter(|other| Some(stands(other)) == known.as_ref().map(stands));
        Slot { bound: model::bound(versions, name.version, world.now), accord: Some(accord), name, known, stricter }
    };
    let mut slots: Vec<_> = world.versions.values().flat_map(|versions| versions.iter().map(|accord| slot(versions, accord))).collect();
    let name = AgreementRef { id: "nowhere".parse().unwrap(), version: 1 };
    slots.push(Slot { known: world.agreements.known(&name, world.now), name, accord: None, bound: None, stricter: None });
    slots
}

/// The same agreements with tighter terms everywhere, or after somebody left all of them.
fn stricter(rng: &mut Rng, world: &World) -> (Agreements, &'static str) {
    let mut agreements = world.agreements.clone();
    if once_in(rng, 2) {
        let leaver = pick(rng, &world.orgs);
        world.versions.keys().for_each(|id| agreements.withdraw(&id.parse().unwrap(), leaver, world.now).unwrap());
        return (agreements, "somebody left");
    }
    agreements = Agreements::default();
    for version in world.versions.values().flatten() {
        let mut agreement = version.agreement.clone();
        let terms = &mut agreement.terms;
        terms.kinds = subset(rng, &terms.kinds.iter().copied().collect::<Vec<_>>(), 7);
        terms.onward = terms.onward.min(*pick(rng, &[Onward::Consent, Onward::Free]));
        terms.longest_retention_days = terms.longest_retention_days.min(*pick(rng, &[10, 400]));
        terms.four_eyes |= once_in(rng, 3);
        agreements.insert(agreement).unwrap();
        version.signed.iter().for_each(|org| agreements.sign(&version.name(), org).unwrap());
        version.withdrawn.iter().for_each(|(org, at)| agreements.withdraw(&version.agreement.id, org, *at).unwrap());
    }
    (agreements, "tighter terms")
}

fn check_standings(world: &World) {
    for versions in world.versions.values() {
        let mut before: Option<&Accord> = None;
        for (version, expected) in versions.iter().zip(model::standings(versions, world.now)) {
            let found = match version.standing(before, world.now) {
                Standing::Proposed { missing } if !missing.is_empty() => Stand::Proposed,
                Standing::Proposed { .. } => panic!("proposed, and nothing is missing"),
                Standing::NotYet => Stand::NotYet,
                Standing::InForce => Stand::InForce,
                Standing::Ended => Stand::Ended,
            };
            assert_eq!(found, expected, "{version:#?} after {before:#?}");
            before = if found == Stand::Proposed { before } else { Some(version) };
        }
    }
}
