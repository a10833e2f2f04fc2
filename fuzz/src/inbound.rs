//! What a hostile member with valid keys could hand over.
//!
//! The input is a plan: statements of every kind, edited as JSON or as bytes *before* they are signed, put into items,
//! a parcel and an envelope that are right except where the plan says otherwise. So everything behind the signatures
//! is reached: types, rules of shape, content against commitment, evidence, and the rules of admission.

use arbitrary::{Arbitrary, Unstructured};
use format::Signed;
use format::agreement::{Agreement, Withdrawal};
use format::attachment::AttachmentRef;
use format::card::Revocation;
use format::checkpoint::Checkpoint;
use format::keys::SigningKeys;
use format::marking::{Caveat, Classification};
use format::merkle::Frontier;
use format::parcel::{self, Evidence, Item, ItemKind, ItemRef, ParcelHeader};
use format::receipt::{Notice, State};
use format::record::{AgreementRef, ConsentAct, ConsentContent, Header, Kind, Link, Relation, Salted};
use format::seal::SealFault;
use format::verify::{Statement, verify};
use format::{Digest, OrgId, RecordId};
use node::exchange::open;
use node::node::ledger_name;
use policy::accord::Agreements;
use policy::admission::{Admission, Decision, decide};
use policy::release::Countries;
use serde_json::{Value, json};

use crate::cast::{Cast, ORGS, agreement, cast, header, now, read};
use crate::edit::{Cut, Edit, apply, cut};

/// The most items in one plan: signatures cost time.
const MOST_ITEMS: usize = 4;

/// A parcel, and what is wrong with it.
#[derive(Debug, Arbitrary)]
pub struct Plan {
    items: Vec<Planned>,
    header: Vec<Edit>,
    later: bool,
    withheld: u8,
    torn: Vec<Cut>,
    sealed: Vec<Cut>,
}

#[derive(Debug, Arbitrary)]
struct Planned {
    what: What,
    torn: Vec<Cut>,
    renamed: bool,
}

#[derive(Debug, Arbitrary)]
enum What {
    Record(Box<Record>),
    Correction(Box<Record>),
    Recall(Box<Record>),
    Consent(Box<Record>),
    Piece { record: [u8; 32], attachment: u32, index: u64, proof: Vec<[u8; 32]>, bytes: Vec<u8> },
    Agreement(Written),
    Withdrawal(Written),
    Notice(Written, u8),
    Revocation(Written),
    Bytes(Vec<u8>),
}

#[derive(Debug, Arbitrary)]
struct Record {
    twists: Vec<Twist>,
    statement: Written,
    content: Vec<Edit>,
    words: Vec<Cut>,
    uncommitted: bool,
    grant: Option<Box<Record>>,
    terms: Option<Written>,
}

/// A header that is well formed and says something else.
#[derive(Debug, Arbitrary)]
enum Twist {
    Kind(u8),
    Audience(u8),
    Classification(u8),
    Caveats(u8),
    Releasable(u8),
    Purpose,
    LegalBasis,
    Agreement,
    AgreementVersion(u32),
    Version(u32),
    Supersedes([u8; 32]),
    Retained(u16),
    Created(i64),
    Linked(u8, [u8; 32]),
    Attached(u64),
}

