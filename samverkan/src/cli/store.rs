//! `store`: where a node keeps everything, and moving it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use crate::config::Config;
use crate::failure::Outcome;
use crate::moving;
use crate::print::line;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan store move --data sapo --to postgres://samverkan@localhost/sapo
  samverkan store move --data sapo --to postgres://samverkan@localhost/sapo --resume")]
pub(super) enum Store {
    /// Move a node from its SQLite file to a PostgreSQL database
    ///
    /// The node must be stopped. Every row is copied, and every signature and the whole ledger are verified again in
    /// the database. Only then does the file get another name, so that the node cannot be started on it by mistake. A
    /// move that is broken off goes on with --resume.
    Move(Move),
}

#[derive(Debug, Args)]
pub(super) struct Move {
    /// Address of an empty database
    #[arg(long, value_name = "URL")]
    to: String,
    /// File with the password of the database's user
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Authority of the server's certificate (PEM), for a server on another machine
    #[arg(long, value_name = "PEM")]
    authority_file: Option<PathBuf>,
    /// Go on with a move that was broken off
    #[arg(long)]
    resume: bool,
}

pub(super) fn run(context: &Context, verb: Store) -> Outcome {
    let Store::Move(verb) = verb;
    let mut config = Config::load(context.data()?)?;
    config.store.database = verb.to;
    if let Some(path) = verb.password_file {
        config.store.password_file = path;
    }
    if let Some(path) = verb.authority_file {
        config.store.authority_file = path;
    }
    let moved = moving::to_postgres(&config, verb.resume)?;
    let told = serde_json::json!({
        "entries": moved.entries,
        "records": moved.records,
        "statements": moved.statements,
        "checkpoint-before": moved.before,
        "checkpoint-after": moved.after,
        "file": moved.file,
    });
    context.printer.answer(&told, || {
        line(&format!(
            "Moved, and verified: {} ledger entries, {} signed records, {} other signed statements.",
            moved.entries, moved.records, moved.statements
        ));
        line(&format!("\nCheckpoint in the file:\n{}\nCheckpoint in the database:\n{}", moved.before, moved.after));
        line(&format!("The file is now `{}`. Keep it until the database has been backed up.", moved.file.display()));
        line(&format!("In the configuration, under [store], write\n  database = \"{}\"", config.store.database));
    });
    Ok(())
}
