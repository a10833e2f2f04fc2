//! Agreements: who cooperates, and on what terms.
//!
//! One form serves every way of cooperating, from two services to a convention. An agreement is exact JSON bytes that
//! each party signs; this module holds what those bytes say and the rules of their shape. Whether an agreement is in
//! force, and what it permits, is decided in `policy`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{AgreementId, Digest, LegalBasis, OrgId, Purpose};
use crate::json::Budget;
use crate::marking::Classification;
use crate::record::Kind;
use crate::time::Timestamp;
use crate::verify::{Malformed, Statement, ensure};

/// The most parties an agreement can have.
pub const MAX_PARTIES: usize = 512;
/// The most duties an agreement can carry.
pub const MAX_DUTIES: usize = 64;
/// The most characters in a title.
pub const MAX_TITLE: usize = 200;
/// The most characters in what a duty says.
pub const MAX_DUTY_TEXT: usize = 1000;

/// The same words in the two languages of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Swedish.
    pub sv: String,
    /// English.
    pub en: String,
}

impl Text {
    /// Whether both are 1 to `limit` characters without control characters.
    pub(crate) fn is_plain(&self, limit: usize) -> bool {
        [&self.sv, &self.en].iter().all(|text| (1..=limit).contains(&text.chars().count()) && !text.chars().any(char::is_control))
    }
}

/// What way of cooperating an agreement describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Two parties.
    Bilateral,
    /// A multinational body.
    Body,
    /// A national council of agencies.
    Council,
    /// A permanent working group.
    WorkingGroup,
    /// A programme of measures.
    Programme,
    /// A convention that obliges its parties to inform.
    Convention,
}

/// What part a party has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartyRole {
    /// Leads; where the terms say so, admits new parties.
    Chair,
    /// Keeps the body's papers.
    Secretariat,
    /// Takes part.
    Member,
    /// Receives, and sends nothing.
    Observer,
}

/// One organisation's part in an agreement, with its dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The organisation.
    pub org: OrgId,
    /// Its part.
    pub role: PartyRole,
    /// Party from this time on.
    pub from: Timestamp,
    /// Party until, not including, this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a holder may do towards organisations outside a record's audience: the third-party rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Onward {
    /// Nothing may be passed on.
    Never,
    /// Only with the originator's signed consent.
    Consent,
    /// To other parties of the agreement, and beyond them with consent.
    Within,
    /// To anyone the holder may lawfully share with.
    Free,
}

/// Who must sign a version in which a party joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Joining {
    /// Every party.
    All,
    /// The chair and whoever joins.
    Chair,
}

/// How long an answer may take, in hours, by urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerTimes {
    /// Urgent requests.
    pub urgent: u32,
    /// Priority requests.
    pub priority: u32,
    /// All other requests.
    pub normal: u32,
}

/// Something that a party must tell others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Duty {
    /// Names the duty within the agreement.
    pub id: AgreementId,
    /// What must be done, in plain words.
    pub text: Text,
    /// Within how many hours, where the agreement says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_hours: Option<u32>,
    /// Example data that has not been checked against the treaty text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfirmed: bool,
}

/// What the parties have agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Terms {
    /// Kinds of record that may be exchanged. Receipts need no mention.
    pub kinds: BTreeSet<Kind>,
    /// Highest classification.
    pub ceiling: Classification,
    /// Purposes for which information may be processed.
    pub purposes: BTreeSet<Purpose>,
    /// Provisions that a release can rest on.
    pub legal_bases: BTreeSet<LegalBasis>,
    /// The third-party rule.
    pub onward: Onward,
    /// Longest retention at a recipient, in days from the record's creation.
    pub longest_retention_days: u32,
    /// Who admits new parties.
    pub joining: Joining,
    /// Whether the list of parties is visible to the parties alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub membership_confidential: bool,
    /// Whether a second person must approve each release.
    pub four_eyes: bool,
    /// Answer times, where agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_times: Option<AnswerTimes>,
    /// Duties to inform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duties: Vec<Duty>,
}

