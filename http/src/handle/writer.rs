//! The writer: the one thread that owns the node.
//!
//! It takes a job and as many more as already wait, runs each, commits once, and only then answers them all: log before
//! effect, at the price of one durable write for many acts. It does no work of its own and waits for nobody but the
//! store. When the store fails it answers that nothing was done, and goes on; when the store keeps failing, or can't be
//! read any more, the thread ends and with it the process.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use format::OrgId;
use node::exchange::{Acknowledgement, Answer, Dispatch, Inbound};
use node::node::Denial;
use node::objects::Fetched;
use node::ports::{Store, StoreError};
use node::recovery::{Accounted, Asked, Asking};
use node::state::Directory;
use node::{Command, Node, Outcome, Refusal};
use policy::access::Pass;
use policy::house::HouseRules;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::trouble::{self, Trouble};
use super::{Limits, Shared};

/// Commits that may be lost one after the other before the process stops.
const MAX_LOST_COMMITS: u32 = 3;

/// Why the writer ended before the last handle was dropped. The process must stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// Commit after commit was lost.
    #[error("the store failed {MAX_LOST_COMMITS} times running")]
    Failing(#[source] StoreError),
    /// The disk failed under the store: what it has is known when the store is opened anew.
    #[error("the disk failed under the store, and what it has is known only when the store is opened again")]
    Broken(#[source] StoreError),
    /// What the store holds cannot be read.
    #[error("the store cannot be read")]
    Unreadable(#[source] StoreError),
}

/// Where the answer to a job goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What can be asked of the writer.
pub(super) enum Job {
    Execute { pass: Pass, command: Box<Command>, reply: Reply<Outcome> },
    SetHouseRules { pass: Pass, text: String, rules: Arc<dyn HouseRules + Send + Sync>, reply: Reply<Outcome> },
    Deny { denial: Denial, reply: Reply<()> },
    Receive { inbound: Box<Inbound>, reply: Reply<Answer> },
    Dispatch { window: u64, peer: OrgId, after: u64, fetched: Fetched, reply: Reply<Option<Dispatch>> },
    Acknowledge { acknowledgement: Box<Acknowledgement>, reply: Reply<()> },
    Expire { limit: usize, reply: Reply<usize> },
    CatchUp { reply: Option<Reply<()>> },
    Ask { peer: OrgId, reply: Reply<Option<Asking>> },
    Account { asked: Box<Asked>, reply: Reply<Vec<u8>> },
    TakeAccount { accounted: Box<Accounted>, reply: Reply<bool> },
}

impl Job {
    /// Tells whoever waits that nothing was done, and why. What was not told may be asked again.
    fn refuse(self, why: &str) {
        let busy = || Refusal::Busy(why.to_owned());
        // Whoever asked may have gone.
        _ = match self {
            Self::Execute { reply, .. } | Self::SetHouseRules { reply, .. } => reply.send(Err(busy())).is_ok(),
            Self::Deny { reply, .. } | Self::CatchUp { reply: Some(reply) } => reply.send(Err(busy())).is_ok(),
            Self::Acknowledge { reply, .. } => reply.send(Err(busy())).is_ok(),
            Self::Receive { reply, .. } => reply.send(Err(busy())).is_ok(),
            Self::Dispatch { reply, .. } => reply.send(Err(busy())).is_ok(),
            Self::Expire { reply, .. } => reply.send(Err(busy())).is_ok(),
            Self::Ask { reply, .. } => reply.send(Err(busy())).is_ok(),
            Self::Account { reply, .. } => reply.send(Err(busy())).is_ok(),
            Self::TakeAccount { reply, .. } => reply.send(Err(busy())).is_ok(),
            Self::CatchUp { reply: None } => false,
        };
    }
}

/// An answer that waits for the commit: it is told what was decided, or that it was lost.
type Held = Box<dyn FnOnce(Option<&StoreError>) + Send>;

/// What a group of jobs leaves to do once its commit is over.
#[derive(Default)]
struct Group {
    held: Vec<Held>,
    /// Peers whose parcels were among the jobs, and whether all of them were taken in.
    senders: Vec<(OrgId, bool)>,
    /// Peers with whom exchange may go on.
    resumed: Vec<OrgId>,
    /// House rules to put in force.
    rules: Option<Arc<dyn HouseRules + Send + Sync>>,
    /// A job found that the store is out of reach, or full.
    trouble: Option<(Trouble, String)>,
    /// Whether the store was tried by writing to it.
    tried_out: bool,
}

impl Group {
    fn hold<T: Send + 'static>(&mut self, reply: Reply<T>, decided: Result<T, Refusal>) {
        match &decided {
            Err(Refusal::Store(StoreError::Away(why))) => self.trouble = Some((Trouble::StoreAway, why.clone())),
            Err(Refusal::Store(fault @ StoreError::Full)) => self.trouble = Some((Trouble::StoreFull, fault.to_string())),
            _ => {}
        }
        self.held.push(Box::new(move |lost| {
            let told = lost.map_or(decided, |fault| Err(Refusal::Store(fault.clone())));
            // Whoever asked may have gone; what was decided stays decided.
            let _gone = reply.send(told);
        }));
    }
}

pub(super) struct Writer<S: Store> {
    node: Node<S>,
    jobs: mpsc::Receiver<Job>,
    /// Jobs that were taken from the queue and have not been run, oldest first.
    taken: VecDeque<Job>,
    limits: Limits,
    shared: Arc<Shared>,
    directory: Arc<Directory>,
}

impl<S: Store> Writer<S> {
    pub(super) fn new(node: Node<S>, jobs: mpsc::Receiver<Job>, limits: Limits, shared: Arc<Shared>) -> Self {
        let directory = shared.directory();
        Self { node, jobs, taken: VecDeque::new(), limits, shared, directory }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self) -> Result<(), Halt> {
        let mut lost = 0;
        while let Some(first) = self.taken.pop_front().or_else(|| self.jobs.blocking_recv()) {
            let size = self.node.state().frontier.size();
            let shared = Arc::clone(&self.shared);
            let work = shared.troubles.work();
            let group = self.run_group(first);
            let wrote = group.tried_out || self.node.state().frontier.size() > size;
            let committed = self.node.commit();
            drop(work);
            let Err(fault) = committed else {
                lost = 0;
                self.note_kept(&group, wrote);
                self.committed(group);
                continue;
            };
            self.shared.lost_commits.fetch_add(1, Relaxed);
            tracing::error!(jobs = group.held.len(), error = %fault, "a commit was lost");
            // It is noted before anybody is told: whoever then asks how the node is finds it.
            // A store that is away may come back, and there may be room again; nothing is written meanwhile.
            lost = if matches!(fault, StoreError::Failed(_)) { lost + 1 } else { 0 };
            let trouble = match fault {
                StoreError::Away(_) => Trouble::StoreAway,
                StoreError::Full => Trouble::StoreFull,
                _ => Trouble::StoreFailing,
            };
            self.shared.troubles.note(trouble, Some(fault.to_string()));
            self.uncommitted(group, &fault);
            match fault {
                StoreError::Corrupt { .. } => return Err(Halt::Unreadable(fault)),
                // WHY: whoever goes on after that tells what may not be there.
                StoreError::Broken(_) => return Err(Halt::Broken(fault)),
                _ => {}
            }
            if lost >= MAX_LOST_COMMITS {
                return Err(Halt::Failing(fault));
            }
        }
        Ok(())
    }

    /// A commit succeeded: what of the store's troubles is over, and whether the clock is where it should be.
    fn note_kept(&self, group: &Group, wrote: bool) {
        let troubles = &self.shared.troubles;
        let found = |trouble| group.trouble.as_ref().filter(|(found, _)| *found == trouble).map(|(_, why)| why.clone());
        troubles.note(Trouble::StoreAway, found(Trouble::StoreAway));
        if wrote {
            troubles.note(Trouble::StoreFailing, None);
        }
        if wrote || found(Trouble::StoreFull).is_some() {
            troubles.note(Trouble::StoreFull, found(Trouble::StoreFull));
        }
        troubles.note(Trouble::ClockBehind, trouble::behind(self.shared.time(), self.node.state().clock));
    }

    /// Runs a job and those that wait behind it, up to the limits.
    fn run_group(&mut self, first: Job) -> Group {
        let begun = Instant::now();
        let mut group = Group::default();
        self.taken.push_front(first);
        loop {
            self.take_waiting();
            let Some(job) = self.taken.pop_front() else { return group };
            self.run_job(job, &mut group);
            // New house rules weigh everything after them: they end their group.
            if group.held.len() >= self.limits.group || begun.elapsed() >= self.limits.group_time || group.rules.is_some() {
                return group;
            }
        }
    }

    /// Takes the jobs that wait, once those taken before are run, and has the store fetch what their commands will ask.
    fn take_waiting(&mut self) {
        if self.taken.len() > 1 {
            return;
        }
        let before = self.taken.len();
        while self.taken.len() < self.limits.group
            && let Ok(job) = self.jobs.try_recv()
        {
            self.taken.push_back(job);
        }
        if self.taken.len() > before {
            let commands = self.taken.iter().filter_map(|job| if let Job::Execute { command, .. } = job { Some(command.as_ref()) } else { None });
            self.node.look_ahead(commands);
        }
    }

    fn run_job(&mut self, job: Job, group: &mut Group) {
        let now = self.shared.time();
        if self.shared.troubles.has(Trouble::ClockJumped) && !matches!(job, Job::CatchUp { .. }) {
            if let Job::Receive { inbound, .. } = &job {
                group.senders.push((inbound.from().clone(), false));
            }
            return job.refuse("the clock of this node has jumped: nothing is decided until it is right again, or the node is started anew");
        }
        match job {
            Job::Execute { pass, command, reply } => {
                let resumed = match command.as_ref() {
                    Command::Resume { peer, .. } | Command::AcceptRecovery { peer, .. } => Some(peer.clone()),
                    _ => None,
                };
                let decided = self.node.execute(pass, *command, now);
                if decided.is_ok() {
                    group.resumed.extend(resumed);
                }
                group.hold(reply, decided);
            }
            Job::SetHouseRules { pass, text, rules, reply } => {
                let decided = self.node.execute(pass, Command::SetHouseRules { text }, now);
                if decided.is_ok() {
                    group.rules = Some(rules);
                }
                group.hold(reply, decided);
            }
            Job::Deny { denial, reply } => {
                let decided = self.node.deny(denial, now);
                group.hold(reply, decided);
            }
            Job::Receive { inbound, reply } => {
                let from = inbound.from().clone();
                let decided = self.node.receive(*inbound, now);
                group.senders.push((from, matches!(decided, Ok(Answer::Receipt(_)))));
                group.hold(reply, decided);
            }
            Job::Dispatch { window, peer, after, fetched, reply } => {
                let decided = self.node.dispatch_within(window, &peer, after, &fetched, now);
                group.hold(reply, decided);
            }
            Job::Acknowledge { acknowledgement, reply } => {
                let decided = self.node.acknowledge(*acknowledgement, now);
                group.hold(reply, decided);
            }
            Job::Expire { limit, reply } => {
                let decided = self.node.expire(limit, now);
                group.hold(reply, decided);
            }
            Job::CatchUp { reply } => {
                let troubles = &self.shared.troubles;
                let tries = troubles.has(Trouble::StoreFull) || troubles.has(Trouble::StoreFailing);
                let tried = self.node.catch_up().and_then(|()| if tries { self.node.try_out() } else { Ok(false) });
                group.tried_out |= matches!(tried, Ok(true));
                let decided = tried.map(|_| ()).map_err(Refusal::Store);
                // What nobody waits for is held too: whether the store is there counts all the same.
                group.hold(reply.unwrap_or_else(|| oneshot::channel().0), decided);
            }
            Job::Ask { peer, reply } => {
                let decided = self.node.ask(&peer, now);
                group.hold(reply, decided);
            }
            Job::Account { asked, reply } => {
                let decided = self.node.account(&asked, now);
                group.hold(reply, decided);
            }
            Job::TakeAccount { accounted, reply } => {
                let from = accounted.from().clone();
                let decided = self.node.take_account(*accounted, now);
                // Its parcels go on from where it remembers.
                group.senders.push((from, false));
                group.hold(reply, decided);
            }
        }
    }

    /// What was decided is durable: it is told, and those are woken whom it concerns.
    fn committed(&mut self, group: Group) {
        if let Some(rules) = group.rules {
            self.node.use_house_rules(rules);
        }
        self.publish_house_rules();
        if self.node.take_heard() {
            let received = self.node.state().peers.values().map(|peer| (&peer.org, peer.received));
            received.for_each(|(peer, received)| self.shared.turnstile.reached(peer, received));
        }
        for (from, taken_in) in group.senders {
            let received = self.node.state().peer(&from).received;
            if taken_in {
                self.shared.turnstile.reached(&from, received);
            } else {
                self.shared.turnstile.back_to(&from, received);
            }
        }
        for told in group.held {
            told(None);
        }
        let directory = self.shared.directory();
        if !Arc::ptr_eq(&directory, &self.directory) {
            self.directory = directory;
            self.shared.directory.send_modify(|version| *version = version.wrapping_add(1));
        }
        for peer in self.node.take_queued().into_iter().chain(group.resumed) {
            self.shared.bell(&peer).queued.notify_one();
            self.shared.queued.send_modify(|times| *times = times.wrapping_add(1));
        }
    }

    fn publish_house_rules(&self) {
        let mut published = self.shared.house.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&published, self.node.house_rules()) {
            *published = Arc::clone(self.node.house_rules());
        }
    }

    /// What was decided is lost: whoever waits is told so, whatever the decision was.
    fn uncommitted(&self, group: Group, fault: &StoreError) {
        for (from, _) in group.senders {
            self.shared.turnstile.back_to(&from, self.node.state().peer(&from).received);
        }
        for told in group.held {
            told(Some(fault));
        }
    }
}
