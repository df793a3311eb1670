//! One body under a speed limit: what it may move now, and what it gives back when it ends early.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bucket::{Bucket, Reservation};
use super::nanos;
use crate::driver::Io;

/// The longest a body sleeps before it looks around: is the peer there, is the node stopping, is the rate another one?
const LOOK: Duration = Duration::from_millis(200);

/// A body's share of its key's rate. Dropped, it gives back what it reserved and did not move.
pub struct Meter {
    io: Io,
    start: Instant,
    bucket: Arc<Bucket>,
    held: Option<Reservation>,
}

/// What a body may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Move up to this many bytes and report the number ([`Meter::moved`]).
    Now(u64),
    /// Ask again after this long.
    Later(Duration),
}

impl Meter {
    pub(super) fn new(io: Io, start: Instant, bucket: Arc<Bucket>) -> Self {
        Self { io, start, bucket, held: None }
    }

    /// Asks for up to `most` bytes, `most > 0`. Asking again keeps the place in line.
    pub fn turn(&mut self, most: u64) -> Turn {
        let now_ns = self.now_ns();
        let standing = self.held.filter(|held| self.bucket.left(held) > 0);
        let held = standing.unwrap_or_else(|| self.bucket.reserve(most.min(self.piece()), now_ns));
        self.held = Some(held);
        match held.due_ns().saturating_sub(now_ns) {
            0 => Turn::Now(self.bucket.left(&held).min(most)),
            wait => Turn::Later(LOOK.min(Duration::from_nanos(wait))),
        }
    }

    /// Counts bytes of the last turn as moved.
    pub fn moved(&mut self, bytes: u64) {
        if let Some(held) = &mut self.held {
            held.count(bytes);
        }
    }

    fn piece(&self) -> u64 {
        let in_table = 1;
        self.bucket.piece((Arc::strong_count(&self.bucket) - in_table) as u64)
    }

    fn now_ns(&self) -> u64 {
        nanos(self.start, self.io.now())
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            self.bucket.give_back(held, self.now_ns());
        }
    }
}
