//! How the writer of a catalogue fares: how long its commits take, and whether the last one came off. Written by the
//! writer's thread, read by the pages that tell it (`/readyz`, `/metrics`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etransfer_contract::counters::Histogram;

/// Shared by a keeper and its writer.
#[derive(Debug, Default)]
pub struct HealthCell(Mutex<BackendHealth>);

/// What was so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackendHealth {
    /// Commits that came off, by the time they took.
    pub commits: Histogram,
    /// Attempts that did not.
    pub failures: u64,
    /// The last attempt did not: nothing can be written down now.
    pub is_failing: bool,
}

impl HealthCell {
    /// A commit came off.
    pub fn committed(&self, took: Duration) {
        let mut health = self.lock();
        health.commits.observe(took);
        health.is_failing = false;
    }

    /// An attempt failed.
    pub fn failed(&self) {
        let mut health = self.lock();
        health.failures += 1;
        health.is_failing = true;
    }

    /// The store answered; there was nothing to write.
    pub fn answered(&self) {
        self.lock().is_failing = false;
    }

    /// What was so far.
    pub fn health(&self) -> BackendHealth {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BackendHealth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
