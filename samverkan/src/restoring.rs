//! Restoring: a data folder from a backup, with everything in it verified before it gets its name.
//!
//! It is put together in a folder beside the one asked for, as a new node is. The store says to itself that it was
//! restored, so that the node comes up open for reading alone. The invariant: there is never half a node, and never one
//! of which a signature or the ledger did not hold.

use std::path::Path;
use std::sync::Arc;

use node::inspection::{self, Found, InspectionFault};
use node::node::Node;
use node::objects::ObjectFault;
use node::ports::NoPlace;
use policy::house::NoHouseRules;
use store::Sqlite;

use crate::assemble::{self, OsEntropy};
use crate::backup::{self, Manifest};
use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::founding::Workshop;
use crate::print::{counting, progress};

/// What was restored.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) manifest: Manifest,
    pub(crate) found: Found,
}

/// Restores the backup in `file` to the folder `data`, which must not exist or be empty.
pub(crate) fn restore(file: &Path, key: &Path, data: &Path) -> Outcome<Restored> {
    crate::founding::must_be_empty(data)?;
    let key = backup::read_secret_half(key)?;
    let workshop = Workshop::beside(data)?;
    let size = std::fs::metadata(file).map(|found| found.len()).ok();
    let bar = progress("open", size);
    let manifest = backup::read(file, &key, workshop.path(), |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let manifest = manifest?;
    let found = verify_and_mark(workshop.path())?;
    workshop.becomes(data)?;
    Ok(Restored { manifest, found })
}

/// Says to a store whose file was put back otherwise, by a snapshot of its machine, that it was restored.
pub(crate) fn mark(data: &Path) -> Outcome<Found> {
    verify_and_mark(data)
}

fn verify_and_mark(folder: &Path) -> Outcome<Found> {
    let config = Config::load(folder)?;
    let me = Arc::new(assemble::read_identity(&config)?);
    let broken =
        |why: &dyn std::fmt::Display| Failure::refused(format!("the store is not in order: {why}")).remedy("Try another backup. Nothing was restored.");
    let store = Sqlite::open(&config.store.file, &store::Options::default()).map_err(|error| broken(&error))?;
    store.check_whole().map_err(|error| broken(&error))?;
    let anew = make_own_folder(folder, &config)?;
    let attachments = assemble::attachments(&config, me.org(), !anew)?;
    let bar = counting("verify");
    let found = inspection::inspect(&store, attachments.as_deref().unwrap_or(&NoPlace), &me, |what| {
        bar.set_message(format!("verify {what}"));
        bar.inc(1);
    });
    bar.finish_and_clear();
    let found = found.map_err(|error| match error {
        InspectionFault::Object(ObjectFault::Away(away)) => {
            Failure::unreachable(away.to_string()).remedy("Bring it within reach. Is it lost for good? docs/operations/attachments.md says what then.")
        }
        other => broken(&other),
    })?;
    drop(attachments);
    let mut node = Node::open(store, me, Box::new(OsEntropy), Arc::new(NoHouseRules)).map_err(|error| broken(&error))?;
    node.mark_restored(assemble::now()).and_then(|()| node.commit().map_err(Into::into)).map_err(|error| broken(&error))?;
    Ok(found)
}

/// Makes the folder for attachments anew, where it was within the data folder: it is in no backup. Gives whether it did.
fn make_own_folder(folder: &Path, config: &Config) -> Outcome<bool> {
    let place = Path::new(&config.attachments.place);
    if config.attachments.place.is_empty() || !place.starts_with(folder) || place.exists() {
        return Ok(false);
    }
    std::fs::create_dir_all(place).map_err(|error| Failure::usage(format!("`{}` cannot be made: {error}", place.display())))?;
    Ok(true)
}
