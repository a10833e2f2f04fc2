//! Keys: what a node signs, opens and encrypts with, and what others verify it by.
//!
//! All secret keys come from 32-byte seeds, which a key file or a key service keeps; nothing here writes them out
//! except [`Seeds`], whose debug form shows nothing. Public keys are parsed once and checked when they are made.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, ParsedPublicKey, PqdsaKeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::id::{Digest, OrgId};
use crate::seal::{OpeningKey, SealingKey};

/// Length of an Ed25519 signature in bytes (RFC 8032).
pub const ED25519_SIGNATURE: usize = 64;
/// Length of an ML-DSA-65 signature in bytes (FIPS 204).
pub const ML_DSA_65_SIGNATURE: usize = 3309;

/// A key could not be read or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} key is not valid")]
pub struct KeyFault(pub(crate) &'static str);

/// A signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotHolding;

/// The seeds of all of an organisation's secret keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Seeds {
    /// Ed25519 signing seed (RFC 8032).
    #[serde(with = "seed_text")]
    pub ed25519: [u8; 32],
    /// ML-DSA-65 signing seed (FIPS 204).
    #[serde(with = "seed_text")]
    pub ml_dsa_65: [u8; 32],
    /// X-Wing opening seed.
    #[serde(with = "seed_text")]
    pub x_wing: [u8; 32],
    /// Key under which the store's per-record keys are wrapped (AES-256).
    #[serde(with = "seed_text")]
    pub storage: [u8; 32],
}

impl Seeds {
    /// Seeds drawn from `fill`, which must give unpredictable bytes.
    pub fn generate(mut fill: impl FnMut(&mut [u8; 32])) -> Self {
        let mut seed = || {
            let mut bytes = [0; 32];
            fill(&mut bytes);
            bytes
        };
        Self { ed25519: seed(), ml_dsa_65: seed(), x_wing: seed(), storage: seed() }
    }
}

impl Drop for Seeds {
    fn drop(&mut self) {
        self.ed25519.zeroize();
        self.ml_dsa_65.zeroize();
        self.x_wing.zeroize();
        self.storage.zeroize();
    }
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeds(..)")
    }
}

mod seed_text {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(seed: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(seed))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(|_| D::Error::custom("a seed is base64"))?;
        bytes.try_into().map_err(|_| D::Error::custom("a seed is 32 bytes"))
    }
}

/// The public keys of an organisation as its card writes them, in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeyTexts {
    /// Ed25519 public key, 32 bytes.
    pub ed25519: String,
    /// ML-DSA-65 public key, 1952 bytes.
    pub ml_dsa_65: String,
    /// X-Wing encapsulation key, 1216 bytes.
    pub x_wing: String,
}

/// The public keys of an organisation, parsed.
#[derive(Debug, Clone)]
pub struct PublicKeys {
    texts: KeyTexts,
    ed25519_raw: [u8; 32],
    ed25519: ParsedPublicKey,
    ml_dsa_65: ParsedPublicKey,
    sealing: SealingKey,
}

impl PublicKeys {
    /// Parses the keys of a card.
    ///
    /// # Errors
    /// A key is not base64, not of its length, or not a valid key of its algorithm.
    pub fn parse(texts: &KeyTexts) -> Result<Self, KeyFault> {
        let decode = |text: &str, name| STANDARD.decode(text).map_err(|_| KeyFault(name));
        let ed25519 = decode(&texts.ed25519, "Ed25519")?;
        let ml_dsa_65 = decode(&texts.ml_dsa_65, "ML-DSA-65")?;
        let x_wing = decode(&texts.x_wing, "X-Wing")?;
        Ok(Self {
            texts: texts.clone(),
            ed25519_raw: ed25519.as_slice().try_into().map_err(|_| KeyFault("Ed25519"))?,
            ed25519: UnparsedPublicKey::new(&ED25519, ed25519).parse().map_err(|_| KeyFault("Ed25519"))?,
            ml_dsa_65: UnparsedPublicKey::new(&ML_DSA_65, ml_dsa_65).parse().map_err(|_| KeyFault("ML-DSA-65"))?,
            sealing: SealingKey::parse(&x_wing)?,
        })
    }

    /// The keys as a card writes them.
    #[must_use]
    pub const fn texts(&self) -> &KeyTexts {
        &self.texts
    }

    /// The raw Ed25519 key, by which checkpoints are verified.
    #[must_use]
    pub const fn ed25519_raw(&self) -> &[u8; 32] {
        &self.ed25519_raw
    }

    /// The key to which parcels are sealed.
    #[must_use]
    pub const fn sealing(&self) -> &SealingKey {
        &self.sealing
    }

    /// SHA-256 over the three keys: what two people compare out of band.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::of_parts(&[self.texts.ed25519.as_bytes(), b"\n", self.texts.ml_dsa_65.as_bytes(), b"\n", self.texts.x_wing.as_bytes()])
    }

    pub(crate) fn verify_ed25519(&self, message: &[u8], signature: &[u8]) -> Result<(), NotHolding> {
        self.ed25519.verify_sig(message, signature).map_err(|_| NotHolding)
    }

    pub(crate) fn verify_ml_dsa_65(&self, message: &[u8], signature: &[u8]) -> Result<(), NotHolding> {
        self.ml_dsa_65.verify_sig(message, signature).map_err(|_| NotHolding)
    }
}

/// The keys with which an organisation signs, and their public halves.
#[derive(Debug)]
pub struct SigningKeys {
    org: OrgId,
    ed25519: Ed25519KeyPair,
    ml_dsa_65: PqdsaKeyPair,
    public: PublicKeys,
}

impl SigningKeys {
    /// Expands the seeds of `org`.
    ///
    /// # Errors
    /// A seed does not give a valid key.
    pub fn new(org: OrgId, seeds: &Seeds) -> Result<Self, KeyFault> {
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(&seeds.ed25519).map_err(|_| KeyFault("Ed25519"))?;
        let ml_dsa_65 = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &seeds.ml_dsa_65).map_err(|_| KeyFault("ML-DSA-65"))?;
        let opening = OpeningKey::new(&seeds.x_wing)?;
        let public = PublicKeys::parse(&KeyTexts {
            ed25519: STANDARD.encode(ed25519.public_key().as_ref()),
            ml_dsa_65: STANDARD.encode(ml_dsa_65.public_key().as_ref()),
            x_wing: STANDARD.encode(opening.sealing_bytes()),
        })?;
        Ok(Self { org, ed25519, ml_dsa_65, public })
    }

    /// Whose keys these are.
    #[must_use]
    pub const fn org(&self) -> &OrgId {
        &self.org
    }

    /// The public halves.
    #[must_use]
    pub const fn public(&self) -> &PublicKeys {
        &self.public
    }

    /// The Ed25519 pair, with which checkpoints are signed.
    #[must_use]
    pub const fn ed25519(&self) -> &Ed25519KeyPair {
        &self.ed25519
    }

    pub(crate) fn sign_ed25519(&self, message: &[u8]) -> [u8; ED25519_SIGNATURE] {
        let mut out = [0; ED25519_SIGNATURE];
        out.copy_from_slice(self.ed25519.sign(message).as_ref());
        out
    }

    pub(crate) fn sign_ml_dsa_65(&self, message: &[u8]) -> Result<Arc<[u8; ML_DSA_65_SIGNATURE]>, KeyFault> {
        let mut out = [0; ML_DSA_65_SIGNATURE];
        self.ml_dsa_65.sign(message, &mut out).map_err(|_| KeyFault("ML-DSA-65"))?;
        Ok(Arc::new(out))
    }
}
