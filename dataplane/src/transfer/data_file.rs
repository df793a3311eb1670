//! One object's file, opened twice: whole blocks are written past the page cache (direct), partial blocks through it
//! (buffered).
//!
//! Must stay true: a 4 KiB block that a writer owns only in part is never written directly, so two writers that share a
//! block (`[0, 5000)` and `[5000, …)`) cannot overwrite each other's bytes, and no block is read back before it is written.
//! The kernel keeps both modes coherent because they never share a page.
//!
//! Must stay true: no byte goes to or comes from a file that is not the object's own. Each opened file is checked before it
//! is used: a regular file, the same inode as before, no shorter than the records say. A file is created only for an object
//! without bytes, so one that was deleted behind the node's back is missed, not created again full of zeros.
//!
//! Next on the way of an upload, after the last window: [`finish`](super::finish).

use std::io;

use etransfer_contract::Span;
use etransfer_disk::{File, Mode, OFlags, PRIVATE};
use futures_util::FutureExt;
use rustix::io::Errno;

use crate::bounds::BLOCK_BYTES;
use crate::config::WriteMode;
use crate::driver::{Buf, FileHandle, Io, Pending};
use crate::store::{Object, Strange};

/// Files grow by at most this much at a time, so that no direct write extends a file (IO.md §1).
const ALLOCATE_STEP_BYTES: u64 = 256 << 20;

/// A file being written.
pub struct DataFile {
    buffered: FileHandle,
    direct: Option<FileHandle>,
    allocated: u64,
}

/// What is stored under an object's name is not its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotItsFile {
    /// A directory, a pipe, a socket, a device.
    #[error("what is in the place of its file is no regular file")]
    Type,
    /// See [`Strange`].
    #[error(transparent)]
    Strange(#[from] Strange),
}

impl NotItsFile {
    /// Whether `error` says that.
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>()) || error.raw_os_error().is_some_and(is_no_file)
    }
}

/// What opening something else than a regular file comes to: a link, a directory, a socket or a pipe without a reader.
fn is_no_file(errno: i32) -> bool {
    matches!(errno, libc::ELOOP | libc::EISDIR | libc::ENXIO)
}

/// One window on its way to the disk: the kernel has its buffers until every part has landed.
#[must_use = "a write counts only after it landed"]
pub struct Write {
    parts: Vec<Pending<(io::Result<()>, Buf)>>,
    landed: io::Result<()>,
}

impl DataFile {
    /// Opens the file of `object`, making it when it is not there; `large`: also in direct mode, where the file system supports it.
    pub async fn open(io: &Io, dir: &FileHandle, object: &Object, mode: WriteMode, large: bool) -> io::Result<Self> {
        let path = object.path();
        let path = path.as_str();
        // Looked at first: another writer may make the file, and record bytes of it, after it was not found.
        let is_new = object.look().received == 0;
        let buffered = match io.open_at(dir, path, OFlags::RDWR, Mode::empty()).await {
            // Making a file costs a worker thread, opening one does not: most PATCHes find theirs.
            Err(error) if is_new && error.kind() == io::ErrorKind::NotFound => {
                io.open_at(dir, path, OFlags::RDWR | OFlags::CREATE, PRIVATE).await?
            }
            found => found?,
        };
        let allocated = check(&buffered, object)?;
        let direct = if large && mode != WriteMode::Buffered {
            match io.open_at(dir, path, OFlags::WRONLY | OFlags::DIRECT, Mode::empty()).await {
                Ok(fd) => Some(fd),
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => None,
                Err(error) => return Err(error),
            }
        } else {
            None
        };
        Ok(Self { buffered, direct, allocated })
    }

