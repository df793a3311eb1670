//! One run: workers are started together, what they see is added up by second, the server is watched, a record is made.

use std::collections::BTreeMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::fleet::{Fleet, Launch};
use crate::load::failure::{Failures, add_failures};
use crate::load::interval::Interval;
use crate::load::schedule::{Phase, Slot, Timeline};
use crate::machine::Machine;
use crate::nic::{self, Nics};
use crate::record::{
    CONNECTIONS_MAX, CoordinatedOmission, Generator, IdleResult, OperationResult, Record, SCHEMA, Second, Server,
    TargetFacts, Verify, WholeRun, Window, per_gib,
};
use crate::server_process::{Usage, usage};
use crate::target::Target;
use crate::view::View;
use crate::work::{Ended, Said};
use crate::workload::Workload;

/// How long a key may wait to be read.
const KEYBOARD: Duration = Duration::from_millis(200);

/// Everything a run is told.
#[derive(Debug, Clone)]
pub struct Run {
    pub target: Target,
    pub workload: Workload,
    pub launch: Launch,
    /// Per worker.
    pub threads: u32,
    /// Of the server, when it is local.
    pub pids: Vec<u32>,
    pub label: String,
    pub commit: Option<String>,
}

/// The server and the interfaces at one moment.
#[derive(Debug, Clone, Default)]
struct Look {
    server: Option<Usage>,
    nics: Nics,
}

/// What has been seen so far.
struct Seen {
    timeline: Timeline,
    /// By second of the window: added up, and how many threads have reported.
    window: BTreeMap<u32, (Interval, u32)>,
    /// Warm-up and drain.
    outside: Interval,
    /// At the beginning of second `n` of the window, and at its end.
    looks: Vec<Look>,
    threads: u32,
    shown: u32,
}

impl Run {
    fn check(&self) -> Result<()> {
        self.workload.check()?;
        self.target.check(&self.workload)?;
        let slots = self.workload.connections / self.workload.lane_width();
        let workers = self.launch.workers();
        ensure!(slots >= workers, "{workers} workers need at least as many connections; raise `connections`");
        Ok(())
    }

    /// Runs it.
    pub fn measure(&self, view: &mut View) -> Result<Record> {
        self.check()?;
        raise_descriptor_limit(self.workload.connections + self.workload.idle)?;
        let before = self.look()?;
        view.begin(&self.label, &self.target.url(), &self.workload)?;
        let mut fleet = Fleet::start(&self.launch, &self.target, &self.workload, self.threads)?;
        let mut seen = Seen::new(&self.workload);
        for _ in 0..self.launch.workers() {
            match fleet.said.recv().context("a worker is gone")? {
                Said::Ready { threads } => seen.threads += threads,
                Said::Failed(why) => bail!(why),
                Said::Interval(_) | Said::Ended(_) => bail!("a worker began before it was told to"),
            }
        }
        let ready = self.look()?;
        let began = jiff::Timestamp::now();
        fleet.go()?;
        let ended = self.watch(&fleet, &mut seen, view)?;
        Ok(self.record(&seen, ended, [before, ready], began))
    }

    /// Follows the run to the end of every worker.
    fn watch(&self, fleet: &Fleet, seen: &mut Seen, view: &mut View) -> Result<Vec<Ended>> {
        let start = Instant::now();
        let mut ended = Vec::new();
        while ended.len() < self.launch.workers() as usize {
            let until = seen.next_look_at().map(|at| (start + at).saturating_duration_since(Instant::now()));
            // Behind the window every worker ends by itself: its exchanges have a time limit.
            match fleet.said.recv_timeout(until.map_or(KEYBOARD, |until| until.min(KEYBOARD))) {
                Ok(Said::Interval(interval)) => seen.add(interval),
                Ok(Said::Ended(one)) => ended.push(*one),
                Ok(Said::Failed(why)) => bail!(why),
                Ok(Said::Ready { .. }) => bail!("a worker is ready twice"),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("all workers are gone"),
            }
            if seen.next_look_at().is_some_and(|at| start.elapsed() >= at) {
                seen.looks.push(self.look()?);
            }
            while let Some(second) = seen.take_whole_second() {
                view.second(&second)?;
            }
            view.poll()?;
        }
        // Quick answers end every worker with the window, maybe before its end was looked at.
        while let Some(at) = seen.next_look_at() {
            std::thread::sleep((start + at).saturating_duration_since(Instant::now()));
            seen.looks.push(self.look()?);
        }
        while let Some(second) = seen.take_whole_second() {
            view.second(&second)?;
        }
        Ok(ended)
    }

