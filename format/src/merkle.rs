//! The Merkle tree over a ledger: roots, and proofs that a leaf is in a tree or that one tree continues another.
//!
//! The shape is that of RFC 9162 section 2.1 with SHA-256, so any Certificate Transparency verifier can check what is
//! made here. It is pure: it neither stores hashes nor knows what a leaf means, it asks [`Subtrees`] for the hashes of
//! complete subtrees, which never change once written. Its invariant: what [`Frontier::push`] reports is all that
//! a proof, of any leaf in any past size of the tree, will ever ask for.

use std::ops::Range;

use crate::id::Digest;

#[cfg(test)]
mod tests;

/// A SHA-256 hash of a leaf, an inner node or a whole tree.
pub type Hash = [u8; 32];

/// The most leaves a tree may have, 2^63 - 1: every size and index then fits the signed integer of a database.
pub const MAX_SIZE: u64 = u64::MAX >> 1;

/// The most hashes a proof can have. Whoever decodes a proof refuses a longer one before allocating for it.
pub const MAX_PROOF: usize = 64;

/// The hash of a leaf from its bytes: `SHA-256(0x00 ‖ leaf)` (RFC 9162 section 2.1.1).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

/// The hash of an inner node from its children: `SHA-256(0x01 ‖ left ‖ right)` (RFC 9162 section 2.1.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// A complete subtree: the 2^`level` leaves from number `index` · 2^`level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtree {
    /// Height above the leaves, 0 to 62.
    pub level: u8,
    /// Position among the subtrees of this level, from the left, from 0.
    pub index: u64,
    /// At level 0 the leaf hash, above it the node hash.
    pub hash: Hash,
}

/// Where the hashes of complete subtrees are kept.
pub trait Subtrees {
    /// Why a hash could not be had. It also carries the refusal of a proof that does not exist.
    type Error: From<ProofError>;

