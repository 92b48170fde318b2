//! What the store keeps, apart from encodings: small JSON values. Not the messages of the wire.

use super::StoreError;
use crate::wire::messages::{CaseReference, ContactPoint, KeyScope, Line, Role, RunState};
use crate::wire::{
    AgencyId, Band, CertificateFingerprint, ContentDigest, DatasetId, DecisionModel, EncodingHeader, Epoch,
    KeyCheckValue, KeyId, Layout, LinkReference, Month, ProjectId, PurposeCode, Reasons, RecordRef, RunId,
    SchemaFingerprint, UtcTime,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Reads a value.
pub(super) fn decode<T: DeserializeOwned>(entry: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|_| StoreError::Unreadable { entry })
}

/// Writes a value.
pub(super) fn encode<T: Serialize>(entry: &'static str, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|_| StoreError::Unreadable { entry })
}

/// 32 secret bytes of a project: link references and request hashes are made with them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectSecret(ContentDigest);

impl ProjectSecret {
    /// Wraps random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(ContentDigest::from_bytes(bytes))
    }
    /// A keyed hash over `parts`, each with its length in front.
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> ContentDigest {
        let mut hasher = blake3::Hasher::new_keyed(self.0.as_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        ContentDigest::from_bytes(*hasher.finalize().as_bytes())
    }
}
impl ProjectSecret {
    /// A position as a number that says nothing of how much lies before it: a permutation of all numbers, by
    /// four keyed Feistel rounds over two halves.
    #[must_use]
    pub fn veil(&self, number: u64) -> u64 {
        let round = |(left, right), turn| (right, left ^ self.half(turn, right));
        let (left, right) = (0..4).fold(((number >> 32) as u32, number as u32), round);
        u64::from(left) << 32 | u64::from(right)
    }
    /// The number of [`Self::veil`].
    #[must_use]
    pub fn unveil(&self, veiled: u64) -> u64 {
        let round = |(left, right), turn| (right ^ self.half(turn, left), left);
        let (left, right) = (0..4).rev().fold(((veiled >> 32) as u32, veiled as u32), round);
        u64::from(left) << 32 | u64::from(right)
    }
    fn half(&self, turn: u8, half: u32) -> u32 {
        let digest = self.digest(&[b"position", &[turn], &half.to_le_bytes()]);
        digest.as_bytes().first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}
impl std::fmt::Debug for ProjectSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProjectSecret(..)")
    }
}

/// An epoch that is announced to follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextEpoch {
    /// Its number.
    pub epoch: Epoch,
    /// Check value of its linkage key; pinned by the first upload when not given.
    pub key_check: Option<KeyCheckValue>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectRecord {
    /// Its id.
    pub id: ProjectId,
    /// Its title.
    pub title: Line,
    /// Name and version of its schema.
    pub schema: Line,
    /// Fingerprint of its schema.
    pub schema_fingerprint: SchemaFingerprint,
    /// Shape of its encodings.
    pub layout: Layout,
    /// How a pair becomes a link.
    pub decision: DecisionModel,
    /// Current epoch.
    pub epoch: Epoch,
    /// Check value of the epoch's linkage key; pinned by the first upload when not given.
    pub key_check: Option<KeyCheckValue>,
    /// Purposes for which a party may ask.
    pub purposes: Vec<PurposeCode>,
    /// When it was opened.
    pub created: UtcTime,
    /// When its agreement ends.
    pub ends: Option<UtcTime>,
    /// For references and request hashes.
    pub secret: ProjectSecret,
    /// The party that answers for brokered records; without one they are not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<AgencyId>,
    /// The epoch that is announced to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextEpoch>,
    /// When it was closed: its data key is destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<UtcTime>,
}

impl ProjectRecord {
    /// The reference of the link between two records, the same from either side and in every run.
    #[must_use]
    pub fn link_reference(
        &self,
        epoch: Epoch,
        one: (&AgencyId, &RecordRef),
        other: (&AgencyId, &RecordRef),
    ) -> LinkReference {
        let (first, second) = if one < other { (one, other) } else { (other, one) };
        let digest = self.secret.digest(&[
            b"link",
            &epoch.number().to_le_bytes(),
            first.0.as_str().as_bytes(),
            first.1.as_bytes(),
            second.0.as_str().as_bytes(),
            second.1.as_bytes(),
        ]);
        let mut low = [0; 8];
        low.copy_from_slice(&digest.as_bytes()[..8]);
        LinkReference::from_number(u64::from_le_bytes(low))
    }
}

/// An agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgencyRecord {
    /// Its id.
    pub id: AgencyId,
    /// Its name.
    pub name: Line,
    /// Whom to call.
    pub contact: ContactPoint,
    /// Certificates its keys hold with; with any, when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateFingerprint>,
    /// When this was last changed.
    pub updated: UtcTime,
}

/// An API key; the secret itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// What it is looked up by.
    pub id: KeyId,
    /// BLAKE3 of the 32 secret bytes.
    pub secret_digest: ContentDigest,
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

