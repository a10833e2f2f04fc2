use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;
use crate::merkle::{Frontier, leaf_hash};

/// Made by other code than ours, as `docs/protocol/ledger.md` says under "Vectors".
const COSIGNED: &str = include_str!("../../testdata/checkpoint/cosigned.note");
const EXPORT: &str = include_str!("../../testdata/checkpoint/export.jsonl");
/// A checkpoint of the Go checksum database, as it published it.
const SUMDB: &str = include_str!("../../testdata/checkpoint/sumdb.note");

const LEDGER: &str = "se-sapo/ledger";
const PEER: &str = "no-pst/ledger";

/// The keys of RFC 8032 section 7.1, tests 1 and 2.
const LEDGER_SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const LEDGER_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const PEER_SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const PEER_KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const SUMDB_KEY: &str = "ce3372d75ad1ee5ecdaf8727293d4b111d87eb37531d7c86d4d3003f0eb809fc";

const COSIGNED_AT: &str = "2026-11-22T08:30:00.000Z";

fn bytes(hex: &str) -> [u8; 32] {
    *hex.parse::<Digest>().unwrap().as_bytes()
}

fn pair(seed: &str, public: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_and_public_key(&bytes(seed), &bytes(public)).unwrap()
}

fn read(note: &str) -> Result<Checkpoint, NoteError> {
    parse_and_verify(note.as_bytes(), LEDGER, &bytes(LEDGER_KEY))
}

fn read_cosignature(note: &str) -> Result<(Checkpoint, Timestamp), NoteError> {
    verify_cosignature(note.as_bytes(), PEER, &bytes(PEER_KEY))
}

#[test]
fn the_vector_reads_and_is_what_we_would_write() {
    let checkpoint = read(COSIGNED).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), (LEDGER, 3));
    let at = COSIGNED_AT.parse().unwrap();
    assert_eq!(read_cosignature(COSIGNED), Ok((checkpoint.clone(), at)));

    let note = checkpoint.sign(LEDGER, &pair(LEDGER_SEED, LEDGER_KEY)).unwrap();
    let line = checkpoint.cosign(PEER, &pair(PEER_SEED, PEER_KEY), at.plus_ms(999)).unwrap();
    assert_eq!(note + &line, COSIGNED);
}

#[test]
fn a_checkpoint_of_another_implementation_reads() {
    let checkpoint = parse_and_verify(SUMDB.as_bytes(), "sum.golang.org", &bytes(SUMDB_KEY)).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("go.sum database tree", 63_096_908));
    assert!(SUMDB.starts_with(&checkpoint.to_note()));
}

#[test]
fn signatures_count_only_under_their_own_name_key_and_kind() {
    let note = COSIGNED.as_bytes();
    let (ledger, peer) = (bytes(LEDGER_KEY), bytes(PEER_KEY));
    for (name, key) in [("other", &ledger), (LEDGER, &peer), (PEER, &peer)] {
        assert_eq!(parse_and_verify(note, name, key), Err(NoteError::Unsigned { name: name.to_owned() }));
    }
    for (name, key) in [("other", &peer), (PEER, &ledger), (LEDGER, &ledger)] {
        assert_eq!(verify_cosignature(note, name, key), Err(NoteError::Unsigned { name: name.to_owned() }));
    }
    let (text, _) = COSIGNED.split_once('—').unwrap();
    assert_eq!(read(text), Err(NoteError::Unsigned { name: LEDGER.to_owned() }));
}

#[test]
fn the_latest_of_several_cosignatures_counts_and_all_must_hold() {
    let at: Timestamp = COSIGNED_AT.parse().unwrap();
    let key = pair(PEER_SEED, PEER_KEY);
    let checkpoint = read(COSIGNED).unwrap();
    let [later, earlier] = [60_000, -60_000].map(|ms| checkpoint.cosign(PEER, &key, at.plus_ms(ms)).unwrap());
    let note = format!("{COSIGNED}{later}{earlier}");
    assert_eq!(read_cosignature(&note), Ok((checkpoint, at.plus_ms(60_000))));

    for length in [7, 8, 72, 73] {
        let blob = [&key_id(PEER, Kind::Cosignature, &bytes(PEER_KEY))[..], &[0].repeat(length)].concat();
        let note = format!("{COSIGNED}— {PEER} {}\n", BASE64.encode(blob));
        assert_eq!(read_cosignature(&note), Err(NoteError::Wrong { line: 7 }));
        assert!(read(&note).is_ok(), "another's signature is not ours to judge");
    }
}

