//! PURE: candidates, evidence, decision, assignment, groups. Data in, data out.
//!
//! May see: wire, rayon. Must not see: files, network, clock, environment, printing, actix, sled.
//!
//! Top-down: [`arena`] holds the datasets; candidate pairs come from a join over their slots; the
//! evidence of each pair becomes a score and a band; one-to-one assignment and groups end it.

mod agree;
pub mod arena;
pub mod assign;
pub mod blocks;
pub mod decide;
mod defaults;
pub mod delta;
pub mod em;
pub mod estimate;
pub mod evaluate;
pub mod evidence;
pub mod exec;
pub mod groups;
mod guards;
pub mod join;
#[expect(unsafe_code, reason = "the one room of vector instructions; safe wrappers inside")]
pub mod kernel;
mod lsh;
#[cfg(test)]
mod made_up;
pub mod nearest;
pub mod pairs;
pub mod patterns;
mod plan;
pub mod run;
mod sketch;
mod sweep;
mod tiles;
pub mod train;
pub mod words;
