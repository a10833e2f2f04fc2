//! Restoring: a site's store is put back to an old copy, and the site comes back through the ceremony.
//!
//! The world knows what was lost: the chronicle's log of the site goes back with the store, and what the site had before
//! is kept aside. From the restoring until a peer has accepted it, nothing may go between the two; in the end
//! everything of the site's own that somebody else took in must be there again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::node::Node;
use node::ports::Reader;
use node::recovery::{Accounted, Asked, Asking};
use node::rows::{Condition, HoldingState, Stage, StatementKind};
use node::{Command, Refusal};

use crate::chronicle::{Check, SiteLog, Violation, broken};
use crate::faulty::Faulty;
use crate::federation::pass;
use crate::invariants::Seen;
use crate::network::Place;
use crate::world::{Job, World};

/// A copy of a site's store, with what the world knew of the site then.
#[derive(Debug)]
pub struct Copy {
    path: std::path::PathBuf,
    log: SiteLog,
    seen: BTreeMap<RecordId, Seen>,
    numbers: BTreeMap<(RecordNumber, u32), RecordId>,
}

/// What is remembered of a site that was restored.
#[derive(Debug, Default)]
pub struct Lost {
    /// Its own records that others had taken in.
    own: BTreeSet<RecordId>,
    /// Of those, what it had recalled by recalls that others had taken in.
    recalled: BTreeSet<RecordId>,
    /// Others' records that it had taken in, with who handed them over.
    taken: BTreeSet<(RecordId, Place)>,
    /// Members whose approval was carried out.
    approved: BTreeSet<&'static str>,
    /// Peers at which a person accepted, or had nothing to look at.
    accepted: BTreeSet<Place>,
    /// Peers with which exchange goes on.
    settled: BTreeSet<Place>,
}

/// Copies and restorings of a world.
#[derive(Debug, Default)]
pub struct Restorings {
    copies: BTreeMap<Place, Copy>,
    /// Sites that were restored.
    pub lost: BTreeMap<Place, Lost>,
    made: u64,
}

/// A step of the ceremony.
#[derive(Debug)]
pub enum Step {
    /// A restored site asks a peer.
    Ask(Place),
    /// A peer answers.
    Answer(Box<Asked>),
    /// The restored site takes the answer in.
    TakeIn(Place, Box<Accounted>),
    /// A member approves.
    Approve(&'static str),
    /// A person at a peer has called the restored site, and accepts what was read out.
    Accept(Place, Digest),
}

/// What a step gave, to be told after the commit.
#[derive(Debug)]
pub enum Stepped {
    /// Nothing.
    Nothing,
    /// A question.
    Asking(Box<Asking>),
    /// An answer.
    Account(OrgId, Vec<u8>),
    /// Exchange with this peer goes on.
    Settled(Place),
    /// A member has approved.
    Approved(&'static str),
    /// This site's recovery was accepted.
    Accepted(Place),
}

impl fmt::Display for Stepped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing changed by a step of a recovery"),
            Self::Asking(asking) => write!(f, "asks {} about what was lost", asking.peer()),
            Self::Account(org, _) => write!(f, "tells {org} what it saw of it"),
            Self::Settled(peer) => write!(f, "goes on with site {peer}"),
            Self::Approved(member) => write!(f, "{member} approves the recovery"),
            Self::Accepted(place) => write!(f, "accepts the recovery of site {place}"),
        }
    }
}

/// Who approves; the analyst may not.
const APPROVERS: [&str; 4] = ["rolf", "ruth", "ada", "anna"];

impl Restorings {
    /// Whether a site was restored, and exchange with `peer` may not go on yet.
    #[must_use]
    pub fn unsettled(&self, at: Place, peer: Place) -> bool {
        self.lost.get(&at).is_some_and(|lost| !lost.settled.contains(&peer))
    }

    /// Whether a site was ever restored.
    #[must_use]
    pub fn touched(&self, at: Place) -> bool {
        self.lost.contains_key(&at)
    }
}

