//! The rules of release and admission against a second, naive model, over some millions of small cases.
//!
//! Each thread has a seed of its own, which is printed; the cases depend on nothing else. Beside agreement between the
//! two, three properties hold: tightening adds no reader, a party's leaving adds no reader, and what a sender may
//! release a receiver with the same knowledge admits.

mod model;
mod world;

use std::collections::BTreeMap;

use fastrand::Rng;
use format::agreement::{Agreement, Onward};
use format::record::{AgreementRef, Header};
use format::{OrgId, Timestamp};
use model::{Bound, Case, House, bit, refusals};
use samverkan_policy::admission::{self, Admission, Evidence};
use samverkan_policy::release::{self, Approval, Condition, Countries, Grant, PassingOn, Release};
use samverkan_policy::{Accord, Agreements, Facts, HouseError, HouseForbid, HouseRules, Known, Reason, Standing};
use world::{World, once_in, pick, record, subset};

const THREADS: u64 = 2;
const WORLDS: usize = 5_000;
const HEADERS: usize = 15;
const QUESTIONS: usize = 14;

#[derive(Debug)]
struct Stub(House);

impl HouseRules for Stub {
    fn forbids(&self, _: &Facts<'_>) -> Result<Vec<HouseForbid>, HouseError> {
        match self.0 {
            House::Silent => Ok(Vec::new()),
            House::Forbids => Ok(vec![HouseForbid { rule: "r".to_owned(), sv: "nej".to_owned(), en: "no".to_owned() }]),
            House::Fails => Err(HouseError::new("broken".to_owned())),
        }
    }
}

/// How often each code and each way came up.
#[derive(Debug, Default)]
struct Seen {
    releases: u64,
    admissions: u64,
    codes: BTreeMap<&'static str, [u64; 2]>,
    alone: BTreeMap<&'static str, u64>,
    grounds: BTreeMap<(&'static str, &'static str), u64>,
    compared: [u64; 2],
}

/// A version of an agreement, as the rules and as the model see it.
struct Slot<'w> {
    name: AgreementRef,
    accord: Option<&'w Accord>,
    known: Option<Known<'w>>,
    bound: Option<Bound<'w>>,
    /// The same version in a world with stricter agreements, if it stands there as it does here.
    stricter: Option<Known<'w>>,
}

struct Question<'a> {
    now: Timestamp,
    header: &'a Header,
    from: &'a OrgId,
    to: &'a OrgId,
    card: bool,
    countries: Countries<'a>,
    condition: Condition,
    approval: Approval<'a>,
    named: &'a Slot<'a>,
    under: Option<&'a Slot<'a>>,
    grant: Option<&'a Grant>,
    terms: Option<&'a Agreement>,
    house: Stub,
    steers_held: bool,
    /// Whether the receiver knows the named version.
    known_there: bool,
}

#[test]
fn the_rules_and_the_naive_model_agree() {
    let seed = 20_261_122;
    let run = move |thread: u64| {
        println!("seed {}", seed + thread);
        let mut rng = Rng::with_seed(seed + thread);
        let mut seen = Seen::default();
        for _ in 0..WORLDS {
            explore(&mut rng, &mut seen);
        }
        seen
    };
    let threads: Vec<_> = (0..THREADS).map(|thread| std::thread::spawn(move || run(thread))).collect();
    let mut seen = Seen::default();
    for thread in threads {
        seen.add(thread.join().unwrap());
    }
    println!("{seen:#?}");
    seen.covers_everything();
}

fn explore(rng: &mut Rng, seen: &mut Seen) {
    let world = World::new(rng);
    check_standings(&world);
    let (stricter, change) = stricter(rng, &world);
    let slots = slots(&world, &stricter);
    for _ in 0..HEADERS {
        let named = if once_in(rng, 20) { &slots[slots.len() - 1] } else { &slots[rng.usize(..slots.len())] };
        let header = world.header(rng, &named.name);
        let mut tighter = header.clone();
        tighter.marking = header.marking.join(&world::marking(rng, &world.orgs));
        for number in 0..QUESTIONS {
            let from = if once_in(rng, 2) { &header.originator } else { pick(rng, &world.orgs) };
            let mut to = pick(rng, &world.orgs);
            while (to == from || *to == header.originator) && !once_in(rng, 6) {
                to = pick(rng, &world.orgs);
            }
            let grant = world.grant(rng, &header, from, to);
            let question = question(rng, &world, &slots, named, &header, (from, to), &grant);
            ask(&question, number % 2 == 0, &tighter, change, seen);
        }
    }
}

