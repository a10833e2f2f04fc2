//! The world: a few nodes, their members, the network between them and everything that goes wrong, from one seed.
//!
//! One thread, one source of chance, one clock. A turn of a node is what its one writer does: some jobs, one commit, and
//! only then the answers. Between turns time passes and misfortune strikes. After every turn the invariants are asked;
//! the world itself judges nothing. Two worlds with one seed do the same in the same order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use fastrand::Rng;
use format::{OrgId, RecordId, RecordNumber, Timestamp};
use node::exchange::{self, Acknowledgement, Answer, Dispatch, WINDOW};
use node::ports::Reader;
use node::vault::SeededEntropy;
use node::{Command, Node, Outcome, Recipient, Refusal};
use policy::house::NoHouseRules;

use crate::acts::{self, Act, Desk, Temper};
use crate::chronicle::{Check, Chronicle, Promise, SeenItem, Violation, broken};
use crate::convergence;
use crate::coverage::Coverage;
use crate::faulty::{Armed, Fault, Faulty};
use crate::federation::{Federation, Organisation, act, beginning, open, pass};
use crate::forger::{self, Workshop};
use crate::invariants;
use crate::network::{Cargo, Message, Network, Place, Weather};
use crate::restoring::{self, Restorings, Step, Stepped};
use crate::shelf::{self, Shelf};

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

/// What kind of run it is, drawn from the seed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many sites.
    pub sites: usize,
    /// How many steps with faults.
    pub steps: u64,
    /// What the network does.
    pub weather: Weather,
    /// What members do.
    pub temper: Temper,
    /// In thousandths, for each step: a fault is set in a store.
    pub store_faults: u32,
    /// In thousandths: a node is stopped.
    pub stops: u32,
    /// In thousandths: a connection is cut.
    pub cuts: u32,
    /// In thousandths: hours or days pass.
    pub days: u32,
    /// How far clocks may be wrong, in milliseconds.
    pub skew: i64,
    /// Answers come back as over a connection: each to its own parcel, in order.
    pub connected: bool,
    /// Stores are files.
    pub files: bool,
    /// A site with valid keys that forges.
    pub hostile: Option<Place>,
    /// In the end everything is recalled.
    pub endgame: bool,
    /// Everyone's parcels are kept, to be taken in again in another order.
    pub replays: bool,
    /// In thousandths: a store is put back to an old copy.
    pub restores: u32,
    /// Whose.
    pub restored: Place,
    /// Attachments are kept outside the stores.
    pub outside: bool,
}

impl Plan {
    fn draw(rng: &mut Rng) -> Self {
        let mut rate = |most: u32| if rng.u8(..3) == 0 { 0 } else { rng.u32(1..=most) };
        let (store_faults, stops, cuts, days) = (rate(40), rate(12), rate(15), rate(12));
        let mut plan = Self {
            sites: [3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 8].get(rng.usize(..12)).copied().unwrap_or(3),
            steps: rng.u64(120..360),
            weather: Weather::draw(rng),
            temper: Temper::draw(rng),
            store_faults,
            stops,
            cuts,
            days,
            skew: [0, 1000, 300_000, 36_000_000].get(rng.usize(..4)).copied().unwrap_or(0),
            connected: rng.u8(..3) > 0,
            files: rng.u8(..16) == 0,
            hostile: (rng.u8(..5) == 0).then_some(0),
            endgame: rng.u8(..3) == 0,
            replays: false,
            restores: 0,
            restored: 0,
            outside: false,
        };
        plan.hostile = plan.hostile.map(|_| rng.usize(..plan.sites));
        if plan.hostile.is_none() && rng.u8(..12) == 0 {
            plan.replays = true;
            plan.files = true;
            plan.days = 0;
            plan.skew = 0;
            plan.temper.stay();
        }
        if plan.hostile.is_none() && !plan.replays && rng.u8(..3) == 0 {
            plan.restores = rng.u32(4..24);
            plan.restored = rng.usize(..plan.sites);
        }
        plan
    }
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

/// What a node is asked to do.
#[derive(Debug)]
pub enum Job {
    /// A member does something.
    Member,
    /// A member takes the next step with this record.
    Push(RecordNumber, u32),
    /// A member adds to this record's attachments.
    Attach(RecordNumber, u32),
    /// A member recalls this record.
    Recall(RecordNumber),
    /// A parcel arrived.
    Receive(Message),
    /// An answer arrived.
    Acknowledge(Message),
    /// The courier asks what leaves next.
    Dispatch(Place),
    /// What is due is destroyed.
    Expire,
    /// A step of a restored site's ceremony.
    Ceremony(Step),
}

/// What a job gave, to be told after the commit.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
enum Effect {
    Nothing,
    Refused(String),
    Acted { act: ActNote, outcome: Outcome },
    Answered { message: Message, answer: Answer, now: Timestamp },
    Acknowledged { peer: Place, request: u64, confirmed: bool },
    Dispatched { peer: Place, dispatch: Dispatch, now: Timestamp },
    Idle,
    Expired(usize),
    Stepped(Stepped),
}

/// What is remembered of a command that was given away.
#[derive(Debug)]
struct ActNote {
    word: &'static str,
    member: String,
    row: Option<node::rows::RecordRow>,
    proposal: Option<format::agreement::Agreement>,
    agreement: Option<(format::AgreementId, Option<u32>)>,
    now: Timestamp,
    large: bool,
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

