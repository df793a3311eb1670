//! CRC-32 of the bytes of one object, in extents: neighbours are combined, so a long upload costs one entry per 64 MiB.
//!
//! An extent also knows how far its bytes can be trusted, because that decides what survives a failed sync (PROMISES.md
//! P6) and what has to be read back after a power loss (PROMISES.md P3). Only extents of equal trust are combined.
use crc32fast::Hasher;
use etransfer_contract::{Span, SpanSet};

/// Longest extent that combining makes: the unit of loss when a CRC does not match.
pub(super) const EXTENT_BYTES_MAX: u64 = 64 << 20;

/// Whether bytes that a record claims are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// A sync that succeeded, or an orderly end, covered them.
    Durable,
    /// Written during this boot of the machine: at least in the page cache.
    Cached,
    /// Written before the machine went down, never synced: to be compared with their CRC.
    Suspect,
}

/// Bytes with one CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) span: Span,
    pub(super) crc: u32,
    /// Highest sequence number of the records it was combined from.
    pub(super) sequence: u64,
    pub(super) trust: Trust,
}

/// The extents of one object: sorted, disjoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extents {
    list: Vec<Extent>,
    /// Sequence numbers up to which a data sync runs (or ran, in replay). What was stored before such a mark is not combined
    /// with what came later, so that the sync's success can be noted. Sorted.
    seals: Vec<u64>,
}

/// Largest number of running syncs of one object that are distinguished.
const SEALS_MAX: usize = 64;

