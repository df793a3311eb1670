//! Who gets a `download_once` file: at most one receiver its complete content (PROMISES.md P10,
//! easytransfer/CONTRACT.md §3 rules 1-4).
//!
//! The data plane lets no byte of a delivery go before [`Once::claim`] said yes, and the yes is on disk before it is said:
//! first for all but the last block of the delivery, then for that block. It tells the end of each delivery with how far the
//! *receiver's kernel* got ([`Reach`]). So for each receiver two sets of bytes are known at every instant:
//!
//! * **received**: acknowledged by the receiver's kernel;
//! * **possible**: received, or perhaps received (`doubtful`), or let go by a delivery under way (`promises`).
//!
//! | event | condition | received | doubtful | promises |
//! |---|---|---|---|---|
//! | claim of bytes S by W | W's possible bytes with S are less than the file | – | – | + S, yes |
//! | | they are all of it, and another receiver's possible bytes are all of it too | – | – | no |
//! | | they are all of it, and W's received bytes with its *other* deliveries under way are too | – | – | no |
//! | | they are all of it, otherwise | – | – | + S, yes: W holds the file |
//! | | S touches a consumed chunk, or a chunk that is under way by itself | – | – | no |
//! | end, acknowledged A, left L | – | + A | + L, without what was received | – the delivery's |
//! | end, of a data plane that tells no reach | whole | + its span | – | – the delivery's |
//! | | failed | – | + what it had claimed | – the delivery's |
//! | first claim of a later run of the data plane | – | – | + what the old run's deliveries had claimed | – theirs |
//! | after each end | W received all of the file, or no chunk is left | the file is gone | | |
//!
//! Must stay true: *at most one receiver's possible bytes are the whole file*. The possible bytes of a receiver grow by a
//! claim alone (and by rounding, [`ONCE_SPANS_MAX`], which only refuses more), and the claim that would make them the whole file
//! is refused while another's are. It follows that a file
//! whose last block left to a receiver that never acknowledged it is bound to that receiver, who may try again; others are
//! refused, because what that receiver has cannot be known. A file whose last byte never left is bound to no receiver.
//!
//! An upload of unknown length counts as whole as far as it was let go to any receiver: that is never more than the file.
//!
//! Stored inside a record as JSON. History: `doubtful` and `others` were added, absent is empty; `delivered` is what is
//! called received here.

use std::collections::{BTreeMap, BTreeSet};

use etransfer_contract::fact::Reach;
use etransfer_contract::grant::Ticket;
use etransfer_contract::{Span, SpanSet};
use serde::{Deserialize, Serialize};

use super::receiver::Receiver;
use crate::bounds::{ONCE_RECEIVERS_MAX, ONCE_SPANS_MAX};

/// The state of one `download_once` file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Once {
    /// What each receiver's kernel acknowledged.
    delivered: BTreeMap<String, SpanSet>,
    /// What else left to each receiver, unanswered.
    #[serde(default)]
    doubtful: BTreeMap<String, SpanSet>,
    /// What the receivers had that are not remembered one by one any more. Each receiver may be one of them.
    #[serde(default)]
    others: SpanSet,
    /// Chunks that were delivered by themselves: gone for every receiver.
    consumed: SpanSet,
    /// How many those are.
    chunks_consumed: u64,
    /// Deliveries under way that may send, and what.
    promises: Vec<Promise>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Promise {
    ticket: Ticket,
    /// Run of the data plane that asked.
    run: u64,
    who: String,
    /// What it may send so far.
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
    /// What it may send after a yes to its claim, or was to send when it ended; `None` for an empty file.
    pub span: Option<Span>,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// All of it was delivered.
    pub whole: bool,
    /// How far it got, when the data plane tells.
    pub reach: Option<Reach>,
}

impl Once {
    /// Spans that are gone for every receiver.
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

