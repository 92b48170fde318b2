//! Runs in the background: one computes at a time, on a pool of its own; each can be watched and stopped.
//!
//! A run takes the datasets that are current when it begins to compute. Its result is written once and never
//! changes. A run that was computing when the centre stopped is marked interrupted when it opens again.

use super::agreements;
use super::error::ApiError;
use super::linking::{LinkingError, Means, link_project};
use super::policy::Agreement;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::join::JoinError;
use crate::linkage::run::RunError;
use crate::store::{Earlier, NewEvent, Once, ProjectRecord, RunInput, RunRecord, Side, StoreError, Vault};
use crate::wire::messages::{RunMessage, RunState};
use crate::wire::{Epoch, ProjectId, RunId};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Runs that may wait or compute at a time, over all projects.
const RUNS_MAX: usize = 32;
/// Times a run is computed when records are erased meanwhile.
const TRIES_MAX: usize = 5;

#[derive(Default)]
struct Job {
    control: Control,
    computing: AtomicBool,
}

/// Runs that wait or compute, each with its project and epoch.
type Waiting = HashMap<RunId, (ProjectId, Epoch, Arc<Job>)>;

struct Inner {
    vault: Arc<Vault>,
    pool: rayon::ThreadPool,
    jobs: Mutex<Waiting>,
    turn: Mutex<()>,
}

/// The runs of this process.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

