//! The limits of the node and of each owner (easytransfer/CONTRACT.md §4): stored plus granted-but-unused never passes
//! them (PROMISES.md P9).
//!
//! What is stored is the shelf's sums; here stand the promises: bytes a grant may still store. A promise ends when the data
//! plane settles it, or when the data plane that held it is gone. One whose answer was lost would never be settled, so
//! the data plane is asked about each from time to time ([`Ledger::unheard`]).

use std::collections::HashMap;
use std::time::Instant;

use etransfer_contract::grant::Ticket;

use crate::bounds::{POLL_WAIT, PROMISE_UNHEARD, UNHEARD_MAX};
use crate::catalogue::Owner;

/// An owner whose limit counts too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who.
    pub owner: Owner,
    /// Bytes they may store; `None`: any number.
    pub max: Option<u64>,
}

/// Promised bytes.
#[derive(Debug, Default)]
pub struct Ledger {
    promises: HashMap<Ticket, Promise>,
    sum: u64,
    by_owner: HashMap<Owner, u64>,
    /// When promises were last looked through for old ones.
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Promise {
    bytes: u64,
    owner: Option<Owner>,
    /// When it was made, or last asked about.
    since: Instant,
}

impl Ledger {
    /// Bytes promised and not settled: by the node, or to one owner.
    pub fn promised(&self, owner: Option<&Owner>) -> u64 {
        owner.map_or(self.sum, |owner| self.by_owner.get(owner).copied().unwrap_or(0))
    }

    /// Promises `bytes` to a grant.
    pub fn promise(&mut self, ticket: Ticket, bytes: u64, owner: Option<Owner>) {
        self.settle(ticket);
        self.sum += bytes;
        if let Some(owner) = &owner {
            *self.by_owner.entry(owner.clone()).or_default() += bytes;
        }
        self.promises.insert(ticket, Promise { bytes, owner, since: Instant::now() });
    }

    /// The grant ended; what it stored is in the shelf's sums by now.
    pub fn settle(&mut self, ticket: Ticket) {
        let Some(Promise { bytes, owner, since: _ }) = self.promises.remove(&ticket) else { return };
        self.sum -= bytes;
        if let Some(owner) = owner
            && let Some(sum) = self.by_owner.get_mut(&owner)
        {
            *sum -= bytes;
            if *sum == 0 {
                self.by_owner.remove(&owner);
            }
        }
    }

    /// Promises the data plane shall settle unless a request uses them, at `now`.
    pub fn unheard(&mut self, now: Instant) -> Vec<Ticket> {
        if self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < POLL_WAIT) {
            return Vec::new();
        }
        self.looked = Some(now);
        let is_old = |promise: &Promise| now.saturating_duration_since(promise.since) >= PROMISE_UNHEARD;
        let old = self.promises.iter_mut().filter(|(_, promise)| is_old(promise)).take(UNHEARD_MAX);
        let ask = |(ticket, promise): (&Ticket, &mut Promise)| {
            promise.since = now;
            *ticket
        };
        old.map(ask).collect()
    }

    /// The data plane restarted: nothing of what it was promised is in flight any more.
    pub fn forget_all(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn o6_a_promise_is_asked_about_when_no_answer_is_waited_for_any_more() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        ledger.promise(7, 5, None);
        assert!(ledger.unheard(start).is_empty());
        let later = start + PROMISE_UNHEARD + POLL_WAIT;
        assert_eq!(ledger.unheard(later), [7]);
        assert!(ledger.unheard(later).is_empty() && ledger.unheard(later + POLL_WAIT).is_empty(), "not at every poll");
        assert_eq!(ledger.unheard(later + PROMISE_UNHEARD), [7], "the question may be lost too");
        ledger.settle(7);
        assert!(ledger.unheard(later + 3 * PROMISE_UNHEARD).is_empty());
    }

    proptest! {
        #[test]
        fn p9_the_sums_are_what_is_open(steps in prop::collection::vec((0u64..8, 0u64..50, prop::option::of(0i64..3), any::<bool>()), 0..100)) {
            let mut ledger = Ledger::default();
            let mut open: HashMap<u64, (u64, Option<i64>)> = HashMap::new();
            for (ticket, bytes, owner, end) in steps {
                if end {
                    ledger.settle(ticket);
                    open.remove(&ticket);
                } else {
                    ledger.promise(ticket, bytes, owner.map(Owner::Person));
                    open.insert(ticket, (bytes, owner));
                }
                prop_assert_eq!(ledger.promised(None), open.values().map(|(bytes, _)| bytes).sum::<u64>());
                for person in 0..3 {
                    let theirs = open.values().filter(|(_, owner)| *owner == Some(person)).map(|(bytes, _)| bytes);
                    prop_assert_eq!(ledger.promised(Some(&Owner::Person(person))), theirs.sum::<u64>());
                }
            }
        }
    }
}
