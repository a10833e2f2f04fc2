//! The torture: nodes and database servers are killed while members work, for as long as one likes.
//!
//! The driver is a test of `samverkan`; here are only the servers that it kills. It asks for that by lines of its
//! output, which are answered on its input, because whoever started a server must know whether to start it again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::postgres::Servers;
use crate::shell::{line, shown};

/// What is killed.
const SCENARIOS: &[&str] = &["file", "database", "server", "fail-over", "planted"];

/// What the driver's lines to us begin with.
const TO_US: &str = "servers: ";

/// What is killed, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Torture {
    /// What is killed: file, database (nodes on either), server (the primary), fail-over, planted (a store put back, which must be found); all of it when nothing is named
    scenarios: Vec<String>,
    /// How many minutes all of it may take; what is left of the kills then is left out
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// How often each is killed; a fifteenth of it for fail-overs
    #[arg(long, value_name = "N", default_value_t = 300)]
    kills: u64,
    /// Begins the row of moments at which it kills; printed, so that a run can be repeated
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: &Torture) -> Result<()> {
    let mut servers = Servers::start(true)?;
    let mut command = line("cargo test --locked --workspace --test torture --");
    let scenarios = if args.scenarios.is_empty() { SCENARIOS.join(" ") } else { args.scenarios.join(" ") };
    command.args(scenarios.split(' ')).args(["--kills", &args.kills.to_string(), "--seed", &args.seed.to_string()]);
    if let Some(minutes) = args.minutes {
        command.args(["--minutes", &minutes.to_string()]);
    }
    println!("$ {}", shown(&command));
    let mut driver = servers.tell(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("the driver does not start")?;
    let (Some(mut input), Some(lines)) = (driver.stdin.take(), driver.stdout.take()) else { bail!("the driver has no input or no output") };
    for line in BufReader::new(lines).lines() {
        let line = line.context("the driver prints what is no text")?;
        let done = match line.strip_prefix(TO_US) {
            Some("kill") => servers.kill(),
            Some("fail over") => servers.fail_over(),
            _ => {
                println!("{line}");
                continue;
            }
        };
        let answer = done.map_or_else(|fault| format!("{fault:#}").replace('\n', " "), |()| "done".to_owned());
        writeln!(input, "{answer}").context("the driver does not listen")?;
    }
    let status = driver.wait()?;
    if status.success() { Ok(()) } else { bail!("`{}` failed: {status}", shown(&command)) }
}
