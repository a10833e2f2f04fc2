//! Runs the simulation: one seed to be read, many for a time, or all planted bugs.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use samverkan_testkit::coverage::{Coverage, line};
use samverkan_testkit::run::{Options, Report, run};

const USAGE: &str = "\
sim --seed S            plays one seed and prints every step
sim --seconds N         plays seeds for N seconds, from a start that is printed
    --from S            from this start instead
    --count N           so many seeds, however long it takes
sim --planted           plants each bug and shows how soon it is found";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().position(|a| a == name).and_then(|place| arguments.get(place + 1)).and_then(|v| v.parse::<u64>().ok());
    let Ok(folder) = tempfile::tempdir() else {
        eprintln!("no folder for stores could be made");
        return ExitCode::FAILURE;
    };
    if let Some(seed) = value("--seed") {
        return one(seed, folder.path());
    }
    if value("--seconds").is_some() || value("--count").is_some() {
        let from = value("--from").unwrap_or_else(|| fastrand::u64(..) >> 16);
        return many(from, value("--seconds").unwrap_or(u64::MAX / 2), value("--count").unwrap_or(u64::MAX), folder.path());
    }
    eprintln!("{USAGE}");
    ExitCode::FAILURE
}

fn one(seed: u64, folder: &Path) -> ExitCode {
    let report = run(seed, folder, &Options { verbose: true, hasty: false });
    println!("seed {seed}, {} steps, {}", report.steps, report.fingerprint);
    tell(seed, &report)
}

fn tell(seed: u64, report: &Report) -> ExitCode {
    match &report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("seed {seed}, step {}: invariant {} is broken: {}", report.steps, violation.invariant, violation.what);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long to play is real time, and no node sees it")]
fn many(from: u64, seconds: u64, count: u64, folder: &Path) -> ExitCode {
    println!("from {from}");
    let begun = Instant::now();
    let (mut seeds, mut steps, mut violations) = (0_u64, 0, 0);
    let mut coverage = Coverage::default();
    while seeds < count && begun.elapsed() < Duration::from_secs(seconds) {
        let seed = from.wrapping_add(seeds);
        let report = run(seed, folder, &Options::default());
        seeds += 1;
        steps += report.steps;
        coverage.add(&report.coverage);
        if report.violation.is_some() {
            violations += 1;
            tell(seed, &report);
        }
    }
    println!("acts {{{}}}", line(&coverage.acts));
    let missing = coverage.missing();
    println!("seeds {seeds}, steps {steps}, faults {{{}}}, violations {violations}", line(&coverage.faults));
    let spent = begun.elapsed();
    println!("{:.1} seeds/s", seeds as f64 / spent.as_secs_f64());
    if !missing.is_empty() {
        println!("never happened: {}", missing.join(", "));
    }
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
