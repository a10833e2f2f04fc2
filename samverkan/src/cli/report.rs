//! `report`: from draft to release.
//!
//! What an author writes is a Markdown file; see [`crate::draft`]. From submission on its bytes are fixed: a second
//! person approves exactly those, and those are signed and released.

pub(super) mod attach;
mod decide;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use format::grading::Grading;
use format::id::{LegalBasis, Purpose};
use format::marking::Marking;
use format::record::{Kind, Link, SubjectCategory};
use format::{AgreementId, OrgId, RecordId, RecordNumber};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Context, ForPurpose};
use crate::answer::Answer as _;
use crate::client::Client;
use crate::draft::{self, Draft, Stix};
use crate::failure::{Failure, Outcome};
use crate::print::{line, time_of};
use crate::reference::Reference;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
From draft to release:
  samverkan report draft --template > report.md    write it in your editor
  samverkan report draft report.md                 it gets its number
  samverkan report attach SAPO-2026-000123 map.png
  samverkan report submit SAPO-2026-000123         its bytes are fixed; a second person looks at them
  samverkan report approve SAPO-2026-000123        by somebody else
  samverkan report release SAPO-2026-000123 --preview   who would get it, why, and what forbids the rest
  samverkan report release SAPO-2026-000123")]
pub(super) enum Report {
    /// Begin a draft from a Markdown file
    Draft {
        /// The file
        #[arg(required_unless_present = "template")]
        file: Option<PathBuf>,
        /// Print a whole file with every key explained
        #[arg(long)]
        template: bool,
    },
    /// Replace a draft with what the file says now; its attachments stay
    Edit {
        /// The draft
        draft: Reference,
        /// The file
        file: PathBuf,
    },
    /// Attach a file to a draft
    Attach {
        /// The draft
        draft: Reference,
        /// The file
        file: PathBuf,
        /// Its media type; told from the file's name when not given
        #[arg(long)]
        media_type: Option<String>,
    },
    /// Fix a draft's bytes and put it before a second person
    Submit {
        /// The draft
        draft: Reference,
    },
    /// Approve what somebody else submitted
    Approve {
        /// The record
        record: Reference,
    },
    /// Send what was submitted back to its author
    Reject {
        /// The record
        record: Reference,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Release an approved record to its audience
    Release {
        /// The record
        record: Reference,
        /// Show who would get it and why, and release nothing
        #[arg(long)]
        preview: bool,
        #[command(flatten)]
        purpose: ForPurpose,
    },
    /// List records, newest first
    List {
        /// Only at this stage: draft, submitted, approved, released or received
        #[arg(long)]
        stage: Option<policy::access::Stage>,
        /// Only of this kind
        #[arg(long)]
        kind: Option<Kind>,
        /// Only from this organisation
        #[arg(long)]
        from: Option<OrgId>,
        /// Only those that build on something that was corrected or recalled
        #[arg(long)]
        flagged: bool,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        #[command(flatten)]
        purpose: ForPurpose,
    },
}

pub(super) async fn run(context: &Context, verb: Report) -> Outcome {
    match verb {
        Report::Draft { template: true, .. } => line(draft::template().trim_end()),
        Report::Draft { file, .. } => begin(context, &file.unwrap_or_default()).await?,
        Report::Edit { draft, file } => edit(context, &draft, &file).await?,
        Report::Attach { draft, file, media_type } => attach::run(context, &draft, &file, media_type).await?,
        Report::Submit { draft } => submit(context, &draft).await?,
        Report::Approve { record } => decide::approve(context, &record).await?,
        Report::Reject { record, reason } => decide::reject(context, &record, &reason).await?,
        Report::Release { record, preview: true, purpose } => decide::preview(context, &record, &purpose).await?,
        Report::Release { record, preview: false, .. } => decide::release(context, &record).await?,
        Report::List { stage, kind, from, flagged, limit, purpose } => {
            let client = context.client()?;
            let purpose = purpose.get(&client).await?;
            let call = client.get(&["records"]).purpose(&purpose).query("limit", limit).query_if("stage", stage).query_if("kind", kind);
            let answer = call.query_if("originator", from).query_if("flagged", flagged.then_some(true)).send().await?;
            context.printer.answer(&answer, || list(context, &answer));
        }
    }
    Ok(())
}

async fn begin(context: &Context, file: &Path) -> Outcome {
    let draft = draft::read(file)?;
    let client = context.client()?;
    let body = body(&client, &draft).await?;
    let answer = client.post(&["drafts"]).json(&body).send().await?;
    let (number, version) = (answer.text("/number"), answer.number("/version"));
    attach::stix(&client, &draft.stix, &number, version).await?;
    context.printer.answer(&answer, || {
        line(&format!("Drafted {number}: {}", draft.title));
        line(&format!("Attach files with `samverkan report attach {number} FILE`, then `samverkan report submit {number}`."));
    });
    Ok(())
}

async fn edit(context: &Context, reference: &Reference, file: &Path) -> Outcome {
    let draft = draft::read(file)?;
    let client = context.client()?;
    let (number, version) = place(reference)?;
    let body = body(&client, &draft).await?;
    let answer = client.put(&["drafts", &number, &version.to_string()]).json(&body).send().await?;
    attach::stix(&client, &draft.stix, &number, version).await?;
    context.printer.answer(&answer, || line(&format!("Changed {number}: {}", draft.title)));
    Ok(())
}

async fn submit(context: &Context, reference: &Reference) -> Outcome {
    let (number, version) = place(reference)?;
    let answer = context.client()?.post(&["drafts", &number, &version.to_string(), "submission"]).send().await?;
    context.printer.answer(&answer, || line(&format!("Submitted {}. Somebody else approves it now.", named(&answer))));
    Ok(())
}

/// A draft's number and version; without a version, the first.
pub(super) fn place(reference: &Reference) -> Outcome<(String, u64)> {
    let place = |number: &RecordNumber, version: u32| (number.to_string(), u64::from(version));
    match reference {
        Reference::Number(number) => Ok(place(number, 1)),
        Reference::Version(number, version) => Ok(place(number, *version)),
        Reference::Id(_) => {
            Err(Failure::usage("a draft has no id that stays").remedy("Name it by its number, and for a correction its version: SAPO-2026-000123@2."))
        }
    }
}

/// A record's number, with its version where that is not the first.
pub(super) fn named(answer: &Value) -> String {
    match answer.number("/version") {
        0 | 1 => answer.text("/number"),
        version => format!("{}@{version}", answer.text("/number")),
    }
}

/// A draft as the node takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Body<'a> {
    kind: Kind,
    agreement: &'a AgreementId,
    audience: &'a BTreeSet<OrgId>,
    marking: &'a Marking,
    grading: Option<Grading>,
    purpose: &'a Purpose,
    legal_basis: &'a LegalBasis,
    categories: &'a BTreeSet<SubjectCategory>,
    language: &'a str,
    retention_days: Option<u32>,
    links: Vec<Link>,
    content: Said<'a>,
}

