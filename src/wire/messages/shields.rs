//! Shields: who may learn of a record, break-glass, and who is told.

use super::{CaseReference, Why};
use crate::wire::{AgencyId, LawfulBasis, PurposeCode, RecordRef, UtcTime, Visibility};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a shield reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// This record, and records of the same agency that come near it.
    #[default]
    Record,
    /// Also records of other agencies that come near it: nobody finds this child through anybody.
    Child,
}

/// Sets who may learn of one of my records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShieldPut {
    /// Who. Lowering `hidden` takes two people: propose an unshielding.
    pub visibility: Visibility,
    /// How far a shield reaches.
    #[serde(default)]
    pub reach: Reach,
    /// Why.
    pub why: Why,
}

/// Who may learn of one of my records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShieldMessage {
    /// My record.
    pub record: RecordRef,
    /// In force now.
    pub visibility: Visibility,
    /// How far it reaches.
    pub reach: Reach,
    /// Since when.
    pub since: UtcTime,
    /// Why; absent when it came with an upload or was inherited.
    pub why: Option<Why>,
    /// The record of mine it was inherited from.
    pub inherited_from: Option<RecordRef>,
    /// Until when two people opened it.
    pub open_until: Option<UtcTime>,
}

/// My records that are not simply open, in order of their refs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShieldList {
    /// The records.
    pub shields: Vec<ShieldMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// Asks, in an emergency, who else knows the child of one of my records, shielded records included.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// My record.
    pub record: RecordRef,
    /// Purpose code of the agreement.
    pub purpose: PurposeCode,
    /// Why it cannot wait.
    pub why: Why,
    /// For which case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseReference>,
    /// On which lawful basis, where the agreement asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lawful_basis: Option<LawfulBasis>,
    /// Whether detriment to the child was considered, where the agreement asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detriment_considered: Option<bool>,
}

impl fmt::Debug for BreakGlass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BreakGlass(..)")
    }
}

/// What somebody is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A record of mine inherited the shield of another record of mine.
    ShieldInherited,
    /// A record of another agency came near a record of mine whose shield reaches the whole child.
    ShieldReached,
    /// Somebody broke the glass and saw my shielded record.
    GlassBroken,
    /// Two people opened a shielded record for a time.
    Unshielded,
    /// The broker named my agency to whoever asked about a child of a brokered record of mine.
    ReferralAnswered,
}

/// Something an agency, or the operator, is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeMessage {
    /// Position among the reader's notices, from 1.
    pub number: u64,
    /// When.
    pub at: UtcTime,
    /// What.
    pub kind: NoticeKind,
    /// My record.
    pub record: Option<RecordRef>,
    /// Who did it.
    pub agency: Option<AgencyId>,
    /// Why.
    pub why: Option<Why>,
}

/// Notices, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeList {
    /// The notices.
    pub notices: Vec<NoticeMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}
