//! What a node holds in memory: the directory of organisations and agreements, the state of exchange, the ledger's edge.
//!
//! All of it is in the store and small; records are not here. It changes only by applying what was appended to the
//! store, so after any failure it can be read again. The [`Directory`] is shared with those who verify and preview
//! while the writer goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use format::agreement::{Agreement, Withdrawal};
use format::card::Card;
use format::checkpoint::{self, Checkpoint};
use format::json;
use format::keys::PublicKeys;
use format::merkle::{Frontier, Hash, ProofError, Subtrees};
use format::record::AgreementRef;
use format::verify::{KeyDirectory, Statement};
use format::{AgreementId, Digest, OrgId, Signed, Timestamp};
use policy::accord::Agreements;

use crate::node::ledger_name;
use crate::ports::{self, Changes, Reader, StoreError, StoreResult};
use crate::rows::{Change, PeerRow, RecoveryRow, StatementKind, StatementRow, Suspicion};

/// An organisation whose card is believed here.
#[derive(Debug)]
pub struct Pinned {
    /// The card.
    pub card: Card,
    /// Its keys, parsed.
    pub keys: PublicKeys,
    /// The keys that these followed in good order, newest first.
    pub former: Vec<PublicKeys>,
    /// The card as it was signed.
    pub bytes: Vec<u8>,
}

/// How many keys of one organisation are remembered besides those on its card.
const MAX_FORMER: usize = 8;

/// Organisations and agreements known here.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    cards: BTreeMap<OrgId, Arc<Pinned>>,
    agreements: Agreements,
    digests: BTreeMap<(AgreementId, u32), Digest>,
    /// Signatures on versions that follow one which is not known here yet, with the signers.
    early: Vec<(Agreement, Digest, OrgId)>,
    /// Whose card was revoked, with no later one held: as the state of exchange with them says.
    revoked: BTreeSet<OrgId>,
}

/// How many signatures on versions are kept that follow one which is not known here yet; beyond, they are refused.
const MAX_EARLY: usize = 1024;

impl KeyDirectory for Directory {
    fn keys(&self, org: &OrgId) -> Option<&PublicKeys> {
        self.cards.get(org).map(|pinned| &pinned.keys)
    }

    fn former(&self, org: &OrgId) -> &[PublicKeys] {
        self.cards.get(org).map_or(&[], |pinned| &pinned.former)
    }

    fn revoked(&self, org: &OrgId) -> bool {
        self.revoked.contains(org)
    }
}

impl Directory {
    /// The card of `org`, if it is believed here.
    #[must_use]
    pub fn card(&self, org: &OrgId) -> Option<&Arc<Pinned>> {
        self.cards.get(org)
    }

    /// Every believed card, ordered by organisation.
    pub fn cards(&self) -> impl Iterator<Item = &Arc<Pinned>> {
        self.cards.values()
    }

    /// The organisation whose peer certificate has this key.
    #[must_use]
    pub fn by_tls_key(&self, key: &Digest) -> Option<&Arc<Pinned>> {
        self.cards.values().find(|pinned| pinned.card.tls_key == *key)
    }

    /// The organisation whose peer certificate has this key, and whose card was not revoked.
    #[must_use]
    pub fn caller(&self, key: &Digest) -> Option<&Arc<Pinned>> {
        self.by_tls_key(key).filter(|pinned| !self.revoked(&pinned.card.org))
    }

    /// The country on the card of `org`.
    #[must_use]
    pub fn country(&self, org: &OrgId) -> Option<&str> {
        self.card(org).map(|pinned| pinned.card.country.as_str())
    }

    /// Every agreement known here, with its versions.
    #[must_use]
    pub const fn agreements(&self) -> &Agreements {
        &self.agreements
    }

    /// SHA-256 of the signed bytes of a version.
    #[must_use]
    pub fn agreement_digest(&self, id: &AgreementId, version: u32) -> Option<Digest> {
        self.digests.get(&(id.clone(), version)).copied()
    }

