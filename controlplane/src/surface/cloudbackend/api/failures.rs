//! Who guessed wrong how often (CONTRACT.md §A3, §A6): counted over a window, by a name and by an address, in memory
//! alone.
//!
//! Who checks again once a guess is known to be right or wrong learns nothing from guesses made in parallel.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::authority::table::Table;
use crate::bounds::FAILURE_ENTRIES_MAX;

/// How many failures there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// So many; 0 = any number.
    pub max: u64,
    /// In this time.
    pub window: Duration,
    /// And then nothing for so long; `None`: until the window is over.
    pub lock: Option<Duration>,
}

/// Against what a failure counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Who guesses.
    Address(IpAddr),
    /// What is guessed at.
    Name(String),
}

/// The counts.
#[derive(Debug)]
pub struct Failures(Mutex<Table<Whose, Count>>);

impl Default for Failures {
    fn default() -> Self {
        Self(Mutex::new(Table::new(FAILURE_ENTRIES_MAX)))
    }
}

#[derive(Debug)]
struct Count {
    failures: u64,
    /// No request gets through before; also keeps the entry.
    until: Instant,
}

impl Failures {
    /// `Err`: too many; retry after this many seconds. Counts nothing.
    pub fn check(&self, whose: &Whose, limit: Limit) -> Result<(), u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match counts.get(whose) {
            Some(count) if limit.max > 0 && count.failures >= limit.max && now < count.until => {
                Err(count.until.duration_since(now).as_secs() + 1)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts one.
    pub fn count(&self, whose: Whose, limit: Limit) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if counts.get(&whose).is_none_or(|count| now >= count.until) {
            counts.put(whose.clone(), Count { failures: 0, until: now + limit.window });
        }
        let Some(count) = counts.get_mut(&whose) else { return };
        count.failures += 1;
        if let Some(lock) = limit.lock.filter(|_| count.failures == limit.max) {
            count.until = now + lock;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn name(text: &str) -> Whose {
        Whose::Name(text.into())
    }

    #[test]
    fn failures_count_against_one_name_until_the_window_is_over() {
        let failures = Failures::default();
        let limit = Limit { max: 3, window: HOUR, lock: None };
        for _ in 0..3 {
            assert_eq!(failures.check(&name("ann"), limit), Ok(()));
            failures.count(name("ann"), limit);
        }
        let wait = failures.check(&name("ann"), limit).unwrap_err();
        assert!((3590..=3601).contains(&wait), "{wait}");
        assert_eq!(failures.check(&name("bob"), limit), Ok(()));
        assert_eq!(failures.check(&Whose::Address(IpAddr::from([1, 1, 1, 1])), limit), Ok(()));
        assert_eq!(failures.check(&name("ann"), Limit { max: 0, ..limit }), Ok(()), "0 = off");
        let over = Limit { window: Duration::ZERO, ..limit };
        (0..5).for_each(|_| failures.count(name("eve"), over));
        assert_eq!(failures.check(&name("eve"), over), Ok(()), "the window is over");
    }

    #[test]
    fn a_lock_may_be_shorter_than_the_window() {
        let failures = Failures::default();
        let limit = Limit { max: 2, window: HOUR, lock: Some(Duration::from_secs(60)) };
        (0..2).for_each(|_| failures.count(name("code"), limit));
        let wait = failures.check(&name("code"), limit).unwrap_err();
        assert!((55..=61).contains(&wait), "{wait}");
        let short = Limit { lock: Some(Duration::ZERO), ..limit };
        (0..2).for_each(|_| failures.count(name("other"), short));
        assert_eq!(failures.check(&name("other"), short), Ok(()));
        failures.count(name("other"), short);
        assert_eq!(failures.check(&name("other"), short), Ok(()), "after a lock it counts from 1");
    }
}
