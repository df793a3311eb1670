//! One thread of the load: lanes of connections, one epoll set, one clock.
//!
//! ```text
//! free lane ─► job ─► asks ─► answers ─► finished: counted, lane free again (after a failure: later)
//! ```
//!
//! Must stay true: nothing here waits but for the epoll set; an operation's latency begins at its intended start; removal
//! of old files is done by lanes between operations and is in no latency.

use std::collections::VecDeque;
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
use super::failure::{Failure, Failures};
use super::interval::Interval;
use super::job::{Job, Next};
use super::schedule::{Pace, Timeline};
use crate::content::Content;
use crate::target::{Stored, Target};
use crate::units::Bytes;
use crate::workload::{Action, Operation, Workload};

const TIMER: u64 = u64::MAX;
const SCRATCH_BYTES: usize = 256 << 10;
const EVENTS: usize = 1024;
/// After a failure a lane rests this long, twice as long after each further one in a row, up to 64 times.
const REST: Duration = Duration::from_millis(10);

/// What all threads of a process share.
pub struct Shared {
    pub target: Target,
    pub workload: Workload,
    pub content: Arc<Content>,
    /// By operation: the files that downloads choose from.
    pub files: Vec<Vec<Stored>>,
}

struct Lane {
    connections: Vec<Connection>,
    work: Option<(Job, Instant)>,
    failures: u32,
    rests_until: Option<Instant>,
}

/// A job that has ended.
struct Finished {
    job: Job,
    intended: Instant,
    ended: Instant,
    outcome: Result<(), Failure>,
}

/// The thread.
pub struct Worker {
    shared: Arc<Shared>,
    lanes: Vec<Lane>,
    free: Vec<usize>,
    resting: usize,
    poll: OwnedFd,
    timer: OwnedFd,
    scratch: Vec<u8>,
    meter: Meter,
    stored_bytes: u64,
    opened: u64,
    finished: Vec<Finished>,
    /// When the timer fires next, if it has not.
    armed: Option<Instant>,
    random: fastrand::Rng,
    next_number: u64,
}

/// What is left when a load has ended.
pub struct Left {
    pub stored: Vec<Stored>,
    pub connections: Vec<ConnectionFacts>,
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

impl Worker {
    /// `connections` in lanes; `thread` must differ from every other thread's of the run, for its file numbers.
    pub fn new(shared: &Arc<Shared>, connections: u32, thread: u64) -> Result<Self> {
        let width = shared.workload.lane_width() as usize;
        let target = &shared.target;
        let mut routes = (thread as usize..).map(|turn| Route {
            to: target.addresses[turn % target.addresses.len()],
            from: (!target.from.is_empty()).then(|| target.from[turn % target.from.len()]),
        });
        let mut lane = || Lane {
            connections: routes.by_ref().take(width).map(Connection::new).collect(),
            work: None,
            failures: 0,
            rests_until: None,
        };
        let lanes: Vec<Lane> = (0..connections as usize / width).map(|_| lane()).collect();
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context("make an epoll set")?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).context("make a timer")?;
        epoll::add(&poll, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
        Ok(Self {
            shared: Arc::clone(shared),
            free: (0..lanes.len()).rev().collect(),
            lanes,
            resting: 0,
            poll,
            timer,
            scratch: vec![0; SCRATCH_BYTES],
            meter: Meter::default(),
            stored_bytes: 0,
            opened: 0,
            finished: Vec::new(),
            armed: None,
            random: fastrand::Rng::with_seed(shared.workload.seed ^ thread),
            next_number: thread << 40,
        })
    }

    // ---- the load

    /// Runs the whole timeline; an interval goes to `seen` at the end of every slot.
    pub fn run(mut self, start: Instant, mut pace: Pace, room: u64, seen: &dyn Fn(Interval)) -> Result<Left> {
        let shared = Arc::clone(&self.shared);
        let workload = &shared.workload;
        let timeline = Timeline { warm_up: workload.warm_up.0, duration: workload.duration.0 };
        let rows = workload.operations.len();
        let (mut held, mut held_bytes) = (VecDeque::<Stored>::new(), 0_u64);
        let mut interval = Interval::new(timeline.slot(Duration::ZERO), rows);
        loop {
            let now = start.elapsed();
            while let Some(end) = timeline.end_of(interval.slot).filter(|end| now >= *end) {
                self.expire();
                self.tally(&mut interval);
                seen(std::mem::replace(&mut interval, Interval::new(timeline.slot(end), rows)));
            }
            let over = now >= timeline.end();
            if over && self.is_quiet() {
                break;
            }
            self.wake_rested();
            while !over && rows > 0 && !self.free.is_empty() {
                if held_bytes > room
                    && let Some(file) = held.pop_front()
                {
                    held_bytes -= file.size;
                    interval.removed += 1;
                    self.begin(Job::remove(file), Instant::now());
                    continue;
                }
                let Some(intended) = pace.due(start.elapsed()) else { break };
                let job = self.choose();
                self.begin(job, start + intended);
            }
            let slot_end = timeline.end_of(interval.slot).unwrap_or(now + Duration::from_millis(100));
            let next = pace.next_at().filter(|_| !over && rows > 0 && !self.free.is_empty());
            let wake = next.map_or(slot_end, |next| next.min(slot_end));
            self.turn(start + wake)?;
            if over {
                self.expire();
            }
            for done in std::mem::take(&mut self.finished) {
                count(&mut interval, &done, start + timeline.warm_up);
                if let Some(file) = done.job.stored() {
                    held_bytes += file.size;
                    held.push_back(file);
                }
            }
        }
        let end = timeline.end();
        for intended in pace.missed(end).filter(|intended| *intended >= timeline.warm_up) {
            let row = self.choose_row();
            interval.rows[row].latency.record(end - intended);
            interval.missed += 1;
        }
        self.tally(&mut interval);
        seen(interval);
        Ok(Left { stored: held.into(), connections: self.connection_facts() })
    }

