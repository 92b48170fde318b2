//! Rights and time: what is erased stays erased, its agency gets a receipt, and every record has an end.
//!
//! May see: store, ledger's keys, policy's days. Must not see: agency. Record refs are pseudonyms that survive
//! re-encoding and epochs; what the centre keeps of an erased one is a keyed hash, enough to recognise it
//! when it is sent again and nothing more.

use crate::ledger::{Hex, LogKey, LogSigner};
use crate::service::policy::{AgreementDocument, Day};
use crate::store::{Batch, Store, StoreError};
use crate::wire::{AgencyId, Month, ProjectId, RecordRef, UtcTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

const RECEIPT_KIND: &str = "erasure receipt 1";

/// Recognises erased records. It must outlive the project's data key, and backups of it.
pub struct TombstoneKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for TombstoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TombstoneKey(..)")
    }
}

impl TombstoneKey {
    /// The key made of 32 random bytes.
    #[must_use]
    pub const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// What is kept of an erased record.
    #[must_use]
    pub fn tombstone(&self, project: &ProjectId, agency: &AgencyId, record: &RecordRef) -> Hex<16> {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in [project.as_str().as_bytes(), agency.as_str().as_bytes(), record.as_bytes()] {
            // A length never truncates: ids are bounded by 64 bytes.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Hex(bytes)
    }

    fn entry(&self, project: &ProjectId, agency: &AgencyId, record: &RecordRef) -> String {
        format!("tombstone/{project}/{}", self.tombstone(project, agency, record))
    }

    /// Whether any record of a project was ever erased: mostly none, and then intake need not ask for each.
    ///
    /// # Errors
    /// What the store says.
    pub fn any(store: &dyn Store, project: &ProjectId) -> Result<bool, StoreError> {
        Ok(!store.scan(format!("tombstone/{project}/").as_bytes(), None, 1)?.is_empty())
    }

    /// Adds the tombstone to the transaction that erases the record.
    pub fn bury(
        &self,
        batch: &mut Batch,
        project: &ProjectId,
        agency: &AgencyId,
        record: &RecordRef,
        why: ErasureReason,
    ) {
        batch.put(self.entry(project, agency, record), why.code().as_bytes());
    }

    /// [`Self::bury`] by the tombstone alone, of which the record is not known.
    pub fn bury_again(batch: &mut Batch, project: &ProjectId, tombstone: &Hex<16>, why: ErasureReason) {
        batch.put(format!("tombstone/{project}/{tombstone}"), why.code().as_bytes());
    }

    /// Why a record was erased, or `None` if it never was. Ask at intake for every record of a chunk, and
    /// at restore for every record of a backup: what has a tombstone is left out and counted.
    ///
    /// # Errors
    /// What the store says: then nothing is taken in.
    pub fn erased(
        &self,
        store: &dyn Store,
        project: &ProjectId,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Option<ErasureReason>, StoreError> {
        let value = store.value(self.entry(project, agency, record).as_bytes())?;
        // A tombstone that does not read still stands: fail towards erased.
        Ok(value.map(|code| ErasureReason::from_code(&code).unwrap_or(ErasureReason::Request)))
    }
}

/// Why a record is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureReason {
    /// The agency asked, for the person or for itself.
    Request,
    /// The month the agency gave has passed.
    Expiry,
    /// The agreement's retention has passed since the last upload.
    Retention,
    /// The agency left the agreement.
    Withdrawal,
    /// The agreement ended.
    ProjectEnd,
}

impl ErasureReason {
    const ALL: [Self; 5] = [Self::Request, Self::Expiry, Self::Retention, Self::Withdrawal, Self::ProjectEnd];

    const fn code(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Expiry => "expiry",
            Self::Retention => "retention",
            Self::Withdrawal => "withdrawal",
            Self::ProjectEnd => "project-end",
        }
    }
    fn from_code(code: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code().as_bytes() == code)
    }

    /// Whether the record must not come back. Expiry and retention end a holding, not a right to send the
    /// child's record again later.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        match self {
            Self::Request => true,
            Self::Expiry | Self::Retention | Self::Withdrawal | Self::ProjectEnd => false,
        }
    }
}

/// What the centre states it erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    /// In which project.
    pub project: ProjectId,
    /// Whose record.
    pub agency: AgencyId,
    /// Which, by the agency's own pseudonym; the centre itself keeps only the tombstone.
    pub record: RecordRef,
    /// What the centre keeps.
    pub tombstone: Hex<16>,
    /// Why.
    pub reason: ErasureReason,
    /// When.
    pub at: UtcTime,
    /// Encodings removed.
    pub encodings: u32,
    /// Links removed.
    pub links: u32,
    /// Position of the act in the ledger.
    pub ledger_entry: u64,
}

/// A signed [`Erasure`], for the agency to keep and anybody to check with the ledger's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureReceipt {
    /// What was erased.
    pub erasure: Erasure,
    /// The centre's Ed25519 signature.
    pub signature: Hex<64>,
}

