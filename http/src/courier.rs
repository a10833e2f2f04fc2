//! The courier: carries what the node has released to each peer, and brings back the receipts.
//!
//! There is one task for each peer whose card names an address. It asks the node what leaves next, has the bytes put
//! together and sealed, hands them over and has the receipt taken in, a few parcels at a time and in sequence. It
//! decides nothing and keeps nothing: what is on its way when something fails is asked of the node again, which is
//! harmless, because a parcel that arrives twice is answered twice with the same receipt.

mod call;
mod round;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use format::OrgId;
use node::recovery::Accounted;
use node::rows::Suspicion;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::handle::{Bell, Handle};
use crate::tls::KeyedCertificate;
use call::Road;

/// The times that couriers keep.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From the last word with a peer to the next heartbeat.
    pub heartbeat: Duration,
    /// From the first failure to the next try.
    pub first_retry: Duration,
    /// The longest time between tries, chance included.
    pub last_retry: Duration,
    /// The shortest time between tries when the peer itself was heard of, or others that were down are back.
    pub heard_retry: Duration,
    /// How long a connection may take.
    pub connect: Duration,
    /// How long a parcel may take, from the first byte to the receipt.
    pub parcel: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(60),
            first_retry: Duration::from_millis(250),
            last_retry: Duration::from_secs(60),
            heard_retry: Duration::from_secs(1),
            connect: Duration::from_secs(10),
            parcel: Duration::from_secs(300),
        }
    }
}

impl Pace {
    /// The times between tries: each twice the one before, and each with up to as much again by chance, so that those
    /// who lost a peer together do not all come back to it together.
    fn tries(&self) -> ExponentialBackoff {
        self.tries_from(self.first_retry)
    }

    fn tries_from(&self, first: Duration) -> ExponentialBackoff {
        ExponentialBuilder::new().with_min_delay(first / 2).with_max_delay(self.last_retry / 2).with_jitter().without_max_times().build()
    }
}

/// Why a round with a peer came to an end.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// The peer was not reached, or the connection broke.
    #[error("the peer was not reached: {0}")]
    Unreached(String),
    /// The peer answered, and not with what was asked for.
    #[error("the peer answered {status} `{code}`")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// The stable code in its problem, where there was one.
        code: String,
    },
    /// The peer's answer is not one that can be taken in.
    #[error("the peer's answer was not accepted: {0}")]
    Answer(String),
    /// The peer awaits another parcel than the one it was given.
    #[error("the peer awaits parcel {0}")]
    Awaits(u64),
    /// The peer has stopped exchange.
    #[error("the peer has stopped exchange until a person has looked: {}", .0.as_str())]
    Stopped(Suspicion),
    /// This node was restored from a backup, and the peer has not accepted its recovery yet.
    #[error("the peer has not accepted yet that this node was restored from a backup")]
    Unsettled,
    /// This node could not do its part.
    #[error("this node: {0}")]
    Own(String),
}

impl Fault {
    /// The word for log lines.
    const fn word(&self) -> &'static str {
        match self {
            Self::Unreached(_) => "unreached",
            Self::Answered { .. } => "refused",
            Self::Answer(_) => "bad-answer",
            Self::Awaits(_) => "expected",
            Self::Stopped(_) => "stopped",
            Self::Unsettled => "unsettled",
            Self::Own(_) => "own-fault",
        }
    }

    /// Whether the peer was reached; nothing where the failure does not tell.
    const fn reached(&self) -> Option<bool> {
        match self {
            Self::Unreached(_) => Some(false),
            Self::Answered { .. } | Self::Answer(_) | Self::Awaits(_) | Self::Stopped(_) | Self::Unsettled => Some(true),
            Self::Own(_) => None,
        }
    }
}

/// The couriers of a node. They stop when this is dropped.
#[derive(Debug)]
pub struct Couriers(JoinHandle<()>);

