//! blindlink: which other agencies know this child, without a name ever leaving the agency.
//!
//! Two rooms and a wall. [`agency`] sees identifiers and the linkage key and turns records into keyed
//! Bloom-filter encodings. [`service`] stores and links encodings and can not even name the types of
//! the other room: with feature `central` alone it compiles with `agency/` absent. What crosses is in
//! [`wire`]. [`linkage`], [`ledger`], [`synth`], [`privacy`] and [`report`] are pure: data in, data out.
//!
//! Read top-down: `wire`, `agency::encoder`, `linkage::run`, `service::routes`. `docs/architecture.md`
//! draws the way through.

#[cfg(feature = "agency")]
pub mod agency;
pub mod config;
pub mod ledger;
pub mod linkage;
#[cfg(feature = "agency")]
pub mod privacy;
pub mod report;
#[cfg(feature = "central")]
pub mod service;
#[cfg(feature = "central")]
pub mod store;
pub mod synth;
pub mod wire;

#[doc(hidden)]
pub mod cli;
