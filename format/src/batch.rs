//! Batches: two signatures for many statements of one signer and one kind, each of which still proves itself alone.
//!
//! The digests of the statements are the leaves of a Merkle tree (RFC 9162 section 2.1). What is signed is the tree's root
//! and size, in a context of its own, and each statement carries its proof of inclusion beside the two signatures. So it
//! is verified by itself after any number of hands, and whoever gets many of a batch verifies its signatures once.
//! The invariant: a proof has one encoding, and binds its statement to one place in one tree.

use std::collections::BTreeMap;

use coset::cbor::value::Value;
use coset::{Header, HeaderBuilder, Label};

use crate::id::Digest;
use crate::merkle::{self, Frontier, Hash, ProofError, Subtrees};

/// The most statements in a batch.
pub const MAX_BATCH: usize = 256;

/// The longest path of a proof: the height of a tree with [`MAX_BATCH`] leaves.
const MAX_PATH: usize = 8;

/// `vdp`, the header parameter for proofs of a verifiable data structure, and the kind of proof in it that shows inclusion.
/// Their form is that of the COSE receipts of the IETF.
const PROOFS: i64 = 396;
const INCLUSION: i64 = -1;

/// What the context of a kind of statement ends with when its batches are signed.
const CONTEXT_END: &str = "/batch";

/// Where a statement stands in the batch with which it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    size: u64,
    index: u64,
    path: Vec<Hash>,
    bytes: Vec<u8>,
}

impl Inclusion {
    fn new(size: u64, index: u64, path: Vec<Hash>) -> Self {
        let bytes = encode(size, index, &path);
        Self { size, index, path, bytes }
    }

    /// Places for statements with these digests, in their order; and the root of the tree that they make. At most
    /// [`MAX_BATCH`] are taken, and a single one needs no batch.
    pub(crate) fn of_all(digests: &[Digest]) -> Result<(Root, Vec<Self>), ProofError> {
        let size = digests.len() as u64;
        let mut tree = Complete { size, hashes: BTreeMap::new() };
        let mut frontier = Frontier::default();
        for digest in digests {
            for subtree in frontier.push(leaf(digest)) {
                tree.hashes.insert((subtree.level, subtree.index), subtree.hash);
            }
        }
        let places = (0..size).map(|index| Ok(Self::new(size, index, merkle::inclusion_proof(index, size, &tree)?)));
        Ok((Root { size, hash: frontier.root() }, places.collect::<Result<_, ProofError>>()?))
    }

    /// The root to which this place leads from a statement; none if there is no such place.
    pub(crate) fn root(&self, digest: &Digest) -> Option<Root> {
        let hash = merkle::inclusion_root(&leaf(digest), self.index, self.size, &self.path).ok()?;
        Some(Root { size: self.size, hash })
    }

    /// The header parameter that carries it.
    pub(crate) fn to_header(&self) -> Header {
        let proofs = Value::Map(vec![(Value::from(INCLUSION), Value::Array(vec![Value::Bytes(self.bytes.clone())]))]);
        HeaderBuilder::new().value(PROOFS, proofs).build()
    }

    /// Reads it from a message's unprotected header, where that holds nothing else.
    pub(crate) fn from_header(header: &Header) -> Option<Self> {
        let [(Label::Int(PROOFS), Value::Map(proofs))] = header.rest.as_slice() else { return None };
        let [(kind, Value::Array(proofs))] = proofs.as_slice() else { return None };
        let [Value::Bytes(proof)] = proofs.as_slice() else { return None };
        (*kind == Value::from(INCLUSION)).then(|| Self::parse(proof))?
    }

    /// The proof's bytes: a CBOR array of size, index and path.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the proof's bytes, in their one encoding.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut d = minicbor::Decoder::new(bytes);
        d.array().ok()?.filter(|parts| *parts == 3)?;
        let (size, index) = (d.u64().ok()?, d.u64().ok()?);
        let length = usize::try_from(d.array().ok()??).ok().filter(|length| *length <= MAX_PATH)?;
        let mut path = Vec::with_capacity(length);
        for _ in 0..length {
            path.push(Hash::try_from(d.bytes().ok()?).ok()?);
        }
        let proof = Self::new(size, index, path);
        let sound = (2..=MAX_BATCH as u64).contains(&size) && index < size && proof.bytes == bytes;
        sound.then_some(proof)
    }
}

fn encode(size: u64, index: u64, path: &[Hash]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut e = minicbor::Encoder::new(&mut out);
    // INVARIANT: writing to memory does not fail.
    let _written: Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
        e.array(3)?.u64(size)?.u64(index)?.array(path.len() as u64)?;
        path.iter().try_for_each(|hash| e.bytes(hash).map(|_| ()))
    })();
    out
}

