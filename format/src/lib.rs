//! Bytes to verified types and back.
//!
//! This crate is the language that nodes speak: identifiers, markings, cards, agreements, records, receipts, parcels,
//! their signatures and seals, and the Merkle ledger. It decides nothing and stores nothing. Its invariant: a value of
//! type [`Verified`] exists only if both signatures over its exact bytes held, and [`verify::Verifier`] alone makes it.

pub mod agreement;
pub mod attachment;
pub mod batch;
pub mod bundle;
pub mod card;
pub mod checkpoint;
pub mod grading;
pub mod id;
pub mod json;
pub mod keys;
pub mod marking;
pub mod merkle;
pub mod parcel;
pub mod receipt;
pub mod record;
pub mod recovery;
pub mod seal;
pub mod signed;
pub mod stix;
pub mod time;
pub mod verify;

pub use id::{AgreementId, Digest, OrgId, RecordId, RecordNumber};
pub use signed::Signed;
pub use time::Timestamp;
pub use verify::{Reject, Statement, Verified, verify};
