//! Bits of the presence mask: which evidence a record has, and what the normaliser noticed.

/// A given name is present.
pub const GIVEN: u32 = 1;
/// A family name is present.
pub const FAMILY: u32 = 1 << 1;
/// A date of birth is present.
pub const DATE: u32 = 1 << 2;
/// A sex is present.
pub const SEX: u32 = 1 << 3;
/// A postcode or an address is present.
pub const PLACE: u32 = 1 << 4;
/// Bits below this one say what is present, bits from here on what was noticed.
pub const ATTRIBUTES_MAX: u8 = 16;
/// The date of birth is a default (01-01, 1900) or said to be estimated.
pub const DEFAULT_DATE: u32 = 1 << 16;
/// A name was a placeholder (Baby, Unknown, Twin 1) and counts as missing.
pub const PLACEHOLDER_NAME: u32 = 1 << 17;
/// Every bit that has a meaning; a mask with another bit set is refused.
pub const ALL: u32 = GIVEN | FAMILY | DATE | SEX | PLACE | DEFAULT_DATE | PLACEHOLDER_NAME;
