//! Retention: what is no longer to be kept is destroyed, by whoever holds it.

use format::Timestamp;
use format::receipt::State;

use crate::command::Refusal;
use crate::entry::{Event, Removal};
use crate::node::{Node, Plan};
use crate::planted::{Bug, planted};
use crate::ports::Store;
use crate::rows::{Change, Condition, Stage};

impl<S: Store> Node<S> {
    pub(crate) fn decide_expire(&self, limit: usize, now: Timestamp) -> Result<(usize, Plan), Refusal> {
        let due = if planted(Bug::RetentionIgnored) { Vec::new() } else { self.store.due(now, limit)? };
        let mut plan = Plan::default();
        for record in &due {
            let Some(mut row) = self.store.record(record)?.filter(|row| row.stage != Stage::Released || !planted(Bug::OwnKeptForEver)) else {
                continue;
            };
            plan.event(Event::Removed { record: *record, because: Removal::Expired });
            plan.change(Change::DestroyContent(*record));
            if row.stage == Stage::Received {
                let back = row.from.clone().unwrap_or_else(|| row.originator.clone());
                self.notify(*record, &row.originator, State::Removed, &back, &mut plan, now)?;
            }
            if matches!(row.condition, Condition::Current | Condition::Superseded) {
                row.condition = Condition::Expired;
                plan.change(Change::Record(Box::new(row)));
            }
        }
        Ok((due.len(), plan))
    }
}
