//! The file of erasures as it lies on disk: lines numbered from 1, torn ends, failed cuts.
//!
//! May see: what a line says, files. Must not see: what the store holds, agency. A line counts when it is whole and on
//! disk; what a failed write or cut leaves behind the last that counts goes before the next is written.

use super::{Gone, JournalError};
use crate::wire::{ProjectId, UtcTime};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

const LINE_BYTES_MAX: usize = 1_024;

/// One erasure.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) at: UtcTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<ProjectId>,
    pub(super) gone: Gone,
}

/// The end of the file, where lines are added.
pub(super) struct Tail {
    medium: Box<dyn Medium>,
    last: u64,
    /// Bytes up to the end of the last line that counts. What a failed write or cut left behind it goes before the next.
    whole: u64,
}

/// What the lines are written on; a test's may fail.
pub(super) trait Medium: Send {
    fn bytes(&self) -> std::io::Result<u64>;
    fn cut(&mut self, bytes: u64) -> std::io::Result<()>;
    fn add(&mut self, line: &[u8]) -> std::io::Result<()>;
}

impl Medium for File {
    fn bytes(&self) -> std::io::Result<u64> {
        Ok(self.metadata()?.len())
    }
    fn cut(&mut self, bytes: u64) -> std::io::Result<()> {
        self.set_len(bytes)?;
        self.sync_all()
    }
    fn add(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.write_all(line)?;
        self.sync_all()
    }
}

impl Tail {
    pub(super) fn new(medium: Box<dyn Medium>, last: u64, whole: u64) -> Self {
        Self { medium, last, whole }
    }

    /// Number of the last line that counts; 0: there is none.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// The end of the last line that counts, to [take back](Self::take_back) what comes after it.
    pub(super) const fn whole(&self) -> u64 {
        self.whole
    }

    /// Cuts what lies behind the last line that counts.
    ///
    /// # Errors
    /// The system's; a file that somebody else has cut.
    pub(super) fn mend(&mut self) -> std::io::Result<()> {
        match self.medium.bytes()? {
            found if found > self.whole => self.medium.cut(self.whole),
            found if found == self.whole => Ok(()),
            _ => Err(std::io::Error::other(
                "somebody else has cut it: stop the service and put the whole file back",
            )),
        }
    }

    /// Adds a line after the last that counts, whatever a failure left there.
    ///
    /// # Errors
    /// The system's: then the line does not count, and what of it was written goes now or before the next.
    pub(super) fn add(&mut self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.mend()?;
        let added = self.medium.add(&text);
        if added.is_err() {
            let _ = self.mend();
        }
        added?;
        self.last = line.number;
        self.whole += text.len() as u64;
        Ok(())
    }

    /// Takes the last line back: what it said did not come about.
    pub(super) fn take_back(&mut self, whole: u64) {
        (self.last, self.whole) = (self.last - 1, whole);
        let _ = self.mend();
    }
}

pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> JournalError + '_ {
    move |error| JournalError::Io { path: path.to_owned(), cause: error.to_string() }
}

/// The lines with their bytes; none: there is no file. A line that a stop cut short was never acted upon: it is left out
/// of the bytes, and cut before the next is written.
pub(super) fn read(path: &Path) -> Result<Option<(Vec<Line>, u64)>, JournalError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io(path))?,
    };
    let (mut reader, mut lines, mut last, mut whole) = (BufReader::new(file), Vec::new(), 0, 0);
    loop {
        let mut text = Vec::new();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = std::io::Read::take(&mut reader, limit).read_until(b'\n', &mut text).map_err(io(path))?;
        if read == 0 {
            return Ok(Some((lines, whole)));
        }
        let damaged = JournalError::Damaged { path: path.to_owned(), line: lines.len() as u64 + 1 };
        if text.last() != Some(&b'\n') {
            if text.len() > LINE_BYTES_MAX {
                return Err(damaged);
            }
            return Ok(Some((lines, whole)));
        }
        whole += read as u64;
        let line: Line = serde_json::from_slice(&text).map_err(|_| {
            let line = lines.len() as u64 + 1;
            JournalError::Damaged { path: path.to_owned(), line }
        })?;
        // Numbers go on by one, but after what was lost.
        if line.number != last + 1 && (line.gone != Gone::Lost || line.number <= last) {
            return Err(damaged);
        }
        last = line.number;
        lines.push(line);
    }
}

/// The file, for its owner alone, to be written at its end.
pub(super) fn append(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.sync_all()?;
    // The name too; not every system lets a folder be opened.
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        folder.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A disk that is full when it is told so: it takes half of a line, and cannot even cut.
    #[derive(Clone, Default)]
    struct Full(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Full {
        fn set(&self, full: bool) {
            self.0.lock().unwrap().1 = full;
        }
        fn no() -> std::io::Result<()> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
    }

    impl Medium for Full {
        fn bytes(&self) -> std::io::Result<u64> {
            Ok(self.0.lock().unwrap().0.len() as u64)
        }
        fn cut(&mut self, bytes: u64) -> std::io::Result<()> {
            let mut disk = self.0.lock().unwrap();
            if disk.1 {
                return Self::no();
            }
            disk.0.truncate(bytes.try_into().unwrap());
            Ok(())
        }
        fn add(&mut self, line: &[u8]) -> std::io::Result<()> {
            let mut disk = self.0.lock().unwrap();
            let taken = if disk.1 { line.len() / 2 } else { line.len() };
            disk.0.extend_from_slice(&line[..taken]);
            if disk.1 { Self::no() } else { Ok(()) }
        }
    }

    fn line(number: u64) -> Line {
        Line { number, at: UtcTime::EPOCH, project: Some("p".parse().unwrap()), gone: Gone::Project }
    }

    fn numbers(path: &Path, bytes: &[u8]) -> Vec<u64> {
        std::fs::write(path, bytes).unwrap();
        read(path).unwrap().unwrap().0.iter().map(|line| line.number).collect()
    }

    #[test]
    fn a_torn_line_that_cannot_be_cut_spoils_no_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("erasures.log");
        let disk = Full::default();
        let mut tail = Tail::new(Box::new(disk.clone()), 0, 0);
        let bytes = || disk.0.lock().unwrap().0.clone();
        tail.add(&line(1)).unwrap();
        let one = bytes().len() as u64;
        disk.set(true);
        assert!(tail.add(&line(2)).is_err() && tail.add(&line(2)).is_err());
        assert!(bytes().len() as u64 > one, "half a line stands on the disk");
        assert_eq!((tail.last(), tail.whole(), numbers(&path, &bytes())), (1, one, vec![1]));
        disk.set(false);
        tail.add(&line(2)).unwrap();
        assert_eq!(numbers(&path, &bytes()), [1, 2]);
        // The same for a line that is taken back while nothing can be cut.
        let two = tail.whole();
        tail.add(&line(3)).unwrap();
        disk.set(true);
        tail.take_back(two);
        assert_eq!((tail.last(), tail.whole()), (2, two));
        assert!(bytes().len() as u64 > two);
        disk.set(false);
        tail.add(&line(3)).unwrap();
        assert_eq!(numbers(&path, &bytes()), [1, 2, 3]);
        // What somebody else has cut is not filled up with nothing.
        disk.0.lock().unwrap().0.truncate(5);
        assert!(tail.add(&line(4)).is_err());
        assert_eq!(bytes().len(), 5);
    }
}
