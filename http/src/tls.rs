//! TLS: how nodes recognise each other, and what they agree on before the first byte.
//!
//! Between nodes there is TLS 1.3 with a hybrid post-quantum key exchange and nothing else: no older version, no
//! classical group, no resumption, no early data. Both sides show a self-signed certificate, and what counts of it is
//! its public key: it must be the one on the organisation's card, in the directory as it is now. Names, issuers and
//! dates in the certificate are ignored on purpose, because the card, which people compared and which is revoked or
//! replaced when a key is, already says what they would say. Proof of possession is not ignored: the handshake signature is verified
//! with the provider. Members' clients are met elsewhere, by [`web_server`], which also takes classical groups.

use std::fmt;
use std::sync::{Arc, PoisonError};

use format::verify::KeyDirectory as _;
use format::{Digest, OrgId, Timestamp};
use node::node::Published;
use node::state::Directory;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName as CaName, Error, ServerConfig, SignatureScheme};
use x509_cert::der::Decode as _;

/// The one application protocol between nodes.
const HTTP_2: &[u8] = b"h2";
/// What a member's client may also speak.
const HTTP_1_1: &[u8] = b"http/1.1";

/// With what a node may prove that a key is its own. RSA is left out.
const PEER_SCHEMES: &[SignatureScheme] = &[SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP384_SHA384];

/// A certificate or key could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate could not be made.
    #[error("the certificate could not be made")]
    Generate(#[from] rcgen::Error),
    /// The certificate or key does not do.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[from] Error),
    /// The text holds no certificate or key.
    #[error("the PEM text holds no certificate or no private key")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The certificate does not read as one.
    #[error("the certificate does not read as X.509: {0}")]
    Malformed(#[from] x509_cert::der::Error),
}

/// A certificate with its private key.
pub struct KeyedCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for KeyedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedCertificate({} in chain)", self.chain.len())
    }
}

impl Clone for KeyedCertificate {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl KeyedCertificate {
    /// Reads a certificate, or a chain that begins with it, and its private key, both in PEM.
    ///
    /// # Errors
    /// A text holds none.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>()?;
        if chain.is_empty() {
            return Err(TlsError::Pem(rustls::pki_types::pem::Error::NoItemsFound));
        }
        Ok(Self { chain, key: PrivateKeyDer::from_pem_slice(key)? })
    }

    /// The certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.chain.first().map_or(&[], |der| der.as_ref())
    }

    /// What a card says of this certificate: see [`spki_sha256`].
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn pin(&self) -> Result<Digest, TlsError> {
        Ok(spki_sha256(self.certificate())?)
    }

    /// The last moment at which it is valid, by its own word (RFC 5280 section 4.1.2.5).
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn not_after(&self) -> Result<Timestamp, TlsError> {
        let certificate = x509_cert::Certificate::from_der(self.certificate())?;
        let since = certificate.tbs_certificate.validity.not_after.to_unix_duration();
        Ok(Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A certificate that was just made, as it is written to files.
pub struct NewCertificate {
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its private key, in PEM (PKCS #8).
    pub key: String,
}

impl fmt::Debug for NewCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewCertificate(..)")
    }
}

impl NewCertificate {
    /// The certificate for use.
    ///
    /// # Errors
    /// A text was changed and holds none.
    pub fn read(&self) -> Result<KeyedCertificate, TlsError> {
        KeyedCertificate::from_pem(self.certificate.as_bytes(), self.key.as_bytes())
    }
}

/// Makes the certificate that a node shows to its peers: self-signed, Ed25519.
///
/// # Errors
/// There was no randomness.
pub fn generate_peer_certificate() -> Result<NewCertificate, TlsError> {
    self_signed(&[], "samverkan peer", &PKCS_ED25519, vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth])
}

/// Makes a self-signed certificate for the members' listener, on P-256 because browsers refuse Ed25519. It serves a
/// trial or a closed network; elsewhere the organisation's own authority issues one.
///
/// # Errors
/// There was no randomness, or a name is not one.
pub fn generate_web_certificate(names: &[String]) -> Result<NewCertificate, TlsError> {
    self_signed(names, "samverkan", &PKCS_ECDSA_P256_SHA256, vec![ExtendedKeyUsagePurpose::ServerAuth])
}

