//! The door for what strangers say: from bytes to [`Verified`].
//!
//! Two signatures must both hold, Ed25519 and ML-DSA-65 (FIPS 204), over the statement's exact bytes and its context
//! string, or over the root of a batch that has the statement in it. Only then the bytes are parsed, and the rules of
//! the statement's kind asked. Nothing here reads a clock or asks whether a statement is welcome; it answers one
//! question, whose statement this is.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::{self, Root};
use crate::id::{Digest, OrgId};
use crate::json::{self, Budget, JsonFault};
use crate::keys::{ED25519_SIGNATURE, ML_DSA_65_SIGNATURE, PublicKeys, SigningKeys};
use crate::signed::{self, Signatures, Signed};

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
    /// Whether many of them may share their signatures; see [`crate::batch`].
    const BATCHED: bool = false;

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
    /// The signer's card was revoked, and no later one is held.
    #[error("the card of `{0}` was revoked: nothing new of theirs is taken in before a new card is imported and its fingerprint compared")]
    Revoked(OrgId),
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
            Self::Revoked(_) => "card-revoked",
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

    /// The keys that those on the card of `org` followed in good order, newest first: what they signed still holds.
    fn former(&self, _: &OrgId) -> &[PublicKeys] {
        &[]
    }

    /// Whether the card of `org` was revoked, so that nothing new is taken for theirs. What only knows keys knows of none.
    fn revoked(&self, _: &OrgId) -> bool {
        false
    }
}

/// A directory of one.
impl KeyDirectory for (&OrgId, &PublicKeys) {
    fn keys(&self, org: &OrgId) -> Option<&PublicKeys> {
        (org == self.0).then_some(self.1)
    }
}

/// Verifies messages against one directory, and remembers the batches whose signatures held: what comes with the same
/// root and the same signatures by the same signer is then only proven to be in that batch.
#[derive(Debug)]
pub struct Verifier<'d, D: ?Sized> {
    directory: &'d D,
    proven: Vec<Proven>,
}

/// A batch whose signatures held.
#[derive(Debug, PartialEq, Eq)]
struct Proven {
    root: Root,
    context: &'static str,
    signer: OrgId,
    ed25519: [u8; ED25519_SIGNATURE],
    ml_dsa_65: Arc<[u8; ML_DSA_65_SIGNATURE]>,
}

impl<'d, D: KeyDirectory + ?Sized> Verifier<'d, D> {
    /// A verifier that has not verified anything.
    #[must_use]
    pub const fn new(directory: &'d D) -> Self {
        Self { directory, proven: Vec::new() }
    }

    /// The directory it verifies against.
    #[must_use]
    pub const fn directory(&self) -> &'d D {
        self.directory
    }

    /// Reads a signed message and verifies it against the signer's pinned keys.
    ///
    /// # Errors
    /// See [`Reject`]; nothing of the message may be used then.
    pub fn verify<T: Statement>(&mut self, bytes: &[u8]) -> Result<Verified<T>, Reject> {
        self.verify_parsed(Signed::parse(bytes)?)
    }

    /// The one constructor of [`Verified`]: both signatures hold, and the statement is well formed and the signer's to make.
    ///
    /// # Errors
    /// See [`Reject`].
    pub fn verify_parsed<T: Statement>(&mut self, signed: Signed) -> Result<Verified<T>, Reject> {
        let digest = signed.digest();
        self.check_signatures::<T>(&signed, &digest)?;
        let json::Object(value) = json::parse::<json::Object<T>>(signed.payload(), &T::BUDGET)?;
        ensure(is_written_so(&value, signed.payload()), "statement", "is the same JSON value that its kind is written as")?;
        value.check()?;
        if !value.may_be_signed_by(signed.signer()) {
            return Err(Reject::NotTheirs(signed.signer().clone()));
        }
        Ok(Verified { value, digest, signed })
    }

    fn check_signatures<T: Statement>(&mut self, signed: &Signed, digest: &Digest) -> Result<(), Reject> {
        let signer = signed.signer();
        let keys = self.directory.keys(signer).ok_or_else(|| Reject::UnknownSigner(signer.clone()))?;
        if self.directory.revoked(signer) {
            return Err(Reject::Revoked(signer.clone()));
        }
        let former = self.directory.former(signer);
        let Some(inclusion) = &signed.signatures().inclusion else {
            return hold_under_any(keys, former, signed.signatures(), signer, T::CONTEXT, signed.payload());
        };
        if !T::BATCHED {
            return Err(Reject::Encoding("its kind is not signed in batches"));
        }
        let root = inclusion.root(digest).ok_or(Reject::Encoding("its proof of inclusion leads nowhere"))?;
        let Signatures { ed25519, ml_dsa_65, .. } = signed.signatures();
        let batch = Proven { root, context: T::CONTEXT, signer: signer.clone(), ed25519: *ed25519, ml_dsa_65: Arc::clone(ml_dsa_65) };
        if !self.proven.contains(&batch) {
            hold_under_any(keys, former, signed.signatures(), signer, &batch::context(T::CONTEXT), &root.to_bytes())?;
            self.proven.push(batch);
        }
        Ok(())
    }
}

/// Whether both signatures of `signer` hold under one and the same of its keys; the fault is that under those on its card.
fn hold_under_any(keys: &PublicKeys, former: &[PublicKeys], signatures: &Signatures, signer: &OrgId, context: &str, payload: &[u8]) -> Result<(), Reject> {
    hold(keys, signatures, signer, context, payload)
        .or_else(|fault| former.iter().find_map(|keys| hold(keys, signatures, signer, context, payload).ok()).ok_or(fault))
}

/// Whether both signatures of `signer` hold over `payload` in this context.
fn hold(keys: &PublicKeys, signatures: &Signatures, signer: &OrgId, context: &str, payload: &[u8]) -> Result<(), Reject> {
    let (first, second) = signed::to_be_signed(signer, context, payload);
    let fault = |algorithm| Reject::Signature { signer: signer.clone(), algorithm };
    keys.verify_ed25519(&first, &signatures.ed25519).map_err(|_| fault("Ed25519"))?;
    keys.verify_ml_dsa_65(&second, signatures.ml_dsa_65.as_slice()).map_err(|_| fault("ML-DSA-65"))
}

/// Whether `payload` is, as a JSON value, what `value` is written as. Derived readers take more than that: an array for
/// an inner object, `null` for an absent member, a set in any order. A reader of another make would refuse those.
fn is_written_so<T: Statement>(value: &T, payload: &[u8]) -> bool {
    let said = serde_json::from_slice::<serde_json::Value>(payload).ok();
    said.is_some() && said == serde_json::to_value(value).ok()
}

/// A statement whose both signatures held over its exact bytes, and which was its signer's to make.
///
/// There is one way to have one: a [`Verifier`]. It cannot be deserialised, edited or put together by hand.
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
        self.signed.signer()
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

/// Reads one signed message and verifies it against the signer's pinned keys. Of many, a [`Verifier`] is quicker.
///
/// # Errors
/// See [`Reject`]; nothing of the message may be used then.
pub fn verify<T: Statement>(bytes: &[u8], directory: &impl KeyDirectory) -> Result<Verified<T>, Reject> {
    Verifier::new(directory).verify(bytes)
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
    Verifier::new(&(keys.org(), keys.public())).verify_parsed(signed)
}
