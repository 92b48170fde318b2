//! SEALED ROOM: the centre. Never sees an identifier or a linkage key.
//!
//! May see: wire, linkage, ledger, store, config. Must not see: agency, config::agency.
//!
//! Top-down: [`server`] binds and starts; [`routes`] lists every way in; a handler authenticates, obtains
//! a grant from [`auth`], reads a bounded body and calls an operation: [`intake`] for uploads, [`jobs`] for
//! runs, `lookups` for questions and `seen` for what they see, [`answers`] for what else an agency may learn. Refusals are all in [`error`].
//! What the agreement allows is decided by [`policy`] ([`agreements`] knows which one holds), how much of it by
//! [`budgets`]; what was asked stands in [`ledgers`] before it is answered. What of a table may leave stands in
//! [`suppress`], and when a record ends in [`rights`]; `erasing` does it and [`journal`] remembers it. What two people decide stands in `approvals` and `decided` (`approver_key` for when nobody can), who
//! may learn of a record in `shield`, uncertain pairs in `review`, whom the broker names in `referrals`.

pub mod aggregate;
pub mod agreements;
pub mod alerts;
pub mod answers;
mod approvals;
mod approver_key;
pub mod auth;
mod body;
pub mod budgets;
mod console;
mod decided;
pub mod dpia;
pub mod erasing;
pub mod error;
mod front_door;
mod handlers;
mod inherit;
pub mod intake;
pub mod jobs;
pub mod journal;
mod layers;
pub mod ledgers;
mod linking;
mod lookups;
mod metrics;
pub mod policy;
mod referrals;
mod review;
pub mod rights;
pub mod routes;
pub mod secrets;
mod seen;
pub mod server;
mod shield;
mod state;
pub mod suppress;
pub mod tls;