/// Every version in the world, and one that nobody knows.
fn slots<'w>(world: &'w World, stricter: &'w Agreements) -> Vec<Slot<'w>> {
    let mut slots: Vec<Slot<'_>> = Vec::new();
    for versions in world.versions.values() {
        for accord in versions {
            let name = accord.name();
            let stands = |known: &Known<'_>| (known.standing().clone(), known.newer().map(Accord::name));
            let known = world.agreements.known(&name, world.now);
            let stricter = stricter.known(&name, world.now).filter(|other| Some(stands(other)) == known.as_ref().map(stands));
            let bound = model::bound(versions, name.version, world.now);
            slots.push(Slot { name, accord: Some(accord), known, bound, stricter });
        }
    }
    let name = AgreementRef { id: "nowhere".parse().unwrap(), version: 1 };
    slots.push(Slot { accord: None, known: world.agreements.known(&name, world.now), bound: None, stricter: None, name });
    slots
}

fn question<'a>(
    rng: &mut Rng,
    world: &World,
    slots: &'a [Slot<'a>],
    named: &'a Slot<'a>,
    header: &'a Header,
    ends: (&'a OrgId, &'a OrgId),
    grant: &'a Grant,
) -> Question<'a> {
    let country = *pick(rng, &[Some("SE"), Some("SE"), Some("EU"), None]);
    let mut member = |usual| if once_in(rng, 9) { *pick(rng, &[None, Some(""), Some("ada"), Some("bo")]) } else { Some(usual) };
    let approval = Approval { drafted_by: member("ada"), submitted_by: member("ada"), approved_by: member("bo") };
    let failing = [Condition::Superseded, Condition::Recalled, Condition::Expired, Condition::Removed];
    Question {
        now: world.now,
        header,
        from: ends.0,
        to: ends.1,
        card: !once_in(rng, 30),
        countries: Countries { originator: country, recipient: if once_in(rng, 3) { Some("NO") } else { country } },
        condition: if once_in(rng, 8) { *pick(rng, &failing) } else { Condition::Current },
        approval,
        named,
        under: Some(pick(rng, slots)).filter(|_| !once_in(rng, 8)),
        grant: Some(grant).filter(|_| !once_in(rng, 3)),
        terms: if once_in(rng, 6) { pick(rng, slots) } else { named }.accord.filter(|_| once_in(rng, 2)).map(|accord| &accord.agreement),
        house: Stub(if once_in(rng, 25) { *pick(rng, &[House::Forbids, House::Fails]) } else { House::Silent }),
        steers_held: once_in(rng, 6),
        known_there: !once_in(rng, 3),
    }
}

fn ask(question: &Question<'_>, also_arriving: bool, tighter: &Header, change: usize, seen: &mut Seen) {
    let released = compare(question, false, seen);
    if also_arriving {
        compare(question, true, seen);
    }
    let named = question.named.known.as_ref();
    let under = question.under.and_then(|slot| slot.known.as_ref());
    if released {
        let admitted = admission::decide(&admission_of(question, named));
        assert!(matches!(admitted, admission::Decision::Admit(_)), "released, and then not admitted: {:#?}", question.header);
        return;
    }
    if seen.releases % 2 == 0 {
        // Half of the refusals are enough for the two properties below.
    } else if seen.releases % 8 == 1 {
        let marked = Release { header: tighter, ..release_of(question, named, under) };
        assert!(refused(&marked), "a stricter marking added a reader: {:#?} {:#?}", question.header, tighter.marking);
    } else if let Some(named) = &question.named.stricter
        && question.under.is_none_or(|slot| slot.known.is_none() || slot.stricter.is_some())
    {
        seen.compared[change] += 1;
        let under = question.under.and_then(|slot| slot.stricter.as_ref());
        assert!(refused(&release_of(question, Some(named), under)), "stricter agreements added a reader: {:#?}", question.header);
    }
}

fn refused(release: &Release<'_>) -> bool {
    matches!(release::decide(release), release::Decision::Refuse(_))
}

/// The decision of the rules, compared with the model's.
fn compare(question: &Question<'_>, arriving: bool, seen: &mut Seen) -> bool {
    let known_here = !arriving || question.known_there;
    let named = question.named.known.as_ref().filter(|_| known_here);
    let under = question.under.and_then(|slot| slot.known.as_ref());
    let (reasons, way) = if arriving {
        match admission::decide(&admission_of(question, named)) {
            admission::Decision::Admit(admit) => (Vec::new(), Some(admit.grounds()[0].code())),
            admission::Decision::Refuse(reasons) => (reasons, None),
        }
    } else {
        match release::decide(&release_of(question, named, under)) {
            release::Decision::Permit(permit) => {
                assert_eq!((permit.record(), permit.sender(), permit.recipient()), (record(0), question.from, question.to));
                (Vec::new(), Some(permit.grounds()[0].code()))
            }
            release::Decision::Refuse(reasons) => (reasons, None),
        }
    };
    let found = reasons.iter().fold(0, |bits, reason| bits | bit(reason.code()));
    let expected = refusals(&case_of(question, arriving, known_here));
    assert_eq!(found, expected, "arriving {arriving}: the rules say {reasons:?}, the model {:?}\n{:#?}", codes(expected), question.header);
    assert_eq!(reasons.is_empty(), way.is_some());
    seen.note(&reasons, way, arriving);
    reasons.is_empty()
}

