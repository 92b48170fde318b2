//! Every ref of an agency that a project's part of the store holds anywhere: what tombstones from outside are compared with.
//!
//! May see: the store's own records and pages. A ref is a pseudonym of its agency; nothing here leaves the centre.

use super::mentions::opening;
use super::prefilter::refs_pages;
use super::records::decode;
use super::shields::{ShieldRecord, Side};
use super::{ReferralRecord, ReviewRecord, StoreError, Vault};
use crate::wire::messages::{AskedItem, NoticeMessage};
use crate::wire::{AgencyId, ProjectId, RecordRef};
use std::collections::BTreeSet;

impl Vault {
    /// The refs of an agency in datasets, runs, shields, reviews, decisions, feeds and notices of a project.
    ///
    /// # Errors
    /// What the engine says, or what cannot be read.
    pub fn known_refs(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
    ) -> Result<BTreeSet<RecordRef>, StoreError> {
        let mut known = BTreeSet::new();
        for manifest in self.manifests(project, None, usize::MAX)? {
            if manifest.upload.agency == *agency {
                refs_pages(&manifest.upload.id).each_page(&*self.store, |page| {
                    known.extend(page.as_chunks::<16>().0.iter().map(|bytes| RecordRef::from_bytes(*bytes)));
                })?;
            }
        }
        for run in self.runs(project, None, usize::MAX)? {
            known.extend(self.all_links(&run.id, agency)?.iter().map(|link| link.own));
            known.extend(self.facts(&run.id, agency)?.iter().map(|fact| fact.record));
        }
        self.mentioned(project, agency, &mut known)?;
        Ok(known)
    }

    /// Refs that people, shields and questions spoke of.
    fn mentioned(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        known: &mut BTreeSet<RecordRef>,
    ) -> Result<(), StoreError> {
        for set in self.apart_sets(project)? {
            known
                .extend(set.one.iter().chain(&set.other).filter(|side| side.0 == *agency).map(|side| side.1));
        }
        for folder in
            ["shield", "glass", "decoy", "pair", "asked", "notice", "referral", "review", "approval"]
        {
            let prefix = format!("{folder}/{project}/");
            self.each(prefix.as_bytes(), |key, value| {
                let name = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
                let steps: Vec<&str> = name.split('/').collect();
                let own = steps.first() == Some(&agency.as_str());
                let mut sides: Vec<Side> = Vec::new();
                match folder {
                    "shield" => sides.extend(decode::<ShieldRecord>("shield", value)?.inherited),
                    "asked" if own => known.extend([decode::<AskedItem>("asked", value)?.record]),
                    "notice" if own => known.extend(decode::<NoticeMessage>("notice", value)?.record),
                    "referral" => sides.push(decode::<ReferralRecord>("referral", value)?.asker),
                    "review" => {
                        let review: ReviewRecord = decode("review", value)?;
                        sides.extend([review.left, review.right]);
                    }
                    "approval" => sides.extend(opening(value)?),
                    _ => {}
                }
                if matches!(folder, "shield" | "glass" | "decoy" | "pair") && own {
                    known.extend(steps.get(1).and_then(|record| record.parse::<RecordRef>().ok()));
                }
                known.extend(sides.into_iter().filter(|side| side.0 == *agency).map(|side| side.1));
                Ok(())
            })?;
        }
        Ok(())
    }
}
