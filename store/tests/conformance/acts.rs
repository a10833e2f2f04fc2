//! A desk from which a store is written, keeping its ledger as a node does.

use format::RecordId;
use format::merkle::{Frontier, leaf_hash};
use node::ports::{Reader, Store, StoreResult};
use node::rows::{Batch, Change, EntryRow};

use super::rows::{digest, time};

/// A store with the right edge of its ledger.
pub(crate) struct Desk {
    pub(crate) store: Box<dyn Store>,
    frontier: Frontier,
}

impl Desk {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        assert_eq!(store.opening().unwrap().ledger_size, 0);
        Self { store, frontier: Frontier::default() }
    }

    pub(crate) fn read(&self) -> &dyn Reader {
        &*self.store
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// A batch with one entry for each of `told`, as the ledger stands.
    pub(crate) fn batch(&self, told: &[Option<RecordId>], changes: Vec<Change>) -> (Batch, Frontier) {
        let mut frontier = self.frontier.clone();
        let mut batch = Batch { expected: frontier.size(), changes, ..Batch::default() };
        for record in told {
            let entry = entry(frontier.size(), *record);
            batch.subtrees.extend(frontier.push(entry.leaf).iter().map(|tree| (tree.level, tree.index, tree.hash)));
            batch.entries.push(entry);
        }
        (batch, frontier)
    }

    /// Appends a batch that was made as the ledger stands.
    pub(crate) fn append(&mut self, batch: &Batch, after: Frontier) {
        self.store.append(batch).unwrap();
        self.frontier = after;
    }

    /// Tries an act that one entry about `record` tells of.
    pub(crate) fn attempt(&mut self, record: Option<RecordId>, changes: Vec<Change>) -> StoreResult<()> {
        let (batch, frontier) = self.batch(&[record], changes);
        self.store.append(&batch)?;
        self.frontier = frontier;
        Ok(())
    }

    /// An act that one entry about no record tells of.
    pub(crate) fn act(&mut self, changes: Vec<Change>) {
        self.attempt(None, changes).unwrap();
    }

    pub(crate) fn act_about(&mut self, record: RecordId, changes: Vec<Change>) {
        self.attempt(Some(record), changes).unwrap();
    }

    pub(crate) fn commit(&mut self) {
        self.store.commit().unwrap();
    }
}

/// The entry that a desk writes as number `index`.
pub(crate) fn entry(index: u64, record: Option<RecordId>) -> EntryRow {
    let json = format!(r#"{{"act":"test","number":{index}}}"#).into_bytes();
    let leaf = leaf_hash(&json);
    EntryRow { index, leaf, salt: Some(*digest(index).as_bytes()), json: Some(json), what: "test".to_owned(), record, at: time(index) }
}
