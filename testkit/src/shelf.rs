//! The shelf: a place for attachments outside the store, in memory, that can be out of reach and lose things.
//!
//! What is on it outlives its node and every fault of the node's store, as a bucket would.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use format::Timestamp;
use node::exchange::{self, Dispatch, Inbound};
use node::objects::{self, Fetched, ObjectFault, Placed};
use node::ports::{Entropy, Objects, PlaceAway, Reader, Store, StoreError};
use node::rows::ObjectName;
use node::{Command, Node, Outcome, Refusal};

#[derive(Debug, Default)]
struct Things {
    now: i64,
    away: bool,
    objects: BTreeMap<ObjectName, (i64, Vec<u8>)>,
}

/// A place for attachments. Copies are the same place.
#[derive(Debug, Clone, Default)]
pub struct Shelf(Arc<Mutex<Things>>);

impl Shelf {
    fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self) -> Result<MutexGuard<'_, Things>, PlaceAway> {
        let things = self.things();
        if things.away { Err(PlaceAway("the shelf is out of reach".to_owned())) } else { Ok(things) }
    }

    /// Sets its clock, and whether it is out of reach.
    pub fn set(&self, now: Timestamp, away: bool) {
        let mut things = self.things();
        (things.now, things.away) = (now.as_ms(), away);
    }

    /// The names of everything on it.
    #[must_use]
    pub fn names(&self) -> BTreeSet<ObjectName> {
        self.things().objects.keys().copied().collect()
    }

    /// How large an object is; 0 when there is none.
    #[must_use]
    pub fn size(&self, name: &ObjectName) -> usize {
        self.things().objects.get(name).map_or(0, |(_, bytes)| bytes.len())
    }

    /// Every byte on it, an object after the other.
    #[must_use]
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        self.things().objects.values().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Loses an object, or everything.
    pub fn lose(&self, name: Option<ObjectName>) {
        self.things().objects.retain(|kept, _| name.is_some_and(|name| *kept != name));
    }

    /// Changes every byte of an object.
    pub fn spoil(&self, name: &ObjectName) {
        if let Some((_, bytes)) = self.things().objects.get_mut(name) {
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
    }
}

impl Objects for Shelf {
    fn put(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<(), PlaceAway> {
        let mut things = self.reach()?;
        let now = things.now;
        things.objects.insert(*name, (now, bytes));
        Ok(())
    }

    fn get(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, PlaceAway> {
        Ok(self.reach()?.objects.get(name).map(|(_, bytes)| bytes.clone()))
    }

    fn list(&self, first: u8) -> Result<Vec<(ObjectName, Duration)>, PlaceAway> {
        let things = self.reach()?;
        let age = |at: i64| Duration::from_millis(things.now.saturating_sub(at).try_into().unwrap_or_default());
        let beginning = |name: &ObjectName| name.0.first() == Some(&first);
        Ok(things.objects.iter().filter(|(name, _)| beginning(name)).map(|(name, (at, _))| (*name, age(*at))).collect())
    }

    fn remove(&self, name: &ObjectName) -> Result<(), PlaceAway> {
        self.reach()?.objects.remove(name);
        Ok(())
    }
}

/// Places the piece that a command brings, as a node's handle does.
///
/// # Errors
/// The place is out of reach.
pub fn place(command: Command, objects: &dyn Objects, entropy: &mut dyn Entropy, now: Timestamp) -> Result<Command, ObjectFault> {
    Ok(match command {
        Command::AttachPiece { number, version, index, bytes, .. } => {
            let placed = Some(Placed::place(&bytes, objects, entropy, now)?);
            Command::AttachPiece { number, version, index, bytes, placed }
        }
        other => other,
    })
}

/// Places the pieces that a parcel brings.
///
/// # Errors
/// The place is out of reach, or the store failed.
pub fn place_inbound<S: Store>(node: &Node<S>, inbound: &mut Inbound, objects: &dyn Objects, entropy: &mut dyn Entropy, now: Timestamp) -> Result<(), Refusal> {
    inbound.find_pieces(node.identity(), node.store())?;
    Ok(inbound.place_pieces(objects, entropy, now).map_err(ObjectFault::Away)?)
}

/// Decides the next parcel, with the objects that it takes.
///
/// # Errors
/// See [`Refusal`].
pub fn dispatch<S: Store>(node: &mut Node<S>, objects: &dyn Objects, peer: &format::OrgId, after: u64, now: Timestamp) -> Result<Option<Dispatch>, Refusal> {
    let mut fetched = Fetched::default();
    loop {
        match node.dispatch_within(exchange::WINDOW, peer, after, &fetched, now) {
            // What is out of reach is passed over.
            Err(Refusal::NotFetched(names)) => _ = fetched.fetch(&names, objects),
            decided => return decided,
        }
    }
}

/// The objects that it takes to put a parcel together.
///
/// # Errors
/// The store failed.
pub fn for_seal<S: Store>(node: &Node<S>, dispatch: &Dispatch, objects: &dyn Objects) -> Result<Fetched, StoreError> {
    let mut fetched = Fetched::default();
    // What is out of reach is told when the parcel is sealed.
    _ = fetched.fetch(&dispatch.objects(node.store())?, objects);
    Ok(fetched)
}

/// The piece that an outcome is.
///
/// # Errors
/// It is lost, or the place is out of reach.
pub fn fetch(outcome: Outcome, objects: &dyn Objects) -> Result<Outcome, ObjectFault> {
    Ok(match outcome {
        Outcome::PieceAway(released) => Outcome::Piece(released.fetch(objects)?),
        other => other,
    })
}

/// Removes what nothing needs any more, and gives how much it was.
///
/// # Errors
/// The place is out of reach, or the store failed.
pub fn sweep(reader: &dyn Reader, objects: &dyn Objects) -> Result<usize, Refusal> {
    let mut removed = 0;
    if !objects::may_remove(reader)? {
        return Ok(removed);
    }
    for first in 0..=u8::MAX {
        let old = objects::old(objects, first).map_err(ObjectFault::Away)?;
        let in_use = reader.objects_in_use(&old)?;
        for name in old.iter().filter(|name| !in_use.contains(name)) {
            objects.remove(name).map_err(ObjectFault::Away)?;
            removed += 1;
        }
    }
    Ok(removed)
}
