//! Agreements: put forward, signed, left; here, and as they come from other parties.
//!
//! Each party's signature is a statement of its own over the same bytes, and travels to every other party whose card is
//! held, and to whoever the version leaves out. Whoever it adds is shown the versions before. Whether enough have signed
//! is asked of `policy` whenever it matters, never noted as a fact.

use std::collections::BTreeSet;

use format::agreement::{Agreement, Withdrawal};
use format::parcel::ItemKind;
use format::record::AgreementRef;
use format::verify::{self, Verified};
use format::{AgreementId, Digest, OrgId, Signed, Timestamp};

use super::directory::{invalid, wrong_state};
use crate::command::{Outcome, Refusal};
use crate::entry::Event;
use crate::exchange::MAX_QUEUE;
use crate::node::{Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::{self, Store, StoreError, StoreResult};
use crate::rows::{Change, Outgoing, StatementKind, StatementRow};

/// Key under which one party's signature is kept: many sign the same bytes.
pub(crate) fn signature_key(digest: &Digest, signer: &OrgId) -> Digest {
    Digest::of_parts(&[digest.as_bytes(), signer.as_str().as_bytes()])
}

fn name(agreement: &Agreement) -> AgreementRef {
    AgreementRef { id: agreement.id.clone(), version: agreement.version }
}

impl<S: Store> Node<S> {
    pub(crate) fn propose_agreement(&self, agreement: &Agreement, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        if agreement.proposed_by != *self.me.org() {
            return Err(invalid("proposed-by", format!("it is {}, and this node speaks for {}", agreement.proposed_by, self.me.org())));
        }
        if self.state.directory.agreements().get(&agreement.id, agreement.version).is_some() {
            return Err(wrong_state(
                format!("version {} av {} finns redan här: föreslå version {}", agreement.version, agreement.id, agreement.version + 1),
                format!("version {} of {} is known here already: propose version {}", agreement.version, agreement.id, agreement.version + 1),
            ));
        }
        if !self.state.directory.follows(agreement) {
            return Err(invalid("agreement", "it does not name an earlier version that is known here by its digest"));
        }
        let signed = verify::state(agreement, &self.me.keys).map_err(|e| invalid("agreement", report(&e)))?;
        let mut plan = Plan::default();
        plan.event(Event::AgreementProposed { agreement: agreement.id.clone(), version: agreement.version, digest: signed.digest() });
        keep_signature(&signed, &mut plan, now);
        self.spread_signature(&signed, &mut plan)?;
        Ok((Outcome::Done, plan))
    }

    pub(crate) fn sign_agreement(&self, id: &AgreementId, version: u32, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let accord = self.state.directory.agreements().get(id, version).ok_or_else(|| not_found(id, version))?;
        if accord.signed.contains(self.me.org()) {
            return Err(wrong_state(
                format!("{} har redan undertecknat version {version} av {id}", self.me.org()),
                format!("{} has signed version {version} of {id} already", self.me.org()),
            ));
        }
        // INVARIANT: what is signed are the bytes that were put forward, not another spelling of the same terms.
        let digest = self.state.directory.agreement_digest(id, version).ok_or_else(|| not_found(id, version))?;
        let known = self.store.statements_about(StatementKind::Agreement, &digest)?;
        let first = known.first().ok_or_else(|| not_found(id, version))?;
        let payload = Signed::parse(&first.bytes).map_err(|e| invalid("agreement", e))?.payload().to_vec();
        let signed = Signed::sign::<Agreement>(payload, &self.me.keys).map_err(|e| invalid("keys", e))?;
        let signed: Verified<Agreement> = verify::verify(&signed.to_bytes(), self.directory().as_ref()).map_err(|e| invalid("agreement", report(&e)))?;
        let mut plan = Plan::default();
        keep_signature(&signed, &mut plan, now);
        self.spread_signature(&signed, &mut plan)?;
        Ok((Outcome::Done, plan))
    }

    pub(crate) fn withdraw(&self, id: &AgreementId, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let agreements = self.state.directory.agreements();
        let party = agreements.versions(id).any(|accord| accord.party(self.me.org(), now));
        if !party {
            return Err(Refusal::NotFound { what: "agreement to which this organisation is a party", name: id.to_string() });
        }
        let withdrawal = Withdrawal { org: self.me.org().clone(), agreement: id.clone(), at: agreements.withdrawal_time(id, now) };
        let withdrawal = verify::state(&withdrawal, &self.me.keys).map_err(|e| invalid("withdrawal", report(&e)))?;
        let mut plan = Plan::default();
        self.keep_withdrawal(&withdrawal, &mut plan, now);
        for org in self.other_parties(id) {
            plan.change(Change::Queue(org, Outgoing::Statement(ItemKind::Withdrawal, withdrawal.digest())));
        }
        Ok((Outcome::Done, plan))
    }

    /// Takes in a version, or one more signature on it, from another party.
    pub(crate) fn learn_agreement(&self, agreement: &Verified<Agreement>, plan: &mut Plan, now: Timestamp) -> Result<(), BTreeSet<String>> {
        let refuse = |code: &str| Err([code.to_owned()].into());
        if !self.concerns_us(agreement) {
            return refuse("not-a-party");
        }
        let named = name(agreement);
        match self.state.directory.agreement_digest(&named.id, named.version) {
            Some(known) if known != agreement.digest() => return refuse("agreement-differs"),
            Some(_) => {
                let accord = self.state.directory.agreements().get(&named.id, named.version);
                if accord.is_some_and(|accord| accord.signed.contains(agreement.signer())) {
                    return Ok(());
                }
            }
            None if self.state.directory.early(&agreement.digest()).any(|signer| signer == agreement.signer()) => return Ok(()),
            None if !self.state.directory.follows(agreement) && !self.state.directory.has_room() => return refuse("agreement-gap"),
            None if self.state.directory.early(&agreement.digest()).next().is_some() => {}
            None => {
                plan.event(Event::AgreementProposed { agreement: named.id, version: named.version, digest: agreement.digest() });
            }
        }
        keep_signature(agreement, plan, now);
        Ok(())
    }

    /// Takes in another party's withdrawal.
    pub(crate) fn learn_withdrawal(&self, withdrawal: &Verified<Withdrawal>, plan: &mut Plan, now: Timestamp) -> Result<(), BTreeSet<String>> {
        let mut versions = self.state.directory.agreements().versions(&withdrawal.agreement).peekable();
        if versions.peek().is_none() {
            return Err(["agreement-unknown".to_owned()].into());
        }
        if versions.any(|accord| accord.withdrawn.get(&withdrawal.org).is_some_and(|known| *known >= withdrawal.at)) {
            return Ok(());
        }
        if !planted(Bug::WithdrawalIgnored) {
            self.keep_withdrawal(withdrawal, plan, now);
        }
        Ok(())
    }

    /// Whether a version is for this node: it names this organisation, leaves it out, or is one before a version that is
    /// kept here.
    fn concerns_us(&self, agreement: &Verified<Agreement>) -> bool {
        let directory = &self.state.directory;
        let names_us = |version: &Agreement| version.party(self.me.org()).is_some();
        names_us(agreement) || directory.followed(agreement).is_some_and(names_us) || directory.is_followed(&agreement.id, &agreement.digest())
    }

    /// The signatures and withdrawals that are held of an agreement, in the order in which another can take them in:
    /// versions backwards, so that whoever is in the later one knows the earlier one as its own.
    pub(crate) fn shown(&self, id: &AgreementId, up_to: u32) -> StoreResult<Vec<Outgoing>> {
        let mut shown = Vec::new();
        for row in ports::directory(&self.store) {
            let row = row?;
            let corrupt = |e: &dyn std::error::Error| StoreError::Corrupt { what: "agreement", why: e.to_string() };
            let signed = Signed::parse(&row.bytes).map_err(|e| corrupt(&e))?;
            match row.kind {
                StatementKind::Agreement => {
                    let agreement: Agreement = serde_json::from_slice(signed.payload()).map_err(|e| corrupt(&e))?;
                    if agreement.id == *id && agreement.version <= up_to {
                        shown.push((agreement.version, Outgoing::Statement(ItemKind::Agreement, row.key)));
                    }
                }
                StatementKind::Withdrawal => {
                    let withdrawal: Withdrawal = serde_json::from_slice(signed.payload()).map_err(|e| corrupt(&e))?;
                    if withdrawal.agreement == *id {
                        shown.push((0, Outgoing::Statement(ItemKind::Withdrawal, row.key)));
                    }
                }
                _ => {}
            }
        }
        shown.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        Ok(shown.into_iter().map(|(_, what)| what).collect())
    }

    /// Queues a signature of this organisation for every other party, and for whoever the version leaves out; and, where this
    /// organisation put the version forward, the versions before for whoever it adds.
    fn spread_signature(&self, signed: &Verified<Agreement>, plan: &mut Plan) -> StoreResult<()> {
        let key = signature_key(&signed.digest(), signed.signer());
        let before = self.state.directory.followed(signed);
        let named_before = |org: &OrgId| before.is_none_or(|before| before.party(org).is_some());
        let all: BTreeSet<&OrgId> =
            [Some(signed.value()), before].into_iter().flatten().flat_map(|version| version.parties.iter().map(|party| &party.org)).collect();
        for org in all {
            if org == self.me.org() || !self.room(org) {
                continue;
            }
            plan.change(Change::Queue(org.clone(), Outgoing::Statement(ItemKind::Agreement, key)));
            if !named_before(org) && signed.proposed_by == *self.me.org() {
                for what in self.shown(&signed.id, signed.version - 1)? {
                    plan.change(Change::Queue(org.clone(), what));
                }
            }
        }
        Ok(())
    }

    fn keep_withdrawal(&self, withdrawal: &Verified<Withdrawal>, plan: &mut Plan, now: Timestamp) {
        plan.event(Event::PartyWithdrew { agreement: withdrawal.agreement.clone(), party: withdrawal.org.clone() });
        plan.change(Change::Statement(StatementRow {
            kind: StatementKind::Withdrawal,
            key: withdrawal.digest(),
            org: withdrawal.org.clone(),
            about: None,
            bytes: withdrawal.signed().to_bytes(),
            at: now,
        }));
    }

    fn other_parties(&self, id: &AgreementId) -> BTreeSet<OrgId> {
        let versions = self.state.directory.agreements().versions(id);
        let parties = versions.flat_map(|accord| accord.agreement.parties.iter().map(|party| party.org.clone()));
        parties.filter(|org| org != self.me.org() && self.room(org)).collect()
    }

    /// Whether something can be queued for an organisation: its card is held and its queue is not full.
    pub(crate) fn room(&self, org: &OrgId) -> bool {
        self.state.directory.card(org).is_some() && self.state.queued.get(org).is_none_or(|waiting| *waiting < MAX_QUEUE)
    }
}

fn keep_signature(signed: &Verified<Agreement>, plan: &mut Plan, now: Timestamp) {
    plan.event(Event::AgreementSigned { agreement: signed.id.clone(), version: signed.version, party: signed.signer().clone() });
    plan.change(Change::Statement(StatementRow {
        kind: StatementKind::Agreement,
        key: signature_key(&signed.digest(), signed.signer()),
        org: signed.signer().clone(),
        about: Some(signed.digest()),
        bytes: signed.signed().to_bytes(),
        at: now,
    }));
}

fn not_found(id: &AgreementId, version: u32) -> Refusal {
    Refusal::NotFound { what: "version of an agreement", name: format!("{id} {version}") }
}

/// An error with its cause, on one line.
pub(super) fn report(fault: &dyn std::error::Error) -> String {
    let mut line = fault.to_string();
    let mut cause = fault.source();
    while let Some(inner) = cause {
        line = format!("{line}: {inner}");
        cause = inner.source();
    }
    line
}
