//! Runs and their links: immutable snapshots, readable from either side by the side's own refs.

use super::pages::Pages;
use super::records::{
    LinkRecord, NewEvent, OverlapCounts, ProjectRecord, RunInput, RunRecord, decode, encode,
};
use super::vault::Once;
use super::{Batch, StoreError, Vault, names};
use crate::wire::messages::RunState;
use crate::wire::{AgencyId, Band, Epoch, LinkReference, ProjectId, Reasons, RecordRef, RunId};

const KEY_WIDTH: usize = 16 + 2 + 16;
const WIDTH: usize = KEY_WIDTH + 1 + 2 + 8 + 8;
const REFERENCE_WIDTH: usize = 8 + 2 + 16 + 2 + 16;

/// Where a page of links ended: the asker's own last ref, and how many links of it were shown. (The key
/// of the last entry would do, but it holds the other agency's ref.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkCursor {
    own: RecordRef,
    shown: u16,
}

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
}

/// What a finished run leaves.
pub struct RunResult {
    /// Links of both bands.
    pub links: Vec<FoundLink>,
    /// What was counted.
    pub overlap: OverlapCounts,
}

impl LinkCursor {
    /// The cursor after `page`, the page that began at `earlier`; none after an empty page.
    #[must_use]
    pub fn after(page: &[LinkRecord], earlier: Option<Self>) -> Option<Self> {
        let own = page.last()?.own;
        let on_page = page.iter().rev().take_while(|link| link.own == own).count();
        let before = match earlier {
            Some(cursor) if cursor.own == own => cursor.shown,
            _ => 0,
        };
        Some(Self { own, shown: before.saturating_add(u16::try_from(on_page).unwrap_or(u16::MAX)) })
    }
}

impl std::fmt::Display for LinkCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.own, self.shown)
    }
}

impl std::str::FromStr for LinkCursor {
    type Err = crate::wire::IdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = crate::wire::IdError::Slug { kind: "a cursor" };
        let (own, shown) = text.split_once('-').ok_or(wrong.clone())?;
        Ok(Self { own: own.parse()?, shown: shown.parse().map_err(|_| wrong)? })
    }
}

fn links_pages(run: &RunId, agency: &AgencyId) -> Pages {
    Pages::new(&names::links(run, agency), WIDTH, KEY_WIDTH)
}

fn reference_pages(run: &RunId) -> Pages {
    Pages::new(&names::link_references(run), REFERENCE_WIDTH, REFERENCE_WIDTH)
}

impl LinkRecord {
    fn to_bytes(&self) -> [u8; WIDTH] {
        let mut bytes = [0; WIDTH];
        bytes[..16].copy_from_slice(self.own.as_bytes());
        bytes[16..18].copy_from_slice(&self.other_input.to_be_bytes());
        bytes[18..KEY_WIDTH].copy_from_slice(self.other.as_bytes());
        bytes[KEY_WIDTH] = match self.band {
            Band::None => 0,
            Band::Review => 1,
            Band::Match => 2,
        };
        bytes[KEY_WIDTH + 1..KEY_WIDTH + 3].copy_from_slice(&self.reasons.bits().to_le_bytes());
        bytes[KEY_WIDTH + 3..KEY_WIDTH + 11].copy_from_slice(&self.score.to_le_bytes());
        bytes[KEY_WIDTH + 11..].copy_from_slice(&self.reference.number().to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let unreadable = StoreError::Unreadable { entry: "link" };
        let mut reader = Fields(bytes);
        let read = (|| {
            Some(Self {
                own: RecordRef::from_bytes(reader.take()?),
                other_input: u16::from_be_bytes(reader.take()?),
                other: RecordRef::from_bytes(reader.take()?),
                band: match reader.take::<1>()? {
                    [0] => Band::None,
                    [1] => Band::Review,
                    [2] => Band::Match,
                    _ => return None,
                },
                reasons: Reasons::from_bits(u16::from_le_bytes(reader.take()?)),
                score: i64::from_le_bytes(reader.take()?),
                reference: LinkReference::from_number(u64::from_le_bytes(reader.take()?)),
            })
        })();
        read.ok_or(unreadable)
    }
}

/// Fixed-width fields, one after another.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
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
            overlap: None,
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
        let value = self.store.value(names::run(project, id).as_bytes())?;
        value.map(|bytes| decode("run", &bytes)).transpose()
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

