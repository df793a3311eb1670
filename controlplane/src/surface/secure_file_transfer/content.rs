//! Which object holds which bytes of a file: a map of extents, the last accepted bytes on top.
//!
//! Must stay true: extents are in order, none is empty, none overlaps another; bytes of objects are never overwritten, so
//! replacing bytes means pointing elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use etransfer_contract::span::OFFSET_MAX;
use etransfer_contract::step::Piece;
use etransfer_contract::{ObjectId, Span, SpanSet};
use serde::{Deserialize, Serialize};

/// The extents of one file or upload. A change costs what it replaces, however many extents there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Extent>", into = "Vec<Extent>")]
pub struct Content {
    /// By their first byte.
    extents: BTreeMap<u64, Extent>,
    /// In all of them.
    bytes: u64,
}

/// Some bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Where in the file.
    pub span: Span,
    /// Where they are.
    pub from: Source,
}

/// Where the bytes of an extent are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// In an object, from this offset on.
    Object(ObjectId, u64),
    /// Nowhere: they are zeros.
    Zeros,
}

impl Extent {
    /// The part of it inside `span`.
    fn within(self, span: Span) -> Option<Self> {
        let part = self.span.intersect(span)?;
        let from = match self.from {
            Source::Object(object, at) => Source::Object(object, at + (part.start() - self.span.start())),
            Source::Zeros => Source::Zeros,
        };
        Some(Self { span: part, from })
    }

    /// The parts of it that are not in `span`.
    fn outside(self, span: Span) -> impl Iterator<Item = Self> {
        let before = Span::new(0, span.start());
        let after = Span::new(span.end(), OFFSET_MAX);
        [before, after].into_iter().flatten().filter_map(move |side| self.within(side))
    }

    /// `next` goes on where this ends, in the file and in its object.
    fn joins(self, next: Self) -> Option<Self> {
        let follows = match (self.from, next.from) {
            (Source::Object(one, at), Source::Object(other, then)) => one == other && at + self.span.len() == then,
            (Source::Zeros, Source::Zeros) => true,
            (Source::Object(..), Source::Zeros) | (Source::Zeros, Source::Object(..)) => false,
        };
        let joined = Span::new(self.span.start(), next.span.end())?;
        (follows && self.span.end() == next.span.start()).then_some(Self { span: joined, from: self.from })
    }

    fn piece(self) -> Piece {
        match self.from {
            Source::Object(object, at) => {
                let span = Span::at(at, self.span.len()).expect("it was stored at this place of the object");
                Piece::Of(object, span)
            }
            Source::Zeros => Piece::Zeros(self.span.len()),
        }
    }
}

impl Content {
    /// From now on the bytes of `span` are these.
    pub fn overlay(&mut self, span: Span, from: Source) {
        let mut new = Extent { span, from };
        let replaced: Vec<Extent> = self.touched(span).collect();
        for old in &replaced {
            self.extents.remove(&old.span.start());
            self.bytes -= old.span.len();
        }
        for rest in replaced.iter().flat_map(|old| old.outside(span)) {
            self.put(rest);
        }
        let before = self.extents.range(..span.start()).next_back().map(|(_, extent)| *extent);
        let after = self.extents.get(&span.end()).copied();
        for next in [before, after].into_iter().flatten() {
            let joined = if next.span.start() < span.start() { next.joins(new) } else { new.joins(next) };
            if let Some(joined) = joined {
                self.extents.remove(&next.span.start());
                self.bytes -= next.span.len();
                new = joined;
            }
        }
        self.put(new);
    }

    fn put(&mut self, extent: Extent) {
        self.bytes += extent.span.len();
        self.extents.insert(extent.span.start(), extent);
    }

    /// How many extents there will be when [`Self::overlay`] puts these bytes there.
    pub fn count_with(&self, span: Span, from: Source) -> usize {
        let new = Extent { span, from };
        let replaced: Vec<Extent> = self.touched(span).collect();
        let rests: Vec<Extent> = replaced.iter().flat_map(|old| old.outside(span)).collect();
        let kept = self.extents.range(..span.start()).next_back().map(|(_, extent)| *extent);
        let next = self.extents.get(&span.end()).copied();
        let around = rests.iter().copied().chain(kept.filter(|kept| kept.span.end() == span.start())).chain(next);
        let joined = around.filter(|extent| extent.joins(new).is_some() || new.joins(*extent).is_some()).count();
        self.extents.len() - replaced.len() + rests.len() + 1 - joined
    }

