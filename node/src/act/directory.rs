//! Cards: which organisations are believed here, whether exchange with them goes on, and what goes to them as files.

use std::collections::BTreeSet;

use format::agreement::Text;
use format::card::{self, Card, Revocation};
use format::keys::{PublicKeys, SigningKeys};
use format::parcel::ItemKind;
use format::verify::{self, KeyDirectory as _, Verified};
use format::{Digest, OrgId, Signed, Timestamp};

use super::agreement::report;
use crate::command::{Outcome, Refusal};
use crate::entry::Event;
use crate::exchange::CARRIED_WINDOW;
use crate::node::{Node, Plan};
use crate::objects::Fetched;
use crate::ports::{Store, StoreError, StoreResult};
use crate::rows::{Change, MemberRow, Outgoing, PeerRow, StatementKind, StatementRow, Suspicion, about_org};

pub(crate) fn invalid(what: &'static str, why: impl ToString) -> Refusal {
    Refusal::Invalid { what, why: why.to_string() }
}

/// It does not fit the state things are in; said in Swedish and in English.
pub(crate) fn wrong_state(sv: impl Into<String>, en: impl Into<String>) -> Refusal {
    Refusal::WrongState(Text { sv: sv.into(), en: en.into() })
}

fn card_row(card: &Verified<Card>, now: Timestamp) -> StatementRow {
    StatementRow { kind: StatementKind::Card, key: card.digest(), org: card.org.clone(), about: None, bytes: card.signed().to_bytes(), at: now }
}

impl<S: Store> Node<S> {
    pub(crate) fn import_card(&self, bytes: &[u8], fingerprint: Digest, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let (card, keys) = card::introduce(bytes).map_err(|e| invalid("card", e))?;
        if keys.fingerprint() != fingerprint {
            let why = format!("its fingerprint is {}, not the one that was compared: ask {} again over another channel", keys.fingerprint(), card.org);
            return Err(invalid("fingerprint", why));
        }
        if let Some(known) = self.state.directory.card(&card.org) {
            if known.card.serial >= card.serial {
                return Err(wrong_state(
                    format!("kort {} för {} finns redan här", known.card.serial, card.org),
                    format!("card {} of {} is held here already", known.card.serial, card.org),
                ));
            }
            if known.keys.fingerprint() != fingerprint && card.org == *self.me.org() {
                return Err(wrong_state(
                    "nodens egna nycklar ändras inte genom att ett kort läses in",
                    "this node's own keys are not changed by importing a card",
                ));
            }
        }
        if self.revocations(&card.org)?.iter().any(|(_, revoked)| revoked.by == card.org && revoked.fingerprint == fingerprint) {
            return Err(invalid("card", format!("{} revoked these keys itself, and they are never believed again: ask for a card with new ones", card.org)));
        }
        if self.state.directory.cards().any(|other| other.card.org != card.org && other.card.short == card.short) {
            return Err(invalid("card", format!("another organisation here has the short name {}", card.short)));
        }
        if self.state.directory.by_tls_key(&card.tls_key).is_some_and(|other| other.card.org != card.org) {
            return Err(invalid("card", "its TLS key is another organisation's: one of the two would be taken for the other"));
        }
        let mut plan = Plan::default();
        plan.event(Event::CardImported { org: card.org.clone(), serial: card.serial, fingerprint });
        plan.change(Change::Statement(card_row(&card, now)));
        self.new_peer(&card.org, &mut plan);
        if self.state.directory.revoked(&card.org) {
            // People have compared a later card: what waits for the organisation goes on.
            let state = self.state.peer(&card.org);
            plan.event(Event::Resumed { peer: card.org.clone(), from: state.received + 1 });
            plan.change(Change::Peer(PeerRow { suspicion: None, ..state }));
        }
        Ok((Outcome::Done, plan))
    }

