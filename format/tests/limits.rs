//! Every limit on size and number, at the last value that is allowed and the first that is not.
//!
//! The limits are those of the protocol pages; a change of one is a change of the protocol. Limits on JSON itself are
//! tried where the JSON gate is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that goes wrong should stop")]

use std::sync::Arc;

use samverkan_format::agreement::{self, Agreement, Duty, Form, Joining, Onward, Party, PartyRole, Terms, Text};
use samverkan_format::attachment::{self, AttachmentRef};
use samverkan_format::card::{Card, MAX_ADDRESSES, OrgKind};
use samverkan_format::checkpoint::MAX_NOTE;
use samverkan_format::json::Budget;
use samverkan_format::keys::{Seeds, SigningKeys};
use samverkan_format::marking::{Marking, Tlp};
use samverkan_format::merkle::MAX_PROOF;
use samverkan_format::parcel::{Evidence, Item, ItemKind, ItemRef, MAX_ITEM, MAX_ITEMS, ParcelHeader};
use samverkan_format::receipt::{ItemResult, Outcome, Receipt};
use samverkan_format::record::{AgreementRef, ContentRef, Header, Kind, Link, MAX_ATTACHMENTS, MAX_AUDIENCE, MAX_CONTENT, MAX_LINKS, Relation, Salted};
use samverkan_format::seal::{MAX_ENVELOPE, OpeningKey, SealFault};
use samverkan_format::signed::{MAX_SIGNED, Signatures};
use samverkan_format::verify::{Reject, Statement, state, verify};
use samverkan_format::{Digest, OrgId, RecordId, Signed, Timestamp};

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    id("2026-11-22T08:30:00.000Z")
}

fn keys() -> SigningKeys {
    SigningKeys::new(id("se-one"), &Seeds { ed25519: [1; 32], ml_dsa_65: [2; 32], x_wing: [3; 32], storage: [4; 32] }).unwrap()
}

/// That a statement is well formed and fits its own budget with this many of something, and is malformed with more.
fn at_most<T: Statement>(most: usize, make: impl Fn(usize) -> T) {
    let keys = keys();
    state(&make(most), &keys).unwrap_or_else(|fault| panic!("{most} are too many: {fault}"));
    assert!(matches!(state(&make(most + 1), &keys), Err(Reject::Malformed(_))), "{} are not too many", most + 1);
}

/// That this many are the fewest.
fn at_least<T: Statement>(least: usize, make: impl Fn(usize) -> T) {
    make(least).check().unwrap();
    assert!(make(least - 1).check().is_err(), "{} are not too few", least - 1);
}

/// Organisations in order, after `se-one`.
fn orgs(count: usize) -> impl Iterator<Item = OrgId> {
    (0..count).map(|n| id(&format!("zz-{n:04}")))
}

fn text(words: &str) -> Text {
    Text { sv: words.to_owned(), en: words.to_owned() }
}

fn card() -> Card {
    Card {
        org: id("se-one"),
        short: id("ONE"),
        name: text("One"),
        country: "SE".to_owned(),
        kind: OrgKind::Civil,
        addresses: Vec::new(),
        contact: "desk".to_owned(),
        keys: keys().public().texts().clone(),
        tls_key: Digest::of(b"tls"),
        serial: 1,
        issued: now(),
        succession: None,
    }
}

#[test]
fn cards() {
    at_most(MAX_ADDRESSES, |count| Card { addresses: vec!["node.example:443".to_owned(); count], ..card() });
    at_most(253, |count| Card { addresses: vec![format!("{}:443", "a".repeat(count))], ..card() });
    at_most(65_535, |port| Card { addresses: vec![format!("node.example:{port}")], ..card() });
    at_most(200, |count| Card { name: text(&"å".repeat(count)), ..card() });
    at_most(200, |count| Card { contact: "å".repeat(count), ..card() });
    at_least(1, |count| Card { contact: "å".repeat(count), ..card() });
    at_least(1, |serial| Card { serial: u32::try_from(serial).unwrap(), ..card() });
    assert_eq!((MAX_ADDRESSES, Card::BUDGET), (8, Budget { bytes: 64 * 1024, depth: 8, values: 1024, string: 16 * 1024 }));
}

