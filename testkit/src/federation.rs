//! A federation in one thread: organisations with keys, cards and nodes on stores in memory.
//!
//! It is the ground for tests and for the simulator. Keys come from seeds, so that two runs have the same
//! organisations; members act through the same access decision as everywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use format::agreement::{Agreement, Form, Joining, Onward, Party, PartyRole, Terms, Text};
use format::card::{Card, OrgKind};
use format::id::{LegalBasis, Purpose};
use format::keys::{Seeds, SigningKeys};
use format::marking::{Classification, Marking, Tlp};
use format::record::{Kind, TextContent};
use format::seal::OpeningKey;
use format::verify;
use format::{AgreementId, Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::command::{Command, DraftInput, Outcome, Refusal};
use node::exchange::{self, Acknowledgement, Answer, Dispatch};
use node::node::Identity;
use node::objects::Fetched;
use node::ports::{Reader, Store};
use node::rows::MemberRow;
use node::vault::{SeededEntropy, Vault};
use node::{Node, Recipient};
use policy::access::{self, Access, Member, Pass, Permission, Role};
use policy::house::NoHouseRules;

/// When every federation begins.
pub const BEGINNING: &str = "2026-11-22T08:00:00.000Z";

/// The beginning as a time.
#[must_use]
pub fn beginning() -> Timestamp {
    BEGINNING.parse().unwrap_or(Timestamp::from_ms(0))
}

/// Parses an identifier that is written in code.
///
/// # Panics
/// It does not follow its grammar.
#[must_use]
#[expect(clippy::panic, reason = "identifiers in tests are written by hand")]
pub fn id<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("`{text}` does not follow its grammar"))
}

/// An organisation's keys and card, made from a seed.
#[derive(Debug)]
pub struct Organisation {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// Its signed card.
    pub card: Vec<u8>,
    /// What people compare.
    pub fingerprint: Digest,
}

impl Organisation {
    /// Makes an organisation in `country`.
    ///
    /// # Panics
    /// The seeds give no keys, which does not happen.
    #[must_use]
    #[expect(clippy::expect_used, reason = "any seed gives keys")]
    pub fn new(org: &str, short: &str, country: &str) -> Self {
        let mut drawn = 0_u64;
        let seeds = Seeds::generate(|bytes| {
            drawn += 1;
            *bytes = *Digest::of_parts(&[b"testkit", org.as_bytes(), &drawn.to_be_bytes()]).as_bytes();
        });
        let org: OrgId = id(org);
        let keys = SigningKeys::new(org.clone(), &seeds).expect("any seed gives keys");
        let opening = OpeningKey::new(&seeds.x_wing).expect("any seed gives a key");
        let card = Card {
            org: org.clone(),
            short: id(short),
            name: Text { sv: format!("{org} (exempel)"), en: format!("{org} (example)") },
            country: country.to_owned(),
            kind: OrgKind::SecurityService,
            addresses: Vec::new(),
            contact: "duty desk, all hours".to_owned(),
            keys: keys.public().texts().clone(),
            tls_key: Digest::of(org.as_str().as_bytes()),
            serial: 1,
            issued: beginning(),
            succession: None,
        };
        let card = verify::state(&card, &keys).expect("a card of one's own verifies").signed().to_bytes();
        let fingerprint = keys.public().fingerprint();
        let identity = Arc::new(Identity { short: id(short), keys, opening, next: None, further: Vec::new(), vault: Vault::new(&seeds.storage) });
        Self { identity, card, fingerprint }
    }
}

/// Members of every node: enough for four eyes and each kind of act.
pub const MEMBERS: &[(&str, &[Role])] = &[
    ("anna", &[Role::Analyst]),
    ("lena", &[Role::Liaison]),
    ("rolf", &[Role::ReleaseOfficer]),
    ("ruth", &[Role::Analyst, Role::ReleaseOfficer]),
    ("ada", &[Role::Administrator]),
    ("osk", &[Role::Auditor]),
];

