//! House rules: what they forbid, what is refused when they are put in place, and that failing is not silence.

#![expect(clippy::unwrap_used, reason = "a test that goes wrong should stop where it does")]

use std::collections::BTreeSet;

use format::OrgId;
use format::id::{LegalBasis, Purpose};
use format::marking::{Caveat, Handling, Level, Tlp};
use format::record::{AgreementRef, Kind, SubjectCategory};
use policy::house::{Facts, HouseRules};
use samverkan_house::{CedarRules, MAX_RULES, MAX_TEXT, RuleFault};

/// A release to `recipient`, in `country`, of a report at `level`.
fn asked(rules: &CedarRules, recipient: &str, country: Option<&str>, level: Level, categories: &[SubjectCategory]) -> Result<Vec<String>, String> {
    let org = |id: &str| -> OrgId { id.parse().unwrap() };
    let (sender, recipient) = (org("se-sapo"), org(recipient));
    let purpose: Purpose = "counter-terrorism".parse().unwrap();
    let legal_basis: LegalBasis = "2019:1182 2:4".parse().unwrap();
    let facts = Facts {
        sender: &sender,
        recipient: &recipient,
        recipient_country: country,
        originator: &sender,
        originator_country: Some("SE"),
        agreement: &AgreementRef { id: "ctg".parse().unwrap(), version: 2 },
        kind: Kind::Report,
        level,
        tlp: &Tlp::Green,
        handling: &BTreeSet::from([Handling::H1]),
        caveats: &BTreeSet::from([Caveat::OriginatorControl]),
        purpose: &purpose,
        legal_basis: &legal_basis,
        categories: &categories.iter().copied().collect(),
        onward: false,
        emergency: false,
    };
    let names = |forbids: Vec<policy::HouseForbid>| forbids.into_iter().map(|forbid| forbid.rule).collect();
    rules.forbids(&facts).map(names).map_err(|error| error.why().to_owned())
}

fn rule(id: &str, head: &str, condition: &str) -> String {
    format!("@id(\"{id}\") @sv(\"Det går inte.\") @en(\"Not so.\") forbid({head}) when {{ {condition} }};\n")
}

const ANY: &str = "principal, action, resource";

#[test]
fn rules_forbid_and_say_which() {
    let text =
        rule(
            "b-secret-stays",
            ANY,
            "resource.level >= 3 && !(principal has country && resource.originator has country && principal.country == resource.originator.country)",
        ) + &rule("a-victims", "principal == Organisation::\"no-pst\", action == Action::\"release\", resource", "resource.categories.contains(\"victim\")")
            + &rule("c-second", ANY, "resource.agreement == \"ctg\" && resource.agreementVersion < 2 || resource.onward");
    let rules = CedarRules::parse(&text).unwrap();
    let victim = [SubjectCategory::Victim];
    assert_eq!(asked(&rules, "no-pst", Some("NO"), Level::Secret, &victim), Ok(vec!["a-victims".to_owned(), "b-secret-stays".to_owned()]));
    assert_eq!(asked(&rules, "se-must", Some("SE"), Level::Secret, &victim), Ok(vec![]));
    assert_eq!(asked(&rules, "se-must", None, Level::TopSecret, &[]), Ok(vec!["b-secret-stays".to_owned()]));
    assert_eq!(asked(&rules, "se-sapo", None, Level::Secret, &[]), Ok(vec![]), "the originator's country is known from its own side");
    let sentences: Vec<_> = rules.rules().map(|rule| (rule.rule.as_str(), rule.sv.as_str(), rule.en.as_str())).collect();
    assert_eq!(sentences[0], ("a-victims", "Det går inte.", "Not so."));
    assert_eq!(sentences.len(), 3);
}

#[test]
fn an_attribute_that_may_be_absent_is_asked_for_first() {
    let fault = CedarRules::parse(&rule("x", ANY, "principal.country == \"NO\"")).unwrap_err();
    assert!(fault.to_string().contains("optional attribute `country`"), "{fault}");
}

