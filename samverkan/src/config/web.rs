//! `[web]`: the listener for the organisation's own members and tools.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The listener for the organisation's own members and tools.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Web {
    pub(crate) listen: SocketAddr,
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)), certificate_file: PathBuf::from("web.pem"), key_file: PathBuf::from("web-key.pem") }
    }
}
