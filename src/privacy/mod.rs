//! PURE: what encodings give away, measured by attacking them. The attacks of the literature as code, and the report.
//!
//! May see: wire, linkage, synth, and agency (an attacker encodes too, with keys of its own). Must not see: files, network,
//! clock, environment, printing; nothing but the command line and tests imports this room.
//!
//! Top-down: [`assess()`] plans the attacks for a schema and a population and judges them by its [`Bars`]; a [`Scene`] is the
//! children with what agencies write of them; a [`Target`] is what the attacker holds of it; each file of [`attacks`] is one
//! attack and ends in a [`Finding`]. Everything is deterministic by seed, whatever the number of threads. Floats are at home
//! here: nothing in this room decides about a child.

mod assess;
pub mod attacks;
mod bars;
mod dense;
mod draw;
mod finding;
mod graph;
mod quality;
mod scene;
mod target;
mod verdict;

pub use assess::{Assessment, Plan, Population, Watch, assess};
pub use bars::{BAR_IDS, Bars};
pub use finding::{Finding, Measure, Standing, wilson};
pub use quality::Quality;
pub use scene::{AgencyRecords, CHILDREN_MAX, CHILDREN_MIN, Scene, SceneConfig};
pub use target::{Target, TargetOptions};

use crate::agency::mapping::MappingError;
use crate::agency::reader::ReadError;
use crate::agency::schema::SchemaError;
use crate::linkage::join::JoinError;
use crate::linkage::run::RunError;
use crate::synth::SynthError;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum PrivacyError {
    /// Too few or too many children.
    #[error("a population of {found} children cannot be assessed: give {min} to {max}")]
    Population {
        /// What was asked.
        found: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// More memory than allowed.
    #[error(
        "an assessment of {children} children would take about {needed_mb} MB, more than the {allowed_mb} MB allowed: assess a smaller population"
    )]
    Memory {
        /// How many children.
        children: u64,
        /// What it would take, in MB.
        needed_mb: u64,
        /// What it may take, in MB.
        allowed_mb: u64,
    },
    /// A bar of no attack.
    #[error("the schema declares a bar for '{0}', which no attack reports; there are: {known}", known = BAR_IDS.join(", "))]
    UnknownBar(String),
    /// Too little to link by.
    #[error(
        "a schema with one attribute links nobody and hides nothing: whoever knows the frequency of its values reads them off; add attributes before assessing it"
    )]
    OneAttribute,
    /// No person of the sample has a value the schema reads.
    #[error(
        "no person of the sample has a value for attribute '{0}', which the schema reads: map its column or leave the attribute out of the schema"
    )]
    Attribute(String),
    /// The generator refused.
    #[error(transparent)]
    Synth(#[from] SynthError),
    /// The generated extracts could not be read: a fault of the program.
    #[error("generated records: {0}")]
    Read(#[from] ReadError),
    /// The generated extracts' mapping: a fault of the program.
    #[error("generated records: {0}")]
    Mapping(#[from] MappingError),
    /// A schema made for the attacker or for a comparison is refused.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Linking the agencies' files failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Comparing failed or was cancelled.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// Somebody asked to stop.
    #[error("stopped before it was finished")]
    Cancelled,
    /// A name or key made in code is not well-formed: a fault of the program.
    #[error("a fault of this program: {0}")]
    Internal(&'static str),
}

#[cfg(test)]
mod tests;
