//! What people, shields and questions said of records, and how it is forgotten with them.
//!
//! May see: the store's own records. Everything is read as what it is, never searched as text: an agency may be called
//! as a project or a word is. Every step may be repeated.

use super::records::{decode, encode};
use super::shields::{ShieldRecord, Side};
use super::{Batch, ReferralRecord, ReviewRecord, StoreError, Vault};
use crate::wire::messages::{AskedItem, NoticeMessage};
use crate::wire::{AgencyId, ProjectId, RecordRef, Visibility};
use std::collections::HashSet;

/// What a project leaves by its records and those who asked about them, by `folder/project/`.
pub(super) const MENTION_FOLDERS: [&str; 16] = [
    "shield",
    "glass",
    "referral",
    "released-run",
    "pair",
    "notice",
    "review",
    "review-of",
    "review-reference",
    "apart",
    "apart-of",
    "asked",
    "decoy",
    "second-look",
    "budget",
    "table",
];

/// Records that are being erased.
pub(super) struct Gone<'a> {
    /// Whose.
    pub(super) agency: &'a AgencyId,
    /// All of them; else those of `records`.
    pub(super) whole: bool,
    /// They never come again.
    pub(super) buried: bool,
    pub(super) records: &'a HashSet<RecordRef>,
}

/// What becomes of an entry.
enum Fate {
    Stays,
    Goes,
    Becomes(Vec<u8>),
}

impl Gone<'_> {
    fn has(&self, (agency, record): &Side) -> bool {
        agency == self.agency && (self.whole || self.records.contains(record))
    }

    /// The side at the beginning of an entry's name below `folder/project/`.
    fn has_named(&self, agency: &str, record: &str) -> bool {
        agency == self.agency.as_str()
            && (self.whole || record.parse().is_ok_and(|record| self.records.contains(&record)))
    }

    /// What becomes of the entry `name` below `folder/project/`.
    fn fate(&self, folder: &str, name: &str, value: &[u8]) -> Result<Fate, StoreError> {
        let mut steps = name.split('/');
        let mut step = || steps.next().unwrap_or_default();
        let (agency, record) = (step(), step());
        let own = agency == self.agency.as_str();
        let goes = match folder {
            "shield" if !self.has_named(agency, record) => return self.shield(own, value),
            "shield" | "glass" | "decoy" => self.has_named(agency, record),
            "pair" => self.has_named(agency, record) || self.has_named(step(), step()),
            "referral" => self.has(&decode::<ReferralRecord>("referral", value)?.asker),
            "approval" => opening(value)?.is_some_and(|side| self.has(&side)),
            "second-look" => own && self.whole,
            "asked" => {
                own && (self.whole || self.records.contains(&decode::<AskedItem>("asked", value)?.record))
            }
            "notice" => return self.notice(own, value),
            _ => false,
        };
        Ok(if goes { Fate::Goes } else { Fate::Stays })
    }

    /// A shield inherited from a record that goes ends with it, if it is another agency's. The agency's own record
    /// stays shut, by its own word: two people may open it.
    fn shield(&self, own: bool, value: &[u8]) -> Result<Fate, StoreError> {
        let mut shield: ShieldRecord = decode("shield", value)?;
        if !shield.inherited.as_ref().is_some_and(|from| self.has(from)) {
            return Ok(Fate::Stays);
        }
        shield.inherited = None;
        if own {
            shield.declared = Visibility::Hidden;
        }
        Ok(Fate::Becomes(encode("shield", &shield)?))
    }

    /// A notice names a record of its reader's. It stays without it: a number that was given is never given again.
    fn notice(&self, own: bool, value: &[u8]) -> Result<Fate, StoreError> {
        if !own {
            return Ok(Fate::Stays);
        }
        let notice: NoticeMessage = decode("notice", value)?;
        if !notice.record.is_some_and(|record| self.whole || self.records.contains(&record)) {
            return Ok(Fate::Stays);
        }
        Ok(Fate::Becomes(encode("notice", &NoticeMessage { record: None, ..notice })?))
    }
}

/// The record that a decision of two people, which the service writes, is to open: of all decisions these alone hold a ref.
pub(super) fn opening(value: &[u8]) -> Result<Option<Side>, StoreError> {
    let decision: serde_json::Value = decode("approval", value)?;
    let matter = &decision["approval"]["matter"];
    let word = |field: &str| matter[field].as_str();
    let side = word("agency").and_then(|agency| agency.parse().ok()).zip(word("record"));
    let side = side.and_then(|(agency, record)| Some((agency, record.parse().ok()?)));
    Ok(side.filter(|_| word("kind") == Some("unshield")))
}

impl Vault {
    /// Forgets every decision to open a record of a project.
    pub(super) fn forget_openings(&self, project: &ProjectId) -> Result<(), StoreError> {
        let mut dead = Vec::new();
        self.each(format!("approval/{project}/").as_bytes(), |key, value| {
            if opening(value)?.is_some() {
                dead.push(key.to_vec());
            }
            Ok(())
        })?;
        self.remove_keys(dead)
    }

