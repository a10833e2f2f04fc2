//! The door for what strangers say: from bytes to [`Verified`].
//!
//! A statement is exact JSON bytes inside a COSE_Sign message (RFC 9052) with two signatures that must both hold,
//! Ed25519 and ML-DSA-65 (FIPS 204), over the same bytes and the statement's context string. The message has one
//! encoding only: a parsed message is written again and must give the same bytes. Nothing here reads a clock or asks
//! whether a statement is welcome; it answers one question, whose statement this is.

use coset::{CoseSign, CoseSignBuilder, CoseSignature, CoseSignatureBuilder, HeaderBuilder, TaggedCborSerializable, iana};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::id::{Digest, OrgId};
use crate::json::{self, Budget, JsonFault};
use crate::keys::{ED25519_SIGNATURE, ML_DSA_65_SIGNATURE, PublicKeys, SigningKeys};

/// The largest signed message that is looked at: payload budget plus signatures and framing.
pub const MAX_SIGNED: usize = 512 * 1024;

/// A well-formed JSON statement breaks a rule of its own kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{what}` {rule}, and here it does not hold")]
pub struct Malformed {
    /// The member at fault.
    pub what: &'static str,
    /// The rule, as the end of a sentence about `what`.
    pub rule: &'static str,
}

/// Gives [`Malformed`] unless the rule holds.
///
/// # Errors
/// The rule does not hold.
pub const fn ensure(holds: bool, what: &'static str, rule: &'static str) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(Malformed { what, rule }) }
}

/// Something an organisation signs.
pub trait Statement: Serialize + DeserializeOwned {
    /// Separates kinds of statement: a signature made in one context holds in no other.
    const CONTEXT: &'static str;
    /// What the JSON may cost before it is parsed.
    const BUDGET: Budget;

    /// The rules of shape that the type alone does not express.
    ///
    /// # Errors
    /// A rule is broken.
    fn check(&self) -> Result<(), Malformed>;

    /// Whether this statement is `signer`'s to make.
    fn may_be_signed_by(&self, signer: &OrgId) -> bool;
}

