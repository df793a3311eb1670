//! Room for the journal: segments are files whose blocks are allocated before the first record, so that a full disk is met
//! when a segment is made and never when a record is appended (PROMISES.md P7).
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use etransfer_disk::{File, Mode, OFlags};

use super::disk;
use super::manifest::Entry;
use super::segment::{HEADER_BYTES, Header, Name};

/// Smallest and largest segment: room for the largest append; offsets inside one fit 32 bits.
pub(super) const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;

/// A file being appended to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<File>,
    pub(super) name: Name,
    pub(super) seed: u32,
    pub(super) capacity: u64,
    pub(super) tail: u64,
    /// Bytes of it known to be synced, as its entry in the manifest has them.
    pub(super) synced: Arc<AtomicU64>,
}

/// A segment of an earlier run, as replay found it.
#[derive(Debug, Clone)]
pub(super) struct Used {
    pub(super) name: Name,
    pub(super) seed: u32,
    /// End of its last good frame.
    pub(super) end: u64,
    /// Bytes behind that which are not zero.
    pub(super) torn: u64,
    /// As in its entry in the manifest.
    pub(super) synced: Arc<AtomicU64>,
}

/// A new file. It gets its name when it is complete: a kill leaves the temporary one, which the next start removes.
pub(super) fn make_segment(directory: &File, header: &Header, capacity: u64) -> io::Result<Segment> {
    let temporary = temporary(header.name);
    let file = disk::create(directory, &temporary)?;
    prepare(directory, file, header, capacity).inspect_err(|_| {
        let _ = disk::unlink(directory, &temporary);
    })
}

/// Takes the place of a segment that holds no record, and that the manifest no longer lists.
pub(super) fn recycle_segment(directory: &File, header: &Header, unused: Name) -> io::Result<Segment> {
    let temporary = temporary(header.name);
    disk::rename(directory, &unused.to_string(), &temporary)?;
    let file = directory.open_at(&temporary, OFlags::RDWR | OFlags::NOFOLLOW, Mode::empty())?;
    let size = file.stat()?.size;
    prepare(directory, file, header, size.max(*SEGMENT_BYTES.start()))
}

fn temporary(name: Name) -> String {
    format!("{name}{TEMPORARY}")
}

/// The end of a name that no start believes.
pub(super) const TEMPORARY: &str = ".tmp";

/// No room, because of the disk, a quota or a limit of this process.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Room, header, synced; then its name, durable.
fn prepare(directory: &File, file: File, header: &Header, capacity: u64) -> io::Result<Segment> {
    disk::allocate(&file, capacity)?;
    let (bytes, seed) = header.encode();
    disk::write_all_at(&file, &bytes, 0)?;
    disk::sync_data(&file)?;
    disk::rename_to_free(directory, &temporary(header.name), &header.name.to_string())?;
    disk::sync(directory)?;
    let (tail, synced) = (HEADER_BYTES as u64, Arc::new(AtomicU64::new(HEADER_BYTES as u64)));
    Ok(Segment { file: Arc::new(file), name: header.name, seed, capacity, tail, synced })
}

impl Segment {
    /// For the manifest.
    pub(super) fn entry(&self) -> Entry {
        Entry { name: self.name, made: self.capacity, synced: Arc::clone(&self.synced) }
    }
}
