//! What can happen to a child or to one of its records.
//!
//! May see: nothing.

use std::fmt;

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// What happened to a record: life events of the child that it shows, and mistakes made in it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Event { $($(#[$doc])* $variant),* }

        impl Event {
            /// All of them, in the order in which a truth row names them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As in the truth's column `events`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

events! {
    /// The address after the family moved.
    Moved = "moved",
    /// The identity after adoption: new family name, home, NHS number, UPN.
    Adopted = "adopted",
    /// The family name of before a change.
    SurnameChange = "surname_change",
    /// A foster home's address.
    InCare = "in_care",
    /// A second record of the child in the agency.
    Duplicate = "duplicate",
    /// The short form stands as the forename.
    Nickname = "nickname",
    /// Another spelling of a name.
    Variant = "variant",
    /// Another romanisation of a name.
    Translit = "translit",
    /// Half of a double-barrelled family name.
    DoubleBarrelCut = "double_barrel_cut",
    /// The middle name stands as the forename.
    MiddleAsFirst = "middle_as_first",
    /// Given and family name in each other's place.
    SwappedNames = "swapped_names",
    /// A placeholder instead of a given name.
    Placeholder = "placeholder",
    /// A slip of the keyboard in the given name.
    TypoFirst = "typo_first",
    /// A slip of the keyboard in the family name.
    TypoLast = "typo_last",
    /// The given name as heard.
    PhoFirst = "pho_first",
    /// The family name as heard.
    PhoLast = "pho_last",
    /// The given name as misread by a scanner.
    OcrFirst = "ocr_first",
    /// The family name as misread by a scanner.
    OcrLast = "ocr_last",
    /// Day and month in each other's place.
    DobSwap = "dob_swap",
    /// One part of the date wrong.
    DobError = "dob_error",
    /// A default date: 1 January of the year, or of 1900.
    DobDefault = "dob_default",
    /// No date.
    DobMissing = "dob_missing",
    /// No sex.
    SexMissing = "sex_missing",
    /// A wrong letter or digit in the postcode.
    PostcodeError = "postcode_error",
    /// Neither address nor postcode.
    AddressMissing = "address_missing",
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
