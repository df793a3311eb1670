//! What other threads may hold of a core: its inbox and its doorbell. A waker fired on another thread, and a task sent from
//! one, arrive here; the core empties the inbox once per turn.
//!
//! The race that matters: the core goes to sleep while another thread posts. The core sets `asleep`, *then* looks at `mail`;
//! a poster sets `mail`, *then* looks at `asleep`. Both are sequentially consistent, so at least one sees the other: no wake
//! is lost, and an awake core costs its posters no system call.
#![expect(clippy::disallowed_types, reason = "the inbox is where threads meet; held for a push or a swap")]

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_task::Runnable;
use rustix::event::{EventfdFlags, eventfd};

use super::{Io, run_queue};

/// What a core finds in its inbox.
pub(super) enum Mail {
    /// A task of this core, woken elsewhere.
    Run(Runnable),
    /// A task to be started here.
    Start(Box<dyn FnOnce(&Io) + Send>),
}

/// The part of a core that other threads see.
pub(super) struct Mailbox {
    /// Tells this core's tasks from those of any other, ever.
    pub(super) id: u64,
    inbox: Mutex<Inbox>,
    mail: AtomicBool,
    asleep: AtomicBool,
    doorbell: Arc<OwnedFd>,
}

#[derive(Default)]
struct Inbox {
    mail: VecDeque<Mail>,
    /// The core has ended; starts are refused.
    closed: bool,
}

impl Mailbox {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Ok(Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            inbox: Mutex::default(),
            mail: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            doorbell: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
        }))
    }

    /// What an engine watches.
    pub(super) fn doorbell(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.doorbell)
    }

    /// The inbox holds plain data between calls, so a poisoned lock is as good as any.
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a runnable task to where it belongs: the local queue on its own thread, else the inbox.
    pub(super) fn schedule(&self, runnable: Runnable) {
        if let Err(runnable) = run_queue::push_local(self.id, runnable) {
            // A closed core has no tasks left, so this changes nothing; it goes into the inbox all the same, for a task
            // must never be dropped on a foreign thread.
            self.post(Mail::Run(runnable));
        }
    }

    fn post(&self, mail: Mail) {
        self.inbox().mail.push_back(mail);
        self.ring_if_asleep();
    }

    fn ring_if_asleep(&self) {
        self.mail.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            // Fails only when the counter is full, and then the core is being woken anyway.
            let _full = rustix::io::write(&*self.doorbell, &1u64.to_ne_bytes());
        }
    }

    /// Announces sleep; `false`: there is mail, do not.
    pub(super) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        !self.mail.load(Ordering::SeqCst)
    }

    pub(super) fn wake_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Everything posted so far.
    pub(super) fn take_mail(&self) -> VecDeque<Mail> {
        if !self.mail.load(Ordering::SeqCst) {
            return VecDeque::new();
        }
        self.mail.store(false, Ordering::SeqCst);
        std::mem::take(&mut self.inbox().mail)
    }

    /// No task starts here from now on.
    pub(super) fn close(&self) {
        self.inbox().closed = true;
    }
}

/// A handle to a core for other threads.
#[derive(Clone)]
pub struct Remote {
    mailbox: Arc<Mailbox>,
}

/// The core has ended, or is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the core has ended")]
pub struct CoreEnded;

impl Remote {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox }
    }

    /// Starts a task on that core: `remote.spawn(async move |io| …)`. Only `start` crosses threads, its future does not.
    pub fn spawn<F, Fut>(&self, start: F) -> Result<(), CoreEnded>
    where
        F: FnOnce(Io) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let start = Mail::Start(Box::new(move |io: &Io| {
            let inside = io.clone();
            io.spawn(async move { start(inside).await }).detach();
        }));
        {
            let mut inbox = self.mailbox.inbox();
            if inbox.closed {
                return Err(CoreEnded);
            }
            inbox.mail.push_back(start);
        }
        self.mailbox.ring_if_asleep();
        Ok(())
    }

    /// Makes that core take a turn.
    pub fn wake(&self) {
        self.mailbox.ring_if_asleep();
    }
}
