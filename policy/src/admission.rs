//! Admission: may this record, which came from this organisation, be taken in here, now?
//!
//! The receiver's mirror of release. It is asked about a verified record, and trusts nobody to have asked before; it
//! does not look at the content and stores nothing. The invariant: [`decide`] is the one maker of [`Admit`], and what
//! a sender may release a receiver with the same knowledge admits. Rules A1 to A5 of `docs/protocol/release.md`.

use format::agreement::{Agreement, Onward, PartyRole};
use format::record::{Header, Kind};
use format::{OrgId, RecordId, Timestamp};

use crate::accord::Known;
use crate::ground::Ground;
use crate::passage::{Passage, Way};
use crate::reason::Reason;
use crate::release::{Countries, Emergency, Grant, agreed, outside};

/// The question.
#[derive(Debug, Clone)]
pub struct Admission<'a> {
    /// The time of arrival.
    pub now: Timestamp,
    /// Who receives: this node's organisation.
    pub me: &'a OrgId,
    /// Who handed it over.
    pub sender: &'a OrgId,
    /// Countries, from the cards held here; the recipient's is our own.
    pub countries: Countries<'a>,
    /// The record's id.
    pub record: RecordId,
    /// The record's verified header.
    pub header: &'a Header,
    /// The version that the header names, if it is known here.
    pub named: Option<Known<'a>>,
    /// What came along for, or is known here of, a release outside the audience.
    pub onward: Option<Evidence<'a>>,
    /// Whether it recalls or corrects a record that is held here from the same sender (E3).
    pub steers_held: bool,
}

/// What shows that a record may come from a holder to somebody whom its originator did not name.
#[derive(Debug, Clone, Default)]
pub struct Evidence<'a> {
    /// The originator's consent, verified and not recalled.
    pub grant: Option<&'a Grant>,
    /// An emergency that the sender has stated, verified as signed by it.
    pub emergency: Option<&'a Emergency>,
    /// The named version's terms, verified as signed by the originator.
    pub terms: Option<&'a Agreement>,
    /// An agreement between the sender and us; [`crate::release::under`] finds one.
    pub under: Option<Known<'a>>,
}

/// The answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is taken in.
    Admit(Admit),
    /// It is not, for every one of these reasons.
    Refuse(Vec<Reason>),
}

/// Leave to take one record in, decided at one time.
#[derive(Debug, PartialEq, Eq)]
pub struct Admit {
    record: RecordId,
    sender: OrgId,
    decided: Timestamp,
    grounds: Vec<Ground>,
}

impl Admit {
    /// The record that may be taken in.
    #[must_use]
    pub const fn record(&self) -> RecordId {
        self.record
    }

    /// Who handed it over.
    #[must_use]
    pub const fn sender(&self) -> &OrgId {
        &self.sender
    }

    /// When it was decided.
    #[must_use]
    pub const fn decided(&self) -> Timestamp {
        self.decided
    }

    /// What it rests on, the way first.
    #[must_use]
    pub fn grounds(&self) -> &[Ground] {
        &self.grounds
    }
}

/// Decides whether the record is taken in.
#[must_use]
pub fn decide(admission: &Admission<'_>) -> Decision {
    let passage = admission.passage();
    let mut reasons = Vec::new();
    match (admission.header.kind, passage.way()) {
        (Kind::Recall, _) => passage.concerns_a_record(&mut reasons),
        (_, Way::Returned) => {
            handed_over(&passage, &mut reasons);
            passage.not_expired(&mut reasons);
        }
        (_, way) => {
            handed_over(&passage, &mut reasons);
            if !shown_otherwise(&passage, way) {
                passage.in_force(&mut reasons);
            }
            agreed(&passage, &mut reasons);
            passage.audience(&mut reasons);
            outside(&passage, way, &mut reasons);
            passage.national_only(&mut reasons);
            passage.releasable(&mut reasons);
        }
    }
    if !reasons.is_empty() {
        return Decision::Refuse(reasons);
    }
    Decision::Admit(Admit { record: admission.record, sender: admission.sender.clone(), decided: admission.now, grounds: passage.grounds() })
}

/// A1.
fn handed_over(passage: &Passage<'_>, out: &mut Vec<Reason>) {
    passage.two_organisations(out);
    passage.marking_known(out);
    passage.receipts_apart(out);
}

/// A3: whether the named version is not known here, and something stands in for it.
fn shown_otherwise(passage: &Passage<'_>, way: Way) -> bool {
    passage.named.is_none()
        && match way {
            Way::Onward => passage.terms.is_some() || passage.grant_fault().is_none(),
            Way::Steered => true,
            Way::Returned | Way::Direct | Way::Relayed | Way::None => false,
        }
}

impl<'a> Admission<'a> {
    fn passage(&'a self) -> Passage<'a> {
        let mut passage = Passage {
            now: self.now,
            sender: self.sender,
            recipient: self.me,
            countries: self.countries,
            record: self.record,
            header: self.header,
            named: self.named.as_ref().filter(|known| known.accord().is(&self.header.agreement)),
            terms: None,
            grant: self.onward.as_ref().and_then(|onward| onward.grant),
            emergency: self.onward.as_ref().and_then(|onward| onward.emergency),
            under: self.onward.as_ref().and_then(|onward| onward.under.as_ref()),
            steers_held: self.steers_held,
        };
        if passage.way() == Way::Onward && passage.named.is_none() {
            passage.terms = self.onward.as_ref().and_then(|onward| onward.terms).filter(|terms| self.shown_terms(terms, &passage));
        }
        passage
    }

    /// A3: terms of exactly the named version that let the sender pass on now, freely or in an emergency.
    fn shown_terms(&self, terms: &Agreement, passage: &Passage<'_>) -> bool {
        let emergency = passage.emergency.is_some_and(|emergency| passage.states(emergency));
        let lets = terms.terms.onward == Onward::Free || (terms.terms.onward != Onward::Never && emergency);
        let runs = terms.valid_from <= self.now && terms.valid_until.is_none_or(|until| self.now < until);
        runs && terms.id == self.header.agreement.id
            && terms.version == self.header.agreement.version
            && lets
            && terms.is_party(self.sender, self.now)
            && terms.party(self.sender).is_some_and(|party| party.role != PartyRole::Observer)
            && terms.is_party(&self.header.originator, self.now)
    }
}
