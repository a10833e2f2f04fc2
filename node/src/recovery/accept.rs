//! Accepting: a person at a peer has called the restored organisation, and lets exchange go on in its new era.

use format::receipt::State;
use format::recovery::{Inquiry, Recovery};
use format::verify::{self, Verified};
use format::{Digest, OrgId, RecordId, Timestamp};

use crate::act::directory::{invalid, wrong_state};
use crate::command::{Outcome, Refusal};
use crate::entry::Event;
use crate::node::{Node, Plan};
use crate::ports::Store;
use crate::rows::{Change, PeerRow, SeenCheckpoint, StatementKind};

impl<S: Store> Node<S> {
    pub(crate) fn accept_recovery(&self, peer: &OrgId, recovery: Digest, now: Timestamp) -> Result<(Outcome, Plan), Refusal> {
        let not_found = || Refusal::NotFound { what: "recovery of that organisation", name: recovery.to_string() };
        let kept = |kind| self.store.statement(kind, &recovery);
        let (Some(statement), Some(inquiry)) = (kept(StatementKind::Recovery)?, kept(StatementKind::Inquiry)?) else { return Err(not_found()) };
        if statement.org != *peer {
            return Err(not_found());
        }
        let directory = self.directory().as_ref();
        let statement: Verified<Recovery> = verify::verify(&statement.bytes, directory).map_err(|e| invalid("recovery", e))?;
        let inquiry: Verified<Inquiry> = verify::verify(&inquiry.bytes, directory).map_err(|e| invalid("inquiry", e))?;
        let state = self.state.peer(peer);
        if Some(statement.era) <= state.era {
            return Err(wrong_state(
                format!("en lika ny eller nyare återställning av {peer} är redan godtagen"),
                format!("a recovery of {peer} that is as new, or newer, has been accepted already"),
            ));
        }
        Ok((Outcome::Done, self.enter_era(state, &statement, &inquiry, now)?))
    }

    /// Exchange with a peer goes on in its new era, and what it lost goes back to it.
    pub(super) fn enter_era(&self, state: PeerRow, recovery: &Verified<Recovery>, inquiry: &Verified<Inquiry>, now: Timestamp) -> Result<Plan, Refusal> {
        let peer = state.org.clone();
        let restored = self.directory().read_note(&peer, &recovery.checkpoint);
        let restored = restored.ok_or_else(|| invalid("checkpoint", format!("it does not hold under the keys of {peer}")))?;
        let restored = SeenCheckpoint { size: restored.size(), root: restored.root(), note: recovery.checkpoint.clone() };
        let seen = [&state.checkpoint, &state.receipt_checkpoint].into_iter().flatten().map(|seen| seen.size).max().unwrap_or(0);
        let mut plan = Plan::default();
        plan.event(Event::RecoveryAccepted { peer: peer.clone(), era: recovery.era, recovery: recovery.digest(), restored: restored.size, seen });
        plan.change(Change::Peer(PeerRow {
            checkpoint: Some(restored.clone()),
            receipt_checkpoint: Some(restored),
            suspicion: None,
            era: Some(recovery.era),
            ..state
        }));
        self.give_back(&peer, inquiry, &mut plan, now)?;
        // Its own recovery comes last: when that has come, all of it has.
        self.notify(RecordId(recovery.digest()), &peer, State::Held, &peer, &mut plan, now)?;
        Ok(plan)
    }
}
