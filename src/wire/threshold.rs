//! Dice thresholds as rationals, so that every kernel and both rooms agree bit for bit.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A Dice threshold `num/den` in `(0, 1]`, compared in integers only.
///
/// Dice of two bit sets a, b is `2|a&b| / (|a|+|b|)`; a pair passes when
/// `2|a&b| * den >= num * (|a|+|b|)` and at least one bit is common (two empty filters are no match).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Threshold {
    num: u32,
    den: u32,
}

/// Why a text or a fraction is not a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a threshold is a decimal above 0 and at most 1, with at most 6 decimal places")]
pub struct ThresholdError;

impl Threshold {
    /// The largest denominator: six decimal places.
    pub const DEN_MAX: u32 = 1_000_000;

    /// `num/den`, refused unless `0 < num <= den <= 1_000_000`.
    ///
    /// # Errors
    /// [`ThresholdError`] outside that range.
    pub const fn new(num: u32, den: u32) -> Result<Self, ThresholdError> {
        if num == 0 || num > den || den > Self::DEN_MAX {
            return Err(ThresholdError);
        }
        Ok(Self { num, den })
    }

    /// Numerator.
    #[must_use]
    pub const fn num(self) -> u32 {
        self.num
    }

    /// Denominator.
    #[must_use]
    pub const fn den(self) -> u32 {
        self.den
    }

    /// The value in millionths, rounded down.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        (self.num as u64 * Self::DEN_MAX as u64 / self.den as u64) as u32
    }

    /// Whether a pair with `common` common bits and `total = |a|+|b|` set bits passes.
    #[must_use]
    pub const fn passes(self, common: u32, total: u32) -> bool {
        common > 0 && 2 * common as u64 * self.den as u64 >= self.num as u64 * total as u64
    }
}

impl PartialOrd for Threshold {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        let left = u64::from(self.num) * u64::from(other.den);
        Some(left.cmp(&(u64::from(other.num) * u64::from(self.den))))
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;
    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.len() > 1
            || part.len() > 6
            || !digits(whole)
            || !digits(part)
            || text.len() < 2 && text != "1"
        {
            return Err(ThresholdError);
        }
        // `0.70` is `0.7`, so that a threshold written down and read again is equal.
        let part = part.trim_end_matches('0');
        let den = 10u32.pow(u32::try_from(part.len()).map_err(|_| ThresholdError)?);
        let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| ThresholdError)? };
        let part: u32 = if part.is_empty() { 0 } else { part.parse().map_err(|_| ThresholdError)? };
        Self::new(whole * den + part, den)
    }
}
impl TryFrom<String> for Threshold {
    type Error = ThresholdError;
    fn try_from(text: String) -> Result<Self, ThresholdError> {
        text.parse()
    }
}
impl From<Threshold> for String {
    fn from(threshold: Threshold) -> Self {
        threshold.to_string()
    }
}
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millionths = self.millionths();
        let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_decimals_exactly() {
        let t: Threshold = "0.85".parse().unwrap();
        assert_eq!((t.num(), t.den()), (85, 100));
        assert_eq!(t.to_string(), "0.85");
        assert_eq!("0.70".parse::<Threshold>().unwrap(), "0.7".parse().unwrap());
        assert_eq!("1".parse::<Threshold>().unwrap().to_string(), "1");
        assert_eq!(".5".parse::<Threshold>().unwrap().num(), 5);
        for bad in ["0", "0.0", "1.1", "-0.5", "nan", "", ".", "0.1234567", "0,8", "1e-1"] {
            assert!(bad.parse::<Threshold>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn exactly_at_the_threshold_passes() {
        let t: Threshold = "0.8".parse().unwrap();
        assert!(t.passes(400, 1000));
        assert!(!t.passes(399, 1000));
        assert!(!t.passes(0, 0));
    }

    #[test]
    fn orders_by_value_not_by_form() {
        assert!("0.80".parse::<Threshold>().unwrap() < "0.801".parse::<Threshold>().unwrap());
    }
}
