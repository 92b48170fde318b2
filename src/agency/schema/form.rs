//! The schema as written in TOML: every table and key, unknown ones denied, before any rule is checked.

use crate::wire::{AttributeName, DecisionModel, PayloadColumn, Profile, Similarity, ViewName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaForm {
    /// Name of the schema: lower case, digits, `-`.
    pub schema: String,
    /// Its version, from 1.
    pub version: u32,
    /// One line for people; not part of the fingerprint.
    #[serde(default)]
    pub title: String,
    /// Kind of layout.
    pub profile: Profile,
    /// Version of the normalisation rules; only [`super::NORMALISATION`] exists.
    pub normalisation: u32,
    /// Declared number of records in the project: decides the length of tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<u64>,
    /// Whether given names are reduced to their canonical form by the built-in nickname table.
    #[serde(default)]
    pub nicknames: bool,
    /// Whether the presence mask travels with each record.
    #[serde(default)]
    pub presence: bool,
    /// Permanent keyed flips, in thousandths of a slot's bits.
    #[serde(default)]
    pub flips_per_mille: u32,
    /// Whether empty slots are filled with what looks like a record.
    #[serde(default)]
    pub filler: bool,
    /// What becomes tokens.
    #[serde(rename = "attribute")]
    pub attributes: Vec<AttributeForm>,
    /// What becomes slots.
    #[serde(rename = "view")]
    pub views: Vec<ViewForm>,
    /// Keyed exact tokens.
    #[serde(default, rename = "exact")]
    pub exact: Vec<ExactForm>,
    /// What may travel in clear.
    #[serde(default)]
    pub payload: Vec<PayloadColumn>,
    /// How pairs become links.
    pub decision: DecisionModel,
    /// What an assessment may find at most, by attack; those of the profile where nothing is said. No part of the
    /// fingerprint: it changes no encoding.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bars: BTreeMap<String, Similarity>,
}

/// One attribute: a value of a person and how it becomes tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeForm {
    /// Its name.
    pub name: AttributeName,
    /// The value.
    pub reads: Source,
    /// The text of `reads = "text"`, by its name in the column mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How it becomes tokens.
    pub tokens: TokenRule,
    /// Hash domain: attributes of one domain hash equal tokens to equal positions (given and family
    /// names share one, so that swapped names compare). The attribute's name unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// A value of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The given name the slot is about.
    Given,
    /// The family name the slot is about.
    Family,
    /// The date of birth.
    DateOfBirth,
    /// The sex.
    Sex,
    /// The postcode.
    Postcode,
    /// The address.
    Address,
    /// The postcode, or the address where there is none.
    Place,
    /// Another text field.
    Text,
}

/// How a value becomes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenRule {
    /// Two-letter runs, padded once each side.
    Bigrams,
    /// The whole value.
    Exact,
    /// The words of a text.
    Words,
    /// Two-letter runs of each word, padded once each side.
    WordBigrams,
    /// Date of birth: Y, M, D, YM, YD, MD, sorted(D, M), full.
    Date,
    /// Day and month: M, D, MD, sorted(D, M).
    DayMonth,
    /// Full postcode, sector, outward code (of `place` without a postcode: bigrams of the address' words).
    Levels,
}

/// One view.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewForm {
    /// Its name.
    pub name: ViewName,
    /// Slots of one record.
    pub slots: u8,
    /// Bits of one slot, before diffusion.
    pub bits: u32,
    /// Keyed diffusion of the slot, for profile `diffused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diffusion: Option<DiffusionForm>,
    /// What each slot is about.
    #[serde(default)]
    pub focus: FocusRule,
    /// The values that must agree before two slots compare; none: all compare.
    #[serde(default)]
    pub salt: Vec<SaltPart>,
    /// What a record without one of the salt's values does.
    #[serde(default)]
    pub missing_salt: MissingSalt,
    /// Only for pairs of names that are rare by the built-in list.
    #[serde(default)]
    pub rare: bool,
    /// With `rare`: a pair counts as rare when at most one child in this many is expected to have it; 60,000
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rare_one_in: Option<u64>,
    /// Whether slots carry a tag (of a length that follows from the population).
    #[serde(default)]
    pub tagged: bool,
    /// The segments in order.
    #[serde(rename = "segment")]
    pub segments: Vec<SegmentForm>,
}

/// Keyed diffusion: every bit that leaves is the XOR of `terms` secret bits of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffusionForm {
    /// Bits added up, t: odd, 3 to 15.
    pub terms: u8,
    /// Bits that leave, m: a multiple of 64, at most the slot's.
    pub bits: u32,
}

/// What the slots of a view are about: which given and family name each one carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FocusRule {
    /// The record: main given name, whole family name.
    #[default]
    Record,
    /// One name each: the given name, each part of the family name, further given names.
    Name,
    /// One pair each: the given name with each part of the family name, further given names with the first.
    Pair,
}

/// What a record without one of the salt's values does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingSalt {
    /// The slot is empty: the record has no evidence in this view.
    #[default]
    Drop,
    /// The missing value counts as an empty one: such records compare with one another.
    Blank,
}

/// One value of a salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaltPart {
    /// Year of birth.
    Year,
    /// Month of birth.
    Month,
    /// Day and month of birth, sorted.
    DayMonth,
    /// Full date of birth.
    Date,
    /// Skeleton of the name the slot is about (`focus = "name"`).
    NameSkeleton,
    /// First letter of the other name (`focus = "name"`).
    OtherInitial,
    /// First three letters of given and family name, sorted.
    PairPrefix,
    /// Skeletons of given and family name, sorted.
    PairSkeleton,
    /// First three letters of the given name.
    GivenPrefix,
    /// Skeleton of the given name.
    GivenSkeleton,
    /// Skeleton of the family name.
    FamilySkeleton,
    /// Full postcode, or the address where there is none.
    Place,
    /// Postcode sector.
    Sector,
}

/// One segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentForm {
    /// The evidence it carries (`record` for a composite filter).
    pub name: AttributeName,
    /// Its length in bits.
    pub bits: u32,
    /// Attributes and their bit budgets: insertions for all tokens of the attribute together.
    pub budgets: BTreeMap<AttributeName, u32>,
}

/// A keyed exact token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactForm {
    /// Its name.
    pub name: AttributeName,
    /// The number.
    pub reads: ExactSource,
    /// Whether the agreement allows it.
    pub enabled: bool,
}

/// A number that identifies a child by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExactSource {
    /// NHS number.
    NhsNumber,
    /// Unique pupil number.
    Upn,
}
