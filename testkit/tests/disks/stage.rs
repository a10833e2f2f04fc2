//! The stage: one node whose store is on the disk that is tried, others in memory, and what the first did, step by step.
//!
//! A step is one act with its commit, kept so that it can be done again on an earlier image. Whatever comes from other
//! nodes is part of the step as bytes. Nothing fails here: the scenario is played once on a sound disk.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use disk::{Disk, Image, Mount};
use format::agreement::Onward;
use format::merkle::Hash;
use format::{OrgId, RecordId, RecordNumber, Timestamp};
use node::Node;
use node::command::{Command, DraftInput, Outcome, Refusal};
use node::exchange::{Acknowledgement, Answer, Dispatch};
use node::recovery::Asking;
use samverkan_testkit::federation::{self, Federation, Organisation, act, agreement, id, seal};
use store::sqlite::{Options, Sqlite};

/// Name of the store's file.
pub(crate) const FILE: &str = "samverkan.db";

/// What a step gives to those that follow it.
pub(crate) enum Done {
    Nothing,
    Outcome(Outcome),
    Leaves(Option<Dispatch>),
    Answer(Answer),
    Asks(Option<Asking>),
    Settled(bool),
}

/// What is done to a node whose store lies in a folder.
type Run = Rc<dyn Fn(&mut Node<Sqlite>, &Path) -> Result<Done, Refusal>>;

/// Something the node did.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    /// What was on the disk before it.
    pub(crate) before: Image,
    /// How much had been done to the disk when it was told that this is kept.
    pub(crate) kept_at: usize,
    /// The ledger then.
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// What a scenario has left: what was done to a disk that held `before`, and what was told meanwhile.
pub(crate) struct Played {
    pub(crate) name: &'static str,
    pub(crate) organisation: Organisation,
    pub(crate) before: Image,
    /// The ledger at the beginning.
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) ops: Vec<disk::Op>,
    /// What was on the disk at the end.
    pub(crate) after: Image,
    pub(crate) now: Timestamp,
    pub(crate) steps: Vec<Step>,
}

/// A node of one organisation on a disk of its own, and its peers.
pub(crate) struct Stage {
    pub(crate) federation: Federation<Sqlite>,
    pub(crate) me: OrgId,
    pub(crate) peers: Vec<OrgId>,
    organisations: Vec<Organisation>,
    pub(crate) folder: tempfile::TempDir,
    disk: Disk,
    begun: Option<(Image, u64, Hash)>,
    steps: Vec<Step>,
    _mount: Mount,
}

/// An image with an empty store file, as the product makes it before SQLite opens it.
pub(crate) fn blank() -> Image {
    Image::from([(FILE.to_owned(), Vec::new())])
}

pub(crate) fn organisations() -> Vec<Organisation> {
    vec![Organisation::new("se-sapo", "SAPO", "SE"), Organisation::new("dk-pet", "PET", "DK"), Organisation::new("no-pst", "PST", "NO")]
}

