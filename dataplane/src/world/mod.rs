//! The world of a core: sockets, files, time, tasks and other cores, as futures on one thread.
//!
//! ```text
//!   connection and byte path          Io · Pending · Buf · Chunk        (this module: the face)
//!                                          │
//!   tasks · timers · flights · slots       │                            (this module: one core's own state)
//!                                          ▼
//!   seam.rs                            trait World { start, cancel, turn }
//!                                ┌─────────┴─────────┐
//!                              ring/            readiness/
//! ```
//!
//! What must stay true:
//! * everything here is one core's: `!Send`, no lock; other threads reach it through [`Remote`] only;
//! * an operation starts when it is called, and owns its buffer and descriptors until it has ended, awaited or not;
//! * nothing here blocks, and no `RefCell` is borrowed while foreign code (a waker, a drop) runs.
mod accord;
mod buf;
mod chunk;
mod cpu;
#[cfg(debug_assertions)]
#[doc(hidden)] // Public for tests/node alone.
pub mod faults;
mod file;
mod flights;
pub(crate) mod helpers;
mod pending;
mod remote;
mod run;
pub(crate) mod seam;
mod slots;
pub(crate) mod socket;
mod table;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub use self::accord::Accord;
pub use self::buf::Buf;
pub use self::chunk::{CHUNK_BYTES_MAX, Chunk};
pub use self::cpu::allowed_cpus;
pub(crate) use self::file::{OPEN_RESOLVE, open_how_mode, write_all_now};
pub use self::pending::{Pending, within};
pub use self::remote::{CoreEnded, Remote};
pub use self::run::{CoreOptions, run_core};
pub use self::seam::Engine;
pub(crate) use self::seam::Key;
pub use self::slots::TakeSlot;
pub(crate) use self::table::Table;
pub use self::timers::Sleep;

use self::flights::Flights;
use self::remote::Shared;
use self::seam::{Op, Outcome, World};
use self::slots::Slots;
use self::tasks::Active;
use self::timers::Timers;

/// A descriptor that operations share with their caller; closed when the last of them is gone.
pub type Fd = Rc<OwnedFd>;

/// A core's face to its tasks. Cheap to clone, never leaves its thread.
#[derive(Clone)]
pub struct Io(Rc<Inner>);

struct Inner {
    core: usize,
    engine: Engine,
    now: Cell<Instant>,
    world: RefCell<Box<dyn World>>,
    flights: RefCell<Flights>,
    timers: RefCell<Timers>,
    active: Rc<Active>,
    /// Tasks that let a turn pass.
    yielded: RefCell<Vec<Waker>>,
    slots: Rc<Slots>,
    shared: Arc<Shared>,
    /// The core is ending: nothing starts any more.
    closing: Cell<bool>,
}

impl From<Inner> for Io {
    fn from(inner: Inner) -> Self {
        Self(Rc::new(inner))
    }
}

/// Time, tasks, buffers, other cores.
impl Io {
    /// This core's number.
    pub fn core(&self) -> usize {
        self.0.core
    }

    /// Which engine it runs on.
    pub fn engine(&self) -> Engine {
        self.0.engine
    }

    /// The time, read once per turn.
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// Ends `d` from the moment of the call.
    pub fn sleep(&self, d: Duration) -> Sleep {
        self.sleep_until(self.fresh_now() + d)
    }

    /// Ends at `at`.
    pub fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep::new(self.clone(), at)
    }

    /// Lets one turn of the core pass: what is ready elsewhere runs, sockets and disks are served.
    pub fn yield_now(&self) -> impl Future<Output = ()> + use<> {
        YieldNow { io: self.clone(), passed: false }
    }

    /// Starts a task on this core. Dropping the handle cancels it, `detach` lets it go on. A panic in it is logged and
    /// reaches whoever awaits the handle; the core goes on.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> async_task::Task<F::Output> {
        tasks::spawn(&self.0.active, &self.0.shared, future)
    }

    /// Runs blocking work on a helper thread (at most four per process; callers wait when its queue is full). A panic in
    /// the work comes back to the awaiting task.
    pub fn off_core<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        helpers::off_core(work)
    }

    /// A slot, in the order of asking; it goes back to the pool on drop.
    pub fn take_slot(&self) -> TakeSlot {
        self.0.slots.take()
    }

    /// A slot, if one is free and nobody waits.
    pub fn try_slot(&self) -> Option<Buf> {
        self.0.slots.try_take()
    }

    /// How many slots nobody holds.
    pub fn slots_free(&self) -> usize {
        self.0.slots.free()
    }

    /// A handle for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(Arc::clone(&self.0.shared))
    }
}

/// Operations, from their start to their end.
impl Io {
    fn begin<T>(&self, op: Op, take: fn(Outcome) -> T) -> Pending<T> {
        if self.0.closing.get() {
            return self.ended(seam::refused(op), take);
        }
        #[cfg(debug_assertions)]
        if let Some(error) = faults::of(&op) {
            return self.ended(op.fail(error), take);
        }
        self.launch(op, take)
    }

    fn launch<T>(&self, op: Op, take: fn(Outcome) -> T) -> Pending<T> {
        if self.0.closing.get() {
            return self.ended(seam::refused(op), take);
        }
        let key = self.0.flights.borrow_mut().open();
        self.0.world.borrow_mut().start(key, op);
        Pending::new(self.clone(), key, take)
    }

    /// An operation that ended before any engine saw it.
    fn ended<T>(&self, outcome: Outcome, take: fn(Outcome) -> T) -> Pending<T> {
        let key = self.0.flights.borrow_mut().ended(outcome);
        Pending::new(self.clone(), key, take)
    }

    fn poll(&self, key: Key, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.0.flights.borrow_mut().poll(key, cx)
    }

    fn cancel(&self, key: Key) {
        self.0.world.borrow_mut().cancel(key);
    }

    fn orphan(&self, key: Key) {
        let state = self.0.flights.borrow_mut().orphan(key);
        match state {
            Ok(()) => self.cancel(key),
            Err(outcome) => drop(outcome),
        }
    }

    fn end(&self, key: Key, outcome: Outcome) {
        let (waker, unwanted) = self.0.flights.borrow_mut().end(key, outcome);
        drop(unwanted);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What the loop in `run.rs` needs.
impl Io {
    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    fn timers(&self) -> &RefCell<Timers> {
        &self.0.timers
    }

    fn fresh_now(&self) -> Instant {
        self.0.world.borrow().now()
    }

    fn turn(&self, wait: Option<Duration>, done: &mut Vec<(Key, Outcome)>) -> io::Result<()> {
        let mut world = self.0.world.borrow_mut();
        let result = world.turn(wait, done);
        self.0.now.set(world.now());
        result
    }

    fn has_yielded(&self) -> bool {
        !self.0.yielded.borrow().is_empty()
    }

    /// Wakes whose time has come, and who only let a turn pass.
    fn fire_due(&self) {
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

    fn begin_closing(&self) {
        self.0.closing.set(true);
    }

    fn wake_all_tasks(&self) -> usize {
        self.0.active.wake_all()
    }

    fn in_flight(&self) -> usize {
        self.0.flights.borrow().in_flight()
    }

    fn cancel_all(&self) {
        let keys = self.0.flights.borrow().keys_in_flight();
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
