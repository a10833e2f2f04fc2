//! Moving a node's store to PostgreSQL: copied by the store, verified here.
//!
//! What is verified is what lies in the database: every signature against the cards in it, every entry against its leaf,
//! the whole tree from its leaves up, and its root against the file's. Only when all of it holds is the move finished.

use std::path::PathBuf;

use format::agreement::{Agreement, Withdrawal};
use format::card::Card;
use format::merkle::{self, Frontier};
use format::parcel::ParcelHeader;
use format::receipt::{Notice, Receipt};
use format::record::Header;
use format::verify::{self, Statement};
use format::{Digest, Signed};
use node::act::release::signed_record;
use node::ledger;
use node::ports::{MAX_PAGE, Reader, RecordQuery, StoreError};
use node::rows::{StatementKind, StatementRow};
use node::state::{Directory, KEPT_LEVELS, State};
use store::{Move, MoveError, Postgres, Sqlite};

use crate::assemble;
use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::opening;
use crate::print::progress_rows;

/// Entries and statements read at a time.
const PAGE: usize = 1_000;

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
    let root = read_ledger(&from, "reading the file's ledger", |_| Ok(()))?.root();
    let (_, before) = ledger::checkpoint(&from, &me, None).map_err(|error| failed(&error))?;
    let mut moving = Move::begin(from, &opening::database(config)?, &root, resume).map_err(|error| match error {
        MoveError::Store(error) => failed(&error),
        other => opening::unopened(&config.store.database, &other),
    })?;
    let bar = progress_rows("copying", moving.rows().map_err(|error| failed(&error))?);
    moving.copy(|rows| bar.inc(rows)).map_err(|error| failed(&error).remedy("Start it again with --resume."))?;
    bar.finish_and_clear();
    let (_, to) = moving.stores();
    let (records, statements) = verify_signatures(to)?;
    let frontier = verify_ledger(to)?;
    if frontier.root() != root {
        return Err(refused("the ledger in the database has another root than that in the file"));
    }
    let (entries, after) = ledger::checkpoint(to, &me, None).map_err(|error| failed(&error))?;
    moving.finish().map_err(|error| failed(&error).remedy("Start it again with --resume."))?;
    let mut name = file.as_os_str().to_owned();
    name.push(".moved");
    let moved_file = PathBuf::from(name);
    std::fs::rename(file, &moved_file).map_err(|error| Failure::usage(format!("`{}` cannot be renamed: {error}", file.display())))?;
    Ok(Moved { entries, records, statements, before, after, file: moved_file })
}

/// Every entry in order: its leaf from its bytes, and the tree over all of them. `kept` sees every subtree that is kept.
fn read_ledger(reader: &dyn Reader, what: &'static str, mut kept: impl FnMut(&merkle::Subtree) -> Outcome) -> Outcome<Frontier> {
    let size = reader.counts().map_err(|error| failed(&error))?.entries;
    let bar = progress_rows(what, size);
    let mut frontier = Frontier::default();
    while frontier.size() < size {
        let entries = reader.entries(frontier.size(), PAGE).map_err(|error| failed(&error))?;
        if entries.first().is_none_or(|entry| entry.index != frontier.size()) {
            return Err(refused(&format!("ledger entry {} is missing", frontier.size())));
        }
        for entry in &entries {
            if let (Some(salt), Some(json)) = (&entry.salt, &entry.json)
                && *Digest::of_parts(&[salt, json]).as_bytes() != entry.leaf
            {
                return Err(refused(&format!("ledger entry {} does not hash to its leaf", entry.index)));
            }
            for subtree in frontier.push(merkle::leaf_hash(&entry.leaf)) {
                if subtree.level > 0 && subtree.level % KEPT_LEVELS == 0 {
                    kept(&subtree)?;
                }
            }
        }
        bar.inc(u64::try_from(entries.len()).unwrap_or_default());
    }
    bar.finish_and_clear();
    Ok(frontier)
}

fn verify_ledger(to: &Postgres) -> Outcome<Frontier> {
    read_ledger(to, "verifying the ledger", |subtree| {
        let found = to.subtree(subtree.level, subtree.index).map_err(|error| failed(&error))?;
        if found == subtree.hash { Ok(()) } else { Err(refused(&format!("subtree {} of level {} is not that of its entries", subtree.index, subtree.level))) }
    })
}

/// Verifies every signed record and every other signed statement, and gives how many there were of each.
fn verify_signatures(to: &Postgres) -> Outcome<(u64, u64)> {
    let state = State::load(to).map_err(|error| failed(&error))?;
    let bar = progress_rows("verifying signatures", to.counts().map_err(|error| failed(&error))?.records);
    let (mut records, mut statements) = (0, 0);
    let mut query = RecordQuery { limit: MAX_PAGE, ..RecordQuery::default() };
    loop {
        let page = to.records(&query).map_err(|error| failed(&error))?;
        let Some((place, _)) = page.last() else { break };
        query.before = Some(*place);
        for signed in page.iter().filter_map(|(_, row)| signed_record(row)) {
            holds::<Header>(&signed.to_bytes(), &state.directory, &format!("record {}", signed.digest()))?;
            records += 1;
        }
        bar.inc(u64::try_from(page.len()).unwrap_or_default());
    }
    bar.finish_and_clear();
    let mut after = 0;
    loop {
        let page = to.statements_after(after, PAGE).map_err(|error| failed(&error))?;
        let Some((place, _)) = page.last() else { break };
        after = *place;
        for (_, row) in &page {
            verify_statement(row, &state.directory)?;
            statements += 1;
        }
    }
    for peer in state.peers.values() {
        for sequence in peer.acknowledged + 1..=peer.sent {
            let Some(parcel) = to.parcel(&peer.org, sequence).map_err(|error| failed(&error))? else { continue };
            holds::<ParcelHeader>(&parcel.header, &state.directory, &format!("parcel {sequence} to {}", peer.org))?;
            statements += 1;
        }
    }
    Ok((records, statements))
}

fn verify_statement(row: &StatementRow, directory: &Directory) -> Outcome {
    let what = format!("the {:?} of {} kept as {}", row.kind, row.org, row.key);
    match row.kind {
        StatementKind::Card => holds::<Card>(&row.bytes, directory, &what),
        StatementKind::Agreement => holds::<Agreement>(&row.bytes, directory, &what),
        StatementKind::Withdrawal => holds::<Withdrawal>(&row.bytes, directory, &what),
        StatementKind::ReceiptIn | StatementKind::ReceiptOut => holds::<Receipt>(&row.bytes, directory, &what),
        StatementKind::Notice => holds::<Notice>(&row.bytes, directory, &what),
        // Kept because something is wrong with it; that it is signed is what makes it evidence.
        StatementKind::Fault => Signed::parse(&row.bytes).map(|_| ()).map_err(|error| refused(&format!("{what} is not a signed statement: {error}"))),
    }
}

fn holds<T: Statement>(bytes: &[u8], directory: &Directory, what: &str) -> Outcome {
    verify::verify::<T>(bytes, directory).map(|_| ()).map_err(|error| refused(&format!("{what} does not verify: {error}")))
}

fn failed(error: &StoreError) -> Failure {
    Failure::usage(format!("the store cannot be moved: {error}"))
}

fn refused(why: &str) -> Failure {
    Failure::refused(format!("what lies in the database does not hold: {why}"))
        .remedy("The file is as it was, and the node can go on with it. Keep the database as it is, and find out what changed it.")
}
