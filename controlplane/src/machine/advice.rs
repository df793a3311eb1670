//! Which address the next client should use: the one with the most room in the direction its bytes take.
//!
//! For each endpoint, in one direction (a client's upload is what the node *receives*, easytransfer/CONTRACT.md
//! §16.24):
//!
//! ```text
//! capacity = speed; unknown: that of the slowest endpoint whose speed is known, 1000 Mbit/s when none is
//! load     = rate / capacity
//! headroom = capacity - rate, at least 1 % of capacity
//! promised = how often this endpoint was the answer in the last 3 s
//! open     = large bodies under way over it, as the data plane told last
//! share    = headroom / (promised + open + 1): what one more client may hope for
//! ```
//!
//! * Nothing is promised, so no other client asked just now: the strictly lowest load wins (easytransfer/CONTRACT.md
//!   §5.3).
//! * Something is: the largest share wins. An answer lowers its endpoint's share until the counters show what came of
//!   it, so those who ask at the same moment spread in proportion to the headroom (these are the highest quotients of
//!   d'Hondt's method for seats).
//!
//! Equal ones are told apart by the other figure, then by their order.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use etransfer_contract::order::OpenTransfers;

use super::endpoints::Endpoint;
use super::interface::{Interface, bytes_per_second};

/// A client connects, sends, and is in the counters of the second after: until then its answer counts.
const PROMISE: Duration = Duration::from_secs(3);
/// Promises are forgotten in steps of this.
const STEP: Duration = Duration::from_millis(500);
/// The speed of a NIC of which nothing is known, nor of any other.
const SPEED_MBPS: u64 = 1000;
/// Of its capacity, what a full NIC is still worth: a client may have to use it.
const HEADROOM_MIN: f64 = 0.01;

/// Where a client's bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the node, which receives.
    Upload,
    /// From the node, which sends.
    Download,
}

/// Answers given lately.
#[derive(Debug, Default)]
pub struct Advice {
    promises: Mutex<Promises>,
}

/// Answers by when they were given, the newest last. No more entries than endpoints, for each step of a promise.
#[derive(Debug, Default)]
struct Promises(VecDeque<(Instant, Answers)>);

/// How often which URL was the answer.
type Answers = HashMap<(Direction, String), u64>;

/// What there is to weigh at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'m> {
    /// Where clients can go.
    pub endpoints: &'m [Endpoint],
    /// What is under way there.
    pub transfers: &'m [OpenTransfers],
    /// When.
    pub now: Instant,
}

/// What is weighed.
struct Room {
    load: f64,
    share: f64,
}

impl Advice {
    /// The endpoint for a client that asks at this moment; the answer is remembered.
    pub fn best<'m>(&self, direction: Direction, moment: Moment<'m>) -> Option<&'m Endpoint> {
        let Moment { endpoints, transfers, now } = moment;
        let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        promises.forget(now);
        let promised: Vec<u64> =
            endpoints.iter().map(|endpoint| promises.count(&(direction, endpoint.url.clone()))).collect();
        let is_quiet = promised.iter().all(|count| *count == 0);
        let unknown = slowest(endpoints);
        let rooms = endpoints.iter().zip(promised).map(|(endpoint, promised)| {
            (
                Room::of(endpoint.load.as_ref(), direction, unknown, promised + direction.open(endpoint, transfers)),
                endpoint,
            )
        });
        let better = |(best, at): (Room, _), (other, there): (Room, _)| {
            let wins = if is_quiet { other.is_less_loaded(&best) } else { other.is_larger(&best) };
            if wins { (other, there) } else { (best, at) }
        };
        let (_, best) = rooms.reduce(better)?;
        promises.add((direction, best.url.clone()), now);
        Some(best)
    }
}

impl Direction {
    /// Bodies under way over the interface of `endpoint`.
    fn open(self, endpoint: &Endpoint, transfers: &[OpenTransfers]) -> u64 {
        let Some(interface) = &endpoint.load else { return 0 };
        let own = transfers.iter().filter(|open| interface.addresses.contains(&open.address));
        own.map(|open| u64::from(if self == Self::Upload { open.receiving } else { open.sending })).sum()
    }
}

