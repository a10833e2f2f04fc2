//! The chronicle: what truly happened, as seen by somebody who sees everything.
//!
//! It opens every parcel, reads every durable ledger entry and remembers every promise made to a member. From that it
//! keeps, for each site, what the site knows and holds, without asking the node. It judges nothing itself: the rules
//! and the invariants are written against it. What is noted here became durable or left a site; nothing else counts.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use format::agreement::{Agreement, Withdrawal};
use format::merkle::{self, Frontier, Hash};
use format::parcel::{Item, ParcelHeader};
use format::receipt::{ItemResult, Notice, Receipt};
use format::record::{ConsentAct, ConsentContent, Header, Kind, Relation};
use format::{AgreementId, Digest, OrgId, RecordId, RecordNumber, Signed, Timestamp};
use node::rows::EntryRow;

use crate::network::Place;

/// What every secret text begins with. Nothing else in a run contains it.
pub const CANARY: &str = "KANARIE";

/// A promise or a fact was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's number.
    pub invariant: u8,
    /// What was seen.
    pub what: String,
}

/// What a check gives.
pub type Check = Result<(), Violation>;

/// Says that an invariant does not hold.
///
/// # Errors
/// Always: that is what it is for.
pub fn broken<T>(invariant: u8, what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { invariant, what: what.into() })
}

/// An item of a parcel, read.
#[derive(Debug, Clone)]
pub enum SeenItem {
    /// A record with its content.
    Record { id: RecordId, header: Rc<Header>, consent: Option<ConsentContent>, free_terms: bool },
    /// A piece of an attachment.
    Piece { record: RecordId },
    /// A party's signature.
    Agreement { agreement: Rc<Agreement>, signer: OrgId },
    /// A withdrawal.
    Withdrawal(Withdrawal),
    /// A card.
    Card,
    /// A revocation of a card.
    Revocation,
    /// A notice.
    Notice(Notice),
    /// A record of the recipient's own, given back.
    Returned { id: RecordId, header: Rc<Header> },
}

impl std::fmt::Display for SeenItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record { id, header, .. } => {
                let links: Vec<String> = header.links.iter().map(|link| link.to.0.short()).collect();
                write!(f, "{} {} v{} {} [{}]", header.kind, header.number, header.version, id.0.short(), links.join(" "))
            }
            Self::Piece { record } => write!(f, "piece of {}", record.0.short()),
            Self::Agreement { agreement, signer } => write!(f, "{} signed by {signer}", agreement.id),
            Self::Card => f.write_str("a card"),
            Self::Revocation => f.write_str("a revocation"),
            Self::Withdrawal(withdrawal) => write!(f, "{} leaves {}", withdrawal.org, withdrawal.agreement),
            Self::Returned { header, .. } => write!(f, "back: {} {} v{}", header.kind, header.number, header.version),
            Self::Notice(notice) => write!(f, "{} has {} {:?}", notice.holder, notice.record.0.short(), notice.state),
        }
    }
}

/// A parcel that the network saw.
#[derive(Debug, Clone)]
pub struct SeenParcel {
    /// Who made it.
    pub from: Place,
    /// For whom.
    pub to: Place,
    /// Its header.
    pub header: Rc<ParcelHeader>,
    /// Its items; none where it was held back each time.
    pub items: Vec<Option<SeenItem>>,
}

/// A version of an agreement as one site knows it.
#[derive(Debug, Clone)]
pub struct KnownAgreement {
    /// Its words.
    pub agreement: Rc<Agreement>,
    /// Whose signatures the site has.
    pub signed: BTreeSet<OrgId>,
}

/// A consent that a site has in its hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownGrant {
    /// To what.
    pub record: RecordId,
    /// By whom.
    pub by: OrgId,
    /// For whom.
    pub holder: OrgId,
    /// To give it to whom.
    pub recipient: OrgId,
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// What a site knows.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    /// Agreements.
    pub agreements: BTreeMap<(AgreementId, u32), KnownAgreement>,
    /// Withdrawals, with the time that each bears.
    pub withdrawn: BTreeMap<(AgreementId, OrgId), Timestamp>,
    /// Grants.
    pub grants: Vec<KnownGrant>,
    /// Records that were recalled by their originators.
    pub recalled: BTreeSet<RecordId>,
    /// The highest version taken in or released here, by number.
    pub newest: BTreeMap<RecordNumber, u32>,
}

