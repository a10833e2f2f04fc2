//! The ledger's entries and their proofs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use format::Digest;
use node::ledger::Proof;
use node::rows::EntryRow;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EntriesQuery {
    /// From this place on, from 0.
    #[serde(default)]
    pub from: u64,
    /// At most this many.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// Only about this record, by id; then from its first entry on.
    pub record: Option<String>,
}

/// A page of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryPage {
    /// The entries, in order.
    pub entries: Vec<EntryView>,
    /// What to give as `from` for the next page; none when this is the last.
    pub next: Option<u64>,
}

/// An entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryView {
    /// Its place, from 0.
    pub index: u64,
    /// What it tells.
    #[schema(example = "released")]
    pub what: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// The record it is about.
    pub record: Option<String>,
    /// Its leaf hash in the tree.
    pub leaf: String,
    /// Its exact JSON; none once erased.
    #[schema(value_type = Option<Object>)]
    pub entry: Option<Box<RawValue>>,
}

impl EntryView {
    pub(crate) fn of(row: EntryRow) -> Result<Self, Problem> {
        Ok(Self {
            index: row.index,
            what: row.what,
            at: row.at.to_string(),
            record: row.record.map(|record| record.to_string()),
            leaf: Digest::from(row.leaf).to_string(),
            entry: row.json.map(raw).transpose()?,
        })
    }
}

/// Which entry to prove.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ProofQuery {
    /// Its place, from 0.
    pub entry: u64,
}

/// An entry with the proof that the ledger holds it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProofView {
    /// The entry.
    pub entry: EntryView,
    /// What it was hashed with, 64 hexadecimal digits; none once erased.
    pub salt: Option<String>,
    /// Hashes from the leaf's sibling up, in base64.
    pub path: Vec<String>,
    /// The signed checkpoint that the path leads to.
    pub checkpoint: String,
}

impl ProofView {
    pub(crate) fn of(proof: Proof) -> Result<Self, Problem> {
        Ok(Self {
            salt: proof.entry.salt.map(|salt| Digest::from(salt).to_string()),
            entry: EntryView::of(proof.entry)?,
            path: proof.path.iter().map(|hash| STANDARD.encode(hash)).collect(),
            checkpoint: proof.checkpoint,
        })
    }
}

fn raw(json: Vec<u8>) -> Result<Box<RawValue>, Problem> {
    let text = String::from_utf8(json).map_err(Problem::internal)?;
    RawValue::from_string(text).map_err(Problem::internal)
}
