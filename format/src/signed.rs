//! Signed messages: exact bytes with two signatures, as they are kept, sent and read back.
//!
//! A message is a COSE_Sign (RFC 9052) with an Ed25519 and an ML-DSA-65 signature. It has one encoding only: a parsed
//! message is written again and must give the same bytes. Nothing here verifies: that is the door's part, in
//! [`verify`](mod@crate::verify).

use std::sync::Arc;

use coset::{CoseSign, CoseSignBuilder, CoseSignature, CoseSignatureBuilder, Header, HeaderBuilder, TaggedCborSerializable, iana};

use crate::batch::{self, Inclusion, MAX_BATCH};
use crate::id::{Digest, OrgId};
use crate::keys::{ED25519_SIGNATURE, KeyFault, ML_DSA_65_SIGNATURE, SigningKeys};
use crate::verify::{Reject, Statement};

/// The largest signed message that is looked at: payload budget plus signatures and framing.
pub const MAX_SIGNED: usize = 512 * 1024;

/// What makes exact bytes an organisation's statement.
#[derive(Clone, PartialEq, Eq)]
pub struct Signatures {
    /// Ed25519.
    pub ed25519: [u8; ED25519_SIGNATURE],
    /// ML-DSA-65. Statements that were signed in one batch share it.
    pub ml_dsa_65: Arc<[u8; ML_DSA_65_SIGNATURE]>,
    /// Where the statement stands in the batch that was signed; none if it was signed by itself.
    pub inclusion: Option<Inclusion>,
}

impl std::fmt::Debug for Signatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signatures(..)")
    }
}

/// A statement with its signatures, not verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    signer: OrgId,
    payload: Vec<u8>,
    signatures: Signatures,
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
    pub fn sign<T: Statement>(payload: Vec<u8>, keys: &SigningKeys) -> Result<Self, KeyFault> {
        let (ed25519, ml_dsa_65) = sign_bytes(keys, T::CONTEXT, &payload)?;
        Ok(Self { signer: keys.org().clone(), payload, signatures: Signatures { ed25519, ml_dsa_65, inclusion: None } })
    }

    /// Signs many statements of a kind, in their order: as batches of at most [`MAX_BATCH`] where the kind allows it.
    ///
    /// # Errors
    /// The key store could not sign.
    pub fn sign_all<T: Statement>(payloads: Vec<Vec<u8>>, keys: &SigningKeys) -> Result<Vec<Self>, KeyFault> {
        if !T::BATCHED || payloads.len() == 1 {
            return payloads.into_iter().map(|payload| Self::sign::<T>(payload, keys)).collect();
        }
        let mut all = Vec::with_capacity(payloads.len());
        let mut rest = payloads.into_iter();
        loop {
            let batch: Vec<Vec<u8>> = rest.by_ref().take(MAX_BATCH).collect();
            match batch.len() {
                0 => return Ok(all),
                1 => all.extend(batch.into_iter().map(|payload| Self::sign::<T>(payload, keys)).collect::<Result<Vec<_>, _>>()?),
                _ => all.extend(Self::sign_batch::<T>(batch, keys)?),
            }
        }
    }

    fn sign_batch<T: Statement>(batch: Vec<Vec<u8>>, keys: &SigningKeys) -> Result<impl Iterator<Item = Self>, KeyFault> {
        let digests: Vec<Digest> = batch.iter().map(|payload| Digest::of(payload)).collect();
        let (root, places) = Inclusion::of_all(&digests).map_err(|_| KeyFault("batch"))?;
        let (ed25519, ml_dsa_65) = sign_bytes(keys, &batch::context(T::CONTEXT), &root.to_bytes())?;
        let signer = keys.org().clone();
        Ok(batch.into_iter().zip(places).map(move |(payload, place)| {
            let signatures = Signatures { ed25519, ml_dsa_65: Arc::clone(&ml_dsa_65), inclusion: Some(place) };
            Self { signer: signer.clone(), payload, signatures }
        }))
    }

    /// Puts together what a store kept apart.
    #[must_use]
    pub const fn from_parts(signer: OrgId, payload: Vec<u8>, signatures: Signatures) -> Self {
        Self { signer, payload, signatures }
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

    /// Its signatures.
    #[must_use]
    pub const fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// The COSE_Sign message, tagged.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let beside = self.signatures.inclusion.as_ref().map(Inclusion::to_header).unwrap_or_default();
        let mut message = unsigned(&self.signer, self.payload.clone(), beside);
        let signatures: [&[u8]; 2] = [&self.signatures.ed25519, self.signatures.ml_dsa_65.as_slice()];
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
        let signatures = Signatures {
            ed25519: first.signature.as_slice().try_into().map_err(|_| Reject::Encoding("its first signature is not 64 bytes"))?,
            ml_dsa_65: second.signature.as_slice().try_into().map(Arc::new).map_err(|_| Reject::Encoding("its second signature is not 3309 bytes"))?,
            inclusion: Inclusion::from_header(&message.unprotected),
        };
        let signed = Self { signer: signer.ok_or(Reject::Encoding("its key id is not an organisation"))?, payload, signatures };
        if signed.to_bytes() == bytes { Ok(signed) } else { Err(Reject::Encoding("it says the same in other bytes")) }
    }
}

fn unsigned(signer: &OrgId, payload: Vec<u8>, beside: Header) -> CoseSign {
    let slot = |algorithm| -> CoseSignature {
        let protected = HeaderBuilder::new().algorithm(algorithm).key_id(signer.as_str().as_bytes().to_vec()).build();
        CoseSignatureBuilder::new().protected(protected).build()
    };
    let message = CoseSignBuilder::new().unprotected(beside).payload(payload);
    message.add_signature(slot(iana::Algorithm::Ed25519)).add_signature(slot(iana::Algorithm::ML_DSA_65)).build()
}

/// What each of the two signatures of `signer` signs: the `Sig_structure` of RFC 9052 section 4.4.
pub(crate) fn to_be_signed(signer: &OrgId, context: &str, payload: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let message = unsigned(signer, payload.to_vec(), Header::default());
    let bytes = |n: usize| message.signatures.get(n).map(|slot| message.tbs_data(context.as_bytes(), slot)).unwrap_or_default();
    (bytes(0), bytes(1))
}

type Pair = ([u8; ED25519_SIGNATURE], Arc<[u8; ML_DSA_65_SIGNATURE]>);

fn sign_bytes(keys: &SigningKeys, context: &str, payload: &[u8]) -> Result<Pair, KeyFault> {
    let (first, second) = to_be_signed(keys.org(), context, payload);
    Ok((keys.sign_ed25519(&first), keys.sign_ml_dsa_65(&second)?))
}
