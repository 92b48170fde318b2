//! Words both rooms share: ids, layouts, encodings as columns, thresholds, messages, limits.
//!
//! May see: small crates. Must not see: any other room. Nothing in here can hold an identifier of a
//! person; that is what makes it safe to cross the wall.

pub mod arrow;
mod batch;
mod certificate;
mod decision;
mod header;
mod ids;
mod layout;
pub mod limits;
pub mod messages;
mod payload;
pub mod presence;
mod reference;
mod threshold;
mod time;

pub use batch::{BatchError, EncodingBatch, ExactColumn, SlotColumn};
pub use certificate::{CertificateFingerprint, FingerprintError};
pub use decision::{
    AttributeBand, AttributeModel, Band, DateGuard, DecisionError, DecisionModel, DiceModel, EvidenceForm,
    EvidenceModel, ExactModel, Guards, Implication, OrMissing, Reason, Reasons, Score, SegmentMap,
    Similarity, SimilarityError, TwinGuard, ViewModel,
};
pub use header::{EncodingHeader, FORMAT_VERSION};
pub use ids::{
    AgencyId, AttributeName, ContentDigest, DatasetId, Epoch, IdError, KeyCheckValue, KeyId, LawfulBasis,
    ProjectId, PurposeCode, RecordRef, RunId, SchemaFingerprint, ViewName,
};
pub use layout::{Layout, LayoutError, Profile, Segment, TagBits, View};
pub use payload::{Month, Payload, PayloadColumn, PayloadError, ShortText, Visibility};
pub use reference::{LinkReference, ReferenceError};
pub use threshold::{Threshold, ThresholdError};
pub use time::{TimeError, UtcTime};
