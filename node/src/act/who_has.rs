//! Who has it: where copies of a record are, by evidence alone.
//!
//! Every copy is in exactly one state, and each state that clears a holder rests on that holder's signed word. Of a
//! recalled record each copy is either confirmed gone or outstanding, with nothing in between.

use std::collections::BTreeSet;

use format::OrgId;

use crate::ports::{Reader, StoreResult};
use crate::rows::{Condition, HoldingRow, HoldingState, RecordRow};

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders {
    /// Every copy, by holder.
    pub copies: Vec<HoldingRow>,
    /// Of a recalled record: holders that have not confirmed removal. Empty otherwise.
    pub outstanding: BTreeSet<OrgId>,
    /// Of a recalled record: holders whose signed word it is that they do not have it. Empty otherwise.
    pub confirmed: BTreeSet<OrgId>,
}

/// Whether a copy in this state may be at its holder.
#[must_use]
pub const fn may_have(state: HoldingState) -> bool {
    matches!(state, HoldingState::Sent | HoldingState::Held)
}

/// Whether a copy in this state is at its holder, or can still come to it.
pub(crate) const fn on_its_way_or_there(state: HoldingState) -> bool {
    may_have(state) || matches!(state, HoldingState::Queued)
}

/// Where copies of a record are.
///
/// # Errors
/// The store cannot be read.
pub fn holders(reader: &dyn Reader, row: &RecordRow) -> StoreResult<Holders> {
    let copies = reader.holdings(&row.id)?;
    let (mut outstanding, mut confirmed) = (BTreeSet::new(), BTreeSet::new());
    if row.condition == Condition::Recalled {
        outstanding = copies.iter().filter(|copy| on_its_way_or_there(copy.state)).map(|copy| copy.holder.clone()).collect();
        let gone = copies.iter().filter(|copy| matches!(copy.state, HoldingState::Removed | HoldingState::Refused));
        confirmed = gone.map(|copy| copy.holder.clone()).filter(|org| !outstanding.contains(org)).collect();
    }
    Ok(Holders { copies, outstanding, confirmed })
}

/// To whom a recall goes from `me` so that it reaches every copy that is `open`: it goes the way the copies went, also
/// through those who have none any more.
pub(crate) fn ways_to(copies: &[HoldingRow], me: &OrgId, open: impl Fn(&HoldingRow) -> bool) -> BTreeSet<OrgId> {
    let mut ways = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<&HoldingRow> = copies.iter().filter(|copy| open(copy)).collect();
    while let Some(copy) = wanted.pop() {
        if copy.via == *me {
            ways.insert(copy.holder.clone());
        } else if seen.insert(&copy.via) {
            wanted.extend(copies.iter().filter(|before| before.holder == copy.via));
        }
    }
    ways
}
