//! What one worker does, in this process or in one that was started for it: prepare, wait for the start, load, look after
//! what is left. It says what it sees; it decides nothing.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::load::failure::Failures;
use crate::load::idle::Idle;
use crate::load::interval::Interval;
use crate::load::schedule::{Arrivals, StartRule};
use crate::load::slots::ConnectionFacts;
use crate::load::worker::{Left, Shared, Worker};
use crate::server_process::own_cpu_seconds;
use crate::target::{Stored, Target};
use crate::workload::{Action, Workload};

/// A worker's orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub target: Target,
    /// This worker's share.
    pub workload: Workload,
    pub worker: u32,
    pub workers: u32,
    pub threads: u32,
}

/// What a worker says, in this order: ready, intervals of each thread, ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// Files are made and idle connections are open; that many threads will report.
    Ready {
        threads: u32,
    },
    Interval(Interval),
    Ended(Box<Ended>),
    /// It cannot go on; nothing follows.
    Failed(String),
}

/// What is known at the end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub connections: Vec<ConnectionFacts>,
    /// Idle connections that still answered.
    pub idle_survivors: u64,
    pub read_back: ReadBack,
    /// Own CPU time between the start and the end of the drain.
    pub cpu_seconds: f64,
    /// Files that could not be removed.
    pub not_removed: u64,
}

/// Uploaded files, read after the window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadBack {
    pub files: u64,
    pub bytes: u64,
    /// Files that could not be read or held other bytes, by kind.
    pub failures: Failures,
    pub seconds: f64,
}

/// Works off `plan`; `start` returns when the load is to begin.
pub fn work(plan: Plan, start: impl FnOnce() -> Result<()>, say: &(dyn Fn(Said) + Sync)) -> Result<()> {
    let slots = plan.workload.connections / plan.workload.lane_width();
    let threads = plan.threads.min(slots).max(1);
    let mut shared = Shared {
        content: Arc::new(Content::new(plan.workload.seed)),
        files: vec![Vec::new(); plan.workload.operations.len()],
        target: plan.target,
        workload: plan.workload,
    };
    // Worker and thread make up the file numbers; number 0 of each worker prepares and cleans up.
    let first_thread = u64::from(plan.worker) << 16;
    let mut helper = Worker::new(&Arc::new(shared.without_files()), shared.workload.connections, first_thread)?;
    if slots > 0 {
        for (row, operation) in shared.workload.operations.iter().enumerate() {
            if operation.action == Action::Download {
                shared.files[row] = helper.prepare(row).context("prepare the files to download")?;
            }
        }
    }
    let prepared: Vec<Stored> = shared.files.concat();
    let shared = Arc::new(shared);
    let idle = Idle::open(&shared.target, &shared.workload)?;
    let workers = deal(slots, threads)
        .zip(1..)
        .map(|(slots, thread)| Worker::new(&shared, slots * shared.workload.lane_width(), first_thread + thread));
    let workers = workers.collect::<Result<Vec<_>>>()?;
    say(Said::Ready { threads });
    start()?;

    let (began, cpu_before) = (Instant::now(), own_cpu_seconds());
    let left = load(&shared, workers, plan.worker, plan.workers, began, say)?;
    let cpu_seconds = own_cpu_seconds() - cpu_before;
    let idle_survivors = idle.survivors();
    let connections = left.iter().flat_map(|left| left.connections.clone()).collect();
    let uploaded: Vec<Stored> = left.into_iter().flat_map(|left| left.stored).collect();
    let read_back = if shared.workload.verify { read_back(&mut helper, &uploaded)? } else { ReadBack::default() };
    let not_removed = if shared.workload.keep {
        0
    } else {
        helper.remove(prepared.into_iter().chain(uploaded).collect())?.values().sum()
    };
    say(Said::Ended(Box::new(Ended { connections, idle_survivors, read_back, cpu_seconds, not_removed })));
    Ok(())
}

fn load(
    shared: &Arc<Shared>,
    workers: Vec<Worker>,
    worker: u32,
    workers_all: u32,
    began: Instant,
    say: &(dyn Fn(Said) + Sync),
) -> Result<Vec<Left>> {
    let threads = workers.len() as u64;
    let room = shared.workload.room.0 / threads;
    let (worker, workers_all) = (u64::from(worker), u64::from(workers_all));
    std::thread::scope(|scope| {
        let spawn = |(thread, one): (u64, Worker)| {
            let pace = match shared.workload.rate {
                None => StartRule::Closed,
                Some(rate) => {
                    StartRule::Open(Arrivals::new(rate, thread * workers_all + worker, threads * workers_all))
                }
            };
            scope.spawn(move || one.run(began, pace, room, &|interval| say(Said::Interval(interval))))
        };
        let running: Vec<_> = (0..).zip(workers).map(spawn).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a load thread panicked"))?).collect()
    })
}

fn read_back(helper: &mut Worker, files: &[Stored]) -> Result<ReadBack> {
    let files: Vec<Stored> = files.iter().filter(|file| file.size > 0).cloned().collect();
    let began = Instant::now();
    let (meter, failures) = helper.read_back(&files)?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(ReadBack { files: files.len() as u64, bytes: meter.verified, failures, seconds })
}

/// `all` in `parts` shares that differ by one at most.
fn deal(all: u32, parts: u32) -> impl Iterator<Item = u32> {
    (0..parts).map(move |part| all / parts + u32::from(part < all % parts))
}

impl Shared {
    fn without_files(&self) -> Self {
        Self {
            target: self.target.clone(),
            workload: self.workload.clone(),
            content: Arc::clone(&self.content),
            files: Vec::new(),
        }
    }
}

/// The other side of [`crate::fleet`]: orders on standard input, what is seen on standard output, a line each.
pub fn work_on_pipes() -> Result<()> {
    use std::io::Write as _;
    let mut orders = String::new();
    std::io::stdin().read_line(&mut orders)?;
    let plan: Plan = serde_json::from_str(&orders).context("the first line of standard input is a plan")?;
    let say = |said: Said| {
        let line = serde_json::to_string(&said).expect("what a worker says is JSON");
        // A coordinator that is gone is noticed by the next read of standard input, or not at all.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    };
    let start = || {
        let mut line = String::new();
        ensure!(std::io::stdin().read_line(&mut line)? > 0, "the coordinator is gone");
        Ok(())
    };
    work(plan, start, &say).inspect_err(|error| say(Said::Failed(format!("{error:#}"))))
}
