//! The torture: kill -9 of nodes, of database servers, and of a primary that does not come back, while members work.
//!
//! Processes, stores, disks and connections are real, and the same from the first kill to the last. What members were
//! told is kept outside of the nodes ([`outside`]); after every kill, and once more at the end, all of it must be there
//! and nothing twice. `cargo xtask torture` runs it beside the servers that it kills. Called without a scenario, as by
//! `cargo test`, it does nothing.

mod outside;
#[path = "../pair/mod.rs"]
mod pair;
mod rounds;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pair::Outcome;
use rounds::{Scenario, Tally};

/// Kills nodes and database servers while members work.
#[derive(Debug, Parser)]
struct Torture {
    /// What is killed
    #[arg(required = true)]
    scenarios: Vec<Scenario>,
    /// How often each is killed; a fifteenth of it for fail-overs
    #[arg(long)]
    kills: usize,
    /// Begins the row of moments at which it kills
    #[arg(long)]
    seed: u64,
    /// How many minutes all of it may take
    #[arg(long)]
    minutes: Option<u64>,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_none_or(|word| word.starts_with('-')) {
        eprintln!("not run: `cargo xtask torture` runs it");
        return ExitCode::SUCCESS;
    }
    let asked = Torture::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(torture(&asked))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays each scenario and prints what came of all of them. Gives whether everything held.
async fn torture(asked: &Torture) -> Outcome<bool> {
    println!("seed {}", asked.seed);
    let share = |minutes: u64| Duration::from_secs(minutes * 60) / u32::try_from(asked.scenarios.len()).unwrap_or(u32::MAX);
    let mut tallies = Vec::new();
    for scenario in &asked.scenarios {
        let kills = if *scenario == Scenario::FailOver { (asked.kills / 15).max(1) } else { asked.kills };
        tallies.push(rounds::play(*scenario, kills, asked.seed, asked.minutes.map(share)).await?);
    }
    println!("\n{}", Tally::HEADING);
    for tally in &tallies {
        println!("{tally}");
    }
    Ok(tallies.iter().all(Tally::holds))
}
