//! The local executor: `async-task` gives the tasks, `run_queue` the queue. Tasks are polled on their own core only.
//!
//! What must stay true: every live task's waker is in `active`, so that teardown can find and drop each of them on this
//! thread; a panic ends its task and nothing else.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use async_task::{Builder, Runnable, Task};
use futures_util::FutureExt;

use super::remote::Mailbox;

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
