//! Clients that take their answers too slowly, over all cores. A closed window does not mean a dead client: a paused player or
//! a proxy with a full buffer stays here until there are more of them than `max`.
//!
//! Must stay true: when one more than `max` stalls, the one that stalled first is cut; a reader that is fast again, or gone,
//! has no place.
#![expect(
    clippy::disallowed_types,
    reason = "held for one entry, once in a window of a slow reader, never across a wait"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::Event;

/// All of them.
pub struct Stalled {
    max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    readers: BTreeMap<u64, Arc<Cut>>,
}

#[derive(Default)]
struct Cut {
    is_cut: AtomicBool,
    event: Event,
}

/// One of them, until it drops.
pub struct StalledReader {
    of: Arc<Stalled>,
    number: u64,
    cut: Arc<Cut>,
}

impl Stalled {
    /// Places for `max` readers.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, table: Mutex::default() })
    }

    /// One more stalled; with all places taken, the oldest is cut.
    pub fn enter(self: &Arc<Self>) -> StalledReader {
        let cut = Arc::<Cut>::default();
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.readers.insert(number, Arc::clone(&cut));
        let oldest = if table.readers.len() > self.max { table.readers.pop_first() } else { None };
        drop(table);
        if let Some((_, oldest)) = oldest {
            oldest.is_cut.store(true, Ordering::Release);
            oldest.event.notify(usize::MAX);
        }
        StalledReader { of: Arc::clone(self), number, cut }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StalledReader {
    /// Another reader needed the place.
    pub fn is_cut(&self) -> bool {
        self.cut.is_cut.load(Ordering::Acquire)
    }

    /// Ends when another reader needs the place.
    pub async fn until_cut(&self) {
        while !self.is_cut() {
            let listener = self.cut.event.listen();
            if self.is_cut() {
                return;
            }
            listener.await;
        }
    }
}

impl Drop for StalledReader {
    fn drop(&mut self) {
        self.of.table().readers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p16_one_too_many_cuts_the_one_that_stalled_first() {
        let stalled = Stalled::new(2);
        let (first, second) = (stalled.enter(), stalled.enter());
        let third = stalled.enter();
        assert_eq!([&first, &second, &third].map(StalledReader::is_cut), [true, false, false]);
        drop(second);
        let fourth = stalled.enter();
        assert!(!third.is_cut() && !fourth.is_cut());
        drop((first, third, fourth));
        assert!(stalled.table().readers.is_empty());
        assert!(Stalled::new(0).enter().is_cut());
    }
}
