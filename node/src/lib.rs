//! One node: decisions and protocol, without I/O, clock or randomness of its own.
//!
//! Nothing enters except as [`format::Verified`], nothing leaves except as [`released::Released`], and everything
//! between is decided whole, written to the ledger and then done. Storage, time and randomness are given by the
//! caller through [`ports`], which is what lets a whole federation run in one thread with a seed.

pub mod act;
pub mod command;
pub mod entry;
pub mod exchange;
pub mod inspection;
pub mod ledger;
pub mod node;
pub mod objects;
pub mod planted;
pub mod ports;
pub mod recovery;
pub mod released;
pub mod rows;
pub mod state;
pub mod vault;

pub use command::{Command, Outcome, Refusal};
pub use node::{Identity, Node, Published};
pub use released::{Recipient, Released};
pub use state::Directory;