    /// Forgets what people, shields and questions said of erased records: shields, opened glasses, decided pairs,
    /// reviews, who asked, referrals, decoys; notices lose them. Sets that are kept apart lose records that never come again.
    pub(super) fn forget_mentions(&self, project: &ProjectId, gone: &Gone<'_>) -> Result<(), StoreError> {
        let folders =
            ["shield", "glass", "approval", "pair", "notice", "asked", "decoy", "referral", "second-look"];
        for folder in folders {
            loop {
                match self.forget_folder(project, folder, gone) {
                    // Somebody wrote one of the entries meanwhile: what it says now is looked at again.
                    Err(StoreError::Conflict) => {}
                    other => break other?,
                }
            }
        }
        if gone.buried {
            self.forget_apart(project, gone)?;
        }
        self.forget_reviews(project, gone)
    }

    fn forget_folder(&self, project: &ProjectId, folder: &str, gone: &Gone<'_>) -> Result<(), StoreError> {
        let prefix = format!("{folder}/{project}/");
        let mut batches = vec![Batch::new()];
        self.each(prefix.as_bytes(), |key, value| {
            let fate = gone.fate(folder, &String::from_utf8_lossy(&key[prefix.len()..]), value)?;
            if batches.last().is_some_and(|batch| batch.writes().len() >= 256) {
                batches.push(Batch::new());
            }
            if let Some(batch) = batches.last_mut() {
                match fate {
                    Fate::Stays => batch,
                    Fate::Goes => batch.remove(key),
                    Fate::Becomes(after) => batch.expect(key, Some(value.to_vec())).put(key, after),
                };
            }
            Ok(())
        })?;
        batches.iter().try_for_each(|batch| self.store.apply(batch))
    }

    /// Takes records that never come again out of the sets that are kept apart; a set without a side goes.
    fn forget_apart(&self, project: &ProjectId, gone: &Gone<'_>) -> Result<(), StoreError> {
        for mut set in self.apart_sets(project)? {
            let of_both = set.one.iter().chain(&set.other);
            let dead: Vec<Side> = of_both.filter(|side| gone.has(side)).cloned().collect();
            if dead.is_empty() {
                continue;
            }
            set.one.retain(|side| !gone.has(side));
            set.other.retain(|side| !gone.has(side));
            self.rewrite_apart(project, &set, &dead)?;
        }
        Ok(())
    }

    /// Removes the reviews of erased records, and before them what leads there: what is left of a stop in between is
    /// found again.
    fn forget_reviews(&self, project: &ProjectId, gone: &Gone<'_>) -> Result<(), StoreError> {
        let prefix = format!("review/{project}/");
        let mut ids: HashSet<Vec<u8>> = HashSet::new();
        self.each(prefix.as_bytes(), |key, value| {
            let review: ReviewRecord = decode("review", value)?;
            if gone.has(&review.left) || gone.has(&review.right) {
                ids.insert(key[prefix.len()..].to_vec());
            }
            Ok(())
        })?;
        if ids.is_empty() {
            return Ok(());
        }
        let mut dead = Vec::new();
        self.each(format!("review-of/{project}/").as_bytes(), |key, _| {
            // An entry's name ends in `-` and the id.
            let id = key.rsplit(|byte| *byte == b'-').next();
            if id.is_some_and(|id| ids.contains(id)) {
                dead.push(key.to_vec());
            }
            Ok(())
        })?;
        self.each(format!("review-reference/{project}/").as_bytes(), |key, value| {
            if ids.contains(value) {
                dead.push(key.to_vec());
            }
            Ok(())
        })?;
        dead.extend(ids.into_iter().map(|id| [prefix.as_bytes(), &id].concat()));
        self.remove_keys(dead)
    }

    /// Removes entries, in this order.
    pub(super) fn remove_keys(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        for keys in keys.chunks(256) {
            let mut batch = Batch::new();
            for key in keys {
                batch.remove(key.as_slice());
            }
            self.store.apply(&batch)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, NewEvent, system_clock};
    use crate::wire::UtcTime;
    use crate::wire::messages::NoticeKind;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn vault() -> Vault {
        Vault::open(Arc::new(MemoryStore::new()), system_clock()).unwrap().0
    }
    fn record(n: u8) -> RecordRef {
        RecordRef::from_bytes([n; 16])
    }
    fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }
    fn event() -> NewEvent {
        NewEvent::new("test")
    }
    fn erase(vault: &Vault, agency: &str, n: u8, buried: bool) {
        let records = BTreeSet::from([record(n)]);
        vault.erase_records(&id("p"), &id(agency), (&records, buried), Batch::new(), event()).unwrap();
    }
    fn shield(vault: &Vault, agency: &str, n: u8, shield: &ShieldRecord) {
        let (project, agency) = (id("p"), id(agency));
        let records = BTreeSet::from([record(n)]);
        let change = |_: &RecordRef, _| Ok::<_, StoreError>(shield.clone());
        vault.change_shields((&project, &agency), &records, change, (event(), true)).unwrap();
    }

