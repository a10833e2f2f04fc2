//! The ceremony at the restored node: it says to itself that it was restored, and two members approve that it goes on.

use std::collections::BTreeSet;

use format::recovery::{APPROVALS, Account, Approval, Recovery};
use format::verify::{self, KeyDirectory as _};
use format::{Digest, OrgId, Signed, Timestamp};
use policy::access::Pass;

use super::{SERIALS_PASSED_OVER, account_key};
use crate::act::directory::{invalid, wrong_state};
use crate::command::{Outcome, Refusal};
use crate::entry::{Actor, Event};
use crate::node::{Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::{Store, StoreError, StoreResult};
use crate::rows::{Change, PeerRow, RecoveryRow, StatementKind, StatementRow, Suspicion, about_org};

impl<S: Store> Node<S> {
    /// Says that this node's store was restored from a backup: from here on it is open for reading alone, until its
    /// recovery is approved. Durable after [`Node::commit`].
    ///
    /// # Errors
    /// The store failed.
    pub fn mark_restored(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if planted(Bug::RestoreUnmarked) {
            return Ok(());
        }
        self.refresh()?;
        // An era begins after everything that the ledger tells, and after the era before it.
        let era = self.now(now).max(self.state.era().unwrap_or(now)).plus_ms(1);
        let (size, root) = (self.state.frontier.size(), self.state.frontier.root());
        let mut plan = Plan::default();
        plan.event(Event::Restored { era, entries: size, root: Digest::from(root) });
        plan.change(Change::Recovery(RecoveryRow { era, size, root, approvals: Vec::new(), declared: None }));
        // Whoever is known may know more of this node than it does itself.
        let others: BTreeSet<OrgId> = self.state.directory.cards().map(|pinned| pinned.card.org.clone()).filter(|org| org != self.me.org()).collect();
        for org in others.into_iter().filter(|org| !self.state.directory.revoked(org)) {
            plan.change(Change::Peer(PeerRow { suspicion: Some(Suspicion::Restored), ..self.state.peer(&org) }));
        }
        self.keep(plan, &Actor::Node, era)
    }

    pub(crate) fn approve_recovery(&mut self, pass: &Pass, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let Some(mut recovery) = self.state.recovery.clone().filter(|recovery| recovery.declared.is_none()) else {
            return Err(wrong_state("noden är inte återställd från en säkerhetskopia", "this node was not restored from a backup"));
        };
        if recovery.approvals.iter().any(|(member, _)| member == pass.member()) && !planted(Bug::RecoveryAlone) {
            return Err(wrong_state(
                "du har redan godkänt: det krävs en annan medarbetare till",
                "you have approved already: it takes another member besides you",
            ));
        }
        let mut plan = Plan::default();
        plan.event(Event::RecoveryApproved { era: recovery.era });
        recovery.approvals.push((pass.member().to_owned(), self.state.frontier.size()));
        let enough = recovery.approvals.len() >= APPROVALS;
        plan.change(Change::Recovery(recovery.clone()));
        if !enough {
            return Ok((Outcome::Done, plan));
        }
        // The entries are kept before they are named in what is declared.
        self.keep(plan, &Actor::Member(pass.member().to_owned()), now)?;
        Ok((Outcome::Done, self.declare(recovery, now)?))
    }

    fn declare(&self, mut recovery: RecoveryRow, now: Timestamp) -> Result<Plan, Refusal> {
        let (heard, unheard): (Vec<_>, Vec<_>) = self.accounts(recovery.era)?.into_iter().partition(|(_, account)| account.is_some());
        // A peer may know of a later era, from another recovery that was itself lost.
        let known = heard.into_iter().filter_map(|(_, account)| account?.era).max();
        recovery.era = known.map_or(recovery.era, |known| recovery.era.max(known.plus_ms(1)));
        let approvals = recovery.approvals.iter().map(|(_, entry)| {
            let row = self.store.entries(*entry, 1)?.into_iter().next();
            let row = row.ok_or_else(|| StoreError::Corrupt { what: "ledger", why: format!("it has no entry {entry}") })?;
            Ok(Approval { entry: *entry, leaf: Digest::from(row.leaf) })
        });
        let statement = Recovery {
            org: self.me.org().clone(),
            era: recovery.era,
            checkpoint: self.checkpoint_note(recovery.size, recovery.root)?,
            approvals: approvals.collect::<StoreResult<_>>()?,
            declared: now,
        };
        let statement = verify::state(&statement, &self.me.keys).map_err(|e| invalid("recovery", e))?;
        recovery.declared = Some(statement.digest());
        let mut plan = Plan::default();
        let unheard = unheard.into_iter().map(|(org, _)| org).collect();
        plan.event(Event::RecoveryDeclared { era: recovery.era, recovery: statement.digest(), unheard });
        plan.change(Change::Statement(StatementRow {
            kind: StatementKind::Recovery,
            key: statement.digest(),
            org: self.me.org().clone(),
            about: Some(about_org(self.me.org())),
            bytes: statement.signed().to_bytes(),
            at: now,
        }));
        plan.change(Change::Recovery(recovery));
        let mut serials = self.state.serials.clone();
        serials.entry(now.year()).or_default();
        for (year, last) in serials.into_iter().filter(|_| !planted(Bug::NumbersReused)) {
            let next = (last / SERIALS_PASSED_OVER + 1) * SERIALS_PASSED_OVER;
            plan.change(Change::Serial(year, next));
        }
        Ok(plan)
    }

    /// What each peer that this node waits for has said it last saw.
    fn accounts(&self, era: Timestamp) -> StoreResult<Vec<(OrgId, Option<Account>)>> {
        let waiting = self.state.peers.values().filter(|peer| peer.suspicion == Some(Suspicion::Restored));
        let account = |org: &OrgId| {
            let kept = self.store.statement(StatementKind::Account, &account_key(org, era, false))?;
            kept.map(|row| read_account(&row.bytes)).transpose()
        };
        waiting.map(|peer| Ok((peer.org.clone(), account(&peer.org)?))).collect()
    }
}

/// Reads an account that was verified when it was kept.
pub(super) fn read_account(bytes: &[u8]) -> StoreResult<Account> {
    let corrupt = |why: String| StoreError::Corrupt { what: "account", why };
    let signed = Signed::parse(bytes).map_err(|e| corrupt(e.to_string()))?;
    serde_json::from_slice(signed.payload()).map_err(|e| corrupt(e.to_string()))
}
