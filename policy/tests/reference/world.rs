//! Small closed worlds: four organisations, three agreements in up to three versions, and records between them, with
//! every date near the edge that it is compared with. Most values are sound, so that one thing at a time goes wrong.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use format::agreement::{Agreement, Form, Joining, Onward, Party, PartyRole, Terms, Text};
use format::marking::{Caveat, Handling, Marking, Pap, Tlp};
use format::record::{AgreementRef, ContentRef, Header, Kind, Link, Relation};
use format::{Digest, OrgId, RecordId, Timestamp};
use samverkan_policy::release::{Emergency, Grant};
use samverkan_policy::{Accord, Agreements};

const DAY: i64 = 86_400_000;
const ORGS: [&str; 4] = ["aa", "bb", "cc", "dd"];
const AGREEMENTS: [&str; 3] = ["one", "two", "three"];
const PURPOSES: [&str; 2] = ["counter-terrorism", "border"];
const BASES: [&str; 2] = ["2019:1182 2:4", "OSL 8:3"];

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) orgs: Vec<OrgId>,
    pub(crate) agreements: Agreements,
    /// The same, as the model reads it.
    pub(crate) versions: BTreeMap<String, Vec<Accord>>,
}

pub(crate) fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

/// True once in `n` times.
pub(crate) fn once_in(rng: &mut Rng, n: u32) -> bool {
    rng.u32(..n) == 0
}

/// A time just before, at, or just after `edge`.
fn near(rng: &mut Rng, edge: Timestamp) -> Timestamp {
    edge.plus_ms(rng.i64(-1..=1))
}

pub(crate) fn subset<T: Clone + Ord>(rng: &mut Rng, from: &[T], keep_out_of_8: u32) -> BTreeSet<T> {
    from.iter().filter(|_| rng.u32(..8) < keep_out_of_8).cloned().collect()
}

impl World {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let now = Timestamp::from_date("2026-11-22").unwrap();
        let orgs: Vec<OrgId> = ORGS.iter().map(|org| org.parse().unwrap()).collect();
        let mut world = Self { now, orgs, agreements: Agreements::default(), versions: BTreeMap::new() };
        for id in AGREEMENTS {
            world.agree(rng, id);
        }
        world.read_back();
        world
    }

    fn read_back(&mut self) {
        let read = |id: &&str| ((*id).to_owned(), self.agreements.versions(&id.parse().unwrap()).cloned().collect());
        self.versions = AGREEMENTS.iter().map(read).collect();
    }

    fn agree(&mut self, rng: &mut Rng, id: &str) {
        let mut agreement = first(rng, id, self.now, &self.orgs);
        for version in 1..=rng.u32(1..=3) {
            if version > 1 {
                agreement = later(rng, agreement, self.now, &self.orgs);
            }
            self.agreements.insert(agreement.clone()).unwrap();
            let named = AgreementRef { id: agreement.id.clone(), version };
            let chair_alone = version > 1 && once_in(rng, 3);
            for party in &agreement.parties {
                let signs = if chair_alone { party.role == PartyRole::Chair || once_in(rng, 2) } else { !once_in(rng, 60) };
                if signs {
                    self.agreements.sign(&named, &party.org).unwrap();
                }
            }
        }
        for org in &self.orgs {
            if once_in(rng, 20) {
                let at = near(rng, self.now.plus_ms(-100 * DAY));
                self.agreements.withdraw(&id.parse().unwrap(), org, at).unwrap();
            }
        }
    }

    pub(crate) fn header(&self, rng: &mut Rng, agreement: &AgreementRef) -> Header {
        let kind = if once_in(rng, 4) { *pick(rng, &Kind::ALL) } else { *pick(rng, &[Kind::Report, Kind::Lesson, Kind::Alert, Kind::Correction]) };
        let originator = pick(rng, &self.orgs).clone();
        let others: Vec<OrgId> = self.orgs.iter().filter(|org| **org != originator).cloned().collect();
        let created = if once_in(rng, 12) { near(rng, self.now.plus_ms(DAY)) } else { self.now.plus_ms(-rng.i64(0..20) * DAY) };
        let retain_until = match rng.u32(..12) {
            0 => near(rng, self.now),
            1 => near(rng, created.plus_days(30)),
            2 => near(rng, created.plus_days(365)),
            _ => created.plus_days(25),
        };
        let links = if once_in(rng, 5) { 0 } else { 1 + usize::from(once_in(rng, 9)) };
        Header {
            kind,
            originator,
            number: "SAPO-2026-000001".parse().unwrap(),
            version: 1,
            supersedes: None,
            agreement: agreement.clone(),
            audience: subset(rng, &others, 5).into_iter().collect(),
            marking: marking(rng, &self.orgs),
            grading: None,
            purpose: PURPOSES[usize::from(once_in(rng, 10))].parse().unwrap(),
            legal_basis: BASES[usize::from(once_in(rng, 10))].parse().unwrap(),
            categories: BTreeSet::new(),
            language: "sv".to_owned(),
            created,
            retain_until,
            links: (0..links).map(|_| Link { relation: Relation::Concerns, to: record(1) }).collect(),
            content: ContentRef { sha256: Digest::from([0; 32]), size: 1 },
            attachments: Vec::new(),
        }
    }

    /// A grant that mostly fits a record passed on by `holder` to `recipient`.
    pub(crate) fn grant(&self, rng: &mut Rng, header: &Header, holder: &OrgId, recipient: &OrgId) -> Grant {
        let other = |rng: &mut Rng, org: &OrgId| if once_in(rng, 15) { pick(rng, &self.orgs) } else { org }.clone();
        let edge = near(rng, self.now);
        Grant {
            by: other(rng, &header.originator),
            record: record(u8::from(once_in(rng, 15))),
            holder: other(rng, holder),
            recipient: other(rng, recipient),
            expires: *pick(rng, &[None, Some(self.now.plus_days(1)), Some(edge)]),
        }
    }
}

