//! The rules once more, written from `docs/protocol/release.md` alone, slowly and in another shape: a flat list of
//! codes, each with the question whether it applies. It shares no code with the rules that it checks.

use format::agreement::{Agreement, Joining, Onward, Party, PartyRole};
use format::marking::{Caveat, Handling, Level, Tlp};
use format::record::{AgreementRef, Header, Kind, Relation};
use format::{OrgId, RecordId, Timestamp};
use samverkan_policy::release::{Approval, Condition, Countries, Emergency, Grant};
use samverkan_policy::{Accord, Known};

/// S7 without the signatures, and with S8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    Proposed,
    NotYet,
    InForce,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum House {
    Silent,
    Forbids,
    Fails,
}

/// A version of an agreement, as the rules and as the model see it.
pub(crate) struct Slot<'a> {
    pub(crate) name: AgreementRef,
    pub(crate) accord: Option<&'a Accord>,
    pub(crate) known: Option<Known<'a>>,
    pub(crate) bound: Option<Bound<'a>>,
    /// The same version in a world with stricter agreements, if it stands there as it does here.
    pub(crate) stricter: Option<Known<'a>>,
}

/// The versions that bind, and how the first of them stands.
pub(crate) type Bound<'a> = (Stand, Vec<&'a Accord>);

/// A release, or an arrival at `to`.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) arriving: bool,
    pub(crate) now: Timestamp,
    pub(crate) from: &'a OrgId,
    pub(crate) to: &'a OrgId,
    pub(crate) card: bool,
    pub(crate) countries: Countries<'a>,
    pub(crate) record: RecordId,
    pub(crate) header: &'a Header,
    pub(crate) condition: Condition,
    pub(crate) approval: Approval<'a>,
    pub(crate) named: Option<&'a Slot<'a>>,
    pub(crate) under: Option<&'a Slot<'a>>,
    pub(crate) grant: Option<&'a Grant>,
    pub(crate) emergency: Option<&'a Emergency>,
    pub(crate) terms: Option<&'a Agreement>,
    pub(crate) house: House,
    /// Whether the record recalls or corrects something that `to` got from `from`.
    pub(crate) about_copy: bool,
}

pub(crate) struct Facts<'a> {
    case: &'a Case<'a>,
    way: &'static str,
    named: Option<&'a Bound<'a>>,
    under: Option<&'a Bound<'a>>,
    /// Agreements that bind, terms that stand in among them.
    binding: Vec<&'a Agreement>,
}

