//! The links of a run as they are stored, from either side by the side's own refs, and how they are read.
//!
//! Reading goes through [`Vault::veiled`]: what is stored is not what may be seen.

use super::pages::Pages;
use super::records::{LinkRecord, RunRecord};
use super::{StoreError, Vault, names};
use crate::wire::messages::RunState;
use crate::wire::{AgencyId, Band, LinkReference, Month, ProjectId, Reasons, RecordRef, RunId};

pub(super) const KEY_WIDTH: usize = 16 + 2 + 16;
pub(super) const WIDTH: usize = KEY_WIDTH + 1 + 2 + 8 + 8 + 4;
pub(super) const REFERENCE_WIDTH: usize = 8 + 2 + 16 + 2 + 16;

/// Where a page of links ended: the asker's own last ref, and how many links of it were shown. (The key
/// of the last entry would do, but it holds the other agency's ref.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkCursor {
    own: RecordRef,
    shown: u16,
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

pub(super) fn links_pages(run: &RunId, agency: &AgencyId) -> Pages {
    Pages::new(&names::links(run, agency), WIDTH, KEY_WIDTH)
}

pub(super) fn behind_pages(run: &RunId, agency: &AgencyId) -> Pages {
    Pages::new(&names::behind(run, agency), WIDTH, KEY_WIDTH)
}

pub(super) fn reference_pages(run: &RunId) -> Pages {
    Pages::new(&names::link_references(run), REFERENCE_WIDTH, REFERENCE_WIDTH)
}

