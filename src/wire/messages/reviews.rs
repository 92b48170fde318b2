//! Reviews of uncertain pairs: what each of the two agencies is shown, and what it may say.

use super::{CaseReference, ContactPoint, Line, Why};
use crate::wire::{AgencyId, AttributeBand, AttributeName, LinkReference, Reason, RecordRef, UtcTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a reviewer says about a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewVerdict {
    /// The same child.
    Same,
    /// Two children.
    Different,
    /// Cannot say; also takes back what the agency said before.
    Unsure,
}

impl ReviewVerdict {
    /// The word in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Unsure => "unsure",
        }
    }
}
impl fmt::Display for ReviewVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
impl FromStr for ReviewVerdict {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let found = [Self::Same, Self::Different, Self::Unsure].into_iter().find(|v| v.word() == text);
        found.ok_or("a verdict is same, different or unsure")
    }
}

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// Waits for a word of either agency.
    Open,
    /// Both agencies said "same": linked as a match from now on.
    Confirmed,
    /// An agency said "different": not linked from now on.
    Blocked,
}

impl ReviewState {
    /// The word in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Confirmed => "confirmed",
            Self::Blocked => "blocked",
        }
    }
}
impl fmt::Display for ReviewState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
impl FromStr for ReviewState {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let found = [Self::Open, Self::Confirmed, Self::Blocked].into_iter().find(|s| s.word() == text);
        found.ok_or("a review's state is open, confirmed or blocked")
    }
}

/// One attribute of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeWord {
    /// Which attribute.
    pub attribute: AttributeName,
    /// How well it agrees.
    pub band: AttributeBand,
}

/// One word of one agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewStep {
    /// When.
    pub at: UtcTime,
    /// By which of the two agencies.
    pub agency: AgencyId,
    /// What it said.
    pub verdict: ReviewVerdict,
    /// Why.
    pub why: Why,
    /// For which case of that agency; shown to that agency only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseReference>,
}

/// An uncertain pair as one of its two agencies sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewMessage {
    /// What to quote to the other agency; it resolves it to its own record.
    pub reference: LinkReference,
    /// My record.
    pub record: RecordRef,
    /// The other agency.
    pub agency: AgencyId,
    /// Its name for people.
    pub name: Line,
    /// Whom to call there, if the agreement lets me know.
    pub contact: Option<ContactPoint>,
    /// Since when the pair waits, or was first seen.
    pub opened: UtcTime,
    /// Where it stands.
    pub state: ReviewState,
    /// How the attributes agree, in words.
    pub attributes: Vec<AttributeWord>,
    /// What to be careful about.
    pub warnings: Vec<Reason>,
    /// All that was said, oldest first.
    pub history: Vec<ReviewStep>,
}

/// Reviews, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewList {
    /// The reviews.
    pub reviews: Vec<ReviewMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// A word about a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewDecide {
    /// What.
    pub verdict: ReviewVerdict,
    /// Why.
    pub why: Why,
    /// For which case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseReference>,
}

/// How much waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BacklogMessage {
    /// Pairs that wait for a word.
    pub open: u64,
    /// Of those, pairs about which one agency has said "same" and the other nothing yet.
    pub half: u64,
    /// Since when the oldest waits.
    pub oldest: Option<UtcTime>,
    /// Pairs that both agencies confirmed.
    pub confirmed: u64,
    /// Pairs that an agency blocked.
    pub blocked: u64,
}

/// Keeps records apart: no record of one side is ever linked to one of the other.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApartCreate {
    /// My records of one identity.
    pub one: Vec<RecordRef>,
    /// My records of the other identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<RecordRef>,
    /// References of links that must not be: my record in each joins `one`, the other agency's `other`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkReference>,
    /// Why.
    pub why: Why,
}

impl fmt::Debug for ApartCreate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApartCreate(..)")
    }
}

/// Records kept apart, as the agency sees it that said so: its own records only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApartMessage {
    /// Its id.
    pub id: String,
    /// My records of one identity.
    pub one: Vec<RecordRef>,
    /// My records of the other.
    pub other: Vec<RecordRef>,
    /// Why.
    pub why: Why,
    /// Since when.
    pub since: UtcTime,
    /// When it was lifted; it no longer holds then.
    pub lifted: Option<UtcTime>,
}

/// What an agency keeps apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApartList {
    /// In order of their ids, which is the order in time.
    pub apart: Vec<ApartMessage>,
}
