//! From an envelope to a verified parcel: everything that is done before the node decides.
//!
//! It needs only the directory, so many can be opened at once. An item that cannot be read or does not verify does not
//! spoil the parcel: it becomes a rejection, which the receipt names, and the rest goes on. A parcel whose own header
//! does not hold is refused whole.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use format::agreement::{Agreement, Withdrawal};
use format::card::{self, Card, Revocation};
use format::merkle::Hash;
use format::parcel::{self, Evidence, Item, ItemRef, ParcelHeader};
use format::receipt::{Notice, State};
use format::record::{ConsentAct, ConsentContent, Content, Header, Kind, Salted};
use format::seal::SealFault;
use format::verify::{KeyDirectory as _, Reject, Verified, Verifier};
use format::{OrgId, RecordId, RecordNumber, Signed, Timestamp, attachment, stix};
use policy::release::{Emergency, Grant};

use crate::act::release::header_of;
use crate::node::Identity;
use crate::objects::Placed;
use crate::ports::{Entropy, Objects, PlaceAway, Reader, StoreResult};
use crate::state::Directory;
use crate::vault::Part;

impl InboundRecord {
    /// The emergency that `from` states for just this record.
    pub(super) fn emergency_of(&self, from: &OrgId) -> Option<Emergency> {
        let notice = self.emergency.as_ref()?;
        let State::Emergency { to, .. } = &notice.state else { return None };
        let theirs = notice.holder == *from && notice.record == RecordId(self.header.digest()) && notice.originator == self.header.originator;
        theirs.then(|| Emergency { record: notice.record, holder: from.clone(), recipient: to.clone(), denied: false })
    }
}

/// Why a whole envelope was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InboundFault {
    /// It does not open.
    #[error(transparent)]
    Seal(#[from] SealFault),
    /// What is inside is not a parcel of a known organisation.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// It came from another organisation than the one that signed it.
    #[error("`{carrier}` handed over a parcel that `{signer}` signed")]
    Carrier {
        /// Who handed it over.
        carrier: OrgId,
        /// Who signed it.
        signer: OrgId,
    },
    /// It is addressed to someone else.
    #[error("the parcel is addressed to `{0}`")]
    Addressee(OrgId),
}

impl InboundFault {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Seal(fault) => fault.code(),
            Self::Reject(reject) => reject.code(),
            Self::Carrier { .. } => "wrong-sender",
            Self::Addressee(_) => "wrong-recipient",
        }
    }
}

/// A parcel that was opened and verified.
#[derive(Debug)]
pub struct Inbound {
    pub(super) header: Verified<ParcelHeader>,
    /// None where it was taken for one that came before, so that nothing in it was read.
    pub(super) items: Option<Vec<InboundItem>>,
}

impl Inbound {
    /// Who sent it.
    #[must_use]
    pub const fn from(&self) -> &OrgId {
        self.header.signer()
    }

    /// Its place in the sequence.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// How many items its header names.
    #[must_use]
    pub fn items(&self) -> usize {
        self.header.items.len()
    }

    /// Whether it was taken for one that came before, so that nothing in it was read.
    #[must_use]
    pub const fn came_before(&self) -> bool {
        self.items.is_none()
    }

    /// Whether there are pieces of attachments among them.
    #[must_use]
    pub fn has_pieces(&self) -> bool {
        self.items.iter().flatten().any(|item| matches!(item, InboundItem::Piece(_)))
    }

    /// Finds the pieces of attachments that may be placed outside the store: those that fit a record that is here or in the
    /// parcel itself. It gives whether there is one whose record is not here yet.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn find_pieces(&mut self, me: &Identity, reader: &dyn Reader) -> StoreResult<bool> {
        let (mut heads, mut unknown) = (BTreeMap::new(), false);
        for item in self.items.iter_mut().flatten() {
            match item {
                InboundItem::Record(record) => {
                    let head = (record.header.value().clone(), record.content.salt);
                    heads.insert(RecordId(record.header.digest()), Some(head));
                }
                InboundItem::Piece(piece) if !piece.fits => {
                    let head = match heads.entry(piece.record) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(vacant) => vacant.insert(head_of(&piece.record, me, reader)?),
                    };
                    unknown |= head.is_none();
                    piece.fits = head.as_ref().is_some_and(|(header, salt)| piece.fits(header, salt));
                }
                _ => {}
            }
        }
        Ok(unknown)
    }

    /// Places the pieces that were found. Needs no node; it may wait for a network. Whatever is not placed is kept in the
    /// store, or refused, when the parcel is taken in.
    ///
    /// # Errors
    /// The place is out of reach.
    pub fn place_pieces(&mut self, objects: &dyn Objects, entropy: &mut dyn Entropy, now: Timestamp) -> Result<(), PlaceAway> {
        for item in self.items.iter_mut().flatten() {
            if let InboundItem::Piece(piece) = item
                && piece.fits
            {
                piece.placed = Some(Placed::place(&piece.bytes, objects, entropy, now)?);
            }
        }
        Ok(())
    }
}