#[test]
fn every_flipped_bit_that_a_signature_covers_is_refused() {
    let [text, own] = ["— se-sapo", "— no-pst"].map(|line| COSIGNED.find(line).unwrap());
    for (at, bit) in (0..COSIGNED.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut note = COSIGNED.as_bytes().to_vec();
        note[at] ^= 1 << bit;
        if at < own {
            assert!(parse_and_verify(&note, LEDGER, &bytes(LEDGER_KEY)).is_err(), "byte {at}, bit {bit}");
        }
        if at < text || at >= own {
            assert!(verify_cosignature(&note, PEER, &bytes(PEER_KEY)).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn misspelt_notes_are_refused_where_they_are_wrong() {
    let (size, root) = ("\n3\n", "gvrAw30cJ/sJS1rq/eDK3kel1XPYJykfv1OZ7j9Cg+M=");
    let line = NoteError::SignatureLine { line: 5 };
    let cases: &[(&str, &str, NoteError)] = &[
        (LEDGER, "\u{7f}", NoteError::Control { line: 1 }),
        (size, "\n3\r\n", NoteError::Control { line: 2 }),
        (size, "\n\t3\n", NoteError::Control { line: 2 }),
        (size, "\n03\n", NoteError::Size),
        (size, "\n+3\n", NoteError::Size),
        (size, "\n-3\n", NoteError::Size),
        (size, "\n 3\n", NoteError::Size),
        (size, "\n3 \n", NoteError::Size),
        (size, "\n٣\n", NoteError::Size),
        (size, "\n0x3\n", NoteError::Size),
        (size, "\n9223372036854775808\n", NoteError::Size),
        (size, "\n18446744073709551616\n", NoteError::Size),
        (size, "\n", NoteError::Lines { lines: 2 }),
        (size, "\n\n3\n", NoteError::Lines { lines: 4 }),
        (root, "", NoteError::Root),
        (root, "gvrAw30cJ/sJS1rq/eDK3kel1XPYJykfv1OZ7j9Cg+M", NoteError::Root),
        (root, "gvrAw30cJ/sJS1rq/eDK3kel1XPYJykfv1OZ7j9Cg+N=", NoteError::Root),
        (root, "gvrAw30cJ_sJS1rq_eDK3kel1XPYJykfv1OZ7j9Cg-M=", NoteError::Root),
        (root, "gvrAw30cJ/sJS1rq/eDK3kel1XPYJykfv1OZ7j9Cg+M=\n", NoteError::Lines { lines: 4 }),
        (root, "gvrAw30cJ/sJS1rq/eDK3kel1XPYJykfv1OZ7j9C", NoteError::Root),
        ("M=\n\n", "M=\nextension\n\n", NoteError::Lines { lines: 4 }),
        ("M=\n\n", "M=\n", NoteError::NoBlankLine),
        ("— se", "- se", line.clone()),
        ("— se", "—  se", line.clone()),
        ("— se-sapo", "— se+sapo", line.clone()),
        ("— se-sapo/ledger ", "— ", line.clone()),
        ("2Ao=\n", "2Ao\n", line.clone()),
        ("2Ao=\n", "2Ap=\n", line.clone()),
        ("2Ao=\n", "2Ao= \n", line.clone()),
        ("2Ao=\n", "2Ao=\n\n", NoteError::Lines { lines: 5 }),
        ("jrkZY38KK7b4Jav6J6/ep+6SCzoJc/uuqrC0gURL+o8DyypXOescdbZru/N5cOzcrT8m2DiZ1ArFYVnKY9NQBWFb2Ao=", "jrkZYw==", line),
        ("zzCQ==\n", "zzCQ==", NoteError::SignatureLine { line: 6 }),
        ("zzCQ==\n", "zzCQ==\n\n", NoteError::Lines { lines: 6 }),
        ("jrkZY38KK7b4", "jrkZY38KK7b5", NoteError::Wrong { line: 5 }),
        ("\n3\n", "\n4\n", NoteError::Wrong { line: 5 }),
        ("se-sapo/ledger\n", "se-sapo/Ledger\n", NoteError::Wrong { line: 5 }),
    ];
    for (from, to, error) in cases {
        assert!(COSIGNED.contains(from), "{from:?}");
        assert_eq!(read(&COSIGNED.replacen(from, to, 1)).as_ref(), Err(error), "{from:?} made {to:?}");
    }
    assert_eq!(read(""), Err(NoteError::NoBlankLine));
    assert_eq!(read("\n\n"), Err(NoteError::Lines { lines: 1 }));
    assert_eq!(read(&COSIGNED.replacen(LEDGER, "", 1)), Err(NoteError::Origin));
    assert_eq!(read(&COSIGNED.replacen(LEDGER, &"a".repeat(MAX_NAME + 1), 1)), Err(NoteError::Origin));
    let strange = [COSIGNED.as_bytes(), b"\xff"].concat();
    assert_eq!(parse_and_verify(&strange, LEDGER, &bytes(LEDGER_KEY)), Err(NoteError::Encoding { offset: COSIGNED.len() }));
    let (stranger, mut long) = ("— a AAAAAAA=\n", COSIGNED.to_owned());
    while long.len() + stranger.len() <= MAX_NOTE {
        long += stranger;
    }
    assert!(read(&long).is_ok());
    long += stranger;
    assert_eq!(read(&long), Err(NoteError::TooLong { bytes: long.len() }));
}

#[test]
fn what_could_not_be_read_is_not_written() {
    for bad in ["", "two\nlines", "tab\t", &"a".repeat(256)] {
        assert_eq!(Checkpoint::new(bad, 0, [0; 32]), Err(NoteError::Origin), "{bad:?}");
    }
    assert_eq!(Checkpoint::new(LEDGER, merkle::MAX_SIZE + 1, [0; 32]), Err(NoteError::Size));

    let checkpoint = Checkpoint::new("å ä ö", 0, Frontier::default().root()).unwrap();
    let key = pair(LEDGER_SEED, LEDGER_KEY);
    for bad in ["", "a b", "a+b", "a\u{a0}b", "a\n", &"a".repeat(256)] {
        assert_eq!(checkpoint.sign(bad, &key), Err(NoteError::Name { name: shown(bad) }), "{bad:?}");
    }
    let before_1970 = Timestamp::from_ms(-1);
    assert_eq!(checkpoint.cosign(PEER, &key, before_1970), Err(NoteError::Time));
    let signed = checkpoint.sign("åäö", &key).unwrap();
    assert_eq!(parse_and_verify(signed.as_bytes(), "åäö", &bytes(LEDGER_KEY)), Ok(checkpoint));
}

#[test]
fn a_cosignature_after_the_year_9999_is_refused() {
    let (checkpoint, key) = (read(COSIGNED).unwrap(), pair(PEER_SEED, PEER_KEY));
    for (seconds, expected) in [(253_400_000_000_u64, true), (253_402_300_800, false), (u64::MAX, false)] {
        let text = checkpoint.to_note();
        let message = cosigned(seconds, &text);
        let line = signature_line(PEER, Kind::Cosignature, &key, message.as_bytes(), &seconds.to_be_bytes()).unwrap();
        let read = read_cosignature(&format!("{text}\n{line}"));
        assert!(if expected { read.is_ok() } else { read == Err(NoteError::Time) }, "{seconds}");
    }
}

/// A line of an export, as `docs/protocol/ledger.md` defines it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    index: u64,
    leaf: Digest,
    salt: Option<Digest>,
    #[serde(borrow)]
    entry: Option<&'a RawValue>,
}

#[test]
fn the_example_export_verifies_as_the_protocol_page_says() {
    #[derive(Deserialize)]
    struct First {
        checkpoint: String,
    }
    let (first, entries) = EXPORT.split_once('\n').unwrap();
    let note = serde_json::from_str::<First>(first).unwrap().checkpoint;
    assert_eq!(note, COSIGNED);

    let mut frontier = Frontier::default();
    let mut erased = 0;
    for line in entries.lines() {
        let line: Line<'_> = serde_json::from_str(line).unwrap();
        assert_eq!(line.index, frontier.size());
        match (line.salt, line.entry) {
            (Some(salt), Some(entry)) => {
                assert_eq!(Digest::of_parts(&[salt.as_bytes(), entry.get().as_bytes()]), line.leaf);
            }
            (salt, entry) => {
                assert!(salt.is_none() && entry.is_none());
                erased += 1;
            }
        }
        frontier.push(leaf_hash(line.leaf.as_bytes()));
    }
    let checkpoint = read(&note).unwrap();
    assert_eq!((frontier.size(), frontier.root(), erased), (checkpoint.size(), checkpoint.root(), 1));
}

#[test]
fn the_protocol_page_shows_the_vectors() {
    let page = include_str!("../../../docs/protocol/ledger.md");
    for line in COSIGNED.lines().chain(EXPORT.lines().skip(1)) {
        assert!(page.contains(line), "{line}");
    }
}
