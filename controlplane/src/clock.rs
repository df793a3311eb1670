//! Wall time, and whether to believe it.
//!
//! Times that are stored or shown are Unix milliseconds. A sweep that deletes asks [`Clock::is_steady`] first: when wall
//! and monotonic time drifted apart by an hour or more since the last sweep, that sweep deletes nothing (PROMISES.md
//! P11).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A disagreement of this much between the two clocks is a step.
const STEP: Duration = Duration::from_secs(3600);

/// The node's clock.
#[derive(Debug)]
pub struct Clock {
    seen: Mutex<(Instant, u64)>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { seen: Mutex::new((Instant::now(), wall_ms())) }
    }
}

impl Clock {
    /// Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        wall_ms()
    }

    /// Whether both clocks agree since the last sweep; while they do not, nothing is deleted.
    pub fn agrees(&self) -> bool {
        let (then, wall_then) = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        disagreement(then, wall_then) < STEP
    }

    /// Compares both clocks since the last call; `false` after a step, once.
    pub fn is_steady(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, wall_then) = std::mem::replace(&mut *seen, (Instant::now(), wall_ms()));
        let off = disagreement(then, wall_then);
        if off >= STEP {
            tracing::warn!(off_s = off.as_secs(), "the clock was stepped; nothing expires in this sweep");
        }
        off < STEP
    }
}

fn disagreement(then: Instant, wall_then: u64) -> Duration {
    let passed = then.elapsed().as_millis() as u64;
    Duration::from_millis(wall_ms().abs_diff(wall_then.saturating_add(passed)))
}

/// Unix milliseconds, for who has no clock at hand.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// `2026-11-20T12:19:03.114410`: UTC, no zone suffix, six fraction digits (easytransfer/CONTRACT.md §1.1).
pub fn iso(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// Unix milliseconds of a text, rounded down; fewer fraction digits are fine. Before 1970 is 1970: long over either way.
pub(crate) fn moment(text: &str) -> Option<u64> {
    let time: jiff::civil::DateTime = text.trim().parse().ok()?;
    let timestamp = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(u64::try_from(timestamp.as_millisecond()).unwrap_or(0))
}

/// `Fri, 20 Nov 2026 12:19:03 GMT` (T-EXP-2).
pub fn imf(unix_ms: u64) -> String {
    // Past the year 9999 there is no IMF-fixdate; that far nothing expires.
    let ms = unix_ms.min(253_402_300_799_000);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_1_1_times() {
        assert_eq!(iso(1_795_177_143_114), "2026-11-20T12:19:03.114000");
        assert_eq!(iso(0), "1970-01-01T00:00:00.000000");
        assert_eq!(imf(1_795_177_143_114), "Fri, 20 Nov 2026 12:19:03 GMT");
        assert!(!iso(u64::MAX).is_empty() && imf(u64::MAX).ends_with("GMT"));
    }

    #[test]
    fn section_10_times_of_other_programs() {
        for (text, ms) in [
            ("2026-11-20 12:19:03.114410", Some(1_795_177_143_114)),
            ("2026-11-20 12:19:03", Some(1_795_177_143_000)),
            ("2026-11-20T12:19:03.1144", Some(1_795_177_143_114)),
            ("2026-11-20 12:19:03.11441 ", Some(1_795_177_143_114)),
            ("1969-12-31 23:59:59", Some(0)),
            ("soon", None),
            ("2026-13-01 00:00:00", None),
            ("", None),
        ] {
            assert_eq!(moment(text), ms, "{text}");
        }
    }

    #[test]
    fn p11_a_step_is_noticed_once() {
        let clock = Clock::default();
        assert!(clock.is_steady());
        clock.seen.lock().unwrap().1 -= 2 * 3_600_000;
        assert!(!clock.agrees());
        assert!(!clock.is_steady());
        assert!(clock.agrees());
        assert!(clock.is_steady());
    }
}
