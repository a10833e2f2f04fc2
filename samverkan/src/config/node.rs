//! `[node]`: whose node this is, and where its keys are.

use std::path::PathBuf;

use format::OrgId;
use format::id::ShortName;
use serde::{Deserialize, Serialize};

use crate::keyed::Fault;

/// Whose node this is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Node {
    /// Has no default: `init` writes it.
    pub(crate) organisation: Option<OrgId>,
    /// Has no default: `init` writes it.
    pub(crate) short: Option<ShortName>,
    pub(crate) keys_file: PathBuf,
}

impl Default for Node {
    fn default() -> Self {
        Self { organisation: None, short: None, keys_file: PathBuf::from("keys.json") }
    }
}

impl Node {
    pub(super) fn missing(&self) -> Vec<Fault> {
        let fault = |key: &str, example: &str| Fault { line: None, key: format!("node.{key}"), what: format!("is missing: write {key} = \"{example}\"") };
        let organisation = self.organisation.is_none().then(|| fault("organisation", "se-sapo"));
        let short = self.short.is_none().then(|| fault("short", "SAPO"));
        organisation.into_iter().chain(short).collect()
    }
}
