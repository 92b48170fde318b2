//! The few plain values that may travel with an encoding, read from columns or constants.
//!
//! May see: one value. Must not see: files, keys. What a payload may be is decided in `wire`.

use crate::wire::{Month, PayloadError, ShortText, Visibility};

/// Reads a kind of record or an area code.
///
/// # Errors
/// [`PayloadError::Text`] unless it is 1 to 24 plain characters; a space becomes `-`.
pub fn short_text(value: &str) -> Result<ShortText, PayloadError> {
    if value.contains(' ') { value.replace(' ', "-").parse() } else { value.parse() }
}

/// Reads a month from `YYYY-MM`; a full date is cut to its month by the caller.
///
/// # Errors
/// [`PayloadError::Month`] when it is none.
pub fn month(value: &str) -> Result<Month, PayloadError> {
    value.parse()
}

/// Reads a visibility: `open`, `brokered` or `hidden`, whatever its case. Anything else is no
/// visibility; the caller must not fall back to `open` (a shielded record would be shown).
#[must_use]
pub fn visibility(value: &str) -> Option<Visibility> {
    let words =
        [("open", Visibility::Open), ("brokered", Visibility::Brokered), ("hidden", Visibility::Hidden)];
    words.iter().find(|(word, _)| value.eq_ignore_ascii_case(word)).map(|&(_, visibility)| visibility)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_values_pass() {
        assert_eq!(short_text("CP PLAN").unwrap().as_str(), "CP-PLAN");
        assert!(short_text("Katherine O'Connor").is_err());
        assert!(short_text("").is_err());
        assert_eq!(u32::from(month("2026-03").unwrap()), 202_603);
        assert!(month("03/2026").is_err());
        assert_eq!(visibility("Hidden"), Some(Visibility::Hidden));
        assert_eq!(visibility("secret"), None);
    }
}
