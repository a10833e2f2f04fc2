//! A TLS listener for axum: accepts, shakes hands and hands over connections, without waiting for the slow.
//!
//! Each handshake is a task of its own with a time limit, so whoever is slow delays nobody else; how many there are at
//! a time is limited, in all and for one address. A caller is its certificate's key, or without one its address, and
//! has a limited number of connections, which end when nothing passes over them. Who may call is decided by the TLS
//! configuration, what a caller may do by the routes behind: here nobody is authorised.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use format::Digest;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::quota::{Quota, Seat};
use crate::tls::spki_sha256;

/// How long accepting rests after the operating system refused a connection, for want of descriptors for example.
const REST: Duration = Duration::from_secs(1);
/// Refused handshakes are told at most this often; the line says how many there were.
const TELL_REFUSED: Duration = Duration::from_secs(60);

/// What a listener grants those who call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Handshakes at a time.
    pub handshakes: usize,
    /// Handshakes at a time from one address.
    pub handshakes_each: usize,
    /// How long a handshake may take.
    pub handshake_time: Duration,
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one caller.
    pub connections_each: usize,
    /// How long a connection may be silent.
    pub idle_time: Duration,
}

impl Limits {
    /// For the peer listener. A peer that has nothing to say sends a heartbeat each minute.
    pub const PEERS: Self = Self {
        handshakes: 64,
        handshakes_each: 16,
        handshake_time: Duration::from_secs(10),
        connections: 4096,
        connections_each: 16,
        idle_time: Duration::from_secs(150),
    };
    /// For the listener that members' clients reach.
    pub const MEMBERS: Self = Self {
        handshakes: 128,
        handshakes_each: 64,
        handshake_time: Duration::from_secs(10),
        connections: 4096,
        connections_each: 512,
        idle_time: Duration::from_secs(120),
    };
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its address.
    pub address: SocketAddr,
    /// SHA-256 of its certificate's public key, where it showed one.
    pub key: Option<Digest>,
    line: Arc<Line>,
}

impl Caller {
    /// Ends the connection, whatever is still on it.
    pub fn hang_up(&self) {
        self.line.hang_up();
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Accepts TLS connections for [`axum::serve()`].
pub struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(Connection, Caller)>,
    accepting: JoinHandle<()>,
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsListener({})", self.address)
    }
}

impl TlsListener {
    /// Listens on `address`, with an application protocol agreed on in the handshake.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr, config: ServerConfig, limits: Limits) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (ready_sender, ready) = mpsc::channel(64);
        let porch = Arc::new(Porch {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            limits,
            handshakes: Quota::new(limits.handshakes_each, limits.handshakes),
            connections: Quota::new(limits.connections_each, limits.connections),
            ready: ready_sender,
            refused: Mutex::default(),
        });
        Ok(Self { address, ready, accepting: tokio::spawn(accept(listener, porch)) })
    }

    /// The address that it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = Connection;
    type Addr = Caller;

    async fn accept(&mut self) -> (Connection, Caller) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // INVARIANT: the task that accepts ends only when this listener is dropped.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Caller> {
        let (line, _) = Line::new();
        Ok(Caller { address: self.address, key: None, line })
    }
}

/// A caller, for counting its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum CallerId {
    Key(Digest),
    Address(IpAddr),
}

/// Where connections wait until the handshake is over.
struct Porch {
    acceptor: TlsAcceptor,
    limits: Limits,
    handshakes: Arc<Quota<IpAddr>>,
    connections: Arc<Quota<CallerId>>,
    ready: mpsc::Sender<(Connection, Caller)>,
    refused: Mutex<Refused>,
}

/// Refused handshakes since they were last told.
#[derive(Debug, Default)]
struct Refused {
    told: Option<Instant>,
    since: u64,
}

