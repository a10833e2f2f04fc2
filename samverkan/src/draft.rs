//! Drafts as authors write them: a Markdown file that begins with its header.
//!
//! The header is TOML between two lines `+++`. The first heading is the title, what follows is the text. Everything
//! that is wrong with a file is told at once, each with its line and what to write instead; nothing is sent before all
//! of it is right. What the keys are stands in one table, [`keys::KEYS`], which is also the template.

mod keys;
mod reading;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use format::grading::Grading;
use format::id::{AgreementId, LegalBasis, OrgId, Purpose};
use format::marking::Marking;
use format::record::{Kind, Relation, SubjectCategory};
use serde_json::value::RawValue;

pub(crate) use keys::template;

use crate::failure::{Failure, Outcome};
use crate::keyed::Fault;

/// The largest STIX bundle that goes into the text itself; a larger one is attached.
const MAX_EMBEDDED: usize = 700 * 1024;

/// The largest file of a draft that is read.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A draft as its author gives it, every part in its grammar.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) agreement: AgreementId,
    pub(crate) audience: BTreeSet<OrgId>,
    pub(crate) marking: Marking,
    pub(crate) grading: Option<Grading>,
    pub(crate) purpose: Purpose,
    pub(crate) legal_basis: LegalBasis,
    pub(crate) categories: BTreeSet<SubjectCategory>,
    pub(crate) language: String,
    pub(crate) retention_days: Option<u32>,
    /// Other records, by id or number.
    pub(crate) links: Vec<(Relation, String)>,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) caveat_text: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) stix: Stix,
}

/// Where a STIX bundle goes.
#[derive(Debug)]
pub(crate) enum Stix {
    /// There is none.
    None,
    /// Into the record's content, as the bytes it has.
    Embedded(Box<RawValue>),
    /// It is too large for that: beside the text, as an attachment.
    Attached(PathBuf),
}

/// Reads the draft in the file at `path`.
pub(crate) fn read(path: &Path) -> Outcome<Draft> {
    let shown = path.display();
    let unreadable = |why: &dyn std::fmt::Display| Failure::usage(format!("`{shown}` cannot be read: {why}"));
    let size = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if size > MAX_FILE {
        return Err(unreadable(&"it is larger than 4 MiB").remedy("Attach what is large with `samverkan report attach`."));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let beside = path.parent().unwrap_or(Path::new(""));
    parse(&text, beside).map_err(|faults| {
        let count = if faults.len() == 1 { "a fault".to_owned() } else { format!("{} faults", faults.len()) };
        Failure::usage(format!("`{shown}` has {count}, and nothing was sent"))
            .details(faults.iter().map(ToString::to_string))
            .remedy("Correct them; `samverkan report draft --template` shows a whole file with every key.")
    })
}

/// Reads a draft, or gives every fault in it, in the order of its lines. Paths are relative to `beside`.
pub(crate) fn parse(text: &str, beside: &Path) -> Result<Draft, Vec<Fault>> {
    reading::parse(text, beside)
}
