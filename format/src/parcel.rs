//! Parcels: what one node hands another, in sequence.
//!
//! From each node to each other runs a sequence of parcels. A parcel's signed header names its place, the parcel
//! before it, the sender's ledger checkpoint and the digest of every item, so that loss, replay, reordering and a
//! sender with two histories show. An item may be missing from a parcel that is sent again, when its release was
//! stopped in between; the header stays as it was. The bytes are the same over every channel.

use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Serialize};

use crate::id::{Digest, OrgId, RecordId};
use crate::json::Budget;
use crate::merkle::{Hash, MAX_PROOF};
use crate::record::{MAX_CONTENT, Salted};
use crate::seal::is_padding;
use crate::signed::Signed;
use crate::time::Timestamp;
use crate::verify::{KeyDirectory, Malformed, Reject, Statement, Verified, ensure, verify};

/// The most items in a parcel.
pub const MAX_ITEMS: usize = 256;
/// The size in bytes at which a parcel is closed and a further item waits for the next.
pub const TARGET_SIZE: usize = 2 * 1024 * 1024;
/// The largest item, in bytes: a piece of 1 MiB with its proof, or a record with its content and evidence.
pub const MAX_ITEM: usize = 3 * 1024 * 1024;

/// What sort of item it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// A record with its content.
    Record,
    /// A piece of an attachment.
    Piece,
    /// A version of an agreement, signed by one party.
    Agreement,
    /// A party's withdrawal.
    Withdrawal,
    /// The sender's own next card.
    Card,
    /// The sender's revocation of its own card.
    Revocation,
    /// A holder's notice to an originator.
    Notice,
    /// A record of the recipient's own, given back after its recovery.
    Returned,
}

/// An item as a parcel's header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ItemRef {
    /// What sort.
    pub kind: ItemKind,
    /// SHA-256 of the item's bytes.
    pub digest: Digest,
}

/// The signed header of a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ParcelHeader {
    /// Who sends.
    pub from: OrgId,
    /// Who receives.
    pub to: OrgId,
    /// Place in the sequence from sender to receiver, from 1.
    pub sequence: u64,
    /// SHA-256 of the header before; of nothing, 64 zeros, at 1.
    pub previous: Digest,
    /// When it was put together.
    pub created: Timestamp,
    /// The sender's ledger checkpoint, a signed C2SP note.
    pub checkpoint: String,
    /// Ledger size in the parcel before this one, 0 in the first.
    pub seen: u64,
    /// Consistency proof from `seen` to the checkpoint.
    pub consistency: Vec<Digest>,
    /// The items, in order.
    pub items: Vec<ItemRef>,
    /// The sender's era, once it was restored from a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub era: Option<Timestamp>,
}

impl Statement for ParcelHeader {
    const CONTEXT: &'static str = "samverkan/parcel/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        ensure(self.from != self.to, "to", "is another organisation than from")?;
        ensure(self.sequence >= 1, "sequence", "starts at 1")?;
        ensure((self.sequence == 1) == (self.previous == Digest::from([0; 32])), "previous", "is zeros in the first parcel and in no other")?;
        ensure((1..=MAX_ITEMS).contains(&self.items.len()), "items", "are 1 to 256")?;
        ensure(self.consistency.len() <= MAX_PROOF, "consistency", "has at most 64 hashes")?;
        ensure(self.checkpoint.len() <= crate::checkpoint::MAX_NOTE, "checkpoint", "is at most 8 KiB")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.from == *signer
    }
}

/// What permits a holder to pass another's record on, in the originator's own signed words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The originator's grant, a signed consent record with its content.
    pub grant: Option<(Signed, Salted)>,
    /// The originator's signature on the terms, where no grant is shown.
    pub terms: Option<Signed>,
    /// The holder's notice that it passes the record on in an emergency, where it has no grant.
    pub emergency: Option<Signed>,
}

