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
use tokio_postgres::Row;

use super::read;
use super::row::Columns;
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
            Next::Named(ids) => {
                let [records] = wire.together([read::records_of(ids.iter())])?;
                answers.add_records(ids.iter(), &records)?;
            }
            Next::Leaving(ids) => {
                let questions = [read::records_of(ids.iter()), read::contents_of(ids.iter()), read::holdings_of(ids.iter())];
                let [records, contents, holdings] = wire.together(questions)?;
                answers.add_records(ids.iter(), &records)?;
                answers.contents.extend(ids.iter().map(|id| (*id, None)));
                answers.contents.extend(each(&contents, read::content)?.into_iter().map(|(id, content)| (id, Some(content))));
                answers.add_holdings(ids, &holdings)?;
            }
            Next::Confirmed(ids) => {
                let [holdings] = wire.together([read::holdings_of(ids.iter())])?;
                answers.add_holdings(ids, &holdings)?;
            }
            Next::Arriving(named) => {
                let (ids, numbers) = (|| named.iter().map(|(id, _)| id), || named.iter().map(|(_, number)| number));
                let questions = [read::records_of(ids()), read::tombstones_of(ids()), read::versions_of(numbers())];
                let [records, tombstones, versions] = wire.together(questions)?;
                answers.add_records(ids(), &records)?;
                answers.tombstones.extend(ids().map(|id| (*id, None)));
                answers.tombstones.extend(each(&tombstones, read::tombstone)?.into_iter().map(|(id, org)| (id, Some(org))));
                answers.versions.extend(numbers().map(|number| (number.clone(), Vec::new())));
                for row in each(&versions, read::record)? {
                    answers.versions.entry(row.number.clone()).or_default().push(row);
                }
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

impl Answers {
    fn add_records<'a>(&mut self, ids: impl Iterator<Item = &'a RecordId>, rows: &[Row]) -> StoreResult<()> {
        self.records.extend(ids.map(|id| (*id, None)));
        self.records.extend(each(rows, read::record)?.into_iter().map(|row| (row.id, Some(row))));
        Ok(())
    }

    fn add_holdings(&mut self, ids: &[RecordId], rows: &[Row]) -> StoreResult<()> {
        self.holdings.extend(ids.iter().map(|id| (*id, Vec::new())));
        for row in each(rows, read::copy)? {
            self.holdings.entry(row.record).or_default().push(row);
        }
        Ok(())
    }
}

fn each<T>(rows: &[Row], read: impl Fn(&mut Columns<'_>) -> StoreResult<T>) -> StoreResult<Vec<T>> {
    rows.iter().map(|row| read(&mut Columns::of(row))).collect()
}
