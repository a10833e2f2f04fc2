//! Ledger entries as they are stored: the sample of every event, read and written again.
//!
//! `testdata/entry-1.jsonl` holds one line for each event in stored form version 1. A line that no longer reads, or is
//! written otherwise, means that ledgers in the world no longer read: it then takes a new version and a way up to it,
//! and this file stays as it is.

use std::collections::BTreeMap;

use samverkan_node::entry::{Actor, Entry, Event};

const SAMPLE: &str = include_str!("../testdata/entry-1.jsonl");

/// The words of all events, in the order of the enumeration.
const EVENTS: [&str; 50] = [
    "card-imported",
    "card-revoked",
    "agreement-proposed",
    "agreement-signed",
    "party-withdrew",
    "drafted",
    "attached",
    "discarded",
    "submitted",
    "approved",
    "sent-back",
    "released",
    "sent",
    "held-back",
    "receipted",
    "received",
    "refused",
    "denied",
    "opened",
    "listed",
    "recalled",
    "recall-obeyed",
    "removed",
    "superseded",
    "flagged",
    "passed-on",
    "emergency-stated",
    "emergency-released",
    "noticed",
    "consent-asked",
    "consent-answered",
    "suspended",
    "resumed",
    "member-added",
    "member-changed",
    "password-set",
    "credential-added",
    "credential-revoked",
    "house-rules-set",
    "ledger-exported",
    "carried-out",
    "carried-in",
    "backed-up",
    "restored",
    "recovery-approved",
    "recovery-declared",
    "accounted",
    "settled",
    "recovered",
    "recovery-accepted",
];

/// The one event that cannot be read back as it is written.
fn lines() -> impl Iterator<Item = &'static str> {
    SAMPLE.lines()
}

#[test]
fn every_line_reads_and_is_written_the_same() {
    for line in lines() {
        let entry: Entry = serde_json::from_str(line).unwrap_or_else(|fault| panic!("{line}: {fault}"));
        assert_eq!(serde_json::to_string(&entry).unwrap(), line);
    }
}

#[test]
fn an_entry_from_before_reasons_were_sealed_is_still_read() {
    let line = r#"{"at":"2026-11-22T08:09:00.000Z","by":{"member":"rolf"},"what":"sent-back","number":"SAPO-2026-000123","version":1,"reason":"No grade."}"#;
    let entry: Entry = serde_json::from_str(line).unwrap();
    assert_eq!((entry.event.record(), serde_json::to_string(&entry).unwrap().as_str()), (None, line));
}

#[test]
fn every_event_occurs_once() {
    let mut seen: BTreeMap<&str, usize> = EVENTS.map(|what| (what, 0)).into();
    for line in lines() {
        let entry: Entry = serde_json::from_str(line).unwrap();
        let what = entry.event.what();
        assert!(line.contains(&format!(r#","what":"{what}""#)), "{what} is written as it is searched by");
        *seen.get_mut(what).unwrap_or_else(|| panic!("{what} is not in the list of this test")) += 1;
    }
    let other: Vec<_> = seen.iter().filter(|(_, times)| **times != 1).collect();
    assert!(other.is_empty(), "not once: {other:?}");
    // Nothing is hidden from the list: a new event stops this from compiling.
    let _listed = |event: &Event| match event {
        Event::CardImported { .. }
        | Event::CardRevoked { .. }
        | Event::AgreementProposed { .. }
        | Event::AgreementSigned { .. }
        | Event::PartyWithdrew { .. }
        | Event::Drafted { .. }
        | Event::Attached { .. }
        | Event::Discarded { .. }
        | Event::Submitted { .. }
        | Event::Approved { .. }
        | Event::SentBack { .. }
        | Event::Released { .. }
        | Event::Sent { .. }
        | Event::HeldBack { .. }
        | Event::Receipted { .. }
        | Event::Received { .. }
        | Event::Refused { .. }
        | Event::Denied { .. }
        | Event::Opened { .. }
        | Event::Listed { .. }
        | Event::Recalled { .. }
        | Event::RecallObeyed { .. }
        | Event::Removed { .. }
        | Event::Superseded { .. }
        | Event::Flagged { .. }
        | Event::PassedOn { .. }
        | Event::EmergencyStated { .. }
        | Event::EmergencyReleased { .. }
        | Event::Noticed { .. }
        | Event::ConsentAsked { .. }
        | Event::ConsentAnswered { .. }
        | Event::Suspended { .. }
        | Event::Resumed { .. }
        | Event::MemberAdded { .. }
        | Event::MemberChanged { .. }
        | Event::PasswordSet { .. }
        | Event::CredentialAdded { .. }
        | Event::CredentialRevoked { .. }
        | Event::HouseRulesSet { .. }
        | Event::CarriedOut { .. }
        | Event::CarriedIn
        | Event::LedgerExported { .. }
        | Event::BackedUp { .. }
        | Event::Restored { .. }
        | Event::RecoveryApproved { .. }
        | Event::RecoveryDeclared { .. }
        | Event::Accounted { .. }
        | Event::Settled { .. }
        | Event::Recovered { .. }
        | Event::RecoveryAccepted { .. } => (),
    };
}

#[test]
fn every_sort_of_actor_occurs() {
    let actors: Vec<Actor> = lines().map(|line| serde_json::from_str::<Entry>(line).unwrap().by).collect();
    assert!(actors.iter().any(|by| matches!(by, Actor::Member(_))));
    assert!(actors.iter().any(|by| matches!(by, Actor::Organisation(_))));
    assert!(actors.iter().any(|by| matches!(by, Actor::Node)));
}
