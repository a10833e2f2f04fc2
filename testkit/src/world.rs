//! The world: a few nodes, their members, the network between them and everything that goes wrong, from one seed.
//!
//! One thread, one source of chance, one clock. A turn of a node is what its one writer does: some jobs, one commit, and
//! only then the answers. Between turns time passes and misfortune strikes. After every turn the invariants are asked;
//! the world itself judges nothing. Two worlds with one seed do the same in the same order.

mod misfortune;
mod plan;
mod telling;
mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

use fastrand::Rng;
use format::{OrgId, RecordId, RecordNumber, Timestamp};
use node::exchange::WINDOW;
use node::{Command, Node, Refusal};

use crate::acts::{self};
use crate::chronicle::{Check, Chronicle, Violation, broken};
use crate::convergence;
use crate::coverage::Coverage;
use crate::faulty::Faulty;
use crate::federation::{Federation, Organisation, act, beginning, open};
use crate::invariants;
use crate::network::{Cargo, Message, Network, Place};
use crate::restoring::{Restorings, Stepped};
use crate::shelf::Shelf;

pub use plan::Plan;
pub use turn::Job;

/// The most sites a world has.
pub const MAX_SITES: usize = 8;

const NAMES: [(&str, &str, &str); MAX_SITES] = [
    ("se-sapo", "SAPO", "SE"),
    ("dk-pet", "PET", "DK"),
    ("eu-europol", "EUROPOL", "EU"),
    ("se-polisen", "POLISEN", "SE"),
    ("no-pst", "PST", "NO"),
    ("fi-skypo", "SKYPO", "FI"),
    ("de-bka", "BKA", "DE"),
    ("se-must", "MUST", "SE"),
];

/// The organisations of every world: their keys are made once.
pub fn organisations() -> &'static [Organisation] {
    static ALL: OnceLock<Vec<Organisation>> = OnceLock::new();
    ALL.get_or_init(|| NAMES.iter().map(|(org, short, country)| Organisation::new(org, short, country)).collect())
}

/// What goes to one peer: the courier's memory, lost when it stops.
#[derive(Debug, Default)]
pub struct Lane {
    last: u64,
    flying: VecDeque<Flight>,
    answers: BTreeMap<u64, Message>,
    window: usize,
}

#[derive(Debug)]
struct Flight {
    request: u64,
    sequence: u64,
    /// Up to which parcel the peer had given receipts when this one left.
    confirmed: u64,
    since: i64,
}

impl Lane {
    fn give_up(&mut self) {
        *self = Self { window: 1, ..Self::default() };
    }
}

/// How long a courier waits for an answer, in milliseconds.
const PATIENCE: i64 = 30_000;

/// One site.
#[derive(Debug)]
pub struct Site {
    /// Who it is.
    pub organisation: &'static Organisation,
    /// The world's end of its store.
    pub store: Faulty,
    /// Where its attachments are, if they are outside its store.
    pub shelf: Shelf,
    /// The node, while it runs.
    pub node: Option<Node<Faulty>>,
    /// When a stopped node starts again.
    pub up_at: i64,
    /// How wrong its clock is.
    pub skew: i64,
    boots: u64,
    lanes: Vec<Lane>,
    /// What was seen of its records, see [`invariants`].
    pub seen: BTreeMap<RecordId, invariants::Seen>,
    /// The one record that each number and version stands for here.
    pub numbers: BTreeMap<(RecordNumber, u32), RecordId>,
}

impl Site {
    /// Its organisation.
    #[must_use]
    pub fn org(&self) -> &OrgId {
        self.organisation.identity.org()
    }
}

/// Everything.
#[derive(Debug)]
pub struct World {
    /// Chance.
    pub rng: Rng,
    /// True time, in milliseconds.
    pub now: i64,
    /// The kind of run.
    pub plan: Plan,
    /// Sites.
    pub sites: Vec<Site>,
    /// What is on its way.
    pub network: Network,
    /// What truly happened.
    pub chronicle: Chronicle,
    /// What was exercised.
    pub coverage: Coverage,
    /// Steps so far.
    pub step: u64,
    /// A caller that answers before the commit: a planted bug of the simulation itself.
    pub hasty: bool,
    /// Digests of forged receipts.
    pub forged_receipts: BTreeSet<format::Digest>,
    /// Parcels that were taken in: by whom, from whom.
    pub inbox: Vec<(Place, Place, Vec<u8>)>,
    /// Copies of stores, and sites that were put back to one.
    pub restorings: Restorings,
    /// What a step of a ceremony gave.
    pub answers: Vec<Stepped>,
    /// Where copies of stores lie.
    pub folder: PathBuf,
    loot: Vec<Vec<u8>>,
    /// Chance, for what happens to shelves.
    shelves: Rng,
    requests: u64,
    verbose: bool,
    /// SHA-256 over everything told, to compare two runs.
    pub fingerprint: format::Digest,
}

