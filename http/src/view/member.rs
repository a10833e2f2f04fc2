//! Members, their sessions and their tokens.

use std::collections::BTreeSet;

use node::rows::{CredentialRow, MemberRow};
use policy::access::{Permission, Role, granted_to};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{texts, words};
use crate::access::{Asker, Password, Session};
use crate::problem::Problem;

/// What it takes to log in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogIn {
    /// Log-in name.
    #[schema(example = "anna")]
    pub member: String,
    /// Password.
    #[schema(value_type = String, format = Password)]
    pub password: Password,
}

/// A session that was begun.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SessionView {
    /// What to send as `Authorization: Bearer` from now on. It is told once.
    pub secret: String,
    /// Log-in name.
    pub member: String,
    /// Until when the session holds.
    #[schema(format = DateTime)]
    pub expires: String,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self { secret: session.secret, member: session.member, expires: session.expires.to_string() }
    }
}

/// Who is logged in, and what that member may do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Me {
    /// Log-in name.
    pub member: String,
    /// Name shown to colleagues.
    pub name: String,
    /// The organisation whose node this is.
    pub organisation: String,
    /// What the member is there for.
    #[schema(schema_with = words::roles)]
    pub roles: Vec<String>,
    /// What those roles grant.
    #[schema(schema_with = words::permissions)]
    pub permissions: Vec<String>,
    /// Whether a token was shown rather than a session.
    pub token: bool,
    /// Until when it holds.
    #[schema(format = DateTime)]
    pub expires: String,
}

impl Me {
    pub(crate) fn of(asker: &Asker, organisation: &format::OrgId) -> Self {
        let granted = Permission::ALL.iter().filter(|permission| granted_to(**permission).iter().any(|role| asker.roles.contains(role)));
        Self {
            member: asker.member.clone(),
            name: asker.name.clone(),
            organisation: organisation.to_string(),
            roles: texts(&asker.roles),
            permissions: texts(granted),
            token: asker.token,
            expires: asker.expires.to_string(),
        }
    }
}

/// A new password for oneself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    /// The one until now.
    #[schema(value_type = String, format = Password)]
    pub old: Password,
    /// The one from now on, of 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    pub new: Password,
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    #[schema(example = "nightly import", max_length = 100)]
    pub label: String,
    /// For how many days it holds.
    #[schema(minimum = 1, maximum = 366)]
    pub days: u32,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenMade {
    /// Names the token.
    pub id: String,
    /// What to send as `Authorization: Bearer`. It is told once.
    pub secret: String,
    /// Until when it holds.
    #[schema(format = DateTime)]
    pub expires: String,
}

/// One of the member's tokens or sessions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TokenView {
    /// Names it.
    pub id: String,
    /// What it is for; empty for sessions.
    pub label: String,
    /// Whether it is a token rather than a session.
    pub token: bool,
    /// Whether it is the one that was shown with this request.
    pub this: bool,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created: String,
    /// Until when it holds.
    #[schema(format = DateTime)]
    pub expires: String,
}

impl TokenView {
    pub(crate) fn of(row: CredentialRow, asker: &Asker) -> Self {
        Self {
            id: row.hash.to_string(),
            this: row.hash == asker.credential,
            label: row.label,
            token: row.token,
            created: row.created.to_string(),
            expires: row.expires.to_string(),
        }
    }
}

/// The member's tokens and sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tokens {
    /// Newest first.
    pub tokens: Vec<TokenView>,
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberView {
    /// Log-in name.
    pub id: String,
    /// Name shown to colleagues.
    pub name: String,
    /// What the member is there for.
    #[schema(schema_with = words::roles)]
    pub roles: Vec<String>,
    /// Whether the account is in use.
    pub active: bool,
}

impl From<MemberRow> for MemberView {
    fn from(row: MemberRow) -> Self {
        Self { id: row.id, name: row.name, roles: texts(&row.roles), active: row.active }
    }
}

/// The members of the organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Members {
    /// Ordered by log-in name.
    pub members: Vec<MemberView>,
}

/// A member to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// Log-in name, of a-z, 0-9, `.` and `-`.
    #[schema(example = "anna", min_length = 2, max_length = 40)]
    pub id: String,
    /// Name shown to colleagues.
    pub name: String,
    /// What the member is there for.
    #[schema(schema_with = words::roles)]
    pub roles: BTreeSet<String>,
    /// First password; one is made when it is absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Password>,
}

/// A password that was set for a member.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasswordMade {
    /// Log-in name.
    pub id: String,
    /// The password, where it was made here. It is told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What changes in a member's account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberChange {
    /// What the member is there for from now on; unchanged when absent.
    #[serde(default)]
    #[schema(schema_with = words::roles, required = false)]
    pub roles: Option<BTreeSet<String>>,
    /// Whether the account is in use from now on; unchanged when absent.
    #[serde(default)]
    pub active: Option<bool>,
}

/// A new password for another member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The password; one is made when it is absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Password>,
}

/// Reads roles from their words.
pub(crate) fn roles(words: &BTreeSet<String>) -> Result<BTreeSet<Role>, Problem> {
    let known = || texts(Role::ALL).join(", ");
    words.iter().map(|word| word.parse().map_err(|_| Problem::invalid("roles", format_args!("the roles are {}", known())))).collect()
}
