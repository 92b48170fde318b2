//! Whose records the demo links: generated children, or a folder of extracts.

use super::super::evaluate::agency_name;
use super::super::exit::{Exit, Failure, OrExit};
use super::super::files::{extracts, open, write_atomic};
use super::super::generate::write_children;
use super::super::term::{Terminal, count, table};
use crate::agency::propose::propose;
use crate::synth::{AgencyKind, AgencySpec, Config, Size};
use crate::wire::AgencyId;
use jiff::Zoned;
use std::io::Write;
use std::path::{Path, PathBuf};

/// One agency's extract and its column mapping.
pub(super) struct AgencySource {
    pub(super) id: AgencyId,
    pub(super) extract: PathBuf,
    pub(super) columns: PathBuf,
}

/// The agencies' extracts, and the truth where there is one.
pub(super) struct Source {
    pub(super) agencies: Vec<AgencySource>,
    pub(super) truth: Option<PathBuf>,
}

impl Source {
    /// Three agencies' records of generated children.
    pub(super) fn generated(
        children: u32,
        seed: &str,
        folder: &Path,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        let mut config = Config::new(seed, Size::Children(children));
        config.agencies = [AgencyKind::Health, AgencyKind::Education, AgencyKind::SocialCare]
            .map(AgencySpec::usual)
            .to_vec();
        let folder = folder.join("extracts");
        let generated = write_children(config, &folder, terminal)?;
        terminal.tell(format!(
            "{} children were generated, with siblings, twins, moves, nicknames and mistakes. No real person.",
            count(generated.children)
        ))?;
        let rows = generated.agencies.iter().map(|(name, records)| [name.clone(), count(*records)]);
        terminal.tell(table(["agency", "records"], rows))?;
        let source = |(name, _): &(String, u64)| {
            Ok(AgencySource {
                id: name.parse().or_exit(Exit::Internal)?,
                extract: folder.join(format!("{name}.csv")),
                columns: folder.join(format!("{name}.columns.toml")),
            })
        };
        let agencies = generated.agencies.iter().map(source).collect::<Result<_, Failure>>()?;
        Ok(Self { agencies, truth: Some(folder.join("truth.csv")) })
    }

    /// Every CSV of `data`, `truth*.csv` apart; proposed mappings go to `scratch`.
    pub(super) fn folder(data: &Path, scratch: &Path, terminal: Terminal) -> Result<Self, Failure> {
        let mut agencies = Vec::new();
        for extract in extracts(data)? {
            let stem =
                extract.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let id: AgencyId = agency_name(&stem).parse().or_exit_with(Exit::BadInput, extract.display())?;
            let given = data.join(format!("{stem}.columns.toml"));
            let columns = if given.is_file() { given } else { propose_columns(&extract, scratch, terminal)? };
            agencies.push(AgencySource { id, extract, columns });
        }
        if agencies.len() < 2 {
            let message = format!("{} has fewer than two extracts (*.csv): nothing to link", data.display());
            return Err(Failure::new(Exit::BadInput, message));
        }
        let truth = ["truth.csv", "truth_records.csv"].map(|name| data.join(name));
        Ok(Self { agencies, truth: truth.into_iter().find(|path| path.is_file()) })
    }
}

fn propose_columns(extract: &Path, scratch: &Path, terminal: Terminal) -> Result<PathBuf, Failure> {
    let proposal =
        propose(open(extract)?, Zoned::now().date()).or_exit_with(Exit::BadInput, extract.display())?;
    for note in &proposal.notes {
        terminal.tell(format!("{}: {note}", extract.display()))?;
    }
    let name = extract.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let path = scratch.join(format!("{name}.columns.toml"));
    write_atomic(&path, |out| out.write_all(proposal.to_toml().as_bytes()).or_exit(Exit::Internal))?;
    Ok(path)
}
