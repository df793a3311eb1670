//! The one lock of the store. Held for a few memory operations; never across a wait or a call that may touch a disk.
#![expect(clippy::disallowed_types, reason = "the upload table is what the cores share")]
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex that survives a panic: every holder leaves its data consistent before it calls anything that may panic.
#[derive(Debug, Default)]
pub(super) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Without locking: `&mut self` is the only reference.
    pub(super) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
