//! Slots of connections and the epoll set they live in. A slot works on one job at a time; most have one connection, those
//! of parallel operations several.
//!
//! ```text
//! free slot ─► job ─► asks ─► answers ─► finished, slot free again (after a failure: later)
//! ```
//!
//! Must stay true: nothing here waits but for the epoll set.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::event::epoll;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use serde::{Deserialize, Serialize};

use super::connection::{Connection, Meter, Route};
use super::failure::Failure;
use super::job::{Job, Next};
use super::worker::Shared;

const TIMER: u64 = u64::MAX;
const SCRATCH_BYTES: usize = 256 << 10;
const EVENTS: usize = 1024;
/// After a failure a slot rests this long, twice as long after each further one in a row, up to 64 times.
const REST: Duration = Duration::from_millis(10);

struct Slot {
    connections: Vec<Connection>,
    work: Option<(Job, Instant)>,
    failures: u32,
    rests_until: Option<Instant>,
}

/// A job that has ended.
pub struct Finished {
    pub job: Job,
    pub intended: Instant,
    pub ended: Instant,
    pub outcome: Result<(), Failure>,
}

/// What moved since it was last asked.
#[derive(Debug, Default)]
pub struct Seen {
    pub meter: Meter,
    /// Uploaded bytes that were acknowledged.
    pub stored: u64,
    /// Connections opened.
    pub opened: u64,
}

/// What one connection did over the whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionFacts {
    /// Address it was last opened from, when it still was open.
    pub local: Option<String>,
    pub remote: String,
    pub exchanges: u64,
    pub sent: u64,
    pub received: u64,
    /// Times it was opened.
    pub opened: u64,
}

/// All slots of one thread.
pub struct Slots {
    shared: Arc<Shared>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    resting: usize,
    poll: OwnedFd,
    timer: OwnedFd,
    /// When the timer fires next, if it has not.
    armed: Option<Instant>,
    scratch: Vec<u8>,
    seen: Seen,
    finished: Vec<Finished>,
}

