//! The driver on epoll and calls that do not wait. It takes over where io_uring is refused: same promises, more system
//! calls. Reads that the page cache can answer run inline; what may wait for the disk (other reads, every write, sync, open,
//! allocate, truncate, unlink) goes to the helper threads, so a disk that hangs stalls the requests that need it and no core.
//!
//! Must stay true: an operation is in exactly one of three places besides `running`: waiting on a descriptor, in `retry`, or
//! offloaded to a helper thread, so a cancel knows where to look. Waiters own the descriptors that are waited on, so a number
//! in `waiting` is never reused by another file.
mod attempt;
mod offload;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

use self::offload::Returned;
use crate::driver::files::write_all_now;
use crate::driver::keyed_table::KeyedTable;
use crate::driver::{Completion, Driver, Engine, Fd, FileHandle, Interest, Key, Operation};

/// Event data of the doorbell; descriptors are never negative, so no other event carries it.
const WAKE: u64 = u64::MAX;
/// Events taken per turn.
const EVENTS_MAX: usize = 256;
/// How often a connect to a full Unix listener tries again: there is no event for it.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// One core's epoll and all it has in flight.
pub struct Epoll {
    epoll: OwnedFd,
    running: KeyedTable<RunningOperation>,
    waiting: HashMap<RawFd, Waiters>,
    /// Connects that met a full listener.
    retry: VecDeque<Key>,
    ended: Vec<(Key, Completion)>,
    returned: Arc<Returned>,
    doorbell: Arc<OwnedFd>,
    events: Vec<Event>,
}

/// An operation in flight.
struct RunningOperation {
    op: Operation,
    /// Bytes moved so far.
    done: usize,
    cancelled: bool,
    stage: Stage,
}

/// Where an operation is.
enum Stage {
    /// Being tried right now.
    Trying,
    Waiting(RawFd, Interest),
    Retry,
    Offloaded,
}

/// Who waits on one descriptor, in order.
#[derive(Default)]
struct Waiters {
    read: VecDeque<Key>,
    write: VecDeque<Key>,
}

impl Waiters {
    fn of(&mut self, interest: Interest) -> &mut VecDeque<Key> {
        match interest {
            Interest::Read => &mut self.read,
            Interest::Write => &mut self.write,
        }
    }

    fn events(&self) -> EventFlags {
        let mut events = EventFlags::ONESHOT;
        if !self.read.is_empty() {
            events |= EventFlags::IN | EventFlags::RDHUP;
        }
        if !self.write.is_empty() {
            events |= EventFlags::OUT;
        }
        events
    }

    fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty()
    }
}

