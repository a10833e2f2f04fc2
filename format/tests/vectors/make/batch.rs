//! Vectors of statements that were signed in a batch: the proof of inclusion, and everything that can be wrong with it.

use samverkan_format::Digest;
use samverkan_format::merkle::{Hash, leaf_hash, node_hash};

use super::parts::Subject;
use super::pen::Message;
use super::{Shelf, cbor};

/// What is signed for a batch of so many with this root.
fn root_bytes(root: &Hash, size: u64) -> Vec<u8> {
    [root.as_slice(), &size.to_be_bytes()].concat()
}

/// A proof of inclusion, encoded.
fn proof(size: u64, index: u64, path: &[Hash]) -> Vec<u8> {
    let path: Vec<Vec<u8>> = path.iter().map(|hash| cbor::bytes(hash)).collect();
    cbor::array(&[cbor::uint(size), cbor::uint(index), cbor::array(&path)])
}

/// The unprotected header with these proofs: `vdp`, 396, and in it inclusion, -1.
fn beside(proofs: &[Vec<u8>]) -> Vec<u8> {
    let proofs: Vec<Vec<u8>> = proofs.iter().map(|proof| cbor::bytes(proof)).collect();
    cbor::map(&[(cbor::uint(396), cbor::map(&[(cbor::negative(0), cbor::array(&proofs))]))])
}

/// The leaf of a statement.
fn leaf(payload: &[u8]) -> Hash {
    leaf_hash(Digest::of(payload).as_bytes())
}

/// The subject in a batch of two, as its first; and what it takes to get it wrong.
struct Two<'a> {
    subject: &'a Subject<'a>,
    context: String,
    beside: Hash,
    root: Hash,
}

impl<'a> Two<'a> {
    fn new(subject: &'a Subject<'a>) -> Self {
        let other = leaf(b"another statement");
        let root = node_hash(&leaf(subject.payload.as_bytes()), &other);
        Self { subject, context: format!("{}/batch", subject.context), beside: other, root }
    }

    /// The subject's bytes under signatures over `signed` in `context`, with an unprotected header.
    fn message(&self, context: &str, signed: &[u8], unprotected: Vec<u8>) -> Message {
        let message = self.subject.pen.sign(self.subject.org, context, signed);
        Message { payload: cbor::bytes(self.subject.payload.as_bytes()), unprotected, ..message }
    }

    /// The signatures of the batch, with an unprotected header.
    fn with(&self, unprotected: Vec<u8>) -> Vec<u8> {
        self.message(&self.context, &root_bytes(&self.root, 2), unprotected).encoded()
    }
}