async fn accept(listener: TcpListener, porch: Arc<Porch>) {
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((tcp, address)) => match porch.handshakes.take(address.ip().to_canonical()) {
                Some(seat) => {
                    handshakes.spawn(Arc::clone(&porch).welcome(tcp, address, seat));
                }
                None => porch.refuse(address, "too many handshakes at a time"),
            },
            Err(fault) => {
                tracing::warn!(error = %fault, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

impl Porch {
    async fn welcome(self: Arc<Self>, tcp: TcpStream, address: SocketAddr, seat: Seat<IpAddr>) {
        // A peer's parcel is a few large writes: nothing is gained by holding small ones back.
        let _best_effort = tcp.set_nodelay(true);
        match tokio::time::timeout(self.limits.handshake_time, self.acceptor.accept(tcp)).await {
            Ok(Ok(stream)) => {
                if let Err(why) = self.admit(stream, address).await {
                    self.refuse(address, why);
                }
            }
            Ok(Err(fault)) => self.refuse(address, &fault.to_string()),
            Err(_) => self.refuse(address, "the handshake took too long"),
        }
        drop(seat);
    }

    async fn admit(&self, stream: TlsStream<TcpStream>, address: SocketAddr) -> Result<(), &'static str> {
        let session = stream.get_ref().1;
        if session.alpn_protocol().is_none() {
            return Err("no application protocol was agreed on");
        }
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        let key = certificate.map(|der| spki_sha256(der)).transpose().map_err(|_| "the certificate cannot be read")?;
        let id = key.map_or(CallerId::Address(address.ip().to_canonical()), CallerId::Key);
        let seat = self.connections.take(id).ok_or("too many connections at a time")?;
        let (line, ended) = Line::new();
        let caller = Caller { address, key, line: Arc::clone(&line) };
        let connection = Connection {
            stream,
            idle: Box::pin(tokio::time::sleep(self.limits.idle_time)),
            idle_time: self.limits.idle_time,
            ended: Some(ended),
            _line: line,
            _seat: seat,
        };
        self.ready.send((connection, caller)).await.map_err(|_| "the listener is closing")
    }

    /// Strangers must not fill the log: refusals are counted, and told now and then.
    fn refuse(&self, address: SocketAddr, why: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.since += 1;
        if refused.told.is_none_or(|told| told.elapsed() >= TELL_REFUSED) {
            tracing::warn!(client.address = %address, outcome = "refused", error = why, count = refused.since, "connection refused");
            *refused = Refused { told: Some(Instant::now()), since: 0 };
        }
    }
}

/// Lets a handler end the connection it is served on.
struct Line(Mutex<Option<oneshot::Sender<()>>>);

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl Line {
    fn new() -> (Arc<Self>, oneshot::Receiver<()>) {
        let (end, ended) = oneshot::channel();
        (Arc::new(Self(Mutex::new(Some(end)))), ended)
    }

    fn hang_up(&self) {
        if let Some(end) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The connection may be gone already.
            let _gone = end.send(());
        }
    }
}

/// A connection that ends when it is silent for too long, or hung up.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    idle: Pin<Box<Sleep>>,
    idle_time: Duration,
    ended: Option<oneshot::Receiver<()>>,
    _line: Arc<Line>,
    _seat: Seat<CallerId>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    /// Whether the connection has to end, though the stream itself has not.
    fn over(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        if self.ended.as_mut().is_some_and(|ended| Pin::new(ended).poll(cx).is_ready()) {
            self.ended = None;
        }
        if self.ended.is_none() {
            return Some(io::Error::new(io::ErrorKind::ConnectionAborted, "hung up"));
        }
        self.idle.as_mut().poll(cx).is_ready().then(|| io::Error::new(io::ErrorKind::TimedOut, "silent for too long"))
    }

    fn moved<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            let until = Instant::now() + self.idle_time;
            self.idle.as_mut().reset(until);
        }
        polled
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(fault) = self.over(cx) {
            return Poll::Ready(Err(fault));
        }
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.moved(polled)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(fault) = self.over(cx) {
            return Poll::Ready(Err(fault));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.moved(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(fault) = self.over(cx) {
            return Poll::Ready(Err(fault));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(fault) = self.over(cx) {
            return Poll::Ready(Err(fault));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
