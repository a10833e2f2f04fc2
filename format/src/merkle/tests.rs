#![expect(clippy::cast_possible_truncation, reason = "the sizes tried are small")]

use std::collections::BTreeMap;

use ct_merkle::digest::array::sizes::U32;
use ct_merkle::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof};

use super::*;

/// Every size up to this one is tried in full: past 64, so that each shape up to a sixth level occurs.
const SIZES: u64 = 70;

/// A tree that keeps exactly what the frontier reports, as a store would.
#[derive(Default)]
struct Kept {
    frontier: Frontier,
    subtrees: BTreeMap<(u8, u64), Hash>,
}

impl Kept {
    fn of<L: AsRef<[u8]>>(leaves: &[L]) -> Self {
        let mut kept = Self::default();
        for leaf in leaves {
            for node in kept.frontier.push(leaf_hash(leaf.as_ref())) {
                assert_eq!(kept.subtrees.insert((node.level, node.index), node.hash), None, "reported once");
            }
        }
        kept
    }
}

#[derive(Debug, PartialEq)]
enum KeptError {
    Absent(u8, u64),
    Proof(ProofError),
}

impl From<ProofError> for KeptError {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}

impl Subtrees for Kept {
    type Error = KeptError;

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, KeptError> {
        self.subtrees.get(&(level, index)).copied().ok_or(KeptError::Absent(level, index))
    }
}

/// The recursions of RFC 9162 section 2.1, as they are printed there: slow, and plainly right.
mod naive {
    use super::super::{Hash, leaf_hash, node_hash};

    fn k(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    pub(super) fn mth(d: &[Vec<u8>]) -> Hash {
        match d {
            [] => *crate::id::Digest::of(b"").as_bytes(),
            [d0] => leaf_hash(d0),
            _ => node_hash(&mth(&d[..k(d.len())]), &mth(&d[k(d.len())..])),
        }
    }

    pub(super) fn path(m: usize, d: &[Vec<u8>]) -> Vec<Hash> {
        let n = d.len();
        if n == 1 {
            return Vec::new();
        }
        let (left, right) = d.split_at(k(n));
        if m < k(n) { [path(m, left), vec![mth(right)]].concat() } else { [path(m - k(n), right), vec![mth(left)]].concat() }
    }

    pub(super) fn subproof(m: usize, d: &[Vec<u8>], b: bool) -> Vec<Hash> {
        let n = d.len();
        if m == n {
            return if b { Vec::new() } else { vec![mth(d)] };
        }
        let (left, right) = d.split_at(k(n));
        if m <= k(n) { [subproof(m, left, b), vec![mth(right)]].concat() } else { [subproof(m - k(n), right, false), vec![mth(left)]].concat() }
    }
}

/// SHA-256 in the form that `ct-merkle` takes.
#[derive(Default)]
struct Sha256(Vec<u8>);

impl Update for Sha256 {
    fn update(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }
}

impl OutputSizeUser for Sha256 {
    type OutputSize = U32;
}

impl FixedOutput for Sha256 {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(&sha256(&[&self.0]));
    }
}

impl HashMarker for Sha256 {}

fn leaves(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|i| format!("entry {i}").into_bytes()).collect()
}

fn hash(hex: &str) -> Hash {
    *hex.parse::<Digest>().unwrap().as_bytes()
}

fn hashes(hex: &[&str]) -> Vec<Hash> {
    hex.iter().map(|h| hash(h)).collect()
}

