//! When operations start, and which part of the run a moment belongs to. Pure arithmetic on the time since the start.
//!
//! Coordinated omission: in an open loop an operation has a time at which it *should* start, whatever the server does. It
//! is measured from then on, also when every connection was still busy; an arrival that never got a connection is counted
//! with the time it had waited at the end, which is a lower bound.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the next operation starts.
#[derive(Debug, Clone)]
pub enum StartRule {
    /// When a slot is free.
    Closed,
    /// At fixed times.
    Open(Arrivals),
}

/// Arrivals of one thread out of `threads`: number `n` of the whole run is at `n / rate`, and every thread has its turn.
#[derive(Debug, Clone)]
pub struct Arrivals {
    rate: f64,
    threads: u64,
    next: u64,
}

impl Arrivals {
    pub fn new(rate: f64, thread: u64, threads: u64) -> Self {
        Self { rate, threads, next: thread }
    }

    fn next_at(&self) -> Duration {
        Duration::from_secs_f64(self.next as f64 / self.rate)
    }

    /// Takes the next arrival when it is before `now`.
    fn take(&mut self, now: Duration) -> Option<Duration> {
        let at = self.next_at();
        if at > now {
            return None;
        }
        self.next += self.threads;
        Some(at)
    }
}

impl StartRule {
    /// The intended start of the operation that a free slot may begin now.
    pub fn due(&mut self, now: Duration) -> Option<Duration> {
        match self {
            Self::Closed => Some(now),
            Self::Open(arrivals) => arrivals.take(now),
        }
    }

    /// When something will be due, if nothing is now.
    pub fn next_at(&self) -> Option<Duration> {
        match self {
            Self::Closed => None,
            Self::Open(arrivals) => Some(arrivals.next_at()),
        }
    }

    /// Arrivals before `end` that were not begun.
    pub fn missed(&mut self, end: Duration) -> impl Iterator<Item = Duration> {
        std::iter::from_fn(move || match self {
            Self::Closed => None,
            Self::Open(arrivals) if arrivals.next_at() >= end => None,
            Self::Open(arrivals) => arrivals.take(end),
        })
    }
}

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    WarmUp,
    /// What is measured.
    Window,
    /// Operations that began in the window end.
    Drain,
}

/// One second of a phase, or the shorter rest at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    pub phase: Phase,
    pub second: u32,
}

/// Warm-up, then the window.
#[derive(Debug, Clone, Copy)]
pub struct Timeline {
    pub warm_up: Duration,
    pub duration: Duration,
}

impl Timeline {
    /// The end of the window.
    pub fn end(&self) -> Duration {
        self.warm_up + self.duration
    }

    pub fn slot(&self, at: Duration) -> Slot {
        let (phase, start) = match at {
            at if at < self.warm_up => (Phase::WarmUp, Duration::ZERO),
            at if at < self.end() => (Phase::Window, self.warm_up),
            _ => return Slot { phase: Phase::Drain, second: 0 },
        };
        Slot { phase, second: (at - start).as_secs() as u32 }
    }

    /// When `slot` ends; `None` for the drain, which ends when everything has.
    pub fn end_of(&self, slot: Slot) -> Option<Duration> {
        let (start, end) = match slot.phase {
            Phase::WarmUp => (Duration::ZERO, self.warm_up),
            Phase::Window => (self.warm_up, self.end()),
            Phase::Drain => return None,
        };
        Some((start + Duration::from_secs(u64::from(slot.second) + 1)).min(end))
    }

    /// Seconds that `slot` of the window lasts.
    pub fn length_of(&self, slot: Slot) -> f64 {
        let start = self.warm_up + Duration::from_secs(slot.second.into());
        self.end_of(slot).map_or(0.0, |end| end.saturating_sub(start).as_secs_f64())
    }

