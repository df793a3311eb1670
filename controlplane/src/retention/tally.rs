//! When the ranges of one receiver add up to a full download, for files that stay (`X-Download-Count`).
//!
//! In memory and bounded: what is forgotten costs a count, nothing else. A delivery told twice counts once.

use std::collections::{HashMap, VecDeque};

use etransfer_contract::{ObjectId, Span, SpanSet};

use super::receiver::Who;
use crate::bounds::TALLY_PARTS_MAX;

/// Sums of deliveries.
#[derive(Debug, Default)]
pub struct Tally {
    parts: HashMap<(ObjectId, Who), SpanSet>,
    oldest: VecDeque<(ObjectId, Who)>,
    /// The last delivery, by run and number.
    heard: (u64, u64),
}

impl Tally {
    /// Adds what was delivered whole `times` times; how many full downloads that makes.
    pub fn add(&mut self, object: ObjectId, who: &Who, span: Option<Span>, length: u64, times: u64) -> u64 {
        let Some(span) = span.filter(|span| span.len() < length) else {
            return if span.is_some() || length == 0 { times } else { 0 };
        };
        let key = (object, who.clone());
        if !self.parts.contains_key(&key) {
            self.make_room();
            self.oldest.push_back(key.clone());
        }
        // The same bytes again add nothing to it.
        let got = self.parts.entry(key.clone()).or_default();
        got.insert(span);
        let full = got.bytes() >= length;
        if full {
            self.parts.remove(&key);
            self.oldest.retain(|other| *other != key);
        }
        u64::from(full)
    }

    /// Whether the delivery of this number, of this run of the data plane, was not told before: they come in order.
    pub fn is_new(&mut self, run: u64, number: u64) -> bool {
        let is_new = self.heard.0 != run || number > self.heard.1;
        if is_new {
            self.heard = (run, number);
        }
        is_new
    }

    fn make_room(&mut self) {
        if self.parts.len() >= TALLY_PARTS_MAX {
            self.oldest.pop_front().and_then(|old| self.parts.remove(&old));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_3_rule_3_ranges_of_one_receiver_make_one_full_download() {
        let mut tally = Tally::default();
        let id = ObjectId::from_bytes([1; 16]);
        let (a, b) = (Who::credential("a"), Who::credential("b"));
        for (who, span, times, full) in [
            (&a, Span::new(0, 10), 1, 1),
            (&a, Span::new(0, 10), 3, 3),
            (&a, Span::new(0, 5), 2, 0),
            (&b, Span::new(5, 10), 1, 0),
            (&a, Span::new(5, 10), 1, 1),
            (&a, Span::new(5, 10), 1, 0), // a new download begins
        ] {
            assert_eq!(tally.add(id, who, span, 10, times), full, "{who:?} {span:?} {times}");
        }
        assert_eq!((tally.add(id, &a, None, 0, 2), tally.add(id, &a, None, 10, 2)), (2, 0));
    }

    #[test]
    fn a_delivery_told_twice_is_known() {
        let mut tally = Tally::default();
        for (run, number, is_new) in [(1, 1, true), (1, 1, false), (1, 3, true), (1, 2, false), (2, 1, true)] {
            assert_eq!(tally.is_new(run, number), is_new, "{run} {number}");
        }
    }
}
