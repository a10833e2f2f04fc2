//! The rules that sender and receiver share: one record on its way from one organisation to another.
//!
//! Each rule is a function of its own that adds the reasons by which it refuses and says nothing otherwise. Release
//! and admission choose which of them to ask. The numbers are those of `docs/protocol/release.md`.

use format::agreement::{Agreement, Onward, PartyRole};
use format::marking::{Caveat, Handling, Level, Tlp};
use format::record::{AgreementRef, Header, Kind, Relation};
use format::{OrgId, RecordId, Timestamp};

use crate::accord::{Accord, Known, Standing};
use crate::ground::Ground;
use crate::reason::Reason;
use crate::release::{Countries, Emergency, Grant};

/// How far ahead of the receiver's or sender's own clock a record may have been created.
const CLOCK_TOLERANCE_DAYS: u32 = 1;

/// How a record travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Returned,
    Direct,
    Relayed,
    Onward,
    /// A recall or correction of a copy, handed on by whoever handed on the copy (E3).
    Steered,
    /// The originator to somebody whom it did not name.
    None,
}

#[derive(Debug)]
pub(crate) struct Passage<'a> {
    pub(crate) now: Timestamp,
    pub(crate) sender: &'a OrgId,
    pub(crate) recipient: &'a OrgId,
    pub(crate) countries: Countries<'a>,
    pub(crate) record: RecordId,
    pub(crate) header: &'a Header,
    pub(crate) named: Option<&'a Known<'a>>,
    /// Stand in for `named` on admission, where it is not known (A3).
    pub(crate) terms: Option<&'a Agreement>,
    pub(crate) grant: Option<&'a Grant>,
    pub(crate) emergency: Option<&'a Emergency>,
    pub(crate) under: Option<&'a Known<'a>>,
    /// Whether it recalls or corrects a record that the recipient has from the sender (E3), or recalls one that it has from
    /// anybody.
    pub(crate) steers_held: bool,
}

impl<'a> Passage<'a> {
    pub(crate) fn way(&self) -> Way {
        let by_originator = *self.sender == self.header.originator;
        let steers = self.steers_held && matches!(self.header.kind, Kind::Recall | Kind::Correction);
        if *self.recipient == self.header.originator {
            Way::Returned
        } else {
            match (self.in_audience(), by_originator) {
                (true, true) => Way::Direct,
                (false, true) if steers && self.header.kind == Kind::Recall => Way::Steered,
                (false, true) => Way::None,
                (_, false) if steers => Way::Steered,
                (true, false) => Way::Relayed,
                (false, false) => Way::Onward,
            }
        }
    }

    fn in_audience(&self) -> bool {
        self.header.audience.contains(self.recipient)
    }

