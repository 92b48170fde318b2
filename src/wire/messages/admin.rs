//! Projects, agencies, keys and events: the operator's side, and what everybody may read of it.

use super::{CaseReference, Line};
use crate::wire::{
    AgencyId, CertificateFingerprint, DatasetId, DecisionModel, Epoch, KeyCheckValue, KeyId, Layout,
    ProjectId, PurposeCode, RunId, SchemaFingerprint, UtcTime,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a key may do. One key may hold several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Uploads its agency's encodings and starts runs.
    Submitter,
    /// Reads its agency's links and asks about its agency's records.
    Requester,
    /// Asks about somebody who is not on its agency's system (MASH).
    FrontDoor,
    /// Judges uncertain links of its agency.
    Reviewer,
    /// Approves what needs two people; reads aggregates.
    Approver,
    /// Reads events and aggregates.
    Auditor,
    /// Runs the centre: projects, agencies, keys, runs. Reads no link.
    Operator,
}

impl Role {
    /// All roles, in order.
    pub const ALL: [Self; 7] = [
        Self::Submitter,
        Self::Requester,
        Self::FrontDoor,
        Self::Reviewer,
        Self::Approver,
        Self::Auditor,
        Self::Operator,
    ];

    /// The role's name as written in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submitter => "submitter",
            Self::Requester => "requester",
            Self::FrontDoor => "front_door",
            Self::Reviewer => "reviewer",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        }
    }
}
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let role = Self::ALL.into_iter().find(|role| role.name() == text);
        role.ok_or_else(|| {
            "a role is submitter, requester, front_door, reviewer, approver, auditor or operator".to_owned()
        })
    }
}

/// Where a key holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyScope {
    /// The centre as a whole: operators and auditors.
    Centre,
    /// One agency in one project.
    Agency {
        /// The agency.
        agency: AgencyId,
        /// The project.
        project: ProjectId,
    },
}

/// Asks for a new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyCreate {
    /// Where it holds.
    pub scope: KeyScope,
    /// What it may do: at least one role; operator only at the centre, agency roles only at an agency.
    pub roles: Vec<Role>,
    /// When it stops working; never, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<UtcTime>,
    /// Who or what holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Line>,
}

/// A new key: the only time its secret is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyCreated {
    /// `id.secret`, to be sent as `Authorization: Bearer id.secret`.
    pub token: String,
    /// Everything else about it.
    pub key: KeyMessage,
}

impl fmt::Debug for KeyCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCreated({})", self.key.id)
    }
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMessage {
    /// What it is looked up by.
    pub id: KeyId,
    /// Where it holds.
    pub scope: KeyScope,
    /// What it may do.
    pub roles: Vec<Role>,
    /// When it was issued.
    pub created: UtcTime,
    /// When it stops working.
    pub expires: Option<UtcTime>,
    /// When it was revoked.
    pub revoked: Option<UtcTime>,
    /// Who or what holds it.
    pub label: Option<Line>,
}

/// Keys, newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// The keys.
    pub keys: Vec<KeyMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// The key of this request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// Its id.
    pub key: KeyId,
    /// Where it holds.
    pub scope: KeyScope,
    /// What it may do.
    pub roles: Vec<Role>,
    /// When it stops working.
    pub expires: Option<UtcTime>,
}

/// Whom to call at an agency about one of its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactPoint {
    /// Team or desk.
    pub team: Line,
    /// Telephone in hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telephone: Option<Line>,
    /// Secure mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Line>,
    /// Hours, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Line>,
    /// Whom to call out of hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_hours: Option<Line>,
}

/// Certificates of one agency: the one in use and the one that replaces it.
pub const CERTIFICATES_MAX: usize = 2;

/// Registers an agency or changes its contact point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgencyPut {
    /// Its name for people.
    pub name: Line,
    /// Whom to call.
    pub contact: ContactPoint,
    /// Certificates its keys hold with, at most [`CERTIFICATES_MAX`]; an empty list frees them, none keeps
    /// what was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Vec<CertificateFingerprint>>,
}

