//! Requests under way by holder, so that one token, user, device or account does not take them all. A grant names the holder
//! of its request and how many may be under way at once ([`GrantHolder`]); the count is here, where requests begin and end.
//!
//! | how a request ends | what it held |
//! |---|---|
//! | answered, whole or refused | comes back before the next head of the connection is read |
//! | the client ends, resets or loses the connection | with the task of the connection, at its next read or write |
//! | the client goes silent, in either direction | when the limits of a body or an answer cut it |
//! | its right ends, or a limit is lowered | with the body that is cut |
//! | the disk fails, an object is removed under it | with the answer that says so |
//! | the messages of a WebSocket | with the last of them: all are one request |
//! | the data plane stops | with the task, which is dropped after the grace |
//! | the control plane restarts or reloads | stays: the control plane does not know the count |
//!
//! Must stay true: an [`UnderWay`] is the only thing that counts, and gives back when it drops; a remembered grant finds its
//! count without a lock; a holder that no grant and no request names takes no room.
#![expect(clippy::disallowed_types, reason = "shared by the cores, held for one entry of a map, once per grant")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use etransfer_contract::grant::Holder as GrantHolder;

use crate::http::Reply;

/// All holders of a remembered grant or a request under way.
#[derive(Debug, Default)]
pub struct Holders(Mutex<HashMap<Box<str>, Weak<Holder>>>);

/// One of them.
#[derive(Debug)]
pub struct Holder {
    of: Arc<Holders>,
    key: Box<str>,
    under_way: AtomicU32,
}

/// One request under way, until it drops.
#[derive(Debug)]
pub struct UnderWay<'h>(&'h Holder);

/// The holder has as many requests under way as it may.
#[derive(Debug, PartialEq, Eq)]
pub struct TooManyUnderWay {
    at_once: u32,
}

impl Holders {
    /// The holder that the control plane names `key`.
    pub fn find(self: &Arc<Self>, key: &str) -> Arc<Holder> {
        let mut all = self.lock();
        if let Some(holder) = all.get(key).and_then(Weak::upgrade) {
            return holder;
        }
        let holder = Arc::new(Holder { of: Arc::clone(self), key: key.into(), under_way: AtomicU32::new(0) });
        all.insert(key.into(), Arc::downgrade(&holder));
        holder
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Weak<Holder>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    /// Counts one more, as its grant says.
    pub fn enter(&self, permitted: &GrantHolder) -> Result<UnderWay<'_>, TooManyUnderWay> {
        // Before anything is looked at: two that come together never both take the last place.
        let under_way = UnderWay(self);
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        if before < permitted.at_once { Ok(under_way) } else { Err(TooManyUnderWay { at_once: permitted.at_once }) }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let mut all = self.of.lock();
        // A new holder may have taken the same key in between.
        if all.get(&self.key).is_some_and(|holder| holder.strong_count() == 0) {
            all.remove(&self.key);
        }
    }
}

impl TooManyUnderWay {
    /// 429, and how to go on.
    pub fn reply(&self) -> Reply {
        let detail = format!(
            "{} requests with this credential are under way, the most that one token, user or account may have here \
             (limits.transfers_per_credential): try again when one has ended",
            self.at_once
        );
        Reply::detail(429, detail).field("Retry-After", "1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(key: &str, at_once: u32) -> GrantHolder {
        GrantHolder { key: key.into(), at_once }
    }

    #[test]
    fn b6_one_holder_has_so_many_under_way_and_leaves_nothing_behind() {
        let holders = Arc::<Holders>::default();
        let (ann, same, ben) = (holders.find("ann"), holders.find("ann"), holders.find("ben"));
        let first = ann.enter(&may("ann", 2)).unwrap();
        let second = same.enter(&may("ann", 2)).unwrap();
        for _ in 0..3 {
            assert_eq!(ann.enter(&may("ann", 2)).unwrap_err(), TooManyUnderWay { at_once: 2 });
        }
        let other = ben.enter(&may("ben", 2)).unwrap();
        let raised = same.enter(&may("ann", 3)).unwrap();
        drop(first);
        assert!(ann.enter(&may("ann", 2)).is_err(), "lowered below what is under way");
        drop((second, raised));
        assert!(ann.enter(&may("ann", 1)).is_ok());
        assert!(ann.enter(&may("ann", 0)).is_err());
        assert_eq!(ann.under_way.load(Ordering::Relaxed), 0, "and who was refused left nothing either");
        drop((ann, same));
        assert_eq!(holders.lock().keys().map(|key| &**key).collect::<Vec<_>>(), ["ben"]);
        assert_eq!(holders.find("ann").under_way.load(Ordering::Relaxed), 0);
        drop(other);
        drop(ben);
        assert!(holders.lock().is_empty());
    }

    #[test]
    fn b6_threads_never_have_more_under_way_than_may_be() {
        let holders = Arc::<Holders>::default();
        let (running, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        let holder = holders.find("one");
                        if let Ok(_under_way) = holder.enter(&may("one", 2)) {
                            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            running.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!((1..=2).contains(&most.into_inner()));
        assert!(holders.lock().is_empty());
    }
}
