//! Accords: versions of agreements with who signed them and who left, and whether they are in force.
//!
//! Nothing here says what an agreement permits; that is for the rules of release and admission. The invariant is that
//! nobody gains anything by their own word alone: who must sign a version follows from the version before it, a
//! withdrawal ends a membership whatever the dates say, and an older version never comes back into force because a
//! newer one lapsed. The rules S1 to S8 are in `docs/protocol/release.md`.

use std::collections::{BTreeMap, BTreeSet};

use format::agreement::{Agreement, Joining, Party, PartyRole};
use format::record::AgreementRef;
use format::{AgreementId, OrgId, Timestamp};

/// A version of an agreement, who signed it, and who has left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accord {
    /// What the parties sign.
    pub agreement: Agreement,
    /// Who has signed.
    pub signed: BTreeSet<OrgId>,
    /// Who has withdrawn, and when they said so.
    pub withdrawn: BTreeMap<OrgId, Timestamp>,
}

/// How a version of an agreement stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Signatures are missing.
    Proposed {
        /// Whose.
        missing: BTreeSet<OrgId>,
    },
    /// Signed; its first day has not come.
    NotYet,
    /// It holds.
    InForce,
    /// It held once, and no longer.
    Ended,
}

impl Accord {
    /// A version that nobody has signed yet.
    #[must_use]
    pub const fn new(agreement: Agreement) -> Self {
        Self { agreement, signed: BTreeSet::new(), withdrawn: BTreeMap::new() }
    }

    /// The version by name.
    #[must_use]
    pub fn name(&self) -> AgreementRef {
        AgreementRef { id: self.agreement.id.clone(), version: self.agreement.version }
    }

    /// Whether `named` names this version.
    #[must_use]
    pub fn is(&self, named: &AgreementRef) -> bool {
        self.agreement.id == named.id && self.agreement.version == named.version
    }

    /// How this version stands (S7), judged by the newest earlier version that has its signatures.
    #[must_use]
    pub fn standing(&self, before: Option<&Self>, now: Timestamp) -> Standing {
        let missing = self.missing(before, now);
        if !missing.is_empty() {
            Standing::Proposed { missing }
        } else if now < self.agreement.valid_from {
            Standing::NotYet
        } else if self.agreement.valid_until.is_some_and(|until| until <= now) || self.left(now).count() < 2 {
            Standing::Ended
        } else {
            Standing::InForce
        }
    }

    /// Whether `org` is a party at `now`, by dates and without having withdrawn (S1, S2).
    #[must_use]
    pub fn party(&self, org: &OrgId, now: Timestamp) -> bool {
        !self.withdrawn.contains_key(org) && self.agreement.is_party(org, now)
    }

    /// The part that `org` has at `now`, if it is a party then.
    #[must_use]
    pub fn role(&self, org: &OrgId, now: Timestamp) -> Option<PartyRole> {
        self.agreement.party(org).filter(|_| self.party(org, now)).map(|party| party.role)
    }

    /// The parties that have not left by themselves, by withdrawal or by date.
    fn left(&self, now: Timestamp) -> impl Iterator<Item = &OrgId> {
        let stays = move |party: &&Party| !self.withdrawn.contains_key(&party.org) && party.until.is_none_or(|until| now < until);
        self.agreement.parties.iter().filter(stays).map(|party| &party.org)
    }

    fn missing(&self, before: Option<&Self>, now: Timestamp) -> BTreeSet<OrgId> {
        let mut needed = match before {
            Some(before) => self.needed_by_chair(before, now).unwrap_or_else(|| self.needed_from_all(Some(before), now)),
            None => self.needed_from_all(None, now),
        };
        needed.retain(|org| !self.signed.contains(org) && !self.withdrawn.contains_key(org));
        needed
    }

    /// S4: every party signs, and a part of the parties can't continue without the rest unless it is the larger part.
    fn needed_from_all(&self, before: Option<&Self>, now: Timestamp) -> BTreeSet<OrgId> {
        let mut needed: BTreeSet<OrgId> = self.agreement.parties.iter().map(|party| party.org.clone()).collect();
        let Some(before) = before else { return needed };
        let left_out: Vec<&OrgId> = before.left(now).filter(|org| self.agreement.party(org).is_none()).collect();
        // WHY: whoever is in the version signs it or keeps it from holding, so only those left out are counted as silent.
        let signs = |org: &OrgId| self.signed.contains(org) || (self.agreement.party(org).is_some() && !self.withdrawn.contains_key(org));
        let signers = before.agreement.parties.iter().filter(|party| signs(&party.org)).count();
        let silent = before.left(now).filter(|org| !signs(org) && !self.withdrawn.contains_key(*org)).count();
        if !left_out.is_empty() && signers <= silent {
            needed.extend(left_out.into_iter().cloned());
        }
        needed
    }

