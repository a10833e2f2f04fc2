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
use crate::exchange::{given_key, receipt_key};
use crate::node::Identity;
use crate::ports::{self, MAX_PAGE, Reader, RecordQuery, StoreError};
use crate::rows::{RecordRow, Stage, StatementKind, StatementRow, about_org};
use crate::state::LedgerTree;
use crate::vault::Part;

/// What was found to be in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Records, drafts included.
    pub records: u64,
    /// Signed statements besides.
    pub statements: u64,
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

/// Inspects a store; `progress` is told of each thing that was looked at, and of what sort it is.
///
/// # Errors
/// See [`InspectionFault`]: the first thing that is not in order.
pub fn inspect(reader: &dyn Reader, me: &Identity, mut progress: impl FnMut(&'static str)) -> Result<Found, InspectionFault> {
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
    let mut records = 0;
    let mut before = None;
    loop {
        let page = reader.records(&RecordQuery { before, limit: MAX_PAGE, ..RecordQuery::default() })?;
        let Some((last, _)) = page.last() else { break };
        before = Some(*last);
        for (_, row) in &page {
            records += 1;
            check_record(reader, me, &keyring, row)?;
            reader.statements_about(StatementKind::Notice, &row.id.0)?.iter().try_for_each(&mut see)?;
        }
    }
    let (entries, root) = check_ledger(reader, || progress("entries"))?;
    Ok(Found { records, statements, entries, root })
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

fn check_record(reader: &dyn Reader, me: &Identity, keyring: &Keyring, row: &RecordRow) -> Result<(), InspectionFault> {
    let name = || format!("{} version {}", row.number, row.version);
    let header = header_of(row)?;
    match signed_record(row) {
        Some(signed) => keyring.verify::<Header>(&signed.to_bytes()).map_err(|why| InspectionFault::Signature { what: name(), why })?,
        None if row.stage >= Stage::Released => return Err(InspectionFault::Unsigned(name())),
        None => {}
    }
    let Some(sealed) = reader.content(&row.id)? else { return Ok(()) };
    let content = me.vault.open(Part::Content(&row.number, row.version), &sealed)?;
    if content.reference() == header.content { Ok(()) } else { Err(InspectionFault::Content(name())) }
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
