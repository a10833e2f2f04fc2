//! Measurements, one name each: the benchmarks of `samverkan`, in a release build.
//!
//! With `--json` standard output is theirs alone: one JSON object a line,
//! `{"figure","value","unit","target","limit","share"}`. Otherwise the same figures are set as a table when all are in.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::postgres::Servers;
use crate::shell::{line, output, run as run_to_end, shown};

/// What can be measured, and the words that ask the benchmark program for it.
const NAMES: &[&str] = &["exchange", "growth", "postgres", "hold", "federation", "mesh", "ledger", "hostile"];

/// Which measurement, and how it is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Name of the measurement: exchange, growth, postgres, or hold, which is federation, mesh, ledger, hostile and postgres
    name: String,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    /// Measure less, to see that the benchmark works
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    if !NAMES.contains(&args.name.as_str()) {
        bail!("there is no measurement `{}`: {}", args.name, NAMES.join(", "));
    }
    let mut command = line("cargo bench --locked -p samverkan --bench main --");
    command.arg(&args.name).args(args.quick.then_some("--quick"));
    let servers = if ["postgres", "hold"].contains(&args.name.as_str()) { Some(Servers::start(false)?) } else { None };
    if let Some(servers) = &servers {
        servers.tell(&mut command);
    }
    if args.json {
        return run_to_end(&mut command);
    }
    println!("$ {}  (the first build takes some minutes)", shown(&command));
    table(&mut command)
}

/// Prints the figures in columns.
fn table(command: &mut Command) -> Result<()> {
    let lines = output(command)?;
    println!("{:<28} {:>10} {:<6} {:<10} {:>10} {:>6}", "figure", "value", "unit", "target", "limit", "share");
    for line in lines.lines() {
        let figure: Value = serde_json::from_str(line).with_context(|| format!("the benchmark printed what is no figure: {line}"))?;
        let text = |key: &str| match figure.get(key) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        let (name, value, unit, target) = (text("figure"), text("value"), text("unit"), text("target"));
        println!("{name:<28} {value:>10} {unit:<6} {target:<10} {:>10} {:>6}", text("limit"), text("share"));
    }
    Ok(())
}
