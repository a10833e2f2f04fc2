//! Runs the simulation: one seed to be read, many for a time, or all planted bugs.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use samverkan_testkit::chronicle::Violation;
use samverkan_testkit::coverage::{Coverage, line};
use samverkan_testkit::run::{Options, Planted, Report, run};

const USAGE: &str = "\
sim --seed S            plays one seed and prints every step
    --bug NAME          with this bug planted
sim --seconds N         plays seeds for N seconds, from a start that is printed
    --count N           plays so many seeds, however long it takes
sim --planted           plants each bug in turn, until it is found
    --limit N           gives up a bug after so many seeds (1000)
    --bug NAME          only this one
for the last two:
    --from S            starts with this seed
    --jobs N            plays so many at the same time; as many as there are processors
";

/// A run of this length must have shown everything that there is to show.
const LONG_SECONDS: u64 = 30;

struct Arguments(Vec<String>);

impl Arguments {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        let place = self.0.iter().position(|argument| argument == name)?;
        self.0.get(place + 1).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

fn main() -> ExitCode {
    let arguments = Arguments(std::env::args().skip(1).collect());
    // Stores in files are quickest in memory, where the system has such a place.
    let Ok(folder) = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()) else {
        eprintln!("no folder for stores could be made");
        return ExitCode::FAILURE;
    };
    if let Some(seed) = arguments.number("--seed") {
        return one(seed, arguments.text("--bug"), folder.path());
    }
    let jobs = arguments.number("--jobs").and_then(|jobs| usize::try_from(jobs).ok());
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    let from = arguments.number("--from").unwrap_or_else(|| fastrand::u64(..) >> 16);
    if arguments.has("--planted") {
        return planted(&arguments, from, jobs, folder.path());
    }
    if arguments.has("--seconds") || arguments.has("--count") {
        return many(&arguments, from, jobs, folder.path());
    }
    eprint!("{USAGE}");
    ExitCode::FAILURE
}

fn one(seed: u64, bug: Option<&str>, folder: &Path) -> ExitCode {
    let planted = Planted::all().find(|planted| bug == Some(planted.name()));
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
    let seconds = arguments.number("--seconds").unwrap_or(u64::from(u32::MAX));
    let count = arguments.number("--count").unwrap_or(u64::MAX);
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
    let limit = arguments.number("--limit").unwrap_or(1000);
    let bugs: Vec<Planted> = Planted::all().filter(|bug| arguments.text("--bug").is_none_or(|name| bug.name() == name)).collect();
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
