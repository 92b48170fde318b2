//! Configuration: raw form (unknown fields denied), then validated, for agency and centre.

#[cfg(feature = "agency")]
pub mod agency;
#[cfg(feature = "central")]
pub mod central;
