//! The judge: whether what is found on a disk is what was kept, and all of it.
//!
//! A disk is opened by the product as at a start. The store must open, be one of the states that were committed, no
//! earlier than the last one that was told, verify from its first entry, and take a further act, which must then survive
//! a cut of its own. States are told apart by the bytes of the file once the log was carried over, so that each is
//! looked at in full once and known again afterwards.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use disk::{Disk, Image, Mount, cut};
use format::Timestamp;
use format::merkle::Hash;
use node::Node;
use node::command::{Command, Refusal};
use node::inspection;
use node::ports::Reader as _;
use policy::house::NoHouseRules;
use samverkan_testkit::federation::{Organisation, act};
use store::sqlite::Sqlite;

use crate::scenarios;
use crate::stage::{FILE, entropy};

/// The member who is added when a node goes on.
const FURTHER: &str = "eva";

/// The ledger of a state: its size and root.
pub(crate) type Ledger = (u64, Hash);

/// Opens disks and knows which states it has seen.
pub(crate) struct Judge<'a> {
    organisation: &'a Organisation,
    pub(crate) now: Timestamp,
    folder: tempfile::TempDir,
    seen: BTreeMap<u64, Ledger>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(organisation: &'a Organisation, now: Timestamp) -> Self {
        Self { organisation, now, folder: tempfile::tempdir().unwrap(), seen: BTreeMap::new() }
    }

    /// Starts on a disk, and gives the state that it found: what tells it apart, and its ledger.
    ///
    /// # Errors
    /// In words, what is wrong.
    pub(crate) fn start(&mut self, image: &Image) -> Result<(u64, Ledger), String> {
        let disk = Disk::new(image);
        let mount = Mount::new(self.folder.path(), &disk);
        let store = scenarios::open(self.folder.path())?;
        let state = hash_of(&disk.image());
        if let Some(ledger) = self.seen.get(&state) {
            return Ok((state, *ledger));
        }
        let (ledger, went_on) = self.look(store)?;
        drop(mount);
        if went_on {
            self.find_again(&cut::durable(image, &disk.ops()))?;
        }
        self.seen.insert(state, ledger);
        Ok((state, ledger))
    }

    /// Verifies everything, and goes on: unless there is nobody yet who could, or the node was restored and is only read.
    fn look(&self, store: Sqlite) -> Result<(Ledger, bool), String> {
        store.check_whole().map_err(|fault| fault.to_string())?;
        if store.opening().map_err(|fault| fault.to_string())?.ledger_size > 0 {
            inspection::inspect(&store, &node::ports::NoPlace, &self.organisation.identity, |_| ()).map_err(|fault| fault.to_string())?;
        }
        let mut node = self.node(store)?;
        let ledger = (node.state().frontier.size(), node.state().frontier.root());
        if ledger.0 == 0 || node.state().recovery.as_ref().is_some_and(|recovery| recovery.declared.is_none()) {
            return Ok((ledger, false));
        }
        further_act(&mut node, FURTHER, self.now).map_err(|refusal| format!("the node does not go on: {refusal}"))?;
        Ok((ledger, true))
    }

    /// What the node did when it went on must be there after its power was cut once more.
    fn find_again(&self, image: &Image) -> Result<(), String> {
        let disk = Disk::new(image);
        let _mount = Mount::new(self.folder.path(), &disk);
        let found = scenarios::open(self.folder.path())?.member(FURTHER).map_err(|fault| fault.to_string())?;
        found.map(|_| ()).ok_or_else(|| "what the node did when it went on is not there after a second cut".to_owned())
    }

    /// A node on a store, as at a start.
    pub(crate) fn node(&self, store: Sqlite) -> Result<Node<Sqlite>, String> {
        Node::open(store, Arc::clone(&self.organisation.identity), entropy(self.now), Arc::new(NoHouseRules)).map_err(|fault| fault.to_string())
    }
}

/// A member is added who was not there: an act that every node can do.
pub(crate) fn further_act(node: &mut Node<Sqlite>, id: &str, now: Timestamp) -> Result<(), Refusal> {
    let command = Command::AddMember { id: id.to_owned(), name: id.to_owned(), roles: [policy::access::Role::Analyst].into(), password: String::new() };
    act(node, "ada", None, command, now).map(|_| ())
}

/// What tells a state apart: the file, with its log carried over.
fn hash_of(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.get(FILE).hash(&mut hasher);
    hasher.finish()
}