    /// Whether a version is a first one, or follows one that is known here.
    pub(crate) fn follows(&self, agreement: &Agreement) -> bool {
        agreement.version == 1 || self.followed(agreement).is_some()
    }

    /// The version that another one names as the one it follows, if it is known here.
    pub(crate) fn followed(&self, agreement: &Agreement) -> Option<&Agreement> {
        let known = |version: &Agreement| version.version < agreement.version && self.agreement_digest(&version.id, version.version) == agreement.supersedes;
        self.agreements.versions(&agreement.id).map(|accord| &accord.agreement).find(|version| known(version))
    }

    /// Whether a version that is kept here names this one as the one it follows.
    pub(crate) fn is_followed(&self, id: &AgreementId, digest: &Digest) -> bool {
        let known = self.agreements.versions(id).map(|accord| &accord.agreement);
        known.chain(self.early.iter().map(|(agreement, ..)| agreement)).any(|later| later.id == *id && later.supersedes == Some(*digest))
    }

    /// Whose signatures on a version are kept that came before the version which it follows.
    pub(crate) fn early(&self, digest: &Digest) -> impl Iterator<Item = &OrgId> {
        self.early.iter().filter(move |(_, known, _)| known == digest).map(|(.., signer)| signer)
    }

    /// Whether there is room for one more signature that comes before the version which it follows.
    pub(crate) const fn has_room(&self) -> bool {
        self.early.len() < MAX_EARLY
    }

    /// Takes in a signature, and those that waited for it.
    fn learn_signature(&mut self, agreement: Agreement, digest: Digest, signer: OrgId) -> StoreResult<()> {
        let mut open = vec![(agreement, digest, signer)];
        while let Some((agreement, digest, signer)) = open.pop() {
            if !self.follows(&agreement) {
                self.early.push((agreement, digest, signer));
                continue;
            }
            let named = AgreementRef { id: agreement.id.clone(), version: agreement.version };
            if *self.digests.entry((named.id.clone(), named.version)).or_insert(digest) != digest {
                // Another wording has the number by now; this one never will.
                continue;
            }
            let corrupt = |e: policy::accord::AccordError| StoreError::Corrupt { what: "statement", why: e.to_string() };
            self.agreements.insert(agreement).map_err(corrupt)?;
            self.agreements.sign(&named, &signer).map_err(corrupt)?;
            let waiting = std::mem::take(&mut self.early);
            let (now, still) = waiting.into_iter().partition(|(later, ..)| self.follows(later));
            self.early = still;
            open.extend::<Vec<_>>(now);
        }
        Ok(())
    }

