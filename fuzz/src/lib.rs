//! Strangers' bytes against every parser that reads them.
//!
//! One module is one target: `run` takes bytes and must come back, and what it asserts on the way holds for every
//! input. A module that only parses trusts libFuzzer to find the shapes; [`inbound`] builds what a member with valid
//! keys could send, since mutated bytes never get past a signature. Nothing here decides what is right: the
//! assertions say only what a page in `docs/protocol` says.

pub mod answer;
pub mod bundle;
pub mod card;
pub mod cast;
pub mod checkpoint;
pub mod edit;
pub mod envelope;
pub mod inbound;
pub mod json;
pub mod marking;
pub mod parcel;
pub mod proof;
pub mod recovery;
pub mod signed;
pub mod stix;
