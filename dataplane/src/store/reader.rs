//! A running delivery. Its bytes stay this object's bytes: ids are never reused, and a removed object's file lives on
//! until its last descriptor is closed (PROMISES.md P12).
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::object::Object;

/// Counts as a reader until dropped.
#[derive(Debug)]
pub struct ReadGuard {
    object: Arc<Object>,
}

impl ReadGuard {
    pub(super) fn new(object: Arc<Object>) -> Option<Self> {
        let guard = Self { object };
        guard.object.readers.fetch_add(1, Ordering::AcqRel);
        guard.object.tally.readers.fetch_add(1, Ordering::Relaxed);
        // Counted first, checked second: a removal that does not see this reader is seen by it.
        (!guard.object.is_removed() && !guard.object.is_damaged()).then_some(guard)
    }

    /// The object.
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// The object was removed: close the connection short of `Content-Length`.
    pub fn is_cut(&self) -> bool {
        self.object.cut.load(Ordering::Acquire)
    }
}

/// The one delivery of everything that runs, until dropped.
#[derive(Debug)]
pub struct SoleDelivery {
    object: Arc<Object>,
}

impl SoleDelivery {
    /// `None` while another one is out, on whichever core.
    pub fn begin(object: &Arc<Object>) -> Option<Self> {
        let was_running = object.delivering.swap(true, Ordering::AcqRel);
        (!was_running).then(|| Self { object: Arc::clone(object) })
    }
}

impl Drop for SoleDelivery {
    fn drop(&mut self) {
        self.object.delivering.store(false, Ordering::Release);
    }
}

impl Drop for ReadGuard {
    fn drop(&mut self) {
        self.object.tally.readers.fetch_sub(1, Ordering::Relaxed);
        if self.object.readers.fetch_sub(1, Ordering::AcqRel) == 1 && self.object.is_removed() {
            self.object.changed.notify(usize::MAX);
        }
    }
}
