//! The desk: what a handler acts through.
//!
//! A desk is what the permission check yields. It holds leave for one permission and what the path named, and reaches
//! the node for exactly that; the handle itself stays behind it. Leave is used up by each command; a handler that
//! gives several, piece by piece, is looked at again for each, so that a revocation counts in the middle of an upload.

use std::future::Future;
use std::sync::Arc;

use format::{Digest, Timestamp};
use node::ports::{Reader, StoreResult};
use node::state::Directory;
use node::{Command, Identity, Outcome, Recipient, Released};
use policy::Language;
use policy::access::{Pass, Permission};

use super::{Caller, Gate, Password, Subject, Wish};
use crate::handle::PeerHealth;
use crate::problem::Problem;

/// Leave for one caller to do one thing about one subject.
pub struct Desk<S = ()> {
    gate: Arc<Gate>,
    caller: Caller,
    permission: Permission,
    wish: Wish,
    subject: S,
    pass: Option<Pass>,
}

impl<S> std::fmt::Debug for Desk<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({} {})", self.caller.member, self.permission)
    }
}

impl<S> Desk<S> {
    pub(super) const fn new(gate: Arc<Gate>, caller: Caller, permission: Permission, wish: Wish, subject: S, pass: Pass) -> Self {
        Self { gate, caller, permission, wish, subject, pass: Some(pass) }
    }

    /// Who acts.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the path named.
    #[must_use]
    pub const fn subject(&self) -> &S {
        &self.subject
    }

    /// In which language to answer.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.wish.language
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.gate.handle.now()
    }

    /// Who the node is.
    #[must_use]
    pub fn identity(&self) -> &Arc<Identity> {
        self.gate.handle.identity()
    }

    /// The organisations and agreements known here.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.gate.handle.directory()
    }

    /// Reads what is kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn read<T: Send + 'static>(&self, read: impl FnOnce(&dyn Reader) -> StoreResult<T> + Send + 'static) -> Result<T, Problem> {
        self.gate.read(read).await
    }

    /// Does what takes time without the node, on a thread where it holds nobody up.
    ///
    /// # Errors
    /// The work panicked.
    pub fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = Result<T, Problem>> + use<T, S> {
        let done = tokio::task::spawn_blocking(work);
        async move { done.await.map_err(Problem::internal) }
    }

    /// What was released for the caller.
    ///
    /// # Errors
    /// It was released for somebody else.
    pub fn take<T>(&self, released: Released<T>) -> Result<T, Problem> {
        let me = Recipient::Member(self.caller.member.clone());
        released.hand_to(&me).map_err(|_| Problem::internal("something was released for somebody else"))
    }

    /// How exchange with each peer goes, as its courier sees it.
    #[must_use]
    pub fn peer_health(&self) -> std::collections::BTreeMap<format::OrgId, PeerHealth> {
        self.gate.handle.peer_health()
    }

    /// The hash to keep of a new password.
    ///
    /// # Errors
    /// The password is not fit, or the node has too much to do.
    pub async fn hash_password(&self, password: Password) -> Result<String, Problem> {
        self.gate.hash(password).await
    }

    /// Whether the password is the one with this hash.
    ///
    /// # Errors
    /// The node has too much to do.
    pub async fn is_password(&self, password: Password, hash: String) -> Result<bool, Problem> {
        self.gate.belongs(password, Some(hash)).await
    }

    /// A new password, and its text to be told once.
    #[must_use]
    pub fn new_password(&self) -> (Password, String) {
        Password::generate(&self.gate.random())
    }

    /// A new token's secret, to be told once, and the hash to keep.
    #[must_use]
    pub fn new_token(&self) -> (String, Digest) {
        self.gate.token()
    }
}

impl<S: Subject> Desk<S> {
    /// Carries out a command. From the second on, the caller is looked at again first.
    ///
    /// # Errors
    /// The caller may no longer, or the node refuses.
    pub async fn execute(&mut self, command: Command) -> Result<Outcome, Problem> {
        let pass = self.pass().await?;
        Ok(self.gate.handle.execute(pass, command).await?)
    }

    /// Replaces the house rules, once they read as rules.
    ///
    /// # Errors
    /// The text is not valid rules, or the node refuses.
    pub async fn set_house_rules(&mut self, text: String) -> Result<Outcome, Problem> {
        let rules = (self.gate.house_check)(&text).map_err(|why| Problem::invalid("house rules", why))?;
        let pass = self.pass().await?;
        Ok(self.gate.handle.set_house_rules(pass, text, rules).await?)
    }

    async fn pass(&mut self) -> Result<Pass, Problem> {
        if let Some(pass) = self.pass.take() {
            return Ok(pass);
        }
        self.caller = self.gate.recognise(self.caller.credential).await?;
        self.subject = S::resolve(&self.gate, &self.caller, &self.wish.names).await?;
        let (_, pass) = self.gate.decide(&self.caller, self.permission, &self.wish, &self.subject)?;
        Ok(pass)
    }
}