/// A release that a member was told of.
#[derive(Debug, Clone)]
pub struct Promise {
    /// What.
    pub record: RecordId,
    /// To whom.
    pub recipients: Vec<OrgId>,
}

/// What is known of one site.
#[derive(Debug, Clone, Default)]
pub struct SiteLog {
    /// The ledger's root at each size, from 0.
    pub roots: Vec<Hash>,
    frontier: Frontier,
    /// Parcels whose `sent` entry is durable.
    pub sent: BTreeSet<Digest>,
    /// Records that, by durable entries, left for somebody.
    pub dispatched: BTreeSet<(RecordId, OrgId)>,
    /// Records that were put in line for somebody.
    pub queued: BTreeSet<(RecordId, OrgId)>,
    /// Durable `opened` entries by record.
    pub opened: BTreeMap<RecordId, u64>,
    /// How many readings of each record were handed to members.
    pub read: BTreeMap<RecordId, u64>,
    /// Durable entries by their word.
    pub entries: BTreeMap<String, u64>,
    /// How many lists were handed to members.
    pub listed: u64,
    /// Releases in the ledger.
    pub released: BTreeSet<RecordId>,
    /// The last parcel taken in from each site.
    pub chain: BTreeMap<Place, (u64, Digest)>,
    /// The receipt for each parcel taken in.
    pub receipts: BTreeMap<(Place, u64), Digest>,
    /// What the site knows.
    pub knows: Knowledge,
    /// Releases that members were told of.
    pub promises: Vec<Promise>,
    /// Own records by number, in the order in which they were released.
    pub own: BTreeMap<RecordNumber, Vec<RecordId>>,
    /// Own records that were recalled.
    pub recalls: BTreeSet<RecordId>,
    /// Others' records that were taken in.
    pub accepted: BTreeSet<RecordId>,
    /// The same, with the one that handed it over.
    pub accepted_from: BTreeSet<(RecordId, Place)>,
    /// Largest ledger that was shown to anyone.
    pub shown: u64,
    /// The roots of ledgers that were given up for an older one by a restoring.
    pub past: Vec<Vec<Hash>>,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Chronicle {
    /// Organisations by place.
    pub orgs: Vec<OrgId>,
    /// Countries by place.
    pub countries: Vec<&'static str>,
    /// Logs by place.
    pub sites: Vec<SiteLog>,
    /// Parcels by the digest of their header.
    pub parcels: BTreeMap<Digest, SeenParcel>,
    /// Headers of records.
    pub headers: BTreeMap<RecordId, Rc<Header>>,
    /// Who has been handed a record's content, by a parcel that was lawful.
    pub handed: BTreeSet<(RecordId, Place)>,
    /// Canaries and whose they are.
    pub canaries: BTreeMap<String, Place>,
    /// Who drafted and who approved a record, as members were told.
    pub authors: BTreeMap<RecordId, (String, Option<String>)>,
}

impl Chronicle {
    /// A chronicle of these organisations.
    #[must_use]
    pub fn new(orgs: Vec<(OrgId, &'static str)>) -> Self {
        let (orgs, countries): (Vec<_>, Vec<_>) = orgs.into_iter().unzip();
        let log = SiteLog { roots: vec![Frontier::default().root()], ..SiteLog::default() };
        Self { sites: vec![log; orgs.len()], orgs, countries, ..Self::default() }
    }

    /// The place of an organisation.
    #[must_use]
    pub fn place(&self, org: &OrgId) -> Option<Place> {
        self.orgs.iter().position(|known| known == org)
    }

    /// The organisation at a place.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "places are those of this world")]
    pub fn org(&self, place: Place) -> &OrgId {
        &self.orgs[place]
    }

    /// The log of a site.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "places are those of this world")]
    pub fn at(&self, place: Place) -> &SiteLog {
        &self.sites[place]
    }

    /// The log of a site, to be written.
    ///
    /// # Panics
    /// There is none.
    #[expect(clippy::indexing_slicing, reason = "places are those of this world")]
    pub fn at_mut(&mut self, place: Place) -> &mut SiteLog {
        &mut self.sites[place]
    }

    /// The country of an organisation.
    #[must_use]
    pub fn country(&self, org: &OrgId) -> Option<&'static str> {
        self.place(org).and_then(|place| self.countries.get(place).copied())
    }

