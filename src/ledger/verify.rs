//! Reads an export without trusting it: every byte, the order, the signatures, and the past.

use super::export::{Line, seal_body, visible};
use super::{
    Checkpoint, EXPORT_FORMAT, EXPORT_VERSION, Entry, ExportError, ExportHeader, Frontier, Inclusion,
    LINE_BYTES_MAX, LogKey, LogName, MemoryTree, SignedCheckpoint, empty_root, prove_inclusion,
};
use crate::wire::{AgencyId, ContentDigest};
use serde::{Deserialize, Serialize};

/// What the reader brings along: whom it believes and what it saw before.
#[derive(Debug, Clone)]
pub struct Trusted<'a> {
    /// The log it wants to read.
    pub log: &'a LogName,
    /// That log's key.
    pub key: LogKey,
    /// Checkpoints it kept from earlier; each must be a beginning of this log.
    pub older: &'a [SignedCheckpoint],
    /// Witnesses that must have co-signed, with their keys.
    pub witnesses: &'a [(AgencyId, LogKey)],
}

/// What an export was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its first line.
    pub header: ExportHeader,
    /// Entries shown in full.
    pub shown: u64,
    /// Entries shown as hashes only.
    pub hidden: u64,
    /// The checkpoint it ends in; keep it for the next time.
    pub checkpoint: SignedCheckpoint,
}

/// Verifies an export line by line in constant memory.
pub struct ExportVerifier<'a> {
    trusted: Trusted<'a>,
    header: Option<ExportHeader>,
    frontier: Frontier,
    digest: blake3::Hasher,
    line: u64,
    shown: u64,
    older: Vec<Checkpoint>,
    checkpoint: Option<SignedCheckpoint>,
    sealed: bool,
}

impl<'a> ExportVerifier<'a> {
    /// Begins; checks the older checkpoints' signatures first.
    ///
    /// # Errors
    /// [`ExportError::Checkpoint`] if an older one is not this log's.
    pub fn new(trusted: Trusted<'a>) -> Result<Self, ExportError> {
        let mut older = Vec::with_capacity(trusted.older.len());
        for signed in trusted.older {
            let old = signed.verify(trusted.log, &trusted.key)?;
            if old.size == 0 && old.root != empty_root() {
                return Err(ExportError::Forked { size: 0 });
            }
            older.push(old.clone());
        }
        Ok(Self {
            trusted,
            header: None,
            frontier: Frontier::default(),
            digest: blake3::Hasher::new(),
            line: 0,
            shown: 0,
            older,
            checkpoint: None,
            sealed: false,
        })
    }

    /// Takes the next line with its line feed; returns the entry and its leaf hash, if it is one.
    ///
    /// # Errors
    /// [`ExportError`] with the line's number.
    pub fn push(&mut self, line: &[u8]) -> Result<Option<(ContentDigest, Option<Entry>)>, ExportError> {
        self.line += 1;
        if line.len() > LINE_BYTES_MAX {
            return Err(self.wrong("longer than any line of a ledger"));
        }
        let text = line.strip_suffix(b"\n").ok_or(self.wrong("no line feed at its end"))?;
        let text = std::str::from_utf8(text).map_err(|_| self.wrong("not UTF-8"))?;
        if self.sealed {
            return Err(self.wrong("something stands after the seal"));
        }
        let Some(header) = &self.header else {
            self.header = Some(self.read_header(text)?);
            self.digest.update(line);
            return Ok(None);
        };
        let read: Line = self.read(text)?;
        let (leaf, entry) = match read {
            Line::Entry(entry) => (entry.leaf(), Some(entry)),
            Line::Leaf(leaf) => (leaf, None),
            Line::Checkpoint(checkpoint) => {
                self.take_checkpoint(checkpoint)?;
                self.digest.update(line);
                return Ok(None);
            }
            Line::Seal(seal) => {
                if self.checkpoint.is_none() {
                    return Err(self.wrong("a seal before the checkpoint"));
                }
                if !self.trusted.key.holds(&seal_body(&self.digest), &seal) {
                    return Err(ExportError::Seal);
                }
                self.sealed = true;
                return Ok(None);
            }
        };
        let right = match &entry {
            Some(entry) => visible(header, entry),
            None => header.agency.is_some(),
        };
        if !right {
            return Err(ExportError::Visibility { line: self.line });
        }
        let (expected, found) = (header.entries, self.frontier.size() + 1);
        if found > expected || self.checkpoint.is_some() {
            return Err(ExportError::Count { line: self.line, expected, found });
        }
        self.digest.update(line);
        self.shown += u64::from(entry.is_some());
        self.add(leaf)?;
        Ok(Some((leaf, entry)))
    }

