//! Receive: a verified parcel is taken in, item by item, and answered with a signed receipt.
//!
//! The sequence comes first: a parcel that was taken in before gets the same receipt again, a gap is answered with the
//! number that is awaited, and two parcels with one number are a fork, kept as evidence and the end of exchange until
//! a person has looked. Then the sender's ledger must continue what it showed before. Only then each item is weighed;
//! one that is refused does not keep the others back, and every refusal is written down.

use std::collections::BTreeSet;

use format::checkpoint::{self, Checkpoint};
use format::merkle;
use format::parcel::ItemRef;
use format::receipt::{ItemResult, Outcome, Receipt, State};
use format::record::Kind;
use format::verify::{self, Verified};
use format::{Digest, OrgId, RecordId, Signed, Timestamp};
use minicbor::{Decoder, Encoder};
use policy::admission::{self, Admission};
use policy::release::Countries;

use super::inbound::{Inbound, InboundItem, InboundPiece, InboundRecord};
use super::notice::keep_notice;
use crate::act::release::header_of;
use crate::command::Refusal;
use crate::entry::{Actor, Event};
use crate::node::{Node, Plan};
use crate::objects::seal_piece;
use crate::planted::{Bug, planted};
use crate::ports::{Next, Store, StoreResult};
use crate::rows::{Change, Condition, PeerRow, RecordRow, SeenCheckpoint, Stage, StatementKind, StatementRow, Suspicion};
use crate::state::Directory;
use crate::vault::Part;

/// What a node answers to a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A signed receipt, a COSE_Sign message.
    Receipt(Vec<u8>),
    /// A parcel before this one is missing: this number is awaited.
    Expected(u64),
    /// Exchange is stopped until a person has looked.
    Stopped(Suspicion),
}

impl Answer {
    /// The answer's bytes: a CBOR array of a number for the kind and its value.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut e = Encoder::new(&mut out);
        // INVARIANT: writing to memory does not fail.
        let _written: Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
            e.array(2)?;
            match self {
                Self::Receipt(bytes) => e.u8(0)?.bytes(bytes)?,
                Self::Expected(sequence) => e.u8(1)?.u64(*sequence)?,
                Self::Stopped(why) => e.u8(2)?.str(why.as_str())?,
            };
            Ok(())
        })();
        out
    }

    /// Reads an answer; the receipt in it is not verified yet.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut d = Decoder::new(bytes);
        if d.array().ok()? != Some(2) {
            return None;
        }
        let answer = match d.u8().ok()? {
            0 => Self::Receipt(d.bytes().ok()?.to_vec()),
            1 => Self::Expected(d.u64().ok()?),
            2 => Self::Stopped(Suspicion::parse(d.str().ok()?)?),
            _ => return None,
        };
        (d.position() == bytes.len()).then_some(answer)
    }
}

/// Key under which the receipt for a parcel is kept: sender or holder, and sequence.
pub(crate) fn receipt_key(peer: &OrgId, sequence: u64) -> Digest {
    Digest::of_parts(&[peer.as_str().as_bytes(), b"\n", &sequence.to_be_bytes()])
}

/// Key under which a node keeps a receipt that it gives. After a recovery it may have to give one anew.
pub(crate) fn given_key(peer: &OrgId, sequence: u64, era: Option<Timestamp>) -> Digest {
    let key = receipt_key(peer, sequence);
    era.map_or(key, |era| Digest::of_parts(&[key.as_bytes(), &era.as_ms().to_be_bytes()]))
}

/// What was decided about one item.
type Judgement = Result<(), BTreeSet<String>>;

pub(crate) fn refuse(code: &str) -> Judgement {
    Err([code.to_owned()].into())
}

