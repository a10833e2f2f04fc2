//! Access: who asks, and whether they may. One function authenticates and one authorises, for every face.
//!
//! A [`Gate`] turns a secret into an [`Asker`] and the asker's wish into a [`Desk`], which holds leave for exactly one
//! thing and is the only way from a face to the node. Nothing is remembered between requests: each looks up its
//! credential and its member anew, so that a revocation or a lost role counts at once. What is absent and what the
//! asker may not see are the same from here on.

mod desk;
mod log_in;
pub mod password;
mod subject;
mod throttle;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use format::id::Purpose;
use format::{Digest, RecordId, Timestamp};
use node::node::Denial;
use node::ports::{Entropy, Reader, StoreResult};
use policy::access::{Access, Decision, Member, Pass, Permission, Role, Stage, decide, granted_to};
use policy::house::HouseRules;
use policy::{Language, Reason};
use tokio::sync::Semaphore;

use crate::handle::Handle;
use crate::problem::Problem;

pub use desk::Desk;
pub use log_in::Session;
pub use password::Password;
pub(crate) use subject::visible;
pub use subject::{Cited, Colleague, Corrected, Drafted, Enclosure, Held, Org, OwnToken, Pact, Subject};

use throttle::Throttle;

/// House rules, shared with the node.
pub type House = Arc<dyn HouseRules + Send + Sync>;
/// Makes house rules of their text, or says what is wrong with it.
pub type HouseCheck = Box<dyn Fn(&str) -> Result<House, String> + Send + Sync>;

/// Passwords that are looked at at one time; each takes 19 MiB while it is.
const HASHING: usize = 2;
/// Bytes in the secret of a session or token.
const SECRET: usize = 32;

/// Where every face asks.
pub struct Gate {
    handle: Handle,
    entropy: Mutex<Box<dyn Entropy>>,
    house_check: HouseCheck,
    throttle: Throttle,
    hashing: Arc<Semaphore>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({:?})", self.handle)
    }
}

/// A member whose secret was shown, as the member is now.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Log-in name.
    pub member: String,
    /// Name shown to colleagues.
    pub name: String,
    /// What the member is there for.
    pub roles: BTreeSet<Role>,
    /// What was shown: SHA-256 of the secret.
    pub credential: Digest,
    /// Whether that was a token rather than a session.
    pub token: bool,
    /// Until when it holds.
    pub expires: Timestamp,
}

impl Asker {
    fn as_member(&self) -> Member<'_> {
        Member { id: &self.member, roles: &self.roles, active: true }
    }

    fn has_role_for(&self, permission: Permission) -> bool {
        granted_to(permission).iter().any(|role| self.roles.contains(role))
    }
}

/// What a request says beyond who asks and what for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The names in the path, with what they stand for this time.
    pub names: Names,
    /// The purpose that the member stated.
    pub purpose: Option<Purpose>,
    /// In which language to answer.
    pub language: Language,
}

/// The names in a path, with what they stand for this time.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<(String, String)>);

impl Names {
    /// Names with their values.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// What `name` stands for, read as `T`. What cannot be read as one cannot be here.
    ///
    /// # Errors
    /// The path has no such name, or it does not read.
    pub fn parse<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, Problem> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = value.ok_or_else(|| Problem::internal(format_args!("the path has no `{name}`")))?;
        value.parse().map_err(|_| Problem::not_found())
    }
}

impl Gate {
    /// A gate before the node that `handle` reaches.
    ///
    /// Secrets, salts and request ids are drawn from `entropy`. `house_check` makes house rules of their text.
    #[must_use]
    pub fn new(handle: Handle, entropy: Box<dyn Entropy>, house_check: HouseCheck) -> Self {
        Self { handle, entropy: Mutex::new(entropy), house_check, throttle: Throttle::default(), hashing: Arc::new(Semaphore::new(HASHING)) }
    }

    /// Whether the node can do its work. Anybody may know.
    ///
    /// # Errors
    /// Something keeps it from that.
    pub async fn well(&self) -> Result<(), Problem> {
        let troubles = self.handle.troubles().await;
        if troubles.is_empty() { Ok(()) } else { Err(Problem::unwell(&troubles)) }
    }

