//! Merkle log, checkpoints and proofs (RFC 6962). Pure: no file, network, clock or printing.
