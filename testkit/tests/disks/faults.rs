//! Faults while a node runs: each call to the disk in each step of a scenario fails in each way, one at a time.
//!
//! Each step is done again on the image on which it began. If it is answered, what it did must be durable; if it is
//! refused, all of it or none of it may be found. After a synchronisation that failed, nothing may be answered any more;
//! after a disk that was full, everything as soon as there is room. Opening the store is tried in the same way.

use std::path::Path;

use disk::{Disk, Fault, Image, Mount, Op, Planned, cut};
use node::Node;
use node::command::Refusal;
use node::ports::Reader as _;
use store::sqlite::Sqlite;

use crate::judge::{Judge, Ledger, further_act};
use crate::scenarios;
use crate::stage::{FILE, Played, Step};

/// How many faults struck, and what the node said.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) faults: usize,
    pub(crate) refused: usize,
    pub(crate) answered: usize,
}

const KINDS: [Fault; 6] = [Fault::Read, Fault::ShortRead, Fault::Write, Fault::HalfWrite, Fault::Sync, Fault::Full];

/// The member who is added once the fault is over.
const LATER: &str = "eve";

/// Lets every call of every step fail in every way; of `every` faults one is tried.
///
/// # Errors
/// In words, the first fault after which something is missing, half, or told wrongly.
pub(crate) fn everywhere(played: &Played, every: u64) -> Result<Count, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut trials = Trials { judge: Judge::new(&played.organisation, played.now), folder: folder.path(), count: Count::default() };
    let mut number = 0_u64;
    let mut chosen = || {
        number += 1;
        u64::is_multiple_of(number, every)
    };
    let mut places = |calls: u64| (0..calls).filter(|_| chosen()).collect::<Vec<u64>>();
    for fault in KINDS {
        let calls = trials.opens(&played.before, None, (played.size, played.root))?;
        for after in places(of_kind(calls, fault)) {
            let told = |why| format!("{}, opening, {fault:?} at call {after}: {why}", played.name);
            trials.opens(&played.before, Some(Planned { fault, after }), (played.size, played.root)).map_err(told)?;
        }
    }
    for step in &played.steps {
        let told = |why| format!("{}, `{}`: {why}", played.name, step.name);
        let sound = trials.runs(step, None, None).map_err(told)?;
        for fault in KINDS {
            for after in places(of_kind(sound.calls, fault)) {
                let told = |why| format!("{}, `{}`, {fault:?} at call {after}: {why}", played.name, step.name);
                trials.runs(step, Some(Planned { fault, after }), Some(sound.size)).map_err(told)?;
            }
        }
    }
    Ok(trials.count)
}

const fn of_kind(calls: disk::Calls, fault: Fault) -> u64 {
    match fault {
        Fault::Read | Fault::ShortRead => calls.reads,
        Fault::Sync => calls.syncs,
        Fault::Write | Fault::HalfWrite | Fault::Full => calls.writes,
    }
}

/// What a run has left.
struct Ran {
    /// Entries in the ledger.
    size: u64,
    calls: disk::Calls,
}

struct Trials<'a> {
    judge: Judge<'a>,
    folder: &'a Path,
    count: Count,
}

