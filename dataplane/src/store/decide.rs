//! May this body be stored, and which of its bytes are new? The table of easytransfer/CONTRACT.md §2.4 with T-PAT-1,
//! T-PAT-6, T-PAT-9 and T-PAT-12, as one function over what was received and what running writers own.
//!
//! A refusal changes nothing. The order of the checks is TUS.md §A12: offset (409) before length (400).
use etransfer_contract::span::OFFSET_MAX;
use etransfer_contract::tus::PARALLEL_ALIGNMENT;
use etransfer_contract::{Span, SpanSet};
use event_listener::EventListener;

use crate::bounds::SPANS_MAX;

/// A body that asks to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// `Upload-Offset`.
    pub offset: u64,
    /// Length of the body; `None` = chunked.
    pub body: Option<u64>,
    /// `tus.parallel_writes`.
    pub parallel: bool,
}

/// Why a body is not stored. Nothing was changed.
#[derive(Debug)]
pub enum Refused {
    /// The object is gone.
    Removed,
    /// 500: its file is not what was recorded; see [`Object::damage`](super::Object::damage).
    Damaged,
    /// 409: every byte of the body is there already.
    Received {
        /// The true offset.
        contiguous: u64,
    },
    /// 409: not the offset to go on at.
    Mismatch {
        /// The true offset.
        contiguous: u64,
    },
    /// 409: the offset lies beyond the length.
    OffsetBeyond {
        /// The true offset.
        contiguous: u64,
    },
    /// 400: the body would reach beyond the length.
    BeyondLength {
        /// The length.
        length: u64,
    },
    /// The object is complete: 409 when the body lies inside, else 400.
    Complete {
        /// It does.
        inside: bool,
        /// The length.
        length: u64,
    },
    /// 5xx: a write or sync of its file failed, and what the disk holds was not read yet.
    InDoubt,
    /// 429: the upload has [`SPANS_MAX`] separate ranges, and this body would open another one.
    Scattered,
    /// Another writer owns bytes of this body. Wait for the listener, then decide again.
    Busy {
        /// All those writers were silent for at least a second (T-LOCK-2).
        silent: bool,
        /// Fires when a writer of this object stored something or ended.
        listener: EventListener,
    },
}

/// What is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Go: these bytes are new. Bytes of the body below `end` that are not in `owned` are there already and are dropped.
    Take {
        owned: Vec<Span>,
        end: u64,
    },
    /// Another claim owns some of these bytes, which the body would store.
    Busy {
        wanted: Vec<Span>,
    },
    /// It would open one separate range too many.
    Scattered,
    Received,
    Mismatch,
    OffsetBeyond,
    BeyondLength {
        length: u64,
    },
    Complete {
        inside: bool,
        length: u64,
    },
}

/// What is known when deciding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) received: &'a SpanSet,
    /// Bytes that running writers own and have not yet stored.
    pub(super) owned: &'a SpanSet,
    /// Running writers whose next byte opens a separate range.
    pub(super) opening: usize,
    pub(super) length: Option<u64>,
    pub(super) complete: bool,
}

pub(super) fn decide(seen: Seen<'_>, want: Want) -> Decision {
    let Want { offset, body, parallel } = want;
    let contiguous = seen.received.contiguous();
    if body == Some(0) && offset == contiguous {
        return Decision::Take { owned: Vec::new(), end: offset };
    }
    let limit = seen.length.unwrap_or(OFFSET_MAX);
    // A chunked body is taken to be as short as possible: one byte. What it turns out to be is judged as it comes.
    let end = offset.saturating_add(body.unwrap_or(1));
    if seen.complete {
        return Decision::Complete { inside: end <= limit, length: limit };
    }
    if offset != contiguous {
        if !parallel {
            return Decision::Mismatch;
        }
        if offset > limit {
            return Decision::OffsetBeyond;
        }
        if body == Some(0) {
            return Decision::Mismatch;
        }
        let received = seen.received.end_of_run(offset);
        if received > offset && received >= body.map_or(limit, |_| end) {
            return Decision::Received;
        }
        if !offset.is_multiple_of(PARALLEL_ALIGNMENT) {
            return Decision::Mismatch;
        }
    }
    let has_room = |first: &Span| has_room_for(*first, seen.received, seen.opening);
    let decision = match body {
        None if offset == contiguous && offset == limit => Decision::Take { owned: Vec::new(), end: limit },
        _ if end > limit => Decision::BeyondLength { length: limit },
        None => take_open_ended(seen, offset, limit),
        Some(_) => take(seen, Span::new(offset, end).expect("not empty, and within the limit")),
    };
    match decision {
        // At the true offset a client can always go on.
        Decision::Take { owned, .. } if offset != contiguous && !owned.first().is_none_or(has_room) => {
            Decision::Scattered
        }
        decision => decision,
    }
}

/// Whether a writer may begin at `first`: there its bytes go on where received ones end, or a separate range is left for them.
/// The ranges of the writers that run are counted as soon as they may open them.
pub(super) fn has_room_for(first: Span, received: &SpanSet, opening: usize) -> bool {
    !opens_range(received, first) || received.count() + opening < SPANS_MAX
}

/// Its first byte does not follow a received one.
pub(super) fn opens_range(received: &SpanSet, span: Span) -> bool {
    span.start().checked_sub(1).is_none_or(|before| received.end_of_run(before) == before)
}

/// The new bytes of a body of known length, if no other claim owns one of them.
fn take(seen: Seen<'_>, body: Span) -> Decision {
    let wanted = seen.received.missing(body);
    if wanted.iter().any(|span| overlaps(seen.owned, *span)) {
        return Decision::Busy { wanted };
    }
    Decision::Take { owned: wanted, end: body.end() }
}

/// A chunked body may store everything up to the next byte that another claim owns; it has to wait only for its first.
fn take_open_ended(seen: Seen<'_>, offset: u64, limit: u64) -> Decision {
    let rest = Span::new(offset, limit).expect("the offset is below the limit");
    let missing = seen.received.missing(rest);
    let Some(first) = missing.first().map(|span| span.start()) else { return Decision::Received };
    if seen.owned.end_of_run(first) > first {
        return Decision::Busy { wanted: Span::at(first, 1).into_iter().collect() };
    }
    let foreign = seen.owned.iter().map(|span| span.start()).find(|start| *start > first);
    let end = foreign.unwrap_or(limit).min(limit);
    let below_end = Span::new(offset, end).expect("at least its first new byte is free");
    Decision::Take { owned: missing.into_iter().filter_map(|span| span.intersect(below_end)).collect(), end }
}

fn overlaps(set: &SpanSet, span: Span) -> bool {
    set.iter().any(|other| other.intersect(span).is_some())
}
