//! The end of a delivery that is held back: what the receiver's kernel acknowledged (PROMISES.md P10).
//!
//! ```text
//!   |<------------------- taken by this kernel ------------------->|
//!   |<-- acknowledged: received -->|<-- left: perhaps -->|<- kept ->|
//! ```
//!
//! | the connection | counted as received | counted as perhaps received |
//! |---|---|---|
//! | acknowledged everything | all | nothing |
//! | was reset | what was acknowledged | what left and was not |
//! | is silent for the limit | what was acknowledged | the rest: this kernel goes on sending it |
//! | the kernel cannot tell | nothing | all |
//!
//! Must stay true: nothing is counted as received that the receiver's kernel did not acknowledge, and nothing that may have
//! reached it is left out.

use std::time::{Duration, Instant};

use etransfer_contract::fact::Reach;

use crate::core::Core;
use crate::driver::outgoing::Unacknowledged;
use crate::wire::Wire;

/// Between two looks at first; most receivers answer within this.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Between two looks at a receiver that takes its time.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// How far `taken` bytes of content, the last ones written into the socket, got. Of a delivery that was `finished` the
/// acknowledgement is awaited as long as it comes nearer within `limit`.
pub async fn reach(core: &Core, wire: &Wire, taken: u64, finished: bool, limit: Duration) -> Reach {
    let mut patience = Patience { least: u64::MAX, deadline: core.io.now(), pause: PAUSE_MIN };
    loop {
        // Looked at first: what is broken by then does not change any more.
        let is_broken = wire.is_broken();
        let Some(left) = wire.unacknowledged() else { return Reach { acknowledged: 0, sent: taken } };
        let is_over = !finished || is_broken || left.bytes == 0;
        match patience.next(left.bytes, core.io.now(), limit) {
            Some(pause) if !is_over => core.io.sleep(pause).await,
            Some(_) | None => return judge(taken, left, is_broken),
        }
    }
}

/// The table above.
fn judge(taken: u64, left: Unacknowledged, is_broken: bool) -> Reach {
    let never_left = if is_broken { left.unsent } else { 0 };
    Reach { acknowledged: taken.saturating_sub(left.bytes), sent: taken.saturating_sub(never_left) }
}

/// When to look again.
struct Patience {
    least: u64,
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    /// `None`: nothing came nearer for the limit.
    fn next(&mut self, left: u64, now: Instant, limit: Duration) -> Option<Duration> {
        if left < self.least {
            *self = Self { least: left, deadline: now + limit, pause: PAUSE_MIN };
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        (now < self.deadline).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_what_counts_as_received_and_what_may_have_been() {
        for (taken, bytes, unsent, is_broken, acknowledged, sent) in [
            (100, 0, 0, false, 100, 100),
            (100, 0, 0, true, 100, 100),
            (100, 30, 10, true, 70, 90),
            (100, 30, 10, false, 70, 100), // closing a living connection sends what is queued
            (100, 100, 100, true, 0, 0),   // the head left, no content did
            (100, 250, 250, true, 0, 0),   // neither
            (0, 120, 0, true, 0, 0),
        ] {
            let reach = judge(taken, Unacknowledged { bytes, unsent }, is_broken);
            assert_eq!(reach, Reach { acknowledged, sent }, "{taken} {bytes} {unsent} {is_broken}");
        }
    }

    #[test]
    fn patience_ends_when_nothing_comes_nearer() {
        let (start, limit) = (Instant::now(), Duration::from_secs(30));
        let mut patience = Patience { least: u64::MAX, deadline: start, pause: PAUSE_MIN };
        for (left, at_s, waits) in [(9, 0, true), (9, 29, true), (8, 29, true), (8, 58, true), (8, 59, false)] {
            let pause = patience.next(left, start + Duration::from_secs(at_s), limit);
            assert_eq!(pause.is_some(), waits, "{left} {at_s}");
        }
    }
}