    fn look(&self) -> Result<Look> {
        let server = if self.pids.is_empty() { None } else { Some(usage(&self.pids)?) };
        Ok(Look { server, nics: nic::counters() })
    }

    fn record(&self, seen: &Seen, ended: Vec<Ended>, [before, ready]: [Look; 2], began: jiff::Timestamp) -> Record {
        let mut window = Interval::new(Slot { phase: Phase::Window, second: 0 }, self.workload.operations.len());
        seen.window.values().for_each(|(interval, _)| window.merge(interval));
        let mut all = seen.outside.clone();
        all.merge(&window);
        // Operations of the window may have ended in the drain: their latencies and failures are there.
        let operations = self.workload.operations.iter().zip(&window.rows).zip(&all.rows);
        let operations = operations.map(|((operation, row), all)| OperationResult {
            name: operation.name.clone(),
            completed: row.completed,
            latency: all.latency.clone(),
        });
        let mut verify =
            Verify { compared_bytes: all.verified, compare_seconds: all.verify_ns as f64 / 1e9, ..Verify::default() };
        for one in &ended {
            verify.read_back.files += one.read_back.files;
            verify.read_back.bytes += one.read_back.bytes;
            add_failures(&mut verify.read_back.failures, &one.read_back.failures);
            verify.read_back.seconds += one.read_back.seconds;
        }
        let omission = if self.workload.rate.is_some() {
            CoordinatedOmission::Corrected
        } else {
            CoordinatedOmission::NotApplicable
        };
        Record {
            schema: SCHEMA,
            label: self.label.clone(),
            began: began.to_string(),
            command: std::env::args().collect(),
            commit: self.commit.clone(),
            machine: Machine::here(),
            target: TargetFacts {
                url: self.target.url(),
                dialect: self.target.dialect,
                addresses: self.target.addresses.iter().map(ToString::to_string).collect(),
            },
            workload: self.workload.clone(),
            coordinated_omission: omission,
            generator: Generator {
                workers: self.launch.workers(),
                threads: seen.threads,
                cpu_seconds: ended.iter().map(|one| one.cpu_seconds).sum(),
            },
            operations: operations.collect(),
            seconds: (0..).zip(seen.timeline.window()).map(|(second, _)| seen.second(second)).collect(),
            whole_run: WholeRun {
                stored_bytes: all.stored,
                uploads: all.uploads,
                removed: all.removed,
                opened: all.opened,
            },
            verify,
            idle: IdleResult {
                held: self.workload.idle.into(),
                survivors: ended.iter().map(|one| one.idle_survivors).sum(),
            },
            server: self.server(seen, &before, &ready, window.sent + window.received),
            connections: ended.into_iter().flat_map(|one| one.connections).take(CONNECTIONS_MAX).collect(),
            window: Window {
                seconds: self.workload.duration.0.as_secs_f64(),
                completed: window.completed(),
                sent_bytes: window.sent,
                received_bytes: window.received,
                failures: seen.measured_failures(),
                missed: all.missed,
            },
        }
    }

