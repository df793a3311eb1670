//! The loop of a core: run ready tasks, take one turn of the driver, wake the tasks whose operations or timers ended; and
//! its orderly end.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::engine_agreement::{EngineAgreement, EngineVote};
use super::io::Inner;
use super::remote::{Mail, Mailbox};
use super::run_queue::RunQueueGuard;
use super::slots::Slots;
use super::tasks::Active;
use super::{Completion, Driver, Io, Key, Machine, choose, cpu};
use crate::config::EngineChoice;

/// Polls between two turns of the driver. More would let busy tasks starve the sockets.
const POLLS_PER_TURN: usize = 128;

/// What a core is made of.
#[derive(Debug, Clone)]
pub struct CoreOptions {
    /// Its number.
    pub core: usize,
    /// The CPU to stay on.
    pub cpu: Option<usize>,
    /// Which engine.
    pub engine: EngineChoice,
    /// The machine that it runs on.
    pub machine: Machine,
    /// How many slots of 1 MiB; memory is used only once a slot is.
    pub slots: usize,
    /// What it has to agree on with the other cores of its node.
    pub agreement: Option<Arc<EngineAgreement>>,
}

impl Default for CoreOptions {
    fn default() -> Self {
        Self { core: 0, cpu: None, engine: EngineChoice::Auto, machine: Machine::default(), slots: 64, agreement: None }
    }
}

/// Makes the calling thread a core: runs `main` to its end, then drops every other task, cancels what is in flight and
/// waits for all of it. `Err`: no engine could be built, the engine broke, or `main` panicked.
pub fn run_core<F, Fut>(options: CoreOptions, main: F) -> io::Result<()>
where
    F: FnOnce(Io) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    let vote = EngineVote::of(options.agreement.as_ref());
    if let Some(cpu) = options.cpu {
        // An empty CPU is a matter of speed, not of truth.
        cpu::pin(cpu).unwrap_or_else(|error| tracing::warn!(cpu, %error, "cannot stay on this CPU"));
    }
    let mailbox = Mailbox::new()?;
    let driver = choose::driver(&options, &mailbox, vote)?;
    run_on(driver, mailbox, &options, main)
}

/// As [`run_core`], on a driver that is woken through the doorbell of `mailbox`.
fn run_on<F, Fut>(driver: Box<dyn Driver>, mailbox: Arc<Mailbox>, options: &CoreOptions, main: F) -> io::Result<()>
where
    F: FnOnce(Io) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    let run_queue = RunQueueGuard::take(mailbox.id);
    let io = Io::from(Inner {
        core: options.core,
        engine: driver.engine(),
        machine: options.machine.clone(),
        now: Cell::new(driver.now()),
        driver: RefCell::new(driver),
        operations: RefCell::default(),
        timers: RefCell::default(),
        active: Rc::new(Active::default()),
        yielded: RefCell::default(),
        slots: Slots::new(options.slots)?,
        mailbox,
        closing: Cell::new(false),
    });
    let finished = Rc::new(Cell::new(false));
    let main = io.spawn({
        let (main, finished) = (main(io.clone()), Rc::clone(&finished));
        async move {
            main.await;
            finished.set(true);
        }
    });
    let mut core = CoreLoop { io, run_queue, done: Vec::new() };
    let ran = core.run_until(|| main.is_finished());
    main.detach();
    let closed = core.close();
    ran.and(closed)?;
    if !finished.get() {
        return Err(io::Error::other("the main task of the core panicked"));
    }
    Ok(())
}

struct CoreLoop {
    io: Io,
    run_queue: RunQueueGuard,
    done: Vec<(Key, Completion)>,
}

impl CoreLoop {
    fn run_until(&mut self, finished: impl Fn() -> bool) -> io::Result<()> {
        loop {
            self.take_mail();
            self.run_ready();
            if finished() {
                return Ok(());
            }
            let wait = self.wait();
            self.turn(wait)?;
        }
    }

    fn take_mail(&self) {
        for mail in self.io.mailbox().take_mail() {
            match mail {
                Mail::Run(runnable) => self.run_queue.push(runnable),
                Mail::Start(start) => start(&self.io),
            }
        }
    }

    fn run_ready(&self) {
        for _ in 0..POLLS_PER_TURN {
            let Some(runnable) = self.run_queue.pop() else { return };
            runnable.run();
        }
    }

    /// How long the next turn may wait.
    fn wait(&self) -> Option<Duration> {
        if !self.run_queue.is_idle() || self.io.has_yielded() || !self.io.mailbox().fall_asleep() {
            return Some(Duration::ZERO);
        }
        let next = self.io.timers().borrow().next();
        next.map(|at| at.saturating_duration_since(self.io.fresh_now()))
    }

    /// One turn of the driver, and what follows from it.
    fn turn(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let result = self.io.turn(wait, &mut self.done);
        self.io.mailbox().wake_up();
        for (key, outcome) in self.done.drain(..) {
            self.io.end(key, outcome);
        }
        self.io.fire_due();
        result
    }

    /// Drops all tasks, then waits for everything they left in flight.
    fn close(&mut self) -> io::Result<()> {
        self.io.begin_closing();
        self.io.mailbox().close();
        loop {
            self.take_mail_to_drop();
            while let Some(runnable) = self.run_queue.pop() {
                drop(runnable); // cancels the task and drops its future, here
            }
            if self.io.wake_all_tasks() == 0 && self.run_queue.is_idle() {
                break;
            }
        }
        self.io.cancel_all();
        while self.io.in_flight() > 0 {
            self.turn(None)?;
        }
        Ok(())
    }

    fn take_mail_to_drop(&self) {
        for mail in self.io.mailbox().take_mail() {
            match mail {
                Mail::Run(runnable) => self.run_queue.push(runnable),
                Mail::Start(start) => drop(start),
            }
        }
    }
}
