//! How people name a record on the command line: by number, by number and version, or by id.

use std::fmt;
use std::str::FromStr;

use format::{RecordId, RecordNumber};

/// A record as it is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// The newest version of a number.
    Number(RecordNumber),
    /// One version of a number, `SAPO-2026-000123@2`.
    Version(RecordNumber, u32),
    /// Exactly these bytes.
    Id(RecordId),
}

/// A text names no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotAReference;

impl fmt::Display for NotAReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write a number such as SAPO-2026-000123, a number and version such as SAPO-2026-000123@2, or an id of 64 hexadecimal digits")
    }
}

impl std::error::Error for NotAReference {}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        match text.split_once('@') {
            Some((number, version)) => {
                let version = version.parse().ok().filter(|version| *version >= 1).ok_or(NotAReference)?;
                Ok(Self::Version(number.parse().map_err(|_| NotAReference)?, version))
            }
            None => text.parse().map(Self::Number).map_err(|_| NotAReference),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Version(number, version) => write!(f, "{number}@{version}"),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// Whether a text names a record.
pub(crate) fn is_reference(text: &str) -> bool {
    text.parse::<Reference>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_in_three_ways() {
        let id = "ab".repeat(32);
        for good in ["SAPO-2026-000123", "SAPO-2026-000123@2", id.as_str()] {
            assert_eq!(good.parse::<Reference>().map(|r| r.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "SAPO", "SAPO-2026-000123@0", "SAPO-2026-000123@", "SAPO-2026-000123@x", "ab"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
