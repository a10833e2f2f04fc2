//! Putting a node together and running it: the one place that reads the clock and knows every part.
//!
//! The node, its store, its rules and its listeners are given to each other here and nowhere else, together with what
//! they may not have by themselves: time and randomness. Whatever is wrong is told before the first listener opens.

use std::future::Future;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use format::{OrgId, Timestamp};
use http::access::Gate;
use http::handle::{Halt, Handle};
use http::listener::{self, TlsListener};
use http::tls::{self, KeyedCertificate};
use http::{courier, peer, rest, retention};
use mailbox::{Pace, Post};
use node::node::Identity;
use node::ports::{Entropy, Objects};
use place::{Attachments, Bucket, Place, PlaceError};
use rustls::ServerConfig;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::client::ADDRESS_FILE;
use crate::config::{Config, Form, PlaceAt};
use crate::door::NodeDoor;
use crate::failure::{Failure, Outcome};
use crate::keys::KeyFile;
use crate::opening::{self, Running};
use crate::print::line;

/// How long what is under way may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// What tells glibc from which size on memory goes back to the system as soon as it is free.
pub(crate) const LARGE_BLOCKS: &str = "MALLOC_MMAP_THRESHOLD_";
const LARGE_BLOCK_BYTES: &str = "4194304";

/// Starts the program again in its place, with large blocks of memory going back to the system once they are free.
///
/// WHY: each password is hashed in 19 MiB. After the first, glibc takes such blocks for usual and keeps one for each
/// thread that has hashed: measured, a node idle after eight log-ins held 84 MiB, and with this 26. It is asked at
/// start-up or never, and by other ways only in unsafe code.
pub(crate) fn give_back_large_blocks() {
    #[cfg(all(unix, target_env = "gnu"))]
    if let Ok(program) = std::env::current_exe() {
        use std::os::unix::process::CommandExt as _;
        // It comes back only if that failed: then the node runs all the same, with more memory.
        _ = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(LARGE_BLOCKS, LARGE_BLOCK_BYTES).exec();
    }
}

/// The time.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read, for everything else to be given the time")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Time since the machine started, with what it slept: nobody can set it.
pub(crate) fn steady() -> Duration {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(since.tv_sec).unwrap_or_default(), u32::try_from(since.tv_nsec).unwrap_or_default())
}

/// 32 bytes from the operating system's source of randomness.
pub(crate) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    OsEntropy.fill(&mut bytes);
    bytes
}

/// The operating system's source of randomness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8; 32]) {
        if aws_lc_rs::rand::fill(bytes).is_err() {
            // WHY: without randomness no key, salt or nonce is safe, and there is nothing to go on with.
            tracing::error!("the operating system gives no randomness");
            std::process::abort();
        }
    }
}

/// Runs a verb of the command line, on this thread.
pub(crate) fn block_on(verb: impl Future<Output = Outcome>) -> Outcome {
    runtime(&mut Builder::new_current_thread())?.block_on(verb)
}

fn runtime(builder: &mut Builder) -> Outcome<Runtime> {
    builder.enable_all().build().map_err(|error| Failure::unreachable(format!("the operating system gives no thread or socket: {error}")))
}

/// The organisation with the keys in its file.
pub(crate) fn read_identity(config: &Config) -> Outcome<Identity> {
    let (Some(org), Some(short)) = (&config.node.organisation, &config.node.short) else {
        return Err(Failure::usage("the configuration does not say whose node it is"));
    };
    KeyFile::read(&config.node.keys_file)?.identity(org, short)
}