/// One item of a parcel, its statements not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A record with its content.
    Record {
        /// The originator's signed header.
        signed: Box<Signed>,
        /// The content.
        content: Salted,
        /// Why it may come from someone else than its originator.
        evidence: Box<Evidence>,
    },
    /// A piece of an attachment.
    Piece {
        /// The record it belongs to.
        record: RecordId,
        /// Which of the record's attachments, from 0.
        attachment: u32,
        /// Which piece of it, from 0.
        index: u64,
        /// Inclusion proof to the attachment's root.
        proof: Vec<Hash>,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A version of an agreement, signed by one party.
    Agreement(Box<Signed>),
    /// A party's withdrawal.
    Withdrawal(Box<Signed>),
    /// The sender's own next card.
    Card(Box<Signed>),
    /// The sender's revocation of its own card.
    Revocation(Box<Signed>),
    /// A holder's notice to an originator.
    Notice(Box<Signed>),
    /// A record of the recipient's own, given back after its recovery; without content where the holder has none.
    Returned {
        /// The originator's signed header.
        signed: Box<Signed>,
        /// The content.
        content: Option<Salted>,
    },
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

impl Item {
    /// What sort it is.
    #[must_use]
    pub const fn kind(&self) -> ItemKind {
        match self {
            Self::Record { .. } => ItemKind::Record,
            Self::Piece { .. } => ItemKind::Piece,
            Self::Agreement(_) => ItemKind::Agreement,
            Self::Withdrawal(_) => ItemKind::Withdrawal,
            Self::Card(_) => ItemKind::Card,
            Self::Revocation(_) => ItemKind::Revocation,
            Self::Notice(_) => ItemKind::Notice,
            Self::Returned { .. } => ItemKind::Returned,
        }
    }

    /// The item's bytes, a CBOR array that starts with the kind's number.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // INVARIANT: writing to memory does not fail.
        let _written: Written = self.write(&mut Encoder::new(&mut out));
        out
    }

    fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> Written {
        match self {
            Self::Record { signed, content, evidence } => {
                e.array(if evidence.emergency.is_some() { 7 } else { 6 })?.u8(0)?.bytes(&signed.to_bytes())?.bytes(&content.salt)?.bytes(&content.bytes)?;
                match &evidence.grant {
                    Some((grant, words)) => e.array(3)?.bytes(&grant.to_bytes())?.bytes(&words.salt)?.bytes(&words.bytes)?,
                    None => e.null()?,
                };
                match &evidence.terms {
                    Some(terms) => e.bytes(&terms.to_bytes())?,
                    None => e.null()?,
                };
                if let Some(emergency) = &evidence.emergency {
                    e.bytes(&emergency.to_bytes())?;
                }
            }
            Self::Piece { record, attachment, index, proof, bytes } => {
                e.array(6)?.u8(1)?.bytes(record.0.as_bytes())?.u32(*attachment)?.u64(*index)?;
                e.bytes(&proof.concat())?.bytes(bytes)?;
            }
            Self::Agreement(signed) => {
                e.array(2)?.u8(2)?.bytes(&signed.to_bytes())?;
            }
            Self::Withdrawal(signed) => {
                e.array(2)?.u8(3)?.bytes(&signed.to_bytes())?;
            }
            Self::Card(signed) => {
                e.array(2)?.u8(6)?.bytes(&signed.to_bytes())?;
            }
            Self::Revocation(signed) => {
                e.array(2)?.u8(7)?.bytes(&signed.to_bytes())?;
            }
            Self::Notice(signed) => {
                e.array(2)?.u8(4)?.bytes(&signed.to_bytes())?;
            }
            Self::Returned { signed, content } => {
                e.array(3)?.u8(5)?.bytes(&signed.to_bytes())?;
                match content {
                    Some(content) => e.array(2)?.bytes(&content.salt)?.bytes(&content.bytes)?,
                    None => e.null()?,
                };
            }
        }
        Ok(())
    }

    /// Reads an item, without verifying what it carries.
    ///
    /// # Errors
    /// Not an item in the one accepted encoding, or over a limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        if bytes.len() > MAX_ITEM {
            return Err(Reject::TooLarge { size: bytes.len(), limit: MAX_ITEM });
        }
        let mut d = Decoder::new(bytes);
        let item = read_item(&mut d)?;
        if d.position() == bytes.len() && item.to_bytes() == bytes { Ok(item) } else { Err(Reject::Encoding("an item says the same in other bytes")) }
    }
}

const BAD_ITEM: Reject = Reject::Encoding("an item does not parse");

/// Turns a decoder's error into ours: its text speaks of CBOR, which helps no reader of a refusal.
fn cbor<T>(read: Result<T, minicbor::decode::Error>) -> Result<T, Reject> {
    read.map_err(|_| BAD_ITEM)
}

fn is_null(d: &mut Decoder<'_>) -> Result<bool, Reject> {
    if cbor(d.datatype())? == minicbor::data::Type::Null {
        cbor(d.null())?;
        return Ok(true);
    }
    Ok(false)
}

fn read_signed(d: &mut Decoder<'_>) -> Result<Signed, Reject> {
    Signed::parse(cbor(d.bytes())?)
}

fn read_salted(d: &mut Decoder<'_>) -> Result<Salted, Reject> {
    let salt = cbor(d.bytes())?.try_into().map_err(|_| BAD_ITEM)?;
    let bytes = cbor(d.bytes())?;
    if bytes.len() > MAX_CONTENT {
        return Err(Reject::TooLarge { size: bytes.len(), limit: MAX_CONTENT });
    }
    Ok(Salted { salt, bytes: bytes.to_vec() })
}

