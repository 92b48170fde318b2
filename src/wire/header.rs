//! What travels in front of encodings, in a file and on the wire.

use super::{
    AgencyId, ContentDigest, DecisionModel, Epoch, KeyCheckValue, Layout, ProjectId, SchemaFingerprint,
};
use serde::{Deserialize, Serialize};

/// Version of the encoding file and of the wire's stream.
pub const FORMAT_VERSION: u32 = 1;

/// Says how a set of encodings was made: enough to refuse what cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodingHeader {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// The agency whose records these are.
    pub agency: AgencyId,
    /// The agreement under which they were encoded.
    pub project: ProjectId,
    /// The life of the key they were encoded with.
    pub epoch: Epoch,
    /// Name and version of the schema, for people.
    pub schema: String,
    /// The schema's fingerprint, for machines.
    pub schema_fingerprint: SchemaFingerprint,
    /// One-way value of the linkage key.
    pub key_check: KeyCheckValue,
    /// Shape of each encoding.
    pub layout: Layout,
    /// How a pair of encodings becomes a link.
    pub decision: DecisionModel,
    /// Number of encodings.
    pub records: u64,
    /// Local ids stand in the file beside the refs: synthetic data only, never uploaded.
    pub plain_ids: bool,
    /// BLAKE3 over the records in order ([`super::EncodingBatch::update_digest`]).
    pub content: ContentDigest,
}
