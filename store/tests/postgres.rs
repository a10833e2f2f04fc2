//! What a store on PostgreSQL does besides what every store must: turns among processes, words and leases, destroyed
//! keys, lost connections, and moves into it.
//!
//! It needs a server: `cargo xtask postgres -- cargo test -p samverkan-store`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use format::OrgId;
use node::ports::{Fellows as _, News, Reader as _, Store, StoreError};
use node::rows::{Batch, Change, Outgoing, PeerRow, RecordRow, StatementKind};
use samverkan_store::{Move, MoveError, Options, Postgres, Sqlite};

#[allow(dead_code, reason = "shared with the conformance suite, which uses all of it")]
mod conformance {
    pub(crate) mod acts;
    pub(crate) mod rows;
}
mod servers;

use conformance::acts::{Desk, entry};
use conformance::rows::{bytes, content, draft, id, new, org, piece, record, statement};

fn batch(expected: u64, changes: Vec<Change>) -> Batch {
    Batch { expected, changes, entries: vec![entry(expected, None)], ..Batch::default() }
}

#[test]
fn one_process_decides_at_a_time_and_knows_what_others_did() {
    let Some(scratch) = servers::scratch("turns") else { return };
    let (mut one, mut two) = (Postgres::open(&scratch.database()).unwrap(), Postgres::open(&scratch.database()).unwrap());
    assert!(matches!(one.take_turn().unwrap(), News::Everything), "whoever begins reads everything");
    let peer = PeerRow { sent: 7, ..PeerRow::new(org("no-pst")) };
    let card = statement(StatementKind::Card, 1, None);
    let changes = vec![
        Change::Peer(peer.clone()),
        Change::Statement(card.clone()),
        Change::Queue(org("no-pst"), Outgoing::Record(id(1))),
        Change::Queue(org("dk-pet"), Outgoing::Record(id(1))),
        Change::Serial(2026, 4),
        Change::HouseRules("forbid".to_owned()),
    ];
    // The other waits for its turn, and decides on what the first left.
    let waiting = std::thread::spawn(move || {
        let news = two.take_turn().unwrap();
        (two, news)
    });
    one.append(&batch(0, changes)).unwrap();
    assert!(!waiting.is_finished());
    one.commit().unwrap();
    let (mut two, news) = waiting.join().unwrap();
    assert!(matches!(news, News::Everything));
    let stale = two.append(&batch(0, Vec::new()));
    assert!(matches!(stale, Err(StoreError::Conflict { expected: 0, actual: 1 })), "{stale:?}");
    let queue = two.outgoing(&org("no-pst"), 9).unwrap();
    two.append(&batch(1, vec![Change::Requeue(org("no-pst"), queue[0].position, None), Change::Peer(PeerRow { sent: 8, ..peer.clone() })])).unwrap();
    two.append(&batch(2, vec![Change::Serial(2026, 5)])).unwrap();
    two.commit().unwrap();
    // Nothing came of this, and nobody hears of it.
    two.append(&batch(3, vec![Change::Serial(2026, 6)])).unwrap();
    two.rollback().unwrap();

    let News::Changes(heard) = one.take_turn().unwrap() else { panic!("what changed is told") };
    assert_eq!(heard.peers, [PeerRow { sent: 8, ..peer }]);
    assert_eq!(heard.leaves, [entry(1, None).leaf, entry(2, None).leaf]);
    assert_eq!(heard.last_entry, Some(entry(2, None).at));
    assert_eq!((heard.queued.get(&org("no-pst")), heard.queued.len()), (Some(&-1), 1));
    assert_eq!(heard.serials, [(2026, 5)].into());
    assert!(heard.statements.is_empty() && heard.house_rules.is_none(), "its own it knows");
    one.rollback().unwrap();
    assert!(matches!(two.take_turn().unwrap(), News::Everything), "after a rollback everything is read");
    two.commit().unwrap();
    let withdrawal = statement(StatementKind::Withdrawal, 2, None);
    two.append(&batch(3, vec![Change::Statement(withdrawal.clone()), Change::HouseRules("permit".to_owned())])).unwrap();
    two.commit().unwrap();
    let mut three = Postgres::open(&scratch.database()).unwrap();
    three.take_turn().unwrap();
    three.commit().unwrap();
    two.append(&batch(4, vec![Change::Statement(statement(StatementKind::Notice, 3, None)), Change::Statement(statement(StatementKind::Card, 4, None))]))
        .unwrap();
    two.append(&batch(5, vec![Change::HouseRules("forbid again".to_owned())])).unwrap();
    two.commit().unwrap();
    let News::Changes(heard) = three.take_turn().unwrap() else { panic!("what changed is told") };
    assert_eq!(heard.statements, [statement(StatementKind::Card, 4, None)]);
    assert_eq!(heard.house_rules.as_deref(), Some("forbid again"));
}

