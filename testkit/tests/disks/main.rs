//! Disks that lie: scenarios of a node whose power is cut everywhere, and whose disk fails at every call.
//!
//! The store is the product's on SQLite; below it is a disk in memory (`disk/`) that knows what was synchronised and what
//! was not. A part of it runs with every test run; `cargo xtask disks` runs all of it and prints how much that was. What
//! is tried and what is not is in `docs/assurance/disks.md`.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot set up its world should fail there")]

mod crash;
mod faults;
mod judge;
mod scenarios;
mod stage;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use disk::cut::Depth;
use disk::{Disk, Fault, Mount, Planned};
use judge::Judge;
use node::node::Denial;
use node::ports::Reader as _;
use scenarios::{SCENARIOS, Scenario};
use stage::Played;

/// Every disk that is looked at in the long run.
const ALL: Depth = Depth { subsets: 8, pairs: 32, every: 1 };

/// Those of a test run.
const SOME: Depth = Depth { subsets: 4, pairs: 0, every: 5 };

/// Does something to each scenario, on two threads, and adds up what each gives.
fn each(scenarios: &[Scenario], what: impl Fn(&Played) -> Result<[usize; 3], String> + Sync) -> [usize; 3] {
    let (next, sum) = (AtomicUsize::new(0), Mutex::new([0; 3]));
    let work = || {
        while let Some((name, script)) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = what(&script(name)).unwrap_or_else(|fault| panic!("{fault}"));
            println!("{name}: {done:?}");
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.iter_mut().zip(done).for_each(|(sum, one)| *sum += one);
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        for thread in threads {
            thread.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault));
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn cut_power(scenarios: &[Scenario], depth: Depth, every: usize) {
    let [points, disks, acts] = each(scenarios, |played| {
        let count = crash::everywhere(played, depth, every)?;
        Ok([count.points, count.disks, played.steps.len()])
    });
    println!("{} scenarios, {acts} acts, {points} crash points, {disks} disks", scenarios.len());
}

fn fail_calls(every: u64) {
    let [faults, refused, answered] = each(SCENARIOS, |played| {
        let count = faults::everywhere(played, every)?;
        Ok([count.faults, count.refused, count.answered])
    });
    println!("{} scenarios, {faults} faults: {refused} acts refused, {answered} answered all the same", SCENARIOS.len());
}

#[test]
fn what_was_told_is_on_the_disk_wherever_power_goes() {
    cut_power(SCENARIOS, SOME, 2);
}

#[test]
fn no_failing_call_leaves_anything_half_or_told_and_not_kept() {
    fail_calls(37);
}

/// SQLite gives up the whole transaction when a read in it fails. The acts before must not be left out of the ledger while
/// one after them is kept.
#[test]
fn a_read_that_fails_between_two_acts_takes_both_back() {
    let played = (SCENARIOS[2].1)(SCENARIOS[2].0);
    let folder = tempfile::tempdir().unwrap();
    let (disk, mut judge) = (Disk::new(&played.before), Judge::new(&played.organisation, played.now));
    let mount = Mount::new(folder.path(), &disk);
    let mut node = judge.node(scenarios::open(folder.path()).unwrap()).unwrap();
    let denial = || Denial { member: "anna".to_owned(), act: "approve".to_owned(), record: None, reasons: BTreeSet::new() };
    node.deny(denial(), played.now).unwrap();
    disk.plan(Some(Planned { fault: Fault::Read, after: 0 }));
    // Something that nobody has read yet: the cache of a store that was just opened is nearly empty.
    let read = (0..50).find_map(|place| node.store().entries(place, 1).and_then(|_| node.store().members().map(|_| ())).err());
    assert!(read.is_some() && disk.has_struck(), "no read failed");
    _ = node.deny(denial(), played.now);
    assert!(node.commit().is_err(), "an act that is not there was told");
    node.deny(denial(), played.now).unwrap();
    node.commit().unwrap();
    drop((node, mount));
    let (_, found) = judge.start(&disk.image()).unwrap();
    assert_eq!(found.0, played.size + 1);
}

/// The test of the test: two ways to be wrong about synchronising, each of which must be found in every scenario.
#[test]
fn whoever_does_not_wait_for_the_disk_is_found() {
    type Planted = (&'static str, fn(&Played) -> Played);
    let planted: [Planted; 2] = [("synchronous=OFF", crash::without_synchronising), ("told before it was synchronised", crash::told_too_early)];
    for (name, script) in &SCENARIOS[2..4] {
        let played = script(name);
        for (what, plant) in planted {
            let found = crash::everywhere(&plant(&played), SOME, 1);
            assert!(found.is_err(), "{name}, {what}: nothing was found");
        }
    }
}

#[test]
#[ignore = "takes minutes: `cargo xtask disks` runs it"]
fn all_power_cuts_of_the_first_scenarios() {
    cut_power(&SCENARIOS[..SCENARIOS.len() / 2], ALL, 1);
}

#[test]
#[ignore = "takes minutes: `cargo xtask disks` runs it"]
fn all_power_cuts_of_the_other_scenarios() {
    cut_power(&SCENARIOS[SCENARIOS.len() / 2..], ALL, 1);
}

#[test]
#[ignore = "takes minutes: `cargo xtask disks` runs it"]
fn all_failing_calls() {
    fail_calls(1);
}
