//! The grants that one core remembers, by the key of the request they were given for.
//!
//! Must stay true: a grant dies at its time, or when the epoch rises above its own; full means forgotten, never wrong. In
//! the second half of its time one request that asks for it renews it, so that it does not die under many requests, which
//! would then all ask the control plane at once.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use etransfer_contract::Grant;

use crate::bounds::GRANTS_REMEMBERED_MAX;

/// Remembered grants.
pub struct GrantCache<G> {
    remembered: HashMap<Box<[u8]>, Remembered<G>>,
}

struct Remembered<G> {
    grant: Rc<G>,
    until: Instant,
    /// When the next request renews it; `None`: one is renewing it.
    renew_at: Option<Instant>,
}

impl<G> Default for GrantCache<G> {
    fn default() -> Self {
        Self { remembered: HashMap::default() }
    }
}

impl<G: Borrow<Grant>> GrantCache<G> {
    /// The grant that an equal request was given, while it holds. `None`: request one, and [`remember`](Self::remember) it.
    /// Without `can_renew` it is used to its end and not renewed.
    pub fn find(&mut self, key: &[u8], now: Instant, epoch: u64, can_renew: bool) -> Option<Rc<G>> {
        let found = self.remembered.get_mut(key)?;
        if found.until <= now || (*found.grant).borrow().epoch < epoch {
            return None;
        }
        let renews = can_renew && found.renew_at.take_if(|at| *at <= now).is_some();
        (!renews).then(|| Rc::clone(&found.grant))
    }

    /// Keeps it for as long as it says. In a full cache expired grants make room, or else all do.
    pub fn remember(&mut self, key: Box<[u8]>, grant: &Rc<G>, now: Instant) {
        let cache_ms = (**grant).borrow().cache_ms;
        if cache_ms == 0 {
            return;
        }
        if self.remembered.len() >= GRANTS_REMEMBERED_MAX {
            self.remembered.retain(|_, old| old.until > now);
        }
        if self.remembered.len() >= GRANTS_REMEMBERED_MAX {
            self.remembered.clear();
        }
        let holds = Duration::from_millis(cache_ms);
        let remembered = Remembered { grant: Rc::clone(grant), until: now + holds, renew_at: Some(now + holds / 2) };
        self.remembered.insert(key, remembered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etransfer_contract::grant::Act;
    use etransfer_contract::link::VERSION;

    fn grant(epoch: u64, cache_ms: u64) -> Rc<Grant> {
        let act = Act::Forward { bytes_max: 1 };
        Rc::new(Grant { version: VERSION, ticket: epoch, epoch, cache_ms, headers: Vec::new(), holder: None, act })
    }

    #[test]
    fn a_grant_dies_at_its_time_or_with_its_epoch() {
        let (mut cache, start) = (GrantCache::default(), Instant::now());
        cache.remember(Box::from(*b"a"), &grant(5, 1_000), start);
        cache.remember(Box::from(*b"b"), &grant(5, 0), start);
        let at = |ms| start + Duration::from_millis(ms);
        for (key, ms, epoch, can_renew, expected) in [
            (b"a", 0, 5, true, true),
            (b"a", 499, 5, true, true),
            (b"a", 500, 5, false, true),
            (b"a", 500, 5, true, false), // has it renewed
            (b"a", 500, 5, true, true),
            (b"a", 999, 5, true, true),
            (b"a", 999, 4, true, true),
            (b"a", 1_000, 5, true, false),
            (b"a", 0, 6, true, false),
            (b"b", 0, 5, true, false),
            (b"c", 0, 5, true, false),
        ] {
            assert_eq!(
                cache.find(key, at(ms), epoch, can_renew).is_some(),
                expected,
                "{key:?} after {ms} ms in epoch {epoch}"
            );
        }
    }

    #[test]
    fn a_full_cache_forgets_the_dead_first() {
        let (mut cache, start) = (GrantCache::default(), Instant::now());
        let key = |number: usize| Box::from(number.to_le_bytes());
        let short = GRANTS_REMEMBERED_MAX / 2;
        (0..GRANTS_REMEMBERED_MAX).for_each(|number| {
            let ms = if number < short { 10 } else { 10_000 };
            cache.remember(key(number), &grant(1, ms), start);
        });
        let later = start + Duration::from_millis(20);
        cache.remember(key(GRANTS_REMEMBERED_MAX), &grant(1, 10_000), later);
        assert_eq!(cache.remembered.len(), GRANTS_REMEMBERED_MAX - short + 1, "the dead are gone, the living are not");
        (0..short).for_each(|number| cache.remember(key(number), &grant(1, 10_000), later));
        assert!(cache.remembered.len() <= GRANTS_REMEMBERED_MAX);
        assert!(cache.find(&key(short - 1), later, 1, true).is_some(), "the last one is always there");
    }
}
