//! The example federation as it is shipped: organisations and agreements, read from `data/federation.toml`.
//!
//! The file is data with a date. A demonstration plays a part of it: the organisations that run, and of each agreement
//! the parties among them. Nothing in it is known to any other part of the program.

use std::collections::BTreeSet;

use format::agreement::{Agreement, AnswerTimes, Duty, Form, Joining, Onward, Party, PartyRole, Terms, Text};
use format::card::OrgKind;
use format::id::{AgreementId, LegalBasis, OrgId, Purpose, ShortName};
use format::marking::Classification;
use format::record::Kind;
use format::{Statement as _, Timestamp};
use serde::Deserialize;

use crate::failure::{Failure, Outcome};

const FEDERATION: &str = include_str!("../../data/federation.toml");

/// The example federation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Example {
    /// For which day it was put together.
    pub(super) as_of: String,
    pub(super) organisation: Vec<Organisation>,
    pub(super) agreement: Vec<Draft>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Organisation {
    pub(super) id: OrgId,
    pub(super) short: ShortName,
    pub(super) country: String,
    pub(super) kind: OrgKind,
    pub(super) name: Text,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    note: Option<String>,
    demo: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    pub(super) id: AgreementId,
    version: u32,
    form: Form,
    title: Text,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    note: Option<String>,
    valid_from: String,
    #[serde(default)]
    valid_until: Option<String>,
    party: Vec<DraftParty>,
    terms: DraftTerms,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftParty {
    org: OrgId,
    role: PartyRole,
    from: String,
    #[serde(default)]
    until: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftTerms {
    kinds: BTreeSet<Kind>,
    ceiling: Classification,
    purposes: BTreeSet<Purpose>,
    legal_bases: BTreeSet<LegalBasis>,
    onward: Onward,
    longest_retention_days: u32,
    joining: Joining,
    membership_confidential: bool,
    four_eyes: bool,
    #[serde(default)]
    answer_times: Option<AnswerTimes>,
    #[serde(default)]
    duty: Vec<DraftDuty>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftDuty {
    id: AgreementId,
    text: Text,
    #[serde(default)]
    within_hours: Option<u32>,
    #[serde(default)]
    unconfirmed: bool,
}

impl Example {
    /// Reads the shipped file.
    pub(super) fn shipped() -> Outcome<Self> {
        toml::from_str(FEDERATION).map_err(|error| Failure::usage(format!("the example federation cannot be read: {error}")))
    }

    /// The first `count` organisations in the order of the demonstration.
    pub(super) fn first(&self, count: usize) -> Vec<Organisation> {
        let mut all = self.organisation.clone();
        all.sort_by_key(|organisation| organisation.demo);
        all.truncate(count);
        all
    }

    /// The agreements as far as these organisations are parties of them, put forward at `now`.
    ///
    /// What is left of an agreement with fewer than two of them is left out, and so is one that has ended.
    pub(super) fn agreements(&self, present: &BTreeSet<OrgId>, now: Timestamp) -> Outcome<Vec<Agreement>> {
        let drafts = self.agreement.iter().map(|draft| draft.between(present, now));
        drafts.filter_map(Result::transpose).collect()
    }
}

impl Draft {
    fn between(&self, present: &BTreeSet<OrgId>, now: Timestamp) -> Outcome<Option<Agreement>> {
        let fault = |why: &dyn std::fmt::Display| Failure::usage(format!("the agreement {} of the example federation cannot be used: {why}", self.id));
        let date = |text: &str| Timestamp::from_date(text).map_err(|error| fault(&error));
        let mut parties = Vec::new();
        for party in self.party.iter().filter(|party| present.contains(&party.org)) {
            let until = party.until.as_deref().map(date).transpose()?;
            parties.push(Party { org: party.org.clone(), role: party.role, from: date(&party.from)?, until });
        }
        parties.sort_by(|a, b| a.org.cmp(&b.org));
        let valid_until = self.valid_until.as_deref().map(date).transpose()?;
        let speaks = parties.iter().filter(|party| party.role != PartyRole::Observer && party.until.is_none_or(|until| now < until));
        let Some(proposed_by) = speaks.min_by_key(|party| (party.role, party.org.as_str() != "se-sapo")).map(|party| party.org.clone()) else {
            return Ok(None);
        };
        if parties.len() < 2 || valid_until.is_some_and(|until| until <= now) {
            return Ok(None);
        }
        let agreement = Agreement {
            id: self.id.clone(),
            version: self.version,
            supersedes: None,
            title: self.title.clone(),
            form: self.form,
            parties,
            terms: self.terms.read(),
            proposed_by,
            proposed: now,
            valid_from: date(&self.valid_from)?,
            valid_until,
        };
        agreement.check().map_err(|error| fault(&error))?;
        Ok(Some(agreement))
    }
}

impl DraftTerms {
    fn read(&self) -> Terms {
        Terms {
            kinds: self.kinds.clone(),
            ceiling: self.ceiling.clone(),
            purposes: self.purposes.clone(),
            legal_bases: self.legal_bases.clone(),
            onward: self.onward,
            longest_retention_days: self.longest_retention_days,
            joining: self.joining,
            membership_confidential: self.membership_confidential,
            four_eyes: self.four_eyes,
            answer_times: self.answer_times,
            duties: self
                .duty
                .iter()
                .map(|duty| Duty { id: duty.id.clone(), text: duty.text.clone(), within_hours: duty.within_hours, unconfirmed: duty.unconfirmed })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_federation_is_well_formed() {
        let example = Example::shipped().unwrap();
        let now = Timestamp::from_date(&example.as_of).unwrap();
        let all: BTreeSet<OrgId> = example.organisation.iter().map(|organisation| organisation.id.clone()).collect();
        assert_eq!(all.len(), example.organisation.len(), "an organisation is there twice");
        let agreements = example.agreements(&all, now).unwrap();
        assert!(agreements.len() >= 40, "{} agreements", agreements.len());
        let ctg = agreements.iter().find(|agreement| agreement.id.as_str() == "ctg").unwrap();
        assert_eq!(ctg.parties.len(), 32, "CTG has 30 countries, two of them with two services");
        for agreement in &example.agreement {
            assert!(agreement.party.iter().all(|party| all.contains(&party.org)), "{} names a party that is not there", agreement.id);
        }
    }

    #[test]
    fn five_nodes_have_what_the_story_needs() {
        let example = Example::shipped().unwrap();
        let now = Timestamp::from_date(&example.as_of).unwrap();
        let five: BTreeSet<OrgId> = example.first(5).into_iter().map(|organisation| organisation.id).collect();
        let agreements = example.agreements(&five, now).unwrap();
        for name in ["ctg", "dk-pet-eu-europol"] {
            assert!(agreements.iter().any(|agreement| agreement.id.as_str() == name), "{name} is missing");
        }
    }
}
