//! Vectors of envelopes.
//!
//! Sealing draws fresh randomness, so an envelope that is there already and opens to what it should is kept as it is.

use hpke::aead::AesGcm256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};

use super::cast::{Cast, Org};
use super::pen::Pen;
use super::{Old, Shelf, cbor, parcel};

type Kdf = hpke::kdf::KdfShake256;

const INFO: &[u8] = b"samverkan/parcel/v1";
const MAX_ENVELOPE: usize = 8 * 1024 * 1024;

/// The two encrypted parts of an envelope.
struct Sealed {
    encapsulated: Vec<u8>,
    ciphertext: Vec<u8>,
}

fn secret(org: &Org) -> <XWing as Kem>::PrivateKey {
    let [_, _, seed] = org.seeds;
    <XWing as Kem>::PrivateKey::from_bytes(&seed).expect("any seed gives a key")
}

fn open(org: &Org, sealed: &Sealed, info: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(&sealed.encapsulated).ok()?;
    hpke::single_shot_open::<AesGcm256, Kdf, XWing>(&OpModeR::Base, &secret(org), &encapsulated, info, &sealed.ciphertext, aad).ok()
}

/// The envelope of this name as it was, if it opens to `plain`, or a new one.
fn seal(old: &Old, name: &str, org: &Org, plain: &[u8], info: &[u8], aad: &[u8]) -> Sealed {
    if let Some(sealed) = old.bytes("seal", name).as_deref().and_then(read)
        && open(org, &sealed, info, aad).as_deref() == Some(plain)
    {
        return sealed;
    }
    old.note_change();
    let key = XWing::sk_to_pk(&secret(org));
    let (encapsulated, ciphertext) = hpke::single_shot_seal::<AesGcm256, Kdf, XWing>(&OpModeS::Base, &key, info, plain, aad).expect("the key seals");
    Sealed { encapsulated: encapsulated.to_bytes().to_vec(), ciphertext }
}

fn read(envelope: &[u8]) -> Option<Sealed> {
    let mut decoder = minicbor::Decoder::new(envelope);
    decoder.array().ok()?;
    decoder.u64().ok()?;
    decoder.str().ok()?;
    Some(Sealed { encapsulated: decoder.bytes().ok()?.to_vec(), ciphertext: decoder.bytes().ok()?.to_vec() })
}

fn parts(suite: u64, to: &str, sealed: &Sealed) -> [Vec<u8>; 4] {
    [cbor::uint(suite), cbor::text(to), cbor::bytes(&sealed.encapsulated), cbor::bytes(&sealed.ciphertext)]
}

