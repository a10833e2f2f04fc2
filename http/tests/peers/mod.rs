//! Nodes that speak to each other over real TLS on this machine, each behind a road that can be closed or cut.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod road;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use format::agreement::Onward;
use format::card::Card;
use format::{OrgId, RecordId, Signed, json, verify};
use node::command::DraftInput;
use node::ports::Reader;
use node::rows::HoldingState;
use node::{Command, Node, Outcome, Refusal};
use policy::access::Permission;
use samverkan_http as http;
use store::sqlite::Sqlite;
use tempfile::TempDir;
use testkit::federation::{self, Federation, Organisation, beginning, id};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use http::courier::{self, Couriers, Pace};
use http::handle::{self, Handle, PeerHealth};
use http::listener::{Limits, TlsListener};
use http::peer;
use http::tls::{self, KeyedCertificate, NewCertificate};
pub(crate) use road::Road;

/// Short times, so that tests need not wait.
pub(crate) const QUICK: Pace = Pace {
    heartbeat: Duration::from_millis(200),
    first_retry: Duration::from_millis(20),
    last_retry: Duration::from_millis(200),
    heard_retry: Duration::from_millis(50),
    connect: Duration::from_secs(5),
    parcel: Duration::from_secs(20),
};

/// A node at work.
pub(crate) struct Running {
    pub(crate) org: OrgId,
    pub(crate) handle: Handle,
    pub(crate) certificate: Arc<KeyedCertificate>,
    pub(crate) organisation: Organisation,
    pub(crate) road: Road,
    /// Where it listens itself.
    pub(crate) address: SocketAddr,
    couriers: Option<Couriers>,
    close: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
    writer: std::thread::JoinHandle<Result<(), handle::Halt>>,
    time: Arc<AtomicI64>,
    _folder: TempDir,
}

/// An organisation with its certificate and the road to it, before its node exists.
pub(crate) struct Party {
    pub(crate) organisation: Organisation,
    pub(crate) certificate: NewCertificate,
    pub(crate) road: Road,
}

impl Party {
    pub(crate) async fn new(org: &str, short: &str, certificate: NewCertificate) -> Self {
        let mut organisation = Organisation::new(org, short, "SE");
        let road = Road::new().await;
        organisation.card = card(&organisation, 1, &certificate, &[road.address]);
        Self { organisation, certificate, road }
    }
}

/// A card of the organisation with this certificate's key.
pub(crate) fn card(organisation: &Organisation, serial: u32, certificate: &NewCertificate, addresses: &[SocketAddr]) -> Vec<u8> {
    let signed = Signed::parse(&organisation.card).unwrap();
    let mut card: Card = json::parse(signed.payload(), &json::Budget::CARD).unwrap();
    card.serial = serial;
    card.addresses = addresses.iter().map(ToString::to_string).collect();
    card.tls_key = certificate.read().unwrap().pin().unwrap();
    verify::state(&card, &organisation.identity.keys).unwrap().signed().to_bytes()
}

/// Nodes of these organisations that have compared fingerprints and signed the agreement `ctg`, not yet at work.
pub(crate) fn found(parties: Vec<Party>) -> Vec<(Party, Node<Sqlite>, TempDir)> {
    let mut folders = Vec::new();
    let (organisations, rest): (Vec<Organisation>, Vec<(NewCertificate, Road)>) =
        parties.into_iter().map(|party| (party.organisation, (party.certificate, party.road))).unzip();
    let mut federation = Federation::new(&organisations, || {
        let folder = TempDir::new().unwrap();
        let store = Sqlite::open(&folder.path().join("store.db"), &store::sqlite::Options::default()).unwrap();
        folders.push(folder);
        store
    })
    .unwrap();
    let orgs: Vec<&OrgId> = organisations.iter().map(|organisation| organisation.identity.org()).collect();
    if orgs.len() > 1 {
        federation.agree(&federation::agreement("ctg", &orgs, Onward::Never)).unwrap();
    }
    let parts = organisations.into_iter().zip(rest).zip(folders);
    parts
        .map(|((organisation, (certificate, road)), folder)| {
            let node = federation.nodes.remove(organisation.identity.org()).unwrap();
            (Party { organisation, certificate, road }, node, folder)
        })
        .collect()
}