/// Asks the access decision for a pass.
///
/// # Errors
/// The member may not.
pub fn pass(reader: &dyn Reader, member: &str, permission: Permission, about: Option<&RecordId>, now: Timestamp) -> Result<Pass, Refusal> {
    let not_found = || Refusal::NotFound { what: "member", name: member.to_owned() };
    let row = reader.member(member)?.ok_or_else(not_found)?;
    let record = about.map(|record| reader.record(record)).transpose()?.flatten();
    let about = record.as_ref().map(|record| access::About {
        drafted_by: &record.drafted_by,
        submitted_by: record.submitted_by.as_deref(),
        approved_by: record.approved_by.as_deref(),
        stage: record.stage,
    });
    let purpose: Purpose = id("counter-terrorism");
    let allowed_purposes = BTreeSet::from([purpose.clone()]);
    let member = Member { id: &row.id, roles: &row.roles, active: row.active };
    match access::decide(&Access { member, permission, about, purpose: Some(&purpose), allowed_purposes: &allowed_purposes, now }) {
        access::Decision::Allow(pass) => Ok(pass),
        access::Decision::Refuse(reasons) => Err(Refusal::Forbidden(reasons)),
    }
}

/// Terms under which reports about terrorism are exchanged up to secret.
#[must_use]
pub fn terms(onward: Onward) -> Terms {
    Terms {
        kinds: Kind::ALL.into_iter().filter(|kind| *kind != Kind::Receipt).collect(),
        ceiling: id("se:h"),
        purposes: BTreeSet::from([id("counter-terrorism")]),
        legal_bases: BTreeSet::from([id("2019:1182 2:4")]),
        onward,
        longest_retention_days: 365,
        joining: Joining::All,
        membership_confidential: false,
        four_eyes: true,
        answer_times: None,
        duties: Vec::new(),
    }
}

/// An agreement between `parties`, put forward by the first.
#[must_use]
pub fn agreement(name: &str, parties: &[&OrgId], onward: Onward) -> Agreement {
    let mut all: Vec<Party> =
        parties.iter().map(|org| Party { org: (*org).clone(), role: PartyRole::Member, from: beginning().plus_days(0), until: None }).collect();
    all.sort_by(|a, b| a.org.cmp(&b.org));
    Agreement {
        id: id::<AgreementId>(name),
        version: 1,
        supersedes: None,
        title: Text { sv: name.to_owned(), en: name.to_owned() },
        form: if parties.len() == 2 { Form::Bilateral } else { Form::Body },
        proposed_by: parties.first().map_or_else(|| id("nobody"), |org| (*org).clone()),
        parties: all,
        terms: terms(onward),
        proposed: beginning(),
        valid_from: beginning(),
        valid_until: None,
    }
}

/// What an analyst writes.
#[must_use]
pub fn report(agreement: &str, audience: &[&OrgId], title: &str) -> DraftInput {
    DraftInput {
        kind: Kind::Report,
        agreement: id(agreement),
        audience: audience.iter().map(|org| (*org).clone()).collect(),
        marking: Marking::new(id::<Classification>("se:k"), Tlp::Green),
        grading: Some(id("admiralty:B2")),
        purpose: id::<Purpose>("counter-terrorism"),
        legal_basis: id::<LegalBasis>("2019:1182 2:4"),
        categories: BTreeSet::new(),
        language: "en".to_owned(),
        retention_days: Some(30),
        links: Vec::new(),
        content: TextContent {
            title: title.to_owned(),
            text: format!("What is known about {title}."),
            caveat_text: None,
            attachments: Vec::new(),
            stix: None,
            reason: None,
        },
    }
}

