//! `correct`, `recall` and `pass-on`: what an organisation does with a record after its release.

use std::path::PathBuf;

use clap::Args;
use format::OrgId;
use serde_json::json;

use super::report::{self, attach};
use super::{Context, report::named};
use crate::answer::Answer as _;
use crate::draft;
use crate::failure::{Failure, Outcome};
use crate::print::line;
use crate::reference::Reference;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan correct SAPO-2026-000123 report.md --reason \"The date was wrong.\"
  samverkan report submit SAPO-2026-000123@2   then it is approved and released like any record

A correction goes to everyone who has the record, and flags whatever was built on it.")]
pub(super) struct Correct {
    /// The record, one of your organisation's own
    record: Reference,
    /// The record as it should be, a file like that of a draft
    file: PathBuf,
    /// Why; needed unless the file says it
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan recall SAPO-2026-000123 --reason \"Sent under the wrong agreement.\"
  samverkan who-has SAPO-2026-000123           who has confirmed that it is gone, and who has not

Every holder destroys what it said, in every version, and signs for that. What was known of its
existence stays.")]
pub(super) struct Recall {
    /// The record, one of your organisation's own
    record: Reference,
    /// Why
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan pass-on PST-2026-000017 --to dk-pet

Where the agreement or the marking asks for the originator's consent, ask for it first: `samverkan
consent ask`.")]
pub(super) struct PassOn {
    /// The record, another organisation's
    record: Reference,
    /// Who gets it
    #[arg(long)]
    to: OrgId,
}

pub(super) async fn correct(context: &Context, verb: Correct) -> Outcome {
    let mut draft = draft::read(&verb.file)?;
    draft.reason = verb.reason.or(draft.reason);
    if draft.reason.as_deref().unwrap_or_default().trim().is_empty() {
        return Err(Failure::usage("a correction says why").remedy("Add --reason \"...\", or a line reason = \"...\" to the file's header."));
    }
    let client = context.client()?;
    let body = report::body(&client, &draft).await?;
    let answer = client.post(&["records", &verb.record.to_string(), "correction"]).json(&body).send().await?;
    let (number, version) = (answer.text("/number"), answer.number("/version"));
    attach::stix(&client, &draft.stix, &number, version).await?;
    context.printer.answer(&answer, || {
        line(&format!("Drafted {}, a correction: {}", named(&answer), draft.title));
        line(&format!("Next: `samverkan report submit {}`.", named(&answer)));
    });
    Ok(())
}

pub(super) async fn recall(context: &Context, verb: Recall) -> Outcome {
    let answer = context.client()?.post(&["records", &verb.record.to_string(), "recall"]).json(&json!({ "reason": verb.reason })).send().await?;
    context.printer.answer(&answer, || {
        line(&format!("Recalled {} from everyone who has it.", verb.record));
        line(&format!("See who has confirmed with `samverkan who-has {}`.", verb.record));
    });
    Ok(())
}

pub(super) async fn pass_on(context: &Context, verb: PassOn) -> Outcome {
    let answer = context.client()?.post(&["records", &verb.record.to_string(), "passing-on"]).json(&json!({ "to": verb.to })).send().await?;
    context.printer.answer(&answer, || line(&format!("Passed {} on to {}.", verb.record, verb.to)));
    Ok(())
}
