//! Helper threads for the rare job that blocks: at most four per process, one bounded queue. Nothing on a core blocks;
//! what must, blocks here.
#![expect(clippy::disallowed_methods, reason = "these are the threads")]
#![expect(clippy::disallowed_types, reason = "its threads are not cores")]

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use event_listener::Event;

use super::cpu;
use super::tasks::panic_message;
use crate::bounds::{HELPER_QUEUE_MAX, HELPER_THREADS_MAX};

type Job = Box<dyn FnOnce() + Send>;

/// The process's helpers. Its lock is held for a push or a pop, never while a job runs.
struct Helpers {
    state: Mutex<State>,
    work: Condvar,
    space: Event,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

fn helpers() -> &'static Helpers {
    static HELPERS: OnceLock<Helpers> = OnceLock::new();
    HELPERS.get_or_init(|| Helpers { state: Mutex::default(), work: Condvar::new(), space: Event::new() })
}

impl Helpers {
    /// The queue is consistent between calls, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&'static self, job: Job, bound: usize) -> Result<(), Job> {
        let mut state = self.state();
        if state.jobs.len() >= bound {
            return Err(job);
        }
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() || state.threads == HELPER_THREADS_MAX {
            self.work.notify_one();
            return Ok(());
        }
        state.threads += 1;
        let name = format!("helper-{}", state.threads);
        drop(state);
        if let Err(error) = thread::Builder::new().name(name).spawn(|| self.serve()) {
            let mut state = self.state();
            state.threads -= 1;
            if state.threads == 0 {
                // No thread will take it: run it here, late rather than never.
                tracing::error!(%error, "no helper thread can be started; a blocking job runs on its core");
                let job = state.jobs.pop_back();
                drop(state);
                job.into_iter().for_each(|job| job());
            }
        }
        Ok(())
    }

    fn serve(&self) {
        cpu::unpin();
        loop {
            let mut state = self.state();
            state.idle += 1;
            let mut state =
                self.work.wait_while(state, |state| state.jobs.is_empty()).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            let job = state.jobs.pop_front();
            drop(state);
            self.space.notify(1);
            if let Some(job) = job {
                // Jobs that have an audience bring their panic home themselves.
                if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
                    tracing::error!(panic = panic_message(&*panic), "a helper's job panicked");
                }
            }
        }
    }
}

/// Queues a job of an engine. Not bounded here: each belongs to an operation in flight, and those are.
pub(crate) fn push_job(job: impl FnOnce() + Send + 'static) {
    let pushed = helpers().push(Box::new(job), usize::MAX);
    assert!(pushed.is_ok(), "a queue without bound is never full");
}

/// Where a job leaves its result.
struct Parcel<T> {
    result: Option<thread::Result<T>>,
    waker: Option<Waker>,
}

/// Runs `work` on a helper thread. It is queued at once, or when there is room; a panic in it comes back here. Dropping
/// the future abandons the result, not the work.
pub(super) fn off_core<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> {
    let parcel = Arc::new(Mutex::new(Parcel { result: None, waker: None }));
    let job: Job = Box::new({
        let parcel = Arc::clone(&parcel);
        move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            let mut parcel = parcel.lock().unwrap_or_else(PoisonError::into_inner);
            parcel.result = Some(result);
            let waker = parcel.waker.take();
            drop(parcel);
            waker.into_iter().for_each(Waker::wake);
        }
    });
    let mut refused = helpers().push(job, HELPER_QUEUE_MAX).err();
    async move {
        while let Some(job) = refused.take() {
            let space = helpers().space.listen();
            match helpers().push(job, HELPER_QUEUE_MAX) {
                Ok(()) => break,
                Err(job) => refused = Some(job),
            }
            space.await;
        }
        let result = std::future::poll_fn(|cx| {
            let mut parcel = parcel.lock().unwrap_or_else(PoisonError::into_inner);
            match parcel.result.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    parcel.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }
}
