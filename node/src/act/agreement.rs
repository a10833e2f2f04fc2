//! Agreements: put forward, signed, left; here, and as they come from other parties.
//!
//! Each party's signature is a statement of its own over the same bytes, and travels to every other party whose card is
//! held. Whether enough have signed is asked of `policy` whenever it matters, never noted as a fact.

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
use crate::ports::Store;
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
        self.continues(agreement).map_err(|code| invalid("agreement", code))?;
        let signed = verify::state(agreement, &self.me.keys).map_err(|e| invalid("agreement", report(&e)))?;
        let mut plan = Plan::default();
        plan.event(Event::AgreementProposed { agreement: agreement.id.clone(), version: agreement.version, digest: signed.digest() });
        self.keep_signature(&signed, None, &mut plan, now);
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
        self.keep_signature(&signed, None, &mut plan, now);
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
        if agreement.party(self.me.org()).is_none() {
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
            None => {
                if self.continues(agreement).is_err() {
                    return refuse("agreement-gap");
                }
                plan.event(Event::AgreementProposed { agreement: named.id, version: named.version, digest: agreement.digest() });
            }
        }
        self.keep_signature(agreement, Some(agreement.signer()), plan, now);
        Ok(())
    }

    /// Takes in another party's withdrawal.
    pub(crate) fn learn_withdrawal(&self, withdrawal: &Verified<Withdrawal>, plan: &mut Plan, now: Timestamp) -> Result<(), BTreeSet<String>> {
        if self.state.directory.agreements().versions(&withdrawal.agreement).next().is_none() {
            return Err(["agreement-unknown".to_owned()].into());
        }
        if !planted(Bug::WithdrawalIgnored) {
            self.keep_withdrawal(withdrawal, plan, now);
        }
        Ok(())
    }

    /// Whether a version follows the one before it.
    fn continues(&self, agreement: &Agreement) -> Result<(), &'static str> {
        if agreement.version == 1 {
            return Ok(());
        }
        let before = self.state.directory.agreement_digest(&agreement.id, agreement.version - 1);
        if before.is_some() && before == agreement.supersedes { Ok(()) } else { Err("it does not name the version before it by its digest") }
    }

    /// Keeps a signature, and queues it for the other parties unless it came from one of them.
    fn keep_signature(&self, signed: &Verified<Agreement>, from: Option<&OrgId>, plan: &mut Plan, now: Timestamp) {
        let named = name(signed);
        let key = signature_key(&signed.digest(), signed.signer());
        plan.event(Event::AgreementSigned { agreement: named.id, version: named.version, party: signed.signer().clone() });
        plan.change(Change::Statement(StatementRow {
            kind: StatementKind::Agreement,
            key,
            org: signed.signer().clone(),
            about: Some(signed.digest()),
            bytes: signed.signed().to_bytes(),
            at: now,
        }));
        if from.is_none() {
            for party in &signed.parties {
                if party.org != *self.me.org() && self.room(&party.org) {
                    plan.change(Change::Queue(party.org.clone(), Outgoing::Statement(ItemKind::Agreement, key)));
                }
            }
        }
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
