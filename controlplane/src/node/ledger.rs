//! The limits of the node and of each owner (contract §4): stored plus granted-but-unused never passes them (P9).
//!
//! What is stored is the shelf's sums; here stand the promises: bytes a grant may still store. A promise ends when the data
//! plane settles it, or when the data plane that held it is gone.

use std::collections::HashMap;

use etransfer_contract::grant::Ticket;

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
}

#[derive(Debug)]
struct Promise {
    bytes: u64,
    owner: Option<Owner>,
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
        self.promises.insert(ticket, Promise { bytes, owner });
    }

    /// The grant ended; what it stored is in the shelf's sums by now.
    pub fn settle(&mut self, ticket: Ticket) {
        let Some(Promise { bytes, owner }) = self.promises.remove(&ticket) else { return };
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

    /// The data plane started anew: nothing of what it was promised is in flight any more.
    pub fn forget_all(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
