//! Reading a vector with the crate's own readers, and what they make of it.
//!
//! Whoever accepts gives everything it read as text, so that two readings can be compared. A refusal is its code.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use samverkan_format::agreement::{Agreement, Withdrawal};
use samverkan_format::attachment::{AttachmentRef, verify_piece};
use samverkan_format::card::{Revocation, Succession, introduce};
use samverkan_format::grading::Grading;
use samverkan_format::json::{self, Budget, Object};
use samverkan_format::keys::PublicKeys;
use samverkan_format::marking::Marking;
use samverkan_format::parcel::{self, Item, ParcelHeader};
use samverkan_format::receipt::{Notice, Receipt};
use samverkan_format::record::Header;
use samverkan_format::recovery::{Account, Inquiry, Recovery};
use samverkan_format::seal::OpeningKey;
use samverkan_format::verify::{KeyDirectory, Statement, verify};
use samverkan_format::{Digest, OrgId};
use serde::Deserialize;

use crate::case::{Case, unhex};
use crate::make::bytes_of;

/// A line of `keys.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    org: OrgId,
    held: bool,
    ed25519_seed: String,
    ml_dsa_65_seed: String,
    x_wing_seed: String,
    fingerprint: Digest,
}

/// Whose cards are held, and the keys that open envelopes.
pub(crate) struct Known {
    cards: BTreeMap<OrgId, PublicKeys>,
    opening: BTreeMap<OrgId, OpeningKey>,
}

impl KeyDirectory for Known {
    fn keys(&self, org: &OrgId) -> Option<&PublicKeys> {
        self.cards.get(org)
    }
}

impl Known {
    /// Takes the cards in whose fingerprints `keys.json` has, but for those that are not held.
    pub(crate) fn gather(root: &Path) -> Self {
        let all: Vec<Keys> = serde_json::from_slice(&fs::read(root.join("keys.json")).unwrap()).unwrap();
        let mut known = Self { cards: BTreeMap::new(), opening: BTreeMap::new() };
        for keys in all {
            let (card, public) = introduce(&fs::read(root.join(format!("card/{}.cose", keys.org))).unwrap()).unwrap();
            assert_eq!((card.signer(), public.fingerprint()), (&keys.org, keys.fingerprint));
            assert_eq!((keys.ed25519_seed.len(), keys.ml_dsa_65_seed.len()), (64, 64));
            let seed: [u8; 32] = unhex(&keys.x_wing_seed).try_into().unwrap();
            known.opening.insert(keys.org.clone(), OpeningKey::new(&seed).unwrap());
            if keys.held {
                known.cards.insert(keys.org, public);
            }
        }
        known
    }
}

/// Reads a vector, and checks what its index says of an accepted one.
pub(crate) fn read(known: &Known, folder: &str, path: &Path, case: &Case) -> Result<String, String> {
    match folder {
        "attachment" => read_piece(case),
        "marking" => read_marking(case),
        "grading" => read_text::<Grading>(case),
        _ => {
            let bytes = bytes_of(case, path).unwrap();
            let said = message(known, folder, case, &bytes)?;
            if let Some(opens) = &case.opens {
                let plain = fs::read(path.join(opens)).unwrap();
                assert_eq!(said, Digest::of(&plain).to_string(), "{folder}/{}", case.name);
            }
            Ok(said)
        }
    }
}

