//! The test vectors of `format/testdata/vectors`, each read as a stranger's bytes.
//!
//! A vector is accepted or refused with the code that its index names. That the files are what the generator writes is
//! checked byte by byte, and one accepted vector of each sort is cut short at every byte and has thousands of single
//! bits flipped: it is then refused, or says the same.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that goes wrong should stop")]

mod case;
mod make;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use case::Case;
use read::{Known, read};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors")
}

fn cases(folder: &str) -> Vec<Case> {
    serde_json::from_slice(&fs::read(root().join(folder).join("index.json")).unwrap()).unwrap()
}

#[test]
fn every_vector_is_accepted_or_refused_as_its_index_says() {
    let known = Known::gather(&root());
    let mut results: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for folder in make::FOLDERS {
        for case in cases(folder) {
            let outcome = read(&known, folder, &root().join(folder), &case);
            let result = outcome.as_ref().map_or_else(|code| code.as_str(), |_| "accept");
            assert_eq!(result, case.result, "{folder}/{}: {}", case.name, case.why);
            results.entry(folder.to_owned()).or_default().insert(case.result.clone());
        }
    }
    for folder in ["card", "revocation", "succession", "agreement", "withdrawal", "record", "parcel", "receipt", "notice", "inquiry", "account", "recovery"] {
        for result in ["accept", "too-large", "bad-encoding", "unknown-organisation", "bad-signature", "bad-json"] {
            assert!(results[folder].contains(result), "{folder} has no vector for {result}");
        }
    }
}

#[test]
fn the_files_are_what_the_generator_writes() {
    let (files, fresh) = make::all(&make::Old::read(&root()));
    let mut there = BTreeSet::from(["keys.json".to_owned()]);
    for folder in make::FOLDERS {
        let names = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        there.extend(names.map(|name| format!("{folder}/{name}")));
    }
    let written: BTreeSet<String> = files.keys().cloned().collect();
    let say = "run `cargo run -p samverkan-format --example vectors` and look at what changed";
    assert_eq!(there, written, "{say}");
    for (name, bytes) in &files {
        assert!(fs::read(root().join(name)).unwrap() == *bytes, "{name} is not what is written now: {say}");
    }
    assert_eq!(fresh, 0, "{say}");
}

/// An accepted vector of each sort: folder and name.
const SOUND: [(&str, &str); 21] = [
    ("card", "se-sapo"),
    ("revocation", "plain"),
    ("succession", "plain"),
    ("agreement", "plain"),
    ("withdrawal", "plain"),
    ("record", "plain"),
    ("receipt", "plain"),
    ("notice", "plain"),
    ("inquiry", "plain"),
    ("account", "plain"),
    ("recovery", "plain"),
    ("parcel", "plain"),
    ("parcel", "first"),
    ("parcel", "item-record"),
    ("parcel", "item-piece"),
    ("parcel", "item-agreement"),
    ("parcel", "item-withdrawal"),
    ("parcel", "item-notice"),
    ("parcel", "item-revocation"),
    ("parcel", "item-returned"),
    ("seal", "plain"),
];

/// Reads `bytes` in the place of a vector's own, and expects a refusal or the same.
fn refused_or_same(known: &Known, (folder, case): (&str, &Case), bytes: &[u8], sound: &str, how: &str) {
    if let Ok(said) = read::message(known, folder, case, bytes) {
        assert_eq!(said, sound, "{folder}/{} says something else, {how}", case.name);
    }
}

fn sound(known: &Known, folder: &str, name: &str) -> (Case, Vec<u8>, String) {
    let case = cases(folder).into_iter().find(|case| case.name == name).unwrap();
    let bytes = make::bytes_of(&case, &root().join(folder)).unwrap();
    let said = read::message(known, folder, &case, &bytes).unwrap();
    (case, bytes, said)
}

#[test]
fn a_message_cut_short_anywhere_is_refused() {
    let known = Known::gather(&root());
    for (folder, name) in SOUND {
        let (case, bytes, _) = sound(&known, folder, name);
        for end in 0..bytes.len() {
            let outcome = read::message(&known, folder, &case, &bytes[..end]);
            assert!(outcome.is_err(), "{folder}/{name} is accepted when it ends at {end}");
        }
    }
}

#[test]
fn a_message_with_one_bit_flipped_is_refused_or_says_the_same() {
    const FLIPS: u64 = 3000;
    let known = Known::gather(&root());
    let mut chance = 0x5a6d_7665_726b_616e_u64;
    for (folder, name) in SOUND {
        let (case, mut bytes, said) = sound(&known, folder, name);
        for _ in 0..FLIPS {
            let bit = usize::try_from(next(&mut chance) % (bytes.len() as u64 * 8)).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            refused_or_same(&known, (folder, &case), &bytes, &said, &format!("with bit {bit} flipped"));
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        // The first bytes say how the rest is to be read: each of their bits is tried.
        for bit in 0..256 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            refused_or_same(&known, (folder, &case), &bytes, &said, &format!("with bit {bit} flipped"));
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// SplitMix64: the same numbers on every machine.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