    /// Whether this delivery, all of it, would give the receiver the whole file while it is another receiver's, who received all
    /// of it or may have, with no delivery under way in this run of the data plane that could still show otherwise.
    pub fn is_bound_to_another(&self, delivery: Delivery<'_>, length: Option<u64>) -> bool {
        let Delivery { run, receiver, span, .. } = delivery;
        let who = receiver.who.as_str();
        let mut mine = self.possible(who, |_| true);
        span.into_iter().for_each(|span| mine.insert(span));
        let settled = |other: &str| self.possible(other, |promise| promise.run != run);
        // Of an empty file there is nothing to have in doubt.
        length > Some(0)
            && is_all(&mine, length)
            && self.known().into_iter().any(|other| other != who && is_all(&settled(other), length))
    }

    /// May these bytes go? The yes must be on disk before it is told.
    pub fn claim(&mut self, delivery: Delivery<'_>, length: Option<u64>) -> bool {
        let Delivery { ticket, run, receiver, span } = delivery;
        self.bury_other_runs(run);
        let (who, by_chunk) = (receiver.who.as_str(), receiver.by_chunk);
        let earlier = self.promises.iter().position(|promise| promise.ticket == ticket);
        if earlier.is_some_and(|index| covers(self.promises[index].span, span)) {
            return true;
        }
        if self.is_refused(&delivery, length) {
            return false;
        }
        match earlier {
            Some(index) => self.promises[index].span = span,
            None => self.promises.push(Promise { ticket, run, who: who.to_owned(), span, by_chunk }),
        }
        true
    }

    /// The delivery ended. `true`: some receiver has everything now, or no chunk is left.
    pub fn ended(&mut self, delivery: Delivery<'_>, end: End, length: Option<u64>) -> bool {
        let Delivery { ticket, receiver, span, .. } = delivery;
        let index = self.promises.iter().position(|promise| promise.ticket == ticket);
        let promise = index.map(|index| self.promises.swap_remove(index));
        let (received, left) = match end.reach {
            Some(reach) => (prefix(span, reach.acknowledged), prefix(span, reach.sent)),
            None if end.whole => (span, span),
            None => (None, promise.and_then(|promise| promise.span)),
        };
        if end.whole || received.is_some() || left.is_some() {
            self.note(receiver.who.as_str(), received, left, end.whole);
        }
        if let Some(span) = span.filter(|_| end.whole && receiver.by_chunk) {
            self.chunks_consumed += u64::from(!self.consumed.contains(span));
            self.consumed.insert(span);
        }
        self.is_used_up(length)
    }

    /// A receiver has everything, or no chunk is left. Checked again when the upload completes.
    pub fn is_used_up(&self, length: Option<u64>) -> bool {
        let is_all = |set: &SpanSet| is_all(set, length);
        length.is_some() && (self.delivered.values().any(is_all) || (length > Some(0) && is_all(&self.consumed)))
    }

    /// The conditions of the table under which a claim gets a no.
    fn is_refused(&self, delivery: &Delivery<'_>, length: Option<u64>) -> bool {
        let Delivery { ticket, receiver, span, .. } = *delivery;
        let touches = |other: Option<Span>| matches!((span, other), (Some(a), Some(b)) if a.intersect(b).is_some());
        let is_under_way = |promise: &Promise| promise.by_chunk && promise.ticket != ticket && touches(promise.span);
        if span.is_some_and(|span| self.is_consumed(span))
            || (receiver.by_chunk && self.promises.iter().any(is_under_way))
        {
            return true;
        }
        let who = receiver.who.as_str();
        let length = length.or_else(|| self.longest(span));
        let mut mine = self.possible(who, |_| true);
        span.into_iter().for_each(|span| mine.insert(span));
        if !is_all(&mine, length) {
            return false;
        }
        let has_all = |other: &str| is_all(&self.possible(other, |_| true), length);
        let is_anothers = self.known().into_iter().filter(|other| *other != who).any(has_all);
        let is_forgotten = self.others.bytes() > 0 && is_all(&self.others, length);
        is_anothers || is_forgotten || self.is_about_to_receive_all(who, ticket, length)
    }