    /// Extents that have bytes of `span`, as they are.
    fn touched(&self, span: Span) -> impl Iterator<Item = Extent> + '_ {
        let first = self.extents.range(..=span.start()).next_back().map_or(span.start(), |(start, _)| *start);
        let from = self.extents.range(first..span.end()).map(|(_, extent)| *extent);
        from.filter(move |extent| extent.span.intersect(span).is_some())
    }

    /// Zeros wherever nothing is before `length`.
    pub fn fill(&mut self, length: u64) {
        let Some(whole) = Span::new(0, length) else { return };
        let received: SpanSet = self.extents.values().map(|extent| extent.span).collect();
        for gap in received.missing(whole) {
            self.overlay(gap, Source::Zeros);
        }
    }

    /// How many bytes are there.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many extents they are in.
    pub fn count(&self) -> usize {
        self.extents.len()
    }

    /// The first byte that is not there.
    pub fn contiguous(&self) -> u64 {
        let run = self.extents.values().try_fold(0, |end, extent| match extent.span.start() == end {
            true => Ok(extent.span.end()),
            false => Err(end),
        });
        run.unwrap_or_else(|end| end)
    }

    /// One past the highest byte.
    pub fn end(&self) -> u64 {
        self.extents.last_key_value().map_or(0, |(_, extent)| extent.span.end())
    }

    /// Whether some byte of `span` is there.
    pub fn touches(&self, span: Span) -> bool {
        self.touched(span).next().is_some()
    }

    /// What holds the bytes of `span`, as far as they are there, in order.
    pub fn holders(&self, span: Span) -> impl Iterator<Item = Extent> + '_ {
        self.touched(span).filter_map(move |extent| extent.within(span))
    }

    /// Every object bytes are in.
    pub fn objects(&self) -> BTreeSet<ObjectId> {
        let object = |extent: &Extent| match extent.from {
            Source::Object(object, _) => Some(object),
            Source::Zeros => None,
        };
        self.extents.values().filter_map(object).collect()
    }

    /// Some of its bytes are in this object.
    pub fn refers_to(&self, object: ObjectId) -> bool {
        self.extents.values().any(|extent| matches!(extent.from, Source::Object(of, _) if of == object))
    }

    /// The object whose first `length` bytes are all of this.
    pub fn only(&self, length: u64) -> Option<ObjectId> {
        let (_, first) = self.extents.first_key_value()?;
        match first.from {
            Source::Object(object, 0) if first.span == Span::new(0, length)? && self.extents.len() == 1 => Some(object),
            Source::Object(..) | Source::Zeros => None,
        }
    }

    /// What to build it from; it has no gap.
    pub fn pieces(&self) -> Vec<Piece> {
        self.extents.values().map(|extent| extent.piece()).collect()
    }
}

impl From<Vec<Extent>> for Content {
    fn from(extents: Vec<Extent>) -> Self {
        let mut content = Self::default();
        extents.into_iter().for_each(|extent| content.overlay(extent.span, extent.from));
        content
    }
}

impl From<Content> for Vec<Extent> {
    fn from(content: Content) -> Self {
        content.extents.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: u64 = 48;

    /// Byte `at` of object `which`.
    fn byte(which: u8, at: u64) -> (u8, u64) {
        (which, at)
    }

    fn read(content: &Content) -> Vec<Option<(u8, u64)>> {
        let mut bytes = vec![None; SIZE as usize];
        for extent in content.extents.values() {
            for (index, at) in (extent.span.start()..extent.span.end()).enumerate() {
                bytes[at as usize] = Some(match extent.from {
                    Source::Object(object, from) => byte(object.as_bytes()[0], from + index as u64),
                    Source::Zeros => byte(0, 0),
                });
            }
        }
        bytes
    }

    proptest! {
        /// Against a plain vector of bytes: the last write wins, whatever order, overlap or repetition.
        #[test]
        fn overlays_are_writes(
            writes in prop::collection::vec((0..SIZE, 1..=16u64, 1u8..4, prop::option::of(0u64..4)), 0..20),
            probe in (0..SIZE, 1..=SIZE),
        ) {
            let (mut content, mut model) = (Content::default(), vec![None; SIZE as usize]);
            for (start, len, which, from) in writes {
                let span = Span::new(start, (start + len).min(SIZE)).unwrap();
                // In place (its own offset in the object), or aside (from some other offset on).
                let from = from.unwrap_or(start);
                let from_object = Source::Object(ObjectId::from_bytes([which; 16]), from);
                let count = content.count_with(span, from_object);
                content.overlay(span, from_object);
                prop_assert_eq!(content.count(), count);
                for at in span.start()..span.end() {
                    model[at as usize] = Some(byte(which, from + (at - span.start())));
                }
                prop_assert_eq!(read(&content), model.clone());
                let is_apart = |pair: &[Extent]| {
                    pair[0].span.end() <= pair[1].span.start() && pair[0].joins(pair[1]).is_none()
                };
                let extents = Vec::from(content.clone());
                prop_assert!(extents.windows(2).all(is_apart));
                prop_assert_eq!(Content::from(extents), content.clone());
            }
            let there = |at: usize| model[at].is_some();
            prop_assert_eq!(content.bytes() as usize, model.iter().flatten().count());
            prop_assert_eq!(content.contiguous() as usize, (0..SIZE as usize).find(|at| !there(*at)).unwrap_or(SIZE as usize));
            prop_assert_eq!(content.end() as usize, (0..SIZE as usize).rev().find(|at| there(*at)).map_or(0, |at| at + 1));
            let span = Span::new(probe.0, (probe.0 + probe.1).min(SIZE)).unwrap();
            let range = span.start() as usize..span.end() as usize;
            prop_assert_eq!(content.touches(span), range.clone().any(there));
            let held: u64 = content.holders(span).map(|extent| extent.span.len()).sum();
            prop_assert_eq!(held as usize, range.filter(|at| there(*at)).count());
            let end = content.end();
            content.fill(end);
            let filled: Vec<_> = model[..end as usize].iter().map(|byte_there| byte_there.unwrap_or(byte(0, 0))).collect();
            prop_assert_eq!(read(&content)[..end as usize].iter().flatten().copied().collect::<Vec<_>>(), filled);
            prop_assert_eq!(content.pieces().iter().map(Piece::bytes).sum::<u64>(), end);
        }
    }

    #[test]
    fn what_lies_in_one_object_from_its_start_needs_no_building() {
        let object = ObjectId::from_bytes([1; 16]);
        let mut content = Content::default();
        assert_eq!(content.only(0), None);
        for (start, end) in [(20, 30), (0, 10), (10, 20)] {
            content.overlay(Span::new(start, end).unwrap(), Source::Object(object, start));
        }
        assert_eq!((content.only(30), content.only(29)), (Some(object), None));
        content.overlay(Span::new(5, 6).unwrap(), Source::Object(ObjectId::from_bytes([2; 16]), 0));
        assert_eq!(content.only(30), None);
    }
}
