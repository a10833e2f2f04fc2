//! Access: may this member do this, now?
//!
//! A role grants permissions by one table; some acts also look at who drafted the record and how far it has come, and
//! reading asks for a purpose. It authenticates nobody and opens nothing. The invariant: [`decide`] is the one maker
//! of [`Pass`], without which the node lets nobody act, and through no role can anyone approve what they drafted.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use format::Timestamp;
use format::id::Purpose;

use crate::reason::Reason;

/// Declares a closed set of words, each with its spelling in bytes and interfaces.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant),+
        }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in bytes and interfaces.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or(UnknownWord)
            }
        }
    };
}

/// A text is none of the words of its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word that is known here")]
pub struct UnknownWord;

words! {
    /// What a member of the organisation is there for. A member can have several.
    Role {
        /// Reads, searches, drafts.
        Analyst = "analyst",
        /// Keeps the contact with partners.
        Liaison = "liaison",
        /// Decides what leaves.
        ReleaseOfficer = "release-officer",
        /// Takes tips from the public and hands them on.
        TipDesk = "tip-desk",
        /// Writes for a council, body or programme.
        Secretary = "secretary",
        /// Oversight: sees what was done, not what was said.
        Auditor = "auditor",
        /// Keeps the node running: keys, members, partners; not content.
        Administrator = "administrator",
    }
}

words! {
    /// What can be done on a node, one for each family of routes.
    Permission {
        /// See organisations and their cards.
        ReadDirectory = "read-directory",
        /// Import, pin and replace cards.
        ManageDirectory = "manage-directory",
        /// See agreements, their parties and standing.
        ReadAgreements = "read-agreements",
        /// Put a version of an agreement forward.
        ProposeAgreement = "propose-agreement",
        /// Sign a version for the organisation.
        SignAgreement = "sign-agreement",
        /// Leave an agreement for the organisation.
        WithdrawAgreement = "withdraw-agreement",
        /// See how an exchange with a partner goes: numbers, not content.
        ReadRelation = "read-relation",
        /// Start a draft, or change one's own.
        DraftRecord = "draft-record",
        /// Read a draft: one's own, or one submitted for approval.
        ReadDraft = "read-draft",
        /// Submit one's own draft for approval.
        SubmitRecord = "submit-record",
        /// Approve what another submitted, or send it back.
        ApproveRecord = "approve-record",
        /// Release a record to its audience.
        ReleaseRecord = "release-record",
        /// List and search records.
        SearchRecords = "search-records",
        /// Open a record.
        ReadRecord = "read-record",
        /// Pass another's record on.
        PassOn = "pass-on",
        /// Pass another's record on in an emergency, without its originator's consent.
        ReleaseInEmergency = "release-in-emergency",
        /// Recall one's organisation's own record.
        Recall = "recall",
        /// Ask an originator for consent.
        AskConsent = "ask-consent",
        /// Give or deny consent.
        AnswerConsent = "answer-consent",
        /// See who has a record.
        WhoHas = "who-has",
        /// Read the ledger and its proofs.
        ReadLedger = "read-ledger",
        /// Carry parcels as files, out and in.
        CarryFiles = "carry-files",
        /// Add members, set their roles, end their accounts.
        ManageMembers = "manage-members",
        /// Make and revoke one's own tokens, change one's own password.
        ManageOwnTokens = "manage-own-tokens",
        /// See the house rules.
        ReadHouseRules = "read-house-rules",
        /// Replace the house rules.
        ManageHouseRules = "manage-house-rules",
        /// See the node's health.
        ReadHealth = "read-health",
        /// Back the node up.
        BackUp = "back-up",
        /// Approve that a node restored from a backup goes on.
        ApproveRecovery = "approve-recovery",
    }
}

words! {
    /// How far a record has come on this node.
    Stage {
        /// Being written here.
        Draft = "draft",
        /// Waits for a second person.
        Submitted = "submitted",
        /// A second person approved it.
        Approved = "approved",
        /// Released by this organisation.
        Released = "released",
        /// Came from another organisation.
        Received = "received",
    }
}

