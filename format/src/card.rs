//! Cards: how an organisation introduces itself.
//!
//! A card names the organisation, its keys, its addresses and its contact point that answers day and night. It is
//! signed with the keys it carries, which proves only that they belong together: a card is believed when two people
//! have compared its fingerprint over another channel, or when the keys of the card before it signed it. It is believed
//! no longer once it is revoked, by its own organisation or by whoever believed it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::agreement::Text;
use crate::id::{Digest, OrgId, ShortName};
use crate::json::{self, Budget};
use crate::keys::{KeyTexts, PublicKeys, SigningKeys};
use crate::signed::Signed;
use crate::time::Timestamp;
use crate::verify::{Malformed, Reject, Statement, Verified, ensure, state, verify};

/// The most addresses of one organisation.
pub const MAX_ADDRESSES: usize = 8;

/// The most bytes of a succession, in base64.
const MAX_SUCCESSION: usize = 16 * 1024;

/// The most characters of a revocation's reason.
pub const MAX_REASON: usize = 1000;

/// What sort of organisation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrgKind {
    /// Security service.
    SecurityService,
    /// Intelligence service.
    Intelligence,
    /// Police.
    Police,
    /// Prosecution.
    Prosecution,
    /// Customs.
    Customs,
    /// Migration.
    Migration,
    /// Defence.
    Defence,
    /// Another civil agency.
    Civil,
    /// International organisation or Union body.
    International,
}

/// An organisation's card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Card {
    /// Names the organisation within the federation.
    pub org: OrgId,
    /// Prefix of its record numbers.
    pub short: ShortName,
    /// Its names.
    pub name: Text,
    /// ISO 3166-1 alpha-2 code; `EU` for Union bodies, `XX` for worldwide ones.
    pub country: String,
    /// What sort of organisation it is.
    pub kind: OrgKind,
    /// Where its peer listener is reached, `host:port`.
    pub addresses: Vec<String>,
    /// Contact point, available at all hours.
    pub contact: String,
    /// Its public keys.
    pub keys: KeyTexts,
    /// SHA-256 of the public key (SPKI, DER) of its TLS certificate towards peers.
    pub tls_key: Digest,
    /// 1 for the first card; each later card of the organisation counts up.
    pub serial: u32,
    /// When the card was made.
    pub issued: Timestamp,
    /// A [`Succession`] that the keys before these signed, in base64; where it holds, nobody has to compare anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succession: Option<String>,
}

/// What keys say of those that follow them: that they are the same organisation's, from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Succession {
    /// Whose keys they are.
    pub org: OrgId,
    /// Fingerprint of the keys that sign this.
    pub from: Digest,
    /// Fingerprint of the keys that follow.
    pub to: Digest,
    /// When it was said.
    pub at: Timestamp,
}

impl Statement for Succession {
    const CONTEXT: &'static str = "samverkan/succession/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        ensure(self.from != self.to, "to", "is of other keys than those that sign")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.org == *signer
    }
}

impl Card {
    /// The same card with keys that follow those of `signer`, and its word for it. To be signed with the new keys.
    ///
    /// # Errors
    /// The keys did not sign, or are the same.
    pub fn with_keys(self, next: &PublicKeys, signer: &SigningKeys) -> Result<Self, Reject> {
        let succession = Succession { org: self.org.clone(), from: signer.public().fingerprint(), to: next.fingerprint(), at: self.issued };
        let bytes = state(&succession, signer)?.signed().to_bytes();
        Ok(Self { keys: next.texts().clone(), succession: Some(STANDARD.encode(bytes)), ..self })
    }

    /// Whether the keys on this card follow `before`, by their own word.
    #[must_use]
    pub fn succeeds(&self, before: &PublicKeys) -> bool {
        let Ok(keys) = PublicKeys::parse(&self.keys) else { return false };
        let Some(bytes) = self.succession.as_ref().and_then(|text| STANDARD.decode(text).ok()) else { return false };
        let said = verify::<Succession>(&bytes, &(&self.org, before));
        said.is_ok_and(|said| said.from == before.fingerprint() && said.to == keys.fingerprint())
    }
}

impl Statement for Card {
    const CONTEXT: &'static str = "samverkan/card/v1";
    const BUDGET: Budget = Budget::CARD;

    fn check(&self) -> Result<(), Malformed> {
        ensure(self.serial >= 1, "serial", "starts at 1")?;
        ensure(self.country.len() == 2 && self.country.bytes().all(|b| b.is_ascii_uppercase()), "country", "is two capital letters")?;
        ensure(self.addresses.len() <= MAX_ADDRESSES, "addresses", "are at most 8")?;
        ensure(self.addresses.iter().all(|a| is_address(a)), "addresses", "are host:port")?;
        ensure(self.succession.as_ref().is_none_or(|text| text.len() <= MAX_SUCCESSION), "succession", "is at most 16 KiB")?;
        let named = [&self.name.sv, &self.name.en, &self.contact].iter().all(|t| (1..=200).contains(&t.chars().count()) && !t.chars().any(char::is_control));
        ensure(named, "name and contact", "are 1 to 200 characters without control characters")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.org == *signer
    }
}

/// A statement that a card is believed no longer: by its organisation, whose word goes to its peers, or by another that
/// held the card, whose word stays with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Revocation {
    /// Who says so.
    pub by: OrgId,
    /// Whose card it is.
    pub org: OrgId,
    /// Fingerprint of the keys on it.
    pub fingerprint: Digest,
    /// Why.
    pub reason: String,
    /// When it was said.
    pub at: Timestamp,
}

impl Statement for Revocation {
    const CONTEXT: &'static str = "samverkan/revocation/v1";
    const BUDGET: Budget = Budget::HEADER;

    fn check(&self) -> Result<(), Malformed> {
        let said = (1..=MAX_REASON).contains(&self.reason.chars().count()) && !self.reason.chars().any(char::is_control);
        ensure(said, "reason", "is 1 to 1000 characters without control characters")
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.by == *signer
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        (1..=253).contains(&host.len())
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
            && port.parse::<u16>().is_ok_and(|p| p > 0 && p.to_string() == port)
    })
}

/// Verifies a card with the keys it carries and gives both.
///
/// The caller still has to be sure that these keys are the organisation's: by comparing
/// [`PublicKeys::fingerprint`] out of band.
///
/// # Errors
/// The card does not verify, or a key in it is not valid.
pub fn introduce(bytes: &[u8]) -> Result<(Verified<Card>, PublicKeys), Reject> {
    let signed = Signed::parse(bytes)?;
    let json::Object(claimed) = json::parse::<json::Object<Card>>(signed.payload(), &Card::BUDGET)?;
    let keys = PublicKeys::parse(&claimed.keys).map_err(|_| Malformed { what: "keys", rule: "are valid keys of their algorithms" })?;
    let card = verify(bytes, &(&claimed.org, &keys))?;
    Ok((card, keys))
}
