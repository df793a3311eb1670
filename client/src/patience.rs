//! How long to go on trying: a pause that grows per failure, and one limit on time without progress for all connections.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::progress::{Meter, Note};
use crate::{Cancel, Error, Result};

/// First pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Pauses grow up to this.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A server's `Retry-After` is honoured up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Shared by the connections of one transfer.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    progressed_at: Mutex<Instant>,
}

impl Patience {
    pub fn new(limit: Duration) -> Self {
        Self { limit, progressed_at: Mutex::new(Instant::now()) }
    }

    /// A step forward was made, by any connection.
    pub fn progressed(&self) {
        *self.progressed_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Nothing moved for as long as we were told to wait.
    pub fn is_over(&self) -> bool {
        self.waited() >= self.limit
    }

    fn waited(&self) -> Duration {
        self.progressed_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// The failures in a row of one connection.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    count: u32,
}

impl Failures {
    pub fn forget(&mut self) {
        self.count = 0;
    }

    /// Waits before the next try; or gives `error` back when it will not help, or when patience is over.
    pub fn pause(&mut self, error: Error, patience: &Patience, cancel: &Cancel, meter: &Meter<'_>) -> Result<()> {
        cancel.check()?;
        if !error.is_transient() {
            return Err(error);
        }
        let waited = patience.waited();
        if waited >= patience.limit {
            return Err(Error::Stuck { waited, source: Box::new(error) });
        }
        let pause = self.next_pause(&error).min(patience.limit - waited);
        if self.count > 1 {
            meter.note(Note::Retrying { cause: chain(&error), after: pause });
        }
        cancel.sleep(pause)
    }

    fn next_pause(&mut self, error: &Error) -> Duration {
        let grown = PAUSE_MIN.saturating_mul(1 << self.count.min(10)).min(PAUSE_MAX);
        self.count += 1;
        let jittered = grown.mul_f64(0.75 + 0.5 * fastrand::f64());
        error.retry_after().map_or(jittered, |asked| asked.min(RETRY_AFTER_MAX).max(jittered))
    }
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
