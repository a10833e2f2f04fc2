use format::agreement::{Form, Onward, Terms, Text};
use format::record::Kind;

use super::*;

fn org(id: &str) -> OrgId {
    id.parse().unwrap()
}

fn day(date: &str) -> Timestamp {
    Timestamp::from_date(date).unwrap()
}

fn now() -> Timestamp {
    day("2026-11-22")
}

fn version(number: u32, joining: Joining, parties: &[(&str, PartyRole)]) -> Agreement {
    let text = || Text { sv: "x".to_owned(), en: "x".to_owned() };
    let party = |(id, role): &(&str, PartyRole)| Party { org: org(id), role: *role, from: day("2026-01-01"), until: None };
    Agreement {
        id: "ctg".parse().unwrap(),
        version: number,
        supersedes: None,
        title: text(),
        form: Form::Body,
        parties: parties.iter().map(party).collect(),
        terms: Terms {
            kinds: BTreeSet::from([Kind::Report]),
            ceiling: "se:h".parse().unwrap(),
            purposes: BTreeSet::from(["counter-terrorism".parse().unwrap()]),
            legal_bases: BTreeSet::from(["2019:1182 2:4".parse().unwrap()]),
            onward: Onward::Consent,
            longest_retention_days: 365,
            joining,
            membership_confidential: false,
            four_eyes: true,
            answer_times: None,
            duties: Vec::new(),
        },
        proposed_by: org("aa"),
        proposed: day("2026-01-01").plus_days(number),
        valid_from: day("2026-01-01"),
        valid_until: None,
    }
}

const CHAIR: PartyRole = PartyRole::Chair;
const MEMBER: PartyRole = PartyRole::Member;
const THREE: &[(&str, PartyRole)] = &[("aa", CHAIR), ("bb", MEMBER), ("cc", MEMBER)];
const FOUR: &[(&str, PartyRole)] = &[("aa", CHAIR), ("bb", MEMBER), ("cc", MEMBER), ("dd", MEMBER)];

fn named(version: u32) -> AgreementRef {
    AgreementRef { id: "ctg".parse().unwrap(), version }
}

/// Agreements with these versions, each signed by these parties.
fn agreements(versions: &[(&Agreement, &[&str])]) -> Agreements {
    let mut agreements = Agreements::default();
    for (agreement, signers) in versions {
        agreements.insert((*agreement).clone()).unwrap();
        let named = named(agreement.version);
        signers.iter().for_each(|signer| agreements.sign(&named, &org(signer)).unwrap());
    }
    agreements
}

fn standing(agreements: &Agreements, version: u32) -> Standing {
    agreements.known(&named(version), now()).unwrap().standing().clone()
}

fn missing(orgs: &[&str]) -> Standing {
    Standing::Proposed { missing: orgs.iter().map(|id| org(id)).collect() }
}

#[test]
fn the_first_version_needs_everybody() {
    let first = version(1, Joining::Chair, THREE);
    assert_eq!(standing(&agreements(&[(&first, &["aa", "bb"])]), 1), missing(&["cc"]));
    assert_eq!(standing(&agreements(&[(&first, &["aa", "bb", "cc"])]), 1), Standing::InForce);
}

#[test]
fn the_chair_admits_where_the_version_before_says_so() {
    let first = version(1, Joining::Chair, THREE);
    let second = version(2, Joining::Chair, FOUR);
    let all = ["aa", "bb", "cc"];
    assert_eq!(standing(&agreements(&[(&first, &all), (&second, &["aa", "dd"])]), 2), Standing::InForce);
    assert_eq!(standing(&agreements(&[(&first, &all), (&second, &["aa"])]), 2), missing(&["dd"]));
    // A version that grants the rule to itself, and one that changes the terms, need everybody.
    let strict = version(1, Joining::All, THREE);
    assert_eq!(standing(&agreements(&[(&strict, &all), (&second, &["aa", "dd"])]), 2), missing(&["bb", "cc"]));
    let mut looser = second.clone();
    looser.terms.onward = Onward::Free;
    assert_eq!(standing(&agreements(&[(&first, &all), (&looser, &["aa", "dd"])]), 2), missing(&["bb", "cc"]));
    // A first version that was never signed gives its chair no power.
    assert_eq!(standing(&agreements(&[(&first, &["aa"]), (&second, &["aa", "dd"])]), 2), missing(&["bb", "cc"]));
}