/// Batches of a kind of statement that is signed so.
pub(crate) fn batches(shelf: &mut Shelf, subject: &Subject<'_>) {
    let two = Two::new(subject);
    let sound = proof(2, 0, &[two.beside]);
    sound_ones(shelf, &two, &sound);

    let mut bad = |name: &str, code: &str, bytes: &[u8], why: &str| {
        shelf.put(name, code, bytes, why);
    };
    let with = |proof: Vec<u8>| two.with(beside(&[proof]));
    bad(
        "batch-signed-alone",
        "bad-signature",
        &two.message(subject.context, subject.payload.as_bytes(), beside(std::slice::from_ref(&sound))).encoded(),
        "The signatures are over the statement itself, and it has a proof.",
    );
    bad("batch-without-proof", "bad-signature", &two.with(cbor::map(&[])), "The signatures are those of a batch, and the proof is left out.");
    bad(
        "batch-context-of-one",
        "bad-signature",
        &two.message(subject.context, &root_bytes(&two.root, 2), beside(std::slice::from_ref(&sound))).encoded(),
        "The root is signed in the context of a single statement.",
    );
    bad(
        "batch-size-unsigned",
        "bad-signature",
        &two.message(&two.context, &two.root, beside(std::slice::from_ref(&sound))).encoded(),
        "The root is signed without the size.",
    );
    bad(
        "batch-size-other",
        "bad-signature",
        &two.message(&two.context, &root_bytes(&two.root, 3), beside(std::slice::from_ref(&sound))).encoded(),
        "The root is signed with another size.",
    );
    bad("batch-path-other", "bad-signature", &with(proof(2, 0, &[two.root])), "The path leads to another root.");
    bad("batch-index-other", "bad-signature", &with(proof(2, 1, &[two.beside])), "The path is that of the other place.");
    bad("batch-path-missing", "bad-encoding", &with(proof(2, 0, &[])), "A tree of two has paths of one hash.");
    bad("batch-path-longer", "bad-encoding", &with(proof(2, 0, &[two.beside, two.beside])), "A tree of two has paths of one hash.");
    bad("batch-index-outside", "bad-encoding", &with(proof(2, 2, &[two.beside])), "There is no third place among two.");
    bad("batch-of-one", "bad-encoding", &with(proof(1, 0, &[])), "A statement alone is signed alone.");
    bad("batch-of-257", "bad-encoding", &with(proof(257, 0, &[two.beside; 9])), "One more than a batch may have.");
    bad("batch-path-of-nine", "bad-encoding", &with(proof(256, 0, &[two.beside; 9])), "One hash more than any path has.");
    bad("batch-hash-short", "bad-encoding", &with(cbor::array(&[cbor::uint(2), cbor::uint(0), cbor::array(&[cbor::bytes(&[0; 31])])])), "A hash of 31 bytes.");
    bad("batch-proof-trailing", "bad-encoding", &with([sound.clone(), vec![0]].concat()), "A byte follows the proof.");
    bad(
        "batch-proof-longer",
        "bad-encoding",
        &with([vec![0x98, 3], sound.get(1..).unwrap_or_default().to_vec()].concat()),
        "The proof's length takes a byte more than it needs.",
    );
    bad("batch-two-proofs", "bad-encoding", &two.with(beside(&[sound.clone(), sound.clone()])), "Two proofs.");
    bad("batch-no-proof", "bad-encoding", &two.with(beside(&[])), "An empty list of proofs.");
    let inclusion = cbor::map(&[(cbor::negative(0), cbor::array(&[cbor::bytes(&sound)]))]);
    bad("batch-label-other", "bad-encoding", &two.with(cbor::map(&[(cbor::uint(395), inclusion.clone())])), "The proof stands under another label.");
    bad(
        "batch-more-beside",
        "bad-encoding",
        &two.with(cbor::map(&[(cbor::uint(395), cbor::uint(1)), (cbor::uint(396), inclusion)])),
        "Something else stands beside the proof.",
    );
    let consistency = cbor::map(&[(cbor::negative(1), cbor::array(&[cbor::bytes(&sound)]))]);
    bad("batch-proof-of-another-kind", "bad-encoding", &two.with(cbor::map(&[(cbor::uint(396), consistency)])), "It says that it is a proof of consistency.");
}

fn sound_ones(shelf: &mut Shelf, two: &Two<'_>, sound: &[u8]) {
    let subject = two.subject;
    let own = leaf(subject.payload.as_bytes());
    let mut good = |name: &str, bytes: &[u8], why: &str| {
        let case = shelf.put(name, "accept", bytes, why);
        case.signer = Some(subject.org.id.to_owned());
        case.digest = Some(Digest::of(subject.payload.as_bytes()).to_string());
    };
    good("batch-of-two", &two.with(beside(&[sound.to_vec()])), "The first of two that were signed together.");
    let pair = node_hash(&two.beside, &two.beside);
    let three = two.message(&two.context, &root_bytes(&node_hash(&pair, &own), 3), beside(&[proof(3, 2, &[pair])]));
    good("batch-of-three", &three.encoded(), "The last of three: its path has one hash, and the others' have two.");
    let path = [two.beside; 8];
    let root = path.iter().fold(own, |hash, sibling| node_hash(&hash, sibling));
    let full = two.message(&two.context, &root_bytes(&root, 256), beside(&[proof(256, 0, &path)]));
    good("batch-of-256", &full.encoded(), "As many as a batch may have.");
}

/// The one fault of a kind of statement that is never signed in a batch.
pub(crate) fn no_batches(shelf: &mut Shelf, subject: &Subject<'_>) {
    let two = Two::new(subject);
    shelf.put("batch", "bad-encoding", &two.with(beside(&[proof(2, 0, &[two.beside])])), "Everything holds, but this kind is not signed in batches.");
}
