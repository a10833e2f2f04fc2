//! Passwords: what they must be, and Argon2id over them.
//!
//! A password is seen here and nowhere else; what is kept is its hash in PHC form with a salt of its own. Hashing is
//! slow and takes memory by design, so the callers run it on threads made for that, a few at a time.

use std::fmt;

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The fewest characters.
pub const MIN_CHARS: usize = 12;
/// The most characters.
pub const MAX_CHARS: usize = 256;

/// Memory in KiB, passes and lanes.
const COST: (u32, u32, u32) = (19_456, 2, 1);
const SALT: usize = 16;
/// Bytes of hash that are kept.
const HASH: usize = 32;
/// Of the random bytes given, so many make a password: 120 bits in 20 characters.
const GENERATED: usize = 15;

/// Hash of no password, of the same cost as every other: what an unknown member's password is compared with.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FtdmVya2FuLW5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password as somebody gave it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A password is not long enough, or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has {MIN_CHARS} to {MAX_CHARS} characters")]
pub struct UnfitPassword;

/// A password could not be hashed, or a hash not read.
#[derive(Debug, thiserror::Error)]
#[error("argon2: {0}")]
pub struct HashFault(String);

impl Password {
    /// A password made from unpredictable bytes, and its text to be told once.
    #[must_use]
    pub fn generate(random: &[u8; 32]) -> (Self, String) {
        let bytes = random.get(..GENERATED).unwrap_or(random);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        (Self(text.clone()), text)
    }

    /// Checks what a new password must be.
    ///
    /// # Errors
    /// Too short or too long.
    pub fn fit(&self) -> Result<(), UnfitPassword> {
        if (MIN_CHARS..=MAX_CHARS).contains(&self.0.chars().count()) { Ok(()) } else { Err(UnfitPassword) }
    }

    /// The hash to keep, in PHC form, with a salt from unpredictable bytes. Slow.
    ///
    /// # Errors
    /// The algorithm refused.
    pub fn hash(&self, random: &[u8; 32]) -> Result<String, HashFault> {
        let fault = |e: argon2::password_hash::Error| HashFault(e.to_string());
        let salt = random.get(..SALT).unwrap_or(random);
        let hash: PasswordHash = hasher()?.hash_password_with_salt(self.0.as_bytes(), salt).map_err(fault)?;
        Ok(hash.to_string())
    }

    /// Whether the password belongs to the hash; without one, takes as long and says no. Slow.
    #[must_use]
    pub fn belongs_to(&self, hash: Option<&str>) -> bool {
        let too_long = self.0.len() > MAX_CHARS * 4;
        let checked = self.matches(hash.unwrap_or(NOBODY)).unwrap_or(false);
        checked && !too_long && hash.is_some()
    }

    fn matches(&self, hash: &str) -> Result<bool, HashFault> {
        let parsed = PasswordHash::new(hash).map_err(|e| HashFault(e.to_string()))?;
        Ok(hasher()?.verify_password(self.0.as_bytes(), &parsed).is_ok())
    }
}

fn hasher() -> Result<Argon2<'static>, HashFault> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, Some(HASH)).map_err(|e| HashFault(e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_belongs_to_its_own_hash_only() {
        let (password, text) = Password::generate(&[7; 32]);
        assert_eq!(text.len(), 20);
        assert!(password.fit().is_ok());
        let hash = password.hash(&[1; 32]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(password.belongs_to(Some(&hash)));
        assert!(!Password("another-password".into()).belongs_to(Some(&hash)));
        assert!(!password.belongs_to(None));
        assert!(!password.belongs_to(Some("")));
        assert_ne!(hash, password.hash(&[2; 32]).unwrap());
    }

    #[test]
    fn nobodys_hash_costs_the_same() {
        assert!(!Password(String::new()).belongs_to(Some(NOBODY)));
        let parsed = PasswordHash::new(NOBODY).unwrap();
        assert_eq!(Params::try_from(&parsed).unwrap(), *hasher().unwrap().params());
    }

    #[test]
    fn nothing_shows_a_password() {
        assert_eq!(format!("{:?}", Password("correct horse".into())), "Password(..)");
        assert!(Password("short".into()).fit().is_err());
        assert!(Password("x".repeat(257)).fit().is_err());
    }
}