impl<S: Store> Node<S> {
    pub(crate) fn decide_receive(&mut self, inbound: Inbound, now: Timestamp) -> Result<(Answer, Plan), Refusal> {
        let from = inbound.from().clone();
        let mut state = self.state.peer(&from);
        if let Some(why) = state.suspicion {
            return Ok((Answer::Stopped(why), Plan::default()));
        }
        if inbound.header.era < state.era && !planted(Bug::EraIgnored) {
            return self.said_before_recovery(&state, &inbound);
        }
        if inbound.header.era > state.era {
            return Ok(self.suspect(state, Suspicion::RolledBack, &inbound, now));
        }
        let sequence = inbound.header.sequence;
        let again = planted(Bug::DuplicateApplied) && sequence == state.received;
        if sequence <= state.received && !again {
            return self.seen_before(&from, &inbound, now);
        }
        if sequence > state.received + 1 {
            return Ok((Answer::Expected(state.received + 1), Plan::default()));
        }
        if inbound.header.previous != state.received_digest && !again && !planted(Bug::ForkAccepted) {
            return Ok(self.suspect(state, Suspicion::Fork, &inbound, now));
        }
        let Some(checkpoint) = self.continued(&state, &inbound) else {
            return Ok(self.suspect(state, Suspicion::SplitLedger, &inbound, now));
        };
        let Some(items) = inbound.items else {
            // It was taken for one that came before, and did not: it is to come again.
            return Ok((Answer::Expected(sequence), Plan::default()));
        };
        let digest = inbound.header.digest();
        let named: Vec<ItemRef> = inbound.header.items.clone();
        let (theirs, seen) = (checkpoint, state.receipted_size);
        let actor = Actor::Organisation(from.clone());
        let mut outcomes = Vec::with_capacity(named.len());
        let arriving: Vec<_> = items.iter().filter_map(InboundItem::record).collect();
        self.store.look_ahead(&Next::Arriving(&arriving))?;
        let taken = self.taken_before(&digest)?;
        for (item, named) in items.into_iter().zip(named) {
            if matches!(item, InboundItem::Withheld) && taken.contains(&named.digest) {
                // It may be withheld now, and is here nevertheless.
                outcomes.push(Outcome { item: named.digest, result: ItemResult::Accepted, reasons: BTreeSet::new() });
                continue;
            }
            // Each item is kept before the next is weighed: a recall can follow its record in one parcel.
            let mut plan = Plan::default();
            let arrived = match &item {
                InboundItem::Record(record) => Some(RecordId(record.header.digest())),
                InboundItem::Returned(header, _) => Some(RecordId(header.digest())),
                _ => None,
            };
            outcomes.push(self.take_item(item, &named, &from, &mut plan, now)?);
            self.keep(plan, &actor, now)?;
            if let Some(record) = arrived.filter(|_| self.state.recovery.is_some()) {
                let plan = self.take_early_notices(&record, now)?;
                self.keep(plan, &actor, now)?;
            }
        }
        let mut plan = Plan::default();
        let (size, root) = (self.state.frontier.size(), self.state.frontier.root());
        let receipt = Receipt {
            holder: self.me.org().clone(),
            sender: from.clone(),
            sequence,
            parcel: digest,
            outcomes,
            checkpoint: self.checkpoint_note(size, root)?,
            seen,
            consistency: self.consistency(seen, size)?,
            cosignature: self.cosign(&theirs, now)?,
            received: now,
            era: self.state.era(),
        };
        let receipt = verify::state(&receipt, &self.me.keys).map_err(|e| Refusal::Invalid { what: "receipt", why: e.to_string() })?;
        let bytes = receipt.signed().to_bytes();
        state.received = sequence;
        state.received_digest = digest;
        state.receipted_size = size;
        state.checkpoint = Some(theirs);
        // An item of this parcel may have been the sender's revocation of its own card.
        state.suspicion = self.state.peer(&from).suspicion;
        plan.change(Change::Peer(state));
        let key = given_key(&from, sequence, self.state.era());
        plan.change(Change::Statement(StatementRow { kind: StatementKind::ReceiptOut, key, org: from, about: Some(digest), bytes: bytes.clone(), at: now }));
        Ok((Answer::Receipt(bytes), plan))
    }

