//! `generate`: children's records in several agencies, with truth.

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::files::{private_folder, write_atomic};
use super::term::{Terminal, count, table};
use crate::synth::{AgencyKind, AgencySpec, Config, Generator, Size, TABLES_NOTICE, TRUTH_HEADER, push_row};
use crate::wire::AgencyId;
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Generates children of UK-like families as several agencies know them, with truth. No real person.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// How many children.
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    children: u32,
    /// Any text; the same text makes the same children.
    #[arg(long, default_value = "1", value_name = "TEXT")]
    seed: String,
    /// Errors in the records, in percent of the usual rates: 0 is clean.
    #[arg(long, default_value_t = 100, value_name = "PERCENT")]
    noise: u32,
    /// An agency of your own instead of the usual five; repeat for more. PERCENT is the share of the kind's usual
    /// coverage. Kinds: health, education, social_care, youth_justice, early_years.
    #[arg(long = "agency", value_name = "NAME=KIND[:PERCENT]", value_parser = agency)]
    agencies: Vec<AgencySpec>,
    /// Folder to make: one CSV for each agency, its column mapping, and truth.csv.
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

/// What was generated.
#[derive(Debug, Serialize)]
pub(crate) struct Generated {
    /// Children in all.
    pub(crate) children: u64,
    /// Agency and number of its records.
    pub(crate) agencies: Vec<(String, u64)>,
}

pub(crate) fn generate(args: &GenerateArgs, terminal: Terminal) -> Outcome {
    let mut config = Config::new(&args.seed, Size::Children(args.children));
    config.noise_percent = args.noise;
    if !args.agencies.is_empty() {
        config.agencies.clone_from(&args.agencies);
    }
    let generated = write_children(config, &args.out, terminal)?;
    if terminal.json {
        terminal.report(&generated)?;
    } else {
        let rows = generated.agencies.iter().map(|(name, records)| [name.clone(), count(*records)]);
        terminal.line(table(["agency", "records"], rows))?;
        terminal.line(format!(
            "{} children as {} agencies know them, truth in {}",
            count(generated.children),
            generated.agencies.len(),
            args.out.join("truth.csv").display()
        ))?;
    }
    Ok(Exit::Done)
}

/// `school_a=education:50`. Names become file names: those of agency ids only.
fn agency(text: &str) -> Result<AgencySpec, String> {
    let (name, rest) = text.split_once('=').ok_or("an agency is NAME=KIND or NAME=KIND:PERCENT")?;
    let name: AgencyId = name.parse().map_err(|error| format!("{error}"))?;
    let (kind, percent) = rest.split_once(':').unwrap_or((rest, "100"));
    let found = AgencyKind::ALL.into_iter().find(|known| known.name() == kind);
    let kind = found.ok_or_else(|| {
        let names: Vec<&str> = AgencyKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("a kind is one of {}", names.join(", "))
    })?;
    let coverage_percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
    let coverage_percent = coverage_percent.ok_or("a coverage is 1 to 100 percent")?;
    Ok(AgencySpec { name: name.to_string(), kind, coverage_percent })
}

/// Writes each agency's extract, its mapping, the truth and the tables' notice into `folder`.
pub(crate) fn write_children(
    config: Config,
    folder: &Path,
    terminal: Terminal,
) -> Result<Generated, Failure> {
    let expected = match config.size {
        Size::Children(children) => u64::from(children),
        Size::Families(families) => 2 * u64::from(families),
    };
    let generator = Generator::new(config).or_exit(Exit::Usage)?;
    private_folder(folder)?;
    let (agencies, today) = (generator.config().agencies.clone(), generator.config().today);
    let mut files = Vec::new();
    for agency in &agencies {
        let mut file = create(&folder.join(format!("{}.csv", agency.name)))?;
        write_row(&mut file, agency.kind.columns().iter().map(|column| column.header))?;
        files.push((file, 0u64));
        let mapping = agency.kind.mapping_toml(today);
        write_atomic(&folder.join(format!("{}.columns.toml", agency.name)), |out| {
            out.write_all(mapping.as_bytes()).or_exit(Exit::Internal)
        })?;
    }
    let mut truth = create(&folder.join("truth.csv"))?;
    write_row(&mut truth, TRUTH_HEADER)?;
    let bar = terminal.progress("generating", "children", expected);
    let mut children = 0u64;
    for family in generator {
        children += family.people.len() as u64;
        bar.set_position(children);
        for record in &family.records {
            let (file, records) = &mut files[record.agency];
            *records += 1;
            write_row(file, record.cells.iter().map(String::as_str))?;
            let cells = record.truth.cells(&agencies[record.agency].name);
            write_row(&mut truth, cells.iter().map(String::as_str))?;
        }
    }
    bar.finish_and_clear();
    truth.flush().or_exit(Exit::Internal)?;
    for (file, _) in &mut files {
        file.flush().or_exit(Exit::Internal)?;
    }
    write_atomic(&folder.join("NOTICE.md"), |out| {
        out.write_all(TABLES_NOTICE.as_bytes()).or_exit(Exit::Internal)
    })?;
    let counts = agencies.into_iter().zip(files).map(|(agency, (_, records))| (agency.name, records));
    Ok(Generated { children, agencies: counts.collect() })
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    File::create(path).map(BufWriter::new).or_exit_with(Exit::BadInput, format!("writing {}", path.display()))
}

fn write_row<'a>(
    file: &mut BufWriter<File>,
    cells: impl IntoIterator<Item = &'a str>,
) -> Result<(), Failure> {
    let mut row = Vec::with_capacity(160);
    push_row(&mut row, cells);
    file.write_all(&row).or_exit_with(Exit::Internal, "writing generated records")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agencies_are_named_by_kind_and_coverage() {
        let school = agency("school_a=education:50").unwrap();
        assert_eq!((school.name.as_str(), school.kind), ("school_a", AgencyKind::Education));
        assert_eq!((school.coverage_percent, agency("h=health").unwrap().coverage_percent), (50, 100));
        for wrong in ["health", "../h=health", "h=hospital", "h=health:0", "h=health:101", "h=health:x"] {
            assert!(agency(wrong).is_err(), "{wrong}");
        }
    }
}
