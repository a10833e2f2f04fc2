//! The peer listener: what other organisations' nodes can ask of this one over HTTPS.
//!
//! Two routes: a parcel is taken in and answered, and a heartbeat says that there is somebody. Who calls is who holds
//! the key of a card in the directory as it is at that moment, on each request anew. Opening and verifying is done
//! here, beside the writer and within limits, so bad bytes never reach it; what becomes of a parcel is the node's
//! answer. There is no code path from here to what members can do.

mod faults;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use format::OrgId;
use format::recovery::Ask;
use format::seal::MAX_ENVELOPE;
use node::Refusal;
use node::exchange::{self, Answer, Inbound, InboundFault};
use node::recovery::Asked;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::handle::Handle;
use crate::listener::{Caller, TlsListener};
use crate::quota::{Quota, Seat};
use faults::Faults;

/// The media type of parcels and their answers.
pub const MEDIA_TYPE: &str = "application/cbor";
/// Where parcels are handed over.
pub const PARCELS: &str = "/parcels";
/// Where a peer that was restored from a backup asks what was last seen of it.
pub const RECOVERY: &str = "/recovery";
/// Where a peer says that it is there.
pub const HEARTBEAT: &str = "/heartbeat";

/// Parcels of one peer that are taken in at a time: a window of them on each of two tries that overlap, and then some.
const PARCELS_EACH: usize = 12;
/// Parcels that are taken in at a time, in all: what they may take in memory is this many envelopes.
const PARCELS_ALL: usize = 128;
/// Parcels that are opened and verified at a time: twice the processors that a node is sized for.
const OPENING: usize = 4;
/// How long a parcel's bytes may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(300);
/// How long a parcel waits for those before it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the answer to a parcel that came before is kept back.
const REPEATED: Duration = Duration::from_millis(200);
/// How long a hung up caller has to read the last answer.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Serves peers until `shutdown` is over; connections then end in good order.
///
/// # Errors
/// None in practice: a failing listener rests and goes on.
pub async fn serve(listener: TlsListener, handle: Handle, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let service = router(handle).into_make_service_with_connect_info::<Caller>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await
}

fn router(handle: Handle) -> Router {
    let desk = Arc::new(Desk { handle, opening: Arc::new(Semaphore::new(OPENING)), parcels: Quota::new(PARCELS_EACH, PARCELS_ALL), faults: Faults::default() });
    Router::new()
        .route(PARCELS, post(parcels).layer(DefaultBodyLimit::max(MAX_ENVELOPE)))
        .route(RECOVERY, post(recovery).layer(DefaultBodyLimit::max(Ask::MAX)))
        .route(HEARTBEAT, post(heartbeat))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "not-found", "peers are served `/parcels`, `/recovery` and `/heartbeat`") })
        .method_not_allowed_fallback(|| async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "peers ask with `POST`") })
        .with_state(desk)
}

/// What requests of peers have in common.
struct Desk {
    handle: Handle,
    opening: Arc<Semaphore>,
    parcels: Arc<Quota<OrgId>>,
    faults: Faults,
}

/// What is known of a parcel once it is done with, for its log line.
#[derive(Default)]
struct Told {
    bytes: usize,
    sequence: Option<u64>,
    items: Option<usize>,
}

async fn parcels(State(desk): State<Arc<Desk>>, ConnectInfo(caller): ConnectInfo<Caller>, request: Request) -> Response {
    let begun = Instant::now();
    let peer = match desk.recognise(&caller) {
        Ok(peer) => peer,
        Err(problem) => return problem.into_response(),
    };
    let mut told = Told::default();
    let outcome = desk.take_in(&peer, request, &mut told).await;
    let (word, error) = match &outcome {
        Ok(Answer::Receipt(_)) => ("receipt", None),
        Ok(Answer::Expected(_)) => ("expected", None),
        Ok(Answer::Stopped(_)) => ("stopped", None),
        Err(problem) => (problem.code, Some(problem.cause.as_deref().unwrap_or(&problem.detail))),
    };
    tracing::info!(
        peer.id = %peer,
        parcel.sequence = told.sequence,
        items = told.items,
        bytes = told.bytes,
        outcome = word,
        error,
        duration_ms = crate::elapsed_ms(begun),
        "parcel in"
    );
    match outcome {
        Ok(answer) => ([(CONTENT_TYPE, MEDIA_TYPE)], answer.to_bytes()).into_response(),
        Err(problem) => {
            if problem.fault && desk.faults.note(&peer) {
                hang_up(caller);
            }
            problem.into_response()
        }
    }
}

