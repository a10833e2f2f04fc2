//! A desk from which a store is written, keeping its ledger as a node does.

use format::RecordId;
use format::merkle::{Frontier, leaf_hash};
use node::ports::{Reader, Store, StoreError};
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

    /// An act that one entry about no record tells of.
    pub(crate) fn act(&mut self, changes: Vec<Change>) {
        let (batch, frontier) = self.batch(&[None], changes);
        self.append(&batch, frontier);
    }

    pub(crate) fn act_about(&mut self, record: RecordId, changes: Vec<Change>) {
        let (batch, frontier) = self.batch(&[Some(record)], changes);
        self.append(&batch, frontier);
    }

    /// Tries an act that cannot be kept, after a commit. That is told at the latest by the next question.
    pub(crate) fn fails(&mut self, changes: Vec<Change>) {
        self.commit();
        let (batch, _) = self.batch(&[None], changes);
        self.is_refused(&batch);
    }

    /// Tries a batch that cannot be kept, and goes back to the last commit.
    pub(crate) fn is_refused(&mut self, batch: &Batch) {
        let told = self.store.append(batch).and_then(|()| self.store.counts().map(drop));
        assert!(matches!(told, Err(StoreError::Failed(_))), "{told:?}");
        self.store.rollback().unwrap();
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
