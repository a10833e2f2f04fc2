//! Dispatch: what leaves next for a peer, decided at the moment it leaves.
//!
//! Whatever waited in the queue is weighed again now: an agreement may have ended and a recall come since it was
//! released. What may leave is named in a signed parcel header and written to the ledger; the parcel is put together and
//! sealed afterwards, off the write path. One that is sent again keeps its header, is weighed again too, and is put
//! together from what the store then still holds: an item that may no longer leave is left out of it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use format::checkpoint::Checkpoint;
use format::merkle;
use format::parcel::{self, Evidence, Item, ItemKind, ItemRef, MAX_ITEMS, ParcelHeader, TARGET_SIZE};
use format::receipt::Notice;
use format::record::{Header, Kind};
use format::seal::{SealFault, pad};
use format::verify::{self, KeyDirectory};
use format::{Digest, OrgId, RecordId, Signed, Timestamp};
use policy::release::Decision;

use super::pieces::{Piece, Pieces, object_of, objects_of};
use crate::act::release::{Weighing, header_of, signed_record};
use crate::command::Refusal;
use crate::entry::Event;
use crate::node::{Identity, Node, Plan};
use crate::objects::{Fetch, Fetched};
use crate::planted::{Bug, planted};
use crate::ports::{Next, Reader, Store, StoreError, StoreResult};
use crate::released::{Recipient, Released};
use crate::rows::{Change, HoldingRow, HoldingState, ObjectName, Outgoing, OutgoingRow, ParcelItem, ParcelRow, PeerRow, RecordRow, StatementKind};
use crate::state::{Directory, LedgerTree};
use crate::vault::Part;

/// A parcel that was decided and written down, whose bytes are still to be put together.
///
/// There is one for each decision; it is consumed by sealing, and reaches no one but the peer it was decided for.
#[derive(Debug)]
pub struct Dispatch {
    parcel: ParcelRow,
    /// For each item, where its bytes are.
    bytes: Vec<Bytes>,
    padded: bool,
    now: Timestamp,
}

/// Leave for something to go to a peer, with the record that it is or belongs to; or the codes of the reasons against.
type Leave = Result<Option<(RecordRow, Header)>, BTreeSet<String>>;

/// Where the bytes of an item are.
enum Bytes {
    /// Here: it was read to be weighed.
    Here(Vec<u8>),
    /// In the store, if they still are.
    Stored,
    /// It may no longer leave.
    Withheld,
}

impl fmt::Debug for Bytes {
    // The bytes are a record in plain text: they show nowhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(bytes) => write!(f, "Here({} bytes)", bytes.len()),
            Self::Stored => f.write_str("Stored"),
            Self::Withheld => f.write_str("Withheld"),
        }
    }
}

/// A parcel could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchFault {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The peer's key did not seal.
    #[error(transparent)]
    Seal(#[from] SealFault),
    /// The place where attachments are kept is out of reach.
    #[error("the place where attachments are kept cannot be reached")]
    Away,
    /// The peer's card is no longer held.
    #[error("no card of `{0}` is held here that was not revoked")]
    Unknown(OrgId),
    /// This node's keys did not sign.
    #[error("the keys of this node did not sign")]
    Unsigned,
}

impl Dispatch {
    /// To whom.
    #[must_use]
    pub const fn peer(&self) -> &OrgId {
        &self.parcel.peer
    }

