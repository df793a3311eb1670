//! How long to go on trying: a pause that grows per failure, and one limit on time without progress for all
//! connections.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::progress::{Meter, Note};
use crate::{Cancel, Error, Result};

/// First pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Pauses grow up to this.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A server's `Retry-After` is honoured up to this.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Shared by the connections of one transfer. The clock runs from the first question after the last step forward, so a
/// slow step that ends in a failure is not held against the next one.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    asked_at: Mutex<Option<Instant>>,
}

impl Patience {
    pub fn new(limit: Duration) -> Self {
        Self { limit, asked_at: Mutex::new(None) }
    }

    /// A step forward was made, by any connection.
    pub fn progressed(&self) {
        *self.asked_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Nothing moved for as long as we were told to wait.
    pub fn is_over(&self) -> bool {
        self.waited() >= self.limit
    }

    fn waited(&self) -> Duration {
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        asked_at.get_or_insert_with(Instant::now).elapsed()
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
        self.wait_out(error, patience, cancel, meter).map(drop)
    }

    /// The same; `Ok` holds the error, for a caller that has no newer one next time.
    pub fn wait_out(&mut self, error: Error, patience: &Patience, cancel: &Cancel, meter: &Meter<'_>) -> Result<Error> {
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
        cancel.sleep(pause).map(|()| error)
    }

    /// How long to wait after one more failure.
    pub fn next_pause(&mut self, error: &Error) -> Duration {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoProgress;
    use crate::http1::WireError;

    fn lost() -> Error {
        Error::Unreachable { server: "s".into(), source: WireError::Closed }
    }

    #[test]
    fn the_clock_starts_with_the_first_failure_after_progress() {
        let patience = Patience::new(Duration::from_millis(30));
        std::thread::sleep(Duration::from_millis(40)); // a slow step
        assert!(!patience.is_over());
        std::thread::sleep(Duration::from_millis(40));
        assert!(patience.is_over());
        patience.progressed();
        assert!(!patience.is_over());
    }

    #[test]
    fn failures_are_waited_out_until_patience_ends() {
        let (patience, cancel, meter) =
            (Patience::new(Duration::from_millis(120)), Cancel::new(), Meter::silent(&NoProgress));
        let mut failures = Failures::default();
        let mut tries = 0;
        let end = loop {
            match failures.pause(lost(), &patience, &cancel, &meter) {
                Ok(()) => tries += 1,
                Err(error) => break error,
            }
        };
        assert!(tries >= 2 && matches!(end, Error::Stuck { .. }), "{tries} {end:?}");
        let hopeless = failures.pause(Error::Unauthorized { server: "s".into() }, &patience, &cancel, &meter);
        assert!(matches!(hopeless, Err(Error::Unauthorized { .. })));
        cancel.cancel();
        assert!(matches!(failures.pause(lost(), &patience, &cancel, &meter), Err(Error::Interrupted)));
    }

    #[test]
    fn pauses_grow_to_a_limit_and_honour_the_server_within_reason() {
        let mut failures = Failures::default();
        let pauses: Vec<Duration> = (0..20).map(|_| failures.next_pause(&lost())).collect();
        assert!(pauses[0] < Duration::from_millis(100) && pauses[19] <= PAUSE_MAX.mul_f64(1.25));
        let asks = |seconds| Error::Refused {
            status: 503,
            what: "x",
            detail: String::new(),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(failures.next_pause(&asks(7)), Duration::from_secs(7));
        assert_eq!(failures.next_pause(&asks(86_400)), RETRY_AFTER_MAX);
    }
}