    /// A parcel with a number that was taken in before: the same one, or a fork.
    fn seen_before(&mut self, from: &OrgId, inbound: &Inbound, now: Timestamp) -> Result<(Answer, Plan), Refusal> {
        let kept = self.store.statement(StatementKind::ReceiptOut, &given_key(from, inbound.header.sequence, self.state.era()))?;
        match kept {
            Some(row) if row.about == Some(inbound.header.digest()) => Ok((Answer::Receipt(row.bytes), Plan::default())),
            // What was taken in and lost again: the number is known from the peer's account, the parcel is not.
            None if self.state.recovery.is_some() => Ok((Answer::Expected(self.state.peer(from).received + 1), Plan::default())),
            _ => Ok(self.suspect(self.state.peer(from), Suspicion::Fork, inbound, now)),
        }
    }

    /// A parcel that its sender made before it was restored, and that comes late: it changes nothing.
    fn said_before_recovery(&self, state: &PeerRow, inbound: &Inbound) -> Result<(Answer, Plan), Refusal> {
        let kept = self.store.statement(StatementKind::ReceiptOut, &given_key(&state.org, inbound.header.sequence, self.state.era()))?;
        let same = kept.filter(|row| row.about == Some(inbound.header.digest()));
        Ok((same.map_or(Answer::Expected(state.received + 1), |row| Answer::Receipt(row.bytes)), Plan::default()))
    }

    fn suspect(&self, mut state: PeerRow, why: Suspicion, inbound: &Inbound, now: Timestamp) -> (Answer, Plan) {
        let mut plan = Plan::default();
        let evidence = StatementRow {
            kind: StatementKind::Fault,
            key: inbound.header.digest(),
            org: state.org.clone(),
            about: Some(receipt_key(&state.org, inbound.header.sequence)),
            bytes: inbound.header.signed().to_bytes(),
            at: now,
        };
        plan.event(Event::Suspended { peer: state.org.clone(), why });
        plan.change(Change::Statement(evidence));
        state.suspicion = Some(why);
        plan.change(Change::Peer(state));
        (Answer::Stopped(why), plan)
    }

    /// The sender's checkpoint, if it continues the one before.
    fn continued(&self, state: &PeerRow, inbound: &Inbound) -> Option<SeenCheckpoint> {
        let header = &inbound.header;
        read_continued(&self.state.directory, &state.org, &header.checkpoint, state.checkpoint.as_ref(), header.seen, &header.consistency)
    }

    fn cosign(&self, theirs: &SeenCheckpoint, now: Timestamp) -> Result<String, Refusal> {
        let fault = |e: checkpoint::NoteError| Refusal::Invalid { what: "cosignature", why: e.to_string() };
        let origin = theirs.note.lines().next().unwrap_or_default();
        let checkpoint = Checkpoint::new(origin, theirs.size, theirs.root).map_err(fault)?;
        checkpoint.cosign(&self.me.ledger_name(), self.me.keys.ed25519(), now).map_err(fault)
    }

