//! Which CPUs this process may use, and staying on one.

use std::io;
use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The mask this process was given, read before any thread of ours pins itself.
fn given() -> &'static CpuSet {
    static GIVEN: OnceLock<CpuSet> = OnceLock::new();
    GIVEN.get_or_init(|| {
        // The main thread's mask: cores pin only themselves.
        let main = rustix::process::getpid();
        sched_getaffinity(Some(main)).or_else(|_| sched_getaffinity(None)).unwrap_or_else(|_| {
            let mut first = CpuSet::new();
            first.set(0);
            first
        })
    })
}

/// The CPUs this process may run on, in order.
pub fn allowed_cpus() -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|cpu| given().is_set(*cpu)).collect()
}

/// Keeps the calling thread on one CPU.
pub(super) fn pin(cpu: usize) -> io::Result<()> {
    given();
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

/// Lets the calling thread run on every allowed CPU, whatever it inherited.
pub(super) fn unpin() {
    if let Err(error) = sched_setaffinity(None, given()) {
        tracing::debug!(%error, "a helper thread stays where it was born");
    }
}
