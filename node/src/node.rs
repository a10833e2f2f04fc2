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
use format::record::Header;
use format::seal::{OpeningKey, SealFault};
use format::verify::KeyDirectory as _;
use format::{Digest, OrgId, RecordId, Signed, Timestamp};
use policy::access::Pass;
use policy::house::HouseRules;

use crate::act::directory::wrong_state;
use crate::command::{Command, Outcome, Refusal};
use crate::entry::{Actor, Entry, Event};
use crate::exchange::{Acknowledgement, Answer, Dispatch, Inbound, WINDOW};
use crate::objects::Fetched;
use crate::planted::{Bug, planted};
use crate::ports::{Entropy, News, Next, Store, StoreError, StoreResult};
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
    /// What it will sign with, once every peer has the card with these keys.
    pub next: Option<SigningKeys>,
    /// With what it opens parcels that are sealed to the keys before, or to the next.
    pub further: Vec<OpeningKey>,
    /// With what it encrypts at rest.
    pub vault: Vault,
}

impl Identity {
    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> &OrgId {
        self.keys.org()
    }

    /// Opens an envelope with a parcel, sealed to any of its keys.
    ///
    /// # Errors
    /// See [`SealFault`]: that of the first key.
    pub(crate) fn open(&self, envelope: &[u8]) -> Result<Vec<u8>, SealFault> {
        self.open_with(|key| key.open(self.org(), envelope))
    }

    /// Opens an envelope with an answer, sealed to any of its keys.
    ///
    /// # Errors
    /// See [`SealFault`]: that of the first key.
    pub(crate) fn open_answer(&self, envelope: &[u8]) -> Result<Vec<u8>, SealFault> {
        self.open_with(|key| key.open_answer(self.org(), envelope))
    }

