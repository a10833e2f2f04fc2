//! What callers may rely on: nothing is told before it is durable, many share one commit, and what is lost is told so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use format::merkle::Hash;
use format::{Digest, RecordId, RecordNumber};
use node::Command;
use node::ports::{Counts, Opening, RecordQuery, StoreResult};
use node::rows::{
    Batch, ContentRow, CredentialRow, EntryRow, HoldingRow, MemberRow, ObjectName, OutgoingRow, ParcelRow, PieceRow, RecordRow, StatementKind, StatementRow,
};
use policy::access::{Permission, Role};
use policy::house::{Facts, HouseError, HouseForbid};
use store::sqlite::Sqlite;
use testkit::federation::{self, Organisation, beginning};

use super::*;

/// What becomes of a commit.
enum Commit {
    /// It waits until it is let go.
    Waits(std::sync::mpsc::Receiver<()>),
    /// It is lost.
    Lost(StoreError),
}

/// What the commits to come will do; those after do what they should.
#[derive(Default)]
struct Script {
    steps: Mutex<VecDeque<Commit>>,
    commits: AtomicUsize,
}

impl Script {
    fn then(&self, commit: Commit) {
        self.steps.lock().unwrap().push_back(commit);
    }

    /// The next commit waits for a word on the channel that is given.
    fn then_wait(&self) -> std::sync::mpsc::Sender<()> {
        let (go, waits) = std::sync::mpsc::channel();
        self.then(Commit::Waits(waits));
        go
    }
}

/// A store in memory whose commits follow a script.
struct Scripted {
    store: Sqlite,
    script: Arc<Script>,
}

impl Store for Scripted {
    fn append(&mut self, batch: &Batch) -> StoreResult<()> {
        self.store.append(batch)
    }

    fn commit(&mut self) -> StoreResult<()> {
        self.script.commits.fetch_add(1, SeqCst);
        let step = self.script.steps.lock().unwrap().pop_front();
        match step {
            Some(Commit::Lost(fault)) => {
                self.store.rollback()?;
                return Err(fault);
            }
            Some(Commit::Waits(go)) => go.recv().unwrap(),
            None => {}
        }
        self.store.commit()
    }

    fn rollback(&mut self) -> StoreResult<()> {
        self.store.rollback()
    }

    fn try_out(&mut self) -> StoreResult<bool> {
        self.store.try_out()
    }
}

impl Reader for Scripted {
    fn directory(&self, after: u64, limit: usize) -> StoreResult<Vec<(u64, StatementRow)>> {
        self.store.directory(after, limit)
    }

