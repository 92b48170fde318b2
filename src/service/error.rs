//! Every refusal of the service, and the one place that turns it into an HTTP answer (RFC 9457).
//!
//! A 4xx says what happened and what to do, never a value that was sent. A 5xx has a fixed body; its cause
//! goes to the log.

use super::budgets::BudgetError;
use super::intake::IntakeError;
use super::policy::{ApprovalError, Refusal};
use crate::store::{LogError, StoreError, UploadError};
use crate::wire::arrow::ArrowFormError;
use crate::wire::messages::{PROBLEM_TYPE, Problem};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No key, or one that does not hold.
    #[error("no valid key")]
    Unauthenticated,
    /// A key that is bound to a certificate, on a connection without it.
    #[error(
        "this key holds only on a TLS connection with its agency's certificate: set client_certificate and client_key"
    )]
    Certificate,
    /// The key's roles do not allow it.
    #[error("this key may not do that: it needs the role {0}")]
    Forbidden(String),
    /// There is nothing of that name, or nothing this key may know of. Both look the same.
    #[error("not found")]
    NotFound,
    /// The request cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// A body above its bound.
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// A body that came too slowly.
    #[error("the body did not arrive within {0} seconds: send it again")]
    SlowBody(u64),
    /// A body of another media type.
    #[error("send the body as {0}")]
    MediaType(&'static str),
    /// The id is taken.
    #[error("{0} exists already: choose another id")]
    Taken(&'static str),
    /// Something the request relies on has changed.
    #[error("it changed meanwhile: read it again and repeat")]
    Changed,
    /// A rule of an administrative request.
    #[error("{0}")]
    Rule(&'static str),
    /// The same idempotency key with other content.
    #[error("this Idempotency-Key was used for another request: choose a new one")]
    KeyReused,
    /// A question that nobody asks.
    #[error("say who asks: send the account name of the member of staff as Acting-User")]
    UserMissing,
    /// The agreement does not allow it.
    #[error("{0}")]
    Refused(Refusal),
    /// A budget is used up.
    #[error("{0}")]
    BudgetSpent(String),
    /// The agreement is over.
    #[error("the project's agreement has ended")]
    AgreementEnded,
    /// Too many runs wait.
    #[error("too many runs wait: try again when one has ended")]
    TooManyRuns,
    /// The run is over.
    #[error("the run has ended already")]
    RunEnded,
    /// A step that two people must take.
    #[error(transparent)]
    Approval(ApprovalError),
    /// An upload that does not fit.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// An upload that cannot be begun or sealed.
    #[error(transparent)]
    Upload(UploadError),
    /// The service is stopping or not ready.
    #[error("not ready")]
    Unavailable(String),
    /// A fault of the service.
    #[error("internal")]
    Internal(String),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Changed,
            other => Self::Internal(other.to_string()),
        }
    }
}
impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotAParty => Self::NotFound,
            other => Self::Refused(other),
        }
    }
}
impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Store(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}
impl From<BudgetError> for ApiError {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::Store(error) => error.into(),
            BudgetError::Ledger(error) => error.into(),
            BudgetError::Spent { .. } => Self::BudgetSpent(error.to_string()),
            BudgetError::Damaged => Self::Internal(error.to_string()),
        }
    }
}
impl From<ApprovalError> for ApiError {
    fn from(error: ApprovalError) -> Self {
        match error {
            ApprovalError::History => Self::Internal(error.to_string()),
            other => Self::Approval(other),
        }
    }
}
impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Store(error) => error.into(),
            UploadError::Unknown => Self::NotFound,
            other => Self::Upload(other),
        }
    }
}

impl ApiError {
    /// Status, code of the problem's URI, title.
    #[must_use]
    pub fn parts(&self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Unauthenticated => (401, "unauthenticated", "A valid key is needed"),
            Self::Certificate => (401, "certificate", "The agency's certificate is needed"),
            Self::Forbidden(_) => (403, "forbidden", "This key may not do that"),
            Self::NotFound => (404, "not-found", "Not found"),
            Self::Malformed(_) => (400, "malformed", "The request cannot be read"),
            Self::BodyTooLarge(_) => (413, "body-too-large", "The body is too large"),
            Self::SlowBody(_) => (408, "slow-body", "The body came too slowly"),
            Self::MediaType(_) => (415, "media-type", "The body has another media type"),
            Self::Taken(_) => (409, "taken", "The id is taken"),
            Self::Changed => (409, "changed", "It changed meanwhile"),
            Self::Rule(_) => (422, "rule", "A rule forbids it"),
            Self::KeyReused => (422, "idempotency-key-reused", "The idempotency key was used before"),
            Self::UserMissing => (422, "user-missing", "The acting user is needed"),
            Self::Refused(refusal) => (refusal.status(), refusal.code(), "The agreement does not allow it"),
            Self::BudgetSpent(_) => (429, "budget-spent", "The budget is used up"),
            Self::AgreementEnded => (403, "agreement-ended", "The agreement has ended"),
            Self::TooManyRuns => (429, "too-many-runs", "Too many runs wait"),
            Self::RunEnded => (409, "run-ended", "The run has ended"),
            Self::Approval(error) => approval_parts(*error),
            Self::Intake(error) => intake_parts(error),
            Self::Upload(error) => upload_parts(error),
            Self::Unavailable(_) => (503, "unavailable", "The service is not ready"),
            Self::Internal(_) => (500, "internal", "The service failed"),
        }
    }

    /// The problem as sent.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (status, code, title) = self.parts();
        let told = status < 500 && !matches!(self, Self::NotFound | Self::Unauthenticated);
        Problem {
            kind: format!("urn:blindlink:problem:{code}"),
            title: title.to_owned(),
            status,
            detail: told.then(|| self.to_string()),
        }
    }
}

