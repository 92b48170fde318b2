//! What a finished run keeps of its records for counting: area, age band, month, whether open. No encoding.
//!
//! May see: wire. One entry a record, sorted by ref, in pages; erased with the record.

use super::pages::Pages;
use super::{StoreError, Vault, names};
use crate::wire::{AgencyId, Band, Month, RecordRef, RunId, ShortText};

const TEXT_WIDTH: usize = 1 + ShortText::LEN_MAX;
/// Bytes of one entry.
pub(super) const WIDTH: usize = RecordRef::LEN + 1 + 4 + 2 * TEXT_WIDTH;

/// A record as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// Which.
    pub record: RecordRef,
    /// Whether everybody may learn of it; others are counted nowhere.
    pub open: bool,
    /// Month it was last active.
    pub last_seen: Option<Month>,
    /// Where the child lives.
    pub area: Option<ShortText>,
    /// How old the child is.
    pub age_band: Option<ShortText>,
}

/// A link as it is counted, from the side of the input with the smaller number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedLink {
    /// Input number and ref of one side.
    pub left: (u16, RecordRef),
    /// Input number and ref of the other.
    pub right: (u16, RecordRef),
    /// How sure.
    pub band: Band,
    /// The score, rounded.
    pub score: i64,
}

impl Fact {
    fn to_bytes(self) -> [u8; WIDTH] {
        let mut bytes = [0; WIDTH];
        bytes[..16].copy_from_slice(self.record.as_bytes());
        bytes[16] = u8::from(self.open);
        bytes[17..21].copy_from_slice(&self.last_seen.map_or(0, u32::from).to_le_bytes());
        for (text, at) in [(self.area, 21), (self.age_band, 21 + TEXT_WIDTH)] {
            if let Some(text) = text {
                let text = text.as_str().as_bytes();
                bytes[at] = u8::try_from(text.len()).unwrap_or(0);
                bytes[at + 1..at + 1 + text.len()].copy_from_slice(text);
            }
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = |at: usize| {
            let length = usize::from(*bytes.get(at)?);
            std::str::from_utf8(bytes.get(at + 1..at + 1 + length)?).ok()?.parse().ok()
        };
        let month = u32::from_le_bytes(bytes.get(17..21)?.try_into().ok()?);
        Some(Self {
            record: RecordRef::from_bytes(bytes.get(..16)?.try_into().ok()?),
            open: *bytes.get(16)? == 1,
            last_seen: Month::try_from(month).ok(),
            area: text(21),
            age_band: text(21 + TEXT_WIDTH),
        })
    }
}

fn pages(run: &RunId, agency: &AgencyId) -> Pages {
    Pages::new(&names::facts(run, agency), WIDTH, RecordRef::LEN)
}

impl Vault {
    /// Keeps what an input of a run is counted by. Before the run is finished, in any order.
    ///
    /// # Errors
    /// What the engine says.
    pub fn write_facts(&self, run: &RunId, agency: &AgencyId, facts: &[Fact]) -> Result<(), StoreError> {
        let mut entries: Vec<[u8; WIDTH]> = facts.iter().map(|fact| fact.to_bytes()).collect();
        entries.sort_unstable();
        pages(run, agency).write(&*self.store, entries.as_flattened())
    }

    /// What an input of a run is counted by, sorted by ref.
    ///
    /// # Errors
    /// What the engine says.
    pub fn facts(&self, run: &RunId, agency: &AgencyId) -> Result<Vec<Fact>, StoreError> {
        let mut facts = Vec::new();
        let mut whole = true;
        pages(run, agency).each_page(&*self.store, |page| {
            for entry in page.chunks(WIDTH) {
                match Fact::from_bytes(entry) {
                    Some(fact) => facts.push(fact),
                    None => whole = false,
                }
            }
        })?;
        if whole { Ok(facts) } else { Err(StoreError::Unreadable { entry: "facts" }) }
    }

    /// Every link of a run, once, as the run found it. What two open records have in common is what counts; a shield
    /// that was set since changes none of it, or two tables of one run would differ by the shielded child.
    ///
    /// # Errors
    /// What the engine says.
    pub fn counted_links(&self, run: &super::RunRecord) -> Result<Vec<CountedLink>, StoreError> {
        let mut found = Vec::new();
        for (number, input) in (0u16..).zip(&run.inputs) {
            for link in self.all_links(&run.id, &input.agency)? {
                if number < link.other_input {
                    let (left, right) = ((number, link.own), (link.other_input, link.other));
                    found.push(CountedLink { left, right, band: link.band, score: link.score });
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, system_clock};
    use std::sync::Arc;

    #[test]
    fn facts_are_read_back_sorted() {
        let (vault, _) = Vault::open(Arc::new(MemoryStore::new()), system_clock()).unwrap();
        let fact = |n: u8| Fact {
            record: RecordRef::from_bytes([n; 16]),
            open: n.is_multiple_of(2),
            last_seen: Month::try_from(202_600 + u32::from(n % 12) + 1).ok().filter(|_| n != 3),
            area: "E02000001".parse().ok().filter(|_| n != 4),
            age_band: "a-band-of-24-letters-abc".parse().ok().filter(|_| n != 5),
        };
        let facts: Vec<Fact> = (0..200).rev().map(fact).collect();
        let (run, agency) = ("run-1".parse().unwrap(), "health".parse().unwrap());
        vault.write_facts(&run, &agency, &facts).unwrap();
        let found = vault.facts(&run, &agency).unwrap();
        assert!(found.iter().copied().eq((0..200).map(fact)));
        assert!(vault.facts(&run, &"police".parse().unwrap()).unwrap().is_empty());
    }
}
