//! Drafts: written, attached to, submitted.

pub(super) mod attach;
pub(super) mod write;
