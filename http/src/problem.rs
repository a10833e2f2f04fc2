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
use format::json::JsonFault;
use format::verify::Reject;
use node::Refusal;
use node::ports::StoreError;
use policy::{Language, Reason};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of problems (RFC 9457).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What sort of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Nothing says who asks.
    CredentialsMissing,
    /// The session or token is unknown, revoked or has ended.
    CredentialsInvalid,
    /// Member and password do not belong together, or there is no such member.
    LogInRefused,
    /// Too many failed log-ins, for this member or from this address.
    TooManyAttempts,
    /// Rules forbid it.
    Forbidden,
    /// The purpose of reading is not stated.
    PurposeMissing,
    /// It takes a session, and a token was shown.
    SessionNeeded,
    /// Absent, or not for this member to see.
    NotFound,
    /// The path has no such method.
    MethodNotAllowed,
    /// It does not fit the state things are in.
    WrongState,
    /// Larger than the limit.
    TooLarge,
    /// A body of another type than the route takes.
    MediaType,
    /// The body cannot be read as what it should be.
    BodyUnreadable,
    /// A query parameter cannot be read.
    QueryUnreadable,
    /// It can be read, and what it says is not valid.
    Invalid,
    /// The body did not arrive in time.
    TooSlow,
    /// A limit of this node is reached; later it may work.
    Busy,
    /// The store failed; nothing was done.
    Unavailable,
    /// A fault of this node.
    Internal,
}

impl Code {
    /// Every code, in order.
    pub const ALL: [Self; 19] = [
        Self::CredentialsMissing,
        Self::CredentialsInvalid,
        Self::LogInRefused,
        Self::TooManyAttempts,
        Self::Forbidden,
        Self::PurposeMissing,
        Self::SessionNeeded,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::WrongState,
        Self::TooLarge,
        Self::MediaType,
        Self::BodyUnreadable,
        Self::QueryUnreadable,
        Self::Invalid,
        Self::TooSlow,
        Self::Busy,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status it is answered with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// What it is called.
    #[must_use]
    pub const fn title(self, language: Language) -> &'static str {
        match language {
            Language::Sv => self.row().2,
            Language::En => self.row().3,
        }
    }

