//! Which object holds which bytes of a file: a map of extents, the last accepted bytes on top.
//!
//! Must stay true: extents are in order, none is empty, none overlaps another; bytes of objects are never overwritten, so
//! replacing bytes means pointing elsewhere.

use std::collections::BTreeSet;

use etransfer_contract::step::Piece;
use etransfer_contract::{ObjectId, Span, SpanSet};
use serde::{Deserialize, Serialize};

/// The extents of one file or upload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content(Vec<Extent>);

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
        let before = Span::new(0, span.start());
        let after = Span::new(span.end(), etransfer_contract::span::OFFSET_MAX);
        let part =
            |side: Option<Span>| self.0.iter().filter_map(move |extent| extent.within(side?)).collect::<Vec<_>>();
        let all = part(before).into_iter().chain([Extent { span, from }]).chain(part(after));
        let mut joined: Vec<Extent> = Vec::with_capacity(self.0.len() + 2);
        for extent in all {
            match joined.last().and_then(|last| last.joins(extent)) {
                Some(both) => *joined.last_mut().expect("it was just looked at") = both,
                None => joined.push(extent),
            }
        }
        self.0 = joined;
    }

    /// Zeros wherever nothing is before `length`.
    pub fn fill(&mut self, length: u64) {
        let Some(whole) = Span::new(0, length) else { return };
        for gap in self.received().missing(whole) {
            self.overlay(gap, Source::Zeros);
        }
    }

    /// Which bytes are there.
    pub fn received(&self) -> SpanSet {
        self.0.iter().map(|extent| extent.span).collect()
    }

    /// One past the highest byte.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |extent| extent.span.end())
    }

    /// Whether some byte of `span` is there.
    pub fn touches(&self, span: Span) -> bool {
        self.0.iter().any(|extent| extent.span.intersect(span).is_some())
    }

    /// What holds the bytes of `span`, as far as they are there, in order.
    pub fn holders(&self, span: Span) -> impl Iterator<Item = Extent> + '_ {
        self.0.iter().filter_map(move |extent| extent.within(span))
    }

    /// Every object bytes are in.
    pub fn objects(&self) -> BTreeSet<ObjectId> {
        let object = |extent: &Extent| match extent.from {
            Source::Object(object, _) => Some(object),
            Source::Zeros => None,
        };
        self.0.iter().filter_map(object).collect()
    }

    /// The object whose first `length` bytes are all of this.
    pub fn only(&self, length: u64) -> Option<ObjectId> {
        match self.0.as_slice() {
            [Extent { span, from: Source::Object(object, 0) }] if *span == Span::new(0, length)? => Some(*object),
            _ => None,
        }
    }

    /// What to build it from; it has no gap.
    pub fn pieces(&self) -> Vec<Piece> {
        self.0.iter().map(|extent| extent.piece()).collect()
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
        for extent in &content.0 {
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
                content.overlay(span, Source::Object(ObjectId::from_bytes([which; 16]), from));
                for at in span.start()..span.end() {
                    model[at as usize] = Some(byte(which, from + (at - span.start())));
                }
                prop_assert_eq!(read(&content), model.clone());
                let is_apart = |pair: &[Extent]| {
                    pair[0].span.end() <= pair[1].span.start() && pair[0].joins(pair[1]).is_none()
                };
                prop_assert!(content.0.windows(2).all(is_apart));
            }
            let there = |at: usize| model[at].is_some();
            prop_assert_eq!(content.received().bytes() as usize, model.iter().flatten().count());
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
