//! Generator of children's records in several agencies, with truth. Pure and seeded.
//!
//! UK-like families (siblings, twins, step-families, adoption, care, moves) are drawn from reduced name and place
//! tables; each agency then writes down some of the children in its own format and with its own mistakes. No real
//! person; NHS numbers lie in the test range 999.
//!
//! May see: its tables (compiled in), BLAKE3, rayon. Must not see: files, network, clock, environment, other rooms.
//! Same [`Config`], same records, on any machine and any number of threads. Rates are plausible guesses, not measured.

mod agency;
mod config;
mod csv;
mod day;
mod edit;
mod event;
mod family;
mod generator;
mod ids;
mod person;
mod places;
mod record;
mod rng;
mod tables;
mod written;

pub use agency::{AgencyKind, AgencySpec, Column, ColumnRole};
pub use config::{AGENCIES_MAX, Config, FAMILIES_MAX, Size, SynthError};
pub use csv::push_row;
pub use day::Day;
pub use event::Event;
pub use generator::{Family, Generator, people};
pub use person::{Person, Sex};
pub use record::{Record, TRUTH_HEADER, Truth};

/// Where the tables come from and under which licences; to be shown with generated data.
pub const TABLES_NOTICE: &str = include_str!("tables/NOTICE.md");