    /// The parcel's place in the sequence.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.parcel.sequence
    }

    /// How many items it has.
    #[must_use]
    pub fn items(&self) -> usize {
        self.parcel.items.len()
    }

    /// The same, to be padded when it is sealed, so that its size tells little.
    #[must_use]
    pub fn padded(self) -> Self {
        Self { padded: true, ..self }
    }

    /// The objects that it takes to put the parcel together, for one that is sent again.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn objects(&self, reader: &dyn Reader) -> StoreResult<Vec<ObjectName>> {
        let stored = self.parcel.items.iter().zip(&self.bytes).filter(|(_, bytes)| matches!(bytes, Bytes::Stored));
        let mut names = Vec::new();
        for (item, _) in stored {
            names.extend(object_of(reader, &item.what)?);
        }
        Ok(names)
    }

    /// Puts the parcel's bytes together and seals them to the peer. Needs no node; call it after the commit. `fetched` are
    /// the objects that it takes.
    ///
    /// # Errors
    /// The store could not be read, an object was not fetched, or the peer's key did not seal.
    pub fn seal(self, reader: &dyn Reader, fetched: &Fetched, me: &Identity, directory: &Directory) -> Result<Released<Vec<u8>>, DispatchFault> {
        let peer = self.parcel.peer;
        let keys = directory.keys(&peer).filter(|_| !directory.revoked(&peer)).ok_or_else(|| DispatchFault::Unknown(peer.clone()))?;
        let header = Signed::parse(&self.parcel.header).map_err(|e| StoreError::Corrupt { what: "parcel header", why: e.to_string() })?;
        let mut items = Vec::with_capacity(self.parcel.items.len());
        for (item, bytes) in self.parcel.items.iter().zip(self.bytes) {
            items.push(match bytes {
                Bytes::Here(bytes) => Some(bytes),
                Bytes::Stored => stored_bytes(reader, fetched, me, &item.what, &peer, self.now)?.filter(|bytes| Digest::of(bytes) == item.named.digest),
                Bytes::Withheld => None,
            });
        }
        let mut plain = parcel::write(&header, &items);
        if self.padded {
            pad(&mut plain);
        }
        let envelope = keys.sealing().seal(&peer, &plain)?;
        Ok(Released::new(Recipient::Organisation(peer), envelope))
    }
}

/// An item's exact bytes from the store, and from the objects that were fetched; none when its content is gone.
fn stored_bytes(
    reader: &dyn Reader,
    fetched: &Fetched,
    me: &Identity,
    what: &Outgoing,
    peer: &OrgId,
    now: Timestamp,
) -> Result<Option<Vec<u8>>, DispatchFault> {
    let Outgoing::Attachment { record, attachment, next } = what else { return Ok(item_bytes(reader, me, what, peer, now)?) };
    let Some(piece) = Piece::read(reader, me, record, *attachment, *next)? else { return Ok(None) };
    match piece.bytes(fetched) {
        Fetch::Bytes(bytes) => Ok(Some(piece.item(reader, bytes)?.to_bytes())),
        Fetch::Later | Fetch::Lacking => Err(DispatchFault::Away),
        Fetch::Lost(fault) => {
            tracing::error!(%record, attachment, piece = next, error = %fault, "a piece of an attachment is lost");
            Ok(None)
        }
    }
}

/// An item's exact bytes from the store, unless it is a piece of an attachment; none when its content is gone.
fn item_bytes(reader: &dyn Reader, me: &Identity, what: &Outgoing, peer: &OrgId, now: Timestamp) -> StoreResult<Option<Vec<u8>>> {
    let item = match what {
        Outgoing::Record(id) => match reader.record(id)? {
            Some(row) => record_item(reader, me, &header_of(&row)?, &row, peer, now)?,
            None => None,
        },
        Outgoing::Attachment { .. } => None,
        Outgoing::Statement(kind, digest) => statement_item(reader, *kind, digest)?,
        Outgoing::Returned(id) => match reader.record(id)? {
            Some(row) => returned_item(reader, me, &row)?,
            None => None,
        },
    };
    Ok(item.map(|item| item.to_bytes()))
}