fn self_signed(
    names: &[String],
    title: &str,
    algorithm: &'static rcgen::SignatureAlgorithm,
    usages: Vec<ExtendedKeyUsagePurpose>,
) -> Result<NewCertificate, TlsError> {
    let key = KeyPair::generate_for(algorithm)?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, title);
    params.extended_key_usages = usages;
    let certificate = params.self_signed(&key)?;
    Ok(NewCertificate { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// SHA-256 of the public key in a certificate (its SubjectPublicKeyInfo, DER): what a card pins.
///
/// # Errors
/// The bytes are not a certificate.
pub fn spki_sha256(certificate: &[u8]) -> Result<Digest, Error> {
    let der = CertificateDer::from(certificate);
    Ok(Digest::of(ParsedCertificate::try_from(&der)?.subject_public_key_info().as_ref()))
}

/// The configuration of the peer listener: lets in whoever shows the key of a card in the directory, and nobody else.
///
/// # Errors
/// The certificate and its key do not do.
pub fn peer_server(mine: &KeyedCertificate, me: &OrgId, directory: Published) -> Result<ServerConfig, TlsError> {
    let provider = provider(hybrid_groups());
    let verifier = Arc::new(Pinned { me: me.clone(), only: None, directory, algorithms: provider.signature_verification_algorithms });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(mine.chain.clone(), mine.key.clone_key())?;
    config.alpn_protocols = vec![HTTP_2.to_vec()];
    // No tickets and no early data: each connection meets the directory as it is.
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The configuration with which a courier calls `peer`: takes the key on that organisation's card for an answer, and
/// no other.
///
/// # Errors
/// The certificate and its key do not do.
pub fn peer_client(mine: &KeyedCertificate, me: &OrgId, peer: &OrgId, directory: Published) -> Result<ClientConfig, TlsError> {
    let provider = provider(hybrid_groups());
    let verifier = Arc::new(Pinned { me: me.clone(), only: Some(peer.clone()), directory, algorithms: provider.signature_verification_algorithms });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(mine.chain.clone(), mine.key.clone_key())?;
    config.alpn_protocols = vec![HTTP_2.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// The configuration of the listener that members' clients reach: TLS 1.3, hybrid groups first, classical ones for
/// clients that know no others.
///
/// # Errors
/// The certificate and its key do not do.
pub fn web_server(mine: &KeyedCertificate) -> Result<ServerConfig, TlsError> {
    let groups = [hybrid_groups(), vec![kx_group::X25519, kx_group::SECP256R1]].concat();
    let mut config = ServerConfig::builder_with_provider(provider(groups))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(mine.chain.clone(), mine.key.clone_key())?;
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()];
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

fn hybrid_groups() -> Vec<&'static dyn SupportedKxGroup> {
    vec![kx_group::X25519MLKEM768, kx_group::SECP256R1MLKEM768]
}

/// The provider with our groups and ciphers. Other crates in the process may compile TLS 1.2 in; it is left out here.
fn provider(kx_groups: Vec<&'static dyn SupportedKxGroup>) -> Arc<CryptoProvider> {
    let cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
    Arc::new(CryptoProvider { cipher_suites, kx_groups, ..default_provider() })
}

/// Accepts the keys on cards: of every peer, or of `only` one.
struct Pinned {
    me: OrgId,
    only: Option<OrgId>,
    directory: Published,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({:?})", self.only)
    }
}

impl Pinned {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let key = spki_sha256(certificate)?;
        let directory: Arc<Directory> = Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner));
        let known = match &self.only {
            Some(peer) => directory.card(peer).filter(|pinned| pinned.card.tls_key == key),
            None => directory.by_tls_key(&key).filter(|pinned| pinned.card.org != self.me),
        };
        match known {
            Some(pinned) if directory.revoked(&pinned.card.org) => Err(Error::InvalidCertificate(CertificateError::Revoked)),
            Some(_) => Ok(()),
            None => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn check_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        if !PEER_SCHEMES.contains(&signed.scheme) {
            return Err(Error::PeerMisbehaved(rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme));
        }
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }
}

fn no_tls12() -> Error {
    Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered)
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[CaName] {
        &[]
    }

    fn verify_client_cert(&self, certificate: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        self.check(certificate).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PEER_SCHEMES.to_vec()
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PEER_SCHEMES.to_vec()
    }
}
