//! Every call by which the journal changes what is on the disk. In one place, so that a test can end the process (or fail
//! the call) at each of them in turn: see `fault` below. Content of objects is not written here; that is the byte path's.
use std::io;

use etransfer_disk::{File, OFlags, PRIVATE};
use rustix::io::Errno;

/// Opens a new file for this user only; an existing file of that name is replaced.
pub(super) fn create(directory: &File, name: &str) -> io::Result<File> {
    step()?;
    directory.open_at(name, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW, PRIVATE)
}

/// Makes the file `bytes` long, with blocks where the file system can.
pub(super) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    step()?;
    #[cfg(test)]
    fault::room()?;
    match file.allocate(0, bytes) {
        Err(error) if is_unsupported(&error) => file.truncate(bytes),
        allocated => allocated,
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::OPNOTSUPP | Errno::NOSYS))
}

/// Writes all of `bytes`.
pub(super) fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    if let Err(error) = step() {
        // What a write that fails leaves behind is a part of it.
        let part = &bytes[..torn(bytes.len())];
        let _ = file.write_at(part, at);
        return Err(error);
    }
    file.write_all_at(bytes, at)
}

/// The content, and the size, reach the disk.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    step()?;
    file.sync_data()
}

/// All of a file, or the names in a directory, reach the disk.
pub(super) fn sync(file: &File) -> io::Result<()> {
    step()?;
    file.sync()
}

/// Everything of the file system that holds `file` reaches the disk.
pub(super) fn sync_all(file: &File) -> io::Result<()> {
    step()?;
    file.sync_file_system()
}

/// Another name; what had it is replaced.
pub(super) fn rename(directory: &File, from: &str, to: &str) -> io::Result<()> {
    step()?;
    directory.rename_at(from, directory, to)
}

/// Another name; an error when it is taken. The lock on the directory keeps others out meanwhile.
pub(super) fn rename_to_free(directory: &File, from: &str, to: &str) -> io::Result<()> {
    step()?;
    directory.rename_to_free_at(from, directory, to)
}

/// Removes the name.
pub(super) fn unlink(directory: &File, name: &str) -> io::Result<()> {
    step()?;
    directory.unlink_at(name)
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
