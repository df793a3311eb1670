//! The run queue of the core that this thread is.

use std::cell::RefCell;
use std::collections::VecDeque;

use async_task::Runnable;

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
