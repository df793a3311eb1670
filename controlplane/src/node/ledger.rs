//! The node's limit (contract §4): stored plus granted-but-unused never passes it (P9).
//!
//! What is stored is the shelf's sum; here stand the promises: bytes a grant may still store. A promise ends when the data
//! plane settles it, or when the data plane that held it is gone.

use std::collections::HashMap;

use etransfer_contract::grant::Ticket;

/// Promised bytes.
#[derive(Debug, Default)]
pub struct Ledger {
    promised: HashMap<Ticket, u64>,
    sum: u64,
}

impl Ledger {
    /// Bytes promised and not settled.
    pub fn promised(&self) -> u64 {
        self.sum
    }

    /// Room for new promises when `used` bytes are stored and `max` is the limit.
    pub fn room(&self, used: u64, max: u64) -> u64 {
        max.saturating_sub(used).saturating_sub(self.sum)
    }

    /// Promises `bytes` to a grant.
    pub fn promise(&mut self, ticket: Ticket, bytes: u64) {
        let before = self.promised.insert(ticket, bytes).unwrap_or(0);
        self.sum = self.sum - before + bytes;
    }

    /// The grant ended; what it stored is in the shelf's sum by now.
    pub fn settle(&mut self, ticket: Ticket) {
        self.sum -= self.promised.remove(&ticket).unwrap_or(0);
    }

    /// The data plane started anew: nothing of what it was promised is in flight any more.
    pub fn forget_all(&mut self) {
        self.promised.clear();
        self.sum = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn p9_stored_plus_promised_never_passes_the_limit(steps in prop::collection::vec((0u64..8, 1u64..50, 0u64..50, any::<bool>()), 0..100)) {
            const MAX: u64 = 100;
            let (mut ledger, mut used) = (Ledger::default(), 0);
            let mut open: HashMap<u64, u64> = HashMap::new();
            for (ticket, want, stored, end) in steps {
                if end {
                    if let Some(promised) = open.remove(&ticket) { used += stored.min(promised); }
                    ledger.settle(ticket);
                } else if !open.contains_key(&ticket) && ledger.room(used, MAX) >= want {
                    ledger.promise(ticket, want);
                    open.insert(ticket, want);
                }
                prop_assert_eq!(ledger.promised(), open.values().sum::<u64>());
                prop_assert!(used + ledger.promised() <= MAX);
            }
        }
    }
}
