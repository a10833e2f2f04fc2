//! Each change, and what can be read after it.

use std::collections::{BTreeMap, BTreeSet};

use format::parcel::{ItemKind, ItemRef};
use format::record::Kind;
use format::{RecordId, Timestamp};
use node::ports::RecordQuery;
use node::rows::{
    Change, Condition, HoldingState, ObjectName, Outgoing, OutgoingRow, ParcelItem, ParcelRow, PeerRow, PieceRow, RecordRow, RecoveryRow, SeenCheckpoint,
    Stage, StatementKind, Suspicion,
};
use policy::access::Role;

use super::acts::Desk;
use super::rows::{
    attachment, bytes, content, credential, digest, draft, header, holding, id, member, new, number, org, piece, record, replaced, rewrite, signatures,
    statement, time,
};
use crate::Place;

pub(crate) fn an_empty_store_is_empty(place: &dyn Place) {
    let store = place.open();
    let opening = store.opening().unwrap();
    assert!(opening.peers.is_empty() && opening.serials.is_empty() && store.directory(0, 9).unwrap().is_empty());
    assert_eq!((opening.ledger_size, opening.last_entry, opening.house_rules.as_str()), (0, None, ""));
    assert_eq!(store.record(&id(1)).unwrap(), None);
    assert_eq!(store.record_by_number(&number(1), None).unwrap(), None);
    assert_eq!(store.records(&RecordQuery { limit: 10, ..RecordQuery::default() }).unwrap(), []);
    assert_eq!(store.tombstone(&id(1)).unwrap(), None);
    assert_eq!(store.content(&id(1)).unwrap(), None);
    assert_eq!(store.piece(&(number(1), 1), 0, 0).unwrap(), None);
    assert_eq!(store.piece_leaves(&(number(1), 1), 0).unwrap(), BTreeMap::new());
    assert_eq!(store.holdings(&id(1)).unwrap(), []);
    assert_eq!(store.outgoing(&org("no-pst"), 10).unwrap(), []);
    assert_eq!(store.parcel(&org("no-pst"), 1).unwrap(), None);
    assert_eq!(store.statement(StatementKind::Card, &digest(1)).unwrap(), None);
    assert_eq!(store.statements_about(StatementKind::Card, &digest(1)).unwrap(), []);
    assert_eq!(store.due(time(1), 10).unwrap(), []);
    assert_eq!(store.entries(0, 10).unwrap(), []);
    assert_eq!(store.member("anna").unwrap(), None);
    assert_eq!(store.members().unwrap(), []);
    assert_eq!(store.credential(&digest(1)).unwrap(), None);
    assert_eq!(store.credentials("anna").unwrap(), []);
    let counts = store.counts().unwrap();
    assert_eq!((counts.records, counts.entries, counts.outgoing, counts.parcels), (0, 0, 0, 0));
}

pub(crate) fn records_come_back(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let stages = [Stage::Draft, Stage::Submitted, Stage::Approved, Stage::Released, Stage::Received];
    let conditions = [Condition::Current, Condition::Superseded, Condition::Recalled, Condition::Expired, Condition::Removed];
    let rows: Vec<RecordRow> = Kind::ALL
        .into_iter()
        .zip(0..)
        .map(|(kind, n)| RecordRow {
            kind,
            stage: stages[usize::try_from(n).unwrap() % 5],
            condition: conditions[usize::try_from(n).unwrap() % 5],
            ..record(n)
        })
        .chain([
            RecordRow { submitted_by: Some("bo".to_owned()), approved_by: Some(String::new()), sent_back: true, ..draft(10) },
            RecordRow { flagged: true, grant: Some(id(3)), version: u32::MAX, header: record(11).header, ..record(11) },
        ])
        .collect();
    for (n, row) in (0..).zip(&rows) {
        desk.act_about(row.id, vec![new(row, (n % 2 == 0).then(|| content(n)))]);
    }
    desk.commit();
    for (n, row) in (0..).zip(&rows) {
        assert_eq!(desk.read().record(&row.id).unwrap().as_ref(), Some(row));
        assert_eq!(desk.read().record_by_number(&row.number, Some(row.version)).unwrap().as_ref(), Some(row));
        assert_eq!(desk.read().content(&row.id).unwrap(), (n % 2 == 0).then(|| content(n)));
    }
    assert_eq!(desk.read().record(&id(4711)).unwrap(), None);
    // One id, and one number and version of one originator, are there once.
    desk.fails(vec![new(&RecordRow { number: number(99), ..record(1) }, None)]);
    let mut other = record(1);
    rewrite(&mut other, header(98, ""));
    desk.fails(vec![new(&other, None)]);
}