fn record_item(reader: &dyn Reader, me: &Identity, header: &Header, row: &RecordRow, peer: &OrgId, now: Timestamp) -> StoreResult<Option<Item>> {
    let (Some(signed), Some(content)) = (signed_record(row), reader.content(&row.id)?) else {
        return Ok(None);
    };
    let content = me.vault.open(Part::Content(&row.number, row.version), &content)?;
    let evidence = if header.originator == *me.org() || header.audience.contains(peer) {
        Evidence::default()
    } else {
        crate::act::consent::evidence(reader, me, row, peer, now)?
    };
    Ok(Some(Item::Record { signed: Box::new(signed), content, evidence: Box::new(evidence) }))
}

/// A record as it is given back to its originator: with its content, where that is still here.
fn returned_item(reader: &dyn Reader, me: &Identity, row: &RecordRow) -> StoreResult<Option<Item>> {
    let Some(signed) = signed_record(row) else { return Ok(None) };
    let content = reader.content(&row.id)?.map(|sealed| me.vault.open(Part::Content(&row.number, row.version), &sealed)).transpose()?;
    Ok(Some(Item::Returned { signed: Box::new(signed), content }))
}

fn statement_item(reader: &dyn Reader, kind: ItemKind, digest: &Digest) -> StoreResult<Option<Item>> {
    let stored = match kind {
        ItemKind::Agreement => StatementKind::Agreement,
        ItemKind::Withdrawal => StatementKind::Withdrawal,
        ItemKind::Card => StatementKind::Card,
        ItemKind::Revocation => StatementKind::Revocation,
        ItemKind::Notice => StatementKind::Notice,
        ItemKind::Record | ItemKind::Piece | ItemKind::Returned => return Ok(None),
    };
    let Some(row) = reader.statement(stored, digest)? else {
        return Ok(None);
    };
    let signed = Box::new(Signed::parse(&row.bytes).map_err(|e| StoreError::Corrupt { what: "statement", why: e.to_string() })?);
    Ok(Some(match stored {
        StatementKind::Withdrawal => Item::Withdrawal(signed),
        StatementKind::Card => Item::Card(signed),
        StatementKind::Revocation => Item::Revocation(signed),
        StatementKind::Notice => Item::Notice(signed),
        _ => Item::Agreement(signed),
    }))
}

impl<S: Store> Node<S> {
    pub(crate) fn decide_dispatch(
        &mut self,
        peer: &OrgId,
        after: u64,
        window: u64,
        fetched: &Fetched,
        now: Timestamp,
    ) -> Result<(Option<Dispatch>, Plan), Refusal> {
        let state = self.state.peer(peer);
        if state.suspicion.is_some() || self.state.directory.card(peer).is_none() {
            return Ok((None, Plan::default()));
        }
        let after = after.max(state.acknowledged);
        if after < state.sent {
            return self.send_again(peer, after + 1, now);
        }
        if state.sent - state.acknowledged >= window {
            return Ok((None, Plan::default()));
        }
        self.send_next(state, fetched, now)
    }

    fn send_again(&mut self, peer: &OrgId, sequence: u64, now: Timestamp) -> Result<(Option<Dispatch>, Plan), Refusal> {
        let Some(parcel) = self.store.parcel(peer, sequence)? else {
            return Err(StoreError::Corrupt { what: "parcel", why: format!("parcel {sequence} to {peer} is missing") }.into());
        };
        let mut bytes = Vec::with_capacity(parcel.items.len());
        for item in &parcel.items {
            let may_leave = planted(Bug::ResendUnweighed) || self.may_leave(&item.what, peer, now)?.is_ok();
            bytes.push(if may_leave { Bytes::Stored } else { Bytes::Withheld });
        }
        // The entry that was written when the parcel first left speaks of this disclosure too.
        Ok((Some(Dispatch { parcel, bytes, padded: false, now }), Plan::default()))
    }