fn approval_parts(error: ApprovalError) -> (u16, &'static str, &'static str) {
    match error {
        ApprovalError::SamePerson | ApprovalError::Centre => {
            (403, "second-person", "A second person must decide")
        }
        ApprovalError::NotProposer | ApprovalError::NotHolder => {
            (403, "forbidden", "Not this key's to decide")
        }
        ApprovalError::State(_) => (409, "approval-state", "The proposal does not stand at this step"),
        ApprovalError::Time => (422, "approval-time", "The times do not fit"),
        ApprovalError::History => (500, "internal", "The service failed"),
    }
}

fn intake_parts(error: &IntakeError) -> (u16, &'static str, &'static str) {
    match error {
        IntakeError::FormatVersion { .. } => (422, "format-version", "Another version wrote this"),
        IntakeError::ForeignAgency => (403, "foreign-agency", "Not this key's agency"),
        IntakeError::OtherProject => (422, "project-mismatch", "Encoded for another project"),
        IntakeError::PlainIds => (422, "plain-ids", "Local ids must not leave the agency"),
        IntakeError::Schema { .. } => (422, "schema-mismatch", "Encoded under another schema"),
        IntakeError::Key => (422, "key-mismatch", "Encoded with another linkage key"),
        IntakeError::Epoch { .. } => (422, "epoch-mismatch", "Encoded for another epoch"),
        IntakeError::Layout => (422, "layout-mismatch", "Encodings of another shape"),
        IntakeError::ExactTokens => (403, "exact-tokens", "Exact tokens are not agreed"),
        IntakeError::Count { .. } => (422, "count-mismatch", "The counts disagree"),
        IntakeError::TooManyRecords => (422, "too-many-records", "Too many records"),
        IntakeError::TooManyRemovals => (422, "too-many-removals", "Too many removals"),
        IntakeError::RemovalsWithoutBase => (422, "removals-without-base", "Removals need a base"),
        IntakeError::NoSuchChunk => (404, "no-such-chunk", "No such chunk was announced"),
        IntakeError::Digest => (422, "digest-mismatch", "Not the announced content"),
        IntakeError::Sealed => (409, "sealed", "The dataset is sealed"),
        IntakeError::Arrow(error) => arrow_parts(error),
    }
}

fn arrow_parts(error: &ArrowFormError) -> (u16, &'static str, &'static str) {
    match error {
        ArrowFormError::UnknownColumn(_) => (422, "unknown-column", "A column that no encoding has"),
        ArrowFormError::MissingColumn(_) => (422, "missing-column", "A column is missing"),
        ArrowFormError::WrongType { .. } => (422, "wrong-length", "A column of another type or length"),
        ArrowFormError::Nulls(_) => (422, "empty-cells", "Empty cells"),
        ArrowFormError::Payload { .. } => (422, "payload", "A payload cell is not allowed"),
        ArrowFormError::Tag { .. } => (422, "tag", "A tag is out of range"),
        ArrowFormError::TooManyRecords(_) => (422, "too-many-records", "Too many records"),
        ArrowFormError::Malformed => (422, "malformed-arrow", "Not a readable Arrow stream"),
        ArrowFormError::Batch(_) => (422, "wrong-length", "Columns of different lengths"),
    }
}

fn upload_parts(error: &UploadError) -> (u16, &'static str, &'static str) {
    match error {
        UploadError::Unknown => (404, "not-found", "Not found"),
        UploadError::TooManyOpen => (409, "too-many-uploads", "Too many open uploads"),
        UploadError::Missing { .. } => (409, "chunks-missing", "Chunks are missing"),
        UploadError::Content => (422, "content-mismatch", "Not the announced content"),
        UploadError::DuplicateRefs(_) => (422, "duplicate-refs", "A record stands there twice"),
        UploadError::Base { .. } => (409, "base-changed", "The base is not the current dataset"),
        UploadError::Depth => (409, "too-many-deltas", "Too many deltas"),
        UploadError::Store(_) => (500, "internal", "The service failed"),
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.parts().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::Internal(cause) | Self::Unavailable(cause) = self {
            tracing::error!(%cause, "a request failed");
        }
        let mut response = HttpResponse::build(self.status_code());
        response.content_type(PROBLEM_TYPE).insert_header(("cache-control", "no-store"));
        if *self == Self::Unauthenticated {
            response.insert_header(("www-authenticate", "Bearer realm=\"blindlink\""));
        }
        response.body(serde_json::to_vec(&self.problem()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_never_told_and_a_refusal_always() {
        let fault = ApiError::Internal("sled: /var/lib/x is broken".to_owned()).problem();
        assert_eq!(
            serde_json::to_string(&fault).unwrap(),
            r#"{"type":"urn:blindlink:problem:internal","title":"The service failed","status":500}"#
        );
        let refusal = ApiError::from(Refusal::NoPurpose).problem();
        assert!(refusal.detail.unwrap().contains("purpose"));
    }
}
