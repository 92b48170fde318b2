//! `keygen`: new keys, written once, readable by their owner only.

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::term::Terminal;
use crate::agency::key::{AgencyKey, LinkageKey};
use crate::agency::keyfile::KeyFileError;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Makes a key from the operating system's random bytes: the linkage key that the agencies of a
/// project share, or with --agency the key that never leaves one agency. An existing file is never
/// replaced.
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// File to write, mode 0600.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Make an agency's own key instead of a linkage key.
    #[arg(long)]
    agency: bool,
}

pub(crate) fn keygen(args: &KeygenArgs, terminal: Terminal) -> Outcome {
    let (kind, advice) = if args.agency {
        AgencyKey::generate().or_exit(Exit::Internal)?.write_new(&args.out).map_err(key_failure)?;
        ("agency", "it never leaves this agency; keep a copy, refs depend on it")
    } else {
        LinkageKey::generate().or_exit(Exit::Internal)?.write_new(&args.out).map_err(key_failure)?;
        ("linkage", "it reaches the other agencies of the project by 'blindlink key', and the centre never")
    };
    if terminal.json {
        terminal.report(&json!({ "key": kind, "file": args.out }))?;
    } else {
        terminal.line(format!("{kind} key written to {}: {advice}", args.out.display()))?;
    }
    Ok(Exit::Done)
}

/// A key file that is refused: exposed or foreign ones are a matter of policy, damaged ones bad input.
pub(crate) fn key_failure(error: KeyFileError) -> Failure {
    let exit = match &error {
        KeyFileError::Symlink { .. }
        | KeyFileError::NotAFile { .. }
        | KeyFileError::Mode { .. }
        | KeyFileError::Owner { .. }
        | KeyFileError::Typed
        | KeyFileError::Exists { .. } => Exit::Refused,
        KeyFileError::Io { .. } | KeyFileError::TooLong { .. } | KeyFileError::Key { .. } => Exit::BadInput,
    };
    Failure { exit, error: error.into() }
}
