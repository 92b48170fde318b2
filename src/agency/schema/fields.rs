//! The fields a schema reads from an extract: what each means, which headers it goes by.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a field of an extract means; the normaliser treats each kind in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// The agency's own id of the record; becomes the record ref.
    LocalId,
    /// Main given name or names.
    GivenName,
    /// Middle names.
    MiddleName,
    /// Preferred or known-as given name.
    KnownAsName,
    /// Main family name.
    FamilyName,
    /// Alias or former family name (AKA).
    AliasName,
    /// Given and family name in one column.
    FullName,
    /// Date of birth, in the format the column map states.
    DateOfBirth,
    /// Whether the date of birth is an estimate.
    DateEstimated,
    /// Sex.
    Sex,
    /// UK postcode.
    Postcode,
    /// A line of an address; several columns are joined in order.
    Address,
    /// NHS number.
    NhsNumber,
    /// Unique pupil number.
    Upn,
    /// Any other text, kept under the field's name.
    Text,
    /// Payload: kind of record.
    RecordType,
    /// Payload: statistical area code.
    AreaCode,
    /// Payload: age band.
    AgeBand,
    /// Payload: month last active.
    LastSeen,
    /// Payload: month of erasure.
    Expiry,
    /// Payload: who may learn of the record.
    Visibility,
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One field of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldSpec {
    /// Its name in messages and in `Person::texts`: lower case, digits, `_` or `-`.
    pub name: String,
    /// What it means.
    pub kind: FieldKind,
    /// Headers it goes by, compared without case, spaces, `_`, `-`, `.` and `/`. The name is one of them.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Whether an extract without it is refused.
    #[serde(default)]
    pub required: bool,
}
