//! How a client takes its answer. It may be slow, and may stop for hours; it is cut when too many clients are slow
//! ([`Stalled`]), or when it is dead.
//!
//! | in a window of waiting for it | then |
//! |---|---|
//! | it takes enough | nothing, or it is no longer stalled |
//! | it takes less | it is stalled: one of few, for `answer_timeout` at most |
//! | it acknowledges nothing of what is in flight | as above, and after `peer_timeout` it is dead |
//!
//! `TCP_USER_TIMEOUT` is no help here: since Linux 5.11 it ends connections whose window stays closed although the peer
//! answers every probe, which is just what a paused reader does. A dead peer leaves bytes in flight that nothing
//! acknowledges; where nothing is in flight, the kernel's own probes end it.
//!
//! Must stay true: an answer that leaves at once looks at no clock and takes no lock.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{Either, pending, select};

use crate::config::Limits;
use crate::driver::outgoing::{Unacknowledged, unacknowledged};
use crate::driver::{Fd, Io, Pending};
use crate::limits::stall_detector::{StallDetector, StallVerdict};
use crate::limits::stalled::{Stalled, StalledReader};

/// One client during one answer.
pub struct Uptake<'c> {
    io: &'c Io,
    limits: &'c Limits,
    readers: &'c Arc<Stalled>,
    detector: StallDetector,
    stalled: Option<(StalledReader, Instant)>,
    /// What was in flight when the last window ended, and since when.
    on_the_way: Option<(Unacknowledged, Instant)>,
}

impl<'c> Uptake<'c> {
    /// Begins with the answer.
    pub fn new(io: &'c Io, limits: &'c Limits, readers: &'c Arc<Stalled>) -> Self {
        let detector = StallDetector::new(limits.body_idle_timeout, limits.body_rate_min);
        Self { io, limits, readers, detector, stalled: None, on_the_way: None }
    }

    /// The client took `bytes`.
    pub fn moved(&mut self, bytes: u64) {
        let _judged_with_time = self.detector.count(Duration::ZERO, bytes);
        if self.detector.is_enough() {
            self.stalled = None;
        }
    }

    /// Awaits an operation that sends to the client, as long as it may last; then cancels it and awaits its end. The flag:
    /// it was cut.
    pub async fn within<T>(&mut self, socket: &Fd, mut send: Pending<T>) -> (T, bool) {
        if let Some(sent) = (&mut send).now_or_never() {
            return (sent, false);
        }
        loop {
            let since = self.io.now();
            let window_ends = self.io.sleep(self.detector.left());
            let cut = async {
                match &self.stalled {
                    Some((reader, _)) => reader.until_cut().await,
                    None => pending().await,
                }
            };
            let sent = match select(&mut send, select(pin!(window_ends), pin!(cut))).await {
                Either::Left((sent, _)) => Some(sent),
                Either::Right(_) => None,
            };
            let verdict = self.detector.count(self.io.now() - since, 0);
            match sent {
                Some(sent) => return (sent, false),
                None if self.goes_on(verdict, socket) => {}
                None => {
                    send.cancel();
                    return (send.await, true);
                }
            }
        }
    }

    /// Whether to wait for the client any longer.
    fn goes_on(&mut self, verdict: StallVerdict, socket: &Fd) -> bool {
        match verdict {
            StallVerdict::Open => {}
            StallVerdict::Kept => (self.stalled, self.on_the_way) = (None, None),
            StallVerdict::Slow => {
                let (readers, now) = (self.readers, self.io.now());
                self.stalled.get_or_insert_with(|| (readers.enter(), now));
                self.look(socket, now);
            }
        }
        let limits = self.limits;
        let lasts = |since: &Instant, limit| self.io.now() - *since >= limit;
        let is_over =
            self.stalled.as_ref().is_some_and(|(reader, since)| reader.is_cut() || lasts(since, limits.answer_timeout));
        let is_dead = self.on_the_way.as_ref().is_some_and(|(_, since)| lasts(since, limits.peer_timeout));
        if is_over || is_dead {
            tracing::debug!(is_dead, "a reader is cut");
        }
        !is_over && !is_dead
    }

    /// Compares what is in flight with the last look; nothing is while the client's window is closed.
    fn look(&mut self, socket: &Fd, now: Instant) {
        let found = unacknowledged(&**socket).ok().filter(|found| found.bytes > found.unsent);
        self.on_the_way = found.map(|found| match self.on_the_way {
            Some((before, since)) if before == found => (found, since),
            _ => (found, now),
        });
    }
}
