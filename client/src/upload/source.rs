//! The file that goes up: opened once, and watched for changes, since a copy of two states of a file is a copy of none.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Advice;
use serde::{Deserialize, Serialize};

use crate::files::Identity;
use crate::{Error, Result, key, text_of};

/// Bytes at the beginning and the end that are compared when an upload is resumed.
const EDGE_BYTES: usize = 64 * 1024;

/// What an upload that is resumed must find unchanged: a file may be rewritten with the same size and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceState {
    pub identity: Identity,
    changed_s: i64,
    changed_ns: i64,
    /// Hash of the first and the last [`EDGE_BYTES`].
    edges: u64,
}

impl SourceState {
    fn of(file: &File, metadata: &Metadata) -> io::Result<Self> {
        let size = metadata.len();
        let (mut head, mut tail) = (vec![0; EDGE_BYTES], vec![0; EDGE_BYTES]);
        let head_bytes = read_at_most(file, &mut head, 0)?;
        let tail_bytes = read_at_most(file, &mut tail, size.saturating_sub(EDGE_BYTES as u64))?;
        Ok(Self {
            identity: Identity::of(metadata),
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
            edges: key::hash(&[&head[..head_bytes], &tail[..tail_bytes]]),
        })
    }
}

/// An open local file.
#[derive(Debug)]
pub(super) struct Source {
    pub file: File,
    /// Absolute, without symlinks: names the record.
    pub path: PathBuf,
    /// What the server shall call it.
    pub name: String,
    pub state: SourceState,
}

impl Source {
    pub fn open(path: &Path) -> Result<Self> {
        let canonical = path.canonicalize().map_err(|source| Error::file("find", path, source))?;
        // Looked at before it is opened: opening a pipe would wait for a writer.
        let metadata = canonical.metadata().map_err(|source| Error::file("inspect", path, source))?;
        if !metadata.is_file() {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let file = File::open(&canonical).map_err(|source| Error::file("open", path, source))?;
        let metadata = file.metadata().map_err(|source| Error::file("inspect", path, source))?;
        let name = text_of(path.file_name().or(canonical.file_name()).unwrap_or_default());
        let state = SourceState::of(&file, &metadata).map_err(|source| Error::file("read", path, source))?;
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential); // read-ahead only; works without
        Ok(Self { file, path: canonical, name, state })
    }

    pub fn size(&self) -> u64 {
        self.state.identity.size
    }

    /// It claims to be empty, and is not.
    pub fn is_longer_than_it_says(&self) -> Result<bool> {
        let read = if self.size() == 0 { read_at_most(&self.file, &mut [0], 0) } else { Ok(0) };
        Ok(read.map_err(|source| Error::file("read", &self.path, source))? > 0)
    }

    /// [`Error::SourceChanged`] when it is no longer what it was when opened.
    pub fn check_unchanged(&self) -> Result<()> {
        let metadata = self.file.metadata().map_err(|source| Error::file("inspect", &self.path, source))?;
        match Identity::of(&metadata) == self.state.identity {
            true => Ok(()),
            false => Err(Error::SourceChanged { path: self.path.clone() }),
        }
    }
}

/// Fills `into` from `at` on, as far as the file goes.
fn read_at_most(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(&mut into[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_rewrite_with_the_same_size_and_time_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "one").unwrap();
        let before = Source::open(&path).unwrap().state;
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(b"two").unwrap();
        file.set_modified(time).unwrap();
        let after = Source::open(&path).unwrap().state;
        assert_eq!(before.identity, after.identity, "size, inode and time alone do not tell");
        assert_ne!(before, after);
        assert_ne!(before.edges, after.edges);
    }
}
