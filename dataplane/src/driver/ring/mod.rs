//! The driver on io_uring, one ring per core.
//!
//! Who keeps what alive: `running` owns every operation, with its buffer, descriptors and scratch memory, from `start` until
//! its terminal completion. Submission entries hold raw pointers into those; they stay valid because `running` gives an
//! operation back only after the kernel has reported its end. Should the ring break early, what is still running is leaked,
//! not freed.
//!
//! | file | what it knows |
//! |---|---|
//! | `setup` | flags, needed operations, bounds |
//! | `fixed` | which slots are registered |
//! | `submit` | operation → submission entry |
//! | `complete` | completion → again, wait, or the end |
mod complete;
mod fixed;
mod setup;
mod submit;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue, types};

use self::fixed::Fixed;
use self::setup::Abilities;
use self::submit::OperationScratch;
use crate::driver::files::write_all_now;
use crate::driver::keyed_table::KeyedTable;
use crate::driver::provided::{self, Provided};
use crate::driver::{Completion, Driver, Engine, FileHandle, Key, Operation};

/// `user_data` of the ring's own entries; no key has this index.
const OWN_INDEX: u32 = u32::MAX;
const WAKE: Key = Key { index: OWN_INDEX, generation: 0 };
const CANCEL: Key = Key { index: OWN_INDEX, generation: 1 };

/// The ring of one core, and its operations in flight.
pub struct Ring {
    ring: IoUring,
    abilities: Abilities,
    running: KeyedTable<RunningOperation>,
    /// Entries that found the submission queue full.
    backlog: VecDeque<squeue::Entry>,
    /// Ended without a completion of their own; reported by the next turn.
    ended: Vec<(Key, Completion)>,
    provided: Option<Rc<Provided>>,
    /// Receives that found no provided buffer, in order.
    starved: VecDeque<Key>,
    fixed: Fixed,
    reaped: Vec<cqueue::Entry>,
    wake: Arc<OwnedFd>,
}

/// An operation in flight.
struct RunningOperation {
    op: Operation,
    /// Bytes moved by earlier rounds of this operation.
    done: usize,
    cancelled: bool,
    /// A poll is in the kernel; the operation itself follows it.
    polling: bool,
    scratch: OperationScratch,
}

impl Ring {
    /// A ring for the calling thread, woken from elsewhere through `wake` (an eventfd).
    pub fn new(wake: Arc<OwnedFd>, slots: usize) -> io::Result<Self> {
        let (ring, abilities) = setup::ring()?;
        let provided = match Provided::new().and_then(|it| it.register(&ring.submitter()).map(|()| it)) {
            Ok(provided) => Some(provided),
            Err(error) => {
                tracing::debug!(%error, "no provided buffers: heads are received after a poll");
                None
            }
        };
        let fixed = Fixed::new(&ring.submitter(), slots);
        let mut this = Self {
            ring,
            abilities,
            running: KeyedTable::default(),
            backlog: VecDeque::new(),
            ended: Vec::new(),
            provided,
            starved: VecDeque::new(),
            fixed,
            reaped: Vec::new(),
            wake,
        };
        this.watch_wake();
        Ok(this)
    }

    /// Polls the eventfd; the poll owns no memory, so it may outlive everything but the descriptor.
    fn watch_wake(&mut self) {
        let poll = opcode::PollAdd::new(types::Fd(self.wake.as_raw_fd()), libc::POLLIN as u32).build();
        self.push(poll.user_data(WAKE.to_bits()));
    }