/// A restored peer asks. It gets numbers, and exchange with it stops until a person has looked.
async fn recovery(State(desk): State<Arc<Desk>>, ConnectInfo(caller): ConnectInfo<Caller>, request: Request) -> Response {
    let peer = match desk.recognise(&caller) {
        Ok(peer) => peer,
        Err(problem) => return problem.into_response(),
    };
    let outcome = desk.answer_restored(&peer, request).await;
    let error = outcome.as_ref().err().map(|problem| problem.cause.clone().unwrap_or_else(|| problem.detail.clone()));
    tracing::warn!(peer.id = %peer, error, "the peer asks what was last seen of it: it was restored from a backup");
    match outcome {
        Ok(account) => ([(CONTENT_TYPE, MEDIA_TYPE)], account).into_response(),
        Err(problem) => {
            if problem.fault && desk.faults.note(&peer) {
                hang_up(caller);
            }
            problem.into_response()
        }
    }
}

/// A heartbeat has nothing to say: a body is not read.
async fn heartbeat(State(desk): State<Arc<Desk>>, ConnectInfo(caller): ConnectInfo<Caller>) -> Response {
    match desk.recognise(&caller) {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => problem.into_response(),
    }
}

impl Desk {
    /// Whose key it is that calls, by the directory as it is now.
    fn recognise(&self, caller: &Caller) -> Result<OrgId, Problem> {
        let directory = self.handle.directory();
        let pinned = caller.key.and_then(|key| directory.caller(&key));
        let Some(peer) = pinned.map(|pinned| pinned.card.org.clone()).filter(|org| org != self.handle.identity().org()) else {
            // The card was replaced or revoked while the connection stood: the old key is nobody's.
            caller.hang_up();
            return Err(Problem::new(StatusCode::FORBIDDEN, "unknown-organisation", "no card that is believed here has this key"));
        };
        if self.faults.exhausted(&peer) {
            hang_up(caller.clone());
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-faults", "too much could not be read; try again in a minute"));
        }
        self.handle.bell(&peer).heard.notify_one();
        Ok(peer)
    }

    async fn take_in(&self, peer: &OrgId, request: Request, told: &mut Told) -> Result<Answer, Problem> {
        let Some(seat) = self.parcels.take(peer.clone()) else {
            return Err(Problem::busy("too many parcels are on their way to this node"));
        };
        let envelope = read_body(request).await?;
        told.bytes = envelope.len();
        let inbound = self.open(peer, envelope, seat).await?;
        told.sequence = Some(inbound.0.sequence());
        told.items = Some(inbound.0.items());
        self.handle.turn(peer, inbound.0.sequence(), PATIENCE).await;
        let (inbound, _seat) = inbound;
        let came_before = inbound.came_before();
        let answer = self.handle.receive(inbound).await.map_err(Problem::from);
        if came_before {
            // WHY: an honest peer repeats itself seldom and can wait; whoever does nothing else keeps its seats meanwhile.
            tokio::time::sleep(REPEATED).await;
        }
        answer
    }

