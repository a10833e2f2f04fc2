//! Writing: batches that were decided one after the other, as few statements as they come to.
//!
//! Changes that do not touch what another one touches may trade places, so those of one kind are gathered over all
//! batches and written together; what may not wait has everything before it written first. The invariant: the tables
//! end as if each change had been carried out in its order, and entries go in at the end of the ledger without a gap.

use std::collections::BTreeMap;

use format::merkle::Hash;
use format::{OrgId, RecordId};
use node::ports::{StoreError, StoreResult};
use node::rows::{Batch, Change, ContentRow, EntryRow, HoldingRow, RecordRow, Signatures, Stage};

use super::statements;
use super::wire::Step;
use crate::stored::{OutgoingColumns, integer};

/// Refuses a batch whose entries would leave a gap.
pub(super) fn check(batch: &Batch) -> StoreResult<()> {
    match (batch.expected..).zip(&batch.entries).find(|(place, entry)| entry.index != *place) {
        Some((place, entry)) => Err(StoreError::Failed(format!("the entry with index {} was to be number {place}", entry.index))),
        None => Ok(()),
    }
}

/// The statements of batches, each of which was decided on the size that the one before left.
pub(super) fn steps(batches: &[Batch]) -> StoreResult<Vec<Step<'_>>> {
    let mut writing = Writing::default();
    for batch in batches {
        batch.changes.iter().try_for_each(|change| writing.change(change))?;
        writing.entries.extend(&batch.entries);
        // Level 0 is in the entries, and what lies between the kept levels is computed from them.
        writing.subtrees.extend(batch.subtrees.iter().filter(|(level, ..)| *level > 0 && level.is_multiple_of(4)));
    }
    writing.settle()?;
    Ok(writing.steps)
}

/// Batches while their statements are made. What waits is written in the order of the fields.
#[derive(Default)]
struct Writing<'a> {
    steps: Vec<Step<'a>>,
    records: Vec<(&'a RecordRow, Option<&'a ContentRow>)>,
    /// Changed records that were released, whose ids stand.
    changed: BTreeMap<RecordId, &'a RecordRow>,
    signed: BTreeMap<RecordId, &'a Signatures>,
    holdings: BTreeMap<(RecordId, &'a OrgId, &'a OrgId), &'a HoldingRow>,
    left: Vec<(&'a OrgId, i64)>,
    queued: Vec<(&'a OrgId, OutgoingColumns)>,
    entries: Vec<&'a EntryRow>,
    subtrees: Vec<&'a (u8, u64, Hash)>,
}

impl<'a> Writing<'a> {
    fn change(&mut self, change: &'a Change) -> StoreResult<()> {
        match change {
            Change::NewRecord(row, content) => self.records.push((row, content.as_ref())),
            Change::Record(row) if row.stage >= Stage::Released => {
                if self.signed.contains_key(&row.id) {
                    self.settle()?;
                }
                self.changed.insert(row.id, row);
            }
            Change::Signatures(id, signatures) => _ = self.signed.insert(*id, signatures),
            Change::Holding(row) => _ = self.holdings.insert((row.record, &row.holder, &row.via), row),
            Change::Requeue(peer, position, None) => self.left.push((peer, integer(*position)?)),
            Change::Queue(peer, what) => self.queued.push((peer, OutgoingColumns::write(what)?)),
            // In tables that nothing of what waits looks into.
            Change::Tombstone(..)
            | Change::Parcel(_)
            | Change::ParcelsDone(..)
            | Change::Peer(_)
            | Change::Statement(_)
            | Change::Member(_)
            | Change::Credential(_)
            | Change::RevokeCredential(_)
            | Change::RevokeCredentials(_)
            | Change::Serial(..)
            | Change::Recovery(_)
            | Change::HouseRules(_) => self.steps.push(statements::single(change)?),
            // A draft's id may change, and entries and copies find it by that; content and queues depend on what is there.
            Change::Record(_)
            | Change::Content(..)
            | Change::DiscardDraft(..)
            | Change::DestroyContent(_)
            | Change::Piece(_)
            | Change::Requeue(_, _, Some(_)) => {
                self.settle()?;
                self.steps.push(statements::single(change)?);
            }
        }
        Ok(())
    }

    /// Makes the statements of everything that waits.
    fn settle(&mut self) -> StoreResult<()> {
        let Self { steps, records, changed, signed, holdings, left, queued, entries, subtrees } = std::mem::take(self);
        self.steps = steps;
        let known = records.iter().map(|(row, _)| *row).chain(changed.values().copied()).filter_map(|row| row.signatures.as_ref());
        let distinct: BTreeMap<_, _> = known.chain(signed.values().copied()).map(|signatures| (statements::signing(signatures), signatures)).collect();
        let (mut signed, mut changes) = (signed, Vec::with_capacity(changed.len()));
        for (id, row) in changed {
            changes.push((row, signed.remove(&id).or(row.signatures.as_ref())));
        }
        let holdings: Vec<&HoldingRow> = holdings.into_values().collect();
        self.add(!distinct.is_empty(), || Ok(statements::keep_signatures(&distinct)))?;
        self.add(!records.is_empty(), || statements::new_records(&records))?;
        self.add(!changes.is_empty(), || Ok(statements::change_records(&changes)))?;
        self.add(!signed.is_empty(), || Ok(statements::sign(&signed)))?;
        self.add(!holdings.is_empty(), || statements::set_holdings(&holdings))?;
        self.add(!left.is_empty(), || Ok(statements::take_from_queues(&left)))?;
        self.add(!queued.is_empty(), || Ok(statements::queue(&queued)))?;
        self.add(!entries.is_empty(), || statements::add_entries(&entries))?;
        self.add(!subtrees.is_empty(), || statements::add_subtrees(&subtrees))
    }

    fn add(&mut self, any: bool, step: impl FnOnce() -> StoreResult<Step<'a>>) -> StoreResult<()> {
        if any {
            self.steps.push(step()?);
        }
        Ok(())
    }
}
