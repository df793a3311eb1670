//! The file below redb: grown with real space, and synced at every level of durability, because what redb makes of a file
//! whose pages reached the disk in any order is no catalogue.
//!
//! Must stay true: a page redb counts as its own has its blocks, so a write inside the file cannot meet a full disk
//! (PROMISES.md P7). Growing can; for that there is the [`Ballast`]: room set aside that is given up so that what must
//! still work on a full disk (deleting, completing) finds some.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use rustix::fs::{FallocateFlags, fallocate};

use crate::bounds::BALLAST_BYTES;

/// redb's file.
#[derive(Debug)]
pub struct Backing {
    file: FileBackend,
    space: File,
}

type Bounds = std::ops::Bound<u64>;

impl Backing {
    /// Opens or creates the file at `path`.
    pub fn open(path: &Path) -> Result<Self, redb::Error> {
        let options = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = options.map_err(redb::Error::Io)?;
        let space = file.try_clone().map_err(redb::Error::Io)?;
        Ok(Self { file: FileBackend::new(file)?, space })
    }
}

impl StorageBackend for Backing {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let now = self.file.len()?;
        if len > now {
            take_space(&self.space, now, len - now)?;
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bounds, end: Bounds) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bounds, end: Bounds) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}

/// Room that is given up when the disk is full.
#[derive(Debug)]
pub struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// Beside the catalogue at `catalogue`.
    pub fn beside(catalogue: &Path) -> Self {
        Self { path: catalogue.with_extension("ballast") }
    }

    /// Takes the room, if there is some; a full disk at this moment is nothing to report.
    pub fn take(&self) {
        if self.is_taken() {
            return;
        }
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        if let Err(error) = file.and_then(|file| take_space(&file, 0, BALLAST_BYTES)) {
            tracing::debug!(%error, "no room for the ballast");
            self.release();
        }
    }

    /// Gives the room up; `false` when there was none.
    pub fn release(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }

    fn is_taken(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|meta| meta.len() == BALLAST_BYTES)
    }
}

/// File systems without preallocation grow as they are written; nothing better can be had there.
fn take_space(file: &File, start: u64, len: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), start, len) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn p7_the_room_set_aside_is_real_and_given_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::beside(&dir.path().join("catalogue.redb"));
        ballast.take();
        ballast.take();
        let meta = std::fs::metadata(dir.path().join("catalogue.ballast")).unwrap();
        assert!(meta.len() == BALLAST_BYTES && meta.blocks() * 512 >= BALLAST_BYTES);
        assert!(ballast.release() && !ballast.release());
    }
}
