//! Filling a stopped node's store with records, straight through the store port.
//!
//! The rows have the size and shape of received records, and each has its ledger entry in the tree; their signatures
//! are noise, which no measurement here looks at.

use std::path::Path;
use std::sync::Arc;

use format::merkle::{self, Frontier};
use format::record::Kind;
use format::{Digest, RecordId, RecordNumber, Timestamp};
use node::ports::{Reader, Store};
use node::rows::{Batch, Change, Condition, ContentRow, EntryRow, RecordRow, Signatures, Stage};
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
