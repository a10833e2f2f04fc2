//! The road to the server: its address, who is asked for, and how the connection is protected.
//!
//! It opens connections and knows nothing of what goes over them. The invariant: over a network nothing is sent but
//! inside TLS, to a server whose certificate was issued for its name by an authority that the operator named.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::open::OpenError;

/// How long connecting to one address may take.
const CONNECT: Duration = Duration::from_secs(5);

/// After how long a silent server is asked whether it is there, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(15);

/// Which database, and what is demanded of it.
#[derive(Clone, Default)]
pub struct Database {
    /// Its address: `postgres://user@host/name`.
    pub address: String,
    /// The user's password, where the server asks for one.
    pub password: Option<String>,
    /// The authorities, as PEM, whose certificates the server may show. Without them only this machine is spoken to.
    pub authorities: Option<Vec<u8>>,
    /// What is committed must also be on a standby.
    pub synchronous_standby: bool,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.address)
    }
}

/// A way to the server that can be taken again and again.
#[derive(Clone)]
pub(super) struct Road {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    pub(super) synchronous_standby: bool,
}

/// What the server says unasked, to be waited for; it also moves everything else on.
pub(super) type Messages = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>> + Send>;

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl Road {
    pub(super) fn new(database: &Database) -> Result<Self, OpenError> {
        let misread = |why: &dyn fmt::Display| OpenError::Address { why: why.to_string() };
        let mut config: Config = database.address.parse().map_err(|error| misread(&error))?;
        if config.get_password().is_some() {
            return Err(misread(&"it contains a password, which belongs in a file of its own (`store.password-file`)"));
        }
        if config.get_dbname().is_none() || config.get_user().is_none() {
            return Err(misread(&"it does not name a user and a database: postgres://USER@HOST/DATABASE"));
        }
        if let Some(password) = &database.password {
            config.password(password);
        }
        let tls = database.authorities.as_deref().map(client).transpose()?;
        if tls.is_none()
            && let Some(far) = config.get_hosts().iter().find(|host| !is_here(host))
        {
            return Err(OpenError::Unprotected { host: format!("{far:?}") });
        }
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        if config.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config.application_name("samverkan").connect_timeout(CONNECT);
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).tcp_user_timeout(SILENCE);
        Ok(Self { config, tls, synchronous_standby: database.synchronous_standby })
    }

    pub(super) async fn connect(&self) -> Result<(Client, Messages), OpenError> {
        match &self.tls {
            Some(tls) => self.config.connect(tls.clone()).await.map(|(client, connection)| (client, messages(connection))),
            None => self.config.connect(NoTls).await.map(|(client, connection)| (client, messages(connection))),
        }
        .map_err(OpenError::Unreached)
    }
}

fn messages<T>(mut connection: Connection<Socket, T>) -> Messages
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    Box::new(move |context| Pin::new(&mut connection).poll_message(context))
}

/// Whether what is sent there does not leave this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

fn client(authorities: &[u8]) -> Result<MakeRustlsConnect, OpenError> {
    let misread = |why: &dyn fmt::Display| OpenError::Authorities { why: why.to_string() };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        roots.add(certificate.map_err(|error| misread(&error))?).map_err(|error| misread(&error))?;
    }
    if roots.is_empty() {
        return Err(misread(&"there is no certificate in it"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| misread(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(address: &str) -> String {
        Road::new(&Database { address: address.to_owned(), ..Database::default() }).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn nothing_is_sent_over_a_network_without_tls() {
        for here in
            ["postgres://anna@localhost/node", "postgres://anna@127.0.0.1:5433/node", "postgres://anna@[::1]/node", "postgres://anna@%2Frun%2Fpostgresql/node"]
        {
            assert_eq!(refusal(here), "");
        }
        for far in ["postgres://anna@db.example.org/node", "postgres://anna@192.0.2.1/node", "postgres://anna@localhost,192.0.2.1/node"] {
            assert!(refusal(far).contains("store.authority-file"), "{far}: {}", refusal(far));
        }
    }

    #[test]
    fn an_address_says_who_and_what_and_no_secret() {
        assert!(refusal("postgres://localhost/node").contains("a user and a database"));
        assert!(refusal("postgres://anna@localhost").contains("a user and a database"));
        let told = refusal("postgres://anna:hemligt@localhost/node");
        assert!(told.contains("store.password-file") && !told.contains("hemligt"), "{told}");
    }
}