fn agreement(parties: usize) -> Agreement {
    let party = |org| Party { org, role: PartyRole::Member, from: now(), until: None };
    Agreement {
        id: id("all"),
        version: 1,
        supersedes: None,
        title: text("All"),
        form: Form::Convention,
        parties: std::iter::once(id("se-one")).chain(orgs(parties - 1)).map(party).collect(),
        terms: Terms {
            kinds: [Kind::Report].into(),
            ceiling: id("se:h"),
            purposes: [id("counter-terrorism")].into(),
            legal_bases: [id("2019:1182 2:4")].into(),
            onward: Onward::Never,
            longest_retention_days: 365,
            joining: Joining::All,
            membership_confidential: false,
            four_eyes: true,
            answer_times: None,
            duties: Vec::new(),
        },
        proposed_by: id("se-one"),
        proposed: now(),
        valid_from: now(),
        valid_until: None,
    }
}

#[test]
fn agreements() {
    at_most(agreement::MAX_PARTIES, agreement);
    at_least(2, agreement);
    let with = |change: &dyn Fn(&mut Agreement)| {
        let mut agreement = agreement(3);
        change(&mut agreement);
        agreement
    };
    let duty = |words: &str| Duty { id: id("tell"), text: text(words), within_hours: Some(24), unconfirmed: true };
    at_most(agreement::MAX_DUTIES, |count| with(&|a| a.terms.duties = vec![duty("tell"); count]));
    at_most(agreement::MAX_DUTY_TEXT, |count| with(&|a| a.terms.duties = vec![duty(&"å".repeat(count))]));
    at_least(1, |count| with(&|a| a.terms.duties = vec![duty(&"å".repeat(count))]));
    at_most(agreement::MAX_TITLE, |count| with(&|a| a.title = text(&"å".repeat(count))));
    at_least(1, |count| with(&|a| a.title = text(&"å".repeat(count))));
    at_most(36_500, |days| with(&|a| a.terms.longest_retention_days = u32::try_from(days).unwrap()));
    at_least(1, |days| with(&|a| a.terms.longest_retention_days = u32::try_from(days).unwrap()));
    assert_eq!((agreement::MAX_PARTIES, agreement::MAX_DUTIES, agreement::MAX_TITLE, agreement::MAX_DUTY_TEXT), (512, 64, 200, 1000));
}

fn header() -> Header {
    Header {
        kind: Kind::Report,
        originator: id("se-one"),
        number: id("ONE-2026-000001"),
        version: 1,
        supersedes: None,
        agreement: AgreementRef { id: id("all"), version: 1 },
        audience: vec![id("se-two")],
        marking: Marking::new(id("se:k"), Tlp::Amber),
        grading: None,
        purpose: id("counter-terrorism"),
        legal_basis: id("2019:1182 2:4"),
        categories: Default::default(),
        language: "sv".to_owned(),
        created: now(),
        retain_until: now().plus_ms(1),
        links: Vec::new(),
        content: ContentRef { sha256: Digest::of(b"content"), size: 7 },
        attachments: Vec::new(),
    }
}

