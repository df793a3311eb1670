//! How fast a sender is. Only the sender is judged: time in which the server made it wait is taken out.

use std::time::{Duration, Instant};

/// A sender starts with windows of this size and returns to them when it gets slow.
pub const SMALL_WINDOW_BYTES: usize = 64 * 1024;

/// How fast a sender is: decides who may hold a slot and who is cut.
pub struct Pace {
    since: Instant,
    bytes: u64,
    last_byte: Instant,
    fast: bool,
}

impl Pace {
    /// Starts with the body.
    pub fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, last_byte: now, fast: false }
    }

    /// One window came: a full small window within a tick earns a slot, a tick with less loses it.
    pub fn count(&mut self, now: Instant, bytes: usize) {
        if bytes > 0 {
            self.last_byte = now;
        }
        self.bytes += bytes as u64;
        self.fast = bytes >= SMALL_WINDOW_BYTES;
    }

    /// The server made the sender wait: this time does not count.
    pub fn pause(&mut self, waited: Duration) {
        self.since += waited;
        self.last_byte += waited;
    }

    /// Whether the last window earned a slot.
    pub fn is_fast(&self) -> bool {
        self.fast
    }

    /// Whether nothing came for `window`, or less than `rate_min` bytes per second over it (T-PAT-13).
    pub fn is_too_slow(&mut self, now: Instant, window: Duration, rate_min: u64) -> bool {
        if now - self.last_byte >= window {
            return true;
        }
        if now - self.since < window {
            return false;
        }
        let slow = self.bytes < rate_min * window.as_secs();
        self.since = now;
        self.bytes = 0;
        slow
    }
}