/// Why bytes were not accepted as somebody's statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// Larger than is looked at.
    #[error("the message is {size} bytes; the limit is {limit}")]
    TooLarge {
        /// Bytes received.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not a message in the one accepted encoding.
    #[error("the message is not a COSE_Sign in the required encoding: {0}")]
    Encoding(&'static str),
    /// The signer's card is not held here.
    #[error("no card of `{0}` is held here: import it and compare its fingerprint first")]
    UnknownSigner(OrgId),
    /// A signature does not hold.
    #[error("the {algorithm} signature of `{signer}` does not hold over these bytes")]
    Signature {
        /// The organisation named as signer.
        signer: OrgId,
        /// The algorithm whose signature failed.
        algorithm: &'static str,
    },
    /// Signed by an organisation whose statement this cannot be.
    #[error("`{0}` signed a statement that is not its to make")]
    NotTheirs(OrgId),
    /// The signed bytes are not strict JSON of the expected shape.
    #[error("the signed bytes are not a valid statement")]
    Json(#[from] JsonFault),
    /// The statement breaks a rule of its kind.
    #[error("the statement is malformed")]
    Malformed(#[from] Malformed),
}

impl Reject {
    /// Stable code for interfaces and receipts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Encoding(_) => "bad-encoding",
            Self::UnknownSigner(_) => "unknown-organisation",
            Self::Signature { .. } => "bad-signature",
            Self::NotTheirs(_) => "not-theirs",
            Self::Json(_) => "bad-json",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// Where the public keys of organisations are found.
pub trait KeyDirectory {
    /// The keys to which `org` is pinned, if its card is held.
    fn keys(&self, org: &OrgId) -> Option<&PublicKeys>;
}

/// A directory of one.
impl KeyDirectory for (&OrgId, &PublicKeys) {
    fn keys(&self, org: &OrgId) -> Option<&PublicKeys> {
        (org == self.0).then_some(self.1)
    }
}

/// A statement with its signatures, not verified: what is kept, sent and read back.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    signer: OrgId,
    payload: Vec<u8>,
    ed25519: [u8; ED25519_SIGNATURE],
    ml_dsa_65: Box<[u8; ML_DSA_65_SIGNATURE]>,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signed({} by {})", self.digest().short(), self.signer)
    }
}

impl Signed {
    /// Signs the exact bytes `payload` in the context of `T`.
    ///
    /// # Errors
    /// The key store could not sign.
    pub fn sign<T: Statement>(payload: Vec<u8>, keys: &SigningKeys) -> Result<Self, crate::keys::KeyFault> {
        let signer = keys.org().clone();
        let (ed25519, ml_dsa_65) = {
            let message = unsigned(&signer, payload.clone());
            let (first, second) = to_be_signed(&message, T::CONTEXT);
            (keys.sign_ed25519(&first), keys.sign_ml_dsa_65(&second)?)
        };
        Ok(Self { signer, payload, ed25519, ml_dsa_65 })
    }

    /// Puts together what a store kept apart.
    #[must_use]
    pub fn from_parts(signer: OrgId, payload: Vec<u8>, ed25519: [u8; ED25519_SIGNATURE], ml_dsa_65: Box<[u8; ML_DSA_65_SIGNATURE]>) -> Self {
        Self { signer, payload, ed25519, ml_dsa_65 }
    }

    /// The organisation that is named as signer.
    #[must_use]
    pub const fn signer(&self) -> &OrgId {
        &self.signer
    }

    /// The exact signed bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// SHA-256 of the signed bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.payload)
    }

    /// Both signatures, Ed25519 then ML-DSA-65.
    #[must_use]
    pub fn signatures(&self) -> (&[u8; ED25519_SIGNATURE], &[u8; ML_DSA_65_SIGNATURE]) {
        (&self.ed25519, &self.ml_dsa_65)
    }

    /// The COSE_Sign message, tagged.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut message = unsigned(&self.signer, self.payload.clone());
        let signatures: [&[u8]; 2] = [&self.ed25519, self.ml_dsa_65.as_slice()];
        for (slot, signature) in message.signatures.iter_mut().zip(signatures) {
            slot.signature = signature.to_vec();
        }
        // INVARIANT: a message built here has no part that CBOR cannot carry; an empty one is refused by every reader.
        message.to_tagged_vec().unwrap_or_default()
    }

    /// Reads a COSE_Sign message, without verifying it.
    ///
    /// # Errors
    /// Too large, not COSE, or not in the one accepted encoding.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        if bytes.len() > MAX_SIGNED {
            return Err(Reject::TooLarge { size: bytes.len(), limit: MAX_SIGNED });
        }
        let message = CoseSign::from_tagged_slice(bytes).map_err(|_| Reject::Encoding("it does not parse"))?;
        let payload = message.payload.ok_or(Reject::Encoding("it has no payload"))?;
        let [first, second] = message.signatures.as_slice() else {
            return Err(Reject::Encoding("it does not have two signatures"));
        };
        let signer = std::str::from_utf8(&first.protected.header.key_id).ok().and_then(|kid| kid.parse().ok());
        let signed = Self {
            signer: signer.ok_or(Reject::Encoding("its key id is not an organisation"))?,
            payload,
            ed25519: first.signature.as_slice().try_into().map_err(|_| Reject::Encoding("its first signature is not 64 bytes"))?,
            ml_dsa_65: second.signature.clone().into_boxed_slice().try_into().map_err(|_| Reject::Encoding("its second signature is not 3309 bytes"))?,
        };
        if signed.to_bytes() == bytes { Ok(signed) } else { Err(Reject::Encoding("it says the same in other bytes")) }
    }

    /// Verifies that both signatures hold and the statement is well formed and the signer's to make.
    ///
    /// # Errors
    /// Any of it does not hold; see [`Reject`].
    fn verify<T: Statement>(self, directory: &impl KeyDirectory) -> Result<Verified<T>, Reject> {
        let keys = directory.keys(&self.signer).ok_or_else(|| Reject::UnknownSigner(self.signer.clone()))?;
        let message = unsigned(&self.signer, self.payload);
        let (first, second) = to_be_signed(&message, T::CONTEXT);
        let fault = |algorithm| Reject::Signature { signer: self.signer.clone(), algorithm };
        keys.verify_ed25519(&first, &self.ed25519).map_err(|_| fault("Ed25519"))?;
        keys.verify_ml_dsa_65(&second, self.ml_dsa_65.as_slice()).map_err(|_| fault("ML-DSA-65"))?;
        let payload = message.payload.unwrap_or_default();
        let json::Object(value) = json::parse::<json::Object<T>>(&payload, &T::BUDGET)?;
        ensure(is_written_so(&value, &payload), "statement", "is the same JSON value that its kind is written as")?;
        value.check()?;
        if !value.may_be_signed_by(&self.signer) {
            return Err(Reject::NotTheirs(self.signer));
        }
        let signed = Self { signer: self.signer, payload, ed25519: self.ed25519, ml_dsa_65: self.ml_dsa_65 };
        Ok(Verified { digest: signed.digest(), value, signed })
    }
}