    /// Whatever strikes between turns.
    fn misfortune(&mut self) -> Check {
        let now = self.now;
        self.network.replay(&mut self.rng, now, &mut self.coverage);
        if self.chance(self.plan.store_faults) {
            let at = self.rng.usize(..self.plan.sites);
            let fault =
                [Fault::Fails, Fault::Full, Fault::Crash, Fault::Crash, Fault::DiesAfterCommit].get(self.rng.usize(..5)).copied().unwrap_or(Fault::Fails);
            let armed = Armed { fault, after: self.rng.u32(..60), burst: if self.rng.bool() { 1 } else { self.rng.u32(1..6) } };
            self.site(at).store.arm(Some(armed));
        }
        if self.chance(self.plan.stops) {
            let at = self.rng.usize(..self.plan.sites);
            if self.site(at).node.is_some() {
                self.coverage.fault("restart");
                self.stop(at);
            }
        }
        if self.chance(self.plan.cuts) {
            self.cut();
        }
        if self.network.is_cut() && self.rng.u8(..40) == 0 {
            self.network.mend();
        }
        if self.chance(self.plan.days) {
            self.coverage.fault("days-pass");
            self.now += if self.rng.bool() { self.rng.i64(1_000_000..20_000_000) } else { self.rng.i64(20_000_000..260_000_000) };
        }
        if self.plan.skew > 0 && self.rng.u8(..100) == 0 {
            self.shift_clock();
        }
        Ok(())
    }

    /// A shelf goes out of reach or comes back, and what nothing needs is removed from it.
    fn shelves(&mut self) {
        for at in 0..self.plan.sites {
            let chance = self.shelves.u8(..60);
            let away = chance == 0 && !self.network.is_calm();
            if away {
                self.coverage.fault("attachments-away");
            }
            let shelf = self.site(at).shelf.clone();
            shelf.set(Timestamp::from_ms(self.now), away);
            if chance == 1
                && let Some(node) = &self.site(at).node
            {
                let removed = shelf::sweep(node, &shelf).unwrap_or_default();
                (0..removed).for_each(|_| self.coverage.act("remove-object"));
            }
        }
    }

    fn entropy(&mut self) -> SeededEntropy {
        SeededEntropy::new(self.shelves.u64(..), Timestamp::from_ms(self.now))
    }

    fn cut(&mut self) {
        let (one, other) = (self.rng.usize(..self.plan.sites), self.rng.usize(..self.plan.sites));
        match self.rng.u8(..3) {
            0 => {
                self.coverage.fault("one-way");
                self.network.cut(one, other);
            }
            1 => {
                self.coverage.fault("partition");
                self.network.cut(one, other);
                self.network.cut(other, one);
            }
            _ => {
                // One site is cut off from all.
                self.coverage.fault("partition");
                for peer in 0..self.plan.sites {
                    self.network.cut(one, peer);
                    self.network.cut(peer, one);
                }
            }
        }
    }

    fn shift_clock(&mut self) {
        let at = self.rng.usize(..self.plan.sites);
        let skew = self.rng.i64(-self.plan.skew..self.plan.skew);
        if skew < self.site(at).skew {
            self.coverage.fault("clock-back");
        }
        self.site_mut(at).skew = skew;
    }

