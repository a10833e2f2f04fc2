//! That the protocol pages show what the vectors hold.
//!
//! An example on a page is the payload or the bytes of a vector, on one line. When a vector changes, this names the
//! page that has to.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong should stop")]

use std::fs;
use std::path::{Path, PathBuf};

use samverkan_format::{Digest, Signed};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn page(name: &str) -> String {
    fs::read_to_string(file(&format!("docs/protocol/{name}.md"))).unwrap()
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(file(&format!("format/testdata/vectors/{name}"))).unwrap()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn payloads_are_those_of_the_vectors() {
    for (name, on) in [
        ("card", "revocation/plain.cose"),
        ("agreement", "agreement/plain.cose"),
        ("agreement", "withdrawal/plain.cose"),
        ("record", "record/plain.cose"),
        ("parcel", "parcel/plain.cbor"),
        ("receipt", "receipt/plain.cose"),
        ("receipt", "notice/plain.cose"),
    ] {
        let signed = Signed::parse(&vector(on)).unwrap();
        let payload = std::str::from_utf8(signed.payload()).unwrap();
        assert!(page(&format!("{name}s")).lines().any(|line| line.trim() == payload), "{on} is not on the page");
    }
}

#[test]
fn digests_are_those_of_the_vectors() {
    for (name, on) in [("agreements", "agreement/plain.cose"), ("records", "record/plain.cose"), ("parcels", "parcel/plain.cbor")] {
        let digest = Signed::parse(&vector(on)).unwrap().digest().to_string();
        assert!(page(name).contains(&digest), "the digest of {on} is not on the page");
    }
    let keys: serde_json::Value = serde_json::from_slice(&vector("keys.json")).unwrap();
    let sapo = keys.as_array().unwrap().iter().find(|org| org["org"] == "se-sapo").unwrap();
    assert!(page("cards").contains(sapo["fingerprint"].as_str().unwrap()));
}

/// Bytes are shown in hexadecimal; `…` stands for what is left out.
#[test]
fn bytes_are_those_of_the_vectors() {
    for (name, on) in
        [("signatures", "record/plain.cose"), ("parcels", "parcel/first.cbor"), ("parcels", "parcel/item-piece.cbor"), ("seals", "seal/plain.cbor")]
    {
        let bytes = digits(&vector(on));
        let shown: Vec<String> = page(name).lines().filter_map(|line| line.strip_prefix("    ")).map(ToOwned::to_owned).collect();
        let fits = |line: &String| {
            let mut rest = bytes.as_str();
            line.split('…').map(str::trim).all(|part| match rest.find(part) {
                Some(at) => {
                    rest = rest.split_at(at + part.len()).1;
                    true
                }
                None => false,
            })
        };
        let hexadecimal = |line: &&String| line.split(' ').all(|word| word == "…" || (word.len() == 2 && word.bytes().all(|b| b.is_ascii_hexdigit())));
        assert!(shown.iter().filter(hexadecimal).any(fits), "{on} is not on the page");
    }
}

#[test]
fn the_seal_opens_to_the_parcel_that_the_receipt_answers() {
    let parcel = vector("parcel/first.cbor");
    let header = Signed::parse(&vector("parcel/plain.cbor")).unwrap();
    let (start, sealed) = (digits(&header.to_bytes()), digits(&parcel));
    assert!(sealed.contains(&start), "the parcel begins with its header");
    let receipt = Signed::parse(&vector("receipt/plain.cose")).unwrap();
    let receipt = std::str::from_utf8(receipt.payload()).unwrap().to_owned();
    assert!(receipt.contains(&header.digest().to_string()), "the receipt names the parcel");
    let item = Digest::of(&vector("parcel/item-record.cbor")).to_string();
    assert!(receipt.contains(&item), "the receipt names the item");
}