#[test]
fn whoever_slept_too_long_reads_everything() {
    let Some(scratch) = servers::scratch("sleep") else { return };
    let (mut one, mut two) = (Postgres::open(&scratch.database()).unwrap(), Postgres::open(&scratch.database()).unwrap());
    for store in [&mut one, &mut two] {
        store.take_turn().unwrap();
        store.commit().unwrap();
    }
    for n in 0..300 {
        two.append(&batch(n, Vec::new())).unwrap();
        two.commit().unwrap();
    }
    assert!(matches!(one.take_turn().unwrap(), News::Everything));
    assert!(scratch.ask("SELECT count(*) FROM samverkan.turn").parse::<u32>().unwrap() < 600, "turns are not kept for ever");
}

#[test]
fn a_lost_connection_loses_the_turn_and_nothing_else() {
    let Some(scratch) = servers::scratch("lost") else { return };
    let mut store = Postgres::open(&scratch.database()).unwrap();
    let reader = store.reader().unwrap();
    store.append(&batch(0, Vec::new())).unwrap();
    store.commit().unwrap();
    store.append(&batch(1, Vec::new())).unwrap();
    let cut = || scratch.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
    cut();
    let refused = store.append(&batch(2, Vec::new())).and_then(|()| store.counts());
    assert!(matches!(refused, Err(StoreError::Away(_))), "{refused:?}");
    let refused = store.commit();
    assert!(matches!(refused, Err(StoreError::Away(_))), "what was appended before is lost, and that is said: {refused:?}");
    store.rollback().unwrap();
    assert_eq!(reader.counts().unwrap().entries, 1, "a reader comes back by itself");
    assert!(matches!(store.take_turn().unwrap(), News::Everything));
    store.append(&batch(1, Vec::new())).unwrap();
    cut();
    let refused = store.commit();
    assert!(matches!(refused, Err(StoreError::Away(_))), "{refused:?}");
    store.append(&batch(1, Vec::new())).unwrap();
    store.commit().unwrap();
    assert_eq!(reader.counts().unwrap().entries, 2);
}

#[test]
fn a_commit_that_no_longer_waits_for_its_standby_is_not_confirmed() {
    let Some(scratch) = servers::scratch("standby") else { return };
    // A database that waits for the standby to apply what it gets.
    let name = scratch.ask("SELECT current_database()");
    scratch.ask(&format!("ALTER DATABASE {name} SET synchronous_commit = remote_apply"));
    let mut store = Postgres::open(&scratch.database()).unwrap();
    store.commit().unwrap();
    if scratch.ask_standby("SELECT pg_wal_replay_pause()").is_none() {
        return println!("not run: no standby is told in SAMVERKAN_TEST_POSTGRES_STANDBY");
    }
    let committing = std::thread::spawn(move || {
        store.append(&batch(0, Vec::new()))?;
        store.commit()
    });
    let cancel = "SET synchronous_commit = local; SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event = 'SyncRep'";
    while !committing.is_finished() {
        scratch.ask(cancel);
    }
    scratch.ask_standby("SELECT pg_wal_replay_resume()");
    let told = committing.join().unwrap().unwrap_err().to_string();
    assert!(told.contains("standby"), "{told}");
}

#[test]
fn destroyed_keys_are_in_no_file_of_the_database() {
    let Some(scratch) = servers::scratch("keys") else { return };
    let mut desk = Desk::new(Box::new(Postgres::open(&scratch.database()).unwrap()));
    let rows: Vec<_> = (0..200).map(record).collect();
    for (n, row) in (0..).zip(&rows) {
        desk.act_about(row.id, vec![new(row, Some(content(n))), Change::Piece(piece(row, 0, 0, 100))]);
    }
    desk.commit();
    let gone: Vec<u64> = (0..200).filter(|n| n % 3 == 0).collect();
    for n in &gone {
        desk.act(vec![Change::DestroyContent(rows[usize::try_from(*n).unwrap()].id)]);
    }
    desk.commit();
    drop(desk);
    // Written anew at once by the first commit of a process, and at a later one after that.
    let mut later = Postgres::open(&scratch.database()).unwrap();
    later.commit().unwrap();
    let path = scratch.ask("CHECKPOINT; SELECT current_setting('data_directory') || '/' || pg_relation_filepath('samverkan.content_key')");
    let file = std::fs::read(path.lines().last().unwrap()).unwrap();
    let there = |n: u64| file.windows(60).any(|window| window == bytes(n + 1_000_000, 60));
    for n in 0..200 {
        assert_eq!(there(n), !gone.contains(&n), "the key of record {n}");
    }
}