    /// A node stops, and what it had in memory is gone.
    pub fn stop(&mut self, at: Place) {
        let long = if self.rng.u8(..4) == 0 { self.rng.i64(100_000..2_000_000) } else { self.rng.i64(0..4000) };
        if long > 100_000 {
            self.coverage.fault("down");
        }
        let up_at = self.now + long;
        let site = self.site_mut(at);
        site.node = None;
        site.store.end();
        site.up_at = up_at;
        site.lanes.iter_mut().for_each(Lane::give_up);
        if self.rng.u8(..3) == 0 && self.plan.skew > 0 {
            let back = self.rng.i64(0..self.plan.skew);
            self.coverage.fault("clock-back");
            self.site_mut(at).skew -= back;
        }
        self.mark(at, "stops");
        self.say(|| format!("{} stops", self.site(at).org()));
    }

    /// A node starts on what its store holds.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub fn start(&mut self, at: Place) -> Check {
        let clock = self.clock(at);
        let site = self.site_mut(at);
        site.boots += 1;
        let seed = site.boots.wrapping_mul(1000).wrapping_add(u64::try_from(at).unwrap_or(0));
        if let Err(fault) = site.store.begin() {
            return broken(10, format!("the store does not open again: {fault}"));
        }
        let entropy = Box::new(SeededEntropy::new(seed, clock));
        match Node::open(site.store.clone(), Arc::clone(&site.organisation.identity), entropy, Arc::new(NoHouseRules)) {
            Ok(node) => site.node = Some(node),
            Err(fault) => return broken(10, format!("the node does not start again: {fault}")),
        }
        self.mark(at, "starts");
        self.say(|| format!("{} starts", self.site(at).org()));
        invariants::after_start(self, at)
    }