    /// The versions that bind, with withdrawals where they are known.
    fn accords(&self) -> impl Iterator<Item = &'a Accord> {
        self.named.into_iter().flat_map(Known::binding)
    }

    /// The versions that bind.
    fn binding(&self) -> impl Iterator<Item = &'a Agreement> {
        self.accords().map(|accord| &accord.agreement).chain(self.terms.filter(|_| self.named.is_none()))
    }

    /// R2.
    pub(crate) fn two_organisations(&self, out: &mut Vec<Reason>) {
        if self.sender == self.recipient {
            out.push(Reason::SameOrganisation { org: self.sender.clone() });
        }
    }

    /// R3.
    pub(crate) fn marking_known(&self, out: &mut Vec<Reason>) {
        out.extend(self.header.marking.unknown_code().map(|code| Reason::MarkingUnknown { code: code.to_owned() }));
    }

    /// R4.
    pub(crate) fn receipts_apart(&self, out: &mut Vec<Reason>) {
        if self.header.kind == Kind::Receipt {
            out.push(Reason::ReceiptApart);
        }
    }

    /// E1 and A4.
    pub(crate) fn concerns_a_record(&self, out: &mut Vec<Reason>) {
        if self.header.linked(Relation::Concerns).next().is_none() {
            out.push(Reason::RecallWithoutRecord);
        }
    }

    /// R5.
    pub(crate) fn in_force(&self, out: &mut Vec<Reason>) {
        match self.named {
            Some(named) => stands(named, out),
            None => out.push(Reason::AgreementUnknown { agreement: self.header.agreement.clone() }),
        }
    }

    /// R6.
    pub(crate) fn parties(&self, out: &mut Vec<Reason>) {
        let recipient = (!matches!(self.way(), Way::Onward | Way::Steered)).then_some(self.recipient);
        let originator = Some(&self.header.originator).filter(|org| *org != self.sender && Some(*org) != recipient);
        for accord in self.accords() {
            for org in [Some(self.sender), originator, recipient].into_iter().flatten() {
                is_party(accord, org, self.now, out);
            }
        }
    }

    /// R7.
    pub(crate) fn no_observer_sends(&self, out: &mut Vec<Reason>) {
        self.accords().for_each(|accord| may_send(accord, self.sender, self.now, out));
    }

    /// R8.
    pub(crate) fn kind_agreed(&self, out: &mut Vec<Reason>) {
        self.binding().for_each(|version| kind_within(version, self.header, out));
    }

    /// R9.
    pub(crate) fn below_ceiling(&self, out: &mut Vec<Reason>) {
        self.binding().for_each(|version| level_within(version, self.header, out));
    }

    /// R10.
    pub(crate) fn purpose_agreed(&self, out: &mut Vec<Reason>) {
        self.binding().for_each(|version| purpose_within(version, self.header, out));
    }

    /// R11.
    pub(crate) fn legal_basis_agreed(&self, out: &mut Vec<Reason>) {
        let basis = &self.header.legal_basis;
        let without = self.binding().filter(|version| !version.terms.legal_bases.contains(basis));
        out.extend(without.map(|version| Reason::LegalBasisNotAgreed { legal_basis: basis.clone(), agreement: name(version) }));
    }

    /// R12.
    pub(crate) fn retention_agreed(&self, out: &mut Vec<Reason>) {
        let header = self.header;
        let days = |version: &Agreement| version.terms.longest_retention_days;
        let shorter = self.binding().filter(|version| header.retain_until > header.created.plus_days(days(version)));
        out.extend(shorter.map(|version| Reason::RetainedTooLong { days: days(version), agreement: name(version) }));
        if header.created > self.now.plus_days(CLOCK_TOLERANCE_DAYS) {
            out.push(Reason::CreatedAhead { created: header.created });
        }
    }

    /// R13.
    pub(crate) fn not_expired(&self, out: &mut Vec<Reason>) {
        if self.now >= self.header.retain_until {
            out.push(Reason::Expired { since: self.header.retain_until });
        }
    }

    /// R15.
    pub(crate) fn audience(&self, out: &mut Vec<Reason>) {
        if self.way() == Way::None {
            out.push(Reason::NotInAudience { recipient: self.recipient.clone() });
        }
    }

    /// R16.
    pub(crate) fn may_go_onward(&self, out: &mut Vec<Reason>) {
        if self.in_audience() {
            return;
        }
        let Header { kind, marking, .. } = self.header;
        if !kind.carries_information() {
            out.push(Reason::OnwardKind { kind: *kind });
        }
        if marking.tlp >= Tlp::AmberStrict {
            out.push(Reason::OnwardTlp { tlp: marking.tlp.clone() });
        }
        let never = self.binding().filter(|version| version.terms.onward == Onward::Never);
        out.extend(never.map(|version| Reason::OnwardNever { agreement: name(version) }));
    }

    /// R17 and E4.
    pub(crate) fn consented(&self, out: &mut Vec<Reason>) {
        let fault = if self.needs_consent() { self.grant_fault() } else { None };
        let Some(fault) = fault.filter(|_| !self.by_emergency()) else { return };
        out.push(fault);
        if self.emergency.is_some() {
            out.push(Reason::EmergencyNotAllowed { originator: self.header.originator.clone() });
        }
    }

    /// E4: whether an emergency stands in for a grant that is needed and not there.
    pub(crate) fn by_emergency(&self) -> bool {
        let stated = self.emergency.is_some_and(|emergency| self.states(emergency));
        let rule = self.binding().map(|version| version.terms.onward).min();
        let reserved = self.header.marking.caveats.contains(&Caveat::OriginatorControl);
        self.way() == Way::Onward && stated && rule.is_some_and(|rule| rule != Onward::Never) && !reserved && self.grant_fault().is_some()
    }

    /// Whether an emergency is for exactly this, and the originator has not said no.
    pub(crate) fn states(&self, emergency: &Emergency) -> bool {
        emergency.record == self.record && emergency.holder == *self.sender && emergency.recipient == *self.recipient && !emergency.denied
    }

    pub(crate) fn needs_consent(&self) -> bool {
        let marking = &self.header.marking;
        let marked = marking.caveats.contains(&Caveat::OriginatorControl) || marking.handling.contains(&Handling::H2) || marking.tlp == Tlp::Amber;
        let insider = self.accords().all(|accord| accord.party(self.recipient, self.now));
        // Without any terms at hand nothing but consent can permit.
        let terms = self.binding().map(|version| version.terms.onward).min().is_none_or(|rule| match rule {
            Onward::Never | Onward::Consent => true,
            Onward::Within => !insider,
            Onward::Free => false,
        });
        marked || terms
    }

    pub(crate) fn grant_fault(&self) -> Option<Reason> {
        let header = self.header;
        let Some(grant) = self.grant else {
            let (originator, recipient) = (header.originator.clone(), self.recipient.clone());
            return Some(Reason::ConsentMissing { originator, recipient });
        };
        let fits = grant.by == header.originator && grant.record == self.record && grant.holder == *self.sender && grant.recipient == *self.recipient;
        if !fits {
            return Some(Reason::ConsentMismatch { originator: header.originator.clone() });
        }
        grant.expires.filter(|expires| self.now >= *expires).map(|expires| Reason::ConsentExpired { expired: expires })
    }

    /// R18.
    pub(crate) fn under_agreement(&self, out: &mut Vec<Reason>) {
        match self.under {
            Some(under) => under_allows(under, self.sender, self.recipient, self.header, self.now, out),
            None => out.push(Reason::OnwardAgreementMissing { sender: self.sender.clone(), recipient: self.recipient.clone() }),
        }
    }

    /// R19.
    pub(crate) fn national_only(&self, out: &mut Vec<Reason>) {
        let state = |code: Option<&'a str>| code.filter(|code| !["", "EU", "XX"].contains(code));
        let (from, to) = (state(self.countries.originator), state(self.countries.recipient));
        if self.header.marking.caveats.contains(&Caveat::NationalOnly) && (from.is_none() || from != to) {
            out.push(Reason::NationalOnly { recipient: self.recipient.clone() });
        }
    }

    /// R20.
    pub(crate) fn releasable(&self, out: &mut Vec<Reason>) {
        if self.header.marking.releasable_to.as_ref().is_some_and(|list| !list.contains(self.recipient)) {
            out.push(Reason::NotReleasable { recipient: self.recipient.clone() });
        }
    }

    /// What a permit for this passage rests on.
    pub(crate) fn grounds(&self) -> Vec<Ground> {
        let Header { originator, purpose, legal_basis, .. } = self.header;
        if self.header.kind == Kind::Recall {
            return vec![Ground::Recall];
        }
        let mut grounds = match self.way() {
            Way::Returned => return vec![Ground::Returned],
            Way::Direct | Way::None => vec![Ground::Direct],
            Way::Relayed => vec![Ground::Relayed(originator.clone())],
            Way::Onward => vec![self.onward_ground()],
            Way::Steered => vec![Ground::Steered(originator.clone())],
        };
        grounds.extend(self.under.filter(|_| matches!(self.way(), Way::Onward | Way::Steered)).map(|under| Ground::Under(under.accord().name())));
        grounds.extend(self.binding().map(|version| Ground::Agreement(name(version))));
        grounds.push(Ground::Lawful(purpose.clone(), legal_basis.clone()));
        grounds
    }

    fn onward_ground(&self) -> Ground {
        let agreement = || self.header.agreement.clone();
        if self.by_emergency() {
            Ground::Emergency(self.header.originator.clone())
        } else if self.needs_consent() {
            Ground::ByConsent(self.header.originator.clone(), self.grant.and_then(|grant| grant.expires))
        } else if self.binding().all(|version| version.terms.onward == Onward::Free) {
            Ground::Free(agreement())
        } else {
            Ground::Within(agreement())
        }
    }
}

