//! Speed limits (easytransfer/CONTRACT.md §8.7): one [`Bucket`] per key of a grant, for all cores and connections of
//! the node.
//!
//! ```text
//!   grant ──learn──► Rates: key → Bucket ◄──turn, moved── Meter, one per body
//!   act   ──join───►                                        │
//!                                                           └─ Turn::Later: the body sleeps, rechecks, tries again
//! ```
//!
//! What must stay true:
//! * a body without a rate touches nothing here; one with a rate takes the lock once, at its start;
//! * bytes are reserved before they are moved: what waits is in the socket, not in a buffer of ours;
//! * a bucket is forgotten only when it is as good as new, so that a client gains nothing by ending a request.
//!
//! It knows no user and no direction: both are in the key. Copies inside the node and relayed answers are not metered.
#![expect(clippy::disallowed_types, reason = "one table for all cores, held for a look-up, never across a wait")]

mod bucket;
mod meter;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use etransfer_contract::grant::Rate;

use self::bucket::Bucket;
pub use self::meter::{Meter, Turn};
use crate::driver::Io;

/// Below this many buckets nothing is swept.
const SWEEP_MIN: usize = 64;

/// The buckets of the node.
pub struct Rates {
    /// Time zero of every bucket.
    start: Instant,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    buckets: HashMap<String, Arc<Bucket>>,
    sweep_at: usize,
}

impl Rates {
    /// From now on.
    pub fn new(start: Instant) -> Self {
        Self { start, table: Mutex::default() }
    }

    /// A grant came from the control plane: its rate holds from now on, also for bodies that already run.
    pub fn learn(&self, rate: &Rate, now: Instant) {
        let now_ns = nanos(self.start, now);
        let bucket = self.table().bucket(rate, now_ns);
        bucket.set_rate(bytes_per_s(rate), now_ns);
    }

    /// A body starts under the key of `rate`, at the rate learnt last.
    pub fn join(&self, rate: &Rate, io: &Io) -> Meter {
        let bucket = self.table().bucket(rate, nanos(self.start, io.now()));
        Meter::new(io.clone(), self.start, bucket)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The bucket of a key; a new one starts at `rate`.
    fn bucket(&mut self, rate: &Rate, now_ns: u64) -> Arc<Bucket> {
        if let Some(bucket) = self.buckets.get(&rate.key) {
            return Arc::clone(bucket);
        }
        if self.buckets.len() >= self.sweep_at {
            self.buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_like_new(now_ns));
            self.sweep_at = SWEEP_MIN.max(self.buckets.len() * 2);
        }
        let bucket = Arc::new(Bucket::new(bytes_per_s(rate)));
        self.buckets.insert(rate.key.clone(), Arc::clone(&bucket));
        bucket
    }
}

fn bytes_per_s(rate: &Rate) -> u64 {
    rate.bytes_per_s.max(Rate::BYTES_PER_S_MIN)
}

fn nanos(start: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}
