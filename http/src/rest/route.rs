//! Routes: how a line of the table becomes something that answers.
//!
//! There are two ways to register a handler. [`Routes::route`] asks for a permission and gives the handler the
//! [`Desk`] that the permission yields; [`Routes::open`] gives it a [`Lobby`], from which the node's records cannot be
//! reached. There is no third, so a route without a permission does not compile. The same lines make the table for
//! tests and documents, and the OpenAPI document.

use std::collections::BTreeMap;
use std::future::{Future, Ready, ready};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, any};
use axum::{RequestExt, Router};
use policy::access::Permission;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{RefOr, Schema};

use super::asked::{Asked, purpose, secret};
use super::input::{Input, Source, is_left};
use super::reply::Reply;
use super::sheet::Sheet;
use crate::access::{Desk, Gate, Names, Password, Session, Subject, Wish};
use crate::problem::Problem;

/// Where the routes of this version are.
pub const BASE: &str = "/api/v1";

/// The methods there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    const fn documented(self) -> HttpMethod {
        match self {
            Self::Get => HttpMethod::Get,
            Self::Post => HttpMethod::Post,
            Self::Put => HttpMethod::Put,
            Self::Patch => HttpMethod::Patch,
            Self::Delete => HttpMethod::Delete,
        }
    }
}

/// A line of the route table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The method.
    pub method: &'static str,
    /// The path, with names in braces.
    pub path: String,
    /// The permission it takes; none for those that anyone may ask.
    pub permission: Option<Permission>,
    /// What it does.
    pub summary: &'static str,
}

/// One operation as the document has it.
pub(super) struct Documented {
    pub(super) path: String,
    pub(super) method: HttpMethod,
    pub(super) operation: Operation,
    pub(super) schemas: BTreeMap<String, RefOr<Schema>>,
}

/// What an open route can reach: the door, and the document.
pub(crate) struct Lobby {
    gate: Arc<Gate>,
    document: Arc<OnceLock<String>>,
}

impl Lobby {
    /// Begins a session.
    pub(crate) async fn log_in(&self, name: &str, password: Password, source: Source) -> Result<Session, Problem> {
        self.gate.log_in(name, password, source.0).await
    }

    /// Whether the node can do its work.
    pub(crate) async fn well(&self) -> Result<(), Problem> {
        self.gate.well().await
    }

    /// The OpenAPI document.
    pub(crate) fn document(&self) -> String {
        self.document.get().cloned().unwrap_or_default()
    }
}

/// The routes so far.
pub(super) struct Routes {
    gate: Arc<Gate>,
    document: Arc<OnceLock<String>>,
    pub(super) table: Vec<Line>,
    pub(super) documented: Vec<Documented>,
    paths: BTreeMap<&'static str, (MethodRouter, Vec<&'static str>)>,
}

