//! The rules in a few plain lines, written from `docs/protocol/release.md` and not from the code that decides.
//!
//! They are an upper bound: what they forbid must not happen, and what they permit may still be forbidden for a reason
//! that the simulation does not know. They take their facts from the chronicle. Only what generated worlds contain is
//! covered: agreements that every party signs, later versions that leave somebody out, and no house rules.

use format::agreement::{Onward, PartyRole};
use format::marking::{Caveat, Handling, Level, Tlp};
use format::record::{Header, Kind, Relation};
use format::{OrgId, RecordId, Timestamp};

use crate::chronicle::{Chronicle, Knowledge, KnownAgreement};

/// One record on its way from one organisation to another.
#[derive(Debug)]
pub struct Passage<'a> {
    /// What truly happened.
    pub chronicle: &'a Chronicle,
    /// What the one who decides knows.
    pub knows: &'a Knowledge,
    /// From whom.
    pub from: &'a OrgId,
    /// To whom.
    pub to: &'a OrgId,
    /// What.
    pub record: RecordId,
    /// Its header.
    pub header: &'a Header,
    /// When.
    pub now: Timestamp,
    /// Whether the receiver decides rather than the sender.
    pub arriving: bool,
    /// Whether the originator's own signature on free terms came along.
    pub free_terms: bool,
}

type Ruling = Result<(), String>;

fn forbid(why: impl Into<String>) -> Ruling {
    Err(why.into())
}