/// The receipt was changed, or is another centre's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the erasure receipt does not hold under this centre's key: it was changed, or another centre wrote it"
)]
pub struct ReceiptError;

impl Erasure {
    /// One fact a line, none of which can hold a line feed.
    fn body(&self) -> String {
        let Self { project, agency, record, tombstone, reason, at, encodings, links, ledger_entry } = self;
        let reason = reason.code();
        format!(
            "{project}\n{agency}\n{record}\n{tombstone}\n{reason}\n{at}\n{encodings}\n{links}\n{ledger_entry}\n"
        )
    }

    /// Signs it. Do so after the erasing transaction is on disk.
    #[must_use]
    pub fn sign(self, signer: &LogSigner) -> ErasureReceipt {
        let signature = signer.sign_statement(RECEIPT_KIND, &self.body());
        ErasureReceipt { erasure: self, signature }
    }
}

impl ErasureReceipt {
    /// Checks the signature and hands out what was erased.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(&self, key: &LogKey) -> Result<&Erasure, ReceiptError> {
        let holds = key.holds_statement(RECEIPT_KIND, &self.erasure.body(), &self.signature);
        if holds { Ok(&self.erasure) } else { Err(ReceiptError) }
    }
}

/// When the records of a project end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionClock {
    months: u16,
    ends: Day,
}

impl RetentionClock {
    /// The clock of an agreement.
    #[must_use]
    pub const fn new(terms: &AgreementDocument) -> Self {
        Self { months: terms.retention_months, ends: terms.ends }
    }

    /// Why a record must be erased `today`, or `None` while it may be kept. `uploaded`: month of its last
    /// upload; `expiry`: the month after which its agency wants it gone. Ask once a day for every sealed
    /// dataset (by months, not record by record) and before every answer.
    #[must_use]
    pub fn due(&self, uploaded: Month, expiry: Option<Month>, today: Day) -> Option<ErasureReason> {
        let now = months_since_zero(today.month_number());
        let last = months_since_zero(uploaded.into()) + u32::from(self.months);
        if today > self.ends {
            return Some(ErasureReason::ProjectEnd);
        }
        if expiry.is_some_and(|month| now > months_since_zero(month.into())) {
            return Some(ErasureReason::Expiry);
        }
        (now > last).then_some(ErasureReason::Retention)
    }
}