/// Reads bytes as a vector's are read.
pub(crate) fn message(known: &Known, folder: &str, case: &Case, bytes: &[u8]) -> Result<String, String> {
    match (folder, case.reader.as_deref()) {
        ("card", _) => {
            let (card, keys) = introduce(bytes).map_err(|reject| reject.code().to_owned())?;
            told(case, card.signer(), card.digest());
            let follows = known.cards.get(card.signer()).is_some_and(|held| card.succeeds(held));
            assert_eq!(follows, case.name == "succession", "{}", case.name);
            if let Some(fingerprint) = &case.fingerprint {
                assert_eq!(keys.fingerprint().to_string(), *fingerprint);
            }
            Ok(format!("{:?} {}", card.value(), keys.fingerprint()))
        }
        ("revocation", _) => statement::<Revocation>(known, case, bytes),
        ("succession", _) => statement::<Succession>(known, case, bytes),
        ("agreement", _) => statement::<Agreement>(known, case, bytes),
        ("withdrawal", _) => statement::<Withdrawal>(known, case, bytes),
        ("record", _) => {
            let said = statement::<Header>(known, case, bytes)?;
            let header = verify::<Header>(bytes, known).unwrap();
            assert_eq!(header.marking.unknown_code(), case.unknown.as_deref(), "{}", case.name);
            Ok(said)
        }
        ("receipt", _) => statement::<Receipt>(known, case, bytes),
        ("notice", _) => statement::<Notice>(known, case, bytes),
        ("inquiry", _) => statement::<Inquiry>(known, case, bytes),
        ("account", _) => statement::<Account>(known, case, bytes),
        ("recovery", _) => statement::<Recovery>(known, case, bytes),
        ("parcel", Some("header")) => statement::<ParcelHeader>(known, case, bytes),
        ("parcel", Some("parcel")) => {
            let parcel = parcel::read(bytes, known).map_err(|reject| reject.code().to_owned())?;
            let present: Vec<bool> = parcel.items.iter().map(Option::is_some).collect();
            assert_eq!(Some(present), case.present, "{}", case.name);
            Ok(format!("{parcel:?}"))
        }
        ("parcel", Some("item")) => {
            let item = Item::parse(bytes).map_err(|reject| reject.code().to_owned())?;
            assert_eq!(item.to_bytes(), bytes, "{}", case.name);
            if bytes_are(case, bytes) {
                assert_eq!(Some(Digest::of(bytes).to_string()), case.digest, "{}", case.name);
                return Ok(format!("{item:?}"));
            }
            // Changed bytes of an item are another item: its digest shows it, and the parcel's header names the digest.
            Err("another-item".to_owned())
        }
        ("seal", _) => {
            let opener: OrgId = case.opener.as_ref().unwrap().parse().unwrap();
            let plain = known.opening[&opener].open(&opener, bytes).map_err(|fault| fault.code().to_owned())?;
            Ok(Digest::of(&plain).to_string())
        }
        other => panic!("nothing reads {other:?}"),
    }
}

fn bytes_are(case: &Case, bytes: &[u8]) -> bool {
    case.digest.as_ref().is_some_and(|digest| Digest::of(bytes).to_string() == *digest)
}

fn statement<T: Statement + std::fmt::Debug>(known: &Known, case: &Case, bytes: &[u8]) -> Result<String, String> {
    let verified = verify::<T>(bytes, known).map_err(|reject| reject.code().to_owned())?;
    assert_eq!(verified.signed().to_bytes(), bytes, "{}", case.name);
    told(case, verified.signer(), verified.digest());
    Ok(format!("{:?} {:?}", verified.value(), verified.signed()))
}

fn told(case: &Case, signer: &OrgId, digest: Digest) {
    let said = (Some(signer.as_str()), Some(digest.to_string()));
    assert_eq!(said, (case.signer.as_deref(), case.digest.clone()), "{}", case.name);
}

fn read_piece(case: &Case) -> Result<String, String> {
    let given = case.piece.as_ref().unwrap();
    let reference = AttachmentRef { size: given.size, root: given.root.parse().unwrap() };
    let salt = *given.salt.parse::<Digest>().unwrap().as_bytes();
    let proof: Vec<[u8; 32]> = given.proof.iter().map(|hash| *hash.parse::<Digest>().unwrap().as_bytes()).collect();
    let piece = vec![unhex(&given.byte)[0]; given.length];
    verify_piece(&reference, &salt, given.index, &piece, &proof).map(|()| String::new()).map_err(|_| "piece-mismatch".to_owned())
}

fn read_text<T: serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug>(case: &Case) -> Result<String, String> {
    let text = case.text.as_ref().unwrap();
    let value: T = json::parse(text.as_bytes(), &Budget::HEADER).map_err(|fault| fault.code().to_owned())?;
    assert_eq!(serde_json::to_string(&value).unwrap(), *text, "{}", case.name);
    Ok(format!("{value:?}"))
}

fn marking(text: &str) -> Marking {
    serde_json::from_str(text).unwrap()
}

fn read_marking(case: &Case) -> Result<String, String> {
    if let Some(join) = &case.join {
        let (a, b) = (marking(&join.a), marking(&join.b));
        assert_eq!(a.join(&b), marking(&join.joined), "{}", case.name);
        assert_eq!((a.covers(&b), b.covers(&a)), (join.a_covers_b, join.b_covers_a), "{}", case.name);
        return Ok(String::new());
    }
    let text = case.text.as_ref().unwrap();
    let Object(value): Object<Marking> = json::parse(text.as_bytes(), &Budget::HEADER).map_err(|fault| fault.code().to_owned())?;
    assert_eq!(value.unknown_code(), case.unknown.as_deref(), "{}", case.name);
    assert_eq!(Some(value.to_string()), case.shown, "{}", case.name);
    assert_eq!(serde_json::to_string(&value).unwrap(), *text, "{}", case.name);
    Ok(format!("{value:?}"))
}
