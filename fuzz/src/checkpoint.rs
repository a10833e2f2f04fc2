//! Signed notes: a peer's checkpoint, and cosignatures on our own.

use format::checkpoint::{parse_and_verify, verify_cosignature};
use node::node::ledger_name;

use crate::cast::cast;

/// A checkpoint that verifies is written as the start of the note in which it came.
pub fn run(bytes: &[u8]) {
    let peer = &cast().peer;
    let (name, key) = (ledger_name(peer.org()), peer.public().ed25519_raw());
    if let Ok(checkpoint) = parse_and_verify(bytes, &name, key) {
        assert!(bytes.starts_with(checkpoint.to_note().as_bytes()), "a checkpoint has one spelling");
    }
    if let Ok((checkpoint, _)) = verify_cosignature(bytes, &name, key) {
        assert!(bytes.starts_with(checkpoint.to_note().as_bytes()), "a checkpoint has one spelling");
    }
}
