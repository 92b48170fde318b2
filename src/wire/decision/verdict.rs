//! What a decision says about a pair: score, band, reasons. Integers only.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A similarity in millionths, 0 to 1: a Dice coefficient rounded down, so that comparing it with a
/// decimal of at most six places is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Similarity(u32);

/// Why a text is not a similarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a similarity is a decimal from 0 to 1 with at most 6 decimal places, in quotes")]
pub struct SimilarityError;

impl Similarity {
    /// Nothing in common.
    pub const ZERO: Self = Self(0);
    /// Equal.
    pub const ONE: Self = Self(1_000_000);

    /// `millionths / 1_000_000`.
    ///
    /// # Errors
    /// [`SimilarityError`] above 1,000,000.
    pub const fn from_millionths(millionths: u32) -> Result<Self, SimilarityError> {
        if millionths > 1_000_000 { Err(SimilarityError) } else { Ok(Self(millionths)) }
    }

    /// Dice of two bit sets with `common` common bits and `total = |a|+|b|`; 0 when both are empty.
    #[must_use]
    pub const fn dice(common: u32, total: u32) -> Self {
        if total == 0 {
            return Self::ZERO;
        }
        let millionths = 2_000_000 * common as u64 / total as u64;
        Self(if millionths > 1_000_000 { 1_000_000 } else { millionths as u32 })
    }

    /// The value in millionths.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// `offset + slope * self`, rounded down, at most 1.
    #[must_use]
    pub const fn mapped(self, offset: Self, slope: Self) -> Self {
        let value = offset.0 as u64 + slope.0 as u64 * self.0 as u64 / 1_000_000;
        Self(if value > 1_000_000 { 1_000_000 } else { value as u32 })
    }
}

impl FromStr for Similarity {
    type Err = SimilarityError;
    fn from_str(text: &str) -> Result<Self, SimilarityError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !matches!(whole, "0" | "1" | "")
            || part.len() > 6
            || !digits(part)
            || text.is_empty()
            || text == "."
        {
            return Err(SimilarityError);
        }
        let whole = u32::from(whole == "1");
        let part: u32 = format!("{part:0<6}").parse().map_err(|_| SimilarityError)?;
        Self::from_millionths(whole * 1_000_000 + part)
    }
}
impl TryFrom<String> for Similarity {
    type Error = SimilarityError;
    fn try_from(text: String) -> Result<Self, SimilarityError> {
        text.parse()
    }
}
impl From<Similarity> for String {
    fn from(similarity: Similarity) -> Self {
        similarity.to_string()
    }
}
impl fmt::Display for Similarity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The score of a pair. All scores of one run are of one kind.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Score {
    /// Dice `2 * common / total` of one composite filter.
    Dice {
        /// Common set bits.
        common: u32,
        /// Set bits of both, added.
        total: u32,
    },
    /// Sum of evidence weights, in hundredths of a bit (log2 of the likelihood ratio).
    Evidence {
        /// The sum.
        centibits: i32,
    },
}

impl Score {
    /// A number that orders scores of one kind exactly as their values do: for Dice 2^32 times the
    /// fraction, rounded down (fractions with totals up to 32,768 differ by at least 2^-30).
    #[must_use]
    pub const fn key(self) -> i64 {
        match self {
            Self::Dice { total: 0, .. } => 0,
            Self::Dice { common, total } => (((2 * common as u64) << 32) / total as u64) as i64,
            Self::Evidence { centibits } => centibits as i64,
        }
    }

    /// The score in millionths (Dice, rounded down) or hundredths of a bit, for people and files.
    #[must_use]
    pub const fn rounded(self) -> i64 {
        match self {
            Self::Dice { common, total } => Similarity::dice(common, total).millionths() as i64,
            Self::Evidence { centibits } => centibits as i64,
        }
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Score {}
impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Dice { .. }, Self::Evidence { .. }) => Ordering::Less,
            (Self::Evidence { .. }, Self::Dice { .. }) => Ordering::Greater,
            _ => self.key().cmp(&other.key()),
        }
    }
}

/// What a link is worth, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Not linked.
    None,
    /// A person should look.
    Review,
    /// Judged the same child.
    Match,
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Review => "review",
            Self::Match => "match",
        })
    }
}

/// Why a pair has the band it has; stable codes with a text for a reviewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The evidence reaches the review band only.
    BelowMatch,
    /// Given name differs while the rest agrees.
    PossibleTwins,
    /// The date guard is not met.
    DateUncertain,
    /// A name is missing or was a placeholder on either side.
    PlaceholderName,
    /// Both dates are defaults or estimates.
    DefaultDates,
    /// Two valid exact tokens of one kind differ.
    ExactConflict,
    /// An exact token agrees.
    ExactAgrees,
    /// An exact token agrees and nothing else could be compared or it contradicts.
    ExactAlone,
    /// Another record of the same agency fits nearly as well.
    RunnerUp,
    /// The link would put two records of one agency into one group.
    GroupConflict,
    /// Given and family name agree crosswise.
    NamesSwapped,
    /// Not compared directly: both are linked to the same record of a third agency.
    ThroughThird,
    /// A reviewer of each of the two agencies judged it the same child.
    Confirmed,
}

