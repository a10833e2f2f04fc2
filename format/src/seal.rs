//! Seals: parcels and answers that only the recipient organisation can open.
//!
//! HPKE (RFC 9180) in base mode with X-Wing, SHAKE256 and AES-256-GCM: one encapsulation an envelope. The sender is
//! proven by the signature inside, never by the seal. Drafts of the post-quantum suites still move, so each envelope
//! names its suite and an unknown one is refused. What is sealed may be padded with zeros, so that its size tells
//! little; whoever reads it needs to know nothing of that.

pub mod stream;

use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use minicbor::{Decoder, Encoder};

use crate::id::OrgId;
use crate::keys::KeyFault;

type Kdf = hpke::kdf::KdfShake256;

/// The one suite in use: HPKE base mode, X-Wing (draft), SHAKE256, AES-256-GCM.
pub const SUITE: u64 = 1;
/// The largest envelope that is looked at, in bytes.
pub const MAX_ENVELOPE: usize = 8 * 1024 * 1024;
/// The sizes to which what is sealed is padded, in bytes; what is larger than the last keeps its size.
pub const BUCKETS: [usize; 6] = [16 << 10, 64 << 10, 256 << 10, 1 << 20, 2560 << 10, 6 << 20];
const PARCEL: &[u8] = b"samverkan/parcel/v1";
const ANSWER: &[u8] = b"samverkan/answer/v1";
const ENCAPSULATION: usize = 1120;

/// Why an envelope was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// Larger than is looked at.
    #[error("the envelope is {0} bytes; the limit is {MAX_ENVELOPE}")]
    TooLarge(usize),
    /// Not an envelope.
    #[error("the bytes are not an envelope")]
    Encoding,
    /// Sealed with a suite that is not known here.
    #[error("the envelope is sealed with suite {0}; this node knows suite {SUITE}")]
    Suite(u64),
    /// Sealed to someone else.
    #[error("the envelope is sealed to `{0}`")]
    Recipient(OrgId),
    /// The key does not open it, or it was changed on the way.
    #[error("the envelope does not open: it was changed on the way, or sealed to a key that is no longer used")]
    Open,
}

impl SealFault {
    /// Stable code for interfaces and receipts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too-large",
            Self::Encoding => "bad-encoding",
            Self::Suite(_) => "unknown-suite",
            Self::Recipient(_) => "wrong-recipient",
            Self::Open => "not-opened",
        }
    }
}

/// The public key to which parcels for an organisation are sealed.
#[derive(Clone)]
pub struct SealingKey(<XWing as Kem>::PublicKey);

impl SealingKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// The bytes are no X-Wing encapsulation key.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFault> {
        <XWing as Kem>::PublicKey::from_bytes(bytes).map(Self).map_err(|_| KeyFault("X-Wing"))
    }

    /// The key as it is written: 1216 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    /// Seals `parcel` to `to`, whose key this is.
    ///
    /// # Errors
    /// The operating system gave no randomness, or the parcel is too large.
    pub fn seal(&self, to: &OrgId, parcel: &[u8]) -> Result<Vec<u8>, SealFault> {
        self.seal_as(PARCEL, to, parcel)
    }

    /// Seals the answer to a parcel to `to`, whose key this is: for channels that carry answers without TLS. It opens as
    /// an answer and never as a parcel.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_answer(&self, to: &OrgId, answer: &[u8]) -> Result<Vec<u8>, SealFault> {
        self.seal_as(ANSWER, to, answer)
    }

    fn seal_as(&self, info: &[u8], to: &OrgId, plain: &[u8]) -> Result<Vec<u8>, SealFault> {
        let mode = OpModeS::<XWing>::Base;
        let (encapsulated, ciphertext) =
            hpke::single_shot_seal::<AesGcm256, Kdf, XWing>(&mode, &self.0, info, plain, to.as_str().as_bytes()).map_err(|_| SealFault::Open)?;
        let out = write_envelope(SUITE, to.as_str(), &encapsulated.to_bytes(), &ciphertext);
        if out.len() > MAX_ENVELOPE { Err(SealFault::TooLarge(out.len())) } else { Ok(out) }
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

/// The secret key with which an organisation opens its parcels.
pub struct OpeningKey {
    secret: <XWing as Kem>::PrivateKey,
    sealing: Vec<u8>,
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey(..)")
    }
}

impl OpeningKey {
    /// Expands a seed.
    ///
    /// # Errors
    /// The seed does not give a valid key.
    pub fn new(seed: &[u8; 32]) -> Result<Self, KeyFault> {
        let secret = <XWing as Kem>::PrivateKey::from_bytes(seed).map_err(|_| KeyFault("X-Wing"))?;
        let sealing = XWing::sk_to_pk(&secret).to_bytes().to_vec();
        Ok(Self { secret, sealing })
    }

    pub(crate) fn sealing_bytes(&self) -> &[u8] {
        &self.sealing
    }