    /// Says what the export is, once all lines were pushed.
    ///
    /// # Errors
    /// [`ExportError::Line`] if the seal is missing: the file was cut.
    pub fn finish(self) -> Result<Verified, ExportError> {
        match (self.header, self.checkpoint, self.sealed) {
            (Some(header), Some(checkpoint), true) => {
                let hidden = self.frontier.size() - self.shown;
                Ok(Verified { header, shown: self.shown, hidden, checkpoint })
            }
            _ => Err(ExportError::Line { line: self.line + 1, what: "the end is missing" }),
        }
    }

    const fn wrong(&self, what: &'static str) -> ExportError {
        ExportError::Line { line: self.line, what }
    }

    /// Reads a line that has exactly one spelling.
    fn read<T: Serialize + serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, ExportError> {
        let read = serde_json::from_str(text).map_err(|_| self.wrong("not a line of a ledger"))?;
        if serde_json::to_string(&read).is_ok_and(|spelt| spelt == text) {
            Ok(read)
        } else {
            Err(self.wrong("not spelt as the format spells it"))
        }
    }

    fn read_header(&self, text: &str) -> Result<ExportHeader, ExportError> {
        let header: ExportHeader = self.read(text)?;
        if header.format != EXPORT_FORMAT || header.version != EXPORT_VERSION {
            return Err(ExportError::Format);
        }
        if header.log != *self.trusted.log {
            let expected = self.trusted.log.clone();
            return Err(super::CheckpointError::OtherLog { expected, found: header.log }.into());
        }
        Ok(header)
    }

    fn add(&mut self, leaf: ContentDigest) -> Result<(), ExportError> {
        self.frontier.append(leaf);
        let size = self.frontier.size();
        let mut same_size = self.older.iter().filter(|old| old.size == size);
        if same_size.any(|old| old.root != self.frontier.root()) {
            return Err(ExportError::Forked { size });
        }
        Ok(())
    }

    fn take_checkpoint(&mut self, signed: SignedCheckpoint) -> Result<(), ExportError> {
        if self.checkpoint.is_some() {
            return Err(self.wrong("a second checkpoint"));
        }
        let checkpoint = signed.verify(self.trusted.log, &self.trusted.key)?;
        let found = self.frontier.size();
        if checkpoint.size != found || self.header.as_ref().is_some_and(|header| header.entries != found) {
            return Err(ExportError::Count { line: self.line, expected: checkpoint.size, found });
        }
        if checkpoint.root != self.frontier.root() {
            return Err(ExportError::Root { entries: found });
        }
        if let Some(signed) = self.older.iter().map(|old| old.size).max().filter(|size| *size > found) {
            return Err(ExportError::RolledBack { entries: found, signed });
        }
        for (witness, key) in self.trusted.witnesses {
            signed.verify_cosignature(witness, key)?;
        }
        self.checkpoint = Some(signed);
        Ok(())
    }
}

/// Verifies a whole export.
///
/// # Errors
/// [`ExportError`]: any changed byte, deletion, insertion, swap, fork or roll-back.
pub fn verify(export: &[u8], trusted: Trusted<'_>) -> Result<Verified, ExportError> {
    let mut verifier = ExportVerifier::new(trusted)?;
    for line in export.split_inclusive(|byte| *byte == b'\n') {
        verifier.push(line)?;
    }
    verifier.finish()
}

