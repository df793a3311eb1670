//! Who gets a `download_once` file: at most one receiver its complete content (P10, §3 rules 1-4).
//!
//! The data plane keeps the last block of every delivery back until [`Once::claim`] said yes, and the yes is on disk
//! before it is said. So at any instant it is known what every receiver has *or may have by now*: what was delivered plus
//! what was promised. The first receiver for whom that is everything holds the file; every other claim is refused until
//! the holder failed ([`Once::ended`] with `whole: false`), and for ever once it succeeded.

use std::collections::BTreeMap;

use etransfer_contract::grant::Ticket;
use etransfer_contract::{Span, SpanSet};
use serde::{Deserialize, Serialize};

use super::receiver::{Receiver, Who};

/// Receivers remembered per file; beyond it the one that has least is forgotten.
const RECEIVERS_MAX: usize = 1024;

/// The state of one `download_once` file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Once {
    /// What each receiver got whole.
    delivered: BTreeMap<String, SpanSet>,
    /// Chunks that were delivered by themselves: nobody gets them again.
    consumed: SpanSet,
    /// How many those are.
    chunks_consumed: u64,
    /// Deliveries whose last block was let go and whose end is not known.
    promises: Vec<Promise>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Promise {
    ticket: Ticket,
    /// Run of the data plane that asked.
    run: u64,
    who: String,
    span: Option<Span>,
    by_chunk: bool,
}

/// One delivery of the file.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Its grant.
    pub ticket: Ticket,
    /// The data plane's run.
    pub run: u64,
    /// To whom, and how it counts.
    pub receiver: &'a Receiver,
    /// What; `None` for an empty file.
    pub span: Option<Span>,
}

