//! How much of what a peer sends could not be read.
//!
//! Verifying costs more than sending, so a peer whose bytes keep failing is turned away for a while. What fails inside
//! a parcel is not counted here: that is answered, item by item, in the receipt.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use format::OrgId;
use tokio::time::Instant;

/// Faults after which a peer is turned away.
const MAX_FAULTS: u32 = 20;
/// For how long they count, from the first one.
const PERIOD: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<BTreeMap<OrgId, (Instant, u32)>>);

impl Faults {
    /// One more; whether that was one too many.
    pub(super) fn note(&self, peer: &OrgId) -> bool {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = faults.entry(peer.clone()).or_insert_with(|| (Instant::now(), 0));
        if since.elapsed() >= PERIOD {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
        if *count == MAX_FAULTS {
            tracing::warn!(peer.id = %peer, count, "the peer is turned away for a while: too much of what it sends cannot be read");
        }
        *count >= MAX_FAULTS
    }

    /// Whether the peer is to be turned away.
    pub(super) fn exhausted(&self, peer: &OrgId) -> bool {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(peer).is_some_and(|(since, count)| *count >= MAX_FAULTS && since.elapsed() < PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn twenty_in_a_minute_are_too_many() {
        let (peer, other): (OrgId, OrgId) = ("se-sapo".parse().unwrap(), "se-fra".parse().unwrap());
        let faults = Faults::default();
        for _ in 0..MAX_FAULTS - 1 {
            assert!(!faults.note(&peer));
        }
        assert!(!faults.exhausted(&peer));
        assert!(faults.note(&peer));
        assert!(faults.exhausted(&peer));
        assert!(!faults.exhausted(&other));
        tokio::time::advance(PERIOD).await;
        assert!(!faults.exhausted(&peer));
        assert!(!faults.note(&peer), "a new period has begun");
    }
}
