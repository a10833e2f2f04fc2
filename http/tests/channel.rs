//! The channel between nodes: who gets a connection, and who does not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests say what they expect by failing")]

mod peers;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, ProtocolVersion, SignatureScheme, SupportedProtocolVersion, version};
use samverkan_http::handle::Trouble;
use samverkan_http::listener::{Limits, TlsListener};
use samverkan_http::tls::{self, KeyedCertificate, NewCertificate};
use testkit::federation::beginning;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use peers::{Party, Running, found, pair, run};

/// Takes any certificate: what a careless or hostile client does.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client that can be anything.
struct Client {
    versions: Vec<&'static SupportedProtocolVersion>,
    groups: Vec<&'static dyn SupportedKxGroup>,
    protocols: Vec<Vec<u8>>,
    certificate: Option<NewCertificate>,
}

impl Client {
    /// As a node's courier is, but for the certificate it takes.
    fn with(certificate: Option<&NewCertificate>) -> Self {
        let certificate = certificate.map(|made| NewCertificate { certificate: made.certificate.clone(), key: made.key.clone() });
        Self { versions: vec![&version::TLS13], groups: vec![kx_group::X25519MLKEM768], protocols: vec![b"h2".to_vec()], certificate }
    }

    fn config(&self) -> ClientConfig {
        let provider = CryptoProvider { kx_groups: self.groups.clone(), ..default_provider() };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)));
        let mut config = match &self.certificate {
            Some(made) => {
                let chain = vec![CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap()).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        config
    }
}