impl Once {
    /// Spans nobody may have any more.
    pub fn consumed(&self) -> impl Iterator<Item = Span> + '_ {
        self.consumed.iter()
    }

    /// Whether some byte of `span` was consumed.
    pub fn is_consumed(&self, span: Span) -> bool {
        self.consumed.iter().any(|gone| gone.intersect(span).is_some())
    }

    /// How many chunks were consumed.
    pub fn chunks_consumed(&self) -> u64 {
        self.chunks_consumed
    }

    /// Whether someone has, or may have by now, all of it.
    pub fn is_taken(&self, length: Option<u64>) -> bool {
        let promised = self.promises.iter().map(|promise| promise.who.as_str());
        self.delivered.keys().map(String::as_str).chain(promised).any(|who| self.may_have(who, length))
    }

    /// May the last block of this delivery go? The yes must be on disk before it is told.
    pub fn claim(&mut self, delivery: Delivery<'_>, length: Option<u64>) -> bool {
        let Delivery { ticket, run, receiver, span } = delivery;
        if self.promises.iter().any(|promise| promise.ticket == ticket) {
            return true;
        }
        // A promise of a data plane that died will never be settled; the same receiver may try again.
        let who = receiver.who.as_str();
        self.promises.retain(|promise| promise.run == run || promise.who != who);
        let touches = |other: Option<Span>| matches!((span, other), (Some(a), Some(b)) if a.intersect(b).is_some());
        let in_flight = |promise: &Promise| promise.by_chunk && touches(promise.span);
        if span.is_some_and(|span| self.is_consumed(span))
            || self.is_taken(length)
            || (receiver.by_chunk && self.promises.iter().any(in_flight))
        {
            return false;
        }
        let by_chunk = receiver.by_chunk;
        self.promises.push(Promise { ticket, run, who: who.to_owned(), span, by_chunk });
        true
    }

    /// The delivery ended. `true`: somebody has everything now, or no chunk is left.
    pub fn ended(&mut self, delivery: Delivery<'_>, whole: bool, length: Option<u64>) -> bool {
        self.promises.retain(|promise| promise.ticket != delivery.ticket);
        if !whole {
            return false;
        }
        let who = &delivery.receiver.who;
        self.deliver(who, delivery.span);
        if let Some(span) = delivery.span.filter(|_| delivery.receiver.by_chunk) {
            self.chunks_consumed += u64::from(!self.consumed.contains(span));
            self.consumed.insert(span);
        }
        self.is_used_up(length)
    }

    /// Somebody got everything, or no chunk is left. Asked again when the upload completes.
    pub fn is_used_up(&self, length: Option<u64>) -> bool {
        let Some(length) = length else { return false };
        let all = |set: &SpanSet| set.bytes() >= length;
        self.delivered.values().any(all) || (length > 0 && all(&self.consumed))
    }

    fn deliver(&mut self, who: &Who, span: Option<Span>) {
        let got = self.delivered.entry(who.as_str().to_owned()).or_default();
        span.into_iter().for_each(|span| got.insert(span));
        if self.delivered.len() > RECEIVERS_MAX {
            let least = self.delivered.iter().min_by_key(|(_, got)| got.bytes()).map(|(who, _)| who.clone());
            least.and_then(|who| self.delivered.remove(&who));
        }
    }

    fn may_have(&self, who: &str, length: Option<u64>) -> bool {
        let Some(length) = length else { return false };
        let mut got = self.delivered.get(who).cloned().unwrap_or_default();
        let promised = self.promises.iter().filter(|promise| promise.who == who);
        promised.filter_map(|promise| promise.span).for_each(|span| got.insert(span));
        got.bytes() >= length
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: Option<u64> = Some(100);

    fn receiver(name: &str, by_chunk: bool) -> Receiver {
        Receiver { who: Who::credential(name), by_chunk }
    }

    fn delivery<'a>(ticket: Ticket, receiver: &'a Receiver, start: u64, end: u64) -> Delivery<'a> {
        Delivery { ticket, run: 1, receiver, span: Span::new(start, end) }
    }

    #[test]
    fn p10_of_32_whole_deliveries_one_is_let_go() {
        let mut once = Once::default();
        let names: Vec<Receiver> = (0..32).map(|index| receiver(&format!("{}", index / 2), false)).collect();
        let go: Vec<bool> =
            (0..32).map(|index| once.claim(delivery(index as u64, &names[index], 0, 100), LENGTH)).collect();
        assert_eq!(go.iter().filter(|go| **go).count(), 1);
        assert!(once.claim(delivery(0, &names[0], 0, 100), LENGTH), "the same claim told twice");
        assert!(once.ended(delivery(0, &names[0], 0, 100), true, LENGTH));
    }

    #[test]
    fn p10_a_failed_end_releases_the_claim() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        assert!(once.claim(delivery(1, &a, 0, 100), LENGTH));
        assert!(!once.claim(delivery(2, &b, 0, 100), LENGTH));
        assert!(!once.ended(delivery(1, &a, 0, 100), false, LENGTH));
        assert!(once.claim(delivery(3, &b, 0, 100), LENGTH));
    }

    #[test]
    fn section_3_rule_3_ranges_of_one_receiver_add_up_and_of_two_do_not() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        for (ticket, who, start, end, used_up) in
            [(1, &a, 0, 50, false), (2, &b, 50, 100, false), (3, &a, 40, 90, false), (4, &a, 90, 100, true)]
        {
            assert!(once.claim(delivery(ticket, who, start, end), LENGTH));
            assert_eq!(once.ended(delivery(ticket, who, start, end), true, LENGTH), used_up, "{ticket}");
        }
        assert!(!once.claim(delivery(5, &b, 0, 50), LENGTH), "b would have everything too");
    }

    #[test]
    fn section_2_8_a_chunk_is_consumed_by_its_delivery() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", true), receiver("b", true));
        assert!(once.claim(delivery(1, &a, 0, 50), LENGTH));
        assert!(!once.claim(delivery(2, &b, 0, 50), LENGTH), "one receiver per chunk");
        assert!(!once.ended(delivery(1, &a, 0, 50), true, LENGTH));
        assert_eq!((once.chunks_consumed(), once.is_consumed(Span::new(49, 51).unwrap())), (1, true));
        let ranged = receiver("b", false);
        assert!(!once.claim(delivery(3, &ranged, 0, 10), LENGTH));
        assert!(once.claim(delivery(4, &b, 50, 100), LENGTH));
        assert!(once.ended(delivery(4, &b, 50, 100), true, LENGTH), "no chunk is left");
    }

    #[test]
    fn a_promise_of_a_dead_data_plane_binds_the_file_to_its_receiver() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        assert!(once.claim(delivery(1, &a, 0, 100), LENGTH));
        let later = |ticket, receiver| Delivery { run: 2, ..delivery(ticket, receiver, 0, 100) };
        assert!(!once.claim(later(2, &b), LENGTH), "a may have it");
        assert!(once.claim(later(3, &a), LENGTH));
    }

    #[test]
    fn an_empty_file_is_used_up_by_one_empty_delivery() {
        let mut once = Once::default();
        let a = receiver("a", false);
        let empty = Delivery { ticket: 1, run: 1, receiver: &a, span: None };
        assert!(!once.is_taken(Some(0)));
        assert!(once.claim(empty, Some(0)));
        assert!(once.is_taken(Some(0)));
        assert!(once.ended(empty, true, Some(0)));
    }

    proptest! {
        /// P10: whatever is claimed, delivered and cut, in any order, at most one receiver ends up with every byte.
        #[test]
        fn p10_at_most_one_receiver_gets_everything(
            steps in prop::collection::vec((0usize..3, any::<bool>(), 0u64..10, 1u64..=10, any::<bool>(), any::<bool>()), 1..60),
        ) {
            let mut once = Once::default();
            let mut got = vec![SpanSet::new(); 3];
            let mut open = Vec::new();
            let names = ["a", "b", "c"];
            for (ticket, (who, by_chunk, start, tens, whole, end_one)) in steps.into_iter().enumerate() {
                let (start, end) = if by_chunk { (start * 10, start * 10 + 10) } else { (start * 10, (start + tens).min(10) * 10) };
                let receiver = receiver(names[who], by_chunk);
                let span = Span::new(start, end).unwrap();
                let delivery = Delivery { ticket: ticket as u64, run: 1, receiver: &receiver, span: Some(span) };
                if once.claim(delivery, LENGTH) {
                    open.push((ticket as u64, who, receiver.clone(), span, whole));
                }
                if end_one && !open.is_empty() {
                    let (ticket, who, receiver, span, whole) = open.remove(0);
                    if whole { got[who].insert(span); }
                    once.ended(Delivery { ticket, run: 1, receiver: &receiver, span: Some(span) }, whole, LENGTH);
                }
            }
            for (ticket, who, receiver, span, _) in open {
                got[who].insert(span);
                once.ended(Delivery { ticket, run: 1, receiver: &receiver, span: Some(span) }, true, LENGTH);
            }
            prop_assert!(got.iter().filter(|set| set.bytes() == 100).count() <= 1);
        }
    }
}