    /// The keys before those on a new card: whose word it is that these follow, and those before them.
    fn former_of(&self, card: &Card, keys: &PublicKeys) -> Vec<PublicKeys> {
        match self.cards.get(&card.org) {
            Some(held) if held.keys.fingerprint() == keys.fingerprint() => held.former.clone(),
            Some(held) if card.succeeds(&held.keys) => std::iter::once(&held.keys).chain(&held.former).take(MAX_FORMER).cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// A checkpoint that an organisation signed of its own ledger, if it did, under the keys on its card or those before.
    pub(crate) fn read_note(&self, org: &OrgId, note: &str) -> Option<Checkpoint> {
        let name = ledger_name(org);
        let read = self.all_keys(org).find_map(|keys| checkpoint::parse_and_verify(note.as_bytes(), &name, keys.ed25519_raw()).ok());
        read.filter(|checkpoint| checkpoint.origin() == name)
    }

    /// The checkpoint that an organisation cosigned, if it did, in the same way.
    pub(crate) fn read_cosigned(&self, by: &OrgId, note: &str) -> Option<Checkpoint> {
        let name = ledger_name(by);
        self.all_keys(by).find_map(|keys| checkpoint::verify_cosignature(note.as_bytes(), &name, keys.ed25519_raw()).ok()).map(|(checkpoint, _)| checkpoint)
    }

    fn all_keys(&self, org: &OrgId) -> impl Iterator<Item = &PublicKeys> {
        self.keys(org).into_iter().chain(self.former(org))
    }

    fn learn(&mut self, row: &StatementRow) -> StoreResult<()> {
        let corrupt = |why: String| StoreError::Corrupt { what: "statement", why };
        let signed = Signed::parse(&row.bytes).map_err(|e| corrupt(e.to_string()))?;
        match row.kind {
            StatementKind::Card => {
                let card: Card = read(&signed)?;
                let keys = PublicKeys::parse(&card.keys).map_err(|e| corrupt(e.to_string()))?;
                let former = self.former_of(&card, &keys);
                self.cards.insert(card.org.clone(), Arc::new(Pinned { card, keys, former, bytes: row.bytes.clone() }));
            }
            StatementKind::Agreement => {
                let agreement: Agreement = read(&signed)?;
                self.learn_signature(agreement, signed.digest(), signed.signer().clone())?;
            }
            StatementKind::Withdrawal => {
                let withdrawal: Withdrawal = read(&signed)?;
                self.agreements.withdraw(&withdrawal.agreement, &withdrawal.org, withdrawal.at).map_err(|e| corrupt(e.to_string()))?;
            }
            StatementKind::ReceiptIn
            | StatementKind::ReceiptOut
            | StatementKind::Notice
            | StatementKind::Fault
            | StatementKind::Recovery
            | StatementKind::Inquiry
            | StatementKind::Account
            | StatementKind::Revocation => {}
        }
        Ok(())
    }
}

fn read<T: Statement>(signed: &Signed) -> StoreResult<T> {
    json::parse(signed.payload(), &T::BUDGET).map_err(|e| StoreError::Corrupt { what: "statement", why: e.to_string() })
}

/// Everything a node holds in memory.
#[derive(Debug, Clone)]
pub struct State {
    /// Organisations and agreements.
    pub directory: Arc<Directory>,
    /// State of exchange, by peer.
    pub peers: BTreeMap<OrgId, PeerRow>,
    /// The ledger's right edge.
    pub frontier: Frontier,
    /// Last serial given out, by year.
    pub serials: BTreeMap<i16, u64>,
    /// The latest time seen: time does not go back here, whatever the clock says.
    pub clock: Timestamp,
    /// How many rows wait to leave, by peer.
    pub queued: BTreeMap<OrgId, u64>,
    /// This node's own recovery from a backup, once there was one.
    pub recovery: Option<RecoveryRow>,
}

impl State {
    /// Reads the state from the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn load(reader: &dyn Reader) -> StoreResult<Self> {
        let opening = reader.opening()?;
        let mut directory = Directory::default();
        for row in ports::directory(reader) {
            directory.learn(&row?)?;
        }
        directory.revoked = opening.peers.iter().filter(|peer| is_revoked(peer)).map(|peer| peer.org.clone()).collect();
        let queued = directory.cards.keys().map(|org| Ok((org.clone(), reader.outgoing_count(org)?))).collect::<StoreResult<_>>()?;
        Ok(Self {
            queued,
            directory: Arc::new(directory),
            peers: opening.peers.into_iter().map(|peer| (peer.org.clone(), peer)).collect(),
            frontier: Frontier::load(opening.ledger_size, &LedgerTree(reader))?,
            serials: opening.serials,
            clock: opening.last_entry.unwrap_or(Timestamp::from_ms(0)),
            recovery: opening.recovery,
        })
    }

    /// Takes in what other processes have written to the store.
    ///
    /// # Errors
    /// A statement in it cannot be read; then this state is of no more use.
    pub fn follow(&mut self, changes: Changes) -> StoreResult<()> {
        for row in &changes.statements {
            Arc::make_mut(&mut self.directory).learn(row)?;
        }
        for peer in changes.peers {
            self.see_peer(peer);
        }
        for leaf in &changes.leaves {
            self.frontier.push(format::merkle::leaf_hash(leaf));
        }
        self.serials.extend(changes.serials);
        self.recovery = changes.recovery.or(self.recovery.take());
        for (peer, count) in changes.queued {
            let queued = self.queued.entry(peer).or_default();
            *queued = queued.saturating_add_signed(count);
        }
        self.clock = changes.last_entry.unwrap_or(self.clock).max(self.clock);
        Ok(())
    }

    /// Takes in how exchange with a peer stands. The directory follows where its card is revoked, or a later one is held.
    fn see_peer(&mut self, peer: PeerRow) {
        if is_revoked(&peer) != self.directory.revoked(&peer.org) {
            let directory = Arc::make_mut(&mut self.directory);
            if !directory.revoked.remove(&peer.org) {
                directory.revoked.insert(peer.org.clone());
            }
        }
        self.peers.insert(peer.org.clone(), peer);
    }

    /// This node's era, once it was restored from a backup.
    #[must_use]
    pub fn era(&self) -> Option<Timestamp> {
        self.recovery.as_ref().map(|recovery| recovery.era)
    }

    /// Whether the node was restored and its recovery is not declared yet: until then members read, and nothing more.
    #[must_use]
    pub fn restored(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.declared.is_none())
    }

