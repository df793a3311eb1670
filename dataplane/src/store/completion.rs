//! The step from "all bytes are there" to "complete": taken once, also when many writers finish together (P5, T-PAT-14).
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::journal::{Journal, Position};
use super::object::Object;
use super::record::Change;

/// The right to complete an object. While it is held nobody else gets it; dropped unfinished, the next one may try.
///
/// Between getting it and [`Completion::finish`], the caller gives unused room back and syncs the data as durability says.
#[derive(Debug)]
pub struct Completion {
    object: Arc<Object>,
    length: u64,
}

impl Completion {
    pub(super) fn new(object: Arc<Object>, length: u64) -> Self {
        object.tally.completions.fetch_add(1, Ordering::Relaxed);
        Self { object, length }
    }

    /// The object.
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// Its final length: truncate the file to this.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Records the completion, then publishes it; the control plane will be told ([`Store::unconfirmed`]).
    /// `data_synced`: a sync of the file succeeded after its last byte was stored.
    ///
    /// An error when the record could not be written, or [`NotFound`](io::ErrorKind::NotFound) when the object was removed
    /// meanwhile or lost bytes to a failed sync. Then it is not complete.
    ///
    /// [`Store::unconfirmed`]: super::Store::unconfirmed
    pub fn finish(self, journal: &Journal, data_synced: bool) -> io::Result<Position> {
        let mut state = self.object.state.hold();
        let whole = state.known.received.contiguous() == self.length;
        if self.object.is_removed() || state.known.complete || !whole {
            return Err(io::ErrorKind::NotFound.into());
        }
        let change = Change::Complete { length: self.length, synced: data_synced };
        let appended = self.object.record(&mut state, journal, &[change])?;
        self.object.owe_completion(appended.sequence);
        drop(state);
        self.object.changed.notify(usize::MAX);
        Ok(appended.position)
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.object.state.hold().completing = false;
        self.object.tally.completions.fetch_sub(1, Ordering::Relaxed);
    }
}
