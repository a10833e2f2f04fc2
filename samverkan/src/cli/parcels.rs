//! `parcels`: exchange by files, where there is no network between the nodes.
//!
//! The node decides, seals and takes in; here bundles are written to and read from media. A bundle is written under
//! another name first, so that media pulled out half-way holds a whole bundle or none. Only ordinary files are read.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use format::OrgId;
use format::bundle::{BundleReader, Found};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::Context;
use super::card::own;
use crate::answer::Answer as _;
use crate::client::{self, Client};
use crate::failure::{Failure, Outcome};
use crate::medium;
use crate::print::{line, progress, size};

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan parcels export --to no-pst --out /media/stick     what has no receipt yet, and what waits
  samverkan parcels export --to no-pst --out x.bundle --new   only what never left before
  samverkan parcels import /media/stick/*.bundle              take in, and write the answers beside each file

Carry the answers back and import them too: until then the parcels count as without receipt, and
each export has them again. Nothing is lost or doubled by carrying a file twice.")]
pub(super) enum Parcels {
    /// Write a bundle of parcels for an organisation
    Export(Export),
    /// Take in bundles that were carried here, and write the answers to carry back
    Import(Import),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan parcels export --to no-pst --out /media/stick
  samverkan parcels export --to no-pst --out big.bundle --most 650   what fits on a disc; go on with --from
  samverkan parcels export --to no-pst --out x.bundle --from 17      once more, from parcel 17 on")]
pub(super) struct Export {
    /// The organisation
    #[arg(long, value_name = "ORG")]
    to: OrgId,
    /// The file, which must not exist; or a folder, for a name that says what it is
    #[arg(long, value_name = "FILE|DIR")]
    out: PathBuf,
    /// Begin with this parcel; with the first that has no receipt when not given
    #[arg(long, value_name = "N", conflicts_with = "new")]
    from: Option<u64>,
    /// Only what was never in a parcel before
    #[arg(long)]
    new: bool,
    /// Begin no further parcel after so many mebibytes
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    most: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan parcels import /media/stick/*.bundle
  samverkan parcels import x.bundle --answers outgoing")]
pub(super) struct Import {
    /// The files, in whatever order
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Folder for the answers; that of the first file when not given
    #[arg(long, value_name = "DIR")]
    answers: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, verb: Parcels) -> Outcome {
    let client = context.client()?;
    match verb {
        Parcels::Export(verb) => export(context, &client, verb).await,
        Parcels::Import(verb) => import(context, &client, verb).await,
    }
}

/// What of a bundle was written.
#[derive(Debug, Default)]
struct Written {
    parts: u64,
    first: Option<u64>,
    last: u64,
    bytes: u64,
}

async fn export(context: &Context, client: &Client, verb: Export) -> Outcome {
    let Export { to, out, from, new, most } = verb;
    let place = if out.is_dir() { medium::Place::In(out) } else { medium::Place::New(out) };
    // Before anything is decided for a file that could not be written.
    place.check()?;
    let call = client.post(&["peers", to.as_str(), "parcels"]).query_if("from", from).query("new", new).query("most", most << 20).patiently();
    let response = call.response().await?;
    let (own, to_name) = (own(client).await?, to.to_string());
    let written = save(response, &place, |written| format!("{own}-to-{to_name}-{:06}-{:06}.bundle", written.first.unwrap_or_default(), written.last)).await?;
    let Some((path, written)) = written else {
        let told = json!({ "to": to, "parcels": 0 });
        context.printer.answer(&told, || line(&format!("Nothing waits for {to}: no file was written.")));
        return Ok(());
    };
    let told = json!({ "to": to, "file": path, "parcels": written.parts, "first": written.first, "last": written.last, "bytes": written.bytes });
    context.printer.answer(&told, || {
        let parcels = numbers(written.first.unwrap_or_default(), written.last);
        line(&format!("Wrote {parcels} for {to} to {} ({}).", path.display(), size(written.bytes)));
        line("Carry it there, and bring the answers back.");
    });
    Ok(())
}

/// Writes a bundle as it comes. Gives nothing, and leaves nothing, when no part is in it.
async fn save(mut response: reqwest::Response, place: &medium::Place, name: impl FnOnce(&Written) -> String) -> Outcome<Option<(PathBuf, Written)>> {
    let (mut reader, mut written, mut whole) = (BundleReader::default(), Written::default(), false);
    let mut draft = medium::Draft::begin(place)?;
    let bar = progress("bundle", None);
    while let Some(piece) = client::piece(&mut response, written.bytes).await? {
        reader.push(&piece);
        draft.write(&piece)?;
        written.bytes += piece.len() as u64;
        bar.inc(piece.len() as u64);
        while let Some(found) = reader.next(false) {
            match found {
                Found::Part { number, .. } => {
                    written.parts += 1;
                    written.first.get_or_insert(number);
                    written.last = number;
                }
                Found::End { whole: all, .. } => whole = all,
                Found::Damaged { .. } | Found::CutShort { .. } | Found::GivenUp { .. } => whole = false,
            }
        }
    }
    bar.finish_and_clear();
    if !whole {
        return Err(Failure::unreachable("the bundle broke off on its way from the node, and no file was written").remedy("Try again; nothing is lost by it."));
    }
    if written.parts == 0 {
        return Ok(None);
    }
    let path = draft.finish(&name(&written))?;
    Ok(Some((path, written)))
}

/// What a pass over the files gave, file by file.
type Pass = Vec<(PathBuf, Value)>;

async fn import(context: &Context, client: &Client, verb: Import) -> Outcome {
    let mut passes: Vec<Pass> = Vec::new();
    let mut files = verb.files.clone();
    // A file may hold what has to come after what is in a later one: such a file is taken once more, as long as that helps.
    while !files.is_empty() {
        let mut pass = Pass::new();
        for file in &files {
            pass.push((file.clone(), take(client, file).await?));
        }
        let moved = pass.iter().any(|(_, told)| told.items("/parcels").iter().any(|sender| !sender.items("/taken-in").is_empty()));
        let early = |told: &Value| told.items("/parcels").iter().any(|sender| !sender.items("/early").is_empty());
        files = if moved { pass.iter().filter(|(_, told)| early(told)).map(|(file, _)| file.clone()).collect() } else { Vec::new() };
        passes.push(pass);
    }
    let folder = verb.answers.or_else(|| verb.files.first()?.parent().map(Path::to_owned)).filter(|folder| !folder.as_os_str().is_empty());
    let answers = write_answers(client, &passes, &folder.unwrap_or_else(|| PathBuf::from("."))).await?;
    let told: Vec<Value> = passes.iter().flatten().map(|(file, told)| json!({ "file": file, "found": told })).collect();
    context.printer.answer(&json!({ "files": told, "answers": answers }), || {
        passes.iter().flatten().for_each(|(file, told)| show(file, told));
        for (org, path) in &answers {
            line(&format!("Wrote the answers to {org} to {}. Carry them back.", path.display()));
        }
    });
    let damaged = passes.iter().flatten().any(|(_, told)| !told.items("/damaged").is_empty() || !told.items("/refused").is_empty());
    if damaged {
        Err(Failure::refused("not everything in the files could be taken in").remedy("What could be is taken in. Have the rest exported once more."))
    } else {
        Ok(())
    }
}

/// Has a file taken in.
async fn take(client: &Client, file: &Path) -> Outcome<Value> {
    let (bytes, length) = medium::open(file)?;
    let bar = progress(&file.display().to_string(), Some(length));
    let counted = bar.clone();
    let pieces = medium::pieces(bytes).inspect(move |piece| counted.inc(piece.as_ref().map_or(0, |piece| piece.len() as u64)));
    let told = client.post(&["parcels"]).patiently().body("application/octet-stream", reqwest::Body::wrap_stream(pieces)).send().await;
    bar.finish_and_clear();
    told
}

/// Writes, for each sender of whom there was a parcel, the answers to those that were there.
async fn write_answers(client: &Client, passes: &[Pass], folder: &Path) -> Outcome<Vec<(String, PathBuf)>> {
    let mut spans = std::collections::BTreeMap::<String, (u64, u64)>::new();
    for sender in passes.iter().flatten().flat_map(|(_, told)| told.items("/parcels")) {
        let ranges = ["/taken-in", "/seen-before", "/early"].into_iter().flat_map(|list| sender.items(list));
        for range in ranges {
            let (first, last) = (range.number("/first"), range.number("/last"));
            let span = spans.entry(sender.text("/org")).or_insert((first, last));
            *span = (span.0.min(first), span.1.max(last));
        }
        if !sender.text("/stopped").is_empty() {
            spans.entry(sender.text("/org")).or_insert((sender.number("/awaits"), sender.number("/awaits")));
        }
    }
    let own = own(client).await?;
    let mut written = Vec::new();
    for (org, (first, last)) in spans {
        let response = client.get(&["peers", &org, "answers"]).query("first", first).query("last", last).response().await?;
        let name = format!("{own}-to-{org}-answers-{first:06}-{last:06}.bundle");
        if let Some((path, _)) = save(response, &medium::Place::Over(folder.join(name)), |_| String::new()).await? {
            written.push((org, path));
        }
    }
    Ok(written)
}

fn show(file: &Path, told: &Value) {
    line(&format!("{}:", file.display()));
    let say = |text: String| line(&format!("  {text}"));
    for sender in told.items("/parcels") {
        let org = sender.text("/org");
        for range in sender.items("/taken-in") {
            say(format!("{org}: {} taken in", ranged(range)));
        }
        for range in sender.items("/seen-before") {
            say(format!("{org}: {} taken in before", ranged(range)));
        }
        for range in sender.items("/early") {
            say(format!("{org}: {} waits for parcel {}, which is missing", ranged(range), sender.text("/awaits")));
        }
        if !sender.text("/stopped").is_empty() {
            say(format!("{org}: exchange is stopped until a person has looked ({})", sender.text("/stopped")));
        }
    }
    for holder in told.items("/answers") {
        let org = holder.text("/org");
        for range in holder.items("/receipts") {
            say(format!("{org}: receipt for {}", ranged(range)));
        }
        if holder.number("/awaits") > 0 {
            say(format!("{org}: awaits parcel {}; export from there on", holder.text("/awaits")));
        }
        if !holder.text("/stopped").is_empty() {
            say(format!("{org}: has stopped exchange until a person has looked ({})", holder.text("/stopped")));
        }
        let without = holder.number("/sent").saturating_sub(holder.number("/acknowledged"));
        if without > 0 {
            say(format!("{org}: {without} still without receipt, from parcel {}", holder.number("/acknowledged") + 1));
        }
    }
    for other in told.items("/others") {
        say(format!("{} for {}, not for this node", counted(other.number("/parts")), other.text("/org")));
    }
    for refused in told.items("/refused") {
        say(format!("{} {} at byte {} is refused: {}", refused.text("/kind"), refused.text("/number"), refused.text("/at"), refused.text("/detail")));
    }
    for lost in told.items("/damaged") {
        say(format!("damaged: bytes {} to {}", lost.text("/from"), lost.number("/to").saturating_sub(1)));
    }
    if told.number("/further") > 0 {
        say(format!("and {} further faults", told.text("/further")));
    }
    if told.number("/incomplete") > 0 {
        say("parts are missing from a bundle".to_owned());
    }
    if told.holds("/cut-short") {
        say("the bundle is cut short: its end is missing".to_owned());
    }
    if told.pointer("/given-up").is_some() {
        say(format!("too much is damaged: nothing is read from byte {} on", told.text("/given-up")));
    }
    let empty = ["/parcels", "/answers", "/others", "/refused", "/damaged"].iter().all(|list| told.items(list).is_empty());
    if empty && told.number("/whole") == 0 {
        say("there is nothing in it".to_owned());
    }
}

fn ranged(range: &Value) -> String {
    numbers(range.number("/first"), range.number("/last"))
}

fn numbers(first: u64, last: u64) -> String {
    if first == last { format!("parcel {first}") } else { format!("parcels {first} to {last}") }
}

fn counted(parts: u64) -> String {
    if parts == 1 { "1 part is".to_owned() } else { format!("{parts} parts are") }
}
