//! What was appended to a journal and is in no file yet: whole frames, in order.
//!
//! Two fields of a frame depend on the file it is written to: its checksum, and how much of that file is known to be synced. They are
//! filled in when the frames are about to be written ([`Tail::seal`]).
//!
//! Must stay true: until what was sealed is known to be in its file, the very same bytes are written to the very same place.
//! So a write of unknown outcome can be repeated, and one that lands late changes nothing.
use super::record::Record;
use super::segment::{frame_length, put_unsealed, seal};

/// The frames.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    /// So many of them are sealed.
    sealed: usize,
}

impl Tail {
    /// Appends one frame.
    pub(super) fn put(&mut self, sequence: u64, at_unix_ms: u64, records: &[Record]) -> usize {
        let before = self.bytes.len();
        put_unsealed(&mut self.bytes, sequence, at_unix_ms, records);
        self.bytes.len() - before
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed > 0
    }

    /// How many bytes are sealed.
    pub(super) fn sealed(&self) -> u64 {
        self.sealed as u64
    }

    /// Length of the first frame; 0 when there is none.
    pub(super) fn first(&self) -> u64 {
        if self.bytes.is_empty() { 0 } else { frame_length(&self.bytes) as u64 }
    }

    /// The first frames, as they are written to the file of this seed: those that fit `room`, at least one. What is sealed
    /// already stays as it is.
    pub(super) fn seal(&mut self, seed: u32, synced: u32, room: u64) -> &[u8] {
        if self.sealed == 0 {
            let mut end = 0;
            while end < self.bytes.len() {
                let length = frame_length(&self.bytes[end..]);
                if end > 0 && (end + length) as u64 > room {
                    break;
                }
                seal(&mut self.bytes[end..end + length], seed, synced);
                end += length;
            }
            self.sealed = end;
        }
        &self.bytes[..self.sealed]
    }

    /// They go to another file.
    pub(super) fn unseal(&mut self) {
        self.sealed = 0;
    }

    /// So many bytes are in their file.
    pub(super) fn drop_front(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.sealed = 0;
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEPT_BYTES);
        }
    }
}

/// Memory that an empty tail keeps.
const KEPT_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::super::segment::frame;
    use super::*;

    fn filled(count: u64) -> Tail {
        let mut tail = Tail::default();
        (1..=count).for_each(|sequence| {
            tail.put(sequence, 7, &[Record::Clean { upto: sequence }]);
        });
        tail
    }

    fn sequences(seed: u32, mut bytes: &[u8]) -> Vec<u64> {
        let mut found = Vec::new();
        while let Some(good) = frame(seed, bytes) {
            found.push(good.sequence);
            bytes = &bytes[good.length..];
        }
        assert!(bytes.is_empty());
        found
    }

    #[test]
    fn frames_that_fit_are_sealed_for_their_file() {
        let mut tail = filled(5);
        let length = tail.first();
        let sealed = tail.seal(1, 64, 3 * length + 1).to_vec();
        assert_eq!(sequences(1, &sealed), [1, 2, 3]);
        assert!(frame(2, &sealed).is_none(), "no frame of another file");
        tail.drop_front(sealed.len());
        assert_eq!(sequences(1, tail.seal(1, 64, 1)), [4], "at least one");
    }

    #[test]
    fn what_is_sealed_stays_the_same_until_it_goes_elsewhere() {
        let mut tail = filled(2);
        let sealed = tail.seal(1, 64, 1000).to_vec();
        tail.put(3, 7, &[Record::Clean { upto: 3 }]);
        assert_eq!(tail.seal(1, 500, 1000), sealed, "also when more was synced or appended meanwhile");
        tail.unseal();
        assert_eq!(sequences(9, tail.seal(9, 64, 1000)), [1, 2, 3]);
    }
}
