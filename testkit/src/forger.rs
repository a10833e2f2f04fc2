//! The forger: what a member of the federation with valid keys can say that is not so.
//!
//! It takes what an honest node was about to send, changes it, and signs and seals it again with the same keys, so that
//! every signature holds. Receivers must see through it from what they knew before: the sequence, the ledger that was
//! shown, the records that are held, the rules. It breaks no key and reads nothing that its organisation may not read.

use fastrand::Rng;
use format::checkpoint::Checkpoint;
use format::parcel::{self, Item, ItemKind, ItemRef, ParcelHeader};
use format::receipt::Receipt;
use format::record::{Header, Kind, Link, RecallContent, Relation, Salted};
use format::{Digest, OrgId, RecordId, RecordNumber, Signed, Timestamp, verify};
use node::node::Identity;

/// What is forged in a parcel.
pub const FORGERIES: &[&str] =
    &["forged-previous", "forged-root", "forged-proof", "forged-size", "smuggled-record", "equivocation", "foreign-recall", "foreign-number"];

/// What a forger has at hand.
#[derive(Debug)]
pub struct Workshop<'a> {
    /// Chance.
    pub rng: &'a mut Rng,
    /// The forger.
    pub me: &'a Identity,
    /// For whom the parcel is.
    pub to: &'a Identity,
    /// Items that others gave to the forger's organisation.
    pub loot: &'a [Vec<u8>],
    /// Others' records that it has heard of.
    pub foreign: &'a [RecordId],
    /// The time.
    pub now: Timestamp,
}

impl Workshop<'_> {
    /// Changes a parcel. Gives which forgery it is, the plain bytes and the envelope.
    pub fn parcel(&mut self, plain: &[u8]) -> Option<(&'static str, Vec<u8>, Vec<u8>)> {
        (0..6).find_map(|_| self.one_forgery(plain))
    }

    fn one_forgery(&mut self, plain: &[u8]) -> Option<(&'static str, Vec<u8>, Vec<u8>)> {
        let mut d = minicbor::Decoder::new(plain);
        d.array().ok()?;
        let signed = Signed::parse(d.bytes().ok()?).ok()?;
        let mut header: ParcelHeader = serde_json::from_slice(signed.payload()).ok()?;
        let mut items = Vec::new();
        for _ in 0..d.array().ok()?? {
            if d.datatype().ok()? == minicbor::data::Type::Null {
                d.null().ok()?;
                items.push(None);
            } else {
                items.push(Some(d.bytes().ok()?.to_vec()));
            }
        }
        let forgery = *self.rng.choice(FORGERIES)?;
        match forgery {
            "forged-previous" if header.sequence > 1 => header.previous = self.digest(),
            "forged-root" => header.checkpoint = self.checkpoint(&header.checkpoint, 0)?,
            "forged-proof" if !header.consistency.is_empty() => header.consistency = vec![self.digest()],
            "forged-size" if header.seen > 2 => header.checkpoint = self.checkpoint(&header.checkpoint, header.seen / 2)?,
            "smuggled-record" => add(&mut header, &mut items, ItemKind::Record, self.rng.choice(self.loot)?.clone()),
            "equivocation" => {
                let twin = items.iter().flatten().find_map(|item| self.twin(item))?;
                add(&mut header, &mut items, ItemKind::Record, twin);
            }
            "foreign-recall" => {
                let recall = self.foreign_recall(&header)?;
                add(&mut header, &mut items, ItemKind::Record, recall);
            }
            "foreign-number" => {
                let stolen = items.iter().flatten().find_map(|item| self.under_foreign_number(item))?;
                add(&mut header, &mut items, ItemKind::Record, stolen);
            }
            _ => return None,
        }
        let signed = verify::state(&header, &self.me.keys).ok()?;
        let plain = parcel::write(signed.signed(), &items);
        let envelope = self.to.keys.public().sealing().seal(self.to.org(), &plain).ok()?;
        Some((forgery, plain, envelope))
    }

    /// Changes a receipt.
    pub fn receipt(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut receipt: Receipt = serde_json::from_slice(Signed::parse(bytes).ok()?.payload()).ok()?;
        match self.rng.u8(..3) {
            0 => receipt.parcel = self.digest(),
            // A ledger that is shown for the first time cannot be held against anything.
            2 if receipt.seen > 0 => receipt.checkpoint = self.checkpoint(&receipt.checkpoint, 0)?,
            _ => receipt.outcomes.first_mut()?.item = self.digest(),
        }
        Some(verify::state(&receipt, &self.me.keys).ok()?.signed().to_bytes())
    }

    fn digest(&mut self) -> Digest {
        Digest::of(&self.rng.u128(..).to_be_bytes())
    }

    /// A checkpoint with another root, at the size of `note` or a given one.
    fn checkpoint(&mut self, note: &str, size: u64) -> Option<String> {
        let size = if size > 0 { size } else { note.lines().nth(1)?.parse().ok()? };
        let name = self.me.ledger_name();
        Checkpoint::new(name.clone(), size, *self.digest().as_bytes()).ok()?.sign(&name, self.me.keys.ed25519()).ok()
    }

    /// The same number and version with other words.
    fn twin(&mut self, item: &[u8]) -> Option<Vec<u8>> {
        self.rewrite(item, |_, header| header.language = "sv".to_owned())
    }

    fn under_foreign_number(&mut self, item: &[u8]) -> Option<Vec<u8>> {
        let short = self.to.short.clone();
        self.rewrite(item, |rng, header| header.number = RecordNumber::new(&short, 2026, 900_000 + rng.u64(..90_000)))
    }

    fn rewrite(&mut self, item: &[u8], change: impl FnOnce(&mut Rng, &mut Header)) -> Option<Vec<u8>> {
        let Item::Record { signed, content, evidence } = Item::parse(item).ok()? else { return None };
        let mut header: Header = serde_json::from_slice(signed.payload()).ok()?;
        if header.originator != *self.me.org() || !header.kind.carries_information() {
            return None;
        }
        change(self.rng, &mut header);
        let signed = Box::new(verify::state(&header, &self.me.keys).ok()?.signed().clone());
        Some(Item::Record { signed, content, evidence }.to_bytes())
    }

    /// A recall, correctly signed, of what is not the forger's to recall.
    fn foreign_recall(&mut self, parcel: &ParcelHeader) -> Option<Vec<u8>> {
        let record = *self.rng.choice(self.foreign)?;
        let words = serde_json::to_vec(&RecallContent { reason: "because I say so".to_owned() }).ok()?;
        let content = Salted { salt: *self.digest().as_bytes(), bytes: words };
        let audience: Vec<OrgId> = vec![parcel.to.clone()];
        let like = crate::federation::report("avtal-0", &[], "nothing");
        let header = Header {
            kind: Kind::Recall,
            originator: self.me.org().clone(),
            number: RecordNumber::new(&self.me.short, 2026, 800_000 + self.rng.u64(..90_000)),
            version: 1,
            supersedes: None,
            agreement: format::record::AgreementRef { id: like.agreement, version: 1 },
            audience,
            marking: like.marking,
            grading: None,
            purpose: like.purpose,
            legal_basis: like.legal_basis,
            categories: like.categories,
            language: like.language,
            created: self.now,
            retain_until: self.now.plus_days(300),
            links: vec![Link { relation: Relation::Concerns, to: record }],
            content: content.reference(),
            attachments: Vec::new(),
        };
        let signed = Box::new(verify::state(&header, &self.me.keys).ok()?.signed().clone());
        Some(Item::Record { signed, content, evidence: Box::default() }.to_bytes())
    }
}

