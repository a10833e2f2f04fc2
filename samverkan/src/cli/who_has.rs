//! `who-has`: where copies of a record are, by evidence alone.

use clap::Args;
use serde_json::Value;

use super::Context;
use crate::answer::Answer as _;
use crate::failure::Outcome;
use crate::print::{line, time_of};
use crate::reference::Reference;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan who-has SAPO-2026-000123

A copy counts as held or removed when its holder has signed for that, not before.")]
pub(super) struct WhoHas {
    /// The record: its number, its number and version, or its id
    record: Reference,
}

pub(super) async fn run(context: &Context, verb: WhoHas) -> Outcome {
    let answer = context.client()?.get(&["records", &verb.record.to_string(), "holders"]).send().await?;
    context.printer.answer(&answer, || show(context, &answer));
    Ok(())
}

fn show(context: &Context, answer: &Value) {
    let row = |copy: &Value| {
        let state = match copy.text("/state").as_str() {
            "queued" => "not yet sent".to_owned(),
            "sent" => "sent, no receipt yet".to_owned(),
            "held" => "has it".to_owned(),
            "refused" => format!("refused it: {}", copy.joined("/reasons")),
            "held-back" => format!("never left: {}", copy.joined("/reasons")),
            "removed" => "removed it".to_owned(),
            other => other.to_owned(),
        };
        let evidence = copy.text("/evidence").chars().take(12).collect();
        vec![copy.text("/holder"), copy.text("/via"), state, time_of(copy.pointer("/since")), evidence]
    };
    let rows = answer.items("/copies").iter().map(row).collect();
    context.printer.table(&["Holder", "From", "State", "Since", "Receipt"], rows, "Nobody else has, or had, this record.");
    let (confirmed, outstanding) = (answer.joined("/confirmed"), answer.joined("/outstanding"));
    if !outstanding.is_empty() {
        line(&format!("\nRecalled. Not yet confirmed by {outstanding}."));
    } else if !confirmed.is_empty() {
        line("\nRecalled, and confirmed by everyone who had it.");
    }
}