pub(crate) fn a_replaced_record_keeps_its_content(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let mut row = RecordRow { stage: Stage::Submitted, ..draft(1) };
    desk.act_about(row.id, vec![new(&row, Some(content(1))), Change::Piece(piece(&row, 0, 0, 100))]);
    row.stage = Stage::Released;
    row.condition = Condition::Superseded;
    row.signatures = Some(signatures(5));
    row.submitted_by = Some("anna".to_owned());
    row.approved_by = Some("bo".to_owned());
    row.sent_back = true;
    row.flagged = true;
    row.from = Some(org("dk-pet"));
    row.grant = Some(id(9));
    row.arrived = time(99);
    desk.act_about(row.id, vec![replaced(&row)]);
    desk.commit();
    assert_eq!(desk.read().record(&row.id).unwrap().unwrap(), row);
    assert_eq!(desk.read().content(&row.id).unwrap().unwrap(), content(1));
    assert!(desk.read().piece(&(number(1), 1), 0, 0).unwrap().is_some());
    // And back again, as far as that is sensible.
    row = RecordRow { submitted_by: None, approved_by: None, from: None, grant: None, signatures: None, ..row };
    desk.act_about(row.id, vec![replaced(&row)]);
    assert_eq!(desk.read().record(&row.id).unwrap().unwrap(), row);

    desk.fails(vec![replaced(&RecordRow { version: 2, ..row.clone() })]);
    desk.fails(vec![replaced(&RecordRow { originator: org("dk-pet"), ..row.clone() })]);
    desk.fails(vec![replaced(&record(2))]);
}

