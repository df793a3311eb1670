//! How fast a peer is, over whole windows of the time that the node waited for it. Time in which the node kept the peer waiting
//! (a disk, a rate, a slot) is not counted.
//!
//! Must stay true: a window is judged as a whole, whatever trickles inside it; no wait is longer than what is left of it.

use std::time::Duration;

/// The peer of a connection, during one body or one answer.
#[derive(Debug)]
pub struct StallDetector {
    window: Duration,
    bytes_min: u64,
    waited: Duration,
    bytes: u64,
    silent: Duration,
}

/// What a wait showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StallVerdict {
    /// The window is not over.
    Open,
    /// It is, and enough came.
    Kept,
    /// Too little came, or nothing for as long as a window.
    Slow,
}

impl StallDetector {
    /// At least `rate_min` bytes a second over each `window` that is waited for.
    pub fn new(window: Duration, rate_min: u64) -> Self {
        let bytes_min = u128::from(rate_min) * window.as_millis() / 1000;
        let bytes_min = u64::try_from(bytes_min).unwrap_or(u64::MAX);
        Self { window, bytes_min, waited: Duration::ZERO, bytes: 0, silent: Duration::ZERO }
    }

    /// The longest wait that can be judged.
    pub fn left(&self) -> Duration {
        self.window.saturating_sub(self.waited)
    }

    /// Enough came for this window, although it is not over.
    pub fn is_enough(&self) -> bool {
        self.bytes > 0 && self.bytes >= self.bytes_min
    }

    /// The node waited this long, and `bytes` moved.
    pub fn count(&mut self, waited: Duration, bytes: u64) -> StallVerdict {
        self.waited += waited;
        self.bytes += bytes;
        self.silent = if bytes > 0 { Duration::ZERO } else { self.silent + waited };
        if self.waited < self.window && self.silent < self.window {
            return StallVerdict::Open;
        }
        let is_slow = self.silent >= self.window || self.bytes < self.bytes_min;
        (self.waited, self.bytes, self.silent) =
            (Duration::ZERO, 0, if is_slow { Duration::ZERO } else { self.silent });
        if is_slow { StallVerdict::Slow } else { StallVerdict::Kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);
    const TICK: Duration = Duration::from_millis(200);

    fn detector() -> StallDetector {
        StallDetector::new(WINDOW, 1024)
    }

    /// After how much waiting a sender of `bytes` each tick is too slow.
    fn slow_after(bytes: u64) -> Option<Duration> {
        let (mut detector, mut waited) = (detector(), Duration::ZERO);
        while waited < 100 * WINDOW {
            waited += TICK;
            if detector.count(TICK, bytes) == StallVerdict::Slow {
                return Some(waited);
            }
        }
        None
    }

    #[test]
    fn t_pat_13_a_window_is_judged_as_a_whole() {
        assert_eq!(slow_after(0), Some(WINDOW));
        assert_eq!(slow_after(1), Some(WINDOW));
        assert_eq!(slow_after(204), Some(WINDOW));
        assert_eq!(slow_after(205), None);
        assert_eq!(slow_after(1 << 20), None);
    }

    #[test]
    fn silence_of_a_window_counts_wherever_it_began() {
        let mut detector = detector();
        assert_eq!(detector.count(WINDOW / 2, 1 << 20), StallVerdict::Open);
        assert_eq!(detector.left(), WINDOW / 2);
        assert_eq!(detector.count(WINDOW / 2, 0), StallVerdict::Kept);
        assert_eq!(detector.count(WINDOW / 2, 0), StallVerdict::Slow);
    }

    #[test]
    fn the_largest_rate_and_window_overflow_nothing() {
        let mut detector = StallDetector::new(Duration::from_secs(u64::MAX / 1000), u64::MAX);
        assert_eq!(detector.count(WINDOW, u64::MAX), StallVerdict::Open);
        assert!(detector.is_enough());
        assert!(!StallDetector::new(Duration::ZERO, 0).is_enough());
    }
}