impl World {
    /// A world from a seed, in which everyone knows everyone and some agreements are in force.
    ///
    /// # Errors
    /// The beginning itself is refused.
    pub fn new(seed: u64, folder: &Path, verbose: bool) -> Result<Self, Refusal> {
        let mut rng = Rng::with_seed(seed);
        // What happens to shelves is drawn apart: the rest of a world is the same without them.
        let plan = Plan { outside: seed.is_multiple_of(2), ..Plan::draw(&mut rng) };
        let all = organisations().get(..plan.sites).unwrap_or_default();
        let store = |place: usize| if plan.files { Faulty::file(&folder.join(format!("{seed}-{place}.db"))) } else { Faulty::memory() };
        let stores: Vec<Faulty> = (0..plan.sites).map(store).collect();
        let mut chronicle = Chronicle::new(all.iter().zip(NAMES).map(|(o, (_, _, country))| (o.identity.org().clone(), country)).collect());
        let nodes = Self::found(&mut rng, seed, all, &stores, &mut chronicle)?;
        let mut sites = Vec::new();
        for ((organisation, store), (_, node)) in all.iter().zip(stores).zip(nodes) {
            let skew = if plan.skew == 0 { 0 } else { rng.i64(-plan.skew..plan.skew) };
            let lanes = (0..plan.sites).map(|_| Lane { window: 1, ..Lane::default() }).collect();
            let (shelf, seen, numbers) = (Shelf::default(), BTreeMap::new(), BTreeMap::new());
            sites.push(Site { organisation, store, shelf, node: Some(node), up_at: 0, skew, boots: 0, lanes, seen, numbers });
        }
        let mut world = Self {
            rng,
            now: beginning().as_ms() + 60_000,
            network: Network::new(plan.weather.clone()),
            plan,
            sites,
            chronicle,
            coverage: Coverage::default(),
            step: 0,
            hasty: false,
            forged_receipts: BTreeSet::new(),
            inbox: Vec::new(),
            restorings: Restorings::default(),
            answers: Vec::new(),
            folder: folder.to_owned(),
            loot: Vec::new(),
            shelves: Rng::with_seed(!seed),
            requests: 0,
            verbose,
            fingerprint: format::Digest::from([0; 32]),
        };
        if world.plan.skew > 0 {
            world.coverage.fault("skew");
        }
        if world.plan.replays {
            world.remember_beginnings().map_err(|v| Refusal::Invalid { what: "world", why: v.what })?;
        }
        world.say(|| format!("{:?}", world.plan));
        Ok(world)
    }

    /// Sets nodes up, has cards compared and agreements signed, in fair weather.
    fn found(
        rng: &mut Rng,
        seed: u64,
        all: &'static [Organisation],
        stores: &[Faulty],
        chronicle: &mut Chronicle,
    ) -> Result<Vec<(OrgId, Node<Faulty>)>, Refusal> {
        let now = beginning();
        let mut nodes = BTreeMap::new();
        for ((place, organisation), store) in (0_u64..).zip(all).zip(stores) {
            let mut node = open(organisation, store.clone(), seed.wrapping_mul(31).wrapping_add(place))?;
            for other in all.iter().filter(|other| other.fingerprint != organisation.fingerprint) {
                act(&mut node, "ada", None, Command::ImportCard { bytes: other.card.clone(), fingerprint: other.fingerprint }, now)?;
            }
            nodes.insert(organisation.identity.org().clone(), node);
        }
        let mut federation = Federation { nodes, now };
        let orgs: Vec<OrgId> = chronicle.orgs.clone();
        for number in 0..rng.usize(2..=4) {
            let mut parties: Vec<&OrgId> = orgs.iter().collect();
            rng.shuffle(&mut parties);
            parties.truncate(rng.usize(2..=4.min(orgs.len())));
            let agreement = acts::generate(rng, &format!("avtal-{number}"), &parties);
            federation.agree(&agreement)?;
            let agreement = Rc::new(agreement);
            for place in parties.iter().filter_map(|org| chronicle.place(org)).collect::<Vec<_>>() {
                parties.iter().for_each(|signer| chronicle.signed(place, &agreement, signer));
            }
        }
        for (place, (org, store)) in orgs.iter().zip(stores).enumerate() {
            // What was exchanged so far counts as taken in.
            chronicle.entries(place, &store.take_witnessed().entries).map_err(|v| Refusal::Invalid { what: "world", why: v.what })?;
            let node = federation.node(org);
            for (from, peer) in orgs.iter().enumerate().filter(|(from, _)| *from != place) {
                let state = node.state().peer(peer);
                chronicle.at_mut(place).chain.insert(from, (state.received, state.received_digest));
            }
        }
        Ok(orgs.iter().filter_map(|org| federation.nodes.remove_entry(org)).collect())
    }

