//! What each key of the configuration is for: the one table behind `config explain` and the sample file.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::Config;
use crate::keyed::Fault;

/// One key.
pub(super) struct Key {
    section: &'static str,
    name: &'static str,
    doc: &'static str,
    /// What to write where there is no default.
    example: Option<&'static str>,
}

const fn key(section: &'static str, name: &'static str, doc: &'static str) -> Key {
    Key { section, name, doc, example: None }
}

const fn needed(section: &'static str, name: &'static str, example: &'static str, doc: &'static str) -> Key {
    Key { section, name, doc, example: Some(example) }
}

/// Every key, in the order in which the sample shows them.
pub(super) const KEYS: &[Key] = &[
    needed("node", "organisation", "se-sapo", "The organisation whose node this is, as on its card. It cannot be changed."),
    needed("node", "short", "SAPO", "The prefix of its record numbers, as on its card. It cannot be changed."),
    key("node", "keys-file", "File with the seeds of the organisation's secret keys, readable by the node's user alone."),
    key("peer", "listen", "Address and port where other organisations' nodes connect. The card names how they reach it."),
    key("peer", "certificate-file", "Certificate towards other nodes (PEM). Its key is on the card."),
    key("peer", "key-file", "File with the secret key of that certificate (PEM)."),
    key("mailbox", "place", "Folder, or s3://BUCKET/PREFIX, where parcels wait for nodes that are not reached directly; empty for none."),
    key("mailbox", "peers", "Organisations with which parcels are exchanged through the mailbox, besides what their cards name."),
    key("mailbox", "padding", "Whether parcels are padded there, so that their sizes tell little."),
    key("mailbox", "visit-seconds", "From a visit at which something happened to the next; up to a minute when nothing does."),
    key("mailbox", "endpoint", "Where a bucket is: https://HOST:PORT."),
    key("mailbox", "region", "The bucket's region, as its store calls it."),
    key("mailbox", "credentials-file", "File with the key id and the secret for the bucket, a line each, readable by the node's user alone."),
    key("mailbox", "certificate-file", "Certificate that the bucket's store shows, or that of its authority (PEM)."),
    key("web", "listen", "Address and port for members and their tools: REST over HTTPS. Port 0 takes a free one."),
    key("web", "certificate-file", "Certificate towards members (PEM), with its chain."),
    key("web", "key-file", "File with the secret key of that certificate (PEM)."),
    key("store", "file", "The SQLite database. Its folder also takes the database's journal and its lock."),
    key("store", "database", "A PostgreSQL database instead of that file: postgres://USER@HOST/DATABASE; see docs/operations/postgresql.md."),
    key("store", "password-file", "File with the password of its user, where the server asks for one, readable by the node's user alone."),
    key("store", "authority-file", "File (PEM) with the authority of the server's certificate; needed for a server on another machine."),
    key("store", "synchronous-standby", "Whether the server must keep every commit on a second server too; one that does not is refused."),
    key("store", "largest-gib", "The most that the SQLite database may grow to, in GiB; 0 for as far as the disk goes."),
    key("store", "cache-mib", "Memory for the connection that writes to the file, in MiB."),
    key("store", "readers", "Connections that only read, for members and peers at the same time."),
    key("store", "reader-cache-mib", "Memory for each connection that reads the file, in MiB."),
    key("attachments", "place", "Folder, or s3://BUCKET/PREFIX, where new attachments are kept, encrypted; empty to keep them in the store."),
    key("attachments", "endpoint", "Where a bucket is: https://HOST:PORT."),
    key("attachments", "region", "The bucket's region, as its store calls it."),
    key("attachments", "credentials-file", "File with the key id and the secret for the bucket, a line each, readable by the node's user alone."),
    key("attachments", "certificate-file", "Certificate that the bucket's store shows, or that of its authority (PEM)."),
    key("limits", "worker-threads", "Threads that serve connections."),
    key("limits", "blocking-threads", "Threads for work that takes its time: passwords, signatures, reading the store. Twice the number of cores suits."),
    key("limits", "waiting", "Acts that may wait in line; beyond, whoever asks is told to come back."),
    key("limits", "group", "Acts that share one commit."),
    key("limits", "retention-seconds", "How often records whose retention has ended are looked for and destroyed."),
    key("log", "filter", "What is logged: a level (error, warn, info, debug), or levels by part: info,samverkan_http=debug."),
    key("log", "form", "How it is logged: text for people, json for machines."),
];

