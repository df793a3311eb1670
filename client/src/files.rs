//! Local files as transfers need them: identity, room, locks.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, FlockOperation};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A process that was just killed holds its locks until its last write is through.
const LOCK_WAIT: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(5) };
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Tells one state of one file from another: when all of this is equal, the bytes are taken to be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    pub modified_s: i64,
    pub modified_ns: i64,
}

impl Identity {
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified_s: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
        }
    }
}

/// Opens a file of our own for exclusive use: made when absent (0600), never through a symlink, locked against other
/// processes until closed.
///
/// The lock is taken on what the name means *after* locking: the holder before may have removed or renamed the file.
pub(crate) fn open_locked(path: &Path) -> Result<File> {
    let end = Instant::now() + LOCK_WAIT;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(path)
            .map_err(|source| Error::file("open", path, source))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => {
                std::thread::sleep(LOCK_POLL);
                continue;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Busy { path: path.to_owned() }),
            Err(error) => return Err(Error::file("lock", path, error)),
        }
        let locked = file.metadata().map_err(|source| Error::file("inspect", path, source))?;
        match std::fs::symlink_metadata(path) {
            Ok(named) if named.ino() == locked.ino() && named.dev() == locked.dev() => return Ok(file),
            _ => {} // another process finished with it in between: ask again
        }
    }
}

/// Takes the room for `size` bytes now, so that a full disk is known before the bytes have travelled.
pub(crate) fn reserve(file: &File, size: u64) -> io::Result<()> {
    let reserved = match size {
        0 => Ok(()),
        _ => rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size),
    };
    match reserved {
        // A file system without preallocation: the size alone then.
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(size),
        Err(error) => Err(error.into()),
    }
}

/// Changes with every start of the machine; empty where the system does not tell.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_file_is_busy_for_others_and_free_once_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let held = open_locked(&path).unwrap();
        assert!(matches!(open_locked(&path), Err(Error::Busy { .. })));
        drop(held);
        open_locked(&path).unwrap();
    }

    #[test]
    fn a_symlink_in_the_way_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("x")).unwrap();
        assert!(matches!(open_locked(&dir.path().join("x")), Err(Error::File { .. })));
        assert!(!dir.path().join("elsewhere").exists());
    }
}