impl World {
    /// An emergency that mostly fits a record passed on by `holder` to `recipient`.
    pub(crate) fn emergency(&self, rng: &mut Rng, holder: &OrgId, recipient: &OrgId) -> Emergency {
        let other = |rng: &mut Rng, org: &OrgId| if once_in(rng, 15) { pick(rng, &self.orgs) } else { org }.clone();
        let (holder, recipient) = (other(rng, holder), other(rng, recipient));
        Emergency { record: record(u8::from(once_in(rng, 15))), holder, recipient, denied: once_in(rng, 8) }
    }
}

pub(crate) fn record(n: u8) -> RecordId {
    RecordId(Digest::from([n; 32]))
}

fn text(word: &str) -> Text {
    Text { sv: word.to_owned(), en: word.to_owned() }
}

fn first(rng: &mut Rng, id: &str, now: Timestamp, orgs: &[OrgId]) -> Agreement {
    let start = now.plus_ms(-300 * DAY);
    let mut parties: BTreeSet<_> = orgs.iter().filter(|_| !once_in(rng, 12)).cloned().collect();
    parties.extend(orgs.iter().take(2).cloned());
    let edge = near(rng, now);
    Agreement {
        id: id.parse().unwrap(),
        version: 1,
        supersedes: None,
        title: text("title"),
        form: Form::Body,
        parties: parties.into_iter().map(|org| party(rng, org, now, start)).collect(),
        terms: terms(rng),
        proposed_by: orgs[0].clone(),
        proposed: start,
        valid_from: if once_in(rng, 20) { near(rng, now) } else { start },
        valid_until: *pick(rng, &[None, None, None, Some(now.plus_days(9)), Some(now.plus_days(9)), Some(edge)]),
    }
}

fn party(rng: &mut Rng, org: OrgId, now: Timestamp, start: Timestamp) -> Party {
    let role = *pick(
        rng,
        &[
            PartyRole::Chair,
            PartyRole::Member,
            PartyRole::Member,
            PartyRole::Member,
            PartyRole::Member,
            PartyRole::Secretariat,
            PartyRole::Secretariat,
            PartyRole::Observer,
        ],
    );
    let from = if once_in(rng, 25) { near(rng, now) } else { start };
    let until = if once_in(rng, 12) { Some(near(rng, now)) } else { None };
    Party { org, role, from, until: until.filter(|until| *until > from) }
}