    /// Queues an entry whose memory is owned by `running` (or which has none).
    fn push(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() {
            if self.try_push(&entry) {
                return;
            }
            // Full: submit what is there. A refusal (no memory, completions overflowing) waits for the next turn.
            let _refused = self.ring.submit();
            if self.try_push(&entry) {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    fn try_push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: every entry comes from `submit::entry` or from this file. The former point only into operations owned
        // by `running`, which keeps them until their terminal completion; the latter point at nothing.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    fn flush_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.try_push(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    /// Lets starved receives try again, as many as there are buffers.
    fn feed_starved(&mut self) {
        let buffers = self.provided.as_ref().map_or(0, |provided| provided.available());
        for _ in 0..buffers.min(self.starved.len()) {
            if let Some(key) = self.starved.pop_front() {
                self.issue(key);
            }
        }
    }

    /// One `io_uring_enter`: submits everything, and waits for `wait`.
    fn enter(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let result = match wait {
            Some(Duration::ZERO) => {
                let queue = self.ring.submission();
                if queue.is_empty() && !queue.taskrun() && !queue.cq_overflow() {
                    return Ok(());
                }
                drop(queue);
                self.ring.submit()
            }
            Some(wait) => {
                let wait = Timespec::from(wait);
                self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&wait))
            }
            None => self.ring.submit_and_wait(1),
        };
        match result {
            Ok(_) => Ok(()),
            // Time is up; a signal; completions overflow; the kernel is short of memory: reap and come again.
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn reap(&mut self, done: &mut Vec<(Key, Completion)>) {
        let mut reaped = std::mem::take(&mut self.reaped);
        reaped.extend(self.ring.completion());
        for entry in reaped.drain(..) {
            match Key::from_bits(entry.user_data()) {
                WAKE => {
                    let _drained = rustix::io::read(&*self.wake, &mut [0; 8]);
                    self.watch_wake();
                }
                CANCEL => {}
                key => {
                    if let Some(outcome) = self.complete(key, &entry) {
                        done.push((key, outcome));
                    }
                }
            }
        }
        self.reaped = reaped;
    }
}

impl Driver for Ring {
    fn engine(&self) -> Engine {
        Engine::Ring
    }

    #[expect(clippy::disallowed_methods, reason = "a driver makes the calls")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, key: Key, op: Operation) {
        let scratch = OperationScratch::of(&op);
        // Queue behind starved receives; newer ones would overtake them under load.
        let must_queue = matches!(op, Operation::RecvSome { .. }) && !self.starved.is_empty();
        self.running.insert(key, RunningOperation { op, done: 0, cancelled: false, polling: false, scratch });
        if must_queue {
            self.starved.push_back(key);
        } else {
            self.issue(key);
        }
    }

    fn cancel(&mut self, key: Key) {
        let Some(running) = self.running.get_mut(key) else { return };
        if std::mem::replace(&mut running.cancelled, true) {
            return;
        }
        if let Some(place) = self.starved.iter().position(|starved| *starved == key) {
            // Not in the kernel: it ends here.
            self.starved.remove(place);
            if let Some(running) = self.running.remove(key) {
                self.ended.push((key, running.op.cancelled(running.done)));
            }
            return;
        }
        self.push(opcode::AsyncCancel::new(key.to_bits()).build().user_data(CANCEL.to_bits()));
    }

    fn turn(&mut self, wait: Option<Duration>, done: &mut Vec<(Key, Completion)>) -> io::Result<()> {
        self.feed_starved();
        self.flush_backlog();
        let wait = if self.ended.is_empty() && self.backlog.is_empty() { wait } else { Some(Duration::ZERO) };
        self.enter(wait)?;
        self.reap(done);
        done.append(&mut self.ended);
        Ok(())
    }

    fn write_now(&mut self, file: &FileHandle, bytes: &[u8], pos: u64) -> io::Result<()> {
        write_all_now(file, bytes, pos)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The core waits for every completion before it drops its driver. If it could not (the ring itself failed), the
        // kernel may still write to these buffers: leaking them is the only safe end.
        let left = self.running.drain();
        if !left.is_empty() {
            tracing::error!(
                operations = left.len(),
                "a ring ended with operations in flight; their memory is given up"
            );
            std::mem::forget(left);
            std::mem::forget(self.provided.take());
        }
        if self.provided.is_some() {
            let _closed_anyway = self.ring.submitter().unregister_buf_ring(provided::PROVIDED_GROUP);
        }
    }
}
