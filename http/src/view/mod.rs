//! Views: what the REST face shows, and takes.
//!
//! Each is a type of its own in kebab-case, made from what the node gives and never the node's own row. Identifiers,
//! times and codes are text. Closed sets of words are listed in the OpenAPI document from the types they come from.

pub mod agreement;
pub mod carried;
pub mod decision;
pub mod draft;
pub mod ledger;
pub mod member;
pub mod organisation;
pub mod peer;
pub mod record;
pub mod recovery;
pub(crate) mod words;

use format::agreement::Text;
use serde::Serialize;
use utoipa::ToSchema;

/// The same words in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Swedish.
    pub sv: String,
    /// English.
    pub en: String,
}

impl From<&Text> for Words {
    fn from(text: &Text) -> Self {
        Self { sv: text.sv.clone(), en: text.en.clone() }
    }
}

/// Everything as text, in order.
fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}
