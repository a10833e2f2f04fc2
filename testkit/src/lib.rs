//! The test kit: a federation in one thread, the simulator, and the invariants that must hold in it.
//!
//! For development only; no product crate depends on it. A [`world::World`] is made from a seed, [`run::run`] plays it,
//! and [`invariants`] judge it by what the [`chronicle`] knows; see `docs/protocol/simulation.md`.

pub mod acts;
pub mod chronicle;
pub mod convergence;
pub mod coverage;
pub mod faulty;
pub mod federation;
pub mod forger;
pub mod invariants;
pub mod logs;
pub mod network;
pub mod restoring;
pub mod rules;
pub mod run;
pub mod shelf;
pub mod world;
