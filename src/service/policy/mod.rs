//! What the agreement allows, as data and pure decisions: no store, no clock, no HTTP.
//!
//! May see: wire, ledger's words. Must not see: agency. Top-down: [`Agreement`] is the validated document;
//! [`decide_lookup`] and [`decide_submit`] turn it and a request into a proof that the operation demands, or
//! into a [`Refusal`]; [`widenings`] names what in a new revision needs two people; [`Approval`] is how two
//! people decide.

mod agreement;
mod approval;
mod decide;
mod widen;

pub use agreement::{
    AGREEMENT_FORMAT_VERSION, Agreement, AgreementDocument, AgreementError, AnswerLevel, Asks, BudgetTerms,
    Day, PairTerms, Party, PurposeTerms, RETENTION_MONTHS_MAX,
};
pub use approval::{APPROVAL_HOURS_MAX, Approval, ApprovalError, ApprovalState, Grant, Matter, Person, Step};
pub use decide::{
    AllowedLookup, AllowedSubmit, AskKind, LookupAsk, Refusal, decide_lookup, decide_read, decide_submit,
};
pub use widen::{Widening, widenings};
