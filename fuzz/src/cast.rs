//! Who takes part: this node, a member that may be hostile, a third organisation, and one agreement of all three.
//!
//! Keys come from fixed seeds, so that signatures in the committed corpus hold on every machine. The time is fixed as
//! well: nothing in a target reads a clock.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use format::agreement::{Agreement, Form, Joining, Onward, Party, PartyRole, Terms, Text};
use format::card::{Card, OrgKind};
use format::keys::{Seeds, SigningKeys};
use format::marking::{Marking, Tlp};
use format::merkle::Frontier;
use format::record::{AgreementRef, ContentRef, Header, Kind};
use format::seal::OpeningKey;
use format::verify::{Statement, state};
use format::{Digest, OrgId, Timestamp};
use node::Directory;
use node::node::Identity;
use node::rows::{Change, StatementKind, StatementRow};
use node::state::State;
use node::vault::Vault;

/// The organisations, in the order of their ids.
pub const ORGS: [&str; 3] = ["se-one", "se-three", "se-two"];
/// When everything happens, in milliseconds since the Unix epoch.
pub const NOW_MS: i64 = 1_795_000_000_000;

/// Everybody's keys, and what this node believes of them.
pub struct Cast {
    /// This node, `se-one`.
    pub me: Identity,
    /// The member that hands parcels over, `se-two`.
    pub peer: SigningKeys,
    /// Somebody whose statements it passes on, `se-three`.
    pub third: SigningKeys,
    /// Cards of all three, and the agreement.
    pub directory: Arc<Directory>,
    /// Each card as it was signed, in the order of [`ORGS`].
    pub cards: Vec<Vec<u8>>,
}

static CAST: LazyLock<Cast> = LazyLock::new(Cast::gather);

/// The one cast.
pub fn cast() -> &'static Cast {
    &CAST
}

/// The time at which everything happens.
pub fn now() -> Timestamp {
    Timestamp::from_ms(NOW_MS)
}

/// Reads something whose spelling is known to be good.
pub fn read<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a spelling that this crate chose")
}

fn seeds(number: u8) -> Seeds {
    let mut next = number;
    Seeds::generate(|bytes| {
        bytes.fill(next);
        next = next.wrapping_add(16);
    })
}

fn keys(org: &str, number: u8) -> SigningKeys {
    SigningKeys::new(read(org), &seeds(number)).expect("any seed gives keys")
}

impl Cast {
    fn gather() -> Self {
        let own = seeds(1);
        let me = Identity {
            short: read("ONE"),
            keys: keys("se-one", 1),
            opening: OpeningKey::new(&own.x_wing).expect("any seed gives a key"),
            next: None,
            further: Vec::new(),
            vault: Vault::new(&own.storage),
        };
        let (third, peer) = (keys("se-three", 3), keys("se-two", 2));
        let mut known = State {
            directory: Arc::default(),
            peers: BTreeMap::new(),
            frontier: Frontier::default(),
            serials: BTreeMap::new(),
            clock: now(),
            queued: BTreeMap::new(),
            recovery: None,
        };
        let everybody = [&me.keys, &third, &peer];
        let cards: Vec<Vec<u8>> = everybody.iter().map(|keys| signed(&card(keys), keys)).collect();
        for (keys, bytes) in everybody.iter().zip(&cards) {
            learn(&mut known, StatementKind::Card, keys.org(), bytes.clone());
        }
        for keys in everybody {
            learn(&mut known, StatementKind::Agreement, keys.org(), signed(&agreement(), keys));
        }
        Self { directory: known.directory, me, peer, third, cards }
    }

    /// One of the three, whatever the number.
    pub fn any(&self, number: u8) -> &SigningKeys {
        match number % 3 {
            0 => &self.peer,
            1 => &self.third,
            _ => &self.me.keys,
        }
    }
}

fn learn(known: &mut State, kind: StatementKind, org: &OrgId, bytes: Vec<u8>) {
    let row = StatementRow { kind, key: Digest::of(&bytes), org: org.clone(), about: None, bytes, at: now() };
    known.apply(&Change::Statement(row)).expect("a statement of our own");
}

/// A statement's signed bytes.
pub fn signed<T: Statement>(value: &T, keys: &SigningKeys) -> Vec<u8> {
    state(value, keys).expect("a well-formed statement").signed().to_bytes()
}

fn text(words: &str) -> Text {
    Text { sv: words.to_owned(), en: words.to_owned() }
}

fn card(keys: &SigningKeys) -> Card {
    Card {
        org: keys.org().clone(),
        short: read(&keys.org().as_str().replace("se-", "").to_uppercase()),
        name: text("An agency"),
        country: "SE".to_owned(),
        kind: OrgKind::Civil,
        addresses: vec!["node.example:7443".to_owned()],
        contact: "Desk, at all hours".to_owned(),
        keys: keys.public().texts().clone(),
        tls_key: Digest::of(keys.org().as_str().as_bytes()),
        serial: 1,
        issued: now(),
        succession: None,
    }
}

/// The agreement of all three.
pub fn agreement() -> Agreement {
    let party = |org| Party { org: read(org), role: PartyRole::Member, from: now(), until: None };
    Agreement {
        id: read("three"),
        version: 1,
        supersedes: None,
        title: text("Three agencies"),
        form: Form::WorkingGroup,
        parties: ORGS.map(party).into(),
        terms: Terms {
            kinds: Kind::ALL.into(),
            ceiling: read("se:h"),
            purposes: [read("protection")].into(),
            legal_bases: [read("2018:1177 2:1")].into(),
            onward: Onward::Consent,
            longest_retention_days: 365,
            joining: Joining::All,
            membership_confidential: false,
            four_eyes: true,
            answer_times: None,
            duties: Vec::new(),
        },
        proposed_by: read("se-one"),
        proposed: now(),
        valid_from: now(),
        valid_until: None,
    }
}

/// The header of a first version of a report from `originator` to the two others.
pub fn header(originator: &OrgId, content: ContentRef) -> Header {
    Header {
        kind: Kind::Report,
        originator: originator.clone(),
        number: read("TWO-2026-000001"),
        version: 1,
        supersedes: None,
        agreement: AgreementRef { id: read("three"), version: 1 },
        audience: ORGS.map(read::<OrgId>).into_iter().filter(|org| org != originator).collect(),
        marking: Marking::new(read("se:bh"), Tlp::Amber),
        grading: Some(read("admiralty:B2")),
        purpose: read("protection"),
        legal_basis: read("2018:1177 2:1"),
        categories: Default::default(),
        language: "sv".to_owned(),
        created: now(),
        retain_until: now().plus_days(30),
        links: Vec::new(),
        content,
        attachments: Vec::new(),
    }
}