    fn send_next(&mut self, mut state: PeerRow, fetched: &Fetched, now: Timestamp) -> Result<(Option<Dispatch>, Plan), Refusal> {
        let mut plan = Plan::default();
        let peer = state.org.clone();
        let (mut items, mut bytes) = (Vec::new(), Vec::new());
        let mut size = 0;
        let rows = self.waiting(&peer, fetched)?;
        self.store.look_ahead(&Next::Leaving(&records_among(rows.iter().map(|row| &row.what))))?;
        for (place, row) in rows.iter().enumerate() {
            if size >= TARGET_SIZE || items.len() >= MAX_ITEMS {
                break;
            }
            let taken = if let Outgoing::Attachment { record, attachment, next } = &row.what {
                match self.take_attachment(&peer, row.position, (record, *attachment, *next), MAX_ITEMS - items.len(), fetched, &mut plan, now)? {
                    Pieces::Taken(taken) => taken,
                    Pieces::Later => continue,
                    Pieces::Lacking => return Err(Refusal::NotFetched(objects_of(&self.store, rows.iter().skip(place).map(|row| &row.what))?)),
                }
            } else {
                self.take_row(&peer, row, &mut plan, now)?.into_iter().collect()
            };
            for (item, its_bytes) in taken {
                size += its_bytes.len();
                items.push(item);
                bytes.push(Bytes::Here(its_bytes));
            }
        }
        if items.is_empty() {
            return Ok((None, plan));
        }
        let sequence = state.sent + 1;
        let (size, root) = (self.state.frontier.size(), self.state.frontier.root());
        let header = ParcelHeader {
            from: self.me.org().clone(),
            to: peer.clone(),
            sequence,
            previous: state.sent_digest,
            created: now,
            checkpoint: self.checkpoint_note(size, root)?,
            seen: state.shown_size,
            consistency: self.consistency(state.shown_size, size)?,
            items: items.iter().map(|item: &ParcelItem| item.named).collect(),
            era: self.state.era(),
        };
        let header = verify::state(&header, &self.me.keys).map_err(|e| Refusal::Invalid { what: "parcel header", why: e.to_string() })?;
        for item in &items {
            if let Outgoing::Record(record) = &item.what {
                self.mark_sent(*record, &peer, sequence, &mut plan, now)?;
            }
        }
        state.sent = sequence;
        state.sent_digest = header.digest();
        state.shown_size = size;
        let parcel = ParcelRow { peer, sequence, header: header.signed().to_bytes(), digest: header.digest(), items };
        if !planted(Bug::SentUnwritten) {
            plan.event(sent_event(&parcel));
        }
        plan.change(Change::Parcel(parcel.clone()));
        plan.change(Change::Peer(state));
        Ok((Some(Dispatch { parcel, bytes, padded: false, now }), plan))
    }

    /// What waits for a peer, oldest first: as much as a parcel holds. While the place for attachments is out of reach, as much
    /// beside those that are passed over.
    fn waiting(&self, peer: &OrgId, fetched: &Fetched) -> StoreResult<Vec<OutgoingRow>> {
        if self.state.queued.get(peer).copied().unwrap_or(0) == 0 {
            return Ok(Vec::new());
        }
        let mut limit = MAX_ITEMS;
        loop {
            let rows = self.store.outgoing(peer, limit)?;
            let others = rows.iter().filter(|row| !matches!(row.what, Outgoing::Attachment { .. })).count();
            if fetched.check_reached().is_ok() || others >= MAX_ITEMS || rows.len() < limit {
                return Ok(rows);
            }
            limit *= 4;
        }
    }

