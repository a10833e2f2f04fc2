//! The node: the one write path.
//!
//! An act is decided whole against what is held, and becomes either a refusal or a [`Plan`] of changes and events. The
//! plan is appended to the store in one batch, with its ledger entries; many acts share one commit. Nothing is told
//! to anyone before the commit has returned: that is the caller's part, see [`Node::commit`]. After any failure of the
//! store the node reads its state from it again, so memory never runs ahead of what is durable.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use format::id::ShortName;
use format::keys::SigningKeys;
use format::merkle::{self, Frontier};
use format::seal::OpeningKey;
use format::{Digest, OrgId, RecordId, Timestamp};
use policy::access::Pass;
use policy::house::HouseRules;

use crate::act::directory::wrong_state;
use crate::command::{Command, Outcome, Refusal};
use crate::entry::{Actor, Entry, Event};
use crate::exchange::{Acknowledgement, Answer, Dispatch, Inbound};
use crate::planted::{Bug, planted};
use crate::ports::{Entropy, Store, StoreError, StoreResult};
use crate::rows::{Batch, Change, EntryRow, RecordRow};
use crate::state::{Directory, KEPT_LEVELS, State};
use crate::vault::Vault;

/// Who this node is: its organisation and keys. Shared with those who verify and seal outside the write path.
#[derive(Debug)]
pub struct Identity {
    /// Prefix of its record numbers.
    pub short: ShortName,
    /// With what it signs.
    pub keys: SigningKeys,
    /// With what it opens parcels.
    pub opening: OpeningKey,
    /// With what it encrypts at rest.
    pub vault: Vault,
}

impl Identity {
    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> &OrgId {
        self.keys.org()
    }

    /// Name of the organisation's ledger in checkpoints.
    #[must_use]
    pub fn ledger_name(&self) -> String {
        ledger_name(self.org())
    }
}

/// Name of an organisation's ledger in checkpoints.
#[must_use]
pub fn ledger_name(org: &OrgId) -> String {
    format!("{org}/ledger")
}

/// What an act will change, in the order in which it was decided.
#[derive(Debug, Default)]
pub struct Plan {
    pub(crate) changes: Vec<Change>,
    pub(crate) events: Vec<Event>,
}

impl Plan {
    pub(crate) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// A record's row as this plan leaves it: what the store has is older than what the plan already changed.
    pub(crate) fn latest(&self, row: RecordRow) -> RecordRow {
        let changed = self.changes.iter().rev().find_map(|change| match change {
            Change::NewRecord(changed, _) | Change::Record(changed) if changed.id == row.id => Some(changed.as_ref().clone()),
            _ => None,
        });
        changed.filter(|_| !planted(Bug::PlanForgotten)).unwrap_or(row)
    }
}

/// Something that was refused to a member.
#[derive(Debug, Clone)]
pub struct Denial {
    /// To whom.
    pub member: String,
    /// What.
    pub act: String,
    /// About which record.
    pub record: Option<RecordId>,
    /// Codes of the reasons.
    pub reasons: BTreeSet<String>,
}

/// The directory as it was at the last commit, for those who verify, preview and show.
pub type Published = Arc<RwLock<Arc<Directory>>>;

/// One organisation's node.
pub struct Node<S: Store> {
    pub(crate) store: S,
    pub(crate) me: Arc<Identity>,
    pub(crate) state: State,
    pub(crate) entropy: Box<dyn Entropy>,
    pub(crate) house: Arc<dyn HouseRules + Send + Sync>,
    published: Published,
    woken: BTreeSet<OrgId>,
    /// Something since the last commit was rolled back: nothing of it may be told.
    broken: bool,
    /// Memory may be ahead of the store, which could not be read: it is read again before anything else.
    stale: bool,
}

impl<S: Store> std::fmt::Debug for Node<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({}, {} entries)", self.me.org(), self.state.frontier.size())
    }
}

