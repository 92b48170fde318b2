//! clkhash at the command line: `encode --profile legacy-clk`, and CLK JSON as input of `link`.

use super::exit::{Exit, Failure, OrExit};
use super::files::{open, write_atomic};
use super::keygen::key_failure;
use crate::agency::keyfile::read_private;
use crate::agency::legacy::{Header, ImportLimits, Options, batch, encode_json, header, import_clks};
use crate::wire::{AgencyId, DecisionModel, DiceModel, EncodingBatch, EncodingHeader, ProjectId, Threshold};
use std::path::Path;

/// Encodes an extract as clkhash 0.18.3 does, bit for bit; returns how many CLKs were written.
pub(crate) fn encode_clkhash(
    extract: &Path,
    schema: &Path,
    secret: &Path,
    no_header: bool,
    out: &Path,
) -> Result<usize, Failure> {
    let text = read_private(secret).map_err(key_failure)?;
    let options = Options { header: if no_header { Header::None } else { Header::Check }, validate: true };
    let mut count = 0;
    write_atomic(out, |file| {
        let made = encode_json(open(schema)?, text.as_bytes(), open(extract)?, options, file);
        count = made.or_exit_with(Exit::BadInput, extract.display())?;
        Ok(())
    })?;
    Ok(count)
}

/// Reads CLK JSON of clkhash or anonlink as encodings of the agency the file is named after.
pub(crate) fn read_clks(
    path: &Path,
    threshold: Threshold,
) -> Result<(EncodingHeader, EncodingBatch), Failure> {
    let doing = || path.display().to_string();
    let clks = import_clks(open(path)?, ImportLimits::default()).or_exit_with(Exit::BadInput, doing())?;
    let encodings = batch(&clks).or_exit_with(Exit::BadInput, doing())?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let agency: AgencyId =
        super::evaluate::agency_name(&stem).parse().or_exit_with(Exit::BadInput, doing())?;
    let project: ProjectId = "offline".parse().or_exit(Exit::Internal)?;
    let decision = DecisionModel::Dice(DiceModel::at(threshold));
    Ok((header(agency, project, &encodings, decision), encodings))
}