/// The question.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Who asks.
    pub member: Member<'a>,
    /// What for.
    pub permission: Permission,
    /// About which record, where it is about one of this organisation's own.
    pub about: Option<About<'a>>,
    /// The purpose that the member stated.
    pub purpose: Option<&'a Purpose>,
    /// The purposes for which it may be read: the record's and those of its agreement.
    pub allowed_purposes: &'a BTreeSet<Purpose>,
    /// The time.
    pub now: Timestamp,
}

/// A member as far as access goes.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Log-in name.
    pub id: &'a str,
    /// What the member is there for.
    pub roles: &'a BTreeSet<Role>,
    /// Whether the account is in use.
    pub active: bool,
}

/// Who did what with a record, and how far it has come. An empty name counts as none.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Member who drafted it.
    pub drafted_by: &'a str,
    /// Member who submitted it.
    pub submitted_by: Option<&'a str>,
    /// Member who approved it.
    pub approved_by: Option<&'a str>,
    /// How far it has come.
    pub stage: Stage,
}

/// The answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// The member may.
    Allow(Pass),
    /// The member may not, for every one of these reasons.
    Refuse(Vec<Reason>),
}

/// Leave for one member to do one thing; the node consumes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Pass {
    member: String,
    permission: Permission,
    purpose: Option<Purpose>,
    at: Timestamp,
}

impl Pass {
    /// Who may.
    #[must_use]
    pub fn member(&self) -> &str {
        &self.member
    }

    /// May what.
    #[must_use]
    pub const fn permission(&self) -> Permission {
        self.permission
    }

    /// For what purpose, as stated.
    #[must_use]
    pub const fn purpose(&self) -> Option<&Purpose> {
        self.purpose.as_ref()
    }

    /// When it was decided.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

/// Decides whether the member may do it.
#[must_use]
pub fn decide(access: &Access<'_>) -> Decision {
    let mut reasons = Vec::new();
    active(access, &mut reasons);
    role_grants(access, &mut reasons);
    match access.permission {
        Permission::DraftRecord => own_draft(access, false, &[Stage::Draft], &mut reasons),
        Permission::SubmitRecord => own_draft(access, true, &[Stage::Draft], &mut reasons),
        Permission::ReadDraft => readable_draft(access, &mut reasons),
        Permission::ApproveRecord | Permission::ReleaseInEmergency => second_person(access, &mut reasons),
        Permission::ReleaseRecord => releasable(access, &mut reasons),
        Permission::ReadRecord | Permission::SearchRecords => purpose_stated(access, &mut reasons),
        _ => {}
    }
    if !reasons.is_empty() {
        return Decision::Refuse(reasons);
    }
    let purpose = access.purpose.filter(|purpose| access.allowed_purposes.contains(*purpose));
    Decision::Allow(Pass { member: access.member.id.to_owned(), permission: access.permission, purpose: purpose.cloned(), at: access.now })
}

/// Which roles grant a permission.
#[must_use]
pub const fn granted_to(permission: Permission) -> &'static [Role] {
    use Role::{Administrator, Analyst, Auditor, Liaison, ReleaseOfficer, Secretary, TipDesk};
    match permission {
        Permission::ReadDirectory | Permission::ReadAgreements | Permission::ManageOwnTokens => Role::ALL,
        Permission::ManageDirectory | Permission::ManageMembers | Permission::BackUp => &[Administrator],
        Permission::ApproveRecovery => &[ReleaseOfficer, Administrator],
        Permission::ProposeAgreement => &[Liaison, Secretary],
        Permission::SignAgreement | Permission::WithdrawAgreement => &[ReleaseOfficer],
        Permission::ReadRelation => &[Liaison, ReleaseOfficer, Secretary, Auditor],
        Permission::DraftRecord | Permission::SubmitRecord => &[Analyst, Liaison, TipDesk, Secretary],
        Permission::ReadDraft => &[Analyst, Liaison, ReleaseOfficer, TipDesk, Secretary],
        Permission::ApproveRecord | Permission::ReleaseRecord | Permission::PassOn | Permission::ReleaseInEmergency | Permission::AnswerConsent => {
            &[ReleaseOfficer]
        }
        Permission::SearchRecords | Permission::ReadRecord => &[Analyst, Liaison, ReleaseOfficer, Secretary],
        Permission::Recall => &[Liaison, ReleaseOfficer],
        Permission::AskConsent => &[Analyst, Liaison, ReleaseOfficer],
        Permission::WhoHas => &[Liaison, ReleaseOfficer, Auditor],
        Permission::ReadLedger => &[Auditor],
        Permission::CarryFiles => &[Liaison, Administrator],
        Permission::ReadHouseRules => &[Analyst, Liaison, ReleaseOfficer, Secretary, Auditor, Administrator],
        Permission::ManageHouseRules => &[ReleaseOfficer],
        Permission::ReadHealth => &[Auditor, Administrator],
    }
}

