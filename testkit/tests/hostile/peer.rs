//! The hostile organisation: valid keys, a card that is held, and no node. It puts together what it likes.

use std::sync::Arc;

use format::checkpoint::Checkpoint;
use format::merkle::Hash;
use format::parcel::{self, Item, ItemKind, ItemRef, ParcelHeader};
use format::record::{AgreementRef, Header, Kind, Link, RecallContent, Relation, Salted};
use format::{Digest, OrgId, RecordId, RecordNumber, Signed, Statement, Timestamp, verify};
use node::node::Identity;
use node::rows::SeenCheckpoint;
use samverkan_testkit::federation::{Federation, report};
use store::sqlite::Sqlite;

pub(crate) struct Peer {
    pub(crate) identity: Arc<Identity>,
    pub(crate) to: Arc<Identity>,
    pub(crate) sequence: u64,
    pub(crate) previous: Digest,
    /// Digest of the parcel that was put together last.
    last: Digest,
    serial: u64,
    /// Size and root of the ledger that it goes on showing in parcels, and of the one in receipts: what was shown last.
    pub(crate) in_parcels: (u64, Hash),
    pub(crate) in_receipts: (u64, Hash),
}

impl Peer {
    /// Goes on with the keys and the sequence of a node of the federation, which is no more.
    pub(crate) fn take_over(federation: &mut Federation<Sqlite>, org: &OrgId, to: &OrgId) -> Self {
        let node = federation.nodes.remove(org).unwrap();
        let state = federation.node(to).state().peer(org);
        let shown = |seen: Option<SeenCheckpoint>| seen.map(|seen| (seen.size, seen.root)).unwrap();
        Self {
            identity: Arc::clone(node.identity()),
            to: Arc::clone(federation.node(to).identity()),
            sequence: state.received,
            previous: state.received_digest,
            last: state.received_digest,
            serial: 0,
            in_parcels: shown(state.checkpoint),
            in_receipts: shown(state.receipt_checkpoint),
        }
    }

    pub(crate) fn org(&self) -> &OrgId {
        self.identity.org()
    }

    /// A checkpoint of whatever it says is its ledger.
    pub(crate) fn checkpoint(&self, (size, root): (u64, Hash)) -> String {
        let name = self.identity.ledger_name();
        Checkpoint::new(name.clone(), size, root).unwrap().sign(&name, self.identity.keys.ed25519()).unwrap()
    }

    /// The header of its next parcel.
    pub(crate) fn header(&self, items: &[Vec<u8>]) -> ParcelHeader {
        let kind = |item: &Vec<u8>| Item::parse(item).map_or(ItemKind::Record, |item| item.kind());
        ParcelHeader {
            from: self.org().clone(),
            to: self.to.org().clone(),
            sequence: self.sequence + 1,
            previous: self.previous,
            created: "2026-11-22T08:00:00.000Z".parse().unwrap(),
            checkpoint: self.checkpoint(self.in_parcels),
            seen: self.in_parcels.0,
            consistency: Vec::new(),
            era: None,
            items: items.iter().map(|item| ItemRef { kind: kind(item), digest: Digest::of(item) }).collect(),
        }
    }

    /// A parcel with these items, sound but for what is in them.
    pub(crate) fn parcel(&mut self, items: &[Vec<u8>]) -> Vec<u8> {
        let header = self.header(items);
        self.parcel_with(&header, items)
    }

    /// A parcel with a header of any kind.
    pub(crate) fn parcel_with(&mut self, header: &ParcelHeader, items: &[Vec<u8>]) -> Vec<u8> {
        let signed = self.sign::<ParcelHeader>(header);
        self.last = signed.digest();
        self.envelope(&signed, items)
    }

    pub(crate) fn envelope(&self, header: &Signed, items: &[Vec<u8>]) -> Vec<u8> {
        let items: Vec<Option<Vec<u8>>> = items.iter().cloned().map(Some).collect();
        self.seal(&parcel::write(header, &items))
    }

    pub(crate) fn seal(&self, plain: &[u8]) -> Vec<u8> {
        self.to.keys.public().sealing().seal(self.to.org(), plain).unwrap()
    }

    /// The parcel that was put together last has its place in the sequence.
    pub(crate) fn was_taken_in(&mut self) {
        self.sequence += 1;
        self.previous = self.last;
    }

    /// Signs anything, without asking whether it is well formed.
    pub(crate) fn sign<T: Statement>(&self, statement: &T) -> Signed {
        Signed::sign::<T>(serde_json::to_vec(statement).unwrap(), &self.identity.keys).unwrap()
    }

    /// A number that it has not used.
    pub(crate) fn number(&mut self) -> RecordNumber {
        self.serial += 1;
        RecordNumber::new(&self.identity.short, 2026, self.serial)
    }

    /// The header and content of a sound report to the victim, changed.
    pub(crate) fn draft(&mut self, now: Timestamp, change: impl FnOnce(&mut Header)) -> (Header, Salted) {
        let like = report("all", &[], "a rumour");
        let content = Salted { salt: *Digest::of(&self.serial.to_be_bytes()).as_bytes(), bytes: serde_json::to_vec(&like.content).unwrap() };
        let mut header = Header {
            kind: Kind::Report,
            originator: self.org().clone(),
            number: self.number(),
            version: 1,
            supersedes: None,
            agreement: AgreementRef { id: like.agreement, version: 1 },
            audience: vec![self.to.org().clone()],
            marking: like.marking,
            grading: like.grading,
            purpose: like.purpose,
            legal_basis: like.legal_basis,
            categories: like.categories,
            language: like.language,
            created: now,
            retain_until: now.plus_days(30),
            links: Vec::new(),
            content: content.reference(),
            attachments: Vec::new(),
        };
        change(&mut header);
        (header, content)
    }

    /// A record item, sound but for the change.
    pub(crate) fn record(&mut self, now: Timestamp, change: impl FnOnce(&mut Header)) -> Vec<u8> {
        let (header, content) = self.draft(now, change);
        Self::item(self.sign(&header), content)
    }

    pub(crate) fn item(signed: Signed, content: Salted) -> Vec<u8> {
        Item::Record { signed: Box::new(signed), content, evidence: Box::default() }.to_bytes()
    }

    /// A recall, correctly signed, of any record.
    pub(crate) fn recall(&mut self, now: Timestamp, of: RecordId) -> Vec<u8> {
        let words = serde_json::to_vec(&RecallContent { reason: "because".to_owned() }).unwrap();
        let content = Salted { salt: [7; 32], bytes: words };
        let reference = content.reference();
        let (header, _) = self.draft(now, |header| {
            header.kind = Kind::Recall;
            header.grading = None;
            header.links = vec![Link { relation: Relation::Concerns, to: of }];
            header.content = reference;
        });
        Self::item(self.sign(&header), content)
    }

    /// A statement, properly made.
    pub(crate) fn stated<T: Statement>(&self, statement: &T) -> Signed {
        verify::state(statement, &self.identity.keys).unwrap().signed().clone()
    }
}