    /// Has a card believed no longer: this organisation's own, of which every peer is told, or another's, which is this
    /// organisation's own business. One person does it: it only stops, and cannot wait for a second.
    pub(crate) fn revoke_card(&self, org: &OrgId, reason: String, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let pinned = self.state.directory.card(org).ok_or_else(|| Refusal::NotFound { what: "card", name: org.to_string() })?;
        if self.state.directory.revoked(org) {
            return Err(wrong_state(format!("kortet för {org} är redan återkallat"), format!("the card of {org} was revoked already")));
        }
        let revocation = Revocation { by: self.me.org().clone(), org: org.clone(), fingerprint: pinned.keys.fingerprint(), reason, at: now };
        let revocation = verify::state(&revocation, &self.me.keys).map_err(|e| invalid("revocation", report(&e)))?;
        let mut plan = Plan::default();
        self.keep_revocation(&revocation, &mut plan, now);
        if org == self.me.org() {
            for other in self.state.directory.cards().map(|pinned| &pinned.card.org).filter(|other| *other != org) {
                plan.change(Change::Queue(other.clone(), Outgoing::Statement(ItemKind::Revocation, revocation.digest())));
            }
        }
        Ok((Outcome::Done, plan))
    }

    /// Takes in a peer's revocation of its own card.
    pub(crate) fn learn_revocation(&self, revocation: &Verified<Revocation>, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), BTreeSet<String>> {
        let refuse = |code: &str| Err([code.to_owned()].into());
        if revocation.org != *from || revocation.by != *from || *from == *self.me.org() {
            return refuse("card-not-theirs");
        }
        // WHY: the key that signed it is the one that is held; a thief who says so too does no more than end his own use of it.
        if self.state.directory.keys(from).is_none_or(|keys| keys.fingerprint() != revocation.fingerprint) {
            return refuse("card-differs");
        }
        self.keep_revocation(revocation, plan, now);
        Ok(())
    }

    fn keep_revocation(&self, revocation: &Verified<Revocation>, plan: &mut Plan, now: Timestamp) {
        let org = revocation.org.clone();
        let serial = self.state.directory.card(&org).map_or(0, |pinned| pinned.card.serial);
        let (fingerprint, digest, by) = (revocation.fingerprint, revocation.digest(), revocation.by.clone());
        plan.event(Event::CardRevoked { org: org.clone(), serial, fingerprint, revocation: digest, revoked_by: by });
        plan.change(Change::Statement(StatementRow {
            kind: StatementKind::Revocation,
            key: digest,
            org: org.clone(),
            about: Some(about_org(&org)),
            bytes: revocation.signed().to_bytes(),
            at: now,
        }));
        plan.change(Change::Peer(PeerRow { suspicion: Some(Suspicion::Revoked), ..self.state.peer(&org) }));
    }

    /// When a card of `org` was first revoked after `since`, if one was.
    pub(crate) fn revoked_after(&self, org: &OrgId, since: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        Ok(self.revocations(org)?.into_iter().map(|(at, _)| at).find(|at| *at >= since))
    }

    /// Every revocation of a card of `org`, oldest first, with when it was kept here.
    fn revocations(&self, org: &OrgId) -> StoreResult<Vec<(Timestamp, Revocation)>> {
        let corrupt = |why: String| StoreError::Corrupt { what: "revocation", why };
        let read = |row: StatementRow| {
            let signed = Signed::parse(&row.bytes).map_err(|e| corrupt(e.to_string()))?;
            Ok((row.at, serde_json::from_slice(signed.payload()).map_err(|e| corrupt(e.to_string()))?))
        };
        self.store.statements_about(StatementKind::Revocation, &about_org(org))?.into_iter().map(read).collect()
    }