    fn take_item(&mut self, item: InboundItem, named: &ItemRef, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<Outcome, Refusal> {
        let mut about = None;
        let judgement = match item {
            InboundItem::Withheld => return Ok(Outcome { item: named.digest, result: ItemResult::Withheld, reasons: BTreeSet::new() }),
            InboundItem::Rejected { code, why } => {
                tracing::info!(peer.id = %from, item = %named.digest, code, why, "item rejected");
                refuse(code)
            }
            InboundItem::Record(record) => {
                about = Some(RecordId(record.header.digest()));
                self.take_record(*record, from, plan, now)?
            }
            InboundItem::Piece(piece) => {
                about = Some(piece.record);
                self.take_piece(&piece, plan, now)?
            }
            InboundItem::Agreement(agreement) => self.learn_agreement(&agreement, plan, now),
            InboundItem::Withdrawal(withdrawal) => self.learn_withdrawal(&withdrawal, plan, now),
            InboundItem::Card(card) => self.learn_card(&card, from, plan, now),
            InboundItem::Revocation(revocation) => self.learn_revocation(&revocation, from, plan, now),
            InboundItem::Notice(notice) => {
                about = Some(notice.record);
                self.take_notice(&notice, from, plan, now)?
            }
            InboundItem::Returned(header, content) => {
                about = Some(RecordId(header.digest()));
                self.take_back(&header, content, from, plan, now)?
            }
        };
        Ok(match judgement {
            Ok(()) => Outcome { item: named.digest, result: ItemResult::Accepted, reasons: BTreeSet::new() },
            Err(reasons) => {
                plan.event(Event::Refused { from: from.clone(), item: named.digest, record: about, reasons: reasons.clone() });
                Outcome { item: named.digest, result: ItemResult::Refused, reasons }
            }
        })
    }

    /// Items of a parcel that were taken in from it before this node was restored: it counts as unsent since.
    fn taken_before(&self, parcel: &Digest) -> StoreResult<BTreeSet<Digest>> {
        if self.state.recovery.is_none() {
            return Ok(BTreeSet::new());
        }
        let given = self.store.statements_about(StatementKind::ReceiptOut, parcel)?;
        let receipts = given.iter().filter_map(|row| serde_json::from_slice::<Receipt>(Signed::parse(&row.bytes).ok()?.payload()).ok());
        let taken = receipts.flat_map(|receipt| receipt.outcomes).filter(|outcome| outcome.result == ItemResult::Accepted);
        Ok(taken.map(|outcome| outcome.item).collect())
    }

    fn take_record(&mut self, record: InboundRecord, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<Judgement, Refusal> {
        let id = RecordId(record.header.digest());
        if let Some(held) = self.store.record(&id)? {
            // The same bytes again, by another way or after a repair: nothing changes, and what was recalled stays so.
            if planted(Bug::SupersededRevived) && held.condition == Condition::Superseded {
                plan.change(Change::Record(Box::new(RecordRow { condition: Condition::Current, ..held.clone() })));
            }
            self.answer_recall_again(&held, from, plan, now)?;
            return Ok(if held.condition == Condition::Current || held.condition == Condition::Superseded { Ok(()) } else { refuse("recalled") });
        }
        if self.store.tombstone(&id)?.is_some_and(|originator| originator == record.header.originator) {
            return Ok(refuse("recalled"));
        }
        let header = record.header.value();
        if self.state.directory.card(&header.originator).is_none_or(|pinned| !header.number.as_str().starts_with(&format!("{}-", pinned.card.short))) {
            return Ok(refuse("number-not-theirs"));
        }
        if self.store.record_by_number(&header.number, Some(header.version))?.is_some() && !planted(Bug::EquivocationUnseen) {
            return Ok(refuse("equivocation"));
        }
        let steers = self.steers_own_copy(header, from)?;
        if let admission::Decision::Refuse(reasons) = self.admit(&record, from, steers, now)
            && !planted(Bug::AdmissionUnasked)
        {
            return Ok(Err(reasons.iter().map(|r| r.code().to_owned()).collect()));
        }
        self.keep_record(&record, id, from, plan, now)?;
        self.follow(&record, id, from, plan, now)?;
        Ok(Ok(()))
    }

    fn admit(&self, record: &InboundRecord, from: &OrgId, steers: bool, now: Timestamp) -> admission::Decision {
        let header = record.header.value();
        let directory = &self.state.directory;
        let me = self.me.org();
        let emergency = record.emergency_of(from);
        let onward = (header.originator != *from).then(|| admission::Evidence {
            grant: record.grant.as_ref().map(|(_, grant)| grant),
            emergency: emergency.as_ref(),
            terms: record.terms.as_ref().filter(|terms| *terms.signer() == header.originator).map(Verified::value),
            under: policy::release::under(directory.agreements(), from, me, header, now),
        });
        admission::decide(&Admission {
            now,
            me,
            sender: from,
            countries: Countries { originator: directory.country(&header.originator), recipient: directory.country(me) },
            record: RecordId(record.header.digest()),
            header,
            named: directory.agreements().known(&header.agreement, now),
            onward,
            steers_held: steers,
        })
    }

    fn keep_record(&mut self, record: &InboundRecord, id: RecordId, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let header = record.header.value();
        let (content, _) = self.me.vault.seal(Part::Content(&header.number, header.version), &record.content, self.entropy.as_mut());
        let row = RecordRow {
            id,
            header: record.header.signed().payload().to_vec(),
            signatures: Some(record.header.signed().signatures().clone()),
            kind: header.kind,
            originator: header.originator.clone(),
            number: header.number.clone(),
            version: header.version,
            agreement: header.agreement.id.clone(),
            created: header.created,
            retain_until: header.retain_until,
            stage: Stage::Received,
            condition: if self.outdated(header)? && !planted(Bug::LateVersionCurrent) { Condition::Superseded } else { Condition::Current },
            drafted_by: String::new(),
            submitted_by: None,
            approved_by: None,
            sent_back: false,
            from: Some(from.clone()),
            arrived: now,
            flagged: self.builds_on_changed(header)?,
            grant: record.grant.as_ref().map(|(consent, _)| *consent),
        };
        plan.change(Change::NewRecord(Box::new(row), Some(content)));
        plan.event(Event::Received {
            record: id,
            number: header.number.clone(),
            version: header.version,
            originator: header.originator.clone(),
            from: from.clone(),
        });
        if let Some(notice) = record.emergency.as_ref().filter(|_| record.emergency_of(from).is_some_and(|emergency| emergency.recipient == *self.me.org())) {
            keep_notice(notice, plan, now);
            plan.event(Event::Noticed { record: id, holder: from.clone(), state: notice.state.clone() });
        }
        Ok(())
    }

    /// What a record that was taken in does to others.
    fn follow(&mut self, record: &InboundRecord, id: RecordId, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), Refusal> {
        let header = record.header.value();
        if header.originator != *from && header.kind.carries_information() {
            // It went through other hands: the originator is told that it arrived, the way it came.
            self.notify(id, &header.originator, State::Held, from, plan, now)?;
        }
        match header.kind {
            Kind::Recall => self.obey(header, id, from, plan, now),
            Kind::Correction => self.supersede(id, header, Some(from), plan, now),
            _ => Ok(()),
        }
    }

    fn take_piece(&mut self, piece: &InboundPiece, plan: &mut Plan, now: Timestamp) -> Result<Judgement, Refusal> {
        let (Some(row), Some(content)) = (self.store.record(&piece.record)?, self.store.content(&piece.record)?) else {
            return Ok(refuse("record-not-held"));
        };
        let header = header_of(&row)?;
        if usize::try_from(piece.attachment).ok().and_then(|n| header.attachments.get(n)).is_none() {
            return Ok(refuse("no-such-attachment"));
        }
        let returned = row.originator == *self.me.org() && row.stage == Stage::Released && self.state.recovery.is_some();
        if row.stage != Stage::Received && !returned {
            return Ok(refuse("not-received"));
        }
        let salted = self.me.vault.open(Part::Content(&row.number, row.version), &content)?;
        if !piece.fits(&header, &salted.salt) {
            return Ok(refuse("piece-mismatch"));
        }
        let (place, bytes) = ((piece.attachment, piece.index), (&salted.salt, piece.bytes.as_slice()));
        let kept = seal_piece(&self.me, &content, &row, place, bytes, piece.placed.as_ref(), self.entropy.as_mut(), now)?;
        plan.change(Change::Piece(kept));
        Ok(Ok(()))
    }
}

/// Reads a peer's checkpoint and checks that its ledger continues the one seen before.
pub(crate) fn read_continued(
    directory: &Directory,
    org: &OrgId,
    note: &str,
    before: Option<&SeenCheckpoint>,
    seen: u64,
    proof: &[Digest],
) -> Option<SeenCheckpoint> {
    let now = directory.read_note(org, note)?;
    if let Some(before) = before {
        if seen != before.size || now.size() < before.size {
            return None;
        }
        let proof: Vec<merkle::Hash> = proof.iter().map(|hash| *hash.as_bytes()).collect();
        let continues = if before.size == 0 || before.size == now.size() {
            before.size == 0 || before.root == now.root()
        } else {
            merkle::verify_consistency(before.size, now.size(), &proof, &before.root, &now.root()).is_ok()
        };
        if !continues && !planted(Bug::ConsistencyUnchecked) {
            return None;
        }
    }
    Some(SeenCheckpoint { size: now.size(), root: now.root(), note: note.to_owned() })
}
