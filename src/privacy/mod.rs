//! The attacks of the threat model as code, and the assessment report. Pure: no file, network, clock or printing.
