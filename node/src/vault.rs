//! The vault: content at rest, each record under a key of its own.
//!
//! A record's key encrypts its content and its attachments' pieces, and is itself kept only wrapped under the node's
//! storage key. Destroying the wrapped key destroys the content wherever copies of the ciphertext lie, in backups too.
//! Every encryption is AES-256-GCM with a fresh random nonce and is bound to what it is part of.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use format::record::Salted;
use format::{RecordNumber, Timestamp};

use crate::ports::{Entropy, StoreError};
use crate::rows::{ContentRow, ObjectName};

const NONCE: usize = 12;
const TAG: usize = 16;

/// A record's own key, unwrapped.
pub struct ContentKey(LessSafeKey);

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

/// Which part of which record a ciphertext is.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// The content.
    Content(&'a RecordNumber, u32),
    /// A piece of an attachment.
    Piece(&'a RecordNumber, u32, u32, u64),
    /// Why it was sent back.
    Return(&'a RecordNumber, u32),
}

/// Encrypts an object under a key of its own.
pub(crate) fn seal_object(secret: &[u8; 32], name: &ObjectName, bytes: &[u8], entropy: &mut dyn Entropy) -> Vec<u8> {
    encrypt(&key(secret), &object_part(name), bytes, entropy)
}

/// Decrypts what [`seal_object`] encrypted.
pub(crate) fn open_object(secret: &[u8; 32], name: &ObjectName, ciphertext: &[u8]) -> Result<Vec<u8>, StoreError> {
    decrypt(&key(secret), &object_part(name), ciphertext)
}

fn object_part(name: &ObjectName) -> Vec<u8> {
    format!("object {name}").into_bytes()
}

impl Part<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Content(number, version) => format!("content {number} {version}").into_bytes(),
            Self::Piece(number, version, attachment, index) => format!("piece {number} {version} {attachment} {index}").into_bytes(),
            Self::Return(number, version) => format!("return {number} {version}").into_bytes(),
        }
    }
}

/// Encrypts and decrypts what is kept.
#[derive(Debug)]
pub struct Vault(LessSafeKey);

fn key(bytes: &[u8; 32]) -> LessSafeKey {
    // INVARIANT: AES-256 takes any 32 bytes.
    #[expect(clippy::expect_used, reason = "AES-256 takes any key of 32 bytes, and the type is 32 bytes")]
    let unbound = UnboundKey::new(&AES_256_GCM, bytes).expect("a key of 32 bytes");
    LessSafeKey::new(unbound)
}

fn encrypt(key: &LessSafeKey, part: &[u8], plain: &[u8], entropy: &mut dyn Entropy) -> Vec<u8> {
    let mut random = [0; 32];
    entropy.fill(&mut random);
    let mut nonce = [0; NONCE];
    nonce.iter_mut().zip(random).for_each(|(to, from)| *to = from);
    let mut body = plain.to_vec();
    let mut out = Vec::with_capacity(plain.len() + NONCE + TAG);
    out.extend_from_slice(&nonce);
    // INVARIANT: sealing fails only for plaintexts of 64 GiB and more; then nothing is written and nothing decrypts.
    if key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(part), &mut body).is_ok() {
        out.append(&mut body);
    }
    out
}

fn decrypt(key: &LessSafeKey, part: &[u8], bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    let fault = |why: &str| StoreError::Corrupt { what: "ciphertext", why: why.to_owned() };
    let (nonce, body) = bytes.split_at_checked(NONCE).ok_or_else(|| fault("it is too short"))?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| fault("its nonce is not 12 bytes"))?;
    let mut body = body.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(part), &mut body).map_err(|_| fault("it does not decrypt under this node's key"))?.len();
    body.truncate(plain);
    Ok(body)
}

impl Vault {
    /// A vault under the node's storage key.
    #[must_use]
    pub fn new(storage: &[u8; 32]) -> Self {
        Self(key(storage))
    }

    /// Encrypts a new record's content under a new key, and gives both.
    pub fn seal(&self, part: Part<'_>, content: &Salted, entropy: &mut dyn Entropy) -> (ContentRow, ContentKey) {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        let content_key = ContentKey(key(&secret));
        let wrapped_key = encrypt(&self.0, b"record key", &secret, entropy);
        let ciphertext = self.seal_under(&content_key, part, content, entropy);
        (ContentRow { wrapped_key, ciphertext }, content_key)
    }

    /// Encrypts content under a key that the record already has.
    pub fn seal_under(&self, content_key: &ContentKey, part: Part<'_>, content: &Salted, entropy: &mut dyn Entropy) -> Vec<u8> {
        encrypt(&content_key.0, &part.bytes(), &[&content.salt[..], &content.bytes].concat(), entropy)
    }

    /// Unwraps a record's key.
    ///
    /// # Errors
    /// The key was not wrapped under this vault's storage key, or is damaged.
    pub fn unwrap(&self, row: &ContentRow) -> Result<ContentKey, StoreError> {
        let secret = decrypt(&self.0, b"record key", &row.wrapped_key)?;
        let secret = secret.try_into().map_err(|_| StoreError::Corrupt { what: "record key", why: "it is not 32 bytes".to_owned() })?;
        Ok(ContentKey(key(&secret)))
    }

    /// Decrypts a record's content.
    ///
    /// # Errors
    /// It does not decrypt.
    pub fn open(&self, part: Part<'_>, row: &ContentRow) -> Result<Salted, StoreError> {
        let plain = decrypt(&self.unwrap(row)?.0, &part.bytes(), &row.ciphertext)?;
        let Some((salt, bytes)) = plain.split_first_chunk::<32>() else {
            return Err(StoreError::Corrupt { what: "content", why: "it has no salt".to_owned() });
        };
        Ok(Salted { salt: *salt, bytes: bytes.to_vec() })
    }

    /// Encrypts a piece of an attachment, or another part that has no salt.
    pub fn seal_piece(&self, content_key: &ContentKey, part: Part<'_>, piece: &[u8], entropy: &mut dyn Entropy) -> Vec<u8> {
        encrypt(&content_key.0, &part.bytes(), piece, entropy)
    }

    /// Decrypts what [`Vault::seal_piece`] encrypted.
    ///
    /// # Errors
    /// It does not decrypt.
    pub fn open_piece(&self, content_key: &ContentKey, part: Part<'_>, ciphertext: &[u8]) -> Result<Vec<u8>, StoreError> {
        decrypt(&content_key.0, &part.bytes(), ciphertext)
    }
}

/// A seeded source of bytes for tests and simulation; predictable by design.
#[derive(Debug, Clone)]
pub struct SeededEntropy {
    seed: [u8; 32],
    drawn: u64,
}

impl SeededEntropy {
    /// Starts from `seed`.
    #[must_use]
    pub fn new(seed: u64, at: Timestamp) -> Self {
        let digest = format::Digest::of_parts(&[&seed.to_be_bytes(), &at.as_ms().to_be_bytes()]);
        Self { seed: *digest.as_bytes(), drawn: 0 }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, bytes: &mut [u8; 32]) {
        self.drawn += 1;
        *bytes = *format::Digest::of_parts(&[&self.seed, &self.drawn.to_be_bytes()]).as_bytes();
    }
}
