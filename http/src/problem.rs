//! Problems: the one place where a refusal becomes a status and a body.
//!
//! Every face answers what it will not do through [`Problem`]: a stable code for machines, sentences for people in
//! their language, and the request's id. What is absent and what may not be seen give the same answer. The cause of a
//! failure of the node itself is for the log line alone and never in the body. Each code has a golden file under
//! `testdata/problems`.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use format::agreement::Text;
use policy::{Language, Reason};
use serde::Serialize;
use utoipa::ToSchema;

mod code;
mod made;

#[cfg(test)]
mod tests;

pub use code::Code;

/// The media type of problems (RFC 9457).
pub const MEDIA_TYPE: &str = "application/problem+json";
/// The header in which a reader states the purpose.
pub const PURPOSE: &str = "Samverkan-Purpose";

/// Why, in a code for machines and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Point {
    /// Stable code.
    #[schema(example = "role-lacks")]
    pub code: String,
    /// The same in a plain sentence, in the language asked for.
    pub sentence: String,
}

impl Point {
    /// A reason of the rules, in this language.
    #[must_use]
    pub fn of(reason: &Reason, language: Language) -> Self {
        Self { code: reason.code().to_owned(), sentence: reason.sentence(language) }
    }
}

/// A refusal or failure (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the sort of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:samverkan:problem:forbidden")]
    pub kind: String,
    /// What the sort of problem is called, in the language asked for.
    pub title: String,
    /// The status of the response.
    pub status: u16,
    /// Stable code.
    #[schema(example = "forbidden")]
    pub code: String,
    /// What is the matter this time, and what to do.
    pub detail: String,
    /// Every reason, where rules decided.
    pub reasons: Vec<Point>,
    /// The call's id, which is in the node's log.
    pub instance: String,
}

/// Why a call was not carried out.
#[derive(Debug)]
pub struct Problem(Box<Said>);

#[derive(Debug)]
struct Said {
    code: Code,
    detail: Text,
    reasons: Vec<Reason>,
    faults: Vec<Point>,
    cause: Option<String>,
    retry_after: Option<u64>,
    allow: Option<String>,
}

impl Problem {
    fn new(code: Code, detail: Text) -> Self {
        Self(Box::new(Said { code, detail, reasons: Vec::new(), faults: Vec::new(), cause: None, retry_after: None, allow: None }))
    }

    fn because(mut self, reasons: Vec<Reason>) -> Self {
        self.0.reasons = reasons;
        self
    }

    fn fault(mut self, code: &str, sentence: String) -> Self {
        self.0.faults.push(Point { code: code.to_owned(), sentence });
        self
    }

    fn caused_by(mut self, cause: &impl std::fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    fn after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// What sort of problem it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What the log line says and the body does not.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The codes of the reasons, for the log line.
    #[must_use]
    pub fn reason_codes(&self) -> Vec<&str> {
        self.0.reasons.iter().map(|reason| reason.code()).chain(self.0.faults.iter().map(|fault| fault.code.as_str())).collect()
    }

    /// The body, in this language, for the request with this id.
    #[must_use]
    pub fn body(&self, language: Language, instance: &str) -> ProblemBody {
        let reasons = self.0.reasons.iter().map(|reason| Point::of(reason, language)).chain(self.0.faults.iter().cloned());
        ProblemBody {
            kind: format!("urn:samverkan:problem:{}", self.0.code.as_str()),
            title: self.0.code.title(language).to_owned(),
            status: self.0.code.status().as_u16(),
            code: self.0.code.as_str().to_owned(),
            detail: language.of(self.0.detail.clone()),
            reasons: reasons.collect(),
            instance: instance.to_owned(),
        }
    }

    /// The response, in this language, to the request with this id.
    #[must_use]
    pub fn respond(&self, language: Language, instance: &str) -> Response {
        let body = serde_json::to_vec(&self.body(language, instance)).unwrap_or_default();
        let mut response = (self.0.code.status(), [(CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        if self.0.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.0.allow.as_ref().and_then(|methods| HeaderValue::from_str(methods).ok()) {
            headers.insert(ALLOW, allow);
        }
        response
    }
}
