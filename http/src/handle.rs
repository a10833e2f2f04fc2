//! The handle: how the asynchronous edges reach the one node.
//!
//! The node is owned by one thread, the writer. A handle puts a job in line for it and waits for the answer, which
//! comes only when what the job changed is durable. Reading goes past the writer, through a pool of readers of its own.
//! Nothing is decided here. The invariant: no answer to a job leaves this module before the commit that covers it.

mod fellows;
mod health;
mod place;
mod readers;
mod trouble;
mod turnstile;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use format::{OrgId, Timestamp};
use node::exchange::{Acknowledgement, Answer, CARRIED_WINDOW, Dispatch, Inbound, WINDOW};
use node::node::{Denial, Identity, Node, Published};
use node::ports::{Reader, Store, StoreError};
use node::recovery::{Accounted, Asked, Asking};
use node::state::Directory;
use node::{Outcome, Refusal};
use policy::access::Pass;
use policy::house::HouseRules;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

pub use fellows::Company;
pub use health::PeerHealth;
pub use trouble::Trouble;
pub use writer::Halt;

use place::Place;
use readers::Readers;
use trouble::{ClockWatch, Troubles};
use turnstile::Turnstile;
use writer::{Job, Reply, Writer};

/// How long before its end a certificate is a trouble, in milliseconds: a week.
const EXPIRES_WITHIN_MS: i64 = 7 * 24 * 3_600_000;

/// The clock, given by whoever runs the node.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the writer takes on at a time.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Jobs that may wait in line; beyond, a caller is told that the node is busy.
    pub waiting: usize,
    /// Jobs that share one commit.
    pub group: usize,
    /// Work after which a group is committed, whoever still waits.
    pub group_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { waiting: 1024, group: 256, group_time: Duration::from_millis(100) }
    }
}

/// Calls one peer's courier.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// Something was queued for the peer.
    pub(crate) queued: Notify,
    /// The peer was heard of, or its card changed: trying it again is worth while.
    pub(crate) heard: Notify,
}

/// What the writer and the handles have in common.
pub(crate) struct Shared {
    me: Arc<Identity>,
    published: Published,
    clock: Clock,
    readers: Readers,
    turnstile: Turnstile,
    bells: Mutex<BTreeMap<OrgId, Arc<Bell>>>,
    /// When all bells were rung because a peer was back.
    rung: Mutex<Option<Instant>>,
    health: Mutex<BTreeMap<OrgId, PeerHealth>>,
    /// Counts changes of the directory.
    directory: watch::Sender<u64>,
    /// Counts how often something was queued, for whatever peer.
    queued: watch::Sender<u64>,
    lost_commits: AtomicU64,
    /// The house rules in force.
    house: RwLock<Arc<dyn HouseRules + Send + Sync>>,
    /// What keeps the node from its work.
    troubles: Troubles,
    clock_watch: OnceLock<ClockWatch>,
    /// Until when the certificate towards members is valid.
    certificate: OnceLock<Timestamp>,
    /// Where attachments are kept outside the store, if they are.
    place: OnceLock<Place>,
    /// Other processes may write to the same store.
    has_fellows: AtomicBool,
    /// To which peers this process is courier; to all, where there is nothing.
    leases: watch::Sender<Option<BTreeSet<OrgId>>>,
}

impl Shared {
    /// Notes whether the store is out of reach.
    pub(crate) fn note_store(&self, away: Option<String>) {
        self.troubles.note(Trouble::StoreAway, away);
    }

    /// The time. While the clock has jumped it is the time that it should show, and the trouble is noted.
    fn time(&self) -> Timestamp {
        let shown = (self.clock)();
        let Some(watch) = self.clock_watch.get() else { return shown };
        let (now, jumped) = watch.look(shown);
        self.troubles.note(Trouble::ClockJumped, jumped);
        now
    }

    pub(crate) fn bell(&self, peer: &OrgId) -> Arc<Bell> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(peer.clone()).or_default())
    }

    /// Notes whether the certificate towards members is to be replaced.
    fn look_at_certificate(&self) {
        let Some(until) = self.certificate.get() else { return };
        let left = until.as_ms().saturating_sub(self.time().as_ms());
        self.troubles.note(Trouble::CertificateExpires, (left < EXPIRES_WITHIN_MS).then(|| format!("it is valid until {until}")));
    }

    /// Calls every courier: something may leave that could not before.
    fn ring_queued(&self) {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|bell| bell.queued.notify_one());
        self.queued.send_modify(|times| *times = times.wrapping_add(1));
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Inner {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// Reaches the running node. Cheap to clone; when the last one is dropped the writer ends.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.identity().org())
    }
}

