//! Reasons: why something was refused, in a code for machines and a sentence for people.
//!
//! A reason says whose matter it is, what is wrong, and what to do about it. Codes are stable: receipts carry them to
//! other organisations, and ledgers keep them. Reasons hold names, codes and times, never content. Every sentence is
//! in the golden file `policy/testdata/reasons.snap`.

use std::collections::BTreeSet;

use format::agreement::Text;
use format::id::{LegalBasis, Purpose};
use format::marking::{Classification, Tlp};
use format::record::{AgreementRef, Kind};
use format::{OrgId, Timestamp};

use crate::access::{Permission, Stage};
use crate::house::HouseForbid;

mod sentences;

/// The languages of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Swedish.
    Sv,
    /// English.
    En,
}

impl Language {
    /// The text in this language.
    #[must_use]
    pub fn of(self, text: Text) -> String {
        match self {
            Self::Sv => text.sv,
            Self::En => text.en,
        }
    }
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is said in full in the golden file, and its fields are named in the sentence")]
pub enum Reason {
    // Release and admission, in the order of the rules.
    RecipientUnknown { recipient: OrgId },
    SameOrganisation { org: OrgId },
    MarkingUnknown { code: String },
    ReceiptApart,
    AgreementUnknown { agreement: AgreementRef },
    AgreementUnsigned { agreement: AgreementRef, missing: BTreeSet<OrgId> },
    AgreementNotYet { agreement: AgreementRef, from: Timestamp },
    AgreementEnded { agreement: AgreementRef },
    NotAParty { org: OrgId, agreement: AgreementRef },
    Withdrawn { org: OrgId, agreement: AgreementRef },
    ObserverSends { org: OrgId, agreement: AgreementRef },
    KindNotAgreed { kind: Kind, agreement: AgreementRef },
    AboveCeiling { given: Classification, ceiling: Classification, agreement: AgreementRef },
    PurposeNotAgreed { purpose: Purpose, agreement: AgreementRef },
    LegalBasisNotAgreed { legal_basis: LegalBasis, agreement: AgreementRef },
    RetainedTooLong { days: u32, agreement: AgreementRef },
    CreatedAhead { created: Timestamp },
    Expired { since: Timestamp },
    Superseded,
    Recalled,
    Removed,
    NotInAudience { recipient: OrgId },
    OnwardKind { kind: Kind },
    OnwardTlp { tlp: Tlp },
    OnwardNever { agreement: AgreementRef },
    ConsentMissing { originator: OrgId, recipient: OrgId },
    ConsentMismatch { originator: OrgId },
    ConsentExpired { expired: Timestamp },
    EmergencyNotAllowed { originator: OrgId },
    OnwardAgreementMissing { sender: OrgId, recipient: OrgId },
    NationalOnly { recipient: OrgId },
    NotReleasable { recipient: OrgId },
    ApprovalMissing,
    ApprovalUnproven,
    ApprovalOwn { member: String },
    HouseRule(HouseForbid),
    HouseRuleError { why: String },
    RecallWithoutRecord,
    // Access.
    MemberInactive { member: String },
    RoleLacks { permission: Permission },
    OwnDraft,
    NotOwnDraft,
    WrongStage { stage: Stage },
    DraftUnknown,
    PurposeMissing,
    PurposeNotAllowed { purpose: Purpose },
}

impl Reason {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RecipientUnknown { .. } => "recipient-unknown",
            Self::SameOrganisation { .. } => "same-organisation",
            Self::MarkingUnknown { .. } => "marking-unknown",
            Self::ReceiptApart => "receipt-apart",
            Self::AgreementUnknown { .. } => "agreement-unknown",
            Self::AgreementUnsigned { .. } => "agreement-unsigned",
            Self::AgreementNotYet { .. } => "agreement-not-yet",
            Self::AgreementEnded { .. } => "agreement-ended",
            Self::NotAParty { .. } => "not-a-party",
            Self::Withdrawn { .. } => "withdrawn",
            Self::ObserverSends { .. } => "observer-sends",
            Self::KindNotAgreed { .. } => "kind-not-agreed",
            Self::AboveCeiling { .. } => "above-ceiling",
            Self::PurposeNotAgreed { .. } => "purpose-not-agreed",
            Self::LegalBasisNotAgreed { .. } => "legal-basis-not-agreed",
            Self::RetainedTooLong { .. } => "retained-too-long",
            Self::CreatedAhead { .. } => "created-ahead",
            Self::Expired { .. } => "expired",
            Self::Superseded => "superseded",
            Self::Recalled => "recalled",
            Self::Removed => "removed",
            Self::NotInAudience { .. } => "not-in-audience",
            Self::OnwardKind { .. } => "onward-kind",
            Self::OnwardTlp { .. } => "onward-tlp",
            Self::OnwardNever { .. } => "onward-never",
            Self::ConsentMissing { .. } => "consent-missing",
            Self::ConsentMismatch { .. } => "consent-mismatch",
            Self::ConsentExpired { .. } => "consent-expired",
            Self::EmergencyNotAllowed { .. } => "emergency-not-allowed",
            Self::OnwardAgreementMissing { .. } => "onward-agreement-missing",
            Self::NationalOnly { .. } => "national-only",
            Self::NotReleasable { .. } => "not-releasable",
            Self::ApprovalMissing => "approval-missing",
            Self::ApprovalUnproven => "approval-unproven",
            Self::ApprovalOwn { .. } => "approval-own",
            Self::HouseRule(_) => "house-rule",
            Self::HouseRuleError { .. } => "house-rule-error",
            Self::RecallWithoutRecord => "recall-without-record",
            Self::MemberInactive { .. } => "member-inactive",
            Self::RoleLacks { .. } => "role-lacks",
            Self::OwnDraft => "own-draft",
            Self::NotOwnDraft => "not-own-draft",
            Self::WrongStage { .. } => "wrong-stage",
            Self::DraftUnknown => "draft-unknown",
            Self::PurposeMissing => "purpose-missing",
            Self::PurposeNotAllowed { .. } => "purpose-not-allowed",
        }
    }

    /// The reason in one or two plain sentences: what is wrong, and what to do.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        language.of(self.texts())
    }
}

/// A time to the minute, as people read it.
pub(crate) fn minute(time: Timestamp) -> String {
    let text: String = time.to_string().chars().take(16).collect();
    format!("{} UTC", text.replace('T', " "))
}

#[cfg(test)]
mod tests;
