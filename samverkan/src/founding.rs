//! Founding a node: its folder with keys, certificates, configuration, store, own card and first administrator.
//!
//! Everything is made in a folder beside the one asked for, which gets its name only when all of it is there: there is
//! never half a node. Nothing that exists is overwritten. Every secret is drawn from the operating system, written for
//! its owner alone, and shown never, but the first password once.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use format::card::Card;
use format::id::ShortName;
use format::keys::Seeds;
use format::verify::{self, Verified};
use format::{Digest, OrgId, Timestamp};
use http::access::Password;
use http::tls::{self, NewCertificate};
use node::node::{Identity, Node};
use node::ports::Entropy;
use node::rows::MemberRow;
use policy::access::Role;
use policy::house::NoHouseRules;
use store::Sqlite;

use crate::assemble::{self, OsEntropy};
use crate::config::{self, Config};
use crate::failure::{Failure, Outcome};
use crate::keys;

/// What a node is founded with. The card is as it will be signed, but for its keys.
#[derive(Debug)]
pub(crate) struct Founding {
    pub(crate) org: OrgId,
    pub(crate) short: ShortName,
    pub(crate) name: format::agreement::Text,
    pub(crate) country: String,
    pub(crate) kind: format::card::OrgKind,
    pub(crate) addresses: Vec<String>,
    pub(crate) contact: String,
    pub(crate) web: SocketAddr,
    pub(crate) administrator: String,
    pub(crate) now: Timestamp,
}

/// What a node's founder is told once.
#[derive(Debug)]
pub(crate) struct Founded {
    pub(crate) fingerprint: Digest,
    pub(crate) password: String,
}

/// Founds a node in the folder `data`, which must not exist or be empty.
pub(crate) fn found(data: &Path, founding: &Founding) -> Outcome<Founded> {
    must_be_empty(data)?;
    let workshop = Workshop::beside(data)?;
    let founded = furnish(&workshop.0, founding)?;
    workshop.becomes(data)?;
    Ok(founded)
}

/// Nothing that exists is overwritten.
pub(crate) fn must_be_empty(data: &Path) -> Outcome {
    if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) || fs::metadata(data).is_ok_and(|found| !found.is_dir()) {
        return Err(Failure::refused(format!("`{}` has something in it already, and nothing is overwritten", data.display()))
            .remedy("Name a folder that is empty or does not exist."));
    }
    Ok(())
}

/// The folder in which a node is made; gone with this value unless it was renamed.
pub(crate) struct Workshop(PathBuf);

impl Workshop {
    pub(crate) fn beside(data: &Path) -> Outcome<Self> {
        let name = data.file_name().ok_or_else(|| Failure::usage(format!("`{}` does not name a folder", data.display())))?;
        let folder = data.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(|error| unwritable(&folder, &error))?;
        Ok(Self(folder))
    }

    /// Where it is while the node is made.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the folder its name: everything is there.
    pub(crate) fn becomes(&self, data: &Path) -> Outcome {
        fs::rename(&self.0, data).map_err(|error| unwritable(data, &error))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // After the renaming there is nothing here.
        _ = fs::remove_dir_all(&self.0);
    }
}

fn furnish(folder: &Path, founding: &Founding) -> Outcome<Founded> {
    let mut entropy = OsEntropy;
    let seeds = Seeds::generate(|bytes| entropy.fill(bytes));
    let peer = tls::generate_peer_certificate().map_err(|error| unmade(&error))?;
    let web = tls::generate_web_certificate(&web_names(founding.web)).map_err(|error| unmade(&error))?;
    let text = configuration(founding);
    let paths = Config::parse(&text).unwrap_or_default();
    write(folder, Path::new(config::FILE), text.as_bytes())?;
    write(folder, &paths.node.keys_file, &serde_json::to_vec(&seeds).unwrap_or_default())?;
    write_certificate(folder, &peer, &paths.peer.certificate_file, &paths.peer.key_file)?;
    write_certificate(folder, &web, &paths.web.certificate_file, &paths.web.key_file)?;

    let me = keys::identity(&founding.org, &founding.short, &seeds)?;
    let pin = peer.read().and_then(|certificate| certificate.pin()).map_err(|error| unmade(&error))?;
    let card = card(founding, &me, pin)?;
    let fingerprint = me.keys.public().fingerprint();
    let (administrator, password) = administrator(&founding.administrator)?;
    let store = Sqlite::open(&folder.join(&paths.store.file), &store::Options::default()).map_err(|error| unmade(&error))?;
    let mut node = Node::open(store, Arc::new(me), Box::new(entropy), Arc::new(NoHouseRules)).map_err(|error| unmade(&error))?;
    node.set_up(card.signed().to_bytes(), administrator, founding.now).map_err(|error| unmade(&error))?;
    node.commit().map_err(|error| unmade(&error))?;
    Ok(Founded { fingerprint, password })
}

fn card(founding: &Founding, me: &Identity, tls_key: Digest) -> Outcome<Verified<Card>> {
    let card = Card {
        org: founding.org.clone(),
        short: founding.short.clone(),
        name: founding.name.clone(),
        country: founding.country.clone(),
        kind: founding.kind,
        addresses: founding.addresses.clone(),
        contact: founding.contact.clone(),
        keys: me.keys.public().texts().clone(),
        tls_key,
        serial: 1,
        issued: founding.now,
        succession: None,
    };
    verify::state(&card, &me.keys).map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Failure::usage(format!("the card cannot be made: {why}")).remedy("`samverkan init --help` says what each part of it is.")
    })
}

fn administrator(id: &str) -> Outcome<(MemberRow, String)> {
    let (password, text) = Password::generate(&assemble::random());
    let hash = password.hash(&assemble::random()).map_err(|error| unmade(&error))?;
    let member = MemberRow { id: id.to_owned(), name: id.to_owned(), roles: [Role::Administrator].into(), active: true, password: hash };
    Ok((member, text))
}

/// The configuration: who the node is, and where it listens for the address on its card.
fn configuration(founding: &Founding) -> String {
    let mut set = vec![("node.organisation", founding.org.to_string()), ("node.short", founding.short.to_string()), ("web.listen", founding.web.to_string())];
    if let Some(listen) = founding.addresses.first().and_then(|address| listen(address)) {
        set.push(("peer.listen", listen.to_string()));
    }
    config::sample(&set)
}

/// Where to listen for an address: on it where it is one of this machine's numbers, else everywhere on its port.
fn listen(address: &str) -> Option<SocketAddr> {
    address.parse().ok().or_else(|| {
        let (_, port) = address.rsplit_once(':')?;
        Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port.parse().ok()?)))
    })
}

/// The names in the members' certificate: of the machine they connect to, as far as that is known.
fn web_names(web: SocketAddr) -> Vec<String> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let own = (!web.ip().is_unspecified() && web.ip() != loopback).then(|| web.ip().to_string());
    ["localhost".to_owned(), loopback.to_string()].into_iter().chain(own).collect()
}

fn write_certificate(folder: &Path, made: &NewCertificate, certificate: &Path, key: &Path) -> Outcome {
    write(folder, certificate, made.certificate.as_bytes())?;
    write(folder, key, made.key.as_bytes())
}

/// Writes a new file that only its owner may read, durably.
pub(crate) fn write(folder: &Path, name: &Path, bytes: &[u8]) -> Outcome {
    let path = folder.join(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| unwritable(&path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("`{}` cannot be written: {error}", path.display())).remedy("Choose a folder where you may write, on a disk with room.")
}

fn unmade(error: &dyn std::error::Error) -> Failure {
    Failure::usage(format!("the node cannot be made: {error}"))
}