    /// The receiver has, or its other deliveries under way will bring, everything.
    fn is_about_to_receive_all(&self, who: &str, ticket: Ticket, length: Option<u64>) -> bool {
        let others: Vec<&Promise> =
            self.promises.iter().filter(|promise| promise.who == who && promise.ticket != ticket).collect();
        let mut coming = self.delivered.get(who).cloned().unwrap_or_default();
        others.iter().filter_map(|promise| promise.span).for_each(|span| coming.insert(span));
        (self.delivered.contains_key(who) || !others.is_empty()) && is_all(&coming, length)
    }

    /// Receivers of whom something is known.
    fn known(&self) -> BTreeSet<&str> {
        let promised = self.promises.iter().map(|promise| &promise.who);
        self.delivered.keys().chain(self.doubtful.keys()).chain(promised).map(String::as_str).collect()
    }

    /// What the receiver has or may have by now, of its deliveries under way those that `counts`.
    fn possible(&self, who: &str, counts: impl Fn(&Promise) -> bool) -> SpanSet {
        let mut all = self.others.clone();
        let known = [&self.delivered, &self.doubtful].into_iter().filter_map(|sets| sets.get(who));
        known.flat_map(SpanSet::iter).for_each(|span| all.insert(span));
        let promised = self.promises.iter().filter(|promise| promise.who == who && counts(promise));
        promised.filter_map(|promise| promise.span).for_each(|span| all.insert(span));
        all
    }

    /// How far any receiver may have the file, `span` included.
    fn longest(&self, span: Option<Span>) -> Option<u64> {
        let sets = self.delivered.values().chain(self.doubtful.values()).chain([&self.others]);
        let ends = sets.flat_map(SpanSet::iter).chain(self.promises.iter().filter_map(|promise| promise.span));
        ends.chain(span).map(Span::end).max()
    }

    /// Deliveries of a data plane that ended will never be told: what they were allowed to send may have arrived.
    fn bury_other_runs(&mut self, run: u64) {
        let (alive, dead) = std::mem::take(&mut self.promises).into_iter().partition(|promise| promise.run == run);
        self.promises = alive;
        for Promise { who, span, .. } in dead {
            self.note(&who, None, span, false);
        }
    }

    fn note(&mut self, who: &str, received: Option<Span>, left: Option<Span>, even_nothing: bool) {
        if received.is_some() || even_nothing {
            let got = self.delivered.entry(who.to_owned()).or_default();
            received.into_iter().for_each(|span| got.insert(span));
        }
        if let Some(left) = left {
            let got = self.delivered.get(who);
            let doubtful = got.map_or_else(|| vec![left], |got| got.missing(left));
            let unsure = self.doubtful.entry(who.to_owned()).or_default();
            received.into_iter().for_each(|span| unsure.remove(span));
            doubtful.into_iter().for_each(|span| unsure.insert(span));
            if unsure.count() == 0 {
                self.doubtful.remove(who);
            }
        }
        self.coarsen(who);
        self.forget_one();
    }

    /// Keeps what is known of a receiver small: of what it received its smallest pieces become doubtful, and what is
    /// doubtful grows over its smallest gaps.
    fn coarsen(&mut self, who: &str) {
        while let Some(got) = self.delivered.get_mut(who).filter(|got| got.count() > ONCE_SPANS_MAX) {
            let Some(least) = got.iter().min_by_key(|span| span.len()) else { return };
            got.remove(least);
            self.doubtful.entry(who.to_owned()).or_default().insert(least);
        }
        if let Some(unsure) = self.doubtful.get_mut(who) {
            close_gaps(unsure);
        }
    }

    fn forget_one(&mut self) {
        let known: BTreeSet<&String> = self.delivered.keys().chain(self.doubtful.keys()).collect();
        if known.len() <= ONCE_RECEIVERS_MAX {
            return;
        }
        let bytes = |who: &String| {
            [&self.delivered, &self.doubtful]
                .into_iter()
                .filter_map(|sets| sets.get(who))
                .map(SpanSet::bytes)
                .sum::<u64>()
        };
        let Some(least) = known.into_iter().min_by_key(|who| bytes(who)).cloned() else { return };
        let sets = [self.delivered.remove(&least), self.doubtful.remove(&least)];
        sets.iter().flatten().flat_map(SpanSet::iter).for_each(|span| self.others.insert(span));
        close_gaps(&mut self.others);
    }
}