    #[test]
    fn a_notice_that_loses_its_record_keeps_its_number() {
        let vault = vault();
        let notice = |n| NoticeMessage {
            number: 0,
            at: UtcTime::EPOCH,
            kind: NoticeKind::GlassBroken,
            record: Some(record(n)),
            agency: Some(id("council")),
            why: None,
        };
        let (project, reader) = (id("p"), id("refuge"));
        (1..=2).for_each(|n| vault.notify(&project, Some(&reader), notice(n)).unwrap());
        erase(&vault, "refuge", 2, true);
        vault.notify(&project, Some(&reader), notice(3)).unwrap();
        // Whoever had read two learns of the third.
        let told = vault.notices(&project, Some(&reader), 2, 9).unwrap();
        assert_eq!(
            told.iter().map(|told| (told.number, told.record)).collect::<Vec<_>>(),
            [(3, Some(record(3)))]
        );
        let all = vault.notices(&project, Some(&reader), 0, 9).unwrap();
        assert_eq!(
            all.iter().map(|told| told.record).collect::<Vec<_>>(),
            [Some(record(1)), None, Some(record(3))]
        );
        // Another agency's record of the same ref is another record.
        erase(&vault, "council", 3, true);
        assert_eq!(vault.notices(&project, Some(&reader), 2, 9).unwrap()[0].record, Some(record(3)));
    }

    #[test]
    fn a_shield_outlives_the_record_it_was_inherited_from() {
        let vault = vault();
        let open = ShieldRecord::open(UtcTime::EPOCH);
        let inherited = Some((id("refuge"), record(1)));
        let hidden = ShieldRecord { uploaded: Visibility::Hidden, ..open.clone() };
        shield(&vault, "refuge", 1, &hidden);
        shield(&vault, "refuge", 2, &ShieldRecord { inherited: inherited.clone(), ..open.clone() });
        shield(&vault, "council", 3, &ShieldRecord { inherited: inherited.clone(), ..hidden.clone() });
        shield(&vault, "council", 4, &ShieldRecord { inherited, ..open });
        erase(&vault, "refuge", 1, true);
        let seen = |agency: &str, n| vault.visibility(&id("p"), &id(agency), &record(n)).unwrap();
        assert_eq!(vault.shield(&id("p"), &id("refuge"), &record(1)).unwrap(), None);
        assert_eq!(seen("refuge", 2), Visibility::Hidden, "its own agency's word stands for it now");
        assert_eq!(seen("council", 3), Visibility::Hidden, "its own upload said so");
        assert_eq!(seen("council", 4), Visibility::Open);
    }

    #[test]
    fn records_kept_apart_stay_so_unless_one_never_comes_again() {
        let vault = vault();
        let side = |agency: &str, n| (id::<AgencyId>(agency), record(n));
        let sides = (vec![side("council", 1), side("school", 2)], vec![side("council", 3)]);
        let why = serde_json::from_str("\"adoption\"").unwrap();
        vault.keep_apart(&id("p"), &id("council"), sides, why, event()).unwrap();
        let apart = |one, other| vault.are_kept_apart(&id("p"), &one, &other).unwrap();
        erase(&vault, "council", 1, false);
        assert!(apart(side("council", 1), side("council", 3)), "it may come again");
        erase(&vault, "council", 1, true);
        assert!(!apart(side("council", 1), side("council", 3)));
        assert!(apart(side("school", 2), side("council", 3)), "it protects the others");
        erase(&vault, "council", 3, true);
        for folder in ["apart/", "apart-of/"] {
            assert!(vault.store().scan(folder.as_bytes(), None, 1).unwrap().is_empty(), "{folder}");
        }
    }

    #[test]
    fn what_leads_to_a_review_goes_before_it() {
        let vault = vault();
        let run = vault.begin_run(&id("p"), crate::wire::Epoch::FIRST, Vec::new(), None, event()).unwrap();
        let found = |n| crate::store::FoundReview {
            left: (id("council"), record(n)),
            right: (id("school"), record(n + 100)),
            attributes: Vec::new(),
            reasons: crate::wire::Reasons::default(),
        };
        let found: Vec<_> = (1..=3).map(found).collect();
        let reference =
            |one: &Side, _: &Side| crate::wire::LinkReference::from_number(one.1.as_bytes()[0].into());
        vault.note_reviews(&run, &found, reference).unwrap();
        let count = |folder: &str| vault.store().scan(folder.as_bytes(), None, 99).unwrap().len();
        assert_eq!((count("review/"), count("review-of/"), count("review-reference/")), (3, 6, 3));
        erase(&vault, "school", 102, true);
        assert_eq!((count("review/"), count("review-of/"), count("review-reference/")), (2, 4, 2));
    }
}
