//! `ledger`: what was done, and the proof that nothing of it was changed.

mod verify;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use format::Digest;
use format::merkle::{self, Hash};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub(super) use verify::{Verify, verify};

use super::Context;
use crate::answer::Answer as _;
use crate::client::{self, Client};
use crate::export;
use crate::failure::{Failure, Outcome};
use crate::print::{line, progress, size, time_of};
use crate::reference::Reference;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan ledger show                        the latest entries
  samverkan ledger show --about SAPO-2026-000123
  samverkan ledger export sapo.jsonl           the whole ledger, as it is now
  samverkan ledger verify sapo.jsonl --card se-sapo.card --card no-pst.card
  samverkan ledger prove 4711                  that one entry is in the ledger

`verify` needs no node and no network: an auditor runs it anywhere, with cards that came by a way
of their own.")]
pub(super) enum Ledger {
    /// Verify an export, without any node
    Verify(Verify),
    /// Prove that an entry is in the ledger, and check the proof
    Prove {
        /// Its place, from 0
        entry: u64,
    },
    /// Write the whole ledger to a file that others can verify
    Export {
        /// The file; it must not exist
        file: PathBuf,
    },
    /// Show entries, the latest when nothing is said
    Show {
        /// From this place on
        #[arg(long, conflicts_with = "about")]
        from: Option<u64>,
        /// Only about this record
        #[arg(long, value_name = "RECORD")]
        about: Option<Reference>,
        /// At most this many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
}

pub(super) async fn run(context: &Context, verb: Ledger) -> Outcome {
    let client = context.client()?;
    match verb {
        Ledger::Verify(verb) => verify(context, &verb),
        Ledger::Prove { entry } => prove(context, &client, entry).await,
        Ledger::Export { file } => export(context, &client, &file).await,
        Ledger::Show { about: Some(record), .. } => {
            let answer = client.get(&["records", &record.to_string(), "log"]).send().await?;
            context.printer.answer(&answer, || show_entries(context, answer.items("/entries")));
            Ok(())
        }
        Ledger::Show { from, limit, .. } => {
            let size = checkpoint(&client).await?.size();
            let from = from.unwrap_or(size.saturating_sub(u64::from(limit)));
            let answer = client.get(&["ledger", "entries"]).query("from", from).query("limit", limit).send().await?;
            context.printer.answer(&answer, || {
                show_entries(context, answer.items("/entries"));
                let next = answer.number("/next");
                if next > 0 && next < size {
                    line(&format!("There are more: add --from {next}."));
                }
            });
            Ok(())
        }
    }
}

async fn checkpoint(client: &Client) -> Outcome<format::checkpoint::Checkpoint> {
    let bytes = client.get(&["ledger", "checkpoint"]).bytes().await?;
    let note = String::from_utf8(bytes).unwrap_or_default();
    export::unverified(&note).ok_or_else(|| Failure::unreachable("the node's checkpoint cannot be read"))
}

/// A proof as the node gives it, with the entry's exact bytes.
#[derive(Debug, Deserialize)]
struct Proof {
    entry: ProvenEntry,
    salt: Option<Digest>,
    path: Vec<String>,
    checkpoint: String,
}

#[derive(Debug, Deserialize)]
struct ProvenEntry {
    leaf: Digest,
    entry: Option<Box<RawValue>>,
}

impl Proof {
    /// The leaf's hash in the tree: of salt and entry where these are there, of what was kept where they were erased.
    fn leaf(&self) -> Hash {
        let leaf = match (&self.salt, &self.entry.entry) {
            (Some(salt), Some(entry)) => Digest::of_parts(&[salt.as_bytes(), entry.get().as_bytes()]),
            _ => self.entry.leaf,
        };
        merkle::leaf_hash(leaf.as_bytes())
    }

    /// The size of the tree in which the entry was found to be; nothing if it was not.
    fn holds(&self, index: u64) -> Option<u64> {
        let checkpoint = export::unverified(&self.checkpoint)?;
        let path: Vec<Hash> = self.path.iter().map(|hash| STANDARD.decode(hash).ok()?.try_into().ok()).collect::<Option<_>>()?;
        merkle::verify_inclusion(&self.leaf(), index, checkpoint.size(), &path, &checkpoint.root()).ok()?;
        Some(checkpoint.size())
    }
}

async fn prove(context: &Context, client: &Client, entry: u64) -> Outcome {
    let bytes = client.get(&["ledger", "proof"]).query("entry", entry).bytes().await?;
    let broken = || Failure::refused(format!("the node's proof of entry {entry} does not hold")).remedy("Export the ledger and verify that; tell the auditor.");
    let proof: Proof = serde_json::from_slice(&bytes).map_err(|_| broken())?;
    let size = proof.holds(entry).ok_or_else(broken)?;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    context.printer.answer(&answer, || {
        line(&format!("Entry {entry} is in the ledger of {size} entries with this checkpoint:\n"));
        line(proof.checkpoint.trim_end());
        line("");
        show_entries(context, &[answer.pointer("/entry").cloned().unwrap_or_default()]);
    });
    Ok(())
}

async fn export(context: &Context, client: &Client, path: &Path) -> Outcome {
    let unwritable = |error: std::io::Error| Failure::usage(format!("`{}` cannot be written: {error}", path.display()));
    let file = File::create_new(path).map_err(unwritable)?;
    let mut writer = BufWriter::new(file);
    let response = client.get(&["ledger", "export"]).response().await;
    let bar = progress("export", None);
    let bytes = match response {
        Ok(response) => client::stream(response, &mut writer, |bytes| bar.inc(bytes)).await,
        Err(failure) => Err(failure),
    };
    bar.finish_and_clear();
    if bytes.is_err() {
        // Half an export is nothing that anyone should verify.
        _ = std::fs::remove_file(path);
    }
    let bytes = bytes?;
    writer.flush().map_err(unwritable)?;
    let told = serde_json::json!({ "file": path, "bytes": bytes });
    context.printer.answer(&told, || {
        line(&format!("Wrote the ledger to {} ({}).", path.display(), size(bytes)));
        line(&format!("Anyone can check it: samverkan ledger verify {} --card CARD", path.display()));
    });
    Ok(())
}

fn show_entries(context: &Context, entries: &[Value]) {
    let row = |entry: &Value| {
        let who = [entry.text("/entry/by/member"), entry.text("/entry/by/organisation"), entry.text("/entry/by")].into_iter().find(|who| !who.is_empty());
        vec![entry.text("/index"), time_of(entry.pointer("/at")), who.unwrap_or_default(), entry.text("/what"), particulars(entry)]
    };
    context.printer.table(&["Entry", "When", "Who", "What", "Particulars"], entries.iter().map(row).collect(), "There are no such entries.");
}

/// What an entry says besides who, when and what: its plain values and lists, in order of their names.
fn particulars(entry: &Value) -> String {
    let Some(told) = entry.pointer("/entry").and_then(Value::as_object) else { return "(erased)".to_owned() };
    let plain = |name: &String, value: &Value| {
        let text = match value {
            Value::Array(_) => value.joined(""),
            other => other.text(""),
        };
        let text = if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) { text.chars().take(12).collect() } else { text };
        (!text.is_empty()).then(|| format!("{name} {text}"))
    };
    let others = told.iter().filter(|(name, _)| !matches!(name.as_str(), "at" | "by" | "what"));
    others.filter_map(|(name, value)| plain(name, value)).collect::<Vec<_>>().join("; ")
}