impl Room {
    fn of(interface: Option<&Interface>, direction: Direction, unknown: u64, clients: u64) -> Self {
        let speed = interface.and_then(|interface| interface.speed_mbps).unwrap_or(unknown);
        let rate = interface.map_or(0.0, |interface| match direction {
            Direction::Upload => interface.receive_rate,
            Direction::Download => interface.send_rate,
        });
        let capacity = bytes_per_second(speed);
        let headroom = (capacity - rate).max(capacity * HEADROOM_MIN);
        Self { load: rate / capacity, share: headroom / (clients as f64 + 1.0) }
    }

    fn is_less_loaded(&self, other: &Self) -> bool {
        self.load < other.load || (self.load == other.load && self.share > other.share)
    }

    fn is_larger(&self, other: &Self) -> bool {
        self.share > other.share || (self.share == other.share && self.load < other.load)
    }
}

/// Mbit/s.
fn slowest(endpoints: &[Endpoint]) -> u64 {
    let known = endpoints.iter().filter_map(|endpoint| endpoint.load.as_ref()?.speed_mbps);
    known.min().unwrap_or(SPEED_MBPS)
}

impl Promises {
    fn forget(&mut self, now: Instant) {
        while self.0.front().is_some_and(|(then, _)| now.saturating_duration_since(*then) >= PROMISE) {
            self.0.pop_front();
        }
    }

    fn count(&self, key: &(Direction, String)) -> u64 {
        self.0.iter().filter_map(|(_, counts)| counts.get(key)).sum()
    }

