//! The records of a journal. Numbers are little-endian; the frame around a payload is [`segment`](super::segment)'s.
//!
//! | kind | payload | when |
//! |---|---|---|
//! | 1 range | object, start u64, end u64, crc u32, flags u8 (1 = data was synced before) | bytes are in the file |
//! | 2 length | object, u64 | a length became known |
//! | 3 complete | object, length u64, flags u8 (1 = data was synced before) | all bytes are there; stands for every earlier range |
//! | 4 remove | object | before its file is unlinked |
//! | 5 synced | object, sequence u64 | ranges up to that sequence number were covered by a successful sync |
//! | 6 fallback | object, (start u64, end u64)* | a sync failed: only these bytes count (PROMISES.md P6) |
//! | 7 confirmed | object, u8 (1 = completion, 2 = removal) | the control plane has the fact |
//! | 8 clean | sequence u64 | orderly end: the whole file system was synced, all records up to there are durable |
//! | 9 batch | (kind u8, length u32, payload)* | several records of one append, with ascending sequence numbers |
//! | 16 snapshot | object, flags u8, length u64 | checkpoint only; frame carries the object's last sequence and time |
//! | 17 pieces | object, (start u64, end u64, sequence u64, crc u32, flags u8)* | checkpoint only; bytes of the snapshot before it |
//! | 18 tombstone | object, flags u8 (1 = confirmed) | checkpoint only |
//! | 19 end | count u64 | checkpoint only; the last record: nothing is missing |
//!
//! Version 2 of the format; version 1 has no batch. A reader refuses kinds it does not know: they come only from a newer
//! version.
use etransfer_contract::{ObjectId, Span};

/// Which fact the control plane confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmable {
    Completed,
    Removed,
}

/// One change to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Range { span: Span, crc: u32, synced: bool },
    Length { length: u64 },
    Complete { length: u64, synced: bool },
    Remove,
    Synced { upto: u64 },
    Fallback { kept: Vec<Span> },
    Confirmed { what: Confirmable },
}

/// Bytes of a snapshot. `crc` is absent where the records that carried it were lost with unsynced pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) span: Span,
    pub(super) crc: Option<u32>,
    pub(super) sequence: u64,
    pub(super) durable: bool,
}

/// The fixed part of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) length: Option<u64>,
    pub(super) complete: bool,
    pub(super) synced: bool,
    pub(super) confirmed: bool,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Change { object: ObjectId, change: Change },
    Clean { upto: u64 },
    Snapshot { object: ObjectId, snapshot: Snapshot },
    Pieces { object: ObjectId, pieces: Vec<Piece> },
    Tombstone { object: ObjectId, confirmed: bool },
    End { count: u64 },
}

/// Most spans one fallback record keeps; falling back further than needed is safe, so the rest is given up.
pub(super) const KEPT_MAX: usize = 4096;
/// Most pieces in one record of a checkpoint.
pub(super) const PIECES_MAX: usize = 2048;

/// The kind of a frame with several records.
pub(super) const BATCH: u8 = 9;
/// Before each record of a batch.
pub(super) const BATCH_HEAD_BYTES: usize = 5;

const SYNCED: u8 = 1;
const HAS_LENGTH: u8 = 1;
const COMPLETE: u8 = 2;
const COMPLETE_SYNCED: u8 = 4;
const CONFIRMED: u8 = 8;
const HAS_CRC: u8 = 1;
const DURABLE: u8 = 2;

impl Change {
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Range { .. } => 1,
            Self::Length { .. } => 2,
            Self::Complete { .. } => 3,
            Self::Remove => 4,
            Self::Synced { .. } => 5,
            Self::Fallback { .. } => 6,
            Self::Confirmed { .. } => 7,
        }
    }

    /// May use the room that is kept for a full disk (PROMISES.md P7): everything that gives space back or ends
    /// something.
    pub(super) fn is_essential(&self) -> bool {
        match self {
            Self::Range { .. } | Self::Length { .. } => false,
            Self::Complete { .. } | Self::Remove | Self::Synced { .. } => true,
            Self::Fallback { .. } | Self::Confirmed { .. } => true,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Range { span, crc, synced } => {
                put_span(out, *span);
                out.extend(crc.to_le_bytes());
                out.push(if *synced { SYNCED } else { 0 });
            }
            Self::Length { length } => out.extend(length.to_le_bytes()),
            Self::Complete { length, synced } => {
                out.extend(length.to_le_bytes());
                out.push(if *synced { SYNCED } else { 0 });
            }
            Self::Remove => {}
            Self::Synced { upto } => out.extend(upto.to_le_bytes()),
            Self::Fallback { kept } => kept.iter().take(KEPT_MAX).for_each(|span| put_span(out, *span)),
            Self::Confirmed { what: Confirmable::Completed } => out.push(1),
            Self::Confirmed { what: Confirmable::Removed } => out.push(2),
        }
    }
}

