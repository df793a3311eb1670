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
use std::ops::ControlFlow;

use etransfer_contract::ObjectId;
use etransfer_disk::{File, Mode, OFlags};

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
pub(super) fn list(root: &File) -> io::Result<Vec<Quarantined>> {
    let Some(directory) = open(root)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    directory.each_name(&mut |name| {
        if let Some((name, (object, at_unix_ms))) = name.to_str().and_then(|name| Some((name, parse(name)?))) {
            found.push(Quarantined { object, at_unix_ms, bytes: directory.stat_at(name)?.size });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    found.sort_unstable();
    Ok(found)
}

/// Moves the file of `object` here.
pub(super) fn take(root: &File, objects: &File, object: ObjectId, at_unix_ms: u64) -> io::Result<()> {
    match root.make_directory_at(QUARANTINE) {
        Ok(()) => root.sync()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let directory = open(root)?.ok_or(io::ErrorKind::NotFound)?;
    let entry = Quarantined { object, at_unix_ms, bytes: 0 };
    objects.rename_to_free_at(ObjectPath::of(object).as_str(), &directory, &entry.name())
}

/// Moves it back to its place, which must be free.
pub(super) fn put_back(root: &File, objects: &File, entry: &Quarantined) -> io::Result<()> {
    let directory = open(root)?.ok_or(io::ErrorKind::NotFound)?;
    directory.rename_to_free_at(&entry.name(), objects, ObjectPath::of(entry.object).as_str())
}

/// Unlinks what was moved here before that time. One that cannot be unlinked does not stop the others; the first error is
/// the outcome.
pub(super) fn sweep(root: &File, before_unix_ms: u64) -> io::Result<Vec<Quarantined>> {
    let Some(directory) = open(root)? else { return Ok(Vec::new()) };
    let (mut gone, mut failure) = (Vec::new(), None);
    for entry in list(root)?.into_iter().filter(|entry| entry.at_unix_ms < before_unix_ms) {
        match directory.unlink_at(&entry.name()) {
            Ok(()) => gone.push(entry),
            Err(error) if error.kind() == io::ErrorKind::NotFound => gone.push(entry),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) if gone.is_empty() => Err(error),
        Some(_) | None => Ok(gone),
    }
}

fn open(root: &File) -> io::Result<Option<File>> {
    match root.open_at(QUARANTINE, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(name: &str) -> Option<(ObjectId, u64)> {
    let (object, at) = name.split_once('.')?;
    Some((object.parse().ok()?, at.parse().ok()?))
}
