//! `emergency`: passing a record on without its originator's consent, to prevent an immediate and serious threat.

use clap::Subcommand;
use format::OrgId;
use serde_json::json;

use super::{Context, report::named};
use crate::answer::Answer as _;
use crate::failure::Outcome;
use crate::print::line;
use crate::reference::Reference;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan emergency state PST-2026-000017 --to dk-pet --reason \"Boards in an hour; Oslo does not answer.\"
  samverkan emergency release SAPO-2026-000124     somebody else does that

Only where the agreement asks for consent, and nothing else forbids it. The originator is told at once, with the
reason, and can recall the record.")]
pub(super) enum Emergency {
    /// State the threat, and why the originator cannot be asked in good time
    State {
        /// The record, another organisation's
        record: Reference,
        /// Who should get it
        #[arg(long)]
        to: OrgId,
        /// The threat, and why nobody could be asked; for the originator alone
        #[arg(long)]
        reason: String,
    },
    /// Release what another member stated
    Release {
        /// The statement
        statement: Reference,
    },
}

pub(super) async fn run(context: &Context, verb: Emergency) -> Outcome {
    let client = context.client()?;
    match verb {
        Emergency::State { record, to, reason } => {
            let call = client.post(&["records", &record.to_string(), "emergency-statements"]);
            let answer = call.json(&json!({ "to": to, "reason": reason })).send().await?;
            context.printer.answer(&answer, || {
                line(&format!("Stated in {}. Nothing has left: somebody else decides now.", named(&answer)));
                line(&format!("Next: `samverkan emergency release {}`.", named(&answer)));
            });
        }
        Emergency::Release { statement } => {
            let answer = client.post(&["records", &statement.to_string(), "emergency-release"]).send().await?;
            let gone = |to: String| line(&format!("Passed {} on to {to} in an emergency. Its originator is told.", answer.text("/number")));
            context.printer.answer(&answer, || gone(answer.joined("/recipients")));
        }
    }
    Ok(())
}
