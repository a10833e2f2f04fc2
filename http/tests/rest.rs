//! The REST face, called in process: who may what, what is hidden, what is limited, and what the documents say.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests say what they expect by failing")]

#[path = "rest/acts.rs"]
mod acts;
#[path = "rest/attachments.rs"]
mod attachments;
#[path = "rest/documents.rs"]
mod documents;
#[path = "rest/face.rs"]
mod face;
#[path = "rest/hidden.rs"]
mod hidden;
#[path = "rest/log_in.rs"]
mod log_in;
#[path = "rest/matrix.rs"]
mod matrix;
#[path = "rest/strict.rs"]
mod strict;
#[path = "rest/world.rs"]
mod world;