/// Connects, and makes sure that the other side agrees: in TLS 1.3 it may refuse after the client is content.
async fn connect(config: ClientConfig, address: SocketAddr) -> Result<TlsStream<TcpStream>, String> {
    let tcp = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let name = ServerName::from(address.ip());
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|e| e.to_string())?;
    // The HTTP/2 preface with empty settings; a server that serves answers with its own settings.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.map_err(|e| e.to_string())?;
    let mut first = [0];
    match tokio::time::timeout(Duration::from_secs(10), stream.read(&mut first)).await {
        Ok(Ok(1)) => Ok(stream),
        Ok(Ok(_)) => Err("closed".to_owned()),
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

fn peer_certificate() -> NewCertificate {
    tls::generate_peer_certificate().unwrap()
}

fn copy(made: &NewCertificate) -> NewCertificate {
    NewCertificate { certificate: made.certificate.clone(), key: made.key.clone() }
}

/// A node that listens, one that it knows by an Ed25519 key, and one that it knows by a P-256 key.
struct Scene {
    node: Running,
    friend: Running,
    friend_certificate: NewCertificate,
    p256_certificate: NewCertificate,
    node_certificate: NewCertificate,
}

async fn scene(limits: Limits) -> Scene {
    let (node_certificate, friend_certificate) = (peer_certificate(), peer_certificate());
    let p256_certificate = tls::generate_web_certificate(&[]).unwrap();
    let parties = vec![
        Party::new("se-sapo", "SAPO", copy(&node_certificate)).await,
        Party::new("se-fra", "FRA", copy(&friend_certificate)).await,
        Party::new("se-tull", "TULL", copy(&p256_certificate)).await,
    ];
    let mut nodes = found(parties).into_iter();
    let node = run(nodes.next().unwrap(), limits).await;
    let friend = run(nodes.next().unwrap(), limits).await;
    Scene { node, friend, friend_certificate, p256_certificate, node_certificate }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_key_gets_a_connection_with_hybrid_key_exchange() {
    let scene = scene(Limits::PEERS).await;
    let certificate = KeyedCertificate::from_pem(scene.friend_certificate.certificate.as_bytes(), scene.friend_certificate.key.as_bytes()).unwrap();
    let config = tls::peer_client(&certificate, &scene.friend.org, &scene.node.org, scene.friend.handle.published()).unwrap();
    let stream = connect(config, scene.node.address).await.unwrap();
    let session = stream.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(session.tls13_tickets_received(), 0, "nothing to resume with");
    assert!(!session.is_early_data_accepted());

    let second = Client { groups: vec![kx_group::SECP256R1MLKEM768], ..Client::with(Some(&scene.friend_certificate)) };
    let stream = connect(second.config(), scene.node.address).await.unwrap();
    assert_eq!(stream.get_ref().1.negotiated_key_exchange_group().unwrap().name(), NamedGroup::secp256r1MLKEM768);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_else_is_refused() {
    let scene = scene(Limits::PEERS).await;
    let friend = || Client::with(Some(&scene.friend_certificate));
    let all_classical = || -> Vec<&'static dyn SupportedKxGroup> { vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1] };
    let cases = [
        ("TLS 1.2", Client { versions: vec![&version::TLS12], groups: all_classical(), ..friend() }),
        ("classical groups only", Client { groups: all_classical(), ..friend() }),
        ("a group that is not hybrid", Client { groups: vec![kx_group::MLKEM768], ..friend() }),
        ("no certificate", Client::with(None)),
        ("a stranger", Client::with(Some(&peer_certificate()))),
        ("the node itself", Client::with(Some(&scene.node_certificate))),
        ("an algorithm that is not for peers, though the key is on a card", Client::with(Some(&scene.p256_certificate))),
        ("no application protocol", Client { protocols: Vec::new(), ..friend() }),
        ("another application protocol", Client { protocols: vec![b"http/1.1".to_vec()], ..friend() }),
    ];
    for (what, client) in cases {
        assert!(connect(client.config(), scene.node.address).await.is_err(), "{what} got a connection");
    }
    // A certificate that somebody copied, without its key.
    let stolen = NewCertificate { certificate: scene.friend_certificate.certificate.clone(), key: peer_certificate().key };
    let chain = vec![CertificateDer::from_pem_slice(stolen.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(stolen.key.as_bytes()).unwrap();
    let key = default_provider().key_provider.load_private_key(key).unwrap();
    let mut config = Client::with(None).config();
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(chain, key)));
    assert!(connect(config, scene.node.address).await.is_err(), "a copied certificate got a connection");
    assert!(connect(friend().config(), scene.node.address).await.is_ok(), "the one that differs from all these");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_courier_takes_the_key_of_the_one_it_calls_and_no_other() {
    let scene = scene(Limits::PEERS).await;
    let certificate = KeyedCertificate::from_pem(scene.friend_certificate.certificate.as_bytes(), scene.friend_certificate.key.as_bytes()).unwrap();
    let call = |peer: &str| tls::peer_client(&certificate, &scene.friend.org, &peers::org(peer), scene.friend.handle.published()).unwrap();
    assert!(connect(call("se-sapo"), scene.node.address).await.is_ok());
    assert!(connect(call("se-tull"), scene.node.address).await.is_err(), "another organisation's key");
    assert!(connect(call("se-polisen"), scene.node.address).await.is_err(), "an organisation without a card");

    // Somebody else answers at the address.
    let stranger = peer_certificate().read().unwrap();
    let config = tls::peer_server(&stranger, &scene.node.org, scene.node.handle.published()).unwrap();
    let listener = TlsListener::bind("127.0.0.1:0".parse().unwrap(), config, Limits::PEERS).await.unwrap();
    assert!(connect(call("se-sapo"), listener.address()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_clients_may_know_classical_groups_only() {
    let certificate = tls::generate_web_certificate(&["localhost".to_owned()]).unwrap();
    let config = tls::web_server(&certificate.read().unwrap()).unwrap();
    let listener = TlsListener::bind("127.0.0.1:0".parse().unwrap(), config, Limits::MEMBERS).await.unwrap();
    let address = listener.address();
    tokio::spawn(axum::serve(listener, axum::Router::new()).into_future());
    let group = async |groups: Vec<&'static dyn SupportedKxGroup>| {
        let stream = connect(Client { groups, ..Client::with(None) }.config(), address).await.unwrap();
        stream.get_ref().1.negotiated_key_exchange_group().unwrap().name()
    };
    assert_eq!(group(vec![kx_group::X25519MLKEM768, kx_group::X25519]).await, NamedGroup::X25519MLKEM768, "what clients of today offer first");
    assert_eq!(group(vec![kx_group::X25519]).await, NamedGroup::X25519);
    assert_eq!(group(vec![kx_group::SECP256R1]).await, NamedGroup::secp256r1);
    let old = Client { versions: vec![&version::TLS12], groups: vec![kx_group::X25519], ..Client::with(None) };
    assert!(connect(old.config(), address).await.is_err(), "TLS 1.2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slow_and_the_silent_keep_nobody_out() {
    let limits =
        Limits { handshakes_each: 4, handshake_time: Duration::from_millis(500), idle_time: Duration::from_millis(700), connections_each: 3, ..Limits::PEERS };
    let scene = scene(limits).await;
    // From another address of this machine: connections that never say anything.
    let mut silent = Vec::new();
    for _ in 0..8 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0)).unwrap();
        silent.push(socket.connect(scene.node.address).await.unwrap());
    }
    let friend = || Client::with(Some(&scene.friend_certificate)).config();
    let first = connect(friend(), scene.node.address).await.unwrap();
    let mut byte = [0];
    for mut stream in silent {
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut byte)).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "the silent are let go");
    }

    // One peer has its share of connections, and another still gets one.
    drop(first);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut mine = Vec::new();
    for _ in 0..3 {
        mine.push(connect(friend(), scene.node.address).await.unwrap());
    }
    assert!(connect(friend(), scene.node.address).await.is_err(), "a fourth");

    // Silence ends a connection, and makes room.
    let mut stream = mine.remove(0);
    let ended = tokio::time::timeout(Duration::from_secs(5), async { while stream.read(&mut byte).await.is_ok_and(|count| count > 0) {} }).await;
    assert!(ended.is_ok(), "silent for too long");
    drop(mine);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(connect(friend(), scene.node.address).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_towards_members_is_told_of_a_week_before_it_expires() {
    let (a, _b) = pair().await;
    let made = tls::generate_web_certificate(&["localhost".to_owned()]).unwrap().read().unwrap();
    let far = made.not_after().unwrap();
    assert!(far > beginning().plus_days(365 * 1000), "one of our own lasts: {far}");
    a.handle.watch_certificate(beginning().plus_days(9));
    assert_eq!(a.handle.troubles().await, []);
    a.pass_days(1);
    assert_eq!(a.handle.troubles().await, [], "eight days are left");
    a.pass_days(2);
    assert_eq!(a.handle.troubles().await, [Trouble::CertificateExpires]);
    a.pass_days(30);
    assert_eq!(a.handle.troubles().await, [Trouble::CertificateExpires], "and goes on when it has expired");
}
