//! The codes of problems: a word, a status, and what each is called.

use axum::http::StatusCode;
use policy::Language;

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