#[test]
fn nobody_is_made_chair_or_kept_longer_without_their_word() {
    let mut first = version(1, Joining::Chair, THREE);
    first.parties[1].until = Some(day("2027-01-01"));
    let mut second = version(2, Joining::Chair, FOUR);
    second.parties[2].role = CHAIR;
    let held = agreements(&[(&first, &["aa", "bb", "cc"]), (&second, &["aa", "dd"])]);
    assert_eq!(standing(&held, 2), missing(&["bb", "cc"]));
}

#[test]
fn a_minority_cannot_take_the_agreement_away() {
    let first = version(1, Joining::All, FOUR);
    let second = version(2, Joining::All, &[("aa", CHAIR), ("dd", MEMBER)]);
    let all = ["aa", "bb", "cc", "dd"];
    assert_eq!(standing(&agreements(&[(&first, &all), (&second, &["aa", "dd"])]), 2), missing(&["bb", "cc"]));
    let without_one = version(2, Joining::All, &[("aa", CHAIR), ("bb", MEMBER), ("dd", MEMBER)]);
    let held = agreements(&[(&first, &all), (&without_one, &["aa", "bb", "dd"])]);
    assert_eq!(standing(&held, 2), Standing::InForce);
    assert!(!held.current(&named(1).id, now()).unwrap().accord().party(&org("cc"), now()));
}

#[test]
fn the_chair_expels_nobody_alone_and_nobody_blocks_its_own_expulsion() {
    let first = version(1, Joining::Chair, FOUR);
    let without = version(2, Joining::Chair, &[("aa", CHAIR), ("bb", MEMBER), ("dd", MEMBER)]);
    let mut shortened = version(2, Joining::Chair, FOUR);
    shortened.parties[2].until = Some(now());
    let all = ["aa", "bb", "cc", "dd"];
    assert_eq!(standing(&agreements(&[(&first, &all), (&without, &["aa"])]), 2), missing(&["bb", "dd"]));
    assert_eq!(standing(&agreements(&[(&first, &all), (&without, &["aa", "bb", "dd"])]), 2), Standing::InForce);
    assert_eq!(standing(&agreements(&[(&first, &all), (&shortened, &["aa", "bb", "dd"])]), 2), missing(&["cc"]));
    // Whoever has left by itself is taken off the list by the chair.
    let mut held = agreements(&[(&first, &all), (&without, &["aa"])]);
    held.withdraw(&named(1).id, &org("cc"), now()).unwrap();
    assert_eq!(standing(&held, 2), Standing::InForce);
}

#[test]
fn a_version_that_nobody_takes_up_does_not_stand_in_the_way() {
    let first = version(1, Joining::All, THREE);
    let rival = version(2, Joining::All, THREE);
    let without = version(3, Joining::All, &[("aa", CHAIR), ("bb", MEMBER)]);
    let held = agreements(&[(&first, &["aa", "bb", "cc"]), (&rival, &["cc"]), (&without, &["aa", "bb"])]);
    assert_eq!(standing(&held, 3), Standing::InForce, "it is judged by the first version, which has its signatures");
    assert!(!held.current(&named(1).id, now()).unwrap().accord().party(&org("cc"), now()));
}

#[test]
fn who_withdraws_is_out_at_once_and_everywhere() {
    let first = version(1, Joining::All, THREE);
    let second = version(2, Joining::All, THREE);
    let all = ["aa", "bb", "cc"];
    for at in [day("2026-01-10"), day("2099-01-01")] {
        let mut held = agreements(&[(&first, &all), (&second, &["aa", "bb"])]);
        held.withdraw(&named(1).id, &org("cc"), at).unwrap();
        for number in [1, 2] {
            assert!(!held.get(&named(1).id, number).unwrap().party(&org("cc"), now()));
            assert_eq!(standing(&held, number), Standing::InForce, "its signature is not needed");
        }
        held.withdraw(&named(1).id, &org("bb"), at).unwrap();
        assert_eq!(standing(&held, 2), Standing::Ended, "one party is left");
    }
}