    /// Takes one waiting row, no attachment, out of the queue: its item with its bytes. One that may not leave, or whose
    /// bytes are gone, is dropped with its reasons.
    fn take_row(&self, peer: &OrgId, row: &OutgoingRow, plan: &mut Plan, now: Timestamp) -> Result<Option<(ParcelItem, Vec<u8>)>, Refusal> {
        plan.change(Change::Requeue(peer.clone(), row.position, None));
        let read = match self.may_leave(&row.what, peer, now)? {
            Ok(Some((record, header))) if matches!(row.what, Outgoing::Record(_)) => {
                record_item(&self.store, &self.me, &header, &record, peer, now)?.map(|item| item.to_bytes())
            }
            Ok(_) => item_bytes(&self.store, &self.me, &row.what, peer, now)?,
            Err(reasons) => {
                self.hold_back(&row.what, peer, reasons, plan, now)?;
                return Ok(None);
            }
        };
        let Some(bytes) = read else {
            self.hold_back(&row.what, peer, ["removed".to_owned()].into(), plan, now)?;
            return Ok(None);
        };
        let kind = match &row.what {
            Outgoing::Record(_) => ItemKind::Record,
            Outgoing::Attachment { .. } => ItemKind::Piece,
            Outgoing::Statement(kind, _) => *kind,
            Outgoing::Returned(_) => ItemKind::Returned,
        };
        Ok(Some((ParcelItem { named: ItemRef { kind, digest: Digest::of(&bytes) }, what: row.what.clone() }, bytes)))
    }

    /// Whether something may leave for a peer now.
    pub(super) fn may_leave(&self, what: &Outgoing, peer: &OrgId, now: Timestamp) -> Result<Leave, Refusal> {
        if planted(Bug::ReleaseUnweighed) {
            return Ok(Ok(None));
        }
        let record = match what {
            Outgoing::Record(record) | Outgoing::Attachment { record, .. } | Outgoing::Returned(record) => record,
            Outgoing::Statement(..) => return Ok(Ok(None)),
        };
        let Some(row) = self.store.record(record)? else {
            return Ok(Err(["removed".to_owned()].into()));
        };
        let own = row.originator == *peer;
        if matches!(what, Outgoing::Returned(_)) {
            // INVARIANT: a record is given back to whose it is, and to nobody else.
            return Ok(if own { Ok(None) } else { Err(["not-theirs".to_owned()].into()) });
        }
        if own && matches!(what, Outgoing::Attachment { .. }) {
            return Ok(Ok(None));
        }
        if self.closed(&row) {
            // It may have been recalled after the backup.
            return Ok(Err(["not-settled".to_owned()].into()));
        }
        let header = header_of(&row)?;
        let leave = crate::act::consent::leave(&self.store, &self.me, &row, peer, now)?;
        let weighing = Weighing { directory: &self.state.directory, me: self.me.org(), house: self.house.as_ref(), now };
        let steers = self.steers_copy_of(&header, peer)?;
        Ok(match weighing.release(&row, &header, peer, &leave, steers) {
            Decision::Permit(_) => Ok(Some((row, header))),
            Decision::Refuse(reasons) => Err(reasons.iter().map(|r| r.code().to_owned()).collect()),
        })
    }

