//! What every store must do, whatever it is built on.
//!
//! Each case is a function over a [`Place`]; a further store is held to the port by giving [`all`] and [`lasting`] a
//! place of its own. How one store in particular keeps its files is not asked here but in `sqlite.rs` and `postgres.rs`.
//! PostgreSQL needs a server: `cargo xtask postgres -- cargo test -p samverkan-store`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use node::ports::Store;
use samverkan_store::postgres::Postgres;
use samverkan_store::sqlite::{Options, Sqlite};

mod conformance {
    pub(crate) mod acts;
    pub(crate) mod changes;
    pub(crate) mod lists;
    pub(crate) mod rows;
    pub(crate) mod transactions;
}
use conformance::{changes, lists, transactions};

mod servers;

/// Where a store lies, empty at first. One store is open in it at a time.
trait Place {
    /// Opens the store as it was last committed.
    fn open(&self) -> Box<dyn Store>;
}

/// A case with its name.
type Case = (&'static str, fn(&dyn Place));

/// What holds for every store.
const ALL: [Case; 27] = [
    ("an empty store is empty", changes::an_empty_store_is_empty),
    ("records come back", changes::records_come_back),
    ("a replaced record keeps its content", changes::a_replaced_record_keeps_its_content),
    ("a draft is found under its new id", changes::a_draft_is_found_under_its_new_id),
    ("a discarded draft leaves its entries", changes::a_discarded_draft_leaves_its_entries),
    ("destroyed content is gone", changes::destroyed_content_is_gone),
    ("pieces come back", changes::pieces_come_back),
    ("objects are known by name", changes::objects_are_known_by_name),
    ("the first tombstone stands", changes::the_first_tombstone_stands),
    ("copies are kept by holder and way", changes::copies_are_kept_by_holder_and_way),
    ("queues keep their order", changes::queues_keep_their_order),
    ("parcels stay until they have receipts", changes::parcels_stay_until_they_have_receipts),
    ("peers are replaced", changes::peers_are_replaced),
    ("the first statement stands", changes::the_first_statement_stands),
    ("members and credentials come back", changes::members_and_credentials_come_back),
    ("serials and house rules come back", changes::serials_and_house_rules_come_back),
    ("a recovery comes back", changes::a_recovery_comes_back),
    ("the ledger proves its entries", lists::the_ledger_proves_its_entries),
    ("entries are found by record", lists::entries_are_found_by_record),
    ("records are listed as a naive model lists them", lists::records_are_listed_as_a_naive_model_lists_them),
    ("versions and links are found", lists::versions_and_links_are_found),
    ("what is due comes soonest first", lists::what_is_due_comes_soonest_first),
    ("writes are read before they are committed", transactions::writes_are_read_before_they_are_committed),
    ("a failed batch leaves nothing", transactions::a_failed_batch_leaves_nothing),
    ("a failed batch takes its commit with it", transactions::a_failed_batch_takes_its_commit_with_it),
    ("another state is a conflict", transactions::another_state_is_a_conflict),
    ("a rollback forgets", transactions::a_rollback_forgets),
];

/// What holds for every store that outlives its process.
const LASTING: [Case; 3] = [
    ("what was committed is there again", transactions::what_was_committed_is_there_again),
    ("a crash loses exactly what was not committed", transactions::a_crash_loses_exactly_what_was_not_committed),
    ("a rollback is not undone by a commit", transactions::a_rollback_is_not_undone_by_a_commit),
];

fn all(fresh: &dyn Fn() -> Box<dyn Place>) {
    run(&ALL, fresh);
}

fn lasting(fresh: &dyn Fn() -> Box<dyn Place>) {
    run(&LASTING, fresh);
}

fn run(cases: &[Case], fresh: &dyn Fn() -> Box<dyn Place>) {
    for (name, case) in cases {
        println!("{name}");
        case(&*fresh());
    }
}

struct Folder(tempfile::TempDir);

impl Place for Folder {
    fn open(&self) -> Box<dyn Store> {
        Box::new(Sqlite::open(&self.0.path().join("store.db"), &Options::default()).unwrap())
    }
}

struct Memory;

impl Place for Memory {
    fn open(&self) -> Box<dyn Store> {
        Box::new(Sqlite::memory().unwrap())
    }
}

#[test]
fn sqlite_in_a_file_conforms() {
    let fresh = || Box::new(Folder(tempfile::tempdir().unwrap())) as Box<dyn Place>;
    all(&fresh);
    lasting(&fresh);
}

/// A database of its own on the server that is told in `SAMVERKAN_TEST_POSTGRES`, emptied for each case.
struct OnPostgres(&'static servers::Scratch);

impl Place for OnPostgres {
    fn open(&self) -> Box<dyn Store> {
        Box::new(Postgres::open(&self.0.database()).unwrap())
    }
}

#[test]
fn postgresql_conforms() {
    let Some(scratch) = servers::scratch("conformance") else { return };
    let scratch: &'static _ = Box::leak(Box::new(scratch));
    let fresh = || {
        scratch.empty();
        Box::new(OnPostgres(scratch)) as Box<dyn Place>
    };
    all(&fresh);
    lasting(&fresh);
}

#[test]
fn sqlite_in_memory_conforms() {
    all(&|| Box::new(Memory));
}