#[test]
fn records() {
    at_most(MAX_AUDIENCE, |count| Header { audience: orgs(count).collect(), ..header() });
    at_least(1, |count| Header { audience: orgs(count).collect(), ..header() });
    let link = Link { relation: Relation::BasedOn, to: RecordId(Digest::of(b"source")) };
    at_most(MAX_LINKS, |count| Header { links: vec![link; count], ..header() });
    let attachment = |size| AttachmentRef { size, root: Digest::of(b"attachment") };
    at_most(MAX_ATTACHMENTS, |count| Header { attachments: vec![attachment(1); count], ..header() });
    at_most(usize::try_from(attachment::MAX_SIZE).unwrap(), |size| Header { attachments: vec![attachment(size as u64)], ..header() });
    at_least(1, |size| Header { attachments: vec![attachment(size as u64)], ..header() });
    at_most(MAX_CONTENT, |size| Header { content: ContentRef { sha256: Digest::of(b"content"), size: size as u64 }, ..header() });
    at_most(12, |count| Header { language: "a".repeat(count), ..header() });
    at_least(2, |count| Header { language: "a".repeat(count), ..header() });
    at_least(1, |ms| Header { retain_until: now().plus_ms(i64::try_from(ms).unwrap()), ..header() });
    assert_eq!((MAX_AUDIENCE, MAX_LINKS, MAX_ATTACHMENTS, MAX_CONTENT, attachment::MAX_SIZE), (512, 64, 32, 1 << 20, 1 << 32));
    assert_eq!(Header::BUDGET, Budget { bytes: 256 * 1024, depth: 8, values: 4096, string: 16 * 1024 });
}

fn parcel_header() -> ParcelHeader {
    ParcelHeader {
        from: id("se-one"),
        to: id("se-two"),
        sequence: 1,
        previous: Digest::from([0; 32]),
        created: now(),
        checkpoint: String::new(),
        seen: 0,
        consistency: Vec::new(),
        items: vec![ItemRef { kind: ItemKind::Record, digest: Digest::of(b"item") }],
        era: None,
    }
}

fn receipt() -> Receipt {
    Receipt {
        holder: id("se-one"),
        sender: id("se-two"),
        sequence: 1,
        parcel: Digest::of(b"header"),
        outcomes: Vec::new(),
        checkpoint: String::new(),
        seen: 0,
        consistency: Vec::new(),
        cosignature: String::new(),
        received: now(),
        era: None,
    }
}

#[test]
fn parcels_and_receipts() {
    let named = ItemRef { kind: ItemKind::Notice, digest: Digest::of(b"item") };
    at_most(MAX_ITEMS, |count| ParcelHeader { items: vec![named; count], ..parcel_header() });
    at_least(1, |count| ParcelHeader { items: vec![named; count], ..parcel_header() });
    at_most(MAX_PROOF, |count| ParcelHeader { consistency: vec![Digest::of(b"hash"); count], ..parcel_header() });
    at_most(MAX_NOTE, |count| ParcelHeader { checkpoint: "a".repeat(count), ..parcel_header() });
    at_least(1, |sequence| ParcelHeader { sequence: sequence as u64, ..parcel_header() });
    let outcome = |reasons: usize, length: usize| Outcome {
        item: Digest::of(b"item"),
        result: ItemResult::Refused,
        reasons: (0..reasons).map(|n| format!("{n:0>length$}")).collect(),
    };
    at_most(MAX_ITEMS, |count| Receipt { outcomes: vec![outcome(1, 20); count], ..receipt() });
    at_most(16, |count| Receipt { outcomes: vec![outcome(count, 20)], ..receipt() });
    at_most(60, |length| Receipt { outcomes: vec![outcome(1, length)], ..receipt() });
    at_most(MAX_PROOF, |count| Receipt { consistency: vec![Digest::of(b"hash"); count], ..receipt() });
    at_most(MAX_NOTE, |count| Receipt { checkpoint: "a".repeat(count), ..receipt() });
    at_most(MAX_NOTE, |count| Receipt { cosignature: "a".repeat(count), ..receipt() });
    assert_eq!((MAX_ITEMS, MAX_PROOF, MAX_NOTE), (256, 64, 8 * 1024));
}

/// A message of exactly this size, whatever it says.
fn message(size: usize) -> Signed {
    let of = |payload: usize| {
        Signed::from_parts(id("se-one"), vec![b' '; payload], Signatures { ed25519: [0; 64], ml_dsa_65: Arc::new([0; 3309]), inclusion: None })
    };
    let payload = size - (of(100_000).to_bytes().len() - 100_000);
    let message = of(payload);
    assert_eq!(message.to_bytes().len(), size);
    message
}