/// Starts the writer on `node`, with `readers`, at least one, for those who only read.
///
/// To close a node in good order, stop the listeners and the couriers first, then drop every handle. The thread ends with `Ok` when the last handle is dropped, and with [`Halt`] when the store can no longer be relied
/// on: then the process must stop.
///
/// # Errors
/// The operating system gave no thread.
pub fn start<S: Store + 'static>(
    node: Node<S>,
    readers: Vec<Box<dyn Reader>>,
    clock: Clock,
    limits: Limits,
) -> std::io::Result<(Handle, JoinHandle<Result<(), Halt>>)> {
    let (jobs, waiting) = mpsc::channel(limits.waiting.max(1));
    let shared = Arc::new(Shared {
        me: Arc::clone(node.identity()),
        published: node.published(),
        clock,
        readers: Readers::new(readers),
        turnstile: Turnstile::new(node.state().peers.values().map(|peer| (peer.org.clone(), peer.received))),
        bells: Mutex::default(),
        rung: Mutex::default(),
        health: Mutex::default(),
        directory: watch::Sender::new(0),
        queued: watch::Sender::new(0),
        lost_commits: AtomicU64::new(0),
        house: RwLock::new(Arc::clone(node.house_rules())),
        troubles: Troubles::default(),
        clock_watch: OnceLock::new(),
        certificate: OnceLock::new(),
        place: OnceLock::new(),
        has_fellows: AtomicBool::new(false),
        leases: watch::Sender::new(None),
    });
    let writer = Writer::new(node, waiting, limits, Arc::clone(&shared));
    let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || writer.run())?;
    Ok((Handle(Arc::new(Inner { jobs, shared })), thread))
}

impl Handle {
    /// Who the node is.
    #[must_use]
    pub fn identity(&self) -> &Arc<Identity> {
        &self.0.shared.me
    }

