//! What one core counts, and how it is reported: about once a second and core, as `POST /line/counters`.
//!
//! Every number only grows within one run of the data plane and begins at 0 with the next. A count that is read is as old
//! as the last report: 2 s at most while both planes are well.
//!
//! | field | what | unit |
//! |---|---|---|
//! | `accepted`, `crowded`, `closed` | connections of clients: taken, of these refused at the limit, ended | connections |
//! | `requests` | answers by [`RequestKind`] and [`RequestOutcome`] | requests |
//! | `cached`, `granted`, `answered`, `undecided` | how a request came to its decision | requests |
//! | `addresses` | content of files by the local address of the connection | bytes |
//! | `journal_bytes`, `journal_syncs` | appended to this core's journal; group commits made by this core | bytes; syncs |
//! | `first_byte`, `decide` | waiting times | 16 µs · 2ⁿ |

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Body of `POST /line/counters`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountersReport {
    /// [`link::VERSION`](crate::link::VERSION).
    pub version: u16,
    /// This run of the data plane.
    pub run: u64,
    /// Which core, from 0.
    pub core: usize,
    /// Its counters.
    pub counters: CoreCounters,
}

/// The counters of one core.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CoreCounters {
    /// Connections accepted.
    pub accepted: u64,
    /// Accepted connections that were refused at once, because too many are open.
    pub crowded: u64,
    /// Accepted connections that ended; the crowded ones are among them.
    pub closed: u64,
    /// Requests answered.
    pub requests: Requests,
    /// Decisions: the core remembered a grant.
    pub cached: u64,
    /// Decisions: the control plane gave a grant.
    pub granted: u64,
    /// Decisions: the control plane answered itself.
    pub answered: u64,
    /// Decisions that were not made, because the control plane was away. The client got 503.
    pub undecided: u64,
    /// Content of files by local address; few, because a core's connections come in by few.
    pub addresses: Vec<AddressBytes>,
    /// Bytes appended to the journal.
    pub journal_bytes: u64,
    /// Times a journal was synced.
    pub journal_syncs: u64,
    /// Downloads: from the whole request head to the first content given to the kernel.
    pub first_byte: Histogram,
    /// Decisions the core did not remember: from the whole request head to the verdict, waiting for the link included.
    pub decide: Histogram,
}

/// Content that came and went by one local address. Heads, framing and the control plane's own answers do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddressBytes {
    /// The local address; `None` gathers all addresses beyond the number that a core counts separately.
    pub address: Option<IpAddr>,
    /// Bodies of uploads, whether they were kept or not.
    pub received: u64,
    /// Content of downloads.
    pub sent: u64,
}

/// What a request turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Bytes for an upload.
    Append,
    /// How far an upload is.
    State,
    /// Content of a file.
    Serve,
    /// A removal.
    Remove,
    /// A final upload out of parts.
    Concat,
    /// An answer of the control plane.
    Relay,
    /// Nothing: the head was refused, or no decision could be made.
    None,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// 2xx
    Success,
    /// 3xx
    Redirect,
    /// 4xx
    Refused,
    /// 5xx
    Failed,
    /// The connection ended before the whole answer was given to the kernel.
    Cut,
}

/// Requests by kind and outcome, in the order of [`RequestKind::ALL`] and [`RequestOutcome::ALL`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests([[u64; RequestOutcome::ALL.len()]; RequestKind::ALL.len()]);

/// Buckets of a [`Histogram`]; the last one has no upper bound.
const BUCKETS: usize = 22;
/// Upper bound of the first bucket: 16 µs. Each further one is twice as wide; the last bound is 16.8 s.
const FIRST_BOUND_LOG2_US: u32 = 4;

/// Waiting times in buckets of powers of two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum_us: u64,
}

impl RequestKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Append, Self::State, Self::Serve, Self::Remove, Self::Concat, Self::Relay, Self::None];

    /// As a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::State => "state",
            Self::Serve => "serve",
            Self::Remove => "remove",
            Self::Concat => "concat",
            Self::Relay => "relay",
            Self::None => "none",
        }
    }
}