    /// Whether exchange with `org` waits until it has accepted this node's recovery.
    #[must_use]
    pub fn awaits(&self, org: &OrgId) -> bool {
        self.peers.get(org).is_some_and(|peer| peer.suspicion == Some(Suspicion::Restored))
    }

    /// The state of exchange with `org`.
    #[must_use]
    pub fn peer(&self, org: &OrgId) -> PeerRow {
        self.peers.get(org).cloned().unwrap_or_else(|| PeerRow::new(org.clone()))
    }

    /// Takes in a change that the store has.
    ///
    /// # Errors
    /// A statement in it cannot be read, which the caller has just written.
    pub fn apply(&mut self, change: &Change) -> StoreResult<()> {
        match change {
            Change::Statement(row) if matches!(row.kind, StatementKind::Card | StatementKind::Agreement | StatementKind::Withdrawal) => {
                Arc::make_mut(&mut self.directory).learn(row)?;
            }
            Change::Peer(peer) => self.see_peer(peer.clone()),
            Change::Serial(year, serial) => {
                self.serials.insert(*year, *serial);
            }
            Change::Recovery(recovery) => self.recovery = Some(recovery.clone()),
            Change::Queue(peer, _) => *self.queued.entry(peer.clone()).or_default() += 1,
            Change::Requeue(peer, _, None) => {
                let count = self.queued.entry(peer.clone()).or_default();
                *count = count.saturating_sub(1);
            }
            _ => {}
        }
        Ok(())
    }
}

fn is_revoked(peer: &PeerRow) -> bool {
    peer.suspicion == Some(Suspicion::Revoked)
}

/// Levels of the tree that are kept: the leaves, and every fourth above.
pub const KEPT_LEVELS: u8 = 4;

/// The ledger's tree as the store keeps it: missing levels are computed from those that are kept.
pub struct LedgerTree<'a>(pub &'a dyn Reader);

impl std::fmt::Debug for LedgerTree<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LedgerTree")
    }
}

impl Subtrees for LedgerTree<'_> {
    type Error = StoreError;

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        if level == 0 {
            return Ok(format::merkle::leaf_hash(&self.0.subtree(0, index)?));
        }
        if level.is_multiple_of(KEPT_LEVELS) {
            return self.0.subtree(level, index);
        }
        let left = self.subtree(level - 1, index * 2)?;
        let right = self.subtree(level - 1, index * 2 + 1)?;
        Ok(format::merkle::node_hash(&left, &right))
    }
}

impl From<ProofError> for StoreError {
    fn from(fault: ProofError) -> Self {
        Self::Corrupt { what: "ledger tree", why: fault.to_string() }
    }
}
