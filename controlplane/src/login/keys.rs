//! The provider's signing keys, and when to ask for them again.
//!
//! A token with an unknown key may be a rotation or an attack: the keys are fetched again for it, but not more often than
//! every thirty seconds (reliability.md §5).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::core::CoreJsonWebKeySet;
use reqwest::Url;
use tokio::sync::Semaphore;

use super::fetch::{Fault, Fetch, send};

/// Between two refreshes.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// The keys behind one address.
#[derive(Debug)]
pub struct Keys {
    url: Url,
    known: Mutex<Known>,
    turn: Semaphore,
}

#[derive(Debug, Default)]
struct Known {
    keys: Option<Arc<CoreJsonWebKeySet>>,
    /// The first fetch is no refresh.
    refreshed: Option<Instant>,
}

impl Keys {
    /// Asks nothing yet.
    pub fn at(url: Url) -> Self {
        Self { url, known: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// The keys, fetched when there are none.
    pub async fn get(&self, fetch: &Fetch) -> Result<Arc<CoreJsonWebKeySet>, Fault> {
        if let Some(keys) = self.with(|known| known.keys.clone()) {
            return Ok(keys);
        }
        let _turn = self.turn.acquire().await.expect("this semaphore is never closed");
        match self.with(|known| known.keys.clone()) {
            Some(keys) => Ok(keys),
            None => self.fetch(fetch).await,
        }
    }

    /// Other keys than `seen`; `None` when there are none and it is too early to ask.
    pub async fn newer_than(
        &self,
        seen: &Arc<CoreJsonWebKeySet>,
        fetch: &Fetch,
    ) -> Result<Option<Arc<CoreJsonWebKeySet>>, Fault> {
        let _turn = self.turn.acquire().await.expect("this semaphore is never closed");
        // Whoever had the turn before may have fetched what is missing.
        if let Some(keys) = self.with(|known| known.keys.clone()).filter(|keys| !Arc::ptr_eq(keys, seen)) {
            return Ok(Some(keys));
        }
        if !self.with(|known| known.may_refresh(Instant::now())) {
            return Ok(None);
        }
        self.fetch(fetch).await.map(Some)
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<Arc<CoreJsonWebKeySet>, Fault> {
        let keys: CoreJsonWebKeySet = send(fetch.get(&self.url)).await?.ok()?;
        let keys = Arc::new(keys);
        self.with(|known| known.keys = Some(Arc::clone(&keys)));
        Ok(keys)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// Counts as a refresh when it says yes, whatever comes of it.
    fn may_refresh(&mut self, now: Instant) -> bool {
        let may = self.refreshed.is_none_or(|last| now.duration_since(last) >= REFRESH_EVERY);
        if may {
            self.refreshed = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_5_keys_are_refreshed_at_most_once_in_thirty_seconds() {
        let start = Instant::now();
        let mut known = Known::default();
        for (after_s, may) in [(0, true), (1, false), (29, false), (30, true), (31, false), (59, false), (60, true)] {
            assert_eq!(known.may_refresh(start + Duration::from_secs(after_s)), may, "{after_s} s");
        }
    }
}