/// One entry with all that shows it stands in the log: fit to be handed to somebody without the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryProof {
    /// The entry.
    pub entry: Entry,
    /// Its place.
    pub inclusion: Inclusion,
    /// The signed root it leads to.
    pub checkpoint: SignedCheckpoint,
}

impl EntryProof {
    /// Checks signature, size and path; hands out the entry.
    ///
    /// # Errors
    /// [`ExportError::Checkpoint`], [`ExportError::Proof`], [`ExportError::Mismatch`].
    pub fn verify(&self, log: &LogName, key: &LogKey) -> Result<&Entry, ExportError> {
        let checkpoint = self.checkpoint.verify(log, key)?;
        if checkpoint.size != self.inclusion.size {
            return Err(ExportError::Mismatch { signed: checkpoint.size, entries: self.inclusion.size });
        }
        self.inclusion.verify(&self.entry.leaf(), &checkpoint.root)?;
        Ok(&self.entry)
    }
}

/// Verifies an export and proves entry `index` (from 0) of it.
///
/// # Errors
/// [`ExportError`] of the export; [`ExportError::Visibility`] if the entry is hidden from this reader.
pub fn prove(export: &[u8], index: u64, trusted: Trusted<'_>) -> Result<EntryProof, ExportError> {
    let mut verifier = ExportVerifier::new(trusted)?;
    let (mut tree, mut wanted) = (MemoryTree::default(), None);
    for line in export.split_inclusive(|byte| *byte == b'\n') {
        if let Some((leaf, entry)) = verifier.push(line)? {
            if tree.size() == index {
                wanted = entry;
            }
            tree.append(leaf);
        }
    }
    let verified = verifier.finish()?;
    let inclusion = prove_inclusion(&tree, index, tree.size())?;
    let entry = wanted.ok_or(ExportError::Visibility { line: index + 2 })?;
    Ok(EntryProof { entry, inclusion, checkpoint: verified.checkpoint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::entry::tests::sample;
    use crate::ledger::{ExportWriter, LogSigner, Witness, prove_consistency};
    use zeroize::Zeroizing;

    fn signer() -> LogSigner {
        LogSigner::from_seed(&Zeroizing::new([5; 32]))
    }
    fn log() -> LogName {
        "centre/mash".parse().unwrap()
    }
    fn checkpoint(entries: &[Entry]) -> SignedCheckpoint {
        let mut frontier = Frontier::default();
        entries.iter().for_each(|entry| drop(frontier.append(entry.leaf())));
        Checkpoint::of(log(), &frontier, 77).sign(&signer())
    }
    /// What a centre writes that holds the key, honest or not.
    fn export(entries: &[Entry], agency: Option<&str>) -> Vec<u8> {
        let agency = agency.map(|agency| agency.parse().unwrap());
        let header = ExportHeader::new(log(), entries.len() as u64, agency);
        let (mut writer, mut text) = ExportWriter::new(header).unwrap();
        for entry in entries {
            text += &writer.entry(entry.clone()).unwrap();
        }
        text += &writer.finish(checkpoint(entries), &signer()).unwrap();
        text.into_bytes()
    }
    fn entries(n: u64) -> Vec<Entry> {
        (0..n).map(sample).collect()
    }
    fn check(export: &[u8], older: &[SignedCheckpoint]) -> Result<Verified, ExportError> {
        verify(export, Trusted { log: &log(), key: signer().public(), older, witnesses: &[] })
    }

    #[test]
    fn an_honest_export_verifies_and_shows_each_reader_its_own() {
        for n in [0, 1, 2, 7, 64, 65] {
            let entries = entries(n);
            let older: Vec<_> = (0..=n as usize).map(|size| checkpoint(&entries[..size])).collect();
            let all = check(&export(&entries, None), &older).unwrap();
            assert_eq!((all.shown, all.hidden), (n, 0));
            let text = export(&entries, Some("health"));
            let own = check(&text, &older).unwrap();
            assert_eq!(own.shown + own.hidden, n);
            assert_eq!(own.shown, entries.iter().filter(|e| e.agency == own.header.agency).count() as u64);
            assert!(!String::from_utf8(text).unwrap().contains("\"agency\":\"police\""));
        }
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let text = export(&entries(6), Some("health"));
        for at in 0..text.len() {
            for bit in [0, 1, 5, 7] {
                let mut bad = text.clone();
                bad[at] ^= 1 << bit;
                assert!(check(&bad, &[]).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn every_lost_doubled_or_swapped_line_and_every_cut_is_detected() {
        let text = export(&entries(9), None);
        let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
        for at in 0..lines.len() {
            let mut lost = lines.clone();
            lost.remove(at);
            assert!(check(&lost.concat(), &[]).is_err(), "line {at} lost");
            let mut doubled = lines.clone();
            doubled.insert(at, lines[at]);
            assert!(check(&doubled.concat(), &[]).is_err(), "line {at} doubled");
            for other in 0..at {
                let mut swapped = lines.clone();
                swapped.swap(at, other);
                assert!(check(&swapped.concat(), &[]).is_err(), "lines {at} and {other} swapped");
            }
        }
        for len in 0..text.len() {
            assert!(check(&text[..len], &[]).is_err(), "cut at {len}");
        }
        assert!(check(&[&text[..], b"\n"].concat(), &[]).is_err());
    }

    #[test]
    fn a_centre_that_rewrites_and_signs_anew_is_caught_by_an_older_checkpoint() {
        let honest = entries(12);
        let older = [checkpoint(&honest[..3]), checkpoint(&honest[..8])];
        check(&export(&honest, None), &older).unwrap();
        assert_eq!(
            check(&export(&honest[..7], None), &older),
            Err(ExportError::RolledBack { entries: 7, signed: 8 })
        );
        let mut deleted = honest.clone();
        deleted.remove(4);
        assert_eq!(check(&export(&deleted, None), &older), Err(ExportError::Forked { size: 8 }));
        let mut swapped = honest.clone();
        swapped.swap(0, 1);
        assert_eq!(check(&export(&swapped, None), &older), Err(ExportError::Forked { size: 3 }));
        let mut edited = honest.clone();
        edited[5].act.result = "refused".parse().unwrap();
        assert_eq!(check(&export(&edited, None), &older), Err(ExportError::Forked { size: 8 }));
        check(&export(&edited, None), &older[..1]).unwrap();
    }

    #[test]
    fn other_logs_other_keys_and_other_versions_are_refused() {
        let text = export(&entries(3), None);
        let stranger = LogSigner::from_seed(&Zeroizing::new([6; 32])).public();
        let other: LogName = "centre/other".parse().unwrap();
        let read = |log: &LogName, key| verify(&text, Trusted { log, key, older: &[], witnesses: &[] });
        assert!(matches!(read(&other, signer().public()), Err(ExportError::Checkpoint(_))));
        assert!(matches!(read(&log(), stranger), Err(ExportError::Checkpoint(_))));
        let newer = String::from_utf8(text.clone()).unwrap().replacen("\"version\":1", "\"version\":2", 1);
        assert_eq!(check(newer.as_bytes(), &[]), Err(ExportError::Format));
        let forged = Checkpoint { size: 3, root: empty_root(), log: log(), at_ms: 0 }
            .sign(&LogSigner::from_seed(&Zeroizing::new([6; 32])));
        assert!(matches!(check(&text, &[forged]), Err(ExportError::Checkpoint(_))));
        assert!(matches!(
            check(&vec![b'['; LINE_BYTES_MAX + 1], &[]),
            Err(ExportError::Line { line: 1, .. })
        ));
    }

    #[test]
    fn each_entry_is_proved_to_whom_it_is_shown() {
        let (all, stranger) = (entries(11), LogSigner::from_seed(&Zeroizing::new([6; 32])).public());
        let text = export(&all, Some("health"));
        let trusted = Trusted { log: &log(), key: signer().public(), older: &[], witnesses: &[] };
        for (index, entry) in all.iter().enumerate() {
            let proof = prove(&text, index as u64, trusted.clone());
            if entry.agency != Some("health".parse().unwrap()) {
                assert_eq!(proof, Err(ExportError::Visibility { line: index as u64 + 2 }));
                continue;
            }
            let proof = proof.unwrap();
            assert_eq!(proof.verify(&log(), &signer().public()).unwrap(), entry);
            assert!(proof.verify(&log(), &stranger).is_err());
            let json = serde_json::to_string(&proof).unwrap();
            let mut other: EntryProof = serde_json::from_str(&json).unwrap();
            other.entry.at_ms += 1;
            assert!(other.verify(&log(), &signer().public()).is_err());
        }
        assert!(matches!(prove(&text, 11, trusted), Err(ExportError::Proof(_))));
    }

    #[test]
    fn a_witness_asked_for_must_have_signed() {
        let (all, name): (_, AgencyId) = (entries(4), "police".parse().unwrap());
        let key = LogSigner::from_seed(&Zeroizing::new([8; 32]));
        let mut signed = checkpoint(&all);
        let mut witness = Witness { name: name.clone(), log: log(), key: signer().public(), seen: None };
        let nothing = prove_consistency(&MemoryTree::default(), 0, 0).unwrap();
        signed.cosignatures.push(witness.cosign(&signed, &nothing, &key, 78).unwrap());
        let (mut writer, mut text) = ExportWriter::new(ExportHeader::new(log(), 4, None)).unwrap();
        all.iter().for_each(|entry| text += &writer.entry(entry.clone()).unwrap());
        text += &writer.finish(signed, &signer()).unwrap();
        let read = |text: &[u8], key| {
            let witnesses = [(name.clone(), key)];
            let log = log();
            verify(text, Trusted { log: &log, key: signer().public(), older: &[], witnesses: &witnesses })
        };
        read(text.as_bytes(), key.public()).unwrap();
        assert!(read(text.as_bytes(), signer().public()).is_err());
        assert!(read(&export(&all, None), key.public()).is_err());
    }

    #[test]
    fn the_writer_keeps_to_its_heading() {
        let all = entries(3);
        let (mut writer, _) = ExportWriter::new(ExportHeader::new(log(), 2, None)).unwrap();
        writer.entry(all[0].clone()).unwrap();
        let (mut full, _) = ExportWriter::new(ExportHeader::new(log(), 2, None)).unwrap();
        all[..2].iter().for_each(|entry| drop(full.entry(entry.clone()).unwrap()));
        assert!(full.entry(all[2].clone()).is_err());
        assert!(matches!(writer.finish(checkpoint(&all[..2]), &signer()), Err(ExportError::Count { .. })));
        assert!(matches!(full.finish(checkpoint(&all), &signer()), Err(ExportError::Mismatch { .. })));
    }

    /// `testdata/ledger/export.jsonl` was written by this code and its roots by an independent script
    /// (`testdata/ledger/roots.py`): a change of the format must not pass unseen.
    #[test]
    fn the_kept_export_still_verifies() {
        let kept = include_bytes!("../../testdata/ledger/export.jsonl");
        assert!(kept.as_slice() == export(&entries(7), Some("health")), "the format changed");
        check(kept, &[]).unwrap();
    }

    #[test]
    fn roots_agree_with_an_independent_implementation() {
        let mut frontier = Frontier::default();
        for (n, line) in include_str!("../../testdata/ledger/roots.txt").lines().enumerate() {
            assert_eq!(line, format!("{n} {}", frontier.root()));
            frontier.append(crate::ledger::leaf_hash(&(n as u64).to_le_bytes()));
        }
        assert_eq!(frontier.size(), 66);
    }
}