    fn opening(&self) -> StoreResult<Opening> {
        self.store.opening()
    }
    fn record(&self, id: &RecordId) -> StoreResult<Option<RecordRow>> {
        self.store.record(id)
    }
    fn record_by_number(&self, number: &RecordNumber, version: Option<u32>) -> StoreResult<Option<RecordRow>> {
        self.store.record_by_number(number, version)
    }
    fn records(&self, query: &RecordQuery) -> StoreResult<Vec<(u64, RecordRow)>> {
        self.store.records(query)
    }
    fn versions(&self, number: &RecordNumber) -> StoreResult<Vec<RecordRow>> {
        self.store.versions(number)
    }
    fn linking_to(&self, id: &RecordId) -> StoreResult<Vec<RecordRow>> {
        self.store.linking_to(id)
    }
    fn tombstone(&self, id: &RecordId) -> StoreResult<Option<OrgId>> {
        self.store.tombstone(id)
    }
    fn content(&self, id: &RecordId) -> StoreResult<Option<ContentRow>> {
        self.store.content(id)
    }
    fn piece(&self, record: &(RecordNumber, u32), attachment: u32, index: u64) -> StoreResult<Option<PieceRow>> {
        self.store.piece(record, attachment, index)
    }
    fn piece_leaves(&self, record: &(RecordNumber, u32), attachment: u32) -> StoreResult<BTreeMap<u64, Hash>> {
        self.store.piece_leaves(record, attachment)
    }
    fn objects_in_use(&self, names: &[ObjectName]) -> StoreResult<BTreeSet<ObjectName>> {
        self.store.objects_in_use(names)
    }
    fn holdings(&self, id: &RecordId) -> StoreResult<Vec<HoldingRow>> {
        self.store.holdings(id)
    }
    fn outgoing(&self, peer: &OrgId, limit: usize) -> StoreResult<Vec<OutgoingRow>> {
        self.store.outgoing(peer, limit)
    }
    fn outgoing_count(&self, peer: &OrgId) -> StoreResult<u64> {
        self.store.outgoing_count(peer)
    }
    fn parcel(&self, peer: &OrgId, sequence: u64) -> StoreResult<Option<ParcelRow>> {
        self.store.parcel(peer, sequence)
    }
    fn statement(&self, kind: StatementKind, key: &Digest) -> StoreResult<Option<StatementRow>> {
        self.store.statement(kind, key)
    }
    fn statements_about(&self, kind: StatementKind, about: &Digest) -> StoreResult<Vec<StatementRow>> {
        self.store.statements_about(kind, about)
    }
    fn due(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<RecordId>> {
        self.store.due(now, limit)
    }
    fn entries(&self, from: u64, limit: usize) -> StoreResult<Vec<EntryRow>> {
        self.store.entries(from, limit)
    }
    fn entries_about(&self, id: &RecordId) -> StoreResult<Vec<EntryRow>> {
        self.store.entries_about(id)
    }
    fn subtree(&self, level: u8, index: u64) -> StoreResult<Hash> {
        self.store.subtree(level, index)
    }
    fn member(&self, id: &str) -> StoreResult<Option<MemberRow>> {
        self.store.member(id)
    }
    fn members(&self) -> StoreResult<Vec<MemberRow>> {
        self.store.members()
    }
    fn credential(&self, hash: &Digest) -> StoreResult<Option<CredentialRow>> {
        self.store.credential(hash)
    }
    fn credentials(&self, member: &str) -> StoreResult<Vec<CredentialRow>> {
        self.store.credentials(member)
    }
    fn counts(&self) -> StoreResult<Counts> {
        self.store.counts()
    }
}

/// A node on a scripted store, and what is needed to act on it.
struct Stage {
    handle: Handle,
    thread: JoinHandle<Result<(), Halt>>,
    script: Arc<Script>,
    passes: Vec<Pass>,
}

fn stage(limits: Limits) -> Stage {
    let script = Arc::new(Script::default());
    let store = Scripted { store: Sqlite::memory().unwrap(), script: Arc::clone(&script) };
    let node = federation::open(&Organisation::new("se-sapo", "SAPO", "SE"), store, 1).unwrap();
    let passes = (0..200).map(|_| federation::pass(node.store(), "ada", Permission::ManageMembers, None, beginning()).unwrap()).collect();
    let empty: Vec<Box<dyn Reader>> = vec![Box::new(Sqlite::memory().unwrap())];
    let (handle, thread) = start(node, empty, Arc::new(beginning), limits).unwrap();
    script.commits.store(0, SeqCst);
    Stage { handle, thread, script, passes }
}

impl Stage {
    /// An act that changes something.
    fn add_member(&mut self, name: &str) -> impl Future<Output = Result<Outcome, Refusal>> + use<> {
        let command = Command::AddMember { id: name.to_owned(), name: name.to_owned(), roles: BTreeSet::from([Role::Analyst]), password: String::new() };
        let (handle, pass) = (self.handle.clone(), self.passes.pop().unwrap());
        async move { handle.execute(pass, command).await }
    }

    /// The act is in line when this returns.
    async fn begin(&mut self, name: &str) -> tokio::task::JoinHandle<Result<Outcome, Refusal>> {
        let waiting = self.handle.0.jobs.capacity();
        let act = tokio::spawn(self.add_member(name));
        while self.handle.0.jobs.capacity() == waiting {
            tokio::task::yield_now().await;
        }
        act
    }