    /// Stores what a run found and makes it the epoch's latest. The record names the run's real inputs.
    ///
    /// # Errors
    /// What the engine says; then the run has no result.
    pub fn finish_run(
        &self,
        project: &ProjectRecord,
        run: &RunRecord,
        result: RunResult,
    ) -> Result<RunRecord, StoreError> {
        self.write_links(project, run, &result.links)?;
        self.store.flush()?;
        let name = names::run(&run.project, &run.id);
        let bytes = self.store.value(name.as_bytes())?;
        let record = RunRecord {
            state: RunState::Finished,
            ended: Some(self.now()),
            links: result.links.len() as u64,
            overlap: Some(result.overlap),
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
                };
                if shown {
                    sides[usize::from(own.0)].push(record.to_bytes());
                }
            }
            references.push(reference_entry(reference, left, right));
        }
        for (input, mut entries) in run.inputs.iter().zip(sides) {
            entries.sort_unstable();
            links_pages(&run.id, &input.agency).write(&*self.store, entries.as_flattened())?;
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

    fn sweep_run(&self, id: &RunId) -> Result<(), StoreError> {
        for folder in names::RUN_FOLDERS {
            self.remove_all(format!("{folder}/{id}/").as_bytes())?;
        }
        Ok(())
    }

    /// Links of a run that touch `agency`'s records, after `after`, in order of its own refs.
    ///
    /// # Errors
    /// What the engine says.
    pub fn links(
        &self,
        run: &RunId,
        agency: &AgencyId,
        after: Option<LinkCursor>,
        limit: usize,
    ) -> Result<Vec<LinkRecord>, StoreError> {
        let from = after.as_ref().map_or(&[][..], |cursor| cursor.own.as_bytes());
        let shown = after.map_or(0, |cursor| usize::from(cursor.shown));
        let entries = links_pages(run, agency).entries(&*self.store, from, limit + shown)?;
        entries.iter().skip(shown).map(|entry| LinkRecord::from_bytes(entry)).collect()
    }

    /// Links of a run that touch one record of `agency`, in order of the other agencies.
    ///
    /// # Errors
    /// What the engine says.
    pub fn links_of(
        &self,
        run: &RunId,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Vec<LinkRecord>, StoreError> {
        let limit = 4 * crate::wire::limits::AGENCIES_MAX;
        let entries = links_pages(run, agency).entries(&*self.store, record.as_bytes(), limit)?;
        let links = entries.iter().map(|entry| LinkRecord::from_bytes(entry));
        links.take_while(|link| link.as_ref().map_or(true, |link| link.own == *record)).collect()
    }

    /// The link behind a reference as `agency` may see it; none: no such link, or not one of its own.
    ///
    /// # Errors
    /// What the engine says.
    pub fn link_by_reference(
        &self,
        run: &RunRecord,
        agency: &AgencyId,
        reference: LinkReference,
    ) -> Result<Option<LinkRecord>, StoreError> {
        let from = reference.number().to_be_bytes();
        for entry in reference_pages(&run.id).entries(&*self.store, &from, 4)? {
            let mut fields = Fields(&entry);
            if fields.take::<8>() != Some(from) {
                break;
            }
            while let (Some(input), Some(record)) = (fields.take::<2>(), fields.take::<16>()) {
                let input = run.inputs.get(usize::from(u16::from_be_bytes(input)));
                if input.is_some_and(|input| input.agency == *agency) {
                    let links = self.links_of(&run.id, agency, &RecordRef::from_bytes(record))?;
                    return Ok(links.into_iter().find(|link| link.reference == reference));
                }
            }
        }
        Ok(None)
    }
}

fn reference_entry(
    reference: LinkReference,
    left: (u16, RecordRef),
    right: (u16, RecordRef),
) -> [u8; REFERENCE_WIDTH] {
    let mut entry = [0; REFERENCE_WIDTH];
    entry[..8].copy_from_slice(&reference.number().to_be_bytes());
    entry[8..10].copy_from_slice(&left.0.to_be_bytes());
    entry[10..26].copy_from_slice(left.1.as_bytes());
    entry[26..28].copy_from_slice(&right.0.to_be_bytes());
    entry[28..].copy_from_slice(right.1.as_bytes());
    entry
}