/// Whether a set is the whole file; an empty set is an empty file.
fn is_all(set: &SpanSet, length: Option<u64>) -> bool {
    length.is_some_and(|length| set.bytes() >= length)
}

fn covers(promised: Option<Span>, asked: Option<Span>) -> bool {
    match (promised, asked) {
        (Some(promised), Some(asked)) => promised.contains(asked),
        (_, None) => true,
        (None, Some(_)) => false,
    }
}

/// The first `bytes` of a span.
fn prefix(span: Option<Span>, bytes: u64) -> Option<Span> {
    let span = span?;
    Span::at(span.start(), bytes.min(span.len()))
}

fn close_gaps(set: &mut SpanSet) {
    while set.count() > ONCE_SPANS_MAX {
        let gaps = set.iter().zip(set.iter().skip(1)).filter_map(|(a, b)| Span::new(a.end(), b.start()));
        let Some(least) = gaps.min_by_key(|gap| gap.len()) else { return };
        set.insert(least);
    }
}

#[cfg(test)]
mod tests {
    use super::super::receiver::Who;
    use super::*;

    const LENGTH: Option<u64> = Some(100);
    const WHOLE: End = End { whole: true, reach: None };

    fn receiver(name: &str, by_chunk: bool) -> Receiver {
        Receiver { who: Who::credential(name), by_chunk }
    }