/// Puts a node to work behind its road, which is open.
pub(crate) async fn run((party, node, folder): (Party, Node<Sqlite>, TempDir), limits: Limits) -> Running {
    let readers = (0..4).map(|_| Box::new(node.store().reader().unwrap()) as Box<dyn Reader>).collect();
    let time = Arc::new(AtomicI64::new(1));
    let passing = Arc::clone(&time);
    let clock = Arc::new(move || beginning().plus_ms(passing.fetch_add(1, SeqCst)));
    let certificate = Arc::new(party.certificate.read().unwrap());
    let (handle, writer) = handle::start(node, readers, clock, handle::Limits::default()).unwrap();
    let config = tls::peer_server(&certificate, handle.identity().org(), handle.published()).unwrap();
    let listener = TlsListener::bind("127.0.0.1:0".parse().unwrap(), config, limits).await.unwrap();
    let address = listener.address();
    party.road.open(address);
    let (close, closed) = oneshot::channel::<()>();
    let serving = tokio::spawn(peer::serve(listener, handle.clone(), async {
        let _closed = closed.await;
    }));
    Running {
        org: handle.identity().org().clone(),
        handle,
        certificate,
        organisation: party.organisation,
        road: party.road,
        address,
        couriers: None,
        close,
        serving,
        writer,
        time,
        _folder: folder,
    }
}

/// Two nodes at work, without couriers.
pub(crate) async fn pair() -> (Running, Running) {
    let peer_certificate = || tls::generate_peer_certificate().unwrap();
    let parties = vec![Party::new("se-sapo", "SAPO", peer_certificate()).await, Party::new("se-fra", "FRA", peer_certificate()).await];
    let mut nodes = found(parties).into_iter();
    (run(nodes.next().unwrap(), Limits::PEERS).await, run(nodes.next().unwrap(), Limits::PEERS).await)
}

impl Running {
    pub(crate) fn send_couriers(&mut self) {
        self.send_couriers_at(QUICK);
    }

    pub(crate) fn send_couriers_at(&mut self, pace: Pace) {
        self.couriers = Some(courier::start(self.handle.clone(), Arc::clone(&self.certificate), pace));
    }

    pub(crate) fn call_couriers_back(&mut self) {
        self.couriers = None;
    }

    pub(crate) async fn act(&self, member: &'static str, about: Option<RecordId>, command: Command) -> Result<Outcome, Refusal> {
        let permission: Permission = *command.permissions().first().unwrap();
        let now = self.handle.now();
        let pass = self.handle.read(move |reader| federation::pass(reader, member, permission, about.as_ref(), now)).await?;
        self.handle.execute(pass, command).await
    }

    /// Drafts, submits, approves and releases.
    pub(crate) async fn release(&self, input: DraftInput) -> RecordId {
        let Outcome::Drafted { number, version } = self.act("anna", None, Command::Draft(Box::new(input))).await.unwrap() else { panic!() };
        let wanted = number.clone();
        let draft = self.handle.read(move |reader| reader.record_by_number(&wanted, Some(version)).unwrap().unwrap().id).await;
        let Outcome::Record { record, .. } = self.act("anna", Some(draft), Command::Submit { number, version }).await.unwrap() else { panic!() };
        self.act("rolf", Some(record), Command::Approve { record }).await.unwrap();
        let released = self.act("rolf", Some(record), Command::Release { record }).await.unwrap();
        let Outcome::Released { recipients, refused, .. } = released else { panic!() };
        assert!(!recipients.is_empty(), "{refused:?}");
        record
    }