pub(crate) fn a_draft_is_found_under_its_new_id(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let mut row = draft(1);
    let first = row.id;
    let pieces = [piece(&row, 0, 0, 100), piece(&row, 0, 1, 100)];
    desk.act_about(first, vec![new(&row, Some(content(1)))]);
    desk.act_about(first, pieces.clone().map(Change::Piece).into());

    rewrite(&mut row, header(2, &format!(r#","links":[{{"relation":"answers","to":"{}"}}]"#, id(8))));
    row.kind = Kind::Alert;
    row.agreement = "twg".parse().unwrap();
    row.created = time(50);
    row.retain_until = time(60);
    // The header alone, then the content under the new id, in one act.
    desk.act_about(row.id, vec![replaced(&row), Change::Content(row.id, content(2))]);
    assert_eq!(desk.read().record(&first).unwrap(), None);
    assert_eq!(desk.read().content(&first).unwrap(), None);
    assert_eq!(desk.read().record(&row.id).unwrap().unwrap(), row);
    assert_eq!(desk.read().content(&row.id).unwrap().unwrap(), content(2));
    assert_eq!(desk.read().piece(&(number(1), 1), 0, 1).unwrap().as_ref(), Some(&pieces[1]));
    assert_eq!(desk.read().linking_to(&id(8)).unwrap(), [row.clone()]);
    assert_eq!(desk.read().due(time(60), 9).unwrap(), [row.id]);
    assert_eq!(desk.read().records(&RecordQuery { kind: Some(Kind::Alert), limit: 9, ..RecordQuery::default() }).unwrap().len(), 1);
    // What the ledger told of the draft is about the record that it became; each entry names the id of its time.
    let told: Vec<_> = desk.read().entries_about(&row.id).unwrap().iter().map(|entry| (entry.index, entry.record)).collect();
    assert_eq!(told, [(0, Some(first)), (1, Some(first)), (2, Some(row.id))]);

    // Content that came later than its draft, and content of another size.
    let bare = draft(3);
    desk.act(vec![new(&bare, None)]);
    desk.act(vec![Change::Content(bare.id, content(3))]);
    let mut longer = content(4);
    longer.ciphertext = bytes(4, 50_000);
    desk.act(vec![Change::Content(row.id, longer.clone())]);
    desk.commit();
    assert_eq!(desk.read().content(&bare.id).unwrap().unwrap(), content(3));
    assert_eq!(desk.read().content(&row.id).unwrap().unwrap(), longer);
    desk.fails(vec![Change::Content(first, content(1))]);

    // A link that is edited away is gone, and within one act an old id is gone as soon as there is a new one.
    let old = row.id;
    rewrite(&mut row, header(5, ""));
    desk.act(vec![replaced(&row)]);
    assert_eq!(desk.read().linking_to(&id(8)).unwrap(), []);
    let (before, named) = (row.id, content(6));
    rewrite(&mut row, header(6, ""));
    let stale = vec![Change::Content(before, named.clone()), replaced(&row), Change::Content(before, named)];
    desk.fails(stale);
    assert_eq!(desk.read().record(&old).unwrap(), None);
}

pub(crate) fn a_discarded_draft_leaves_its_entries(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let mut row = draft(1);
    rewrite(&mut row, header(1, &format!(r#","links":[{{"relation":"answers","to":"{}"}}]"#, id(8))));
    let released = RecordRow { stage: Stage::Released, ..draft(2) };
    desk.act_about(row.id, vec![new(&row, Some(content(1))), Change::Piece(piece(&row, 0, 0, 100))]);
    desk.act_about(released.id, vec![new(&released, Some(content(2)))]);
    desk.act_about(row.id, vec![Change::DiscardDraft(number(1), 1)]);
    assert_eq!(desk.read().record(&row.id).unwrap(), None);
    assert_eq!(desk.read().content(&row.id).unwrap(), None);
    assert_eq!(desk.read().piece(&(number(1), 1), 0, 0).unwrap(), None);
    assert_eq!(desk.read().linking_to(&id(8)).unwrap(), []);
    assert_eq!(desk.read().due(time(99_999_999), 9).unwrap(), [released.id]);
    assert_eq!(desk.read().entries_about(&row.id).unwrap().len(), 2);
    for (n, version) in [(1, 1), (2, 1), (2, 2), (3, 1)] {
        desk.fails(vec![Change::DiscardDraft(number(n), version)]);
    }
    // The number can be taken up again; nothing of the old draft comes with it.
    let again = draft(1);
    desk.act_about(again.id, vec![new(&again, None)]);
    desk.commit();
    assert_eq!(desk.read().record(&again.id).unwrap().unwrap(), again);
    assert_eq!(desk.read().piece_leaves(&(number(1), 1), 0).unwrap(), BTreeMap::new());
    assert_eq!(desk.read().entries_about(&again.id).unwrap().len(), 1);
    assert_eq!(desk.read().entries_about(&row.id).unwrap().len(), 2);
}

pub(crate) fn destroyed_content_is_gone(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let (row, other) = (record(1), record(2));
    desk.act_about(row.id, vec![new(&row, Some(content(1))), Change::Piece(piece(&row, 0, 0, 100)), Change::Piece(piece(&row, 3, 1, 100))]);
    desk.act_about(other.id, vec![new(&other, Some(content(2))), Change::Piece(piece(&other, 0, 0, 100))]);
    desk.act_about(row.id, vec![Change::DestroyContent(row.id)]);
    for _ in 0..2 {
        assert_eq!(desk.read().content(&row.id).unwrap(), None);
        assert_eq!(desk.read().piece(&(number(1), 1), 0, 0).unwrap(), None);
        assert_eq!(desk.read().piece_leaves(&(number(1), 1), 3).unwrap(), BTreeMap::new());
        assert_eq!(desk.read().record(&row.id).unwrap().unwrap(), row);
        assert_eq!(desk.read().content(&other.id).unwrap().unwrap(), content(2));
        assert!(desk.read().piece(&(number(2), 1), 0, 0).unwrap().is_some());
        // Twice is as good as once.
        desk.act_about(row.id, vec![Change::DestroyContent(row.id)]);
        desk.commit();
    }
    desk.fails(vec![Change::DestroyContent(id(4711))]);
    // A piece that comes too late would stay for ever.
    desk.fails(vec![Change::Piece(piece(&row, 0, 0, 100))]);
}

pub(crate) fn pieces_come_back(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let row = draft(1);
    desk.act_about(row.id, vec![new(&row, Some(content(1)))]);
    let pieces = [piece(&row, 0, 2, 10), piece(&row, 0, 0, 1024 * 1024 + 16), piece(&row, 1, 0, 0)];
    desk.act(pieces.clone().map(Change::Piece).into());
    desk.commit();
    let key = (number(1), 1);
    for piece in &pieces {
        assert_eq!(desk.read().piece(&key, piece.attachment, piece.index).unwrap().as_ref(), Some(piece));
    }
    assert_eq!(desk.read().piece(&key, 0, 1).unwrap(), None);
    assert_eq!(desk.read().piece(&(number(1), 2), 0, 0).unwrap(), None);
    assert_eq!(desk.read().piece_leaves(&key, 0).unwrap(), BTreeMap::from([(0, pieces[1].leaf), (2, pieces[0].leaf)]));
    // The same piece again takes the place of the first.
    let mut again = piece(&row, 0, 2, 20);
    again.leaf = [9; 32];
    desk.act(vec![Change::Piece(again.clone())]);
    assert_eq!(desk.read().piece(&key, 0, 2).unwrap().unwrap(), again);
    assert_eq!(desk.read().piece_leaves(&key, 0).unwrap().len(), 2);
    desk.fails(vec![Change::Piece(piece(&record(2), 0, 0, 10))]);
}

pub(crate) fn objects_are_known_by_name(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let (row, other) = (record(1), draft(2));
    let object = |n: u8| ObjectName([n; 16]);
    let within = |record: &RecordRow, index: u64, n: u8| PieceRow { object: Some(object(n)), ..piece(record, 0, index, 60) };
    let asked = [object(1), object(2), object(3), object(4)];
    assert!(!desk.read().opening().unwrap().objects);
    assert_eq!(desk.read().objects_in_use(&asked).unwrap(), BTreeSet::new());
    desk.act_about(row.id, vec![new(&row, Some(content(1))), Change::Piece(piece(&row, 0, 0, 60))]);
    assert!(!desk.read().opening().unwrap().objects, "a piece in the store is none");
    desk.act_about(row.id, vec![Change::Piece(within(&row, 1, 1)), Change::Piece(within(&row, 2, 2))]);
    desk.act_about(other.id, vec![new(&other, Some(content(2))), Change::Piece(within(&other, 0, 3))]);
    desk.commit();
    assert!(desk.read().opening().unwrap().objects);
    assert_eq!(desk.read().objects_in_use(&asked).unwrap(), asked[..3].iter().copied().collect());
    assert_eq!(desk.read().objects_in_use(&[]).unwrap(), BTreeSet::new());
    assert_eq!(desk.read().piece(&(number(1), 1), 0, 2).unwrap().unwrap(), within(&row, 2, 2));
    // Sent again, it is in another object, or in the store.
    desk.act(vec![Change::Piece(within(&row, 1, 4)), Change::Piece(piece(&row, 0, 2, 60))]);
    assert_eq!(desk.read().objects_in_use(&asked).unwrap(), [object(3), object(4)].into());
    // What is destroyed or given up needs none.
    desk.act_about(row.id, vec![Change::DestroyContent(row.id)]);
    desk.act_about(other.id, vec![Change::DiscardDraft(number(2), 1)]);
    desk.commit();
    assert_eq!(desk.read().objects_in_use(&asked).unwrap(), BTreeSet::new());
    assert!(!desk.read().opening().unwrap().objects);
}

pub(crate) fn the_first_tombstone_stands(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    desk.act_about(id(1), vec![Change::Tombstone(id(1), org("no-pst"))]);
    desk.act_about(id(1), vec![Change::Tombstone(id(1), org("dk-pet"))]);
    assert_eq!(desk.read().tombstone(&id(1)).unwrap(), Some(org("no-pst")));
    assert_eq!(desk.read().tombstone(&id(2)).unwrap(), None);
}

pub(crate) fn copies_are_kept_by_holder_and_way(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let (row, other) = (record(1), record(2));
    desk.act(vec![new(&row, None), new(&other, None)]);
    let states = [HoldingState::Queued, HoldingState::Sent, HoldingState::Held, HoldingState::Refused, HoldingState::HeldBack, HoldingState::Removed];
    let holders = ["uk-mi5", "dk-pet", "no-pst", "fi-supo", "de-bfv", "ee-kapo"];
    let mut copies: Vec<_> = states.into_iter().zip(holders).map(|(state, holder)| holding(row.id, holder, "se-sapo", state)).collect();
    copies[1].sequence = Some(u64::MAX >> 1);
    copies[2].evidence = Some(digest(3));
    copies[3].reasons = ["recalled", "not-in-force", "å\"\\"].map(str::to_owned).into();
    // One holder by another way as well.
    copies.push(holding(row.id, "dk-pet", "no-pst", HoldingState::Sent));
    desk.act_about(row.id, copies.iter().cloned().map(Change::Holding).collect());
    desk.act_about(other.id, vec![Change::Holding(holding(other.id, "no-pst", "se-sapo", HoldingState::Sent))]);
    copies.sort_by_key(|copy| (copy.holder.clone(), copy.via.clone()));
    assert_eq!(desk.read().holdings(&row.id).unwrap(), copies);

    let mut changed = copies[4].clone();
    changed.state = HoldingState::Removed;
    changed.sequence = None;
    changed.evidence = Some(digest(4));
    changed.reasons = BTreeSet::new();
    changed.since = time(99);
    copies[4] = changed.clone();
    desk.act_about(row.id, vec![Change::Holding(changed)]);
    desk.commit();
    assert_eq!(desk.read().holdings(&row.id).unwrap(), copies);
    assert_eq!(desk.read().holdings(&other.id).unwrap().len(), 1);
    assert_eq!(desk.read().holdings(&id(3)).unwrap(), []);
    desk.fails(vec![Change::Holding(holding(id(3), "no-pst", "se-sapo", HoldingState::Sent))]);
}

pub(crate) fn queues_keep_their_order(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let (pst, pet) = (org("no-pst"), org("dk-pet"));
    let kinds = [ItemKind::Record, ItemKind::Piece, ItemKind::Agreement, ItemKind::Withdrawal, ItemKind::Notice, ItemKind::Returned];
    let mut waiting = vec![Outgoing::Record(id(1)), attachment(1, 0)];
    waiting.push(Outgoing::Returned(RecordId(digest(9))));
    waiting.extend(kinds.into_iter().zip(0..).map(|(kind, n)| Outgoing::Statement(kind, digest(n))));
    for what in &waiting {
        desk.act(vec![Change::Queue(pst.clone(), what.clone()), Change::Queue(pet.clone(), Outgoing::Record(id(2)))]);
    }
    let queue = |desk: &Desk| desk.read().outgoing(&pst, 100).unwrap();
    let content = |rows: &[OutgoingRow]| rows.iter().map(|row| row.what.clone()).collect::<Vec<_>>();
    let rows = queue(&desk);
    assert_eq!(content(&rows), waiting);
    assert!(rows.windows(2).all(|two| two[0].position < two[1].position));
    assert_eq!(desk.read().outgoing(&pst, 3).unwrap(), rows[..3]);
    assert_eq!(desk.read().outgoing(&pst, 0).unwrap(), []);
    assert_eq!(desk.read().outgoing_count(&pst).unwrap(), 9);

    // A row that is replaced keeps its place; one that is removed leaves the others where they are.
    desk.act(vec![Change::Requeue(pst.clone(), rows[1].position, Some(attachment(1, 17))), Change::Requeue(pst.clone(), rows[0].position, None)]);
    waiting.remove(0);
    waiting[0] = attachment(1, 17);
    desk.act(vec![Change::Queue(pst.clone(), Outgoing::Record(id(9)))]);
    waiting.push(Outgoing::Record(id(9)));
    desk.commit();
    assert_eq!(content(&queue(&desk)), waiting);
    assert_eq!(queue(&desk)[0].position, rows[1].position);
    assert_eq!(desk.read().outgoing_count(&pet).unwrap(), 9);
    assert_eq!(desk.read().counts().unwrap().outgoing, 18);

    desk.fails(vec![Change::Requeue(pst.clone(), rows[0].position, None)]);
    desk.fails(vec![Change::Requeue(org("fi-supo"), rows[1].position, None)]);
    desk.fails(vec![Change::Requeue(pst.clone(), 4711, Some(Outgoing::Record(id(1))))]);
    desk.act(queue(&desk).iter().map(|row| Change::Requeue(pst.clone(), row.position, None)).collect());
    assert_eq!(desk.read().outgoing_count(&pst).unwrap(), 0);
}

pub(crate) fn parcels_stay_until_they_have_receipts(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let item = |kind, n, what| ParcelItem { named: ItemRef { kind, digest: digest(n) }, what };
    let items = vec![
        item(ItemKind::Record, 1, Outgoing::Record(id(2))),
        item(ItemKind::Piece, 3, attachment(2, u64::MAX >> 1)),
        item(ItemKind::Withdrawal, 4, Outgoing::Statement(ItemKind::Withdrawal, digest(5))),
    ];
    let parcel = |peer: &str, sequence, items: &[ParcelItem]| ParcelRow {
        peer: org(peer),
        sequence,
        header: bytes(sequence, 5000),
        digest: digest(sequence),
        items: items.to_vec(),
    };
    let rows = [parcel("no-pst", 1, &items), parcel("no-pst", 2, &items[1..]), parcel("no-pst", 3, &[]), parcel("dk-pet", 1, &items)];
    for row in &rows {
        desk.act(vec![Change::Parcel(row.clone())]);
    }
    let kept = |desk: &Desk| rows.iter().filter(|row| desk.read().parcel(&row.peer, row.sequence).unwrap().as_ref() == Some(row)).count();
    assert_eq!(kept(&desk), 4);
    // A second parcel with the same number would be a fork of this node's own making.
    desk.fails(vec![Change::Parcel(parcel("no-pst", 2, &items))]);
    desk.act(vec![Change::ParcelsDone(org("no-pst"), 2)]);
    desk.commit();
    assert_eq!(kept(&desk), 2);
    assert_eq!(desk.read().parcel(&org("no-pst"), 2).unwrap(), None);
    assert_eq!(desk.read().counts().unwrap().parcels, 2);
    desk.act(vec![Change::ParcelsDone(org("no-pst"), 2)]);
    assert_eq!(kept(&desk), 2);
}

pub(crate) fn peers_are_replaced(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let seen = |n| Some(SeenCheckpoint { size: n, root: *digest(n).as_bytes(), note: format!("no-pst/ledger\n{n}\n") });
    let suspicions =
        [Some(Suspicion::Fork), Some(Suspicion::RolledBack), Some(Suspicion::SplitLedger), Some(Suspicion::Restored), Some(Suspicion::Revoked), None];
    let mut rows: Vec<PeerRow> = ["uk-mi5", "dk-pet", "no-pst", "fi-supo", "de-bka"]
        .iter()
        .zip(suspicions)
        .zip(1..)
        .map(|((peer, suspicion), n)| PeerRow {
            sent: n,
            sent_digest: digest(n),
            acknowledged: n + 1,
            shown_size: n + 2,
            receipted_size: n + 3,
            received: n + 4,
            received_digest: digest(n + 5),
            checkpoint: if n % 2 == 0 { seen(n) } else { None },
            receipt_checkpoint: if n > 2 { seen(n + 7) } else { None },
            suspicion,
            era: (n > 2).then(|| Timestamp::from_ms(1_000_000 + i64::try_from(n).unwrap())),
            ..PeerRow::new(org(peer))
        })
        .collect();
    desk.act(rows.iter().cloned().map(Change::Peer).collect());
    rows[1] = PeerRow::new(org("dk-pet"));
    desk.act(vec![Change::Peer(rows[1].clone())]);
    desk.commit();
    rows.sort_by_key(|row| row.org.clone());
    assert_eq!(desk.read().opening().unwrap().peers, rows);
}

pub(crate) fn the_first_statement_stands(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let kinds = [
        StatementKind::Fault,
        StatementKind::Notice,
        StatementKind::ReceiptOut,
        StatementKind::ReceiptIn,
        StatementKind::Withdrawal,
        StatementKind::Card,
        StatementKind::Agreement,
        StatementKind::Card,
    ];
    let rows: Vec<_> = kinds.into_iter().zip(1..).map(|(kind, n)| statement(kind, n, (n % 3 != 0).then_some(n % 2))).collect();
    for row in &rows {
        desk.act(vec![Change::Statement(row.clone())]);
    }
    // The same key again changes nothing; under another kind it is another statement.
    let mut again = rows[5].clone();
    again.bytes = bytes(99, 10);
    desk.act(vec![Change::Statement(again.clone())]);
    again.kind = StatementKind::Notice;
    desk.act(vec![Change::Statement(again.clone())]);
    desk.commit();
    for row in rows.iter().chain([&again]) {
        assert_eq!(desk.read().statement(row.kind, &row.key).unwrap().as_ref(), Some(row));
    }
    assert_eq!(desk.read().statement(StatementKind::Card, &digest(1)).unwrap(), None);
    let more = [statement(StatementKind::ReceiptIn, 20, Some(0)), statement(StatementKind::ReceiptIn, 10, Some(0))];
    desk.act(more.clone().map(Change::Statement).into());
    let about = desk.read().statements_about(StatementKind::ReceiptIn, &digest(0)).unwrap();
    assert_eq!(about, [rows[3].clone(), more[0].clone(), more[1].clone()]);
    assert_eq!(desk.read().statements_about(StatementKind::Fault, &digest(0)).unwrap(), []);
    // What is loaded at the start, in the order in which it was kept.
    let directory = |after, limit| desk.read().directory(after, limit).unwrap();
    let all = directory(0, 99);
    assert_eq!(all.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>(), rows[4..]);
    assert_eq!(directory(all[0].0, 1), all[1..2]);
    assert_eq!(directory(all[all.len() - 1].0, 99), []);
    assert_eq!(node::ports::directory(desk.read()).map(Result::unwrap).collect::<Vec<_>>(), rows[4..]);
}

pub(crate) fn members_and_credentials_come_back(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let mut anna = member("anna");
    anna.roles = [Role::Analyst, Role::Liaison, Role::ReleaseOfficer, Role::TipDesk, Role::Secretary, Role::Auditor, Role::Administrator].into_iter().collect();
    let (bo, cia) = (member("bo.b"), member("cia-1"));
    desk.act(vec![Change::Member(cia.clone()), Change::Member(anna.clone()), Change::Member(bo.clone())]);
    assert_eq!(desk.read().members().unwrap(), [anna.clone(), bo.clone(), cia.clone()]);
    anna.roles = [Role::Auditor].into();
    anna.active = false;
    anna.name = "Anna \u{202e}".to_owned();
    anna.password = String::new();
    desk.act(vec![Change::Member(anna.clone())]);
    assert_eq!(desk.read().member("anna").unwrap(), Some(anna));
    assert_eq!(desk.read().member("Anna").unwrap(), None);

    let mut token = credential(2, "bo.b");
    token.label = "import".to_owned();
    let rows = [credential(1, "bo.b"), token, credential(3, "bo.b"), credential(4, "cia-1")];
    desk.act(rows.clone().map(Change::Credential).into());
    desk.commit();
    for row in &rows {
        assert_eq!(desk.read().credential(&row.hash).unwrap().as_ref(), Some(row));
    }
    let [first, second, third, last] = rows;
    assert_eq!(desk.read().credentials("bo.b").unwrap(), [third.clone(), second, first.clone()]);
    desk.act(vec![Change::RevokeCredential(digest(2)), Change::RevokeCredential(digest(2))]);
    assert_eq!(desk.read().credentials("bo.b").unwrap(), [third, first]);
    desk.act(vec![Change::RevokeCredentials("bo.b".to_owned())]);
    assert_eq!(desk.read().credentials("bo.b").unwrap(), []);
    assert_eq!(desk.read().credential(&digest(1)).unwrap(), None);
    assert_eq!(desk.read().credentials("cia-1").unwrap(), std::slice::from_ref(&last));
    desk.fails(vec![Change::Credential(last)]);
}

pub(crate) fn serials_and_house_rules_come_back(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let rules = |desk: &Desk| desk.read().opening().unwrap().house_rules;
    desk.act(vec![Change::Serial(2026, 1), Change::Serial(-1, 2), Change::HouseRules("forbid (principal, action, resource);".to_owned())]);
    desk.act(vec![Change::Serial(2026, u64::MAX >> 1), Change::Serial(i16::MAX, 3)]);
    desk.commit();
    assert_eq!(desk.read().opening().unwrap().serials, BTreeMap::from([(-1, 2), (2026, u64::MAX >> 1), (i16::MAX, 3)]));
    assert_eq!(rules(&desk), "forbid (principal, action, resource);");
    desk.act(vec![Change::HouseRules(String::new())]);
    assert_eq!(rules(&desk), "");
}

pub(crate) fn a_recovery_comes_back(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    assert_eq!(desk.read().opening().unwrap().recovery, None);
    let first = RecoveryRow { era: Timestamp::from_ms(7), size: 3, root: *digest(1).as_bytes(), approvals: Vec::new(), declared: None };
    desk.act(vec![Change::Recovery(first.clone())]);
    assert_eq!(desk.read().opening().unwrap().recovery, Some(first.clone()));
    let later = RecoveryRow { approvals: vec![("rolf".to_owned(), 4), ("ruth".to_owned(), 9)], declared: Some(digest(2)), ..first };
    desk.act(vec![Change::Recovery(later.clone())]);
    desk.commit();
    assert_eq!(desk.read().opening().unwrap().recovery, Some(later));
}
