//! May this go to them, may they do this, under these rules, now.
//!
//! Every decision of a node is made here, by pure functions: no I/O, no clock, no randomness, no state of their own.
//! They do not verify signatures, which is the work of `format`, and carry nothing out, which is the work of `node`.
//! Their invariant: each outcome has its reasons, a refusal names all of them, and what cannot be evaluated is
//! refused. The rules in words are in `docs/protocol/release.md`.

#![deny(missing_docs)]

pub mod access;
pub mod accord;
pub mod admission;
pub mod ground;
pub mod house;
mod passage;
pub mod reason;
pub mod release;

pub use accord::{Accord, Agreements, Known, Standing};
pub use ground::Ground;
pub use house::{Facts, HouseError, HouseForbid, HouseRules, NoHouseRules};
pub use reason::{Language, Reason};