/// A node with its first members, on a given store.
///
/// # Errors
/// The store refuses.
pub fn open<S: Store>(organisation: &Organisation, store: S, seed: u64) -> Result<Node<S>, Refusal> {
    let entropy = Box::new(SeededEntropy::new(seed, beginning()));
    let mut node = Node::open(store, Arc::clone(&organisation.identity), entropy, Arc::new(NoHouseRules))?;
    if node.state().frontier.size() == 0 {
        let now = beginning();
        let member = |name: &str, roles: &[Role]| MemberRow {
            id: name.to_owned(),
            name: name.to_owned(),
            roles: roles.iter().copied().collect(),
            active: true,
            password: String::new(),
        };
        node.set_up(organisation.card.clone(), member("ada", &[Role::Administrator]), now)?;
        for (name, roles) in MEMBERS.iter().filter(|(name, _)| *name != "ada") {
            let pass = pass(node.store(), "ada", Permission::ManageMembers, None, now)?;
            let row = member(name, roles);
            node.execute(pass, Command::AddMember { id: row.id, name: row.name, roles: row.roles, password: row.password }, now)?;
        }
        node.commit()?;
    }
    Ok(node)
}

/// One act by one member, with its own commit.
///
/// # Errors
/// The act is refused.
pub fn act<S: Store>(node: &mut Node<S>, member: &str, about: Option<&RecordId>, command: Command, now: Timestamp) -> Result<Outcome, Refusal> {
    let permission = command.permissions().first().copied().ok_or(Refusal::WrongPass)?;
    let pass = pass(node.store(), member, permission, about, now)?;
    let outcome = node.execute(pass, command, now);
    node.commit()?;
    outcome
}

/// Drafts, submits and approves; gives the approved record.
///
/// # Errors
/// A step is refused.
pub fn approved<S: Store>(node: &mut Node<S>, input: DraftInput, now: Timestamp) -> Result<(RecordId, RecordNumber), Refusal> {
    let outcome = act(node, "anna", None, Command::Draft(Box::new(input)), now)?;
    put_through(node, outcome, now)
}

/// Submits and approves what was drafted.
///
/// # Errors
/// A step is refused.
pub fn put_through<S: Store>(node: &mut Node<S>, drafted: Outcome, now: Timestamp) -> Result<(RecordId, RecordNumber), Refusal> {
    let Outcome::Drafted { number, version } = drafted else {
        return Err(Refusal::Invalid { what: "draft", why: "nothing was drafted".to_owned() });
    };
    let draft = node.store().record_by_number(&number, Some(version))?.map(|row| row.id);
    let outcome = act(node, "anna", draft.as_ref(), Command::Submit { number: number.clone(), version }, now)?;
    let Outcome::Record { record, .. } = outcome else {
        return Err(Refusal::Invalid { what: "draft", why: "nothing was submitted".to_owned() });
    };
    act(node, "rolf", Some(&record), Command::Approve { record }, now)?;
    Ok((record, number))
}

/// Releases an approved record.
///
/// # Errors
/// It is refused.
pub fn release_record<S: Store>(node: &mut Node<S>, record: RecordId, now: Timestamp) -> Result<Outcome, Refusal> {
    act(node, "rolf", Some(&record), Command::Release { record }, now)
}

/// Nodes that can reach each other at once, without a network between.
pub struct Federation<S: Store> {
    /// Nodes by organisation.
    pub nodes: BTreeMap<OrgId, Node<S>>,
    /// The time, moved by whoever plays.
    pub now: Timestamp,
}

impl<S: Store> std::fmt::Debug for Federation<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.nodes.values()).finish()
    }
}

impl<S: Store> Federation<S> {
    /// A federation in which everyone has compared everyone's fingerprint.
    ///
    /// # Errors
    /// A store refuses.
    pub fn new(organisations: &[Organisation], mut store: impl FnMut() -> S) -> Result<Self, Refusal> {
        let now = beginning();
        let mut nodes = BTreeMap::new();
        for (seed, organisation) in (1..).zip(organisations) {
            let mut node = open(organisation, store(), seed)?;
            for other in organisations.iter().filter(|other| other.fingerprint != organisation.fingerprint) {
                act(&mut node, "ada", None, Command::ImportCard { bytes: other.card.clone(), fingerprint: other.fingerprint }, now)?;
            }
            nodes.insert(organisation.identity.org().clone(), node);
        }
        Ok(Self { nodes, now })
    }

