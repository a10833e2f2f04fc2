//! A run: one seed, first with every fault and the invariants of safety, then healed and with those of liveness too.

use std::path::Path;

use node::planted::{self, Bug};
use strum::IntoEnumIterator;

use crate::chronicle::{Check, Violation, broken};
use crate::convergence;
use crate::coverage::Coverage;
use crate::invariants;
use crate::logs::Logs;
use crate::world::{Plan, World};

/// How a run is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Every step is printed.
    pub verbose: bool,
    /// What is planted, once the world has begun.
    pub planted: Option<Planted>,
}

/// A fault that the simulation must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A bug of the nodes.
    Node(Bug),
    /// Whoever calls a node answers before the commit.
    HastyCaller,
}

impl Planted {
    /// Everything that can be planted.
    pub fn all() -> impl Iterator<Item = Self> {
        Bug::iter().map(Self::Node).chain([Self::HastyCaller])
    }

    /// Whether it can bite in a run of this plan: some bugs do so only where somebody forges, or is restored from a backup.
    const fn can_bite(self, plan: &Plan) -> bool {
        match self {
            Self::Node(Bug::ForkAccepted | Bug::ReceiptUnmatched | Bug::EquivocationUnseen | Bug::ConsistencyUnchecked) => plan.hostile.is_some(),
            Self::Node(
                Bug::RestoreUnmarked
                | Bug::EraIgnored
                | Bug::RecoveryAlone
                | Bug::RecoveryUnasked
                | Bug::NothingGivenBack
                | Bug::LostRecallRevived
                | Bug::LostParcelsForgotten
                | Bug::NumbersReused,
            ) => plan.restores > 0,
            Self::Node(_) | Self::HastyCaller => true,
        }
    }

    /// Its name, in words with hyphens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Node(bug) => bug.into(),
            Self::HastyCaller => "hasty-caller",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// Steps taken.
    pub steps: u64,
    /// What was exercised.
    pub coverage: Coverage,
    /// What was broken, and at which step.
    pub violation: Option<Violation>,
    /// The same for two runs of one seed.
    pub fingerprint: format::Digest,
}

/// In place of an invariant's number: the seed could not be played at all.
const NO_BEGINNING: u8 = 0;

/// Rounds within which everything must come to rest once faults have ended.
const ROUNDS: u32 = 400;

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, folder: &Path, options: &Options) -> Report {
    let logs = Logs::default();
    let report = logs.catch(|| inside(seed, folder, options));
    let mut report = report;
    if report.violation.is_none() {
        report.violation = invariants::nothing_shows(&logs.take(), "the log").err();
    }
    report
}

fn inside(seed: u64, folder: &Path, options: &Options) -> Report {
    // A folder of its own: the same seed may be played by several at a time.
    let folder = match tempfile::tempdir_in(folder) {
        Ok(folder) => folder,
        Err(fault) => return no_beginning(&fault),
    };
    let mut world = match World::new(seed, folder.path(), options.verbose) {
        Ok(world) => world,
        Err(refusal) => return no_beginning(&refusal),
    };
    if options.planted.is_some_and(|planted| !planted.can_bite(&world.plan)) {
        return Report { steps: 0, coverage: Coverage::default(), violation: None, fingerprint: world.fingerprint };
    }
    world.hasty = options.planted == Some(Planted::HastyCaller);
    if let Some(Planted::Node(bug)) = options.planted {
        planted::plant(Some(bug));
    }
    let end = play(&mut world, seed);
    planted::plant(None);
    Report { steps: world.step, coverage: std::mem::take(&mut world.coverage), violation: end.err(), fingerprint: world.fingerprint }
}

fn no_beginning(fault: &dyn std::fmt::Display) -> Report {
    let violation = Violation { invariant: NO_BEGINNING, what: format!("the world does not begin: {fault}") };
    Report { steps: 0, coverage: Coverage::default(), violation: Some(violation), fingerprint: format::Digest::from([0; 32]) }
}

fn play(world: &mut World, seed: u64) -> Check {
    while world.step < world.plan.steps {
        world.step()?;
    }
    world.heal()?;
    world.finish_ceremonies()?;
    if world.plan.hostile.is_some() {
        // Nobody owes a forger that its parcels are taken in: only safety is asked.
        world.drain(ROUNDS)?;
        return invariants::all(world);
    }
    come_to_rest(world)?;
    invariants::all(world)?;
    invariants::drained(world)?;
    world.nothing_stays_lost()?;
    invariants::latest_everywhere(world)?;
    if world.plan.replays {
        (0..world.plan.sites).try_for_each(|at| convergence::check(world, seed, at))?;
    }
    if !world.plan.endgame {
        return Ok(());
    }
    world.recall_everything()?;
    come_to_rest(world)?;
    invariants::all(world)?;
    invariants::drained(world)
}

fn come_to_rest(world: &mut World) -> Check {
    if world.drain(ROUNDS)? { Ok(()) } else { broken(15, format!("exchange does not come to rest in {ROUNDS} rounds")) }
}