    fn add(&mut self, key: (Direction, String), now: Instant) {
        let is_due = self.0.back().is_none_or(|(then, _)| now.saturating_duration_since(*then) >= STEP);
        if is_due {
            self.0.push_back((now, Answers::new()));
        }
        if let Some((_, counts)) = self.0.back_mut() {
            *counts.entry(key).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::endpoints::endpoints;
    use super::*;

    /// An endpoint per (Mbit/s, bytes a second received, bytes a second sent); 0 Mbit/s: unknown.
    fn nics(figures: &[(u64, f64, f64)]) -> Vec<Endpoint> {
        let interface = |(index, (speed, received, sent)): (usize, &(u64, f64, f64))| {
            let address = std::net::IpAddr::from([10, 0, index as u8, 1]);
            Interface {
                name: format!("eth{index}"),
                address: Some(address),
                addresses: vec![address],
                is_up: true,
                speed_mbps: Some(*speed).filter(|speed| *speed > 0),
                sent: 0,
                received: 0,
                send_rate: *sent,
                receive_rate: *received,
            }
        };
        let interfaces: Vec<Interface> = figures.iter().enumerate().map(interface).collect();
        endpoints(&[], &["0.0.0.0:1".parse().unwrap()], 1, &interfaces)
    }

    fn one(direction: Direction, figures: &[(u64, f64, f64)]) -> String {
        let endpoints = nics(figures);
        Advice::default().best(direction, idle(&endpoints)).unwrap().interface.clone()
    }

    fn idle(endpoints: &[Endpoint]) -> Moment<'_> {
        Moment { endpoints, transfers: &[], now: Instant::now() }
    }

    const M: f64 = 1024.0 * 1024.0;

    #[test]
    fn section_5_3_who_asks_alone_gets_the_strictly_lowest_load_of_his_direction() {
        use Direction::{Download, Upload};
        for (direction, figures, best) in [
            (Upload, &[(1000, 50.0 * M, 0.0), (1000, 1.0, 0.0)][..], "eth1"),
            (Download, &[(1000, 50.0 * M, 0.0), (1000, 1.0, 1.0)], "eth0"),
            // Half of ten is more room than all of one, but easytransfer/CONTRACT.md §5.3 compares percent.
            (Upload, &[(10_000, 625.0 * M, 0.0), (1000, 0.0, 0.0)], "eth1"),
            // Equal loads: the wider one, then the first one.
            (Upload, &[(1000, 0.0, 0.0), (10_000, 0.0, 0.0)], "eth1"),
            (Upload, &[(1000, 0.0, 0.0), (1000, 0.0, 0.0)], "eth0"),
            // An unknown speed is the slowest known one: the same rate is the same load; it does not count as idle.
            (Upload, &[(0, 2.0, 0.0), (1000, 1.0, 0.0)], "eth1"),
            (Upload, &[(0, 1.0, 0.0), (1000, 2.0, 0.0), (10_000, 100.0, 0.0)], "eth0"),
            (Download, &[(0, 0.0, 2.0), (0, 0.0, 1.0)], "eth1"),
        ] {
            assert_eq!(one(direction, figures), best, "{direction:?} {figures:?}");
        }
        assert!(Advice::default().best(Upload, idle(&[])).is_none());
    }

    /// How often each is the answer when `askers` clients ask at once.
    fn spread(figures: &[(u64, f64, f64)], askers: usize) -> Vec<usize> {
        spread_beside(&[], figures, askers)
    }

    fn spread_beside(transfers: &[OpenTransfers], figures: &[(u64, f64, f64)], askers: usize) -> Vec<usize> {
        let (advice, all) = (Advice::default(), nics(figures));
        let moment = Moment { transfers, ..idle(&all) };
        let mut counts = vec![0; all.len()];
        for _ in 0..askers {
            let best = advice.best(Direction::Upload, moment).unwrap();
            counts[all.iter().position(|endpoint| endpoint.url == best.url).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn a_hundred_who_ask_in_one_second_spread_by_headroom() {
        assert_eq!(spread(&[(1000, 0.0, 0.0); 4], 100), [25; 4]);
        assert_eq!(spread(&[(1000, 0.0, 0.0), (1000, 62.5 * M, 0.0)], 99), [66, 33]);
        assert_eq!(spread(&[(25_000, 0.0, 0.0), (10_000, 0.0, 0.0), (0, 0.0, 0.0)], 90), [50, 20, 20]);
        assert_eq!(spread(&[(1000, 0.0, 0.0), (1000, 1e12, 0.0)], 100), [100, 0], "a full one is the last choice");
    }

    #[test]
    fn bodies_under_way_count_like_clients_that_were_sent_there() {
        let open = |receiving, sending| [OpenTransfers { address: [10, 0, 0, 1].into(), receiving, sending }];
        let equal = [(1000, 0.0, 0.0); 2];
        assert_eq!(spread_beside(&open(3, 0), &equal, 1), [0, 1]);
        assert_eq!(spread_beside(&open(3, 0), &equal, 9), [3, 6]);
        assert_eq!(spread_beside(&open(0, 3), &equal, 9), [5, 4], "those that send are no matter for an upload");
        let elsewhere = [OpenTransfers { address: [127, 0, 0, 1].into(), receiving: 9, sending: 9 }];
        assert_eq!(spread_beside(&elsewhere, &equal, 2), [1, 1]);
    }

    proptest! {
        #[test]
        fn those_who_ask_at_once_spread_in_proportion_to_headroom(
            figures in prop::collection::vec((1u64..=40_000, 0.0f64..1.0), 1..6),
            askers in 1usize..300,
        ) {
            let capacity = |speed: u64| bytes_per_second(speed);
            let figures: Vec<(u64, f64, f64)> =
                figures.into_iter().map(|(speed, load)| (speed, load * capacity(speed), 0.0)).collect();
            let headroom = |(speed, rate, _): &(u64, f64, f64)| (capacity(*speed) - rate).max(capacity(*speed) / 100.0);
            let total: f64 = figures.iter().map(headroom).sum();
            for (count, figure) in spread(&figures, askers).into_iter().zip(&figures) {
                let fair = headroom(figure) / total * askers as f64;
                // Whole clients, and the first of them chose by load.
                prop_assert!((count as f64 - fair).abs() <= figures.len() as f64, "{count} of {askers}, fair is {fair}");
            }
        }
    }

    #[test]
    fn an_answer_counts_until_the_counters_show_it() {
        let (advice, start) = (Advice::default(), Instant::now());
        let all = nics(&[(1000, 1.0, 0.0), (1000, 0.0, 0.0)]);
        let ask = |direction, after| {
            let moment = Moment { now: start + after, ..idle(&all) };
            advice.best(direction, moment).unwrap().interface.clone()
        };
        assert_eq!(ask(Direction::Upload, Duration::ZERO), "eth1");
        assert_eq!(ask(Direction::Upload, STEP), "eth0", "the other one was promised");
        assert_eq!(ask(Direction::Download, STEP), "eth0", "a direction for itself");
        assert_eq!(ask(Direction::Upload, PROMISE - STEP), "eth1");
        assert_eq!(ask(Direction::Upload, PROMISE * 2), "eth1", "all is forgotten: the lower load again");
        assert!(advice.promises.lock().unwrap().0.len() <= 7);
    }
}