type Applies = fn(&Facts<'_>) -> bool;

/// Every reason, and whether it applies where all rules are asked.
pub(crate) const RULES: &[(&str, Applies)] = &[
    ("recipient-unknown", |f| !f.case.arriving && !f.case.card),
    ("same-organisation", |f| f.case.from == f.case.to),
    ("marking-unknown", |f| f.strange_marking()),
    ("receipt-apart", |f| f.case.header.kind == Kind::Receipt),
    ("agreement-unknown", |f| f.named.is_none() && !f.stands_in()),
    ("agreement-unsigned", |f| f.any_stands(Stand::Proposed)),
    ("agreement-not-yet", |f| f.any_stands(Stand::NotYet)),
    ("agreement-ended", |f| f.any_stands(Stand::Ended)),
    ("not-a-party", |f| f.memberships().any(|(v, org)| !v.withdrawn.contains_key(org) && !member(v, org, f.case.now))),
    ("withdrawn", |f| f.memberships().any(|(v, org)| v.withdrawn.contains_key(org))),
    ("observer-sends", |f| {
        f.all_accords().any(|v| member(v, f.case.from, f.case.now) && entry(&v.agreement, f.case.from).unwrap().role == PartyRole::Observer)
    }),
    ("kind-not-agreed", |f| f.all_versions().any(|v| !v.terms.kinds.contains(&f.case.header.kind))),
    ("above-ceiling", |f| f.all_versions().any(|v| f.case.header.marking.classification.level() > v.terms.ceiling.level())),
    ("purpose-not-agreed", |f| f.all_versions().any(|v| !v.terms.purposes.contains(&f.case.header.purpose))),
    ("legal-basis-not-agreed", |f| f.binding.iter().any(|v| !v.terms.legal_bases.contains(&f.case.header.legal_basis))),
    ("retained-too-long", |f| f.binding.iter().any(|v| f.kept_ms() > i64::from(v.terms.longest_retention_days) * 86_400_000)),
    ("created-ahead", |f| f.case.header.created.as_ms() - f.case.now.as_ms() > 86_400_000),
    ("expired", |f| f.case.header.retain_until <= f.case.now || (!f.case.arriving && f.case.condition == Condition::Expired)),
    ("superseded", |f| !f.case.arriving && f.way != "returned" && f.case.condition == Condition::Superseded),
    ("recalled", |f| !f.case.arriving && f.case.condition == Condition::Recalled),
    ("removed", |f| !f.case.arriving && f.case.condition == Condition::Removed),
    ("not-in-audience", |f| f.way == "none"),
    ("onward-kind", |f| f.outside() && [Kind::Recall, Kind::Consent, Kind::Receipt].contains(&f.case.header.kind)),
    ("onward-tlp", |f| f.outside() && ![Tlp::Clear, Tlp::Green, Tlp::Amber].contains(&f.case.header.marking.tlp)),
    ("onward-never", |f| f.outside() && f.says(Onward::Never)),
    ("consent-missing", |f| f.lacks_grant() && f.case.grant.is_none()),
    ("consent-mismatch", |f| f.lacks_grant() && f.case.grant.is_some_and(|g| !f.right_grant(g))),
    ("consent-expired", |f| f.lacks_grant() && f.case.grant.is_some_and(|g| f.right_grant(g) && over(g, f.case.now))),
    ("emergency-not-allowed", |f| f.lacks_grant() && f.case.emergency.is_some()),
    ("onward-agreement-missing", |f| (f.way == "onward" || f.way == "steered") && f.under.is_none()),
    ("national-only", |f| f.case.header.marking.caveats.contains(&Caveat::NationalOnly) && !f.one_country()),
    ("not-releasable", |f| matches!(&f.case.header.marking.releasable_to, Some(list) if !list.contains(f.case.to))),
    ("approval-missing", |f| f.two_asked() && f.case.approval.approved_by.is_none_or(str::is_empty)),
    ("approval-unproven", |f| f.two_asked() && !f.case.approval.approved_by.is_none_or(str::is_empty) && !f.authors_known()),
    ("approval-own", |f| f.two_asked() && f.authors_known() && f.approved_by_author()),
    ("house-rule", |f| !f.case.arriving && f.case.house == House::Forbids),
    ("house-rule-error", |f| !f.case.arriving && f.case.house == House::Fails),
    ("recall-without-record", |f| f.case.header.kind == Kind::Recall && f.concerned() == 0),
];

/// The codes of all reasons that apply, as bits in the order of [`RULES`].
pub(crate) fn refusals(case: &Case<'_>) -> u64 {
    let facts = Facts::of(case);
    let asked: &dyn Fn(&str) -> bool = match (case.header.kind, facts.way, case.arriving) {
        (Kind::Recall, _, true) => &|code| code == "recall-without-record",
        (Kind::Recall, ..) => &|code| RECALL.contains(&code),
        (_, "returned", _) => &|code| HOME.contains(&code),
        _ => &|_| true,
    };
    // E1: a recall that would go onward is one outside its audience.
    let outside = if case.header.kind == Kind::Recall && facts.way == "onward" && !case.arriving { bit("not-in-audience") } else { 0 };
    let applying = RULES.iter().enumerate().filter(|(_, (code, applies))| applies(&facts) && asked(code));
    applying.fold(outside, |bits, (place, _)| bits | 1 << place)
}

/// E1.
const RECALL: &[&str] = &["recipient-unknown", "same-organisation", "marking-unknown", "not-in-audience", "recall-without-record"];
/// E2 and A5.
const HOME: &[&str] =
    &["recipient-unknown", "same-organisation", "marking-unknown", "receipt-apart", "expired", "recalled", "removed", "house-rule", "house-rule-error"];

pub(crate) fn bit(code: &str) -> u64 {
    1 << RULES.iter().position(|(known, _)| *known == code).unwrap_or_else(|| panic!("a code that the page does not know: {code}"))
}

impl<'a> Facts<'a> {
    fn of(case: &'a Case<'a>) -> Self {
        let Header { originator, audience, .. } = case.header;
        let steering = case.about_copy && [Kind::Recall, Kind::Correction].contains(&case.header.kind);
        let way = match (case.to == originator, audience.iter().any(|org| org == case.to), case.from == originator) {
            (true, _, _) => "returned",
            (_, true, true) => "direct",
            (_, _, false) if steering => "steered",
            (_, false, true) if case.about_copy && case.header.kind == Kind::Recall => "steered",
            (_, true, false) => "relayed",
            (_, false, false) => "onward",
            (_, false, true) => "none",
        };
        let under = case.under.and_then(|slot| slot.bound.as_ref()).filter(|_| way == "onward" || way == "steered");
        let mut facts = Self { case, way, named: case.named.and_then(|slot| slot.bound.as_ref()), under, binding: Vec::new() };
        facts.binding = match facts.named {
            Some((_, accords)) => accords.iter().map(|v| &v.agreement).collect(),
            None => case.terms.filter(|terms| facts.free(terms)).into_iter().collect(),
        };
        facts
    }

    fn all_accords(&self) -> impl Iterator<Item = &&'a Accord> {
        [self.named, self.under].into_iter().flatten().flat_map(|(_, accords)| accords)
    }

    fn all_versions(&self) -> impl Iterator<Item = &'a Agreement> {
        let under = self.under.iter().flat_map(|(_, accords)| accords.iter().map(|v| &v.agreement));
        self.binding.iter().copied().chain(under)
    }

    /// R6 and R18: who must be a party where.
    fn memberships(&self) -> impl Iterator<Item = (&'a Accord, &'a OrgId)> {
        let Case { from, to, header, .. } = *self.case;
        let inside = if self.way == "onward" || self.way == "steered" { [from, &header.originator, from] } else { [from, &header.originator, to] };
        let named = self.named.iter().flat_map(|(_, accords)| accords).flat_map(move |v| inside.map(|org| (*v, org)));
        let under = self.under.iter().flat_map(|(_, accords)| accords).flat_map(move |v| [from, to].map(|org| (*v, org)));
        named.chain(under)
    }

    fn any_stands(&self, stand: Stand) -> bool {
        [self.named, self.under].into_iter().flatten().any(|(found, _)| *found == stand)
    }

    fn strange_marking(&self) -> bool {
        let marking = &self.case.header.marking;
        marking.classification.level() == Level::Unknown
            || !Tlp::KNOWN.contains(&marking.tlp)
            || marking.pap.as_ref().is_some_and(|pap| !format::marking::Pap::KNOWN.contains(pap))
            || marking.handling.iter().any(|code| !Handling::KNOWN.contains(code))
            || marking.caveats.iter().any(|code| !Caveat::KNOWN.contains(code))
    }

    fn concerned(&self) -> usize {
        self.case.header.links.iter().filter(|link| link.relation == Relation::Concerns).count()
    }

    fn kept_ms(&self) -> i64 {
        self.case.header.retain_until.as_ms() - self.case.header.created.as_ms()
    }

    fn says(&self, rule: Onward) -> bool {
        self.binding.iter().any(|v| v.terms.onward == rule)
    }

    /// R16, with E3.
    fn outside(&self) -> bool {
        self.way == "onward" || (self.way == "steered" && !self.case.header.audience.contains(self.case.to))
    }

    /// R17.
    fn asks_grant(&self) -> bool {
        let marking = &self.case.header.marking;
        let inside = self.named.iter().flat_map(|(_, accords)| accords).all(|v| member(v, self.case.to, self.case.now));
        self.way == "onward"
            && (self.binding.is_empty()
                || self.says(Onward::Never)
                || self.says(Onward::Consent)
                || (self.says(Onward::Within) && !inside)
                || marking.tlp == Tlp::Amber
                || marking.caveats.contains(&Caveat::OriginatorControl)
                || marking.handling.contains(&Handling::H2))
    }

    /// R17 after E4: a grant is asked for, there is none that fits, and no emergency stands in for it.
    fn lacks_grant(&self) -> bool {
        let there = self.case.grant.is_some_and(|g| self.right_grant(g) && !over(g, self.case.now));
        let stands_in = self.said_for_this()
            && !self.binding.is_empty()
            && !self.says(Onward::Never)
            && !self.case.header.marking.caveats.contains(&Caveat::OriginatorControl);
        self.asks_grant() && !there && !stands_in
    }

    /// E4: the emergency is for this record, this sender and this recipient, and the originator has not said no.
    fn said_for_this(&self) -> bool {
        self.case.emergency.is_some_and(|said| {
            let Emergency { record, holder, recipient, denied } = said;
            !denied && (*record, holder, recipient) == (self.case.record, self.case.from, self.case.to)
        })
    }

    fn right_grant(&self, grant: &Grant) -> bool {
        (&grant.by, grant.record, &grant.holder, &grant.recipient) == (&self.case.header.originator, self.case.record, self.case.from, self.case.to)
    }

    /// A3.
    fn stands_in(&self) -> bool {
        let grant = self.case.grant.is_some_and(|g| self.right_grant(g) && !over(g, self.case.now));
        self.case.arriving && (self.way == "steered" || (self.way == "onward" && (grant || !self.binding.is_empty())))
    }

    fn free(&self, terms: &Agreement) -> bool {
        let Case { arriving, now, from, header, .. } = *self.case;
        let inside = |org| entry(terms, org).is_some_and(|p| p.from <= now && !is_over(p.until, now));
        let runs = terms.valid_from <= now && !is_over(terms.valid_until, now);
        let named = terms.id == header.agreement.id && terms.version == header.agreement.version;
        let lets = terms.terms.onward == Onward::Free || (terms.terms.onward != Onward::Never && self.said_for_this());
        let observer = entry(terms, from).is_some_and(|p| p.role == PartyRole::Observer);
        arriving && self.way == "onward" && named && runs && lets && inside(from) && inside(&header.originator) && !observer
    }

    fn one_country(&self) -> bool {
        match (self.case.countries.originator, self.case.countries.recipient) {
            (Some(one), Some(other)) => one == other && !one.is_empty() && one != "EU" && one != "XX",
            _ => false,
        }
    }

    fn two_asked(&self) -> bool {
        let informs = [Kind::Report, Kind::Lesson, Kind::Alert, Kind::Correction].contains(&self.case.header.kind);
        let own = *self.case.from == self.case.header.originator;
        !self.case.arriving && informs && own && self.binding.iter().any(|v| v.terms.four_eyes)
    }

    fn authors_known(&self) -> bool {
        !self.case.approval.drafted_by.unwrap_or("").is_empty() && !self.case.approval.submitted_by.unwrap_or("").is_empty()
    }

    fn approved_by_author(&self) -> bool {
        let by = self.case.approval.approved_by.unwrap_or("");
        !by.is_empty() && [self.case.approval.drafted_by, self.case.approval.submitted_by].contains(&Some(by))
    }
}

