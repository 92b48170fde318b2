//! Why somebody decided something: a code, never free text, so that no name can stand in it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! why {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)+) => {
        /// A reason as a code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Why { $($(#[$doc])* $name),+ }

        impl Why {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }
            /// The code in words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

why! {
    /// Spoken to the other agency.
    SpokeToAgency = "spoke_to_agency", "spoke to the other agency";
    /// Documents were seen.
    DocumentsSeen = "documents_seen", "documents were seen";
    /// The family is known to the agency.
    FamilyKnown = "family_known", "the family is known to us";
    /// Two children of one birth.
    Twins = "twins", "twins";
    /// Two children of one household.
    Siblings = "siblings", "siblings or same household";
    /// One of the records is wrong.
    DataError = "data_error", "an error in a record";
    /// Too little is known to say.
    NotEnoughKnown = "not_enough_known", "not enough is known";
    /// An earlier decision was wrong.
    DecidedWrongly = "decided_wrongly", "an earlier decision was wrong";
    /// The child was adopted.
    Adoption = "adoption", "adoption";
    /// A court ordered it.
    CourtOrder = "court_order", "a court order";
    /// The child is in danger of somebody.
    DomesticAbuse = "domestic_abuse", "domestic abuse";
    /// The child or family is under protection.
    WitnessProtection = "witness_protection", "protected person";
    /// A sensitive service.
    SensitiveService = "sensitive_service", "a sensitive service";
    /// The family agreed.
    ConsentGiven = "consent_given", "consent was given";
    /// The family no longer agrees.
    ConsentWithdrawn = "consent_withdrawn", "consent was withdrawn";
    /// Life or limb is in danger.
    RiskToLife = "risk_to_life", "risk to life";
    /// The ground no longer holds.
    RiskEnded = "risk_ended", "the risk has ended";
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl FromStr for Why {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|why| why.code() == text).copied();
        found.ok_or_else(|| {
            let codes: Vec<&str> = Self::ALL.iter().map(|why| why.code()).collect();
            format!("a reason is one of {}", codes.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_json_says() {
        for why in Why::ALL {
            assert_eq!(serde_json::to_string(why).unwrap(), format!("\"{}\"", why.code()));
            assert_eq!(why.code().parse::<Why>(), Ok(*why));
        }
        assert!("because Jane said so".parse::<Why>().is_err());
    }
}
