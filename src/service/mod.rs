//! SEALED ROOM: the centre. Never sees an identifier or a linkage key.
//!
//! May see: wire, linkage, ledger, store, config. Must not see: agency, config::agency.
//!
//! Top-down: [`server`] binds and starts; [`routes`] lists every way in; a handler authenticates, obtains
//! a grant from [`auth`], reads a bounded body and calls an operation: [`intake`] for uploads, [`jobs`] for
//! runs, [`answers`] for what an agency may learn. Refusals are all in [`error`].

pub mod answers;
pub mod auth;
mod body;
mod console;
pub mod error;
mod handlers;
pub mod intake;
pub mod jobs;
mod layers;
mod metrics;
pub mod policy;
pub mod routes;
pub mod server;
mod state;