    /// Moves what was metered since the last slot into it.
    fn tally(&mut self, interval: &mut Interval) {
        let meter = std::mem::take(&mut self.meter);
        interval.sent += meter.sent;
        interval.received += meter.received;
        interval.verified += meter.verified;
        interval.verify_ns += meter.verifying.as_nanos() as u64;
        interval.stored += std::mem::take(&mut self.stored_bytes);
        interval.opened += std::mem::take(&mut self.opened);
    }

    fn choose_row(&mut self) -> usize {
        let operations = &self.shared.workload.operations;
        let mut at = self.random.u32(0..operations.iter().map(|operation| operation.weight).sum());
        for (row, operation) in operations.iter().enumerate() {
            match at.checked_sub(operation.weight) {
                None => return row,
                Some(left) => at = left,
            }
        }
        unreachable!("the weights add up")
    }

    fn choose(&mut self) -> Job {
        let row = self.choose_row();
        let shared = Arc::clone(&self.shared);
        let operation = &shared.workload.operations[row];
        match operation.action {
            Action::Upload => self.new_upload(row, operation),
            Action::Download => {
                let files = &shared.files[row];
                let file = files[self.random.usize(0..files.len())].clone();
                Job::download(row, operation, file, &mut self.random)
            }
        }
    }

    fn new_upload(&mut self, row: usize, operation: &Operation) -> Job {
        self.next_number += 1;
        Job::upload(row, operation, self.next_number, &self.shared.target)
    }

    // ---- work with an end: preparing, reading back, removing

    /// Uploads the files that downloads of `row` choose from.
    pub fn prepare(&mut self, row: usize) -> Result<Vec<Stored>> {
        let shared = Arc::clone(&self.shared);
        // Whole, on one connection each: what downloads do with the file is no matter here.
        let operation = Operation { parallel: 1, part: Bytes(0), ..shared.workload.operations[row].clone() };
        let jobs = (0..operation.files).map(|_| self.new_upload(row, &operation)).collect();
        let done = self.work_off(jobs)?;
        let fault = done.iter().find_map(|finished| finished.outcome.as_ref().err());
        if let Some(fault) = fault {
            anyhow::bail!("upload of a file to download: {fault}");
        }
        Ok(done.into_iter().filter_map(|finished| finished.job.stored()).collect())
    }

    /// Reads the files whole, comparing when the workload says so; bytes compared, the time that took alone, and failures.
    pub fn read_back(&mut self, files: &[Stored]) -> Result<(Meter, Failures)> {
        self.meter = Meter::default();
        let done = self.work_off(files.iter().cloned().map(Job::read_back).collect())?;
        Ok((std::mem::take(&mut self.meter), failures(done)))
    }

    pub fn remove(&mut self, files: Vec<Stored>) -> Result<Failures> {
        Ok(failures(self.work_off(files.into_iter().map(Job::remove).collect())?))
    }

    fn work_off(&mut self, mut jobs: VecDeque<Job>) -> Result<Vec<Finished>> {
        let mut done = Vec::new();
        while !jobs.is_empty() || !self.is_quiet() {
            self.wake_rested();
            while !jobs.is_empty() && !self.free.is_empty() {
                let job = jobs.pop_front().expect("not empty");
                self.begin(job, Instant::now());
            }
            self.turn(Instant::now() + Duration::from_millis(100))?;
            self.expire();
            done.append(&mut self.finished);
        }
        Ok(done)
    }

    // ---- lanes

    fn is_quiet(&self) -> bool {
        self.free.len() + self.resting == self.lanes.len() && self.finished.is_empty()
    }

