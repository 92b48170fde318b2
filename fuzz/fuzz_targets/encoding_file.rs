//! Fuzzes `targets::encoding_file`.
#![no_main]
#[path = "../targets.rs"]
#[allow(dead_code, reason = "each binary runs one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::encoding_file(data));
