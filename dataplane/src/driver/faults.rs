//! Errors on order, for tests of what follows from one (PROMISES.md P6) on either engine: in builds with debug
//! assertions alone. The next operation of a kind ends with `EIO`, as if the disk had failed; the kernel never sees it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;

use super::Operation;

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// Writes of object files.
    Write,
    /// Syncs of object files and journals.
    Sync,
    /// Reads of object files.
    Read,
    /// Descriptors that are kept for a later sync.
    Keep,
    /// Writes of records to a journal.
    Record,
}

struct Order {
    spared: AtomicUsize,
    failing: AtomicUsize,
}

static ORDERS: [Order; 5] = [const { Order { spared: AtomicUsize::new(0), failing: AtomicUsize::new(0) } }; 5];

/// Of the operations of this kind, all cores together, the first `spared` go on and the next `failing` fail.
pub fn order(what: Failing, spared: usize, failing: usize) {
    let order = &ORDERS[what as usize];
    order.spared.store(spared, Ordering::SeqCst);
    order.failing.store(failing, Ordering::SeqCst);
}

/// The error this operation ends with.
pub(super) fn of(op: &Operation) -> Option<io::Error> {
    let what = match op {
        Operation::WriteAt { .. } => Failing::Write,
        Operation::SyncData { .. } => Failing::Sync,
        Operation::ReadAt { .. } => Failing::Read,
        _ => return None,
    };
    is_due(what).then(|| Errno::IO.into())
}

/// Whether this one fails.
pub(crate) fn is_due(what: Failing) -> bool {
    let order = &ORDERS[what as usize];
    let take = |count: &AtomicUsize| {
        count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    };
    order.failing.load(Ordering::SeqCst) > 0 && !take(&order.spared) && take(&order.failing)
}
