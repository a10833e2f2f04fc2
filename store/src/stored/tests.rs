use std::fmt::Debug;

use super::*;

/// Every word has its number and comes back from it, no two share one, and the numbers are those that stand here.
fn pinned<T: Code + PartialEq + Debug>(words: &[(i64, T)]) {
    for (code, word) in words {
        assert_eq!(word.code(), *code, "{word:?}");
        assert_eq!(T::from_code(*code).unwrap(), *word);
    }
    for unknown in [i64::MIN, -1, 0, words.len() as i64 + 1, i64::MAX] {
        assert!(matches!(T::from_code(unknown), Err(StoreError::Corrupt { what, .. }) if what == T::WHAT), "{unknown}");
    }
}

#[test]
fn codes_are_pinned() {
    use {Condition as C, HoldingState as H, ItemKind as I, Kind as K, Stage as S, StatementKind as T, Suspicion as U};
    pinned(&[(1, K::Report), (2, K::Lesson), (3, K::Alert), (4, K::Correction), (5, K::Recall), (6, K::Consent), (7, K::Receipt)]);
    pinned(&[(1, S::Draft), (2, S::Submitted), (3, S::Approved), (4, S::Released), (5, S::Received)]);
    pinned(&[(1, C::Current), (2, C::Superseded), (3, C::Recalled), (4, C::Expired), (5, C::Removed)]);
    pinned(&[(1, H::Queued), (2, H::Sent), (3, H::Held), (4, H::Refused), (5, H::HeldBack), (6, H::Removed)]);
    pinned(&[(1, U::Fork), (2, U::RolledBack), (3, U::SplitLedger), (4, U::Restored), (5, U::Revoked)]);
    pinned(&[
        (1, T::Card),
        (2, T::Agreement),
        (3, T::Withdrawal),
        (4, T::ReceiptIn),
        (5, T::ReceiptOut),
        (6, T::Notice),
        (7, T::Fault),
        (8, T::Recovery),
        (9, T::Inquiry),
        (10, T::Account),
        (11, T::Revocation),
    ]);
    pinned(&[(1, I::Record), (2, I::Piece), (3, I::Agreement), (4, I::Withdrawal), (5, I::Notice), (6, I::Returned), (7, I::Card), (8, I::Revocation)]);
}

#[test]
fn roles_and_reasons_are_pinned() {
    let all = r#"["analyst","liaison","release-officer","tip-desk","secretary","auditor","administrator"]"#;
    let roles = read_roles(all).unwrap();
    assert_eq!(roles.len(), 7);
    assert_eq!(read_roles(&write_roles(&roles).unwrap()).unwrap(), roles);
    assert_eq!(read_roles("[]").unwrap(), BTreeSet::new());
    for bad in [r#"["king"]"#, r#""analyst""#, "", "[1]"] {
        assert!(matches!(read_roles(bad), Err(StoreError::Corrupt { .. })), "{bad}");
    }

    let reasons = read_reasons(r#"["not-in-force","recalled"]"#).unwrap();
    assert_eq!(write_reasons(&reasons).unwrap(), r#"["not-in-force","recalled"]"#);
    assert!(matches!(read_reasons("{}"), Err(StoreError::Corrupt { .. })));
}

#[test]
fn the_sample_of_parcel_items_reads_back() {
    let sample = include_str!("../../testdata/parcel-items-1.json").trim_end();
    let digest = |byte| Digest::from([byte; 32]);
    let named = |kind, byte| ItemRef { kind, digest: digest(byte) };
    let expected = [
        ParcelItem { named: named(ItemKind::Record, 0x11), what: Outgoing::Record(RecordId(digest(0x22))) },
        ParcelItem { named: named(ItemKind::Piece, 0x33), what: Outgoing::Attachment { record: RecordId(digest(0x22)), attachment: 0, next: 17 } },
        ParcelItem { named: named(ItemKind::Notice, 0x44), what: Outgoing::Statement(ItemKind::Notice, digest(0x55)) },
    ];
    assert_eq!(read_items(sample).unwrap(), expected);
    assert_eq!(write_items(&expected).unwrap(), sample);

    let later = sample.replace(r#""version":1"#, r#""version":2"#);
    assert!(matches!(read_items(&later), Err(StoreError::Corrupt { why, .. }) if why == "they are of version 2"));
    let mixed = sample.replace(r#""attachment":0,"#, "");
    assert!(matches!(read_items(&mixed), Err(StoreError::Corrupt { what: "queue", .. })));
}

#[test]
fn a_header_points_where_its_links_do() {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let header =
        format!(r#"{{"kind":"report","supersedes":"{a}","links":[{{"relation":"answers","to":"{b}"}},{{"relation":"based-on","to":"{b}"}}],"more":[1]}}"#);
    assert_eq!(targets(header.as_bytes()), BTreeSet::from([RecordId(a), RecordId(b)]));
    assert_eq!(targets(b"{}"), BTreeSet::new());
    assert_eq!(targets(b"not a header"), BTreeSet::new());
}

#[test]
fn a_handle_is_pinned() {
    let mut id = [0; 32];
    id[..9].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0xff]);
    assert_eq!(handle(&RecordId(Digest::from(id))), i64::MIN + 2);
}