    /// Copies every store as it is at the beginning.
    fn remember_beginnings(&mut self) -> Check {
        for at in 0..self.plan.sites {
            self.site_mut(at).node = None;
            if let Err(fault) = self.site(at).store.with_file(|path| std::fs::copy(path, convergence::beginning_of(path)).map(|_| ())) {
                return broken(4, format!("a store is not copied: {fault}"));
            }
            self.start(at)?;
        }
        Ok(())
    }

    /// Tells something to whoever watches.
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            println!("{:>4} {} {}", self.step, Timestamp::from_ms(self.now), what());
        }
    }

    /// Adds to the fingerprint of the run.
    fn mark(&mut self, at: Place, word: &str) {
        let step = self.step.to_be_bytes();
        let place = u64::try_from(at).unwrap_or(u64::MAX).to_be_bytes();
        self.fingerprint = format::Digest::of_parts(&[self.fingerprint.as_bytes(), &step, &place, word.as_bytes()]);
    }

    /// The site at a place.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "places are those of this world")]
    pub fn site(&self, at: Place) -> &Site {
        &self.sites[at]
    }

    /// The site at a place, to be changed.
    ///
    /// # Panics
    /// There is none.
    #[expect(clippy::indexing_slicing, reason = "places are those of this world")]
    pub fn site_mut(&mut self, at: Place) -> &mut Site {
        &mut self.sites[at]
    }

    #[expect(clippy::indexing_slicing, reason = "every site has a lane to every site")]
    fn lane(&mut self, at: Place, peer: Place) -> &mut Lane {
        &mut self.site_mut(at).lanes[peer]
    }

    /// What a site's clock shows.
    #[must_use]
    pub fn clock(&self, at: Place) -> Timestamp {
        Timestamp::from_ms(self.now + self.site(at).skew)
    }

    fn chance(&mut self, rate: u32) -> bool {
        rate > 0 && self.rng.u32(..1000) < rate
    }

    /// One step: time passes, something may go wrong, and one node takes a turn.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub fn step(&mut self) -> Check {
        self.step += 1;
        self.now += self.rng.i64(1..3000);
        self.misfortune()?;
        if self.plan.outside {
            self.shelves();
        }
        self.restoring()?;
        self.forged_recovery()?;
        let at = self.rng.usize(..self.plan.sites);
        if self.site(at).node.is_none() {
            if self.now >= self.site(at).up_at {
                return self.start(at);
            }
            return Ok(());
        }
        let mut jobs = VecDeque::new();
        let mut many = 1;
        while many < 5 && self.rng.u8(..3) == 0 {
            many += 1;
        }
        for _ in 0..many {
            if let Some(job) = self.job(at) {
                jobs.push_back(job);
            }
        }
        self.turn(at, jobs)
    }

    /// What there is to do at a site.
    fn job(&mut self, at: Place) -> Option<Job> {
        match self.rng.u8(..20) {
            0..=7 => {
                let now = self.now;
                let message = self.network.arrive(&mut self.rng, at, now, &mut self.coverage);
                match message {
                    Some(message) if matches!(message.cargo, Cargo::Parcel(_)) => Some(Job::Receive(message)),
                    Some(message) => self.answer_arrived(at, message),
                    None => Some(Job::Member),
                }
            }
            8..=12 => self.courier(at),
            13 if self.rng.u8(..3) == 0 => Some(Job::Expire),
            _ => Some(Job::Member),
        }
    }

    /// An answer goes to the courier, which takes answers in the order of the parcels; one that was carried by hand goes
    /// to the node as it comes.
    fn answer_arrived(&mut self, at: Place, message: Message) -> Option<Job> {
        if !self.plan.connected {
            return Some(Job::Acknowledge(message));
        }
        let lane = self.lane(at, message.from);
        if lane.flying.iter().any(|flight| flight.request == message.request) {
            let peer = message.from;
            lane.answers.insert(message.request, message);
            return self.answer_in_turn(at, peer);
        }
        None
    }

    fn answer_in_turn(&mut self, at: Place, peer: Place) -> Option<Job> {
        let lane = self.lane(at, peer);
        let first = lane.flying.front()?.request;
        lane.answers.remove(&first).map(Job::Acknowledge)
    }

    /// A courier's turn towards some peer.
    fn courier(&mut self, at: Place) -> Option<Job> {
        let peer = (at + self.rng.usize(1..self.plan.sites)) % self.plan.sites;
        let now = self.now;
        let lane = self.lane(at, peer);
        if lane.flying.iter().any(|flight| now - flight.since > PATIENCE) {
            lane.give_up();
        }
        if let Some(job) = self.answer_in_turn(at, peer) {
            return Some(job);
        }
        let lane = self.lane(at, peer);
        if lane.flying.len() >= lane.window.max(1) {
            return None;
        }
        let state = self.site(at).node.as_ref()?.state();
        let org = self.chronicle.org(peer);
        let known = state.peer(org);
        let waiting = state.queued.get(org).copied().unwrap_or(0);
        (known.sent > known.acknowledged || waiting > 0).then_some(Job::Dispatch(peer))
    }

    /// Everyone recalls everything.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub fn recall_everything(&mut self) -> Check {
        for at in 0..self.plan.sites {
            let numbers: Vec<RecordNumber> = self.chronicle.at(at).own.keys().cloned().collect();
            for number in numbers {
                self.turn(at, VecDeque::from([Job::Recall(number)]))?;
            }
        }
        Ok(())
    }

    fn carry(&mut self, message: Message) {
        let now = self.now;
        self.network.send(&mut self.rng, self.plan.sites, message, now, &mut self.coverage);
    }

    /// Faults end: clocks agree roughly, everyone is up, and the network carries.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub fn heal(&mut self) -> Check {
        self.say(|| "faults end".to_owned());
        self.network.calm();
        self.plan.temper.careless = 0;
        for at in 0..self.plan.sites {
            self.site(at).store.arm(None);
            self.site(at).shelf.set(Timestamp::from_ms(self.now), false);
            self.site_mut(at).lanes.iter_mut().for_each(Lane::give_up);
            if self.site(at).node.is_none() {
                self.start(at)?;
            }
        }
        Ok(())
    }

    /// Everyone in turn takes in what arrived, sends what waits, and destroys what is due, until nothing moves. Gives
    /// whether it came to rest within `rounds`.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub fn drain(&mut self, rounds: u32) -> Result<bool, Violation> {
        let mut given_up = false;
        for _ in 0..rounds {
            self.step += 1;
            self.now += 100;
            let before = self.coverage.acts.get("dispatch").copied().unwrap_or(0);
            for at in 0..self.plan.sites {
                let mut jobs = VecDeque::from([Job::Expire]);
                while let Some(message) = self.arrivals(at) {
                    match message.cargo {
                        Cargo::Parcel(_) => jobs.push_back(Job::Receive(message)),
                        Cargo::Answer(_) => jobs.push_back(Job::Acknowledge(message)),
                    }
                }
                self.turn(at, jobs)?;
                for peer in (0..self.plan.sites).filter(|peer| *peer != at) {
                    for _ in 0..WINDOW {
                        self.turn(at, VecDeque::from([Job::Dispatch(peer)]))?;
                    }
                }
            }
            let moved = self.coverage.acts.get("dispatch").copied().unwrap_or(0) > before || self.network.next_due().is_some();
            if !moved && given_up {
                return Ok(true);
            }
            // An answer that never came is waited for no longer.
            given_up = !moved;
            if given_up {
                self.sites.iter_mut().flat_map(|site| &mut site.lanes).for_each(Lane::give_up);
            }
        }
        Ok(false)
    }

    fn arrivals(&mut self, at: Place) -> Option<Message> {
        let now = self.now;
        self.network.arrive(&mut self.rng, at, now, &mut self.coverage)
    }
}