pub(crate) fn envelopes(cast: &Cast, pen: &Pen, old: &Old) -> Shelf {
    let mut shelf = Shelf::new("seal", "cbor");
    let plain = parcel::first(cast, pen);
    let pst = cast.pst.id;
    let sealed = seal(old, "plain", &cast.pst, &plain, INFO, pst.as_bytes());
    let sound = parts(1, pst, &sealed);
    let mut put = |name: &str, result: &str, bytes: &[u8], why: &str| {
        shelf.put(name, result, bytes, why).opener = Some(pst.to_owned());
    };
    put("plain", "accept", &cbor::array(&sound), "The first parcel, sealed to no-pst.");
    put("suite-2", "unknown-suite", &cbor::array(&parts(2, pst, &sealed)), "There is no such suite.");
    put("suite-0", "unknown-suite", &cbor::array(&parts(0, pst, &sealed)), "There is no such suite.");
    let theirs = seal(old, "to-another", &cast.supo, &plain, INFO, cast.supo.id.as_bytes());
    put("to-another", "wrong-recipient", &cbor::array(&parts(1, cast.supo.id, &theirs)), "It is sealed to fi-supo, and no-pst opens it.");
    put("to-another-renamed", "not-opened", &cbor::array(&parts(1, pst, &theirs)), "It is sealed to fi-supo, and says that it is to no-pst.");
    let other_name = seal(old, "name-of-another", &cast.pst, &plain, INFO, cast.supo.id.as_bytes());
    put("name-of-another", "not-opened", &cbor::array(&parts(1, pst, &other_name)), "It is sealed to the key of no-pst under the name of fi-supo.");
    let other_info = seal(old, "info-of-another", &cast.pst, &plain, b"samverkan/parcel/v2", pst.as_bytes());
    put("info-of-another", "not-opened", &cbor::array(&parts(1, pst, &other_info)), "It is sealed for another use.");
    let changed = |change: &dyn Fn(&mut Sealed)| {
        let mut sealed = Sealed { encapsulated: sealed.encapsulated.clone(), ciphertext: sealed.ciphertext.clone() };
        change(&mut sealed);
        cbor::array(&parts(1, pst, &sealed))
    };
    let flip = |bytes: &mut Vec<u8>, at: usize| bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
    put("encapsulation-changed", "not-opened", &changed(&|s| flip(&mut s.encapsulated, 0)), "One bit of the ML-KEM part of the encapsulation is changed.");
    put(
        "encapsulation-x25519-changed",
        "not-opened",
        &changed(&|s| flip(&mut s.encapsulated, 1100)),
        "One bit of the X25519 part of the encapsulation is changed.",
    );
    put("ciphertext-changed", "not-opened", &changed(&|s| flip(&mut s.ciphertext, 0)), "One bit of the ciphertext is changed.");
    put("ciphertext-short", "not-opened", &changed(&|s| s.ciphertext.truncate(s.ciphertext.len() - 1)), "The last byte of the ciphertext is missing.");
    put("ciphertext-empty", "not-opened", &changed(&|s| s.ciphertext.clear()), "There is no ciphertext.");
    put("encapsulation-short", "bad-encoding", &changed(&|s| s.encapsulated.truncate(1119)), "An encapsulation is 1120 bytes.");
    put("encapsulation-long", "bad-encoding", &changed(&|s| s.encapsulated.push(0)), "An encapsulation is 1120 bytes.");
    put("to-malformed", "bad-encoding", &cbor::array(&parts(1, "NO-PST", &sealed)), "An organisation's id is in small letters.");
    let mut with_bytes = sound.clone();
    with_bytes.iter_mut().skip(1).take(1).for_each(|to| *to = cbor::bytes(pst.as_bytes()));
    put("to-as-bytes", "bad-encoding", &cbor::array(&with_bytes), "The recipient is a text string.");
    put("of-three", "bad-encoding", &cbor::array(&sound.iter().take(3).cloned().collect::<Vec<_>>()), "An envelope has four parts.");
    put("of-five", "bad-encoding", &cbor::array(&[sound.to_vec(), vec![cbor::null()]].concat()), "An envelope has four parts.");
    put("indefinite", "bad-encoding", &cbor::array_indefinite(&sound), "The array is of indefinite length.");
    put("length-longer", "bad-encoding", &cbor::array_longer(&sound), "The array's length takes a byte more than it needs.");
    let mut longer = sound.clone();
    longer.iter_mut().take(1).for_each(|suite| *suite = vec![0x18, 1]);
    put("suite-longer", "bad-encoding", &cbor::array(&longer), "The suite's number takes a byte more than it needs.");
    put("trailing-byte", "bad-encoding", &[cbor::array(&sound), vec![0]].concat(), "A byte follows the envelope.");
    put("empty", "bad-encoding", &[], "No bytes.");
    shelf.put_filled("too-large", "too-large", (&[], 0, MAX_ENVELOPE + 1, &[]), "One byte more than an envelope may have; nothing of it is read.").opener =
        Some(pst.to_owned());
    for case in shelf.cases.iter_mut().filter(|case| case.result == "accept") {
        case.opens = Some("../parcel/first.cbor".to_owned());
    }
    shelf
}
