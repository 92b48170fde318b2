//! Taking records out of what is stored: parts of datasets, their indexes, links of runs, facts.
//!
//! May see: the store's own records and pages. Every step may be repeated: what an abrupt stop left half-done is
//! done again by whoever asked for it ([`super::erase`]).

use super::links::{KEY_WIDTH, REFERENCE_WIDTH, WIDTH};
use super::prefilter::refs_pages;
use super::records::{Manifest, RunRecord, UploadRecord, encode};
use super::uploads::{layout_of, removals_pages};
use super::{Batch, StoreError, Vault, at_rest, datasets, names};
use crate::wire::{AgencyId, ContentDigest, ProjectId, RecordRef, arrow, limits};
use std::collections::{BTreeSet, HashSet};

impl Vault {
    pub(super) fn strip_datasets(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        gone: &dyn Fn(&RecordRef) -> bool,
    ) -> Result<u64, StoreError> {
        let mut encodings = 0;
        let mut epochs = BTreeSet::new();
        for manifest in self.manifests(project, None, usize::MAX)? {
            if manifest.upload.agency == *agency && manifest.superseded.is_none() {
                encodings += self.strip_dataset(&manifest, gone)?;
                epochs.insert(manifest.upload.header.epoch);
            }
        }
        for epoch in epochs {
            let Some(newest) = self.current(project, epoch, agency)? else { continue };
            let records_current = self.count_visible(&self.chain(newest.clone())?)?;
            self.put_manifest(&Manifest { records_current, ..newest })?;
        }
        Ok(encodings)
    }

    /// Takes records out of one sealed dataset: parts first, then its count and digest, its indexes last.
    pub(super) fn strip_dataset(
        &self,
        manifest: &Manifest,
        gone: &dyn Fn(&RecordRef) -> bool,
    ) -> Result<u64, StoreError> {
        let id = &manifest.upload.id;
        let is_gone = |entry: &[u8]| record_at(entry, 0).is_some_and(|record| gone(&record));
        let mut found = 0;
        for pages in [refs_pages(id), removals_pages(id)] {
            pages.each_page(&*self.store, |page| {
                found += page.chunks_exact(RecordRef::LEN).filter(|entry| is_gone(entry)).count() as u64;
            })?;
        }
        if found == 0 {
            return Ok(0);
        }
        if manifest.emptied.is_none() {
            self.strip_parts(&manifest.upload, gone)?;
            let (records, content) = self.measure(&manifest.upload)?;
            let mut stripped = manifest.clone();
            stripped.upload.header.records = records;
            stripped.upload.header.content = content;
            self.put_manifest(&stripped)?;
        }
        let prefix = names::refs(id);
        let encodings =
            self.filter_pages(&prefix, (RecordRef::LEN, RecordRef::LEN), |entry| !is_gone(entry))?;
        self.filter_pages(&names::removals(id), (RecordRef::LEN, RecordRef::LEN), |entry| !is_gone(entry))?;
        self.prefilters.forget(id);
        Ok(encodings)
    }

    fn strip_parts(
        &self,
        upload: &UploadRecord,
        gone: &dyn Fn(&RecordRef) -> bool,
    ) -> Result<(), StoreError> {
        let layout = layout_of(upload);
        let data_key = self.data_key(&upload.project)?;
        self.each(format!("part/{}/", upload.id).as_bytes(), |key, value| {
            let unreadable = StoreError::Unreadable { entry: "part" };
            let position = at_rest::position_of(key).ok_or(unreadable.clone())?;
            let place = at_rest::place(upload, position);
            let plain = data_key.open(&place, value)?;
            let batch = arrow::read_stream(&layout, &plain, limits::CHUNK_RECORDS_MAX);
            let batch = batch.map_err(|_| unreadable)?;
            let keep: Vec<usize> = (0..batch.len()).filter(|row| !gone(&batch.refs[*row])).collect();
            if keep.len() < batch.len() {
                let mut write = Batch::new();
                if keep.is_empty() {
                    write.remove(key);
                } else {
                    write.put(key, data_key.seal(&place, &datasets::pack(&batch.select(&keep))?)?);
                }
                self.store.apply(&write)?;
            }
            Ok(())
        })
    }

