//! Every call by which the journal changes what is on the disk. In one place, so that a test can end the process (or fail
//! the call) at each of them in turn: see `fault` below. Content of objects is not written here; that is the byte path's.
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Opens a new file for this user only; what stood there under that name is gone.
pub(super) fn create(directory: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    step()?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?)
}

/// Makes the file `bytes` long, with blocks where the file system can.
pub(super) fn allocate(file: impl AsFd, bytes: u64) -> io::Result<()> {
    step()?;
    #[cfg(test)]
    fault::room()?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(rustix::fs::ftruncate(&file, bytes)?),
        Err(error) => Err(error.into()),
    }
}

/// Writes all of `bytes`.
pub(super) fn write_all_at(file: impl AsFd, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    if let Err(error) = step() {
        // What a write that fails leaves behind is a part of it.
        let part = &bytes[..torn(bytes.len())];
        let _ = rustix::io::pwrite(&file, part, at);
        return Err(error);
    }
    while !bytes.is_empty() {
        match rustix::io::pwrite(&file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The content, and the size, reach the disk.
pub(super) fn sync_data(file: impl AsFd) -> io::Result<()> {
    step()?;
    Ok(rustix::fs::fdatasync(file)?)
}

/// All of a file, or the names in a directory, reach the disk.
pub(super) fn sync(file: impl AsFd) -> io::Result<()> {
    step()?;
    Ok(rustix::fs::fsync(file)?)
}

/// Everything of the file system that holds `file` reaches the disk.
pub(super) fn sync_all(file: impl AsFd) -> io::Result<()> {
    step()?;
    Ok(rustix::fs::syncfs(file)?)
}

/// Another name; what had it is replaced.
pub(super) fn rename(directory: impl AsFd, from: &str, to: &str) -> io::Result<()> {
    step()?;
    Ok(rustix::fs::renameat(&directory, from, &directory, to)?)
}

/// Another name; an error when it is taken.
pub(super) fn rename_to_free(directory: impl AsFd, from: &str, to: &str) -> io::Result<()> {
    step()?;
    match rustix::fs::renameat_with(&directory, from, &directory, to, RenameFlags::NOREPLACE) {
        // A file system without this flag; the lock on the directory keeps others out meanwhile.
        Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::statat(&directory, to, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(Errno::NOENT) => Ok(rustix::fs::renameat(&directory, from, &directory, to)?),
            Err(error) => Err(error.into()),
        },
        renamed => Ok(renamed?),
    }
}

/// The name goes.
pub(super) fn unlink(directory: impl AsFd, name: &str) -> io::Result<()> {
    step()?;
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?)
}

#[cfg(not(test))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "tests fail here")]
fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(not(test))]
fn torn(_: usize) -> usize {
    0
}

#[cfg(test)]
use fault::{step, torn};

/// Faults at the n-th of these calls, on the thread that requests them.
#[cfg(test)]
pub(super) mod fault {
    use std::cell::RefCell;
    use std::io;

    /// What happens at the call.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in crate::store) enum Fault {
        /// The process ends: this call is half done, and no later one has any effect.
        Kill,
        /// As [`Fault::Kill`], on a disk that has no room for any new file.
        KillOnFullDisk,
        /// This call fails, and only this one.
        Error(io::ErrorKind),
    }

    impl Fault {
        /// The process does not outlive it.
        pub(in crate::store) fn is_kill(self) -> bool {
            matches!(self, Self::Kill | Self::KillOnFullDisk)
        }
    }

    #[derive(Debug)]
    struct Plan {
        fault: Fault,
        left: usize,
        happened: bool,
        /// The call that asks now is the one that fails.
        tears: bool,
    }

    thread_local! {
        static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
    }

    /// Runs `work` with this fault at the call number `at` (from 0). `true`: there were that many calls.
    pub(in crate::store) fn at(at: usize, fault: Fault, work: impl FnOnce()) -> bool {
        PLAN.set(Some(Plan { fault, left: at, happened: false, tears: false }));
        work();
        PLAN.take().is_some_and(|plan| plan.happened)
    }

    pub(super) fn step() -> io::Result<()> {
        PLAN.with_borrow_mut(|plan| {
            let Some(plan) = plan else { return Ok(()) };
            plan.tears = false;
            if plan.happened {
                return if plan.fault.is_kill() { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) };
            }
            if plan.left > 0 {
                plan.left -= 1;
                return Ok(());
            }
            (plan.happened, plan.tears) = (true, true);
            Err(match plan.fault {
                Fault::Kill | Fault::KillOnFullDisk => io::ErrorKind::BrokenPipe.into(),
                Fault::Error(kind) => kind.into(),
            })
        })
    }

    /// Whether there is room for a new file.
    pub(super) fn room() -> io::Result<()> {
        let is_full = PLAN.with_borrow(|plan| plan.as_ref().is_some_and(|plan| plan.fault == Fault::KillOnFullDisk));
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// How much of a write the fault leaves; nothing once the process has ended.
    pub(super) fn torn(length: usize) -> usize {
        let tears = PLAN.with_borrow(|plan| plan.as_ref().is_some_and(|plan| plan.tears));
        if tears { length / 2 } else { 0 }
    }
}
