//! `show`: reading a record, with its marking above and below.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::report::named;
use super::{Context, ForPurpose};
use crate::answer::Answer as _;
use crate::client::{self, Client};
use crate::failure::{Failure, Outcome};
use crate::print::{aside, line, progress, size, time_of, visible};
use crate::reference::Reference;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan show PST-2026-000017 --purpose counter-terrorism
  samverkan show PST-2026-000017@1             the first version
  samverkan show PST-2026-000017 --save-attachments .

Reading is written into the ledger, with your name and the purpose, before anything is shown.")]
pub(super) struct Show {
    /// The record: its number, its number and version, or its id
    record: Reference,
    /// Save the record's attachments in this folder; no file is overwritten
    #[arg(long, value_name = "DIR")]
    save_attachments: Option<PathBuf>,
    #[command(flatten)]
    purpose: ForPurpose,
}

pub(super) async fn run(context: &Context, verb: Show) -> Outcome {
    let client = context.client()?;
    let purpose = verb.purpose.get(&client).await?;
    let answer = client.get(&["records", &verb.record.to_string()]).purpose(&purpose).send().await?;
    context.printer.answer(&answer, || show(context, &answer));
    if let Some(folder) = verb.save_attachments {
        save(&client, &answer, &purpose, &folder).await?;
    }
    Ok(())
}

fn show(context: &Context, record: &Value) {
    let marking = context.printer.marking(&visible(&record.text("/marking-text")));
    line(&marking);
    line("");
    if !record.text("/content/title").is_empty() {
        line(&format!("{}\n", context.printer.strong(&visible(&record.text("/content/title")))));
    }
    header(context, record);
    for warning in warnings(record) {
        line(&format!("\n{}", context.printer.strong(&warning)));
    }
    if let Some(text) = record.pointer("/content/text").and_then(Value::as_str) {
        line(&format!("\n{}", visible(text)));
    }
    if record.pointer("/content/stix").is_some() {
        line(&format!("\nWith a STIX bundle of {} objects; --json shows it.", record.items("/content/stix/objects").len()));
    }
    for (number, attachment) in record.items("/attachments").iter().enumerate() {
        let name = attachment.text("/name");
        let name = if name.is_empty() { "(destroyed)" } else { &name };
        line(&format!("\nAttachment {}: {} ({}, {})", number + 1, visible(name), attachment.text("/media-type"), size(attachment.number("/size"))));
    }
    line("");
    line(&marking);
}

fn header(context: &Context, record: &Value) {
    let links: Vec<String> = record.items("/links").iter().map(|link| format!("{} {}", link.text("/relation"), link.text("/to"))).collect();
    let consent = record.pointer("/content/consent").map(|consent| {
        let expires = consent.pointer("/expires").map(|_| format!(", until {}", time_of(consent.pointer("/expires")))).unwrap_or_default();
        format!("{}: {} to {}{expires}", consent.text("/act"), consent.text("/holder"), consent.text("/recipient"))
    });
    context.printer.fields(&[
        ("Number", format!("{} ({})", named(record), record.text("/kind"))),
        ("From", record.text("/originator")),
        ("For", record.joined("/audience")),
        ("Under", format!("{}, version {}", record.text("/agreement"), record.text("/agreement-version"))),
        ("Purpose", record.text("/purpose")),
        ("Legal basis", record.text("/legal-basis")),
        ("Grading", record.text("/grading")),
        ("Concerns people who are", record.joined("/categories")),
        ("Language", record.text("/language")),
        ("Made", time_of(record.pointer("/created"))),
        ("Kept until", time_of(record.pointer("/retain-until"))),
        ("Links", links.join(", ")),
        ("Consent", consent.unwrap_or_default()),
        ("Handed over by", record.text("/here/from")),
        ("State", record.text("/here/stage")),
        ("Drafted by", record.text("/here/drafted-by")),
        ("Submitted by", record.text("/here/submitted-by")),
        ("Approved by", record.text("/here/approved-by")),
        ("Id", record.text("/id")),
        ("Handling", record.text("/content/caveat-text")),
        ("Reason", record.text("/content/reason")),
    ]);
}

