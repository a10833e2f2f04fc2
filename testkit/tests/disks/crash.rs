//! Power cuts: every point of a scenario, and what the disk may hold when power goes there.
//!
//! What was told before the point must be there, and nothing may be there that was not decided as a whole.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use disk::cut::{Cuts, Depth};
use disk::{Image, Op};

use crate::judge::Judge;
use crate::stage::{Played, Step};

/// How much was tried.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) points: usize,
    pub(crate) disks: usize,
}

/// Cuts the power everywhere; `every` is of how many disks one is looked at.
///
/// # Errors
/// In words, the first disk on which something is missing or half.
pub(crate) fn everywhere(played: &Played, depth: Depth, every: usize) -> Result<Count, String> {
    let mut judge = Judge::new(&played.organisation, played.now);
    let states = committed(played, &mut judge)?;
    let mut cuts = Cuts::new(&played.before, &played.ops, depth);
    let (mut count, mut seen, mut number) = (Count::default(), HashSet::new(), 0_usize);
    while let Some(possible) = cuts.next_point() {
        count.points += 1;
        for cut in possible {
            let told = played.steps.iter().filter(|step| step.kept_at <= cut.point).count();
            number += 1;
            if !number.is_multiple_of(every) || !seen.insert((hash_of(&cut.image), told)) {
                continue;
            }
            count.disks += 1;
            let whereabouts = || format!("{}, after {} of {} operations ({}), {}", played.name, cut.point, played.ops.len(), step_at(played, told), cut.what);
            let (state, _) = judge.start(&cut.image).map_err(|fault| format!("{}: {fault}", whereabouts()))?;
            let legal = states.get(told..(told + 2).min(states.len())).unwrap_or_default();
            if !legal.contains(&state) {
                let earlier = states.iter().position(|known| *known == state);
                let found = earlier.map_or("a state that was never committed".to_owned(), |place| format!("the state after step {place}"));
                return Err(format!("{}: {told} steps were told, and the disk has {found}", whereabouts()));
            }
        }
    }
    Ok(count)
}

/// The states that were committed: that at the beginning, then one for each step, whose ledger must be as it was told.
fn committed(played: &Played, judge: &mut Judge<'_>) -> Result<Vec<u64>, String> {
    let after = |place: usize| played.steps.get(place + 1).map_or(&played.after, |step| &step.before);
    let first = ("the beginning", &played.before, (played.size, played.root));
    let rest = played.steps.iter().enumerate().map(|(place, step)| (step.name, after(place), (step.size, step.root)));
    let mut states = Vec::new();
    for (name, image, told) in std::iter::once(first).chain(rest) {
        let (state, found) = judge.start(image).map_err(|fault| format!("{}, after `{name}`: {fault}", played.name))?;
        if found != told {
            return Err(format!("{}, after `{name}`: the ledger has {} entries and not {}", played.name, found.0, told.0));
        }
        states.push(state);
    }
    Ok(states)
}

fn step_at(played: &Played, told: usize) -> &str {
    played.steps.get(told).map_or("at the end", |step| step.name)
}

fn hash_of(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}

/// The same scenario as it would be with `synchronous=OFF`: nobody waits for the disk.
pub(crate) fn without_synchronising(played: &Played) -> Played {
    let synchronises = |op: &Op| matches!(op, Op::Sync { .. } | Op::SyncFolder);
    let left = |until: usize| played.ops.iter().take(until).filter(|op| !synchronises(op)).count();
    let ops = played.ops.iter().filter(|op| !synchronises(op)).cloned().collect();
    told_at(played, ops, |step| left(step.kept_at))
}

/// The same scenario as it would be if a commit were told before the disk has it.
pub(crate) fn told_too_early(played: &Played) -> Played {
    let last_sync = |until: usize| played.ops.iter().take(until).rposition(|op| matches!(op, Op::Sync { .. })).unwrap_or(until);
    told_at(played, played.ops.clone(), |step| last_sync(step.kept_at))
}

fn told_at(played: &Played, ops: Vec<Op>, kept_at: impl Fn(&Step) -> usize) -> Played {
    let steps = played.steps.iter().map(|step| Step { kept_at: kept_at(step), ..step.clone() }).collect();
    let organisation = crate::stage::organisations().into_iter().find(|one| one.identity.org() == played.organisation.identity.org()).unwrap();
    Played { organisation, ops, steps, before: played.before.clone(), after: played.after.clone(), ..*played }
}