    fn server(&self, seen: &Seen, before: &Look, ready: &Look, bytes: u64) -> Option<Server> {
        let during: Vec<Usage> = seen.looks.iter().filter_map(|look| look.server).collect();
        let cpu_seconds = during.last()?.cpu_seconds - during.first()?.cpu_seconds;
        Some(Server {
            pids: self.pids.clone(),
            cpu_seconds,
            cpu_seconds_per_gib: per_gib(cpu_seconds, bytes),
            resident_before_bytes: before.server?.resident_bytes,
            resident_ready_bytes: ready.server?.resident_bytes,
            resident_max_bytes: during.iter().map(|usage| usage.resident_bytes).max()?,
        })
    }
}

impl Seen {
    fn new(workload: &Workload) -> Self {
        let timeline = Timeline { warm_up: workload.warm_up.0, duration: workload.duration.0 };
        let outside = Interval::new(Slot { phase: Phase::Drain, second: 0 }, workload.operations.len());
        Self { timeline, window: BTreeMap::new(), outside, looks: Vec::new(), threads: 0, shown: 0 }
    }

    fn add(&mut self, interval: Interval) {
        match interval.slot.phase {
            // What fails while warming up is not measured.
            Phase::WarmUp => self.outside.merge(&Interval { failures: Failures::new(), ..interval }),
            Phase::Drain => self.outside.merge(&interval),
            Phase::Window => {
                let fresh = || (Interval::new(interval.slot, interval.rows.len()), 0);
                let (sum, threads) = self.window.entry(interval.slot.second).or_insert_with(fresh);
                sum.merge(&interval);
                *threads += 1;
            }
        }
    }

    fn measured_failures(&self) -> Failures {
        let mut failures = self.outside.failures.clone();
        self.window.values().for_each(|(interval, _)| add_failures(&mut failures, &interval.failures));
        failures
    }

    /// The window's beginning, then the end of each of its seconds.
    fn next_look_at(&self) -> Option<Duration> {
        let Some(second) = self.looks.len().checked_sub(1) else { return Some(self.timeline.warm_up) };
        let slot = self.timeline.window().nth(second)?;
        self.timeline.end_of(slot)
    }

    /// The next second that every thread has reported and that has not been shown.
    fn take_whole_second(&mut self) -> Option<Second> {
        let (_, threads) = self.window.get(&self.shown)?;
        if *threads < self.threads || self.looks.len() < self.shown as usize + 2 {
            return None;
        }
        self.shown += 1;
        Some(self.second(self.shown - 1))
    }

    fn second(&self, second: u32) -> Second {
        let slot = Slot { phase: Phase::Window, second };
        let empty = (Interval::new(slot, 0), 0);
        let (interval, _) = self.window.get(&second).unwrap_or(&empty);
        let latency = interval.latency();
        let looks = (self.looks.get(second as usize), self.looks.get(second as usize + 1));
        let (nics, server) = match looks {
            (Some(start), Some(end)) => {
                let server = start.server.zip(end.server).map(|(start, end)| Usage {
                    cpu_seconds: end.cpu_seconds - start.cpu_seconds,
                    resident_bytes: end.resident_bytes,
                });
                (nic::between(&start.nics, &end.nics), server)
            }
            _ => (Nics::new(), None),
        };
        Second {
            second,
            length_seconds: self.timeline.length_of(slot),
            completed: interval.completed(),
            failed: interval.failed(),
            sent_bytes: interval.sent,
            received_bytes: interval.received,
            p50_ns: latency.at(0.5),
            p99_ns: latency.at(0.99),
            max_ns: latency.at(1.0),
            nics,
            server,
        }
    }
}

/// Every connection is a descriptor.
fn raise_descriptor_limit(connections: u32) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let needed = u64::from(connections) + 64;
    let enough = limit.maximum.is_none_or(|maximum| maximum >= needed);
    ensure!(enough, "{needed} descriptors are needed; raise the hard limit (ulimit -Hn) or use several --worker");
    Ok(())
}
