//! Organisations, as their cards introduce them.

use format::verify::KeyDirectory as _;
use node::state::{Directory, Pinned};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Words;
use super::words::written;

/// An organisation whose card is believed here.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OrganisationView {
    /// Names it within the federation.
    #[schema(example = "se-sapo")]
    pub id: String,
    /// Prefix of its record numbers.
    pub short: String,
    /// Its names.
    pub name: Words,
    /// ISO 3166-1 alpha-2 code; `EU` for Union bodies, `XX` for worldwide ones.
    pub country: String,
    /// What sort of organisation it is.
    pub kind: String,
    /// Where its peer listener is reached.
    pub addresses: Vec<String>,
    /// Contact point, available at all hours.
    pub contact: String,
    /// What two people compare over another channel.
    pub fingerprint: String,
    /// Which of its cards this is, from 1.
    pub serial: u32,
    /// When the card was made.
    #[schema(format = DateTime)]
    pub issued: String,
    /// Whether it is the organisation whose node this is.
    pub own: bool,
    /// Whether its card was revoked, and no later one is held: nothing new of theirs is taken in, and nothing goes to them.
    pub revoked: bool,
}

impl OrganisationView {
    pub(crate) fn of(pinned: &Pinned, me: &format::OrgId, directory: &Directory) -> Self {
        let card = &pinned.card;
        Self {
            id: card.org.to_string(),
            short: card.short.to_string(),
            name: (&card.name).into(),
            country: card.country.clone(),
            kind: written(&card.kind),
            addresses: card.addresses.clone(),
            contact: card.contact.clone(),
            fingerprint: pinned.keys.fingerprint().to_string(),
            serial: card.serial,
            issued: card.issued.to_string(),
            own: card.org == *me,
            revoked: directory.revoked(&card.org),
        }
    }
}

/// What is other on this organisation's next card.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CardRenewal {
    /// Where its peer listener is reached, `host:port`; none where nobody calls it, and as before when absent.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
    /// Contact point, available at all hours; as before when absent.
    #[serde(default)]
    pub contact: Option<String>,
    /// Whether it has the keys that `samverkan keys prepare` made.
    #[serde(default, rename = "new-keys")]
    pub new_keys: bool,
}

/// The organisations known here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Organisations {
    /// Ordered by id.
    pub organisations: Vec<OrganisationView>,
}

/// The fingerprint that was compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// The card's fingerprint, 64 hexadecimal digits, as it was read out over another channel.
    pub fingerprint: String,
}
