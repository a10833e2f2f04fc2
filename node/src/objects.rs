//! Attachments outside the store: each piece an object, encrypted under a key of its own.
//!
//! The store keeps an object's name, and its key encrypted under the record's: whoever destroys the record's key has
//! destroyed the object too, wherever copies of it lie. What takes time happens beside the writer: a piece is placed before
//! the act that keeps its name, and fetched before the parcel or after the answer that it is for. An object that no act came
//! to keep is removed later, and so is one whose piece was destroyed. The invariant: no object that a piece is in is removed.

use std::collections::BTreeMap;
use std::time::Duration;

use format::Timestamp;

use crate::command::Refusal;
use crate::exchange::leaf_of;
use crate::node::Identity;
use crate::ports::{Entropy, Objects, PlaceAway, Reader, StoreError, StoreResult};
use crate::released::Released;
use crate::rows::{ContentRow, ObjectName, PieceRow, RecordRow, Suspicion};
use crate::vault::{self, Part};

/// How long after it was placed a piece may be kept by an act.
const MAY_BE_KEPT_MS: i64 = 10 * 60 * 1000;

/// How old an object is before it is removed because no piece is in it. WHY: much longer than a placed piece may wait for
/// the act that keeps it, whatever the two clocks show.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// An object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectFault {
    /// The place is out of reach.
    #[error(transparent)]
    Away(#[from] PlaceAway),
    /// It is not there.
    #[error("the place where attachments are kept has no object `{0}`")]
    Missing(ObjectName),
    /// It is not what was put there.
    #[error("the object `{0}` in the place where attachments are kept is not the one that was put there")]
    Damaged(ObjectName),
}

/// What it takes to read an object.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectRef {
    name: ObjectName,
    key: [u8; 32],
}

impl std::fmt::Debug for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObjectRef({})", self.name)
    }
}

impl ObjectRef {
    fn open(&self, ciphertext: &[u8]) -> Result<Vec<u8>, ObjectFault> {
        vault::open_object(&self.key, &self.name, ciphertext).map_err(|_| ObjectFault::Damaged(self.name))
    }

    fn fetch(&self, objects: &dyn Objects) -> Result<Vec<u8>, ObjectFault> {
        self.open(&objects.get(&self.name)?.ok_or(ObjectFault::Missing(self.name))?)
    }
}

impl Released<ObjectRef> {
    /// Fetches the object for whom it was released.
    ///
    /// # Errors
    /// See [`ObjectFault`].
    pub fn fetch(self, objects: &dyn Objects) -> Result<Released<Vec<u8>>, ObjectFault> {
        self.try_map(|object| object.fetch(objects))
    }
}

/// A piece that lies in an object and that no act has kept yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    object: ObjectRef,
    at: Timestamp,
}

impl Placed {
    /// Puts a piece into a new object. Needs no node; it may wait for a network.
    ///
    /// # Errors
    /// See [`PlaceAway`].
    pub fn place(bytes: &[u8], objects: &dyn Objects, entropy: &mut dyn Entropy, now: Timestamp) -> Result<Self, PlaceAway> {
        let (mut name, mut key) = ([0; 32], [0; 32]);
        entropy.fill(&mut name);
        entropy.fill(&mut key);
        let mut short = [0; 16];
        short.iter_mut().zip(name).for_each(|(to, from)| *to = from);
        let name = ObjectName(short);
        objects.put(&name, vault::seal_object(&key, &name, bytes, entropy))?;
        Ok(Self { object: ObjectRef { name, key }, at: now })
    }
}

/// A piece of a record's attachment for the store: its bytes, or what it takes to read the object that they were placed in.
#[expect(clippy::too_many_arguments, reason = "each is a part of the row")]
pub(crate) fn seal_piece(
    me: &Identity,
    content: &ContentRow,
    row: &RecordRow,
    (attachment, index): (u32, u64),
    (salt, bytes): (&[u8; 32], &[u8]),
    placed: Option<&Placed>,
    entropy: &mut dyn Entropy,
    now: Timestamp,
) -> Result<PieceRow, Refusal> {
    if placed.is_some_and(|placed| now.as_ms().saturating_sub(placed.at.as_ms()) > MAY_BE_KEPT_MS) {
        return Err(Refusal::Busy("the piece waited too long to be kept: send it again".to_owned()));
    }
    let key = me.vault.unwrap(content)?;
    let kept = placed.map_or(bytes, |placed| &placed.object.key);
    let ciphertext = me.vault.seal_piece(&key, Part::Piece(&row.number, row.version, attachment, index), kept, entropy);
    let record = (row.number.clone(), row.version);
    Ok(PieceRow { record, attachment, index, leaf: leaf_of(salt, bytes), object: placed.map(|placed| placed.object.name), ciphertext })
}