impl<S: Store> Node<S> {
    /// A node on what the store holds.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(store: S, me: Arc<Identity>, entropy: Box<dyn Entropy>, house: Arc<dyn HouseRules + Send + Sync>) -> StoreResult<Self> {
        let state = State::load(&store)?;
        let published = Arc::new(RwLock::new(Arc::clone(&state.directory)));
        Ok(Self { store, me, state, entropy, house, published, woken: BTreeSet::new(), broken: false, stale: false })
    }

    /// What the node holds in memory.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The store, for reading what the writer sees.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Who the node is.
    #[must_use]
    pub const fn identity(&self) -> &Arc<Identity> {
        &self.me
    }

    /// The directory that is republished after each commit.
    #[must_use]
    pub fn published(&self) -> Published {
        Arc::clone(&self.published)
    }

    /// Replaces the house rules in force, after [`Command::SetHouseRules`] was kept.
    pub fn use_house_rules(&mut self, rules: Arc<dyn HouseRules + Send + Sync>) {
        self.house = rules;
    }

    /// Carries out a member's command. Durable only after [`Self::commit`].
    ///
    /// # Errors
    /// See [`Refusal`]; then nothing is changed but a ledger entry that says so.
    pub fn execute(&mut self, pass: Pass, command: Command, now: Timestamp) -> Result<Outcome, Refusal> {
        self.refresh()?;
        let now = self.now(now);
        if !command.permissions().contains(&pass.permission()) {
            return Err(Refusal::WrongPass);
        }
        if self.state.restored() && !command.is_for_restored() {
            return Err(wrong_state(
                "noden är återställd från en säkerhetskopia: två medarbetare godkänner att den fortsätter (samverkan recovery approve); till dess läser man bara",
                "this node was restored from a backup: two members approve that it goes on (samverkan recovery approve); until then it is read, and no more",
            ));
        }
        let actor = Actor::Member(pass.member().to_owned());
        let word = command.word();
        match self.decide(&pass, command, now) {
            Ok((outcome, plan)) => {
                self.keep(plan, &actor, now)?;
                Ok(outcome)
            }
            Err(refusal) => {
                if let Refusal::Forbidden(reasons) = &refusal {
                    let reasons = reasons.iter().map(|r| r.code().to_owned()).collect();
                    self.deny(Denial { member: pass.member().to_owned(), act: word.to_owned(), record: None, reasons }, now)?;
                }
                Err(refusal)
            }
        }
    }

    /// Writes down that a member was refused something. Durable only after [`Self::commit`].
    ///
    /// # Errors
    /// The store failed.
    pub fn deny(&mut self, denial: Denial, now: Timestamp) -> Result<(), Refusal> {
        self.refresh()?;
        let now = self.now(now);
        let Denial { member, act, record, reasons } = denial;
        let mut plan = Plan::default();
        plan.event(Event::Denied { act, record, reasons });
        self.keep(plan, &Actor::Member(member), now)
    }

    /// Takes in a parcel that was opened and verified.
    ///
    /// # Errors
    /// The store failed.
    pub fn receive(&mut self, inbound: Inbound, now: Timestamp) -> Result<Answer, Refusal> {
        self.refresh()?;
        let now = self.now(now);
        let actor = Actor::Organisation(inbound.from().clone());
        // INVARIANT: a parcel is taken in whole or not at all; its items are kept one by one.
        let decided = self.decide_receive(inbound, now).and_then(|(answer, plan)| self.keep(plan, &actor, now).map(|()| answer));
        self.broken |= decided.is_err();
        decided
    }

    /// Decides what leaves next for a peer, after its parcel `after`; nothing when there is nothing, or no room.
    ///
    /// # Errors
    /// The store failed.
    pub fn dispatch(&mut self, peer: &OrgId, after: u64, now: Timestamp) -> Result<Option<Dispatch>, Refusal> {
        self.refresh()?;
        let now = self.now(now);
        let (dispatch, plan) = self.decide_dispatch(peer, after, now)?;
        self.keep(plan, &Actor::Node, now)?;
        Ok(dispatch)
    }

    /// Takes in a peer's answer to a parcel.
    ///
    /// # Errors
    /// The store failed.
    pub fn acknowledge(&mut self, acknowledgement: Acknowledgement, now: Timestamp) -> Result<(), Refusal> {
        self.refresh()?;
        let now = self.now(now);
        let actor = Actor::Organisation(acknowledgement.from().clone());
        let plan = self.decide_acknowledge(acknowledgement, now)?;
        self.keep(plan, &actor, now)
    }

    /// Destroys the content of records whose retention has ended. Gives how many were due; call again while it gives
    /// as many as `limit`.
    ///
    /// # Errors
    /// The store failed.
    pub fn expire(&mut self, limit: usize, now: Timestamp) -> Result<usize, Refusal> {
        self.refresh()?;
        let now = self.now(now);
        let (count, plan) = self.decide_expire(limit, now)?;
        self.keep(plan, &Actor::Node, now)?;
        Ok(count)
    }

    /// Writes what the node itself, outside any member's command, has to write down: the first member at set-up.
    ///
    /// # Errors
    /// The store failed, or there already are members.
    pub fn set_up(&mut self, card: Vec<u8>, first: crate::rows::MemberRow, now: Timestamp) -> Result<(), Refusal> {
        self.refresh()?;
        let now = self.now(now);
        let plan = self.decide_set_up(&card, first, now)?;
        self.keep(plan, &Actor::Node, now)
    }

    /// Peers for which something was queued since this was last asked.
    pub fn take_queued(&mut self) -> BTreeSet<OrgId> {
        std::mem::take(&mut self.woken)
    }

    /// Makes everything kept since the last commit durable, and publishes the directory.
    ///
    /// # Errors
    /// The store failed: nothing since the last commit was kept, the node has read its state again, and whatever the
    /// acts in between gave must not be told to anyone.
    pub fn commit(&mut self) -> StoreResult<()> {
        if std::mem::take(&mut self.broken) {
            self.go_back()?;
            return Err(StoreError::Failed("an act since the last commit could not be kept".to_owned()));
        }
        if let Err(fault) = self.store.commit() {
            if !planted(Bug::MemoryAhead) {
                self.go_back()?;
            }
            return Err(fault);
        }
        self.refresh()?;
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&published, &self.state.directory) {
            *published = Arc::clone(&self.state.directory);
        }
        Ok(())
    }

    /// Gives up what was not committed, in the store and in memory.
    fn go_back(&mut self) -> StoreResult<()> {
        self.stale = true;
        self.store.rollback()?;
        self.refresh()
    }

    /// Reads memory from the store again, where it may be ahead of it.
    pub(crate) fn refresh(&mut self) -> StoreResult<()> {
        if self.stale {
            self.state = State::load(&self.store)?;
            self.stale = false;
        }
        Ok(())
    }

    /// Time as decisions see it: never before the latest ledger entry.
    pub(crate) fn now(&self, clock: Timestamp) -> Timestamp {
        clock.max(self.state.clock)
    }

    /// Appends a plan to the store and takes it into memory.
    pub(crate) fn keep(&mut self, plan: Plan, actor: &Actor, now: Timestamp) -> Result<(), Refusal> {
        if plan.changes.is_empty() && plan.events.is_empty() {
            return Ok(());
        }
        let mut frontier = self.state.frontier.clone();
        let mut batch = Batch { expected: frontier.size(), changes: plan.changes, ..Batch::default() };
        for event in plan.events {
            self.write_entry(&mut batch, &mut frontier, Entry { at: now, by: actor.clone(), event })?;
        }
        if let Err(fault) = self.store.append(&batch) {
            self.broken = true;
            self.go_back()?;
            return Err(fault.into());
        }
        for change in &batch.changes {
            self.state.apply(change)?;
            if let Change::Queue(peer, _) = change {
                self.woken.insert(peer.clone());
            }
        }
        if !planted(Bug::FrontierStands) {
            self.state.frontier = frontier;
        }
        self.state.clock = now;
        Ok(())
    }

    fn write_entry(&mut self, batch: &mut Batch, frontier: &mut Frontier, entry: Entry) -> Result<(), Refusal> {
        let json = serde_json::to_vec(&entry).map_err(|e| Refusal::Invalid { what: "ledger entry", why: e.to_string() })?;
        let mut salt = [0; 32];
        self.entropy.fill(&mut salt);
        let leaf = *Digest::of_parts(&[&salt, &json]).as_bytes();
        let index = frontier.size();
        for subtree in frontier.push(merkle::leaf_hash(&leaf)) {
            if subtree.level > 0 && subtree.level % KEPT_LEVELS == 0 {
                batch.subtrees.push((subtree.level, subtree.index, subtree.hash));
            }
        }
        let (what, record, at) = (entry.event.what().to_owned(), entry.event.record(), entry.at);
        batch.entries.push(EntryRow { index, leaf, salt: Some(salt), json: Some(json), what, record, at });
        Ok(())
    }

    fn decide(&mut self, pass: &Pass, command: Command, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        match command {
            Command::ImportCard { bytes, fingerprint } => self.import_card(&bytes, fingerprint, now),
            Command::ProposeAgreement(agreement) => self.propose_agreement(&agreement, now),
            Command::SignAgreement { id, version } => self.sign_agreement(&id, version, now),
            Command::Withdraw { id } => self.withdraw(&id, now),
            Command::Draft(input) => self.draft(pass, &input, now),
            Command::Correct { number, input } => self.correct(pass, &number, &input, now),
            Command::Edit { number, version, input } => self.edit(pass, &number, version, &input, now),
            Command::AttachPiece { number, version, index, bytes } => self.attach_piece(pass, &number, version, index, &bytes),
            Command::AttachEnd { number, version, name, media_type, size } => self.attach_end(pass, &number, version, name, media_type, size),
            Command::Discard { number, version } => self.discard(pass, &number, version),
            Command::Submit { number, version } => self.submit(pass, &number, version, now),
            Command::Approve { record } => self.approve(pass, &record),
            Command::SendBack { record, reason } => self.send_back(pass, &record, reason),
            Command::Release { record, signature } => self.release(&record, *signature, now),
            Command::Recall { number, reason } => self.recall(pass, &number, reason, now),
            Command::PassOn { record, to } => self.pass_on(&record, &to, now),
            Command::AskConsent { record, recipient, reason } => self.ask_consent(pass, &record, recipient, reason, now),
            Command::AnswerConsent { ask, grant, reason, expires } => self.answer_consent(pass, &ask, grant, reason, expires, now),
            Command::Open { record } => self.open_record(pass, &record),
            Command::OpenPiece { record, attachment, index } => self.open_piece(pass, &record, attachment, index),
            Command::List(query) => self.list(pass, &query),
            Command::ExportLedger => Ok(self.export_ledger()),
            Command::AddMember { id, name, roles, password } => self.add_member(id, name, roles, password),
            Command::ChangeMember { id, roles, active } => self.change_member(pass, &id, roles, active),
            Command::SetPassword { member, password } => self.set_password(pass, &member, password),
            Command::AddCredential { member, hash, label, token, expires } => self.add_credential(pass, member, hash, label, token, expires, now),
            Command::RevokeCredential { hash } => self.revoke_credential(pass, &hash),
            Command::SetHouseRules { text } => Ok(Self::set_house_rules(text)),
            Command::Resume { peer, from } => self.resume(&peer, from),
            Command::BackUp { key } => Ok(Self::back_up(key)),
            Command::ApproveRecovery => self.approve_recovery(pass, now),
            Command::AcceptRecovery { peer, recovery } => self.accept_recovery(&peer, recovery, now),
        }
    }
}