    /// Makes this organisation's next card, and puts it in line for everyone whose card is held.
    pub(crate) fn renew_card(
        &self,
        addresses: Option<Vec<String>>,
        contact: Option<String>,
        new_keys: bool,
        now: Timestamp,
    ) -> Result<(Outcome, Plan), Refusal> {
        let own = self.state.directory.card(self.me.org());
        let own = own.ok_or_else(|| Refusal::NotFound { what: "card", name: self.me.org().to_string() })?;
        let addresses = addresses.unwrap_or_else(|| own.card.addresses.clone());
        let contact = contact.unwrap_or_else(|| own.card.contact.clone());
        let card = Card { addresses, contact, serial: own.card.serial + 1, issued: now, ..own.card.clone() };
        let (card, keys) = self.with_its_keys(card, &own.keys, new_keys)?;
        let card = verify::state(&card, keys).map_err(|e| invalid("card", report(&e)))?;
        let mut plan = Plan::default();
        plan.event(Event::CardImported { org: card.org.clone(), serial: card.serial, fingerprint: keys.public().fingerprint() });
        plan.change(Change::Statement(card_row(&card, now)));
        for other in self.state.directory.cards().map(|pinned| &pinned.card.org).filter(|org| *org != self.me.org() && self.room(org)) {
            plan.change(Change::Queue(other.clone(), Outgoing::Statement(ItemKind::Card, card.digest())));
        }
        Ok((Outcome::Done, plan))
    }

    /// This organisation's next card with its keys, and what signs it: the keys on the card before, or those that follow.
    fn with_its_keys(&self, card: Card, held: &PublicKeys, new_keys: bool) -> Result<(Card, &SigningKeys), Refusal> {
        let signs = |keys: &&SigningKeys| keys.public().fingerprint() == held.fingerprint();
        let next = self.me.next.as_ref();
        if !new_keys {
            // Between the card with new keys and the day on which they sign, the next ones are on the card already.
            let keys = std::iter::once(&self.me.keys).chain(next).find(signs);
            let keys = keys.ok_or_else(|| wrong_state("nycklarna på kortet finns inte på den här noden", "this node does not have the keys on its card"))?;
            return Ok((card, keys));
        }
        let next = next.ok_or_else(|| {
            wrong_state(
                "inga nya nycklar är förberedda: kör `samverkan keys prepare` och starta om noden",
                "no new keys are prepared: run `samverkan keys prepare`, and start the node again",
            )
        })?;
        if signs(&next) {
            return Err(wrong_state("kortet har de nya nycklarna redan", "the card has the new keys already"));
        }
        let card = card.with_keys(next.public(), &self.me.keys).map_err(|e| invalid("keys", report(&e)))?;
        Ok((card, next))
    }

    /// Takes in a peer's own next card, signed with the keys that people have compared, or with those that follow them by
    /// their own word. Only keys, where it is reached, by whom it is answered and what it is called may be other: whatever
    /// rules look at takes a person.
    pub(crate) fn learn_card(&self, card: &Verified<Card>, from: &OrgId, plan: &mut Plan, now: Timestamp) -> Result<(), BTreeSet<String>> {
        let refuse = |code: &str| Err([code.to_owned()].into());
        let Some(known) = self.state.directory.card(&card.org).filter(|_| card.org == *from && card.org != *self.me.org()) else {
            return refuse("card-not-theirs");
        };
        if known.card == *card.value() {
            return Ok(());
        }
        if known.card.serial >= card.serial {
            return refuse("card-outdated");
        }
        let Card { addresses, contact, name, serial, issued, keys, succession, .. } = card.value().clone();
        let mut expected = Card { addresses, contact, name, serial, issued, ..known.card.clone() };
        let mut fingerprint = known.keys.fingerprint();
        if keys != known.card.keys {
            // WHY: it was signed with keys that are held, and those could sign a card of any keys.
            let Ok((_, next)) = card::introduce(&card.signed().to_bytes()) else { return refuse("card-differs") };
            if !card.succeeds(&known.keys) {
                return refuse("card-differs");
            }
            fingerprint = next.fingerprint();
            expected = Card { keys, succession, ..expected };
        }
        if *card.value() != expected {
            return refuse("card-differs");
        }
        plan.event(Event::CardImported { org: card.org.clone(), serial: card.serial, fingerprint });
        plan.change(Change::Statement(card_row(card, now)));
        Ok(())
    }

