//! Agreements: who cooperates on what terms, and whether it holds.

use std::collections::BTreeSet;

use format::agreement::Agreement;
use format::json;
use format::verify::Statement;
use format::{OrgId, Timestamp};
use policy::accord::{Accord, Known, Standing};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Words, texts, words};
use crate::problem::Problem;

/// A version of an agreement, member by member as it is signed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schema(as = Agreement)]
pub struct AgreementBody {
    /// Names the agreement; every version has the same.
    #[schema(example = "ctg")]
    pub id: String,
    /// 1 for the first version.
    pub version: u32,
    /// Digest of the version before, from version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// What people call it.
    pub title: Words,
    /// What way of cooperating it is.
    #[schema(schema_with = words::form)]
    pub form: String,
    /// The parties, ordered by organisation, each once.
    pub parties: Vec<PartyBody>,
    /// The terms.
    pub terms: TermsBody,
    /// Who put the version forward; in a proposal, this organisation.
    pub proposed_by: String,
    /// When.
    #[schema(format = DateTime)]
    pub proposed: String,
    /// In force no earlier than this.
    #[schema(format = DateTime)]
    pub valid_from: String,
    /// In force until, not including, this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub valid_until: Option<String>,
}

/// One organisation's part, with its dates.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Party)]
pub struct PartyBody {
    /// The organisation.
    pub org: String,
    /// Its part.
    #[schema(schema_with = words::party_role)]
    pub role: String,
    /// Party from this time on.
    #[schema(format = DateTime)]
    pub from: String,
    /// Party until, not including, this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub until: Option<String>,
}

/// What the parties have agreed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schema(as = Terms)]
pub struct TermsBody {
    /// Kinds of record that may be exchanged.
    #[schema(schema_with = words::kinds)]
    pub kinds: Vec<String>,
    /// Highest classification.
    #[schema(schema_with = words::classification)]
    pub ceiling: String,
    /// Purposes for which information may be processed.
    pub purposes: Vec<String>,
    /// Provisions that a release can rest on.
    pub legal_bases: Vec<String>,
    /// The third-party rule.
    #[schema(schema_with = words::onward)]
    pub onward: String,
    /// Longest retention at a recipient, in days.
    pub longest_retention_days: u32,
    /// Who admits new parties.
    #[schema(schema_with = words::joining)]
    pub joining: String,
    /// Whether the list of parties is visible to the parties alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub membership_confidential: bool,
    /// Whether a second person must approve each release.
    pub four_eyes: bool,
    /// Answer times in hours, by urgency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_times: Option<AnswerTimesBody>,
    /// Duties to inform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duties: Vec<DutyBody>,
}

/// How long an answer may take, in hours.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnswerTimes)]
pub struct AnswerTimesBody {
    /// Urgent requests.
    pub urgent: u32,
    /// Priority requests.
    pub priority: u32,
    /// All other requests.
    pub normal: u32,
}

/// Something that a party must tell others.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schema(as = Duty)]
pub struct DutyBody {
    /// Names the duty within the agreement.
    pub id: String,
    /// What must be done.
    pub text: Words,
    /// Within how many hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_hours: Option<u32>,
    /// Not checked against the treaty's text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfirmed: bool,
}

impl AgreementBody {
    /// The same in the words that are signed.
    pub(crate) fn read(&self) -> Result<Agreement, Problem> {
        let bytes = serde_json::to_vec(self).map_err(Problem::internal)?;
        let agreement: Agreement = json::parse(&bytes, &Agreement::BUDGET)?;
        agreement.check().map_err(|fault| Problem::invalid("agreement", fault))?;
        Ok(agreement)
    }

    fn of(agreement: &Agreement) -> Result<Self, Problem> {
        // What is signed and what is shown have the same members: one goes into the other.
        let value = serde_json::to_value(agreement).map_err(Problem::internal)?;
        serde_json::from_value(value).map_err(Problem::internal)
    }
}

/// A party that has left.
#[derive(Debug, Serialize, ToSchema)]
pub struct Left {
    /// The organisation.
    pub org: String,
    /// When it said so.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A version of an agreement, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AgreementView {
    /// What the parties sign.
    pub agreement: AgreementBody,
    /// SHA-256 of the signed bytes: what a version after it names.
    pub digest: Option<String>,
    /// Whether it holds now.
    #[schema(schema_with = words::standing)]
    pub standing: &'static str,
    /// Whose signatures are missing.
    pub missing: Vec<String>,
    /// Who has signed.
    pub signed: Vec<String>,
    /// Who has left.
    pub withdrawn: Vec<Left>,
    /// The version that is in force instead, where there is one.
    pub newer: Option<u32>,
}

impl AgreementView {
    pub(crate) fn of(known: &Known<'_>, digest: Option<format::Digest>) -> Result<Self, Problem> {
        let accord = known.accord();
        Ok(Self {
            agreement: AgreementBody::of(&accord.agreement)?,
            digest: digest.map(|digest| digest.to_string()),
            standing: standing(known.standing()),
            missing: missing(known.standing()),
            signed: texts(&accord.signed),
            withdrawn: accord.withdrawn.iter().map(|(org, at)| Left { org: org.to_string(), at: at.to_string() }).collect(),
            newer: known.newer().map(|accord| accord.agreement.version),
        })
    }
}

/// An agreement in one line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AgreementLine {
    /// Names the agreement.
    pub id: String,
    /// The version spoken of: the one in force, or the newest.
    pub version: u32,
    /// The newest version there is.
    pub newest: u32,
    /// What people call it.
    pub title: Words,
    /// What way of cooperating it is.
    #[schema(schema_with = words::form)]
    pub form: String,
    /// Whether it holds now.
    #[schema(schema_with = words::standing)]
    pub standing: &'static str,
    /// Whose signatures are missing.
    pub missing: Vec<String>,
    /// Who is a party now.
    pub parties: Vec<String>,
    /// Purposes for which information may be processed.
    pub purposes: Vec<String>,
}

impl AgreementLine {
    pub(crate) fn of(known: &Known<'_>, newest: &Accord, now: Timestamp) -> Self {
        let accord = known.accord();
        let agreement = &accord.agreement;
        let parties: BTreeSet<&OrgId> = agreement.parties.iter().map(|party| &party.org).filter(|org| accord.party(org, now)).collect();
        Self {
            id: agreement.id.to_string(),
            version: agreement.version,
            newest: newest.agreement.version,
            title: (&agreement.title).into(),
            form: words::written(&agreement.form),
            standing: standing(known.standing()),
            missing: missing(known.standing()),
            parties: texts(parties),
            purposes: texts(&agreement.terms.purposes),
        }
    }
}

/// The agreements known here.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreementLines {
    /// Ordered by id.
    pub agreements: Vec<AgreementLine>,
}

/// Which version of an agreement.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct OfVersion {
    /// The version; the one in force, or else the newest, when absent.
    pub version: Option<u32>,
}

/// The version to sign.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The version that was read.
    pub version: u32,
}

const fn standing(standing: &Standing) -> &'static str {
    match standing {
        Standing::Proposed { .. } => "proposed",
        Standing::NotYet => "not-yet",
        Standing::InForce => "in-force",
        Standing::Ended => "ended",
    }
}

fn missing(standing: &Standing) -> Vec<String> {
    match standing {
        Standing::Proposed { missing } => texts(missing),
        _ => Vec::new(),
    }
}
