//! The step from "all bytes are there" to "complete": taken once, also when many writers finish together (PROMISES.md
//! P5, T-PAT-14).
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::journal::{Journal, Position};
use super::object::Object;
use super::record::Change;

/// The right to complete an object. While it is held no second one is granted; dropped unfinished, it is free again.
///
/// Between getting it and [`CompletionRight::finish`], the caller gives unused room back and syncs the data as the durability level demands.
#[derive(Debug)]
pub struct CompletionRight {
    object: Arc<Object>,
    length: u64,
    /// The record is in a journal; it may not be durable yet.
    recorded: bool,
}

impl CompletionRight {
    pub(super) fn new(object: Arc<Object>, length: u64, recorded: bool) -> Self {
        object.tally.completions.fetch_add(1, Ordering::Relaxed);
        Self { object, length, recorded }
    }

    /// The object.
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// Its final length: truncate the file to this.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// An earlier attempt recorded it and could not make the record durable.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Records the completion, which stays invisible until [`CompletionRight::publish`]; the caller makes the record durable in between.
    /// `data_synced`: a sync of the file succeeded after its last byte was stored.
    ///
    /// An error when the record could not be written, or [`NotFound`](io::ErrorKind::NotFound) when the object was removed
    /// meanwhile or lost bytes to a failed sync. Then it is not complete.
    pub fn record(&mut self, journal: &Journal, data_synced: bool) -> io::Result<Position> {
        let mut state = self.object.state.hold();
        let whole = state.known.received.contiguous() == self.length;
        if self.object.is_removed() || state.is_complete() || state.is_in_doubt() || !whole {
            return Err(io::ErrorKind::NotFound.into());
        }
        let change = Change::Complete { length: self.length, synced: data_synced };
        let appended = self.object.record(&mut state, journal, &[change])?;
        (state.unpublished, self.recorded) = (true, true);
        Ok(appended.position)
    }

    /// From here on it is visible as complete; the fact will be reported ([`Store::unconfirmed`]).
    ///
    /// [`Store::unconfirmed`]: super::Store::unconfirmed
    pub fn publish(self) {
        let mut state = self.object.state.hold();
        if !state.known.complete || !state.unpublished {
            return;
        }
        state.unpublished = false;
        let sequence = state.known.sequence;
        drop(state);
        if !self.object.is_removed() {
            self.object.owe_completion(sequence);
        }
        self.object.changed.notify(usize::MAX);
    }

    /// Records and publishes in one go: where a journal's sync is not waited for.
    pub fn finish(mut self, journal: &Journal, data_synced: bool) -> io::Result<Position> {
        let position = self.record(journal, data_synced)?;
        self.publish();
        Ok(position)
    }
}

impl Drop for CompletionRight {
    fn drop(&mut self) {
        self.object.state.hold().completing = false;
        self.object.tally.completions.fetch_sub(1, Ordering::Relaxed);
        self.object.changed.notify(usize::MAX);
    }
}
