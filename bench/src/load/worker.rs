//! One thread of the load: it chooses what to do, gives it to its slots, and counts what came of it, by the clock.
//!
//! Must stay true: an operation's latency begins at its intended start; removal of old files is done by slots between
//! operations and is in no latency.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::connection::Meter;
use super::failure::Failures;
use super::interval::Interval;
use super::job::Job;
use super::schedule::{StartRule, Timeline};
use super::slots::{ConnectionFacts, Finished, Seen, Slots};
use crate::content::Content;
use crate::target::{Stored, Target};
use crate::units::Bytes;
use crate::workload::{Action, Operation, Workload};

/// What all threads of a process share.
pub struct Shared {
    pub target: Target,
    pub workload: Workload,
    pub content: Arc<Content>,
    /// By operation: the files that downloads choose from.
    pub files: Vec<Vec<Stored>>,
}

/// The thread.
pub struct Worker {
    shared: Arc<Shared>,
    slots: Slots,
    random: fastrand::Rng,
    next_number: u64,
}

/// What is left when a load has ended.
pub struct Left {
    pub stored: Vec<Stored>,
    pub connections: Vec<ConnectionFacts>,
}

impl Worker {
    /// `connections` in slots; `thread` must differ from every other thread's of the run, for its file numbers.
    pub fn new(shared: &Arc<Shared>, connections: u32, thread: u64) -> Result<Self> {
        Ok(Self {
            shared: Arc::clone(shared),
            slots: Slots::new(shared, connections, thread as usize)?,
            random: fastrand::Rng::with_seed(shared.workload.seed ^ thread),
            next_number: thread << 40,
        })
    }

    // ---- the load

    /// Runs the whole timeline; an interval goes to `seen` at the end of every slot.
    pub fn run(mut self, start: Instant, mut pace: StartRule, room: u64, seen: &dyn Fn(Interval)) -> Result<Left> {
        let shared = Arc::clone(&self.shared);
        let workload = &shared.workload;
        let timeline = Timeline { warm_up: workload.warm_up.0, duration: workload.duration.0 };
        let rows = workload.operations.len();
        let (mut held, mut held_bytes) = (VecDeque::<Stored>::new(), 0_u64);
        let mut interval = Interval::new(timeline.slot(Duration::ZERO), rows);
        loop {
            let now = start.elapsed();
            while let Some(end) = timeline.end_of(interval.slot).filter(|end| now >= *end) {
                self.slots.expire();
                self.tally(&mut interval);
                seen(std::mem::replace(&mut interval, Interval::new(timeline.slot(end), rows)));
            }
            let over = now >= timeline.end();
            if over && self.slots.is_quiet() {
                break;
            }
            self.slots.wake_rested();
            while !over && rows > 0 && self.slots.has_free() {
                if held_bytes > room
                    && let Some(file) = held.pop_front()
                {
                    held_bytes -= file.size;
                    self.slots.begin(Job::remove(file), Instant::now());
                    continue;
                }
                let Some(intended) = pace.due(start.elapsed()) else { break };
                let job = self.choose();
                self.slots.begin(job, start + intended);
            }
            let slot_end = timeline.end_of(interval.slot).unwrap_or(now + Duration::from_millis(100));
            let next = pace.next_at().filter(|_| !over && rows > 0 && self.slots.has_free());
            let wake = next.map_or(slot_end, |next| next.min(slot_end));
            self.slots.turn(start + wake)?;
            if over {
                self.slots.expire();
            }
            for done in self.slots.take_finished() {
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
        Ok(Left { stored: held.into(), connections: self.slots.connection_facts() })
    }

    /// Moves what was metered since the last slot into it.
    fn tally(&mut self, interval: &mut Interval) {
        let Seen { meter, stored, opened } = self.slots.take_seen();
        interval.sent += meter.sent;
        interval.received += meter.received;
        interval.verified += meter.verified;
        interval.verify_ns += meter.verifying.as_nanos() as u64;
        interval.stored += stored;
        interval.opened += opened;
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

    /// Uploads the files that downloads of `row` choose from, and reads each once: whether a server wrote them through the
    /// page cache or past it, they are in it then.
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
        let files: Vec<Stored> = done.into_iter().filter_map(|finished| finished.job.stored()).collect();
        if let Some((fault, _)) = self.read_back(&files)?.1.first_key_value() {
            anyhow::bail!("first download of a file: {fault}");
        }
        Ok(files)
    }

    /// Reads the files whole, comparing when the workload says so; bytes compared, the time that took alone, and failures.
    pub fn read_back(&mut self, files: &[Stored]) -> Result<(Meter, Failures)> {
        self.slots.take_seen();
        let done = self.work_off(files.iter().cloned().map(Job::read_back).collect())?;
        Ok((self.slots.take_seen().meter, failures(done)))
    }

    pub fn remove(&mut self, files: Vec<Stored>) -> Result<Failures> {
        Ok(failures(self.work_off(files.into_iter().map(Job::remove).collect())?))
    }

    fn work_off(&mut self, mut jobs: VecDeque<Job>) -> Result<Vec<Finished>> {
        let mut done = Vec::new();
        while !jobs.is_empty() || !self.slots.is_quiet() {
            self.slots.wake_rested();
            while !jobs.is_empty() && self.slots.has_free() {
                let job = jobs.pop_front().expect("not empty");
                self.slots.begin(job, Instant::now());
            }
            self.slots.turn(Instant::now() + Duration::from_millis(100))?;
            self.slots.expire();
            done.append(&mut self.slots.take_finished());
        }
        Ok(done)
    }
}

/// One finished job of the load.
fn count(interval: &mut Interval, done: &Finished, window: Instant) {
    let Some(row) = done.job.row else {
        match done.outcome {
            Ok(()) => interval.removed += 1,
            Err(failure) => *interval.failures.entry(format!("removal: {failure}")).or_default() += 1,
        }
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
