//! Attachments: large content in pieces that each prove themselves.
//!
//! An attachment is cut into pieces of 1 MiB. The header holds its size and the Merkle tree root over the pieces
//! (RFC 9162 shape), so a receiver checks each piece as it comes, in any order, and never holds more than one.

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::merkle;
use crate::verify::{Malformed, ensure};

/// Bytes in every piece but the last.
pub const PIECE: usize = 1024 * 1024;
/// The largest attachment, in bytes: 4 GiB.
pub const MAX_SIZE: u64 = 4 * 1024 * 1024 * 1024;

/// The header's commitment to an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentRef {
    /// Length in bytes, at least 1.
    pub size: u64,
    /// Root of the Merkle tree over the pieces, each salted with the record's 32 bytes of salt.
    pub root: Digest,
}

impl AttachmentRef {
    /// The number of pieces.
    #[must_use]
    pub const fn pieces(&self) -> u64 {
        self.size.div_ceil(PIECE as u64)
    }

    /// The length of piece `index`, or `None` past the end.
    #[must_use]
    pub fn piece_len(&self, index: u64) -> Option<usize> {
        let left = self.size.checked_sub(index.checked_mul(PIECE as u64)?)?;
        usize::try_from(left.min(PIECE as u64)).ok().filter(|len| *len > 0)
    }

    pub(crate) fn check(&self) -> Result<(), Malformed> {
        ensure((1..=MAX_SIZE).contains(&self.size), "attachments", "are 1 byte to 4 GiB each")
    }
}

/// The leaf hash of a piece.
///
/// The salt keeps a purged attachment from being guessed from its hash.
#[must_use]
pub fn piece_leaf(salt: &[u8; 32], piece: &[u8]) -> merkle::Hash {
    merkle::leaf_hash(Digest::of_parts(&[salt, piece]).as_bytes())
}

/// Checks that `piece` is piece `index` of the attachment that `reference` commits to.
///
/// # Errors
/// The length is wrong, or the proof does not lead to the root.
pub fn verify_piece(reference: &AttachmentRef, salt: &[u8; 32], index: u64, piece: &[u8], proof: &[merkle::Hash]) -> Result<(), Malformed> {
    ensure(reference.piece_len(index) == Some(piece.len()), "piece", "has the length its place in the attachment gives it")?;
    let leaf = piece_leaf(salt, piece);
    let proven = merkle::verify_inclusion(&leaf, index, reference.pieces(), proof, reference.root.as_bytes());
    ensure(proven.is_ok(), "piece", "is the one that the signed header commits to")
}
