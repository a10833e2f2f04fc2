//! Inspection: whether everything that a store holds is what it claims to be.
//!
//! It is asked of a store that came from elsewhere: a backup that is restored, or another engine's copy. Each signature
//! is verified anew under a card of its signer's that was ever held, content is opened and held against its header, and
//! the ledger's tree is computed anew from its entries. It changes nothing.

use std::collections::BTreeMap;

use format::agreement::{Agreement, Withdrawal};
use format::card::{self, Revocation};
use format::keys::PublicKeys;
use format::merkle::{self, Frontier, Hash};
use format::receipt::{Notice, Receipt};
use format::record::Header;
use format::recovery::Recovery;
use format::verify::{KeyDirectory, Reject, Statement, verify};
use format::{Digest, OrgId};

use crate::act::release::{header_of, signed_record};
use crate::command::Refusal;
use crate::exchange::{Leaves, given_key, leaf_of, receipt_key};
use crate::node::Identity;
use crate::objects::{ObjectFault, read_piece};
use crate::ports::{self, MAX_PAGE, Objects, Reader, RecordQuery, StoreError};
use crate::rows::{ContentRow, RecordRow, Stage, StatementKind, StatementRow, about_org};
use crate::state::LedgerTree;
use crate::vault::Part;

/// What was found to be in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Records, drafts included.
    pub records: u64,
    /// Signed statements besides.
    pub statements: u64,
    /// Pieces of attachments.
    pub pieces: u64,
    /// Records of whose attachments pieces are missing, newest first.
    pub incomplete: Vec<String>,
    /// Ledger entries.
    pub entries: u64,
    /// Root of the ledger.
    pub root: Hash,
}

/// Something in the store is not what it claims to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectionFault {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is another organisation's.
    #[error("the store holds no card of `{0}` with the keys that came with it")]
    Owner(OrgId),
    /// A signature does not hold, or what it signs is malformed.
    #[error("{what} does not hold: {why}")]
    Signature {
        /// Of what.
        what: String,
        /// Why.
        why: Reject,
    },
    /// A record that was released has no signature.
    #[error("{0} was released and has no signature")]
    Unsigned(String),
    /// Content is not what its header commits to.
    #[error("the content of {0} is not the one that its header commits to")]
    Content(String),
    /// An attachment is not what its record's header commits to.
    #[error("attachment {attachment} of {record} is not the one that its header commits to")]
    Attachment {
        /// Of which record.
        record: String,
        /// Which, from 0.
        attachment: usize,
    },
    /// The place where attachments are kept is out of reach, or an object in it was changed.
    #[error(transparent)]
    Object(ObjectFault),
    /// An entry is not what was recorded.
    #[error("ledger entry {0} is not the one that was recorded: its leaf is not the hash of its salt and text")]
    Entry(u64),
    /// The kept tree is not that of the entries.
    #[error("the ledger's tree is not that of its {0} entries")]
    Tree(u64),
}

/// Every key that an organisation was ever known by here.
#[derive(Debug, Default)]
pub struct Keyring(BTreeMap<OrgId, Vec<PublicKeys>>);

/// One generation of everybody's keys.
struct Generation<'a>(&'a Keyring, usize);

impl KeyDirectory for Generation<'_> {
    fn keys(&self, org: &OrgId) -> Option<&PublicKeys> {
        let Self(Keyring(all), back) = self;
        all.get(org).and_then(|keys| keys.iter().rev().nth(*back))
    }
}

impl Keyring {
    /// The keys on every card that a store holds.
    ///
    /// # Errors
    /// The store cannot be read, or a card in it does not hold.
    pub fn gather(reader: &dyn Reader) -> Result<Self, InspectionFault> {
        let mut all = Self::default();
        for row in ports::directory(reader) {
            let row = row?;
            if row.kind != StatementKind::Card {
                continue;
            }
            let (_, keys) = card::introduce(&row.bytes).map_err(|why| InspectionFault::Signature { what: format!("a card of {}", row.org), why })?;
            all.0.entry(row.org.clone()).or_default().push(keys);
        }
        Ok(all)
    }