impl Passage<'_> {
    /// Whether it may be.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn permitted(&self) -> Ruling {
        let header = self.header;
        let by_originator = header.originator == *self.from;
        let named = header.audience.contains(self.to);
        let steered = (header.kind == Kind::Recall || !by_originator) && self.follows_a_copy();
        if *self.to == header.originator {
            return self.stands(true);
        }
        if header.kind == Kind::Recall {
            // A receiver takes a recall from anyone: it is its originator's own word.
            return if named || steered || self.arriving { Ok(()) } else { forbid("a recall for somebody whom it does not concern") };
        }
        if by_originator && !named {
            return forbid("the originator sends to somebody outside the audience");
        }
        let onward = !by_originator && !named && !steered;
        self.stands(false)?;
        self.agreed(named && !steered, onward || steered)?;
        if !by_originator && !named {
            self.outside(onward)?;
        }
        self.marked()
    }

    /// Whether it corrects something that the sender gave the recipient, or recalls something that anybody gave it.
    fn follows_a_copy(&self) -> bool {
        let concerned: Vec<RecordId> = match self.header.kind {
            Kind::Recall => self.header.linked(Relation::Concerns).collect(),
            Kind::Correction => self.header.supersedes.into_iter().collect(),
            _ => return false,
        };
        let Some(from) = self.chronicle.place(self.from) else { return false };
        // A later version follows every earlier one.
        let number = |record: &RecordId| self.chronicle.headers.get(record).map(|header| header.number.clone());
        let numbers: Vec<_> = concerned.iter().filter_map(number).collect();
        let same = |record: &RecordId| concerned.contains(record) || number(record).is_some_and(|number| numbers.contains(&number));
        let recalls = self.header.kind == Kind::Recall;
        let givers = (0..self.chronicle.sites.len()).filter(|giver| recalls || *giver == from);
        givers.flat_map(|giver| &self.chronicle.at(giver).queued).any(|(record, to)| to == self.to && same(record))
    }

    fn stands(&self, home: bool) -> Ruling {
        if self.now >= self.header.retain_until {
            return forbid("its retention has ended");
        }
        if self.knows.recalled.contains(&self.record) {
            return forbid("it is recalled");
        }
        let newest = self.knows.newest.get(&self.header.number).copied().unwrap_or(0);
        if !home && !self.arriving && self.header.kind.carries_information() && newest > self.header.version {
            return forbid("a newer version is known");
        }
        Ok(())
    }

    /// The agreement that the header names, as far as the one who decides must know it.
    fn agreed(&self, recipient_is_party: bool, may_be_unknown: bool) -> Ruling {
        let header = self.header;
        let name = (header.agreement.id.clone(), header.agreement.version);
        let Some(known) = self.knows.agreements.get(&name) else {
            return if self.arriving && may_be_unknown { Ok(()) } else { forbid("its agreement is not known") };
        };
        self.in_force(known)?;
        let later = self.later(known);
        for version in [Some(known), later].into_iter().flatten() {
            self.party(version, self.from)?;
            self.party(version, &header.originator)?;
            if recipient_is_party {
                self.party(version, self.to)?;
            }
            self.within(version)?;
        }
        let terms = &known.agreement.terms;
        if !terms.legal_bases.contains(&header.legal_basis) {
            return forbid("its legal basis is not agreed");
        }
        if header.retain_until > header.created.plus_days(terms.longest_retention_days) || header.created > self.now.plus_days(1) {
            return forbid("it is kept too long");
        }
        Ok(())
    }

    /// The newest later version that holds: its parties have signed, more than half of those before it among them.
    fn later(&self, known: &KnownAgreement) -> Option<&KnownAgreement> {
        let mut settled: Option<&KnownAgreement> = None;
        for version in self.knows.agreements.values().filter(|version| version.agreement.id == known.agreement.id) {
            let all = version.agreement.parties.iter().all(|party| version.signed.contains(&party.org) || self.left(version, &party.org));
            let majority = settled.is_none_or(|before| {
                let stays: Vec<&OrgId> = before.agreement.parties.iter().map(|party| &party.org).filter(|org| !self.left(before, org)).collect();
                let out = stays.iter().any(|org| version.agreement.party(org).is_none());
                let signed = before.agreement.parties.iter().filter(|party| version.signed.contains(&party.org)).count();
                let silent = stays.iter().filter(|org| !version.signed.contains(**org) && !self.left(version, org)).count();
                !out || signed > silent
            });
            if all && majority {
                settled = Some(version);
            }
        }
        settled.filter(|version| version.agreement.version > known.agreement.version && version.agreement.valid_from <= self.now)
    }

    /// Whether a party has withdrawn, and not signed this version since.
    fn left(&self, known: &KnownAgreement, org: &OrgId) -> bool {
        let said = self.knows.withdrawn.get(&(known.agreement.id.clone(), org.clone()));
        said.is_some_and(|said| !(known.signed.contains(org) && known.agreement.proposed > *said))
    }

    fn in_force(&self, known: &KnownAgreement) -> Ruling {
        let agreement = &known.agreement;
        let left = |org: &OrgId| self.left(known, org);
        if agreement.parties.iter().any(|party| !known.signed.contains(&party.org) && !left(&party.org)) {
            return forbid("its agreement is not signed by all");
        }
        if agreement.parties.iter().filter(|party| !left(&party.org)).count() < 2 {
            return forbid("its agreement has fewer than two parties left");
        }
        if self.now < agreement.valid_from || agreement.valid_until.is_some_and(|until| until <= self.now) {
            return forbid("its agreement is not in force");
        }
        Ok(())
    }

    /// Whether `org` is a party, as far as the one who decides knows.
    #[must_use]
    pub fn is_party(&self, org: &OrgId) -> bool {
        let name = (self.header.agreement.id.clone(), self.header.agreement.version);
        let known = self.knows.agreements.get(&name);
        known.is_some_and(|known| [Some(known), self.later(known)].into_iter().flatten().all(|version| self.party(version, org).is_ok()))
    }

    fn party(&self, known: &KnownAgreement, org: &OrgId) -> Ruling {
        let agreement = &known.agreement;
        let Some(party) = agreement.parties.iter().find(|party| party.org == *org) else {
            return forbid(format!("{org} is no party to {}", agreement.id));
        };
        if self.left(known, org) {
            return forbid(format!("{org} has withdrawn from {}", agreement.id));
        }
        if party.role == PartyRole::Observer && org == self.from {
            return forbid("an observer sends");
        }
        Ok(())
    }

    fn within(&self, known: &KnownAgreement) -> Ruling {
        let (terms, header) = (&known.agreement.terms, self.header);
        if !terms.kinds.contains(&header.kind) {
            return forbid("its kind is not agreed");
        }
        let (given, ceiling) = (header.marking.classification.level(), terms.ceiling.level());
        if given > ceiling || ceiling == Level::Unknown {
            return forbid("it is above the ceiling");
        }
        if !terms.purposes.contains(&header.purpose) {
            return forbid("its purpose is not agreed");
        }
        Ok(())
    }

    /// Outside the audience, from another than the originator.
    fn outside(&self, onward: bool) -> Ruling {
        let header = self.header;
        if !header.kind.carries_information() || matches!(header.marking.tlp, Tlp::AmberStrict | Tlp::Red) {
            return forbid("this is never passed on");
        }
        let name = (header.agreement.id.clone(), header.agreement.version);
        let known = self.knows.agreements.get(&name);
        let rule = known.map(|known| known.agreement.terms.onward);
        if rule == Some(Onward::Never) {
            return forbid("its agreement says never");
        }
        let marked =
            header.marking.caveats.contains(&Caveat::OriginatorControl) || header.marking.handling.contains(&Handling::H2) || header.marking.tlp == Tlp::Amber;
        let asks = match rule {
            Some(Onward::Free) => false,
            Some(Onward::Within) => {
                known.is_some_and(|known| [Some(known), self.later(known)].into_iter().flatten().any(|version| self.party(version, self.to).is_err()))
            }
            Some(Onward::Never | Onward::Consent) => true,
            None => !self.free_terms,
        };
        if onward && (marked || asks) && !self.consented() {
            return forbid("its originator has not consented");
        }
        let shared = self.knows.agreements.values().any(|known| {
            let allowed = if self.later(known).is_some() { forbid("a later version holds") } else { self.in_force(known) };
            let allowed = allowed.and_then(|()| self.party(known, self.from)).and_then(|()| self.party(known, self.to));
            allowed.and_then(|()| self.within(known)).is_ok()
        });
        if shared { Ok(()) } else { forbid("the two have no agreement of their own that covers it") }
    }

    /// Whether anywhere there is a grant that fits: the holder has it, and shows it to the receiver.
    fn consented(&self) -> bool {
        let holder = self.chronicle.place(self.from);
        let grants = holder.map(|place| self.chronicle.at(place).knows.grants.as_slice()).unwrap_or_default();
        grants.iter().any(|grant| {
            grant.record == self.record
                && grant.by == self.header.originator
                && grant.holder == *self.from
                && grant.recipient == *self.to
                && grant.expires.is_none_or(|expires| self.now < expires)
        })
    }

    fn marked(&self) -> Ruling {
        let marking = &self.header.marking;
        if marking.caveats.contains(&Caveat::NationalOnly) {
            let (origin, end) = (self.chronicle.country(&self.header.originator), self.chronicle.country(self.to));
            if origin != end || origin == Some("EU") {
                return forbid("it is national only");
            }
        }
        if marking.releasable_to.as_ref().is_some_and(|list| !list.contains(self.to)) {
            return forbid("it is not releasable to the recipient");
        }
        Ok(())
    }
}