    /// The node's own card and its first member, on an empty store.
    pub(crate) fn decide_set_up(&self, bytes: &[u8], first: MemberRow, now: Timestamp) -> Result<Plan, Refusal> {
        if self.state.frontier.size() != 0 {
            return Err(wrong_state("noden är redan inrättad", "this store is set up already"));
        }
        let (card, keys) = card::introduce(bytes).map_err(|e| invalid("card", e))?;
        if card.org != *self.me.org() || keys.fingerprint() != self.me.keys.public().fingerprint() {
            return Err(invalid("card", "it is not this node's own"));
        }
        let mut plan = Plan::default();
        plan.event(Event::CardImported { org: card.org.clone(), serial: card.serial, fingerprint: keys.fingerprint() });
        plan.change(Change::Statement(card_row(&card, now)));
        plan.event(Event::MemberAdded { member: first.id.clone(), roles: first.roles.iter().map(ToString::to_string).collect() });
        plan.change(Change::Member(first));
        Ok(plan)
    }

    /// A person has looked at why exchange stopped, and lets it go on.
    ///
    /// `from` is the number of the next parcel to be taken in from the peer; what it had sent before counts as taken.
    pub(crate) fn resume(&self, peer: &OrgId, from: u64) -> Result<(Outcome, Plan), Refusal> {
        let mut state = self.state.peer(peer);
        if state.suspicion.is_none() {
            return Err(wrong_state(format!("utbytet med {peer} är inte stoppat"), format!("exchange with {peer} is not stopped")));
        }
        if state.suspicion == Some(Suspicion::Restored) {
            return Err(wrong_state(
                format!("den här noden återställdes från en säkerhetskopia: utbytet fortsätter när {peer} har godtagit återställningen"),
                format!("this node was restored from a backup: exchange goes on when {peer} has accepted its recovery"),
            ));
        }
        if state.suspicion == Some(Suspicion::Revoked) {
            return Err(wrong_state(
                format!("kortet för {peer} är återkallat: utbytet fortsätter när ett nytt kort har lästs in och dess fingeravtryck jämförts"),
                format!("the card of {peer} was revoked: exchange goes on when a new card is imported and its fingerprint compared"),
            ));
        }
        state.suspicion = None;
        if from != state.received + 1 {
            return Err(invalid("from", format!("the next parcel from {peer} has number {}; give that number to go on", state.received + 1)));
        }
        let mut plan = Plan::default();
        plan.event(Event::Resumed { peer: peer.clone(), from });
        plan.change(Change::Peer(state));
        Ok((Outcome::Done, plan))
    }

    /// Decides the next parcel that a member writes to a file. Unlike a courier, whoever asks is told what is in the way.
    pub(crate) fn carry_out(&mut self, peer: &OrgId, after: u64, fetched: &Fetched, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        if self.state.directory.card(peer).is_none() || peer == self.me.org() {
            return Err(Refusal::NotFound { what: "organisation", name: peer.to_string() });
        }
        if self.state.peer(peer).suspicion.is_some() {
            return Err(wrong_state(format!("utbytet med {peer} är stoppat"), format!("exchange with {peer} is stopped")));
        }
        let (dispatch, mut plan) = self.decide_dispatch(peer, after, CARRIED_WINDOW, fetched, now)?;
        if dispatch.is_none() {
            fetched.check_reached()?;
        }
        if let Some(dispatch) = &dispatch {
            plan.event(Event::CarriedOut { peer: peer.clone(), sequence: dispatch.sequence() });
        }
        Ok((Outcome::CarriedOut(dispatch.map(Box::new)), plan))
    }

    /// Notes that a member takes in what is in a file; what becomes of each parcel is noted with it.
    pub(crate) fn carry_in() -> (Outcome, Plan) {
        let mut plan = Plan::default();
        plan.event(Event::CarriedIn);
        (Outcome::Done, plan)
    }
}
