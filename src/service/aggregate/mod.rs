//! Aggregates: counts about children, released under one clock so that no two of them can be laid over each other.
//!
//! May see: store, suppress, policy. Must not see: agency, encodings. One finished run of a project is *taken* for all
//! its tables; a later run is taken for all of them together, when the cool-off is over. Each table is released
//! by [`super::suppress`] and its release stored, so that what is shown twice is the same to the byte.
//! How many what-if tables a project may ever have is bounded: each one more is one more equation.

mod count;
mod tables;

pub(super) use tables::{Table, TableName};

use super::agreements;
use super::auth::{ProjectGrant, ReadAggregates};
use super::error::ApiError;
use super::suppress::{CountTable, Release, ReleaseTerms, release};
use crate::store::{Batch, ProjectRecord, RunRecord, StoreError, Vault};
use crate::wire::messages::{OverlapCell, OverlapTable, PublishedCount, RunState, TableMessage};
use crate::wire::{ContentDigest, RunId, UtcTime};
use count::{Frozen, WhatIf};
use serde::{Deserialize, Serialize};

/// Days for which a taken run stands before a later one may be taken.
pub const COOL_OFF_DAYS: u16 = 7;
/// Tables about what might be, of one project.
pub const WHAT_IFS_MAX: usize = 24;

/// The run that all tables of a project are counted from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    run: RunId,
    /// When it was taken: the moment of every release from it.
    at: UtcTime,
}

/// A release with what makes its rows and columns the same again.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    run: RunId,
    rows: Vec<String>,
    columns: Vec<String>,
    release: Release,
}

fn taken_name(project: &ProjectRecord) -> String {
    format!("taken-run/{}", project.id)
}
fn stored_prefix(project: &ProjectRecord) -> String {
    format!("table/{}/", project.id)
}
/// Tables of suppositions, apart from those of the run as it is; a digest has no hyphen.
fn what_ifs_prefix(project: &ProjectRecord) -> String {
    format!("{}what-if/", stored_prefix(project))
}

/// The run that the tables of a project are counted from, taken now if there is none or its time is over.
fn taken(vault: &Vault, project: &ProjectRecord) -> Result<(RunRecord, Taken), ApiError> {
    let name = taken_name(project);
    let unreadable = |_| StoreError::Unreadable { entry: "taken-run" };
    let value = vault.store().value(name.as_bytes())?;
    let before: Option<Taken> =
        value.as_deref().map(serde_json::from_slice).transpose().map_err(unreadable)?;
    let now = vault.now();
    let standing = match &before {
        Some(taken) => vault.run(&project.id, &taken.run)?.filter(|run| run.epoch == project.epoch),
        None => None,
    };
    let latest = vault.latest_run(&project.id, project.epoch)?;
    let opens = |taken: &Taken| taken.at.plus_hours(24 * u32::from(COOL_OFF_DAYS));
    match (before, standing) {
        (Some(taken), Some(run)) if now < opens(&taken) || latest.as_ref() == Some(&run) => Ok((run, taken)),
        _ => {
            let run = latest.filter(|run| run.state == RunState::Finished).ok_or(ApiError::NotFound)?;
            let taken = Taken { run: run.id.clone(), at: now };
            let mut batch = Batch::new();
            let bytes = serde_json::to_vec(&taken).map_err(|error| ApiError::Internal(error.to_string()))?;
            batch.expect(name.as_str(), value).put(name.as_str(), bytes);
            vault.store().apply(&batch)?;
            vault.store().flush()?;
            Ok((run, taken))
        }
    }
}

fn released_name(project: &ProjectRecord, run: &RunId) -> String {
    format!("released-run/{}/{run}", project.id)
}

