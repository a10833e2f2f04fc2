//! Moving a node's store to PostgreSQL: copied by the store, verified here.
//!
//! What is verified is what lies in the database: every signature against the cards in it, every entry against its leaf,
//! the whole tree from its leaves up, and its root against the file's. Only when all of it holds is the move finished.

use std::path::PathBuf;

use node::ports::{NoPlace, Reader, StoreError};
use node::state::State;
use node::{inspection, ledger};
use store::{Move, MoveError, Sqlite};

use crate::assemble;
use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::opening;
use crate::print::progress_rows;

/// What was moved.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) entries: u64,
    pub(crate) records: u64,
    pub(crate) statements: u64,
    /// The ledger's checkpoint in the file, and in the database.
    pub(crate) before: String,
    pub(crate) after: String,
    /// Where the file is now.
    pub(crate) file: PathBuf,
}

/// Moves the store in `store.file` to `store.database`.
pub(crate) fn to_postgres(config: &Config, resume: bool) -> Outcome<Moved> {
    let me = assemble::read_identity(config)?;
    let file = &config.store.file;
    if !file.exists() {
        return Err(Failure::usage(format!("there is no `{}` to move", file.display())));
    }
    let from = Sqlite::open(file, &store::Options::default()).map_err(|error| opening::unopened(&file.display(), &error))?;
    let root = State::load(&from).map_err(|error| failed(&error))?.frontier.root();
    let (_, before) = ledger::checkpoint(&from, &me, None).map_err(|error| failed(&error))?;
    let mut moving = Move::begin(from, &opening::database(config)?, &root, resume).map_err(|error| match error {
        MoveError::Store(error) => failed(&error),
        other => opening::unopened(&config.store.database, &other),
    })?;
    let bar = progress_rows("copying", moving.rows().map_err(|error| failed(&error))?);
    moving.copy(|rows| bar.inc(rows)).map_err(|error| failed(&error).remedy("Start it again with --resume."))?;
    bar.finish_and_clear();
    let (_, to) = moving.stores();
    let counts = to.counts().map_err(|error| failed(&error))?;
    let bar = progress_rows("verifying", counts.records + counts.entries);
    let attachments = assemble::attachments(config, me.org(), true)?;
    let place = attachments.as_deref().unwrap_or(&NoPlace);
    let found = inspection::inspect(to, place, &me, |what| bar.inc(u64::from(what != "statements"))).map_err(|fault| refused(&fault.to_string()))?;
    bar.finish_and_clear();
    if found.root != root {
        return Err(refused("the ledger in the database has another root than that in the file"));
    }
    let (entries, after) = ledger::checkpoint(to, &me, None).map_err(|error| failed(&error))?;
    moving.finish().map_err(|error| failed(&error).remedy("Start it again with --resume."))?;
    let mut name = file.as_os_str().to_owned();
    name.push(".moved");
    let moved_file = PathBuf::from(name);
    std::fs::rename(file, &moved_file).map_err(|error| Failure::usage(format!("`{}` cannot be renamed: {error}", file.display())))?;
    Ok(Moved { entries, records: found.records, statements: found.statements, before, after, file: moved_file })
}

fn failed(error: &StoreError) -> Failure {
    Failure::usage(format!("the store cannot be moved: {error}"))
}

fn refused(why: &str) -> Failure {
    Failure::refused(format!("what lies in the database does not hold: {why}"))
        .remedy("The file is as it was, and the node can go on with it. Keep the database as it is, and find out what changed it.")
}