/// What each section is about.
const SECTIONS: &[(&str, &str)] = &[
    ("node", "Whose node this is."),
    ("peer", "The listener for other organisations' nodes."),
    ("mailbox", "A place where parcels wait for nodes that cannot be reached directly."),
    ("web", "The listener for the organisation's own members and tools."),
    ("store", "Where everything is kept."),
    ("attachments", "A place outside the store for attachments."),
    ("limits", "How much is done at once."),
    ("log", "What the node tells whoever runs it. What was done with information is in the ledger, not here."),
];

/// Each key with what it is for, the value in force, and whether that is the default.
pub(crate) fn explain(config: &Config) -> String {
    let (values, defaults) = (table(config), table(&Config::default()));
    let mut out = String::new();
    for key in KEYS {
        let (value, default) = (value(&values, key), value(&defaults, key));
        let origin = if value == default { "default" } else { "set" };
        let shown = value.map_or_else(|| "(not set)".to_owned(), ToString::to_string);
        // Writing to a string can't fail.
        _ = writeln!(out, "{}.{} = {shown}  ({origin})\n    {}", key.section, key.name, key.doc);
    }
    out
}

/// A file with every key at its default, as a comment; of keys in `set`, the value given.
pub(crate) fn sample(set: &[(&str, String)]) -> String {
    let defaults = table(&Config::default());
    let mut out = String::from("# Configuration of a node of Samverkan. Paths are relative to the folder of this file.\n");
    for (section, about) in SECTIONS {
        _ = write!(out, "\n# {about}\n[{section}]\n");
        for key in KEYS.iter().filter(|key| key.section == *section) {
            _ = writeln!(out, "\n# {}", key.doc);
            let full = format!("{section}.{}", key.name);
            let given = set.iter().find(|(name, _)| *name == full);
            _ = match (given, value(&defaults, key), key.example) {
                (Some((_, given)), _, _) => writeln!(out, "{} = {}", key.name, Value::String(given.clone())),
                (None, Some(default), _) => writeln!(out, "# {} = {default}", key.name),
                (None, None, example) => writeln!(out, "{} = {}", key.name, Value::String(example.unwrap_or_default().to_owned())),
            };
        }
    }
    out
}

/// Adds to a fault in the value of a known key what could be written instead.
pub(super) fn add_example(fault: &mut Fault) {
    let Some(key) = KEYS.iter().find(|key| fault.key == format!("{}.{}", key.section, key.name)) else { return };
    let defaults = table(&Config::default());
    let example = value(&defaults, key).cloned().unwrap_or_else(|| Value::String(key.example.unwrap_or_default().to_owned()));
    // Writing to a string can't fail.
    _ = write!(fault.what, "; write for example {} = {example}", key.name);
}

fn table(config: &Config) -> Table {
    Table::try_from(config).unwrap_or_default()
}

fn value<'a>(table: &'a Table, key: &Key) -> Option<&'a Value> {
    table.get(key.section)?.get(key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Config {
        let mut config = Config::default();
        config.node.organisation = Some("se-sapo".parse().unwrap());
        config.node.short = Some("SAPO".parse().unwrap());
        config
    }

    #[test]
    fn every_key_is_explained_and_nothing_else() {
        let sections = table(&full());
        let mut there: Vec<String> = Vec::new();
        for (section, keys) in &sections {
            there.extend(keys.as_table().unwrap().keys().map(|key| format!("{section}.{key}")));
        }
        let mut explained: Vec<String> = KEYS.iter().map(|key| format!("{}.{}", key.section, key.name)).collect();
        there.sort();
        explained.sort();
        assert_eq!(there, explained);
        assert!(SECTIONS.iter().all(|(name, _)| sections.contains_key(*name)) && SECTIONS.len() == sections.len());
    }

    #[test]
    fn the_sample_is_a_valid_configuration_of_defaults() {
        let read = Config::parse(&sample(&[])).unwrap();
        assert_eq!(table(&read), table(&full()));
        let bare: String = sample(&[])
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or(line))
            .fold(String::new(), |all, line| all + line + "\n");
        assert_eq!(table(&Config::parse(&bare).unwrap()), table(&full()), "defaults in comments are the defaults");
    }

    #[test]
    fn the_sample_file_is_the_generated_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample-config.toml");
        if std::env::var_os("INSTA_UPDATE").is_some_and(|mode| mode == "always") {
            std::fs::write(&path, sample(&[])).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(kept, sample(&[]), "run the tests with INSTA_UPDATE=always to write {}", path.display());
    }

    #[test]
    fn what_is_set_is_told_from_what_is_default() {
        let config = Config::parse("[limits]\ngroup = 8\n").unwrap();
        let text = explain(&config);
        assert!(text.contains("limits.group = 8  (set)"), "{text}");
        assert!(text.contains("peer.listen = \"127.0.0.1:7443\"  (default)"), "{text}");
        assert!(text.contains("node.organisation = (not set)"), "{text}");
    }
}