    /// Records of a dataset's parts, and the digest of their content.
    fn measure(&self, upload: &UploadRecord) -> Result<(u64, ContentDigest), StoreError> {
        let (mut records, mut hasher) = (0, blake3::Hasher::new());
        self.each_part(upload, |batch| {
            records += batch.len() as u64;
            batch.update_digest(&mut hasher);
            Ok(())
        })?;
        Ok((records, ContentDigest::from_bytes(*hasher.finalize().as_bytes())))
    }

    pub(super) fn put_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let name = names::manifest(&manifest.upload.project, &manifest.upload.id);
        batch.put(name, encode("manifest", manifest)?);
        self.store.apply(&batch)
    }

    /// Records that a chain of datasets, newest first, shows.
    fn count_visible(&self, chain: &[Manifest]) -> Result<u64, StoreError> {
        let mut hidden: HashSet<[u8; 16]> = HashSet::new();
        let mut count = 0;
        for dataset in chain {
            let mut own: Vec<[u8; 16]> = Vec::new();
            refs_pages(&dataset.upload.id)
                .each_page(&*self.store, |page| own.extend(page.as_chunks::<16>().0))?;
            count += own.iter().filter(|record| !hidden.contains(*record)).count() as u64;
            hidden.extend(own);
            removals_pages(&dataset.upload.id)
                .each_page(&*self.store, |page| hidden.extend(page.as_chunks::<16>().0))?;
        }
        Ok(count)
    }

    /// Takes links of an agency's records out of one run, from both sides.
    pub(super) fn strip_run(
        &self,
        run: RunRecord,
        agency: &AgencyId,
        gone: &dyn Fn(&RecordRef) -> bool,
    ) -> Result<u64, StoreError> {
        let Some(input) = run.inputs.iter().position(|input| input.agency == *agency) else { return Ok(0) };
        let input = u16::try_from(input).unwrap_or(u16::MAX);
        let side = |entry: &[u8], at: usize| {
            let of = entry.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
            of == Some(input) && record_at(entry, at + 2).is_some_and(|record| gone(&record))
        };
        let links = self.filter_pages(
            &names::link_references(&run.id),
            (REFERENCE_WIDTH, REFERENCE_WIDTH),
            |entry| !side(entry, 8) && !side(entry, 26),
        )?;
        for other in &run.inputs {
            let own = other.agency == *agency;
            for prefix in [names::links(&run.id, &other.agency), names::behind(&run.id, &other.agency)] {
                self.filter_pages(&prefix, (WIDTH, KEY_WIDTH), |entry| {
                    let mine = own && record_at(entry, 0).is_some_and(|record| gone(&record));
                    !mine && !side(entry, 16)
                })?;
            }
        }
        self.filter_pages(&names::facts(&run.id, agency), (super::facts::WIDTH, RecordRef::LEN), |entry| {
            !record_at(entry, 0).is_some_and(|record| gone(&record))
        })?;
        if links > 0 {
            let record = RunRecord { links: run.links.saturating_sub(links), ..run };
            let mut batch = Batch::new();
            batch.put(names::run(&record.project, &record.id), encode("run", &record)?);
            self.store.apply(&batch)?;
        }
        Ok(links)
    }

    /// Keeps the entries of pages that `keep` wants; each page is replaced at once. Tells how many went.
    fn filter_pages(
        &self,
        prefix: &str,
        (width, key_width): (usize, usize),
        keep: impl Fn(&[u8]) -> bool,
    ) -> Result<u64, StoreError> {
        let mut removed = 0;
        self.each(prefix.as_bytes(), |key, page| {
            if !page.len().is_multiple_of(width) {
                return Err(StoreError::Unreadable { entry: "page" });
            }
            let kept: Vec<u8> =
                page.chunks_exact(width).filter(|entry| keep(entry)).flatten().copied().collect();
            if kept.len() < page.len() {
                removed += ((page.len() - kept.len()) / width) as u64;
                let mut batch = Batch::new();
                batch.remove(key);
                // A page is named by its first entry, and the name goes with that.
                if let Some(first) = kept.get(..key_width) {
                    batch.put([prefix.as_bytes(), first].concat(), kept.as_slice());
                }
                self.store.apply(&batch)?;
            }
            Ok(())
        })?;
        Ok(removed)
    }
}

/// The ref that begins at byte `at` of an entry.
fn record_at(entry: &[u8], at: usize) -> Option<RecordRef> {
    let bytes: [u8; 16] = entry.get(at..at + RecordRef::LEN)?.try_into().ok()?;
    Some(RecordRef::from_bytes(bytes))
}
