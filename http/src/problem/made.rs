//! The problems there are, each said in one place: those of the faces themselves, and what the layers below refuse.

use format::agreement::Text;
use format::json::JsonFault;
use format::verify::Reject;
use node::Refusal;
use node::objects::ObjectFault;
use node::ports::StoreError;
use policy::{Language, Reason};

use super::{Code, PURPOSE, Problem};
use crate::handle::Trouble;

/// How long to wait before trying a busy node again.
const BUSY_SECONDS: u64 = 5;

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
                "Skicka `Authorization: Bearer` med en inloggning eller en åtkomstnyckel.",
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
                "Inloggningen eller åtkomstnyckeln har gått ut, har spärrats eller finns inte. Logga in på nytt.",
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
                "Användarnamn och lösenord hör inte ihop. Försök igen, eller tala med administratören.",
                "Log-in name and password do not belong together. Try again, or speak with the administrator.",
            ),
        )
    }

    /// Too many attempts; so many seconds until the next.
    #[must_use]
    pub fn too_many_attempts(seconds: u64) -> Self {
        let detail = text(format!("För många misslyckade försök. Vänta {seconds} sekunder."), format!("Too many failed attempts. Wait {seconds} seconds."));
        Self::new(Code::TooManyAttempts, detail).after(seconds)
    }

    /// Rules forbid it.
    #[must_use]
    pub fn forbidden(reasons: Vec<Reason>) -> Self {
        if reasons.contains(&Reason::PurposeMissing) {
            let detail = text(
                format!("Lägg till ändamålet för läsningen i huvudet `{PURPOSE}`, till exempel `{PURPOSE}: counter-terrorism`."),
                format!("Add the purpose for which you read as the header `{PURPOSE}`, for example `{PURPOSE}: counter-terrorism`."),
            );
            return Self::new(Code::PurposeMissing, detail).because(reasons);
        }
        let detail = text("Reglerna tillåter det inte. Skälen står här.", "The rules do not permit it. The reasons are given here.");
        Self::new(Code::Forbidden, detail).because(reasons)
    }

    /// It takes a session, and a token was shown.
    #[must_use]
    pub fn session_needed() -> Self {
        Self::new(
            Code::SessionNeeded,
            text("En åtkomstnyckel kan inte skapa nya. Logga in med lösenord.", "A token cannot make tokens. Log in with a password."),
        )
    }

    /// Absent, or not for this member to see: the same answer for both.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, text("Det finns inte här, eller är inte för dig att se.", "It is not here, or it is not for you to see."))
    }

    /// The path has no such method, but these.
    #[must_use]
    pub fn method_not_allowed(allow: String) -> Self {
        let detail = text(format!("Sökvägen har dessa metoder: {allow}."), format!("The path has these methods: {allow}."));
        let mut problem = Self::new(Code::MethodNotAllowed, detail);
        problem.0.allow = Some(allow);
        problem
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
        Self::new(Code::MediaType, text("Här tas inget innehåll emot. Gör anropet utan.", "No body is taken here. Call without one."))
    }

    /// The body ended early or was broken off.
    #[must_use]
    pub fn body_broken() -> Self {
        Self::new(Code::BodyUnreadable, text("Innehållet kom inte fram helt. Skicka det igen.", "The body did not arrive whole. Send it again."))
    }

    /// The query cannot be read.
    #[must_use]
    pub fn query(why: String) -> Self {
        let detail = text("Frågans parametrar går inte att läsa.", "The query's parameters cannot be read.");
        Self::new(Code::QueryUnreadable, detail).fault("query", why)
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
        Self::new(Code::Busy, detail).after(BUSY_SECONDS)
    }

    /// Something keeps the node from its work.
    #[must_use]
    pub fn unwell(troubles: &[Trouble]) -> Self {
        let detail = text("Noden kan inte arbeta som den ska.", "The node cannot work as it should.");
        let told = Self::new(Code::Unavailable, detail).after(BUSY_SECONDS);
        troubles.iter().fold(told, |told, trouble| told.fault(trouble.as_str(), trouble.sentence(Language::En).to_owned()))
    }

    /// A command came back with what no such command gives.
    #[must_use]
    pub fn odd_outcome() -> Self {
        Self::internal("the outcome does not belong to the command")
    }

    /// An attachment cannot be kept or read outside the store.
    fn attachment(fault: &ObjectFault) -> Self {
        if let ObjectFault::Away(_) = fault {
            let detail = text(
                "Platsen för bilagor går inte att nå, och inget har gjorts. Försök igen, eller tala med administratören.",
                "The place for attachments cannot be reached, and nothing was done. Try again, or speak with the administrator.",
            );
            return Self::new(Code::Unavailable, detail).caused_by(fault).after(BUSY_SECONDS);
        }
        let detail = text(
            "Bilagan har gått förlorad på den plats där noden förvarar bilagor. Tala med administratören; den som lämnade den kan lämna den igen.",
            "The attachment is lost in the place where this node keeps attachments. Speak with the administrator; whoever released it can release it again.",
        );
        Self::new(Code::Internal, detail).caused_by(fault)
    }

    /// A fault of this node; the cause is for the log.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let detail = text(
            "Något gick fel i noden. Uppge anropets nummer till administratören.",
            "Something went wrong in the node. Give the call's id to the administrator.",
        );
        Self::new(Code::Internal, detail).caused_by(&cause)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Forbidden(reasons) => Self::forbidden(reasons),
            Refusal::NotFound { .. } => Self::not_found(),
            Refusal::WrongState(why) => Self::new(Code::WrongState, why),
            Refusal::Invalid { what, why } => Self::invalid(what, why),
            Refusal::Busy(why) => Self::new(Code::Busy, text(why.clone(), why)).after(BUSY_SECONDS),
            Refusal::Object(fault) => Self::attachment(&fault),
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
            _ => Self::new(Code::Unavailable, detail).caused_by(&fault).after(BUSY_SECONDS),
        }
    }
}

impl From<JsonFault> for Problem {
    fn from(fault: JsonFault) -> Self {
        let code = match &fault {
            JsonFault::TooManyBytes { .. } => Code::TooLarge,
            JsonFault::Shape { .. } => Code::Invalid,
            _ => Code::BodyUnreadable,
        };
        let detail = text("Innehållet är inte den JSON som väntades.", "The body is not the JSON that was expected.");
        Self::new(code, detail).fault(fault.code(), fault.to_string())
    }
}

impl From<Reject> for Problem {
    fn from(reject: Reject) -> Self {
        let detail = text("Det underskrivna meddelandet godtas inte.", "The signed message is not accepted.");
        Self::new(Code::Invalid, detail).fault(reject.code(), reject.to_string())
    }
}
