//! Lagging behind: batches that were appended, and that the server does not know of yet.
//!
//! A batch waits here until something is read that it may have changed, until the commit, or until there is much of it;
//! then all that wait go in one journey. What cannot be kept is therefore told by a later call, at the latest by the
//! commit. The invariant: nothing is read past a batch that waits, and once one could not be kept, nothing is given or
//! taken until the turn is rolled back.

use std::cell::RefCell;

use node::ports::{StoreError, StoreResult};
use node::rows::{Batch, Change};

use super::wire::Wire;
use super::write;

/// How many bytes may wait.
const MUCH: usize = 4 * 1024 * 1024;

/// What is weighed for a change or an entry besides its long bytes.
const LITTLE: usize = 256;

/// Batches that wait.
#[derive(Debug, Default)]
pub(super) struct Behind(RefCell<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    batches: Vec<Batch>,
    bytes: usize,
    /// Why the turn is lost.
    lost: Option<StoreError>,
}

impl Behind {
    /// Fails if the turn is lost.
    pub(super) fn check(&self) -> StoreResult<()> {
        self.0.borrow().lost.clone().map_or(Ok(()), Err)
    }

    /// Lets a batch wait, and says whether there is much of it by now.
    pub(super) fn wait(&self, batch: &Batch) -> bool {
        let mut waiting = self.0.borrow_mut();
        waiting.bytes += weight(batch);
        waiting.batches.push(batch.clone());
        waiting.bytes >= MUCH
    }

    /// Tells the server of everything that waits.
    pub(super) fn catch_up(&self, wire: &Wire) -> StoreResult<()> {
        self.check()?;
        let mut waiting = self.0.borrow_mut();
        if waiting.batches.is_empty() {
            return Ok(());
        }
        let batches = std::mem::take(&mut waiting.batches);
        waiting.bytes = 0;
        let kept = write::steps(&batches).and_then(|steps| wire.carry_out(&steps));
        waiting.lost = kept.as_ref().err().cloned();
        kept
    }

    /// Forgets everything: the turn is over.
    pub(super) fn clear(&self) {
        *self.0.borrow_mut() = Waiting::default();
    }
}

/// About how many bytes a batch is.
fn weight(batch: &Batch) -> usize {
    let changes = batch.changes.iter().map(|change| match change {
        Change::NewRecord(row, content) => row.header.len() + content.as_ref().map_or(0, |content| content.ciphertext.len()),
        Change::Record(row) => row.header.len(),
        Change::Content(_, content) => content.ciphertext.len(),
        Change::Piece(row) => row.ciphertext.len(),
        Change::Statement(row) => row.bytes.len(),
        Change::Parcel(row) => row.header.len(),
        _ => 0,
    });
    let entries = batch.entries.iter().map(|entry| entry.json.as_ref().map_or(0, Vec::len));
    changes.chain(entries).map(|long| long + LITTLE).sum()
}
