//! `recovery-key`, `backup` and `restore`: being able to start again.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Context;
use crate::assemble;
use crate::backup::{self, PUBLIC_FILE};
use crate::config::{self, Config};
use crate::failure::{Failure, Outcome};
use crate::print::{groups, line, progress, size, time};
use crate::restoring;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan recovery-key /media/safe/sapo.secret --data sapo

The secret half goes to the file and nowhere else: keep it offline, in another place than the
backups. Whoever has it and a backup can read everything. The public half goes to recovery.pub in
the data folder, and makes backups. A new key each year, and the destruction of the old one with
its backups, ends what was to be forgotten.")]
pub(super) struct RecoveryKey {
    /// The file for the secret half; it must not exist
    file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan backup --to /backup/sapo-2026-11-25.backup --data sapo --as anna

The node goes on serving. The backup holds the store, the keys, the certificates and the
configuration, sealed to the recovery key. That it was made is in the ledger.")]
pub(super) struct Backup {
    /// The file; it must not exist
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The public half of the recovery key; recovery.pub in the data folder when not given
    #[arg(long, value_name = "FILE")]
    recovery_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan restore sapo-2026-11-25.backup --recovery-key /media/safe/sapo.secret --data sapo
  samverkan serve --data sapo
  samverkan recovery status --data sapo

Everything is verified before the folder gets its name: each page, each signature, the ledger. The
node then comes up open for reading alone, and asks its peers what they last saw of it.")]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    /// The secret half of the recovery key
    #[arg(long, value_name = "FILE")]
    recovery_key: PathBuf,
}

pub(super) fn new_key(context: &Context, verb: &RecoveryKey) -> Outcome {
    let data = context.data()?;
    // Before anything is written: a secret half whose public half is nowhere opens nothing.
    Config::load(data)?;
    let public_file = data.join(PUBLIC_FILE);
    let (public, secret, fingerprint) = backup::new_key(&assemble::random())?;
    write_new(&verb.file, &secret)?;
    // The public half replaces the one before: what is backed up from now on opens with the new key.
    if let Err(error) = std::fs::write(&public_file, public) {
        // It has opened nothing yet; that it stays is said by the next try, which finds the name taken.
        _ = std::fs::remove_file(&verb.file);
        return Err(Failure::usage(format!("`{}` cannot be written: {error}", public_file.display())));
    }
    let told = json!({ "secret": verb.file, "public": public_file, "fingerprint": fingerprint });
    context.printer.answer(&told, || {
        line(&format!("Wrote the secret half to {}: keep it offline. Backups are made with {}.", verb.file.display(), public_file.display()));
        line(&format!("Fingerprint  {}", groups(&fingerprint.to_string()).join("\n             ")));
    });
    Ok(())
}

fn not_there(path: &Path) -> Outcome {
    if path.exists() {
        return Err(Failure::refused(format!("`{}` is there already, and nothing is overwritten", path.display())).remedy("Name a new file."));
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> Outcome {
    not_there(path)?;
    let written = backup::create(path).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| Failure::usage(format!("`{}` cannot be written: {error}", path.display())))
}

pub(super) async fn back_up(context: &Context, verb: Backup) -> Outcome {
    let data = context.data()?.to_owned();
    let (key, fingerprint) = backup::read_public(verb.recovery_key.as_deref().unwrap_or(&data.join(PUBLIC_FILE)))?;
    not_there(&verb.to)?;
    // In the ledger before the first byte is copied.
    context.client()?.post(&["backups"]).json(&json!({ "key": fingerprint })).send().await?;
    let printer = context.printer;
    let made = tokio::task::spawn_blocking(move || make(&data, &verb.to, &key).map(|bytes| (verb.to, bytes)));
    let (file, bytes) = made.await.map_err(|error| Failure::unreachable(format!("the backup was broken off: {error}")))??;
    printer.answer(&json!({ "file": file, "bytes": bytes, "key": fingerprint }), || {
        line(&format!("Wrote the backup to {} ({}).", file.display(), size(bytes)));
        line(&format!("It opens with the recovery key {} ...", groups(&fingerprint.to_string()).first().cloned().unwrap_or_default()));
    });
    Ok(())
}

/// A plain copy of the store while it is sealed; gone with this value.
struct PlainCopy(PathBuf);

impl Drop for PlainCopy {
    fn drop(&mut self) {
        // If it stays, the next backup says so: the name is taken.
        _ = std::fs::remove_file(&self.0);
    }
}

fn make(data: &Path, to: &Path, key: &format::seal::SealingKey) -> Outcome<u64> {
    let text = std::fs::read_to_string(data.join(config::FILE)).unwrap_or_default();
    let named = Config::parse(&text).unwrap_or_default();
    let config = Config::load(data)?;
    let organisation = config.node.organisation.clone().ok_or_else(|| Failure::usage("the configuration does not say whose node it is"))?;
    let copy = PlainCopy(data.join(".backup.db"));
    _ = std::fs::remove_file(&copy.0);
    store::copy(&config.store.file, &copy.0).map_err(|error| {
        Failure::unreachable(format!("the store `{}` cannot be copied: {error}", config.store.file.display())).remedy("See that the disk has room for a copy.")
    })?;
    let mut files = vec![(PathBuf::from(config::FILE), data.join(config::FILE))];
    let secrets = [
        (&named.node.keys_file, &config.node.keys_file),
        (&named.peer.certificate_file, &config.peer.certificate_file),
        (&named.peer.key_file, &config.peer.key_file),
        (&named.web.certificate_file, &config.web.certificate_file),
        (&named.web.key_file, &config.web.key_file),
    ];
    for (name, path) in secrets {
        files.push((within(name)?, path.clone()));
    }
    if data.join(PUBLIC_FILE).exists() {
        files.push((PathBuf::from(PUBLIC_FILE), data.join(PUBLIC_FILE)));
    }
    files.push((within(&named.store.file)?, copy.0.clone()));
    let bytes = files.iter().filter_map(|(_, path)| std::fs::metadata(path).ok()).map(|found| found.len()).sum();
    let bar = progress("back up", Some(bytes));
    // Under another name until it is whole.
    let part = to.with_extension("part");
    let written = backup::write(&part, key, &organisation, assemble::now(), &files, |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let written = written.inspect_err(|_| _ = std::fs::remove_file(&part))?;
    std::fs::rename(&part, to).map_err(|error| Failure::usage(format!("`{}` cannot be written: {error}", to.display())))?;
    Ok(written)
}

/// A configured path as a name within the data folder.
fn within(path: &Path) -> Outcome<PathBuf> {
    if path.components().all(|part| matches!(part, std::path::Component::Normal(_))) {
        return Ok(path.to_owned());
    }
    Err(Failure::refused(format!("`{}` lies outside the data folder, and would have no place in a restored one", path.display()))
        .remedy("Keep the file in the data folder, and name it in samverkan.toml by its name alone."))
}

pub(super) fn restore(context: &Context, verb: &Restore) -> Outcome {
    let data = context.data()?;
    let restored = restoring::restore(&verb.file, &verb.recovery_key, data)?;
    let (manifest, found) = (&restored.manifest, &restored.found);
    let told = json!({
        "organisation": manifest.organisation, "data": data, "made": manifest.made,
        "records": found.records, "statements": found.statements, "pieces": found.pieces,
        "entries": found.entries, "incomplete": found.incomplete,
    });
    context.printer.answer(&told, || {
        line(&format!("Restored the node of {} to {}, as it was on {}.", manifest.organisation, data.display(), time(manifest.made)));
        let (records, pieces) = (found.records, found.pieces);
        line(&format!("Verified {records} records, {pieces} pieces of attachments, {} statements and {} ledger entries.", found.statements, found.entries));
        if !found.incomplete.is_empty() {
            line(
                "\nSome attachments are not in the place that the configuration names. They are read again once their objects are there;\n\
                 see docs/operations/attachments.md. They belong to:",
            );
            found.incomplete.iter().for_each(|record| line(&format!("  {record}")));
        }
        line(&format!("\nNext: samverkan serve --data {0}\n      samverkan recovery status --data {0}", data.display()));
    });
    Ok(())
}