    /// S5: the chair admits parties, where the version before says so and nothing else changes. It expels nobody.
    fn needed_by_chair(&self, before: &Self, now: Timestamp) -> Option<BTreeSet<OrgId>> {
        let (old, new) = (&before.agreement, &self.agreement);
        let same = old.title == new.title && old.form == new.form && old.terms == new.terms && old.valid_until == new.valid_until;
        let chairs: Vec<&OrgId> = old.parties.iter().filter(|party| party.role == PartyRole::Chair).map(|party| &party.org).collect();
        let widened = |org: &OrgId| new.party(org).is_none_or(|party| widens(old.party(org), party));
        let sound = chairs.iter().all(|chair| old.is_party(chair, new.proposed) && !widened(chair));
        let heard = chairs.iter().any(|chair| self.signed.contains(*chair) || !self.withdrawn.contains_key(*chair));
        let spared = before.left(now).all(|org| new.party(org).is_some_and(|party| !shortens(old.party(org), party)));
        if !same || old.terms.joining != Joining::Chair || !sound || !heard || !spared {
            return None;
        }
        let changed = new.parties.iter().filter(|party| widens(old.party(&party.org), party)).map(|party| &party.org);
        Some(chairs.into_iter().chain(changed).cloned().collect())
    }
}

/// Whether a party's entry gives it more, or another part, than its entry before.
fn widens(before: Option<&Party>, party: &Party) -> bool {
    before.is_none_or(|old| old.role != party.role || old.from != party.from || ends_later(old.until, party.until))
}

/// Whether a party's entry ends sooner than its entry before.
fn shortens(before: Option<&Party>, party: &Party) -> bool {
    before.is_some_and(|old| ends_later(party.until, old.until))
}

/// Whether `new` ends later than `old`; none is no end.
fn ends_later(old: Option<Timestamp>, new: Option<Timestamp>) -> bool {
    old.is_some_and(|old| new.is_none_or(|new| new > old))
}

/// A version as [`Agreements`] knows it: with its standing, and the newer version in force if there is one.
///
/// Only [`Agreements`] makes it, so that no decision rests on a standing that somebody stated.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    accord: &'a Accord,
    standing: Standing,
    newer: Option<&'a Accord>,
}

impl<'a> Known<'a> {
    /// The version.
    #[must_use]
    pub const fn accord(&self) -> &'a Accord {
        self.accord
    }

    /// How it stands.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The newest version of the same agreement that is in force, if that is another.
    #[must_use]
    pub const fn newer(&self) -> Option<&'a Accord> {
        self.newer
    }

    /// The versions that bind: this one and the newer one.
    pub fn binding(&self) -> impl Iterator<Item = &'a Accord> + use<'a> {
        std::iter::once(self.accord).chain(self.newer)
    }
}

/// Every agreement that is known here, in every version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreements(BTreeMap<AgreementId, History>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct History {
    versions: BTreeMap<u32, Accord>,
    withdrawals: BTreeMap<OrgId, Timestamp>,
}

/// A statement about agreements did not fit with what is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccordError {
    /// The version is known here with other words.
    #[error("version {} of `{}` is already known here in other words", .0.version, .0.id)]
    Differs(AgreementRef),
    /// An earlier version is needed first.
    #[error("version {} of `{}` cannot be taken in before the version that it supersedes", .0.version, .0.id)]
    Gap(AgreementRef),
    /// The version is not known here.
    #[error("version {} of `{}` is not known here", .0.version, .0.id)]
    UnknownVersion(AgreementRef),
    /// No version of the agreement is known here.
    #[error("the agreement `{0}` is not known here")]
    UnknownAgreement(AgreementId),
    /// Only parties sign.
    #[error("`{org}` is not a party in version {} of `{}`", .named.version, .named.id)]
    NotParty {
        /// Who would sign.
        org: OrgId,
        /// What.
        named: AgreementRef,
    },
}

impl Agreements {
    /// A version, if it is known here.
    #[must_use]
    pub fn get(&self, id: &AgreementId, version: u32) -> Option<&Accord> {
        self.0.get(id)?.versions.get(&version)
    }