    /// Verifies a statement under the newest keys of its signer's that it holds under.
    ///
    /// # Errors
    /// It holds under none; the reason is that of the newest.
    pub fn verify<T: Statement>(&self, bytes: &[u8]) -> Result<(), Reject> {
        let Err(newest) = verify::<T>(bytes, &Generation(self, 0)) else { return Ok(()) };
        let older = self.0.values().map(Vec::len).max().unwrap_or(0);
        let held = (1..older).any(|back| verify::<T>(bytes, &Generation(self, back)).is_ok());
        if held { Ok(()) } else { Err(newest) }
    }
}

/// Inspects a store, with what of it lies outside; `progress` is told of each thing that was looked at, and of what sort it
/// is.
///
/// # Errors
/// See [`InspectionFault`]: the first thing that is not in order. That objects are missing is none: they are not part of a
/// backup, and whoever has them may bring them.
pub fn inspect(reader: &dyn Reader, objects: &dyn Objects, me: &Identity, mut progress: impl FnMut(&'static str)) -> Result<Found, InspectionFault> {
    let keyring = Keyring::gather(reader)?;
    let own = keyring.0.get(me.org()).is_some_and(|keys| keys.iter().any(|keys| keys.fingerprint() == me.keys.public().fingerprint()));
    if !own {
        return Err(InspectionFault::Owner(me.org().clone()));
    }
    let mut statements = 0;
    let mut see = |row: &StatementRow| -> Result<(), InspectionFault> {
        statements += 1;
        progress("statements");
        check_statement(&keyring, row)
    };
    let opening = reader.opening()?;
    ports::directory(reader).try_for_each(|row| see(&row?))?;
    for peer in &opening.peers {
        for sequence in 1..=peer.acknowledged.max(peer.received) {
            let key = receipt_key(&peer.org, sequence);
            let given = given_key(&peer.org, sequence, opening.recovery.as_ref().map(|recovery| recovery.era));
            for (kind, key) in [(StatementKind::ReceiptIn, key), (StatementKind::ReceiptOut, key), (StatementKind::ReceiptOut, given)] {
                reader.statement(kind, &key)?.iter().try_for_each(&mut see)?;
            }
        }
        for kind in [StatementKind::Recovery, StatementKind::Revocation] {
            reader.statements_about(kind, &about_org(&peer.org))?.iter().try_for_each(&mut see)?;
        }
    }
    let (mut records, mut pieces, mut incomplete) = (0, 0, Vec::new());
    let mut before = None;
    loop {
        let page = reader.records(&RecordQuery { before, limit: MAX_PAGE, ..RecordQuery::default() })?;
        let Some((last, _)) = page.last() else { break };
        before = Some(*last);
        for (_, row) in &page {
            records += 1;
            if let Some(content) = check_record(reader, me, &keyring, row)? {
                let (found, missing) = check_attachments(reader, objects, me, row, &content)?;
                pieces += found;
                incomplete.extend(missing.then(|| name_of(row)));
            }
            reader.statements_about(StatementKind::Notice, &row.id.0)?.iter().try_for_each(&mut see)?;
        }
    }
    let (entries, root) = check_ledger(reader, || progress("entries"))?;
    Ok(Found { records, statements, pieces, incomplete, entries, root })
}

fn check_statement(keyring: &Keyring, row: &StatementRow) -> Result<(), InspectionFault> {
    let (what, held) = match row.kind {
        StatementKind::Card => ("a card", card::introduce(&row.bytes).map(|_| ())),
        StatementKind::Agreement => ("a signature on an agreement", keyring.verify::<Agreement>(&row.bytes)),
        StatementKind::Withdrawal => ("a withdrawal", keyring.verify::<Withdrawal>(&row.bytes)),
        StatementKind::ReceiptIn | StatementKind::ReceiptOut => ("a receipt", keyring.verify::<Receipt>(&row.bytes)),
        StatementKind::Notice => ("a notice", keyring.verify::<Notice>(&row.bytes)),
        StatementKind::Recovery => ("a recovery", keyring.verify::<Recovery>(&row.bytes)),
        StatementKind::Revocation => ("a revocation", keyring.verify::<Revocation>(&row.bytes)),
        // Evidence of a fault proves what it proves, whatever it is.
        StatementKind::Fault | StatementKind::Inquiry | StatementKind::Account => return Ok(()),
    };
    held.map_err(|why| InspectionFault::Signature { what: format!("{what} of {}", row.org), why })
}

fn name_of(row: &RecordRow) -> String {
    format!("{} version {}", row.number, row.version)
}

/// Checks a record, and gives its content where that is here.
fn check_record(reader: &dyn Reader, me: &Identity, keyring: &Keyring, row: &RecordRow) -> Result<Option<(ContentRow, [u8; 32])>, InspectionFault> {
    let header = header_of(row)?;
    match signed_record(row) {
        Some(signed) => keyring.verify::<Header>(&signed.to_bytes()).map_err(|why| InspectionFault::Signature { what: name_of(row), why })?,
        None if row.stage >= Stage::Released => return Err(InspectionFault::Unsigned(name_of(row))),
        None => {}
    }
    let Some(sealed) = reader.content(&row.id)? else { return Ok(None) };
    let content = me.vault.open(Part::Content(&row.number, row.version), &sealed)?;
    if content.reference() == header.content { Ok(Some((sealed, content.salt))) } else { Err(InspectionFault::Content(name_of(row))) }
}

/// Checks the pieces of a record's attachments that are here: how many there are, and whether objects are missing. Those of
/// a received record may still be on their way.
fn check_attachments(
    reader: &dyn Reader,
    objects: &dyn Objects,
    me: &Identity,
    row: &RecordRow,
    (sealed, salt): &(ContentRow, [u8; 32]),
) -> Result<(u64, bool), InspectionFault> {
    let (mut found, mut missing) = (0, false);
    let record = (row.number.clone(), row.version);
    for (place, reference) in header_of(row)?.attachments.iter().enumerate() {
        let wrong = || InspectionFault::Attachment { record: name_of(row), attachment: place };
        let attachment = u32::try_from(place).map_err(|_| wrong())?;
        let leaves = reader.piece_leaves(&record, attachment)?;
        for (index, leaf) in &leaves {
            let piece = reader.piece(&record, attachment, *index)?.ok_or_else(wrong)?;
            let bytes = match read_piece(me, sealed, &piece, objects) {
                Ok(bytes) => bytes,
                Err(Refusal::Object(ObjectFault::Missing(_))) => {
                    missing = true;
                    continue;
                }
                Err(Refusal::Object(fault)) => return Err(InspectionFault::Object(fault)),
                Err(Refusal::Store(fault)) => return Err(fault.into()),
                Err(_) => return Err(wrong()),
            };
            if piece.leaf != *leaf || leaf_of(salt, &bytes) != *leaf {
                return Err(wrong());
            }
            found += 1;
        }
        let complete = leaves.len() as u64 == reference.pieces();
        let leaves: Vec<Hash> = leaves.into_values().collect();
        if complete && *reference.root.as_bytes() != Leaves(&leaves).root() {
            return Err(wrong());
        }
        missing |= !complete && row.stage != Stage::Received;
    }
    Ok((found, missing))
}

fn check_ledger(reader: &dyn Reader, mut progress: impl FnMut()) -> Result<(u64, Hash), InspectionFault> {
    let mut frontier = Frontier::default();
    loop {
        let page = reader.entries(frontier.size(), MAX_PAGE)?;
        if page.is_empty() {
            break;
        }
        for row in page {
            let whole = match (&row.salt, &row.json) {
                (Some(salt), Some(json)) => row.leaf == *Digest::of_parts(&[salt, json]).as_bytes(),
                (None, None) => true,
                _ => false,
            };
            if !whole || row.index != frontier.size() {
                return Err(InspectionFault::Entry(frontier.size()));
            }
            frontier.push(merkle::leaf_hash(&row.leaf));
            progress();
        }
    }
    let size = frontier.size();
    let kept = Frontier::load(size, &LedgerTree(reader))?;
    if kept.root() != frontier.root() || reader.counts()?.entries != size {
        return Err(InspectionFault::Tree(size));
    }
    Ok((size, frontier.root()))
}
