//! Exports that hold, and every way in which one that does not is found out.

use format::agreement::Text;
use format::card::OrgKind;
use format::keys::{Seeds, SigningKeys};

use super::*;

/// An organisation with made-up keys.
fn organisation(org: &str, seed: u8) -> (SigningKeys, Signer) {
    let seeds = Seeds::generate(|bytes| *bytes = [seed; 32]);
    let keys = SigningKeys::new(org.parse().unwrap(), &seeds).unwrap();
    let card = Card {
        org: org.parse().unwrap(),
        short: "SHORT".parse().unwrap(),
        name: Text { sv: "Namn".to_owned(), en: "Name".to_owned() },
        country: "SE".to_owned(),
        kind: OrgKind::Civil,
        addresses: Vec::new(),
        contact: "+46".to_owned(),
        keys: keys.public().texts().clone(),
        tls_key: Digest::of(b""),
        serial: 1,
        issued: Timestamp::from_ms(0),
        succession: None,
    };
    let public = keys.public().clone();
    (keys, Signer { card, keys: public })
}

/// An export of `count` entries, the second of them erased, signed and cosigned.
fn export(count: u64) -> (Vec<String>, Vec<Signer>, Vec<Hash>) {
    let ((owner, first), (peer, second)) = (organisation("se-sapo", 1), organisation("no-pst", 2));
    let (mut frontier, mut lines, mut roots) = (Frontier::default(), vec![String::new()], vec![Frontier::default().root()]);
    for index in 0..count {
        let (salt, entry) = (Digest::of(&index.to_be_bytes()), format!("{{\"what\":\"opened\",\"n\":{index}}}"));
        let leaf = Digest::of_parts(&[salt.as_bytes(), entry.as_bytes()]);
        frontier.push(merkle::leaf_hash(leaf.as_bytes()));
        roots.push(frontier.root());
        lines.push(match index {
            1 => format!("{{\"index\":{index},\"leaf\":\"{leaf}\",\"salt\":null,\"entry\":null}}"),
            _ => format!("{{\"index\":{index},\"leaf\":\"{leaf}\",\"salt\":\"{salt}\",\"entry\":{entry}}}"),
        });
    }
    let checkpoint = Checkpoint::new("se-sapo/ledger", count, frontier.root()).unwrap();
    let mut note = checkpoint.sign("se-sapo/ledger", owner.ed25519()).unwrap();
    note += &checkpoint.cosign("no-pst/ledger", peer.ed25519(), Timestamp::from_ms(1_790_000_000_000)).unwrap();
    lines[0] = serde_json::json!({ "checkpoint": note }).to_string();
    (lines, vec![first, second], roots)
}

fn check(lines: &[String], signers: &[Signer], remembered: Vec<Remembered>) -> Result<Report, String> {
    let text = lines.iter().fold(String::new(), |all, line| all + line + "\n");
    verify(text.as_bytes(), signers, remembered, |_| {}).map_err(|fault| fault.to_string())
}

#[test]
fn a_sound_export_is_verified_with_who_signed_and_cosigned() {
    let (lines, signers, roots) = export(9);
    let remembered = |size: usize| Remembered { size: size as u64, root: roots[size], source: "a note".to_owned() };
    let report = check(&lines, &signers, vec![remembered(9), remembered(4), remembered(0)]).unwrap();
    assert_eq!((report.entries, report.erased, report.continued), (9, 1, 3));
    assert_eq!(report.signed_by.unwrap().as_str(), "se-sapo");
    assert_eq!(report.cosigned[0].0.as_str(), "no-pst");
    assert_eq!(check(&lines, &[], Vec::new()).unwrap().signed_by, None);
}

#[test]
fn the_published_example_is_verified() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../format/testdata/checkpoint/export.jsonl");
    let Ok(text) = std::fs::read(path) else { return };
    let report = verify(text.as_slice(), &[], Vec::new(), |_| {}).unwrap();
    assert_eq!((report.origin.as_str(), report.entries, report.erased), ("se-sapo/ledger", 3, 1));
}

#[test]
fn every_alteration_is_found_and_placed() {
    let (lines, signers, roots) = export(9);
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut changed = lines.clone();
        change(&mut changed);
        check(&changed, &signers, Vec::new()).unwrap_err()
    };
    assert!(with(&|l| l[5] = l[5].replace("opened", "listed")).starts_with("entry 4 is not the one that was recorded"));
    assert!(with(&|l| l.swap(3, 4)).starts_with("line 4 is not the entry that comes next; the export is not verified from entry 2 on"));
    assert!(with(&|l| drop(l.pop())).starts_with("the checkpoint is of 9 entries, and the export has 8"));
    assert!(with(&|l| l[2] = l[2].replace(":null", ": null")).starts_with("line 3 is not an entry of an export"));
    assert!(with(&|l| l[2] = l[3].replace("\"index\":2", "\"index\":1")).contains("not the ledger of its own checkpoint"));
    assert!(with(&|l| l[0] = l[0].replace("\\n9\\n", "\\n8\\n")).starts_with("the checkpoint does not hold"));
    assert!(with(&|l| drop(l.remove(0))).starts_with("line 1 is not the checkpoint"));
    let wrong = Remembered { size: 4, root: roots[5], source: "no-pst's note".to_owned() };
    assert!(check(&lines, &signers, vec![wrong]).unwrap_err().starts_with("at 4 entries the export is not the ledger of no-pst's note"));
    let later = Remembered { size: 12, root: roots[5], source: "no-pst's note".to_owned() };
    assert!(check(&lines, &signers, vec![later]).unwrap_err().contains("the ledger was cut off"));
}

#[test]
fn only_the_owners_key_counts() {
    let (lines, signers, _) = export(3);
    let (_, peer) = organisation("no-pst", 2);
    assert!(check(&lines, &[peer], Vec::new()).unwrap_err().contains("no card given is its owner's"));
    let (_, impostor) = organisation("se-sapo", 7);
    assert!(check(&lines, &[impostor], Vec::new()).unwrap_err().starts_with("the checkpoint does not hold"));
    let (_, other_key) = organisation("no-pst", 7);
    let mut given: Vec<Signer> = signers.into_iter().take(1).collect();
    given.push(other_key);
    assert_eq!(check(&lines, &given, Vec::new()).unwrap().cosigned, [], "a cosignature by another key says nothing");
}

#[test]
fn a_file_that_was_cut_off_is_not_taken_for_whole() {
    let (lines, signers, _) = export(3);
    let text = lines.join("\n");
    let fault = verify(text.as_bytes(), &signers, Vec::new(), |_| {}).unwrap_err().to_string();
    assert!(fault.starts_with("line 4 does not end"), "{fault}");
    let empty = verify(&b""[..], &signers, Vec::new(), |_| {}).unwrap_err().to_string();
    assert!(empty.starts_with("line 1 is not the checkpoint"), "{empty}");
}
