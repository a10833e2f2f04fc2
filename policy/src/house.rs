//! The place where an organisation's own rules join in.
//!
//! House rules are written in another language and live in a crate of their own; this module says what they are told
//! and what they may answer. They are asked last, and can only forbid: there is no answer by which they could permit
//! what the rules of release refuse. Rules that could not be evaluated are an error, and an error refuses.

use std::collections::BTreeSet;
use std::fmt::Debug;

use format::OrgId;
use format::id::{LegalBasis, Purpose};
use format::marking::{Caveat, Handling, Level, Tlp};
use format::record::{AgreementRef, Kind, SubjectCategory};

/// What house rules are told about a release: codes and names, never content.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// From whom the record would go.
    pub sender: &'a OrgId,
    /// To whom it would go.
    pub recipient: &'a OrgId,
    /// The recipient's country, where known.
    pub recipient_country: Option<&'a str>,
    /// Whose record it is.
    pub originator: &'a OrgId,
    /// The originator's country, where known.
    pub originator_country: Option<&'a str>,
    /// The agreement under which it was released.
    pub agreement: &'a AgreementRef,
    /// What it is.
    pub kind: Kind,
    /// Its classification's level.
    pub level: Level,
    /// Its traffic light.
    pub tlp: &'a Tlp,
    /// Its handling codes.
    pub handling: &'a BTreeSet<Handling>,
    /// Its caveats.
    pub caveats: &'a BTreeSet<Caveat>,
    /// What it may be processed for.
    pub purpose: &'a Purpose,
    /// What permits its release.
    pub legal_basis: &'a LegalBasis,
    /// Whom its personal data concern.
    pub categories: &'a BTreeSet<SubjectCategory>,
    /// Whether it would go to somebody outside its audience.
    pub onward: bool,
    /// Whether it would go there in an emergency, without its originator's consent.
    pub emergency: bool,
}

/// A house rule that forbids, with the sentence that its authors wrote for those whom it stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HouseForbid {
    /// Names the rule.
    pub rule: String,
    /// Why, in Swedish.
    pub sv: String,
    /// Why, in English.
    pub en: String,
}

/// House rules could not be evaluated; the release is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the house rules could not be evaluated: {why}")]
pub struct HouseError {
    why: String,
}

impl HouseError {
    /// The error with what went wrong, in words for whoever keeps the rules.
    #[must_use]
    pub const fn new(why: String) -> Self {
        Self { why }
    }

    /// What went wrong.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// An organisation's own rules about what leaves it.
pub trait HouseRules: Debug + Send + Sync {
    /// Every rule that forbids the release; none if it is not forbidden.
    ///
    /// # Errors
    /// A rule could not be evaluated.
    fn forbids(&self, facts: &Facts<'_>) -> Result<Vec<HouseForbid>, HouseError>;
}

/// No rules beyond those that everybody has.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHouseRules;

impl HouseRules for NoHouseRules {
    fn forbids(&self, _: &Facts<'_>) -> Result<Vec<HouseForbid>, HouseError> {
        Ok(Vec::new())
    }
}
