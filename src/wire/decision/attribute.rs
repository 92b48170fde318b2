//! What two records say about one attribute, in a word: all that a reviewer is told of a similarity.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How well one attribute of two records agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeBand {
    /// The encodings are equal.
    Exact,
    /// Alike: spelt or written a little differently.
    Near,
    /// Not alike.
    Differs,
    /// Missing on either side, or never compared.
    Missing,
}

impl AttributeBand {
    /// The word as people read it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Near => "near",
            Self::Differs => "differs",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for AttributeBand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
