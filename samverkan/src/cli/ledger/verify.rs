//! `ledger verify`: checking an export with nothing but the file and cards.

use std::fs::File;
use std::io::{BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;
use format::Digest;

use crate::cli::Context;
use crate::export::{self, Remembered, Report, Signer};
use crate::failure::{Failure, Outcome};
use crate::print::{line, progress, time};

/// The largest checkpoint or card that is read.
const MAX_GIVEN: u64 = 512 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan ledger verify sapo.jsonl
  samverkan ledger verify sapo.jsonl --card se-sapo.card --card no-pst.card
  samverkan ledger verify sapo.jsonl --card se-sapo.card --checkpoint remembered.note

Without the owner's card it is only shown that the export holds together, not whose it is. With
cards of peers it is also shown when each of them last saw this ledger and signed for it.")]
pub(in crate::cli) struct Verify {
    /// The export
    export: PathBuf,
    /// Card of the ledger's owner, or of a peer that cosigned; may be given several times
    #[arg(long = "card", value_name = "FILE")]
    cards: Vec<PathBuf>,
    /// An earlier checkpoint of the same ledger, to see that it only grew; may be given several times
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
}

pub(in crate::cli) fn verify(context: &Context, verb: &Verify) -> Outcome {
    let signers = verb.cards.iter().map(|path| signer(path)).collect::<Outcome<Vec<_>>>()?;
    let remembered = verb.checkpoints.iter().map(|path| remembered(path)).collect::<Outcome<Vec<_>>>()?;
    let unreadable = |error: std::io::Error| Failure::usage(format!("`{}` cannot be read: {error}", verb.export.display()));
    let file = File::open(&verb.export).map_err(unreadable)?;
    let bar = progress("verify", Some(file.metadata().map_err(unreadable)?.len()));
    let report = export::verify(BufReader::with_capacity(1 << 16, file), &signers, remembered, |bytes| bar.inc(bytes + 1));
    bar.finish_and_clear();
    let report = report.map_err(|fault| {
        Failure::refused(format!("`{}` does not hold: {fault}", verb.export.display()))
            .remedy("Keep the file as it is: it is the evidence. Ask the owner for the export again, and compare.")
    })?;
    let fingerprints: Vec<String> = signers.iter().map(|signer| format!("{} {}", signer.card.org, signer.keys.fingerprint())).collect();
    context.printer.answer(&told(&report), || show(&report, &fingerprints));
    Ok(())
}

fn signer(path: &Path) -> Outcome<Signer> {
    let (card, keys) =
        format::card::introduce(&read(path)?).map_err(|error| Failure::usage(format!("`{}` is not a card that holds together: {error}", path.display())))?;
    Ok(Signer { card: card.value().clone(), keys })
}

fn remembered(path: &Path) -> Outcome<Remembered> {
    let note = String::from_utf8(read(path)?).unwrap_or_default();
    let checkpoint = export::unverified(&note).ok_or_else(|| Failure::usage(format!("`{}` is not a checkpoint", path.display())))?;
    Ok(Remembered { size: checkpoint.size(), root: checkpoint.root(), source: format!("the checkpoint in `{}`", path.display()) })
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    let unreadable = |why: &dyn std::fmt::Display| Failure::usage(format!("`{}` cannot be read: {why}", path.display()));
    match std::fs::metadata(path) {
        Ok(found) if found.len() > MAX_GIVEN => Err(unreadable(&"it is too large")),
        Ok(_) => std::fs::read(path).map_err(|error| unreadable(&error)),
        Err(error) => Err(unreadable(&error)),
    }
}

fn told(report: &Report) -> serde_json::Value {
    let cosigned: Vec<_> = report.cosigned.iter().map(|(org, at)| serde_json::json!({ "org": org, "at": at })).collect();
    serde_json::json!({
        "ledger": report.origin,
        "signed-by": report.signed_by,
        "entries": report.entries,
        "erased": report.erased,
        "root": Digest::from(report.root),
        "cosigned": cosigned,
        "checkpoints-continued": report.continued,
    })
}

fn show(report: &Report, fingerprints: &[String]) {
    let erased = match report.erased {
        0 => "none erased".to_owned(),
        erased => format!("{erased} erased"),
    };
    line(&format!("The export holds: {} entries of {}, {erased}.", report.entries, report.origin));
    match &report.signed_by {
        Some(org) => line(&format!("Its checkpoint is signed by {org}.")),
        None => line("Who signed its checkpoint was not checked: give the owner's card with --card."),
    }
    for (org, at) in &report.cosigned {
        line(&format!("{org} has seen this ledger and signed for it on {}.", time(*at)));
    }
    if report.continued > 0 {
        line(&format!(
            "It continues {} given.",
            if report.continued == 1 { "the checkpoint".to_owned() } else { format!("the {} checkpoints", report.continued) }
        ));
    }
    if !fingerprints.is_empty() && std::io::stdout().is_terminal() {
        line("The cards that were believed have these fingerprints:");
        fingerprints.iter().for_each(|text| line(&format!("  {text}")));
    }
}
