//! The vectors, made from scratch.
//!
//! Messages, items, parcels and envelopes are written here by an encoder of their own, and the statements in them as
//! text, so that what the crate reads was not written by the crate. Making them again gives the same bytes: signatures
//! and envelopes, which chance has a part in, are taken from the vectors as they are for as long as they hold.

mod batch;
pub(crate) mod cast;
mod cbor;
mod json;
mod parcel;
mod parts;
mod pen;
mod record;
mod recovery;
mod rest;
mod seal;
mod shelf;
mod statements;
mod texts;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::case::{self, Case, hex, unhex};
use cast::Cast;
use pen::Pen;
pub(crate) use shelf::Shelf;

/// The folders of vectors.
pub(crate) const FOLDERS: [&str; 16] = [
    "card",
    "revocation",
    "succession",
    "agreement",
    "withdrawal",
    "record",
    "parcel",
    "receipt",
    "notice",
    "inquiry",
    "account",
    "recovery",
    "seal",
    "attachment",
    "marking",
    "grading",
];

/// The vectors as they lie there.
pub(crate) struct Old {
    vectors: BTreeMap<(&'static str, String), Vec<u8>>,
    changed: Cell<usize>,
}

impl Old {
    /// Reads every vector below `root`; what is not there yet is not missed.
    pub(crate) fn read(root: &Path) -> Self {
        let mut vectors = BTreeMap::new();
        for folder in FOLDERS {
            let index = fs::read(root.join(folder).join("index.json")).unwrap_or_default();
            for case in serde_json::from_slice::<Vec<Case>>(&index).unwrap_or_default() {
                if let Some(bytes) = bytes_of(&case, &root.join(folder)) {
                    vectors.insert((folder, case.name), bytes);
                }
            }
        }
        Self { vectors, changed: Cell::new(0) }
    }

    /// The bytes of one.
    pub(crate) fn bytes(&self, folder: &'static str, name: &str) -> Option<Vec<u8>> {
        self.vectors.get(&(folder, name.to_owned())).cloned()
    }

    /// Notes that something had to be made anew.
    pub(crate) fn note_change(&self) {
        self.changed.set(self.changed.get() + 1);
    }
}

/// The bytes of a vector, from its file or its index, if they can be read.
pub(crate) fn bytes_of(case: &Case, folder: &Path) -> Option<Vec<u8>> {
    let mut bytes = match (&case.file, &case.hex) {
        (Some(file), None) => fs::read(folder.join(file)).ok()?,
        (None, Some(digits)) => unhex(digits),
        _ => return None,
    };
    if let Some(fill) = &case.fill {
        let byte = unhex(&fill.byte).first().copied()?;
        bytes.resize(bytes.len() + fill.count, byte);
    }
    bytes.extend(case.tail.as_deref().map(unhex).unwrap_or_default());
    Some(bytes)
}

/// Every file of the vectors, by its path below the root, and how much of it had to be signed or sealed anew.
pub(crate) fn all(old: &Old) -> (BTreeMap<String, Vec<u8>>, usize) {
    let cast = Cast::gather();
    let pen = Pen::new(old.vectors.values().map(Vec::as_slice));
    let shelves = [
        statements::cards(&cast, &pen),
        statements::revocations(&cast, &pen),
        statements::successions(&cast, &pen),
        statements::agreements(&cast, &pen),
        statements::withdrawals(&cast, &pen),
        record::records(&cast, &pen),
        parcel::parcels(&cast, &pen),
        statements::receipts(&cast, &pen),
        statements::notices(&cast, &pen),
        recovery::inquiries(&cast, &pen),
        recovery::accounts(&cast, &pen),
        recovery::recoveries(&cast, &pen),
        seal::envelopes(&cast, &pen, old),
        rest::attachments(),
        rest::markings(),
        rest::gradings(),
    ];
    let mut files = BTreeMap::from([("keys.json".to_owned(), cast.keys_file().into_bytes())]);
    for shelf in shelves {
        files.insert(format!("{}/index.json", shelf.folder), shelf.index().into_bytes());
        files.extend(shelf.files.into_iter().map(|(name, bytes)| (format!("{}/{name}", shelf.folder), bytes)));
    }
    (files, pen.fresh() + old.changed.get())
}