/// R18 for one agreement between the two.
pub(crate) fn under_allows(under: &Known<'_>, sender: &OrgId, recipient: &OrgId, header: &Header, now: Timestamp, out: &mut Vec<Reason>) {
    stands(under, out);
    for accord in under.binding() {
        is_party(accord, sender, now, out);
        is_party(accord, recipient, now, out);
        may_send(accord, sender, now, out);
        kind_within(&accord.agreement, header, out);
        level_within(&accord.agreement, header, out);
        purpose_within(&accord.agreement, header, out);
    }
}

fn stands(known: &Known<'_>, out: &mut Vec<Reason>) {
    let agreement = known.accord().name();
    out.extend(match known.standing() {
        Standing::InForce => None,
        Standing::Proposed { missing } => Some(Reason::AgreementUnsigned { agreement, missing: missing.clone() }),
        Standing::NotYet => Some(Reason::AgreementNotYet { agreement, from: known.accord().agreement.valid_from }),
        Standing::Ended => Some(Reason::AgreementEnded { agreement }),
    });
}

fn is_party(accord: &Accord, org: &OrgId, now: Timestamp, out: &mut Vec<Reason>) {
    if accord.withdrawn.contains_key(org) {
        out.push(Reason::Withdrawn { org: org.clone(), agreement: accord.name() });
    } else if !accord.party(org, now) {
        out.push(Reason::NotAParty { org: org.clone(), agreement: accord.name() });
    }
}

fn may_send(accord: &Accord, sender: &OrgId, now: Timestamp, out: &mut Vec<Reason>) {
    if accord.role(sender, now) == Some(PartyRole::Observer) {
        out.push(Reason::ObserverSends { org: sender.clone(), agreement: accord.name() });
    }
}

fn kind_within(version: &Agreement, header: &Header, out: &mut Vec<Reason>) {
    if !version.terms.kinds.contains(&header.kind) {
        out.push(Reason::KindNotAgreed { kind: header.kind, agreement: name(version) });
    }
}

fn level_within(version: &Agreement, header: &Header, out: &mut Vec<Reason>) {
    let (given, ceiling) = (&header.marking.classification, &version.terms.ceiling);
    if given.level() > ceiling.level() || ceiling.level() == Level::Unknown {
        out.push(Reason::AboveCeiling { given: given.clone(), ceiling: ceiling.clone(), agreement: name(version) });
    }
}

fn purpose_within(version: &Agreement, header: &Header, out: &mut Vec<Reason>) {
    if !version.terms.purposes.contains(&header.purpose) {
        out.push(Reason::PurposeNotAgreed { purpose: header.purpose.clone(), agreement: name(version) });
    }
}

fn name(version: &Agreement) -> AgreementRef {
    AgreementRef { id: version.id.clone(), version: version.version }
}