/// Months since the year 0 of `year * 100 + month`.
const fn months_since_zero(number: u32) -> u32 {
    number / 100 * 12 + number % 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::policy::Agreement;
    use crate::store::MemoryStore;
    use std::collections::BTreeMap;

    fn key() -> TombstoneKey {
        TombstoneKey::new(Zeroizing::new([7; 32]))
    }
    fn record(n: u32) -> RecordRef {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        RecordRef::from_bytes(bytes)
    }
    fn clock(ends: &str, months: u16) -> RetentionClock {
        let text = include_str!("../../testdata/agreements/mash.toml");
        let text = text.replace("2027-03-31", ends);
        let text = text.replace("retention_months = 13", &format!("retention_months = {months}"));
        RetentionClock::new(toml::from_str::<Agreement>(&text).unwrap().terms())
    }

    #[test]
    fn an_erased_record_is_recognised_for_ever_and_its_ref_is_not_kept() {
        let (store, key) = (MemoryStore::new(), key());
        let (project, agency) = ("mash".parse().unwrap(), "health".parse().unwrap());
        let mut batch = Batch::new();
        key.bury(&mut batch, &project, &agency, &record(1), ErasureReason::Request);
        store.apply(&batch).unwrap();
        store.flush().unwrap();
        let store = store.after_crash(0);
        let erased = |record, agency: &str, project: &str| {
            key.erased(&store, &project.parse().unwrap(), &agency.parse().unwrap(), &record).unwrap()
        };
        assert_eq!(erased(record(1), "health", "mash"), Some(ErasureReason::Request));
        assert_eq!(erased(record(2), "health", "mash"), None);
        assert_eq!(erased(record(1), "police", "mash"), None);
        assert_eq!(erased(record(1), "health", "other"), None);
        let needle = record(1).to_string();
        for (entry, value) in store.scan(b"", None, 100).unwrap() {
            assert!(!String::from_utf8_lossy(&entry).contains(&needle));
            assert!(!value.windows(16).any(|bytes| bytes == record(1).as_bytes()));
        }
        let stranger = TombstoneKey::new(Zeroizing::new([8; 32]));
        assert_ne!(
            stranger.tombstone(&project, &agency, &record(1)),
            key.tombstone(&project, &agency, &record(1))
        );
    }

    #[test]
    fn receipts_bind_every_field() {
        let signer = LogSigner::from_seed(&Zeroizing::new([1; 32]));
        let (project, agency): (ProjectId, AgencyId) = ("mash".parse().unwrap(), "health".parse().unwrap());
        let erasure = Erasure {
            tombstone: key().tombstone(&project, &agency, &record(1)),
            project,
            agency,
            record: record(1),
            reason: ErasureReason::Request,
            at: "2026-03-01T09:30:00Z".parse().unwrap(),
            encodings: 2,
            links: 3,
            ledger_entry: 41,
        };
        let receipt = erasure.clone().sign(&signer);
        assert_eq!(receipt.verify(&signer.public()), Ok(&erasure));
        let json = serde_json::to_value(&receipt).unwrap();
        for (field, value) in [
            ("project", "other".into()),
            ("agency", "police".into()),
            ("record", record(2).to_string().into()),
            ("tombstone", "00".repeat(16).into()),
            ("reason", "expiry".into()),
            ("at", "2026-03-02T09:30:00Z".into()),
            ("encodings", 1.into()),
            ("links", 1.into()),
            ("ledger_entry", serde_json::Value::from(40)),
        ] {
            let mut other = json.clone();
            other["erasure"][field] = value;
            let other: ErasureReceipt = serde_json::from_value(other).unwrap();
            assert_eq!(other.verify(&signer.public()), Err(ReceiptError), "{field}");
        }
        let stranger = LogSigner::from_seed(&Zeroizing::new([2; 32])).public();
        assert!(receipt.verify(&stranger).is_err());
    }

    #[test]
    fn the_last_month_counts_and_the_next_erases() {
        let (clock, month) = (clock("2027-03-31", 13), |text: &str| text.parse::<Month>().unwrap());
        let due = |uploaded, expiry: Option<&str>, today: &str| {
            clock.due(month(uploaded), expiry.map(month), today.parse().unwrap())
        };
        assert_eq!(due("2026-01", None, "2027-02-28"), None);
        assert_eq!(due("2026-01", None, "2027-03-01"), Some(ErasureReason::Retention));
        assert_eq!(due("2026-01", Some("2026-12"), "2026-12-31"), None);
        assert_eq!(due("2026-01", Some("2026-12"), "2027-01-01"), Some(ErasureReason::Expiry));
        assert_eq!(due("2027-03", None, "2027-03-31"), None);
        assert_eq!(due("2027-03", None, "2027-04-01"), Some(ErasureReason::ProjectEnd));
    }

    /// Lives through 25 years, month by month: children are born, uploaded each month, expire after their
    /// eighteenth or twenty-fifth birthday, are erased on request, and are sent again all the same.
    #[test]
    fn twenty_five_years_leave_nothing_behind() {
        let (clock, key, store) = (clock("2051-12-31", 13), key(), MemoryStore::new());
        let (project, agency) = ("mash".parse().unwrap(), "health".parse().unwrap());
        let month_of = |n: u32| Month::try_from((2026 + n / 12) * 100 + n % 12 + 1).unwrap();
        let mut held: BTreeMap<u32, (Month, Month)> = BTreeMap::new();
        let mut erased: BTreeMap<u32, (ErasureReason, u32)> = BTreeMap::new();
        for now in 0..=26 * 12u32 {
            let today: Day = format!("{}-01", month_of(now)).parse().unwrap();
            let over = now >= 26 * 12;
            // One child a month is born; each is uploaded monthly until it moves away.
            for child in (0..=now).filter(|child| !over && now - child < 10 + child * 37 % 300) {
                let expiry = month_of(child + if child % 2 == 0 { 18 * 12 } else { 25 * 12 });
                let back = key.erased(&store, &project, &agency, &record(child)).unwrap();
                if back.is_none_or(|why| !why.is_permanent())
                    && clock.due(month_of(now), Some(expiry), today).is_none()
                {
                    held.insert(child, (month_of(now), expiry));
                }
            }
            if now % 7 == 3
                && let Some(child) = held.keys().nth(now as usize % held.len().max(1)).copied()
            {
                let mut batch = Batch::new();
                key.bury(&mut batch, &project, &agency, &record(child), ErasureReason::Request);
                store.apply(&batch).unwrap();
                held.remove(&child);
                erased.insert(child, (ErasureReason::Request, now));
            }
            held.retain(|child, (uploaded, expiry)| {
                let due = clock.due(*uploaded, Some(*expiry), today);
                due.map(|why| erased.insert(*child, (why, now))).is_none()
            });
            for (uploaded, expiry) in held.values() {
                assert!(months_since_zero((*expiry).into()) >= months_since_zero(today.month_number()));
                assert!(
                    months_since_zero((*uploaded).into()) + 13 >= months_since_zero(today.month_number())
                );
            }
        }
        assert!(held.is_empty(), "after the agreement's end nothing is held");
        let count = |why| erased.values().filter(|(reason, _)| *reason == why).count();
        for why in [
            ErasureReason::Request,
            ErasureReason::Expiry,
            ErasureReason::Retention,
            ErasureReason::ProjectEnd,
        ] {
            assert!(count(why) > 0, "{why:?} never came up");
        }
        for (child, (why, _)) in &erased {
            let stone = key.erased(&store, &project, &agency, &record(*child)).unwrap();
            assert_eq!(stone.is_some(), *why == ErasureReason::Request, "child {child}");
        }
    }
}