impl Jobs {
    /// No runs yet; they will compute on `threads` threads (0: one per core).
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn new(vault: Arc<Vault>, threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("link-{number}"))
            .build()?;
        let inner = Inner { vault, pool, jobs: Mutex::default(), turn: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Starts a run of `project`, unless one waits already or the latest compared these very datasets:
    /// then that one. The flag says whether it is new.
    ///
    /// # Errors
    /// [`ApiError::TooManyRuns`], [`ApiError::KeyReused`] or the store's.
    pub fn start(
        &self,
        project: &ProjectRecord,
        once: Option<&Once>,
        event: NewEvent,
    ) -> Result<(RunRecord, bool), ApiError> {
        let vault = &self.inner.vault;
        match vault.earlier(once)? {
            Earlier::Other => return Err(ApiError::KeyReused),
            Earlier::Same(id) => {
                let id = id.parse().map_err(|_| ApiError::NotFound)?;
                return Ok((vault.run(&project.id, &id)?.ok_or(ApiError::NotFound)?, false));
            }
            Earlier::None => {}
        }
        let mut jobs = self.inner.jobs();
        if let Some(waiting) = waiting(&jobs, project) {
            vault.remember_alone(once, waiting.as_str())?;
            return Ok((vault.run(&project.id, &waiting)?.ok_or(ApiError::NotFound)?, false));
        }
        let inputs = current_inputs(vault, project)?;
        if let Some(latest) = ephemeral(vault, project, &inputs)? {
            return Ok((latest, false));
        }
        if let Some(latest) = vault.latest_run(&project.id, project.epoch)? {
            let datasets = |inputs: &[RunInput]| inputs.iter().map(|i| i.dataset.clone()).collect::<Vec<_>>();
            let same = datasets(&latest.inputs) == datasets(&inputs);
            if same && latest.knowledge == vault.knowledge(&project.id)? {
                vault.remember_alone(once, latest.id.as_str())?;
                return Ok((latest, false));
            }
        }
        if jobs.len() >= RUNS_MAX {
            return Err(ApiError::TooManyRuns);
        }
        let run = vault.begin_run(&project.id, project.epoch, inputs, once, event)?;
        let job = Arc::new(Job::default());
        jobs.insert(run.id.clone(), (project.id.clone(), project.epoch, Arc::clone(&job)));
        drop(jobs);
        self.spawn(project.clone(), run.clone(), job)?;
        Ok((run, true))
    }

    fn spawn(&self, project: ProjectRecord, run: RunRecord, job: Arc<Job>) -> Result<(), ApiError> {
        let inner = Arc::clone(&self.inner);
        let (of, id) = (project.id.clone(), run.id.clone());
        let work = move || {
            inner.work(&project, &run, &job);
            inner.jobs().remove(&run.id);
        };
        if let Err(error) = std::thread::Builder::new().name("run".to_owned()).spawn(work) {
            self.inner.jobs().remove(&id);
            let cause = format!("cannot start a thread: {error}");
            self.inner.vault.end_run(&of, &id, RunState::Failed, Some(cause.clone()))?;
            return Err(ApiError::Internal(cause));
        }
        Ok(())
    }

    /// Asks a run to stop. Returns it as it stands; false: it is not running here.
    #[must_use]
    pub fn cancel(&self, id: &RunId) -> bool {
        match self.inner.jobs().get(id) {
            Some((_, _, job)) => {
                job.control.cancel();
                true
            }
            None => false,
        }
    }

    /// Asks every run to stop and waits until they have, at most `seconds_max`.
    pub fn stop(&self, seconds_max: u64) {
        self.inner.jobs().values().for_each(|(_, _, job)| job.control.cancel());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(seconds_max);
        while !self.inner.jobs().is_empty() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Runs that wait or compute.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.jobs().len()
    }

    /// A run as its parties see it, with the progress of this moment.
    #[must_use]
    pub fn message(&self, run: &RunRecord) -> RunMessage {
        let jobs = self.inner.jobs();
        let job = jobs.get(&run.id).map(|(_, _, job)| &job.control);
        let total = if run.state == RunState::Finished { 1 } else { 0 };
        RunMessage {
            id: run.id.clone(),
            project: run.project.clone(),
            epoch: run.epoch,
            state: run.state,
            started: run.started,
            ended: run.ended,
            steps_done: job.map_or(total, Control::pairs_done),
            steps_total: job.map_or(total, Control::pairs_total),
            agencies: run.inputs.iter().map(|input| input.agency.clone()).collect(),
        }
    }
}

impl Inner {
    fn jobs(&self) -> MutexGuard<'_, Waiting> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes one run to its end, whatever that is, and writes the end down.
    fn work(&self, project: &ProjectRecord, run: &RunRecord, job: &Job) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        job.computing.store(true, Ordering::Release);
        // What was erased while a run computed must not come back with its links: it is computed again.
        let tries = || match (0..TRIES_MAX).map(|_| self.compute(project, run, job)).find(kept) {
            Some(outcome) => outcome,
            None => Err(RunFault::Erased),
        };
        let outcome = catch_unwind(AssertUnwindSafe(tries));
        let (state, cause) = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(fault @ RunFault::Erased)) => (RunState::Failed, Some(fault.to_string())),
            Ok(Err(RunFault::Stopped)) => (RunState::Cancelled, None),
            Ok(Err(RunFault::Run(error))) => (RunState::Failed, Some(error.to_string())),
            Ok(Err(fault @ RunFault::Agreement(_))) => (RunState::Failed, Some(fault.to_string())),
            Ok(Err(RunFault::Store(error))) => (RunState::Failed, Some(error.to_string())),
            Err(_) => (RunState::Failed, Some("the engine panicked".to_owned())),
        };
        if let Some(cause) = &cause {
            tracing::error!(run = %run.id, %cause, "a run failed");
        }
        if let Err(error) = self.vault.end_run(&run.project, &run.id, state, cause) {
            tracing::error!(run = %run.id, %error, "the end of a run could not be written");
        }
    }

    fn compute(&self, project: &ProjectRecord, run: &RunRecord, job: &Job) -> Result<(), RunFault> {
        let erasures = self.vault.erasures();
        let agreement = agreements::current(&self.vault, project).map_err(RunFault::Agreement)?;
        let means = Means { agreement: &agreement, exec: Exec::Pool(&self.pool), control: &job.control };
        let linked = link_project(&self.vault, project, run, means)?;
        if job.control.is_cancelled() {
            return Err(RunFault::Stopped);
        }
        let run = RunRecord { inputs: linked.inputs, ..run.clone() };
        let reference = |one: &Side, other: &Side| {
            project.link_reference(run.epoch, (&one.0, &one.1), (&other.0, &other.1))
        };
        {
            let _standing = self.vault.hold();
            if self.vault.erasures() != erasures {
                return Err(RunFault::Erased);
            }
            for (input, facts) in run.inputs.iter().zip(&linked.facts) {
                self.vault.write_facts(&run.id, &input.agency, facts)?;
            }
            // A shadow run must not take the present epoch's reviews off the desk: its first run after the change will.
            if self.vault.project(&run.project)?.is_some_and(|now| now.epoch == run.epoch) {
                self.vault.note_reviews(&run, &linked.reviews, reference)?;
            }
            self.vault.finish_run(project, &run, &linked.links)?;
        }
        let all = run.inputs.len() >= awaited(&self.vault, project, &agreement)?;
        if all && !agreement.terms().standing {
            self.vault.empty_datasets(&run)?;
        }
        Ok(())
    }
}