/// Reads a file of secrets, if nobody else can.
pub(crate) fn read_secret(path: &Path) -> Outcome<Vec<u8>> {
    let unreadable = |why: &dyn std::fmt::Display| Failure::usage(format!("`{}` cannot be used: {why}", path.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let mode = std::fs::metadata(path).map_err(|error| unreadable(&error))?.mode();
        if mode & 0o077 != 0 {
            return Err(
                unreadable(&format!("its rights are {:o}, and it holds a secret key", mode & 0o777)).remedy("Let only the node's user read it: chmod 600.")
            );
        }
    }
    std::fs::read(path).map_err(|error| unreadable(&error))
}

/// Runs the node of the folder `data` until it is told to stop, or cannot go on.
pub(crate) fn serve(data: &Path, config: &Config) -> Outcome {
    log_to_standard_error(config);
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(size(config.limits.worker_threads)).max_blocking_threads(size(config.limits.blocking_threads));
    let runtime = runtime(builder)?;
    let served = runtime.block_on(run(data, config));
    // What still waits on a thread of its own, such as a password being hashed, is nothing to wait for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn run(data: &Path, config: &Config) -> Outcome {
    let me = Arc::new(read_identity(config)?);
    let org = me.org().clone();
    let peer_certificate = Arc::new(read_certificate(&config.peer.certificate_file, &config.peer.key_file)?);
    let web_certificate = read_certificate(&config.web.certificate_file, &config.web.key_file)?;
    // WHY: a store waits for its disk or its server on the thread that asks.
    let Running { handle, writer, company } = tokio::task::block_in_place(|| opening::start(config, me))?;

    handle.watch_certificate(web_certificate.not_after().map_err(|error| unstartable(&error))?);
    let peer_tls = tls::peer_server(&peer_certificate, &org, handle.published()).map_err(|error| unstartable(&error))?;
    let web_tls = tls::web_server(&web_certificate).map_err(|error| unstartable(&error))?;
    let peers = bind("peer.listen", config.peer.listen, peer_tls, listener::Limits::PEERS).await?;
    let web = bind("web.listen", config.web.listen, web_tls, listener::Limits::MEMBERS).await?;
    let address = Address::tell(data, web.address())?;
    line(&format!("Node of {org}: members at https://{}, other nodes at {}.", web.address(), peers.address()));

    let gate = Arc::new(Gate::new(handle.clone(), Box::new(OsEntropy), Box::new(opening::house_rules)));
    let (stop, stopping) = watch::channel(false);
    let web = tokio::spawn(rest::serve(web, gate, told(stopping.clone())));
    let peers = tokio::spawn(peer::serve(peers, handle.clone(), told(stopping)));
    let couriers = courier::start(handle.clone(), peer_certificate, courier::Pace::default());
    let post = start_post(config, &handle)?;
    let retention = retention::start(handle.clone(), Duration::from_secs(config.limits.retention_seconds.into()));

    let asked = tokio::select! {
        () = asked_to_stop() => true,
        () = handle.stopped() => false,
    };
    tracing::info!(asked, "stopping");
    drop(address);
    // Nobody is listening any more if they have all ended by themselves.
    _ = stop.send(true);
    drop((couriers, company, post));
    retention.abort();
    _ = tokio::time::timeout(GRACE, async { (web.await, peers.await) }).await;
    drop(handle);
    end(writer).await
}

/// Starts to visit the mailbox, where there is one.
fn start_post(config: &Config, handle: &Handle) -> Outcome<Option<Post>> {
    let settings = &config.mailbox;
    if settings.peers.is_empty() {
        return Ok(None);
    }
    let at = settings.at();
    let first = Duration::from_secs(settings.visit_seconds.into());
    let pace = Pace { first, last: first.max(Pace::default().last) };
    let post = mailbox::start(NodeDoor(handle.clone()), &place(&at)?, settings.peers.clone(), settings.padding, pace);
    post.map(Some).map_err(|error| unopened_place(&at, &error))
}

/// Where attachments are kept outside the store, if they are; `begun` when some already are.
pub(crate) fn attachments(config: &Config, org: &OrgId, begun: bool) -> Outcome<Option<Arc<dyn Objects>>> {
    let at = config.attachments.at();
    if at.place.is_empty() {
        return Ok(None);
    }
    let opened = Attachments::open(&place(&at)?, org).map_err(|error| unopened_place(&at, &error))?;
    if !begun {
        let away = |error| Failure::unreachable(format!("`attachments.place` cannot be begun: {error}")).remedy("Check [attachments] in the configuration.");
        opened.begin().map_err(away)?;
    }
    Ok(Some(Arc::new(opened)))
}

/// A place in the configuration, with what its files say.
fn place(at: &PlaceAt<'_>) -> Outcome<Place> {
    let Some((bucket, prefix)) = at.bucket() else { return Ok(Place::Folder(PathBuf::from(at.place))) };
    let secret = read_secret(at.credentials_file)?;
    let text = String::from_utf8_lossy(&secret);
    let (key_id, secret) = text
        .trim()
        .split_once('\n')
        .ok_or_else(|| Failure::usage(format!("`{}` does not hold a key id and a secret, a line each", at.credentials_file.display())))?;
    Ok(Place::Bucket(Bucket {
        endpoint: at.endpoint.to_owned(),
        region: at.region.to_owned(),
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        key_id: key_id.trim().to_owned(),
        secret: secret.trim().to_owned(),
        // Without TLS, as on this machine alone, there is no certificate.
        certificate: std::fs::read(at.certificate_file).unwrap_or_default(),
    }))
}

fn unopened_place(at: &PlaceAt<'_>, error: &PlaceError) -> Failure {
    let why = std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    Failure::usage(format!("`{}.place` cannot be used: {why}", at.section))
        .remedy(format!("Check [{}] in the configuration, and whether the folder exists.", at.section))
}

/// Waits for the writer, which ends when nobody can give it work any more.
async fn end(writer: JoinHandle<Result<(), Halt>>) -> Outcome {
    let ended = tokio::time::timeout(GRACE, tokio::task::spawn_blocking(move || writer.join())).await;
    match ended {
        Ok(Ok(Ok(Ok(())))) => Ok(()),
        Ok(Ok(Ok(Err(halt)))) => Err(Failure::unreachable(format!("the node stopped, for its store can no longer be relied on: {halt}"))
            .remedy("Look at the disk; start it again when that is in order. What was confirmed to anyone is kept.")),
        _ => Err(Failure::unreachable("the node did not end in time; what was confirmed to anyone is kept")),
    }
}

fn read_certificate(certificate: &Path, key: &Path) -> Outcome<KeyedCertificate> {
    let text = std::fs::read(certificate).map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", certificate.display())))?;
    KeyedCertificate::from_pem(&text, &read_secret(key)?)
        .map_err(|error| Failure::usage(format!("`{}` and `{}` are not a certificate and its key: {error}", certificate.display(), key.display())))
}

async fn bind(key: &str, address: SocketAddr, tls: ServerConfig, limits: listener::Limits) -> Outcome<TlsListener> {
    let taken = |error| {
        Failure::usage(format!("`{key}` cannot be listened on: {address}: {error}"))
            .remedy("Stop what listens there, or choose another port in the configuration.")
    };
    TlsListener::bind(address, tls, limits).await.map_err(taken)
}

/// Where members reach the node, told in its folder for as long as it runs.
struct Address(PathBuf);

impl Address {
    fn tell(data: &Path, address: SocketAddr) -> Outcome<Self> {
        let path = data.join(ADDRESS_FILE);
        std::fs::write(&path, format!("{address}\n")).map_err(|error| Failure::usage(format!("`{}` cannot be written: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        // Whoever finds it while nothing listens is told that nothing does.
        _ = std::fs::remove_file(&self.0);
    }
}

async fn asked_to_stop() {
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    // Without a way to be told, the node runs until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn told(mut stopping: watch::Receiver<bool>) {
    // Both mean to stop: being told, and that nobody is left to tell.
    _ = stopping.wait_for(|stop| *stop).await;
}

fn log_to_standard_error(config: &Config) {
    let filter = EnvFilter::try_new(&config.log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber, as in a process that runs several nodes, changes nothing.
    _ = match config.log.form {
        Form::Json => log.json().flatten_event(true).try_init(),
        Form::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}

pub(crate) fn unstartable(error: &dyn std::error::Error) -> Failure {
    Failure::usage(format!("the node cannot be started: {error}"))
}

pub(crate) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