impl Record {
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Change { change, .. } => change.kind(),
            Self::Clean { .. } => 8,
            Self::Snapshot { .. } => 16,
            Self::Pieces { .. } => 17,
            Self::Tombstone { .. } => 18,
            Self::End { .. } => 19,
        }
    }

    /// Appends the payload.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Change { object, change } => {
                out.extend(object.as_bytes());
                change.encode(out);
            }
            Self::Clean { upto } => out.extend(upto.to_le_bytes()),
            Self::Snapshot { object, snapshot } => {
                out.extend(object.as_bytes());
                out.push(
                    if snapshot.length.is_some() { HAS_LENGTH } else { 0 }
                        | if snapshot.complete { COMPLETE } else { 0 }
                        | if snapshot.synced { COMPLETE_SYNCED } else { 0 }
                        | if snapshot.confirmed { CONFIRMED } else { 0 },
                );
                out.extend(snapshot.length.unwrap_or(0).to_le_bytes());
            }
            Self::Pieces { object, pieces } => {
                out.extend(object.as_bytes());
                for piece in pieces {
                    put_span(out, piece.span);
                    out.extend(piece.sequence.to_le_bytes());
                    out.extend(piece.crc.unwrap_or(0).to_le_bytes());
                    out.push(if piece.crc.is_some() { HAS_CRC } else { 0 } | if piece.durable { DURABLE } else { 0 });
                }
            }
            Self::Tombstone { object, confirmed } => {
                out.extend(object.as_bytes());
                out.push(u8::from(*confirmed));
            }
            Self::End { count } => out.extend(count.to_le_bytes()),
        }
    }

    /// Appends the payload of a batch.
    pub(super) fn encode_batch(records: &[Self], out: &mut Vec<u8>) {
        for record in records {
            out.push(record.kind());
            let start = out.len();
            out.extend([0; 4]);
            record.encode(out);
            let length = u32::try_from(out.len() - start - 4).expect("records are bounded by FRAME_BYTES_MAX");
            out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        }
    }

    /// As [`Record::decode`], for the records of a batch.
    pub(super) fn decode_batch(payload: &[u8]) -> Option<Vec<Self>> {
        let mut from = Reader(payload);
        let mut records = Vec::new();
        while !from.0.is_empty() {
            let (kind, length) = (from.u8()?, from.u32()?);
            let (record, rest) = from.0.split_at_checked(usize::try_from(length).ok()?)?;
            records.push(Self::decode(kind, record)?);
            from = Reader(rest);
        }
        Some(records)
    }

    /// `None`: an unknown kind, or a payload this kind cannot have.
    pub(super) fn decode(kind: u8, payload: &[u8]) -> Option<Self> {
        let mut from = Reader(payload);
        let record = match kind {
            1..=7 => Self::Change { object: from.object()?, change: decode_change(kind, &mut from)? },
            8 => Self::Clean { upto: from.u64()? },
            16 => Self::Snapshot { object: from.object()?, snapshot: decode_snapshot(&mut from)? },
            17 => {
                let object = from.object()?;
                let mut pieces = Vec::with_capacity(from.0.len() / 29);
                while !from.0.is_empty() {
                    let (span, sequence, crc, flags) = (from.span()?, from.u64()?, from.u32()?, from.u8()?);
                    let crc = (flags & HAS_CRC != 0).then_some(crc);
                    pieces.push(Piece { span, crc, sequence, durable: flags & DURABLE != 0 });
                }
                Self::Pieces { object, pieces }
            }
            18 => Self::Tombstone { object: from.object()?, confirmed: from.u8()? != 0 },
            19 => Self::End { count: from.u64()? },
            _ => return None,
        };
        from.0.is_empty().then_some(record)
    }
}

