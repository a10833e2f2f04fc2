//! The ledger: entries, proofs, and all of it for verifying elsewhere.

pub(super) mod export;
pub(super) mod read;
