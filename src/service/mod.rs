//! SEALED ROOM: the centre. Never sees an identifier or a linkage key.
//!
//! May see: wire, linkage, ledger, store, config. Must not see: agency, config::agency.
//!
//! Top-down: [`server`] binds and starts; [`routes`] lists every way in; a handler authenticates, obtains
//! a grant from [`auth`], reads a bounded body and calls an operation: [`intake`] for uploads, [`jobs`] for
//! runs, [`answers`] for what an agency may learn. Refusals are all in [`error`].
//! What the agreement allows stands in [`policy`], how much of it in [`budgets`], what of a table may leave
//! in [`suppress`], and when a record ends in [`rights`]: each decides, none serves, and no handler asks
//! them yet (docs/threat-model.md).

pub mod answers;
pub mod auth;
mod body;
pub mod budgets;
mod console;
pub mod error;
mod handlers;
pub mod intake;
pub mod jobs;
mod layers;
mod metrics;
pub mod policy;
pub mod rights;
pub mod routes;
pub mod server;
mod state;
pub mod suppress;