impl Extents {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Extent> + '_ {
        self.list.iter()
    }

    /// Which bytes have a CRC and satisfy `wanted`.
    pub(super) fn spans(&self, wanted: impl Fn(&Extent) -> bool) -> SpanSet {
        self.list.iter().filter(|extent| wanted(extent)).map(|extent| extent.span).collect()
    }

    /// Adds an extent and combines it with its neighbours. Older extents that overlap it are given up.
    pub(super) fn insert(&mut self, extent: Extent) {
        let first = self.list.partition_point(|other| other.span.end() <= extent.span.start());
        let last = self.list.partition_point(|other| other.span.start() < extent.span.end());
        self.list.splice(first..last, [extent]);
        self.combine_at(first + 1);
        self.combine_at(first);
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.list.shrink_to_fit();
    }

    /// No more than this extent, and no sync runs.
    pub(super) fn one(extent: Extent) -> Self {
        Self { list: vec![extent], seals: Vec::new() }
    }

    /// `Some`: there is no more than this to know; see [`Extents::one`].
    pub(super) fn only(&self) -> Option<Option<&Extent>> {
        (self.list.len() <= 1 && self.seals.is_empty()).then(|| self.list.first())
    }

    /// Everything recorded up to `upto` is durable now.
    pub(super) fn synced(&mut self, upto: u64) {
        self.list.iter_mut().filter(|extent| extent.sequence <= upto).for_each(|extent| extent.trust = Trust::Durable);
        self.seals.retain(|seal| *seal > upto);
        self.combine_all();
    }

    /// A sync of everything up to `sequence`, the last one so far, begins.
    pub(super) fn seal(&mut self, sequence: u64) {
        if self.seals.last() != Some(&sequence) {
            self.seals.push(sequence);
        }
        if self.seals.len() > SEALS_MAX {
            self.seals.remove(0);
        }
    }

    /// Replay knows all marks beforehand; they come sorted.
    pub(super) fn seal_all(&mut self, sequences: &[u64]) {
        self.seals = sequences.to_vec();
    }

    /// No sync is running: replay is over.
    pub(super) fn unseal(&mut self) {
        if !self.seals.is_empty() {
            self.seals.clear();
            self.combine_all();
        }
    }

    fn combine_all(&mut self) {
        let all = std::mem::take(&mut self.list);
        for extent in all {
            self.list.push(extent);
            self.combine_at(self.list.len() - 1);
        }
    }

    /// Keeps only extents that lie wholly in `kept`.
    pub(super) fn retain_within(&mut self, kept: &SpanSet) {
        self.list.retain(|extent| kept.contains(extent.span));
    }

    /// Every suspect extent becomes durable if `matches`, else it is given up. Returns those.
    pub(super) fn settle(&mut self, matches: impl Fn(Span, u32) -> bool) -> Vec<Span> {
        let mut bad = Vec::new();
        self.list.retain_mut(|extent| {
            if extent.trust == Trust::Suspect && !matches(extent.span, extent.crc) {
                bad.push(extent.span);
                return false;
            }
            extent.trust = if extent.trust == Trust::Suspect { Trust::Durable } else { extent.trust };
            true
        });
        bad
    }

    /// Joins the extent at `index` with the one before it, if they touch, are trusted alike and are small enough together.
    fn combine_at(&mut self, index: usize) {
        let Some([left, right]) = index.checked_sub(1).and_then(|before| self.list.get(before..=index)) else { return };
        let joined = left.span.len() + right.span.len();
        if left.span.end() != right.span.start() || left.trust != right.trust || joined > EXTENT_BYTES_MAX {
            return;
        }
        let seals_before = |sequence: u64| self.seals.partition_point(|seal| *seal < sequence);
        if left.trust != Trust::Durable && seals_before(left.sequence) != seals_before(right.sequence) {
            return;
        }
        let mut hasher = Hasher::new_with_initial_len(left.crc, left.span.len());
        hasher.combine(&Hasher::new_with_initial_len(right.crc, right.span.len()));
        let span = Span::new(left.span.start(), right.span.end()).expect("two spans that touch make one");
        let sequence = left.sequence.max(right.sequence);
        let (crc, trust) = (hasher.finalize(), left.trust);
        self.list.splice(index - 1..=index, [Extent { span, crc, sequence, trust }]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(data: &[u8], start: usize, end: usize, sequence: u64, trust: Trust) -> Extent {
        let span = Span::new(start as u64, end as u64).unwrap();
        Extent { span, crc: crc32fast::hash(&data[start..end]), sequence, trust }
    }

    #[test]
    fn neighbours_combine_to_the_crc_of_the_whole() {
        let data: Vec<u8> = (0..10_000u32).map(|n| (n * 7 + n / 256) as u8).collect();
        let mut extents = Extents::default();
        for (start, end) in [(0, 100), (5000, 10_000), (100, 4000), (4000, 5000)] {
            extents.insert(extent(&data, start, end, start as u64, Trust::Cached));
        }
        assert_eq!(extents.list, [extent(&data, 0, 10_000, 5000, Trust::Cached)]);
    }

    #[test]
    fn unequal_trust_is_kept_apart_until_a_sync_makes_it_equal() {
        let data = [7; 300];
        let mut extents = Extents::default();
        extents.insert(extent(&data, 0, 100, 1, Trust::Durable));
        extents.insert(extent(&data, 100, 200, 2, Trust::Cached));
        extents.insert(extent(&data, 250, 300, 9, Trust::Cached));
        assert_eq!(extents.list.len(), 3);
        extents.synced(2);
        assert_eq!(extents.list, [extent(&data, 0, 200, 2, Trust::Durable), extent(&data, 250, 300, 9, Trust::Cached)]);
        extents.retain_within(&[Span::new(0, 200).unwrap(), Span::new(250, 299).unwrap()].into_iter().collect());
        assert_eq!(extents.list, [extent(&data, 0, 200, 2, Trust::Durable)]);
    }

    #[test]
    fn what_a_running_sync_covers_is_not_combined_with_what_comes_later() {
        let data = [7; 300];
        let mut extents = Extents::default();
        extents.insert(extent(&data, 0, 100, 1, Trust::Cached));
        extents.seal(1);
        extents.insert(extent(&data, 100, 200, 2, Trust::Cached));
        extents.seal(2);
        extents.insert(extent(&data, 200, 300, 3, Trust::Cached));
        extents.synced(1);
        assert_eq!(extents.spans(|extent| extent.trust == Trust::Durable).contiguous(), 100);
        extents.unseal();
        assert_eq!(extents.list.len(), 2);
        extents.synced(3);
        assert_eq!(extents.list, [extent(&data, 0, 300, 3, Trust::Durable)]);
    }

    #[test]
    fn combining_stops_at_the_largest_extent() {
        let mut extents = Extents::default();
        for start in 0..3 {
            let span = Span::at(start * (EXTENT_BYTES_MAX / 2), EXTENT_BYTES_MAX / 2).unwrap();
            extents.insert(Extent { span, crc: 0, sequence: start, trust: Trust::Cached });
        }
        assert_eq!(extents.list.len(), 2);
        assert_eq!(extents.list[0].span.len(), EXTENT_BYTES_MAX);
    }
}