    /// The slots of the window.
    pub fn window(&self) -> impl Iterator<Item = Slot> {
        let seconds = self.duration.as_secs_f64().ceil() as u32;
        (0..seconds).map(|second| Slot { phase: Phase::Window, second })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn milliseconds(of: u64) -> Duration {
        Duration::from_millis(of)
    }

    proptest! {
        #[test]
        fn slots_tile_the_run(warm_up in 0_u64..5_000, duration in 1_u64..5_000) {
            let timeline = Timeline { warm_up: milliseconds(warm_up), duration: milliseconds(duration) };
            let (mut at, mut measured, mut window) = (Duration::ZERO, 0.0, Vec::new());
            while at < timeline.end() {
                let slot = timeline.slot(at);
                let end = timeline.end_of(slot).expect("before the end there is an end");
                prop_assert!(end > at && end - at <= milliseconds(1000));
                prop_assert_eq!(timeline.slot(end - Duration::from_nanos(1)), slot);
                prop_assert_ne!(timeline.slot(end), slot);
                if slot.phase == Phase::Window {
                    measured += timeline.length_of(slot);
                    window.push(slot);
                }
                at = end;
            }
            prop_assert_eq!(at, timeline.end());
            prop_assert_eq!(timeline.slot(at).phase, Phase::Drain);
            prop_assert!((measured - timeline.duration.as_secs_f64()).abs() < 1e-9);
            prop_assert_eq!(window, timeline.window().collect::<Vec<_>>());
        }

        #[test]
        fn threads_share_one_schedule(rate in 1.0_f64..100_000.0, threads in 1_u64..9) {
            let mut all: Vec<Duration> = (0..threads)
                .flat_map(|thread| {
                    let mut pace = StartRule::Open(Arrivals::new(rate, thread, threads));
                    std::iter::from_fn(move || pace.due(milliseconds(100))).collect::<Vec<_>>()
                })
                .collect();
            all.sort_unstable();
            let expected = (rate * 0.1).floor() as usize + 1;
            prop_assert!(all.len().abs_diff(expected) <= 1, "{} for {}", all.len(), expected);
            for pair in all.windows(2) {
                prop_assert!(((pair[1] - pair[0]).as_secs_f64() - 1.0 / rate).abs() < 1e-8);
            }
        }
    }

    /// One connection, 100 arrivals a second, and a server that is stuck for the second second: a closed loop would see one
    /// slow operation, the open loop sees the hundred that waited.
    #[test]
    fn a_stall_is_seen_by_everybody_who_waited() {
        let mut pace = StartRule::Open(Arrivals::new(100.0, 0, 1));
        let mut latency = super::super::latency::Latency::default();
        let (mut now, quick) = (Duration::ZERO, milliseconds(1));
        while now < milliseconds(3_000) {
            let Some(intended) = pace.due(now) else {
                now = pace.next_at().expect("an open loop has a next arrival");
                continue;
            };
            let stuck = (milliseconds(1_000)..milliseconds(2_000)).contains(&now);
            now = if stuck { milliseconds(2_000) } else { now + quick };
            latency.record(now - intended);
        }
        let p50 = latency.at(0.5).expect("recorded");
        let p99 = latency.at(0.99).expect("recorded");
        assert!(p50 < 2_000_000, "half of them were never near the stall: {p50}");
        assert!(p99 > 900_000_000, "the stall is a second long and a third of the arrivals met it: {p99}");
        let slow = latency.slots().filter(|(value, _)| *value > 500_000_000).map(|(_, count)| count).sum::<u64>();
        assert!((45..=70).contains(&slow), "about half of the hundred waited longer than half a second: {slow}");
    }

    #[test]
    fn arrivals_that_nobody_began_are_known() {
        let mut pace = StartRule::Open(Arrivals::new(10.0, 0, 1));
        assert_eq!(pace.due(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(pace.due(milliseconds(50)), None);
        assert_eq!(pace.missed(milliseconds(300)).collect::<Vec<_>>(), [100, 200].map(milliseconds));
        assert_eq!(StartRule::Closed.missed(milliseconds(300)).count(), 0);
    }
}
