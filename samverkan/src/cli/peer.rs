//! `peer`: how exchange with other organisations' nodes goes.

use clap::Subcommand;
use format::OrgId;
use serde_json::{Value, json};

use super::Context;
use crate::answer::Answer as _;
use crate::failure::Outcome;
use crate::print::{groups, line, time_of};

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan peer list
  samverkan peer resume no-pst --from 18
  samverkan peer accept no-pst --recovery 3f9a...   when it was restored from a backup

Exchange stops by itself when a peer's node has forgotten what it had signed for, or says two
things at once. Speak with the peer before you let it go on.")]
pub(super) enum Peer {
    /// List the peers: what waits, what was sent and received, whether they answer
    List,
    /// Let exchange with a peer go on after it stopped
    Resume {
        /// The peer
        org: OrgId,
        /// The number of the next parcel to take in from it
        #[arg(long)]
        from: u64,
    },
    /// Accept that a peer's node was restored from a backup, once you have called the peer
    Accept {
        /// The peer
        org: OrgId,
        /// Its recovery as it was read to you over another channel; spaces do not matter
        #[arg(long, value_name = "HEX")]
        recovery: String,
    },
}

pub(super) async fn run(context: &Context, verb: Peer) -> Outcome {
    let client = context.client()?;
    match verb {
        Peer::List => {
            let answer = client.get(&["peers"]).send().await?;
            context.printer.answer(&answer, || show(context, &answer));
        }
        Peer::Resume { org, from } => {
            let answer = client.post(&["peers", org.as_str(), "resumption"]).json(&json!({ "from": from })).send().await?;
            context.printer.answer(&answer, || line(&format!("Exchange with {org} goes on, from its parcel {from}.")));
        }
        Peer::Accept { org, recovery } => {
            let recovery: String = recovery.chars().filter(|c| !c.is_whitespace() && !"-:".contains(*c)).collect();
            let answer = client.post(&["peers", org.as_str(), "recovery"]).json(&json!({ "recovery": recovery })).send().await?;
            context.printer.answer(&answer, || line(&format!("Exchange with {org} goes on in its new era; what it lost goes back to it.")));
        }
    }
    Ok(())
}

fn show(context: &Context, answer: &Value) {
    let row = |peer: &Value| {
        let tries = peer.number("/failed-tries");
        let state = match (peer.text("/suspicion").as_str(), peer.text("/reachable").as_str()) {
            ("fork", _) => "stopped: it said two things at once".to_owned(),
            ("rolled-back", _) => "stopped: it forgot what it had signed for".to_owned(),
            ("split-ledger", _) => "stopped: its ledger is not the one it showed before".to_owned(),
            ("restored", _) => "waits: this node was restored from a backup".to_owned(),
            ("revoked", _) => "stopped: its card was revoked".to_owned(),
            (other, _) if !other.is_empty() => format!("stopped: {other}"),
            (_, "true") => "answers".to_owned(),
            (_, "false") if tries > 0 => format!("does not answer, {tries} tries"),
            (_, "false") => "does not answer".to_owned(),
            _ => "not tried yet".to_owned(),
        };
        let (sent, acknowledged) = (peer.text("/sent"), peer.text("/acknowledged"));
        let sent = if sent == acknowledged { sent } else { format!("{sent} ({acknowledged} with receipt)") };
        vec![peer.text("/org"), state, peer.text("/waiting"), sent, peer.text("/received"), time_of(peer.pointer("/last-receipt"))]
    };
    let rows = answer.items("/peers").iter().map(row).collect();
    context.printer.table(&["Peer", "State", "Waiting", "Sent", "Received", "Last receipt"], rows, "There are no peers: import a card.");
    for peer in answer.items("/peers").iter().filter(|peer| peer.pointer("/recovery").is_some()) {
        let lost = peer.number("/recovery/seen").saturating_sub(peer.number("/recovery/entries"));
        let org = peer.text("/org");
        line(&format!("\n{org} says that it was restored from a backup, and lost {lost} ledger entries that were seen here."));
        line("Call it on a number that you have from elsewhere, and have this read to you:");
        groups(&peer.text("/recovery/recovery")).iter().for_each(|row| line(&format!("  {row}")));
        line(&format!("Then: samverkan peer accept {org} --recovery HEX"));
    }
}