fn entry<'a>(agreement: &'a Agreement, org: &OrgId) -> Option<&'a Party> {
    agreement.parties.iter().find(|party| party.org == *org)
}

/// S1.
fn member(version: &Accord, org: &OrgId, now: Timestamp) -> bool {
    entry(&version.agreement, org).is_some_and(|p| p.from <= now && !is_over(p.until, now)) && !version.withdrawn.contains_key(org)
}

fn is_over(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_some_and(|until| until <= now)
}

fn over(grant: &Grant, now: Timestamp) -> bool {
    is_over(grant.expires, now)
}

/// S8 and the versions that bind.
pub(crate) fn bound<'a>(versions: &'a [Accord], version: u32, now: Timestamp) -> Option<Bound<'a>> {
    let stands = standings(versions, now);
    let place = versions.iter().position(|v| v.agreement.version == version)?;
    let last = (0..versions.len()).rev().find(|i| [Stand::InForce, Stand::Ended].contains(&stands[*i]));
    match last.filter(|last| *last > place) {
        Some(last) if stands[last] == Stand::InForce => Some((stands[place], vec![&versions[place], &versions[last]])),
        Some(_) if stands[place] == Stand::InForce => Some((Stand::Ended, vec![&versions[place]])),
        _ => Some((stands[place], vec![&versions[place]])),
    }
}

