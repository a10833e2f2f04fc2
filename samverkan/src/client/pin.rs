//! Believing one certificate: the one in the file that the administrator gave.
//!
//! A node on a closed network shows a certificate that it made itself; then exactly that one is accepted, whatever
//! names and dates are in it, because the file says who it is. Where the organisation's own authority issues
//! certificates, the file holds the authority's, and names and dates count. Nothing else is trusted, and no
//! certificate of the operating system is.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, OtherError, PeerIncompatible, RootCertStore, SignatureScheme};

/// How the error begins when the node shows another certificate.
pub(super) const OTHER_CERTIFICATE: &str = "the certificate is another than the one given";

/// TLS 1.3 with whoever shows a certificate of this PEM text, or one that it vouches for.
pub(super) fn config(pem: &[u8]) -> Result<ClientConfig, String> {
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| format!("it is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    // A certificate that cannot vouch for others may still be the node's own.
    roots.add_parsable_certificates(certificates.iter().cloned());
    let authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().ok();
    let verifier = Arc::new(Given { certificates, authority, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct Given {
    certificates: Vec<CertificateDer<'static>>,
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Another;

impl std::fmt::Display for Another {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(OTHER_CERTIFICATE)
    }
}

impl std::error::Error for Another {}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.iter().any(|given| given == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let vouched = self.authority.as_ref().map(|authority| authority.verify_server_cert(end_entity, intermediates, name, ocsp, now));
        vouched.and_then(Result::ok).ok_or_else(|| Error::Other(OtherError(Arc::new(Another))))
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
