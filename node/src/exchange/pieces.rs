//! Pieces: how attachments are cut up, leave piece by piece, and are waited for where they lie outside the store.
//!
//! A parcel names the hash of everything in it, so the bytes must be at hand when it is decided; a decision never waits for
//! them. Where some are not, it names the objects that it takes, and is asked again when those are fetched.

use format::attachment::piece_leaf;
use format::merkle::{self, Frontier};
use format::parcel::{Item, ItemKind, ItemRef, MAX_ITEMS, TARGET_SIZE};
use format::{Digest, OrgId, RecordId, Timestamp};

use crate::act::release::header_of;
use crate::command::Refusal;
use crate::entry::Event;
use crate::node::{Identity, Node, Plan};
use crate::objects::{Fetch, Fetched, Kept, ObjectFault, open_piece};
use crate::ports::{Reader, Store, StoreError, StoreResult};
use crate::rows::{Change, ObjectName, Outgoing, ParcelItem};

/// A piece of an attachment as the store holds it.
pub(super) struct Piece {
    record: RecordId,
    number: (format::RecordNumber, u32),
    attachment: u32,
    index: u64,
    kept: Kept,
}

impl Piece {
    /// Its bytes, from the store or from what was fetched.
    pub(super) fn bytes(&self, fetched: &Fetched) -> Fetch {
        match &self.kept {
            Kept::Bytes(bytes) => Fetch::Bytes(bytes.clone()),
            Kept::Object(object) => fetched.open(object),
        }
    }

    /// Reads a piece; none when its record's content is gone, or the attachment has no such piece.
    pub(super) fn read(reader: &dyn Reader, me: &Identity, record: &RecordId, attachment: u32, index: u64) -> StoreResult<Option<Self>> {
        let (Some(row), Some(content)) = (reader.record(record)?, reader.content(record)?) else {
            return Ok(None);
        };
        let number = (row.number, row.version);
        let Some(piece) = reader.piece(&number, attachment, index)? else {
            return Ok(None);
        };
        Ok(Some(Self { record: *record, number, attachment, index, kept: open_piece(me, &content, &piece)? }))
    }

    /// The piece as an item of a parcel, with the proof of its place in the attachment.
    pub(super) fn item(self, reader: &dyn Reader, bytes: Vec<u8>) -> StoreResult<Item> {
        let leaves: Vec<merkle::Hash> = reader.piece_leaves(&self.number, self.attachment)?.into_values().collect();
        let proof = merkle::inclusion_proof(self.index, leaves.len() as u64, &Leaves(&leaves))?;
        Ok(Item::Piece { record: self.record, attachment: self.attachment, index: self.index, proof, bytes })
    }
}

/// What became of an attachment that waited in a queue.
pub(super) enum Pieces {
    /// These leave.
    Taken(Vec<(ParcelItem, Vec<u8>)>),
    /// It stays in the queue: the place that it is in is out of reach.
    Later,
    /// Its next piece was not fetched.
    Lacking,
}

/// An attachment, and which of its pieces is the next to leave.
type Waiting<'a> = (&'a RecordId, u32, u64);

impl<S: Store> Node<S> {
    /// Takes the next pieces of an attachment out of a peer's queue, as far as there is room and they are at hand, `most` of
    /// them at most. One that may not leave is dropped with its reasons.
    #[expect(clippy::too_many_arguments, reason = "the place in the queue is a peer, a position and what waits there")]
    pub(super) fn take_attachment(
        &self,
        peer: &OrgId,
        position: u64,
        (record, attachment, mut next): Waiting<'_>,
        most: usize,
        fetched: &Fetched,
        plan: &mut Plan,
        now: Timestamp,
    ) -> Result<Pieces, Refusal> {
        let (first, mut size, mut taken) = (next, 0, Vec::new());
        let what = |next| Outgoing::Attachment { record: *record, attachment, next };
        if self.may_leave(&what(next), peer, now)?.is_err() {
            plan.change(Change::Requeue(peer.clone(), position, None));
            return Ok(Pieces::Taken(taken));
        }
        // An attachment ends where there is no further piece.
        while let Some(piece) = Piece::read(&self.store, &self.me, record, attachment, next)? {
            let bytes = match piece.bytes(fetched) {
                Fetch::Bytes(bytes) => bytes,
                Fetch::Lost(fault) => {
                    self.piece_lost(peer, record, &fault, plan);
                    break;
                }
                Fetch::Later if next == first => return Ok(Pieces::Later),
                Fetch::Lacking if next == first => return Ok(Pieces::Lacking),
                Fetch::Later | Fetch::Lacking => {
                    plan.change(Change::Requeue(peer.clone(), position, Some(what(next))));
                    return Ok(Pieces::Taken(taken));
                }
            };
            let bytes = piece.item(&self.store, bytes)?.to_bytes();
            size += bytes.len();
            taken.push((ParcelItem { named: ItemRef { kind: ItemKind::Piece, digest: Digest::of(&bytes) }, what: what(next) }, bytes));
            next += 1;
            if size >= TARGET_SIZE || taken.len() >= most {
                plan.change(Change::Requeue(peer.clone(), position, Some(what(next))));
                return Ok(Pieces::Taken(taken));
            }
        }
        plan.change(Change::Requeue(peer.clone(), position, None));
        Ok(Pieces::Taken(taken))
    }

