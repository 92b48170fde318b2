//! What an agency, or the operator, is told: short lines in order, one list per reader.

use super::records::{decode, encode};
use super::{Batch, StoreError, Vault};
use crate::wire::messages::NoticeMessage;
use crate::wire::{AgencyId, ProjectId};

fn folder(project: &ProjectId, reader: Option<&AgencyId>) -> String {
    // No agency id is a lone hyphen.
    format!("notice/{project}/{}/", reader.map_or("-", AgencyId::as_str))
}

impl Vault {
    /// Tells `reader` (the operator when none) something, and returns when it is on disk. The number is
    /// given here.
    ///
    /// # Errors
    /// What the engine says; then whoever waits for the notice must not go on.
    pub fn notify(
        &self,
        project: &ProjectId,
        reader: Option<&AgencyId>,
        notice: NoticeMessage,
    ) -> Result<(), StoreError> {
        let folder = folder(project, reader);
        {
            let _writing = self.writing();
            let last = self.store.last_at_or_before(folder.as_bytes(), format!("{folder}~").as_bytes())?;
            let last: u64 = match last {
                Some((_, bytes)) => decode::<NoticeMessage>("notice", &bytes)?.number,
                None => 0,
            };
            let notice = NoticeMessage { number: last + 1, ..notice };
            let mut batch = Batch::new();
            let name = format!("{folder}{:016}", notice.number);
            batch.expect(name.as_str(), None).put(name, encode("notice", &notice)?);
            self.store.apply(&batch)?;
        }
        self.store.flush()
    }

    /// Notices of `reader` (the operator when none) after number `after`, oldest first.
    ///
    /// # Errors
    /// What the engine says.
    pub fn notices(
        &self,
        project: &ProjectId,
        reader: Option<&AgencyId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NoticeMessage>, StoreError> {
        let folder = folder(project, reader);
        let from = format!("{folder}{after:016}");
        let pairs = self.store.scan(folder.as_bytes(), Some(from.as_bytes()), limit)?;
        pairs.iter().map(|(_, value)| decode("notice", value)).collect()
    }
}