    /// Reads a parcel's plain bytes.
    ///
    /// # Errors
    /// It is not a parcel, which a node must not make.
    pub fn observe(&mut self, from: Place, to: Place, plain: &[u8]) -> Result<(Digest, SeenParcel), Violation> {
        let Some((digest, seen)) = read_parcel(from, to, plain) else {
            return broken(7, "a node sealed something that is not a parcel");
        };
        for item in seen.items.iter().flatten() {
            if let SeenItem::Record { id, header, .. } = item {
                self.headers.entry(*id).or_insert_with(|| Rc::clone(header));
            }
        }
        let known = self.parcels.entry(digest).or_insert_with(|| seen.clone());
        for (known, item) in known.items.iter_mut().zip(&seen.items) {
            if known.is_none() {
                known.clone_from(item);
            }
        }
        Ok((digest, seen))
    }

    /// Notes ledger entries that became durable.
    ///
    /// # Errors
    /// An entry does not hash to its leaf, or stands in the wrong place.
    pub fn entries(&mut self, at: Place, entries: &[EntryRow]) -> Check {
        let org = self.org(at).clone();
        let log = self.at_mut(at);
        for entry in entries {
            let (Some(salt), Some(json)) = (&entry.salt, &entry.json) else {
                return broken(8, format!("entry {} of {org} was written without its words", entry.index));
            };
            if entry.leaf != *Digest::of_parts(&[salt, json]).as_bytes() {
                return broken(9, format!("entry {} of {org} does not hash to its leaf", entry.index));
            }
            if entry.index + 1 != log.roots.len() as u64 {
                return broken(9, format!("entry {} of {org} stands in place {}", entry.index, log.roots.len() - 1));
            }
            log.frontier.push(merkle::leaf_hash(&entry.leaf));
            log.roots.push(log.frontier.root());
            log.note(&serde_json::from_slice(json).unwrap_or_default());
        }
        Ok(())
    }

    /// Takes in what a durable receipt says that a site took in. `bytes` is the signed receipt.
    ///
    /// # Errors
    /// The receipt does not read, or is not the one that was given before.
    pub fn received(&mut self, at: Place, bytes: &[u8]) -> Result<Option<Acceptance>, Violation> {
        let org = self.org(at).clone();
        let Some((digest, receipt)) = read_receipt(bytes) else {
            return broken(7, format!("{org} gave a receipt that does not read"));
        };
        let Some(from) = self.place(&receipt.sender) else {
            return broken(7, format!("{org} gave a receipt to nobody"));
        };
        if let Some(before) = self.at(at).receipts.get(&(from, receipt.sequence)) {
            if *before != digest {
                return broken(4, format!("{org} gave two receipts for parcel {} of {}", receipt.sequence, receipt.sender));
            }
            return Ok(None);
        }
        let Some(parcel) = self.parcels.get(&receipt.parcel).cloned() else {
            return broken(7, format!("{org} gave a receipt for a parcel that nobody made"));
        };
        let (last, digest_before) = self.at(at).chain.get(&from).copied().unwrap_or((0, Digest::from([0; 32])));
        if parcel.header.sequence != last + 1 || parcel.header.previous != digest_before || parcel.to != at {
            let sequence = parcel.header.sequence;
            return broken(9, format!("{org} took in parcel {sequence} of {}, which does not follow what it had taken in", receipt.sender));
        }
        let log = self.at_mut(at);
        log.receipts.insert((from, receipt.sequence), digest);
        log.chain.insert(from, (parcel.header.sequence, receipt.parcel));
        let accepted = receipt.outcomes.iter().map(|outcome| outcome.result == ItemResult::Accepted).collect();
        Ok(Some(Acceptance { from, parcel, accepted, receipt }))
    }

