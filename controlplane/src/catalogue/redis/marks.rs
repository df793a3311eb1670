//! What the state directory remembers about the catalogue in Redis: the node's name there, and how far it got.
//!
//! `state/redis-node`, 0600, one line: `<32 hex digits> <term> <generation>`, numbers with 20 digits, written in place
//! after every commit and before its asker is told. So a start finds out when Redis holds less than was acknowledged, and
//! a holder that was paused finds out that another start happened even if Redis forgot it. In place and without a sync:
//! a killed process loses nothing of it, a power cut may make it older, which weakens the check and breaks nothing.

use std::io;
use std::path::{Path, PathBuf};

use etransfer_disk::{Disk, File, Mode, OFlags};

use crate::private_file::write_private;

const FILE: &str = "redis-node";
const NAME_LEN: usize = 32;
const NUMBERS_AT: u64 = NAME_LEN as u64 + 1;

/// The file, open.
#[derive(Debug)]
pub struct HighWaterMarkFile {
    file: File,
    path: PathBuf,
    name: String,
    /// As of the start.
    remembered: HighWaterMark,
}

/// A term and how far it got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HighWaterMark {
    /// Number of the run.
    pub term: u64,
    /// Number of the commit.
    pub generation: u64,
}

impl HighWaterMarkFile {
    /// Opens the file in `state`, or makes one with a new name.
    pub fn load_or_make(disk: &dyn Disk, state: &Path) -> io::Result<Self> {
        let path = state.join(FILE);
        if !disk.is_there(&path) {
            let line = format!("{}{}", random_name(), HighWaterMark::default().text());
            write_private(disk, &path, line.as_bytes())?;
        }
        let file = disk.open(&path, OFlags::RDWR, Mode::empty())?;
        let (name, remembered) = read(&file)?;
        Ok(Self { file, path, name, remembered })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The node's name in Redis.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far the node got before this start.
    pub fn remembered(&self) -> HighWaterMark {
        self.remembered
    }

    /// How far it is now.
    pub fn note(&self, mark: HighWaterMark) -> io::Result<()> {
        self.file.write_all_at(mark.text().as_bytes(), NUMBERS_AT - 1)
    }

    /// The term that the file holds now: above this run's when another start happened since.
    pub fn term(&self) -> io::Result<u64> {
        read(&self.file).map(|(_, mark)| mark.term)
    }
}

impl HighWaterMark {
    /// A space and a number, twice, and the end of the line; always of the same length.
    fn text(self) -> String {
        format!(" {:020} {:020}\n", self.term, self.generation)
    }
}

fn read(file: &File) -> io::Result<(String, HighWaterMark)> {
    let mut line = [0; NAME_LEN + 43];
    file.read_exact_at(&mut line, 0)?;
    parse(&line).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a name and two numbers"))
}

fn parse(line: &[u8]) -> Option<(String, HighWaterMark)> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let name = words.next().filter(|name| name.len() == NAME_LEN && name.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let mut number = || words.next()?.parse().ok();
    Some((name.to_owned(), HighWaterMark { term: number()?, generation: number()? }))
}

/// 32 hex digits that no other node has.
pub fn random_name() -> String {
    let mut bytes = [0; NAME_LEN / 2];
    getrandom::fill(&mut bytes).expect("the kernel's random source does not fail once the machine is up");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use etransfer_disk::Os;

    use super::*;

    #[test]
    fn it_remembers_name_and_numbers_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let marks = HighWaterMarkFile::load_or_make(&Os, dir.path()).unwrap();
        assert_eq!((marks.remembered(), marks.term().unwrap()), (HighWaterMark::default(), 0));
        let mark = HighWaterMark { term: 3, generation: u64::MAX };
        marks.note(HighWaterMark { term: 2, generation: 1 }).unwrap();
        marks.note(mark).unwrap();
        let again = HighWaterMarkFile::load_or_make(&Os, dir.path()).unwrap();
        assert_eq!((again.name(), again.remembered()), (marks.name(), mark));
        assert_eq!(std::fs::metadata(again.path()).unwrap().permissions().mode() & 0o777, 0o600);
        again.note(HighWaterMark { term: 4, generation: 9 }).unwrap();
        assert_eq!(marks.term().unwrap(), 4, "another start is seen");
        let other = tempfile::tempdir().unwrap();
        assert_ne!(HighWaterMarkFile::load_or_make(&Os, other.path()).unwrap().name(), marks.name());
    }

    #[test]
    fn what_it_cannot_read_it_does_not_replace() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "x", "0123456789abcdef0123456789abcdeg 00000000000000000001 00000000000000000001\n"] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            assert!(HighWaterMarkFile::load_or_make(&Os, dir.path()).is_err(), "{text}");
            assert_eq!(std::fs::read_to_string(dir.path().join(FILE)).unwrap(), text);
        }
    }
}