impl Twist {
    fn apply(&self, header: &mut Header) {
        let some = |of: u8| ORGS.into_iter().chain(["se-none"]).enumerate().filter(move |(bit, _)| of & (1 << bit) != 0).map(|(_, org)| read(org));
        match self {
            Self::Kind(n) => header.kind = Kind::ALL[usize::from(*n) % Kind::ALL.len()],
            Self::Audience(of) => header.audience = some(*of).collect(),
            Self::Classification(n) => header.marking.classification = Classification::known().nth(usize::from(*n)).unwrap_or_else(|| read("xx:what")),
            Self::Caveats(of) => {
                header.marking.caveats = Caveat::KNOWN.iter().enumerate().filter(|(bit, _)| of & (1 << bit) != 0).map(|(_, c)| c.clone()).collect()
            }
            Self::Releasable(of) => header.marking.releasable_to = Some(some(*of).collect()),
            Self::Purpose => header.purpose = read("another"),
            Self::LegalBasis => header.legal_basis = read("another 1"),
            Self::Agreement => header.agreement.id = read("another"),
            Self::AgreementVersion(version) => header.agreement.version = *version,
            Self::Version(version) => header.version = *version,
            Self::Supersedes(digest) => header.supersedes = Some(RecordId(Digest::from(*digest))),
            Self::Retained(days) => header.retain_until = header.created.plus_days((*days).into()),
            Self::Created(ms) => header.created = header.created.plus_ms(*ms),
            Self::Linked(n, digest) => {
                let relation = [Relation::Answers, Relation::BasedOn, Relation::Concerns][usize::from(*n) % 3];
                header.links.push(Link { relation, to: RecordId(Digest::from(*digest)) });
            }
            Self::Attached(size) => header.attachments.push(AttachmentRef { size: *size, root: Digest::of(b"root") }),
        }
    }
}

/// A statement: who signs, and what is done to it before.
#[derive(Debug, Arbitrary)]
struct Written {
    by: u8,
    edits: Vec<Edit>,
    cuts: Vec<Cut>,
}

impl Written {
    fn signer<'a>(&self, cast: &'a Cast) -> &'a SigningKeys {
        cast.any(self.by)
    }

    fn sign<T: Statement>(&self, value: &T, cast: &Cast) -> Signed {
        let mut tree = serde_json::to_value(value).expect("a statement is JSON");
        apply(&self.edits, &mut tree);
        let mut payload = serde_json::to_vec(&tree).expect("a tree can be written");
        cut(&self.cuts, &mut payload);
        Signed::sign::<T>(payload, self.signer(cast)).expect("the keys sign")
    }
}

/// Whatever is inside: opening comes back, what comes in is the carrier's, and nobody is admitted as audience who
/// is not named.
pub fn run(bytes: &[u8]) {
    let Ok(plan) = Plan::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let cast = cast();
    let Ok(envelope) = plan.envelope(cast) else {
        return; // Too large to be sealed.
    };
    let carrier = cast.peer.org();
    if let Ok(inbound) = open(&cast.me, &cast.directory, carrier, &envelope) {
        assert_eq!(inbound.from(), carrier, "a parcel is its carrier's");
        assert!(inbound.sequence() >= 1 && (1..=parcel::MAX_ITEMS).contains(&inbound.items()), "the header is within its limits");
    }
}

/// An envelope in which nothing is wrong, for the corpus.
pub fn sample(cast: &Cast) -> Vec<u8> {
    let plain = || Written { by: 0, edits: Vec::new(), cuts: Vec::new() };
    let record = Record { twists: Vec::new(), statement: plain(), content: Vec::new(), words: Vec::new(), uncommitted: false, grant: None, terms: None };
    let items = [What::Record(Box::new(record)), What::Notice(plain(), 0), What::Withdrawal(plain())];
    let items = items.into_iter().map(|what| Planned { what, torn: Vec::new(), renamed: false }).collect();
    let plan = Plan { items, header: Vec::new(), later: false, withheld: 0, torn: Vec::new(), sealed: Vec::new() };
    let envelope = plan.envelope(cast).expect("a small parcel seals");
    assert!(open(&cast.me, &cast.directory, cast.peer.org(), &envelope).is_ok(), "a plan without faults makes a parcel that opens");
    envelope
}

