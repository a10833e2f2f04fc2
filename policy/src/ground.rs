//! Grounds: what a permit rests on, to be shown before a release and kept after it.
//!
//! A ground is the counterpart of a reason. It decides nothing: a permit exists because no rule refused, and its
//! grounds tell a person which agreement, which way and whose consent made that so.

use format::agreement::Text;
use format::id::{LegalBasis, Purpose};
use format::record::AgreementRef;
use format::{OrgId, Timestamp};

use crate::reason::{Language, minute};

/// Something that a permit rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ground {
    /// A version of an agreement that is in force.
    Agreement(AgreementRef),
    /// Purpose and provision.
    Lawful(Purpose, LegalBasis),
    /// The originator sends to its own audience.
    Direct,
    /// A holder sends to the audience that the originator named.
    Relayed(OrgId),
    /// A correction of this originator's follows the copy that it corrects.
    Steered(OrgId),
    /// The record goes back to its originator.
    Returned,
    /// The originator consented; until a time if it said so.
    ByConsent(OrgId, Option<Timestamp>),
    /// An immediate and serious threat, and the originator could not be asked in good time.
    Emergency(OrgId),
    /// The terms permit passing on among the parties.
    Within(AgreementRef),
    /// The terms permit passing on freely.
    Free(AgreementRef),
    /// Sender and recipient of an onward release have this agreement.
    Under(AgreementRef),
    /// A member approved the release as a second person.
    Approved(String),
    /// A recall reaches everybody that it concerns.
    Recall,
}

impl Ground {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Agreement(_) => "agreement",
            Self::Lawful(..) => "lawful",
            Self::Direct => "direct",
            Self::Relayed(_) => "relayed",
            Self::Steered(_) => "steered",
            Self::Returned => "returned",
            Self::ByConsent(..) => "by-consent",
            Self::Emergency(_) => "emergency",
            Self::Within(_) => "within",
            Self::Free(_) => "free",
            Self::Under(_) => "under",
            Self::Approved(_) => "approved",
            Self::Recall => "recall",
        }
    }

    /// The ground in one plain sentence.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        language.of(self.texts())
    }

    fn texts(&self) -> Text {
        let (sv, en) = match self {
            Self::Agreement(named) => (
                format!("Överenskommelsen {}, version {}, gäller.", named.id, named.version),
                format!("The agreement {}, version {}, is in force.", named.id, named.version),
            ),
            Self::Lawful(purpose, basis) => {
                (format!("Ändamålet är {purpose} och den rättsliga grunden är {basis}."), format!("The purpose is {purpose} and the legal basis is {basis}."))
            }
            Self::Direct => (
                "Ursprungsorganisationen skickar själv till en mottagare som den har angett.".to_owned(),
                "The originator itself sends to a recipient that it named.".to_owned(),
            ),
            Self::Relayed(originator) => (
                format!("Ursprungsorganisationen, {originator}, har själv angett mottagaren."),
                format!("The originator, {originator}, named the recipient itself."),
            ),
            Self::Steered(originator) => (
                format!("Ursprungsorganisationen, {originator}, har rättat en handling som mottagaren har fått av avsändaren. Rättelsen följer efter."),
                format!("The originator, {originator}, has corrected a record that the recipient got from the sender. The correction follows it."),
            ),
            Self::Returned => (
                "Handlingen går tillbaka till den organisation som den kommer från.".to_owned(),
                "The record goes back to the organisation that it comes from.".to_owned(),
            ),
            Self::ByConsent(originator, None) => {
                (format!("Ursprungsorganisationen, {originator}, har medgett det."), format!("The originator, {originator}, has consented."))
            }
            Self::ByConsent(originator, Some(until)) => (
                format!("Ursprungsorganisationen, {originator}, har medgett det till {}.", minute(*until)),
                format!("The originator, {originator}, has consented until {}.", minute(*until)),
            ),
            Self::Emergency(originator) => (
                format!(
                    "Nödutlämnande: det behövs för att avvärja ett omedelbart och allvarligt hot mot allmän säkerhet, och {originator} hinner inte tillfrågas. {originator} underrättas genast."
                ),
                format!(
                    "Emergency release: it is needed to prevent an immediate and serious threat to public security, and {originator} cannot be asked in good time. {originator} is told at once."
                ),
            ),
            Self::Within(named) => (
                format!("Överenskommelsen {}, version {}, låter parterna lämna vidare till varandra.", named.id, named.version),
                format!("The agreement {}, version {}, lets its parties pass on to each other.", named.id, named.version),
            ),
            Self::Free(named) => (
                format!("Överenskommelsen {}, version {}, låter innehavaren lämna vidare.", named.id, named.version),
                format!("The agreement {}, version {}, lets a holder pass on freely.", named.id, named.version),
            ),
            Self::Under(named) => (
                format!("Avsändare och mottagare har en egen överenskommelse, {}, version {}, som rymmer detta.", named.id, named.version),
                format!("Sender and recipient have an agreement of their own, {}, version {}, that covers this.", named.id, named.version),
            ),
            Self::Approved(member) => (format!("{member} har godkänt som andra person."), format!("{member} has approved as the second person.")),
            Self::Recall => ("En återkallelse ska alltid nå dem som den gäller.".to_owned(), "A recall must always reach those whom it concerns.".to_owned()),
        };
        Text { sv, en }
    }
}