    fn begin(&mut self, job: Job, intended: Instant) {
        let at = self.free.pop().expect("a free lane was seen");
        let lane = &mut self.lanes[at];
        if job.fresh {
            lane.connections.iter_mut().for_each(Connection::close);
        }
        lane.work = Some((job, intended));
        self.drive(at);
    }

    /// Gives every connection of the lane that has nothing to do its next request; ends the job when none is left.
    fn drive(&mut self, at: usize) {
        let mut waiting = false;
        for index in 0..self.lanes[at].connections.len() {
            let lane = &mut self.lanes[at];
            let Some((job, _)) = &lane.work else { return };
            let connection = &mut lane.connections[index];
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
                        && let Err(failure) = open(&self.poll, connection, token, &mut self.opened)
                    {
                        return self.end(at, Err(failure));
                    }
                    connection.ask(ask);
                    if let Err(failure) = connection.send(&self.shared.content, &mut self.meter) {
                        return self.end(at, Err(failure));
                    }
                    watch_room(&self.poll, connection, token);
                }
            }
        }
        if !waiting && self.lanes[at].work.is_some() {
            self.end(at, Ok(()));
        }
    }

    fn advance(&mut self, at: usize, index: usize) {
        let lane = &mut self.lanes[at];
        let connection = &mut lane.connections[index];
        let shared = &self.shared;
        let verify = shared.workload.verify;
        match connection.advance(&shared.content, verify, &mut self.scratch, &mut self.meter) {
            Ok(None) => watch_room(&self.poll, connection, (at as u64) << 32 | index as u64),
            Ok(Some(answer)) => {
                watch_room(&self.poll, connection, (at as u64) << 32 | index as u64);
                let Some((job, _)) = &mut lane.work else { return };
                match job.answered(index, &answer) {
                    Ok(stored) => {
                        self.stored_bytes += stored;
                        self.drive(at);
                    }
                    Err(failure) => self.end(at, Err(failure)),
                }
            }
            Err(failure) => self.end(at, Err(failure)),
        }
    }

    fn end(&mut self, at: usize, outcome: Result<(), Failure>) {
        let lane = &mut self.lanes[at];
        let Some((job, intended)) = lane.work.take() else { return };
        if outcome.is_ok() {
            lane.failures = 0;
            self.free.push(at);
        } else {
            lane.connections.iter_mut().filter(|connection| connection.is_busy()).for_each(Connection::close);
            lane.rests_until = Some(Instant::now() + REST * (1 << lane.failures.min(6)));
            lane.failures += 1;
            self.resting += 1;
        }
        self.finished.push(Finished { job, intended, ended: Instant::now(), outcome });
    }

    fn wake_rested(&mut self) {
        if self.resting == 0 {
            return;
        }
        let now = Instant::now();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if lane.rests_until.is_some_and(|until| until <= now) {
                lane.rests_until = None;
                self.resting -= 1;
                self.free.push(at);
            }
        }
    }

    /// Ends the jobs whose exchange takes longer than the workload allows.
    fn expire(&mut self) {
        let limit = self.shared.workload.timeout.0;
        for at in 0..self.lanes.len() {
            let late = |connection: &Connection| connection.busy_since().is_some_and(|since| since.elapsed() > limit);
            if self.lanes[at].connections.iter().any(late) {
                self.end(at, Err(Failure::Timeout));
            }
        }
    }

    /// Waits for the sockets, at most until `wake` (or until a lane has rested), and moves what they offer.
    fn turn(&mut self, wake: Instant) -> Result<()> {
        let rested = self.lanes.iter().filter(|_| self.resting > 0).filter_map(|lane| lane.rests_until).min();
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
            if self.lanes[at].connections[index].is_busy() {
                self.advance(at, index);
            } else {
                // Nothing was asked: the server has closed it. The next request opens it anew.
                self.lanes[at].connections[index].close();
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

    fn connection_facts(&self) -> Vec<ConnectionFacts> {
        let all = self.lanes.iter().flat_map(|lane| &lane.connections);
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

/// One finished job of the load.
fn count(interval: &mut Interval, done: &Finished, window: Instant) {
    let Some(row) = done.job.row else {
        return;
    };
    match done.outcome {
        Ok(()) => {
            interval.rows[row].completed += 1;
            interval.uploads += u64::from(done.job.is_upload());
            if done.intended >= window {
                interval.rows[row].latency.record(done.ended.saturating_duration_since(done.intended));
            }
        }
        Err(failure) => *interval.failures.entry(failure.to_string()).or_default() += 1,
    }
}

fn failures(done: Vec<Finished>) -> Failures {
    let mut failures = Failures::new();
    for failure in done.into_iter().filter_map(|finished| finished.outcome.err()) {
        *failures.entry(failure.to_string()).or_default() += 1;
    }
    failures
}
