//! Decisions about a release: who gets a record and why, and why not the others.

use std::collections::BTreeSet;

use format::OrgId;
use node::act::who_has::Holders;
use node::rows::HoldingRow;
use policy::ground::Ground;
use policy::release::Decision;
use policy::{Language, Reason};
use serde::Serialize;
use utoipa::ToSchema;

use super::{texts, words};
use crate::problem::Point;

/// Who would get a record, and why not the others.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// Those to whom the rules permit it.
    pub permitted: Vec<Permitted>,
    /// Those to whom the rules forbid it.
    pub refused: Vec<Refused>,
}

/// An organisation that would get the record.
#[derive(Debug, Serialize, ToSchema)]
pub struct Permitted {
    /// The organisation.
    pub org: String,
    /// Whether it is in the record's audience.
    pub audience: bool,
    /// What the permit rests on.
    pub grounds: Vec<Point>,
}

/// An organisation that would not get the record.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    /// The organisation.
    pub org: String,
    /// Whether it is in the record's audience.
    pub audience: bool,
    /// Every reason.
    pub reasons: Vec<Point>,
}

impl Preview {
    pub(crate) fn of(decisions: Vec<(OrgId, Decision)>, audience: &BTreeSet<OrgId>, language: Language) -> Self {
        let mut preview = Self { permitted: Vec::new(), refused: Vec::new() };
        for (id, decision) in decisions {
            let (org, audience) = (id.to_string(), audience.contains(&id));
            match decision {
                Decision::Permit(permit) => preview.permitted.push(Permitted { org, audience, grounds: grounds(permit.grounds(), language) }),
                Decision::Refuse(reasons) => preview.refused.push(Refused { org, audience, reasons: points(&reasons, language) }),
            }
        }
        preview
    }
}

/// What became of a release.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReleaseView {
    /// The record.
    pub id: String,
    /// Its number.
    pub number: String,
    /// Those to whom it is on its way.
    pub recipients: Vec<String>,
    /// Those to whom it does not go, and why.
    pub refused: Vec<HeldBack>,
}

/// An organisation to which the record does not go.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldBack {
    /// The organisation.
    pub org: String,
    /// Every reason.
    pub reasons: Vec<Point>,
}

impl HeldBack {
    pub(crate) fn of(org: &OrgId, reasons: &[Reason], language: Language) -> Self {
        Self { org: org.to_string(), reasons: points(reasons, language) }
    }
}

/// Where copies of a record are, by evidence alone.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldersView {
    /// Every copy.
    pub copies: Vec<CopyView>,
    /// Of a recalled record: those whose signed word it is that they do not have it.
    pub confirmed: Vec<String>,
    /// Of a recalled record: those whose confirmation is missing.
    pub outstanding: Vec<String>,
}

/// One organisation's copy.
#[derive(Debug, Serialize, ToSchema)]
pub struct CopyView {
    /// Who has, had or will have it.
    pub holder: String,
    /// Who handed it to the holder.
    pub via: String,
    /// How it stands.
    #[schema(schema_with = words::holding)]
    pub state: &'static str,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
    /// The parcel in which it left from here.
    pub parcel: Option<u64>,
    /// SHA-256 of the holder's signed word for it.
    pub evidence: Option<String>,
    /// Codes of the reasons, where it was refused or held back.
    pub reasons: Vec<String>,
}

impl From<HoldingRow> for CopyView {
    fn from(row: HoldingRow) -> Self {
        Self {
            holder: row.holder.to_string(),
            via: row.via.to_string(),
            state: words::holding_word(row.state),
            since: row.since.to_string(),
            parcel: row.sequence,
            evidence: row.evidence.map(|digest| digest.to_string()),
            reasons: row.reasons.into_iter().collect(),
        }
    }
}

impl From<Holders> for HoldersView {
    fn from(holders: Holders) -> Self {
        Self { copies: holders.copies.into_iter().map(Into::into).collect(), confirmed: texts(&holders.confirmed), outstanding: texts(&holders.outstanding) }
    }
}

fn points(reasons: &[Reason], language: Language) -> Vec<Point> {
    reasons.iter().map(|reason| Point::of(reason, language)).collect()
}

fn grounds(grounds: &[Ground], language: Language) -> Vec<Point> {
    grounds.iter().map(|ground| Point { code: ground.code().to_owned(), sentence: ground.sentence(language) }).collect()
}
