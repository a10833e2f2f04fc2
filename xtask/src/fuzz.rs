//! Building and running the fuzz targets, without nightly and without cargo-fuzz.
//!
//! Coverage is a pass of the stable compiler and the fuzzer is a library, so a target is an ordinary program. Address
//! sanitiser is off: the code here forbids `unsafe`. New inputs are kept beside the build; what a crash leaves in
//! `fuzz/artifacts` belongs in `fuzz/corpus` once it is understood.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{host, line, root, run as run_to_end, shown};

/// The flags that cargo-fuzz gives as well, those for sanitisers apart.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// The target; each in turn when none is named
    target: Option<String>,
    /// How many minutes each target gets
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    minutes: Option<u64>,
    /// How many seconds each target gets
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Writes the seeds of the corpus anew instead
    #[arg(long)]
    seeds: bool,
}

pub(crate) fn run(args: &Fuzz) -> Result<()> {
    let host = host()?;
    let mut build = line(&format!("cargo build --release --manifest-path fuzz/Cargo.toml --target-dir fuzz/target --target {host}"));
    run_to_end(build.env("RUSTFLAGS", COVERAGE))?;
    let programs = root().join("fuzz/target").join(host).join("release");
    if args.seeds {
        return run_to_end(&mut Command::new(programs.join("seeds")));
    }
    let entries = fs::read_dir(root().join("fuzz/fuzz_targets")).context("fuzz/fuzz_targets cannot be read")?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut targets: Vec<String> = names.filter(|name| args.target.as_ref().is_none_or(|wanted| wanted == name)).collect();
    targets.sort();
    if targets.is_empty() {
        bail!("there is no such target in fuzz/fuzz_targets");
    }
    targets.iter().try_for_each(|target| fuzz(&programs, target, args.minutes.map_or(args.seconds, |minutes| minutes * 60)))
}

fn fuzz(programs: &Path, target: &str, seconds: u64) -> Result<()> {
    let (found, kept, artifacts) = (format!("fuzz/target/corpus/{target}"), format!("fuzz/corpus/{target}"), format!("fuzz/artifacts/{target}/"));
    for folder in [&found, &kept, &artifacts] {
        fs::create_dir_all(root().join(folder)).with_context(|| format!("{folder} cannot be made"))?;
    }
    let mut command = Command::new(programs.join(target));
    command.current_dir(root()).args([found, kept, format!("-max_total_time={seconds}")]);
    command.args([format!("-artifact_prefix={artifacts}").as_str(), "-timeout=10", "-rss_limit_mb=2048"]);
    let out = command.output().with_context(|| format!("`{}` does not start", shown(&command)))?;
    let log = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        bail!("{log}\ntarget `{target}` failed; the input is in {artifacts}, to repeat it give it to {}", programs.join(target).display());
    }
    println!("{target}: {}", log.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("done"));
    Ok(())
}
