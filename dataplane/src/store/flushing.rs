//! The right to write what was appended to a journal: one at a time, over all cores.
use std::io;
use std::sync::Arc;

use etransfer_disk::File;

use super::chain::Flight;
use super::journal::{Journal, again};

/// What [`Journal::begin_flush`] found.
#[derive(Debug)]
pub enum Flush<'a> {
    /// Write this.
    Begun(Flushing<'a>),
    /// Everything is written.
    Idle,
    /// Another caller writes: listen to [`Journal::changed`], look at [`Journal::is_flushing`], then wait.
    Busy,
    /// There is no room for the next record: [`Journal::refill`] first.
    NoSegment,
}

/// The right to write what was appended, and what has to be written: all of the bytes, at that place of that file; then
/// [`Flushing::succeeded`] or [`Flushing::failed`]. Dropped: the outcome is unknown, and the same bytes are written again.
#[derive(Debug)]
pub struct Flushing<'a> {
    journal: &'a Journal,
    flight: Flight,
    length: usize,
    outcome: Option<io::Result<()>>,
}

impl<'a> Flushing<'a> {
    pub(super) fn new(journal: &'a Journal, flight: Flight) -> Self {
        let length = flight.bytes.len();
        Self { journal, flight, length, outcome: None }
    }
}

impl Flushing<'_> {
    /// Where to.
    pub fn file(&self) -> &Arc<File> {
        &self.flight.file
    }

    /// Where in it.
    pub fn at(&self) -> u64 {
        self.flight.at
    }

    /// What; it can be taken once.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.flight.bytes)
    }

    /// It goes to what was the spare segment, so another one must be made.
    pub fn took_spare(&self) -> bool {
        self.flight.took_spare
    }

    /// All of it is in the file.
    pub fn succeeded(mut self) {
        self.outcome = Some(Ok(()));
    }

    /// It is not. The records go to the spare segment, if there is one, else to the same place again.
    pub fn failed(mut self, error: &io::Error) {
        self.outcome = Some(Err(again(error)));
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.journal.end_flush(self.flight.name, self.length, self.outcome.take());
    }
}
