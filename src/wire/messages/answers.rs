//! Answers to an agency: links, look-ups, parties; and the overlap table.
//!
//! An answer has the asker's own ref, agencies, bands, contact points, freshness and a reference to quote.
//! Never a score, never another agency's ref.

use super::{CaseReference, ContactPoint, Line};
use crate::wire::{
    AgencyId, Band, LawfulBasis, LinkReference, PurposeCode, Reason, RecordRef, RunId, UtcTime,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A link that touches one of my records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkMessage {
    /// What to quote to the other agency.
    pub reference: LinkReference,
    /// My record.
    pub record: RecordRef,
    /// The agency that knows this child too.
    pub agency: AgencyId,
    /// How sure.
    pub band: Band,
    /// Why no surer.
    pub reasons: Vec<Reason>,
    /// Whom to call; absent where the agreement gives the agency's name only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactPoint>,
    /// When the other agency's data was sealed.
    pub data_as_of: UtcTime,
    /// Whether the agency named is the broker, who answers for an agency that is not named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brokered: bool,
}

/// Links of one run that touch my records, in order of my refs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPage {
    /// The run.
    pub run: RunId,
    /// The links.
    pub links: Vec<LinkMessage>,
    /// Whether links are left out of this page because no broker is named who answers for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unnamed: bool,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// Asks who else knows the child of one of my records.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupRequest {
    /// My record.
    pub record: RecordRef,
    /// Why I ask; must be one of the agreement's purposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<PurposeCode>,
    /// For which case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseReference>,
    /// On which lawful basis, where the agreement asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lawful_basis: Option<LawfulBasis>,
    /// That detriment to the child was considered, where the agreement asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detriment_considered: Option<bool>,
}

/// Asks about many of my own records at once, for one purpose and case.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupBatchRequest {
    /// My records, at most [`LOOKUPS_MAX`].
    pub records: Vec<RecordRef>,
    /// Why I ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<PurposeCode>,
    /// For which case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseReference>,
    /// On which lawful basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lawful_basis: Option<LawfulBasis>,
    /// That detriment to the child was considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detriment_considered: Option<bool>,
}

/// Records of one [`LookupBatchRequest`].
pub const LOOKUPS_MAX: usize = 500;

impl fmt::Debug for LookupBatchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookupBatchRequest({} records)", self.records.len())
    }
}

impl fmt::Debug for LookupRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupRequest(..)")
    }
}

/// The answer in one word. Never "not known".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// At least one match.
    Yes,
    /// Only links that a person should look at.
    Possibly,
    /// Somebody may know the child and is answered for by a broker, but no broker is named: the centre's operator
    /// is to be asked.
    AskOperator,
    /// No run has compared the record as it stands now with every party that has sent: ask again after the next.
    NotLinkedYet,
    /// Compared with all, and no match found.
    NoMatchFound,
}

/// One other agency that knows the child, or may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowingAgency {
    /// The agency.
    pub agency: AgencyId,
    /// Its name for people.
    pub name: Line,
    /// How sure.
    pub band: Band,
    /// Why no surer.
    pub reasons: Vec<Reason>,
    /// Whom to call; absent where the agreement gives the agency's name only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactPoint>,
    /// When that agency's data was sealed.
    pub data_as_of: UtcTime,
}

/// An agency behind a link of one of the asker's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerMatch {
    /// Which agency, and how sure.
    #[serde(flatten)]
    pub knows: KnowingAgency,
    /// What to quote on the phone.
    pub reference: LinkReference,
    /// Whether the agency named is the broker, who answers for an agency that is not named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brokered: bool,
}

/// The answer to a [`LookupRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupAnswer {
    /// In one word.
    pub answer: Answer,
    /// Whether somebody else is answered for by a broker, and none is named: ask the centre's operator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unnamed: bool,
    /// The agencies behind it, surest first; an agency that the agreement lets answer with yes or no alone is not
    /// among them.
    pub matches: Vec<AnswerMatch>,
    /// How fresh every other party's data is, those without a match too.
    pub parties: Vec<PartyMessage>,
    /// The run the answer comes from; none while nothing was linked yet.
    pub run: Option<RunId>,
    /// When the question was answered.
    pub at: UtcTime,
}

/// The answer about one record of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordAnswer {
    /// My record.
    pub record: RecordRef,
    /// In one word; absent for a record that is not among my current ones.
    pub answer: Option<Answer>,
    /// Whether somebody else is answered for by a broker, and none is named: ask the centre's operator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unnamed: bool,
    /// The agencies behind it, surest first.
    pub matches: Vec<AnswerMatch>,
}