/// Refuses to release another run than the one that the tables are counted from.
///
/// # Errors
/// [`ApiError::Rule`]; [`ApiError::NotFound`] while no run has finished.
pub(super) fn may_be_released(vault: &Vault, project: &ProjectRecord, run: &RunId) -> Result<(), ApiError> {
    if taken(vault, project)?.0.id == *run {
        return Ok(());
    }
    Err(ApiError::Rule(
        "only the run that the tables are counted from can be released: the operator's tables name it",
    ))
}

/// Adds to `batch` that the aggregates of a run may leave the centre.
pub(super) fn stage_release(batch: &mut Batch, project: &ProjectRecord, run: &RunId) {
    batch.put(released_name(project, run), []);
}

/// Under an agreement, the aggregates of a run leave the centre once two people released them. A trial shows them at once.
fn may_leave(vault: &Vault, grant: &ProjectGrant<ReadAggregates>, run: &RunId) -> Result<(), ApiError> {
    let project = grant.project();
    let inside = grant.actor().agency().is_none() || agreements::approved(vault, &project.id)?.is_none();
    if inside || vault.store().value(released_name(project, run).as_bytes())?.is_some() {
        return Ok(());
    }
    Err(ApiError::Rule(
        "these figures were not released: two people must decide, propose a release of the run",
    ))
}

fn frozen(vault: &Vault, run: &RunRecord) -> Result<Frozen, StoreError> {
    let agencies: Vec<_> = run.inputs.iter().map(|input| input.agency.clone()).collect();
    let facts = agencies.iter().map(|agency| vault.facts(&run.id, agency));
    Ok(Frozen { facts: facts.collect::<Result<_, _>>()?, links: vault.counted_links(run)?, agencies })
}

/// One table, as it may be published.
///
/// # Errors
/// [`ApiError::NotFound`] while no run has finished; [`ApiError::Rule`] for a table that is not offered, or of a run that
/// was not released.
pub(super) fn read(
    vault: &Vault,
    grant: &ProjectGrant<ReadAggregates>,
    name: &TableName,
) -> Result<TableMessage, ApiError> {
    let project = grant.project();
    let (run, taken) = taken(vault, project)?;
    may_leave(vault, grant, &run.id)?;
    let terms = terms(vault, project)?;
    let stored = released(vault, project, (&run, &taken), terms, name)?;
    let (rows, columns) = (stored.rows.len(), stored.columns.len());
    let shown = stored.release.table();
    let width = columns + 1;
    let totals = usize::from(name.adds_up());
    let line = |row: usize| shown.cells[row * width..row * width + columns + totals].to_vec();
    let mut message = TableMessage {
        project: project.id.clone(),
        table: name.to_string(),
        title: name.title(),
        run: stored.run,
        released: shown.released.to_string(),
        suppressed_below: terms.suppress_below,
        rows: stored.rows,
        columns: stored.columns,
        cells: (0..rows + totals).map(line).collect(),
    };
    if name.adds_up() {
        message.rows.push("all".to_owned());
        message.columns.push("all".to_owned());
    }
    Ok(message)
}

fn terms(vault: &Vault, project: &ProjectRecord) -> Result<ReleaseTerms, ApiError> {
    let agreement = agreements::current(vault, project)?;
    let suppress_below = agreement.terms().suppress_below;
    Ok(ReleaseTerms { suppress_below, cool_off_days: COOL_OFF_DAYS, totals: true })
}