    /// A site has taken in an item.
    pub fn learn(&mut self, at: Place, item: &SeenItem) {
        let me = self.org(at).clone();
        match item {
            SeenItem::Record { id, header, consent, .. } => {
                // Nobody recalls what is another's.
                let own = |record: &RecordId| self.headers.get(record).is_none_or(|known| known.originator == header.originator);
                let theirs: Vec<RecordId> = header.linked(Relation::Concerns).filter(own).collect();
                let log = self.at_mut(at);
                log.accepted.insert(*id);
                match header.kind {
                    Kind::Recall => log.knows.recalled.extend(theirs),
                    Kind::Consent => {
                        if let (Some(consent), Some(record)) =
                            (consent.as_ref().filter(|c| c.act == ConsentAct::Grant), header.linked(Relation::Concerns).next())
                        {
                            log.knows.grants.push(KnownGrant {
                                record,
                                by: header.originator.clone(),
                                holder: consent.holder.clone(),
                                recipient: consent.recipient.clone(),
                                expires: consent.expires,
                            });
                        }
                    }
                    _ => {
                        let newest = log.knows.newest.entry(header.number.clone()).or_default();
                        *newest = header.version.max(*newest);
                    }
                }
            }
            SeenItem::Agreement { agreement, signer } => self.signed(at, agreement, signer),
            SeenItem::Withdrawal(withdrawal) => {
                self.withdrew(at, &withdrawal.agreement, &withdrawal.org, withdrawal.at);
            }
            SeenItem::Returned { id, header } => self.came_back(at, *id, header),
            SeenItem::Piece { .. } | SeenItem::Notice(_) | SeenItem::Card | SeenItem::Revocation => {}
        }
        debug_assert!(self.place(&me).is_some());
    }

    /// A record of a site's own came back to it.
    fn came_back(&mut self, at: Place, id: RecordId, header: &Rc<Header>) {
        if !self.at(at).own.get(&header.number).is_some_and(|versions| versions.contains(&id)) {
            self.released(at, id, Rc::clone(header));
        }
        if header.kind == Kind::Recall {
            let log = self.at_mut(at);
            log.knows.recalled.extend(header.linked(Relation::Concerns));
            log.recalls.extend(header.linked(Relation::Concerns));
        }
    }

    /// A site knows of a party's signature.
    pub fn signed(&mut self, at: Place, agreement: &Rc<Agreement>, signer: &OrgId) {
        let name = (agreement.id.clone(), agreement.version);
        let known = self.at_mut(at).knows.agreements.entry(name);
        let known = known.or_insert_with(|| KnownAgreement { agreement: Rc::clone(agreement), signed: BTreeSet::new() });
        // A site keeps the wording that reached it first.
        if known.agreement == *agreement {
            known.signed.insert(signer.clone());
        }
    }

    /// A site leaves an agreement itself: that is dated no earlier than any version that it knows.
    pub fn withdraws(&mut self, at: Place, agreement: &AgreementId, now: Timestamp) {
        let known = self.at(at).knows.agreements.values().filter(|known| known.agreement.id == *agreement);
        let time = known.map(|known| known.agreement.proposed).fold(now, Timestamp::max);
        let org = self.org(at).clone();
        self.withdrew(at, agreement, &org, time);
    }

    /// A site knows of a withdrawal.
    pub fn withdrew(&mut self, at: Place, agreement: &AgreementId, org: &OrgId, time: Timestamp) {
        let known = self.at_mut(at).knows.withdrawn.entry((agreement.clone(), org.clone())).or_insert(time);
        *known = time.max(*known);
    }

    /// A site released a record of its own.
    pub fn released(&mut self, at: Place, id: RecordId, header: Rc<Header>) {
        let log = self.at_mut(at);
        log.own.entry(header.number.clone()).or_default().push(id);
        if header.kind.carries_information() {
            let newest = log.knows.newest.entry(header.number.clone()).or_default();
            *newest = header.version.max(*newest);
        }
        self.headers.entry(id).or_insert(header);
    }

