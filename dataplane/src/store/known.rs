//! What the records of one object add up to. The same [`Known::apply`] runs when a record was just appended and when it is
//! replayed, so a restart cannot disagree with the run before it.
use etransfer_contract::fact::Presence;
use etransfer_contract::{ObjectId, Span, SpanSet};

use super::extent::{Extent, Extents, Trust};
use super::record::{Change, Confirmable, Piece, Snapshot};

/// One live object, as recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) length: Option<u64>,
    pub(super) received: SpanSet,
    /// CRCs of received bytes; covers all of them unless records were lost with unsynced pages before completion.
    pub(super) extents: Extents,
    pub(super) complete: bool,
    /// Complete, and its data was synced before that was recorded.
    pub(super) synced: bool,
    /// The control plane has the completion.
    pub(super) confirmed: bool,
    /// Completed before the machine went down without a sync: whole only if every CRC still matches.
    pub(super) shaken: bool,
    /// Time of the last accepted byte or completion; never moves back (T-EXP-6).
    pub(super) written_unix_ms: u64,
    /// Of the last record applied; 0 = nothing was ever recorded. Records up to here are skipped by replay.
    pub(super) sequence: u64,
}

/// When a record was made, and how durable the data behind it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) sequence: u64,
    pub(super) at_unix_ms: u64,
    pub(super) trust: Trust,
}

impl Known {
    /// Adds one record. Removal is not here: it ends the object.
    pub(super) fn apply(&mut self, stamp: Stamp, change: &Change) {
        self.sequence = stamp.sequence;
        match change {
            Change::Range { span, crc, synced } => {
                let trust = if *synced { Trust::Durable } else { stamp.trust };
                self.received.insert(*span);
                self.extents.insert(Extent { span: *span, crc: *crc, sequence: stamp.sequence, trust });
                self.written_unix_ms = self.written_unix_ms.max(stamp.at_unix_ms);
            }
            Change::Length { length } => self.length = Some(*length),
            Change::Complete { length, synced } => {
                self.length = Some(*length);
                self.received = Span::new(0, *length).into_iter().collect();
                (self.complete, self.synced) = (true, *synced);
                if *synced {
                    self.extents.synced(u64::MAX);
                }
                self.shaken = !*synced && stamp.trust == Trust::Suspect;
                self.written_unix_ms = self.written_unix_ms.max(stamp.at_unix_ms);
            }
            Change::Synced { upto } => self.extents.synced(*upto),
            Change::Fallback { kept } => self.keep_only(kept.iter().copied().collect()),
            Change::Confirmed { what: Confirmable::Completed } => self.confirmed = true,
            Change::Confirmed { what: Confirmable::Removed } | Change::Remove => {}
        }
    }

    /// Without room to grow: most objects never change again.
    pub(super) fn fitted(mut self) -> Self {
        self.received.shrink_to_fit();
        self.extents.shrink_to_fit();
        self
    }

    /// Bytes outside `kept` were never received.
    pub(super) fn keep_only(&mut self, kept: SpanSet) {
        let everything = Span::new(0, etransfer_contract::span::OFFSET_MAX).expect("not empty");
        kept.missing(everything).into_iter().for_each(|gap| self.received.remove(gap));
        self.extents.retain_within(&kept);
        let whole = self.length.is_some_and(|length| self.received.contiguous() == length);
        if self.complete && !whole {
            (self.complete, self.synced, self.confirmed) = (false, false, false);
        }
    }

    /// It has bytes that no sync covered.
    pub(super) fn has_cached(&self) -> bool {
        !self.complete && self.extents.iter().any(|extent| extent.trust != Trust::Durable)
    }

    /// Bytes that would survive the loss of everything unsynced.
    pub(super) fn durable(&self) -> SpanSet {
        self.extents.spans(|extent| extent.trust == Trust::Durable)
    }

    /// What to report to the control plane; `only_synced`: it passes reports on to clients, so it learns of no range whose bytes
    /// could still be lost. Their number is reported at once.
    pub(super) fn presence(&self, object: ObjectId, length: Option<u64>, only_synced: bool) -> Presence {
        let reported = if only_synced && !self.complete { self.durable() } else { self.received.clone() };
        Presence {
            object,
            received: self.received.bytes(),
            contiguous: reported.contiguous(),
            spans: if self.complete { SpanSet::new() } else { reported },
            length,
            complete: self.complete,
            at_unix_ms: self.written_unix_ms,
        }
    }

    /// For a checkpoint.
    pub(super) fn snapshot(&self) -> (Snapshot, Vec<Piece>) {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut covered = SpanSet::new();
        for extent in self.extents.iter() {
            covered.insert(extent.span);
            let durable = extent.trust == Trust::Durable;
            let (crc, sequence) = (Some(extent.crc), extent.sequence);
            pieces.push(Piece { span: extent.span, crc, sequence, durable });
        }
        for span in self.received.iter().flat_map(|span| covered.missing(span)) {
            pieces.push(Piece { span, crc: None, sequence: self.sequence, durable: self.synced });
        }
        let (length, complete) = (self.length, self.complete);
        (Snapshot { length, complete, synced: self.synced, confirmed: self.confirmed }, pieces)
    }

    /// From a checkpoint, before its pieces.
    pub(super) fn restore(snapshot: &Snapshot, stamp: Stamp) -> Self {
        Self {
            length: snapshot.length,
            complete: snapshot.complete,
            synced: snapshot.synced,
            confirmed: snapshot.confirmed,
            shaken: snapshot.complete && !snapshot.synced && stamp.trust == Trust::Suspect,
            written_unix_ms: stamp.at_unix_ms,
            sequence: stamp.sequence,
            ..Self::default()
        }
    }

    /// The pieces of the snapshot.
    pub(super) fn restore_piece(&mut self, piece: &Piece, trust: Trust) {
        self.received.insert(piece.span);
        if let Some(crc) = piece.crc {
            let trust = if piece.durable { Trust::Durable } else { trust };
            self.extents.insert(Extent { span: piece.span, crc, sequence: piece.sequence, trust });
        }
    }
}
