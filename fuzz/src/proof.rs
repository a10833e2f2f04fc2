//! Proofs over a ledger's tree, as peers and exports state them.

use arbitrary::{Arbitrary, Unstructured};
use format::merkle::{Hash, Subtrees, consistency_proof, inclusion_proof, leaf_hash, node_hash, verify_consistency, verify_inclusion};

/// What somebody claims of a tree, and how it differs from what is so.
#[derive(Debug, Arbitrary)]
struct Claim {
    leaves: Vec<u8>,
    index: u64,
    old: u64,
    size: u64,
    proof: Vec<Hash>,
    root: Hash,
    changed: (u8, u8),
}

struct Tree<'a>(&'a [u8]);

impl Subtrees for Tree<'_> {
    type Error = format::merkle::ProofError;

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        if level == 0 {
            let at = usize::try_from(index).unwrap_or(usize::MAX);
            return Ok(leaf_hash(self.0.get(at).map(std::slice::from_ref).unwrap_or_default()));
        }
        Ok(node_hash(&self.subtree(level - 1, index * 2)?, &self.subtree(level - 1, index * 2 + 1)?))
    }
}

/// What is so is proven, one changed hash proves nothing, and any claim is answered.
pub fn run(bytes: &[u8]) {
    let Ok(claim) = Claim::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let _ = verify_inclusion(&claim.root, claim.index, claim.size, &claim.proof, &claim.root);
    let _ = verify_consistency(claim.old, claim.size, &claim.proof, &claim.root, &claim.root);
    let leaves = &claim.leaves[..claim.leaves.len().min(64)];
    let (Some(last), tree) = (leaves.len().checked_sub(1), Tree(leaves)) else {
        return;
    };
    let (size, index, old) = (leaves.len() as u64, claim.index % leaves.len() as u64, 1 + claim.old % leaves.len() as u64);
    let (root, before) = (root(leaves), root(&leaves[..usize::try_from(old).unwrap_or(last)]));
    let leaf = leaf_hash(&leaves[usize::try_from(index).unwrap_or(last)..][..1]);
    let mut proof = inclusion_proof(index, size, &tree).expect("a tree that is there gives proofs");
    assert!(verify_inclusion(&leaf, index, size, &proof, &root).is_ok(), "what is in the tree is proven");
    if change(&mut proof, claim.changed) {
        assert!(verify_inclusion(&leaf, index, size, &proof, &root).is_err(), "a changed proof proves nothing");
    }
    let mut proof = consistency_proof(old, size, &tree).expect("a tree that is there gives proofs");
    assert!(verify_consistency(old, size, &proof, &before, &root).is_ok(), "what has grown is proven");
    if change(&mut proof, claim.changed) {
        assert!(verify_consistency(old, size, &proof, &before, &root).is_err(), "a changed proof proves nothing");
    }
}

fn root(leaves: &[u8]) -> Hash {
    let mut frontier = format::merkle::Frontier::default();
    leaves.iter().for_each(|leaf| {
        frontier.push(leaf_hash(&[*leaf]));
    });
    frontier.root()
}

fn change(proof: &mut [Hash], (at, bits): (u8, u8)) -> bool {
    let length = proof.len().max(1);
    let place = proof.get_mut(usize::from(at) % length).and_then(|hash| hash.first_mut());
    place.is_some_and(|byte| {
        *byte ^= bits;
        bits != 0
    })
}