/// The eight leaves of Certificate Transparency's reference tests, with the root at each size and some proofs.
const CT_LEAVES: [&[u8]; 8] = [b"", b"\x00", b"\x10", b"\x20\x21", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"];
const CT_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const CT_INCLUSION: [(u64, u64, &[&str]); 3] = [
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
];
const CT_CONSISTENCY: [(u64, u64, &[&str]); 4] = [
    (1, 1, &[]),
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 5, &["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e", "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
];

#[test]
fn the_reference_vectors_hold() {
    let tree = Kept::of(&CT_LEAVES);
    for (size, root) in (0..).zip(CT_ROOTS) {
        assert_eq!(Frontier::load(size, &tree).unwrap().root(), hash(root), "size {size}");
    }
    for (index, size, expected) in CT_INCLUSION {
        let proof = inclusion_proof(index, size, &tree).unwrap();
        assert_eq!(proof, hashes(expected), "leaf {index} of {size}");
    }
    for (old, new, expected) in CT_CONSISTENCY {
        let proof = consistency_proof(old, new, &tree).unwrap();
        assert_eq!(proof, hashes(expected), "from {old} to {new}");
    }
}

#[test]
fn every_small_tree_agrees_with_the_naive_model() {
    let data = leaves(SIZES);
    let tree = Kept::of(&data);
    let roots: Vec<Hash> = (0..=data.len()).map(|n| naive::mth(&data[..n])).collect();
    for (new, new_root) in (0..).zip(&roots) {
        let d = &data[..new as usize];
        let frontier = Frontier::load(new, &tree).unwrap();
        assert_eq!(frontier.root(), *new_root);
        assert_eq!(frontier, Kept::of(d).frontier);
        assert_eq!(Frontier::from_parts(new, frontier.edge().to_vec()).unwrap(), frontier);
        for (index, leaf) in (0..).zip(d) {
            let proof = inclusion_proof(index, new, &tree).unwrap();
            assert_eq!(proof, naive::path(index as usize, d));
            verify_inclusion(&leaf_hash(leaf), index, new, &proof, new_root).unwrap();
        }
        for (old, old_root) in (0..=new).zip(&roots) {
            let proof = consistency_proof(old, new, &tree).unwrap();
            if old > 0 {
                assert_eq!(proof, naive::subproof(old as usize, d, true));
            }
            verify_consistency(old, new, &proof, old_root, new_root).unwrap();
        }
    }
}

#[test]
fn every_small_tree_agrees_with_ct_merkle() {
    let data = leaves(SIZES);
    let ours = Kept::of(&data);
    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut roots = vec![theirs.root()];
    for new in 1..=SIZES {
        theirs.push(data[new as usize - 1].clone());
        let root = theirs.root();
        assert_eq!(root.as_bytes()[..], Frontier::load(new, &ours).unwrap().root());
        for index in 0..new {
            let proof = inclusion_proof(index, new, &ours).unwrap().concat();
            assert_eq!(proof, theirs.prove_inclusion(index as usize).as_bytes());
            let proof = InclusionProof::try_from_bytes(proof).unwrap();
            root.verify_inclusion(&data[index as usize], index, &proof).unwrap();
        }
        roots.push(root);
        for old in 1..=new {
            let proof = consistency_proof(old, new, &ours).unwrap().concat();
            assert_eq!(proof, theirs.prove_consistency((new - old) as usize).as_bytes());
            let proof = ConsistencyProof::try_from_bytes(proof).unwrap();
            roots[new as usize].verify_consistency(&roots[old as usize], &proof).unwrap();
        }
    }
}

/// Everything that can be done to a list of hashes while it keeps its meaning to a careless reader.
fn mutations(proof: &[Hash], every_bit: bool) -> Vec<Vec<Hash>> {
    let mut mutants = Vec::new();
    let mut add = |change: &dyn Fn(&mut Vec<Hash>)| {
        let mut mutant = proof.to_vec();
        change(&mut mutant);
        mutants.push(mutant);
    };
    add(&|p| p.push([0; 32]));
    add(&|p| p.insert(0, [0; 32]));
    add(&|p| p.resize(MAX_PROOF + 1, [0; 32]));
    for i in 0..proof.len() {
        add(&|p| p.retain(|hash| *hash != proof[i]));
        add(&|p| p.insert(i, p[i]));
        add(&|p| p[i] = [0; 32]);
        if i > 0 {
            add(&|p| p.swap(i - 1, i));
        }
        for bit in (0..256).step_by(if every_bit { 1 } else { 85 }) {
            add(&|p| p[i][bit / 8] ^= 1 << (bit % 8));
        }
    }
    mutants
}

#[test]
fn every_mutation_of_an_inclusion_proof_is_refused() {
    let data = leaves(SIZES);
    let tree = Kept::of(&data);
    for size in 1..=SIZES {
        let root = Frontier::load(size, &tree).unwrap().root();
        for index in 0..size {
            let leaf = leaf_hash(&data[index as usize]);
            let proof = inclusion_proof(index, size, &tree).unwrap();
            for mutant in mutations(&proof, size < 10) {
                assert!(verify_inclusion(&leaf, index, size, &mutant, &root).is_err(), "leaf {index} of {size}");
            }
            for other in (0..=size).filter(|other| *other != index) {
                assert!(verify_inclusion(&leaf, other, size, &proof, &root).is_err(), "leaf {index} as {other}");
            }
            assert!(verify_inclusion(&root, index, size, &proof, &leaf).is_err() || size == 1);
        }
    }
}

#[test]
fn every_mutation_of_a_consistency_proof_is_refused() {
    let data = leaves(SIZES);
    let tree = Kept::of(&data);
    let roots: Vec<Hash> = (0..=SIZES).map(|n| Frontier::load(n, &tree).unwrap().root()).collect();
    for (new, new_root) in (0..).zip(&roots) {
        for (old, old_root) in (0..=new).zip(&roots) {
            let proof = consistency_proof(old, new, &tree).unwrap();
            for mutant in mutations(&proof, new < 10) {
                assert!(verify_consistency(old, new, &mutant, old_root, new_root).is_err(), "{old} to {new}");
            }
            assert_eq!(
                verify_consistency(old, new, &proof, &[0; 32], new_root),
                // A complete old tree is climbed from its root, so that a wrong one is also missed at the top.
                Err(ProofError::Root { size: if old.is_power_of_two() && old < new { new } else { old } })
            );
            if old > 0 {
                let refused = verify_consistency(old, new, &proof, old_root, &[0; 32]);
                assert_eq!(refused, Err(ProofError::Root { size: new }));
            }
        }
    }
}

/// A tree of equal leaves: every complete subtree of a level has the same hash, so any size can be tried.
struct Uniform;

impl Subtrees for Uniform {
    type Error = ProofError;

    fn subtree(&self, level: u8, _index: u64) -> Result<Hash, ProofError> {
        assert!(level < LEVELS);
        Ok((0..level).fold(leaf_hash(b"same"), |hash, _| node_hash(&hash, &hash)))
    }
}

#[test]
fn the_largest_trees_prove_and_verify_within_the_limit() {
    let sizes: Vec<u64> =
        (0..LEVELS).flat_map(|level| [1 << level, (1 << level) + 1, MAX_SIZE >> level, MAX_SIZE ^ (1 << level)]).filter(|size| *size > 0).collect();
    let root = |size| Frontier::load(size, &Uniform).unwrap().root();
    let mut longest = 0;
    for &size in &sizes {
        for index in [0, size / 3, size / 2, size - 1] {
            let proof = inclusion_proof(index, size, &Uniform).unwrap();
            verify_inclusion(&leaf_hash(b"same"), index, size, &proof, &root(size)).unwrap();
            longest = longest.max(proof.len());
        }
        for old in [1, size / 3, size / 2 + 1, size - 1] {
            let proof = consistency_proof(old, size, &Uniform).unwrap();
            verify_consistency(old, size, &proof, &root(old), &root(size)).unwrap();
            longest = longest.max(proof.len());
        }
    }
    assert_eq!(longest, MAX_PROOF);
}

#[test]
fn what_cannot_be_proved_is_refused() {
    let tree = Kept::of(&leaves(3));
    let (outside, order) = (ProofError::Outside { index: 3, size: 3 }, ProofError::Order { old: 3, new: 2 });
    let large = ProofError::TooLarge { size: MAX_SIZE + 1 };
    let any = [0; 32];
    assert_eq!(inclusion_proof(3, 3, &tree), Err(outside.clone().into()));
    assert_eq!(inclusion_proof(0, MAX_SIZE + 1, &tree), Err(large.clone().into()));
    assert_eq!(inclusion_proof(0, 4, &tree), Err(KeptError::Absent(1, 1)));
    assert_eq!(consistency_proof(3, 2, &tree), Err(order.clone().into()));
    assert_eq!(consistency_proof(0, MAX_SIZE + 1, &tree), Err(large.clone().into()));
    assert_eq!(verify_inclusion(&any, 3, 3, &[], &any), Err(outside));
    assert_eq!(verify_inclusion(&any, 0, 0, &[], &any), Err(ProofError::Outside { index: 0, size: 0 }));
    assert_eq!(verify_inclusion(&any, 0, u64::MAX, &[], &any), Err(ProofError::TooLarge { size: u64::MAX }));
    assert_eq!(verify_consistency(3, 2, &[], &any, &any), Err(order));
    assert_eq!(verify_consistency(0, 0, &[], &any, &any), Err(ProofError::Root { size: 0 }));
    assert_eq!(Frontier::load(MAX_SIZE + 1, &tree), Err(large.into()));
}

#[test]
fn a_frontier_needs_as_many_hashes_as_its_size_has_ones() {
    let with = |size, hashes| Frontier::from_parts(size, vec![[0; 32]; hashes]);
    assert_eq!(with(0, 0), Ok(Frontier::default()));
    assert!(with(5, 2).is_ok() && with(MAX_SIZE, 63).is_ok());
    assert_eq!(with(5, 3), Err(FrontierError::Edge { size: 5, needed: 2, found: 3 }));
    assert_eq!(with(0, 1), Err(FrontierError::Edge { size: 0, needed: 0, found: 1 }));
    assert_eq!(with(MAX_SIZE + 1, 1), Err(FrontierError::TooLarge { size: MAX_SIZE + 1 }));
}
