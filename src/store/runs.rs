//! Runs: immutable snapshots, begun, finished or ended without a result.

use super::links::{WIDTH, behind_pages, links_pages, reference_entry, reference_pages};
use super::records::{LinkRecord, NewEvent, ProjectRecord, RunInput, RunRecord, decode, encode};
use super::vault::Once;
use super::{Batch, StoreError, Vault, names};
use crate::wire::messages::RunState;
use crate::wire::{Band, Epoch, Month, ProjectId, Reasons, RecordRef, RunId};
use std::sync::Arc;

/// A link as the engine found it: both sides.
#[derive(Clone, PartialEq, Eq)]
pub struct FoundLink {
    /// Input number and ref of one side.
    pub left: (u16, RecordRef),
    /// Input number and ref of the other.
    pub right: (u16, RecordRef),
    /// Whether the left agency may see it (the right record is open).
    pub shown_left: bool,
    /// Whether the right agency may see it.
    pub shown_right: bool,
    /// How sure.
    pub band: Band,
    /// Why no surer.
    pub reasons: Reasons,
    /// The score, rounded.
    pub score: i64,
    /// The last month in which both records may be shown, where one of them ends.
    pub expiry: Option<Month>,
}

impl Vault {
    /// Begins a run over `inputs`.
    ///
    /// # Errors
    /// What the engine says.
    pub fn begin_run(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        agencies: Vec<RunInput>,
        once: Option<&Once>,
        event: NewEvent,
    ) -> Result<RunRecord, StoreError> {
        let id = self.new_id("run")?.parse().map_err(|_| StoreError::Unreadable { entry: "run" })?;
        let record = RunRecord {
            id,
            project: project.clone(),
            epoch,
            state: RunState::Running,
            started: self.now(),
            ended: None,
            inputs: agencies,
            links: 0,
            knowledge: self.knowledge(project)?,
            cause: None,
        };
        let mut batch = Batch::new();
        batch.put(names::run(project, &record.id), encode("run", &record)?);
        self.remember(&mut batch, once, record.id.as_str())?;
        self.commit(batch, event.project(project).run(&record.id))?;
        Ok(record)
    }

    /// A run.
    ///
    /// # Errors
    /// What the engine says.
    pub fn run(&self, project: &ProjectId, id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        Ok(self.decoded("run", &names::run(project, id))?.map(Arc::unwrap_or_clone))
    }

    /// Runs of a project before `before`, newest first.
    ///
    /// # Errors
    /// What the engine says.
    pub fn runs(
        &self,
        project: &ProjectId,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, StoreError> {
        let mut runs: Vec<RunRecord> = Vec::new();
        self.each(format!("run/{project}/").as_bytes(), |_, value| {
            runs.push(decode("run", value)?);
            Ok(())
        })?;
        runs.reverse();
        runs.retain(|run| before.is_none_or(|before| run.id < *before));
        runs.truncate(limit);
        Ok(runs)
    }

    /// The latest finished run of an epoch.
    ///
    /// # Errors
    /// What the engine says.
    pub fn latest_run(&self, project: &ProjectId, epoch: Epoch) -> Result<Option<RunRecord>, StoreError> {
        let Some(id) = self.store.value(names::latest_run(project, epoch).as_bytes())? else {
            return Ok(None);
        };
        let id = std::str::from_utf8(&id).ok().and_then(|id| id.parse().ok());
        self.run(project, &id.ok_or(StoreError::Unreadable { entry: "latest-run" })?)
    }

    /// Stores the links of both bands that a run found and makes it the epoch's latest. The record names the run's real inputs.
    ///
    /// # Errors
    /// What the engine says; then the run has no result.
    pub fn finish_run(
        &self,
        project: &ProjectRecord,
        run: &RunRecord,
        links: &[FoundLink],
    ) -> Result<RunRecord, StoreError> {
        self.write_links(project, run, links)?;
        self.store.flush()?;
        let name = names::run(&run.project, &run.id);
        let bytes = self.store.value(name.as_bytes())?;
        let record = RunRecord {
            state: RunState::Finished,
            ended: Some(self.now()),
            links: links.len() as u64,
            ..run.clone()
        };
        let mut batch = Batch::new();
        batch
            .expect(name.as_str(), bytes)
            .put(name, encode("run", &record)?)
            .put(names::latest_run(&run.project, run.epoch), run.id.as_str());
        self.commit(batch, NewEvent::new("run_finished").project(&run.project).run(&run.id))?;
        Ok(record)
    }

    fn write_links(
        &self,
        project: &ProjectRecord,
        run: &RunRecord,
        links: &[FoundLink],
    ) -> Result<(), StoreError> {
        let agency = |input: u16| {
            let input = run.inputs.get(usize::from(input));
            input.map(|input| &input.agency).ok_or(StoreError::Unreadable { entry: "run" })
        };
        let mut sides: Vec<Vec<[u8; WIDTH]>> = vec![Vec::new(); run.inputs.len()];
        let mut behind = sides.clone();
        let mut references = Vec::with_capacity(links.len());
        for link in links {
            let (left, right) = (link.left, link.right);
            let reference =
                project.link_reference(run.epoch, (agency(left.0)?, &left.1), (agency(right.0)?, &right.1));
            for (own, other, shown) in [(left, right, link.shown_left), (right, left, link.shown_right)] {
                let record = LinkRecord {
                    own: own.1,
                    other_input: other.0,
                    other: other.1,
                    band: link.band,
                    reasons: link.reasons,
                    score: link.score,
                    reference,
                    expiry: link.expiry,
                    brokered: false,
                };
                let side = if shown { &mut sides } else { &mut behind };
                side[usize::from(own.0)].push(record.to_bytes());
            }
            references.push(reference_entry(reference, left, right));
        }
        for (input, (mut entries, mut behind)) in run.inputs.iter().zip(sides.into_iter().zip(behind)) {
            entries.sort_unstable();
            behind.sort_unstable();
            links_pages(&run.id, &input.agency).write(&*self.store, entries.as_flattened())?;
            behind_pages(&run.id, &input.agency).write(&*self.store, behind.as_flattened())?;
        }
        references.sort_unstable();
        reference_pages(&run.id).write(&*self.store, references.as_flattened())
    }

    /// Ends a run without a result.
    ///
    /// # Errors
    /// What the engine says.
    pub fn end_run(
        &self,
        project: &ProjectId,
        id: &RunId,
        state: RunState,
        cause: Option<String>,
    ) -> Result<(), StoreError> {
        let Some(mut record) = self.run(project, id)? else { return Ok(()) };
        // A run that has its result keeps it, even when the last flush was reported as failed.
        if record.state != RunState::Running {
            return Ok(());
        }
        record.state = state;
        record.ended = Some(self.now());
        record.cause = cause;
        let mut batch = Batch::new();
        batch.put(names::run(project, id), encode("run", &record)?);
        let action = match state {
            RunState::Cancelled => "run_cancelled",
            RunState::Interrupted => "run_interrupted",
            RunState::Running | RunState::Finished | RunState::Failed => "run_failed",
        };
        self.commit(batch, NewEvent::new(action).project(project).run(id))?;
        self.sweep_run(id)
    }

    pub(super) fn sweep_run(&self, id: &RunId) -> Result<(), StoreError> {
        for folder in names::RUN_FOLDERS {
            self.remove_all(format!("{folder}/{id}/").as_bytes())?;
        }
        Ok(())
    }
}
