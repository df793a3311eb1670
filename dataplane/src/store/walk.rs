//! The object files at start, compared with the journal: files nobody recorded are removed, recorded bytes that are not in
//! their file are damage (P18). One pass over the 256 directories, on several threads.
use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, Ordering};

use etransfer_contract::ObjectId;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use super::index::Index;
use super::lock::Lock;
use super::path::{ObjectPath, directory};
use super::segment::{Damage, DamageKind};

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Files without an object, removed (or, in a read-only store, seen).
    pub(super) orphans: u64,
    /// Names that are none of ours, left alone.
    pub(super) strangers: u64,
    /// Objects whose recorded bytes are not there.
    pub(super) damage: Vec<(ObjectId, Damage)>,
}

/// Makes the 256 directories, so that the byte path never has to.
pub(super) fn make_directories(objects: &OwnedFd) -> io::Result<()> {
    let mut made = false;
    for byte in 0..=u8::MAX {
        match rustix::fs::mkdirat(objects, directory(byte), Mode::RWXU) {
            Ok(()) => made = true,
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if made { Ok(rustix::fs::fsync(objects)?) } else { Ok(()) }
}

/// Looks at every file. `remove` says whether orphans are removed.
pub(super) fn walk(objects: &OwnedFd, index: &Index, remove: bool) -> io::Result<Walked> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let (next, found) = (AtomicU16::new(0), Lock::new(Walked::default()));
    let work = || {
        while let Ok(byte) = u8::try_from(next.fetch_add(1, Ordering::Relaxed)) {
            walk_directory(objects, index, byte, remove, &found)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("the walk does not panic"))
    })
    .map(|()| std::mem::take(&mut *found.hold()))
}

fn walk_directory(objects: &OwnedFd, index: &Index, byte: u8, remove: bool, found: &Lock<Walked>) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(objects, directory(byte), flags, Mode::empty())?;
    let live = index.live_in(byte);
    let known: HashSet<ObjectId> = live.iter().map(|object| object.id()).collect();
    for entry in Dir::read_from(&handle)? {
        let entry = entry?;
        let name = entry.file_name();
        let id = name.to_str().ok().and_then(|name| name.parse::<ObjectId>().ok());
        match id {
            Some(id) if known.contains(&id) => {}
            Some(id) if id.as_bytes()[0] == byte => {
                found.hold().orphans += 1;
                if remove {
                    rustix::fs::unlinkat(&handle, name, AtFlags::empty())?;
                }
            }
            None if matches!(name.to_bytes(), b"." | b"..") => {}
            Some(_) | None => found.hold().strangers += 1,
        }
    }
    for object in live {
        let recorded = object.end();
        let size = size_of(&handle, &object.id().to_string())?;
        if recorded > size {
            let what = DamageKind::Object { recorded, found: size };
            let file = format!("objects/{}", ObjectPath::of(object.id()).as_str());
            found.hold().damage.push((object.id(), Damage { file, position: size, what }));
        }
    }
    Ok(())
}

/// 0 when there is no such regular file.
fn size_of(directory: &OwnedFd, name: &str) -> io::Result<u64> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() => Ok(stat.st_size.unsigned_abs()),
        Ok(_) | Err(rustix::io::Errno::NOENT) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