/// S3 to S7 for every version.
pub(crate) fn standings(versions: &[Accord], now: Timestamp) -> Vec<Stand> {
    let mut stands = Vec::new();
    let mut before: Option<&Accord> = None;
    for version in versions {
        let stand = stand(version, before, now);
        stands.push(stand);
        if stand != Stand::Proposed {
            before = Some(version);
        }
    }
    stands
}

fn stand(version: &Accord, before: Option<&Accord>, now: Timestamp) -> Stand {
    let agreement = &version.agreement;
    let by_chair = before.is_some_and(|before| chair_suffices(version, before, now));
    let lacks = |org: &OrgId| !version.signed.contains(org) && !version.withdrawn.contains_key(org);
    let entry_widened = |p: &Party| before.is_some_and(|b| widened(entry(&b.agreement, &p.org), p));
    let was_chair = |p: &Party| before.and_then(|b| entry(&b.agreement, &p.org)).is_some_and(|old| old.role == PartyRole::Chair);
    let unsigned = agreement.parties.iter().any(|p| lacks(&p.org) && (!by_chair || entry_widened(p) || was_chair(p)));
    if unsigned || before.is_some_and(|before| !by_chair && splits(version, before, now)) {
        return Stand::Proposed;
    }
    let stay = agreement.parties.iter().filter(|p| !version.withdrawn.contains_key(&p.org) && !is_over(p.until, now));
    match () {
        () if now < agreement.valid_from => Stand::NotYet,
        () if is_over(agreement.valid_until, now) || stay.count() <= 1 => Stand::Ended,
        () => Stand::InForce,
    }
}

