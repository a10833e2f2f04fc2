//! Points in time, as they are written in signed bytes and compared in decisions.
//!
//! A [`Timestamp`] is milliseconds since the Unix epoch. It reads no clock: the time is always given by whoever runs
//! the node. On the wire it has one spelling only, RFC 3339 in UTC with three decimals, so that equal times are equal
//! bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in time, to the millisecond, between 1900-01-01 and 9999-12-30T22:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// A text is not a time in the one accepted spelling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time like 2026-11-22T08:30:00.000Z")]
pub struct TimeError(String);

const MIN_MS: i64 = -2_208_988_800_000;
const MAX_MS: i64 = 253_402_207_200_000;
/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

impl Timestamp {
    /// The time `ms` milliseconds after the Unix epoch, held within the years 1900 to 9999.
    #[must_use]
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(MIN_MS, MAX_MS))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// This time moved by `ms` milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self::from_ms(self.0.saturating_add(ms))
    }

    /// This time moved by whole days of 24 hours.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        self.plus_ms(i64::from(days).saturating_mul(DAY_MS))
    }

    /// The calendar year in UTC.
    #[must_use]
    pub fn year(self) -> i16 {
        self.zoned().year()
    }

    /// Midnight UTC at the start of `date`, written `2026-11-22`.
    ///
    /// # Errors
    /// The text is not a calendar date.
    pub fn from_date(date: &str) -> Result<Self, TimeError> {
        let fault = || TimeError(date.chars().take(40).collect());
        let day: jiff::civil::Date = date.parse().map_err(|_| fault())?;
        let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| fault())?;
        Ok(Self::from_ms(start.timestamp().as_millisecond()))
    }

    fn zoned(self) -> jiff::Zoned {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.zoned().strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let parsed: Option<jiff::Timestamp> = text.parse().ok();
        parsed.map(|t| Self::from_ms(t.as_millisecond())).filter(|t| t.to_string() == text).ok_or_else(|| TimeError(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimeError;

    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        let time: Timestamp = "2026-11-22T08:30:00.000Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-22T08:30:00.000Z");
        assert_eq!(time.year(), 2026);
        for other in ["2026-11-22T08:30:00Z", "2026-11-22T09:30:00.000+01:00", "2026-11-22 08:30:00.000Z", "now", ""] {
            assert!(other.parse::<Timestamp>().is_err(), "{other}");
        }
    }

    #[test]
    fn arithmetic_stays_in_range() {
        let end = Timestamp::from_ms(i64::MAX);
        assert_eq!(end.plus_days(u32::MAX), end);
        assert_eq!(end.to_string().parse::<Timestamp>().unwrap(), end);
        assert_eq!(Timestamp::from_date("2024-02-29").unwrap().to_string(), "2024-02-29T00:00:00.000Z");
        assert!(Timestamp::from_date("2023-02-29").is_err());
    }
}