    /// The directory as of the last commit.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.0.shared.directory()
    }

    /// The directory as it is published, for those who look again each time.
    #[must_use]
    pub fn published(&self) -> Published {
        Arc::clone(&self.0.shared.published)
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.shared.time()
    }

    /// Has the clock watched from now on, by a time that nobody can set: since some beginning.
    pub fn watch_clock(&self, steady: Box<dyn Fn() -> Duration + Send + Sync>) {
        let shared = &self.0.shared;
        shared.clock_watch.get_or_init(|| ClockWatch::new(steady, (shared.clock)()));
    }

    /// Replaces the house rules: keeps `text`, and lets `rules`, which the caller made of it, weigh every release that
    /// is decided after the commit.
    ///
    /// # Errors
    /// See [`Refusal`]; then the rules before stay in force.
    pub async fn set_house_rules(&self, pass: Pass, text: String, rules: Arc<dyn HouseRules + Send + Sync>) -> Result<Outcome, Refusal> {
        self.ask(|reply| Job::SetHouseRules { pass, text, rules, reply }).await
    }

    /// Writes down that a member was refused something.
    ///
    /// # Errors
    /// The node is busy, or the store failed.
    pub async fn deny(&self, denial: Denial) -> Result<(), Refusal> {
        self.ask(|reply| Job::Deny { denial, reply }).await
    }

    async fn take_in(&self, inbound: Inbound) -> Result<Answer, Refusal> {
        let (from, sequence) = (inbound.from().clone(), inbound.sequence());
        let (reply, answer) = oneshot::channel();
        self.put(Job::Receive { inbound: Box::new(inbound), reply })?;
        // It is in line: the parcel after it may follow at once, and will be taken in after it.
        self.0.shared.turnstile.passed(&from, sequence);
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Takes in what other processes have written to the same store.
    ///
    /// # Errors
    /// The node is busy, or the store failed.
    pub async fn catch_up(&self) -> Result<(), Refusal> {
        self.ask(|reply| Job::CatchUp { reply: Some(reply) }).await
    }

    /// Has it told in time that the certificate towards members expires.
    pub fn watch_certificate(&self, until: Timestamp) {
        self.0.shared.certificate.get_or_init(|| until);
        self.0.shared.look_at_certificate();
    }

    /// What keeps the node from its work. A trouble that was there is looked at once more, by trying whether it is over.
    pub async fn troubles(&self) -> Vec<Trouble> {
        let troubles = &self.0.shared.troubles;
        self.0.shared.time();
        self.0.shared.look_at_certificate();
        let before = troubles.all();
        if before.is_empty() || troubles.is_stuck() {
            return before;
        }
        // What cannot be found out in time has not changed.
        _ = tokio::time::timeout(trouble::SLOW, self.catch_up()).await;
        if troubles.has(Trouble::AttachmentsAway) {
            _ = tokio::time::timeout(trouble::SLOW, self.try_place()).await;
        }
        troubles.all()
    }

    /// The house rules in force.
    #[must_use]
    pub fn house_rules(&self) -> Arc<dyn HouseRules + Send + Sync> {
        Arc::clone(&self.0.shared.house.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a parcel of `from` is taken in or in line already, as far as is known without asking the node.
    pub(crate) fn has(&self, from: &OrgId, sequence: u64) -> bool {
        self.0.shared.turnstile.has(from, sequence)
    }

    /// Waits until every parcel of `from` before `sequence` is taken in or in line, at most for `patience`.
    pub(crate) async fn turn(&self, from: &OrgId, sequence: u64, patience: Duration) {
        let shared = &self.0.shared;
        if shared.has_fellows.load(Relaxed) && !shared.turnstile.is_open(from, sequence) {
            // The parcels before it may have come to another process. What cannot be found out now shows at its turn.
            _ = self.catch_up().await;
        }
        shared.turnstile.wait(from, sequence, patience).await;
    }

    /// Decides what leaves next for a peer, after its parcel `after`.
    ///
    /// # Errors
    /// The node is busy, or the store failed.
    pub async fn dispatch(&self, peer: OrgId, after: u64) -> Result<Option<Dispatch>, Refusal> {
        self.decide_dispatch(WINDOW, peer, after).await
    }

    /// The same for a channel where receipts take their time.
    ///
    /// # Errors
    /// The node is busy, or the store failed.
    pub async fn dispatch_carried(&self, peer: OrgId, after: u64) -> Result<Option<Dispatch>, Refusal> {
        self.decide_dispatch(CARRIED_WINDOW, peer, after).await
    }

    /// Takes in a peer's answer to a parcel.
    ///
    /// # Errors
    /// The node is busy, or the store failed.
    pub async fn acknowledge(&self, acknowledgement: Acknowledgement) -> Result<(), Refusal> {
        self.ask(|reply| Job::Acknowledge { acknowledgement: Box::new(acknowledgement), reply }).await
    }

    /// Destroys the content of at most `limit` records whose retention has ended, and gives how many were due.
    ///
    /// # Errors
    /// The node is busy, or the store failed.
    pub async fn expire(&self, limit: usize) -> Result<usize, Refusal> {
        self.ask(|reply| Job::Expire { limit, reply }).await
    }

    /// What to ask a peer with, if this node was restored from a backup and waits for it.
    ///
    /// # Errors
    /// The node is busy, or the store failed.
    pub async fn ask_peer(&self, peer: OrgId) -> Result<Option<Asking>, Refusal> {
        self.ask(|reply| Job::Ask { peer, reply }).await
    }

    /// Answers a restored peer with an account of what this node last saw of it.
    ///
    /// # Errors
    /// The node is busy, or the store failed.
    pub async fn account(&self, asked: Asked) -> Result<Vec<u8>, Refusal> {
        self.ask(|reply| Job::Account { asked: Box::new(asked), reply }).await
    }

    /// Takes in a peer's account, and gives whether exchange goes on.
    ///
    /// # Errors
    /// The node is busy, or the store failed.
    pub async fn take_account(&self, accounted: Accounted) -> Result<bool, Refusal> {
        self.ask(|reply| Job::TakeAccount { accounted: Box::new(accounted), reply }).await
    }

    /// Reads what is committed, on a thread where waiting for the store holds nobody up.
    pub async fn read<T: Send + 'static>(&self, read: impl FnOnce(&dyn Reader) -> T + Send + 'static) -> T {
        let _work = self.0.shared.troubles.work();
        self.0.shared.readers.read(read).await
    }

    /// How exchange with each peer goes, as its courier sees it.
    #[must_use]
    pub fn peer_health(&self) -> BTreeMap<OrgId, PeerHealth> {
        self.0.shared.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many commits the store has lost since the start.
    #[must_use]
    pub fn lost_commits(&self) -> u64 {
        self.0.shared.lost_commits.load(Relaxed)
    }

    /// Waits until the writer has ended.
    pub async fn stopped(&self) {
        self.0.jobs.closed().await;
    }

    pub(crate) fn note_health(&self, peer: &OrgId, change: impl FnOnce(&mut PeerHealth)) {
        let mut health = self.0.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        change(health.entry(peer.clone()).or_default());
    }

    pub(crate) fn bell(&self, peer: &OrgId) -> Arc<Bell> {
        self.0.shared.bell(peer)
    }

    /// Calls every courier that rests, because a peer that was down is back; at most once in `pause`.
    pub(crate) fn one_is_back(&self, pause: Duration) {
        let mut rung = self.0.shared.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if rung.is_none_or(|rung| rung.elapsed() >= pause) {
            *rung = Some(Instant::now());
            let bells = self.0.shared.bells.lock().unwrap_or_else(PoisonError::into_inner);
            bells.values().for_each(|bell| bell.heard.notify_one());
        }
    }

    /// Tells to which peers this process is courier; to all, where there is nothing.
    pub(crate) fn leases(&self) -> watch::Receiver<Option<BTreeSet<OrgId>>> {
        self.0.shared.leases.subscribe()
    }

    /// Tells each time that something was queued, for whatever peer.
    #[must_use]
    pub fn queued(&self) -> watch::Receiver<u64> {
        self.0.shared.queued.subscribe()
    }

    /// Tells of each change of the directory.
    pub(crate) fn directory_changes(&self) -> watch::Receiver<u64> {
        self.0.shared.directory.subscribe()
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.put(job(reply))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn put(&self, job: Job) -> Result<(), Refusal> {
        self.0.jobs.try_send(job).map_err(|fault| match fault {
            mpsc::error::TrySendError::Full(_) => Refusal::Busy("too much is in line on this node; try again in a moment".to_owned()),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })
    }
}

fn stopped() -> Refusal {
    Refusal::Store(StoreError::Failed("the writer has stopped".to_owned()))
}