fn active(access: &Access<'_>, out: &mut Vec<Reason>) {
    if !access.member.active || access.member.id.is_empty() {
        out.push(Reason::MemberInactive { member: access.member.id.to_owned() });
    }
}

fn role_grants(access: &Access<'_>, out: &mut Vec<Reason>) {
    if !granted_to(access.permission).iter().any(|role| access.member.roles.contains(role)) {
        out.push(Reason::RoleLacks { permission: access.permission });
    }
}

/// Changing and submitting are for whoever drafted, while it is a draft. Starting a new one is about none.
fn own_draft(access: &Access<'_>, about_needed: bool, stages: &[Stage], out: &mut Vec<Reason>) {
    if access.about.is_none() && !about_needed {
        return;
    }
    at_stage(access, stages, out);
    if access.about.is_some_and(|about| about.drafted_by != access.member.id) {
        out.push(Reason::NotOwnDraft);
    }
}

/// What somebody drafted is theirs to read; a release officer reads it once it is submitted.
fn readable_draft(access: &Access<'_>, out: &mut Vec<Reason>) {
    let Some(about) = access.about else { return out.push(Reason::DraftUnknown) };
    let own = about.drafted_by == access.member.id;
    let decides = access.member.roles.contains(&Role::ReleaseOfficer) && matches!(about.stage, Stage::Submitted | Stage::Approved);
    if about.stage == Stage::Received || about.stage == Stage::Released {
        out.push(Reason::WrongStage { stage: about.stage });
    } else if !own && !decides {
        out.push(Reason::NotOwnDraft);
    }
}

/// Approving and sending back are for somebody who neither drafted nor submitted it.
fn second_person(access: &Access<'_>, out: &mut Vec<Reason>) {
    at_stage(access, &[Stage::Submitted], out);
    let id = access.member.id;
    if access.about.is_some_and(|about| about.drafted_by == id || about.submitted_by == Some(id)) {
        out.push(Reason::OwnDraft);
    }
}

/// Whether the terms ask for two persons is decided with the release; an approval that is here is somebody else's.
fn releasable(access: &Access<'_>, out: &mut Vec<Reason>) {
    at_stage(access, &[Stage::Submitted, Stage::Approved, Stage::Released], out);
    let Some(About { drafted_by, submitted_by, approved_by: Some(approver), .. }) = access.about else { return };
    if approver == drafted_by || submitted_by == Some(approver) {
        out.push(Reason::ApprovalOwn { member: approver.to_owned() });
    }
}

fn at_stage(access: &Access<'_>, stages: &[Stage], out: &mut Vec<Reason>) {
    match access.about {
        None => out.push(Reason::DraftUnknown),
        Some(about) if !stages.contains(&about.stage) => out.push(Reason::WrongStage { stage: about.stage }),
        Some(_) => {}
    }
}

/// Directive (EU) 2016/680 art. 25: whoever consults states why, and the reason is one of those agreed.
fn purpose_stated(access: &Access<'_>, out: &mut Vec<Reason>) {
    match access.purpose {
        None => out.push(Reason::PurposeMissing),
        Some(purpose) if !access.allowed_purposes.contains(purpose) => out.push(Reason::PurposeNotAllowed { purpose: purpose.clone() }),
        Some(_) => {}
    }
}
