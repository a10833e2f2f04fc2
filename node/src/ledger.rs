//! The ledger as it is shown: checkpoints, proofs and exports.
//!
//! Everything here reads. What an export holds can be verified with nothing but the export and the organisation's
//! card; see `docs/protocol/ledger.md`.

use format::checkpoint::Checkpoint;
use format::merkle::{self, Frontier, Hash};

use crate::node::Identity;
use crate::ports::{Reader, StoreError, StoreResult};
use crate::rows::EntryRow;
use crate::state::LedgerTree;

/// An entry with the proof that a checkpoint's tree contains it.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The entry.
    pub entry: EntryRow,
    /// Hashes from the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The signed checkpoint that the path leads to.
    pub checkpoint: String,
}

/// The signed checkpoint of the ledger at `size` entries, or as it is now.
///
/// # Errors
/// The store cannot be read, or has fewer entries.
pub fn checkpoint(reader: &dyn Reader, me: &Identity, size: Option<u64>) -> StoreResult<(u64, String)> {
    let now = reader.counts()?.entries;
    let size = size.unwrap_or(now);
    if size > now {
        return Err(StoreError::Corrupt { what: "ledger", why: format!("it has {now} entries, not {size}") });
    }
    let root = Frontier::load(size, &LedgerTree(reader))?.root();
    let name = me.ledger_name();
    let note = Checkpoint::new(name.clone(), size, root).and_then(|checkpoint| checkpoint.sign(&name, me.keys.ed25519()));
    Ok((size, note.map_err(|e| StoreError::Corrupt { what: "checkpoint", why: e.to_string() })?))
}

/// Proves that entry `index` is in the ledger.
///
/// # Errors
/// The store cannot be read. None when there is no such entry.
pub fn prove(reader: &dyn Reader, me: &Identity, index: u64) -> StoreResult<Option<Proof>> {
    let Some(entry) = reader.entries(index, 1)?.into_iter().find(|entry| entry.index == index) else {
        return Ok(None);
    };
    let (size, checkpoint) = checkpoint(reader, me, None)?;
    let path = merkle::inclusion_proof(index, size, &LedgerTree(reader))?;
    Ok(Some(Proof { entry, path, checkpoint }))
}

/// One line of an export, with its line end: the entry's place, its leaf, its salt and its exact JSON.
#[must_use]
pub fn export_line(entry: &EntryRow) -> Vec<u8> {
    let hex = |bytes: &[u8; 32]| format::Digest::from(*bytes).to_string();
    let (salt, json) = match (&entry.salt, &entry.json) {
        (Some(salt), Some(json)) => (format!("\"{}\"", hex(salt)), json.clone()),
        _ => ("null".to_owned(), b"null".to_vec()),
    };
    let leaf = hex(&entry.leaf);
    let mut line = format!("{{\"index\":{},\"leaf\":\"{leaf}\",\"salt\":{salt},\"entry\":", entry.index).into_bytes();
    line.extend_from_slice(&json);
    line.extend_from_slice(b"}\n");
    line
}
