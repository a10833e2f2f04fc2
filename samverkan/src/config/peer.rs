//! `[peer]`: the listener for other organisations' nodes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The listener for other organisations' nodes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Peer {
    pub(crate) listen: SocketAddr,
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

impl Default for Peer {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7443)), certificate_file: PathBuf::from("peer.pem"), key_file: PathBuf::from("peer-key.pem") }
    }
}