    fn open_with(&self, open: impl Fn(&OpeningKey) -> Result<Vec<u8>, SealFault>) -> Result<Vec<u8>, SealFault> {
        open(&self.opening).or_else(|fault| match fault {
            SealFault::Open => self.further.iter().find_map(|key| open(key).ok()).ok_or(fault),
            other => Err(other),
        })
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
    /// A record of this organisation that is to be signed, with its exact bytes.
    pub(crate) unsigned: Option<(RecordId, Vec<u8>)>,
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

/// Makes house rules of their text. What does not read as rules becomes rules that err, and so refuse.
pub type RulesReader = Box<dyn Fn(&str) -> Arc<dyn HouseRules + Send + Sync> + Send>;

/// The directory as it was at the last commit, for those who verify, preview and show.
pub type Published = Arc<RwLock<Arc<Directory>>>;

/// One organisation's node.
pub struct Node<S: Store> {
    pub(crate) store: S,
    pub(crate) me: Arc<Identity>,
    pub(crate) state: State,
    pub(crate) entropy: Box<dyn Entropy>,
    pub(crate) house: Arc<dyn HouseRules + Send + Sync>,
    /// For a store that other processes write to: they may set house rules too.
    rules_reader: Option<RulesReader>,
    published: Published,
    woken: BTreeSet<OrgId>,
    /// What was released since the last commit and is not signed yet.
    unsigned: Vec<(RecordId, Vec<u8>)>,
    /// Why something since the last commit was rolled back: nothing of it may be told.
    broken: Option<StoreError>,
    /// Memory may be ahead of the store, which could not be read: it is read again before anything else.
    stale: bool,
    /// Other processes have written since this was last asked.
    heard: bool,
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
    pub fn open(mut store: S, me: Arc<Identity>, entropy: Box<dyn Entropy>, house: Arc<dyn HouseRules + Send + Sync>) -> StoreResult<Self> {
        let state = store.take_turn().and_then(|_| State::load(&store))?;
        store.rollback()?;
        let published = Arc::new(RwLock::new(Arc::clone(&state.directory)));
        Ok(Self {
            store,
            me,
            state,
            entropy,
            house,
            rules_reader: None,
            published,
            woken: BTreeSet::new(),
            unsigned: Vec::new(),
            broken: None,
            stale: false,
            heard: false,
        })
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

    /// The house rules in force.
    #[must_use]
    pub const fn house_rules(&self) -> &Arc<dyn HouseRules + Send + Sync> {
        &self.house
    }

    /// Has house rules that another process set put in force here.
    pub fn follow_house_rules(&mut self, reader: RulesReader) {
        self.rules_reader = Some(reader);
    }

    /// Takes in what other processes have written to the store. Every act does so first; this is for a time without acts.
    /// The turn that it takes ends with [`Self::commit`].
    ///
    /// # Errors
    /// The store failed.
    pub fn catch_up(&mut self) -> StoreResult<()> {
        self.refresh()
    }

    /// Has the store fetch what commands that come next will ask of it. It decides nothing, and what fails here fails again
    /// where somebody is told.
    pub fn look_ahead<'a>(&mut self, commands: impl Iterator<Item = &'a Command>) {
        let named: Vec<RecordId> = commands.filter_map(Command::names).collect();
        if named.len() > 1 && self.refresh().is_ok() {
            let _told_later = self.store.look_ahead(&Next::Named(&named));
        }
    }

    /// Tries whether the store can be written to, which shows with [`Self::commit`]. Gives whether anything was written.
    ///
    /// # Errors
    /// It cannot.
    pub fn try_out(&mut self) -> StoreResult<bool> {
        self.store.try_out()
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
        if self.state.directory.revoked(self.me.org()) && !command.is_for_restored() {
            return Err(wrong_state(
                "den här organisationens kort är återkallat: noden läser man bara, och det som ska ut härifrån behöver nya nycklar",
                "this organisation's card was revoked: the node is read, and no more; whatever is to leave takes new keys",
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
        if decided.is_err() {
            self.broken.get_or_insert_with(|| StoreError::Failed("a parcel could not be taken in whole".to_owned()));
        }
        decided
    }

    /// Decides what leaves next for a peer over a connection, after its parcel `after`; nothing when there is nothing, or
    /// no room.
    ///
    /// # Errors
    /// The store failed.
    pub fn dispatch(&mut self, peer: &OrgId, after: u64, now: Timestamp) -> Result<Option<Dispatch>, Refusal> {
        self.dispatch_within(WINDOW, peer, after, &Fetched::default(), now)
    }

    /// Decides what leaves next for a peer, with at most `window` parcels without receipt: [`CARRIED_WINDOW`] where
    /// receipts take their time. `fetched` are the objects that were fetched for it.
    ///
    /// [`CARRIED_WINDOW`]: crate::exchange::CARRIED_WINDOW
    ///
    /// # Errors
    /// The store failed. [`Refusal::NotFetched`] names the objects that the next parcel takes; nothing was decided.
    pub fn dispatch_within(&mut self, window: u64, peer: &OrgId, after: u64, fetched: &Fetched, now: Timestamp) -> Result<Option<Dispatch>, Refusal> {
        self.refresh()?;
        let now = self.now(now);
        self.sign_released()?;
        let (dispatch, plan) = self.decide_dispatch(peer, after, window, fetched, now)?;
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

    /// Whether memory has changed by what others wrote, since this was last asked.
    pub fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
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
        if let Some(fault) = self.broken.take() {
            self.go_back()?;
            return Err(fault);
        }
        if let Err(fault) = self.sign_released().and_then(|()| self.store.commit()) {
            self.broken = None;
            if !planted(Bug::MemoryAhead) {
                self.go_back()?;
            }
            return Err(fault);
        }
        if self.stale {
            // Nothing was appended, for every act brings memory up to date first.
            self.refresh()?;
            self.store.rollback()?;
        }
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&published, &self.state.directory) {
            *published = Arc::clone(&self.state.directory);
        }
        Ok(())
    }

    /// Gives up what was not committed, in the store and in memory.
    fn go_back(&mut self) -> StoreResult<()> {
        self.stale = true;
        self.unsigned.clear();
        self.store.rollback()?;
        self.refresh()?;
        // Nothing was appended in this turn: it ends, so that others have theirs.
        self.store.rollback()
    }

    /// Takes the turn to decide, and brings memory to what the store has: what others have written meanwhile, or all of
    /// it where memory may be ahead of the store.
    pub(crate) fn refresh(&mut self) -> StoreResult<()> {
        match self.store.take_turn()? {
            News::Nothing => {}
            News::Everything => self.stale = true,
            News::Changes(changes) => {
                self.heard = true;
                let rules = changes.house_rules.clone();
                // INVARIANT: changes are told once; if they cannot be taken in, everything is read again.
                self.stale |= self.state.follow(*changes).inspect_err(|fault| tracing::warn!(error = %fault, "news could not be taken in")).is_err();
                self.follow_rules(rules);
            }
        }
        if self.stale {
            self.state = State::load(&self.store)?;
            if self.rules_reader.is_some() {
                let rules = self.store.opening()?.house_rules;
                self.follow_rules(Some(rules));
            }
            (self.stale, self.heard) = (false, true);
        }
        Ok(())
    }

    fn follow_rules(&mut self, text: Option<String>) {
        if let (Some(reader), Some(text)) = (&self.rules_reader, text) {
            self.house = reader(&text);
        }
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
        self.append(&batch)?;
        self.unsigned.extend(plan.unsigned);
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

    fn append(&mut self, batch: &Batch) -> StoreResult<()> {
        self.store.append(batch).or_else(|fault| self.lose(fault))
    }

    /// Something since the last commit cannot be kept: nothing of it is.
    fn lose(&mut self, fault: StoreError) -> StoreResult<()> {
        self.broken = Some(fault.clone());
        self.go_back()?;
        Err(fault)
    }

    /// Signs what was released since the last commit, all at once: see [`format::batch`].
    fn sign_released(&mut self) -> StoreResult<()> {
        if self.unsigned.is_empty() {
            return Ok(());
        }
        let (records, headers): (Vec<RecordId>, Vec<Vec<u8>>) = std::mem::take(&mut self.unsigned).into_iter().unzip();
        let mut signed = match Signed::sign_all::<Header>(headers, &self.me.keys) {
            Ok(signed) => signed,
            Err(fault) => return self.lose(StoreError::Failed(fault.to_string())),
        };
        if planted(Bug::PlacesSwapped) {
            signed.reverse();
        }
        let changes = records.into_iter().zip(signed).map(|(record, signed)| Change::Signatures(record, signed.signatures().clone()));
        self.append(&Batch { expected: self.state.frontier.size(), changes: changes.collect(), ..Batch::default() })
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
            Command::RenewCard { addresses, contact, new_keys } => self.renew_card(addresses, contact, new_keys, now),
            Command::RevokeCard { org, reason } => self.revoke_card(&org, reason, now),
            Command::ImportCard { bytes, fingerprint } => self.import_card(&bytes, fingerprint, now),
            Command::ProposeAgreement(agreement) => self.propose_agreement(&agreement, now),
            Command::SignAgreement { id, version } => self.sign_agreement(&id, version, now),
            Command::Withdraw { id } => self.withdraw(&id, now),
            Command::Draft(input) => self.draft(pass, &input, now),
            Command::Correct { number, input } => self.correct(pass, &number, &input, now),
            Command::Edit { number, version, input } => self.edit(pass, &number, version, &input, now),
            Command::AttachPiece { number, version, index, bytes, placed } => self.attach_piece(pass, &number, version, index, &bytes, placed.as_ref(), now),
            Command::AttachEnd { number, version, name, media_type, size } => self.attach_end(pass, &number, version, name, media_type, size),
            Command::Discard { number, version } => self.discard(pass, &number, version),
            Command::Submit { number, version } => self.submit(pass, &number, version, now),
            Command::Approve { record } => self.approve(pass, &record),
            Command::SendBack { record, reason } => self.send_back(pass, &record, &reason),
            Command::Release { record } => self.release(&record, now),
            Command::Recall { number, reason } => self.recall(pass, &number, reason, now),
            Command::PassOn { record, to } => self.pass_on(&record, &to, now),
            Command::StateEmergency { record, to, reason } => self.state_emergency(pass, &record, to, reason, now),
            Command::ReleaseInEmergency { statement } => self.release_in_emergency(pass, &statement, now),
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
            Command::CarryOut { peer, after, fetched } => self.carry_out(&peer, after, &fetched, now),
            Command::CarryIn => Ok(Self::carry_in()),
            Command::BackUp { key } => Ok(Self::back_up(key)),
            Command::ApproveRecovery => self.approve_recovery(pass, now),
            Command::AcceptRecovery { peer, recovery } => self.accept_recovery(&peer, recovery, now),
        }
    }
}
