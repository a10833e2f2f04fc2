//! How exchange with a peer goes, for health pages.
//!
//! It is what the courier last saw. It is not durable, proves nothing, and nothing is decided by it.

use format::Timestamp;

/// How exchange with one peer goes, as the courier to it sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerHealth {
    /// Whether the peer answered when it was last tried; nothing before the first try.
    pub reachable: Option<bool>,
    /// When its last receipt arrived.
    pub last_receipt: Option<Timestamp>,
    /// What went wrong last, until it goes well again.
    pub last_error: Option<String>,
    /// Parcels on their way to it.
    pub in_flight: usize,
    /// Tries in a row that failed.
    pub retries: u32,
}