    /// A node's turn: jobs, one commit, then the answers.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub fn turn(&mut self, at: Place, mut jobs: VecDeque<Job>) -> Check {
        let Some(mut node) = self.site_mut(at).node.take() else { return Ok(()) };
        let store = self.site(at).store.clone();
        let mut effects = Vec::new();
        let mut done: Check = Ok(());
        while let Some(job) = jobs.pop_front() {
            let effect = self.perform(at, &mut node, job, &mut jobs);
            if self.hasty && done.is_ok() {
                done = effect.and_then(|effect| self.tell(at, &node, effect));
            } else {
                effects.push(effect);
            }
            if store.is_dead() {
                break;
            }
        }
        let committed = if store.is_dead() { Err(node::ports::StoreError::Failed("dead".to_owned())) } else { node.commit() };
        let _woken = node.take_queued();
        let witnessed = store.take_witnessed();
        let durable = committed.is_ok() || witnessed.struck.contains(&Fault::DiesAfterCommit);
        self.count_faults(&witnessed.struck);
        let mut touched = witnessed.touched;
        done?;
        self.chronicle.entries(at, &witnessed.entries)?;
        self.chronicle.at_mut(at).queued.extend(witnessed.queued);
        invariants::fail_closed(self, at, witnessed.write_failed, &committed, &witnessed.struck)?;
        if durable {
            for effect in effects {
                let effect = effect?;
                self.note(at, &effect, &mut touched)?;
                if !store.is_dead() {
                    self.tell(at, &node, effect)?;
                }
            }
        } else {
            self.say(|| format!("{}: nothing was kept: {:?} {committed:?}", self.site(at).org(), witnessed.struck));
            for effect in effects {
                effect?;
            }
        }
        if !durable && !store.is_dead() {
            // Whatever is asked next begins with what is durable, once the store can be read again.
            for _ in 0..8 {
                if node.commit().is_ok() {
                    break;
                }
            }
        }
        self.count_faults(&store.take_witnessed().struck);
        let dead = store.is_dead();
        self.site_mut(at).node = Some(node);
        if dead {
            self.stop(at);
        } else if !durable {
            invariants::memory_is_durable(self, at)?;
        }
        invariants::after_turn(self, at, &touched)
    }

    fn count_faults(&mut self, struck: &[Fault]) {
        for fault in struck {
            self.coverage.fault(match fault {
                Fault::Fails => "store-fails",
                Fault::Full => "store-full",
                Fault::Crash => "crash",
                Fault::DiesAfterCommit => "dies-after-commit",
            });
        }
    }

    fn perform(&mut self, at: Place, node: &mut Node<Faulty>, job: Job, jobs: &mut VecDeque<Job>) -> Result<Effect, Violation> {
        let clock = self.clock(at);
        let now = clock.max(node.state().clock);
        Ok(match job {
            Job::Member | Job::Push(..) | Job::Attach(..) | Job::Recall(_) => {
                let Some(act) = self.think(at, &job, now) else { return Ok(Effect::Nothing) };
                self.member_acts(at, node, act, clock, jobs)
            }
            Job::Receive(message) => self.receive(at, node, message, clock)?,
            Job::Acknowledge(message) => self.acknowledge(at, node, message, clock)?,
            Job::Dispatch(peer) => {
                let after = self.lane(at, peer).last;
                match shelf::dispatch(node, &self.site(at).shelf, &self.chronicle.org(peer).clone(), after, clock) {
                    Ok(Some(dispatch)) => Effect::Dispatched { peer, dispatch, now },
                    Ok(None) => Effect::Idle,
                    Err(refusal) => Effect::Refused(refusal.to_string()),
                }
            }
            Job::Expire => match node.expire(50, clock) {
                Ok(count) => Effect::Expired(count),
                Err(refusal) => Effect::Refused(refusal.to_string()),
            },
            Job::Ceremony(step) => match restoring::perform(node, step, &self.chronicle.orgs, clock) {
                Ok(stepped) => Effect::Stepped(stepped),
                Err(refusal) => Effect::Refused(refusal.to_string()),
            },
        })
    }

    fn think(&mut self, at: Place, job: &Job, now: Timestamp) -> Option<Act> {
        let mut canaries = Vec::new();
        let agreements = self.chronicle.at(at).knows.agreements.values().map(|known| Rc::clone(&known.agreement)).collect();
        let (store, shelf) = (self.site(at).store.clone(), self.site(at).shelf.clone());
        let me = Arc::clone(&self.site(at).organisation.identity);
        let (rng, orgs, temper) = (&mut self.rng, &self.chronicle.orgs, &self.plan.temper);
        let act = store.peek(|store| {
            let mut desk = Desk { rng, store, shelf: &shelf, me: &me, orgs, agreements, now, canaries: &mut canaries };
            match job {
                Job::Push(number, version) => desk.push_through(number, *version),
                Job::Attach(number, version) => desk.attach_to(number, *version),
                Job::Recall(number) => desk.recall(number),
                _ => desk.think(temper),
            }
        });
        self.chronicle.canaries.extend(canaries.into_iter().map(|canary| (canary, at)));
        act
    }

    fn member_acts(&mut self, at: Place, node: &mut Node<Faulty>, act: Act, clock: Timestamp, jobs: &mut VecDeque<Job>) -> Effect {
        let now = clock.max(node.state().clock);
        let Act { word, member, mut about, command, row } = act;
        let Some(permission) = command.permissions().first().copied() else { return Effect::Nothing };
        if about.is_some() && self.chance(self.plan.temper.careless) {
            // A caller that asks leave for one record and acts on another.
            let headers: Vec<RecordId> = self.chronicle.headers.keys().copied().collect();
            about = self.rng.choice(headers).or(about);
            self.coverage.fault("careless-caller");
        }
        let permission = if word == "open" && self.rng.u8(..10) == 0 { policy::access::Permission::ReadDraft } else { permission };
        let leave = match pass(node.store(), &member, permission, about.as_ref(), clock) {
            Ok(leave) => leave,
            Err(refusal) => return Effect::Refused(format!("{member} may not {word}: {refusal}")),
        };
        let large = matches!(&command, Command::AttachPiece { bytes, .. } if bytes.len() > 1000);
        let agreement = match &command {
            Command::SignAgreement { id, version } => Some((id.clone(), Some(*version))),
            Command::Withdraw { id } => Some((id.clone(), None)),
            _ => None,
        };
        let proposal = if let Command::ProposeAgreement(proposal) = &command { Some(proposal.as_ref().clone()) } else { None };
        let (outside, shelf) = (self.plan.outside, self.site(at).shelf.clone());
        let placed = if outside { shelf::place(command, &shelf, &mut self.entropy(), now) } else { Ok(command) };
        let done = placed.map_err(Refusal::Object).and_then(|command| node.execute(leave, command, clock));
        match done.and_then(|outcome| Ok(shelf::fetch(outcome, &shelf)?)) {
            Ok(outcome) => {
                let next = match &outcome {
                    Outcome::Drafted { number, version } => Some((number.clone(), *version)),
                    Outcome::Record { number, version, .. } if ["submit", "approve"].contains(&word) => Some((number.clone(), *version)),
                    _ => None,
                };
                if let Some((number, version)) = next.filter(|_| self.rng.u8(..3) > 0) {
                    let attach = ["draft", "correct"].contains(&word) && self.rng.u8(..4) == 0;
                    jobs.push_back(if attach { Job::Attach(number, version) } else { Job::Push(number, version) });
                } else if let (Outcome::Done, "attach", Some(row)) = (&outcome, word, &row)
                    && self.rng.u8(..10) > 0
                {
                    jobs.push_back(Job::Attach(row.number.clone(), row.version));
                }
                Effect::Acted { act: ActNote { word, member, row, proposal, agreement, now: node.state().clock, large }, outcome }
            }
            Err(refusal) => Effect::Refused(format!("{member}: {word}: {refusal} {}", reasons(&refusal))),
        }
    }

    fn receive(&mut self, at: Place, node: &mut Node<Faulty>, message: Message, clock: Timestamp) -> Result<Effect, Violation> {
        let Cargo::Parcel(envelope) = &message.cargo else { return Ok(Effect::Nothing) };
        let identity = Arc::clone(node.identity());
        let directory = Arc::clone(&node.state().directory);
        let carrier = self.chronicle.org(message.from).clone();
        let inbound = exchange::open(&identity, &directory, &carrier, envelope);
        if message.spoiled {
            return match inbound {
                Ok(_) => broken(7, "a damaged or misdirected envelope was opened"),
                Err(_) => Ok(Effect::Refused("a spoiled envelope".to_owned())),
            };
        }
        let mut inbound = match inbound {
            Ok(inbound) => inbound,
            Err(fault) => return broken(7, format!("an envelope from {carrier} was not opened: {fault}")),
        };
        let now = clock.max(node.state().clock);
        if self.plan.outside
            && let Err(refusal) = shelf::place_inbound(node, &mut inbound, &self.site(at).shelf.clone(), &mut self.entropy(), now)
        {
            return Ok(Effect::Refused(refusal.to_string()));
        }
        Ok(match node.receive(inbound, clock) {
            Ok(answer) => Effect::Answered { message, answer, now },
            Err(refusal) => Effect::Refused(refusal.to_string()),
        })
    }

    fn acknowledge(&mut self, at: Place, node: &mut Node<Faulty>, message: Message, clock: Timestamp) -> Result<Effect, Violation> {
        let Cargo::Answer(bytes) = &message.cargo else { return Ok(Effect::Nothing) };
        if let Some(Answer::Expected(awaited)) = Answer::parse(bytes) {
            // As every courier must: what was said before the parcel that it asked for was confirmed says nothing now.
            let lane = self.lane(at, message.from);
            let flight = lane.flying.iter().find(|flight| flight.request == message.request);
            if flight.is_none_or(|flight| awaited > flight.confirmed && flight.confirmed + 1 < flight.sequence) {
                lane.give_up();
                return Ok(Effect::Idle);
            }
        }
        let peer = self.chronicle.org(message.from).clone();
        let directory = Arc::clone(&node.state().directory);
        let read = Acknowledgement::read(&peer, bytes, &directory);
        let acknowledgement = match read {
            Ok(_) if message.spoiled => return broken(7, "a damaged receipt was believed"),
            Ok(acknowledgement) => acknowledgement,
            Err(_) if message.spoiled => {
                self.lane(at, message.from).give_up();
                return Ok(Effect::Refused("a damaged answer".to_owned()));
            }
            Err(fault) => return broken(7, format!("an answer of {peer} was not believed: {fault}")),
        };
        let confirmed = acknowledgement.confirms().is_some();
        Ok(match node.acknowledge(acknowledgement, clock) {
            Ok(()) => Effect::Acknowledged { peer: message.from, request: message.request, confirmed },
            Err(refusal) => Effect::Refused(refusal.to_string()),
        })
    }

    /// Notes what became durable.
    fn note(&mut self, at: Place, effect: &Effect, touched: &mut BTreeSet<RecordId>) -> Check {
        match effect {
            Effect::Acted { act, outcome } => self.acts_declared(at, act.word).and_then(|()| self.note_act(at, act, outcome)),
            Effect::Stepped(stepped) => self.note_step(at, stepped),
            Effect::Answered { answer: Answer::Receipt(bytes), now, message } => {
                let Some(acceptance) = self.chronicle.received(at, bytes)? else { return Ok(()) };
                invariants::checkpoint(self, at, &acceptance.receipt.checkpoint)?;
                // What a forger shows first cannot be held against anything.
                if self.plan.hostile != Some(acceptance.from) || acceptance.parcel.header.seen > 0 {
                    invariants::checkpoint(self, acceptance.from, &acceptance.parcel.header.checkpoint)?;
                }
                if let Some(envelope) = message.envelope().filter(|_| self.plan.replays) {
                    self.inbox.push((at, acceptance.from, envelope.to_vec()));
                }
                for (item, accepted) in acceptance.parcel.items.iter().zip(&acceptance.accepted) {
                    let Some(item) = item.as_ref().filter(|_| *accepted) else { continue };
                    invariants::may_enter(self, at, acceptance.from, item, *now)?;
                    if let SeenItem::Record { id, .. } = item {
                        self.chronicle.handed.insert((*id, at));
                        self.chronicle.at_mut(at).accepted_from.insert((*id, acceptance.from));
                    }
                    self.chronicle.learn(at, item);
                    if let SeenItem::Record { id, header, .. } = item {
                        touched.insert(*id);
                        touched.extend(header.linked(format::record::Relation::Concerns));
                        let same = |(_, known): &(&RecordId, &Rc<format::record::Header>)| known.number == header.number;
                        touched.extend(self.chronicle.headers.iter().filter(same).map(|(id, _)| *id));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note_act(&mut self, at: Place, act: &ActNote, outcome: &Outcome) -> Check {
        let me = self.chronicle.org(at).clone();
        if let Some(proposal) = &act.proposal {
            self.chronicle.signed(at, &Rc::new(proposal.clone()), &me);
        }
        match &act.agreement {
            Some((id, Some(version))) => {
                let known = self.chronicle.at(at).knows.agreements.get(&(id.clone(), *version)).map(|known| Rc::clone(&known.agreement));
                if let Some(agreement) = known {
                    self.chronicle.signed(at, &agreement, &me);
                }
            }
            Some((id, None)) => self.chronicle.withdraws(at, id, act.now),
            None => {}
        }
        match (act.word, outcome, &act.row) {
            ("submit", Outcome::Record { record, .. }, _) => {
                let drafted = act.row.as_ref().map(|row| row.drafted_by.clone()).unwrap_or_default();
                self.chronicle.authors.insert(*record, (drafted, None));
            }
            ("approve", Outcome::Record { record, .. }, _) => {
                if let Some((_, approved)) = self.chronicle.authors.get_mut(record) {
                    *approved = Some(act.member.clone());
                }
            }
            ("release", Outcome::Released { record, .. }, Some(row)) => {
                let header = node::act::release::header_of(row).map(Rc::new);
                let Ok(header) = header else { return broken(3, "a released header does not read") };
                invariants::four_eyes(self, at, *record, &header)?;
                self.chronicle.released(at, *record, header);
            }
            ("ask-consent" | "answer-consent", Outcome::Record { record, .. }, _) => {
                let header = self.own_header(at, record);
                if let Some(header) = header {
                    self.chronicle.released(at, *record, header);
                }
            }
            ("recall", Outcome::Record { number, .. }, _) => self.chronicle.recalled(at, number),
            _ => {}
        }
        Ok(())
    }

    fn own_header(&self, at: Place, record: &RecordId) -> Option<Rc<format::record::Header>> {
        let row = self.site(at).store.peek(|store| store.record(record).ok().flatten())?;
        node::act::release::header_of(&row).ok().map(Rc::new)
    }

    /// Tells whoever waits what was decided.
    fn tell(&mut self, at: Place, node: &Node<Faulty>, effect: Effect) -> Check {
        match effect {
            Effect::Nothing | Effect::Idle => Ok(()),
            Effect::Stepped(stepped) => {
                self.mark(at, "ceremony");
                self.say(|| format!("{}: {stepped}", self.site(at).org()));
                self.answers.push(stepped);
                Ok(())
            }
            Effect::Refused(why) => {
                self.mark(at, "refused");
                self.say(|| format!("{}: refused: {why}", self.site(at).org()));
                Ok(())
            }
            Effect::Expired(count) => {
                if count > 0 {
                    self.coverage.act("expire");
                    self.mark(at, "expire");
                    self.say(|| format!("{} destroys {count}", self.site(at).org()));
                }
                Ok(())
            }
            Effect::Acted { act, outcome } => self.tell_member(at, &act, outcome),
            Effect::Answered { message, answer, .. } => {
                self.coverage.act("receive");
                self.mark(at, "receive");
                self.say(|| format!("{} answers {}: {}", self.site(at).org(), self.chronicle.org(message.from), self.describe(&answer)));
                let cargo = Cargo::Answer(self.forged_answer(at, &answer).unwrap_or_else(|| answer.to_bytes()));
                self.carry(Message { from: at, to: message.from, due: 0, request: message.request, cargo, spoiled: false, order: 0 });
                Ok(())
            }
            Effect::Acknowledged { peer, request, confirmed } => {
                self.coverage.act("acknowledge");
                self.mark(at, "acknowledge");
                self.say(|| format!("{} takes in an answer of {}, a receipt: {confirmed}", self.site(at).org(), self.chronicle.org(peer)));
                let lane = self.lane(at, peer);
                if confirmed {
                    lane.flying.retain(|flight| flight.request != request);
                    lane.window = usize::try_from(WINDOW).unwrap_or(1);
                } else {
                    lane.give_up();
                }
                Ok(())
            }
            Effect::Dispatched { peer, dispatch, now } => self.send(at, node, peer, dispatch, now),
        }
    }

    fn describe(&self, answer: &Answer) -> String {
        match answer {
            Answer::Receipt(bytes) => crate::chronicle::read_receipt(bytes).map_or_else(String::new, |(_, receipt)| {
                let outcomes = receipt.outcomes.iter().map(|o| format!("{:?} {:?}", o.result, o.reasons)).collect::<Vec<_>>();
                format!("receipt for {}: {}", receipt.sequence, outcomes.join(", "))
            }),
            Answer::Expected(sequence) => format!("expects {sequence}"),
            Answer::Stopped(why) => format!("stopped: {why:?}"),
        }
    }

    fn tell_member(&mut self, at: Place, act: &ActNote, outcome: Outcome) -> Check {
        self.coverage.act(if act.large { "attach-large" } else { act.word });
        self.mark(at, act.word);
        self.say(|| {
            let row = act.row.as_ref().map(|row| format!("{} v{} {}", row.number, row.version, row.id.0.short())).unwrap_or_default();
            format!("{}: {} {} {row} {}", self.site(at).org(), act.member, act.word, tale(&outcome))
        });
        let member = Recipient::Member(act.member.clone());
        match outcome {
            Outcome::Released { record, recipients, .. } if act.word == "release" => {
                self.chronicle.at_mut(at).promises.push(Promise { record, recipients });
                invariants::promises(self, at, Some(record))
            }
            Outcome::Opened(view) => match view.hand_to(&member) {
                Ok(view) => invariants::opened(self, at, view.row.id, view.content.map(|content| content.bytes)),
                Err(_) => broken(1, "a reading was released to another member"),
            },
            Outcome::Listed(page) => match page.hand_to(&member) {
                Ok(page) => {
                    let listed = &mut self.chronicle.at_mut(at).listed;
                    *listed += 1;
                    for (_, view) in page {
                        invariants::content_is_lawful(self, at, view.row.id, &view.content.map(|content| content.bytes).unwrap_or_default())?;
                    }
                    invariants::listed(self, at)
                }
                Err(_) => broken(1, "a list was released to another member"),
            },
            _ => Ok(()),
        }
    }

    /// Has a parcel's bytes put together and hands them to the network.
    fn send(&mut self, at: Place, node: &Node<Faulty>, peer: Place, dispatch: Dispatch, now: Timestamp) -> Check {
        let sequence = dispatch.sequence();
        let fetched = shelf::for_seal(node, &dispatch, &self.site(at).shelf).unwrap_or_default();
        let sealed = dispatch.seal(node.store(), &fetched, node.identity(), &node.state().directory);
        let Ok(sealed) = sealed else {
            self.lane(at, peer).give_up();
            return Ok(());
        };
        let to = Recipient::Organisation(self.chronicle.org(peer).clone());
        let Ok(envelope) = sealed.hand_to(&to) else { return broken(1, "a parcel was released to another peer") };
        self.sends_settled(at, peer)?;
        self.coverage.act("dispatch");
        self.mark(at, "dispatch");
        self.requests += 1;
        let (request, since) = (self.requests, self.now);
        let confirmed = node.state().peer(self.chronicle.org(peer)).acknowledged;
        let lane = self.lane(at, peer);
        lane.last = sequence;
        lane.flying.push_back(Flight { request, sequence, confirmed, since });
        let items = invariants::leaves(self, at, peer, &envelope, now)?;
        let envelope = self.forged_parcel(at, peer, &envelope, now)?.unwrap_or(envelope);
        self.say(|| format!("{} sends parcel {sequence} to {}: {items}", self.site(at).org(), self.chronicle.org(peer)));
        self.carry(Message { from: at, to: peer, due: 0, request, cargo: Cargo::Parcel(envelope), spoiled: false, order: 0 });
        Ok(())
    }

    fn workshop<'a>(rng: &'a mut Rng, me: &'a Site, to: &'a Site, loot: &'a [Vec<u8>], foreign: &'a [RecordId], now: Timestamp) -> Workshop<'a> {
        Workshop { rng, me: &me.organisation.identity, to: &to.organisation.identity, loot, foreign, now }
    }

    /// What a hostile site makes of a parcel, now and then.
    fn forged_parcel(&mut self, at: Place, peer: Place, envelope: &[u8], now: Timestamp) -> Result<Option<Vec<u8>>, Violation> {
        let Some(hostile) = self.plan.hostile else { return Ok(None) };
        let to = &self.site(peer).organisation.identity;
        let Ok(plain) = to.opening.open(to.org(), envelope) else { return Ok(None) };
        if peer == hostile {
            self.loot.extend(forger::records(&plain));
        }
        if at != hostile || self.network.is_calm() || self.rng.u8(..3) > 0 {
            return Ok(None);
        }
        let org = self.chronicle.org(at).clone();
        let foreign: Vec<RecordId> = self.chronicle.headers.iter().filter(|(_, header)| header.originator != org).map(|(id, _)| *id).collect();
        let mut rng = self.rng.fork();
        let forged = Self::workshop(&mut rng, self.site(at), self.site(peer), &self.loot, &foreign, now).parcel(&plain);
        let Some((forgery, plain, envelope)) = forged else { return Ok(None) };
        self.coverage.fault(forgery);
        self.say(|| format!("{org} sends that parcel with a {forgery}"));
        self.chronicle.observe(at, peer, &plain)?;
        Ok(Some(envelope))
    }

    /// What a hostile site makes of a receipt, now and then.
    fn forged_answer(&mut self, at: Place, answer: &Answer) -> Option<Vec<u8>> {
        let Answer::Receipt(bytes) = answer else { return None };
        if self.plan.hostile != Some(at) || self.network.is_calm() || self.rng.u8(..4) > 0 {
            return None;
        }
        let mut rng = self.rng.fork();
        let site = self.site(at);
        let forged = Self::workshop(&mut rng, site, site, &[], &[], self.clock(at)).receipt(bytes)?;
        self.forged_receipts.extend(crate::chronicle::read_receipt(&forged).map(|(digest, _)| digest));
        self.coverage.fault("forged-receipt");
        Some(Answer::Receipt(forged).to_bytes())
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

fn reasons(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Forbidden(reasons) => reasons.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn tale(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Released { record, number, recipients, refused } => {
            let refused: Vec<_> =
                refused.iter().map(|(org, reasons)| format!("{org}: {}", reasons.iter().map(|r| r.code()).collect::<Vec<_>>().join(" "))).collect();
            let recipients = recipients.iter().map(OrgId::as_str).collect::<Vec<_>>().join(" ");
            format!("-> {number} {} to [{recipients}] not to [{}]", record.0.short(), refused.join("; "))
        }
        Outcome::Record { record, number, version } => format!("-> {number} v{version} {}", record.0.short()),
        Outcome::Drafted { number, version } => format!("-> {number} v{version}"),
        _ => String::new(),
    }
}
