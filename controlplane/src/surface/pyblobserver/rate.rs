//! The limit of requests per client address in a sliding minute (CONTRACT.md §2.4).
//!
//! Must stay true: memory is bounded whatever the limit and however many addresses ask; who was refused is not counted, so
//! a client that goes on asking comes in again as soon as its old requests are a minute old.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::authority::table::Table;
use crate::bounds::ADDRESSES_MAX;

/// The minute, in slots of a second; one more, because the oldest is only partly over.
const SLOTS: usize = 61;

/// Requests of every address within the last minute.
#[derive(Debug)]
pub struct Limiter {
    began: Instant,
    minutes: Mutex<Table<IpAddr, Minute>>,
}

/// What one address did in the last minute.
#[derive(Debug)]
struct Minute {
    slots: [u32; SLOTS],
    /// The second of the newest slot, since the limiter began.
    newest: u64,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { began: Instant::now(), minutes: Mutex::new(Table::new(ADDRESSES_MAX)) }
    }
}

impl Limiter {
    /// Counts one request. `Err`: this address has made `max` already, and may ask again after this many seconds.
    /// Nothing is counted when `max` is 0, nor without an address (then no data plane asks, but the operator on the
    /// socket).
    pub fn admit(&self, client: Option<IpAddr>, max: u64) -> Result<(), u64> {
        let Some(client) = client.filter(|_| max > 0) else { return Ok(()) };
        self.with(client, |minute| match minute.wait_s(max) {
            0 => {
                minute.count(1);
                Ok(())
            }
            wait => Err(wait),
        })
    }

    /// Counts `more` requests that were none: for wrong tokens.
    pub fn punish(&self, client: Option<IpAddr>, more: u32) {
        if let Some(client) = client {
            self.with(client, |minute| minute.count(more));
        }
    }

    fn with<T>(&self, client: IpAddr, what: impl FnOnce(&mut Minute) -> T) -> T {
        let now = self.began.elapsed().as_secs();
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        // Put again each time, so that the one that is forgotten is the one who asked longest ago.
        let mut minute = minutes.remove(&client).unwrap_or(Minute { slots: [0; SLOTS], newest: now });
        minute.advance(now);
        let done = what(&mut minute);
        minutes.put(client, minute);
        done
    }
}

impl Minute {
    fn advance(&mut self, now: u64) {
        let stale = now.saturating_sub(self.newest).min(SLOTS as u64);
        for behind in 0..stale {
            self.slots[(now - behind) as usize % SLOTS] = 0;
        }
        self.newest = now.max(self.newest);
    }

    fn count(&mut self, more: u32) {
        let slot = &mut self.slots[self.newest as usize % SLOTS];
        *slot = slot.saturating_add(more);
    }

    /// Seconds until one more is below `max`; 0: now.
    fn wait_s(&self, max: u64) -> u64 {
        let mut counted: u64 = self.slots.iter().map(|count| u64::from(*count)).sum();
        let mut age = SLOTS as u64;
        while counted >= max {
            age -= 1;
            // The slots behind the newest one, around the ring, are the oldest.
            let oldest = (self.newest + SLOTS as u64 - age) as usize % SLOTS;
            counted -= u64::from(self.slots[oldest]);
        }
        SLOTS as u64 - age
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_address_has_its_own_minute_and_0_is_off() {
        let limiter = Limiter::default();
        let (a, b) = (Some(IpAddr::from([1, 1, 1, 1])), Some(IpAddr::from([2, 2, 2, 2])));
        for _ in 0..100 {
            limiter.admit(a, 100).unwrap();
        }
        let wait = limiter.admit(a, 100).unwrap_err();
        assert!((1..=61).contains(&wait), "{wait}");
        assert!(limiter.admit(b, 100).is_ok() && limiter.admit(None, 1).is_ok() && limiter.admit(a, 0).is_ok());
        limiter.punish(b, 99);
        assert!(limiter.admit(b, 100).is_err());
    }

    proptest! {
        /// Against a list of every request: never more than `max` in any 60 seconds, and who waits as told comes in.
        #[test]
        fn it_is_a_sliding_minute(steps in prop::collection::vec((0u64..70, 1u32..4), 1..80), max in 1u64..12) {
            let mut minute = Minute { slots: [0; SLOTS], newest: 0 };
            let mut model: VecDeque<(u64, u32)> = VecDeque::new();
            let mut now = 0;
            for (pause, count) in steps {
                now += pause;
                minute.advance(now);
                model.retain(|(second, _)| second + SLOTS as u64 > now);
                let counted: u64 = model.iter().map(|(_, count)| u64::from(*count)).sum();
                let wait = minute.wait_s(max);
                prop_assert_eq!(wait == 0, counted < max);
                if wait == 0 {
                    minute.count(count);
                    model.push_back((now, count));
                } else {
                    let left = |at: u64| model.iter().filter(|(second, _)| second + SLOTS as u64 > at).map(|(_, count)| u64::from(*count)).sum::<u64>();
                    prop_assert!(left(now + wait) < max && left(now + wait - 1) >= max);
                }
            }
        }
    }
}