    async fn until_commits(&self, count: usize) {
        while self.script.commits.load(SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_told_before_the_commit_has_returned() {
    let mut stage = stage(Limits::default());
    let go = stage.script.then_wait();
    let mut act = tokio::spawn(stage.add_member("eva"));
    stage.until_commits(1).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut act).await.is_err(), "told too early");
    go.send(()).unwrap();
    assert!(act.await.unwrap().is_ok());
}

#[tokio::test]
async fn those_who_wait_share_one_commit() {
    let mut stage = stage(Limits { group: 60, ..Limits::default() });
    let go = stage.script.then_wait();
    let first = tokio::spawn(stage.add_member("first"));
    stage.until_commits(1).await;
    let mut acts = Vec::new();
    for n in 0..100 {
        acts.push(stage.begin(&format!("m{n}")).await);
    }
    go.send(()).unwrap();
    assert!(first.await.unwrap().is_ok());
    for act in acts {
        assert!(act.await.unwrap().is_ok());
    }
    assert_eq!(stage.script.commits.load(SeqCst), 3, "one for the first, and two for a hundred in groups of sixty");
}

#[tokio::test]
async fn a_lost_commit_is_told_to_all_of_its_group_and_leaves_nothing() {
    let mut stage = stage(Limits::default());
    let go = stage.script.then_wait();
    stage.script.then(Commit::Lost(StoreError::Full));
    let first = tokio::spawn(stage.add_member("first"));
    stage.until_commits(1).await;
    let good = stage.begin("eva").await;
    let bad = stage.begin("first").await;
    go.send(()).unwrap();
    assert!(first.await.unwrap().is_ok());
    for act in [good, bad] {
        assert!(matches!(act.await.unwrap(), Err(Refusal::Store(StoreError::Full))), "whatever was decided");
    }
    assert_eq!(stage.handle.lost_commits(), 1);
    assert!(stage.add_member("eva").await.is_ok(), "eva is not there yet, and the node goes on");
}

#[tokio::test]
async fn a_store_that_keeps_failing_stops_the_writer() {
    let mut stage = stage(Limits::default());
    let failed = || Commit::Lost(StoreError::Failed("the disk is gone".to_owned()));
    stage.script.then(failed());
    stage.script.then(failed());
    for name in ["a1", "a2", "a3"] {
        let told = stage.add_member(name).await;
        assert_eq!(told.is_ok(), name == "a3", "one that holds begins the count anew");
    }
    for name in ["a4", "a5", "a6"] {
        stage.script.then(failed());
        assert!(matches!(stage.add_member(name).await, Err(Refusal::Store(_))));
    }
    stage.handle.stopped().await;
    assert!(matches!(stage.thread.join().unwrap(), Err(Halt::Failing(_))));
    assert!(matches!(stage.handle.expire(1).await, Err(Refusal::Store(_))), "nobody waits for a writer that is gone");
}

#[tokio::test]
async fn a_disk_that_failed_under_the_store_stops_the_writer_at_once() {
    let mut stage = stage(Limits::default());
    stage.script.then(Commit::Lost(StoreError::Broken("it was not synchronised".to_owned())));
    assert!(stage.add_member("eva").await.is_err());
    assert!(matches!(stage.thread.join().unwrap(), Err(Halt::Broken(_))));
}

#[tokio::test]
async fn a_trouble_begins_with_what_it_hinders_and_ends_when_it_is_found_to_be_over() {
    let mut stage = stage(Limits::default());
    assert!(stage.handle.troubles().await.is_empty());
    for (fault, trouble) in [
        (StoreError::Full, Trouble::StoreFull),
        (StoreError::Away("gone".to_owned()), Trouble::StoreAway),
        (StoreError::Failed("no".to_owned()), Trouble::StoreFailing),
    ] {
        stage.script.then(Commit::Lost(fault.clone()));
        assert!(stage.add_member("eva").await.is_err());
        // Who asks has it tried once more: it is still there, and then it is not.
        stage.script.then(Commit::Lost(fault));
        assert_eq!(stage.handle.troubles().await, [trouble]);
        assert!(stage.handle.troubles().await.is_empty());
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_stops_the_writer_at_once() {
    let mut stage = stage(Limits::default());
    stage.script.then(Commit::Lost(StoreError::Corrupt { what: "peer", why: "made up".to_owned() }));
    assert!(stage.add_member("eva").await.is_err());
    assert!(matches!(stage.thread.join().unwrap(), Err(Halt::Unreadable(_))));
}

#[tokio::test]
async fn a_full_line_is_told_at_once() {
    let mut stage = stage(Limits { waiting: 2, ..Limits::default() });
    let go = stage.script.then_wait();
    let first = tokio::spawn(stage.add_member("first"));
    stage.until_commits(1).await;
    let acts = [stage.begin("m1").await, stage.begin("m2").await];
    assert!(matches!(stage.add_member("m3").await, Err(Refusal::Busy(_))));
    go.send(()).unwrap();
    assert!(first.await.unwrap().is_ok());
    for act in acts {
        assert!(act.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn the_writer_ends_with_the_last_handle() {
    let Stage { handle, thread, .. } = stage(Limits::default());
    let other = handle.clone();
    drop(handle);
    assert!(other.expire(1).await.is_ok());
    drop(other);
    assert!(thread.join().unwrap().is_ok());
}

#[tokio::test]
async fn a_reader_comes_back_though_reading_panics() {
    let stage = stage(Limits::default());
    let handle = stage.handle.clone();
    let reading = tokio::spawn(async move {
        handle
            .read(|_| {
                if beginning().year() == 2026 {
                    panic!("made up")
                }
            })
            .await
    });
    assert!(reading.await.unwrap_err().is_panic());
    let counted = stage.handle.read(|reader| reader.counts().unwrap().records).await;
    assert_eq!(counted, 0);
}

/// Rules that forbid everything.
#[derive(Debug)]
struct Nothing;

impl HouseRules for Nothing {
    fn forbids(&self, _: &Facts<'_>) -> Result<Vec<HouseForbid>, HouseError> {
        Ok(vec![HouseForbid { rule: "nothing".to_owned(), sv: "Inget lämnas ut.".to_owned(), en: "Nothing leaves.".to_owned() }])
    }
}

#[tokio::test]
async fn house_rules_are_in_force_once_they_are_durable_and_not_before() {
    let (me, other) = (Organisation::new("se-sapo", "SAPO", "SE"), Organisation::new("se-fra", "FRA", "SE"));
    let script = Arc::new(Script::default());
    let mut federation = federation::Federation::new(&[me, other], || Scripted { store: Sqlite::memory().unwrap(), script: Arc::clone(&script) }).unwrap();
    let (me, other): (OrgId, OrgId) = (federation::id("se-sapo"), federation::id("se-fra"));
    federation.agree(&federation::agreement("ctg", &[&me, &other], format::agreement::Onward::Never)).unwrap();
    let mut node = federation.nodes.remove(&me).unwrap();
    let mut releases = VecDeque::new();
    for title in ["one", "two"] {
        let (record, _) = federation::approved(&mut node, federation::report("ctg", &[&other], title), beginning()).unwrap();
        let pass = federation::pass(node.store(), "rolf", Permission::ReleaseRecord, Some(&record), beginning()).unwrap();
        releases.push_back((pass, Command::Release { record }));
    }
    let rules_pass = || federation::pass(node.store(), "rolf", Permission::ManageHouseRules, None, beginning()).unwrap();
    let (lost, kept) = (rules_pass(), rules_pass());
    let (handle, _thread) = start(node, Vec::new(), Arc::new(beginning), Limits::default()).unwrap();
    let released = async |(pass, command)| match handle.execute(pass, command).await {
        Ok(Outcome::Released { recipients, .. }) => recipients.len(),
        Err(Refusal::Forbidden(_)) => 0,
        other => panic!("{other:?}"),
    };

    script.then(Commit::Lost(StoreError::Full));
    assert!(handle.set_house_rules(lost, "lost".to_owned(), Arc::new(Nothing)).await.is_err());
    let bell = handle.bell(&other);
    assert_eq!(released(releases.pop_front().unwrap()).await, 1, "the rules before are in force");
    tokio::time::timeout(Duration::from_secs(5), bell.queued.notified()).await.expect("its courier is called");

    handle.set_house_rules(kept, "kept".to_owned(), Arc::new(Nothing)).await.unwrap();
    assert_eq!(released(releases.pop_front().unwrap()).await, 0);
}