impl Slots {
    /// `connections` in slots; the addresses begin with number `turn`, so that threads begin with different ones.
    pub fn new(shared: &Arc<Shared>, connections: u32, turn: usize) -> Result<Self> {
        let width = shared.workload.lane_width() as usize;
        let target = &shared.target;
        let mut routes = (turn..).map(|turn| Route {
            to: target.addresses[turn % target.addresses.len()],
            from: (!target.from.is_empty()).then(|| target.from[turn % target.from.len()]),
        });
        let mut slot = || Slot {
            connections: routes.by_ref().take(width).map(Connection::new).collect(),
            work: None,
            failures: 0,
            rests_until: None,
        };
        let slots: Vec<Slot> = (0..connections as usize / width).map(|_| slot()).collect();
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context("make an epoll set")?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).context("make a timer")?;
        epoll::add(&poll, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
        Ok(Self {
            shared: Arc::clone(shared),
            free: (0..slots.len()).rev().collect(),
            slots,
            resting: 0,
            poll,
            timer,
            armed: None,
            scratch: vec![0; SCRATCH_BYTES],
            seen: Seen::default(),
            finished: Vec::new(),
        })
    }

    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    pub fn take_finished(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.finished)
    }

    pub fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }

    /// Nothing is under way or to be taken.
    pub fn is_quiet(&self) -> bool {
        self.free.len() + self.resting == self.slots.len() && self.finished.is_empty()
    }

    /// Gives `job` to a free slot; its latency counts from `intended`.
    pub fn begin(&mut self, job: Job, intended: Instant) {
        let at = self.free.pop().expect("a free lane was seen");
        let slot = &mut self.slots[at];
        if job.fresh {
            slot.connections.iter_mut().for_each(Connection::close);
        }
        slot.work = Some((job, intended));
        self.drive(at);
    }

    /// Gives every connection of the slot that has nothing to do its next request; ends the job when none is left.
    fn drive(&mut self, at: usize) {
        let mut waiting = false;
        for index in 0..self.slots[at].connections.len() {
            let slot = &mut self.slots[at];
            let Some((job, _)) = &slot.work else { return };
            let connection = &mut slot.connections[index];
            if connection.is_busy() {
                waiting = true;
                continue;
            }
            match job.next(index, &self.shared.target) {
                Next::Done => {}
                Next::Wait => waiting = true,
                Next::Ask(ask) => {
                    waiting = true;
                    let token = (at as u64) << 32 | index as u64;
                    if connection.stream().is_none()
                        && let Err(failure) = open(&self.poll, connection, token, &mut self.seen.opened)
                    {
                        return self.end(at, Err(failure));
                    }
                    connection.ask(ask);
                    if let Err(failure) = connection.send(&self.shared.content, &mut self.seen.meter) {
                        return self.end(at, Err(failure));
                    }
                    watch_room(&self.poll, connection, token);
                }
            }
        }
        if !waiting && self.slots[at].work.is_some() {
            self.end(at, Ok(()));
        }
    }

    fn advance(&mut self, at: usize, index: usize) {
        let slot = &mut self.slots[at];
        let connection = &mut slot.connections[index];
        let shared = &self.shared;
        let verify = shared.workload.verify;
        match connection.advance(&shared.content, verify, &mut self.scratch, &mut self.seen.meter) {
            Ok(None) => watch_room(&self.poll, connection, (at as u64) << 32 | index as u64),
            Ok(Some(answer)) => {
                watch_room(&self.poll, connection, (at as u64) << 32 | index as u64);
                let Some((job, _)) = &mut slot.work else { return };
                match job.answered(index, &answer) {
                    Ok(stored) => {
                        self.seen.stored += stored;
                        self.drive(at);
                    }
                    Err(failure) => self.end(at, Err(failure)),
                }
            }
            Err(failure) => self.end(at, Err(failure)),
        }
    }

    fn end(&mut self, at: usize, outcome: Result<(), Failure>) {
        let slot = &mut self.slots[at];
        let Some((job, intended)) = slot.work.take() else { return };
        if outcome.is_ok() {
            slot.failures = 0;
            self.free.push(at);
        } else {
            slot.connections.iter_mut().filter(|connection| connection.is_busy()).for_each(Connection::close);
            slot.rests_until = Some(Instant::now() + REST * (1 << slot.failures.min(6)));
            slot.failures += 1;
            self.resting += 1;
        }
        self.finished.push(Finished { job, intended, ended: Instant::now(), outcome });
    }

    /// Slots that have rested are free again.
    pub fn wake_rested(&mut self) {
        if self.resting == 0 {
            return;
        }
        let now = Instant::now();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if slot.rests_until.is_some_and(|until| until <= now) {
                slot.rests_until = None;
                self.resting -= 1;
                self.free.push(at);
            }
        }
    }

    /// Ends the jobs whose exchange takes longer than the workload allows.
    pub fn expire(&mut self) {
        let limit = self.shared.workload.timeout.0;
        for at in 0..self.slots.len() {
            let late = |connection: &Connection| connection.busy_since().is_some_and(|since| since.elapsed() > limit);
            if self.slots[at].connections.iter().any(late) {
                self.end(at, Err(Failure::Timeout));
            }
        }
    }

    /// Waits for the sockets, at most until `wake` (or until a slot has rested), and moves what they offer.
    pub fn turn(&mut self, wake: Instant) -> Result<()> {
        let rested = self.slots.iter().filter(|_| self.resting > 0).filter_map(|slot| slot.rests_until).min();
        let wake = rested.map_or(wake, |rested| rested.min(wake));
        let wake = if self.finished.is_empty() { wake } else { Instant::now() };
        self.arm(wake)?;
        let mut events = Vec::with_capacity(EVENTS);
        match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), None) {
            Err(error) if error != rustix::io::Errno::INTR => return Err(error).context("wait for sockets"),
            _ => {}
        }
        for event in events {
            let token = event.data.u64();
            if token == TIMER {
                self.armed = None;
                continue;
            }
            let (at, index) = ((token >> 32) as usize, (token & 0xffff_ffff) as usize);
            if self.slots[at].connections[index].is_busy() {
                self.advance(at, index);
            } else {
                // Nothing was asked: the server has closed it. The next request opens it again.
                self.slots[at].connections[index].close();
            }
        }
        Ok(())
    }

    /// A timer wakes with the precision that epoll's own limit lacks.
    fn arm(&mut self, wake: Instant) -> Result<()> {
        if self.armed == Some(wake) {
            return Ok(());
        }
        // A timer of nothing would never fire.
        let left = wake.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let once = Timespec::try_from(left).context("a wait fits the kernel's clock")?;
        let value = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: once };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)?;
        self.armed = Some(wake);
        Ok(())
    }

    pub fn connection_facts(&self) -> Vec<ConnectionFacts> {
        let all = self.slots.iter().flat_map(|slot| &slot.connections);
        let facts = |connection: &Connection| ConnectionFacts {
            local: connection.local().map(|local| local.to_string()),
            remote: connection.remote().to_string(),
            exchanges: connection.exchanges,
            sent: connection.meter.sent,
            received: connection.meter.received,
            opened: connection.opened,
        };
        all.map(facts).collect()
    }
}

fn open(poll: &OwnedFd, connection: &mut Connection, token: u64, opened: &mut u64) -> Result<(), Failure> {
    *opened += 1;
    let stream = connection.open()?;
    epoll::add(poll, stream, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
        .map_err(|error| std::io::Error::from(error).into())
}

/// Tells the epoll set whether room to write is of interest, when that has changed.
fn watch_room(poll: &OwnedFd, connection: &mut Connection, token: u64) {
    let wants = connection.wants_room();
    if wants == connection.watches_room {
        return;
    }
    let Some(stream) = connection.stream() else { return };
    let flags = if wants { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
    epoll::modify(poll, stream, epoll::EventData::new_u64(token), flags).expect("the socket is in the set");
    connection.watches_room = wants;
}
