//! The edges of a node: REST for its members, the peer listener, and the courier that carries parcels.
//!
//! Async, sockets and HTTP stop here. This crate decides nothing about information: it authenticates who calls, turns
//! bytes into what the node takes, and hands over what the node has released. Everything that changes anything goes
//! through [`handle::Handle`], and nothing is told before it is durable.

pub mod access;
pub mod courier;
pub mod handle;
pub mod listener;
pub mod peer;
pub mod problem;
mod quota;
pub mod rest;
pub mod retention;
pub mod tls;
pub mod view;

use tokio::time::Instant;

/// Whole milliseconds since `begun`, for log lines.
pub(crate) fn elapsed_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
