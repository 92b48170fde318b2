//! Differencing: two runs one record apart, and the difference of their overlap tables says whether the record was linked.
//!
//! Source: differencing attacks on published tables (Office for National Statistics guidance on disclosure control). Rounding
//! to fives hides most single changes and shows one in five, where a count crosses a boundary: that is why runs are immutable
//! and a table is released once, not once a delta. The difference of one table with itself is nothing, so it is not measured.
//!
//! The attacker knows: the aggregates of two runs, and that one record was added between them. Cost: one subtraction.

use super::super::draw::Draw;
use super::super::finding::Finding;
use crate::wire::messages::PublishedCount;

/// What the centre releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Exact counts of each run: the control.
    Exact,
    /// Counts as the centre publishes them, each run.
    Rounded,
}

/// Adds one record at a time to cells of 1 to `largest` children and compares the tables.
#[must_use]
pub fn run(seed: &str, release: Release, largest: u64, trials: u64) -> Finding {
    let mut draw = Draw::new(seed, "differencing");
    let mut hits = 0;
    for _ in 0..trials {
        let before = 1 + draw.below(largest as usize) as u64;
        let linked = draw.below(2) == 1;
        let after = before + u64::from(linked);
        // Not seen to change: more often not linked.
        let told = match release {
            Release::Exact => before != after,
            Release::Rounded => PublishedCount::of(before) != PublishedCount::of(after),
        };
        hits += u64::from(told == linked);
    }
    let (attack, setting) = match release {
        Release::Exact => ("differencing-exact", "exact counts of two runs one record apart"),
        Release::Rounded => ("differencing-rounded", "both runs' tables, counts rounded to five"),
    };
    Finding::share(attack, setting, hits, trials, 0.5)
}