    /// The public half.
    #[must_use]
    pub fn sealing(&self) -> SealingKey {
        SealingKey(XWing::sk_to_pk(&self.secret))
    }

    /// Opens an envelope with a parcel, sealed to `me`.
    ///
    /// # Errors
    /// See [`SealFault`].
    pub fn open(&self, me: &OrgId, envelope: &[u8]) -> Result<Vec<u8>, SealFault> {
        self.open_as(PARCEL, me, envelope)
    }

    /// Opens an envelope with an answer, sealed to `me`.
    ///
    /// # Errors
    /// See [`SealFault`].
    pub fn open_answer(&self, me: &OrgId, envelope: &[u8]) -> Result<Vec<u8>, SealFault> {
        self.open_as(ANSWER, me, envelope)
    }

    fn open_as(&self, info: &[u8], me: &OrgId, envelope: &[u8]) -> Result<Vec<u8>, SealFault> {
        if envelope.len() > MAX_ENVELOPE {
            return Err(SealFault::TooLarge(envelope.len()));
        }
        let (suite, to, encapsulated, ciphertext) = read_envelope(envelope).ok_or(SealFault::Encoding)?;
        if suite != SUITE {
            return Err(SealFault::Suite(suite));
        }
        let to: OrgId = to.parse().map_err(|_| SealFault::Encoding)?;
        if to != *me {
            return Err(SealFault::Recipient(to));
        }
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| SealFault::Encoding)?;
        let mode = OpModeR::<XWing>::Base;
        hpke::single_shot_open::<AesGcm256, Kdf, XWing>(&mode, &self.secret, &encapsulated, info, ciphertext, me.as_str().as_bytes())
            .map_err(|_| SealFault::Open)
    }
}

/// Adds zeros up to the next of the [`BUCKETS`].
pub fn pad(plain: &mut Vec<u8>) {
    if let Some(bucket) = BUCKETS.into_iter().find(|bucket| *bucket >= plain.len()) {
        plain.resize(bucket, 0);
    }
}

/// Whether what follows a parcel or an answer is padding: zeros, or nothing.
#[must_use]
pub fn is_padding(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == 0)
}

/// The organisation that an envelope says it is sealed to, before anything of it is opened.
#[must_use]
pub fn recipient(envelope: &[u8]) -> Option<OrgId> {
    let (_, to, _, _) = read_envelope(envelope.get(..MAX_ENVELOPE.min(envelope.len()))?)?;
    to.parse().ok()
}

/// The envelope without the name of its recipient, for a place where names are nobody's business.
#[must_use]
pub fn without_recipient(envelope: &[u8]) -> Option<Vec<u8>> {
    let (suite, _, encapsulated, ciphertext) = read_envelope(envelope)?;
    Some(write_unnamed(suite, encapsulated, ciphertext))
}

/// The envelope to `to` of which these bytes are without the name; nothing if they are none.
#[must_use]
pub fn with_recipient(to: &OrgId, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(bytes);
    if decoder.array().ok()? != Some(3) {
        return None;
    }
    let (suite, encapsulated, ciphertext) = (decoder.u64().ok()?, decoder.bytes().ok()?, decoder.bytes().ok()?);
    (write_unnamed(suite, encapsulated, ciphertext) == bytes).then(|| write_envelope(suite, to.as_str(), encapsulated, ciphertext))
}

fn write_unnamed(suite: u64, encapsulated: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ciphertext.len() + ENCAPSULATION + 16);
    let mut encoder = Encoder::new(&mut out);
    // INVARIANT: writing to memory does not fail.
    let _written: Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
        encoder.array(3)?.u64(suite)?.bytes(encapsulated)?.bytes(ciphertext)?;
        Ok(())
    })();
    out
}

fn read_envelope(bytes: &[u8]) -> Option<(u64, &str, &[u8], &[u8])> {
    let mut decoder = Decoder::new(bytes);
    if decoder.array().ok()? != Some(4) {
        return None;
    }
    let parts = (decoder.u64().ok()?, decoder.str().ok()?, decoder.bytes().ok()?, decoder.bytes().ok()?);
    let (suite, to, encapsulated, ciphertext) = parts;
    // An envelope has one encoding: lengths and numbers in their shortest form, and nothing after it.
    (write_envelope(suite, to, encapsulated, ciphertext) == bytes).then_some(parts)
}

fn write_envelope(suite: u64, to: &str, encapsulated: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ciphertext.len() + ENCAPSULATION + 64);
    let mut encoder = Encoder::new(&mut out);
    // INVARIANT: writing to memory does not fail.
    let _written: Result<(), minicbor::encode::Error<std::convert::Infallible>> = (|| {
        encoder.array(4)?.u64(suite)?.str(to)?.bytes(encapsulated)?.bytes(ciphertext)?;
        Ok(())
    })();
    out
}
