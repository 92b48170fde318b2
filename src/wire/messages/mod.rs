//! JSON messages between an agency and the centre, and between the operator and the centre.
//!
//! What an agency reads holds no float and no score: bands, agencies, contact points, times. Requests
//! refuse unknown fields. Nothing in here can carry an identifier: free text is the operator's only
//! (titles, contact points), and a case reference is a short code.

mod admin;
mod answers;
mod datasets;
mod front_door;
mod referrals;
mod reviews;
mod rights;
mod shields;
mod tables;
mod why;

pub use admin::{
    AgencyList, AgencyMessage, AgencyPut, BrokerPut, CERTIFICATES_MAX, ContactPoint, EpochPut, EventList,
    EventMessage, KeyCreate, KeyCreated, KeyList, KeyMessage, KeyScope, ProjectCreate, ProjectList,
    ProjectMessage, Role, SchemaCard, WhoAmI,
};
pub use answers::{
    Answer, AnswerMatch, AskedItem, AskedPage, KnowingAgency, LOOKUPS_MAX, LinkMessage, LinkPage,
    LookupAnswer, LookupBatchAnswer, LookupBatchRequest, LookupRequest, OverlapCell, OverlapTable, PartyList,
    PartyMessage, PublishedCount, RecordAnswer,
};
pub use datasets::{
    ChunkSpec, DatasetCreate, DatasetList, DatasetMessage, DatasetState, RunList, RunMessage, RunState,
};
pub use rights::{
    ClosureRequest, HeldEncoding, HeldFact, HeldLink, HeldMessage, RecordRequest, RemovalStatement,
    WithdrawalRequest,
};
pub use tables::TableMessage;

pub use referrals::{ReferralDecide, ReferralHolder, ReferralList, ReferralMessage, ReferralState};
pub use reviews::{
    ApartCreate, ApartList, ApartMessage, AttributeWord, BacklogMessage, ReviewDecide, ReviewList,
    ReviewMessage, ReviewState, ReviewStep, ReviewVerdict,
};
pub use shields::{
    BreakGlass, NoticeKind, NoticeList, NoticeMessage, Reach, ShieldList, ShieldMessage, ShieldPut,
};
pub use why::Why;

pub use front_door::{EncodingHex, EncodingHexError, FrontDoorAnswer, FrontDoorRequest, ReasonCode};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Media type of an uploaded chunk: an Arrow IPC stream.
pub const ARROW_STREAM_TYPE: &str = "application/vnd.apache.arrow.stream";
/// Media type of [`Problem`].
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// Why a request was refused (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of refusal: `urn:blindlink:problem:` and a code; machines read this.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here and what to do; absent in a 5xx answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A case reference of the asking agency: a short code, too plain for a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseReference(super::ShortText);

impl CaseReference {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}
impl FromStr for CaseReference {
    type Err = super::PayloadError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
impl TryFrom<String> for CaseReference {
    type Error = super::PayloadError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
impl From<CaseReference> for String {
    fn from(code: CaseReference) -> Self {
        code.as_str().to_owned()
    }
}
impl fmt::Display for CaseReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of plain text written by the operator: 1 to 120 characters, no control character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line(String);

/// The text is empty, too long or has a control character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one line of 1 to 120 characters")]
pub struct LineError;

impl Line {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for Line {
    type Err = LineError;
    fn from_str(text: &str) -> Result<Self, LineError> {
        let count = text.chars().take(121).count();
        if (1..=120).contains(&count) && !text.chars().any(char::is_control) && !text.trim().is_empty() {
            Ok(Self(text.to_owned()))
        } else {
            Err(LineError)
        }
    }
}
impl TryFrom<String> for Line {
    type Error = LineError;
    fn try_from(text: String) -> Result<Self, LineError> {
        text.parse()
    }
}
impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0
    }
}
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