/// The answer to a [`LookupBatchRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupBatchAnswer {
    /// One answer a record, in the order asked.
    pub answers: Vec<RecordAnswer>,
    /// How fresh every other party's data is.
    pub parties: Vec<PartyMessage>,
    /// The run the answers come from; none while nothing was linked yet.
    pub run: Option<RunId>,
    /// When the questions were answered.
    pub at: UtcTime,
}

/// Somebody asked about one of my records and was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedItem {
    /// Entry of the project's ledger, to be quoted when asking back.
    pub entry: u64,
    /// When.
    pub at: UtcTime,
    /// My record.
    pub record: RecordRef,
    /// Who asked; absent where the agreement lets the two answer each other with yes or no alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<AgencyId>,
    /// Why.
    pub purpose: PurposeCode,
    /// How sure the link is that they were told of.
    pub band: Band,
}

/// Who asked about my records, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedPage {
    /// The questions.
    pub asked: Vec<AskedItem>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// A party of the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyMessage {
    /// The agency.
    pub agency: AgencyId,
    /// Its name for people.
    pub name: Line,
    /// Whom to call.
    pub contact: ContactPoint,
    /// When its current data was sealed; none while it has sent nothing.
    pub data_as_of: Option<UtcTime>,
}

/// Parties of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyList {
    /// The parties, in order of their ids.
    pub parties: Vec<PartyMessage>,
}

/// A count as it may be published: a small one is `"c"`, the rest are multiples of five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum PublishedCount {
    /// Small, by the agreement below 5 to 100, or beside one that is: not shown.
    Small,
    /// Rounded to the nearest five.
    Rounded(u64),
}

impl PublishedCount {
    /// One count by itself, below 5 not shown. Tables take their counts together, by the agreement's figure.
    #[must_use]
    pub const fn of(exact: u64) -> Self {
        match exact {
            0 => Self::Rounded(0),
            1..=4 => Self::Small,
            _ => Self::Rounded(exact.saturating_add(2) / 5 * 5),
        }
    }
}
impl fmt::Display for PublishedCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small => f.write_str("c"),
            Self::Rounded(count) => count.fmt(f),
        }
    }
}
impl From<PublishedCount> for serde_json::Value {
    fn from(count: PublishedCount) -> Self {
        match count {
            PublishedCount::Small => "c".into(),
            PublishedCount::Rounded(count) => count.into(),
        }
    }
}
impl TryFrom<serde_json::Value> for PublishedCount {
    type Error = &'static str;
    fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
        match (&value, value.as_u64()) {
            (serde_json::Value::String(text), _) if text == "c" => Ok(Self::Small),
            (_, Some(count)) if count.is_multiple_of(5) => Ok(Self::Rounded(count)),
            _ => Err("a published count is \"c\" or a multiple of five"),
        }
    }
}

/// How many children two agencies have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlapCell {
    /// One agency.
    pub agency_a: AgencyId,
    /// The other; equal to `agency_a` for the agency's own number of records.
    pub agency_b: AgencyId,
    /// Matched children, or records of the one agency.
    pub matched: PublishedCount,
    /// Pairs that wait for a person; 0 on the diagonal.
    pub review: PublishedCount,
}

/// The overlap of all agencies in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlapTable {
    /// The run; its numbers never change.
    pub run: RunId,
    /// When the run ended.
    pub ended: UtcTime,
    /// The agencies, in order.
    pub agencies: Vec<AgencyId>,
    /// Upper triangle and diagonal, row by row.
    pub cells: Vec<OverlapCell>,
    /// Children known to exactly k agencies: entry 0 is k = 1.
    pub known_to: Vec<PublishedCount>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_as_they_may_be_published_and_read_back() {
        let shown: Vec<String> = [0, 1, 4, 5, 7, 8, 12, 13].map(|n| PublishedCount::of(n).to_string()).into();
        assert_eq!(shown, ["0", "c", "c", "5", "5", "10", "10", "15"]);
        let counts = [PublishedCount::Rounded(0), PublishedCount::Small, PublishedCount::Rounded(15)];
        let json = serde_json::to_string(&counts).unwrap();
        assert_eq!(json, r#"[0,"c",15]"#);
        assert_eq!(serde_json::from_str::<Vec<PublishedCount>>(&json).unwrap(), counts);
        assert!(serde_json::from_str::<PublishedCount>("3").is_err());
    }
}
