//! When the ranges of one receiver add up to a full download, for files that stay (`X-Download-Count`).
//!
//! In memory and bounded: what is forgotten costs a count, nothing else. A delivery told twice counts once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use etransfer_contract::fact::Fact;
use etransfer_contract::{ObjectId, Span, SpanSet};

use super::receiver::Who;

/// Receivers in the middle of a download that are remembered.
const PARTS_MAX: usize = 8192;
/// Deliveries remembered to know a repetition by.
const SEEN_MAX: usize = 8192;

/// Sums of deliveries.
#[derive(Debug, Default)]
pub struct Tally {
    parts: HashMap<(ObjectId, Who), SpanSet>,
    oldest: VecDeque<(ObjectId, Who)>,
    hasher: RandomState,
    seen: HashSet<u64>,
    seen_order: VecDeque<u64>,
}

impl Tally {
    /// Adds one whole delivery; `true` when it makes a full download.
    pub fn add(&mut self, object: ObjectId, who: &Who, span: Option<Span>, length: u64) -> bool {
        let Some(span) = span else { return length == 0 };
        if span.len() >= length {
            return true;
        }
        let key = (object, who.clone());
        if !self.parts.contains_key(&key) {
            self.make_room();
            self.oldest.push_back(key.clone());
        }
        let got = self.parts.entry(key.clone()).or_default();
        got.insert(span);
        let full = got.bytes() >= length;
        if full {
            self.parts.remove(&key);
            self.oldest.retain(|other| *other != key);
        }
        full
    }

    /// Whether this very fact was told before.
    pub fn is_repeated(&mut self, served: &Fact) -> bool {
        let Fact::Served { object, ticket, receiver, span, at_unix_ms, .. } = served else { return false };
        let name = self.hasher.hash_one((object, ticket, receiver, span, at_unix_ms));
        if !self.seen.insert(name) {
            return true;
        }
        self.seen_order.push_back(name);
        if self.seen_order.len() > SEEN_MAX {
            self.seen_order.pop_front().map(|old| self.seen.remove(&old));
        }
        false
    }

    fn make_room(&mut self) {
        if self.parts.len() >= PARTS_MAX {
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
        assert!(tally.add(id, &a, Span::new(0, 10), 10));
        assert!(!tally.add(id, &a, Span::new(0, 5), 10));
        assert!(!tally.add(id, &b, Span::new(5, 10), 10));
        assert!(tally.add(id, &a, Span::new(5, 10), 10));
        assert!(!tally.add(id, &a, Span::new(5, 10), 10), "a new download begins");
        assert!(tally.add(id, &a, None, 0));
    }

    #[test]
    fn a_delivery_told_twice_is_known() {
        let mut tally = Tally::default();
        let served = |at_unix_ms| Fact::Served {
            object: ObjectId::from_bytes([1; 16]),
            ticket: 1,
            receiver: "r:x".into(),
            span: None,
            whole: true,
            at_unix_ms,
        };
        assert!(!tally.is_repeated(&served(1)));
        assert!(tally.is_repeated(&served(1)));
        assert!(!tally.is_repeated(&served(2)));
    }
}
