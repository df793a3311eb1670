//! PROMISES.md P10 against a network that loses, delays and resets: what receivers *physically* have is kept beside the
//! books, which only hear what the node can know.

use proptest::prelude::*;

use super::super::receiver::Who;
use super::*;

const LENGTH: u64 = 40;
/// What the data plane holds back.
const HELD_BACK: u64 = 10;
const RECEIVERS: usize = 3;

#[derive(Debug, Clone)]
enum Event {
    /// A receiver asks for these bytes.
    Ask { who: usize, by_chunk: bool, start: u64, len: u64 },
    /// A delivery sends on, and asks for its last block when it comes to it.
    Send { which: usize, bytes: u64 },
    /// It ends: of what was sent this much arrived, and of that this much was acknowledged; told once or twice.
    End { which: usize, arrived: u64, acknowledged: u64, twice: bool },
    /// The data plane dies; what it sent arrived or not.
    Die { arrived: u64 },
    /// The control plane restarts on what it wrote.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..RECEIVERS, prop::bool::weighted(0.2), 0..LENGTH, 1..=LENGTH)
            .prop_map(|(who, by_chunk, start, len)| Event::Ask { who, by_chunk, start, len }),
        2 => (0..RECEIVERS).prop_map(|who| Event::Ask { who, by_chunk: false, start: 0, len: LENGTH }),
        6 => (any::<usize>(), 1..=LENGTH).prop_map(|(which, bytes)| Event::Send { which, bytes }),
        4 => (any::<usize>(), 0..=LENGTH, 0..=LENGTH, any::<bool>())
            .prop_map(|(which, arrived, acknowledged, twice)| Event::End { which, arrived, acknowledged, twice }),
        1 => (0..=LENGTH).prop_map(|arrived| Event::Die { arrived }),
        1 => Just(Event::Restart),
    ]
}

/// A delivery under way.
struct Open {
    ticket: Ticket,
    who: usize,
    receiver: Receiver,
    span: Span,
    sent: u64,
    may_send: u64,
}

struct World {
    once: Once,
    run: u64,
    tickets: Ticket,
    open: Vec<Open>,
    /// What each receiver physically has.
    has: Vec<SpanSet>,
    /// What left to each, arrived or not.
    left: Vec<SpanSet>,
    gone: bool,
}

impl World {
    fn new() -> Self {
        let sets = vec![SpanSet::new(); RECEIVERS];
        Self { once: Once::default(), run: 1, tickets: 0, open: Vec::new(), has: sets.clone(), left: sets, gone: false }
    }

    fn claim(&mut self, open: &Open, bytes: u64) -> bool {
        let span = Span::at(open.span.start(), bytes);
        let delivery = Delivery { ticket: open.ticket, run: self.run, receiver: &open.receiver, span };
        !self.gone && self.once.claim(delivery, Some(LENGTH))
    }

    fn ask(&mut self, who: usize, by_chunk: bool, start: u64, len: u64) {
        let Some(span) = Span::new(start, (start + len).min(LENGTH)).filter(|_| !self.gone) else { return };
        self.tickets += 1;
        let receiver = Receiver { who: Who::credential(&who.to_string()), by_chunk };
        let held = span.len() - HELD_BACK.min(span.len());
        let may_send = if held == 0 { span.len() } else { held };
        let open = Open { ticket: self.tickets, who, receiver, span, sent: 0, may_send };
        if self.claim(&open, may_send) {
            self.open.push(open);
        }
    }

    fn send(&mut self, which: usize, bytes: u64) {
        if self.open.is_empty() {
            return;
        }
        let mut open = self.open.swap_remove(which % self.open.len());
        let whole = open.span.len();
        if open.sent == open.may_send && open.may_send < whole && self.claim(&open, whole) {
            open.may_send = whole;
        }
        open.sent = (open.sent + bytes).min(open.may_send);
        Span::at(open.span.start(), open.sent).into_iter().for_each(|span| self.left[open.who].insert(span));
        self.open.push(open);
    }

    fn arrive(&mut self, open: &Open, arrived: u64) -> u64 {
        let arrived = arrived.min(open.sent);
        Span::at(open.span.start(), arrived).into_iter().for_each(|span| self.has[open.who].insert(span));
        arrived
    }

    fn end(&mut self, which: usize, arrived: u64, acknowledged: u64, twice: bool) {
        if self.open.is_empty() {
            return;
        }
        let open = self.open.swap_remove(which % self.open.len());
        let acknowledged = acknowledged.min(self.arrive(&open, arrived));
        let reach = Reach { acknowledged, sent: open.sent };
        let end = End { whole: acknowledged == open.span.len(), reach: Some(reach) };
        for _ in 0..=usize::from(twice) {
            let delivery =
                Delivery { ticket: open.ticket, run: self.run, receiver: &open.receiver, span: Some(open.span) };
            self.gone |= self.once.ended(delivery, end, Some(LENGTH));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Ask { who, by_chunk, start, len } => self.ask(who, by_chunk, start, len),
            Event::Send { which, bytes } => self.send(which, bytes),
            Event::End { which, arrived, acknowledged, twice } => self.end(which, arrived, acknowledged, twice),
            Event::Die { arrived } => {
                for open in std::mem::take(&mut self.open) {
                    self.arrive(&open, arrived);
                }
                self.run += 1;
            }
            Event::Restart => {
                let text = serde_json::to_string(&self.once).unwrap();
                self.once = serde_json::from_str(&text).unwrap();
            }
        }
    }
}

fn whole(sets: &[SpanSet]) -> usize {
    sets.iter().filter(|set| set.bytes() >= LENGTH).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is asked, sent, lost, reset, killed and told twice, at most one receiver ever has every byte.
    #[test]
    fn p10_at_most_one_receiver_ever_has_everything(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
        for open in std::mem::take(&mut world.open) {
            world.arrive(&open, LENGTH);
        }
        prop_assert!(whole(&world.has) <= 1, "{:?}", world.has);
    }

    /// Without chunks, which are consumed one by one: the file goes only to a receiver who has all of it, and what left to
    /// no receiver as a whole can still be had, by any of them.
    #[test]
    fn p10_a_file_no_receiver_could_have_got_is_still_there(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        for event in events.into_iter().filter(|event| !matches!(event, Event::Ask { by_chunk: true, .. } | Event::Die { .. })) {
            world.happen(event);
        }
        while !world.open.is_empty() {
            world.end(0, LENGTH, 0, false);
        }
        prop_assert!(!world.gone || whole(&world.has) == 1);
        if whole(&world.left) == 0 {
            for who in 0..RECEIVERS {
                let mut later = World { once: world.once.clone(), ..World::new() };
                later.tickets = world.tickets;
                later.ask(who, false, 0, LENGTH);
                later.send(0, LENGTH);
                later.send(0, LENGTH);
                later.end(0, LENGTH, LENGTH, false);
                prop_assert!(later.gone, "{who} is refused");
            }
        }
    }
}
