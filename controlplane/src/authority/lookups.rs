//! Looking sessions up, so that a client without one takes nothing from clients that have one, nor from requests that
//! need no lookup at all.
//!
//! Must stay true: unknown credentials never take all connections to the database; no decision waits for its turn longer
//! than [`LOOKUP_WAIT`]; what was no session a moment ago is not asked for again.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::table::Table;
use crate::bounds::{
    KNOWN_LOOKUPS_MAX, LOOKUP_WAIT, NO_SESSION_ENTRIES_MAX, NO_SESSION_FOR, UNKNOWN_DECISIONS_MAX, UNKNOWN_LOOKUPS_MAX,
};
use crate::people::{People, PeopleError, Session};

/// The seats.
#[derive(Debug)]
pub struct Lookups {
    known: Semaphore,
    /// Running or waiting.
    unknown: Semaphore,
    /// Running.
    unknown_seats: Semaphore,
    none: Mutex<Table<[u8; 32], Instant>>,
}

/// It was not looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLooked {
    /// Too many wait.
    #[error("too many sessions are looked up at once")]
    Busy,
    /// The database does not answer.
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            known: Semaphore::new(KNOWN_LOOKUPS_MAX),
            unknown: Semaphore::new(UNKNOWN_DECISIONS_MAX),
            unknown_seats: Semaphore::new(UNKNOWN_LOOKUPS_MAX),
            none: Mutex::new(Table::new(NO_SESSION_ENTRIES_MAX)),
        }
    }
}

impl Lookups {
    /// The session `text` is. `is_known`: it was one lately.
    pub async fn session(&self, people: &People, text: &str, is_known: bool) -> Result<Option<Session>, NotLooked> {
        let busy = |_| NotLooked::Busy;
        if is_known {
            let _seat = timeout(LOOKUP_WAIT, self.known.acquire()).await.map_err(busy)?;
            return Ok(people.session(text).await?);
        }
        let key = Sha256::digest(text).into();
        if self.is_none(&key) {
            return Ok(None);
        }
        let _place = self.unknown.try_acquire().map_err(|_full| NotLooked::Busy)?;
        let _seat = timeout(LOOKUP_WAIT, self.unknown_seats.acquire()).await.map_err(busy)?;
        let session = people.session(text).await?;
        if session.is_none() {
            self.none.lock().unwrap_or_else(PoisonError::into_inner).put(key, Instant::now());
        }
        Ok(session)
    }

    fn is_none(&self, key: &[u8; 32]) -> bool {
        let none = self.none.lock().unwrap_or_else(PoisonError::into_inner);
        none.get(key).is_some_and(|since| since.elapsed() < NO_SESSION_FOR)
    }
}
