//! Erasure, subject access, withdrawal and the end of a project.

use crate::wire::{
    AgencyId, Band, DatasetId, Epoch, LinkReference, Month, ProjectId, RecordRef, RunId, UtcTime, Visibility,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names one of my records: to have it erased, or to be told everything that is held of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRequest {
    /// My record.
    pub record: RecordRef,
}

impl fmt::Debug for RecordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordRequest(..)")
    }
}

/// Everything held of one record, for a subject access request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldMessage {
    /// The project.
    pub project: ProjectId,
    /// My agency.
    pub agency: AgencyId,
    /// My record.
    pub record: RecordRef,
    /// As of when.
    pub at: UtcTime,
    /// Whether it was erased on request: then nothing else is held, and it does not come back.
    pub erased: bool,
    /// Its encodings.
    pub encodings: Vec<HeldEncoding>,
    /// What it was linked to, by run.
    pub links: Vec<HeldLink>,
    /// What runs keep of it for counting.
    pub counted: Vec<HeldFact>,
}

impl fmt::Debug for HeldMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldMessage({} encodings, {} links)", self.encodings.len(), self.links.len())
    }
}

/// One encoding of a record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldEncoding {
    /// In which dataset.
    pub dataset: DatasetId,
    /// Of which epoch.
    pub epoch: Epoch,
    /// When that was sealed.
    pub sealed: UtcTime,
    /// The filters, one a slot, in hexadecimal.
    pub filters: Vec<String>,
    /// Kind of record.
    pub record_type: Option<String>,
    /// Statistical area.
    pub area_code: Option<String>,
    /// Age band.
    pub age_band: Option<String>,
    /// Month last active.
    pub last_seen: Option<Month>,
    /// Month after which it is erased.
    pub expiry: Option<Month>,
    /// Who may learn of it.
    pub visibility: Option<Visibility>,
}

impl fmt::Debug for HeldEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldEncoding({})", self.dataset)
    }
}

/// One link of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLink {
    /// Of which run.
    pub run: RunId,
    /// What to quote.
    pub reference: LinkReference,
    /// With which agency.
    pub agency: AgencyId,
    /// How sure.
    pub band: Band,
}

/// What a run counts a record by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFact {
    /// Of which run.
    pub run: RunId,
    /// Statistical area.
    pub area_code: Option<String>,
    /// Age band.
    pub age_band: Option<String>,
    /// Month last active.
    pub last_seen: Option<Month>,
}

/// Withdraws my agency from the project, as two people decided. Its id is repeated, because nothing of it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalRequest {
    /// My agency.
    pub agency: AgencyId,
    /// Id of the approved decision.
    pub approval: String,
}

/// Ends a project, as two people decided. Its id is repeated, because its encodings cannot be read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosureRequest {
    /// The project.
    pub project: ProjectId,
    /// Id of the approved decision.
    pub approval: String,
}

/// What a withdrawal or closure removed, as the centre signs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovalStatement {
    /// In which project.
    pub project: ProjectId,
    /// Of which agency; absent for a whole project.
    pub agency: Option<AgencyId>,
    /// When.
    pub at: UtcTime,
    /// Encodings removed.
    pub encodings: u64,
    /// Links removed.
    pub links: u64,
    /// Whether the key of the encodings was destroyed.
    pub key_destroyed: bool,
    /// The run that derives the other parties' links anew, where one was started.
    pub run: Option<RunId>,
}
