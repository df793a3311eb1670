//! Memory held for requests without a decision: heads, fields of forms, prefixes, messages before a token, bodies
//! that are relayed. One budget for the node; a request that finds it spent gets 503 and may be repeated.
//!
//! Must stay true: what a share holds is given back when it drops; a small head costs no look here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::http::Reject;

/// What the node holds, and may hold.
#[derive(Debug)]
pub struct UndecidedMemory {
    held: AtomicUsize,
    max: usize,
}

/// What one connection holds of it.
#[derive(Debug)]
pub struct MemoryShare {
    of: Arc<UndecidedMemory>,
    bytes: usize,
}

impl UndecidedMemory {
    /// A budget of `max` bytes.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), max })
    }

    /// A share that holds nothing yet.
    pub fn share(self: &Arc<Self>) -> MemoryShare {
        MemoryShare { of: Arc::clone(self), bytes: 0 }
    }
}

impl MemoryShare {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds `bytes` in all.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Reject> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.add(more),
            None => {
                self.of.held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
                self.bytes = bytes;
                Ok(())
            }
        }
    }

    /// Holds `bytes` more.
    pub fn add(&mut self, bytes: usize) -> Result<(), Reject> {
        if bytes == 0 {
            return Ok(());
        }
        let before = self.of.held.fetch_add(bytes, Ordering::Relaxed);
        if before.checked_add(bytes).is_none_or(|after| after > self.of.max) {
            self.of.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Reject::Crowded);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Holds nothing any more: the request is decided, or over.
    pub fn release(&mut self) {
        self.of.held.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p16_shares_never_pass_the_budget_and_all_of_it_comes_back() {
        let undecided = UndecidedMemory::new(100);
        let (mut one, mut two) = (undecided.share(), undecided.share());
        one.hold(60).unwrap();
        assert_eq!(two.add(41), Err(Reject::Crowded));
        two.add(40).unwrap();
        assert_eq!(one.add(1), Err(Reject::Crowded));
        assert_eq!(one.add(usize::MAX), Err(Reject::Crowded));
        one.hold(10).unwrap();
        two.hold(90).unwrap();
        assert_eq!((one.bytes(), two.bytes()), (10, 90));
        drop(two);
        one.release();
        assert_eq!(undecided.held.load(Ordering::Relaxed), 0);
    }
}
