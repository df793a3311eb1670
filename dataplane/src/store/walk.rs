//! The object files at start, compared with the journal: one pass over the 256 directories, on several threads. It changes
//! nothing. What it found is judged in [`open`](super::open), and acted upon only when the start goes on.
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, Ordering};

use etransfer_contract::ObjectId;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::index::Index;
use super::lock::Lock;
use super::path::directory;
use super::segment::DamageKind;

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Files without a record.
    pub(super) orphans: Vec<ObjectId>,
    /// Files of objects whose removal is recorded, and their sizes.
    pub(super) leftovers: Vec<(ObjectId, u64)>,
    /// Names that are none of ours, left alone.
    pub(super) strangers: u64,
    /// Objects whose recorded bytes are not there, and how one sees that.
    pub(super) damaged: Vec<(ObjectId, String)>,
}

/// Makes the 256 directories, so that the byte path never has to.
pub(super) fn make_directories(objects: &OwnedFd) -> io::Result<()> {
    let mut made = false;
    for byte in 0..=u8::MAX {
        match rustix::fs::mkdirat(objects, directory(byte), Mode::RWXU) {
            Ok(()) => made = true,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if made { Ok(rustix::fs::fsync(objects)?) } else { Ok(()) }
}

/// Whether any of the 256 directories is there: a store's own `objects/` has had them since its first start.
pub(super) fn has_directories(objects: &OwnedFd) -> bool {
    (0..=u8::MAX).any(|byte| rustix::fs::statat(objects, directory(byte), AtFlags::SYMLINK_NOFOLLOW).is_ok())
}

/// Any object's file, recorded or not.
pub(super) fn any_file(objects: &OwnedFd) -> Option<ObjectId> {
    (0..=u8::MAX).find_map(|byte| {
        let entries = Dir::read_from(open(objects, byte).ok()?).ok()?;
        entries.filter_map(Result::ok).find_map(|entry| id_of(entry.file_name(), byte))
    })
}

/// Looks at every file.
pub(super) fn walk(objects: &OwnedFd, index: &Index) -> Walked {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let (next, found) = (AtomicU16::new(0), Lock::new(Walked::default()));
    let work = || {
        while let Ok(byte) = u8::try_from(next.fetch_add(1, Ordering::Relaxed)) {
            walk_directory(objects, index, byte, &found);
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    std::mem::take(&mut *found.hold())
}

fn walk_directory(objects: &OwnedFd, index: &Index, byte: u8, found: &Lock<Walked>) {
    let sizes = match open(objects, byte).and_then(|handle| sizes(&handle, byte, found)) {
        Ok(sizes) => sizes,
        Err(error) => {
            let what = format!("objects/{} cannot be read: {error}", directory(byte));
            let hurt = index.entries_in(byte).filter(|(_, entry)| entry.end() > Some(0));
            found.hold().damaged.extend(hurt.map(|(id, _)| (id, what.clone())));
            return;
        }
    };
    let mut unknown = sizes;
    for (id, entry) in index.entries_in(byte) {
        let Some(recorded) = entry.end() else { continue };
        let size = unknown.remove(&id);
        let what = match size {
            Some(Ok(found)) if found >= recorded => continue,
            Some(Ok(found)) => DamageKind::Object { recorded, found }.to_string(),
            Some(Err(what)) => what,
            None if recorded == 0 => continue,
            None => format!("{recorded} bytes are recorded, and there is no file"),
        };
        found.hold().damaged.push((id, what));
    }
    for (id, size) in unknown {
        if index.is_removed(id) {
            found.hold().leftovers.push((id, size.unwrap_or(0)));
        } else {
            found.hold().orphans.push(id);
        }
    }
}

/// How large each file is; for what is no readable file, why not.
type Sizes = HashMap<ObjectId, Result<u64, String>>;

fn sizes(handle: &OwnedFd, byte: u8, found: &Lock<Walked>) -> io::Result<Sizes> {
    let mut sizes = Sizes::new();
    for entry in Dir::read_from(handle)? {
        let entry = entry?;
        let name = entry.file_name();
        match id_of(name, byte) {
            Some(id) => {
                let stat = rustix::fs::statat(handle, name, AtFlags::SYMLINK_NOFOLLOW);
                let size = match stat {
                    Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => Ok(stat.st_size.unsigned_abs()),
                    Ok(_) => Err("what is in its place is no regular file".to_owned()),
                    Err(error) => Err(format!("its file cannot be looked at: {error}")),
                };
                sizes.insert(id, size);
            }
            None if matches!(name.to_bytes(), b"." | b"..") => {}
            None => found.hold().strangers += 1,
        }
    }
    Ok(sizes)
}

fn id_of(name: &std::ffi::CStr, byte: u8) -> Option<ObjectId> {
    let id = name.to_str().ok()?.parse::<ObjectId>().ok()?;
    (id.as_bytes()[0] == byte).then_some(id)
}

fn open(objects: &OwnedFd, byte: u8) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(objects, directory(byte), flags, Mode::empty())?)
}
