//! Questions that were answered with the broker's name: who asked about which of its records, and what the broker said.

use super::records::{LinkRecord, ProjectRecord, RunRecord, decode, encode};
use super::shields::Side;
use super::{Batch, StoreError, Vault};
use crate::wire::messages::{Line, ReferralState, Why};
use crate::wire::{AgencyId, ProjectId, PurposeCode, RecordRef, UtcTime};
use serde::{Deserialize, Serialize};

/// A referral.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralRecord {
    /// Who asked, about which of its records.
    pub asker: Side,
    /// The member of staff who asked last.
    pub user: Line,
    /// Why.
    pub purpose: PurposeCode,
    /// When it was asked last.
    pub asked: UtcTime,
    /// Entry of the ledger.
    pub entry: u64,
    /// How it stands.
    pub state: ReferralState,
    /// Why the broker decided so.
    pub why: Option<Why>,
    /// The agencies that the broker named.
    pub named: Vec<AgencyId>,
}

impl std::fmt::Debug for ReferralRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReferralRecord({}, {})", self.asker.0, self.state)
    }
}

fn folder(project: &ProjectId) -> String {
    format!("referral/{project}/")
}

impl Vault {
    /// The id of the referral of one of an agency's records; it says nothing of either.
    #[must_use]
    pub fn referral_id(project: &ProjectRecord, asker: &Side) -> String {
        let parts: [&[u8]; 3] = [b"referral", asker.0.as_str().as_bytes(), asker.1.as_bytes()];
        project.secret.digest(&parts).to_string()[..32].to_owned()
    }

    /// Adds to `batch` that `asked` was referred to the broker. What the broker named before stands; what it declined is
    /// put before it again.
    ///
    /// # Errors
    /// What the engine says.
    pub fn stage_referral(
        &self,
        batch: &mut Batch,
        project: &ProjectRecord,
        asked: ReferralRecord,
    ) -> Result<(), StoreError> {
        let name = format!("{}{}", folder(&project.id), Self::referral_id(project, &asked.asker));
        let old = self.store.value(name.as_bytes())?;
        let before: Option<ReferralRecord> =
            old.as_deref().map(|bytes| decode("referral", bytes)).transpose()?;
        let now = match before {
            Some(before) if before.state == ReferralState::Answered => {
                ReferralRecord { state: before.state, why: before.why, named: before.named, ..asked }
            }
            _ => asked,
        };
        batch.expect(name.as_str(), old).put(name, encode("referral", &now)?);
        Ok(())
    }

    /// One referral.
    ///
    /// # Errors
    /// What the engine says.
    pub fn referral(&self, project: &ProjectId, id: &str) -> Result<Option<ReferralRecord>, StoreError> {
        let value = self.store.value(format!("{}{id}", folder(project)).as_bytes())?;
        value.map(|bytes| decode("referral", &bytes)).transpose()
    }

    /// Up to `limit` referrals of a project with their ids, after `after`.
    ///
    /// # Errors
    /// What the engine says.
    pub fn referrals(
        &self,
        project: &ProjectId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, ReferralRecord)>, StoreError> {
        let folder = folder(project);
        let after = after.map(|id| format!("{folder}{id}"));
        let pairs = self.store.scan(folder.as_bytes(), after.as_deref().map(str::as_bytes), limit)?;
        let read = |(key, value): &super::Pair| {
            let id = String::from_utf8_lossy(&key[folder.len()..]).into_owned();
            Ok((id, decode("referral", value)?))
        };
        pairs.iter().map(read).collect()
    }

    /// Adds to `batch` what the broker said, if nothing has changed since `before` was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when something has; what the engine says.
    pub fn stage_referral_word(
        &self,
        batch: &mut Batch,
        project: &ProjectId,
        id: &str,
        (before, after): (&ReferralRecord, &ReferralRecord),
    ) -> Result<(), StoreError> {
        let name = format!("{}{id}", folder(project));
        let stored = self.unchanged(("referral", &name), before)?;
        batch.expect(name.as_str(), Some(stored)).put(name, encode("referral", after)?);
        Ok(())
    }

    /// Links of a run from one record to brokered ones, each of them: for the broker alone, who answers for them.
    ///
    /// # Errors
    /// What the engine says.
    pub fn brokered_of(
        &self,
        run: &RunRecord,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Vec<LinkRecord>, StoreError> {
        let shown = self.shown(run, agency, self.links_as_stored(run, agency, record)?)?;
        Ok(shown.into_iter().filter(|link| link.brokered).collect())
    }
}