impl RequestOutcome {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Success, Self::Redirect, Self::Refused, Self::Failed, Self::Cut];

    /// Of an answer with this status.
    pub fn of_status(status: u16) -> Self {
        match status {
            0..=299 => Self::Success,
            300..=399 => Self::Redirect,
            400..=499 => Self::Refused,
            500.. => Self::Failed,
        }
    }

    /// As a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::Redirect => "3xx",
            Self::Refused => "4xx",
            Self::Failed => "5xx",
            Self::Cut => "cut",
        }
    }
}

impl Requests {
    /// Counts one.
    pub fn count(&mut self, kind: RequestKind, outcome: RequestOutcome) {
        self.0[kind as usize][outcome as usize] += 1;
    }

    /// How many ended so.
    pub fn of(&self, kind: RequestKind, outcome: RequestOutcome) -> u64 {
        self.0[kind as usize][outcome as usize]
    }
}

impl Histogram {
    /// Counts one waiting time.
    pub fn observe(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // A bound belongs to its bucket: 16 µs falls into the first one.
        let above = us.saturating_sub(1) >> FIRST_BOUND_LOG2_US;
        let bucket = (u64::BITS - above.leading_zeros()) as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// Upper bounds in seconds, the last one infinite, each with the number of times in that bucket alone.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bound = |index: usize| match index + 1 {
            BUCKETS => f64::INFINITY,
            _ => (1u64 << (index as u32 + FIRST_BOUND_LOG2_US)) as f64 / 1e6,
        };
        self.counts.iter().enumerate().map(move |(index, count)| (bound(index), *count))
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in seconds.
    pub fn sum_s(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        for (us, bound_us) in [
            (0, 16.0),
            (1, 16.0),
            (16, 16.0),
            (17, 32.0),
            (32, 32.0),
            (33, 64.0),
            (1000, 1024.0),
            (1 << 24, 16_777_216.0),
        ] {
            let mut histogram = Histogram::default();
            histogram.observe(Duration::from_micros(us));
            let hit = histogram.buckets().find(|(_, count)| *count == 1).map(|(bound, _)| bound * 1e6);
            assert_eq!(hit.map(f64::round), Some(bound_us), "{us}");
        }
        let mut histogram = Histogram::default();
        histogram.observe(Duration::from_micros((1 << 24) + 1));
        histogram.observe(Duration::MAX);
        assert_eq!(histogram.buckets().last(), Some((f64::INFINITY, 2)));
    }

    proptest! {
        #[test]
        fn every_time_is_counted_once_below_its_bound(times in prop::collection::vec(0u64..40_000_000, 0..200)) {
            let mut histogram = Histogram::default();
            times.iter().for_each(|us| histogram.observe(Duration::from_micros(*us)));
            prop_assert_eq!(histogram.count(), times.len() as u64);
            prop_assert!((histogram.sum_s() * 1e6 - times.iter().sum::<u64>() as f64).abs() < 1.0);
            let mut so_far = 0;
            for (bound, count) in histogram.buckets() {
                so_far += count;
                let below = times.iter().filter(|us| **us as f64 / 1e6 <= bound).count() as u64;
                prop_assert_eq!(so_far, below, "le {}", bound);
            }
        }
    }

    #[test]
    fn requests_keep_their_place_on_the_line() {
        let mut requests = Requests::default();
        for (index, kind) in RequestKind::ALL.into_iter().enumerate() {
            for (other, outcome) in RequestOutcome::ALL.into_iter().enumerate() {
                (0..index * 10 + other).for_each(|_| requests.count(kind, outcome));
            }
        }
        let told: Requests = serde_json::from_str(&serde_json::to_string(&requests).unwrap()).unwrap();
        assert_eq!(
            (told.of(RequestKind::Serve, RequestOutcome::Cut), told.of(RequestKind::None, RequestOutcome::Success)),
            (24, 60)
        );
    }
}
