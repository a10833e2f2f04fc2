//! Attachments outside the store, between nodes at work: they go over, wait while their place is out of reach, and hold nothing
//! else up.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests say what they expect by failing")]

mod peers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use format::RecordId;
use format::attachment::PIECE;
use node::rows::ObjectName;
use node::vault::SeededEntropy;
use node::{Command, Outcome, Recipient};
use samverkan_http::handle::Trouble;
use testkit::federation::{beginning, report};
use testkit::shelf::Shelf;

use peers::{Running, pair};

const PIECES: u64 = 12;
const TAIL: usize = 12_345;

fn piece(index: u64) -> Vec<u8> {
    let length = if index + 1 == PIECES { TAIL } else { PIECE };
    vec![u8::try_from(index + 1).unwrap(); length]
}

/// Has a node keep its attachments on a shelf.
fn furnish(node: &Running, seed: u64) -> Shelf {
    let shelf = Shelf::default();
    shelf.set(beginning(), false);
    node.handle.keep_attachments_in(Arc::new(shelf.clone()), Box::new(SeededEntropy::new(seed, beginning())));
    shelf
}

/// Releases a report with a large attachment.
async fn release(from: &Running, to: &Running) -> RecordId {
    let input = Box::new(report("ctg", &[&to.org], "with an attachment"));
    let Outcome::Drafted { number, version } = from.act("anna", None, Command::Draft(input)).await.unwrap() else { panic!() };
    let draft = async || {
        let number = number.clone();
        from.handle.read(move |reader| reader.record_by_number(&number, Some(version)).unwrap().unwrap().id).await
    };
    for index in 0..PIECES {
        let command = Command::AttachPiece { number: number.clone(), version, index, bytes: piece(index), placed: None };
        from.act("anna", Some(draft().await), command).await.unwrap();
    }
    let size = (PIECES - 1) * PIECE as u64 + TAIL as u64;
    let end = Command::AttachEnd { number: number.clone(), version, name: "film.mp4".to_owned(), media_type: "video/mp4".to_owned(), size };
    from.act("anna", Some(draft().await), end).await.unwrap();
    let submitted = from.act("anna", Some(draft().await), Command::Submit { number: number.clone(), version }).await.unwrap();
    let Outcome::Record { record, .. } = submitted else { panic!() };
    from.act("rolf", Some(record), Command::Approve { record }).await.unwrap();
    from.act("rolf", Some(record), Command::Release { record }).await.unwrap();
    record
}

/// The objects that a node's pieces of a record are in, and how many pieces are there.
async fn kept(node: &Running, record: RecordId) -> (BTreeSet<ObjectName>, u64) {
    node.handle
        .read(move |reader| {
            let Some(row) = reader.record(&record).unwrap() else { return (BTreeSet::new(), 0) };
            let place = (row.number, row.version);
            let pieces: Vec<_> = (0..).map_while(|index| reader.piece(&place, 0, index).unwrap()).collect();
            (pieces.iter().filter_map(|piece| piece.object).collect(), pieces.len() as u64)
        })
        .await
}

async fn until_all_kept(node: &Running, record: RecordId) {
    let arrived = async {
        while kept(node, record).await.1 < PIECES {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), arrived).await.is_ok(), "{} pieces came", kept(node, record).await.1);
}

async fn reads_all(node: &Running, record: RecordId) {
    for index in 0..PIECES {
        let opened = node.act("lena", Some(record), Command::OpenPiece { record, attachment: 0, index }).await.unwrap();
        let Outcome::Piece(released) = opened else { panic!("{opened:?}") };
        assert!(released.hand_to(&Recipient::Member("lena".to_owned())).unwrap() == piece(index), "piece {index}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_attachment_goes_over_and_lies_in_objects_on_both_sides() {
    let (mut a, b) = pair().await;
    let (ours, theirs) = (furnish(&a, 1), furnish(&b, 2));
    let record = release(&a, &b).await;
    a.send_couriers();
    until_all_kept(&b, record).await;
    for (node, shelf) in [(&a, &ours), (&b, &theirs)] {
        let (objects, _) = kept(node, record).await;
        assert_eq!(objects.len() as u64, PIECES, "no piece is in the store, though parcels overtook the record's commit");
        assert_eq!(objects, shelf.names(), "and nothing else was left there");
        reads_all(node, record).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_side_may_keep_them_in_its_store() {
    let (mut a, b) = pair().await;
    let theirs = furnish(&b, 2);
    let record = release(&a, &b).await;
    a.send_couriers();
    until_all_kept(&b, record).await;
    assert_eq!(kept(&a, record).await.0.len(), 0);
    assert_eq!(theirs.names().len() as u64, PIECES);
    reads_all(&a, record).await;
    reads_all(&b, record).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_wait_for_their_place_and_everything_else_goes_on() {
    let (mut a, b) = pair().await;
    let (ours, theirs) = (furnish(&a, 1), furnish(&b, 2));
    let record = release(&a, &b).await;
    ours.set(beginning(), true);
    a.send_couriers();
    a.until_held(record, &b).await;
    let after = a.report(&b, "released while the place is away", 0).await;
    a.until_held(after, &b).await;
    assert_eq!(kept(&b, record).await.1, 0);
    assert_eq!(a.handle.troubles().await, [Trouble::AttachmentsAway]);
    let refused = a.act("lena", Some(record), Command::OpenPiece { record, attachment: 0, index: 0 }).await.unwrap_err();
    assert!(refused.to_string().contains("cannot be used"), "{refused}");

    // Ours is back, and now theirs is away: what was on its way goes again until it can be taken in.
    theirs.set(beginning(), true);
    ours.set(beginning(), false);
    assert_eq!(a.handle.troubles().await, [], "the place is tried when somebody looks");
    a.until_health(&b.org, |health| health.last_error.as_ref().is_some_and(|error| error.contains("503"))).await;
    assert_eq!(b.handle.troubles().await, [Trouble::AttachmentsAway]);
    theirs.set(beginning(), false);
    until_all_kept(&b, record).await;
    assert_eq!(b.handle.troubles().await, []);
    reads_all(&b, record).await;
    assert_eq!(kept(&b, record).await.0.len() as u64, PIECES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_needs_is_removed() {
    let (mut a, b) = pair().await;
    let (ours, theirs) = (furnish(&a, 1), furnish(&b, 2));
    let record = release(&a, &b).await;
    a.send_couriers();
    until_all_kept(&b, record).await;
    let number = a.handle.read(move |reader| reader.record(&record).unwrap().unwrap().number).await;
    a.act("rolf", None, Command::Recall { number, reason: "wrong".to_owned() }).await.unwrap();
    let gone = async {
        while b.has_content(record).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    assert_eq!(b.handle.remove_old_objects().await.unwrap(), 0, "they are too young");
    theirs.set(beginning().plus_ms(3_700_000), false);
    assert_eq!(b.handle.remove_old_objects().await.unwrap(), PIECES);
    assert_eq!(theirs.names(), BTreeSet::new());
    ours.set(beginning().plus_ms(3_700_000), false);
    assert_eq!(a.handle.remove_old_objects().await.unwrap(), 0, "the originator keeps what it recalled");
    reads_all(&a, record).await;
}
