//! `recovery`: a node that was restored from a backup, until it goes on.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Context;
use crate::answer::Answer as _;
use crate::failure::Outcome;
use crate::print::{groups, line, time_of};
use crate::restoring;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan recovery status                     what peers last saw, and who has approved
  samverkan recovery approve                    by two members, each for themselves
  samverkan recovery begin --data sapo          on a stopped node that was put back otherwise

A restored node is open for reading alone. It asks its peers what they last saw of it; two members
approve that it goes on; a person at each peer accepts it, once called: `samverkan peer accept`.")]
pub(super) enum Recovery {
    /// Show what peers last saw of this node, and how far the recovery has come
    Status,
    /// Approve that this node goes on in a new era; it takes two members
    Approve,
    /// Say to a stopped node that its files were put back from an older state
    Begin,
}

pub(super) fn begin(context: &Context) -> Outcome {
    let data = context.data()?;
    let found = restoring::mark(data)?;
    let told = json!({ "data": data, "records": found.records, "entries": found.entries });
    context.printer.answer(&told, || line(&format!("The node in {} counts as restored, with {} ledger entries.", data.display(), found.entries)));
    Ok(())
}

pub(super) async fn run(context: &Context, verb: Recovery) -> Outcome {
    let client = context.client()?;
    match verb {
        Recovery::Begin => return begin(context),
        Recovery::Approve => _ = client.post(&["recovery", "approval"]).send().await?,
        Recovery::Status => {}
    }
    let answer = client.get(&["recovery"]).send().await;
    // Whoever may approve need not be one of those who may see the relations.
    let answer = if matches!(verb, Recovery::Approve) { answer.unwrap_or_default() } else { answer? };
    context.printer.answer(&answer, || show(context, &answer));
    Ok(())
}

fn show(context: &Context, answer: &Value) {
    if answer.is_null() {
        line("Approved.");
        return;
    }
    if answer.text("/era").is_empty() {
        line("This node was never restored from a backup.");
        return;
    }
    let state = match (answer.holds("/restored"), answer.text("/recovery").is_empty()) {
        (true, _) => "open for reading alone: two members approve that it goes on",
        (false, false) => "approved: partners accept it with `samverkan peer accept`, once they have called",
        (false, true) => "",
    };
    context.printer.fields(&[
        ("Era", time_of(answer.pointer("/era"))),
        ("Ledger", format!("{} entries as it was restored", answer.text("/entries"))),
        ("State", state.to_owned()),
        ("Approved by", answer.joined("/approved-by")),
        ("Recovery", groups(&answer.text("/recovery")).join("\n")),
    ]);
    line("");
    let row = |peer: &Value| {
        let state = match (peer.holds("/settled"), peer.holds("/heard")) {
            (true, _) => "exchange goes on",
            (false, true) => "has said what it saw, has not accepted yet",
            (false, false) => "has not answered yet",
        };
        let lost = peer.number("/entries").saturating_sub(answer.number("/entries"));
        let lost = if peer.text("/entries").is_empty() { String::new() } else { lost.to_string() };
        vec![peer.text("/org"), state.to_owned(), peer.text("/entries"), lost]
    };
    let rows = answer.items("/peers").iter().map(row).collect();
    context.printer.table(&["Peer", "State", "Ledger it saw", "Entries lost"], rows, "There are no peers.");
}
