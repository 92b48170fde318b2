//! Exit codes: a stable contract, documented in the README.

use std::fmt::Display;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(feature = "agency", feature = "central")),
    expect(dead_code, reason = "the contract is whole in every build")
)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Done, with findings that somebody should read.
    Findings = 1,
    /// The command was not understood.
    Usage = 2,
    /// A file or value given is not acceptable.
    BadInput = 3,
    /// Refused by policy, by a key or by its permissions.
    Refused = 4,
    /// The service did not answer.
    Unreachable = 5,
    /// The store is damaged.
    StoreDamaged = 6,
    /// A fault of this program.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that ended early: its exit code and what to tell the user.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

/// What every command returns.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure with a message of its own.
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, error: anyhow::anyhow!("{message}") }
    }
}

/// Gives an error its exit code where it is met.
pub(crate) trait OrExit<T> {
    /// The value, or the error under `exit`.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
    /// The value, or the error under `exit` with what was being done (`reading a.csv`) in front.
    fn or_exit_with(self, exit: Exit, doing: impl Display) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into() })
    }
    fn or_exit_with(self, exit: Exit, doing: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into().context(doing.to_string()) })
    }
}
