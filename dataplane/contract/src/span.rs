//! Byte spans of an object, and sets of them. Ends are exclusive everywhere, on the wire too (`X-Received-Ranges`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Offsets and lengths never pass this (2^63 - 1): what a file offset can hold, and what T-HDR-2 admits.
pub const OFFSET_MAX: u64 = i64::MAX as u64;

/// Half-open, never empty, never past [`OFFSET_MAX`]: the only kind of span that can be stored or served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(u64, u64)", into = "(u64, u64)")]
pub struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// `None` unless `start < end <= OFFSET_MAX`.
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start < end && end <= OFFSET_MAX { Some(Self { start, end }) } else { None }
    }

    /// `None` when `len` is 0 or the end would pass [`OFFSET_MAX`].
    pub const fn at(start: u64, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(end) => Self::new(start, end),
            None => None,
        }
    }

    /// First byte.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// One past the last byte.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// How many bytes; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a span is never empty")]
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// What both cover, if anything.
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Whether every byte of `other` lies in here.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

impl TryFrom<(u64, u64)> for Span {
    type Error = &'static str;

    fn try_from((start, end): (u64, u64)) -> Result<Self, Self::Error> {
        Self::new(start, end).ok_or("a span is not empty and ends at or below 2^63-1")
    }
}

impl From<Span> for (u64, u64) {
    fn from(span: Span) -> Self {
        (span.start, span.end)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// Sorted, disjoint, merged spans: which bytes are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Span>", into = "Vec<Span>")]
pub struct SpanSet {
    /// Invariant: sorted by start, and each starts after (not at) the end of the one before.
    spans: Vec<Span>,
}

impl SpanSet {
    /// No byte at all.
    pub const fn new() -> Self {
        Self { spans: Vec::new() }
    }

    /// The spans in order.
    pub fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.spans.iter().copied()
    }

    /// How many separate spans.
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// No byte at all is in it.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Gives back room that nothing is in.
    pub fn shrink_to_fit(&mut self) {
        self.spans.shrink_to_fit();
    }

    /// Sum of all spans, in bytes.
    pub fn bytes(&self) -> u64 {
        self.iter().map(Span::len).sum()
    }

    /// End of the span that starts at 0: the `Upload-Offset` of TUS.
    pub fn contiguous(&self) -> u64 {
        self.end_of_run(0)
    }

    /// End of the run of present bytes that holds `offset`; `offset` itself when that byte is absent.
    pub fn end_of_run(&self, offset: u64) -> u64 {
        let after = self.spans.partition_point(|span| span.start <= offset);
        match after.checked_sub(1).map(|index| self.spans[index]) {
            Some(span) if span.end > offset => span.end,
            _ => offset,
        }
    }

    /// Whether every byte of `span` is present.
    pub fn contains(&self, span: Span) -> bool {
        self.end_of_run(span.start) >= span.end
    }

    /// Adds a span, merging with neighbours it touches or overlaps.
    pub fn insert(&mut self, span: Span) {
        let first = self.spans.partition_point(|other| other.end < span.start);
        let last = self.spans.partition_point(|other| other.start <= span.end);
        let merged = match self.spans.get(first..last) {
            Some([]) | None => span,
            Some(touched) => {
                Span { start: span.start.min(touched[0].start), end: span.end.max(touched[touched.len() - 1].end) }
            }
        };
        self.spans.splice(first..last, [merged]);
    }

    /// Removes every byte of `span`.
    pub fn remove(&mut self, span: Span) {
        let first = self.spans.partition_point(|other| other.end <= span.start);
        let last = self.spans.partition_point(|other| other.start < span.end);
        if first >= last {
            return;
        }
        let head = Span::new(self.spans[first].start, span.start);
        let tail = Span::new(span.end, self.spans[last - 1].end);
        self.spans.splice(first..last, head.into_iter().chain(tail));
    }

    /// As text, as many of the first spans as fit into `bytes_max`; and how many those are.
    pub fn text_within(&self, bytes_max: usize) -> (String, usize) {
        let mut text = String::new();
        for (index, span) in self.iter().enumerate() {
            let whole = text.len();
            let comma = if index == 0 { "" } else { "," };
            text.push_str(&format!("{comma}{span}"));
            if text.len() > bytes_max {
                text.truncate(whole);
                return (text, index);
            }
        }
        (text, self.count())
    }

    /// The parts of `span` that are absent, in order.
    pub fn missing(&self, span: Span) -> Vec<Span> {
        let mut missing = Vec::new();
        let mut at = span.start;
        let first = self.spans.partition_point(|other| other.end <= span.start);
        for present in self.spans[first..].iter().take_while(|other| other.start < span.end) {
            missing.extend(Span::new(at, present.start));
            at = present.end;
        }
        missing.extend(Span::new(at, span.end));
        missing
    }
}

impl From<Vec<Span>> for SpanSet {
    fn from(spans: Vec<Span>) -> Self {
        spans.into_iter().collect()
    }
}

impl From<SpanSet> for Vec<Span> {
    fn from(set: SpanSet) -> Self {
        set.spans
    }
}

impl FromIterator<Span> for SpanSet {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut set = Self::new();
        spans.into_iter().for_each(|span| set.insert(span));
        set
    }
}

