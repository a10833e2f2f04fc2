//! The figures of `docs/assurance`, made anew: what was tried to break the program, how much of it, and what came of it.
//!
//! Each figure is what another developer command printed, taken over as it stands; nothing is computed here. What is not
//! tried is on the page beside it, written by hand, because no command knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::shell::{line, output, root, shown};

/// Where the figures are written.
const PAGE: &str = "docs/assurance/figures.md";

/// How long it may take.
#[derive(clap::Args)]
pub(crate) struct Assurance {
    /// How many minutes simulation, killing and fuzzing get, a third each; planted bugs take what they take
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// The simulation in the build that the tests use, instead of a release build
    #[arg(long)]
    dev: bool,
}

pub(crate) fn run(args: &Assurance) -> Result<()> {
    let third = (args.minutes / 3).max(1);
    let dev: &[&str] = if args.dev { &["--dev"] } else { &[] };
    let simulated = xtask(&["sim", "--seconds", &(third * 60).to_string()], dev)?;
    let planted = xtask(&["sim", "--planted"], dev)?;
    let tortured = xtask(&["torture", "--minutes", &third.to_string()], &[])?;
    let disks = xtask(&["disks"], &[])?;
    let targets = fs::read_dir(root().join("fuzz/fuzz_targets")).context("fuzz/fuzz_targets cannot be read")?.count().max(1);
    let fuzzed = xtask(&["fuzz", "--seconds", &(third * 60 / targets as u64).max(1).to_string()], &[])?;

    let day = output(&mut line("date -u +%F"))?;
    let commit = output(&mut line("git rev-parse --short HEAD"))?;
    let mut page = format!(
        "# Figures\n\nWritten by `cargo xtask assurance --minutes {}` on {} at commit {}, with {} processors. What the words mean, and what \
         none of this tries, is on [the page beside it](README.md).\n",
        args.minutes,
        day.trim(),
        commit.trim(),
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    section(&mut page, "Simulation", &simulation(&simulated)?);
    section(&mut page, "Planted bugs", &bugs(&planted)?);
    section(&mut page, "Torture", &verbatim(tortured.iter().skip_while(|line| !line.starts_with("killed "))));
    section(&mut page, "Disks", &verbatim(disks.iter().filter(|line| line.contains(" scenarios, "))));
    section(&mut page, "Fuzzing", &verbatim(fuzzed.iter().filter(|line| line.contains(": Done "))));
    fs::write(root().join(PAGE), page).with_context(|| format!("{PAGE} cannot be written"))?;
    println!("\nwritten: {PAGE}");
    Ok(())
}

/// Runs another developer command, shows what it prints, and gives that too.
fn xtask(words: &[&str], more: &[&str]) -> Result<Vec<String>> {
    let mut command = Command::new(std::env::current_exe().context("this program has no path")?);
    command.args(words).args(more).current_dir(root()).stdout(Stdio::piped());
    println!("\n$ cargo xtask {}", words.join(" "));
    let mut running = command.spawn().with_context(|| format!("`{}` does not start", shown(&command)))?;
    let Some(printed) = running.stdout.take() else { bail!("`{}` has no output", shown(&command)) };
    let mut lines = Vec::new();
    for line in BufReader::new(printed).lines() {
        let line = line.with_context(|| format!("`{}` prints what is no text", shown(&command)))?;
        println!("{line}");
        lines.push(line);
    }
    let status = running.wait()?;
    if status.success() { Ok(lines) } else { bail!("`cargo xtask {}` failed: {status}; nothing was written", words.join(" ")) }
}

fn section(page: &mut String, title: &str, text: &str) {
    // Writing to memory does not fail.
    let _written = write!(page, "\n## {title}\n\n{text}");
}

fn verbatim<'a>(lines: impl Iterator<Item = &'a String>) -> String {
    let mut text = "```text\n".to_owned();
    lines.for_each(|line| text.extend([line.trim_end(), "\n"]));
    text + "```\n"
}

/// Seeds and steps, then how often each act and each fault happened.
fn simulation(lines: &[String]) -> Result<String> {
    let find = |start: &str| lines.iter().find(|line| line.starts_with(start)).with_context(|| format!("the simulation printed no line `{start}…`"));
    let (acts, sum) = (find("acts {")?, find("seeds ")?);
    let (before, rest) = sum.split_once(", faults {").context("the simulation tells of no faults")?;
    let (faults, after) = rest.split_once("}, ").context("the simulation tells of no violations")?;
    let acts = acts.trim_start_matches("acts {").trim_end_matches('}');
    let table = |name: &str, counted: &str| {
        let rows = counted.split(", ").filter_map(|pair| pair.split_once('=')).map(|(what, times)| format!("| {what} | {times} |\n"));
        format!("| {name} | times |\n|---|---|\n{}\n", rows.collect::<String>())
    };
    Ok(format!("{before}, {after}.\n\n{}{}", table("Fault", faults), table("Act", acts)))
}

/// Each planted bug with what found it, and how many of them each invariant found.
fn bugs(lines: &[String]) -> Result<String> {
    let mut table = "| Planted | Seeds until found | By invariant | Seed |\n|---|---|---|---|\n".to_owned();
    let mut by_invariant: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut found: Vec<&String> = lines.iter().filter(|line| line.contains(" seeds by invariant ")).collect();
    found.sort();
    for line in found {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[name, "found", "in", seeds, "seeds", "by", "invariant", invariant, "seed", seed, ..] = words.as_slice() else {
            bail!("not a line about a planted bug: {line}");
        };
        let (invariant, seed) = (invariant.trim_end_matches(','), seed.trim_end_matches(':'));
        by_invariant.entry(invariant.parse().context("an invariant has a number")?).or_default().insert(name.to_owned());
        table.push_str(&format!("| {name} | {seeds} | {invariant} | {seed} |\n"));
    }
    table.push_str("\n| Invariant | Planted bugs that it found |\n|---|---|\n");
    for (invariant, names) in by_invariant {
        table.push_str(&format!("| {invariant} | {} |\n", names.into_iter().collect::<Vec<_>>().join(", ")));
    }
    Ok(table)
}
