//! Calls to one peer: the requests that a courier makes, and how much of an answer it reads.
//!
//! The connection is to the peer's pinned key and no other, follows no redirect and uses no proxy. An answer is read up
//! to a limit, and what the peer says in a problem is taken for no more than a code.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use format::OrgId;
use format::signed::MAX_SIGNED;
use reqwest::{Client, Response, redirect};
use rustls::ClientConfig;
use serde::Deserialize;

use super::{Fault, Pace};
use crate::handle::Handle;
use crate::peer::{HEARTBEAT, MEDIA_TYPE, PARCELS, RECOVERY};
use crate::tls::{KeyedCertificate, TlsError, peer_client};

/// The largest answer to a parcel: a receipt with its framing.
const MAX_ANSWER: usize = MAX_SIGNED + 1024;
/// The largest problem that is read.
const MAX_PROBLEM: usize = 16 * 1024;
/// The longest code that is taken from a problem.
const MAX_CODE: usize = 60;
/// While something is on its way, the peer is asked so often whether it is still there.
const PING: Duration = Duration::from_secs(20);
/// And has so long to say so: on a slow line the question waits behind what is on its way.
const PONG: Duration = Duration::from_secs(40);

/// No courier can be sent out to a peer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoadError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// The road to one peer.
#[derive(Clone)]
pub(super) struct Road {
    handle: Handle,
    peer: OrgId,
    tls: Arc<ClientConfig>,
    client: Client,
    pace: Pace,
    address: usize,
}

impl Road {
    pub(super) fn new(handle: &Handle, certificate: &KeyedCertificate, peer: &OrgId, pace: Pace) -> Result<Self, RoadError> {
        let tls = Arc::new(peer_client(certificate, handle.identity().org(), peer, handle.published())?);
        let client = client(&tls, pace)?;
        Ok(Self { handle: handle.clone(), peer: peer.clone(), tls, client, pace, address: 0 })
    }

    /// The next call begins anew: with a new connection, to another of the peer's addresses if it has several. A dead
    /// connection would otherwise be used until the operating system gives it up.
    pub(super) fn begin_anew(&mut self) {
        self.address = self.address.wrapping_add(1);
        match client(&self.tls, self.pace) {
            Ok(client) => self.client = client,
            Err(fault) => tracing::error!(peer.id = %self.peer, error = %fault, "the connection before is used again"),
        }
    }

    /// Asks whether the peer is there.
    pub(super) async fn heartbeat(&self) -> Result<(), Fault> {
        let request = self.client.post(self.url(HEARTBEAT)?).timeout(self.pace.connect.saturating_mul(2));
        let response = request.send().await.map_err(unreached)?;
        if response.status() == StatusCode::NO_CONTENT { Ok(()) } else { Err(problem(response).await) }
    }

    /// Hands an envelope over and gives the bytes of the answer.
    pub(super) async fn hand_over(&self, envelope: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let request = self.client.post(self.url(PARCELS)?).header(CONTENT_TYPE, MEDIA_TYPE).timeout(self.pace.parcel).body(envelope);
        let response = request.send().await.map_err(unreached)?;
        if response.status() != StatusCode::OK {
            return Err(problem(response).await);
        }
        read(response, MAX_ANSWER).await
    }

    /// Asks the peer what it last saw of this node, and gives the bytes of the answer.
    pub(super) async fn ask(&self, question: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let request = self.client.post(self.url(RECOVERY)?).header(CONTENT_TYPE, MEDIA_TYPE).timeout(self.pace.parcel).body(question);
        let response = request.send().await.map_err(unreached)?;
        if response.status() != StatusCode::OK {
            return Err(problem(response).await);
        }
        read(response, MAX_ANSWER).await
    }

    /// Where a path is found at the peer, by its card as it is now.
    fn url(&self, path: &str) -> Result<String, Fault> {
        let directory = self.handle.directory();
        let addresses = directory.card(&self.peer).map_or(&[][..], |pinned| &pinned.card.addresses);
        let chosen = self.address.checked_rem(addresses.len()).and_then(|n| addresses.get(n));
        let address = chosen.ok_or_else(|| Fault::Unreached("its card names no address".to_owned()))?;
        Ok(format!("https://{address}{path}"))
    }
}

fn client(tls: &ClientConfig, pace: Pace) -> Result<Client, reqwest::Error> {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .https_only(true)
        .http2_prior_knowledge()
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PONG)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(pace.connect)
        .pool_idle_timeout(None)
        .pool_max_idle_per_host(1)
        .tcp_nodelay(true)
        .build()
}

/// What kept a request from its answer, with the causes below it.
fn unreached(fault: reqwest::Error) -> Fault {
    let fault = fault.without_url();
    let mut words = fault.to_string();
    let mut cause = std::error::Error::source(&fault);
    while let Some(deeper) = cause {
        words = format!("{words}: {deeper}");
        cause = deeper.source();
    }
    Fault::Unreached(words)
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreached)? {
        if bytes.len() + chunk.len() > limit {
            return Err(Fault::Answer(format!("it is larger than {limit} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn problem(response: Response) -> Fault {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    let status = response.status().as_u16();
    match read(response, MAX_PROBLEM).await {
        Ok(bytes) => {
            let code = serde_json::from_slice::<Problem>(&bytes).map(|problem| problem.code).unwrap_or_default();
            let code = code.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-').take(MAX_CODE).collect();
            Fault::Answered { status, code }
        }
        Err(fault) => fault,
    }
}
