//! Referrals: questions whose answer named the broker, and what the broker said to them.

use super::{ContactPoint, Line, Why};
use crate::wire::{AgencyId, Band, LinkReference, PurposeCode, RecordRef, UtcTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a referral stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferralState {
    /// The broker has said nothing yet.
    Waiting,
    /// The broker named one or more agencies to the asker.
    Answered,
    /// The broker names nobody.
    Declined,
}

impl ReferralState {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Answered => "answered",
            Self::Declined => "declined",
        }
    }
}
impl fmt::Display for ReferralState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
impl FromStr for ReferralState {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Waiting, Self::Answered, Self::Declined];
        all.into_iter().find(|state| state.word() == text).ok_or("a state is waiting, answered or declined")
    }
}

/// An agency whose brokered record the question met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralHolder {
    /// The agency.
    pub agency: AgencyId,
    /// Its name for people.
    pub name: Line,
    /// Whom to call; to the asker only where the agreement of the two goes so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactPoint>,
    /// How sure.
    pub band: Band,
    /// What asker and holder quote to each other.
    pub reference: LinkReference,
}

/// A question whose answer named the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralMessage {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub state: ReferralState,
    /// When it was asked last.
    pub asked: UtcTime,
    /// Who asked.
    pub agency: AgencyId,
    /// The member of staff, as that agency's desk asserted.
    pub user: Line,
    /// Why it was asked.
    pub purpose: PurposeCode,
    /// Entry of the project's ledger.
    pub entry: u64,
    /// The asker's record; to the asker only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordRef>,
    /// Why the broker decided so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// To the broker all agencies behind the answer; to the asker those that the broker named.
    pub holders: Vec<ReferralHolder>,
}

/// Referrals: my own questions, and all of them if my agency is the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralList {
    /// The referrals, in order of their ids, which say nothing.
    pub referrals: Vec<ReferralMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// What the broker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferralDecide {
    /// The agencies named to the asker; none declines.
    pub agencies: Vec<AgencyId>,
    /// Why.
    pub why: Why,
}