#[test]
fn peers_are_shared_out_and_taken_over() {
    let Some(scratch) = servers::scratch("leases") else { return };
    let store = Postgres::open(&scratch.database()).unwrap();
    let peers: BTreeSet<OrgId> = ["no-pst", "dk-pet", "fi-supo", "uk-mi5", "de-bfv"].map(org).into();
    let mut one = store.fellows().unwrap();
    assert_eq!(one.share_out(&peers).unwrap(), peers, "alone it has all of them");
    let mut two = store.fellows().unwrap();
    assert!(two.share_out(&peers).unwrap().is_empty(), "what another has is not to be had");
    let kept = one.share_out(&peers).unwrap();
    assert_eq!(kept.len(), 3, "it gives up what is more than its share");
    assert!(two.share_out(&peers).unwrap().is_empty(), "and holds it until it has called its couriers back");
    assert_eq!(one.share_out(&peers).unwrap(), kept);
    let taken = two.share_out(&peers).unwrap();
    assert!(taken.len() == 2 && taken.is_disjoint(&kept));
    // A process that dies takes its connection with it.
    drop(one);
    let moment = Duration::from_millis(20);
    let all = (0..250).find_map(|_| {
        let word = two.listen(moment).unwrap();
        assert!(!word.for_all);
        Some(two.share_out(&peers).unwrap()).filter(|held| held.len() == 5)
    });
    assert_eq!(all, Some(peers));
}

#[test]
fn what_waits_and_what_counts_at_once_is_told() {
    let Some(scratch) = servers::scratch("words") else { return };
    let mut store = Postgres::open(&scratch.database()).unwrap();
    let mut fellow = store.fellows().unwrap();
    fellow.share_out(&BTreeSet::new()).unwrap();
    store.append(&batch(0, vec![Change::Serial(2026, 1)])).unwrap();
    store.commit().unwrap();
    store.append(&batch(1, vec![Change::Queue(org("no-pst"), Outgoing::Record(id(1)))])).unwrap();
    store.commit().unwrap();
    let word = fellow.listen(Duration::from_secs(5)).unwrap();
    assert!(!word.at_once && !word.for_all);
    assert_eq!(word.queued, [org("no-pst")].into());
    store.append(&batch(2, vec![Change::Statement(statement(StatementKind::Card, 1, Some(1)))])).unwrap();
    store.commit().unwrap();
    let word = fellow.listen(Duration::from_secs(5)).unwrap();
    assert!(word.at_once && word.queued.is_empty());
    // More than fits in a word.
    let many = (0..900).map(|n| Change::Queue(org(&format!("no-p{n}")), Outgoing::Record(id(1)))).collect();
    store.append(&batch(3, many)).unwrap();
    store.commit().unwrap();
    assert!(fellow.listen(Duration::from_secs(5)).unwrap().for_all);
}

#[test]
fn a_move_goes_on_where_it_was_broken_off_and_nowhere_else() {
    let Some(scratch) = servers::scratch("move") else { return };
    let folder = tempfile::tempdir().unwrap();
    let open = || Sqlite::open(&folder.path().join("store.db"), &Options::default()).unwrap();
    let mut desk = Desk::new(Box::new(open()));
    for n in 0..2_500 {
        let row = record(n);
        desk.act_about(row.id, vec![new(&row, Some(content(n))), Change::Queue(org("no-pst"), Outgoing::Record(row.id))]);
    }
    desk.act(vec![Change::DestroyContent(record(7).id), Change::Serial(2026, 8), Change::HouseRules("forbid".to_owned())]);
    desk.commit();
    drop(desk);
    let database = scratch.database();
    let root = [1; 32];
    let mut moving = Move::begin(open(), &database, &root, false).unwrap();
    let mut steps = 0;
    let broken_off = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        moving.copy(|_| {
            steps += 1;
            assert!(steps < 6, "broken off");
        })
    }));
    assert!(broken_off.is_err());
    drop(moving);
    let half = Postgres::open(&database).map(|_| ()).unwrap_err().to_string();
    assert!(half.contains("--resume"), "{half}");
    assert!(matches!(Move::begin(open(), &database, &root, false), Err(MoveError::Begun)));
    assert!(matches!(Move::begin(open(), &database, &[2; 32], true), Err(MoveError::Other)));
    let mut moving = Move::begin(open(), &database, &root, true).unwrap();
    let mut rows = 0;
    moving.copy(|more| rows += more).unwrap();
    assert_eq!(rows, moving.rows().unwrap());
    moving.finish().unwrap();
    assert!(matches!(Move::begin(open(), &database, &root, true), Err(MoveError::Occupied)));

    let (from, mut to) = (open(), Postgres::open(&database).unwrap());
    let (before, after) = (from.opening().unwrap(), to.opening().unwrap());
    assert_eq!(
        (before.ledger_size, before.last_entry, &before.serials, &before.house_rules),
        (after.ledger_size, after.last_entry, &after.serials, &after.house_rules)
    );
    assert_eq!(from.counts().unwrap(), to.counts().unwrap());
    for n in 0..2_500 {
        let id = record(n).id;
        assert_eq!(from.record(&id).unwrap(), to.record(&id).unwrap());
        assert_eq!(from.content(&id).unwrap(), to.content(&id).unwrap());
    }
    assert_eq!(from.entries(0, usize::MAX).unwrap(), to.entries(0, usize::MAX).unwrap());
    assert_eq!(from.outgoing(&org("no-pst"), 9_999).unwrap(), to.outgoing(&org("no-pst"), 9_999).unwrap());
    // It goes on after what came: no number is given out twice.
    to.append(&batch(after.ledger_size, vec![new(&record(9_000), Some(content(1))), Change::Queue(org("no-pst"), Outgoing::Record(id(1)))])).unwrap();
    to.commit().unwrap();
    assert_eq!(to.record(&record(9_000).id).unwrap(), Some(record(9_000)));
}