fn terms(rng: &mut Rng) -> Terms {
    Terms {
        kinds: Kind::ALL.into_iter().filter(|_| !once_in(rng, 15)).collect(),
        ceiling: pick(rng, &["se:h", "se:h", "se:k", "eu:restricted"]).parse().unwrap(),
        purposes: subset(rng, &PURPOSES.map(|p| p.parse().unwrap()), 7),
        legal_bases: subset(rng, &BASES.map(|b| b.parse().unwrap()), 7),
        onward: *pick(rng, &[Onward::Never, Onward::Consent, Onward::Within, Onward::Within, Onward::Free, Onward::Free]),
        longest_retention_days: *pick(rng, &[30, 365, 365]),
        joining: *pick(rng, &[Joining::All, Joining::Chair]),
        membership_confidential: false,
        four_eyes: once_in(rng, 3),
        answer_times: None,
        duties: Vec::new(),
    }
}

/// The next version: parties come, go and change; now and then the words change too.
fn later(rng: &mut Rng, before: Agreement, now: Timestamp, orgs: &[OrgId]) -> Agreement {
    let proposed = near(rng, now.plus_ms(-100 * DAY));
    let mut next = Agreement { version: before.version + 1, proposed, valid_from: before.valid_from, ..before };
    next.supersedes = Some(Digest::from([1; 32]));
    for org in orgs {
        let place = next.parties.iter().position(|p| p.org == *org);
        match (place, rng.u32(..12)) {
            (Some(place), 0) if next.parties.len() > 2 => drop(next.parties.remove(place)),
            (Some(place), 1) => next.parties[place] = party(rng, org.clone(), now, now.plus_ms(-300 * DAY)),
            (Some(place), 2) => next.parties[place].until = Some(near(rng, now)),
            (None, 0..=6) => next.parties.push(party(rng, org.clone(), now, proposed)),
            _ => {}
        }
    }
    next.parties.sort_by(|a, b| a.org.cmp(&b.org));
    match rng.u32(..12) {
        0 | 1 => next.terms = terms(rng),
        2 => next.title = text("another"),
        3 => next.valid_until = Some(near(rng, now)),
        4 => next.valid_from = near(rng, now),
        _ => {}
    }
    next
}

pub(crate) fn marking(rng: &mut Rng, orgs: &[OrgId]) -> Marking {
    let level = if once_in(rng, 8) { pick(rng, &["se:kh", "uk:secret", "nato:nc", "se:what", "eu:top-secret"]) } else { pick(rng, &["se:open", "se:bh"]) };
    let tlp =
        pick(rng, &[Tlp::Clear, Tlp::Clear, Tlp::Clear, Tlp::Green, Tlp::Green, Tlp::Green, Tlp::Green, Tlp::Amber, Tlp::Amber, Tlp::AmberStrict, Tlp::Red]);
    let mut marking = Marking::new(level.parse().unwrap(), if once_in(rng, 60) { Tlp::Unknown("ex".to_owned()) } else { tlp.clone() });
    match rng.u32(..24) {
        0 | 1 => marking.caveats.extend([Caveat::OriginatorControl]),
        2..=4 => marking.caveats.extend([Caveat::NationalOnly]),
        5 => marking.caveats.extend([Caveat::Unknown("new".to_owned())]),
        6 | 7 => marking.handling.extend([Handling::H1, Handling::H2]),
        8 => marking.handling.extend([Handling::H0, Handling::H3]),
        9 => marking.handling.extend([Handling::Unknown("h9".to_owned())]),
        10 => marking.pap = Some(Pap::Unknown("q".to_owned())),
        11 => marking.pap = Some(Pap::Red),
        12..=14 => marking.releasable_to = Some(subset(rng, orgs, 5)),
        _ => {}
    }
    marking
}
