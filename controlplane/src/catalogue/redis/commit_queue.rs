//! Where changes are left by those who make them, and found by the writer.
//!
//! Must stay true: leaving a change never waits for Redis, only for memory work; what was left is never dropped, also when
//! its asker is refused (the node's memory has it already); while Redis is known to be away, or is being given everything
//! again, no caller is kept waiting: it is refused at once. One that is full is asked all the same: it takes deletes.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::{Change, Commit, WriteError};
use super::dirty_set::{Batch, DirtySet};
use crate::bounds::REDIS_QUEUE_MAX;

/// Who waits for a commit.
type CommitWaiter = oneshot::Sender<Result<(), WriteError>>;

/// See the head of this file.
pub struct CommitQueue {
    inner: Mutex<Inner>,
    news: Condvar,
}

struct Inner {
    dirty_set: DirtySet,
    waiters: Vec<CommitWaiter>,
    /// Why the last turn failed; `None` while Redis is there.
    refusal: Option<WriteError>,
    is_closing: bool,
}

/// What the writer does next.
pub struct Turn {
    /// What is to be written, if anything.
    pub batch: Option<Batch>,
    /// Nothing comes after it.
    pub is_last: bool,
    waiters: Vec<CommitWaiter>,
}

impl CommitQueue {
    /// With what Redis has now.
    pub fn new(dirty_set: DirtySet) -> Self {
        let inner = Inner { dirty_set, waiters: Vec::new(), refusal: None, is_closing: false };
        Self { inner: Mutex::new(inner), news: Condvar::new() }
    }

    /// Leaves changes.
    pub fn leave(&self, changes: Vec<Change>) -> Commit {
        let (tell, told) = oneshot::channel();
        let mut inner = self.lock();
        inner.dirty_set.note(changes);
        let refusal = match &inner.refusal {
            Some(refusal) if !refusal.is_full => Some(refusal.clone()),
            _ if inner.waiters.len() < REDIS_QUEUE_MAX => None,
            _ => Some(WriteError { reason: "too many changes wait for Redis".into(), is_full: false }),
        };
        match refusal {
            None => {
                inner.waiters.push(tell);
                self.news.notify_one();
            }
            // The caller may be gone; the change stands all the same.
            Some(refusal) => drop(tell.send(Err(refusal))),
        }
        Commit::Waiting(told)
    }

    /// The next turn is the last one.
    pub fn close(&self) {
        self.lock().is_closing = true;
        self.news.notify_one();
    }

    /// Waits until a change is queued, or `pause` is over.
    pub fn next(&self, pause: Duration) -> Turn {
        let end = Instant::now() + pause;
        let mut inner = self.lock();
        while inner.waiters.is_empty() && !inner.is_closing {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { break };
            inner = self.news.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Turn { batch: inner.dirty_set.take(), is_last: inner.is_closing, waiters: std::mem::take(&mut inner.waiters) }
    }

    /// Tells the askers of a turn how it went, and everybody after them.
    pub fn settle(&self, turn: Turn, outcome: Result<(), WriteError>) {
        let mut inner = self.lock();
        if outcome.is_err()
            && let Some(batch) = &turn.batch
        {
            inner.dirty_set.put_back(batch);
        }
        inner.refusal = outcome.clone().err();
        // Those who came while the turn failed learn it now, not after the next one.
        let late = if outcome.is_err() { std::mem::take(&mut inner.waiters) } else { Vec::new() };
        drop(inner);
        for asker in turn.waiters.into_iter().chain(late) {
            let _ = asker.send(outcome.clone());
        }
    }

    /// Redis lost what it had: everything is to be written again.
    pub fn lose(&self) {
        self.lock().dirty_set.lose();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
