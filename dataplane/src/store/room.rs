//! Room for the journal: segments are files whose blocks are allocated before the first record, so that a full disk is met
//! when a segment is made and never when a record is appended (P7).
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags};

use super::segment::{HEADER_BYTES, Header, Name, write_all_at};

/// Smallest and largest segment: room for the largest append; offsets inside one fit 32 bits.
pub(super) const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;

/// A file being appended to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<OwnedFd>,
    pub(super) name: Name,
    pub(super) seed: u32,
    pub(super) capacity: u64,
    pub(super) tail: u64,
}

/// A segment of an earlier run, as replay found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) name: Name,
    pub(super) seed: u32,
    /// End of its last good frame.
    pub(super) end: u64,
    /// Bytes behind that which are not zero.
    pub(super) torn: u64,
}

/// A new file.
pub(super) fn make_segment(directory: &OwnedFd, header: &Header, capacity: u64) -> io::Result<Segment> {
    let text = header.name.to_string();
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(directory, &text, flags, Mode::RUSR | Mode::WUSR)?;
    prepare(file, header, capacity).inspect_err(|_| {
        let _ = rustix::fs::unlinkat(directory, &text, AtFlags::empty());
    })
}

/// Takes the place of a segment that holds no record.
pub(super) fn recycle_segment(directory: &OwnedFd, header: &Header, unused: Name) -> io::Result<Segment> {
    let text = header.name.to_string();
    rustix::fs::renameat(directory, unused.to_string(), directory, &text)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(directory, &text, flags, Mode::empty())?;
    let size = rustix::fs::fstat(&file)?.st_size.unsigned_abs();
    prepare(file, header, size.max(*SEGMENT_BYTES.start()))
}

/// No room, whoever says so: the disk, a quota, a limit of this process.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Room, header, synced: a segment that is in the directory is never without its header for long.
fn prepare(file: OwnedFd, header: &Header, capacity: u64) -> io::Result<Segment> {
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, capacity) {
        Ok(()) => {}
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => rustix::fs::ftruncate(&file, capacity)?,
        Err(error) => return Err(error.into()),
    }
    let (bytes, seed) = header.encode();
    write_all_at(&file, &bytes, 0)?;
    rustix::fs::fdatasync(&file)?;
    Ok(Segment { file: Arc::new(file), name: header.name, seed, capacity, tail: HEADER_BYTES as u64 })
}