/// What a reader must know before reading on.
fn warnings(record: &Value) -> Vec<String> {
    let condition = match record.text("/here/condition").as_str() {
        "superseded" => Some("A newer version of this record is here."),
        "recalled" => Some("Its originator has taken this record back."),
        "expired" => Some("The time for which this record may be kept has ended."),
        "removed" => Some("What this record said has been destroyed."),
        _ => None,
    };
    let emergency = Some(record.text("/here/emergency")).filter(|org| !org.is_empty());
    let emergency = emergency.map(|org| format!("{org} passed this on in an emergency, without its originator's consent. The originator may take it back."));
    let flagged = record.holds("/here/flagged").then_some("Something that this record builds on was corrected or recalled.");
    let because = record.pointer("/here/sent-back-because").and_then(Value::as_str);
    let sent_back = record
        .holds("/here/sent-back")
        .then(|| because.map_or_else(|| "It was sent back to its author.".to_owned(), |because| format!("It was sent back to its author: {because}")));
    let destroyed = (condition.is_none() && record.pointer("/content").is_none_or(Value::is_null)).then_some("What this record said has been destroyed.");
    let revoked = record.pointer("/here/revoked-later");
    let revoked = revoked.map(|at| format!("The card of {} was revoked on {}, after this came.", record.text("/originator"), time_of(Some(at))));
    [condition, destroyed, flagged].into_iter().flatten().map(ToOwned::to_owned).chain(sent_back).chain(emergency).chain(revoked).collect()
}

async fn save(client: &Client, record: &Value, purpose: &str, folder: &Path) -> Outcome {
    for (index, attachment) in record.items("/attachments").iter().enumerate() {
        let path = folder.join(file_name(&attachment.text("/name"), index));
        let unwritable = |error: &io::Error| Failure::usage(format!("`{}` cannot be written: {error}", path.display()));
        let file = File::create_new(&path).map_err(|error| unwritable(&error))?;
        let call = client.get(&["records", &record.text("/id"), "attachments", &index.to_string()]).purpose(purpose);
        let bar = progress(&visible(&attachment.text("/name")), Some(attachment.number("/size")));
        let mut writer = BufWriter::new(file);
        let saved = match call.response().await {
            Ok(response) => client::stream(response, &mut writer, |bytes| bar.inc(bytes)).await,
            Err(failure) => Err(failure),
        };
        bar.finish_and_clear();
        let whole = saved.and_then(|bytes| writer.flush().map(|()| bytes).map_err(|error| unwritable(&error)));
        match whole {
            Ok(bytes) if bytes == attachment.number("/size") => aside(&format!("Saved {} ({}).", path.display(), size(bytes))),
            other => {
                // What came is not what was sent: nobody should take it for that.
                _ = std::fs::remove_file(&path);
                other?;
                return Err(Failure::unreachable(format!("`{}` did not come whole, and was not kept", path.display())));
            }
        }
    }
    Ok(())
}

/// A name for a file from a label that a stranger chose: one plain name within the folder, never a path.
fn file_name(label: &str, index: usize) -> String {
    let name: String = visible(label).chars().map(|c| if matches!(c, '/' | '\\' | '\u{fffd}' | '\n' | '\t' | ':') { '_' } else { c }).take(120).collect();
    let name = name.trim().trim_start_matches('.');
    if name.is_empty() { format!("attachment-{}", index + 1) } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_never_a_path() {
        for (label, name) in [
            ("map.png", "map.png"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("", "attachment-1"),
            ("..", "attachment-1"),
            ("a\u{1b}[2J", "a_[2J"),
            ("C:\\x", "C__x"),
        ] {
            assert_eq!(file_name(label, 0), name, "{label}");
        }
    }

    #[test]
    fn a_reader_is_warned_before_the_text() {
        let record = serde_json::json!({ "content": null, "here": { "condition": "current", "flagged": true } });
        assert_eq!(warnings(&record), ["What this record said has been destroyed.", "Something that this record builds on was corrected or recalled."]);
    }
}