    /// The rest of an attachment cannot be sent, and whoever asks later finds it written down.
    fn piece_lost(&self, peer: &OrgId, record: &RecordId, fault: &ObjectFault, plan: &mut Plan) {
        tracing::error!(peer.id = %peer, %record, error = %fault, "an attachment cannot be sent");
        plan.event(Event::HeldBack { record: *record, recipient: peer.clone(), reasons: ["attachment-lost".to_owned()].into() });
    }
}

/// The objects that what waits takes, in order, for about as much as a parcel holds.
pub(super) fn objects_of<'a>(reader: &dyn Reader, waiting: impl Iterator<Item = &'a Outgoing>) -> StoreResult<Vec<ObjectName>> {
    let (mut names, mut size) = (Vec::new(), 0);
    for what in waiting {
        let Outgoing::Attachment { record, attachment, next } = what else { continue };
        let Some(row) = reader.record(record)? else { continue };
        let header = header_of(&row)?;
        let reference = usize::try_from(*attachment).ok().and_then(|place| header.attachments.get(place));
        let place = (row.number, row.version);
        for index in *next.. {
            if size >= TARGET_SIZE {
                return Ok(names);
            }
            let Some(piece) = reader.piece(&place, *attachment, index)? else { break };
            size += reference.and_then(|reference| reference.piece_len(index)).unwrap_or_default();
            names.extend(piece.object);
        }
    }
    Ok(names)
}

/// The object that an item is in, if it is a piece and in one.
pub(super) fn object_of(reader: &dyn Reader, what: &Outgoing) -> StoreResult<Option<ObjectName>> {
    let Outgoing::Attachment { record, attachment, next } = what else { return Ok(None) };
    let Some(row) = reader.record(record)? else { return Ok(None) };
    Ok(reader.piece(&(row.number, row.version), *attachment, *next)?.and_then(|piece| piece.object))
}

/// The objects that the next parcel to a peer takes, for whoever fetches them before it is decided.
///
/// # Errors
/// The store cannot be read.
pub fn objects_waiting(reader: &dyn Reader, peer: &OrgId) -> StoreResult<Vec<ObjectName>> {
    objects_of(reader, reader.outgoing(peer, MAX_ITEMS)?.iter().map(|row| &row.what))
}

/// A tree over leaf hashes in memory: at most 4096, the pieces of one attachment.
#[derive(Debug)]
pub(crate) struct Leaves<'a>(pub(crate) &'a [merkle::Hash]);

impl merkle::Subtrees for Leaves<'_> {
    type Error = StoreError;

    fn subtree(&self, level: u8, index: u64) -> Result<merkle::Hash, StoreError> {
        if level == 0 {
            let leaf = usize::try_from(index).ok().and_then(|i| self.0.get(i));
            return leaf.copied().ok_or_else(|| StoreError::Corrupt { what: "attachment", why: "a piece is missing".to_owned() });
        }
        let (left, right) = (self.subtree(level - 1, index * 2)?, self.subtree(level - 1, index * 2 + 1)?);
        Ok(merkle::node_hash(&left, &right))
    }
}

impl Leaves<'_> {
    /// The tree's root.
    pub(crate) fn root(&self) -> merkle::Hash {
        let mut frontier = Frontier::default();
        for leaf in self.0 {
            frontier.push(*leaf);
        }
        frontier.root()
    }
}

/// The leaf hash of a piece under a record's salt.
pub(crate) fn leaf_of(salt: &[u8; 32], piece: &[u8]) -> merkle::Hash {
    piece_leaf(salt, piece)
}