/// Whether an outcome stands, whatever was erased meanwhile.
fn kept(outcome: &Result<(), RunFault>) -> bool {
    !matches!(outcome, Err(RunFault::Erased))
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
enum RunFault {
    #[error("records were erased again and again while it was computed: start another")]
    Erased,
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Run(RunError),
    #[error("the agreement cannot be read: {0}")]
    Agreement(ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LinkingError> for RunFault {
    fn from(error: LinkingError) -> Self {
        match error {
            LinkingError::Run(RunError::Join(JoinError::Cancelled)) => Self::Stopped,
            LinkingError::Run(other) => Self::Run(other),
            LinkingError::Store(error) => Self::Store(error),
        }
    }
}

/// A run of this project that has not begun to compute: it will see what is sealed by then.
fn waiting(jobs: &Waiting, project: &ProjectRecord) -> Option<RunId> {
    let waits = |job: &Job| !job.computing.load(Ordering::Acquire) && !job.control.is_cancelled();
    let same = |of: &ProjectId, epoch: Epoch| *of == project.id && epoch == project.epoch;
    let found = jobs.iter().find(|(_, (of, epoch, job))| same(of, *epoch) && waits(job));
    found.map(|(id, _)| id.clone())
}

/// A project that keeps no encodings is linked when every party has sent its dataset, and then once: the run that
/// answers, while nothing new was sent. None: a run may begin.
fn ephemeral(
    vault: &Vault,
    project: &ProjectRecord,
    inputs: &[RunInput],
) -> Result<Option<RunRecord>, ApiError> {
    let agreement = agreements::current(vault, project)?;
    if agreement.terms().standing {
        return Ok(None);
    }
    match vault.latest_run(&project.id, project.epoch)? {
        Some(latest) if inputs.is_empty() => Ok(Some(latest)),
        _ if inputs.len() < awaited(vault, project, &agreement)? => Err(ApiError::Rule(
            "this project keeps no encodings: it is linked when every party has sent a whole dataset",
        )),
        _ => Ok(None),
    }
}

/// Parties whose dataset a project that keeps none waits for: who is in the agreement and has not left.
fn awaited(vault: &Vault, project: &ProjectRecord, agreement: &Agreement) -> Result<usize, StoreError> {
    let parties = vault.parties(&project.id)?;
    Ok(parties.iter().filter(|party| agreement.party(&party.id).is_some()).count())
}

pub(super) fn current_inputs(vault: &Vault, project: &ProjectRecord) -> Result<Vec<RunInput>, StoreError> {
    let mut inputs = Vec::new();
    for party in vault.parties(&project.id)? {
        let current = vault.current(&project.id, project.epoch, &party.id)?;
        if let Some(manifest) = current.filter(|manifest| manifest.emptied.is_none()) {
            inputs.push(RunInput {
                agency: party.id,
                dataset: manifest.upload.id,
                sealed: manifest.sealed,
                records: manifest.records_current,
            });
        }
    }
    Ok(inputs)
}