    /// Makes sure `[0, end)` is allocated, in steps that grow with the file but never past `most`, so that a small body
    /// of a huge upload takes little. No room: `StorageFull`.
    pub async fn allocate(&mut self, io: &Io, end: u64, most: u64) -> io::Result<()> {
        if end <= self.allocated {
            return Ok(());
        }
        let step = end.saturating_mul(2).min(end.saturating_add(ALLOCATE_STEP_BYTES));
        let mut target = step.min(most).max(end);
        let mut outcome = io.allocate(&self.buffered, self.allocated, target - self.allocated).await;
        if target > end && outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            // No room for a step is not yet no room for these bytes.
            target = end;
            outcome = io.allocate(&self.buffered, self.allocated, target - self.allocated).await;
        }
        match outcome {
            Ok(()) => self.allocated = target,
            // A file system that cannot preallocate still stores bytes; writes then extend the file.
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => self.allocated = u64::MAX,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Starts writing `buf[at..]` to `span`: whole blocks from where they lie, partial blocks from a copy.
    pub fn write(&self, io: &Io, buf: Buf, at: usize, span: Span) -> Write {
        let bytes_at = |from: u64, to: u64| at + (from - span.start()) as usize..at + (to - span.start()) as usize;
        let first = span.start().next_multiple_of(BLOCK_BYTES);
        let last = span.end() / BLOCK_BYTES * BLOCK_BYTES;
        let whole_from = bytes_at(first.min(span.end()), span.end()).start as u64;
        let aligned = buf.is_slot() && whole_from.is_multiple_of(BLOCK_BYTES);
        let Some(direct) = self.direct.as_ref().filter(|_| aligned && first < last) else {
            return Write::of(vec![io.write_at(&self.buffered, buf, bytes_at(span.start(), span.end()), span.start())]);
        };
        let ends = [Span::new(span.start(), first), Span::new(last, span.end())];
        let ends = ends.into_iter().flatten().map(|part| (bytes_at(part.start(), part.end()).start, part));
        let mut write = self.write_parts(io, &buf, ends);
        write.parts.push(io.write_at(direct, buf, bytes_at(first, last), first));
        write
    }

    /// Starts writing parts of a window through the page cache: (where in `buf`, where in the file).
    pub fn write_parts(&self, io: &Io, buf: &Buf, parts: impl Iterator<Item = (usize, Span)>) -> Write {
        let start = |(at, span): (usize, Span)| {
            let copy = Buf::from(buf[at..at + span.len() as usize].to_vec());
            let whole = 0..copy.len();
            io.write_at(&self.buffered, copy, whole, span.start())
        };
        Write::of(parts.map(start).collect())
    }

    /// A second handle on the buffered file, for work off the core.
    pub fn second_handle(&self) -> io::Result<File> {
        self.buffered.try_clone()
    }

    /// Everything written so far is on the disk when this returns.
    pub async fn sync(&self, io: &Io) -> io::Result<()> {
        io.sync_data(&self.buffered).await
    }

    /// Gives back what was allocated past `length`.
    pub async fn trim(&self, io: &Io, length: u64) -> io::Result<()> {
        if self.buffered.stat()?.size > length { io.truncate(&self.buffered, length).await } else { Ok(()) }
    }
}

impl Write {
    fn of(parts: Vec<Pending<(io::Result<()>, Buf)>>) -> Self {
        Self { parts, landed: Ok(()) }
    }

    /// Whether every part has landed, without waiting.
    pub fn has_landed(&mut self) -> bool {
        while let Some(part) = self.parts.last_mut() {
            let Some((written, _buf)) = part.now_or_never() else { return false };
            self.parts.pop();
            self.note(written);
        }
        true
    }

    /// Waits for every part, also after one failed: their buffers must come back. The first failure is the outcome.
    pub async fn landed(mut self) -> io::Result<()> {
        while let Some(part) = self.parts.pop() {
            let (written, _buf) = part.await;
            self.note(written);
        }
        self.landed
    }

    fn note(&mut self, written: io::Result<()>) {
        if self.landed.is_ok() {
            self.landed = written;
        }
    }
}

/// Opens an object for reading. Does not wait for a pipe or the like in the place of its file.
pub async fn open_for_reading(io: &Io, dir: &FileHandle, object: &Object) -> io::Result<FileHandle> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = io.open_at(dir, object.path().as_str(), flags, Mode::empty()).await?;
    check(&file, object)?;
    // The flag was for the open alone: with it the ring does not wait for the disk on some file systems.
    file.set_blocking()?;
    Ok(file)
}

/// The size of the object's own file; an error when this is another one ([`NotItsFile`]). Reads the inode in memory.
fn check(file: &File, object: &Object) -> io::Result<u64> {
    let recorded = object.end();
    let found = file.stat()?;
    if !found.is_file {
        return Err(io::Error::other(NotItsFile::Type));
    }
    let recognized = object.recognize(found.inode, found.size, recorded);
    recognized.map_err(|strange| io::Error::other(NotItsFile::Strange(strange)))?;
    Ok(found.size)
}
