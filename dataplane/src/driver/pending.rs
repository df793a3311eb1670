//! An operation that has started, as a future of its result.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Completion, Io, Key};

/// A started operation. Dropping it orphans the operation: it is cancelled, and keeps its buffer and descriptors until
/// the kernel reports its end; what it brings is released, not leaked. To lose nothing, [`cancel`](Self::cancel) and await.
#[must_use = "dropping it cancels the operation"]
pub struct Pending<T> {
    io: Io,
    /// `None` once the completion was taken.
    key: Option<Key>,
    take: fn(Completion) -> T,
}

impl<T> Pending<T> {
    pub(super) fn new(io: Io, key: Key, take: fn(Completion) -> T) -> Self {
        Self { io, key: Some(key), take }
    }

    /// Requests an early end. The result must still be awaited: it has what the operation achieved.
    pub fn cancel(&mut self) {
        if let Some(key) = self.key {
            self.io.cancel(key);
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let key = self.key.expect("polled after its end");
        let outcome = std::task::ready!(self.io.poll(key, cx));
        self.key = None;
        Poll::Ready((self.take)(outcome))
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.io.orphan(key);
        }
    }
}

/// Awaits an operation for at most `limit` from the first poll; then cancels it and awaits its end, so that nothing that arrived is lost.
/// The flag: the limit was reached.
pub async fn within<T>(io: &Io, limit: Duration, mut op: Pending<T>) -> (T, bool) {
    let mut sleep = None; // most operations end before the clock matters
    let mut late = false;
    let outcome = poll_fn(|cx| {
        if let Poll::Ready(outcome) = Pin::new(&mut op).poll(cx) {
            return Poll::Ready(outcome);
        }
        if !late && Pin::new(sleep.get_or_insert_with(|| io.sleep(limit))).poll(cx).is_ready() {
            late = true;
            op.cancel();
        }
        Poll::Pending
    })
    .await;
    (outcome, late)
}
