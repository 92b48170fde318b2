//! A generated child as it truly is.
//!
//! May see: days. Invented, yet treated like an identifier: `Debug` shows no value.

use super::Day;
use std::fmt;

/// Sex of a generated child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
}

/// One child of the true population, with its present identity.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Id of the child in the truth.
    pub entity_id: String,
    /// Id of its family in the truth.
    pub family_id: String,
    /// Whether it is one of twins.
    pub twin: bool,
    /// Name origin group of the family.
    pub origin: &'static str,
    /// Sex.
    pub sex: Sex,
    /// Given name.
    pub given: String,
    /// Middle name.
    pub middle: Option<String>,
    /// The short form by which it goes, where it has one.
    pub known_as: Option<String>,
    /// Family name; may be double-barrelled.
    pub family: String,
    /// Date of birth.
    pub birth: Day,
    /// House and street.
    pub street: String,
    /// Postcode, with its space.
    pub postcode: String,
    /// NHS number of the test range 999; none when the range (900,000 numbers) is used up.
    pub nhs_number: Option<String>,
    /// Unique pupil number, whether or not the child is of school age.
    pub upn: String,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person")
            .field("origin", &self.origin)
            .field("twin", &self.twin)
            .finish_non_exhaustive()
    }
}
