//! Keys of the store: readable paths. Ids have no slash, so no path can be mistaken for another.

use crate::wire::{AgencyId, DatasetId, Epoch, KeyId, ProjectId, RunId};

/// The marker of the format.
pub(super) const FORMAT_KEY: &str = "format";

/// What a project's events stand under; `-` (no project id) for the centre's own.
pub(super) fn event_scope(project: Option<&ProjectId>) -> &str {
    project.map_or("-", ProjectId::as_str)
}
pub(super) fn event(scope: &str, number: u64) -> String {
    format!("event/{scope}/{number:016}")
}
pub(super) fn events(scope: &str) -> String {
    format!("event/{scope}/")
}
pub(super) fn event_head(scope: &str) -> String {
    format!("event-head/{scope}")
}
pub(super) fn project(id: &ProjectId) -> String {
    format!("project/{id}")
}
pub(super) fn agency(id: &AgencyId) -> String {
    format!("agency/{id}")
}
pub(super) fn parties(project: &ProjectId) -> String {
    format!("party/{project}/")
}
pub(super) fn party(project: &ProjectId, agency: &AgencyId) -> String {
    format!("party/{project}/{agency}")
}
pub(super) fn key(id: &KeyId) -> String {
    format!("key/{id}")
}
/// That an agency has had a key in a project.
pub(super) fn had_key(project: &ProjectId, agency: &AgencyId) -> String {
    format!("had-key/{project}/{agency}")
}
pub(super) fn upload(project: &ProjectId, id: &DatasetId) -> String {
    format!("upload/{project}/{id}")
}
pub(super) fn manifest(project: &ProjectId, id: &DatasetId) -> String {
    format!("manifest/{project}/{id}")
}
/// The dataset an agency's current records end in.
pub(super) fn current(project: &ProjectId, epoch: Epoch, agency: &AgencyId) -> String {
    format!("current/{project}/{:010}/{agency}", epoch.number())
}
/// What an announced chunk must be.
pub(super) fn spec(dataset: &DatasetId, chunk: u32) -> String {
    format!("spec/{dataset}/{chunk:06}")
}
/// Says that all parts of a chunk are stored.
pub(super) fn have(dataset: &DatasetId, chunk: u32) -> String {
    format!("have/{dataset}/{chunk:06}")
}
pub(super) fn part(dataset: &DatasetId, chunk: u32, part: u16) -> String {
    format!("part/{dataset}/{chunk:06}/{part:05}")
}
/// Pages of the sorted refs of a dataset.
pub(super) fn refs(dataset: &DatasetId) -> String {
    format!("refs/{dataset}/")
}
/// Pages of the sorted refs a delta removes.
pub(super) fn removals(dataset: &DatasetId) -> String {
    format!("gone/{dataset}/")
}
pub(super) fn run(project: &ProjectId, id: &RunId) -> String {
    format!("run/{project}/{id}")
}
/// The latest finished run of an epoch.
pub(super) fn latest_run(project: &ProjectId, epoch: Epoch) -> String {
    format!("latest-run/{project}/{:010}", epoch.number())
}
/// Pages of the links of a run that touch an agency's records, sorted by its own refs.
pub(super) fn links(run: &RunId, agency: &AgencyId) -> String {
    format!("link/{run}/{agency}/")
}
/// Pages of the links of a run, sorted by reference.
pub(super) fn link_references(run: &RunId) -> String {
    format!("link-reference/{run}/")
}

/// Pages of the links of a run that an agency may not read, because the other record is shielded.
pub(super) fn behind(run: &RunId, agency: &AgencyId) -> String {
    format!("behind/{run}/{agency}/")
}

/// Pages of what the records of an input are counted by.
pub(super) fn facts(run: &RunId, agency: &AgencyId) -> String {
    format!("facts/{run}/{agency}/")
}
/// Records of a chunk that were erased before and have come again, in slices.
pub(super) fn returned(dataset: &DatasetId, chunk: u32, slice: usize) -> String {
    format!("returned/{dataset}/{chunk:06}/{slice:02}")
}

/// The folders whose entries belong to one dataset, by `folder/dataset/`.
pub(super) const DATASET_FOLDERS: [&str; 6] = ["spec", "have", "part", "refs", "gone", "returned"];
/// The folders whose entries belong to one run.
pub(super) const RUN_FOLDERS: [&str; 4] = ["link", "link-reference", "behind", "facts"];