/// S5.
fn chair_suffices(version: &Accord, before: &Accord, now: Timestamp) -> bool {
    let (new, old) = (&version.agreement, &before.agreement);
    let mut heard = false;
    for chair in old.parties.iter().filter(|p| p.role == PartyRole::Chair) {
        let in_office = chair.from <= new.proposed && !is_over(chair.until, new.proposed);
        if !in_office || entry(new, &chair.org).is_none_or(|p| widened(Some(chair), p)) {
            return false;
        }
        heard |= version.signed.contains(&chair.org) || !version.withdrawn.contains_key(&chair.org);
    }
    // Nobody who has not left loses the place, or any of its time.
    let end = |p: &Party| p.until.map_or(i64::MAX, Timestamp::as_ms);
    for party in old.parties.iter().filter(|p| !before.withdrawn.contains_key(&p.org) && !is_over(p.until, now)) {
        if entry(new, &party.org).is_none_or(|p| end(p) < end(party)) {
            return false;
        }
    }
    heard && old.terms.joining == Joining::Chair && (&old.title, old.form, &old.terms, old.valid_until) == (&new.title, new.form, &new.terms, new.valid_until)
}

/// S4: leaves somebody out who has not left, without more than half of the others.
fn splits(version: &Accord, before: &Accord, now: Timestamp) -> bool {
    let (mut signed, mut counted, mut out) = (0, 0, 0);
    for party in &before.agreement.parties {
        let left = before.withdrawn.contains_key(&party.org) || version.withdrawn.contains_key(&party.org) || is_over(party.until, now);
        let has_signed = version.signed.contains(&party.org);
        signed += u32::from(has_signed);
        counted += u32::from(has_signed || !left);
        out += u32::from(!left && entry(&version.agreement, &party.org).is_none());
    }
    out > 0 && signed * 2 <= counted
}

fn widened(old: Option<&Party>, new: &Party) -> bool {
    let end = |p: &Party| p.until.map_or(i64::MAX, Timestamp::as_ms);
    old.is_none_or(|old| new.role != old.role || new.from != old.from || end(new) > end(old))
}
