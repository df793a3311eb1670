//! Timers of one core, ordered by deadline and then by age. The next deadline is how long a turn may wait.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::Io;

/// Deadlines, and the tasks to wake at them. A dropped sleep takes its timer with it, so none outlives its task.
#[derive(Default)]
pub(super) struct Timers {
    armed: BTreeMap<(Instant, u64), Waker>,
    next: u64,
}

impl Timers {
    fn arm(&mut self, at: Instant, waker: &Waker) -> u64 {
        let id = self.next;
        self.next += 1;
        self.armed.insert((at, id), waker.clone());
        id
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.armed.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the earliest timer that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Waker> {
        let first = self.armed.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// Ends at its deadline. The timer is set on the first poll.
#[must_use = "a sleep does nothing unless awaited"]
pub struct Sleep {
    io: Io,
    at: Instant,
    id: Option<u64>,
}

impl Sleep {
    pub(super) fn new(io: Io, at: Instant) -> Self {
        Self { io, at, id: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.io.now() >= this.at {
            return Poll::Ready(());
        }
        let mut timers = this.io.timers().borrow_mut();
        match this.id.and_then(|id| timers.armed.get_mut(&(this.at, id))) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => this.id = Some(timers.arm(this.at, cx.waker())),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let _waker = self.io.timers().borrow_mut().armed.remove(&(self.at, id));
        }
    }
}