impl LinkRecord {
    pub(super) fn to_bytes(&self) -> [u8; WIDTH] {
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
        bytes[KEY_WIDTH + 11..KEY_WIDTH + 19].copy_from_slice(&self.reference.number().to_le_bytes());
        bytes[KEY_WIDTH + 19..].copy_from_slice(&self.expiry.map_or(0, u32::from).to_le_bytes());
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
                expiry: Month::try_from(u32::from_le_bytes(reader.take()?)).ok(),
                brokered: false,
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
    /// Links of a run that touch `agency`'s records and that it may read now, after `after`, in order of its
    /// own refs. A page is full unless it is the last.
    ///
    /// # Errors
    /// What the engine says.
    pub fn links(
        &self,
        run: &RunRecord,
        agency: &AgencyId,
        after: Option<LinkCursor>,
        limit: usize,
    ) -> Result<Vec<LinkRecord>, StoreError> {
        let mut from = after.map_or([0; 16], |cursor| *cursor.own.as_bytes());
        let mut skip = after.map_or(0, |cursor| usize::from(cursor.shown));
        let mut page: Vec<LinkRecord> = Vec::new();
        loop {
            // One agency's links of one record always fit, so that every turn gets on.
            let wanted = limit.min(4_096) + 4 * crate::wire::limits::AGENCIES_MAX;
            let entries = links_pages(&run.id, agency).entries(&*self.store, &from, wanted)?;
            let all: Vec<LinkRecord> =
                entries.iter().map(|entry| LinkRecord::from_bytes(entry)).collect::<Result<_, _>>()?;
            let last = all.last().map(|link| link.own).filter(|_| all.len() == wanted);
            for links in all.chunk_by(|one, other| one.own == other.own) {
                if last.is_some_and(|last| last == links[0].own) {
                    continue;
                }
                let begun = after.is_some_and(|cursor| cursor.own == links[0].own);
                let seen = self.veiled(run, agency, links.to_vec())?;
                page.extend(seen.into_iter().skip(if begun { std::mem::take(&mut skip) } else { 0 }));
            }
            match last {
                Some(last) if page.len() < limit => from = *last.as_bytes(),
                _ => {
                    page.truncate(limit);
                    return Ok(page);
                }
            }
        }
    }

    /// Links of a run that touch one record of `agency` and that it may read now, in order of the other
    /// agencies.
    ///
    /// # Errors
    /// What the engine says.
    pub fn links_of(
        &self,
        run: &RunRecord,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Vec<LinkRecord>, StoreError> {
        self.veiled(run, agency, self.links_as_stored(run, agency, record)?)
    }

    /// Links of a run between one record of `agency` and shielded records of others: for breaking the glass,
    /// which alerts their owners, and for nothing else.
    ///
    /// # Errors
    /// What the engine says.
    pub fn links_behind(
        &self,
        run: &RunRecord,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Vec<LinkRecord>, StoreError> {
        let mut links = self.stored_links(&behind_pages(&run.id, agency), record)?;
        links.extend(self.stored_links(&links_pages(&run.id, agency), record)?);
        let mut behind = Vec::new();
        for link in links {
            let Some(input) = run.inputs.get(usize::from(link.other_input)) else { continue };
            let (project, other) = (&run.project, (input.agency.clone(), link.other));
            let twice = behind.contains(&link);
            let hidden = self.visibility(project, &other.0, &other.1)? == crate::wire::Visibility::Hidden;
            let own = (agency.clone(), link.own);
            if hidden
                && !twice
                && self.is_current_record(project, run.epoch, &other.0, &other.1)?
                && self.decided(project, &own, &other)? != Some(super::Decided::Apart)
            {
                behind.push(link);
            }
        }
        Ok(behind)
    }

    /// Reads every stored link of an agency; returns how many.
    pub(super) fn count_links(&self, run: &RunId, agency: &AgencyId) -> Result<u64, StoreError> {
        let mut count = 0;
        for pages in [links_pages(run, agency), behind_pages(run, agency)] {
            let entries = pages.entries(&*self.store, &[], usize::MAX)?;
            entries.iter().try_for_each(|entry| LinkRecord::from_bytes(entry).map(drop))?;
            count += entries.len() as u64;
        }
        Ok(count)
    }

    /// Every stored link of an agency, once, in order: what it may be shown and what stands behind shields.
    pub(super) fn all_links(&self, run: &RunId, agency: &AgencyId) -> Result<Vec<LinkRecord>, StoreError> {
        let mut entries = links_pages(run, agency).entries(&*self.store, &[], usize::MAX)?;
        entries.extend(behind_pages(run, agency).entries(&*self.store, &[], usize::MAX)?);
        entries.sort_unstable();
        entries.dedup();
        entries.iter().map(|entry| LinkRecord::from_bytes(entry)).collect()
    }

    /// The stored links of one record, for [`Self::shown`].
    pub(super) fn links_as_stored(
        &self,
        run: &RunRecord,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Vec<LinkRecord>, StoreError> {
        self.stored_links(&links_pages(&run.id, agency), record)
    }

    /// What is stored, whoever may read it.
    fn stored_links(&self, pages: &Pages, record: &RecordRef) -> Result<Vec<LinkRecord>, StoreError> {
        let entries = pages.beginning_with(&*self.store, record.as_bytes())?;
        entries.iter().map(|entry| LinkRecord::from_bytes(entry)).collect()
    }

    /// The agencies' links of one record in the latest finished run, with who stands on the other side, for
    /// what must follow a child through all agencies. Never to be shown.
    ///
    /// # Errors
    /// What the engine says.
    pub fn linked_sides(
        &self,
        run: &RunRecord,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Vec<(super::Side, LinkRecord)>, StoreError> {
        let links = self.links_as_stored(run, agency, record)?;
        let side = |link: LinkRecord| {
            let input = run.inputs.get(usize::from(link.other_input))?;
            Some(((input.agency.clone(), link.other), link))
        };
        Ok(links.into_iter().filter_map(side).collect())
    }

    /// Takes what shields now hide out of the pages of every stored run that the other agencies read.
    pub(super) fn hide_links(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        records: &[RecordRef],
    ) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let finished = |run: &&RunRecord| run.state == RunState::Finished;
        for run in self.runs(project, None, usize::MAX)?.iter().filter(finished) {
            let Some(at) = run.inputs.iter().position(|input| input.agency == *agency) else { continue };
            let at = u16::try_from(at).unwrap_or(u16::MAX).to_be_bytes();
            for record in records {
                let mut links = self.stored_links(&links_pages(&run.id, agency), record)?;
                links.extend(self.stored_links(&behind_pages(&run.id, agency), record)?);
                for link in links {
                    let Some(input) = run.inputs.get(usize::from(link.other_input)) else { continue };
                    let key = [link.other.as_bytes(), &at[..], record.as_bytes()].concat();
                    let shown = links_pages(&run.id, &input.agency);
                    // Put there before it is taken here: an abrupt stop between the two loses no link.
                    if let Some(entry) = shown.entry(&*self.store, &key)? {
                        behind_pages(&run.id, &input.agency).insert(&*self.store, &entry)?;
                        shown.take(&*self.store, &key)?;
                    }
                }
            }
        }
        self.store.flush()
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
                    let links = self.links_of(run, agency, &RecordRef::from_bytes(record))?;
                    return Ok(links.into_iter().find(|link| link.reference == reference));
                }
            }
        }
        Ok(None)
    }
}

pub(super) fn reference_entry(
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