/// Carries a step out at a node.
pub fn perform(node: &mut Node<Faulty>, step: Step, orgs: &[OrgId], clock: Timestamp) -> Result<Stepped, Refusal> {
    let org = |place: Place| orgs.get(place).cloned().ok_or(Refusal::WrongPass);
    match step {
        Step::Ask(peer) => Ok(node.ask(&org(peer)?, clock)?.map_or(Stepped::Nothing, |asking| Stepped::Asking(Box::new(asking)))),
        Step::Answer(asked) => {
            let from = asked.from().clone();
            node.account(&asked, clock).map(|bytes| Stepped::Account(from, bytes))
        }
        Step::TakeIn(peer, accounted) => Ok(if node.take_account(*accounted, clock)? { Stepped::Settled(peer) } else { Stepped::Nothing }),
        Step::Approve(member) => {
            let leave = pass(node.store(), member, policy::access::Permission::ApproveRecovery, None, clock)?;
            node.execute(leave, Command::ApproveRecovery, clock).map(|_| Stepped::Approved(member))
        }
        Step::Accept(restored, recovery) => {
            let leave = pass(node.store(), "ada", policy::access::Permission::ManageDirectory, None, clock)?;
            node.execute(leave, Command::AcceptRecovery { peer: org(restored)?, recovery }, clock).map(|_| Stepped::Accepted(restored))
        }
    }
}

