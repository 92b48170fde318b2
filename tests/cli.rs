//! Frozen command-line cases: every `--help`, and refusals with their exit codes.
#![cfg(all(feature = "agency", feature = "central"))]

#[test]
fn commands_say_what_they_said() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