    /// Finds out who shows this secret.
    ///
    /// # Errors
    /// The secret is not one, is unknown, was revoked or has ended, or its member's account is not in use.
    pub async fn authenticate(&self, secret: &str) -> Result<Asker, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(secret).ok().filter(|bytes| bytes.len() == SECRET).ok_or_else(Problem::credentials_invalid)?;
        self.recognise(Digest::of(&bytes)).await
    }

    /// The member with this credential, as both are now.
    async fn recognise(&self, hash: Digest) -> Result<Asker, Problem> {
        let now = self.handle.now();
        let found = self.read(move |reader| reader.whose(&hash)).await?;
        let in_use = found.filter(|(credential, member)| now < credential.expires && member.active);
        let (credential, member) = in_use.ok_or_else(Problem::credentials_invalid)?;
        Ok(Asker { member: member.id, name: member.name, roles: member.roles, credential: hash, token: credential.token, expires: credential.expires })
    }

    /// Decides whether the asker may do what takes `permission`, about what the path names.
    ///
    /// Roles are looked at before the path is, so that whoever may do nothing learns nothing of what is here. Reading a
    /// record that is not released yet takes [`Permission::ReadDraft`] in place of [`Permission::ReadRecord`].
    ///
    /// # Errors
    /// The asker may not, or what the path names is absent or not for the asker to see.
    pub async fn authorise<S: Subject>(self: &Arc<Self>, asker: Asker, permission: Permission, wish: Wish) -> Result<Desk<S>, Problem> {
        self.may_at_all(&asker, permission, &wish).await?;
        let subject = S::resolve(self, &asker, &wish.names).await?;
        let (permission, pass) = self.decide(&asker, permission, &wish, &subject).await?;
        Ok(Desk::new(Arc::clone(self), asker, permission, wish, subject, pass))
    }

    /// The refusal, once it is in the ledger. What is absent or hidden is not refused, and leaves no entry.
    async fn denied(&self, asker: &Asker, permission: Permission, record: Option<RecordId>, reasons: Vec<Reason>) -> Problem {
        let codes = reasons.iter().map(|reason| reason.code().to_owned()).collect();
        let denial = Denial { member: asker.member.clone(), act: permission.to_string(), record, reasons: codes };
        self.handle.deny(denial).await.map_or_else(Problem::from, |()| Problem::forbidden(reasons))
    }

    /// What can be said before it is known what the path names.
    async fn may_at_all(&self, asker: &Asker, permission: Permission, wish: &Wish) -> Result<(), Problem> {
        let allowed = wish.purpose.iter().cloned().collect();
        let access =
            Access { member: asker.as_member(), permission, about: None, purpose: wish.purpose.as_ref(), allowed_purposes: &allowed, now: self.handle.now() };
        let Decision::Refuse(mut reasons) = decide(&access) else { return Ok(()) };
        let drafts_only = permission == Permission::ReadRecord && asker.has_role_for(Permission::ReadDraft);
        reasons.retain(|reason| match reason {
            Reason::DraftUnknown => false,
            Reason::RoleLacks { .. } => !drafts_only,
            _ => true,
        });
        if reasons.is_empty() { Ok(()) } else { Err(self.denied(asker, permission, None, reasons).await) }
    }

    async fn decide(&self, asker: &Asker, asked: Permission, wish: &Wish, subject: &impl Subject) -> Result<(Permission, Pass), Problem> {
        let about = subject.about();
        let unreleased = about.is_some_and(|about| !matches!(about.stage, Stage::Released | Stage::Received));
        let permission = if asked == Permission::ReadRecord && unreleased { Permission::ReadDraft } else { asked };
        if !asker.has_role_for(permission) {
            // The role was enough for reading drafts alone, and this is none: for this asker it is not here.
            return Err(Problem::not_found());
        }
        // Found out only where a purpose is stated: no other decision asks for them.
        let allowed = if wish.purpose.is_some() { subject.purposes(&self.handle.directory()) } else { BTreeSet::new() };
        let access =
            Access { member: asker.as_member(), permission, about, purpose: wish.purpose.as_ref(), allowed_purposes: &allowed, now: self.handle.now() };
        match decide(&access) {
            Decision::Allow(pass) => Ok((permission, pass)),
            Decision::Refuse(reasons) => Err(self.denied(asker, permission, subject.record(), reasons).await),
        }
    }

    /// 32 unpredictable bytes.
    pub(crate) fn random(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.entropy.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes);
        bytes
    }

    async fn read<T: Send + 'static>(&self, read: impl FnOnce(&dyn Reader) -> StoreResult<T> + Send + 'static) -> Result<T, Problem> {
        Ok(self.handle.read(read).await?)
    }
}

/// A new secret, and the hash under which it is kept.
fn new_secret(random: &[u8; SECRET]) -> (String, Digest) {
    (URL_SAFE_NO_PAD.encode(random), Digest::of(random))
}
