//! Fellows: keeping company with the other processes that serve the same node on the same store.
//!
//! One thread listens to what they say, wakes the couriers and the writer for it, and renews every second to which
//! peers this process is courier. It decides nothing and nothing depends on it but speed: an act takes in what others
//! wrote by itself, and two couriers to one peer would only bring the same parcel twice. While the store is out of reach
//! this process is courier to nobody.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use format::OrgId;
use node::ports::{Fellows, StoreResult};

use super::writer::Job;
use super::{Handle, Inner};

/// How often the work of couriers is shared out anew.
const EVERY: Duration = Duration::from_secs(1);

/// Keeps company until it is dropped.
#[derive(Debug)]
pub struct Company {
    _going_on: mpsc::Sender<()>,
}

impl Handle {
    /// Keeps company with the other processes on the same store. Before this is called, and without it, there are none.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub fn keep_company(&self, fellows: Box<dyn Fellows>) -> std::io::Result<Company> {
        let (going_on, ended) = mpsc::channel();
        self.0.shared.has_fellows.store(true, Relaxed);
        self.0.shared.leases.send_replace(Some(BTreeSet::new()));
        let listening = Listening { node: Arc::downgrade(&self.0), fellows, missed: false };
        std::thread::Builder::new().name("fellows".to_owned()).spawn(move || listening.run(&ended))?;
        Ok(Company { _going_on: going_on })
    }
}

struct Listening {
    /// Not a handle: whoever only listens does not keep the writer from its end.
    node: Weak<Inner>,
    fellows: Box<dyn Fellows>,
    /// Something may have been said while nobody listened.
    missed: bool,
}

impl Listening {
    fn run(mut self, ended: &mpsc::Receiver<()>) {
        while ended.try_recv() == Err(TryRecvError::Empty) {
            match self.once() {
                Ok(true) => {}
                Ok(false) => return,
                Err(fault) => {
                    let Some(node) = self.node.upgrade() else { return };
                    node.shared.note_store(Some(fault.to_string()));
                    node.shared.leases.send_if_modified(|leases| leases.replace(BTreeSet::new()).is_some_and(|before| !before.is_empty()));
                    drop(node);
                    self.missed = true;
                    if ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Disconnected) {
                        return;
                    }
                }
            }
        }
    }

    /// Shares out, listens once and passes on what was said. Gives whether there still is a node.
    fn once(&mut self) -> StoreResult<bool> {
        let Some(node) = self.node.upgrade() else { return Ok(false) };
        let directory = node.shared.directory();
        let others = directory.cards().filter(|pinned| pinned.card.org != *node.shared.me.org() && !pinned.card.addresses.is_empty());
        let peers: BTreeSet<OrgId> = others.map(|pinned| pinned.card.org.clone()).collect();
        let ours = self.fellows.share_out(&peers)?;
        node.shared.leases.send_if_modified(|leases| leases.replace(ours.clone()).is_none_or(|before| before != ours));
        drop((directory, node));

        let word = self.fellows.listen(EVERY)?;
        let Some(node) = self.node.upgrade() else { return Ok(false) };
        if word.at_once || self.missed {
            // A writer that has too much to do takes the news in with its next act.
            _ = node.jobs.try_send(Job::CatchUp { reply: None });
        }
        for peer in ours.iter().filter(|peer| word.for_all || self.missed || word.queued.contains(*peer)) {
            node.shared.bell(peer).queued.notify_one();
        }
        self.missed = false;
        Ok(true)
    }
}
