//! Agreements: read, put forward, signed, left.

pub(super) mod read;
pub(super) mod write;