impl Stage {
    /// Three organisations under one agreement. The one at `tried` has its store on the disk.
    pub(crate) fn new(tried: usize, onward: Onward) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(&blank());
        let mount = Mount::new(folder.path(), &disk);
        let organisations = organisations();
        let mut made = 0;
        let mut federation = Federation::new(&organisations, || {
            made += 1;
            if made == tried + 1 { Sqlite::open(&folder.path().join(FILE), &Options::default()).unwrap() } else { Sqlite::memory().unwrap() }
        })
        .unwrap();
        let orgs: Vec<OrgId> = organisations.iter().map(|organisation| organisation.identity.org().clone()).collect();
        federation.agree(&agreement("ctg", &orgs.iter().collect::<Vec<_>>(), onward)).unwrap();
        let me = orgs[tried].clone();
        let peers = orgs.into_iter().filter(|org| *org != me).collect();
        Self { federation, me, peers, organisations, folder, disk, begun: None, steps: Vec::new(), _mount: mount }
    }

    pub(crate) fn node(&mut self) -> &mut Node<Sqlite> {
        self.federation.node(&self.me)
    }

    /// Begins to take notes: what was done before is taken for granted, and is durable.
    pub(crate) fn begin(&mut self) {
        let image = self.disk.image();
        self.begin_on(&image);
    }

    /// The same on another disk: the node is opened on it first.
    pub(crate) fn begin_on(&mut self, image: &Image) {
        drop(self.federation.nodes.remove(&self.me));
        self.disk = Disk::new(image);
        self._mount = Mount::new(self.folder.path(), &self.disk);
        let (me, now) = (self.organisation().identity.clone(), self.federation.now);
        let store = Sqlite::open(&self.folder.path().join(FILE), &Options::default()).unwrap();
        let node = Node::open(store, me, entropy(now), Arc::new(policy::house::NoHouseRules)).unwrap();
        self.begun = Some((image.clone(), node.state().frontier.size(), node.state().frontier.root()));
        self.federation.nodes.insert(self.me.clone(), node);
    }

    pub(crate) fn image(&self) -> Image {
        self.disk.image()
    }

    fn organisation(&self) -> &Organisation {
        self.organisations.iter().find(|organisation| *organisation.identity.org() == self.me).unwrap()
    }

    pub(crate) fn step(&mut self, name: &'static str, run: impl Fn(&mut Node<Sqlite>, &Path) -> Result<Done, Refusal> + 'static) -> Done {
        assert!(self.begun.is_some(), "the scenario has not begun to take notes");
        let before = self.disk.image();
        let folder = self.folder.path().to_owned();
        let done = run(self.node(), &folder).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let frontier = &self.federation.node(&self.me).state().frontier;
        let (size, root) = (frontier.size(), frontier.root());
        self.steps.push(Step { name, run: Rc::new(run), before, kept_at: self.disk.ops_count(), size, root });
        done
    }

    /// What a member does. `command` makes the same command each time.
    pub(crate) fn member(&mut self, name: &'static str, member: &'static str, about: Option<RecordId>, command: impl Fn() -> Command + 'static) -> Outcome {
        let now = self.federation.now;
        let done = self.step(name, move |node, _| act(node, member, about.as_ref(), command(), now).map(Done::Outcome));
        let Done::Outcome(outcome) = done else { unreachable!("an act has an outcome") };
        outcome
    }

    /// Drafts, submits and approves, step by step.
    pub(crate) fn approve(&mut self, draft: impl Fn() -> Command + 'static) -> (RecordId, RecordNumber) {
        let Outcome::Drafted { number, version } = self.member("draft", "anna", None, draft) else { panic!("not drafted") };
        let record = self.submit(&number, version);
        self.member("approve", "rolf", Some(record), move || Command::Approve { record });
        (record, number)
    }

    pub(crate) fn submit(&mut self, number: &RecordNumber, version: u32) -> RecordId {
        use node::ports::Reader as _;
        let draft = self.node().store().record_by_number(number, Some(version)).unwrap().unwrap().id;
        let number = number.clone();
        let submitted = self.member("submit", "anna", Some(draft), move || Command::Submit { number: number.clone(), version });
        let Outcome::Record { record, .. } = submitted else { panic!("not submitted") };
        record
    }

    /// Everything from the draft to the release.
    pub(crate) fn release(&mut self, input: DraftInput) -> (RecordId, RecordNumber) {
        let (record, number) = self.approve(move || Command::Draft(Box::new(input.clone())));
        self.member("release", "rolf", Some(record), move || Command::Release { record });
        (record, number)
    }

    /// Carries parcels until nothing waits, with what this node does of it as steps.
    pub(crate) fn exchange(&mut self) {
        while self.exchange_once() {}
    }

    fn exchange_once(&mut self) -> bool {
        let (me, peers) = (self.me.clone(), self.peers.clone());
        let mut moved = false;
        for peer in &peers {
            moved |= self.send(peer);
            moved |= self.receive(peer, &me);
            for other in peers.iter().filter(|other| *other != peer) {
                moved |= self.federation.carry(peer, other).unwrap();
            }
        }
        moved
    }

    /// This node's next parcel to a peer: it leaves, and its receipt comes back.
    pub(crate) fn send(&mut self, peer: &OrgId) -> bool {
        let (now, to) = (self.federation.now, peer.clone());
        let after = self.node().state().peer(peer).acknowledged;
        let waits = {
            use node::ports::Reader as _;
            self.node().store().outgoing_count(peer).unwrap() > 0 || self.node().state().peer(peer).sent > after
        };
        if !waits {
            return false;
        }
        let done = self.step("dispatch", move |node, _| {
            let dispatch = node.dispatch(&to, after, now)?;
            node.commit()?;
            Ok(Done::Leaves(dispatch))
        });
        let Done::Leaves(Some(dispatch)) = done else { return false };
        let envelope = seal(self.node(), dispatch).unwrap();
        let me = self.me.clone();
        let answer = federation::hand_over(self.federation.node(peer), &me, &envelope, now).unwrap().to_bytes();
        let from = peer.clone();
        self.step("take the receipt", move |node, _| {
            let directory = Arc::clone(&node.state().directory);
            let read = Acknowledgement::read(&from, &answer, &directory).map_err(|e| Refusal::Invalid { what: "answer", why: e.to_string() })?;
            node.acknowledge(read, now)?;
            node.commit()?;
            Ok(Done::Nothing)
        });
        true
    }

    fn receive(&mut self, peer: &OrgId, me: &OrgId) -> bool {
        let now = self.federation.now;
        let sender = self.federation.node(peer);
        let after = sender.state().peer(me).acknowledged;
        let dispatch = sender.dispatch(me, after, now).unwrap();
        sender.commit().unwrap();
        let Some(dispatch) = dispatch else { return false };
        let envelope = seal(self.federation.node(peer), dispatch).unwrap();
        let from = peer.clone();
        let Done::Answer(answer) = self.step("receive", move |node, _| federation::hand_over(node, &from, &envelope, now).map(Done::Answer)) else {
            unreachable!("a parcel is answered")
        };
        let sender = self.federation.node(peer);
        let directory = Arc::clone(&sender.state().directory);
        sender.acknowledge(Acknowledgement::read(me, &answer.to_bytes(), &directory).unwrap(), now).unwrap();
        sender.commit().unwrap();
        true
    }

    pub(crate) fn end(mut self, name: &'static str) -> Played {
        let (ops, after, now) = (self.disk.ops(), self.disk.image(), self.federation.now);
        drop(self.federation.nodes.remove(&self.me));
        let place = self.organisations.iter().position(|organisation| *organisation.identity.org() == self.me).unwrap();
        let (before, size, root) = self.begun.take().unwrap();
        Played { name, organisation: self.organisations.swap_remove(place), before, size, root, ops, after, now, steps: self.steps }
    }
}

pub(crate) fn entropy(now: Timestamp) -> Box<dyn node::ports::Entropy> {
    Box::new(node::vault::SeededEntropy::new(7, now))
}

pub(crate) fn sapo() -> OrgId {
    id("se-sapo")
}