    /// The hash of the complete subtree at `level` and `index`, as [`Frontier::push`] reported it.
    ///
    /// # Errors
    /// The hash is not there or cannot be read.
    fn subtree(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// The right edge of a tree: just enough of it to append leaves and to know the root. By default the tree is empty.
///
/// Its hashes are those of the complete subtrees that cover the leaves, largest first: one for each 1 bit of the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    edge: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves, from what [`Frontier::size`] and [`Frontier::edge`] once gave.
    ///
    /// The hashes themselves cannot be checked here: compare [`Frontier::root`] with a signed checkpoint.
    ///
    /// # Errors
    /// The size exceeds [`MAX_SIZE`], or the number of hashes is not the number of 1 bits in the size.
    pub fn from_parts(size: u64, edge: Vec<Hash>) -> Result<Self, FrontierError> {
        if size > MAX_SIZE {
            return Err(FrontierError::TooLarge { size });
        }
        let needed = size.count_ones() as usize;
        if edge.len() != needed {
            return Err(FrontierError::Edge { size, needed, found: edge.len() });
        }
        Ok(Self { size, edge })
    }

    /// The frontier that the tree kept in `tree` had at `size` leaves: a way to begin again, and to any past root.
    ///
    /// # Errors
    /// The size exceeds [`MAX_SIZE`], or a subtree cannot be had.
    pub fn load<T: Subtrees>(size: u64, tree: &T) -> Result<Self, T::Error> {
        check_size(size)?;
        Ok(Self { size, edge: cover(0..size, tree)? })
    }

    /// Appends a leaf by its hash, and gives every subtree it completes: itself first, then upwards, each to be saved.
    pub fn push(&mut self, leaf: Hash) -> Vec<Subtree> {
        let mut node = Subtree { level: 0, index: self.size, hash: leaf };
        let mut completed = vec![node];
        // A node with an odd index is a right child, and its left sibling is the last of the edge.
        while node.index & 1 == 1
            && let Some(left) = self.edge.pop()
        {
            node = Subtree { level: node.level + 1, index: node.index >> 1, hash: node_hash(&left, &node.hash) };
            completed.push(node);
        }
        self.edge.push(node.hash);
        // WHY: not checked against MAX_SIZE, which a ledger reaches after 290,000 years of a million entries a second.
        self.size += 1;
        completed
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the right edge, largest subtree first, as [`Frontier::from_parts`] takes them.
    #[must_use]
    pub fn edge(&self) -> &[Hash] {
        &self.edge
    }

    /// The root of the tree; that of the empty tree is the hash of nothing (RFC 9162 section 2.1.1).
    #[must_use]
    pub fn root(&self) -> Hash {
        join(&self.edge)
    }
}

/// Parts do not make a [`Frontier`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrontierError {
    /// The size exceeds [`MAX_SIZE`].
    #[error("a tree of {size} leaves is larger than the {MAX_SIZE} allowed")]
    TooLarge {
        /// The size given.
        size: u64,
    },
    /// The number of hashes is not the number of 1 bits in the size.
    #[error("the edge of a tree of {size} leaves has {needed} hashes, not {found}")]
    Edge {
        /// The size given.
        size: u64,
        /// The number of hashes that the size needs.
        needed: usize,
        /// The number of hashes given.
        found: usize,
    },
}

/// A proof that leaf `index` is in the tree of the first `size` leaves: its sibling hashes, from the leaf to the root.
///
/// It has at most [`MAX_PROOF`] hashes and reads at most twice as many subtrees (`PATH` in RFC 9162 section 2.1.3.1).
///
/// # Errors
/// There is no such leaf in a tree of that size, the size exceeds [`MAX_SIZE`], or a subtree cannot be had.
pub fn inclusion_proof<T: Subtrees>(index: u64, size: u64, tree: &T) -> Result<Vec<Hash>, T::Error> {
    check_index(index, size)?;
    let mut proof = Vec::new();
    let mut range = 0..size;
    while range != (index..index + 1) {
        let middle = split(&range);
        if index < middle {
            proof.push(join(&cover(middle..range.end, tree)?));
            range.end = middle;
        } else {
            proof.push(join(&cover(range.start..middle, tree)?));
            range.start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// A proof that the tree of the first `new` leaves continues that of the first `old` (`PROOF` in RFC 9162 section
/// 2.1.4.1).
///
/// It has at most [`MAX_PROOF`] hashes. It is empty if the sizes are equal, or if `old` is 0, where the RFC defines no
/// proof and none is needed: every tree continues the empty one.
///
/// # Errors
/// The old size exceeds the new or the new size exceeds [`MAX_SIZE`], or a subtree cannot be had.
pub fn consistency_proof<T: Subtrees>(old: u64, new: u64, tree: &T) -> Result<Vec<Hash>, T::Error> {
    check_order(old, new)?;
    let mut proof = Vec::new();
    if old == 0 {
        return Ok(proof);
    }
    let mut range = 0..new;
    while range.end != old {
        let middle = split(&range);
        if old <= middle {
            proof.push(join(&cover(middle..range.end, tree)?));
            range.end = middle;
        } else {
            proof.push(join(&cover(range.start..middle, tree)?));
            range.start = middle;
        }
    }
    // A range that starts at 0 is the whole old tree, whose root the verifier has.
    if range.start > 0 {
        proof.push(join(&cover(range, tree)?));
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the leaf with hash `leaf` has number `index` in the tree of `size` leaves with this `root` (RFC 9162
/// section 2.1.3.2).
///
/// Take size and root from one verified checkpoint: another size may have proofs of the same form.
///
/// # Errors
/// The index is outside the tree, the size exceeds [`MAX_SIZE`], or the proof has the wrong length or another root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    check_root(inclusion_root(leaf, index, size, proof)?, root, size)
}

/// The root to which the proof leads from the leaf with hash `leaf` and number `index` in a tree of `size` leaves.
///
/// # Errors
/// The index is outside the tree, the size exceeds [`MAX_SIZE`], or the proof has the wrong length.
pub fn inclusion_root(leaf: &Hash, index: u64, size: u64, proof: &[Hash]) -> Result<Hash, ProofError> {
    check_index(index, size)?;
    let misfit = || ProofError::Length { found: proof.len() };
    let mut climb = Climb { node: index, last: size - 1 };
    let mut hash = *leaf;
    for sibling in proof {
        hash = match climb.step().ok_or_else(misfit)? {
            Side::Left => node_hash(sibling, &hash),
            Side::Right => node_hash(&hash, sibling),
        };
    }
    if climb.is_at_root() { Ok(hash) } else { Err(misfit()) }
}

/// Checks that the tree of `new` leaves with root `new_root` continues the tree of `old` leaves with root `old_root`
/// (RFC 9162 section 2.1.4.2).
///
/// Take each size with its root from one verified checkpoint. Between equal sizes, and from size 0, the proof is empty.
///
/// # Errors
/// The old size exceeds the new or the new size exceeds [`MAX_SIZE`], or the proof has the wrong length or leads to
/// another old or new root.
pub fn verify_consistency(old: u64, new: u64, proof: &[Hash], old_root: &Hash, new_root: &Hash) -> Result<(), ProofError> {
    check_order(old, new)?;
    let misfit = || ProofError::Length { found: proof.len() };
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(misfit());
        }
        if old == 0 {
            check_root(join(&[]), old_root, old)?;
        }
        return if old == new { check_root(*old_root, new_root, new) } else { Ok(()) };
    }

    // Begin at the largest complete subtree that ends with the old tree. If that is all of it, its root is known.
    let height = old.trailing_zeros();
    let mut climb = Climb { node: (old - 1) >> height, last: (new - 1) >> height };
    let (first, siblings) = if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or_else(misfit)? };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in siblings {
        match climb.step().ok_or_else(misfit)? {
            Side::Left => {
                old_hash = node_hash(sibling, &old_hash);
                new_hash = node_hash(sibling, &new_hash);
            }
            Side::Right => new_hash = node_hash(&new_hash, sibling),
        }
    }
    if !climb.is_at_root() {
        return Err(misfit());
    }
    check_root(old_hash, old_root, old)?;
    check_root(new_hash, new_root, new)
}

/// A proof does not hold, or cannot exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The size exceeds [`MAX_SIZE`].
    #[error("a tree of {size} leaves is larger than the {MAX_SIZE} allowed")]
    TooLarge {
        /// The size asked about.
        size: u64,
    },
    /// The leaf is not in a tree of this size.
    #[error("leaf {index} is outside a tree of {size} leaves")]
    Outside {
        /// The leaf asked about.
        index: u64,
        /// The size asked about.
        size: u64,
    },
    /// The old tree is larger than the new.
    #[error("a tree of {new} leaves cannot continue one of {old}")]
    Order {
        /// The size of the old tree.
        old: u64,
        /// The size of the new tree.
        new: u64,
    },
    /// The proof has too few or too many hashes for what it is to prove.
    #[error("a proof of {found} hashes does not fit")]
    Length {
        /// The number of hashes in the proof.
        found: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to another root for the tree of {size} leaves")]
    Root {
        /// The size of the tree whose root differs.
        size: u64,
    },
}

/// The levels that complete subtrees of a tree within [`MAX_SIZE`] can have: 0 to 62.
const LEVELS: u8 = 63;

fn check_size(size: u64) -> Result<(), ProofError> {
    if size > MAX_SIZE { Err(ProofError::TooLarge { size }) } else { Ok(()) }
}

fn check_index(index: u64, size: u64) -> Result<(), ProofError> {
    check_size(size)?;
    if index < size { Ok(()) } else { Err(ProofError::Outside { index, size }) }
}

fn check_order(old: u64, new: u64) -> Result<(), ProofError> {
    check_size(new)?;
    if old <= new { Ok(()) } else { Err(ProofError::Order { old, new }) }
}

fn check_root(found: Hash, root: &Hash, size: u64) -> Result<(), ProofError> {
    if found == *root { Ok(()) } else { Err(ProofError::Root { size }) }
}

/// Where the RFC splits a range of two leaves or more: the left part is the largest power of two below its length.
fn split(range: &Range<u64>) -> u64 {
    range.start + (range.end - range.start).next_power_of_two() / 2
}

/// The hashes of the complete subtrees that cover a range, largest first.
///
/// INVARIANT: the range is all of a tree or a part made by [`split`], so it starts where its largest subtree can start.
fn cover<T: Subtrees>(range: Range<u64>, tree: &T) -> Result<Vec<Hash>, T::Error> {
    let length = range.end - range.start;
    let mut start = range.start;
    let mut hashes = Vec::new();
    for level in (0..LEVELS).rev().filter(|level| length >> level & 1 == 1) {
        hashes.push(tree.subtree(level, start >> level)?);
        start += 1 << level;
    }
    Ok(hashes)
}

/// The root over neighbouring complete subtrees, largest first.
fn join(subtrees: &[Hash]) -> Hash {
    let root = subtrees.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
    root.unwrap_or_else(|| sha256(&[]))
}

/// The way from a node up to the root: its index on its level, and the index of the last node there.
struct Climb {
    node: u64,
    last: u64,
}

/// The side on which a sibling stands.
enum Side {
    Left,
    Right,
}

impl Climb {
    /// Goes up to the next node that has two children, and tells on which side the new one is; at the root, nothing.
    fn step(&mut self) -> Option<Side> {
        if self.is_at_root() {
            return None;
        }
        if self.node == self.last {
            // A last node without a left sibling has no sibling at all: it is moved up as it is.
            let alone = self.node.trailing_zeros();
            self.node >>= alone;
            self.last >>= alone;
        }
        let side = if self.node & 1 == 1 { Side::Left } else { Side::Right };
        self.node >>= 1;
        self.last >>= 1;
        Some(side)
    }

    fn is_at_root(&self) -> bool {
        self.last == 0
    }
}

fn sha256(parts: &[&[u8]]) -> Hash {
    *Digest::of_parts(parts).as_bytes()
}
