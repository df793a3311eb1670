//! [`Io`] for files.

use std::ffi::CString;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use etransfer_disk::{Mode, OFlags};
use rustix::fs::ResolveFlags;
use rustix::io::Errno;

#[cfg(debug_assertions)]
use super::faults;
use super::sockets::{mismatch, unit};
use super::{Buf, Completion, FileHandle, Io, Operation, Pending};

/// How names are resolved: below the directory, through no link of any kind.
pub(crate) const OPEN_RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// `openat2` refuses a mode where nothing can be created.
pub(crate) fn open_how_mode(flags: OFlags, mode: Mode) -> Mode {
    match flags.intersects(OFlags::CREATE) || flags.contains(OFlags::TMPFILE) {
        true => mode,
        false => Mode::empty(),
    }
}

impl Io {
    /// Reads `buf[at]` from `pos`; fewer bytes: the file ends there.
    pub fn read_at(
        &self,
        file: &FileHandle,
        buf: Buf,
        at: Range<usize>,
        pos: u64,
    ) -> Pending<(io::Result<usize>, Buf)> {
        self.ranged(buf, at, |buf, at| Operation::ReadAt { file: FileHandle::clone(file), buf, at, pos })
    }

    /// Writes all of `buf[at]` at `pos`.
    pub fn write_at(&self, file: &FileHandle, buf: Buf, at: Range<usize>, pos: u64) -> Pending<(io::Result<()>, Buf)> {
        assert!(at.start <= at.end && at.end <= buf.len(), "{at:?} is not inside a buffer of {} bytes", buf.len());
        let take = |outcome| match outcome {
            Completion::Written(result, buf) => (result, buf),
            other => mismatch(&other),
        };
        if at.is_empty() {
            return self.ended(Completion::Written(Ok(()), buf), take);
        }
        self.begin(Operation::WriteAt { file: FileHandle::clone(file), buf, at, pos }, take)
    }

    /// As [`Io::write_at`], for records of a journal: tests can make one of the two fail.
    pub fn write_record(
        &self,
        file: &FileHandle,
        buf: Buf,
        at: Range<usize>,
        pos: u64,
    ) -> Pending<(io::Result<()>, Buf)> {
        assert!(at.start < at.end && at.end <= buf.len(), "{at:?} is not inside a buffer of {} bytes", buf.len());
        let take = |outcome| match outcome {
            Completion::Written(result, buf) => (result, buf),
            other => mismatch(&other),
        };
        let op = Operation::WriteAt { file: FileHandle::clone(file), buf, at, pos };
        #[cfg(debug_assertions)]
        if faults::is_due(faults::Failing::Record) {
            return self.ended(op.fail(Errno::IO.into()), take);
        }
        self.launch(op, take)
    }

    /// Writes all of `bytes` at `pos`, now, through the page cache: for small bodies (IO.md §1).
    pub fn write_now(&self, file: &FileHandle, bytes: &[u8], pos: u64) -> io::Result<()> {
        self.0.driver.borrow_mut().write_now(file, bytes, pos)
    }

    /// `fdatasync`.
    pub fn sync_data(&self, file: &FileHandle) -> Pending<io::Result<()>> {
        self.begin(Operation::SyncData { file: FileHandle::clone(file) }, unit)
    }

    /// Opens `name` below `dir`, through no link, close-on-exec.
    pub fn open_at(&self, dir: &FileHandle, name: &str, flags: OFlags, mode: Mode) -> Pending<io::Result<FileHandle>> {
        let take = |outcome| match outcome {
            Completion::Opened(result) => result.map(Rc::new),
            other => mismatch(&other),
        };
        match c_name(name) {
            Ok(name) => self.begin(Operation::OpenAt { dir: FileHandle::clone(dir), name, flags, mode }, take),
            Err(error) => self.ended(Completion::Opened(Err(error)), take),
        }
    }

    /// Makes room for `len` bytes at `pos` (`fallocate` mode 0: the file grows, the new bytes read as zero).
    pub fn allocate(&self, file: &FileHandle, pos: u64, len: u64) -> Pending<io::Result<()>> {
        if len == 0 {
            return self.ended(Completion::Unit(Ok(())), unit);
        }
        self.begin(Operation::Allocate { file: FileHandle::clone(file), pos, len }, unit)
    }

    /// Sets the length of a file.
    pub fn truncate(&self, file: &FileHandle, len: u64) -> Pending<io::Result<()>> {
        self.begin(Operation::Truncate { file: FileHandle::clone(file), len }, unit)
    }

    /// Removes a name.
    pub fn unlink_at(&self, dir: &FileHandle, name: &str) -> Pending<io::Result<()>> {
        match c_name(name) {
            Ok(name) => self.begin(Operation::UnlinkAt { dir: FileHandle::clone(dir), name }, unit),
            Err(error) => self.ended(Completion::Unit(Err(error)), unit),
        }
    }
}

fn c_name(name: &str) -> io::Result<CString> {
    CString::new(name).map_err(|_| Errno::INVAL.into())
}

/// Writes all of `bytes` at `pos`, on this thread.
#[expect(clippy::disallowed_methods, reason = "a driver makes the calls")]
pub(crate) fn write_all_now(file: &FileHandle, mut bytes: &[u8], mut pos: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(&**file, bytes, pos) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                pos += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