    /// A version with its standing at `now`.
    #[must_use]
    pub fn known(&self, named: &AgreementRef, now: Timestamp) -> Option<Known<'_>> {
        let standings = self.0.get(&named.id)?.standings(now);
        let (accord, standing) = standings.iter().find(|(accord, _)| accord.agreement.version == named.version)?;
        let newest = newest_begun(&standings).filter(|(newest, _)| newest.agreement.version > named.version);
        Some(match newest {
            Some((newest, Standing::InForce)) => Known { accord, standing: standing.clone(), newer: Some(newest) },
            Some(_) if *standing == Standing::InForce => Known { accord, standing: Standing::Ended, newer: None },
            _ => Known { accord, standing: standing.clone(), newer: None },
        })
    }

    /// The newest version that has begun, if it is in force.
    #[must_use]
    pub fn current(&self, id: &AgreementId, now: Timestamp) -> Option<Known<'_>> {
        let standings = self.0.get(id)?.standings(now);
        newest_begun(&standings).filter(|(_, standing)| *standing == Standing::InForce).map(|(accord, standing)| Known { accord, standing, newer: None })
    }

    /// The agreements in force in which both are parties now, ordered by id.
    pub fn shared<'a>(&'a self, one: &'a OrgId, other: &'a OrgId, now: Timestamp) -> impl Iterator<Item = Known<'a>> {
        let current = self.0.keys().filter_map(move |id| self.current(id, now));
        current.filter(move |known| known.accord.party(one, now) && known.accord.party(other, now))
    }

    /// Every agreement's id, in order.
    pub fn ids(&self) -> impl Iterator<Item = &AgreementId> {
        self.0.keys()
    }

    /// Every version of an agreement, oldest first.
    pub fn versions(&self, id: &AgreementId) -> impl Iterator<Item = &Accord> {
        self.0.get(id).into_iter().flat_map(|history| history.versions.values())
    }

    /// The time that a withdrawal made at `now` must bear, so that no version known here can be taken to undo it.
    #[must_use]
    pub fn withdrawal_time(&self, id: &AgreementId, now: Timestamp) -> Timestamp {
        self.versions(id).map(|accord| accord.agreement.proposed).fold(now, Timestamp::max)
    }

    /// Takes in a version. The caller has checked that `supersedes` is the digest of an earlier one.
    ///
    /// # Errors
    /// Known already in other words, or no earlier version is known.
    pub fn insert(&mut self, agreement: Agreement) -> Result<(), AccordError> {
        let accord = Accord::new(agreement);
        let AgreementRef { id, version } = accord.name();
        match self.get(&id, version) {
            Some(known) if known.agreement == accord.agreement => return Ok(()),
            Some(_) => return Err(AccordError::Differs(accord.name())),
            None => {}
        }
        if version != 1 && self.versions(&id).next().is_none_or(|first| first.agreement.version >= version) {
            return Err(AccordError::Gap(accord.name()));
        }
        let history = self.0.entry(id).or_default();
        history.versions.insert(version, accord);
        history.apply_withdrawals();
        Ok(())
    }

    /// Notes a party's signature on a version.
    ///
    /// # Errors
    /// The version is not known, or the signer is not a party in it.
    pub fn sign(&mut self, named: &AgreementRef, org: &OrgId) -> Result<(), AccordError> {
        let unknown = || AccordError::UnknownVersion(named.clone());
        let history = self.0.get_mut(&named.id).ok_or_else(unknown)?;
        let accord = history.versions.get_mut(&named.version).ok_or_else(unknown)?;
        if accord.agreement.party(org).is_none() {
            return Err(AccordError::NotParty { org: org.clone(), named: named.clone() });
        }
        accord.signed.insert(org.clone());
        history.apply_withdrawals();
        Ok(())
    }

    /// Notes that an organisation has left an agreement, in every version (S2).
    ///
    /// # Errors
    /// The agreement is not known.
    pub fn withdraw(&mut self, id: &AgreementId, org: &OrgId, at: Timestamp) -> Result<(), AccordError> {
        let history = self.0.get_mut(id).ok_or_else(|| AccordError::UnknownAgreement(id.clone()))?;
        let known = history.withdrawals.entry(org.clone()).or_insert(at);
        *known = at.max(*known);
        history.apply_withdrawals();
        Ok(())
    }
}

impl History {
    /// Every version with its standing, oldest first; each is judged by the last one before it that has its signatures.
    fn standings(&self, now: Timestamp) -> Vec<(&Accord, Standing)> {
        let mut before: Option<&Accord> = None;
        let judge = |accord| {
            let standing = Accord::standing(accord, before, now);
            if !matches!(standing, Standing::Proposed { .. }) {
                before = Some(accord);
            }
            (accord, standing)
        };
        self.versions.values().map(judge).collect()
    }

    /// S2, whatever the order in which versions, signatures and withdrawals became known.
    fn apply_withdrawals(&mut self) {
        for accord in self.versions.values_mut() {
            let Accord { agreement, signed, withdrawn } = accord;
            let gone = |(org, at): &(&OrgId, &Timestamp)| agreement.party(org).is_some() && !(signed.contains(*org) && agreement.proposed > **at);
            *withdrawn = self.withdrawals.iter().filter(gone).map(|(org, at)| (org.clone(), *at)).collect();
        }
    }
}

/// The newest version that has its signatures and whose first day has come (S8).
fn newest_begun<'a>(standings: &[(&'a Accord, Standing)]) -> Option<(&'a Accord, Standing)> {
    standings.iter().rev().find(|(_, standing)| matches!(standing, Standing::InForce | Standing::Ended)).cloned()
}

#[cfg(test)]
mod tests;
