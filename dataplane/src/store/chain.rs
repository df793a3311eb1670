//! The segments of one journal and what is to be written to them: memory alone, under the lock of the journal.
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use etransfer_disk::File;

use super::journal::Room;
use super::room::Segment;
use super::segment::{HEADER_BYTES, Name};
use super::tail::Tail;

/// The present segment, those before it that wait for their sync, the spare one, and the tail.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Absent only in a read-only store.
    pub(super) segment: Option<Segment>,
    /// Made ahead, so that a full disk does not stop the journal.
    pub(super) spare: Option<Segment>,
    /// Appended and not written.
    pub(super) tail: Tail,
    /// Position up to which everything is written; behind it comes the tail.
    pub(super) written: u64,
    /// A [`Flushing`](super::Flushing) is out.
    pub(super) flushing: bool,
    /// Position at which the present segment starts.
    pub(super) start: u64,
    /// Of the last write that failed.
    pub(super) failure: Option<io::Error>,
    /// Made, but the manifest could not be written: it may list it, so the file stays, and is the next one.
    pub(super) unlisted: Option<Segment>,
    /// Earlier segments and the positions they end at, until those were synced.
    pub(super) retired: Vec<(Segment, u64)>,
    next_part: u32,
}

/// What a [`Flushing`](super::Flushing) writes.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) file: Arc<File>,
    pub(super) name: Name,
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) took_spare: bool,
}

impl Chain {
    pub(super) fn end(&self) -> u64 {
        self.written + self.tail.len()
    }

    /// A part number that no other segment of this core has.
    pub(super) fn take_part(&mut self) -> u32 {
        self.next_part += 1;
        self.next_part - 1
    }

    pub(super) fn is_present(&self, name: Name) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.name == name)
    }

    /// Closes the present segment to new records; what is in it waits for its sync. A write that is on its way to it ends there
    /// ([`Chain::note_written`]).
    pub(super) fn install(&mut self, next: Segment) {
        if let Some(old) = self.segment.replace(next) {
            self.retired.push((old, self.written));
        }
        self.start = self.written;
        if !self.flushing {
            self.tail.unseal();
        }
    }

    /// Whether `bytes` more fit into the segments that are there.
    pub(super) fn room(&self, bytes: u64, essential: bool) -> Room {
        let free = |segment: &Segment| {
            let kept = if essential { 0 } else { segment.capacity / 8 };
            segment.capacity.saturating_sub(segment.tail + kept)
        };
        let there: u64 = self.segment.iter().chain(&self.spare).map(free).sum();
        if self.tail.len() + bytes <= there {
            Room::There
        } else if !self.tail.is_empty() {
            Room::AfterFlush
        } else if self.spare.is_none() {
            Room::AfterRefill
        } else {
            // More than this there never is: a frame longer than a segment makes its file longer.
            Room::There
        }
    }

    pub(super) fn has_room_for_first(&self) -> bool {
        let fits = |segment: &Segment| {
            segment.tail + self.tail.first() <= segment.capacity || segment.tail == HEADER_BYTES as u64
        };
        self.tail.is_sealed() || self.segment.as_ref().is_some_and(fits)
    }

    /// What is to be written next; `None`: there is no room for it.
    pub(super) fn take_off(&mut self) -> Option<Flight> {
        let took_spare = !self.has_room_for_first();
        if took_spare {
            let spare = self.spare.take()?;
            self.install(spare);
        }
        let segment = self.segment.as_ref()?;
        let (synced, room) = (segment.synced.load(Ordering::Relaxed), segment.capacity.saturating_sub(segment.tail));
        let bytes = self.tail.seal(segment.seed, synced as u32, room).to_vec();
        self.flushing = true;
        Some(Flight { file: Arc::clone(&segment.file), name: segment.name, at: segment.tail, bytes, took_spare })
    }

    /// The first bytes of the tail are in this segment, which may have been left meanwhile.
    pub(super) fn note_written(&mut self, name: Name, count: usize) {
        self.tail.drop_front(count);
        self.written += count as u64;
        match &mut self.segment {
            Some(segment) if segment.name == name => segment.tail += count as u64,
            _ => {
                self.start = self.written;
                if let Some((segment, end)) = self.retired.iter_mut().find(|(segment, _)| segment.name == name) {
                    segment.tail += count as u64;
                    *end = self.written;
                }
            }
        }
    }

    /// A write to this segment failed. Another file may do; one in which nothing is yet is as good as another.
    pub(super) fn leave(&mut self, name: Name) {
        if !self.is_present(name) {
            return self.tail.unseal();
        }
        let is_used = self.segment.as_ref().is_some_and(|segment| segment.tail > HEADER_BYTES as u64);
        if let Some(spare) = self.spare.take_if(|_| is_used) {
            self.install(spare);
        }
    }
}
