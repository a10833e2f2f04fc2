//! One request from its arrival to its answer: its id, its language, its line in the log.
//!
//! Every request ends in exactly one wide line, whatever became of it, written where the outcome is handled. The line
//! holds names, codes and times; it never holds a secret, a title, a text or a search. What a problem conceals from
//! the body, its cause, is there.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use format::Digest;
use format::id::Purpose;
use policy::Language;
use tokio::time::Instant;

use crate::access::{Asker, Gate};
use crate::problem::{PURPOSE, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const BEARER: &str = "Bearer ";

/// What every answer says, unless the reply says it more strictly.
const SAID_ALWAYS: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (REFERRER_POLICY, "no-referrer"),
];

/// A request on its way to an answer.
pub(super) struct Asked {
    id: String,
    method: &'static str,
    route: &'static str,
    language: Language,
    member: Option<String>,
    begun: Instant,
    answered: bool,
}

impl Asked {
    pub(super) fn begin(gate: &Arc<Gate>, method: &'static str, route: &'static str, request: &Request) -> Self {
        let id = Digest::from(gate.random()).to_string().chars().take(32).collect();
        Self { id, method, route, language: language(request.headers()), member: None, begun: Instant::now(), answered: false }
    }

    /// It is known who asks.
    pub(super) fn by(&mut self, asker: &Asker) {
        self.member = Some(asker.member.clone());
    }

    pub(super) const fn language(&self) -> Language {
        self.language
    }

    /// The answer, with the log line.
    pub(super) fn answer(mut self, outcome: Result<Response, Problem>) -> Response {
        let status = outcome.as_ref().map_or_else(|problem| problem.code().status(), Response::status);
        self.note(status.as_u16(), outcome.as_ref().err());
        self.answered = true;
        let mut response = outcome.unwrap_or_else(|problem| problem.respond(self.language, &self.id));
        let headers = response.headers_mut();
        for (name, value) in SAID_ALWAYS {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }

    fn note(&self, status: u16, problem: Option<&Problem>) {
        let duration_ms = crate::elapsed_ms(self.begun);
        let member = self.member.as_deref().unwrap_or("-");
        let (method, route, id) = (self.method, self.route, self.id.as_str());
        let code = problem.map_or("-", |problem| problem.code().as_str());
        let reasons = problem.map(|problem| problem.reason_codes().join(",")).unwrap_or_default();
        if let Some(cause) = problem.and_then(Problem::cause) {
            tracing::error!(
                request.id = id,
                http.method = method,
                http.route = route,
                http.status = status,
                member.id = member,
                problem.code = code,
                cause,
                duration_ms,
                "request"
            );
        } else {
            tracing::info!(
                request.id = id,
                http.method = method,
                http.route = route,
                http.status = status,
                member.id = member,
                problem.code = code,
                reasons,
                duration_ms,
                "request"
            );
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.answered {
            // The asker went away before there was an answer.
            self.note(499, None);
        }
    }
}

/// The secret that the asker shows.
pub(super) fn secret(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers.get(AUTHORIZATION).ok_or_else(Problem::credentials_missing)?;
    let text = value.to_str().ok().filter(|text| text.get(..BEARER.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(BEARER)));
    text.and_then(|text| text.get(BEARER.len()..)).map(str::trim).ok_or_else(Problem::credentials_invalid)
}

/// The purpose that the asker states.
pub(super) fn purpose(headers: &HeaderMap) -> Result<Option<Purpose>, Problem> {
    let Some(value) = headers.get(PURPOSE) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::invalid(PURPOSE, "a purpose is plain text"))?;
    text.trim().parse().map(Some).map_err(|fault| Problem::invalid(PURPOSE, fault))
}

/// The language that the asker reads best, of the two there are.
fn language(headers: &HeaderMap) -> Language {
    let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut best = (Language::En, 0.0);
    for range in wanted.split(',') {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
        let known = match tag.trim().split('-').next().map(str::to_ascii_lowercase).as_deref() {
            Some("sv") => Language::Sv,
            Some("en") => Language::En,
            _ => continue,
        };
        if weight > best.1 {
            best = (known, weight);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_language_is_the_one_preferred_of_those_known() {
        let of = |value| language(&headers(ACCEPT_LANGUAGE, value));
        assert_eq!(of("sv-SE, en;q=0.8"), Language::Sv);
        assert_eq!(of("de, en;q=0.5, sv;q=0.7"), Language::Sv);
        assert_eq!(of("en, sv"), Language::En);
        assert_eq!(of("sv;q=0, fi"), Language::En);
        assert_eq!(of(""), Language::En);
    }

    /// Keeps every field of every event as text.
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<String>>);

    impl tracing::field::Visit for Log {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            use std::fmt::Write as _;
            writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
        }
    }

    impl tracing::Subscriber for Log {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    fn asked() -> Asked {
        let (id, method, route) = ("f00d".to_owned(), "GET", "/records");
        Asked { id, method, route, language: Language::En, member: Some("anna".to_owned()), begun: Instant::now(), answered: false }
    }

    #[tokio::test]
    async fn the_log_line_has_the_cause_and_the_body_has_not() {
        let log = Log::default();
        let response = tracing::subscriber::with_default(log.clone(), || asked().answer(Err(Problem::internal("the disk is on fire"))));
        let line = log.0.lock().unwrap().clone();
        for told in ["request.id=\"f00d\"", "http.status=500", "member.id=\"anna\"", "problem.code=\"internal\"", "the disk is on fire"] {
            assert!(line.contains(told), "{told} in {line}");
        }
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("disk") && String::from_utf8_lossy(&body).contains("f00d"));
    }

    #[tokio::test]
    async fn a_call_that_is_broken_off_has_its_line_too() {
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || drop(asked()));
        assert!(log.0.lock().unwrap().contains("http.status=499"));
    }

    #[test]
    fn only_bearer_is_a_credential() {
        assert_eq!(secret(&headers(AUTHORIZATION, "bearer abc")).unwrap(), "abc");
        assert!(secret(&headers(AUTHORIZATION, "Basic abc")).is_err());
        assert!(secret(&headers(AUTHORIZATION, "Be")).is_err());
        assert!(secret(&HeaderMap::new()).is_err());
    }
}