/// Puts a database back to what layout 1 was.
const LAYOUT_1: &str = "
    SET search_path = samverkan;
    ALTER TABLE piece DROP object;
    ALTER TABLE header ADD ed25519 bytea, ADD ml_dsa_65 bytea, ADD inclusion bytea;
    UPDATE header SET ed25519 = signature.ed25519, ml_dsa_65 = signature.ml_dsa_65, inclusion = record.inclusion
        FROM record JOIN signature ON signature.digest = record.signed WHERE header.record = record.seq;
    DROP VIEW whole_record;
    DROP TABLE signature;
    ALTER TABLE record DROP signed, DROP inclusion;
    CREATE VIEW whole_record AS
        SELECT seq, id, bytes, ed25519, ml_dsa_65, inclusion, kind, originator, number, version, agreement, created, retain_until, stage,
            condition, drafted_by, submitted_by, approved_by, sent_back, came_from, arrived, flagged, consent
        FROM record JOIN header ON header.record = record.seq;
    UPDATE layout SET number = 1;";

#[test]
fn layout_1_is_brought_forward_with_every_signature() {
    let Some(scratch) = servers::scratch("layout") else { return };
    // Signed together, signed alone, and not signed.
    let together = [record(1), RecordRow { signatures: record(1).signatures, ..record(2) }];
    let rows = [&together[..], &[record(3), draft(4)]].concat();
    let mut desk = Desk::new(Box::new(Postgres::open(&scratch.database()).unwrap()));
    desk.act(rows.iter().map(|row| new(row, Some(content(1)))).collect());
    desk.commit();
    drop(desk);
    assert_eq!(scratch.ask("SELECT count(*) FROM samverkan.signature"), "2", "what is shared is kept once");
    scratch.ask(LAYOUT_1);
    let store = Postgres::open(&scratch.database()).unwrap();
    for row in &rows {
        assert_eq!(store.record(&row.id).unwrap().as_ref(), Some(row));
        assert_eq!(store.content(&row.id).unwrap().unwrap(), content(1));
    }
    assert_eq!(scratch.ask("SELECT count(*), (SELECT number FROM samverkan.layout) FROM samverkan.signature"), "2|3");
}

#[test]
fn inside_tls_the_server_must_have_the_right_name_by_the_right_authority() {
    let Some(scratch) = servers::scratch("tls") else { return };
    let store = Postgres::open(&scratch.inside_tls("localhost", "authority")).unwrap();
    let inside = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                  WHERE application_name = 'samverkan' AND datname = current_database()";
    assert_eq!(scratch.ask(inside), "t");
    drop(store);
    for (host, authority, why) in [("localhost", "other-authority", "UnknownIssuer"), ("127.0.0.1", "authority", "not valid for name")] {
        let refused = Postgres::open(&scratch.inside_tls(host, authority)).unwrap_err();
        let mut told = refused.to_string();
        let mut cause: &dyn std::error::Error = &refused;
        while let Some(deeper) = cause.source() {
            told = format!("{told}: {deeper}");
            cause = deeper;
        }
        assert!(told.contains(why), "{host}, {authority}: {told}");
    }
}
