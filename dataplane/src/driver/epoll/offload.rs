//! Work that blocks, on the helper threads. A job gets its own duplicate of the descriptor, and the buffer for as long as it
//! runs, so nothing of the core is shared between threads; its result comes back by key.
#![expect(clippy::disallowed_methods, reason = "a driver makes the calls")]
#![expect(clippy::disallowed_types, reason = "results come from helper threads; held for a push or a swap")]

use std::ffi::CString;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::{Epoll, RunningOperation};
use crate::driver::detached_buf::DetachedBuf;
use crate::driver::files::{OPEN_RESOLVE, open_how_mode};
use crate::driver::helpers::push_job;
use crate::driver::{Completion, FileHandle, Key, Operation};

/// How often an `openat2` that raced with a rename is tried.
const OPEN_TRIES: usize = 8;

/// What a job brings back.
pub(super) enum Result {
    Unit(std::result::Result<(), Errno>),
    Opened(std::result::Result<OwnedFd, Errno>),
    /// Bytes of the range in all, and its buffer.
    WrittenBody(std::result::Result<usize, Errno>, DetachedBuf),
}

/// Where jobs leave their results for the core, and its doorbell. The lock is held for a push or a swap only.
pub(super) struct Returned {
    results: Mutex<Vec<(Key, Result)>>,
    doorbell: Arc<OwnedFd>,
}

impl Returned {
    pub(super) fn new(doorbell: Arc<OwnedFd>) -> Self {
        Self { results: Mutex::default(), doorbell }
    }

    fn put(&self, key: Key, result: Result) {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).push((key, result));
        // Fails only when the counter is full, and then the core is being woken anyway.
        let _full = rustix::io::write(&*self.doorbell, &1u64.to_ne_bytes());
    }

    pub(super) fn take(&self) -> Vec<(Key, Result)> {
        std::mem::take(&mut *self.results.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Blocking work with all it needs.
enum Job {
    Sync(OwnedFd),
    Open(OwnedFd, CString, OFlags, Mode),
    Allocate(OwnedFd, u64, u64),
    Truncate(OwnedFd, u64),
    Unlink(OwnedFd, CString),
    Read(OwnedFd, Part),
    Write(OwnedFd, Part),
}

/// A part of a buffer and its stage in a file.
struct Part {
    detached: DetachedBuf,
    at: Range<usize>,
    pos: u64,
    done: usize,
}

impl Job {
    /// The buffer goes along; it is back in the operation when the result is taken.
    fn of(op: &mut Operation, done: usize) -> std::result::Result<Self, Errno> {
        let dup = |file: &FileHandle| fcntl_dupfd_cloexec(&**file, 0);
        Ok(match op {
            Operation::SyncData { file } => Self::Sync(dup(file)?),
            Operation::OpenAt { dir, name, flags, mode } => Self::Open(dup(dir)?, name.clone(), *flags, *mode),
            Operation::Allocate { file, pos, len } => Self::Allocate(dup(file)?, *pos, *len),
            Operation::Truncate { file, len } => Self::Truncate(dup(file)?, *len),
            Operation::UnlinkAt { dir, name } => Self::Unlink(dup(dir)?, name.clone()),
            Operation::ReadAt { file, buf, at, pos } => {
                let file = dup(file)?;
                Self::Read(
                    file,
                    Part { detached: DetachedBuf::of(std::mem::take(buf)), at: at.clone(), pos: *pos, done },
                )
            }
            Operation::WriteAt { file, buf, at, pos } => {
                let file = dup(file)?;
                Self::Write(
                    file,
                    Part { detached: DetachedBuf::of(std::mem::take(buf)), at: at.clone(), pos: *pos, done },
                )
            }
            Operation::Accept { .. }
            | Operation::RecvSome { .. }
            | Operation::Recv { .. }
            | Operation::Send { .. }
            | Operation::SendFile { .. }
            | Operation::Poll { .. }
            | Operation::ConnectUnix { .. } => unreachable!("never sent away"),
        })
    }

    fn run(self) -> Result {
        use rustix::fs;
        use rustix::io::retry_on_intr;
        match self {
            Self::Sync(file) => Result::Unit(retry_on_intr(|| fs::fdatasync(&file))),
            Self::Open(dir, name, flags, mode) => {
                let mode = open_how_mode(flags, mode);
                let open = || fs::openat2(&dir, name.as_c_str(), flags | OFlags::CLOEXEC, mode, OPEN_RESOLVE);
                let mut opened = open();
                for _ in 1..OPEN_TRIES {
                    match opened {
                        Err(Errno::AGAIN | Errno::INTR) => opened = open(),
                        Ok(_) | Err(_) => break,
                    }
                }
                Result::Opened(opened)
            }
            Self::Allocate(file, pos, len) => {
                Result::Unit(retry_on_intr(|| fs::fallocate(&file, FallocateFlags::empty(), pos, len)))
            }
            Self::Truncate(file, len) => Result::Unit(retry_on_intr(|| fs::ftruncate(&file, len))),
            Self::Read(file, mut part) => {
                let moved = part.read(&file);
                Result::WrittenBody(moved, part.detached)
            }
            Self::Write(file, mut part) => {
                let moved = part.write(&file);
                Result::WrittenBody(moved, part.detached)
            }
            Self::Unlink(dir, name) => {
                Result::Unit(retry_on_intr(|| fs::unlinkat(&dir, name.as_c_str(), fs::AtFlags::empty())))
            }
        }
    }
}

impl Part {
    /// Until the range is full or the file ends.
    fn read(&mut self, file: &OwnedFd) -> std::result::Result<usize, Errno> {
        let space = &mut self.detached.bytes()[self.at.clone()];
        let mut done = self.done;
        while done < space.len() {
            match rustix::io::pread(file, &mut space[done..], self.pos + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                // The unaligned end of a file that is read directly.
                Err(Errno::INVAL) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// All of it.
    fn write(&mut self, file: &OwnedFd) -> std::result::Result<usize, Errno> {
        let bytes = &self.detached.bytes()[self.at.clone()];
        let mut done = self.done;
        while done < bytes.len() {
            match rustix::io::pwrite(file, &bytes[done..], self.pos + done as u64) {
                // A write that takes nothing without an error: there is no room.
                Ok(0) => return Err(Errno::NOSPC),
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl Epoll {
    /// Gives the operation under `key` to a helper thread.
    pub(super) fn offload(&mut self, key: Key) {
        let Some(running) = self.running.get_mut(key) else { return };
        match Job::of(&mut running.op, running.done) {
            Ok(job) => {
                let returned = Arc::clone(&self.returned);
                push_job(move || returned.put(key, job.run()));
            }
            Err(error) => self.fail(key, error.into()),
        }
    }

    /// Takes the result of a helper thread.
    pub(super) fn take_offloaded(&mut self, key: Key, result: Result) {
        match result {
            Result::WrittenBody(moved, detached) => {
                if let Some(RunningOperation {
                    op: Operation::ReadAt { buf, .. } | Operation::WriteAt { buf, .. },
                    ..
                }) = self.running.get_mut(key)
                {
                    *buf = detached.back();
                }
                match moved {
                    Ok(done) => self.finish(key, done),
                    Err(error) => self.fail(key, error.into()),
                }
            }
            Result::Unit(Ok(())) => self.finish(key, 0),
            Result::Unit(Err(error)) => self.fail(key, error.into()),
            Result::Opened(Ok(file)) => self.end_with(key, Completion::Opened(Ok(file.into()))),
            Result::Opened(Err(error)) => self.fail(key, error.into()),
        }
    }
}
