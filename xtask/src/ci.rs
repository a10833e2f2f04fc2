//! What CI runs, in its order: `.ci/run` calls this and nothing else.
//!
//! Everything is compiled in the profile of the tests, so dependencies are built once; only the fuzz targets, which
//! need other flags, have a build of their own. What the machine lacks is installed under `target/tools`.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell::{line, output, root, run as run_to_end};

const DENY: &str = "0.20.2";

/// A step: its name, the command that repeats it, and how it is run.
struct Step(&'static str, &'static str, fn(&str) -> Result<()>);

/// The seeds are always the same here: what CI says should depend on the change alone, and some planted bugs take hundreds
/// of seeds. `cargo xtask sim` and `cargo xtask assurance` draw their own.
const STEPS: &[Step] = &[
    Step("format", "cargo fmt --all --check", typed),
    Step("format of the fuzz targets", "cargo fmt --manifest-path fuzz/Cargo.toml --check", typed),
    Step("clippy", "cargo clippy --locked --workspace --all-targets -- -D warnings", typed),
    Step("tests and walkthroughs", "cargo test --locked --workspace", tests),
    Step("store on PostgreSQL", "cargo xtask postgres -- cargo test --locked --workspace --test conformance --test postgres", typed),
    Step("torture", "cargo xtask torture --kills 15", typed),
    Step("places over S3", "cargo xtask s3", typed),
    Step("documentation", "cargo doc --locked --workspace --no-deps", |doc| run_to_end(line(doc).env("RUSTDOCFLAGS", "-D warnings"))),
    Step("tidy", "cargo xtask tidy", typed),
    Step("deny", "target/tools/bin/cargo-deny check bans licenses sources", deny),
    Step("simulation", "cargo xtask sim --dev --seconds 90 --from 222172778217314", typed),
    Step("simulation of planted bugs", "cargo xtask sim --dev --planted --from 276147298934709", typed),
    Step("fuzzing", "cargo xtask fuzz --seconds 5", typed),
    Step("demo", "cargo xtask demo --dev --once", typed),
];

pub(crate) fn run() -> Result<()> {
    let mut times = Vec::new();
    for Step(name, repeat, step) in STEPS {
        println!("\n== {name}: {repeat}");
        #[expect(clippy::disallowed_methods, reason = "a developer is told how long each step took")]
        let started = Instant::now();
        if let Err(fault) = step(repeat) {
            println!("\n{name} failed: {fault:#}\nto repeat it: {repeat}");
            bail!("{} passed, 1 failed, {} not run", times.len(), STEPS.len() - times.len() - 1);
        }
        let took = started.elapsed();
        println!("== {name} took {took:.1?}");
        times.push(took);
    }
    println!("\nall of it took {:.0?}\n{} passed, 0 failed", times.iter().sum::<Duration>(), times.len());
    Ok(())
}

/// Runs the line as it stands.
fn typed(command: &str) -> Result<()> {
    run_to_end(&mut line(command))
}

/// With the faster runner where it is installed; it leaves out the examples in the documentation.
fn tests(command: &str) -> Result<()> {
    if output(&mut line("cargo nextest --version")).is_err() {
        return typed(command);
    }
    typed("cargo nextest run --locked --workspace")?;
    typed("cargo test --locked --workspace --doc")
}

fn deny(command: &str) -> Result<()> {
    let tool = root().join("target/tools/bin/cargo-deny");
    if output(Command::new(&tool).arg("--version")).is_err() {
        // Not optimised: it runs for seconds, so optimising it would cost more than it saves.
        let flags = "--debug --no-default-features --root target/tools --target-dir target/tools/build";
        let install = format!("cargo install --locked {flags} cargo-deny@{DENY}");
        let installed = run_to_end(line(&install).env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_INCREMENTAL", "0"));
        installed.with_context(|| format!("cargo-deny is missing; to install it: {install}"))?;
        std::fs::remove_dir_all(root().join("target/tools/build")).context("the build of cargo-deny cannot be removed")?;
    }
    typed(command)?;
    if std::env::home_dir().is_some_and(|home| home.join(".cargo/advisory-dbs").is_dir()) {
        return typed("target/tools/bin/cargo-deny --offline check advisories");
    }
    println!("advisories were not checked: their database is not on this machine; where the network is open, `cargo deny fetch` gets it");
    Ok(())
}
