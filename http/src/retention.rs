//! Retention: the task that has the node destroy what it may no longer hold.
//!
//! It only keeps time. Which records are due, and the ledger entries about them, are the node's. What destroying leaves
//! behind outside the store is removed here too, once an hour.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::handle::Handle;

/// Records destroyed in one act.
const BATCH: usize = 500;

/// From one time that objects nothing needs are removed to the next.
const REMOVAL: Duration = Duration::from_secs(60 * 60);

/// Starts looking `every` so often for records whose retention has ended. Abort the task to end it.
#[must_use]
pub fn start(handle: Handle, every: Duration) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut removal = Instant::now();
        loop {
            ticks.tick().await;
            // A node that nobody asks notices all the same when a trouble begins and when it is over.
            _ = handle.troubles().await;
            expire(&handle).await;
            if Instant::now() >= removal {
                remove_objects(&handle).await;
                removal = Instant::now() + REMOVAL;
            }
        }
    })
}

async fn remove_objects(handle: &Handle) {
    let begun = Instant::now();
    let removed = handle.remove_old_objects().await;
    let duration_ms = crate::elapsed_ms(begun);
    match removed {
        Ok(0) => {}
        Ok(items) => tracing::info!(job = "attachments", items, duration_ms, outcome = "done", "attachments"),
        Err(refusal) => tracing::error!(job = "attachments", duration_ms, outcome = "failed", error = %refusal, "attachments"),
    }
}

async fn expire(handle: &Handle) {
    let begun = Instant::now();
    let mut destroyed = 0;
    let outcome = loop {
        match handle.expire(BATCH).await {
            Ok(due) => {
                destroyed += due;
                if due < BATCH {
                    break Ok(());
                }
            }
            Err(refusal) => break Err(refusal),
        }
    };
    let duration_ms = crate::elapsed_ms(begun);
    match outcome {
        Ok(()) if destroyed == 0 => {}
        Ok(()) => tracing::info!(job = "retention", items = destroyed, duration_ms, outcome = "done", "retention"),
        Err(refusal) => tracing::error!(job = "retention", items = destroyed, duration_ms, outcome = "failed", error = %refusal, "retention"),
    }
}
