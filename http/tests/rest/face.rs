//! The face under test: a router before a node of its own, and calls to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use node::Node;
use node::ports::Reader;
use node::vault::SeededEntropy;
use policy::house::NoHouseRules;
use samverkan_http::access::Gate;
use samverkan_http::handle::{self, Handle};
use samverkan_http::rest;
use serde_json::Value;
use store::sqlite::Sqlite;
use tempfile::TempDir;
use testkit::federation::beginning;
use tower::ServiceExt;

use crate::world::{World, secret, world};

/// A node that can be called.
pub(crate) struct Face {
    pub(crate) router: Router,
    pub(crate) gate: Arc<Gate>,
    pub(crate) handle: Handle,
    pub(crate) world: &'static World,
    time: Arc<AtomicI64>,
    _folder: TempDir,
}

/// What came back.
pub(crate) struct Came {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Came {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {:?}", self.status, self.body))
    }

    /// The problem's code.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }

    /// The codes of the problem's reasons.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.json()["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.body);
        self
    }
}

/// A call to be made.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) secret: Option<String>,
    pub(crate) purpose: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
}

/// The secret as it is sent.
pub(crate) fn bearer(secret: [u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(secret)
}

impl Call {
    pub(crate) fn new(method: &str, path: impl Into<String>) -> Self {
        let method = method.parse().unwrap();
        Self { method, path: path.into(), secret: None, purpose: Some("counter-terrorism"), headers: Vec::new(), body: Body::empty() }
    }

    pub(crate) fn by(mut self, member: &str) -> Self {
        self.secret = Some(bearer(secret(member)));
        self
    }

    pub(crate) fn with_secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.of_type("application/json", value.to_string())
    }

    pub(crate) fn of_type(mut self, media_type: &str, body: impl Into<Body>) -> Self {
        self.headers.push(("content-type", media_type.to_owned()));
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn without_purpose(mut self) -> Self {
        self.purpose = None;
        self
    }
}

impl Face {
    /// A face on a node of its own, a copy of the one that was made.
    pub(crate) fn new() -> Self {
        let (world, folder) = (world(), TempDir::new().unwrap());
        world.copy_to(folder.path());
        let store = Sqlite::open(&folder.path().join("store.db"), &store::sqlite::Options::default()).unwrap();
        let readers = (0..2).map(|_| Box::new(store.reader().unwrap()) as Box<dyn Reader>).collect();
        let entropy = || Box::new(SeededEntropy::new(9, beginning().plus_days(1)));
        let node = Node::open(store, Arc::clone(&world.home.identity), entropy(), Arc::new(NoHouseRules)).unwrap();
        let time = Arc::new(AtomicI64::new(3_600_000));
        let clock = Arc::clone(&time);
        let clock = Arc::new(move || beginning().plus_ms(clock.fetch_add(1, Ordering::SeqCst)));
        let (handle, _writer) = handle::start(node, readers, clock, handle::Limits::default()).unwrap();
        let check = |text: &str| {
            if text.contains("permit") { Err("house rules only forbid".to_owned()) } else { Ok(Arc::new(NoHouseRules) as samverkan_http::access::House) }
        };
        let gate = Arc::new(Gate::new(handle.clone(), entropy(), Box::new(check)));
        Self { router: rest::router(Arc::clone(&gate)), gate, handle, world, time, _folder: folder }
    }

    /// Lets time pass.
    pub(crate) fn pass_ms(&self, ms: i64) {
        self.time.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) async fn call(&self, call: Call) -> Came {
        let mut request = Request::builder().method(call.method).uri(format!("{}{}", rest::BASE, call.path));
        if let Some(secret) = call.secret {
            request = request.header("authorization", format!("Bearer {secret}"));
        }
        if let Some(purpose) = call.purpose {
            request = request.header("samverkan-purpose", purpose);
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        self.send(request.body(call.body).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Came {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Came { status: parts.status, headers: parts.headers, body: to_bytes(body, usize::MAX).await.unwrap() }
    }

    pub(crate) async fn get(&self, member: &str, path: impl Into<String>) -> Came {
        self.call(Call::new("GET", path).by(member)).await
    }

    pub(crate) async fn post(&self, member: &str, path: impl Into<String>, body: Value) -> Came {
        let call = Call::new("POST", path).by(member);
        self.call(if body.is_null() { call } else { call.json(&body) }).await
    }
}

/// Compares with a reviewed file; `cargo xtask bless` writes it anew.
#[track_caller]
pub(crate) fn reviewed(name: &str, text: &str) {
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    if std::env::var_os("INSTA_UPDATE").is_some_and(|mode| mode == "always") {
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = known.lines().zip(text.lines()).find(|(known, now)| known != now);
    assert!(known == text, "{} differs, first in {differs:?}: look at it, then `cargo xtask bless`", path.display());
}