/// A version of an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Agreement {
    /// Names the agreement; every version has the same.
    pub id: AgreementId,
    /// 1 for the first version.
    pub version: u32,
    /// Digest of the version before, from version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Digest>,
    /// What people call it.
    pub title: Text,
    /// What way of cooperating it is.
    pub form: Form,
    /// The parties, ordered by organisation, each once.
    pub parties: Vec<Party>,
    /// The terms.
    pub terms: Terms,
    /// Who put the version forward.
    pub proposed_by: OrgId,
    /// When.
    pub proposed: Timestamp,
    /// In force no earlier than this.
    pub valid_from: Timestamp,
    /// In force until, not including, this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

impl Agreement {
    /// The party entry of `org`, whatever its dates.
    #[must_use]
    pub fn party(&self, org: &OrgId) -> Option<&Party> {
        self.parties.iter().find(|p| p.org == *org)
    }

    /// Whether `org` is a party at `now` by this version's dates.
    #[must_use]
    pub fn is_party(&self, org: &OrgId, now: Timestamp) -> bool {
        self.party(org).is_some_and(|p| p.from <= now && p.until.is_none_or(|until| now < until))
    }
}

impl Statement for Agreement {
    const CONTEXT: &'static str = "samverkan/agreement/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        ensure(self.version >= 1, "version", "starts at 1")?;
        ensure((self.version == 1) == self.supersedes.is_none(), "supersedes", "names the version before, from version 2 on")?;
        ensure(self.title.is_plain(MAX_TITLE), "title", "is 1 to 200 characters without control characters")?;
        ensure((2..=MAX_PARTIES).contains(&self.parties.len()), "parties", "are 2 to 512")?;
        ensure(self.parties.windows(2).all(|w| matches!(w, [a, b] if a.org < b.org)), "parties", "are ordered by organisation, each once")?;
        ensure(self.form != Form::Bilateral || self.parties.len() == 2, "parties", "of a bilateral agreement are two")?;
        ensure(self.parties.iter().all(|p| p.until.is_none_or(|until| until > p.from)), "parties", "end after they begin")?;
        ensure(self.party(&self.proposed_by).is_some(), "proposed-by", "is one of the parties")?;
        let has_chair = self.parties.iter().any(|p| p.role == PartyRole::Chair);
        ensure(self.terms.joining != Joining::Chair || has_chair, "terms.joining", "by the chair needs a chair among the parties")?;
        ensure(!self.terms.kinds.is_empty(), "terms.kinds", "names at least one kind")?;
        ensure(!self.terms.purposes.is_empty(), "terms.purposes", "names at least one purpose")?;
        ensure(!self.terms.legal_bases.is_empty(), "terms.legal-bases", "names at least one legal basis")?;
        ensure(self.terms.ceiling.level() != crate::marking::Level::Unknown, "terms.ceiling", "is a known classification")?;
        ensure((1..=36_500).contains(&self.terms.longest_retention_days), "terms.longest-retention-days", "is 1 to 36500")?;
        ensure(self.terms.duties.len() <= MAX_DUTIES, "terms.duties", "are at most 64")?;
        let said = self.terms.duties.iter().all(|duty| duty.text.is_plain(MAX_DUTY_TEXT));
        ensure(said, "terms.duties", "say what to do in 1 to 1000 characters without control characters")?;
        ensure(self.valid_until.is_none_or(|until| until > self.valid_from), "valid-until", "is after valid-from")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.party(signer).is_some()
    }
}

/// A party's statement that it leaves an agreement, in every version, at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Withdrawal {
    /// The party that leaves.
    pub org: OrgId,
    /// The agreement it leaves.
    pub agreement: AgreementId,
    /// When it said so.
    pub at: Timestamp,
}

impl Statement for Withdrawal {
    const CONTEXT: &'static str = "samverkan/withdrawal/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        Ok(())
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.org == *signer
    }
}