    /// Whether a recall or correction is about a copy that `peer` got from here.
    pub(crate) fn steers_copy_of(&self, header: &Header, peer: &OrgId) -> StoreResult<bool> {
        let about: Vec<RecordId> = match header.kind {
            Kind::Recall => header.linked(format::record::Relation::Concerns).collect(),
            Kind::Correction => header.supersedes.into_iter().collect(),
            _ => return Ok(false),
        };
        for record in about {
            let copies = self.store.holdings(&record)?;
            if copies.iter().any(|copy| copy.holder == *peer && (copy.via == *self.me.org() || header.kind == Kind::Recall)) {
                return Ok(true);
            }
            if header.kind == Kind::Recall && self.said_to_have_passed_on(&record, peer)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether this node, before it was restored, had signed that it passed a record on to `peer`.
    fn said_to_have_passed_on(&self, record: &RecordId, peer: &OrgId) -> StoreResult<bool> {
        if self.state.recovery.is_none() {
            return Ok(false);
        }
        let words = self.store.statements_about(StatementKind::Notice, &record.0)?;
        let mine = words.iter().filter(|word| word.org == *self.me.org());
        let read = mine.filter_map(|word| serde_json::from_slice::<Notice>(Signed::parse(&word.bytes).ok()?.payload()).ok());
        Ok(read.into_iter().any(|notice| notice.state.passed_on_to() == Some(peer)))
    }

    fn hold_back(&self, what: &Outgoing, peer: &OrgId, reasons: BTreeSet<String>, plan: &mut Plan, now: Timestamp) -> StoreResult<()> {
        if let Outgoing::Record(record) = what {
            let copies = self.store.holdings(record)?;
            let said = |state| matches!(state, HoldingState::Held | HoldingState::Refused | HoldingState::Removed);
            if copies.iter().any(|copy| copy.holder == *peer && copy.via == *self.me.org() && said(copy.state)) {
                // The peer has said how it stands with it: what stayed in line after a recovery was once too many.
                return Ok(());
            }
            plan.event(Event::HeldBack { record: *record, recipient: peer.clone(), reasons: reasons.clone() });
            plan.change(Change::Holding(HoldingRow {
                record: *record,
                holder: peer.clone(),
                via: self.me.org().clone(),
                state: HoldingState::HeldBack,
                sequence: None,
                evidence: None,
                reasons,
                since: now,
            }));
        }
        Ok(())
    }

    fn mark_sent(&self, record: RecordId, peer: &OrgId, sequence: u64, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let via = self.me.org().clone();
        // One that goes again bears the reasons for which it was refused the first time.
        let before = self.store.holdings(&record)?.into_iter().find(|copy| copy.holder == *peer && copy.via == via);
        let row = HoldingRow {
            record,
            holder: peer.clone(),
            via,
            state: if planted(Bug::SentUnmarked) { HoldingState::Queued } else { HoldingState::Sent },
            sequence: Some(sequence),
            evidence: None,
            reasons: before.map(|copy| copy.reasons).unwrap_or_default(),
            since: now,
        };
        plan.change(Change::Holding(row));
        Ok(())
    }

    /// A signed checkpoint of this node's ledger.
    pub(crate) fn checkpoint_note(&self, size: u64, root: merkle::Hash) -> Result<String, Refusal> {
        let name = self.me.ledger_name();
        let root = if planted(Bug::CheckpointWrong) && size.is_multiple_of(7) { merkle::leaf_hash(&root) } else { root };
        let note = Checkpoint::new(name.clone(), size, root).and_then(|checkpoint| checkpoint.sign(&name, self.me.keys.ed25519()));
        note.map_err(|e| Refusal::Invalid { what: "checkpoint", why: e.to_string() })
    }

    /// A proof that the ledger at `size` continues the ledger at `seen`.
    pub(crate) fn consistency(&self, seen: u64, size: u64) -> StoreResult<Vec<Digest>> {
        if seen == 0 || seen == size {
            return Ok(Vec::new());
        }
        let proof = merkle::consistency_proof(seen, size, &LedgerTree(&self.store))?;
        Ok(proof.into_iter().map(Digest::from).collect())
    }

    /// The directory, shared.
    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.state.directory
    }
}

/// The records among what waits, or was sent.
pub(super) fn records_among<'a>(what: impl Iterator<Item = &'a Outgoing>) -> Vec<RecordId> {
    what.filter_map(|what| if let Outgoing::Record(id) = what { Some(*id) } else { None }).collect()
}

fn sent_event(parcel: &ParcelRow) -> Event {
    let (mut records, mut statements) = (Vec::new(), Vec::new());
    for item in &parcel.items {
        match &item.what {
            Outgoing::Record(id) | Outgoing::Returned(id) => records.push(*id),
            Outgoing::Statement(_, key) => statements.push(*key),
            Outgoing::Attachment { .. } => {}
        }
    }
    Event::Sent { peer: parcel.peer.clone(), sequence: parcel.sequence, parcel: parcel.digest, records, statements }
}
