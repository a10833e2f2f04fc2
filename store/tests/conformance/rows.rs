//! Rows to store, different for each number they are made from.

use std::collections::BTreeSet;
use std::sync::Arc;

use format::batch::Inclusion;
use format::keys::ML_DSA_65_SIGNATURE;
use format::record::Kind;
use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::rows::{
    Change, Condition, ContentRow, CredentialRow, HoldingRow, HoldingState, MemberRow, Outgoing, PieceRow, RecordRow, Signatures, Stage, StatementKind,
    StatementRow,
};

pub(crate) fn digest(n: u64) -> Digest {
    Digest::of(&n.to_be_bytes())
}

pub(crate) fn id(n: u64) -> RecordId {
    RecordId(digest(n))
}

pub(crate) fn org(name: &str) -> OrgId {
    name.parse().unwrap()
}

pub(crate) fn number(n: u64) -> RecordNumber {
    format!("SAPO-2026-{n:06}").parse().unwrap()
}

/// A second later for each `n`.
pub(crate) fn time(n: u64) -> Timestamp {
    let start: Timestamp = "2026-11-22T08:30:00.000Z".parse().unwrap();
    start.plus_ms(i64::try_from(n).unwrap() * 1000)
}

/// Bytes that nobody else has, of any length.
pub(crate) fn bytes(n: u64, length: usize) -> Vec<u8> {
    (0..).flat_map(|part: u64| *Digest::of_parts(&[&n.to_be_bytes(), &part.to_be_bytes()]).as_bytes()).take(length).collect()
}

/// A header that says little, and links where it is told to.
pub(crate) fn header(n: u64, links: &str) -> Vec<u8> {
    format!(r#"{{"kind":"report","number":"{}","salt":"{}"{links}}}"#, number(n), digest(n)).into_bytes()
}

/// Gives a record other header bytes, and the id that goes with them.
pub(crate) fn rewrite(row: &mut RecordRow, header: Vec<u8>) {
    row.id = RecordId(Digest::of(&header));
    row.header = header;
}

/// A received record, version 1.
pub(crate) fn record(n: u64) -> RecordRow {
    let header = header(n, "");
    RecordRow {
        id: RecordId(Digest::of(&header)),
        header,
        signatures: Some(signatures(n)),
        kind: Kind::Report,
        originator: org("se-sapo"),
        number: number(n),
        version: 1,
        agreement: "ctg".parse().unwrap(),
        created: time(n),
        retain_until: time(n).plus_days(30),
        stage: Stage::Received,
        condition: Condition::Current,
        drafted_by: String::new(),
        submitted_by: None,
        approved_by: None,
        sent_back: false,
        from: Some(org("no-pst")),
        arrived: time(n + 1),
        flagged: false,
        grant: None,
    }
}

/// A draft of this organisation.
pub(crate) fn draft(n: u64) -> RecordRow {
    RecordRow { signatures: None, stage: Stage::Draft, drafted_by: "anna".to_owned(), from: None, ..record(n) }
}

/// Signatures of a record by itself, or, if `n` is odd, of a batch of two.
pub(crate) fn signatures(n: u64) -> Signatures {
    let ml_dsa_65: [u8; ML_DSA_65_SIGNATURE] = bytes(n + 1, ML_DSA_65_SIGNATURE).try_into().unwrap();
    let place = || [&[0x83, 2, 1, 0x81, 0x58, 32], bytes(n + 2, 32).as_slice()].concat();
    let inclusion = (n % 2 == 1).then(|| Inclusion::parse(&place()).unwrap());
    Signatures { ed25519: bytes(n, 64).try_into().unwrap(), ml_dsa_65: Arc::new(ml_dsa_65), inclusion }
}

pub(crate) fn content(n: u64) -> ContentRow {
    ContentRow { wrapped_key: bytes(n + 1_000_000, 60), ciphertext: bytes(n + 2_000_000, 2100) }
}

pub(crate) fn new(row: &RecordRow, content: Option<ContentRow>) -> Change {
    Change::NewRecord(Box::new(row.clone()), content)
}

pub(crate) fn replaced(row: &RecordRow) -> Change {
    Change::Record(Box::new(row.clone()))
}

pub(crate) fn piece(record: &RecordRow, attachment: u32, index: u64, length: usize) -> PieceRow {
    let ciphertext = bytes(u64::from(attachment) * 1000 + index + 3_000_000, length);
    PieceRow { record: (record.number.clone(), record.version), attachment, index, leaf: *Digest::of(&ciphertext).as_bytes(), object: None, ciphertext }
}

pub(crate) fn holding(record: RecordId, holder: &str, via: &str, state: HoldingState) -> HoldingRow {
    HoldingRow { record, holder: org(holder), via: org(via), state, sequence: None, evidence: None, reasons: BTreeSet::new(), since: time(7) }
}

pub(crate) fn attachment(record: u64, next: u64) -> Outgoing {
    Outgoing::Attachment { record: id(record), attachment: 2, next }
}

pub(crate) fn statement(kind: StatementKind, key: u64, about: Option<u64>) -> StatementRow {
    StatementRow { kind, key: digest(key), org: org("no-pst"), about: about.map(digest), bytes: bytes(key, 4000), at: time(key) }
}

pub(crate) fn member(id: &str) -> MemberRow {
    MemberRow { id: id.to_owned(), name: format!("{id} Öberg"), roles: BTreeSet::new(), active: true, password: "$argon2id$…".to_owned() }
}

pub(crate) fn credential(n: u64, member: &str) -> CredentialRow {
    CredentialRow { hash: digest(n), member: member.to_owned(), label: String::new(), token: n.is_multiple_of(2), created: time(n), expires: time(n + 3600) }
}