    /// A site recalled a record of its own, in all its versions.
    pub fn recalled(&mut self, at: Place, number: &RecordNumber) {
        let log = self.at_mut(at);
        let versions = log.own.get(number).cloned().unwrap_or_default();
        log.recalls.extend(versions.iter().copied());
        log.knows.recalled.extend(versions);
    }
}

/// What a site took in with one parcel.
#[derive(Debug)]
pub struct Acceptance {
    /// From whom.
    pub from: Place,
    /// The parcel.
    pub parcel: SeenParcel,
    /// For each item, whether it was accepted.
    pub accepted: Vec<bool>,
    /// The receipt.
    pub receipt: Receipt,
}

impl SiteLog {
    /// Reads what an entry tells.
    fn note(&mut self, entry: &serde_json::Value) {
        let word = entry.get("what").and_then(|what| what.as_str()).unwrap_or_default();
        *self.entries.entry(word.to_owned()).or_default() += 1;
        let digest = |value: &serde_json::Value| value.as_str().and_then(|text| text.parse::<Digest>().ok());
        let about = entry.get("record").and_then(digest).map(RecordId);
        match word {
            "sent" => {
                self.sent.extend(entry.get("parcel").and_then(digest));
                let peer = entry.get("peer").and_then(|peer| peer.as_str()).and_then(|peer| peer.parse::<OrgId>().ok());
                let records = entry.get("records").and_then(|records| records.as_array()).into_iter().flatten().filter_map(digest).map(RecordId);
                if let Some(peer) = peer {
                    self.dispatched.extend(records.map(|record| (record, peer.clone())));
                }
            }
            "opened" => {
                if let Some(record) = about {
                    *self.opened.entry(record).or_default() += 1;
                }
            }
            "released" => self.released.extend(about),
            _ => {}
        }
    }
}

/// Reads a parcel without verifying it: that is the receiver's part.
fn read_parcel(from: Place, to: Place, plain: &[u8]) -> Option<(Digest, SeenParcel)> {
    let mut d = minicbor::Decoder::new(plain);
    d.array().ok().flatten().filter(|parts| *parts == 2)?;
    let signed = Signed::parse(d.bytes().ok()?).ok()?;
    let header: ParcelHeader = serde_json::from_slice(signed.payload()).ok()?;
    let count = d.array().ok().flatten()?;
    let mut items = Vec::new();
    for _ in 0..count {
        if d.datatype().ok()? == minicbor::data::Type::Null {
            d.null().ok()?;
            items.push(None);
        } else {
            items.push(Some(read_item(&Item::parse(d.bytes().ok()?).ok()?)?));
        }
    }
    Some((signed.digest(), SeenParcel { from, to, header: Rc::new(header), items }))
}

fn read_item(item: &Item) -> Option<SeenItem> {
    Some(match item {
        Item::Record { signed, content, evidence } => {
            let header: Header = serde_json::from_slice(signed.payload()).ok()?;
            let consent = if header.kind == Kind::Consent { Some(serde_json::from_slice(&content.bytes).ok()?) } else { None };
            SeenItem::Record { id: RecordId(signed.digest()), header: Rc::new(header), consent, free_terms: evidence.terms.is_some() }
        }
        Item::Piece { record, .. } => SeenItem::Piece { record: *record },
        Item::Agreement(signed) => SeenItem::Agreement { agreement: Rc::new(serde_json::from_slice(signed.payload()).ok()?), signer: signed.signer().clone() },
        Item::Withdrawal(signed) => SeenItem::Withdrawal(serde_json::from_slice(signed.payload()).ok()?),
        Item::Card(_) => SeenItem::Card,
        Item::Revocation(_) => SeenItem::Revocation,
        Item::Notice(signed) => SeenItem::Notice(serde_json::from_slice(signed.payload()).ok()?),
        Item::Returned { signed, .. } => SeenItem::Returned { id: RecordId(signed.digest()), header: Rc::new(serde_json::from_slice(signed.payload()).ok()?) },
    })
}

/// Reads a receipt without verifying it.
#[must_use]
pub fn read_receipt(bytes: &[u8]) -> Option<(Digest, Receipt)> {
    let signed = Signed::parse(bytes).ok()?;
    Some((signed.digest(), serde_json::from_slice(signed.payload()).ok()?))
}

/// Every canary in some bytes.
#[must_use]
pub fn canaries(bytes: &[u8]) -> Vec<String> {
    let whole = CANARY.len() + 32;
    let found = memchr::memmem::find_iter(bytes, CANARY.as_bytes()).filter_map(|place| bytes.get(place..place + whole));
    found.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
