//! The local executor: `async-task` gives the tasks, this file the queue. Tasks are polled on their own core only.
//!
//! What must stay true: every live task's waker is in `active`, so that teardown can find and drop each of them on this
//! thread; a panic ends its task and nothing else.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use async_task::{Builder, Runnable, Task};
use futures_util::FutureExt;

use super::remote::Mailbox;

/// The run queue of the core this thread is, if it is one.
struct Local {
    core: u64,
    queue: VecDeque<Runnable>,
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// Queues a task of core `core` if this thread is that core.
pub(super) fn push_local(core: u64, runnable: Runnable) -> Result<(), Runnable> {
    let mut runnable = Some(runnable);
    let _gone = LOCAL.try_with(|local| {
        if let Some(local) = local.borrow_mut().as_mut().filter(|local| local.core == core) {
            local.queue.extend(runnable.take());
        }
    });
    runnable.map_or(Ok(()), Err)
}

/// This thread is a core while this lives.
pub(super) struct RunQueueGuard;

impl RunQueueGuard {
    /// Makes this thread a core. Panics if it is one already: cores do not nest.
    pub(super) fn take(core: u64) -> Self {
        LOCAL.with(|local| {
            let before = local.borrow_mut().replace(Local { core, queue: VecDeque::new() });
            assert!(before.is_none(), "run_core inside a core");
        });
        Self
    }

    pub(super) fn pop(&self) -> Option<Runnable> {
        LOCAL.with(|local| local.borrow_mut().as_mut()?.queue.pop_front())
    }

    pub(super) fn push(&self, runnable: Runnable) {
        LOCAL.with(|local| {
            local.borrow_mut().as_mut().expect("this thread is a core").queue.push_back(runnable);
        });
    }

    pub(super) fn is_idle(&self) -> bool {
        LOCAL.with(|local| local.borrow().as_ref().is_none_or(|local| local.queue.is_empty()))
    }
}

impl Drop for RunQueueGuard {
    fn drop(&mut self) {
        let _empty = LOCAL.with(|local| local.borrow_mut().take());
    }
}

/// Wakers of all live tasks, by place.
#[derive(Default)]
pub(super) struct Active {
    places: RefCell<Places>,
}

#[derive(Default)]
struct Places {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Active {
    /// Wakes all live tasks; how many there are.
    pub(super) fn wake_all(&self) -> usize {
        let wakers: Vec<Waker> = self.places.borrow().wakers.iter().flatten().cloned().collect();
        wakers.iter().for_each(Waker::wake_by_ref);
        wakers.len()
    }

    fn enter(self: &Rc<Self>) -> Member {
        let mut places = self.places.borrow_mut();
        let place = places.free.pop().unwrap_or_else(|| {
            places.wakers.push(None);
            places.wakers.len() - 1
        });
        Member { active: Rc::clone(self), place }
    }
}

/// A task's membership in `active`, held by its future.
struct Member {
    active: Rc<Active>,
    place: usize,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut places = self.active.places.borrow_mut();
        let waker = places.wakers[self.place].take();
        places.free.push(self.place);
        drop(places);
        drop(waker);
    }
}

/// Makes a task and queues it.
pub(super) fn spawn<F>(active: &Rc<Active>, mailbox: &Arc<Mailbox>, future: F) -> Task<F::Output>
where
    F: Future + 'static,
{
    let member = active.enter();
    let place = member.place;
    // Combinators, not an async block: a block would hold the future twice.
    let future = AssertUnwindSafe(future).catch_unwind().map(move |result| {
        drop(member);
        result.unwrap_or_else(|panic| {
            tracing::error!(panic = panic_message(&*panic), "a task panicked; it ends, the core goes on");
            resume_unwind(panic) // to the task that awaits this one; `async-task` keeps it until then
        })
    });
    let mailbox = Arc::clone(mailbox);
    let schedule = move |runnable: Runnable| mailbox.schedule(runnable);
    let (runnable, task) = Builder::new().propagate_panic(true).spawn_local(move |()| future, schedule);
    active.places.borrow_mut().wakers[place] = Some(runnable.waker());
    runnable.schedule();
    task
}

/// The words of a panic.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
