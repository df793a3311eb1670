//! The object files at start, compared with the journal: one pass over the 256 directories, on several threads. It changes
//! nothing. What it found is judged in [`open`](super::open), and acted upon only when the start continues.
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU16, Ordering};

use etransfer_contract::ObjectId;
use etransfer_disk::{File, Mode, OFlags};

use super::index::Index;
use super::lock::Lock;
use super::path::directory;
use super::segment::DamageKind;
use crate::driver::Machine;

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Files without a record.
    pub(super) orphans: Vec<ObjectId>,
    /// Files of objects whose removal is recorded, and their sizes.
    pub(super) leftovers: Vec<(ObjectId, u64)>,
    /// Names that are none of ours, left alone.
    pub(super) strangers: u64,
    /// Objects whose recorded bytes are not there, and the reason.
    pub(super) damaged: Vec<(ObjectId, String)>,
}

/// Makes the 256 directories, so that the byte path never has to.
pub(super) fn make_directories(objects: &File) -> io::Result<()> {
    let mut made = false;
    for byte in 0..=u8::MAX {
        match objects.make_directory_at(&directory(byte)) {
            Ok(()) => made = true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    if made { objects.sync() } else { Ok(()) }
}

/// Whether any of the 256 directories is there: a store's own `objects/` has had them since its first start.
pub(super) fn has_directories(objects: &File) -> bool {
    (0..=u8::MAX).any(|byte| objects.stat_at(&directory(byte)).is_ok())
}

/// Any object's file, recorded or not.
pub(super) fn any_file(objects: &File) -> Option<ObjectId> {
    (0..=u8::MAX).find_map(|byte| {
        let mut found = None;
        let look = |name: &OsStr| {
            found = id_of(name, byte);
            Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        // What cannot be read shows none.
        let _ = open(objects, byte).and_then(|handle| handle.each_name(&mut { look }));
        found
    })
}

/// Looks at every file.
pub(super) fn walk(machine: &Machine, objects: &File, index: &Index) -> Walked {
    let (next, found) = (AtomicU16::new(0), Lock::new(Walked::default()));
    machine.in_parallel(&|| {
        while let Ok(byte) = u8::try_from(next.fetch_add(1, Ordering::Relaxed)) {
            walk_directory(objects, index, byte, &found);
        }
    });
    std::mem::take(&mut *found.hold())
}

fn walk_directory(objects: &File, index: &Index, byte: u8, found: &Lock<Walked>) {
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

fn sizes(handle: &File, byte: u8, found: &Lock<Walked>) -> io::Result<Sizes> {
    let mut sizes = Sizes::new();
    handle.each_name(&mut |name| {
        match (name.to_str(), id_of(name, byte)) {
            (Some(name), Some(id)) => {
                let size = match handle.stat_at(name) {
                    Ok(stat) if stat.is_file => Ok(stat.size),
                    Ok(_) => Err("what is in its place is no regular file".to_owned()),
                    Err(error) => Err(format!("its file cannot be looked at: {error}")),
                };
                sizes.insert(id, size);
            }
            _ => found.hold().strangers += 1,
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(sizes)
}

fn id_of(name: &OsStr, byte: u8) -> Option<ObjectId> {
    let id = name.to_str()?.parse::<ObjectId>().ok()?;
    (id.as_bytes()[0] == byte).then_some(id)
}

fn open(objects: &File, byte: u8) -> io::Result<File> {
    objects.open_at(&directory(byte), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}
