//! The desk: what a handler acts through.
//!
//! A desk is what the permission check yields. It holds leave for one permission and what the path named, and reaches
//! the node for exactly that; the handle itself stays behind it. Leave is used up by each command; a handler that
//! gives several, piece by piece, is looked at again for each, so that a revocation counts in the middle of an upload.

use std::net::IpAddr;
use std::sync::Arc;

use format::receipt::Why;
use format::{Digest, OrgId, Timestamp};
use node::exchange::{self, Acknowledgement, Answer, AnswerFault, Dispatch, InboundFault};
use node::ports::{Reader, StoreResult};
use node::state::Directory;
use node::{Command, Identity, Outcome, Recipient, Released};
use policy::Language;
use policy::access::{Pass, Permission};

use super::{Asker, Gate, House, Password, Subject, Wish};
use crate::handle::{PeerHealth, Trouble};
use crate::problem::{Code, Problem};

/// A parcel that was carried here.
#[derive(Debug)]
pub struct Arrived {
    /// Whose it is.
    pub from: OrgId,
    /// Its place in the sequence.
    pub sequence: u64,
    /// How many items it names.
    pub items: usize,
    /// Whether a parcel of this number had been taken in before.
    pub seen_before: bool,
    /// The answer to it.
    pub answer: Answer,
}

/// What a carried answer says.
#[derive(Debug)]
pub struct Carried {
    /// Who answers.
    pub from: OrgId,
    /// The number of the parcel that it answers.
    pub sequence: u64,
    /// Why the parcel was not taken in; none for a receipt.
    pub why: Option<Why>,
}

/// Leave for one asker to do one thing about one subject.
pub struct Desk<S = ()> {
    gate: Arc<Gate>,
    asker: Asker,
    permission: Permission,
    wish: Wish,
    subject: S,
    pass: Option<Pass>,
}

impl<S> std::fmt::Debug for Desk<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({} {})", self.asker.member, self.permission)
    }
}

impl<S> Desk<S> {
    pub(super) const fn new(gate: Arc<Gate>, asker: Asker, permission: Permission, wish: Wish, subject: S, pass: Pass) -> Self {
        Self { gate, asker, permission, wish, subject, pass: Some(pass) }
    }

    /// Who acts.
    #[must_use]
    pub const fn asker(&self) -> &Asker {
        &self.asker
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
    pub async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
    }

    /// What was released for the asker.
    ///
    /// # Errors
    /// It was released for somebody else.
    pub fn take<T>(&self, released: Released<T>) -> Result<T, Problem> {
        let me = Recipient::Member(self.asker.member.clone());
        released.hand_to(&me).map_err(|_| Problem::internal("something was released for somebody else"))
    }

    /// Has a parcel that is to be written to a file put together and sealed. Padded.
    ///
    /// # Errors
    /// The store cannot be read, or the peer's key does not seal.
    pub async fn seal(&self, dispatch: Dispatch) -> Result<Vec<u8>, Problem> {
        let to = Recipient::Organisation(dispatch.peer().clone());
        let sealed = self.gate.handle.seal(dispatch.padded()).await;
        sealed.map_err(Problem::internal)?.hand_to(&to).map_err(|_| Problem::internal("a parcel was released to somebody else"))
    }

    /// Takes in a parcel that was carried here.
    ///
    /// # Errors
    /// The node is busy or its store failed. What is wrong with the bytes is no error here.
    pub async fn receive_carried(&self, envelope: Vec<u8>) -> Result<Result<Arrived, InboundFault>, Problem> {
        let (me, directory) = (Arc::clone(self.identity()), self.directory());
        let opened = self.work(move || exchange::open_carried(&me, &directory, &envelope)).await?;
        let inbound = match opened {
            Ok(inbound) => inbound,
            Err(fault) => return Ok(Err(fault)),
        };
        let (from, sequence, items) = (inbound.from().clone(), inbound.sequence(), inbound.items());
        let org = from.clone();
        let before = self.read(move |reader| reader.peer(&org)).await?.map_or(0, |state| state.received);
        let answer = self.gate.handle.receive(inbound).await?;
        Ok(Ok(Arrived { from, sequence, items, seen_before: sequence <= before, answer }))
    }

    /// Takes in an answer that was carried here, and gives it back.
    ///
    /// # Errors
    /// The node is busy or its store failed. What is wrong with the bytes is no error here.
    pub async fn acknowledge_carried(&self, envelope: Vec<u8>) -> Result<Result<Carried, AnswerFault>, Problem> {
        let (me, directory) = (Arc::clone(self.identity()), self.directory());
        let opened = self.work(move || Acknowledgement::open(&me, &directory, &envelope)).await?;
        let acknowledgement = match opened {
            Ok(acknowledgement) => acknowledgement,
            Err(fault) => return Ok(Err(fault)),
        };
        let told = Carried { from: acknowledgement.from().clone(), sequence: acknowledgement.answers().unwrap_or_default(), why: acknowledgement.deferred() };
        self.gate.handle.acknowledge(acknowledgement).await?;
        Ok(Ok(told))
    }

    /// The house rules in force.
    #[must_use]
    pub fn house_rules(&self) -> House {
        self.gate.handle.house_rules()
    }

    /// How exchange with each peer goes, as its courier sees it.
    #[must_use]
    pub fn peer_health(&self) -> std::collections::BTreeMap<OrgId, PeerHealth> {
        self.gate.handle.peer_health()
    }

    /// What keeps the node from its work.
    pub async fn troubles(&self) -> Vec<Trouble> {
        self.gate.handle.troubles().await
    }

    /// The hash to keep of a new password.
    ///
    /// # Errors
    /// The password is not fit, or the node has too much to do.
    pub async fn hash_password(&self, password: Password) -> Result<String, Problem> {
        self.gate.hash(password).await
    }

    /// Checks that the password is the asker's own.
    ///
    /// # Errors
    /// It is not, or there were too many attempts.
    pub async fn own_password(&self, password: Password, address: Option<IpAddr>) -> Result<(), Problem> {
        match self.gate.whose_password(&self.asker.member, password, address).await {
            Ok(_) => Ok(()),
            // Who asks is known: only the password that was typed is wrong.
            Err(problem) if problem.code() == Code::LogInRefused => Err(Problem::invalid("old", "it is not your password")),
            Err(problem) => Err(problem),
        }
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
    /// Carries out a command. From the second on, the asker is looked at again first.
    ///
    /// # Errors
    /// The asker may no longer, or the node refuses.
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
        self.asker = self.gate.recognise(self.asker.credential).await?;
        self.subject = S::resolve(&self.gate, &self.asker, &self.wish.names).await?;
        let (_, pass) = self.gate.decide(&self.asker, self.permission, &self.wish, &self.subject).await?;
        Ok(pass)
    }
}