impl World {
    /// Now and then a store is copied, an old copy is put back, and a ceremony goes a step further.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub fn restoring(&mut self) -> Check {
        if self.plan.restores == 0 {
            return Ok(());
        }
        // One site in a run: what two lose together nobody is left to give back.
        let at = self.plan.restored;
        if self.rng.u32(..1000) < self.plan.restores * 2 {
            self.copy_store(at);
        }
        if self.rng.u32(..1000) < self.plan.restores && self.restorings.copies.contains_key(&at) {
            self.put_back(at)?;
        }
        if self.restorings.touched(at) && self.rng.bool() {
            self.ceremony(at)?;
        }
        Ok(())
    }

    fn copy_store(&mut self, at: Place) {
        if self.site(at).node.is_none() {
            return;
        }
        self.restorings.made += 1;
        let path = self.folder.join(format!("copy-{at}-{}.db", self.restorings.made));
        if self.site(at).store.peek(|store| store.copy_to(&path)).is_err() {
            return;
        }
        let copy = Copy { path, log: self.chronicle.at(at).clone(), seen: self.site(at).seen.clone(), numbers: self.site(at).numbers.clone() };
        self.restorings.copies.insert(at, copy);
    }

    /// A site's store is the old one again; its node says so to itself before anything else.
    fn put_back(&mut self, at: Place) -> Check {
        let Some(copy) = self.restorings.copies.remove(&at) else { return Ok(()) };
        self.coverage.fault("old-backup");
        self.stop(at);
        self.say(|| format!("{} is put back to {} entries", self.site(at).org(), copy.log.roots.len() - 1));
        let mut lost = self.what_is_lost(at, &copy.log);
        if let Some(before) = self.restorings.lost.remove(&at) {
            lost.own.extend(before.own);
            lost.recalled.extend(before.recalled);
        }
        self.restorings.lost.insert(at, lost);
        self.restore_log(at, copy.log);
        let store = Faulty::file(&copy.path);
        let handed: BTreeSet<RecordId> = self.chronicle.handed.iter().filter(|(_, to)| *to != at).map(|(record, _)| *record).collect();
        let site = self.site_mut(at);
        site.store = store;
        site.seen = copy.seen;
        // A number under which somebody else has a record stays taken.
        let taken = std::mem::take(&mut site.numbers).into_iter().filter(|(_, record)| handed.contains(record));
        site.numbers = copy.numbers;
        for (number, record) in taken {
            site.numbers.entry(number).or_insert(record);
        }
        self.start(at)?;
        let clock = self.clock(at);
        let Some(node) = self.site_mut(at).node.as_mut() else { return Ok(()) };
        let marked = node.mark_restored(clock).and_then(|()| node.commit().map_err(Into::into));
        if let Err(refusal) = marked {
            return broken(10, format!("a restored store does not say so: {refusal}"));
        }
        let entries = self.site(at).store.take_witnessed().entries;
        self.chronicle.entries(at, &entries)?;
        self.turn(at, VecDeque::from([Job::Expire]))
    }

    fn what_is_lost(&self, at: Place, before: &SiteLog) -> Lost {
        let log = self.chronicle.at(at);
        let elsewhere = |record: &RecordId| (0..self.plan.sites).any(|place| place != at && self.chronicle.at(place).accepted.contains(record));
        let own: BTreeSet<RecordId> = log.own.values().flatten().copied().filter(|record| elsewhere(record)).collect();
        let linked = |record: &RecordId| self.chronicle.headers.get(record).filter(|header| header.kind == format::record::Kind::Recall).cloned();
        let recalled = own.iter().filter_map(linked).flat_map(|header| header.linked(format::record::Relation::Concerns).collect::<Vec<_>>()).collect();
        let taken = log.accepted_from.difference(&before.accepted_from).copied().collect();
        Lost { own, recalled, taken, ..Lost::default() }
    }

    fn restore_log(&mut self, at: Place, mut log: SiteLog) {
        let now = self.chronicle.at(at).clone();
        // What left, left; and what was answered, was answered.
        log.dispatched = now.dispatched;
        log.queued = now.queued;
        log.sent.extend(now.sent);
        log.receipts = now.receipts;
        log.past.extend(now.past);
        log.past.push(now.roots);
        *self.chronicle.at_mut(at) = log;
    }

    /// One step of the ceremony of a restored site.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub fn ceremony(&mut self, at: Place) -> Check {
        if self.site(at).node.is_none() {
            return Ok(());
        }
        match self.rng.u8(..4) {
            0 => {
                let member = APPROVERS.get(self.rng.usize(..APPROVERS.len())).copied().unwrap_or("rolf");
                self.turn(at, VecDeque::from([Job::Ceremony(Step::Approve(member))]))
            }
            1 => {
                let peer = (at + self.rng.usize(1..self.plan.sites)) % self.plan.sites;
                self.accept(at, peer)
            }
            _ => {
                let peer = (at + self.rng.usize(1..self.plan.sites)) % self.plan.sites;
                self.ask(at, peer)
            }
        }
    }

    /// A person at the peer calls the restored site and compares what it reads out.
    fn accept(&mut self, at: Place, peer: Place) -> Check {
        let recovery = self.site(at).node.as_ref().and_then(|node| node.state().recovery.as_ref()?.declared);
        let (Some(recovery), true) = (recovery, self.site(peer).node.is_some()) else { return Ok(()) };
        self.turn(peer, VecDeque::from([Job::Ceremony(Step::Accept(at, recovery))]))
    }

    fn ask(&mut self, at: Place, peer: Place) -> Check {
        if self.site(peer).node.is_none() || self.network.is_cut() {
            return Ok(());
        }
        self.answers.clear();
        self.turn(at, VecDeque::from([Job::Ceremony(Step::Ask(peer))]))?;
        let Some(Stepped::Asking(asking)) = self.answers.pop() else { return Ok(()) };
        let Some(node) = &self.site(peer).node else { return Ok(()) };
        let directory = Arc::clone(&node.state().directory);
        let asked = match Asked::read(self.chronicle.org(peer), self.chronicle.org(at), asking.bytes(), &directory) {
            Ok(asked) => asked,
            Err(fault) => return broken(7, format!("a question of {} is not believed: {fault}", self.chronicle.org(at))),
        };
        self.nothing_to_look_at(at, peer)?;
        self.turn(peer, VecDeque::from([Job::Ceremony(Step::Answer(Box::new(asked)))]))?;
        let Some(Stepped::Account(_, bytes)) = self.answers.pop() else { return Ok(()) };
        let Some(node) = &self.site(at).node else { return Ok(()) };
        let directory = Arc::clone(&node.state().directory);
        match Accounted::read(&asking, &bytes, &directory) {
            Ok(accounted) => self.turn(at, VecDeque::from([Job::Ceremony(Step::TakeIn(peer, Box::new(accounted)))])),
            Err(fault) => broken(7, format!("an account of {} is not believed: {fault}", self.chronicle.org(peer))),
        }
    }

    /// Where nothing was ever exchanged, a peer needs no person to accept a recovery that two have approved.
    fn nothing_to_look_at(&mut self, at: Place, peer: Place) -> Check {
        let org = self.chronicle.org(at).clone();
        let declared = self.site(at).node.as_ref().is_some_and(|node| node.state().recovery.as_ref().is_some_and(|recovery| recovery.declared.is_some()));
        let stands = self.look_in(peer, |store| store.opening())?.peers.into_iter().find(|row| row.org == org);
        if declared && stands.is_none_or(|row| row.acknowledged == 0 && row.received == 0) {
            self.restorings.lost.entry(at).and_modify(|lost| _ = lost.accepted.insert(peer));
        }
        Ok(())
    }

    /// Notes what a step of a ceremony made durable.
    pub(crate) fn note_step(&mut self, at: Place, stepped: &Stepped) -> Check {
        match stepped {
            Stepped::Approved(member) => {
                self.coverage.act("approve-recovery");
                if let Some(lost) = self.restorings.lost.get_mut(&at) {
                    lost.approved.insert(member);
                }
                self.two_persons(at)
            }
            Stepped::Accepted(restored) => {
                self.coverage.act("accept-recovery");
                if let Some(lost) = self.restorings.lost.get_mut(restored) {
                    lost.accepted.insert(at);
                }
                Ok(())
            }
            Stepped::Settled(peer) => self.settled(at, *peer),
            Stepped::Nothing | Stepped::Asking(_) | Stepped::Account(..) => Ok(()),
        }
    }

    fn settled(&mut self, at: Place, peer: Place) -> Check {
        self.coverage.act("settle");
        let (me, org) = (self.chronicle.org(at).clone(), self.chronicle.org(peer).clone());
        let Some(lost) = self.restorings.lost.get_mut(&at) else { return broken(9, format!("{me} settles, and was never restored")) };
        if !lost.accepted.contains(&peer) {
            return broken(12, format!("{me} goes on with {org}, where no person has accepted it"));
        }
        lost.settled.insert(peer);
        let Some(state) = self.look_in(at, |store| store.opening())?.peers.into_iter().find(|row| row.org == org) else { return Ok(()) };
        let log = self.chronicle.at_mut(at);
        log.chain.insert(peer, (state.received, state.received_digest));
        log.receipts.retain(|(from, sequence), _| *from != peer || *sequence <= state.received);
        Ok(())
    }

    /// 12. A recovery is declared by two persons.
    fn two_persons(&self, at: Place) -> Check {
        let declared = self.look_in(at, |store| store.opening())?.recovery.is_some_and(|recovery| recovery.declared.is_some());
        let approved = self.restorings.lost.get(&at).map_or(0, |lost| lost.approved.len());
        if declared && approved < 2 {
            return broken(12, format!("the recovery of {} was declared by one person alone", self.site(at).org()));
        }
        Ok(())
    }

    /// 12. Where a peer takes a later era for the one in force, a person has accepted it.
    pub(crate) fn accepted_by_persons(&self, at: Place) -> Check {
        let Some(node) = &self.site(at).node else { return Ok(()) };
        for (restored, lost) in &self.restorings.lost {
            let era = self.site(*restored).node.as_ref().and_then(|node| node.state().era());
            let org = self.chronicle.org(*restored);
            if *restored != at && era.is_some() && node.state().peer(org).era == era && !lost.accepted.contains(&at) {
                return broken(12, format!("{} accepted the recovery of {org} without a person", self.site(at).org()));
            }
        }
        Ok(())
    }

    /// Every ceremony is brought to its end, once faults have ended.
    pub(crate) fn finish_ceremonies(&mut self) -> Check {
        let places: Vec<Place> = self.restorings.lost.keys().copied().collect();
        for at in places {
            let peers: Vec<Place> = (0..self.plan.sites).filter(|peer| *peer != at).collect();
            for peer in &peers {
                self.ask(at, *peer)?;
            }
            for member in ["rolf", "ruth", "ada"] {
                self.turn(at, VecDeque::from([Job::Ceremony(Step::Approve(member))]))?;
            }
            for peer in peers {
                self.ask(at, peer)?;
                self.accept(at, peer)?;
                self.ask(at, peer)?;
                if self.restorings.unsettled(at, peer) {
                    return broken(15, format!("{} and {} do not find to each other again", self.site(at).org(), self.chronicle.org(peer)));
                }
            }
        }
        Ok(())
    }

    /// 3, after a restoring: everything of a restored site's own that others took in is there again, recalled where it
    /// was, and so is what it had taken in, or there is a reason.
    pub(crate) fn nothing_stays_lost(&self) -> Check {
        for (at, lost) in &self.restorings.lost {
            for record in &lost.own {
                self.is_back(*at, record, lost.recalled.contains(record))?;
            }
            for (record, from) in &lost.taken {
                self.came_again(*at, record, *from)?;
            }
        }
        Ok(())
    }

    fn is_back(&self, at: Place, record: &RecordId, recalled: bool) -> Check {
        let row = self.look_in(at, |store| store.record(record))?;
        let org = self.site(at).org();
        let Some(row) = row.filter(|row| row.stage == Stage::Released) else {
            return broken(3, format!("{org} did not get its own {} back", record.0.short()));
        };
        if recalled && row.condition != Condition::Recalled {
            return broken(6, format!("{org} had recalled {} v{}, and it stands as {:?}", row.number, row.version, row.condition));
        }
        Ok(())
    }

    fn came_again(&self, at: Place, record: &RecordId, from: Place) -> Check {
        let held = self.look_in(at, |store| store.record(record))?.is_some();
        let gone = self.look_in(at, |store| store.tombstone(record))?.is_some();
        let theirs = self.look_in(from, |store| store.record(record))?;
        let stands = theirs.is_some_and(|row| row.condition == Condition::Current);
        let org = self.chronicle.org(at);
        let copies = self.look_in(from, |store| store.holdings(record))?;
        let reason = copies.iter().any(|copy| copy.holder == *org && matches!(copy.state, HoldingState::HeldBack | HoldingState::Refused));
        if held || gone || !stands || reason || self.restorings.touched(from) {
            return Ok(());
        }
        broken(3, format!("{org} lost {} of {}, and it did not come again", record.0.short(), self.chronicle.org(from)))
    }

    fn look_in<T>(&self, at: Place, ask: impl FnOnce(&store::sqlite::Sqlite) -> node::ports::StoreResult<T>) -> Result<T, Violation> {
        self.site(at).store.peek(ask).map_err(|fault| Violation { invariant: 10, what: format!("a store does not read: {fault}") })
    }

    /// 9. Before a peer has accepted a restored site, nothing goes from the one to the other.
    pub(crate) fn sends_settled(&self, at: Place, peer: Place) -> Check {
        if self.restorings.unsettled(at, peer) {
            return broken(9, format!("{} was restored, and sends to {} as if nothing had been", self.site(at).org(), self.chronicle.org(peer)));
        }
        Ok(())
    }

    /// 9. A member acts only where the recovery is declared.
    pub(crate) fn acts_declared(&self, at: Place, word: &str) -> Check {
        let approved = self.restorings.lost.get(&at).is_none_or(|lost| lost.approved.len() >= 2);
        if approved || ["open", "open-piece", "list", "export-ledger"].contains(&word) {
            return Ok(());
        }
        broken(9, format!("{} was restored, and its members {word} before two have approved", self.site(at).org()))
    }

    /// A forger that rewrote its ledger says that it was restored: nobody may find that in order.
    pub(crate) fn forged_recovery(&mut self) -> Check {
        let (Some(hostile), true) = (self.plan.hostile, self.rng.u8(..60) == 0) else { return Ok(()) };
        let peer = (hostile + self.rng.usize(1..self.plan.sites)) % self.plan.sites;
        let Some(node) = &self.site(peer).node else { return Ok(()) };
        let org = self.chronicle.org(hostile).clone();
        let state = node.state().peer(&org);
        let receipt = state.received;
        let directory = Arc::clone(&node.state().directory);
        if receipt == 0 || state.acknowledged == 0 {
            return Ok(());
        }
        let to = self.chronicle.org(peer).clone();
        let identity = Arc::clone(&self.site(hostile).organisation.identity);
        let mut rng = self.rng.fork();
        let Some((bytes, recovery)) = crate::forger::recovery(&mut rng, &identity, &to, state.acknowledged, self.clock(hostile)) else { return Ok(()) };
        let Ok(asked) = Asked::read(&to, &org, &bytes, &directory) else { return broken(7, "a forged recovery does not even read") };
        self.coverage.fault("forged-recovery");
        self.turn(peer, VecDeque::from([Job::Ceremony(Step::Answer(Box::new(asked)))]))?;
        if self.look_in(peer, |store| store.statement(StatementKind::Recovery, &recovery))?.is_some() {
            return broken(9, format!("{to} holds a recovery of {org} for sound whose ledger does not continue what it has seen"));
        }
        Ok(())
    }
}
