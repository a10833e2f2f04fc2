//! The post: goes to the mailbox, now and then, and at once when something is to be put there.
//!
//! As long as nothing happens each visit is one call that lists, and visits grow apart. Whatever fails is tried again at
//! the next visit: nothing is lost by it, because what lies in a mailbox is there until it is answered, and what is not
//! there is put there again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use format::OrgId;
use object_store::ObjectStore;
use place::{Place, PlaceError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Door;

/// How long a direct connection is given to carry what was queued, before the mailbox does.
const FIRST_OTHERS: Duration = Duration::from_millis(500);
/// Objects that are known not to be what they should, and are not fetched again.
const MAX_BAD: usize = 1024;

/// The times that the post keeps.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From a visit at which something happened to the next.
    pub first: Duration,
    /// The longest time between visits.
    pub last: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_secs(5), last: Duration::from_secs(60) }
    }
}

/// The post of a node. It stops when this is dropped.
#[derive(Debug)]
pub struct Post(JoinHandle<()>);

impl Drop for Post {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts to visit the mailbox at `place`, for exchange with `peers`.
///
/// # Errors
/// The place cannot be used.
pub fn start<D: Door>(door: D, place: &Place, peers: BTreeSet<OrgId>, padded: bool, pace: Pace) -> Result<Post, PlaceError> {
    let carrier = Carrier { door, store: place.open()?, peers, padded, bad: BTreeSet::new(), told: BTreeMap::new() };
    Ok(Post(tokio::spawn(carrier.run(pace))))
}

/// Whoever goes to the mailbox.
pub(crate) struct Carrier<D> {
    pub(crate) door: D,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) peers: BTreeSet<OrgId>,
    pub(crate) padded: bool,
    /// Objects that nothing can be done with, by name and state.
    pub(crate) bad: BTreeSet<String>,
    /// Peers that were told that exchange is stopped, and at which of their parcels.
    pub(crate) told: BTreeMap<OrgId, u64>,
}

impl<D: Door> Carrier<D> {
    async fn run(mut self, pace: Pace) {
        let mut queued = self.door.queued();
        let (mut pause, mut down) = (pace.first, None);
        loop {
            let begun = Instant::now();
            queued.mark_unchanged();
            let moved = match self.visit().await {
                Ok(visited) => {
                    if down.take().is_some() {
                        tracing::info!("the mailbox is reached again");
                    }
                    if visited.any() {
                        tracing::info!(taken_in = visited.taken_in, receipts = visited.receipts, put = visited.put, duration_ms = elapsed_ms(begun), "mailbox");
                    }
                    visited.any()
                }
                Err(fault) => {
                    if down.is_none() {
                        tracing::warn!(error = %fault, "the mailbox cannot be used");
                    }
                    down.get_or_insert(begun);
                    false
                }
            };
            pause = if moved { pace.first } else { (pause * 2).min(pace.last) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = queued.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep(FIRST_OTHERS).await;
                }
            }
        }
    }

    pub(crate) fn remember_bad(&mut self, key: String) {
        if self.bad.len() >= MAX_BAD {
            self.bad.clear();
        }
        self.bad.insert(key);
    }
}

fn elapsed_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