fn release_of<'a>(question: &'a Question<'a>, named: Option<&Known<'a>>, under: Option<&Known<'a>>) -> Release<'a> {
    Release {
        now: question.now,
        sender: question.from,
        recipient: question.to,
        recipient_known: question.card,
        countries: question.countries,
        record: record(0),
        header: question.header,
        condition: question.condition,
        approval: question.approval,
        named: named.cloned(),
        onward: Some(PassingOn { grant: question.grant, under: under.cloned() }),
        house: &question.house,
        steers_held: question.steers_held,
    }
}

fn admission_of<'a>(question: &'a Question<'a>, named: Option<&Known<'a>>) -> Admission<'a> {
    let under = question.under.and_then(|slot| slot.known.clone());
    Admission {
        now: question.now,
        me: question.to,
        sender: question.from,
        countries: question.countries,
        record: record(0),
        header: question.header,
        named: named.cloned(),
        onward: Some(Evidence { grant: question.grant, terms: question.terms, under }),
        steers_held: question.steers_held,
    }
}

fn case_of<'a>(question: &'a Question<'a>, arriving: bool, known_here: bool) -> Case<'a> {
    Case {
        arriving,
        now: question.now,
        from: question.from,
        to: question.to,
        card: question.card,
        countries: (question.countries.originator, question.countries.recipient),
        record: record(0),
        header: question.header,
        condition: question.condition,
        approval: question.approval,
        named: question.named.bound.as_ref().filter(|_| known_here),
        under: question.under.and_then(|slot| slot.bound.as_ref()),
        grant: question.grant,
        terms: question.terms.filter(|_| arriving),
        house: question.house.0,
        about_copy: question.steers_held,
    }
}

/// The same agreements with tighter terms everywhere, or after somebody left all of them.
fn stricter(rng: &mut Rng, world: &World) -> (Agreements, usize) {
    let mut agreements = world.agreements.clone();
    if once_in(rng, 2) {
        let leaver = pick(rng, &world.orgs);
        let ids = world.versions.keys().map(|id| id.parse().unwrap());
        ids.for_each(|id| agreements.withdraw(&id, leaver, world.now).unwrap());
        return (agreements, 1);
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
    (agreements, 0)
}

fn check_standings(world: &World) {
    for versions in world.versions.values() {
        let expected = model::standings(versions, world.now);
        let mut before: Option<&Accord> = None;
        for (version, expected) in versions.iter().zip(expected) {
            let found = version.standing(before, world.now);
            let same = match &found {
                Standing::Proposed { missing } => expected == model::Stand::Proposed && !missing.is_empty(),
                Standing::NotYet => expected == model::Stand::NotYet,
                Standing::InForce => expected == model::Stand::InForce,
                Standing::Ended => expected == model::Stand::Ended,
            };
            assert!(same, "the rules say {found:?}, the model {expected:?}: {version:#?} after {before:#?}");
            if expected != model::Stand::Proposed {
                before = Some(version);
            }
        }
    }
}

fn codes(bits: u64) -> Vec<&'static str> {
    model::RULES.iter().map(|(code, _)| *code).filter(|code| bits & bit(code) != 0).collect()
}

impl Seen {
    fn note(&mut self, reasons: &[Reason], way: Option<&'static str>, arriving: bool) {
        *(if arriving { &mut self.admissions } else { &mut self.releases }) += 1;
        for reason in reasons {
            self.codes.entry(reason.code()).or_default()[usize::from(arriving)] += 1;
        }
        if let [only] = reasons {
            *self.alone.entry(only.code()).or_default() += 1;
        }
        if let Some(way) = way {
            *self.grounds.entry((if arriving { "admit" } else { "permit" }, way)).or_default() += 1;
        }
    }

    fn add(&mut self, other: Self) {
        self.releases += other.releases;
        self.admissions += other.admissions;
        other.codes.into_iter().for_each(|(code, n)| (0..2).for_each(|i| self.codes.entry(code).or_default()[i] += n[i]));
        other.alone.into_iter().for_each(|(code, n)| *self.alone.entry(code).or_default() += n);
        other.grounds.into_iter().for_each(|(way, n)| *self.grounds.entry(way).or_default() += n);
        (0..2).for_each(|i| self.compared[i] += other.compared[i]);
    }

    fn covers_everything(&self) {
        assert!(self.releases >= 2_000_000 && self.admissions >= 1_000_000);
        for (code, _) in model::RULES {
            let times: u64 = self.codes.get(code).map_or(0, |n| n.iter().sum());
            assert!(times >= 100, "{code} came up {times} times");
            assert!(self.alone.contains_key(code), "{code} never came up alone");
        }
        for side in ["permit", "admit"] {
            for way in ["direct", "relayed", "steered", "returned", "by-consent", "within", "free", "recall"] {
                assert!(self.grounds.get(&(side, way)).is_some_and(|n| *n >= 100), "{side} {way}");
            }
        }
        assert!(self.compared.iter().all(|n| *n >= 10_000), "{:?}", self.compared);
    }
}