impl Trials<'_> {
    /// Opens the store on an image, which must leave on the disk what was there.
    fn opens(&mut self, image: &Image, planned: Option<Planned>, ledger: Ledger) -> Result<disk::Calls, String> {
        let disk = Disk::new(image);
        let mount = Mount::new(self.folder, &disk);
        disk.plan(planned);
        let opened = scenarios::open(self.folder).and_then(|store| self.judge.node(store));
        let calls = disk.take_calls();
        if planned.is_some() && disk.has_struck() {
            self.count.faults += 1;
            if opened.is_err() { self.count.refused += 1 } else { self.count.answered += 1 }
        }
        disk.plan(None);
        let mut images = vec![disk.image(), cut::durable(image, &disk.ops())];
        drop(opened);
        drop(mount);
        images.extend([disk.image(), cut::durable(image, &disk.ops())]);
        for image in &images {
            let (_, found) = self.judge.start(image)?;
            if found != ledger {
                return Err(format!("afterwards the ledger has {} entries and not {}", found.0, ledger.0));
            }
        }
        Ok(calls)
    }

    /// Does a step with a fault or none, goes on afterwards, and looks at what the disk has. `sound` is the size of the
    /// ledger after the step where nothing fails.
    fn runs(&mut self, step: &Step, planned: Option<Planned>, sound: Option<u64>) -> Result<Ran, String> {
        let disk = Disk::new(&step.before);
        let mount = Mount::new(self.folder, &disk);
        let mut node = self.judge.node(scenarios::open(self.folder)?)?;
        let before = ledger(&node);
        _ = disk.take_calls();
        disk.plan(planned);
        let done = (step.run)(&mut node, self.folder).map(|_| ledger(&node));
        let (struck, calls) = (disk.has_struck(), disk.take_calls());
        disk.plan(None);
        let Some(planned) = planned.filter(|_| struck) else {
            return done.map(|(size, _)| Ran { size, calls }).map_err(|refusal| format!("nothing failed, and it was refused: {refusal}"));
        };
        self.count.faults += 1;
        if done.is_ok() {
            self.count.answered += 1
        } else {
            self.count.refused += 1
        }
        let later = self.later(&mut node, &done, (planned.fault == Fault::Full, store_was_not_synchronised(&step.before, &disk.ops())))?;
        let mut images = vec![disk.image(), cut::durable(&step.before, &disk.ops())];
        drop(node);
        drop(mount);
        images.extend([disk.image(), cut::durable(&step.before, &disk.ops())]);
        for image in &images {
            let (_, found) = self.judge.start(image)?;
            match &done {
                _ if later => self.holds_later(image)?,
                Ok(told) if found != *told => return Err(format!("it was answered, and the ledger has {} entries and not {}", found.0, told.0)),
                Err(_) if found != before && Some(found.0) != sound => return Err(format!("it was refused, and the ledger has {} entries", found.0)),
                _ => {}
            }
        }
        Ok(Ran { size: before.0, calls })
    }

    /// A further act once the fault is over: that the disk was full, or that the store could not be synchronised. Gives
    /// whether it was answered.
    fn later(&self, node: &mut Node<Sqlite>, done: &Result<Ledger, Refusal>, (full, unsynchronised): (bool, bool)) -> Result<bool, String> {
        let later = further_act(node, LATER, self.judge.now);
        match (done, &later) {
            (Err(_), Ok(())) if unsynchronised => Err("a synchronisation failed, and the node goes on all the same".to_owned()),
            (Err(_), Err(Refusal::Store(fault))) if full => Err(format!("there is room again, and the node does not go on: {fault}")),
            _ => Ok(later.is_ok()),
        }
    }

    fn holds_later(&self, image: &Image) -> Result<(), String> {
        let disk = Disk::new(image);
        let _mount = Mount::new(self.folder, &disk);
        let found = scenarios::open(self.folder)?.member(LATER).map_err(|fault| fault.to_string())?;
        found.map(|_| ()).ok_or_else(|| "what was answered after the fault is not there".to_owned())
    }
}

/// Whether a synchronisation of the store or its log failed, rather than of a copy of it.
fn store_was_not_synchronised(before: &Image, ops: &[Op]) -> bool {
    let refused = ops.iter().find_map(|op| if let Op::SyncRefused { file } = op { Some(*file) } else { None });
    let made = |refused| ops.iter().find_map(|op| if let Op::Create { file, name } = op { Some(name).filter(|_| *file == refused) } else { None });
    let name = refused.and_then(|file| before.keys().nth(file).or_else(|| made(file)));
    name.is_some_and(|name| name.starts_with(FILE))
}

fn ledger(node: &Node<Sqlite>) -> Ledger {
    (node.state().frontier.size(), node.state().frontier.root())
}
