//! When what was written counts, and when it does not.

use format::{RecordId, Timestamp};
use node::ports::{Reader, StoreError};
use node::rows::{Batch, Change, Outgoing};

use super::acts::{Desk, entry};
use super::rows::{content, id, new, org, record, replaced};
use crate::Place;

/// All that a store says about the ledger and the records `0..n`.
fn picture(store: &dyn Reader, n: u64) -> (u64, Option<Timestamp>, Vec<bool>, u64) {
    let opening = store.opening().unwrap();
    let held = (0..n).map(|n| store.record(&record(n).id).unwrap().is_some()).collect();
    (opening.ledger_size, opening.last_entry, held, store.outgoing_count(&org("no-pst")).unwrap())
}

fn keep(desk: &mut Desk, n: u64) -> RecordId {
    let row = record(n);
    desk.act_about(row.id, vec![new(&row, Some(content(n))), Change::Queue(org("no-pst"), Outgoing::Record(row.id))]);
    row.id
}

/// A batch whose last change cannot be carried out.
fn failing(desk: &Desk, n: u64) -> Batch {
    let row = record(n);
    let nowhere = Change::Requeue(org("no-pst"), 4711, None);
    desk.batch(&[Some(row.id)], vec![new(&row, Some(content(n))), Change::Serial(2026, 99), nowhere]).0
}

pub(crate) fn writes_are_read_before_they_are_committed(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let first = keep(&mut desk, 0);
    assert_eq!(desk.read().record(&first).unwrap().unwrap(), record(0));
    keep(&mut desk, 1);
    assert_eq!(picture(desk.read(), 3), (2, Some(entry(1, None).at), vec![true, true, false], 2));
    desk.commit();
    assert_eq!(picture(desk.read(), 3), (2, Some(entry(1, None).at), vec![true, true, false], 2));
    desk.commit();
}

pub(crate) fn a_failed_batch_leaves_nothing(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    // As the first of a transaction.
    let first = failing(&desk, 0);
    desk.is_refused(&first);
    assert_eq!(picture(desk.read(), 2).0, 0);

    keep(&mut desk, 0);
    desk.commit();
    let before = picture(desk.read(), 2);
    // An entry out of its place, a number twice, and a number too large are no better.
    let mut gap = desk.batch(&[None], Vec::new()).0;
    gap.entries[0].index += 1;
    let twice = desk.batch(&[None], vec![new(&record(0), None)]).0;
    let large = desk.batch(&[None], vec![Change::Serial(2026, u64::MAX)]).0;
    for bad in [failing(&desk, 1), gap, twice, large] {
        desk.is_refused(&bad);
        assert_eq!(picture(desk.read(), 2), before);
        assert!(desk.read().opening().unwrap().serials.is_empty());
    }
}

pub(crate) fn a_failed_batch_takes_its_commit_with_it(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    keep(&mut desk, 0);
    desk.commit();
    let before = picture(desk.read(), 3);
    let (batch, frontier) = desk.batch(&[None], vec![new(&record(1), None)]);
    desk.append(&batch, frontier);
    let told = desk.store.append(&failing(&desk, 2)).and_then(|()| desk.store.commit());
    assert!(matches!(told, Err(StoreError::Failed(_))), "{told:?}");
    desk.store.rollback().unwrap();
    assert_eq!(picture(desk.read(), 3), before);
}

pub(crate) fn another_state_is_a_conflict(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    keep(&mut desk, 0);
    let other = |expected| Batch { expected, changes: vec![Change::Serial(2026, 1)], ..Batch::default() };
    for wrong in [0, 2, u64::MAX] {
        let refused = desk.store.append(&other(wrong));
        assert!(matches!(refused, Err(StoreError::Conflict { expected, actual: 1 }) if expected == wrong), "{refused:?}");
    }
    // The transaction is as it was.
    keep(&mut desk, 1);
    desk.commit();
    assert!(desk.read().opening().unwrap().serials.is_empty());
    assert_eq!(picture(desk.read(), 2).2, [true, true]);
    // A batch without entries is decided on a size too.
    desk.store.append(&other(2)).unwrap();
    assert!(matches!(desk.store.append(&other(1)), Err(StoreError::Conflict { expected: 1, actual: 2 })));
    desk.commit();
    assert_eq!(desk.read().opening().unwrap().serials[&2026], 1);
}

pub(crate) fn a_rollback_forgets(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    desk.store.rollback().unwrap();
    keep(&mut desk, 0);
    desk.commit();
    let before = picture(desk.read(), 2);
    let frozen = desk.batch(&[None], Vec::new());
    keep(&mut desk, 1);
    let mut flagged = record(0);
    flagged.flagged = true;
    desk.act(vec![replaced(&flagged), Change::DestroyContent(flagged.id)]);
    desk.store.rollback().unwrap();
    assert_eq!(picture(desk.read(), 2), before);
    assert_eq!(desk.read().record(&flagged.id).unwrap().unwrap(), record(0));
    assert_eq!(desk.read().content(&flagged.id).unwrap().unwrap(), content(0));
    assert!(desk.read().content(&id(1)).unwrap().is_none());
    // The size is that of the last commit again.
    desk.store.append(&frozen.0).unwrap();
    desk.commit();
    assert_eq!(desk.read().opening().unwrap().ledger_size, 2);
}

pub(crate) fn what_was_committed_is_there_again(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    for n in 0..100 {
        keep(&mut desk, n);
        if n % 7 == 6 {
            desk.commit();
        }
    }
    desk.commit();
    let before = picture(desk.read(), 100);
    drop(desk);
    let store = place.open();
    assert_eq!(picture(&*store, 100), before);
    assert_eq!(store.record(&record(42).id).unwrap().unwrap(), record(42));
    assert_eq!(store.content(&record(42).id).unwrap().unwrap(), content(42));
    assert_eq!(store.subtree(4, 5).unwrap().len(), 32);
}

pub(crate) fn a_crash_loses_exactly_what_was_not_committed(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    keep(&mut desk, 0);
    keep(&mut desk, 1);
    desk.commit();
    let committed = picture(desk.read(), 4);
    let size = desk.size();
    keep(&mut desk, 2);
    keep(&mut desk, 3);
    assert_ne!(picture(desk.read(), 4), committed);
    drop(desk);

    let mut store = place.open();
    assert_eq!(picture(&*store, 4), committed);
    let lost = Batch { expected: size + 2, ..Batch::default() };
    assert!(matches!(store.append(&lost), Err(StoreError::Conflict { actual, .. }) if actual == size));
}

pub(crate) fn a_rollback_is_not_undone_by_a_commit(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    keep(&mut desk, 0);
    desk.commit();
    let committed = picture(desk.read(), 2);
    keep(&mut desk, 1);
    desk.store.rollback().unwrap();
    desk.store.commit().unwrap();
    assert_eq!(picture(desk.read(), 2), committed);
    drop(desk);
    assert_eq!(picture(&*place.open(), 2), committed);
}