/// What is signed for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    size: u64,
    hash: Hash,
}

impl Root {
    /// The signed bytes: the root's 32 bytes and the size in eight.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [self.hash.as_slice(), &self.size.to_be_bytes()].concat()
    }
}

/// The context in which a batch of statements with this context is signed.
pub(crate) fn context(statements: &str) -> String {
    format!("{statements}{CONTEXT_END}")
}

fn leaf(digest: &Digest) -> Hash {
    merkle::leaf_hash(digest.as_bytes())
}

/// Every complete subtree of a batch's tree.
struct Complete {
    size: u64,
    hashes: BTreeMap<(u8, u64), Hash>,
}

impl Subtrees for Complete {
    type Error = ProofError;

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, ProofError> {
        self.hashes.get(&(level, index)).copied().ok_or(ProofError::Outside { index, size: self.size })
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::id::OrgId;
    use crate::json::Budget;
    use crate::keys::{Seeds, SigningKeys};
    use crate::signed::Signed;
    use crate::verify::{Malformed, Reject, Statement, Verifier, verify};

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Word {
        said: String,
    }

    impl Statement for Word {
        const CONTEXT: &'static str = "samverkan/word/v1";
        const BUDGET: Budget = Budget::HEADER;
        const BATCHED: bool = true;

        fn check(&self) -> Result<(), Malformed> {
            Ok(())
        }

        fn may_be_signed_by(&self, _: &OrgId) -> bool {
            true
        }
    }

    fn keys(org: &str) -> SigningKeys {
        let seeds = Seeds::generate(|seed| *seed = *Digest::of(org.as_bytes()).as_bytes());
        SigningKeys::new(org.parse().unwrap(), &seeds).unwrap()
    }

    fn signed(keys: &SigningKeys, count: usize) -> Vec<Signed> {
        let payloads = (0..count).map(|n| format!(r#"{{"said":"{n}"}}"#).into_bytes()).collect();
        Signed::sign_all::<Word>(payloads, keys).unwrap()
    }

    #[test]
    fn each_of_many_proves_itself_alone_and_all_of_them_together() {
        let keys = keys("se-one");
        let directory = (keys.org(), keys.public());
        for count in [0, 1, 2, 3, 7, 8, 255, 256, 257, 515] {
            let all = signed(&keys, count);
            assert_eq!(all.len(), count);
            let mut verifier = Verifier::new(&directory);
            for (n, signed) in all.iter().enumerate() {
                let bytes = signed.to_bytes();
                assert_eq!(verifier.verify::<Word>(&bytes).unwrap().said, n.to_string());
                if n % 50 == 0 {
                    assert_eq!(verify::<Word>(&bytes, &directory).unwrap().signed(), signed);
                }
            }
        }
    }

    #[test]
    fn a_single_one_is_signed_by_itself() {
        let keys = keys("se-one");
        assert!(signed(&keys, 1).iter().all(|signed| signed.signatures().inclusion.is_none()));
        let last = signed(&keys, 257).pop().unwrap();
        assert!(last.signatures().inclusion.is_none());
    }

    #[test]
    fn what_one_has_proven_opens_the_door_for_no_other() {
        let (one, two) = (keys("se-one"), keys("se-two"));
        let directory = (one.org(), one.public());
        let batch = signed(&one, 3);
        let mut verifier = Verifier::new(&directory);
        verifier.verify::<Word>(&batch.first().unwrap().to_bytes()).unwrap();
        let [first, second, _] = batch.as_slice() else { panic!("three") };
        // Another's words, the words of one in the place of another, and another's signature, each after a batch that held.
        let foreign = Signed::from_parts(one.org().clone(), br#"{"said":"4"}"#.to_vec(), second.signatures().clone());
        let swapped = Signed::from_parts(one.org().clone(), first.payload().to_vec(), second.signatures().clone());
        let mut other = second.signatures().clone();
        other.ed25519 = signed(&two, 1).first().unwrap().signatures().ed25519;
        let resigned = Signed::from_parts(one.org().clone(), second.payload().to_vec(), other);
        for forged in [foreign, swapped, resigned] {
            assert!(matches!(verifier.verify::<Word>(&forged.to_bytes()), Err(Reject::Signature { .. })));
        }
        let renamed = Signed::from_parts(two.org().clone(), second.payload().to_vec(), second.signatures().clone());
        assert!(matches!(verifier.verify::<Word>(&renamed.to_bytes()), Err(Reject::UnknownSigner(_))));
        verifier.verify::<Word>(&second.to_bytes()).unwrap();
    }
}