impl Plan {
    fn envelope(&self, cast: &Cast) -> Result<Vec<u8>, SealFault> {
        let mut named = Vec::new();
        let mut items = Vec::new();
        for (n, planned) in self.items.iter().take(MOST_ITEMS).enumerate() {
            let (kind, mut bytes) = planned.what.item(cast);
            if planned.renamed {
                named.push(ItemRef { kind, digest: Digest::of(&bytes) });
                cut(&planned.torn, &mut bytes);
            } else {
                cut(&planned.torn, &mut bytes);
                named.push(ItemRef { kind, digest: Digest::of(&bytes) });
            }
            items.push((self.withheld & (1 << n) == 0).then_some(bytes));
        }
        let mut tree = serde_json::to_value(self.header(cast, named)).expect("a header is JSON");
        apply(&self.header, &mut tree);
        let payload = serde_json::to_vec(&tree).expect("a tree can be written");
        let header = Signed::sign::<ParcelHeader>(payload, &cast.peer).expect("the keys sign");
        let mut plain = parcel::write(&header, &items);
        cut(&self.torn, &mut plain);
        let mut envelope = cast.me.keys.public().sealing().seal(cast.me.org(), &plain)?;
        cut(&self.sealed, &mut envelope);
        Ok(envelope)
    }

    fn header(&self, cast: &Cast, items: Vec<ItemRef>) -> ParcelHeader {
        let from = cast.peer.org().clone();
        let ledger = ledger_name(&from);
        let checkpoint = Checkpoint::new(ledger.clone(), 0, Frontier::default().root()).expect("an empty ledger has a checkpoint");
        ParcelHeader {
            to: cast.me.org().clone(),
            sequence: if self.later { 2 } else { 1 },
            previous: if self.later { Digest::of(b"before") } else { Digest::from([0; 32]) },
            created: now(),
            checkpoint: checkpoint.sign(&ledger, cast.peer.ed25519()).expect("the ledger's own name is a name"),
            seen: 0,
            consistency: Vec::new(),
            items,
            era: None,
            from,
        }
    }
}

impl What {
    fn item(&self, cast: &Cast) -> (ItemKind, Vec<u8>) {
        let item = match self {
            Self::Record(record) => record.item(Kind::Report, cast),
            Self::Correction(record) => record.item(Kind::Correction, cast),
            Self::Recall(record) => record.item(Kind::Recall, cast),
            Self::Consent(record) => record.item(Kind::Consent, cast),
            Self::Piece { record, attachment, index, proof, bytes } => {
                Item::Piece { record: RecordId(Digest::from(*record)), attachment: *attachment, index: *index, proof: proof.clone(), bytes: bytes.clone() }
            }
            Self::Agreement(written) => Item::Agreement(Box::new(agree(written, cast))),
            Self::Withdrawal(written) => {
                let withdrawal = Withdrawal { org: written.signer(cast).org().clone(), agreement: read("three"), at: now() };
                let signed = written.sign(&withdrawal, cast);
                if let Ok(withdrawal) = verify::<Withdrawal>(&signed.to_bytes(), &*cast.directory) {
                    let mut agreements = cast.directory.agreements().clone();
                    let _ = agreements.withdraw(&withdrawal.agreement, &withdrawal.org, withdrawal.at);
                    weigh(&agreements, 1);
                }
                Item::Withdrawal(Box::new(signed))
            }
            Self::Notice(written, state) => {
                let holder = written.signer(cast).org().clone();
                let state = match state % 4 {
                    0 => State::Held,
                    1 => State::Refused,
                    2 => State::Removed,
                    _ => State::PassedOn { to: read("se-none") },
                };
                let notice = Notice { holder, originator: cast.me.org().clone(), record: RecordId(Digest::of(b"record")), state, at: now() };
                Item::Notice(Box::new(written.sign(&notice, cast)))
            }
            Self::Revocation(written) => {
                let signer = written.signer(cast);
                let (by, fingerprint) = (signer.org().clone(), signer.public().fingerprint());
                let revocation = Revocation { org: by.clone(), by, fingerprint, reason: "stolen".to_owned(), at: now() };
                Item::Revocation(Box::new(written.sign(&revocation, cast)))
            }
            Self::Bytes(bytes) => return (ItemKind::Record, bytes.clone()),
        };
        (item.kind(), item.to_bytes())
    }
}

