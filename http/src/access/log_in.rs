//! Logging in: from a member's name and password to a session.
//!
//! A name that nobody has costs the same time as a wrong password and gets the same answer; so does an account that is
//! not in use. Attempts are paid for at the throttle before anything is looked at. Passwords are hashed on threads of
//! their own, and no more at a time than memory allows.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use format::{Digest, Timestamp};
use node::Command;
use node::rows::MemberRow;
use policy::Language;
use policy::access::Permission;
use tokio::time::Instant;

use super::{Asker, Desk, Gate, Names, Password, Wish, new_secret};
use crate::problem::Problem;

/// How long a session holds: a working day.
const SESSION_MS: i64 = 8 * 60 * 60 * 1000;
/// How long a password waits for its turn to be looked at.
const HASHING_PATIENCE: Duration = Duration::from_secs(10);
/// The longest log-in name.
pub(super) const MAX_NAME: usize = 64;

/// A session that was begun. Its secret is told once and not kept.
pub struct Session {
    /// What the member shows from now on.
    pub secret: String,
    /// Who.
    pub member: String,
    /// Until when.
    pub expires: Timestamp,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} until {})", self.member, self.expires)
    }
}

impl Gate {
    /// Begins a session for the member whose password this is.
    ///
    /// # Errors
    /// Name and password do not belong together, or there were too many attempts.
    pub async fn log_in(self: &Arc<Self>, name: &str, password: Password, address: Option<IpAddr>) -> Result<Session, Problem> {
        let member = self.whose_password(name, password, address).await?;
        self.begin_session(member).await
    }

    /// The member with this log-in name, whose password this is.
    pub(super) async fn whose_password(&self, name: &str, password: Password, address: Option<IpAddr>) -> Result<MemberRow, Problem> {
        let attempt = self.throttle.attempt(shortened(name), address, Instant::now()).map_err(|wait| Problem::too_many_attempts(wait.as_secs() + 1))?;
        let member = self.member(name).await?;
        let hash = member.as_ref().map(|member| member.password.clone());
        let belongs = self.hashing(move || password.belongs_to(hash.as_deref())).await?;
        let member = member.filter(|member| belongs && member.active).ok_or_else(Problem::log_in_refused)?;
        self.throttle.succeeded(attempt);
        Ok(member)
    }

    async fn begin_session(self: &Arc<Self>, member: MemberRow) -> Result<Session, Problem> {
        let (secret, hash) = new_secret(&self.random());
        let expires = self.handle.now().plus_ms(SESSION_MS);
        let asker = Asker { member: member.id.clone(), name: member.name, roles: member.roles, credential: hash, token: false, expires };
        let wish = Wish { names: Names::default(), purpose: None, language: Language::En };
        let mut desk: Desk = self.authorise(asker, Permission::ManageOwnTokens, wish).await?;
        desk.execute(Command::AddCredential { member: member.id.clone(), hash, label: String::new(), token: false, expires }).await?;
        Ok(Session { secret, member: member.id, expires })
    }

    async fn member(&self, name: &str) -> Result<Option<MemberRow>, Problem> {
        if name.len() > MAX_NAME {
            return Ok(None);
        }
        let name = name.to_owned();
        self.read(move |reader| reader.member(&name)).await
    }

    /// The hash to keep of a new password.
    pub(super) async fn hash(&self, password: Password) -> Result<String, Problem> {
        password.fit().map_err(|fault| Problem::invalid("password", fault))?;
        let salt = self.random();
        self.hashing(move || password.hash(&salt)).await?.map_err(Problem::internal)
    }

    /// A token's secret and the hash under which it is kept.
    pub(super) fn token(&self) -> (String, Digest) {
        new_secret(&self.random())
    }

    async fn hashing<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let turn = tokio::time::timeout(HASHING_PATIENCE, Arc::clone(&self.hashing).acquire_owned()).await;
        let turn = turn.map_err(|_| Problem::busy())?.map_err(Problem::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(Problem::internal)
    }
}

/// As much of a name as the throttle remembers.
fn shortened(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or(name)
}