impl Epoll {
    /// An engine for the calling thread, woken from elsewhere through `doorbell` (an eventfd).
    pub fn new(doorbell: Arc<OwnedFd>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*doorbell, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self {
            epoll,
            running: KeyedTable::default(),
            waiting: HashMap::new(),
            retry: VecDeque::new(),
            ended: Vec::new(),
            returned: Arc::new(Returned::new(Arc::clone(&doorbell))),
            doorbell,
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// Puts an operation to wait on its descriptor.
    fn wait_on(&mut self, key: Key, fd: &Fd, interest: Interest) {
        let number = fd.as_raw_fd();
        let waiters = self.waiting.entry(number).or_default();
        waiters.of(interest).push_back(key);
        let events = waiters.events();
        match self.arm(fd, events) {
            Ok(()) => {
                if let Some(running) = self.running.get_mut(key) {
                    running.stage = Stage::Waiting(number, interest);
                }
            }
            Err(error) => {
                self.forget_waiter(key, number, interest);
                // Regular files know no readiness because they are always ready.
                let ready = error == Errno::PERM
                    && matches!(self.running.get_mut(key), Some(RunningOperation { op: Operation::Poll { .. }, .. }));
                if let Some(running) = self.running.remove(key) {
                    let outcome = if ready { running.op.finish(0) } else { running.op.fail(error.into()) };
                    self.ended.push((key, outcome));
                }
            }
        }
    }

    fn arm(&self, fd: &Fd, events: EventFlags) -> Result<(), Errno> {
        let data = EventData::new_u64(fd.as_raw_fd() as u64);
        match epoll::modify(&self.epoll, fd.as_fd(), data, events) {
            Err(Errno::NOENT) => epoll::add(&self.epoll, fd.as_fd(), data, events),
            result => result,
        }
    }

    fn forget_waiter(&mut self, key: Key, number: RawFd, interest: Interest) {
        if let Some(waiters) = self.waiting.get_mut(&number) {
            waiters.of(interest).retain(|waiter| *waiter != key);
            if waiters.is_empty() {
                // The kernel may still be armed for it; one event without a waiter disarms it.
                self.waiting.remove(&number);
            }
        }
    }

    /// One descriptor is ready: its waiters try again, in order; those that must wait longer are armed again.
    fn ready(&mut self, number: RawFd, events: EventFlags) {
        let broken = events.intersects(EventFlags::ERR | EventFlags::HUP);
        let Some(waiters) = self.waiting.get_mut(&number) else { return };
        let mut awake = VecDeque::new();
        if broken || events.intersects(EventFlags::IN | EventFlags::RDHUP) {
            awake.append(&mut waiters.read);
        }
        if broken || events.contains(EventFlags::OUT) {
            awake.append(&mut waiters.write);
        }
        let left = waiters.events();
        match waiters.read.front().or(waiters.write.front()).copied() {
            None => {
                self.waiting.remove(&number);
            }
            // The event disarmed both directions; the other one still has waiters.
            Some(other) => {
                if let Some(fd) = self.running.get_mut(other).and_then(|running| running.op.waits_on().cloned()) {
                    let _same_as_before = self.arm(&fd, left);
                }
            }
        }
        for key in awake {
            self.resume(key);
        }
    }

    /// An operation whose descriptor is ready.
    fn resume(&mut self, key: Key) {
        let Some(running) = self.running.get_mut(key) else { return };
        running.stage = Stage::Trying;
        match running.op {
            Operation::Poll { .. } => self.finish(key, 0),
            _ => self.attempt(key),
        }
    }

    fn finish(&mut self, key: Key, done: usize) {
        if let Some(running) = self.running.remove(key) {
            self.ended.push((key, running.op.finish(done)));
        }
    }

    fn fail(&mut self, key: Key, error: io::Error) {
        if let Some(running) = self.running.remove(key) {
            self.ended.push((key, running.op.fail(error)));
        }
    }

    fn wait_events(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let wait = wait.map(|wait| Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() });
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), wait.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Driver for Epoll {
    fn engine(&self) -> Engine {
        Engine::Readiness
    }

    #[expect(clippy::disallowed_methods, reason = "a driver makes the calls")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, key: Key, op: Operation) {
        self.running.insert(key, RunningOperation { op, done: 0, cancelled: false, stage: Stage::Trying });
        self.attempt(key);
    }

    fn cancel(&mut self, key: Key) {
        let Some(running) = self.running.get_mut(key) else { return };
        running.cancelled = true;
        match running.stage {
            Stage::Trying => unreachable!("an attempt ends before a cancel can come"),
            Stage::Offloaded => return, // a helper thread cannot be stopped; its result comes
            Stage::Waiting(number, interest) => self.forget_waiter(key, number, interest),
            Stage::Retry => self.retry.retain(|waiter| *waiter != key),
        }
        if let Some(running) = self.running.remove(key) {
            self.ended.push((key, running.op.cancelled(running.done)));
        }
    }

    fn turn(&mut self, wait: Option<Duration>, done: &mut Vec<(Key, Completion)>) -> io::Result<()> {
        let wait = match (self.ended.is_empty(), self.retry.is_empty()) {
            (false, _) => Some(Duration::ZERO),
            (true, false) => Some(wait.map_or(RETRY_INTERVAL, |wait| wait.min(RETRY_INTERVAL))),
            (true, true) => wait,
        };
        self.wait_events(wait)?;
        let events = std::mem::take(&mut self.events);
        for event in &events {
            match { event.data }.u64() {
                WAKE => {
                    let _drained = rustix::io::read(&*self.doorbell, &mut [0; 8]);
                }
                number => self.ready(number as RawFd, event.flags),
            }
        }
        self.events = events;
        for (key, result) in self.returned.take() {
            self.take_offloaded(key, result);
        }
        for key in std::mem::take(&mut self.retry) {
            self.resume(key);
        }
        done.append(&mut self.ended);
        Ok(())
    }

    fn write_now(&mut self, file: &FileHandle, bytes: &[u8], pos: u64) -> io::Result<()> {
        write_all_now(file, bytes, pos)
    }
}