/// An upload that is not sealed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    /// Its id, kept by the dataset.
    pub id: DatasetId,
    /// Its project.
    pub project: ProjectId,
    /// Whose it is.
    pub agency: AgencyId,
    /// How its encodings were made.
    pub header: EncodingHeader,
    /// Number of chunks.
    pub chunks: u32,
    /// The dataset it changes.
    pub base: Option<DatasetId>,
    /// When it was announced.
    pub created: UtcTime,
    /// When it is dropped unless sealed.
    pub expires: UtcTime,
}

/// A sealed dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What was announced.
    pub upload: UploadRecord,
    /// When it was sealed.
    pub sealed: UtcTime,
    /// Records of the agency with this dataset on top of its bases.
    pub records_current: u64,
    /// Number of deltas below it, down to a whole dataset.
    pub depth: u32,
    /// When a later whole dataset replaced it; its encodings are gone.
    pub superseded: Option<UtcTime>,
    /// When its encodings were removed because the project keeps none; refs and links stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emptied: Option<UtcTime>,
}

/// A dataset as one input of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInput {
    /// Whose.
    pub agency: AgencyId,
    /// The agency's current dataset when the run began.
    pub dataset: DatasetId,
    /// When that was sealed.
    pub sealed: UtcTime,
    /// Records compared.
    pub records: u64,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// Its project.
    pub project: ProjectId,
    /// The epoch it compares.
    pub epoch: Epoch,
    /// Where it stands.
    pub state: RunState,
    /// When it was started.
    pub started: UtcTime,
    /// When it ended.
    pub ended: Option<UtcTime>,
    /// What it compares, in order of the agencies.
    pub inputs: Vec<RunInput>,
    /// Links it found; 0 until finished.
    pub links: u64,
    /// What it obeyed ([`super::Vault::knowledge`]) when it was begun.
    #[serde(default)]
    pub knowledge: String,
    /// Why it failed, for the operator.
    pub cause: Option<String>,
}

/// A link seen from one side.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// The asker's record.
    pub own: RecordRef,
    /// Number of the other agency among the run's inputs.
    pub other_input: u16,
    /// The other agency's record; never leaves the store towards an agency.
    pub other: RecordRef,
    /// How sure.
    pub band: Band,
    /// Why no surer.
    pub reasons: Reasons,
    /// The score ([`crate::wire::Score::rounded`]); never leaves the centre.
    pub score: i64,
    /// What to quote.
    pub reference: LinkReference,
    /// The last month in which both records may be shown, where one of them ends.
    pub expiry: Option<Month>,
    /// Whether the broker answers for the other record; known when it is read, never stored.
    pub brokered: bool,
}

impl std::fmt::Debug for LinkRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkRecord({}, {})", self.reference, self.band)
    }
}

/// Something that happened, to be written together with what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// What: `dataset_sealed`, `lookup_answered` and so on.
    pub action: String,
    /// By which key; none when the centre itself did it.
    pub key: Option<KeyId>,
    /// By which agency.
    pub agency: Option<AgencyId>,
    /// In which project; none: the centre's own log.
    pub project: Option<ProjectId>,
    /// In which epoch.
    pub epoch: Option<Epoch>,
    /// With which dataset.
    pub dataset: Option<DatasetId>,
    /// With which run.
    pub run: Option<RunId>,
    /// To which agency or key.
    pub subject: Option<String>,
    /// Why.
    pub purpose: Option<PurposeCode>,
    /// For which case.
    pub case: Option<CaseReference>,
    /// Keyed hash of the question.
    pub request: Option<ContentDigest>,
    /// Class of the answer.
    pub result: Option<String>,
}

impl NewEvent {
    /// An event of `action` with nothing else said.
    #[must_use]
    pub fn new(action: &str) -> Self {
        Self {
            action: action.to_owned(),
            key: None,
            agency: None,
            project: None,
            epoch: None,
            dataset: None,
            run: None,
            subject: None,
            purpose: None,
            case: None,
            request: None,
            result: None,
        }
    }
    /// In this project.
    #[must_use]
    pub fn project(mut self, project: &ProjectId) -> Self {
        self.project = Some(project.clone());
        self
    }
    /// By this key and agency.
    #[must_use]
    pub fn by(mut self, key: Option<&KeyId>, agency: Option<&AgencyId>) -> Self {
        self.key = key.cloned();
        self.agency = agency.cloned();
        self
    }
    /// With this dataset.
    #[must_use]
    pub fn dataset(mut self, dataset: &DatasetId) -> Self {
        self.dataset = Some(dataset.clone());
        self
    }
    /// With this run.
    #[must_use]
    pub fn run(mut self, run: &RunId) -> Self {
        self.run = Some(run.clone());
        self
    }
    /// To this agency or key.
    #[must_use]
    pub fn subject(mut self, subject: impl ToString) -> Self {
        self.subject = Some(subject.to_string());
        self
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Position in its log, from 1.
    pub number: u64,
    /// When.
    pub at: UtcTime,
    /// What.
    pub event: NewEvent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_veiled_position_is_read_back_and_tells_no_order() {
        let secret = ProjectSecret::from_bytes([3; 32]);
        let veiled: Vec<u64> = (0..1_000).map(|number| secret.veil(number)).collect();
        assert!((0..1_000).all(|number| secret.unveil(veiled[number as usize]) == number));
        let rises = veiled.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((400..600).contains(&rises), "{rises}");
        assert_ne!(veiled[1], ProjectSecret::from_bytes([4; 32]).veil(1));
    }
}
