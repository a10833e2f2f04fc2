//! Two nodes in this process, each behind a door, without a network.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use format::agreement::Onward;
use format::{OrgId, RecordId, Timestamp};
use node::exchange::{Acknowledgement, Answer, CARRIED_WINDOW, Dispatch, DispatchFault, Inbound};
use node::node::Identity;
use node::objects::Fetched;
use node::ports::Reader;
use node::rows::{HoldingState, PeerRow, Suspicion};
use node::state::Directory;
use node::{Node, Recipient, Refusal, Released};
use place::Place;
use samverkan_mailbox::{Door, Pace, Post, start};
use store::sqlite::Sqlite;
use testkit::federation::{self, Federation, Organisation, beginning};
use tokio::sync::watch;

/// Short times, so that tests need not wait.
const QUICK: Pace = Pace { first: Duration::from_millis(20), last: Duration::from_millis(60) };

/// A node and the way to it.
#[derive(Clone)]
pub(crate) struct Side(Arc<Inner>);

struct Inner {
    node: Mutex<Node<Sqlite>>,
    me: Arc<Identity>,
    queued: watch::Sender<u64>,
    time: Arc<AtomicU64>,
    visits: AtomicU64,
}

pub(crate) struct Pair {
    pub(crate) a: Side,
    pub(crate) b: Side,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let organisations = [Organisation::new("se-sapo", "SAPO", "SE"), Organisation::new("se-fra", "FRA", "SE")];
        let mut federation = Federation::new(&organisations, || Sqlite::memory().unwrap()).unwrap();
        let orgs: Vec<OrgId> = organisations.iter().map(|organisation| organisation.identity.org().clone()).collect();
        federation.agree(&federation::agreement("ctg", &orgs.iter().collect::<Vec<_>>(), Onward::Never)).unwrap();
        federation.settle().unwrap();
        let time = Arc::new(AtomicU64::new(1_000_000));
        let mut side = |org: &OrgId| {
            let node = federation.nodes.remove(org).unwrap();
            let me = Arc::clone(node.identity());
            Side(Arc::new(Inner { node: Mutex::new(node), me, queued: watch::Sender::new(0), time: Arc::clone(&time), visits: AtomicU64::new(0) }))
        };
        Self { a: side(&orgs[0]), b: side(&orgs[1]) }
    }
}

impl Side {
    /// Does something with the node and commits it, as its writer would.
    fn with<T>(&self, act: impl FnOnce(&mut Node<Sqlite>, Timestamp) -> T) -> T {
        let mut node = self.0.node.lock().unwrap();
        let done = act(&mut node, self.now());
        node.commit().unwrap();
        if !node.take_queued().is_empty() {
            self.0.queued.send_modify(|times| *times += 1);
        }
        done
    }

    pub(crate) fn org(&self) -> &OrgId {
        self.0.me.org()
    }

    pub(crate) fn start(&self, peer: &Self, place: &Place) -> Post {
        start(self.clone(), place, BTreeSet::from([peer.org().clone()]), true, QUICK).unwrap()
    }

    pub(crate) fn report(&self, to: &Self, title: &str) -> RecordId {
        self.large_report(to, title, 0)
    }

    pub(crate) fn large_report(&self, to: &Self, title: &str, size: usize) -> RecordId {
        let mut input = federation::report("ctg", &[to.org()], title);
        if size > 0 {
            input.content.text = "x".repeat(size);
        }
        self.with(|node, now| {
            let (record, _) = federation::approved(node, input, now).unwrap();
            federation::release_record(node, record, now).unwrap();
            record
        })
    }

    pub(crate) fn held(&self, record: RecordId, holder: &Self) -> bool {
        let copies = self.with(|node, _| node.store().holdings(&record).unwrap());
        copies.iter().any(|copy| copy.holder == *holder.org() && copy.state == HoldingState::Held)
    }

    pub(crate) fn all_acknowledged(&self, peer: &Self) -> bool {
        self.with(|node, _| {
            let state = node.state().peer(peer.org());
            state.sent == state.acknowledged && node.store().outgoing_count(peer.org()).unwrap() == 0
        })
    }

    /// Makes this side see a contradiction: the peer answers a parcel that was never sent to it.
    pub(crate) fn suspect(&self, peer: &Self) {
        let forgotten = self.with(|node, now| {
            let why = Answer::Expected(1);
            let bytes = node::exchange::seal_answer(&peer.0.me, &node.state().directory, self.org(), u64::MAX >> 12, &why, now).unwrap();
            bytes.hand_to(&Recipient::Organisation(self.org().clone())).unwrap()
        });
        self.with(|node, now| {
            let told = Acknowledgement::open(node.identity(), &node.state().directory, &forgotten).unwrap();
            node.acknowledge(told, now).unwrap();
        });
        assert!(self.suspects(peer));
    }

    pub(crate) fn suspects(&self, peer: &Self) -> bool {
        self.with(|node, _| node.state().peer(peer.org()).suspicion == Some(Suspicion::Fork))
    }

    pub(crate) fn open(&self, envelope: &[u8]) -> Option<Vec<u8>> {
        self.0.me.opening.open(self.org(), envelope).ok()
    }

    /// How often the mailbox asked how exchange stands.
    pub(crate) fn visits(&self) -> u64 {
        self.0.visits.load(SeqCst)
    }
}

impl Door for Side {
    fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.0.me)
    }

    fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.0.node.lock().unwrap().state().directory)
    }

    fn now(&self) -> Timestamp {
        let passed = self.0.time.fetch_add(1, SeqCst);
        beginning().plus_ms(i64::try_from(passed).unwrap())
    }

    async fn peer(&self, peer: &OrgId) -> Result<Option<PeerRow>, Refusal> {
        self.0.visits.fetch_add(1, SeqCst);
        Ok(self.with(|node, _| node.store().peer(peer))?)
    }

    async fn receive(&self, inbound: Inbound) -> Result<Answer, Refusal> {
        self.with(|node, now| node.receive(inbound, now))
    }

    async fn acknowledge(&self, acknowledgement: Acknowledgement) -> Result<(), Refusal> {
        self.with(|node, now| node.acknowledge(acknowledgement, now))
    }

    async fn dispatch(&self, peer: &OrgId, after: u64) -> Result<Option<Dispatch>, Refusal> {
        self.with(|node, now| node.dispatch_within(CARRIED_WINDOW, peer, after, &Fetched::default(), now))
    }

    async fn seal(&self, dispatch: Dispatch) -> Result<Released<Vec<u8>>, DispatchFault> {
        self.with(|node, _| dispatch.seal(node.store(), &Fetched::default(), node.identity(), &node.state().directory))
    }

    fn queued(&self) -> watch::Receiver<u64> {
        self.0.queued.subscribe()
    }
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let so = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), so).await.is_ok(), "waited in vain for {what}");
}
