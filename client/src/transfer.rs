//! A transfer running on its own threads. Dropping it ends it: sockets are shut, threads joined; what was done stays
//! recorded, so that the next run continues there.

use std::thread::JoinHandle;

use crate::{Cancel, Result};

/// A running transfer.
#[derive(Debug)]
pub struct Transfer<T> {
    cancel: Cancel,
    thread: Option<JoinHandle<Result<T>>>,
}

impl<T: Send + 'static> Transfer<T> {
    pub(crate) fn spawn(cancel: Cancel, run: impl FnOnce(&Cancel) -> Result<T> + Send + 'static) -> Self {
        let inner = cancel.clone();
        Self { cancel, thread: Some(std::thread::spawn(move || run(&inner))) }
    }

    /// Ends it from elsewhere.
    pub fn canceller(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Result<T> {
        match self.thread.take().expect("taken only here, by value, and in drop").join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl<T> Drop for Transfer<T> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.cancel.cancel();
            let _ = thread.join(); // its result is no longer needed
        }
    }
}
