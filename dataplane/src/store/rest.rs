//! A complete object between two uses: all that is known of it in few bytes, so that a store of millions of small files
//! needs little memory. [`Index::find`](super::index::Index::find) makes an [`Object`](super::object::Object) of it on
//! demand, and [`Index::rest`](super::index::Index::rest) takes it back.
use etransfer_contract::fact::Presence;
use etransfer_contract::{ObjectId, Span, SpanSet};

use super::extent::{Extent, Extents, Trust};
use super::known::Known;
use super::record::{Piece, Snapshot};

/// All that is known of an object that is complete, recorded, covered by one checksum at most, and held by the index alone.
/// Nothing is lost: [`Rest::known`] is what [`Rest::of`] was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest {
    length: u64,
    sequence: u64,
    written_unix_ms: u64,
    /// Of its one extent; an object of length 0 has none.
    extent_sequence: u64,
    /// See `Object::inode`.
    pub(super) inode: u64,
    /// See `Object::downloads`.
    pub(super) downloads: u32,
    crc: u32,
    trust: Trust,
    synced: bool,
    confirmed: bool,
}

impl Rest {
    /// `None`: there is more to know of it than fits.
    pub(super) fn of(known: &Known, inode: u64, downloads: u64) -> Option<Self> {
        // Named one by one: what is added to `Known` has to be thought of here.
        let Known { length, received, extents, complete, synced, confirmed, shaken, written_unix_ms, sequence } = known;
        let length = length.filter(|_| *complete && !*shaken && *sequence > 0)?;
        let whole = Span::new(0, length);
        let mut found = received.iter();
        if (found.next(), found.next()) != (whole, None) {
            return None;
        }
        let (crc, extent_sequence, trust) = match (extents.only()?, whole) {
            (Some(extent), Some(whole)) if extent.span == whole => (extent.crc, extent.sequence, extent.trust),
            (None, None) => (0, 0, Trust::Durable),
            (Some(_) | None, _) => return None,
        };
        if trust == Trust::Suspect {
            return None;
        }
        Some(Self {
            length,
            sequence: *sequence,
            written_unix_ms: *written_unix_ms,
            extent_sequence,
            inode,
            downloads: u32::try_from(downloads).ok()?,
            crc,
            trust,
            synced: *synced,
            confirmed: *confirmed,
        })
    }

    pub(super) fn known(&self) -> Known {
        let extent = self.span().map(|span| self.extent(span));
        Known {
            length: Some(self.length),
            received: self.span().into_iter().collect(),
            extents: extent.map_or_else(Extents::default, Extents::one),
            complete: true,
            synced: self.synced,
            confirmed: self.confirmed,
            shaken: false,
            written_unix_ms: self.written_unix_ms,
            sequence: self.sequence,
        }
        .fitted()
    }

    /// How many bytes it has; all of them are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Of its last record.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn written_unix_ms(&self) -> u64 {
        self.written_unix_ms
    }

    /// As [`Known::presence`], without a [`Known`].
    pub(super) fn presence(&self, object: ObjectId) -> Presence {
        Presence {
            object,
            received: self.length,
            contiguous: self.length,
            spans: SpanSet::new(),
            length: Some(self.length),
            complete: true,
            at_unix_ms: self.written_unix_ms,
        }
    }

    /// As [`Known::snapshot`], without a [`Known`].
    pub(super) fn snapshot(&self) -> (Snapshot, Option<Piece>) {
        let Self { length, synced, confirmed, .. } = *self;
        let piece = self.span().map(|span| {
            let Extent { crc, sequence, trust, .. } = self.extent(span);
            Piece { span, crc: Some(crc), sequence, durable: trust == Trust::Durable }
        });
        (Snapshot { length: Some(length), complete: true, synced, confirmed }, piece)
    }

    fn span(&self) -> Option<Span> {
        Span::new(0, self.length)
    }

    fn extent(&self, span: Span) -> Extent {
        Extent { span, crc: self.crc, sequence: self.extent_sequence, trust: self.trust }
    }
}