/// What it says. A bundle goes as the bytes that it has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Said<'a> {
    title: &'a str,
    text: &'a str,
    caveat_text: Option<&'a str>,
    stix: Option<&'a RawValue>,
    reason: Option<&'a str>,
}

/// A draft as the node takes it. Numbers of other records are looked up, for links are to exact bytes.
pub(super) async fn body<'a>(client: &Client, draft: &'a Draft) -> Outcome<Body<'a>> {
    let mut links = Vec::new();
    for (relation, to) in &draft.links {
        links.push(Link { relation: *relation, to: id_of(client, to, &draft.purpose).await? });
    }
    let stix = if let Stix::Embedded(bundle) = &draft.stix { Some(&**bundle) } else { None };
    Ok(Body {
        kind: draft.kind,
        agreement: &draft.agreement,
        audience: &draft.audience,
        marking: &draft.marking,
        grading: draft.grading,
        purpose: &draft.purpose,
        legal_basis: &draft.legal_basis,
        categories: &draft.categories,
        language: &draft.language,
        retention_days: draft.retention_days,
        links,
        content: Said { title: &draft.title, text: &draft.text, caveat_text: draft.caveat_text.as_deref(), stix, reason: draft.reason.as_deref() },
    })
}

async fn id_of(client: &Client, reference: &str, purpose: &Purpose) -> Outcome<RecordId> {
    if let Ok(id) = reference.parse() {
        return Ok(id);
    }
    let record = client.get(&["records", reference]).purpose(purpose.as_str()).send().await?;
    record.text("/id").parse().map_err(|_| Failure::refused(format!("`{reference}` has no id that could be linked to")))
}

/// A table of records.
pub(super) fn list(context: &Context, answer: &Value) {
    let row = |record: &Value| {
        let flags = [("/sent-back", "sent back"), ("/flagged", "its basis changed")];
        let flags: Vec<&str> = flags.into_iter().filter(|(path, _)| record.holds(path)).map(|(_, word)| word).collect();
        let state = match record.text("/condition").as_str() {
            "current" => record.text("/stage"),
            other => other.to_owned(),
        };
        let state = [state.as_str()].into_iter().chain(flags).collect::<Vec<_>>().join(", ");
        let title = if record.text("/title").is_empty() { format!("({})", record.text("/kind")) } else { record.text("/title") };
        vec![named(record), record.text("/originator"), record.text("/marking-text"), title, state, time_of(record.pointer("/arrived"))]
    };
    let rows = answer.items("/records").iter().map(row).collect();
    context.printer.table(&["Number", "From", "Marking", "Title", "State", "Here since"], rows, "There are no such records.");
}