    fn delivery<'a>(ticket: Ticket, receiver: &'a Receiver, start: u64, end: u64) -> Delivery<'a> {
        Delivery { ticket, run: 1, receiver, span: Span::new(start, end) }
    }

    fn broke(acknowledged: u64, sent: u64) -> End {
        End { whole: false, reach: Some(Reach { acknowledged, sent }) }
    }

    #[test]
    fn p10_of_32_whole_deliveries_one_is_let_go() {
        let mut once = Once::default();
        let names: Vec<Receiver> = (0..32).map(|index| receiver(&format!("{}", index / 2), false)).collect();
        let beginnings = (0..32).filter(|index| once.claim(delivery(*index as u64, &names[*index], 0, 90), LENGTH));
        assert_eq!(beginnings.count(), 32, "no beginning is the whole");
        let go: Vec<bool> =
            (0..32).map(|index| once.claim(delivery(index as u64, &names[index], 0, 100), LENGTH)).collect();
        assert_eq!(go.iter().filter(|go| **go).count(), 1);
        assert!(once.claim(delivery(0, &names[0], 0, 100), LENGTH), "the same claim told twice");
        assert!(once.ended(delivery(0, &names[0], 0, 100), WHOLE, LENGTH));
    }

    #[test]
    fn p10_a_last_block_that_never_left_releases_the_claim() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        for (ticket, end) in [(1, broke(0, 0)), (2, broke(90, 99)), (3, broke(40, 60))] {
            assert!(once.claim(delivery(ticket, &a, 0, 100), LENGTH));
            assert!(!once.claim(delivery(9, &b, 0, 100), LENGTH));
            assert!(!once.ended(delivery(ticket, &a, 0, 100), end, LENGTH));
            assert!(!once.is_bound_to_another(delivery(9, &b, 0, 100), LENGTH), "{end:?}");
        }
        assert!(once.claim(delivery(4, &b, 0, 100), LENGTH));
    }

    #[test]
    fn p10_a_last_block_without_an_answer_binds_the_file_to_its_receiver() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        assert!(once.claim(delivery(1, &a, 0, 100), LENGTH));
        assert!(!once.ended(delivery(1, &a, 0, 100), broke(90, 100), LENGTH), "it is not consumed");
        assert!(once.is_bound_to_another(delivery(2, &b, 0, 100), LENGTH));
        assert!(!once.is_bound_to_another(delivery(2, &b, 0, 99), LENGTH), "less than all is free");
        assert!(!once.claim(delivery(2, &b, 0, 100), LENGTH), "a may have it");
        assert!(once.claim(delivery(3, &b, 0, 90), LENGTH), "less than all is free");
        assert!(!once.is_bound_to_another(delivery(4, &a, 0, 100), LENGTH));
        assert!(once.claim(delivery(4, &a, 90, 100), LENGTH), "a may try again");
        assert!(once.ended(delivery(4, &a, 90, 100), WHOLE, LENGTH), "and has all of it now");
    }

    /// faults.md O1: A reads all but the tail, resets, and then asks for the tail: that was everything, and B gets
    /// nothing.
    #[test]
    fn p10_what_a_broken_delivery_brought_counts() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        assert!(once.claim(delivery(1, &a, 0, 90), LENGTH));
        assert!(!once.ended(delivery(1, &a, 0, 100), broke(90, 90), LENGTH));
        assert!(once.claim(delivery(2, &a, 90, 100), LENGTH));
        assert!(!once.claim(delivery(3, &b, 0, 100), LENGTH));
        assert!(once.ended(delivery(2, &a, 90, 100), WHOLE, LENGTH));
    }

    /// The same with the first delivery still open: what it may send without asking counts before it is told.
    #[test]
    fn p10_what_a_delivery_under_way_may_bring_counts() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        assert!(once.claim(delivery(1, &a, 0, 90), LENGTH));
        assert!(once.claim(delivery(2, &a, 80, 100), LENGTH), "all of it, with what is under way");
        assert!(!once.ended(delivery(2, &a, 80, 100), WHOLE, LENGTH));
        assert!(!once.claim(delivery(3, &b, 0, 100), LENGTH));
        assert!(!once.ended(delivery(1, &a, 0, 100), broke(20, 30), LENGTH));
        assert!(once.claim(delivery(4, &b, 0, 100), LENGTH), "a got 0-30 and 80-100 at most");
    }

    #[test]
    fn section_3_rule_3_ranges_of_one_receiver_add_up_and_of_two_do_not() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        for (ticket, who, start, end, used_up) in
            [(1, &a, 0, 50, false), (2, &b, 50, 100, false), (3, &a, 40, 90, false), (4, &a, 90, 100, true)]
        {
            assert!(once.claim(delivery(ticket, who, start, end), LENGTH));
            assert_eq!(once.ended(delivery(ticket, who, start, end), WHOLE, LENGTH), used_up, "{ticket}");
        }
        assert!(!once.claim(delivery(5, &b, 0, 50), LENGTH), "b would have everything too");
    }

    #[test]
    fn section_3_rule_3_parallel_segments_and_an_aborted_one_add_up() {
        let mut once = Once::default();
        let a = receiver("a", false);
        for ticket in 0..4 {
            assert!(once.claim(delivery(ticket, &a, ticket * 25, ticket * 25 + 25), LENGTH));
        }
        assert!(!once.ended(delivery(1, &a, 25, 50), broke(10, 15), LENGTH));
        assert!([0, 2, 3].iter().all(|t| !once.ended(delivery(*t, &a, t * 25, t * 25 + 25), WHOLE, LENGTH)));
        assert!(once.claim(delivery(4, &a, 35, 50), LENGTH));
        assert!(once.ended(delivery(4, &a, 35, 50), WHOLE, LENGTH));
    }

    #[test]
    fn section_2_8_a_chunk_is_consumed_by_its_delivery() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", true), receiver("b", true));
        assert!(once.claim(delivery(1, &a, 0, 50), LENGTH));
        assert!(!once.claim(delivery(2, &b, 0, 50), LENGTH), "one receiver per chunk");
        assert!(!once.ended(delivery(1, &a, 0, 50), WHOLE, LENGTH));
        assert_eq!((once.chunks_consumed(), once.is_consumed(Span::new(49, 51).unwrap())), (1, true));
        let ranged = receiver("b", false);
        assert!(!once.claim(delivery(3, &ranged, 0, 10), LENGTH));
        assert!(once.claim(delivery(4, &b, 50, 100), LENGTH));
        assert!(once.ended(delivery(4, &b, 50, 100), WHOLE, LENGTH), "no chunk is left");
    }

    #[test]
    fn a_promise_of_a_dead_data_plane_binds_the_file_to_its_receiver() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        assert!(once.claim(delivery(1, &a, 0, 100), LENGTH));
        let later = |ticket, receiver| Delivery { run: 2, ..delivery(ticket, receiver, 0, 100) };
        assert!(!once.is_bound_to_another(delivery(2, &b, 0, 100), LENGTH), "its end is still to come");
        assert!(once.is_bound_to_another(later(2, &b), LENGTH));
        assert!(!once.claim(later(2, &b), LENGTH), "a may have it");
        assert!(once.claim(later(3, &a), LENGTH));
    }

    #[test]
    fn of_an_upload_of_unknown_length_one_receiver_has_all_that_is_there() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        assert!(once.claim(delivery(1, &a, 0, 50), None));
        assert!(!once.ended(delivery(1, &a, 0, 50), WHOLE, None));
        assert!(!once.claim(delivery(2, &b, 0, 50), None), "it may end here");
        assert!(once.claim(delivery(3, &b, 0, 60), None), "it did not");
        assert!(!once.claim(delivery(4, &a, 50, 60), None));
    }

    #[test]
    fn an_empty_file_is_used_up_by_one_empty_delivery() {
        let mut once = Once::default();
        let (a, b) = (receiver("a", false), receiver("b", false));
        let empty = |ticket, receiver| Delivery { ticket, run: 1, receiver, span: None };
        assert!(once.claim(empty(1, &a), Some(0)));
        assert!(!once.claim(empty(2, &b), Some(0)) && !once.claim(empty(3, &a), Some(0)));
        assert!(!once.is_bound_to_another(empty(2, &b), Some(0)));
        assert!(!once.ended(empty(1, &a), broke(0, 0), Some(0)));
        assert!(once.claim(empty(4, &b), Some(0)));
        assert!(once.ended(empty(4, &b), WHOLE, Some(0)));
    }

    #[test]
    fn yesterdays_record_is_read() {
        let text = r#"{"delivered":{"ta":[[0,50]]},"consumed":[],"chunks_consumed":0,
            "promises":[{"ticket":1,"run":1,"who":"ta","span":[50,100],"by_chunk":false}]}"#;
        let once: Once = serde_json::from_str(text).unwrap();
        let b = receiver("b", false);
        assert!(once.is_bound_to_another(Delivery { run: 2, ..delivery(2, &b, 0, 100) }, LENGTH));
    }

    #[test]
    fn b8_many_receivers_and_many_pieces_stay_small_and_are_not_forgotten() {
        let mut once = Once::default();
        let length = Some(10_000);
        let names: Vec<Receiver> = (0..1000).map(|index| receiver(&format!("{index}"), false)).collect();
        for (ticket, who) in (0..).zip(&names) {
            assert!(once.claim(delivery(ticket, who, 0, 9_990), length));
            assert!(!once.ended(delivery(ticket, who, 0, 9_990), WHOLE, length));
        }
        assert!(once.delivered.len() <= ONCE_RECEIVERS_MAX);
        for ticket in (2000..6000).step_by(2) {
            once.claim(delivery(ticket, &names[0], ticket, ticket + 1), length);
            once.ended(delivery(ticket, &names[0], ticket, ticket + 1), WHOLE, length);
        }
        assert!(once.delivered.values().chain(once.doubtful.values()).all(|set| set.count() <= ONCE_SPANS_MAX));
        assert!(once.claim(delivery(7000, &names[1], 9_990, 10_000), length));
        assert!(!once.claim(delivery(7001, &names[2], 9_990, 10_000), length), "remembered or not, it had the rest");
    }
}

#[cfg(test)]
mod model;
