//! One file per attack: its source, what the attacker knows, what it costs.
//!
//! May see: a [`Target`]'s encodings and register, known pairs. The truth is read only to judge the answers.

pub mod dictionary;
pub mod differencing;
pub mod double_hash;
pub mod empties;
pub mod frequency;
pub mod graph_matching;
pub mod matched_filter;
pub mod oracle;
pub mod patterns;
pub mod percolation;
pub mod popcount;
pub mod probing;
pub(super) mod spectral;
pub mod structure;
pub mod unlinkable;

use super::PrivacyError;
use super::dense::Side;
use super::graph::{Graph, has_exact_tags};
use super::target::{Target, TargetOptions};
use crate::linkage::arena::Dataset;
use std::sync::Arc;

/// A target with its similarities laid out once for all attacks.
pub struct Prepared<'t> {
    /// What is attacked.
    pub target: &'t Target,
    pub(super) likeness: Likeness<'t>,
}

/// How nodes of one side resemble each other.
pub(super) enum Likeness<'t> {
    /// Everything compares with everything.
    Dense {
        /// The agencies' nodes.
        encoded: Arc<Side<'t>>,
        /// The attacker's register.
        register: Side<'t>,
    },
    /// Only where salts agree.
    Tagged {
        /// The agencies' nodes.
        encoded: Arc<Graph>,
        /// The attacker's register.
        register: Graph,
    },
}

impl<'t> Prepared<'t> {
    /// Lays the similarities out.
    ///
    /// # Errors
    /// [`PrivacyError::Join`] when cancelled or when too many slots have equal tags.
    pub fn new(target: &'t Target, options: TargetOptions<'_>) -> Result<Self, PrivacyError> {
        Self::beside(target, None, options)
    }

    /// Lays the similarities out for the same encodings as `other`'s and another register.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn beside(
        target: &'t Target,
        other: Option<&Prepared<'t>>,
        options: TargetOptions<'_>,
    ) -> Result<Self, PrivacyError> {
        let register: Vec<_> = target.register.iter().collect();
        let likeness = if target.is_tagged() {
            let exact = has_exact_tags(&target.encoded);
            let rows: Vec<u32> = (0..target.persons.len() as u32).collect();
            let graph = |dataset: &Dataset, of: &[u32], nodes| {
                Graph::new(dataset, (of, nodes), exact, options.exec, options.control)
            };
            let encoded = match other.map(|other| &other.likeness) {
                Some(Likeness::Tagged { encoded, .. }) => Arc::clone(encoded),
                _ => Arc::new(graph(&target.encoded, &target.node_of(), target.nodes.len())?),
            };
            let register = graph(&target.register[0], &rows, rows.len())?;
            Likeness::Tagged { encoded, register }
        } else {
            let side = |tables, nodes| Side::new(tables, nodes).ok_or(PrivacyError::Internal("no kernel"));
            let encoded = match other.map(|other| &other.likeness) {
                Some(Likeness::Dense { encoded, .. }) => Arc::clone(encoded),
                _ => Arc::new(side(vec![target.encoded.as_ref()], Some(target.nodes.as_slice()))?),
            };
            Likeness::Dense { encoded, register: side(register, None)? }
        };
        Ok(Self { target, likeness })
    }
}
