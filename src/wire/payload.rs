//! The few plain values an agreement may let travel with an encoding. Nothing else may.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An allow-listed payload column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadColumn {
    /// Kind of record at the agency (for example `child-protection-plan`).
    RecordType,
    /// Statistical area code.
    AreaCode,
    /// Age band (for example `5-9`).
    AgeBand,
    /// Month the record was last active.
    LastSeen,
    /// Month after which the record must be erased.
    Expiry,
    /// Who may learn of the record.
    Visibility,
}

/// One record's payload; a value whose column the layout does not list must be `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Payload {
    /// See [`PayloadColumn::RecordType`].
    pub record_type: Option<ShortText>,
    /// See [`PayloadColumn::AreaCode`].
    pub area_code: Option<ShortText>,
    /// See [`PayloadColumn::AgeBand`].
    pub age_band: Option<ShortText>,
    /// See [`PayloadColumn::LastSeen`].
    pub last_seen: Option<Month>,
    /// See [`PayloadColumn::Expiry`].
    pub expiry: Option<Month>,
    /// See [`PayloadColumn::Visibility`].
    pub visibility: Option<Visibility>,
}

/// Who may learn that a record exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Answers name the agency and its contact point.
    Open,
    /// Answers say "contact the broker".
    Brokered,
    /// Answers are those of an unknown child.
    Hidden,
}

/// 1 to 24 characters of `A-Z a-z 0-9 - + _`: too short and too plain for a name and an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortText {
    bytes: [u8; Self::LEN_MAX],
    len: u8,
}

impl ShortText {
    /// Longest text in bytes.
    pub const LEN_MAX: usize = 24;
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // ASCII by construction, so this is never the empty fallback.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// Why a payload value is refused; the value itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not a [`ShortText`].
    #[error("must be 1 to 24 characters of letters, digits, '-', '+' and '_'")]
    Text,
    /// Not a [`Month`].
    #[error("must be a month, YYYY-MM, from 1900-01 to 2199-12")]
    Month,
    /// Not a [`Visibility`].
    #[error("must be 0 (open), 1 (brokered) or 2 (hidden)")]
    Visibility,
}

impl FromStr for ShortText {
    type Err = PayloadError;
    fn from_str(text: &str) -> Result<Self, PayloadError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'_');
        if text.is_empty() || text.len() > Self::LEN_MAX || !text.bytes().all(plain) {
            return Err(PayloadError::Text);
        }
        let mut bytes = [0; Self::LEN_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).map_err(|_| PayloadError::Text)?;
        Ok(Self { bytes, len })
    }
}
impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShortText({})", self.as_str())
    }
}

/// A calendar month, stored as `year * 100 + month`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Month(u32);

impl TryFrom<u32> for Month {
    type Error = PayloadError;
    fn try_from(number: u32) -> Result<Self, PayloadError> {
        let (year, month) = (number / 100, number % 100);
        if (1900..=2199).contains(&year) && (1..=12).contains(&month) {
            Ok(Self(number))
        } else {
            Err(PayloadError::Month)
        }
    }
}
impl From<Month> for u32 {
    fn from(month: Month) -> Self {
        month.0
    }
}
impl FromStr for Month {
    type Err = PayloadError;
    fn from_str(text: &str) -> Result<Self, PayloadError> {
        let (year, month) = text.split_once('-').ok_or(PayloadError::Month)?;
        if year.len() != 4 || month.len() != 2 {
            return Err(PayloadError::Month);
        }
        let number = |t: &str| t.parse::<u32>().map_err(|_| PayloadError::Month);
        Self::try_from(number(year)? * 100 + number(month)?)
    }
}
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 100, self.0 % 100)
    }
}
