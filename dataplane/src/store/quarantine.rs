//! Files that no record names, set aside by a start: `quarantine/<32 hex>.<Unix milliseconds>`, the object's id and the
//! moment it was moved. A start unlinks no object's file; it moves what it takes for an orphan here, and here it waits.
//!
//! * A later start that finds an object of its journal without a file, and the file here, puts it back (the right
//!   journal came back).
//! * [`sweep`] unlinks what has been here longer than the operator wants (`storage.quarantine`).
//! * By hand: a file here is the object's bytes, nothing around them. It may be copied, moved or removed at any time.
//!
//! Must stay true: this is the only code that unlinks below `quarantine/`, and it never touches `objects/` but by `rename`.
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use etransfer_contract::ObjectId;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::path::ObjectPath;

/// Its name below the storage directory.
pub const QUARANTINE: &str = "quarantine";

/// One file set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantined {
    /// The object it was.
    pub object: ObjectId,
    /// When it was moved here, Unix milliseconds.
    pub at_unix_ms: u64,
    /// Its size; preallocated room counts.
    pub bytes: u64,
}

impl Quarantined {
    fn name(&self) -> String {
        format!("{}.{}", self.object, self.at_unix_ms)
    }
}

/// What is set aside, by object. No directory: nothing.
pub(super) fn list(root: &OwnedFd) -> io::Result<Vec<Quarantined>> {
    let Some(directory) = open(root)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let Some((object, at_unix_ms)) = entry.file_name().to_str().ok().and_then(parse) else { continue };
        let stat = rustix::fs::statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        found.push(Quarantined { object, at_unix_ms, bytes: stat.st_size.unsigned_abs() });
    }
    found.sort_unstable();
    Ok(found)
}

/// Moves the file of `object` here.
pub(super) fn take(root: &OwnedFd, objects: &OwnedFd, object: ObjectId, at_unix_ms: u64) -> io::Result<()> {
    match rustix::fs::mkdirat(root, QUARANTINE, Mode::RWXU) {
        Ok(()) => rustix::fs::fsync(root)?,
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let directory = open(root)?.ok_or(io::ErrorKind::NotFound)?;
    let entry = Quarantined { object, at_unix_ms, bytes: 0 };
    rename(objects, ObjectPath::of(object).as_str(), &directory, &entry.name())
}

/// Moves it back to its place, which must be free.
pub(super) fn put_back(root: &OwnedFd, objects: &OwnedFd, entry: &Quarantined) -> io::Result<()> {
    let directory = open(root)?.ok_or(io::ErrorKind::NotFound)?;
    rename(&directory, &entry.name(), objects, ObjectPath::of(entry.object).as_str())
}

/// Unlinks what was moved here before that time. One that cannot be unlinked does not stop the others; the first error is
/// the outcome.
pub(super) fn sweep(root: &OwnedFd, before_unix_ms: u64) -> io::Result<Vec<Quarantined>> {
    let Some(directory) = open(root)? else { return Ok(Vec::new()) };
    let (mut gone, mut failure) = (Vec::new(), None);
    for entry in list(root)?.into_iter().filter(|entry| entry.at_unix_ms < before_unix_ms) {
        match rustix::fs::unlinkat(&directory, entry.name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => gone.push(entry),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) if gone.is_empty() => Err(error.into()),
        Some(_) | None => Ok(gone),
    }
}

fn open(root: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(root, QUARANTINE, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Never over something that is there.
pub(super) fn rename(from: impl AsFd, name: &str, to: impl AsFd, new: &str) -> io::Result<()> {
    match rustix::fs::renameat_with(&from, name, &to, new, RenameFlags::NOREPLACE) {
        // Not every file system can refuse by itself.
        Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::statat(&to, new, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(rustix::fs::renameat(&from, name, &to, new)?),
            Ok(_) => Err(Errno::EXIST.into()),
            Err(error) => Err(error.into()),
        },
        other => Ok(other?),
    }
}

fn parse(name: &str) -> Option<(ObjectId, u64)> {
    let (object, at) = name.split_once('.')?;
    Some((object.parse().ok()?, at.parse().ok()?))
}
