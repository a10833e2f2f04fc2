//! Runs the simulation: one seed to be read, many for a time, or all planted bugs.

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::{ArgGroup, Parser};
use samverkan_testkit::chronicle::Violation;
use samverkan_testkit::coverage::{Coverage, line};
use samverkan_testkit::run::{Options, Planted, Report, run};

/// A run of this length must have shown everything that there is to show.
const LONG_SECONDS: u64 = 30;

/// Plays federations with faults, each from a seed.
#[derive(Parser)]
#[command(name = "cargo xtask sim", group = ArgGroup::new("mode").args(["seed", "seconds", "count", "planted"]).required(true).multiple(true))]
struct Arguments {
    /// Plays one seed and prints every step
    #[arg(long, value_name = "S", conflicts_with_all = ["seconds", "count", "planted"])]
    seed: Option<u64>,
    /// Plays seeds for so many seconds, from a start that is printed
    #[arg(long, value_name = "N", conflicts_with = "planted")]
    seconds: Option<u64>,
    /// Plays so many seeds at most
    #[arg(long, value_name = "N", conflicts_with = "planted")]
    count: Option<u64>,
    /// Plants each bug in turn, until it is found
    #[arg(long)]
    planted: bool,
    /// Plants this bug alone, in the one seed or until it is found
    #[arg(long, value_name = "NAME", value_parser = bug)]
    bug: Option<Planted>,
    /// Gives up a bug after so many seeds
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: u64,
    /// Starts with this seed
    #[arg(long, value_name = "S")]
    from: Option<u64>,
    /// Plays so many seeds at the same time; as many as there are processors when not given
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

fn bug(name: &str) -> Result<Planted, String> {
    let known = || Planted::all().map(Planted::name).collect::<Vec<_>>().join(", ");
    Planted::all().find(|planted| planted.name() == name).ok_or_else(|| format!("the bugs are {}", known()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Stores in files are quickest in memory, where the system has such a place.
    let Ok(folder) = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()) else {
        eprintln!("no folder for stores could be made");
        return ExitCode::FAILURE;
    };
    if let Some(seed) = arguments.seed {
        return one(seed, arguments.bug, folder.path());
    }
    let jobs = arguments.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let from = arguments.from.unwrap_or_else(|| fastrand::u64(..) >> 16);
    if arguments.planted { planted(&arguments, from, jobs, folder.path()) } else { many(&arguments, from, jobs, folder.path()) }
}

fn one(seed: u64, planted: Option<Planted>, folder: &Path) -> ExitCode {
    let report = run(seed, folder, &Options { verbose: true, planted });
    println!("seed {seed}, steps {}, fingerprint {}", report.steps, report.fingerprint);
    tell(seed, &report);
    if report.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(seed: u64, report: &Report) {
    if let Some(violation) = &report.violation {
        println!("seed {seed}, step {}: invariant {} does not hold: {}", report.steps, violation.invariant, violation.what);
    }
}

/// What all threads have found so far.
#[derive(Default)]
struct Sum {
    seeds: u64,
    steps: u64,
    violations: u64,
    coverage: Coverage,
}

#[expect(clippy::disallowed_methods, reason = "how long to play is real time, and no node sees it")]
fn many(arguments: &Arguments, from: u64, jobs: usize, folder: &Path) -> ExitCode {
    let seconds = arguments.seconds.unwrap_or(u64::from(u32::MAX));
    let count = arguments.count.unwrap_or(u64::MAX);
    println!("from {from}, {jobs} at a time");
    let begun = Instant::now();
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while begun.elapsed() < Duration::from_secs(seconds) {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= count {
                        break;
                    }
                    let seed = from.wrapping_add(number);
                    let report = run(seed, folder, &Options::default());
                    tell(seed, &report);
                    let Ok(mut sum) = sum.lock() else { break };
                    sum.seeds += 1;
                    sum.steps += report.steps;
                    sum.violations += u64::from(report.violation.is_some());
                    sum.coverage.add(&report.coverage);
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_default();
    let spent = begun.elapsed().as_millis().max(1);
    let per_second = |number: u64| format!("{}.{}", u128::from(number) * 1000 / spent, u128::from(number) * 10_000 / spent % 10);
    println!("acts {{{}}}", line(&sum.coverage.acts));
    println!("{} seeds and {} steps a second", per_second(sum.seeds), per_second(sum.steps));
    let missing = sum.coverage.missing();
    let silent = seconds >= LONG_SECONDS && !missing.is_empty();
    if !missing.is_empty() {
        println!("never happened: {}", missing.join(", "));
    }
    println!("seeds {}, steps {}, faults {{{}}}, violations {}", sum.seeds, sum.steps, line(&sum.coverage.faults), sum.violations);
    if sum.violations == 0 && !silent { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn planted(arguments: &Arguments, from: u64, jobs: usize, folder: &Path) -> ExitCode {
    let limit = arguments.limit;
    let bugs: Vec<Planted> = arguments.bug.map_or_else(|| Planted::all().collect(), |bug| vec![bug]);
    println!("from {from}, {jobs} at a time, at most {limit} seeds each");
    let (next, found) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Relaxed)) {
                    let seen = (0..limit).find_map(|number| {
                        let seed = from.wrapping_add(number);
                        caught(*bug, seed, folder).map(|violation| (number + 1, seed, violation))
                    });
                    match seen {
                        Some((seeds, seed, violation)) => {
                            found.fetch_add(1, Relaxed);
                            let (name, invariant) = (bug.name(), violation.invariant);
                            println!("{name:<24} found in {seeds:>4} seeds by invariant {invariant:>2}, seed {seed}: {}", violation.what);
                        }
                        None => println!("{:<24} not found in {limit} seeds", bug.name()),
                    }
                }
            });
        }
    });
    let found = found.into_inner();
    println!("planted: found {found} of {}", bugs.len());
    if found == bugs.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the bug breaks in this seed; nothing, where the seed breaks without the bug too.
fn caught(bug: Planted, seed: u64, folder: &Path) -> Option<Violation> {
    let broken = run(seed, folder, &Options { verbose: false, planted: Some(bug) }).violation?;
    let sound = run(seed, folder, &Options::default());
    tell(seed, &sound);
    sound.violation.is_none().then_some(broken)
}
