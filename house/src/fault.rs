//! What can be wrong with house rules when they are put in place.
//!
//! Every fault is the author's to mend, and names the rule and what to change; only the last is ours.

use cedar_policy::ParseErrors;
use miette::Diagnostic as _;

use crate::text::one_line;
use crate::{MAX_RULES, MAX_TEXT};

/// Rules were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleFault {
    /// Too much text.
    #[error("the rules are {bytes} bytes; the limit is {MAX_TEXT}")]
    TooLong {
        /// Bytes given.
        bytes: usize,
    },
    /// Too many rules.
    #[error("there are {rules} rules; the limit is {MAX_RULES}")]
    TooMany {
        /// Rules given.
        rules: usize,
    },
    /// Not Cedar.
    #[error("the text is not Cedar, line {line}: {why}")]
    Syntax {
        /// Line at fault, from 1.
        line: usize,
        /// What the parser says.
        why: String,
    },
    /// Templates have slots that nobody fills.
    #[error("a rule has a slot such as ?principal; write the organisation instead")]
    Template,
    /// House rules can only forbid.
    #[error("rule `{rule}` permits; house rules can only forbid further")]
    Permits {
        /// The rule.
        rule: String,
    },
    /// An annotation is missing or not of its form.
    #[error("rule number {place} needs @{annotation}(\"...\"): {rule}")]
    Annotation {
        /// Which rule, from 1 in the order of the text.
        place: usize,
        /// Which annotation.
        annotation: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// Two rules with one name.
    #[error("two rules have the name `{rule}`")]
    SameName {
        /// The name.
        rule: String,
    },
    /// Not within the schema, or never able to forbid.
    #[error("rule `{rule}` does not fit the schema: {why}")]
    DoesNotFit {
        /// The rule.
        rule: String,
        /// What the validator says.
        why: String,
    },
    /// Nothing that the author could mend.
    #[error("the rules could not be prepared: {0}")]
    Internal(String),
}

impl RuleFault {
    /// Stable code for interfaces.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "rules-too-long",
            Self::TooMany { .. } => "rules-too-many",
            Self::Syntax { .. } => "rules-syntax",
            Self::Template => "rules-template",
            Self::Permits { .. } => "rules-permit",
            Self::Annotation { .. } => "rules-annotation",
            Self::SameName { .. } => "rules-same-name",
            Self::DoesNotFit { .. } => "rules-do-not-fit",
            Self::Internal(_) => "rules-internal",
        }
    }

    pub(crate) fn syntax(errors: &ParseErrors, text: &str) -> Self {
        let offset = errors.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
        let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        Self::Syntax { line, why: one_line(&errors.to_string()) }
    }
}
