//! Signing the vectors: COSE_Sign messages put together by hand, and signatures that stay what they were.
//!
//! An ML-DSA signature differs each time it is made. So that writing the vectors again gives the same files, a
//! signature that is already in them and holds over what is to be signed is taken from there; only what changed is
//! signed anew.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use aws_lc_rs::signature::{KeyPair, ML_DSA_65 as ML_DSA_65_ALGORITHM, UnparsedPublicKey};

use super::cast::Org;
use super::cbor;

/// The algorithms, as numbers below -1: Ed25519 is -19, ML-DSA-65 is -49 (IANA COSE Algorithms).
pub(crate) const ED25519: u64 = 18;
pub(crate) const ML_DSA_65: u64 = 48;
/// What stands before an ML-DSA-65 signature: a byte string of 3309.
const MARK: [u8; 3] = [0x59, 0x0c, 0xed];
const LENGTH: usize = 3309;

/// A signature's place in a message.
#[derive(Clone)]
pub(crate) struct Slot {
    /// The content of the protected header.
    pub(crate) protected: Vec<u8>,
    /// The unprotected header, encoded.
    pub(crate) unprotected: Vec<u8>,
    /// The signature's bytes.
    pub(crate) signature: Vec<u8>,
}

impl Slot {
    pub(crate) fn encoded(&self) -> Vec<u8> {
        cbor::array(&[cbor::bytes(&self.protected), self.unprotected.clone(), cbor::bytes(&self.signature)])
    }
}

/// A message in its parts, each encoded, so that each can be wrong.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) tag: Vec<u8>,
    pub(crate) protected: Vec<u8>,
    pub(crate) unprotected: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) slots: Vec<Slot>,
}

impl Message {
    /// The four parts of the array.
    pub(crate) fn parts(&self) -> [Vec<u8>; 4] {
        let slots: Vec<Vec<u8>> = self.slots.iter().map(Slot::encoded).collect();
        [self.protected.clone(), self.unprotected.clone(), self.payload.clone(), cbor::array(&slots)]
    }

    pub(crate) fn encoded(&self) -> Vec<u8> {
        [self.tag.clone(), cbor::array(&self.parts())].concat()
    }
}

/// A protected header: algorithm and key id.
pub(crate) fn header(algorithm: u64, key_id: &str) -> Vec<u8> {
    cbor::map(&[(cbor::uint(1), cbor::negative(algorithm)), (cbor::uint(4), cbor::bytes(key_id.as_bytes()))])
}

/// The headers of the two slots.
pub(crate) fn headers(key_id: &str) -> [Vec<u8>; 2] {
    [header(ED25519, key_id), header(ML_DSA_65, key_id)]
}

/// What is signed in a slot (RFC 9052 section 4.4), the message's own header being empty.
fn to_be_signed(context: &str, protected: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor::array(&[cbor::text("Signature"), cbor::bytes(&[]), cbor::bytes(protected), cbor::bytes(context.as_bytes()), cbor::bytes(payload)])
}

/// An ML-DSA-65 signature that is there already, and the Ed25519 signature before it, by which it is found again.
struct Kept {
    first: Vec<u8>,
    second: Vec<u8>,
}

/// What signs, and remembers what was signed before.
pub(crate) struct Pen {
    kept: RefCell<Vec<Kept>>,
    fresh: Cell<usize>,
}

/// The Ed25519 signature that ends shortly before `at`, with the next header in between; nothing if there is none.
fn signature_before(vector: &[u8], at: usize) -> Vec<u8> {
    let starts = (64..140).filter_map(|back| at.checked_sub(back));
    let found = starts.into_iter().find(|start| start.checked_sub(2).and_then(|mark| vector.get(mark..*start)) == Some(&[0x58, 64]));
    found.and_then(|start| vector.get(start..start + 64)).unwrap_or_default().to_vec()
}

impl Pen {
    /// A pen that takes signatures from vectors as they are now.
    pub(crate) fn new<'a>(vectors: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut kept = Vec::new();
        let mut seen = BTreeSet::new();
        for vector in vectors {
            for (at, window) in vector.windows(MARK.len()).enumerate() {
                let second = (window == MARK).then(|| vector.get(at + MARK.len()..at + MARK.len() + LENGTH)).flatten();
                if let Some(second) = second
                    && seen.insert(second)
                {
                    kept.push(Kept { first: signature_before(vector, at), second: second.to_vec() });
                }
            }
        }
        Self { kept: RefCell::new(kept), fresh: Cell::new(0) }
    }

    /// How many signatures had to be made.
    pub(crate) fn fresh(&self) -> usize {
        self.fresh.get()
    }

    fn ml_dsa_65(&self, org: &Org, message: &[u8], first: &[u8]) -> Vec<u8> {
        let key = UnparsedPublicKey::new(&ML_DSA_65_ALGORITHM, org.ml_dsa_65.public_key().as_ref());
        let holds = |kept: &&Kept| key.verify(message, &kept.second).is_ok();
        let mut all = self.kept.borrow_mut();
        let beside = all.iter().filter(|kept| kept.first == first).find(holds);
        if let Some(kept) = beside.or_else(|| all.iter().find(holds)) {
            return kept.second.clone();
        }
        self.fresh.set(self.fresh.get() + 1);
        let mut second = vec![0; LENGTH];
        org.ml_dsa_65.sign(message, &mut second).expect("the key signs");
        all.push(Kept { first: first.to_vec(), second: second.clone() });
        second
    }

    /// A message as it should be: `payload` signed by `org` in `context`.
    pub(crate) fn sign(&self, org: &Org, context: &str, payload: &[u8]) -> Message {
        let [first, second] = headers(org.id);
        self.sign_under(org, context, payload, &first, &second)
    }

    /// A message under headers that need not be the right ones.
    pub(crate) fn sign_under(&self, org: &Org, context: &str, payload: &[u8], first: &[u8], second: &[u8]) -> Message {
        let ed25519 = org.ed25519.sign(&to_be_signed(context, first, payload)).as_ref().to_vec();
        let ml_dsa_65 = self.ml_dsa_65(org, &to_be_signed(context, second, payload), &ed25519);
        let slot = |protected: &[u8], signature| Slot { protected: protected.to_vec(), unprotected: cbor::map(&[]), signature };
        Message {
            tag: vec![0xd8, 98],
            protected: cbor::bytes(&[]),
            unprotected: cbor::map(&[]),
            payload: cbor::bytes(payload),
            slots: vec![slot(first, ed25519), slot(second, ml_dsa_65)],
        }
    }
}
