//! A point in time as both rooms write it: RFC 3339 in UTC, to the millisecond.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Milliseconds since 1970 in UTC; as text `2026-03-01T09:30:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcTime(i64);

/// The text is not an RFC 3339 time, or the time is outside the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time must be RFC 3339 in UTC, for example 2026-03-01T09:30:00.000Z")]
pub struct TimeError;

impl UtcTime {
    /// The start of 1970.
    pub const EPOCH: Self = Self(0);

    /// A time from milliseconds since 1970.
    ///
    /// # Errors
    /// [`TimeError`] outside years -9999 to 9999.
    pub fn from_millis(millis: i64) -> Result<Self, TimeError> {
        jiff::Timestamp::from_millisecond(millis).map(|_| Self(millis)).map_err(|_| TimeError)
    }
    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }
    /// This time `hours` later, or the latest time there is.
    #[must_use]
    pub fn plus_hours(self, hours: u32) -> Self {
        Self::from_millis(self.0.saturating_add(i64::from(hours) * 3_600_000)).unwrap_or(self)
    }
    /// Year and month as `year * 100 + month`, as [`super::Month`] counts them.
    #[must_use]
    pub fn month_number(self) -> u32 {
        let text = self.to_string();
        text.get(..4).and_then(|y| y.parse::<u32>().ok()).unwrap_or(0) * 100
            + text.get(5..7).and_then(|m| m.parse::<u32>().ok()).unwrap_or(0)
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Within the calendar by construction, so never the fallback.
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{time:.3}")
    }
}
impl FromStr for UtcTime {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        if text.len() > 40 {
            return Err(TimeError);
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| TimeError)?;
        Self::from_millis(time.as_millisecond())
    }
}
impl TryFrom<String> for UtcTime {
    type Error = TimeError;
    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}
impl From<UtcTime> for String {
    fn from(time: UtcTime) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_rfc_3339() {
        let time = UtcTime::from_millis(1_772_357_400_007).unwrap();
        assert_eq!(time.to_string(), "2026-03-01T09:30:00.007Z");
        assert_eq!("2026-03-01T09:30:00.007Z".parse::<UtcTime>().unwrap(), time);
        assert_eq!(time.month_number(), 202_603);
        assert!(UtcTime::from_millis(i64::MAX).is_err());
        for bad in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-03-01"] {
            assert!(bad.parse::<UtcTime>().is_err(), "{bad:?}");
        }
    }
}