fn read_item(d: &mut Decoder<'_>) -> Result<Item, Reject> {
    let len = cbor(d.array())?;
    let kind = cbor(d.u8())?;
    Ok(match (kind, len) {
        (0, Some(parts @ (6 | 7))) => {
            let signed = Box::new(read_signed(d)?);
            let content = read_salted(d)?;
            let grant = if is_null(d)? {
                None
            } else if cbor(d.array())? == Some(3) {
                Some((read_signed(d)?, read_salted(d)?))
            } else {
                return Err(BAD_ITEM);
            };
            let terms = if is_null(d)? { None } else { Some(read_signed(d)?) };
            let emergency = if parts == 7 { Some(read_signed(d)?) } else { None };
            if grant.is_some() && emergency.is_some() {
                return Err(BAD_ITEM);
            }
            Item::Record { signed, content, evidence: Box::new(Evidence { grant, terms, emergency }) }
        }
        (1, Some(6)) => {
            let record = RecordId(Digest::try_from(cbor(d.bytes())?).map_err(|_| BAD_ITEM)?);
            let (attachment, index) = (cbor(d.u32())?, cbor(d.u64())?);
            let hashes = cbor(d.bytes())?;
            if hashes.len() % 32 != 0 || hashes.len() / 32 > MAX_PROOF {
                return Err(BAD_ITEM);
            }
            let proof = hashes.chunks_exact(32).map(|h| h.try_into().unwrap_or_default()).collect();
            Item::Piece { record, attachment, index, proof, bytes: cbor(d.bytes())?.to_vec() }
        }
        (2, Some(2)) => Item::Agreement(Box::new(read_signed(d)?)),
        (3, Some(2)) => Item::Withdrawal(Box::new(read_signed(d)?)),
        (4, Some(2)) => Item::Notice(Box::new(read_signed(d)?)),
        (5, Some(3)) => {
            let signed = Box::new(read_signed(d)?);
            let content = if is_null(d)? {
                None
            } else if cbor(d.array())? == Some(2) {
                Some(read_salted(d)?)
            } else {
                return Err(BAD_ITEM);
            };
            Item::Returned { signed, content }
        }
        (6, Some(2)) => Item::Card(Box::new(read_signed(d)?)),
        (7, Some(2)) => Item::Revocation(Box::new(read_signed(d)?)),
        _ => return Err(Reject::Encoding("an item is of no known kind")),
    })
}

/// A parcel that was opened: its header verified, each item that is present matched to the header.
#[derive(Debug)]
pub struct Parcel {
    /// The verified header.
    pub header: Verified<ParcelHeader>,
    /// Item bytes in the header's order; `None` where the sender held one back.
    pub items: Vec<Option<Vec<u8>>>,
}

/// Writes a parcel: the signed header and its items, `None` for one that is held back.
#[must_use]
pub fn write(header: &Signed, items: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.iter().flatten().map(|i| i.len() + 8).sum::<usize>() + 64 * 1024);
    let mut e = Encoder::new(&mut out);
    // INVARIANT: writing to memory does not fail.
    let _written: Written = (|| {
        e.array(2)?.bytes(&header.to_bytes())?.array(items.len() as u64)?;
        for item in items {
            match item {
                Some(bytes) => e.bytes(bytes)?,
                None => e.null()?,
            };
        }
        Ok(())
    })();
    out
}

/// Reads an opened envelope as a parcel from an organisation in `directory`. Padding after it is passed over.
///
/// # Errors
/// The encoding is wrong, the header does not verify, or an item is not the one that the header names.
pub fn read(bytes: &[u8], directory: &impl KeyDirectory) -> Result<Parcel, Reject> {
    const BAD: Reject = Reject::Encoding("the parcel does not parse");
    let cbor = |read: Result<_, minicbor::decode::Error>| read.map_err(|_| BAD);
    let mut d = Decoder::new(bytes);
    if cbor(d.array())? != Some(2) {
        return Err(BAD);
    }
    let header: Verified<ParcelHeader> = verify(d.bytes().map_err(|_| BAD)?, directory)?;
    if cbor(d.array())? != Some(header.items.len() as u64) {
        return Err(Reject::Encoding("the parcel does not have the items that its header names"));
    }
    let mut items = Vec::with_capacity(header.items.len());
    for named in &header.items {
        let present = if is_null(&mut d)? { None } else { Some(d.bytes().map_err(|_| BAD)?) };
        if present.is_some_and(|bytes| Digest::of(bytes) != named.digest) {
            return Err(Reject::Encoding("an item is not the one that the header names"));
        }
        items.push(present.map(<[u8]>::to_vec));
    }
    let (parcel, rest) = bytes.split_at_checked(d.position()).ok_or(BAD)?;
    if !is_padding(rest) {
        return Err(Reject::Encoding("bytes follow the parcel"));
    }
    if write(header.signed(), &items) != parcel {
        return Err(Reject::Encoding("the parcel says the same in other bytes"));
    }
    Ok(Parcel { header, items })
}