    const fn row(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        match self {
            Self::CredentialsMissing => ("credentials-missing", StatusCode::UNAUTHORIZED, "Du behöver logga in", "You need to log in"),
            Self::CredentialsInvalid => ("credentials-invalid", StatusCode::UNAUTHORIZED, "Inloggningen gäller inte", "The credentials are not valid"),
            Self::LogInRefused => ("log-in-refused", StatusCode::UNAUTHORIZED, "Inloggningen lyckades inte", "The log-in did not succeed"),
            Self::TooManyAttempts => ("too-many-attempts", StatusCode::TOO_MANY_REQUESTS, "För många försök", "Too many attempts"),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "Det är inte tillåtet", "It is not permitted"),
            Self::PurposeMissing => ("purpose-missing", StatusCode::FORBIDDEN, "Ändamålet saknas", "The purpose is missing"),
            Self::SessionNeeded => ("session-needed", StatusCode::FORBIDDEN, "Det kräver en inloggning med lösenord", "It takes a log-in with a password"),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "Finns inte här", "Not here"),
            Self::MethodNotAllowed => ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "Metoden finns inte här", "No such method here"),
            Self::WrongState => ("wrong-state", StatusCode::CONFLICT, "Det går inte i nuvarande läge", "Not in the present state"),
            Self::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "För stort", "Too large"),
            Self::MediaType => ("media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "Fel medietyp", "Wrong media type"),
            Self::BodyUnreadable => ("body-unreadable", StatusCode::BAD_REQUEST, "Innehållet går inte att läsa", "The body cannot be read"),
            Self::QueryUnreadable => ("query-unreadable", StatusCode::BAD_REQUEST, "Frågan går inte att läsa", "The query cannot be read"),
            Self::Invalid => ("invalid", StatusCode::UNPROCESSABLE_ENTITY, "Något är inte giltigt", "Something is not valid"),
            Self::TooSlow => ("too-slow", StatusCode::REQUEST_TIMEOUT, "Det tog för lång tid", "It took too long"),
            Self::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE, "Upptaget just nu", "Busy just now"),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Lagringen svarar inte", "The store is not available"),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Ett fel i noden", "A fault in the node"),
        }
    }
}

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
    /// The request's id, which is in the node's log.
    pub instance: String,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub struct Problem {
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
        Self { code, detail, reasons: Vec::new(), faults: Vec::new(), cause: None, retry_after: None, allow: None }
    }

    /// What sort of problem it is.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What the log line says and the body does not.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The codes of the reasons, for the log line.
    #[must_use]
    pub fn reason_codes(&self) -> Vec<&str> {
        self.reasons.iter().map(Reason::code).chain(self.faults.iter().map(|fault| fault.code.as_str())).collect()
    }

    /// The body, in this language, for the request with this id.
    #[must_use]
    pub fn body(&self, language: Language, instance: &str) -> ProblemBody {
        let reasons = self.reasons.iter().map(|reason| Point::of(reason, language)).chain(self.faults.iter().cloned());
        ProblemBody {
            kind: format!("urn:samverkan:problem:{}", self.code.as_str()),
            title: self.code.title(language).to_owned(),
            status: self.code.status().as_u16(),
            code: self.code.as_str().to_owned(),
            detail: language.of(self.detail.clone()),
            reasons: reasons.collect(),
            instance: instance.to_owned(),
        }
    }

    /// The response, in this language, to the request with this id.
    #[must_use]
    pub fn respond(&self, language: Language, instance: &str) -> Response {
        let body = serde_json::to_vec(&self.body(language, instance)).unwrap_or_default();
        let mut response = (self.code.status(), [(CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        if self.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow.as_ref().and_then(|methods| HeaderValue::from_str(methods).ok()) {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

fn text(sv: impl Into<String>, en: impl Into<String>) -> Text {
    Text { sv: sv.into(), en: en.into() }
}

/// The problems of the faces themselves.
impl Problem {
    /// Nothing says who asks.
    #[must_use]
    pub fn credentials_missing() -> Self {
        Self::new(
            Code::CredentialsMissing,
            text(
                "Skicka `Authorization: Bearer` med en inloggning eller en nyckel.",
                "Send `Authorization: Bearer` with the secret of a session or a token.",
            ),
        )
    }

    /// The session or token is not valid.
    #[must_use]
    pub fn credentials_invalid() -> Self {
        Self::new(
            Code::CredentialsInvalid,
            text(
                "Inloggningen eller nyckeln har gått ut, har återkallats eller finns inte. Logga in på nytt.",
                "The session or token has ended, was revoked, or does not exist. Log in again.",
            ),
        )
    }

    /// Member and password do not belong together; the same whether or not there is such a member.
    #[must_use]
    pub fn log_in_refused() -> Self {
        Self::new(
            Code::LogInRefused,
            text(
                "Medlem och lösenord hör inte ihop. Försök igen, eller tala med administratören.",
                "Member and password do not belong together. Try again, or speak with the administrator.",
            ),
        )
    }

    /// Too many attempts; so many seconds until the next.
    #[must_use]
    pub fn too_many_attempts(seconds: u64) -> Self {
        let detail = text(
            format!("För många misslyckade försök. Vänta {seconds} sekunder."),
            format!("Too many failed attempts. Wait {seconds} seconds."),
        );
        Self { retry_after: Some(seconds), ..Self::new(Code::TooManyAttempts, detail) }
    }

    /// Rules forbid it.
    #[must_use]
    pub fn forbidden(reasons: Vec<Reason>) -> Self {
        if reasons.contains(&Reason::PurposeMissing) {
            let detail = text(
                format!("Lägg till ändamålet för läsningen i huvudet `{PURPOSE}`, till exempel `{PURPOSE}: counter-terrorism`."),
                format!("Add the purpose for which you read as the header `{PURPOSE}`, for example `{PURPOSE}: counter-terrorism`."),
            );
            return Self { reasons, ..Self::new(Code::PurposeMissing, detail) };
        }
        let detail = text("Reglerna tillåter det inte. Skälen står här.", "The rules do not permit it. The reasons are given here.");
        Self { reasons, ..Self::new(Code::Forbidden, detail) }
    }

    /// It takes a session, and a token was shown.
    #[must_use]
    pub fn session_needed() -> Self {
        Self::new(
            Code::SessionNeeded,
            text("En nyckel kan inte skapa nya nycklar. Logga in med lösenord.", "A token cannot make tokens. Log in with a password."),
        )
    }

    /// Absent, or not for this member to see: the same answer for both.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            Code::NotFound,
            text("Det finns inte här, eller är inte för dig att se.", "It is not here, or it is not for you to see."),
        )
    }

    /// The path has no such method, but these.
    #[must_use]
    pub fn method_not_allowed(allow: String) -> Self {
        let detail = text(format!("Sökvägen har dessa metoder: {allow}."), format!("The path has these methods: {allow}."));
        Self { allow: Some(allow), ..Self::new(Code::MethodNotAllowed, detail) }
    }

    /// Larger than so many bytes.
    #[must_use]
    pub fn too_large(limit: u64) -> Self {
        Self::new(Code::TooLarge, text(format!("Gränsen är {limit} byte."), format!("The limit is {limit} bytes.")))
    }

    /// The route takes bodies of this type only.
    #[must_use]
    pub fn media_type(expected: &'static str) -> Self {
        let detail = text(format!("Skicka innehållet som `{expected}`."), format!("Send the body as `{expected}`."));
        Self::new(Code::MediaType, detail)
    }

    /// The route takes no body, and one was sent.
    #[must_use]
    pub fn no_body() -> Self {
        Self::new(Code::MediaType, text("Här tas inget innehåll emot. Skicka förfrågan utan.", "Nothing is taken here. Send the request without a body."))
    }

    /// The body ended early or was broken off.
    #[must_use]
    pub fn body_broken() -> Self {
        Self::new(Code::BodyUnreadable, text("Innehållet kom inte fram helt. Skicka det igen.", "The body did not arrive whole. Send it again."))
    }

    /// The query cannot be read.
    #[must_use]
    pub fn query(why: String) -> Self {
        let fault = Point { code: "query".to_owned(), sentence: why };
        let detail = text("Frågans parametrar går inte att läsa.", "The query's parameters cannot be read.");
        Self { faults: vec![fault], ..Self::new(Code::QueryUnreadable, detail) }
    }

    /// Something given is not valid: what it is, and what would be right.
    #[must_use]
    pub fn invalid(what: &str, why: impl std::fmt::Display) -> Self {
        Self::new(Code::Invalid, text(format!("{what}: {why}"), format!("{what}: {why}")))
    }

    /// The body did not arrive in time.
    #[must_use]
    pub fn too_slow() -> Self {
        Self::new(Code::TooSlow, text("Innehållet kom inte fram i tid.", "The body did not arrive in time."))
    }

    /// A limit of this node is reached.
    #[must_use]
    pub fn busy() -> Self {
        let detail = text("Noden har för mycket att göra. Försök igen om en stund.", "The node has too much to do. Try again in a while.");
        Self { retry_after: Some(BUSY_SECONDS), ..Self::new(Code::Busy, detail) }
    }

    /// A fault of this node; the cause is for the log.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let detail = text(
            "Något gick fel i noden. Uppge förfrågans nummer till administratören.",
            "Something went wrong in the node. Give the request's id to the administrator.",
        );
        Self { cause: Some(cause.to_string()), ..Self::new(Code::Internal, detail) }
    }
}

const BUSY_SECONDS: u64 = 5;

/// The header in which a reader states the purpose.
pub const PURPOSE: &str = "Samverkan-Purpose";

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Forbidden(reasons) => Self::forbidden(reasons),
            Refusal::NotFound { .. } => Self::not_found(),
            Refusal::WrongState(why) => Self::new(Code::WrongState, text(why.clone(), why)),
            Refusal::Invalid { what, why } => Self::invalid(what, why),
            Refusal::Busy(why) => Self { retry_after: Some(BUSY_SECONDS), ..Self::new(Code::Busy, text(why.clone(), why)) },
            Refusal::Store(fault) => fault.into(),
            other => Self::internal(other),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(fault: StoreError) -> Self {
        let detail = text(
            "Lagringen svarar inte, och inget har gjorts. Försök igen, eller tala med administratören.",
            "The store is not available, and nothing was done. Try again, or speak with the administrator.",
        );
        match fault {
            StoreError::Corrupt { .. } => Self::internal(fault),
            _ => Self { cause: Some(fault.to_string()), retry_after: Some(BUSY_SECONDS), ..Self::new(Code::Unavailable, detail) },
        }
    }
}

impl From<JsonFault> for Problem {
    fn from(fault: JsonFault) -> Self {
        let point = Point { code: fault.code().to_owned(), sentence: fault.to_string() };
        let code = match &fault {
            JsonFault::TooManyBytes { .. } => Code::TooLarge,
            JsonFault::Shape { .. } => Code::Invalid,
            _ => Code::BodyUnreadable,
        };
        let detail = text("Innehållet är inte den JSON som väntades.", "The body is not the JSON that was expected.");
        Self { faults: vec![point], ..Self::new(code, detail) }
    }
}

impl From<Reject> for Problem {
    fn from(reject: Reject) -> Self {
        let point = Point { code: reject.code().to_owned(), sentence: reject.to_string() };
        let detail = text("Det underskrivna meddelandet godtas inte.", "The signed message is not accepted.");
        Self { faults: vec![point], ..Self::new(Code::Invalid, detail) }
    }
}

#[cfg(test)]
mod tests;
