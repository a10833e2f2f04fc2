//! `[log]`: what the node tells whoever runs it. The audit trail is the ledger, not this.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::ensure;
use crate::keyed::Fault;

/// What the node tells whoever runs it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) form: Form,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), form: Form::default() }
    }
}

impl Log {
    pub(super) fn check(&self, faults: &mut Vec<Fault>) {
        let valid = EnvFilter::try_new(&self.filter).is_ok();
        ensure(valid, "log.filter", "must be a level such as info, or levels by part such as info,samverkan_http=debug", faults);
    }
}