fn decode_change(kind: u8, from: &mut Reader<'_>) -> Option<Change> {
    Some(match kind {
        1 => Change::Range { span: from.span()?, crc: from.u32()?, synced: from.u8()? & SYNCED != 0 },
        2 => Change::Length { length: from.u64()? },
        3 => Change::Complete { length: from.u64()?, synced: from.u8()? & SYNCED != 0 },
        4 => Change::Remove,
        5 => Change::Synced { upto: from.u64()? },
        6 => {
            let mut kept = Vec::with_capacity(from.0.len() / 16);
            while !from.0.is_empty() {
                kept.push(from.span()?);
            }
            Change::Fallback { kept }
        }
        7 => match from.u8()? {
            1 => Change::Confirmed { what: Confirmable::Completed },
            2 => Change::Confirmed { what: Confirmable::Removed },
            _ => return None,
        },
        _ => return None,
    })
}

fn decode_snapshot(from: &mut Reader<'_>) -> Option<Snapshot> {
    let (flags, length) = (from.u8()?, from.u64()?);
    Some(Snapshot {
        length: (flags & HAS_LENGTH != 0).then_some(length),
        complete: flags & COMPLETE != 0,
        synced: flags & COMPLETE_SYNCED != 0,
        confirmed: flags & CONFIRMED != 0,
    })
}

fn put_span(out: &mut Vec<u8>, span: Span) {
    out.extend(span.start().to_le_bytes());
    out.extend(span.end().to_le_bytes());
}

/// Takes numbers off the front of a payload.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn object(&mut self) -> Option<ObjectId> {
        self.take().map(ObjectId::from_bytes)
    }

    fn span(&mut self) -> Option<Span> {
        Span::new(self.u64()?, self.u64()?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span() -> impl Strategy<Value = Span> {
        (0..1u64 << 62, 1..1u64 << 40).prop_map(|(start, len)| Span::at(start, len).unwrap())
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            (span(), any::<u32>(), any::<bool>()).prop_map(|(span, crc, synced)| Change::Range { span, crc, synced }),
            any::<u64>().prop_map(|length| Change::Length { length }),
            (any::<u64>(), any::<bool>()).prop_map(|(length, synced)| Change::Complete { length, synced }),
            Just(Change::Remove),
            any::<u64>().prop_map(|upto| Change::Synced { upto }),
            prop::collection::vec(span(), 0..5).prop_map(|kept| Change::Fallback { kept }),
            Just(Change::Confirmed { what: Confirmable::Completed }),
            Just(Change::Confirmed { what: Confirmable::Removed }),
        ]
    }

    fn record() -> impl Strategy<Value = Record> {
        let object = any::<[u8; 16]>().prop_map(ObjectId::from_bytes);
        let piece = (span(), any::<Option<u32>>(), any::<u64>(), any::<bool>());
        let piece = piece.prop_map(|(span, crc, sequence, durable)| Piece { span, crc, sequence, durable });
        prop_oneof![
            (object.clone(), change()).prop_map(|(object, change)| Record::Change { object, change }),
            any::<u64>().prop_map(|upto| Record::Clean { upto }),
            (object.clone(), any::<Option<u64>>(), any::<[bool; 3]>()).prop_map(
                |(object, length, [complete, synced, confirmed])| Record::Snapshot {
                    object,
                    snapshot: Snapshot { length, complete, synced, confirmed }
                }
            ),
            (object.clone(), prop::collection::vec(piece, 0..5))
                .prop_map(|(object, pieces)| Record::Pieces { object, pieces }),
            (object, any::<bool>()).prop_map(|(object, confirmed)| Record::Tombstone { object, confirmed }),
            any::<u64>().prop_map(|count| Record::End { count }),
        ]
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(record in record()) {
            let mut payload = Vec::new();
            record.encode(&mut payload);
            prop_assert_eq!(Record::decode(record.kind(), &payload), Some(record));
        }

        #[test]
        fn decode_undoes_encode_of_a_batch(records in prop::collection::vec(record(), 0..6)) {
            let mut payload = Vec::new();
            Record::encode_batch(&records, &mut payload);
            prop_assert_eq!(Record::decode_batch(&payload), Some(records));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(kind in any::<u8>(), payload in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (Record::decode(kind, &payload), Record::decode_batch(&payload));
        }
    }
}
