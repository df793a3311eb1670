//! Orders that wait for their confirmation. Sequence numbers rise within one run of the control plane.
//!
//! An unconditional removal stays until [`Fact::Removed`](etransfer_contract::Fact::Removed) confirms it, also across runs
//! of the data plane. A conditional one (expiry) leaves when it was carried out: declined, nothing confirms it, and the
//! next sweep asks again.

use std::collections::{BTreeMap, HashMap};

use etransfer_contract::ObjectId;
use etransfer_contract::order::{Order, What};

use crate::bounds::ORDERS_PER_ANSWER_MAX;

/// The book.
#[derive(Debug, Default)]
pub struct CommandQueue {
    last: u64,
    waiting: BTreeMap<u64, What>,
    by_object: HashMap<ObjectId, u64>,
}

impl CommandQueue {
    /// Orders the removal of an object, unless that is ordered already.
    pub fn remove(&mut self, object: ObjectId, unless_written_since_unix_ms: Option<u64>) {
        if let Some(sequence) = self.by_object.get(&object) {
            let What::Remove { unless_written_since_unix_ms: condition, .. } = &self.waiting[sequence];
            if condition.is_none() || unless_written_since_unix_ms.is_some() {
                return;
            }
            self.confirm(object);
        }
        self.last += 1;
        self.waiting.insert(self.last, What::Remove { object, unless_written_since_unix_ms });
        self.by_object.insert(object, self.last);
    }

    /// Sequence number of the newest order.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Whether the removal of an object is ordered.
    pub fn is_ordered(&self, object: ObjectId) -> bool {
        self.by_object.contains_key(&object)
    }

    /// The bytes are gone.
    pub fn confirm(&mut self, object: ObjectId) {
        self.by_object.remove(&object).map(|sequence| self.waiting.remove(&sequence));
    }

    /// What comes after `after`, in sequence; `after` itself and everything before was carried out.
    pub fn after(&mut self, after: u64) -> Vec<Order> {
        let done = |what: &What| {
            let What::Remove { unless_written_since_unix_ms, .. } = what;
            unless_written_since_unix_ms.is_some()
        };
        let declined: Vec<u64> =
            self.waiting.range(..=after).filter(|(_, what)| done(what)).map(|(sequence, _)| *sequence).collect();
        for sequence in declined {
            if let Some(What::Remove { object, .. }) = self.waiting.remove(&sequence) {
                self.by_object.remove(&object);
            }
        }
        let next = self.waiting.range(after.saturating_add(1)..).take(ORDERS_PER_ANSWER_MAX);
        next.map(|(sequence, what)| Order { sequence: *sequence, what: what.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ObjectId {
        ObjectId::from_bytes([byte; 16])
    }

    #[test]
    fn orders_wait_for_their_confirmation_and_expiry_asks_again() {
        let mut book = CommandQueue::default();
        book.remove(id(1), None);
        book.remove(id(2), Some(5));
        book.remove(id(1), None);
        book.remove(id(1), Some(9));
        let sequences = |orders: &[Order]| orders.iter().map(|order| order.sequence).collect::<Vec<_>>();
        assert_eq!(sequences(&book.after(0)), [1, 2]);
        assert!(book.after(2).is_empty());
        assert!(book.is_ordered(id(1)) && !book.is_ordered(id(2)), "a declined expiry leaves");
        assert_eq!(sequences(&book.after(0)), [1], "a new data plane hears of it again");
        book.confirm(id(1));
        assert!(book.after(0).is_empty());
        book.remove(id(3), Some(5));
        book.remove(id(3), None);
        assert_eq!(sequences(&book.after(0)), [4], "deletion overrides expiry");
    }
}