/// Where the bytes of a piece are.
pub(crate) enum Kept {
    /// Here.
    Bytes(Vec<u8>),
    /// In an object.
    Object(ObjectRef),
}

/// Opens a piece as far as the store holds it.
pub(crate) fn open_piece(me: &Identity, content: &ContentRow, piece: &PieceRow) -> Result<Kept, StoreError> {
    let (number, version) = &piece.record;
    let key = me.vault.unwrap(content)?;
    let kept = me.vault.open_piece(&key, Part::Piece(number, *version, piece.attachment, piece.index), &piece.ciphertext)?;
    let Some(name) = piece.object else { return Ok(Kept::Bytes(kept)) };
    let key = kept.try_into().map_err(|_| StoreError::Corrupt { what: "key of an object", why: "it is not 32 bytes".to_owned() })?;
    Ok(Kept::Object(ObjectRef { name, key }))
}

/// A piece of an attachment from wherever it is.
///
/// # Errors
/// It does not decrypt, its object is lost, or the place is out of reach.
pub fn read_piece(me: &Identity, content: &ContentRow, piece: &PieceRow, objects: &dyn Objects) -> Result<Vec<u8>, Refusal> {
    Ok(match open_piece(me, content, piece)? {
        Kept::Bytes(bytes) => bytes,
        Kept::Object(object) => object.fetch(objects)?,
    })
}

/// Objects that were fetched for a parcel, still encrypted.
#[derive(Debug, Default)]
pub struct Fetched {
    found: BTreeMap<ObjectName, Option<Vec<u8>>>,
    away: Option<PlaceAway>,
}

impl Fetched {
    /// Fetches these objects too. When the place is out of reach, what is in it is passed over for now. Needs no node; it
    /// may wait for a network.
    ///
    /// # Errors
    /// Why the place is out of reach, for the caller to note.
    pub fn fetch(&mut self, names: &[ObjectName], objects: &dyn Objects) -> Result<(), PlaceAway> {
        for name in names {
            let found = objects.get(name).inspect_err(|away| self.away = Some(away.clone()))?;
            self.found.insert(*name, found);
        }
        Ok(())
    }

    /// Why nothing leaves for which the place is needed, where that is so.
    pub(crate) fn check_reached(&self) -> Result<(), ObjectFault> {
        self.away.clone().map_or(Ok(()), |away| Err(away.into()))
    }

    pub(crate) fn open(&self, object: &ObjectRef) -> Fetch {
        match self.found.get(&object.name) {
            Some(Some(ciphertext)) => object.open(ciphertext).map_or_else(Fetch::Lost, Fetch::Bytes),
            Some(None) => Fetch::Lost(ObjectFault::Missing(object.name)),
            None if self.away.is_some() => Fetch::Later,
            None => Fetch::Lacking,
        }
    }
}

/// What became of fetching an object.
pub(crate) enum Fetch {
    Bytes(Vec<u8>),
    /// It will never be had.
    Lost(ObjectFault),
    /// The place is out of reach.
    Later,
    /// It was not fetched yet.
    Lacking,
}

/// Whether objects that no piece is in may be removed.
///
/// A node that was restored from a backup removes nothing before a peer has accepted that: while the node it is a copy of
/// still runs, as when a backup is tried out, the objects are that one's.
///
/// # Errors
/// The store cannot be read.
pub fn may_remove(reader: &dyn Reader) -> StoreResult<bool> {
    let opening = reader.opening()?;
    let accepted = opening.peers.is_empty() || opening.peers.iter().any(|peer| peer.suspicion != Some(Suspicion::Restored));
    Ok(opening.recovery.is_none_or(|recovery| recovery.declared.is_some() && accepted))
}

/// The objects whose names begin with a byte and that are too old for an act under way to keep them: those of them that no
/// piece is in, see [`Reader::objects_in_use`], may be removed, by any number of processes at once.
///
/// # Errors
/// See [`PlaceAway`].
pub fn old(objects: &dyn Objects, first: u8) -> Result<Vec<ObjectName>, PlaceAway> {
    Ok(objects.list(first)?.into_iter().filter(|(_, age)| *age > ABANDONED).map(|(name, _)| name).collect())
}