    /// A report to somebody, with so many bytes of text.
    pub(crate) async fn report(&self, to: &Self, title: &str, size: usize) -> RecordId {
        let mut input = federation::report("ctg", &[&to.org], title);
        if size > 0 {
            input.content.text = "x".repeat(size);
        }
        self.release(input).await
    }

    /// Stops the node, and waits until it has.
    pub(crate) async fn close(self) {
        drop(self.couriers);
        self.close.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        drop(self.handle);
        tokio::task::spawn_blocking(|| self.writer.join().unwrap().unwrap()).await.unwrap();
    }

    pub(crate) fn pass_days(&self, days: i64) {
        self.time.fetch_add(days * 86_400_000, SeqCst);
    }

    pub(crate) async fn has_content(&self, record: RecordId) -> bool {
        self.handle.read(move |reader| reader.content(&record).unwrap().is_some()).await
    }

    pub(crate) async fn holds(&self, record: RecordId) -> bool {
        self.handle.read(move |reader| reader.record(&record).unwrap().is_some()).await
    }

    /// How a copy stands, as far as this node knows.
    pub(crate) async fn copy_at(&self, record: RecordId, holder: &OrgId) -> Option<HoldingState> {
        let holder = holder.clone();
        self.handle.read(move |reader| reader.holdings(&record).unwrap().into_iter().find(|copy| copy.holder == holder).map(|copy| copy.state)).await
    }

    /// Waits until the holder's receipt for the record is here.
    pub(crate) async fn until_held(&self, record: RecordId, holder: &Self) {
        let arrived = async {
            while self.copy_at(record, &holder.org).await != Some(HoldingState::Held) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), arrived).await;
        assert!(waited.is_ok(), "no receipt: {:?}", self.health(&holder.org));
        assert!(holder.holds(record).await);
    }

    pub(crate) fn health(&self, peer: &OrgId) -> PeerHealth {
        self.handle.peer_health().remove(peer).unwrap_or_default()
    }

    /// Waits until the courier sees it so.
    pub(crate) async fn until_health(&self, peer: &OrgId, is: impl Fn(&PeerHealth) -> bool) {
        let seen = async {
            while !is(&self.health(peer)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), seen).await.is_ok(), "{:?}", self.health(peer));
    }

    /// A client with this node's certificate that calls `peer` and writes what it likes.
    pub(crate) fn client(&self, peer: &Self) -> reqwest::Client {
        let tls = tls::peer_client(&self.certificate, &self.org, &peer.org, self.handle.published()).unwrap();
        reqwest::Client::builder().tls_backend_preconfigured(tls).http2_prior_knowledge().no_proxy().build().unwrap()
    }

    /// The next parcel for a peer after `after`, sealed.
    pub(crate) async fn parcel(&self, peer: &Self, after: u64) -> Option<(u64, Vec<u8>)> {
        let dispatch = self.handle.dispatch(peer.org.clone(), after).await.unwrap()?;
        let sequence = dispatch.sequence();
        let sealed = self.handle.seal(dispatch).await.unwrap();
        Some((sequence, sealed.hand_to(&node::Recipient::Organisation(peer.org.clone())).unwrap()))
    }
}

/// What a peer answered: status, and the code of the problem if it is one.
pub(crate) async fn answer(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    let code = serde_json::from_slice::<serde_json::Value>(&bytes).ok().and_then(|body| Some(body.get("code")?.as_str()?.to_owned()));
    (status, code.unwrap_or_default())
}

/// Hands bytes over as a parcel.
pub(crate) async fn hand_over(client: &reqwest::Client, to: &Running, bytes: Vec<u8>) -> Result<reqwest::Response, reqwest::Error> {
    let url = format!("https://{}{}", to.address, peer::PARCELS);
    client.post(url).header("content-type", peer::MEDIA_TYPE).body(bytes).send().await
}

/// An organisation's name, for tests that need no node.
pub(crate) fn org(name: &str) -> OrgId {
    id(name)
}