impl Routes {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, document: Arc::default(), table: Vec::new(), documented: Vec::new(), paths: BTreeMap::new() }
    }

    /// A route that takes a permission.
    pub(super) fn route<S, I, R, F, Fut>(self, verb: Verb, path: &'static str, permission: Permission, handler: F, summary: &'static str) -> Self
    where
        S: Subject,
        I: Input,
        R: Reply,
        F: Fn(Desk<S>, I) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Problem>> + Send + 'static,
    {
        let gate = Arc::clone(&self.gate);
        let act = move |request: Request| {
            let (gate, handler) = (Arc::clone(&gate), handler.clone());
            async move {
                let mut asked = Asked::begin(&gate, verb.as_str(), path, &request);
                let outcome = async {
                    let (parts, mut body, names) = take_apart(request).await?;
                    let asker = gate.authenticate(secret(&parts.headers)?).await?;
                    asked.by(&asker);
                    let wish = Wish { names, purpose: purpose(&parts.headers)?, language: asked.language() };
                    let desk = gate.authorise(asker, permission, wish).await?;
                    let input = read::<I>(&parts, &mut body).await?;
                    Ok(handler(desk, input).await?.reply())
                };
                let outcome = outcome.await;
                asked.answer(outcome)
            }
        };
        let mut sheet = sheet(verb, path, summary);
        sheet.permission(permission);
        sheet.fill::<I, R>();
        self.add(verb, path, Some(permission), sheet, act)
    }

    /// A route that anyone may ask.
    pub(super) fn open<I, R, F, Fut>(self, verb: Verb, path: &'static str, handler: F, summary: &'static str) -> Self
    where
        I: Input,
        R: Reply,
        F: Fn(Lobby, I) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Problem>> + Send + 'static,
    {
        let (gate, document) = (Arc::clone(&self.gate), Arc::clone(&self.document));
        let act = move |request: Request| {
            let (lobby, handler) = (Lobby { gate: Arc::clone(&gate), document: Arc::clone(&document) }, handler.clone());
            async move {
                let asked = Asked::begin(&lobby.gate, verb.as_str(), path, &request);
                let outcome = async {
                    let (parts, mut body, _) = take_apart(request).await?;
                    let input = read::<I>(&parts, &mut body).await?;
                    Ok(handler(lobby, input).await?.reply())
                };
                let outcome = outcome.await;
                asked.answer(outcome)
            }
        };
        let mut sheet = sheet(verb, path, summary);
        sheet.open();
        sheet.fill::<I, R>();
        self.add(verb, path, None, sheet, act)
    }

    fn add<H: Handler<T, ()>, T: 'static>(mut self, verb: Verb, path: &'static str, permission: Option<Permission>, sheet: Sheet, act: H) -> Self {
        let summary = sheet.summary();
        let (operation, schemas) = sheet.finish();
        let full = format!("{BASE}{path}");
        self.documented.push(Documented { path: full.clone(), method: verb.documented(), operation, schemas });
        self.table.push(Line { method: verb.as_str(), path: full, permission, summary });
        let (router, methods) = self.paths.remove(path).unwrap_or_default();
        let methods = methods.into_iter().chain([verb.as_str()]).collect();
        self.paths.insert(path, (router.on(verb.filter(), act), methods));
        self
    }

    /// The router, with the document that its open routes show.
    pub(super) fn finish(self, document: String) -> Router {
        // INVARIANT: the document is set here and nowhere else.
        let _ = self.document.set(document);
        let gate = self.gate;
        let mut router = Router::new();
        for (path, (methods, allow)) in self.paths {
            // WHY: without a handler of its own, HEAD would run the handler of GET, and reading leaves a trace.
            let allow = allow.join(", ");
            let methods = methods.on(MethodFilter::HEAD, refuse(&gate, path, allow.clone())).fallback(refuse(&gate, path, allow));
            router = router.route(&format!("{BASE}{path}"), methods);
        }
        // Other faces may stand beside this one: only what is under its own roof is answered here.
        let nothing = move |request: Request| ready(Asked::begin(&gate, "-", "-", &request).answer(Err(Problem::not_found())));
        router.route("/api", any(nothing.clone())).route("/api/", any(nothing.clone())).route("/api/{*rest}", any(nothing))
    }
}

fn refuse(gate: &Arc<Gate>, path: &'static str, allow: String) -> impl Fn(Request) -> Ready<Response> + Clone + Send + Sync + 'static {
    let gate = Arc::clone(gate);
    move |request| ready(Asked::begin(&gate, "-", path, &request).answer(Err(Problem::method_not_allowed(allow.clone()))))
}

async fn take_apart(mut request: Request) -> Result<(Parts, Body, Names), Problem> {
    let names = request.extract_parts::<RawPathParams>().await.map_err(|_| Problem::not_found())?;
    let names = Names::new(names.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    let (parts, body) = request.into_parts();
    Ok((parts, body, names))
}

async fn read<I: Input>(parts: &Parts, body: &mut Body) -> Result<I, Problem> {
    let input = I::read(parts, body).await?;
    if is_left(body) { Err(Problem::no_body()) } else { Ok(input) }
}

fn sheet(verb: Verb, path: &str, summary: &'static str) -> Sheet {
    let words = path.split('/').filter(|part| !part.is_empty() && !part.starts_with('{'));
    let id = [verb.as_str().to_ascii_lowercase()].into_iter().chain(words.clone().map(str::to_owned)).collect::<Vec<_>>().join("-");
    let named = if path.ends_with('}') { format!("{id}-one") } else { id };
    Sheet::new(named, words.clone().next().unwrap_or_default(), summary, path)
}
