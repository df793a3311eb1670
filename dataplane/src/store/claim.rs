//! The right to store bytes. A claim owns its bytes from [`Object::claim`] until it is dropped; committed bytes belong to
//! the object and have no owner.
//!
//! **Drop it only when no write of this claim is in the kernel's hands any more**: the next owner of the bytes may start at
//! once, and a late write would land on top of its own (T-LOCK-3).
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use etransfer_contract::{Span, SpanSet};
use event_listener::{Event, EventListener};

use super::journal::{APPEND_MAX, Journal, Position};
use super::object::Object;
use super::record::Change;

/// A writer, as its object sees it.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) number: u64,
    /// Not yet stored.
    pub(super) owned: SpanSet,
    /// Lost bytes to a declared length while it may still be writing them: nothing completes before it has ended.
    trimmed: bool,
    pub(super) lease: Arc<Lease>,
}

/// What a claim and its object share without a lock.
#[derive(Debug)]
pub(super) struct Lease {
    ended: AtomicBool,
    fenced: AtomicBool,
    ended_event: Event,
    touched_ms: AtomicU64,
}

/// The right to store the new bytes of one body.
#[derive(Debug)]
pub struct Claim {
    object: Arc<Object>,
    number: u64,
    lease: Arc<Lease>,
    owned: Vec<Span>,
    end: u64,
    stored: u64,
}

/// Why bytes that are in the file were not recorded.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The file is no longer trusted since a write or sync failed ([`Object::doubt`]); these bytes do not count.
    #[error("the writer was ended")]
    Ended,
    /// The object is gone.
    #[error("the object was removed")]
    Removed,
    /// A length was declared meanwhile and these bytes reach beyond it; nothing was recorded.
    #[error("the object ends at {length}")]
    BeyondLength {
        /// The length.
        length: u64,
    },
    /// Not this claim's bytes, or committed before: a bug of the caller.
    #[error("{0} is not owned by this writer")]
    NotOwned(Span),
    /// The record could not be written; nothing counts.
    #[error("append to the journal: {0}")]
    Journal(#[source] io::Error),
}

impl Claim {
    pub(super) fn new(object: Arc<Object>, number: u64, lease: Arc<Lease>, owned: Vec<Span>, end: u64) -> Self {
        object.tally.writers.fetch_add(1, Ordering::Relaxed);
        Self { object, number, lease, owned, end, stored: 0 }
    }

    /// The object.
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// The new bytes this writer stores, in order; what of the body lies between them is there already and is dropped.
    pub fn owned(&self) -> &[Span] {
        &self.owned
    }

    /// Where this claim's body ends at the latest. For a chunked body: the length, or the first byte that another writer
    /// owns; a body that continues there must claim again.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// This writer was asked to stop. What is in the file may still be committed; the claim must then be dropped promptly.
    pub fn is_ended(&self) -> bool {
        self.lease.ended.load(Ordering::Acquire)
    }

    /// Fires when [`Claim::is_ended`] becomes true. Listen first, then look.
    pub fn ended(&self) -> EventListener {
        self.lease.ended_event.listen()
    }

    /// A byte arrived: this writer is not silent.
    pub fn touch(&self) {
        self.lease.touched_ms.store(self.object.tally.clock.ticks_ms(), Ordering::Relaxed);
    }

    /// Records that `span`, with this CRC-32, is in the file, and lets readers see it. The position is what a later sync of
    /// the journal has to cover.
    pub fn commit(&mut self, journal: &Journal, span: Span, crc: u32) -> Result<Position, CommitError> {
        self.commit_all(journal, &[(span, crc)], false)
    }

    /// As [`Claim::commit`], for data that a successful sync of the file already covers (`durability: every`).
    pub fn commit_synced(&mut self, journal: &Journal, span: Span, crc: u32) -> Result<Position, CommitError> {
        self.commit_all(journal, &[(span, crc)], true)
    }

    /// Commits several spans at once: no reader sees some of them without the others (a body whose checksum just matched).
    /// A crash may keep some of them; all were found right before.
    pub fn commit_all(
        &mut self,
        journal: &Journal,
        spans: &[(Span, u32)],
        synced: bool,
    ) -> Result<Position, CommitError> {
        let object = Arc::clone(&self.object);
        let mut state = object.state.hold();
        if object.is_removed() {
            return Err(CommitError::Removed);
        }
        if self.lease.fenced.load(Ordering::Acquire) {
            return Err(CommitError::Ended);
        }
        let length = state.length().unwrap_or(u64::MAX);
        if spans.iter().any(|(span, _)| span.end() > length) {
            return Err(CommitError::BeyondLength { length });
        }
        let owned = state.writer(self.number).map(|writer| writer.owned.clone()).unwrap_or_default();
        if let Some((span, _)) = spans.iter().find(|(span, _)| !owned.contains(*span)) {
            return Err(CommitError::NotOwned(*span));
        }
        let mut position = journal.position();
        for part in spans.chunks(APPEND_MAX - 1) {
            let changes: Vec<_> =
                part.iter().map(|(span, crc)| Change::Range { span: *span, crc: *crc, synced }).collect();
            position = object.record(&mut state, journal, &changes).map_err(CommitError::Journal)?.position;
            if let Some(writer) = state.writer(self.number) {
                part.iter().for_each(|(span, _)| writer.owned.remove(*span));
            }
            self.stored += part.iter().map(|(span, _)| span.len()).sum::<u64>();
        }
        drop(state);
        object.changed.notify(usize::MAX);
        Ok(position)
    }

    /// Bytes committed.
    pub fn stored(&self) -> u64 {
        self.stored
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.object.state.hold().writers.retain(|writer| writer.number != self.number);
        self.object.tally.writers.fetch_sub(1, Ordering::Relaxed);
        self.object.changed.notify(usize::MAX);
    }
}

impl Writer {
    pub(super) fn new(number: u64, owned: &[Span], lease: Arc<Lease>) -> Self {
        Self { number, owned: owned.iter().copied().collect(), trimmed: false, lease }
    }

    pub(super) fn owns_some_of(&self, span: Span) -> bool {
        self.owned.iter().any(|owned| owned.intersect(span).is_some())
    }

    pub(super) fn has_stored_all(&self) -> bool {
        self.owned.count() == 0 && !self.trimmed
    }

    pub(super) fn trim(&mut self, beyond: Span) {
        self.trimmed |= self.owns_some_of(beyond);
        self.owned.remove(beyond);
    }
}

impl Lease {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            ended: AtomicBool::new(false),
            fenced: AtomicBool::new(false),
            ended_event: Event::new(),
            touched_ms: AtomicU64::new(now_ms),
        }
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.ended_event.notify(usize::MAX);
    }

    /// End, and refuse further commits.
    pub(super) fn fence(&self) {
        self.fenced.store(true, Ordering::Release);
        self.end();
    }

    pub(super) fn touched_ms(&self) -> u64 {
        self.touched_ms.load(Ordering::Relaxed)
    }
}
