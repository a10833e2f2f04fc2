//! Filling a stopped node's store with records, straight through the store port.
//!
//! The rows have the size and shape of received records, and each has its ledger entry in the tree; their signatures
//! are noise, which no measurement here looks at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use format::agreement::Agreement;
use format::keys::{Seeds, SigningKeys};
use format::merkle::{self, Frontier};
use format::record::Kind;
use format::{Digest, RecordId, RecordNumber, Timestamp, verify};
use node::entry::{Actor, Entry, Event};
use node::ports::{Reader, Store};
use node::rows::{Batch, Change, Condition, ContentRow, EntryRow, RecordRow, Signatures, Stage, StatementKind, StatementRow};
use node::state::LedgerTree;
use store::Sqlite;

use crate::pair::Outcome;

/// Adds received records until the store has `total`.
pub(crate) fn records(data: &Path, total: u64) -> Outcome {
    let mut store = Sqlite::open(&data.join("samverkan.db"), &store::Options::default())?;
    let have = store.counts()?.records;
    let mut frontier = Frontier::load(store.opening()?.ledger_size, &LedgerTree(&store))?;
    let now = Timestamp::from_date("2026-11-22")?;
    for chunk in (have..total).collect::<Vec<_>>().chunks(2_000) {
        for serial in chunk {
            let mut batch = Batch { expected: frontier.size(), ..Batch::default() };
            batch.changes.push(Change::NewRecord(Box::new(row(*serial, now)?), Some(content(*serial))));
            let json = format!("{{\"at\":\"{now}\",\"by\":{{\"organisation\":\"zz-fill\"}},\"what\":\"received\",\"serial\":{serial}}}").into_bytes();
            let salt = *Digest::of(&serial.to_be_bytes()).as_bytes();
            let leaf = *Digest::of_parts(&[&salt, &json]).as_bytes();
            let index = frontier.size();
            for subtree in frontier.push(merkle::leaf_hash(&leaf)) {
                if subtree.level > 0 && subtree.level % node::state::KEPT_LEVELS == 0 {
                    batch.subtrees.push((subtree.level, subtree.index, subtree.hash));
                }
            }
            batch.entries.push(EntryRow { index, leaf, salt: Some(salt), json: Some(json), what: "received".to_owned(), record: None, at: now });
            store.append(&batch)?;
        }
        store.commit()?;
    }
    Ok(())
}

/// Adds entries to a ledger, and nothing else, until it has `total`.
pub(crate) fn entries(data: &Path, total: u64) -> Outcome {
    let mut store = Sqlite::open(&data.join("samverkan.db"), &store::Options::default())?;
    let mut frontier = Frontier::load(store.opening()?.ledger_size, &LedgerTree(&store))?;
    let now = Timestamp::from_date("2026-11-25")?;
    for some in (frontier.size()..total).collect::<Vec<_>>().chunks(5_000) {
        let mut batch = Batch { expected: frontier.size(), ..Batch::default() };
        for serial in some {
            let record = RecordId(Digest::of(&serial.to_be_bytes()));
            let number = RecordNumber::new(&"FILL".parse()?, 2026, serial + 1);
            let event = Event::Received { record, number, version: 1, originator: "zz-fill".parse()?, from: "zz-fill".parse()? };
            let what = event.what().to_owned();
            let json = serde_json::to_vec(&Entry { at: now, by: Actor::Organisation("zz-fill".parse()?), event })?;
            let salt = *Digest::of(&serial.to_le_bytes()).as_bytes();
            let leaf = *Digest::of_parts(&[&salt, &json]).as_bytes();
            let index = frontier.size();
            for subtree in frontier.push(merkle::leaf_hash(&leaf)) {
                if subtree.level > 0 && subtree.level % node::state::KEPT_LEVELS == 0 {
                    batch.subtrees.push((subtree.level, subtree.index, subtree.hash));
                }
            }
            batch.entries.push(EntryRow { index, leaf, salt: Some(salt), json: Some(json), what, record: Some(record), at: now });
        }
        store.append(&batch)?;
        store.commit()?;
    }
    Ok(())
}

/// Gives every node the cards of all, and their signatures on an agreement: what weeks of meetings would.
pub(crate) fn agreed(folders: &[PathBuf], agreement: &Agreement) -> Outcome {
    let now = Timestamp::from_date("2026-11-25")?;
    let (mut cards, mut signatures) = (Vec::new(), Vec::new());
    for data in folders {
        let seeds: Seeds = serde_json::from_slice(&std::fs::read(data.join("keys.json"))?)?;
        let own = Sqlite::open(&data.join("samverkan.db"), &store::Options::default())?.directory(0, 1)?;
        let card = own.into_iter().map(|(_, row)| row).find(|row| row.kind == StatementKind::Card).ok_or("the node has no card")?;
        let signed = verify::state(agreement, &SigningKeys::new(card.org.clone(), &seeds)?)?;
        signatures.push(StatementRow {
            kind: StatementKind::Agreement,
            key: Digest::of_parts(&[signed.digest().as_bytes(), card.org.as_str().as_bytes()]),
            org: card.org.clone(),
            about: Some(signed.digest()),
            bytes: signed.signed().to_bytes(),
            at: now,
        });
        cards.push(card);
    }
    for data in folders {
        let mut store = Sqlite::open(&data.join("samverkan.db"), &store::Options::default())?;
        let changes = cards.iter().chain(&signatures).cloned().map(Change::Statement).collect();
        store.append(&Batch { expected: store.opening()?.ledger_size, changes, ..Batch::default() })?;
        store.commit()?;
    }
    Ok(())
}

fn row(serial: u64, now: Timestamp) -> Outcome<RecordRow> {
    let number = RecordNumber::new(&"FILL".parse()?, 2026, serial + 1);
    let mut header = format!("{{\"number\":\"{number}\"").into_bytes();
    header.resize(900, b' ');
    Ok(RecordRow {
        id: RecordId(Digest::of(&header)),
        header,
        signatures: Some(Signatures { ed25519: [7; 64], ml_dsa_65: Arc::new([7; 3309]), inclusion: None }),
        kind: Kind::Report,
        originator: "zz-fill".parse()?,
        number,
        version: 1,
        agreement: "bench".parse()?,
        created: now,
        retain_until: now.plus_days(3650),
        stage: Stage::Received,
        condition: Condition::Current,
        drafted_by: String::new(),
        submitted_by: None,
        approved_by: None,
        sent_back: false,
        from: Some("zz-fill".parse()?),
        arrived: now,
        flagged: false,
        grant: None,
    })
}

fn content(serial: u64) -> ContentRow {
    let noise = |len: usize| Digest::of(&serial.to_le_bytes()).as_bytes().iter().copied().cycle().take(len).collect();
    ContentRow { wrapped_key: noise(60), ciphertext: noise(2_100) }
}