    async fn answer_restored(&self, peer: &OrgId, request: Request) -> Result<Vec<u8>, Problem> {
        let Some(_seat) = self.parcels.take(peer.clone()) else {
            return Err(Problem::busy("too much is on its way to this node"));
        };
        let bytes = read_body(request).await?;
        let (me, directory, from) = (Arc::clone(self.handle.identity()), self.handle.directory(), peer.clone());
        let read = tokio::task::spawn_blocking(move || Asked::read(me.org(), &from, &bytes, &directory));
        let asked = read.await.map_err(|_| Problem::busy("the node is closing"))?;
        let asked = asked.map_err(|reject| Problem::fault(StatusCode::BAD_REQUEST, reject.code(), reject.to_string()))?;
        self.handle.account(asked).await.map_err(Problem::from)
    }

    /// Opens and verifies an envelope on a thread of its own. The seat goes with the bytes: if the caller goes away, what
    /// is being opened still counts.
    async fn open(&self, peer: &OrgId, envelope: Bytes, seat: Seat<OrgId>) -> Result<(Inbound, Seat<OrgId>), Problem> {
        let closing = || Problem::busy("the node is closing");
        let turn = Arc::clone(&self.opening).acquire_owned().await.map_err(|_| closing())?;
        let (me, directory, from, handle) = (Arc::clone(self.handle.identity()), self.handle.directory(), peer.clone(), self.handle.clone());
        let opened = tokio::task::spawn_blocking(move || {
            // WHY: a parcel that came before is answered without what is in it, and verifying that is most of the work. Who
            // sent one again and again would have the node do little else.
            let opened = exchange::open_unless(&me, &directory, &from, &envelope, |sequence| handle.has(&from, sequence));
            drop(turn);
            opened.map(|inbound| (inbound, seat))
        });
        opened.await.map_err(|_| closing())?.map_err(Problem::from)
    }
}

async fn read_body(request: Request) -> Result<Bytes, Problem> {
    check_headers(request.headers())?;
    match tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "incomplete", "the parcel broke off")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "the parcel did not arrive in time")),
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(CONTENT_TYPE).is_none_or(|given| given.as_bytes() != MEDIA_TYPE.as_bytes()) {
        return Err(Problem::fault(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "a parcel is `application/cbor`".to_owned()));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_ENVELOPE) { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> Problem {
    Problem::fault(StatusCode::PAYLOAD_TOO_LARGE, "too-large", format!("an envelope is at most {MAX_ENVELOPE} bytes"))
}

/// Ends a caller's connection, once it has had time to read the answer.
fn hang_up(caller: Caller) {
    tokio::spawn(async move {
        tokio::time::sleep(LAST_WORD).await;
        caller.hang_up();
    });
}

/// What a peer is told instead of an answer (RFC 9457). Its words are for the operator there; the code is stable.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// Whether the peer is to blame, and it counts.
    fault: bool,
    /// What the log line says instead, where the blame is this node's.
    cause: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: &str) -> Self {
        Self { status, code, detail: detail.to_owned(), fault: false, cause: None }
    }

    fn fault(status: StatusCode, code: &'static str, detail: String) -> Self {
        Self { status, code, detail, fault: true, cause: None }
    }

    fn busy(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }
}

impl From<InboundFault> for Problem {
    fn from(fault: InboundFault) -> Self {
        let status = match fault {
            InboundFault::Seal(_) | InboundFault::Reject(_) => StatusCode::BAD_REQUEST,
            InboundFault::Carrier { .. } | InboundFault::Addressee(_) => StatusCode::FORBIDDEN,
        };
        Self::fault(status, fault.code(), fault.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy(_) => Self::busy("this node has too much to do"),
            Refusal::Object(fault) => Self {
                cause: Some(fault.to_string()),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the place for this node's attachments is not available, and nothing was taken in")
            },
            Refusal::Store(fault) => Self {
                cause: Some(fault.to_string()),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the store of this node is not available, and nothing was taken in")
            },
            other => Self { cause: Some(other.to_string()), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a fault in this node") },
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "type": format!("urn:samverkan:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = (self.status, [(CONTENT_TYPE, "application/problem+json")], Body::from(body.to_string())).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
