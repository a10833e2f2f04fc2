//! Places outside the node where things lie: a folder, or a bucket of an S3-compatible store.
//!
//! Mailboxes and attachments outside the store use them; [`Attachments`] is the latter, as the node's port asks for it.
//! A folder is written so that an object is there whole and on the disk, or not at all. A bucket is reached over TLS 1.3
//! that trusts the certificate in the configuration and no other, follows no redirect and uses no proxy; without TLS
//! only on this machine.

mod attachments;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};

pub use attachments::Attachments;

/// A place.
#[derive(Debug, Clone)]
pub enum Place {
    /// A folder, which must exist.
    Folder(PathBuf),
    /// A bucket.
    Bucket(Bucket),
}

/// A bucket of an S3-compatible store.
#[derive(Clone)]
pub struct Bucket {
    /// Where the store is: `https://HOST:PORT`.
    pub endpoint: String,
    /// Its region, as the store calls it.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What the names of objects begin with; may be empty.
    pub prefix: String,
    /// Who asks.
    pub key_id: String,
    /// The secret that belongs to it.
    pub secret: String,
    /// The certificate that the store shows, or that of the authority that issued it, in PEM.
    pub certificate: Vec<u8>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bucket({} at {})", self.bucket, self.endpoint)
    }
}

/// A place cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The folder or the bucket's settings do not do.
    #[error("the place cannot be opened")]
    Store(#[source] object_store::Error),
    /// The endpoint is not one over which secrets may go.
    #[error("`{0}` is not reached over TLS: write https://HOST:PORT, or http:// on 127.0.0.1 alone")]
    Plain(String),
    /// The certificate does not read.
    #[error("the place's certificate cannot be used: {0}")]
    Certificate(String),
    /// No client could be made.
    #[error("no connection can be made from here")]
    Client(#[from] reqwest::Error),
    /// The operating system gave no thread.
    #[error("no thread can be started")]
    Thread(#[source] std::io::Error),
}

impl Place {
    /// Opens it.
    ///
    /// # Errors
    /// See [`PlaceError`]. Whether a bucket can be reached shows when it is first used.
    pub fn open(&self) -> Result<Arc<dyn ObjectStore>, PlaceError> {
        match self {
            Self::Folder(folder) => {
                Ok(Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(PlaceError::Store)?.with_fsync(true).with_automatic_cleanup(false)))
            }
            Self::Bucket(bucket) => bucket.open(),
        }
    }
}

impl Bucket {
    fn open(&self) -> Result<Arc<dyn ObjectStore>, PlaceError> {
        let plain = self.endpoint.starts_with("http://127.0.0.1:");
        if !plain && !self.endpoint.starts_with("https://") {
            return Err(PlaceError::Plain(self.endpoint.clone()));
        }
        let store = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_region(&self.region)
            .with_bucket_name(&self.bucket)
            .with_access_key_id(&self.key_id)
            .with_secret_access_key(&self.secret)
            .with_virtual_hosted_style_request(false)
            .with_allow_http(plain)
            .with_retry(RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() })
            .with_http_connector(Connector(self.client()?))
            .build()
            .map_err(PlaceError::Store)?;
        Ok(if self.prefix.is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, self.prefix.as_str())) })
    }

    fn client(&self) -> Result<reqwest::Client, PlaceError> {
        let unusable = |why: &dyn std::fmt::Display| PlaceError::Certificate(why.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.certificate) {
            roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
        }
        if roots.is_empty() && self.endpoint.starts_with("https://") {
            return Err(unusable(&"the text holds none"));
        }
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256],
            kx_groups: vec![kx_group::X25519MLKEM768, kx_group::SECP256R1MLKEM768, kx_group::X25519, kx_group::SECP256R1],
            ..default_provider()
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[&TLS13]).map_err(|error| unusable(&error))?;
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60));
        Ok(client.build()?)
    }
}

/// Gives the one client to whoever asks for one.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}
