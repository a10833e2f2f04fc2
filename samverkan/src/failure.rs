//! How the program fails: in sentences, with an exit code.
//!
//! A failure says in one sentence what happened and whose matter it is, and in one what to do. What the server says is
//! passed on as it said it. There are no other ways to end than those of [`Exit`], and scripts may rely on them.

use std::fmt::{self, Write as _};
use std::process::ExitCode;

/// The result of a verb.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// How the program ends when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Understood, and not done: a rule, a wrong state, or something that does not verify.
    Refused = 1,
    /// Not understood: arguments, files or configuration are not as they should be.
    Usage = 2,
    /// The node could not be reached, or could not do its work.
    Unreachable = 3,
}

/// What went wrong, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    details: Vec<String>,
    remedy: Option<String>,
    problem: Option<Box<serde_json::Value>>,
}

impl Failure {
    /// It was refused.
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::new(Exit::Refused, what)
    }

    /// It was not understood.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// The node was not reached.
    pub(crate) fn unreachable(what: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, what)
    }

    fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), details: Vec::new(), remedy: None, problem: None }
    }

    /// Adds lines of their own, one for each thing that is wrong.
    pub(crate) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// Says what to do.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Keeps what the server said, for whoever asked for JSON.
    pub(crate) fn problem(mut self, problem: serde_json::Value) -> Self {
        self.problem = Some(Box::new(problem));
        self
    }

    /// How the program ends.
    pub(crate) fn exit(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }

    /// As one JSON object.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let own = || serde_json::json!({ "title": self.what, "details": self.details, "remedy": self.remedy });
        self.problem.as_deref().cloned().unwrap_or_else(own)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.what.chars();
        rest.next().map_or(Ok(()), |first| first.to_uppercase().try_for_each(|c| f.write_char(c)))?;
        f.write_str(rest.as_str())?;
        if !self.what.ends_with(['.', '!', '?', ':']) {
            f.write_char(if self.details.is_empty() { '.' } else { ':' })?;
        }
        for detail in &self.details {
            write!(f, "\n  - {detail}")?;
        }
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "\n{remedy}"))
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_sentences_with_what_to_do_last() {
        let failure = Failure::usage("`report.md` has 2 faults").details(["line 2: one".to_owned(), "line 3: two".to_owned()]).remedy("Correct them.");
        assert_eq!(failure.to_string(), "`report.md` has 2 faults:\n  - line 2: one\n  - line 3: two\nCorrect them.");
        assert_eq!(Failure::refused("no").to_string(), "No.");
    }
}