#[test]
fn a_message_is_at_most_512_kib() {
    assert!(Signed::parse(&message(MAX_SIGNED).to_bytes()).is_ok());
    let fault = Signed::parse(&message(MAX_SIGNED + 1).to_bytes()).unwrap_err();
    assert_eq!(fault, Reject::TooLarge { size: MAX_SIGNED + 1, limit: 512 * 1024 });
}

#[test]
fn a_statement_is_at_most_its_budget() {
    let keys = keys();
    let directory = (keys.org(), keys.public());
    let plain = serde_json::to_string(&header()).unwrap();
    for (size, fits) in [(Header::BUDGET.bytes, true), (Header::BUDGET.bytes + 1, false)] {
        let payload = format!("{plain}{}", " ".repeat(size - plain.len()));
        let signed = Signed::sign::<Header>(payload.into_bytes(), &keys).unwrap();
        let outcome = verify::<Header>(&signed.to_bytes(), &directory);
        assert_eq!(outcome.map(drop).map_err(|reject| reject.code()), if fits { Ok(()) } else { Err("bad-json") });
    }
}

/// A record as an item of exactly this size, with content of `content` bytes and evidence that takes the rest.
fn item(size: usize, content: usize) -> Vec<u8> {
    let salted = |length| Salted { salt: [0; 32], bytes: vec![0; length] };
    let of = |terms: usize| Item::Record {
        signed: Box::new(message(MAX_SIGNED)),
        content: salted(content),
        evidence: Box::new(Evidence { grant: Some((message(MAX_SIGNED), salted(MAX_CONTENT))), terms: Some(message(terms)), emergency: None }),
    };
    let rest = size - (of(100_000).to_bytes().len() - 100_000);
    let bytes = of(rest).to_bytes();
    assert_eq!(bytes.len(), size);
    bytes
}

#[test]
fn an_item_is_at_most_3_mib_and_its_content_1_mib() {
    let content = MAX_CONTENT - 200_000;
    assert!(Item::parse(&item(MAX_ITEM, content)).is_ok());
    let fault = Item::parse(&item(MAX_ITEM + 1, content)).unwrap_err();
    assert_eq!(fault, Reject::TooLarge { size: MAX_ITEM + 1, limit: 3 * 1024 * 1024 });
    let record =
        |length| Item::Record { signed: Box::new(message(200_000)), content: Salted { salt: [0; 32], bytes: vec![0; length] }, evidence: Box::default() };
    assert!(Item::parse(&record(MAX_CONTENT).to_bytes()).is_ok());
    let fault = Item::parse(&record(MAX_CONTENT + 1).to_bytes()).unwrap_err();
    assert_eq!(fault, Reject::TooLarge { size: MAX_CONTENT + 1, limit: MAX_CONTENT });
}

#[test]
fn an_envelope_is_at_most_8_mib() {
    let keys = keys();
    let opening = OpeningKey::new(&[3; 32]).unwrap();
    let seal = |length: usize| keys.public().sealing().seal(keys.org(), &vec![0; length]);
    let around = seal(100_000).unwrap().len() - 100_000;
    let most = MAX_ENVELOPE - around;
    let envelope = seal(most).unwrap();
    assert_eq!(envelope.len(), MAX_ENVELOPE);
    assert_eq!(opening.open(keys.org(), &envelope).unwrap().len(), most);
    assert_eq!(seal(most + 1), Err(SealFault::TooLarge(MAX_ENVELOPE + 1)));
    let longer = [envelope, vec![0]].concat();
    assert_eq!(opening.open(keys.org(), &longer), Err(SealFault::TooLarge(MAX_ENVELOPE + 1)));
    assert_eq!(MAX_ENVELOPE, 8 * 1024 * 1024);
}
