//! From what stands in an extract to what is compared: names, dates, sex, postcode, numbers, payload.
//!
//! May see: identifiers, one value at a time. Must not see: files, keys, the clock. No error and no
//! finding in here carries a value. Each function takes a trimmed value that is not a literal null.

pub mod dates;
pub mod names;
pub mod nhs_number;
pub mod payload;
pub mod placeholder;
pub mod postcode;
pub mod sex;
pub mod text;
pub mod titles;
pub mod upn;