/// One table of the taken run as it was released; counted, released and stored when nobody asked for it before.
fn released(
    vault: &Vault,
    project: &ProjectRecord,
    (run, taken): (&RunRecord, &Taken),
    terms: ReleaseTerms,
    name: &TableName,
) -> Result<Stored, ApiError> {
    let agencies: Vec<_> = run.inputs.iter().map(|input| input.agency.clone()).collect();
    let what_if = name.what_if(&agencies)?;
    // With other agencies or another rule of suppression they are other tables, under other names.
    let parties: Vec<&str> = agencies.iter().map(|agency| agency.as_str()).collect();
    let named = format!("{name}\n{}\n{}", terms.suppress_below, parties.join(" "));
    let digest = ContentDigest::of(named.as_bytes());
    let supposes = what_if != WhatIf::default();
    let folder = if supposes { what_ifs_prefix(project) } else { stored_prefix(project) };
    let key = format!("{folder}{digest}");
    let value = vault.store().value(key.as_bytes())?;
    let unreadable = |_| StoreError::Unreadable { entry: "table" };
    let before: Option<Stored> =
        value.as_deref().map(serde_json::from_slice).transpose().map_err(unreadable)?;
    if let Some(stored) = before.as_ref().filter(|stored| stored.run == run.id) {
        return Ok(stored.clone());
    }
    if before.is_none() && supposes {
        bound_what_ifs(vault, project)?;
    }
    let labels = before.as_ref().map(|stored| stored.rows.as_slice());
    let table = Table::count(&frozen(vault, run)?, name, &what_if, labels)?;
    let counts = CountTable::new(table.rows.len(), table.columns.len(), table.counts.clone());
    let counts = counts.map_err(|error| ApiError::Internal(error.to_string()))?;
    let release = release(
        before.as_ref().map(|stored| &stored.release),
        &counts,
        ReleaseTerms { totals: name.adds_up(), ..terms },
        taken.at,
    )
    .map_err(|error| ApiError::Internal(error.to_string()))?;
    let stored = Stored { run: run.id.clone(), rows: table.rows, columns: table.columns, release };
    let bytes = serde_json::to_vec(&stored).map_err(|error| ApiError::Internal(error.to_string()))?;
    let mut batch = Batch::new();
    batch.expect(key.as_str(), value).put(key.as_str(), bytes);
    vault.store().apply(&batch)?;
    vault.store().flush()?;
    Ok(stored)
}

/// Each what-if is one more equation about the same children.
fn bound_what_ifs(vault: &Vault, project: &ProjectRecord) -> Result<(), ApiError> {
    let known = vault.store().scan(what_ifs_prefix(project).as_bytes(), None, WHAT_IFS_MAX)?.len();
    if known >= WHAT_IFS_MAX {
        return Err(ApiError::Rule(
            "this project has as many tables of suppositions as it may: read those that were asked for before",
        ));
    }
    Ok(())
}

/// The overlap of the agencies, from the tables `overlap` and `known-to`.
///
/// # Errors
/// [`ApiError::NotFound`] when no run has finished, or another run than the taken one is named.
pub(super) fn overlap(
    vault: &Vault,
    grant: &ProjectGrant<ReadAggregates>,
    named: Option<&str>,
) -> Result<OverlapTable, ApiError> {
    let project = grant.project();
    let (run, _) = taken(vault, project)?;
    if named.is_some_and(|named| named != run.id.as_str()) {
        return Err(ApiError::NotFound);
    }
    let pairs = read(vault, grant, &TableName::plain("overlap")?)?;
    let known = read(vault, grant, &TableName::plain("known-to")?)?;
    let agencies: Vec<_> = run.inputs.iter().map(|input| input.agency.clone()).collect();
    let mut rows = pairs.cells.iter();
    let mut cells = Vec::new();
    for (at, agency_a) in agencies.iter().enumerate() {
        for agency_b in &agencies[at..] {
            let count = |column: usize, row: &Vec<PublishedCount>| {
                row.get(column).copied().unwrap_or(PublishedCount::Small)
            };
            let Some(row) = rows.next() else { break };
            cells.push(OverlapCell {
                agency_a: agency_a.clone(),
                agency_b: agency_b.clone(),
                matched: count(0, row),
                review: count(1, row),
            });
        }
    }
    Ok(OverlapTable {
        ended: run.ended.unwrap_or(run.started),
        run: run.id,
        agencies,
        cells,
        known_to: known.cells.iter().filter_map(|row| row.first().copied()).collect(),
    })
}
