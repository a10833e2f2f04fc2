//! Every developer command, run as `cargo xtask <command>`.
//!
//! Each command starts another program, or a few in a row; what it starts is printed, so that it can be typed by hand.
//! Nothing of the product is here: the demo is a command of `samverkan`, the simulator a program of the test kit.

mod assurance;
mod bench;
mod ci;
mod disks;
mod dist;
mod fuzz;
mod postgres;
mod s3;
mod shell;
mod tidy;
mod torture;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::shell::{line, root, run, shown};

/// Developer commands of Samverkan.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Xtask {
    /// Runs the example federation and prints its addresses and log-ins [--once] [--nodes N|all] [--data DIR] [--dev]
    #[command(disable_help_flag = true)]
    Demo(Forwarded),
    /// Runs what CI runs, in its order, and stops at the first failure
    Ci,
    /// Checks the house rules that no compiler checks
    Tidy,
    /// Simulates federations with faults and hostile peers [--seed S | --seconds N | --planted] [--dev]
    #[command(disable_help_flag = true)]
    Sim(Forwarded),
    /// Measures one thing
    Bench(bench::BenchArgs),
    /// Runs the tests and takes what they now print as their snapshots
    Bless,
    /// Fuzzes one target, or each in turn
    Fuzz(fuzz::Fuzz),
    /// Runs a command beside a PostgreSQL primary and a synchronous standby of its own
    Postgres(postgres::Postgres),
    /// Tries the mailbox, and attachments, over the S3 protocol, against a server that it installs and starts
    S3,
    /// Kills nodes and database servers while members work, and looks for what was lost or came twice
    Torture(torture::Torture),
    /// Cuts the power of a store's disk at every point, and lets every call to it fail
    Disks,
    /// Tries all of it to break the program, and writes docs/assurance/figures.md anew
    Assurance(assurance::Assurance),
    /// Builds the release archive
    Dist,
}

/// Passed on as they are, except `--dev`: it asks for the build that the tests use, instead of a release build.
#[derive(clap::Args)]
struct Forwarded {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Xtask::parse() {
        Xtask::Demo(forwarded) => forwarded.with_real_bundle().to("-p samverkan -- demo"),
        Xtask::Ci => ci::run(),
        Xtask::Tidy => tidy::run(),
        Xtask::Sim(forwarded) => forwarded.to("-p samverkan-testkit --bin sim --"),
        Xtask::Bench(args) => bench::run(&args),
        // The root is named so that a snapshot tells its test by a path within the workspace.
        Xtask::Bless => run(line("cargo test --workspace").env("INSTA_UPDATE", "always").env("INSTA_FORCE_PASS", "1").env("INSTA_WORKSPACE_ROOT", root())),
        Xtask::Fuzz(args) => fuzz::run(&args),
        Xtask::Postgres(args) => postgres::run(&args),
        Xtask::S3 => s3::run(),
        Xtask::Torture(args) => torture::run(&args),
        Xtask::Disks => disks::run(),
        Xtask::Assurance(args) => assurance::run(&args),
        Xtask::Dist => dist::run(),
    };
    if let Err(fault) = &done {
        eprintln!("{fault:#}");
    }
    ExitCode::from(u8::from(done.is_err()))
}

impl Forwarded {
    /// Adds the largest real STIX bundle that is at hand, unless another was asked for.
    fn with_real_bundle(mut self) -> Self {
        if !self.args.iter().any(|arg| arg.starts_with("--stix") || arg == "--help") {
            match largest_bundle() {
                Some(bundle) => self.args.extend(["--stix".to_owned(), bundle.display().to_string()]),
                None => println!("No real STIX bundle is at hand; the demo takes a made-up one."),
            }
        }
        self
    }

    /// Goes on as the other program, so that it alone gets the signals and gives the exit code.
    fn to(&self, program: &str) -> Result<()> {
        let profile = if self.args.iter().any(|arg| arg == "--dev") { "dev" } else { "release" };
        let mut command = line(&format!("cargo run --locked --profile {profile} {program}"));
        command.args(self.args.iter().filter(|arg| *arg != "--dev"));
        println!("$ {}  (the first build takes some minutes)", shown(&command));
        Err(command.exec().into())
    }
}

/// The largest of the real public STIX bundles that lie beside the checkout on some machines.
fn largest_bundle() -> Option<PathBuf> {
    let files = std::fs::read_dir(root().join("../shared/data/stix")).ok()?.filter_map(Result::ok);
    let bundles = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "json"));
    bundles.max_by_key(|file| file.metadata().map_or(0, |about| about.len())).map(|file| file.path())
}
