//! The test kit: a federation in one thread, the simulator, and the invariants that must hold in it.
//!
//! For development only; no product crate depends on it.

pub mod federation;
