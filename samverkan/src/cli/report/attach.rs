//! Attaching files to drafts, as a stream: no file is too large for memory.

use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::fs::File;
use tokio::io::AsyncSeekExt as _;

use super::place;
use crate::answer::Answer as _;
use crate::cli::Context;
use crate::client::Client;
use crate::draft::Stix;
use crate::failure::{Failure, Outcome};
use crate::print::{line, progress, size};
use crate::reference::Reference;

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Media types by the ending of a file's name; what is not here is bytes.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("csv", "text/csv"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eml", "message/rfc822"),
    ("gif", "image/gif"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("pcap", "application/vnd.tcpdump.pcap"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("txt", "text/plain"),
    ("webp", "image/webp"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("zip", "application/zip"),
];

pub(super) async fn run(context: &Context, reference: &Reference, path: &Path, media_type: Option<String>) -> Outcome {
    let (number, version) = place(reference)?;
    let client = context.client()?;
    let media_type = media_type.unwrap_or_else(|| told_by_name(path).to_owned());
    let answer = attach(&client, &number, version, path, &media_type).await?;
    context.printer.answer(&answer, || line(&format!("Attached {} ({}, {media_type}) to {number}.", path.display(), size(answer.number("/size")))));
    Ok(())
}

/// Attaches a draft's bundle, where it is too large to be embedded.
pub(in crate::cli) async fn stix(client: &Client, stix: &Stix, number: &str, version: u64) -> Outcome {
    if let Stix::Attached(path) = stix {
        attach(client, number, version, path, "application/stix+json;version=2.1").await?;
    }
    Ok(())
}

async fn attach(client: &Client, number: &str, version: u64, path: &Path, media_type: &str) -> Outcome<serde_json::Value> {
    let unreadable = |error: std::io::Error| Failure::usage(format!("`{}` cannot be read: {error}", path.display()));
    let name =
        path.file_name().and_then(|name| name.to_str()).ok_or_else(|| Failure::usage(format!("`{}` has no name that can be sent along", path.display())))?;
    let file = File::open(path).await.map_err(unreadable)?;
    let bytes = file.metadata().await.map_err(unreadable)?.len();
    if bytes == 0 {
        return Err(Failure::usage(format!("`{}` is empty, and was not attached", path.display())));
    }
    // WHY: a duplicate of the descriptor has the same position, which tells how far the sending has come.
    let position = file.try_clone().await.map_err(unreadable)?;
    let bar = progress(name, Some(bytes));
    let call = client.post(&["drafts", number, &version.to_string(), "attachments"]).query("name", name).query("media-type", media_type);
    let sending = call.body("application/octet-stream", file).send();
    let answer = tokio::select! {
        answer = sending => answer,
        () = watch(position, &bar) => Err(Failure::unreachable("the progress could not be watched")),
    };
    bar.finish_and_clear();
    answer
}

async fn watch(mut position: File, bar: &ProgressBar) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Ok(at) = position.stream_position().await {
            bar.set_position(at);
        }
    }
}

fn told_by_name(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    MEDIA_TYPES.iter().find(|(known, _)| *known == ending).map_or("application/octet-stream", |(_, media_type)| media_type)
}
