//! Configuration: one TOML file in the data folder, one struct and file per concern.
//!
//! Every value has its default beside its field, unknown keys are denied, secrets are named by the path of a file, and
//! everything that is wrong is told at once. Nothing here opens a socket or a store: the rest of the program is given
//! plain values. What each key is for stands in one table, [`explain::KEYS`].

mod attachments;
mod explain;
mod limits;
mod log;
mod mailbox;
mod node;
mod peer;
mod place;
mod store;
mod web;

use std::path::Path;

use serde::Serialize;

pub(crate) use attachments::Attachments;
pub(crate) use explain::{explain, sample};
pub(crate) use limits::Limits;
pub(crate) use log::{Form, Log};
pub(crate) use mailbox::Mailbox;
pub(crate) use node::Node;
pub(crate) use peer::Peer;
pub(crate) use place::PlaceAt;
pub(crate) use store::Store;
pub(crate) use web::Web;

use crate::failure::{Failure, Outcome};
use crate::keyed::{Document, Fault};

/// Name of the file in the data folder.
pub(crate) const FILE: &str = "samverkan.toml";

/// Everything that can be configured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Config {
    pub(crate) node: Node,
    pub(crate) peer: Peer,
    pub(crate) mailbox: Mailbox,
    pub(crate) web: Web,
    pub(crate) store: Store,
    pub(crate) attachments: Attachments,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
}

impl Config {
    /// Reads the configuration of the node in `data`, paths in it made relative to that folder.
    pub(crate) fn load(data: &Path) -> Outcome<Self> {
        let path = data.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!("`{}` cannot be read: {error}", path.display()))
                .remedy("Give the data folder of a node with --data, or make one with `samverkan init`.")
        })?;
        let config = Self::parse(&text).and_then(Self::complete).map_err(|faults| {
            let details = faults.iter().map(ToString::to_string);
            Failure::usage(format!("`{}` has {}", path.display(), problems(faults.len())))
                .details(details)
                .remedy("Correct them; `samverkan config explain` says what each key is for.")
        })?;
        Ok(config.within(data))
    }

    /// Reads a configuration, or gives every fault in it.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let mut document = Document::new(text, 1);
        let config = Self {
            node: document.table("node"),
            peer: document.table("peer"),
            mailbox: document.table("mailbox"),
            web: document.table("web"),
            store: document.table("store"),
            attachments: document.table("attachments"),
            limits: document.table("limits"),
            log: document.table("log"),
        };
        let mut faults = document.end("[node], [peer], [mailbox], [web], [store], [attachments], [limits] and [log]");
        faults.iter_mut().for_each(explain::add_example);
        config.limits.check(&mut faults);
        config.store.check(&mut faults);
        config.mailbox.check(&mut faults);
        config.attachments.at().check(&mut faults);
        config.log.check(&mut faults);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// Demands what a node cannot run without.
    fn complete(self) -> Result<Self, Vec<Fault>> {
        let faults = self.node.missing();
        if faults.is_empty() { Ok(self) } else { Err(faults) }
    }

    fn within(mut self, data: &Path) -> Self {
        let paths = [
            &mut self.node.keys_file,
            &mut self.peer.certificate_file,
            &mut self.peer.key_file,
            &mut self.mailbox.credentials_file,
            &mut self.mailbox.certificate_file,
            &mut self.web.certificate_file,
            &mut self.web.key_file,
            &mut self.store.file,
            &mut self.attachments.credentials_file,
            &mut self.attachments.certificate_file,
        ];
        for path in paths {
            *path = data.join(&*path);
        }
        for path in [&mut self.store.password_file, &mut self.store.authority_file] {
            if !path.as_os_str().is_empty() {
                *path = data.join(&*path);
            }
        }
        for place in [&mut self.mailbox.place, &mut self.attachments.place] {
            if !place.starts_with("s3://") && !place.is_empty() {
                *place = data.join(&*place).to_string_lossy().into_owned();
            }
        }
        self
    }
}

fn problems(count: usize) -> String {
    if count == 1 { "a fault".to_owned() } else { format!("{count} faults") }
}

/// Notes a fault unless the value is within its range.
fn ensure(holds: bool, key: &str, rule: &str, faults: &mut Vec<Fault>) {
    if !holds {
        faults.push(Fault { line: None, key: key.to_owned(), what: rule.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_all_defaults_and_lacks_only_who_the_node_is() {
        let config = Config::parse("").unwrap();
        let missing: Vec<String> = config.complete().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(missing.len(), 2, "{missing:?}");
    }

    #[test]
    fn every_fault_of_a_file_is_told_at_once() {
        let text = "\
[node]
organisation = \"SÄPO\"
short = \"sapo\"

[peer]
lisen = \"127.0.0.1:7443\"

[web]
listen = \"localhost\"

[limits]
waiting = 0

[log]
form = \"xml\"

[mail]
";
        insta::assert_snapshot!(Config::parse(text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn paths_are_within_the_data_folder_unless_absolute() {
        let config = Config::parse("[peer]\nkey-file = \"/etc/samverkan/peer-key.pem\"").unwrap().within(Path::new("/var/lib/sapo"));
        assert_eq!(config.peer.key_file, Path::new("/etc/samverkan/peer-key.pem"));
        assert_eq!(config.store.file, Path::new("/var/lib/sapo/samverkan.db"));
    }
}
