//! The turnstile: parcels of one peer that were opened side by side reach the node one after the other.
//!
//! It knows, for each peer, up to which sequence number parcels are taken in or in line before the writer. It is a
//! courtesy that makes pipelining work; what counts is the node, which answers a gap with the number it awaits.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use format::OrgId;
use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Turnstile(Mutex<BTreeMap<OrgId, watch::Sender<u64>>>);

impl Turnstile {
    /// A turnstile that starts from what the node has taken in.
    pub(super) fn new(received: impl Iterator<Item = (OrgId, u64)>) -> Self {
        Self(Mutex::new(received.map(|(peer, sequence)| (peer, watch::Sender::new(sequence))).collect()))
    }

    /// Whether `sequence` is taken in, or in line.
    pub(super) fn has(&self, peer: &OrgId, sequence: u64) -> bool {
        self.with(peer, |place| sequence <= *place.borrow())
    }

    /// Whether `sequence` is not ahead of its turn.
    pub(super) fn is_open(&self, peer: &OrgId, sequence: u64) -> bool {
        self.with(peer, |place| sequence <= place.borrow().saturating_add(1))
    }

    /// Waits until `sequence` is not ahead of its turn, at most for `patience`.
    pub(super) async fn wait(&self, peer: &OrgId, sequence: u64, patience: Duration) {
        let mut place = self.with(peer, watch::Sender::subscribe);
        let turn = place.wait_for(|last| sequence <= last.saturating_add(1));
        // Out of patience, the parcel goes on, and the node says what it awaits.
        let _waited = tokio::time::timeout(patience, turn).await;
    }

    /// A parcel is in line; the next may follow.
    pub(super) fn passed(&self, peer: &OrgId, sequence: u64) {
        self.with(peer, |place| {
            place.send_if_modified(|last| {
                let next = last.saturating_add(1) == sequence;
                if next {
                    *last = sequence;
                }
                next
            });
        });
    }

    /// The node has taken in parcels up to `received`.
    pub(super) fn reached(&self, peer: &OrgId, received: u64) {
        self.with(peer, |place| {
            place.send_if_modified(|last| {
                let further = received > *last;
                *last = received.max(*last);
                further
            });
        });
    }

    /// What was in line was not taken in: back to what the node has.
    pub(super) fn back_to(&self, peer: &OrgId, received: u64) {
        self.with(peer, |place| {
            place.send_replace(received);
        });
    }

    fn with<T>(&self, peer: &OrgId, act: impl FnOnce(&watch::Sender<u64>) -> T) -> T {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(places.entry(peer.clone()).or_insert_with(|| watch::Sender::new(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parcels_pass_in_sequence() {
        let peer: OrgId = "se-sapo".parse().unwrap();
        let turnstile = Turnstile::new([(peer.clone(), 4)].into_iter());
        let moment = Duration::from_millis(20);
        turnstile.wait(&peer, 3, moment).await;
        turnstile.wait(&peer, 5, moment).await;
        assert!(tokio::time::timeout(moment, turnstile.wait(&peer, 6, Duration::from_secs(60))).await.is_err());
        turnstile.passed(&peer, 5);
        turnstile.wait(&peer, 6, Duration::from_secs(60)).await;
        turnstile.passed(&peer, 9);
        assert!(tokio::time::timeout(moment, turnstile.wait(&peer, 7, Duration::from_secs(60))).await.is_err());
        turnstile.back_to(&peer, 4);
        assert!(tokio::time::timeout(moment, turnstile.wait(&peer, 6, Duration::from_secs(60))).await.is_err());
        turnstile.reached(&peer, 7);
        turnstile.reached(&peer, 2);
        turnstile.wait(&peer, 8, Duration::from_secs(60)).await;
        turnstile.wait(&peer, 20, moment).await;
    }
}
