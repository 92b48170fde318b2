//! How the command line speaks: results on standard output, everything else on standard error.

use super::exit::{Exit, Failure};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};

/// The voice of one command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Results as JSON.
    pub(crate) json: bool,
}

impl Terminal {
    /// Prints a line of the result. Whoever closed the pipe has read enough: the work goes on.
    pub(crate) fn line(self, text: impl AsRef<str>) -> Result<(), Failure> {
        let written = writeln!(std::io::stdout().lock(), "{}", text.as_ref());
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure { exit: Exit::Internal, error: error.into() }),
            Ok(()) => Ok(()),
        }
    }

    /// Prints a line for people beside a report: under `--json` it goes to standard error.
    #[cfg(feature = "agency")]
    pub(crate) fn tell(self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.json {
            self.note(text);
            return Ok(());
        }
        self.line(text)
    }

    /// Prints a report as JSON.
    pub(crate) fn report(self, report: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(report)
            .map_err(|error| Failure { exit: Exit::Internal, error: error.into() })?;
        self.line(text)
    }

    /// Tells the user what is going on; nothing to read for a program.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
    }

    /// A progress bar over `total` steps of `unit`, on standard error, hidden unless it is a terminal.
    pub(crate) fn progress(self, doing: &str, unit: &str, total: u64) -> ProgressBar {
        if !std::io::stderr().is_terminal() || self.json {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total);
        let form = format!("{{msg:24}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit} ({{eta}} left)");
        if let Ok(style) = ProgressStyle::with_template(&form) {
            bar.set_style(style);
        }
        bar.set_message(doing.to_owned());
        bar
    }
}

/// A table for people; the first row is its heading.
pub(crate) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(heading);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    table.trim_fmt()
}

/// `12345678` as `12,345,678`.
pub(crate) fn count(number: impl Into<u64>) -> String {
    crate::report::grouped(number.into())
}