    /// The node of an organisation.
    ///
    /// # Panics
    /// There is none.
    #[expect(clippy::expect_used, reason = "tests name organisations that they made")]
    pub fn node(&mut self, org: &OrgId) -> &mut Node<S> {
        self.nodes.get_mut(org).expect("an organisation of this federation")
    }

    /// Puts an agreement forward and has every party sign it.
    ///
    /// # Errors
    /// An act is refused.
    pub fn agree(&mut self, agreement: &Agreement) -> Result<(), Refusal> {
        let now = self.now;
        act(self.node(&agreement.proposed_by), "lena", None, Command::ProposeAgreement(Box::new(agreement.clone())), now)?;
        self.settle()?;
        for party in &agreement.parties {
            if party.org != agreement.proposed_by {
                let command = Command::SignAgreement { id: agreement.id.clone(), version: agreement.version };
                act(self.node(&party.org), "rolf", None, command, now)?;
            }
        }
        self.settle()
    }

    /// Carries parcels to and fro until nothing waits any more.
    ///
    /// # Errors
    /// A node refuses, or exchange does not come to rest.
    pub fn settle(&mut self) -> Result<(), Refusal> {
        let orgs: Vec<OrgId> = self.nodes.keys().cloned().collect();
        for _ in 0..1000 {
            let mut moved = false;
            for from in &orgs {
                for to in orgs.iter().filter(|to| *to != from) {
                    moved |= self.carry(from, to)?;
                }
            }
            if !moved {
                return Ok(());
            }
        }
        Err(Refusal::Invalid { what: "exchange", why: "it does not come to rest".to_owned() })
    }

    /// Carries one parcel and its answer. Gives whether there was one.
    ///
    /// # Errors
    /// A node refuses.
    pub fn carry(&mut self, from: &OrgId, to: &OrgId) -> Result<bool, Refusal> {
        let now = self.now;
        let sender = self.node(from);
        let after = sender.state().peer(to).acknowledged;
        let dispatch = sender.dispatch(to, after, now)?;
        sender.commit()?;
        let Some(dispatch) = dispatch else {
            return Ok(false);
        };
        let envelope = seal(self.node(from), dispatch)?;
        let answer = hand_over(self.node(to), from, &envelope, now)?;
        let sender = self.node(from);
        let directory = Arc::clone(&sender.state().directory);
        let read = Acknowledgement::read(to, &answer.to_bytes(), &directory);
        let acknowledgement = read.map_err(|e| Refusal::Invalid { what: "answer", why: e.to_string() })?;
        sender.acknowledge(acknowledgement, now)?;
        sender.commit()?;
        Ok(true)
    }
}

/// Seals what was decided to leave.
///
/// # Errors
/// It cannot be put together.
pub fn seal<S: Store>(node: &Node<S>, dispatch: Dispatch) -> Result<Vec<u8>, Refusal> {
    let to = Recipient::Organisation(dispatch.peer().clone());
    let sealed = dispatch.seal(node.store(), &Fetched::default(), node.identity(), &node.state().directory);
    let released = sealed.map_err(|e| Refusal::Invalid { what: "parcel", why: e.to_string() })?;
    released.hand_to(&to).map_err(|_| Refusal::Invalid { what: "parcel", why: "it is for someone else".to_owned() })
}

/// Opens an envelope at its receiver and gives the answer.
///
/// # Errors
/// The envelope is refused whole, or the store fails.
pub fn hand_over<S: Store>(node: &mut Node<S>, from: &OrgId, envelope: &[u8], now: Timestamp) -> Result<Answer, Refusal> {
    let directory = Arc::clone(&node.state().directory);
    let inbound = exchange::open(node.identity(), &directory, from, envelope);
    let inbound = inbound.map_err(|e| Refusal::Invalid { what: "envelope", why: format!("{}: {e}", e.code()) })?;
    let answer = node.receive(inbound, now)?;
    node.commit()?;
    Ok(answer)
}
