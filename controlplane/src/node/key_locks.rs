//! One lock per place: what a dialect holds while it reads a record or a document, and changes it by an edit.
//!
//! Must stay true: a lock that is neither held nor waited for takes no room, also when a waiter went away. A caller
//! that takes several takes them in the order of their keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::catalogue::Place;
use crate::core::SurfaceId;

/// All of them.
#[derive(Debug, Default)]
pub struct KeyLocks(Mutex<HashMap<Place, Slot>>);

#[derive(Debug, Default)]
struct Slot {
    lock: Arc<AsyncMutex<()>>,
    /// Who holds it or waits for it.
    users: usize,
}

/// The place is the holder's until this is dropped.
#[derive(Debug)]
pub struct KeyGuard<'l> {
    locks: &'l KeyLocks,
    place: Place,
    held: Option<OwnedMutexGuard<()>>,
}

impl KeyLocks {
    /// Waits until no other caller holds the key; first come, first served.
    pub async fn lock(&self, surface: SurfaceId, key: &str) -> KeyGuard<'_> {
        let place = (surface, key.to_owned());
        let lock = {
            let mut slots = self.slots();
            let slot = slots.entry(place.clone()).or_default();
            slot.users += 1;
            Arc::clone(&slot.lock)
        };
        // Made before the wait: who gives up waiting leaves the slot by the same door.
        let mut guard = KeyGuard { locks: self, place, held: None };
        guard.held = Some(lock.lock_owned().await);
        guard
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Place, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyGuard<'_> {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut slots = self.locks.slots();
        if let Some(slot) = slots.get_mut(&self.place) {
            slot.users -= 1;
            if slot.users == 0 {
                slots.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const SURFACE: SurfaceId = SurfaceId::StreamUpload;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_at_a_time_for_each_place_and_nothing_is_left() {
        let locks = KeyLocks::default();
        let Poll::Ready(first) = poll(pin!(locks.lock(SURFACE, "a"))) else { panic!("it is free") };
        for (surface, key) in [(SURFACE, "b"), (SurfaceId::CloudBackend, "a")] {
            assert!(poll(pin!(locks.lock(surface, key))).is_ready(), "another place");
        }
        let mut second = pin!(locks.lock(SURFACE, "a"));
        {
            let mut gives_up = pin!(locks.lock(SURFACE, "a"));
            assert!(poll(second.as_mut()).is_pending() && poll(gives_up.as_mut()).is_pending());
        }
        drop(first);
        let Poll::Ready(second) = poll(second) else { panic!("it is free") };
        assert_eq!(locks.slots().len(), 1);
        drop(second);
        assert!(locks.slots().is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_change_is_lost_between_reading_and_writing() {
        let (locks, sum) = (Arc::new(KeyLocks::default()), Arc::new(Mutex::new(0)));
        let add = || {
            let (locks, sum) = (Arc::clone(&locks), Arc::clone(&sum));
            async move {
                let _alone = locks.lock(SURFACE, "sum").await;
                let read = *sum.lock().unwrap();
                tokio::task::yield_now().await;
                *sum.lock().unwrap() = read + 1;
            }
        };
        let tasks: Vec<_> = (0..100).map(|_| tokio::spawn(add())).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((*sum.lock().unwrap(), locks.slots().len()), (100, 0));
    }
}