#[test]
fn no_rules_forbid_nothing() {
    for text in ["", "// only a comment\n"] {
        assert_eq!(asked(&CedarRules::parse(text).unwrap(), "no-pst", None, Level::Unknown, &[]), Ok(vec![]));
    }
}

#[test]
fn a_rule_that_cannot_be_evaluated_refuses() {
    // The sum overflows for any record that is classified at all.
    let rules = CedarRules::parse(&rule("overflows", ANY, "resource.level + 9223372036854775807 > 0 && resource.onward")).unwrap();
    assert_eq!(asked(&rules, "no-pst", Some("NO"), Level::Open, &[]), Ok(vec![]));
    let why = asked(&rules, "no-pst", Some("NO"), Level::Restricted, &[]).unwrap_err();
    assert!(why.contains("overflows"), "{why}");
}

fn refused(text: &str) -> RuleFault {
    CedarRules::parse(text).expect_err(text)
}

#[test]
fn what_is_not_sound_is_not_taken() {
    let forbid = "forbid(principal, action, resource)";
    let cases = [
        (format!("@id(\"x\") @sv(\"Ja.\") @en(\"Yes.\") permit({ANY});"), "rules-permit"),
        (rule("x", ANY, "resource.secrecy > 3"), "rules-do-not-fit"),
        (rule("x", ANY, "resource.level > \"3\""), "rules-do-not-fit"),
        (rule("x", ANY, "principal.country == \"SE\""), "rules-do-not-fit"),
        (rule("x", ANY, "false"), "rules-do-not-fit"),
        (rule("x", "principal == Person::\"ada\", action, resource", "true"), "rules-do-not-fit"),
        (format!("@id(\"x\") @sv(\"Nej.\") {forbid};"), "rules-annotation"),
        (format!("@id(\"x\") @en(\"No.\") {forbid};"), "rules-annotation"),
        (format!("@sv(\"Nej.\") @en(\"No.\") {forbid};"), "rules-annotation"),
        (format!("@id(\"X y\") @sv(\"Nej.\") @en(\"No.\") {forbid};"), "rules-annotation"),
        (format!("@id(\"x\") @sv(\"Nej\\u{{202e}}.\") @en(\"No.\") {forbid};"), "rules-annotation"),
        (rule("x", ANY, "resource.onward") + &rule("x", ANY, "resource.level > 1"), "rules-same-name"),
        (rule("x", "principal == ?principal, action, resource", "true"), "rules-template"),
        ("forbid(principal, action, resource) when {".to_owned(), "rules-syntax"),
        (format!("{} ", "(".repeat(30_000)), "rules-syntax"),
        (rule("x", ANY, &format!("{}resource.onward", "!".repeat(20_000))), "rules-syntax"),
        (" ".repeat(MAX_TEXT + 1), "rules-too-long"),
    ];
    for (text, code) in cases {
        assert_eq!(refused(&text).code(), code, "{:.300}: {}", text, refused(&text));
    }
}

#[test]
fn the_limits_hold_to_the_unit() {
    let rules = |count: usize| -> String { (0..count).map(|n| rule(&format!("r{n}"), ANY, "resource.onward")).collect() };
    let most = rules(MAX_RULES);
    assert_eq!(CedarRules::parse(&most).unwrap().rules().count(), MAX_RULES);
    assert_eq!(refused(&rules(MAX_RULES + 1)), RuleFault::TooMany { rules: MAX_RULES + 1 });
    let padded = format!("{most}{}", " ".repeat(MAX_TEXT - most.len()));
    assert!(CedarRules::parse(&padded).is_ok());
}

#[test]
fn a_fault_says_where() {
    let fault = refused(&format!("{}\nforbid(principal action, resource);", rule("x", ANY, "resource.onward")));
    assert!(matches!(&fault, RuleFault::Syntax { line: 3, .. }), "{fault}");
    let fault = refused(&(rule("x", ANY, "resource.onward") + "@id(\"y\") @sv(\"Nej.\") forbid(principal, action, resource);"));
    assert_eq!(fault.to_string(), "rule number 2 needs @en(\"...\"): a sentence of 1 to 300 characters on one line");
}