#[test]
fn an_older_version_does_not_come_back() {
    let first = version(1, Joining::All, THREE);
    let second = version(2, Joining::All, &[("aa", CHAIR), ("bb", MEMBER)]);
    let mut held = agreements(&[(&first, &["aa", "bb", "cc"]), (&second, &["aa", "bb"])]);
    assert_eq!(held.known(&named(1), now()).unwrap().newer().unwrap().agreement.version, 2);
    held.withdraw(&named(1).id, &org("bb"), now()).unwrap();
    assert_eq!(standing(&held, 1), Standing::Ended);
    assert!(held.current(&named(1).id, now()).is_none());
    assert_eq!(held.shared(&org("aa"), &org("cc"), now()).count(), 0);
}

#[test]
fn order_of_arrival_does_not_matter() {
    let first = version(1, Joining::All, THREE);
    let again = version(2, Joining::All, THREE);
    let left = first.proposed.plus_ms(1);
    let back = |early: bool| {
        let mut held = agreements(&[(&first, &["aa", "bb", "cc"])]);
        if early {
            held.withdraw(&named(1).id, &org("cc"), left).unwrap();
        }
        held.insert(again.clone()).unwrap();
        ["aa", "bb", "cc"].iter().for_each(|signer| held.sign(&named(2), &org(signer)).unwrap());
        if !early {
            held.withdraw(&named(1).id, &org("cc"), left).unwrap();
        }
        held
    };
    assert_eq!(back(true), back(false));
    let held = back(true);
    assert!(held.get(&named(1).id, 2).unwrap().party(&org("cc"), now()), "it signed a version proposed after it left");
    assert!(!held.get(&named(1).id, 1).unwrap().party(&org("cc"), now()));
    assert!(held.withdrawal_time(&named(1).id, first.proposed) == again.proposed);
}

#[test]
fn dates_and_roles() {
    let mut first = version(1, Joining::All, THREE);
    first.valid_from = now();
    first.valid_until = Some(now().plus_days(1));
    first.parties[2].until = Some(now());
    let held = agreements(&[(&first, &["aa", "bb", "cc"])]);
    let at = |ms| held.known(&named(1), now().plus_ms(ms)).unwrap().standing().clone();
    assert_eq!([at(-1), at(0), at(86_399_999), at(86_400_000)], [Standing::NotYet, Standing::InForce, Standing::InForce, Standing::Ended]);
    let accord = held.get(&named(1).id, 1).unwrap();
    assert_eq!(accord.role(&org("aa"), now()), Some(CHAIR));
    assert_eq!(accord.role(&org("cc"), now()), None);
    assert_eq!(accord.role(&org("cc"), now().plus_ms(-1)), Some(MEMBER));
}

#[test]
fn what_does_not_fit_is_refused() {
    let first = version(1, Joining::All, THREE);
    let mut held = agreements(&[(&first, &[])]);
    assert_eq!(held.insert(first.clone()), Ok(()));
    assert_eq!(held.insert(version(1, Joining::Chair, THREE)), Err(AccordError::Differs(named(1))));
    assert_eq!(held.insert(version(3, Joining::All, THREE)), Ok(()), "a number may be passed over");
    assert_eq!(Agreements::default().insert(version(3, Joining::All, THREE)), Err(AccordError::Gap(named(3))));
    assert_eq!(held.sign(&named(2), &org("aa")), Err(AccordError::UnknownVersion(named(2))));
    assert_eq!(held.sign(&named(1), &org("dd")), Err(AccordError::NotParty { org: org("dd"), named: named(1) }));
    assert!(held.withdraw(&"nowhere".parse().unwrap(), &org("aa"), now()).is_err());
}