fn unsigned(signer: &OrgId, payload: Vec<u8>) -> CoseSign {
    let slot = |algorithm| -> CoseSignature {
        let protected = HeaderBuilder::new().algorithm(algorithm).key_id(signer.as_str().as_bytes().to_vec()).build();
        CoseSignatureBuilder::new().protected(protected).build()
    };
    CoseSignBuilder::new().payload(payload).add_signature(slot(iana::Algorithm::Ed25519)).add_signature(slot(iana::Algorithm::ML_DSA_65)).build()
}

/// Whether `payload` is, as a JSON value, what `value` is written as. Derived readers take more than that: an array for
/// an inner object, `null` for an absent member, a set in any order. A reader of another make would refuse those.
fn is_written_so<T: Statement>(value: &T, payload: &[u8]) -> bool {
    let said = serde_json::from_slice::<serde_json::Value>(payload).ok();
    said.is_some() && said == serde_json::to_value(value).ok()
}

fn to_be_signed(message: &CoseSign, context: &str) -> (Vec<u8>, Vec<u8>) {
    let bytes = |n: usize| message.signatures.get(n).map(|slot| message.tbs_data(context.as_bytes(), slot)).unwrap_or_default();
    (bytes(0), bytes(1))
}

/// A statement whose both signatures held over its exact bytes, and which was its signer's to make.
///
/// There is one way to have one: [`verify`]. It cannot be deserialised, edited or put together by hand.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    value: T,
    digest: Digest,
    signed: Signed,
}

impl<T> Verified<T> {
    /// What was said.
    #[must_use]
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// Who said it.
    #[must_use]
    pub const fn signer(&self) -> &OrgId {
        &self.signed.signer
    }

    /// SHA-256 of the exact bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The evidence: exact bytes and signatures.
    #[must_use]
    pub const fn signed(&self) -> &Signed {
        &self.signed
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The one constructor of [`Verified`]: reads a signed message and verifies it against the signer's pinned keys.
///
/// # Errors
/// See [`Reject`]; nothing of the message may be used then.
pub fn verify<T: Statement>(bytes: &[u8], directory: &impl KeyDirectory) -> Result<Verified<T>, Reject> {
    Signed::parse(bytes)?.verify(directory)
}

/// Writes a statement as the exact bytes that will be signed.
///
/// # Errors
/// The statement breaks a rule of its kind, or cannot be written as JSON.
pub fn to_payload<T: Statement>(value: &T) -> Result<Vec<u8>, Reject> {
    value.check()?;
    let bytes = serde_json::to_vec(value).map_err(|_| Reject::Encoding("it cannot be written as JSON"))?;
    json::check(&bytes, &T::BUDGET)?;
    Ok(bytes)
}

/// Writes, signs and verifies a statement of one's own: what leaves has been through the same door as what enters.
///
/// # Errors
/// The statement is malformed, not the signer's to make, or the keys could not sign.
pub fn state<T: Statement>(value: &T, keys: &SigningKeys) -> Result<Verified<T>, Reject> {
    let payload = to_payload(value)?;
    let signed = Signed::sign::<T>(payload, keys).map_err(|_| Reject::Encoding("the keys did not sign"))?;
    signed.verify(&(keys.org(), keys.public()))
}
