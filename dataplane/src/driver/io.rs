//! [`Io`]: a core as its tasks use it. An operation starts when its method is called; the returned [`Pending`] awaits its
//! end. The methods for sockets are in `sockets`, those for files in `files`.
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[cfg(debug_assertions)]
use super::faults;
use super::helpers;
use super::operation_table::OperationTable;
use super::remote::Mailbox;
use super::slots::Slots;
use super::tasks::{self, Active};
use super::timers::Timers;
use super::{Buf, Completion, Driver, Engine, Key, Machine, Operation, Pending, Remote, Sleep, TakeSlot, refused};

/// A core as its tasks see it. Cheap to clone, never leaves its thread.
#[derive(Clone)]
pub struct Io(pub(super) Rc<Inner>);

pub(super) struct Inner {
    pub(super) core: usize,
    pub(super) engine: Engine,
    pub(super) machine: Machine,
    pub(super) now: Cell<Instant>,
    pub(super) driver: RefCell<Box<dyn Driver>>,
    pub(super) operations: RefCell<OperationTable>,
    pub(super) timers: RefCell<Timers>,
    pub(super) active: Rc<Active>,
    /// Tasks that let a turn pass.
    pub(super) yielded: RefCell<Vec<Waker>>,
    pub(super) slots: Rc<Slots>,
    pub(super) mailbox: Arc<Mailbox>,
    /// The core is ending: nothing starts any more.
    pub(super) closing: Cell<bool>,
}

impl From<Inner> for Io {
    fn from(inner: Inner) -> Self {
        Self(Rc::new(inner))
    }
}

/// Time, tasks, buffers, other cores.
impl Io {
    /// The number of this core.
    pub fn core(&self) -> usize {
        self.0.core
    }

    /// Which driver it runs on.
    pub fn engine(&self) -> Engine {
        self.0.engine
    }

    /// The time, read once per turn.
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// The machine that it runs on.
    pub fn machine(&self) -> &Machine {
        &self.0.machine
    }

    /// The wall clock, since 1970.
    pub fn unix_time(&self) -> Duration {
        self.0.machine.unix_time()
    }

    /// Ends `d` from the moment of the call.
    pub fn sleep(&self, d: Duration) -> Sleep {
        self.sleep_until(self.fresh_now() + d)
    }

    /// Ends at `at`.
    pub fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep::new(self.clone(), at)
    }

    /// Lets one turn of the core pass: other ready tasks run, sockets and disks are served.
    pub fn yield_now(&self) -> impl Future<Output = ()> + use<> {
        YieldNow { io: self.clone(), passed: false }
    }

    /// Starts a task on this core. Dropping the handle cancels it, `detach` lets it go on. A panic in it is logged and
    /// reaches the task that awaits the handle; the core goes on.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> async_task::Task<F::Output> {
        tasks::spawn(&self.0.active, &self.0.mailbox, future)
    }

    /// Runs blocking work on a helper thread (at most four per process; callers wait when its queue is full). A panic in
    /// the work comes back to the awaiting task.
    pub fn off_core<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        helpers::off_core(work)
    }

    /// A slot, first come, first served; it returns to the pool on drop.
    pub fn take_slot(&self) -> TakeSlot {
        self.0.slots.take()
    }

    /// A slot, if one is free and no task waits for one.
    pub fn try_slot(&self) -> Option<Buf> {
        self.0.slots.try_take()
    }

    /// How many slots are free.
    pub fn slots_free(&self) -> usize {
        self.0.slots.free()
    }

    /// A handle for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(Arc::clone(&self.0.mailbox))
    }
}

/// Operations, from their start to their end.
impl Io {
    pub(super) fn begin<T>(&self, op: Operation, take: fn(Completion) -> T) -> Pending<T> {
        if self.0.closing.get() {
            return self.ended(refused(op), take);
        }
        #[cfg(debug_assertions)]
        if let Some(error) = faults::of(&op) {
            return self.ended(op.fail(error), take);
        }
        self.launch(op, take)
    }

    pub(super) fn launch<T>(&self, op: Operation, take: fn(Completion) -> T) -> Pending<T> {
        if self.0.closing.get() {
            return self.ended(refused(op), take);
        }
        let key = self.0.operations.borrow_mut().open();
        self.0.driver.borrow_mut().start(key, op);
        Pending::new(self.clone(), key, take)
    }

    /// An operation that ended before the driver saw it.
    pub(super) fn ended<T>(&self, outcome: Completion, take: fn(Completion) -> T) -> Pending<T> {
        let key = self.0.operations.borrow_mut().ended(outcome);
        Pending::new(self.clone(), key, take)
    }

    pub(super) fn poll(&self, key: Key, cx: &mut Context<'_>) -> Poll<Completion> {
        self.0.operations.borrow_mut().poll(key, cx)
    }

    pub(super) fn cancel(&self, key: Key) {
        self.0.driver.borrow_mut().cancel(key);
    }

    pub(super) fn orphan(&self, key: Key) {
        let state = self.0.operations.borrow_mut().orphan(key);
        match state {
            Ok(()) => self.cancel(key),
            Err(outcome) => drop(outcome),
        }
    }

    pub(super) fn end(&self, key: Key, outcome: Completion) {
        let (waker, unwanted) = self.0.operations.borrow_mut().end(key, outcome);
        drop(unwanted);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What the loop in `run.rs` needs.
impl Io {
    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.0.mailbox
    }

    pub(super) fn timers(&self) -> &RefCell<Timers> {
        &self.0.timers
    }

    pub(super) fn fresh_now(&self) -> Instant {
        self.0.driver.borrow().now()
    }

    pub(super) fn turn(&self, wait: Option<Duration>, done: &mut Vec<(Key, Completion)>) -> io::Result<()> {
        let mut driver = self.0.driver.borrow_mut();
        let result = driver.turn(wait, done);
        self.0.now.set(driver.now());
        result
    }

    pub(super) fn has_yielded(&self) -> bool {
        !self.0.yielded.borrow().is_empty()
    }

    /// Wakes tasks whose timers are due, and those that let a turn pass.
    pub(super) fn fire_due(&self) {
        loop {
            let due = self.0.timers.borrow_mut().pop_due(self.now());
            match due {
                Some(waker) => waker.wake(),
                None => break,
            }
        }
        let yielded = std::mem::take(&mut *self.0.yielded.borrow_mut());
        yielded.into_iter().for_each(Waker::wake);
    }

    pub(super) fn begin_closing(&self) {
        self.0.closing.set(true);
    }

    pub(super) fn wake_all_tasks(&self) -> usize {
        self.0.active.wake_all()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.0.operations.borrow().in_flight()
    }

    pub(super) fn cancel_all(&self) {
        let keys = self.0.operations.borrow().keys_in_flight();
        keys.into_iter().for_each(|key| self.cancel(key));
    }
}

/// Pending once, woken after the next turn.
struct YieldNow {
    io: Io,
    passed: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.passed, true) {
            return Poll::Ready(());
        }
        self.io.0.yielded.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }
}
