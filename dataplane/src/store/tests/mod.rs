//! The store as a whole: behaviour, restarts, crashes, damage, threads. Files are real, in memory where there is `/dev/shm`.
mod behaviour;
mod compaction;
mod damage;
mod decision;
mod faults;
mod full;
mod golden;
mod loss;
mod machine;
mod model;
mod power;
mod rest;
mod start;
mod threads;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use etransfer_contract::{ObjectId, Span};
use etransfer_disk::{Disk as _, File, Mode, OFlags, Os, PRIVATE};

use super::segment::BootId;
use super::*;

/// The boot that tests live in, unless they reboot.
const BOOT: BootId = BootId([1; 16]);

fn directory() -> tempfile::TempDir {
    let base = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("etransfer-store-").tempdir_in(base).unwrap()
}

fn options(root: &Path, cores: usize) -> StoreOptions {
    StoreOptions { journal_bytes: 256 << 10, ..StoreOptions::new(root, cores) }
}

fn open(root: &Path) -> (Arc<Store>, Replayed) {
    Store::open_in(options(root, 1), BOOT).unwrap()
}

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([number.wrapping_mul(37), number, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
}

fn span(start: u64, end: u64) -> Span {
    Span::new(start, end).unwrap()
}

fn sequential(offset: u64, body: u64) -> Want {
    Want { offset, body: Some(body), parallel: false }
}

fn parallel(offset: u64, body: u64) -> Want {
    Want { offset, body: Some(body), parallel: true }
}

/// Puts bytes into the file of an object, as the byte path does before it commits.
fn write_file(store: &Store, id: ObjectId, at: u64, bytes: &[u8]) {
    let flags = OFlags::RDWR | OFlags::CREATE;
    let path = ObjectPath::of(id);
    store.objects_dir().open_at(path.as_str(), flags, PRIVATE).unwrap().write_all_at(bytes, at).unwrap();
}

/// Writes what was appended, as an acknowledgement requires; without that a kill forgets it.
#[track_caller]
fn flush(store: &Store) {
    store.journals().iter().for_each(|journal| journal.flush_blocking().unwrap());
}

fn read_file(root: &Path, id: ObjectId) -> Vec<u8> {
    std::fs::read(root.join("objects").join(ObjectPath::of(id).as_str())).unwrap_or_default()
}

/// Writes and commits `bytes` at `at`, all of them new, and writes the record.
fn store_bytes(store: &Store, id: ObjectId, length: Option<u64>, at: u64, bytes: &[u8]) {
    let object = store.find_or_create(id, length).unwrap();
    let mut claim = object.claim(parallel(at, bytes.len() as u64)).unwrap();
    write_file(store, id, at, bytes);
    store.journal(0).make_room_blocking(1, false).unwrap();
    claim.commit(store.journal(0), Span::at(at, bytes.len() as u64).unwrap(), crc32fast::hash(bytes)).unwrap();
    store.journal(0).flush_blocking().unwrap();
}

/// Stores a whole object and completes it.
fn store_complete(store: &Store, id: ObjectId, bytes: &[u8], synced: bool) {
    store_bytes(store, id, Some(bytes.len() as u64), 0, bytes);
    store.find(id).unwrap().try_complete().unwrap().finish(store.journal(0), synced).unwrap();
    store.journal(0).flush_blocking().unwrap();
}

/// Removes an object and its file, as the byte path does; `true` for the first removal.
fn remove(store: &Store, id: ObjectId, journal: &Journal) -> std::io::Result<bool> {
    let first = match store.find_or_create(id, None) {
        Ok(object) => object.remove(journal)?,
        Err(Gone) => false,
    };
    if let Some(condemned) = store.condemn(id, journal)? {
        journal.flush_blocking()?;
        let _ = store.objects_dir().unlink_at(ObjectPath::of(id).as_str());
        store.unlinked(&condemned);
    }
    Ok(first)
}

fn erase(store: &Store, id: ObjectId) {
    remove(store, id, store.journal(0)).unwrap();
}

/// The files below `journal/`, without the lock.
fn journal_files(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

/// The segment that core 0 appends to: the first one with records, else the first.
fn present_segment(root: &Path) -> PathBuf {
    let segments: Vec<_> =
        journal_files(root).into_iter().filter(|path| path.extension().unwrap() == "journal").collect();
    let used = segments.iter().find(|path| std::fs::read(path).unwrap()[64..].iter().any(|byte| *byte != 0));
    used.unwrap_or(&segments[0]).clone()
}

/// A crash seen from outside: what is on the disk now, somewhere else.
fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target)
        } else {
            std::fs::copy(entry.path(), target).map(|_| ()).unwrap()
        }
    }
}