/// A recovery of an organisation that rewrote its ledger: well signed, approved by it knows whom, and with a proof that
/// proves nothing. Gives the question that carries it, and its digest.
#[must_use]
pub fn recovery(rng: &mut Rng, me: &Identity, to: &OrgId, received: u64, now: Timestamp) -> Option<(Vec<u8>, Digest)> {
    use format::recovery::{Approval, Ask, Inquiry, Recovery};
    let mut digest = || Digest::of(&rng.u128(..).to_be_bytes());
    let name = me.ledger_name();
    let checkpoint = Checkpoint::new(name.clone(), 1_000_000, *digest().as_bytes()).ok()?.sign(&name, me.keys.ed25519()).ok()?;
    let approvals = vec![Approval { entry: 1_000_000, leaf: digest() }, Approval { entry: 1_000_001, leaf: digest() }];
    let recovery = Recovery { org: me.org().clone(), era: now, checkpoint: checkpoint.clone(), approvals, declared: now };
    let recovery = verify::state(&recovery, &me.keys).ok()?;
    let inquiry = Inquiry {
        org: me.org().clone(),
        to: to.clone(),
        era: now,
        checkpoint,
        acknowledged: 0,
        received,
        cosigned: None,
        cosigned_consistency: Vec::new(),
        receipted_consistency: vec![digest(), digest()],
        parcel_seen: 0,
        receipt_seen: 0,
        recovery: Some(recovery.digest()),
        asked: now,
    };
    let inquiry = verify::state(&inquiry, &me.keys).ok()?;
    let ask = Ask { inquiry: inquiry.signed().clone(), recovery: Some(recovery.signed().clone()) };
    Some((ask.to_bytes(), recovery.digest()))
}

/// The records in a parcel, as items.
#[must_use]
pub fn records(plain: &[u8]) -> Vec<Vec<u8>> {
    let mut d = minicbor::Decoder::new(plain);
    let mut all = Vec::new();
    let header = d.array().and_then(|_| d.skip());
    let count = header.and_then(|()| d.array()).ok().flatten().unwrap_or(0);
    for _ in 0..count {
        match d.bytes() {
            Ok(item) if matches!(Item::parse(item), Ok(Item::Record { .. })) => all.push(item.to_vec()),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    all
}

fn add(header: &mut ParcelHeader, items: &mut Vec<Option<Vec<u8>>>, kind: ItemKind, item: Vec<u8>) {
    header.items.push(ItemRef { kind, digest: Digest::of(&item) });
    items.push(Some(item));
}
