//! Looking ahead: what an act will ask next, fetched in one journey instead of hundreds.
//!
//! It holds answers for as long as nobody else can change them, which is within a turn, and gives each of them once. What
//! this process writes itself takes away the answers that it changes. The invariant: an answer given from here is the one
//! that the database would give.

use std::cell::RefCell;
use std::collections::HashMap;

use format::{OrgId, RecordId, RecordNumber};
use node::ports::{Next, StoreResult};
use node::rows::{Batch, Change, ContentRow, HoldingRow, RecordRow, Stage};

use super::read;
use super::row::Value;
use super::wire::Wire;

/// Answers to questions that were not asked yet. What is known to be absent has one too.
#[derive(Debug, Default)]
pub(super) struct Ahead(RefCell<Answers>);

#[derive(Debug, Default)]
struct Answers {
    records: HashMap<RecordId, Option<RecordRow>>,
    contents: HashMap<RecordId, Option<ContentRow>>,
    holdings: HashMap<RecordId, Vec<HoldingRow>>,
    tombstones: HashMap<RecordId, Option<OrgId>>,
    /// Every version of a number, oldest first.
    versions: HashMap<RecordNumber, Vec<RecordRow>>,
}

impl Ahead {
    /// Fetches what will be asked next.
    pub(super) fn fetch(&self, wire: &Wire, next: &Next<'_>) -> StoreResult<()> {
        let mut answers = self.0.borrow_mut();
        match next {
            Next::Named(ids) => answers.records.extend(records(wire, ids.iter())?),
            Next::Leaving(ids) => {
                let mut contents = read::contents_of(wire, &blobs(ids.iter()))?;
                answers.contents.extend(ids.iter().map(|id| (*id, contents.remove(id))));
                answers.records.extend(records(wire, ids.iter())?);
                answers.holdings.extend(holdings(wire, ids)?);
            }
            Next::Confirmed(ids) => answers.holdings.extend(holdings(wire, ids)?),
            Next::Arriving(named) => {
                let ids = || named.iter().map(|(id, _)| id);
                answers.records.extend(records(wire, ids())?);
                answers.tombstones.extend(ids().map(|id| (*id, None)));
                answers.tombstones.extend(read::tombstones_of(wire, &blobs(ids()))?.into_iter().map(|(id, org)| (id, Some(org))));
                let mut versions: HashMap<RecordNumber, Vec<RecordRow>> = named.iter().map(|(_, number)| (number.clone(), Vec::new())).collect();
                let numbers = Value::Texts(named.iter().map(|(_, number)| Some(number.as_str().into())).collect());
                for row in read::versions_of(wire, &numbers)? {
                    versions.entry(row.number.clone()).or_default().push(row);
                }
                answers.versions.extend(versions);
            }
        }
        Ok(())
    }

    pub(super) fn record(&self, id: &RecordId) -> Option<Option<RecordRow>> {
        self.0.borrow_mut().records.remove(id)
    }

    pub(super) fn content(&self, id: &RecordId) -> Option<Option<ContentRow>> {
        self.0.borrow_mut().contents.remove(id)
    }

    pub(super) fn holdings(&self, id: &RecordId) -> Option<Vec<HoldingRow>> {
        self.0.borrow_mut().holdings.remove(id)
    }

    pub(super) fn tombstone(&self, id: &RecordId) -> Option<Option<OrgId>> {
        self.0.borrow_mut().tombstones.remove(id)
    }

    /// Every version of a number. It is asked in two ways, and so given until it changes.
    pub(super) fn versions(&self, number: &RecordNumber) -> Option<Vec<RecordRow>> {
        self.0.borrow().versions.get(number).cloned()
    }

    /// Forgets what a batch changes.
    pub(super) fn forget(&self, batch: &Batch) {
        let mut answers = self.0.borrow_mut();
        for change in &batch.changes {
            match change {
                Change::NewRecord(row, _) => {
                    answers.records.remove(&row.id);
                    answers.contents.remove(&row.id);
                    answers.versions.remove(&row.number);
                }
                Change::Holding(row) => _ = answers.holdings.remove(&row.record),
                Change::Tombstone(id, _) => _ = answers.tombstones.remove(id),
                // Its id stands, and its content is another change.
                Change::Record(row) if row.stage >= Stage::Released => {
                    answers.records.remove(&row.id);
                    answers.versions.remove(&row.number);
                }
                Change::Signatures(id, _) => {
                    answers.records.remove(id);
                    answers.versions.retain(|_, rows| rows.iter().all(|row| row.id != *id));
                }
                Change::Record(_) | Change::Content(..) | Change::DiscardDraft(..) | Change::DestroyContent(_) => *answers = Answers::default(),
                _ => {}
            }
        }
    }

    pub(super) fn clear(&self) {
        *self.0.borrow_mut() = Answers::default();
    }
}

fn holdings(wire: &Wire, ids: &[RecordId]) -> StoreResult<HashMap<RecordId, Vec<HoldingRow>>> {
    let mut holdings: HashMap<RecordId, Vec<HoldingRow>> = ids.iter().map(|id| (*id, Vec::new())).collect();
    for row in read::holdings_of(wire, &blobs(ids.iter()))? {
        holdings.entry(row.record).or_default().push(row);
    }
    Ok(holdings)
}

fn records<'a>(wire: &Wire, ids: impl Iterator<Item = &'a RecordId> + Clone) -> StoreResult<HashMap<RecordId, Option<RecordRow>>> {
    let mut records: HashMap<RecordId, Option<RecordRow>> = ids.clone().map(|id| (*id, None)).collect();
    records.extend(read::records_of(wire, &blobs(ids))?.into_iter().map(|row| (row.id, Some(row))));
    Ok(records)
}

fn blobs<'a>(ids: impl Iterator<Item = &'a RecordId>) -> Value<'a> {
    Value::Blobs(ids.map(|id| Some(id.0.as_bytes().as_slice().into())).collect())
}
