//! Identifiers: what names an organisation, an agreement, a record.
//!
//! Each is a type of its own, so that one can't be passed for another, and each checks its grammar when it is made:
//! a value that exists is well formed. They order by their bytes, which keeps every list stable.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An identifier did not follow its grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {what}: {rule}")]
pub struct IdError {
    given: String,
    what: &'static str,
    rule: &'static str,
}

impl IdError {
    fn new(given: &str, what: &'static str, rule: &'static str) -> Self {
        Self { given: given.chars().filter(|c| !c.is_control()).take(60).collect(), what, rule }
    }
}

const TOKEN_RULE: &str = "2 to 40 of a-z, 0-9 and -, starting with a letter, not ending with -";

fn is_token(text: &str) -> bool {
    (2..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
}

/// Implements the shared face of a textual identifier: parsing, display and serde through its grammar.
macro_rules! textual {
    ($name:ident, $what:literal, $rule:expr, $check:expr) => {
        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if $check(text) { Ok(Self(text.to_owned())) } else { Err(IdError::new(text, $what, $rule)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// An organisation, for example `se-sapo`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrgId(String);
textual!(OrgId, "an organisation id", TOKEN_RULE, is_token);

/// An agreement, for example `ctg`; all its versions share the id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgreementId(String);
textual!(AgreementId, "an agreement id", TOKEN_RULE, is_token);

/// What information is processed for, a word from the agreement's own list, for example `counter-terrorism`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Purpose(String);
textual!(Purpose, "a purpose", TOKEN_RULE, is_token);

/// The provision that permits a processing, as the parties cite it, for example `2019:1182 2:4`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LegalBasis(String);
textual!(LegalBasis, "a legal basis", "2 to 60 letters, digits, spaces and -:./()", |text: &str| {
    (2..=60).contains(&text.chars().count()) && text.chars().all(|c| c.is_alphanumeric() || " -:./()".contains(c)) && text.trim() == text
});

/// The prefix of an organisation's record numbers, for example `SAPO`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShortName(String);
textual!(ShortName, "a short name", "2 to 12 of A-Z and 0-9", |text: &str| {
    (2..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
});

/// The number by which people speak of a record: `SAPO-2026-000123`. A corrected record keeps its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordNumber(String);
textual!(RecordNumber, "a record number", "SHORT-YEAR-SERIAL with at least six digits of serial", |text: &str| {
    let mut parts = text.split('-');
    let (Some(short), Some(year), Some(serial), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    ShortName::from_str(short).is_ok() && year.len() == 4 && digits(year) && (6..=12).contains(&serial.len()) && digits(serial)
});

impl RecordNumber {
    /// The number with `serial` in the series of `short` for `year`.
    #[must_use]
    pub fn new(short: &ShortName, year: i16, serial: u64) -> Self {
        Self(format!("{short}-{year:04}-{serial:06}"))
    }

    /// The year and the serial in it.
    #[must_use]
    pub fn place(&self) -> (i16, u64) {
        let mut parts = self.0.rsplit('-');
        // INVARIANT: both are digits, by the grammar.
        let serial = parts.next().and_then(|serial| serial.parse().ok()).unwrap_or_default();
        (parts.next().and_then(|year| year.parse().ok()).unwrap_or_default(), serial)
    }
}

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_parts(&[bytes])
    }

    /// The SHA-256 of the parts, one after the other.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for part in parts {
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        Self(out)
    }

    /// The digest's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hexadecimal digits, enough for people to tell two apart on one screen.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = IdError;

    fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
        bytes.try_into().map(Self).map_err(|_| IdError::new("", "a digest", "32 bytes"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fault = || IdError::new(text, "a digest", "64 of 0-9 and a-f");
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(fault());
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return Err(fault()),
                };
                *byte = (*byte << 4) | value;
            }
        }
        Ok(Self(out))
    }
}

impl TryFrom<String> for Digest {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// A record: the SHA-256 of its signed header bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub Digest);

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RecordId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_follow_their_grammar() {
        for good in ["se-sapo", "ctg", "a1", &"a".repeat(40)] {
            assert!(good.parse::<OrgId>().is_ok(), "{good}");
        }
        for bad in ["", "a", "1ab", "Se-sapo", "se_sapo", "se-", "se sapo", "så", &"a".repeat(41)] {
            assert!(bad.parse::<OrgId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_follow_their_grammar() {
        let short: ShortName = "SAPO".parse().unwrap();
        assert_eq!(RecordNumber::new(&short, 2026, 123).as_str(), "SAPO-2026-000123");
        for bad in ["SAPO-2026-123", "sapo-2026-000123", "SAPO-26-000123", "SAPO-2026-000123-1", "SAPO2026000123"] {
            assert!(bad.parse::<RecordNumber>().is_err(), "{bad}");
        }
    }

    #[test]
    fn digests_round_trip_and_refuse_other_spellings() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!(digest.to_string().to_uppercase().parse::<Digest>().is_err());
    }
}