impl Reason {
    /// Every reason, in the order of the codes.
    pub const ALL: [Self; 13] = [
        Self::BelowMatch,
        Self::PossibleTwins,
        Self::DateUncertain,
        Self::PlaceholderName,
        Self::DefaultDates,
        Self::ExactConflict,
        Self::ExactAgrees,
        Self::ExactAlone,
        Self::RunnerUp,
        Self::GroupConflict,
        Self::NamesSwapped,
        Self::ThroughThird,
        Self::Confirmed,
    ];

    /// The stable code (`possible_twins`).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BelowMatch => "below_match",
            Self::PossibleTwins => "possible_twins",
            Self::DateUncertain => "date_uncertain",
            Self::PlaceholderName => "placeholder_name",
            Self::DefaultDates => "default_dates",
            Self::ExactConflict => "exact_conflict",
            Self::ExactAgrees => "exact_agrees",
            Self::ExactAlone => "exact_alone",
            Self::RunnerUp => "runner_up",
            Self::GroupConflict => "group_conflict",
            Self::NamesSwapped => "names_swapped",
            Self::ThroughThird => "through_third",
            Self::Confirmed => "confirmed",
        }
    }

    /// A sentence a reviewer can read.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::BelowMatch => "the evidence is enough for a review, not for a match",
            Self::PossibleTwins => "given name differs, rest agrees: possible twins",
            Self::DateUncertain => {
                "date of birth differs, or is missing and the place does not make up for it"
            }
            Self::PlaceholderName => {
                "a name is missing or a placeholder (Baby, Unknown), so twins can not be told apart"
            }
            Self::DefaultDates => "both dates of birth are defaults or estimates",
            Self::ExactConflict => "two valid identity numbers differ",
            Self::ExactAgrees => "an identity number agrees",
            Self::ExactAlone => "an identity number agrees, but names, date and place do not bear it out",
            Self::RunnerUp => "another record of the same agency fits nearly as well",
            Self::GroupConflict => "would put two records of one agency into one group",
            Self::NamesSwapped => "given and family name agree crosswise",
            Self::ThroughThird => "not compared directly: both are linked to one record of a third agency",
            Self::Confirmed => "a reviewer of each agency judged it the same child",
        }
    }
}

/// A set of [`Reason`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Reason>", into = "Vec<Reason>")]
pub struct Reasons(u16);

impl Reasons {
    /// No reason.
    pub const NONE: Self = Self(0);

    /// Adds one.
    pub const fn insert(&mut self, reason: Reason) {
        self.0 |= 1 << reason as u16;
    }
    /// Whether it is among them.
    #[must_use]
    pub const fn contains(self, reason: Reason) -> bool {
        self.0 & 1 << reason as u16 != 0
    }
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// The reasons, in the order of their codes.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| self.contains(*reason))
    }
    /// As a bit set, bit k = `Reason::ALL[k]`: for compact storage.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
    /// From a bit set; unknown bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & ((1 << Reason::ALL.len()) - 1))
    }
}

impl From<Vec<Reason>> for Reasons {
    fn from(reasons: Vec<Reason>) -> Self {
        reasons.into_iter().collect()
    }
}
impl From<Reasons> for Vec<Reason> {
    fn from(reasons: Reasons) -> Self {
        reasons.iter().collect()
    }
}
impl FromIterator<Reason> for Reasons {
    fn from_iter<I: IntoIterator<Item = Reason>>(reasons: I) -> Self {
        let mut set = Self::NONE;
        reasons.into_iter().for_each(|reason| set.insert(reason));
        set
    }
}
impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarities_are_exact_decimals() {
        assert_eq!("0.47".parse::<Similarity>().unwrap().millionths(), 470_000);
        assert_eq!("1".parse::<Similarity>().unwrap(), Similarity::ONE);
        assert_eq!("0".parse::<Similarity>().unwrap().to_string(), "0");
        for bad in ["1.000001", "2", "-0.1", "0.1234567", ".", "", "1.", "0,5", "nan"] {
            assert!(bad.parse::<Similarity>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_mapped_similarity_stays_in_range() {
        let offset = "0.35".parse().unwrap();
        let slope = "0.65".parse().unwrap();
        assert_eq!(Similarity::ONE.mapped(offset, slope), Similarity::ONE);
        assert_eq!(Similarity::ZERO.mapped(offset, slope), offset);
        assert_eq!("0.5".parse::<Similarity>().unwrap().mapped(offset, slope).millionths(), 675_000);
    }

    #[test]
    fn dice_keys_order_every_pair_of_close_fractions() {
        let (near, above) =
            (Score::Dice { common: 8190, total: 32767 }, Score::Dice { common: 8190, total: 32766 });
        assert!(near < above);
        assert_eq!(Score::Dice { common: 2, total: 5 }, Score::Dice { common: 4, total: 10 });
        assert_eq!(Score::Dice { common: 0, total: 0 }.key(), 0);
    }

    #[test]
    fn reasons_round_trip_with_stable_codes() {
        let reasons: Reasons = Reason::ALL.into_iter().collect();
        assert_eq!(Reasons::from_bits(reasons.bits()), reasons);
        let json = serde_json::to_string(&reasons).unwrap();
        assert_eq!(serde_json::from_str::<Reasons>(&json).unwrap(), reasons);
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.code()));
            assert!(!reason.text().is_empty());
        }
    }
}
