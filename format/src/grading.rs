//! Gradings: how reliable the source is and how sure the information, in the scheme in which it was given.
//!
//! The Admiralty scale and Europol's 4x4 are different instruments and are never turned into each other here: a
//! conversion would be a new assessment by whoever makes it. `F`, `6`, `X` mean that nobody can judge; they are not
//! the worst grade.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A grading scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Admiralty, or NATO, 6x6: source `A` to `F`, information `1` to `6`.
    Admiralty,
    /// Europol 4x4 (Regulation (EU) 2016/794 art. 29): source `A` `B` `C` `X`, information `1` to `4`.
    FourByFour,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Admiralty => "admiralty",
            Self::FourByFour => "4x4",
        }
    }

    const fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Admiralty => ("ABCDEF", "123456"),
            Self::FourByFour => ("ABCX", "1234"),
        }
    }
}

/// A grading, written `admiralty:B2` or `4x4:A1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grading {
    scheme: Scheme,
    source: char,
    information: char,
}

/// A text is not a grading in a known scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a grading: write admiralty:A1 to admiralty:F6, or 4x4: with A, B, C or X and 1 to 4")]
pub struct GradingError(String);

impl Grading {
    /// The scheme in which it was given.
    #[must_use]
    pub const fn scheme(self) -> Scheme {
        self.scheme
    }

    /// The code for the source.
    #[must_use]
    pub const fn source(self) -> char {
        self.source
    }

    /// The code for the information.
    #[must_use]
    pub const fn information(self) -> char {
        self.information
    }
}

impl FromStr for Grading {
    type Err = GradingError;

    fn from_str(text: &str) -> Result<Self, GradingError> {
        let fault = || GradingError(text.chars().take(40).collect());
        let (name, code) = text.split_once(':').ok_or_else(fault)?;
        let scheme = [Scheme::Admiralty, Scheme::FourByFour].into_iter().find(|s| s.name() == name).ok_or_else(fault)?;
        let (sources, informations) = scheme.codes();
        let mut chars = code.chars();
        match (chars.next(), chars.next(), chars.next()) {
            (Some(source), Some(information), None) if sources.contains(source) && informations.contains(information) => {
                Ok(Self { scheme, source, information })
            }
            _ => Err(fault()),
        }
    }
}

impl fmt::Display for Grading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}{}", self.scheme.name(), self.source, self.information)
    }
}

impl TryFrom<String> for Grading {
    type Error = GradingError;

    fn try_from(text: String) -> Result<Self, GradingError> {
        text.parse()
    }
}

impl From<Grading> for String {
    fn from(grading: Grading) -> Self {
        grading.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_codes_and_no_other() {
        for good in ["admiralty:A1", "admiralty:F6", "4x4:X4", "4x4:B2"] {
            assert_eq!(good.parse::<Grading>().unwrap().to_string(), good);
        }
        for bad in ["admiralty:G1", "admiralty:A7", "4x4:D1", "4x4:A5", "6x6:A1", "B2", "admiralty:b2", "4x4:A11"] {
            assert!(bad.parse::<Grading>().is_err(), "{bad}");
        }
    }
}
