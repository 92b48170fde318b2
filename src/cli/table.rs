//! `table`: counts that may leave the centre, as the strategist reads them.

use super::ask::FromArgs;
use super::exit::{Exit, Failure, Outcome};
use super::term::Terminal;
use super::workspace::client_failure;
use crate::wire::AgencyId;
use crate::wire::messages::TableMessage;
use clap::{Args, ValueEnum};

/// Shows a table of counts: children by number of agencies, area, month, absence; as it is, or as it
/// would be with another threshold or without an agency. Small counts are suppressed.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// Which table
    table: TableKind,
    /// Count as a match from this similarity (0.85), or these bits of evidence (18b)
    #[arg(long, value_name = "SCORE")]
    threshold: Option<String>,
    /// Leave this agency out; may be repeated
    #[arg(long, value_name = "AGENCY")]
    without: Vec<AgencyId>,
    /// For `absence`: children known to this agency
    #[arg(long, value_name = "AGENCY", required_if_eq("table", "absence"), requires = "absent")]
    present: Option<AgencyId>,
    /// For `absence`: and whether this one knows them
    #[arg(long, value_name = "AGENCY", requires = "present")]
    absent: Option<AgencyId>,
    #[command(flatten)]
    from: FromArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TableKind {
    /// Records of each agency, children in common of each two
    Overlap,
    /// Children known to exactly 1, 2, .. agencies
    KnownTo,
    /// Children known to at least 1, 2, .. agencies
    AtLeast,
    /// Children by area
    Area,
    /// Children by months since last active
    Month,
    /// Children known to one agency and not to another, by age band
    Absence,
}

impl TableKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::KnownTo => "known-to",
            Self::AtLeast => "at-least",
            Self::Area => "area",
            Self::Month => "month",
            Self::Absence => "absence",
        }
    }
}

pub(crate) fn table(args: &TableArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let mut words: Vec<String> = args.without.iter().map(|agency| format!("without={agency}")).collect();
    let plain = |text: &String| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    if let Some(threshold) = &args.threshold {
        if !plain(threshold) {
            return Err(Failure::new(Exit::Usage, "--threshold is a number such as 0.85 or 18b"));
        }
        words.push(format!("threshold={threshold}"));
    }
    words.extend(args.present.iter().map(|agency| format!("present={agency}")));
    words.extend(args.absent.iter().map(|agency| format!("absent={agency}")));
    let mark = if words.is_empty() { "" } else { "?" };
    let (project, name) = (&workspace.config.project, args.table.name());
    let path = format!("/v1/projects/{project}/tables/{name}{mark}{}", words.join("&"));
    let found: TableMessage = client.get(&path).map_err(client_failure)?;
    if terminal.json {
        terminal.report(&found)?;
    } else {
        print(&found, terminal)?;
    }
    Ok(Exit::Done)
}

fn print(found: &TableMessage, terminal: Terminal) -> Result<(), Failure> {
    terminal.line(&found.title)?;
    let mut lines = vec![[vec![String::new()], found.columns.clone()].concat()];
    for (row, cells) in found.rows.iter().zip(&found.cells) {
        let figures = cells.iter().map(ToString::to_string);
        lines.push([row.clone()].into_iter().chain(figures).collect());
    }
    let widths: Vec<usize> = (0..=found.columns.len())
        .map(|at| lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        terminal.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    let below = found.suppressed_below;
    terminal.line(format!(
        "counts from 1 to {} are c, as is what would give one away; the rest rounded to 5; fixed {}",
        below.saturating_sub(1),
        found.released
    ))
}