impl Drop for Couriers {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a courier for each peer in the directory that has an address, now and whenever another card arrives. Where
/// other processes serve the same node, each peer has the courier of one of them.
#[must_use]
pub fn start(handle: Handle, certificate: Arc<KeyedCertificate>, pace: Pace) -> Couriers {
    Couriers(tokio::spawn(send_out(handle, certificate, pace)))
}

async fn send_out(handle: Handle, certificate: Arc<KeyedCertificate>, pace: Pace) {
    let (mut changes, mut leases) = (handle.directory_changes(), handle.leases());
    let mut couriers = JoinSet::new();
    let mut sent_out: BTreeMap<OrgId, (Arc<Bell>, AbortHandle)> = BTreeMap::new();
    loop {
        while couriers.try_join_next().is_some() {}
        let ours = leases.borrow_and_update().clone();
        let is_ours = |peer: &OrgId| ours.as_ref().is_none_or(|ours| ours.contains(peer));
        sent_out.retain(|peer, (_, courier)| {
            let stays = is_ours(peer);
            if !stays {
                // What it had on its way goes again with another process's courier, and is answered as before.
                courier.abort();
            }
            stays
        });
        let directory = handle.directory();
        let reachable = directory.cards().filter(|pinned| pinned.card.org != *handle.identity().org() && !pinned.card.addresses.is_empty());
        for pinned in reachable.filter(|pinned| is_ours(&pinned.card.org)) {
            let peer = &pinned.card.org;
            if let Some((bell, _)) = sent_out.get(peer) {
                // Its address may have changed, or an agreement that lets something leave.
                bell.heard.notify_one();
                bell.queued.notify_one();
                continue;
            }
            match Road::new(&handle, &certificate, peer, pace) {
                Ok(road) => {
                    let bell = handle.bell(peer);
                    let courier = Courier { handle: handle.clone(), peer: peer.clone(), bell: Arc::clone(&bell), road, pace, down: None };
                    sent_out.insert(peer.clone(), (bell, couriers.spawn(courier.run())));
                }
                Err(fault) => tracing::error!(peer.id = %peer, error = %fault, "no courier could be sent out"),
            }
        }
        drop(directory);
        let changed = tokio::select! {
            changed = changes.changed() => changed,
            changed = leases.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Since when a peer cannot be served.
struct Down {
    since: Instant,
    tries: u32,
}

/// The courier to one peer.
struct Courier {
    handle: Handle,
    peer: OrgId,
    bell: Arc<Bell>,
    road: Road,
    pace: Pace,
    down: Option<Down>,
}

impl Courier {
    async fn run(mut self) {
        let mut tries = self.pace.tries();
        loop {
            // A heartbeat goes first: trying a peer that is down costs no more than that.
            let fault = match self.road.heartbeat().await {
                Ok(()) => match self.settle().await {
                    Ok(()) => self.round(&mut tries).await,
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            self.went_wrong(&fault);
            // A peer that stopped exchange waits for a person, and so does its courier.
            let pause = match fault {
                Fault::Stopped(_) => Some(self.pace.last_retry),
                Fault::Unsettled => Some(self.pace.heard_retry),
                _ => tries.next(),
            };
            if self.rest(pause.unwrap_or(self.pace.last_retry)).await {
                // WHY: whoever was heard of is there. If it cannot take everybody at once, a minute's pause would be for nothing.
                tries = self.pace.tries_from(self.pace.heard_retry);
            }
        }
    }

    /// On a node that was restored from a backup, asks the peer what it last saw, until the peer has accepted the
    /// recovery. Before that nothing else is exchanged.
    async fn settle(&self) -> Result<(), Fault> {
        let own = |fault: &dyn std::fmt::Display| Fault::Own(fault.to_string());
        let Some(asking) = self.handle.ask_peer(self.peer.clone()).await.map_err(|fault| own(&fault))? else { return Ok(()) };
        let answer = self.road.ask(asking.bytes().to_vec()).await?;
        let directory = self.handle.directory();
        let read = tokio::task::spawn_blocking(move || Accounted::read(&asking, &answer, &directory));
        let accounted = read.await.map_err(|fault| own(&fault))?.map_err(|reject| Fault::Answer(reject.to_string()))?;
        let settled = self.handle.take_account(accounted).await.map_err(|fault| own(&fault))?;
        if settled { Ok(()) } else { Err(Fault::Unsettled) }
    }

    /// Waits before the next try; less long when the peer itself is heard of, which it gives.
    async fn rest(&self, pause: Duration) -> bool {
        let least = pause.min(self.pace.heard_retry);
        tokio::time::sleep(least).await;
        tokio::select! {
            biased;
            () = self.bell.heard.notified() => true,
            () = tokio::time::sleep(pause.saturating_sub(least)) => false,
        }
    }

    fn went_wrong(&mut self, fault: &Fault) {
        if matches!(fault, Fault::Unreached(_)) {
            self.road.begin_anew();
        }
        let down = self.down.get_or_insert_with(|| {
            tracing::warn!(peer.id = %self.peer, outcome = fault.word(), error = %fault, "exchange with the peer is interrupted");
            Down { since: Instant::now(), tries: 0 }
        });
        down.tries += 1;
        let tries = down.tries;
        tracing::debug!(peer.id = %self.peer, retries = tries, outcome = fault.word(), error = %fault, "a try failed");
        self.handle.note_health(&self.peer, |health| {
            health.reachable = fault.reached().or(health.reachable);
            health.last_error = Some(fault.to_string());
            health.in_flight = 0;
            health.retries = tries;
        });
    }

    /// Exchange works: a receipt arrived, or the peer answered and there was nothing to send.
    fn went_well(&mut self) {
        if let Some(down) = self.down.take() {
            let duration_ms = crate::elapsed_ms(down.since);
            tracing::info!(peer.id = %self.peer, retries = down.tries, duration_ms, "exchange with the peer goes on");
            // Perhaps it was the network that was down, and the others are back with it.
            self.handle.one_is_back(self.pace.last_retry);
        }
        self.handle.note_health(&self.peer, |health| {
            health.reachable = Some(true);
            health.last_error = None;
            health.retries = 0;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_grow_apart_up_to_the_longest_time() {
        let pace = Pace::default();
        let pauses: Vec<Duration> = pace.tries().take(200).collect();
        assert_eq!(pauses.len(), 200, "it never gives up");
        assert!(pauses.iter().all(|pause| *pause >= pace.first_retry / 2 && *pause <= pace.last_retry));
        assert!(pauses[0] <= pace.first_retry);
        assert!(pauses[20..].iter().all(|pause| *pause >= pace.last_retry / 2));
        assert!(pauses[20..].windows(2).any(|pair| pair[0] != pair[1]), "chance has its part");
    }
}
