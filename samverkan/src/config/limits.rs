//! `[limits]`: how much is done at once.

use serde::{Deserialize, Serialize};

use super::ensure;
use crate::keyed::Fault;

/// How much is done at once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Limits {
    pub(crate) worker_threads: u32,
    pub(crate) blocking_threads: u32,
    pub(crate) waiting: u32,
    pub(crate) group: u32,
    pub(crate) retention_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { worker_threads: 2, blocking_threads: 4, waiting: 1024, group: 256, retention_seconds: 60 }
    }
}

impl Limits {
    pub(super) fn check(&self, faults: &mut Vec<Fault>) {
        ensure((1..=256).contains(&self.worker_threads), "limits.worker-threads", "must be 1 to 256", faults);
        ensure((2..=512).contains(&self.blocking_threads), "limits.blocking-threads", "must be 2 to 512", faults);
        ensure((1..=100_000).contains(&self.waiting), "limits.waiting", "must be 1 to 100000", faults);
        ensure((1..=10_000).contains(&self.group), "limits.group", "must be 1 to 10000", faults);
        ensure((1..=86_400).contains(&self.retention_seconds), "limits.retention-seconds", "must be 1 to 86400", faults);
    }
}
