//! Convergence: the same statements in another order, some of them twice, lead to the same state.
//!
//! It takes a copy of a site's store from the beginning of a quiet run, and hands the site's parcels to a node on it: in order from each
//! sender, as exchange guarantees, but mixed anew among senders. What the two nodes hold of others' records must then be
//! the same. Invariant 4.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use format::{RecordId, Timestamp};
use node::Node;
use node::exchange::{self, Answer};
use node::ports::{Reader, RecordQuery};
use node::rows::{Condition, Stage};
use node::vault::SeededEntropy;
use policy::house::NoHouseRules;

use crate::chronicle::{Check, broken};
use crate::faulty::Faulty;
use crate::network::Place;
use crate::world::World;

/// What a site holds of others' records: whether each has content, whether it stands, and whether what it builds on has changed.
type Held = BTreeMap<RecordId, (bool, Condition, bool)>;

fn held(store: &Faulty) -> Held {
    store.peek(|store| {
        let query = RecordQuery { stage: Some(Stage::Received), limit: 200, ..RecordQuery::default() };
        let rows = store.records(&query).unwrap_or_default();
        rows.into_iter().map(|(_, row)| (row.id, (store.content(&row.id).ok().flatten().is_some(), row.condition, row.flagged))).collect()
    })
}

/// Whether a site has changed no record of its own: that is not replayed, and flags what others built on it.
fn own_stand(store: &Faulty) -> bool {
    store.peek(|store| {
        let query = RecordQuery { stage: Some(Stage::Released), limit: 200, ..RecordQuery::default() };
        store.records(&query).unwrap_or_default().iter().all(|(_, row)| row.condition == Condition::Current)
    })
}

/// Where a store's copy from the beginning lies.
#[must_use]
pub fn beginning_of(path: &Path) -> PathBuf {
    path.with_extension("beginning")
}

/// Replays what a site took in, in another order.
///
/// # Errors
/// The order made a difference.
pub fn check(world: &World, seed: u64, at: Place) -> Check {
    let site = world.site(at);
    let Some(copy) = site.store.path().map(|path| beginning_of(&path)) else { return Ok(()) };
    let again = Faulty::file(&copy);
    let identity = Arc::clone(&site.organisation.identity);
    let entropy = Box::new(SeededEntropy::new(seed, Timestamp::from_ms(world.now)));
    let Ok(mut node) = Node::open(again.clone(), identity, entropy, Arc::new(NoHouseRules)) else { return broken(4, "a copy does not open") };
    let mut rng = Rng::with_seed(seed ^ 0x5eed);
    let mut lines: Vec<Vec<&Vec<u8>>> = vec![Vec::new(); world.plan.sites];
    for (from, envelope) in world.inbox.iter().filter(|(to, ..)| *to == at).map(|(_, from, envelope)| (*from, envelope)) {
        if let Some(line) = lines.get_mut(from) {
            line.push(envelope);
        }
    }
    lines.iter_mut().for_each(|line| line.reverse());
    let now = Timestamp::from_ms(world.now);
    loop {
        let waiting: Vec<Place> = lines.iter().enumerate().filter(|(_, line)| !line.is_empty()).map(|(from, _)| from).collect();
        let Some(from) = rng.choice(waiting) else { break };
        let Some(envelope) = lines.get_mut(from).and_then(Vec::pop) else { break };
        for _ in 0..rng.usize(1..3) {
            let directory = Arc::clone(&node.state().directory);
            let Ok(inbound) = exchange::open(node.identity(), &directory, world.chronicle.org(from), envelope) else {
                return broken(4, "a parcel does not open a second time");
            };
            let answer = node.receive(inbound, now).and_then(|answer| node.commit().map(|()| answer).map_err(Into::into));
            if !matches!(answer, Ok(Answer::Receipt(_))) {
                return broken(4, format!("a parcel of {} is answered with {answer:?} a second time", world.chronicle.org(from)));
            }
        }
    }
    let (before, after) = (held(&world.site(at).store), held(&again));
    let steady = own_stand(&world.site(at).store);
    for (record, state) in &before {
        let other = after.get(record);
        // What was recalled before it came is not held, but remembered by its id alone.
        let same = match other {
            Some(other) => {
                let flags_differ = steady && state.0 && other.2 != state.2;
                other.0 == state.0 && (other.1 == Condition::Current) == (state.1 == Condition::Current) && !flags_differ
            }
            None => !state.0,
        };
        if !same {
            return broken(4, format!("{} is {state:?} at {}, and {other:?} in another order", record.0.short(), world.chronicle.org(at)));
        }
    }
    if let Some((record, state)) = after.iter().find(|(record, (content, ..))| *content && !before.contains_key(*record)) {
        return broken(4, format!("{} is {state:?} at {} in another order, and not held in the first", record.0.short(), world.chronicle.org(at)));
    }
    Ok(())
}