/// The text of `X-Received-Ranges`: `start-end` pairs, end exclusive, comma-separated.
impl fmt::Display for SpanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, span) in self.iter().enumerate() {
            write!(f, "{}{span}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: usize = 64;

    fn span() -> impl Strategy<Value = Span> {
        (0..SIZE as u64, 1..=16u64).prop_map(|(start, len)| Span::new(start, (start + len).min(SIZE as u64)).unwrap())
    }

    fn bits(set: &SpanSet) -> [bool; SIZE] {
        let mut bits = [false; SIZE];
        set.iter().for_each(|span| bits[span.start as usize..span.end as usize].fill(true));
        bits
    }

    proptest! {
        /// Against the obvious slow version: one flag per byte.
        #[test]
        fn a_set_behaves_like_one_flag_per_byte(steps in prop::collection::vec((any::<bool>(), span()), 0..40), probe in span()) {
            let mut set = SpanSet::new();
            let mut model = [false; SIZE];
            for (add, span) in steps {
                if add { set.insert(span) } else { set.remove(span) }
                model[span.start as usize..span.end as usize].fill(add);
            }
            prop_assert_eq!(bits(&set), model);
            prop_assert!(set.spans.windows(2).all(|pair| pair[0].end < pair[1].start), "not merged: {}", set);
            prop_assert_eq!(set.bytes() as usize, model.iter().filter(|bit| **bit).count());
            prop_assert_eq!(set.contiguous() as usize, model.iter().take_while(|bit| **bit).count());
            let range = probe.start as usize..probe.end as usize;
            prop_assert_eq!(set.contains(probe), model[range.clone()].iter().all(|bit| *bit));
            let missing: SpanSet = set.missing(probe).into_iter().collect();
            for index in range { prop_assert_eq!(bits(&missing)[index], !model[index]); }
            prop_assert_eq!(missing.bytes() as usize, model[probe.start as usize..probe.end as usize].iter().filter(|bit| !**bit).count());
        }
    }

    #[test]
    fn spans_refuse_emptiness_and_overflow() {
        assert!(Span::new(3, 3).is_none());
        assert!(Span::new(4, 3).is_none());
        assert!(Span::at(OFFSET_MAX, 1).is_none());
        assert!(Span::at(u64::MAX, 2).is_none());
        assert!(Span::at(OFFSET_MAX - 1, 1).is_some());
    }

    #[test]
    fn e10_a_text_is_cut_between_two_spans() {
        let set: SpanSet = [(0, 5), (7, 9), (100, 200)].into_iter().filter_map(|(a, b)| Span::new(a, b)).collect();
        for (bytes_max, text, listed) in [
            (0, "", 0),
            (2, "", 0),
            (3, "0-5", 1),
            (6, "0-5", 1),
            (7, "0-5,7-9", 2),
            (14, "0-5,7-9", 2),
            (15, "0-5,7-9,100-200", 3),
        ] {
            assert_eq!(set.text_within(bytes_max), (text.to_owned(), listed), "{bytes_max}");
        }
        assert_eq!(SpanSet::new().text_within(0), (String::new(), 0));
    }

    #[test]
    fn received_ranges_are_written_end_exclusive() {
        let set: SpanSet = [Span::new(67108864, 70000000).unwrap(), Span::new(0, 2).unwrap()].into_iter().collect();
        assert_eq!(set.to_string(), "0-2,67108864-70000000");
    }
}
