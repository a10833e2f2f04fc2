//! A turn: what a node's one writer does, some jobs and one commit, and what came of them.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use format::{RecordId, RecordNumber, Timestamp};
use node::exchange::{self, Acknowledgement, Answer, Dispatch};
use node::vault::SeededEntropy;
use node::{Command, Node, Outcome, Refusal};

use super::World;
use crate::acts::{Act, Desk};
use crate::chronicle::{Check, Violation, broken};
use crate::faulty::{Fault, Faulty};
use crate::federation::pass;
use crate::invariants;
use crate::network::{Cargo, Message, Place};
use crate::restoring::{self, Step, Stepped};
use crate::shelf;

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
pub(super) enum Effect {
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
pub(super) struct ActNote {
    pub(super) word: &'static str,
    pub(super) member: String,
    pub(super) row: Option<node::rows::RecordRow>,
    pub(super) proposal: Option<format::agreement::Agreement>,
    pub(super) agreement: Option<(format::AgreementId, Option<u32>)>,
    pub(super) now: Timestamp,
    pub(super) large: bool,
}

pub(super) fn reasons(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Forbidden(reasons) => reasons.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

impl World {
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

    pub(super) fn perform(&mut self, at: Place, node: &mut Node<Faulty>, job: Job, jobs: &mut VecDeque<Job>) -> Result<Effect, Violation> {
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

    pub(super) fn think(&mut self, at: Place, job: &Job, now: Timestamp) -> Option<Act> {
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

    pub(super) fn member_acts(&mut self, at: Place, node: &mut Node<Faulty>, act: Act, clock: Timestamp, jobs: &mut VecDeque<Job>) -> Effect {
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

    pub(super) fn receive(&mut self, at: Place, node: &mut Node<Faulty>, message: Message, clock: Timestamp) -> Result<Effect, Violation> {
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

    pub(super) fn acknowledge(&mut self, at: Place, node: &mut Node<Faulty>, message: Message, clock: Timestamp) -> Result<Effect, Violation> {
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

    pub(super) fn entropy(&mut self) -> SeededEntropy {
        SeededEntropy::new(self.shelves.u64(..), Timestamp::from_ms(self.now))
    }
}