/// An agency as registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgencyMessage {
    /// Its id.
    pub id: AgencyId,
    /// Its name for people.
    pub name: Line,
    /// Whom to call.
    pub contact: ContactPoint,
    /// Certificates its keys hold with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateFingerprint>,
    /// When the entry last changed.
    pub updated: UtcTime,
}

/// Agencies, in order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgencyList {
    /// The agencies.
    pub agencies: Vec<AgencyMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// Begins a later epoch of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochPut {
    /// The epoch, later than the current one.
    pub epoch: Epoch,
    /// Check value of its linkage key; pinned by the first upload when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_check: Option<KeyCheckValue>,
    /// Announce it only: its encodings are taken and can be linked while the present epoch answers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// Names the party that answers for brokered records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerPut {
    /// The party.
    pub agency: AgencyId,
}

/// What the centre needs to know of a schema, as `schema show --json` prints it; more fields may follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaCard {
    /// Name and version, for people.
    pub schema: Line,
    /// The schema's fingerprint.
    pub schema_fingerprint: SchemaFingerprint,
    /// Shape of each encoding.
    pub layout: Layout,
    /// How a pair becomes a link.
    pub decision: DecisionModel,
}

/// Opens a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectCreate {
    /// Its id.
    pub id: ProjectId,
    /// Its title for people.
    pub title: Line,
    /// Name and version of the schema, for people.
    pub schema: Line,
    /// Fingerprint of the schema; every upload must carry it.
    pub schema_fingerprint: SchemaFingerprint,
    /// Shape of each encoding.
    pub layout: Layout,
    /// How a pair becomes a link.
    pub decision: DecisionModel,
    /// The life of the linkage key; 1 when absent.
    #[serde(default = "first_epoch")]
    pub epoch: Epoch,
    /// Check value of the linkage key; pinned by the first upload when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_check: Option<KeyCheckValue>,
    /// Purposes for which a party may ask; at least one.
    pub purposes: Vec<PurposeCode>,
    /// When the agreement ends; in a year when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<UtcTime>,
}

fn first_epoch() -> Epoch {
    Epoch::FIRST
}

/// A project as its parties see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectMessage {
    /// Its id.
    pub id: ProjectId,
    /// Its title for people.
    pub title: Line,
    /// Name and version of the schema, for people.
    pub schema: Line,
    /// Fingerprint every upload must carry.
    pub schema_fingerprint: SchemaFingerprint,
    /// Shape of each encoding.
    pub layout: Layout,
    /// How a pair becomes a link.
    pub decision: DecisionModel,
    /// The current life of the linkage key.
    pub epoch: Epoch,
    /// Check value every upload must carry; absent until given or pinned.
    pub key_check: Option<KeyCheckValue>,
    /// The epoch that is announced to follow.
    #[serde(default)]
    pub next_epoch: Option<Epoch>,
    /// Purposes for which a party may ask.
    pub purposes: Vec<PurposeCode>,
    /// When it was opened.
    pub created: UtcTime,
    /// When the agreement ends.
    pub ends: Option<UtcTime>,
}

/// Projects, in order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectList {
    /// The projects.
    pub projects: Vec<ProjectMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMessage {
    /// Position in its log, from 1; absent for an agency, which must not count what others do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// When.
    pub at: UtcTime,
    /// By which key; absent when the centre itself did it.
    pub key: Option<KeyId>,
    /// By which agency.
    pub agency: Option<AgencyId>,
    /// What: `dataset_sealed`, `lookup_answered` and so on.
    pub action: String,
    /// Which project.
    pub project: Option<ProjectId>,
    /// Which dataset.
    pub dataset: Option<DatasetId>,
    /// Which run.
    pub run: Option<RunId>,
    /// Which other agency or key it was done to.
    pub subject: Option<String>,
    /// Why, where somebody asked.
    pub purpose: Option<PurposeCode>,
    /// For which case, where somebody asked.
    pub case: Option<CaseReference>,
    /// Class of the answer: `match`, `review`, `none`.
    pub result: Option<String>,
}

/// Events, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventList {
    /// The events.
    pub events: Vec<EventMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}
