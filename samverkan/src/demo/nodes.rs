//! The demonstration's nodes: founded once, then one real process each, with its own folder, keys and ports.
//!
//! A node that is there already is started as it is. Passwords are drawn when a node is founded and kept beside the
//! nodes, for their owner alone, so that a second start can show them again; there is no default password.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use format::{Digest, OrgId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::example::Organisation;
use crate::answer::Answer as _;
use crate::client::{ADDRESS_FILE, Client, Place};
use crate::failure::{Failure, Outcome};
use crate::founding::{Founding, found};

/// Members of every node of the demonstration: log-in name, name, roles.
pub(super) const MEMBERS: &[(&str, &str, &[&str])] = &[
    ("anna", "Anna Example, analyst", &["analyst"]),
    ("lena", "Lena Example, liaison officer", &["liaison"]),
    ("siri", "Siri Example, analyst and release officer", &["analyst", "release-officer"]),
    ("rolf", "Rolf Example, release officer", &["release-officer"]),
    ("osk", "Osk Example, auditor", &["auditor"]),
];
/// The administrator, whom founding a node makes.
pub(super) const ADMINISTRATOR: &str = "ada";
const LOG_INS: &str = "log-ins.json";
const START_UP: Duration = Duration::from_secs(20);
const STOPPING: Duration = Duration::from_secs(10);

/// What is kept of a demonstration from one start to the next.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Kept {
    /// Fingerprints of the nodes' keys, as they were compared.
    pub(super) fingerprints: BTreeMap<OrgId, Digest>,
    /// Passwords by node and member.
    pub(super) passwords: BTreeMap<OrgId, BTreeMap<String, String>>,
    /// Number of the record that the story is about, once it was told.
    pub(super) story: Option<String>,
}

impl Kept {
    pub(super) fn load(folder: &Path) -> Outcome<Option<Self>> {
        let path = folder.join(LOG_INS);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::usage(format!("`{}` cannot be read: {error}", path.display()))),
        }
    }

    pub(super) fn save(&self, folder: &Path) -> Outcome {
        let path = folder.join(LOG_INS);
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        let written = options.open(&path).and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
        written.map_err(|error| Failure::usage(format!("`{}` cannot be written: {error}", path.display())))
    }
}

/// Founds a node for an organisation in a folder of its own.
pub(super) fn found_node(folder: &Path, organisation: &Organisation, kept: &mut Kept, now: Timestamp) -> Outcome {
    let founding = Founding {
        org: organisation.id.clone(),
        short: organisation.short.clone(),
        name: organisation.name.clone(),
        country: organisation.country.clone(),
        kind: organisation.kind,
        addresses: vec![free_address()?.to_string()],
        contact: "example contact point, answered at all hours".to_owned(),
        web: free_address()?,
        administrator: ADMINISTRATOR.to_owned(),
        now,
    };
    let founded = found(&folder.join(organisation.id.as_str()), &founding)?;
    kept.fingerprints.insert(organisation.id.clone(), founded.fingerprint);
    kept.passwords.entry(organisation.id.clone()).or_default().insert(ADMINISTRATOR.to_owned(), founded.password);
    Ok(())
}

/// An address on this machine where nobody listens now.
fn free_address() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map_err(|error| Failure::unreachable(format!("no free port on this machine: {error}")))
}

/// A running node, with a client for each member who has logged in.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) org: OrgId,
    data: PathBuf,
    process: Child,
    clients: BTreeMap<String, Client>,
}

impl Running {
    /// Starts a node's process; its output goes to a file in its folder.
    pub(super) fn start(folder: &Path, org: &OrgId) -> Outcome<Self> {
        let data = folder.join(org.as_str());
        let failed = |error: std::io::Error| Failure::unreachable(format!("the node of {org} cannot be started: {error}"));
        // A leftover of a node that was killed would be taken for the address of the one that starts.
        _ = std::fs::remove_file(data.join(ADDRESS_FILE));
        let log = File::options().create(true).append(true).open(data.join("node.log")).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let program = std::env::current_exe().map_err(failed)?;
        let process = Command::new(program).arg("serve").arg("--data").arg(&data).stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map_err(failed)?;
        Ok(Self { org: org.clone(), data, process, clients: BTreeMap::new() })
    }

    /// Waits until the node answers.
    pub(super) async fn ready(&mut self) -> Outcome {
        let deadline = tokio::time::Instant::now() + START_UP;
        loop {
            if self.data.join(ADDRESS_FILE).exists() {
                let client = Client::new(Place::of_data(&self.data)?, "en", None)?;
                if client.get(&["health"]).bytes().await.is_ok() {
                    return Ok(());
                }
            }
            let ended = self.process.try_wait().ok().flatten();
            if ended.is_some() || tokio::time::Instant::now() > deadline {
                let log = self.data.join("node.log");
                return Err(Failure::unreachable(format!("the node of {} did not start", self.org)).remedy(format!("Its last words are in {}.", log.display())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where members reach it.
    pub(super) fn address(&self) -> String {
        let address = std::fs::read_to_string(self.data.join(ADDRESS_FILE)).unwrap_or_default();
        format!("https://{}", address.trim())
    }

    /// Logs a member in.
    pub(super) async fn log_in(&mut self, member: &str, password: &str) -> Outcome {
        let client = Client::new(Place::of_data(&self.data)?, "en", None)?;
        let answer = client.post(&["session"]).json(&json!({ "member": member, "password": password })).send().await?;
        let secret = answer.text("/secret");
        self.clients.insert(member.to_owned(), Client::new(Place::of_data(&self.data)?, "en", Some(secret))?);
        Ok(())
    }

    /// A client of a member who has logged in.
    pub(super) fn by(&self, member: &str) -> Outcome<&Client> {
        self.clients.get(member).ok_or_else(|| Failure::usage(format!("{member} has not logged in at {}", self.org)))
    }

    /// Adds the demonstration's members, whose passwords the node draws.
    pub(super) async fn add_members(&self, kept: &mut Kept) -> Outcome {
        for (id, name, roles) in MEMBERS {
            let roles: BTreeSet<&str> = roles.iter().copied().collect();
            let made = self.by(ADMINISTRATOR)?.post(&["members"]).json(&json!({ "id": id, "name": name, "roles": roles })).send().await?;
            kept.passwords.entry(self.org.clone()).or_default().insert((*id).to_owned(), made.text("/password"));
        }
        Ok(())
    }

    /// Asks the process to stop.
    pub(super) fn ask_to_stop(&self) {
        let id = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // One that has ended already needs no asking.
            _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
    }

    /// Waits until the process has stopped, and ends it if it does not.
    pub(super) async fn stopped(&mut self) {
        let deadline = tokio::time::Instant::now() + STOPPING;
        while matches!(self.process.try_wait(), Ok(None)) {
            if tokio::time::Instant::now() > deadline {
                _ = self.process.kill();
                _ = self.process.wait();
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // No process outlives the demonstration, however that ends.
        if matches!(self.process.try_wait(), Ok(None)) {
            _ = self.process.kill();
            _ = self.process.wait();
        }
    }
}