/// What a piece must fit: its record's header, and the salt of its content.
fn head_of(record: &RecordId, me: &Identity, reader: &dyn Reader) -> StoreResult<Option<(Header, [u8; 32])>> {
    let (Some(row), Some(content)) = (reader.record(record)?, reader.content(record)?) else { return Ok(None) };
    let salted = me.vault.open(Part::Content(&row.number, row.version), &content)?;
    Ok(Some((header_of(&row)?, salted.salt)))
}

/// One item, verified or rejected.
#[derive(Debug)]
pub(super) enum InboundItem {
    Withheld,
    Rejected { code: &'static str, why: String },
    Record(Box<InboundRecord>),
    Piece(InboundPiece),
    Agreement(Box<Verified<Agreement>>),
    Withdrawal(Box<Verified<Withdrawal>>),
    Card(Box<Verified<Card>>),
    Revocation(Box<Verified<Revocation>>),
    Notice(Box<Verified<Notice>>),
    Returned(Box<Verified<Header>>, Option<Salted>),
}

impl InboundItem {
    /// The record that it is, if it is one, and its number.
    pub(super) fn record(&self) -> Option<(RecordId, RecordNumber)> {
        if let Self::Record(record) = self { Some((RecordId(record.header.digest()), record.header.value().number.clone())) } else { None }
    }
}

/// A piece of an attachment, which fits its record or does not.
#[derive(Debug)]
pub(super) struct InboundPiece {
    pub(super) record: RecordId,
    pub(super) attachment: u32,
    pub(super) index: u64,
    proof: Vec<Hash>,
    pub(super) bytes: Vec<u8>,
    /// It was found to fit its record.
    fits: bool,
    /// Where it was placed outside the store.
    pub(super) placed: Option<Placed>,
}

impl InboundPiece {
    /// Whether it is the piece that the record's header commits to.
    pub(super) fn fits(&self, header: &Header, salt: &[u8; 32]) -> bool {
        let reference = usize::try_from(self.attachment).ok().and_then(|place| header.attachments.get(place));
        reference.is_some_and(|reference| attachment::verify_piece(reference, salt, self.index, &self.bytes, &self.proof).is_ok())
    }
}

/// A verified record with its content and what permits its sender to pass it on.
#[derive(Debug)]
pub(super) struct InboundRecord {
    pub(super) header: Verified<Header>,
    pub(super) content: Salted,
    pub(super) grant: Option<(RecordId, Grant)>,
    pub(super) terms: Option<Verified<Agreement>>,
    pub(super) emergency: Option<Verified<Notice>>,
}

/// Opens an envelope that `carrier` handed over, and verifies what is inside.
///
/// # Errors
/// See [`InboundFault`]. Nothing was changed anywhere.
pub fn open(me: &Identity, directory: &Directory, carrier: &OrgId, envelope: &[u8]) -> Result<Inbound, InboundFault> {
    open_unless(me, directory, carrier, envelope, |_| false)
}

/// The same, but what is inside is verified only unless the parcel's number says that it came before. Whoever asks may be
/// wrong: then the node asks for the parcel again.
///
/// # Errors
/// See [`InboundFault`]. Nothing was changed anywhere.
pub fn open_unless(
    me: &Identity,
    directory: &Directory,
    carrier: &OrgId,
    envelope: &[u8],
    came_before: impl FnOnce(u64) -> bool,
) -> Result<Inbound, InboundFault> {
    let inbound = read(me, directory, &me.open(envelope)?, came_before)?;
    if inbound.from() != carrier {
        return Err(InboundFault::Carrier { carrier: carrier.clone(), signer: inbound.from().clone() });
    }
    Ok(inbound)
}

/// Reads an opened envelope as a parcel to this node.
pub(super) fn read(me: &Identity, directory: &Directory, plain: &[u8], came_before: impl FnOnce(u64) -> bool) -> Result<Inbound, InboundFault> {
    let parcel = parcel::read(plain, directory)?;
    if parcel.header.to != *me.org() {
        return Err(InboundFault::Addressee(parcel.header.to.clone()));
    }
    if came_before(parcel.header.sequence) {
        return Ok(Inbound { items: None, header: parcel.header });
    }
    let mut verifier = Verifier::new(directory);
    let items = parcel.header.items.iter().zip(&parcel.items).map(|(named, bytes)| match bytes {
        Some(bytes) => read_item(named, bytes, &mut verifier),
        None => InboundItem::Withheld,
    });
    Ok(Inbound { items: Some(items.collect()), header: parcel.header.clone() })
}

fn read_item(named: &ItemRef, bytes: &[u8], verifier: &mut Verifier<'_, Directory>) -> InboundItem {
    verify_item(named, bytes, verifier).unwrap_or_else(|reject| InboundItem::Rejected { code: reject.code(), why: reject.to_string() })
}

fn verify_item(named: &ItemRef, bytes: &[u8], verifier: &mut Verifier<'_, Directory>) -> Result<InboundItem, Reject> {
    let item = Item::parse(bytes)?;
    if item.kind() != named.kind {
        return Err(Reject::Encoding("an item is of another kind than its header says"));
    }
    Ok(match item {
        Item::Record { signed, content, evidence } => {
            let header: Verified<Header> = verifier.verify_parsed(*signed)?;
            read_content(&header, &content)?;
            let (grant, terms, emergency) = read_evidence(*evidence, verifier)?;
            InboundItem::Record(Box::new(InboundRecord { header, content, grant, terms, emergency }))
        }
        Item::Piece { record, attachment, index, proof, bytes } => {
            InboundItem::Piece(InboundPiece { record, attachment, index, proof, bytes, fits: false, placed: None })
        }
        Item::Agreement(signed) => InboundItem::Agreement(Box::new(verifier.verify_parsed(*signed)?)),
        Item::Withdrawal(signed) => InboundItem::Withdrawal(Box::new(verifier.verify_parsed(*signed)?)),
        Item::Card(signed) => InboundItem::Card(Box::new(verify_card(*signed, verifier)?)),
        Item::Revocation(signed) => InboundItem::Revocation(Box::new(verifier.verify_parsed(*signed)?)),
        Item::Notice(signed) => InboundItem::Notice(Box::new(verifier.verify_parsed(*signed)?)),
        Item::Returned { signed, content } => {
            let header: Verified<Header> = verifier.verify_parsed(*signed)?;
            if let Some(content) = &content {
                read_content(&header, content)?;
            }
            InboundItem::Returned(Box::new(header), content)
        }
    })
}

/// A card that its organisation signed with the keys that are held, or with those that follow them by their own word.
fn verify_card(signed: Signed, verifier: &mut Verifier<'_, Directory>) -> Result<Verified<Card>, Reject> {
    let bytes = signed.to_bytes();
    verifier.verify_parsed(signed).or_else(|fault| {
        let followed = card::introduce(&bytes).ok().filter(|(card, _)| verifier.directory().keys(&card.org).is_some_and(|held| card.succeeds(held)));
        followed.map(|(card, _)| card).ok_or(fault)
    })
}

/// Checks that content is what the header commits to, and of the shape its kind has.
pub(crate) fn read_content(header: &Header, content: &Salted) -> Result<Content, Reject> {
    if content.reference() != header.content {
        return Err(Reject::Encoding("the content is not the one that the header commits to"));
    }
    let words = Content::parse(header.kind, &content.bytes)?;
    if let Content::Text(text) = &words {
        if text.attachments.len() != header.attachments.len() {
            return Err(Reject::Encoding("the content does not name the attachments that the header commits to"));
        }
        if let Some(bundle) = &text.stix {
            stix::summary(bundle.get().as_bytes()).map_err(|_| Reject::Encoding("the embedded STIX is not a valid 2.1 bundle"))?;
        }
    }
    Ok(words)
}

/// A grant with its consent record, terms, and notice of an emergency; each where it was shown.
type Shown = (Option<(RecordId, Grant)>, Option<Verified<Agreement>>, Option<Verified<Notice>>);

fn read_evidence(evidence: Evidence, verifier: &mut Verifier<'_, Directory>) -> Result<Shown, Reject> {
    let grant = match evidence.grant {
        Some((signed, words)) => {
            let header: Verified<Header> = verifier.verify_parsed(signed)?;
            match read_content(&header, &words)? {
                Content::Consent(consent @ ConsentContent { act: ConsentAct::Grant, .. }) if header.kind == Kind::Consent => {
                    Grant::read(&header, &consent).map(|grant| (RecordId(header.digest()), grant))
                }
                _ => None,
            }
        }
        None => None,
    };
    let terms = evidence.terms.map(|signed| verifier.verify_parsed(signed)).transpose()?;
    let emergency = evidence.emergency.map(|signed| verifier.verify_parsed(signed)).transpose()?;
    Ok((grant, terms, emergency))
}
