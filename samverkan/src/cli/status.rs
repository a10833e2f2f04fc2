//! `status`: how the node is, in numbers.

use clap::Args;

use super::Context;
use crate::answer::Answer as _;
use crate::failure::Outcome;
use crate::print::time_of;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan status
  samverkan status --json | jq .waiting")]
pub(super) struct Status {}

pub(super) async fn run(context: &Context, _: &Status) -> Outcome {
    let answer = context.client()?.get(&["status"]).send().await?;
    let restored = if answer.holds("/restored") { "restored from a backup, and read alone until two members approve: samverkan recovery status" } else { "" };
    let troubles = answer.pointer("/troubles").and_then(|troubles| troubles.as_array()).cloned().unwrap_or_default();
    let troubles = troubles.iter().filter_map(|trouble| Some(format!("{} ({})", trouble.get("sentence")?.as_str()?, trouble.get("code")?.as_str()?)));
    let troubles: Vec<String> = troubles.collect();
    context.printer.answer(&answer, || {
        context.printer.fields(&[
            ("Node of", answer.text("/organisation")),
            ("State", restored.to_owned()),
            ("Trouble", troubles.join("\n")),
            ("Its time", time_of(answer.pointer("/now"))),
            ("Records", answer.text("/records")),
            ("Ledger entries", answer.text("/entries")),
            ("Waiting to leave", answer.text("/waiting")),
            ("Parcels without a receipt", answer.text("/parcels")),
            ("Peers that do not answer", answer.text("/unreachable")),
            ("Peers where exchange is stopped", answer.text("/stopped")),
        ]);
    });
    Ok(())
}