/// A second version of the agreement, signed; the rules of standing are asked about it when it verifies.
fn agree(written: &Written, cast: &Cast) -> Signed {
    let before = cast.directory.agreement_digest(&read("three"), 1);
    let proposed = Agreement { version: 2, supersedes: before, proposed: now().plus_days(1), ..agreement() };
    let signed = written.sign(&proposed, cast);
    if let Ok(version) = verify::<Agreement>(&signed.to_bytes(), &*cast.directory) {
        let mut agreements = cast.directory.agreements().clone();
        if agreements.insert(version.value().clone()).is_ok() {
            let _ = agreements.sign(&AgreementRef { id: version.id.clone(), version: version.version }, version.signer());
        }
        weigh(&agreements, version.version);
    }
    signed
}

fn weigh(agreements: &Agreements, version: u32) {
    for version in [1, version] {
        for at in [now(), now().plus_days(2), now().plus_days(100_000)] {
            let _ = agreements.known(&AgreementRef { id: read("three"), version }, at);
        }
    }
}

impl Record {
    fn item(&self, kind: Kind, cast: &Cast) -> Item {
        let (signed, content) = self.record(kind, cast);
        admit(&signed, cast);
        let grant = self.grant.as_ref().map(|grant| grant.record(Kind::Consent, cast));
        let terms = self.terms.as_ref().map(|written| written.sign(&agreement(), cast));
        Item::Record { signed: Box::new(signed), content, evidence: Box::new(Evidence { grant, terms, emergency: None }) }
    }

    fn record(&self, kind: Kind, cast: &Cast) -> (Signed, Salted) {
        let mut tree = content(kind, cast.me.org());
        apply(&self.content, &mut tree);
        let mut bytes = serde_json::to_vec(&tree).expect("a tree can be written");
        cut(&self.words, &mut bytes);
        let content = Salted { salt: [7; 32], bytes };
        let committed = if self.uncommitted { Salted { salt: [8; 32], bytes: Vec::new() }.reference() } else { content.reference() };
        let about = RecordId(Digest::of(b"record"));
        let mut header = Header { kind, ..header(self.statement.signer(cast).org(), committed) };
        match kind {
            Kind::Correction => (header.version, header.supersedes) = (2, Some(about)),
            Kind::Recall | Kind::Consent => header.links.push(Link { relation: Relation::Concerns, to: about }),
            _ => {}
        }
        self.twists.iter().for_each(|twist| twist.apply(&mut header));
        (self.statement.sign(&header, cast), content)
    }
}

fn content(kind: Kind, me: &OrgId) -> Value {
    match kind {
        Kind::Recall => json!({"reason": "It was wrong."}),
        Kind::Consent => serde_json::to_value(ConsentContent {
            act: ConsentAct::Grant,
            holder: read("se-two"),
            recipient: me.clone(),
            reason: "It concerns them.".to_owned(),
            expires: None,
        })
        .expect("a consent is JSON"),
        _ => json!({
            "title": "A title",
            "text": "Some words.",
            "stix": {"type": "bundle", "id": "bundle--5a1c3c06-8f4f-4d6f-9f4e-0c6a2b7d1e90", "objects": [
                {"type": "identity", "spec_version": "2.1", "id": "identity--0d4f6f4e-3f0e-4b38-8f0a-9e0b5a6c7d81"},
            ]},
        }),
    }
}

/// Asks the rules of admission about a header that verifies.
fn admit(signed: &Signed, cast: &Cast) {
    let directory = &*cast.directory;
    let Ok(header) = verify::<Header>(&signed.to_bytes(), directory) else {
        return;
    };
    let (me, sender) = (cast.me.org(), cast.peer.org());
    let decision = decide(&Admission {
        now: now(),
        me,
        sender,
        countries: Countries { originator: directory.country(&header.originator), recipient: directory.country(me) },
        record: RecordId(header.digest()),
        header: header.value(),
        named: directory.agreements().known(&header.agreement, now()),
        onward: None,
        steers_held: false,
    });
    if let Decision::Admit(_) = decision {
        let named = header.audience.contains(me) || header.originator == *me || header.kind == Kind::Recall;
        assert!(named, "without evidence nobody is admitted whom the originator did not name");
        assert!(header.kind == Kind::Recall || header.marking.unknown_code().is_none(), "a code that is not known here is not admitted");
    }
}
