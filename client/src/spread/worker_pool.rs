//! The threads of one transfer: workers that carry, and one that watches over them when there are several paths.
//!
//! What must stay true: the first fatal error ends all workers; a path's failure is not fatal while another
//! path is left; no worker waits for a path that is asked about once the work is done.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::width::Width;
use super::{Job, NicPath, Piece, WorkQueue};
use crate::endpoints::PROBE_TIMEOUT;
use crate::http1::{Connection, WireError};
use crate::patience::{Failures, Patience};
use crate::progress::{Meter, Note};
use crate::{Cancel, Client, Error, Result};

/// Between two looks at who is slow.
const TICK: Duration = Duration::from_millis(200);
/// So many looks make one observation of a path's rate.
const TICKS_PER_STEP: u32 = 5;

/// Moves one piece.
pub(crate) trait SliceMover: Sync {
    /// Moves the piece of `job` over `worker`. What is left of it goes to `rest`, also when this fails.
    /// [`Error::Unreachable`] is about the path, any other error about the transfer.
    fn carry(&self, job: &Job, worker: &mut Worker<'_>, rest: &mut Vec<Piece>) -> Result<()>;

    /// Waits out a refusal; gives it back when that is hopeless.
    fn refused(&self, error: Error, worker: &mut Worker<'_>) -> Result<()>;
}

/// One connection of a path.
pub(crate) struct Worker<'a> {
    /// Ends when this worker's piece is taken away.
    pub client: Client,
    pub connection: Option<Connection>,
    /// Memory to receive into, made at the first use.
    pub block: Vec<u8>,
    /// Refusals in a row.
    pub failures: Failures,
    path: &'a NicPath,
}

impl Worker<'_> {
    /// Something arrived: whatever failed before is over.
    pub fn moved_on(&mut self) {
        self.failures.forget();
        self.path.failures().forget();
    }

    /// Bytes went over the wire.
    pub fn count(&self, job: &Job, bytes: u64) {
        job.count(bytes);
        self.path.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The connection was broken on purpose: new ones shall not be.
    fn renew(&mut self, pool: &Cancel) {
        self.connection = None;
        self.client = self.path.client.under(&pool.child());
    }
}

/// Everybody who carries for one transfer.
pub(crate) struct WorkerPool<'a, C> {
    pub queue: &'a WorkQueue<'a>,
    pub carrier: &'a C,
    pub cancel: Cancel,
    pub patience: &'a Patience,
    pub meter: &'a Meter<'a>,
    over: Cancel,
}

impl<'a, C: SliceMover> WorkerPool<'a, C> {
    /// All of them end with `cancel`, and end it when one of them fails.
    pub fn new(
        queue: &'a WorkQueue<'a>,
        carrier: &'a C,
        cancel: &Cancel,
        patience: &'a Patience,
        meter: &'a Meter<'a>,
    ) -> Self {
        Self { queue, carrier, cancel: cancel.clone(), patience, meter, over: cancel.child() }
    }

    /// Carries until the queue is complete and empty, with at most `pieces` workers per path.
    pub fn run(&self, pieces: usize) -> Result<()> {
        let paths = self.queue.paths;
        if paths.are_several() {
            self.meter.note(Note::Spread { over: paths.active() });
        }
        paths.list.iter().for_each(|path| path.trusted.store(true, Ordering::Relaxed)); // an earlier pool's worries
        let workers = paths.workers().1.min(pieces);
        std::thread::scope(|scope| {
            let places = (0..paths.list.len()).flat_map(|path| (0..workers).map(move |worker| (path, worker)));
            let threads: Vec<_> =
                places.map(|(path, worker)| scope.spawn(move || self.ending_all(self.sit(path, worker)))).collect();
            let watch = paths.are_several().then(|| scope.spawn(|| self.watch()));
            let ends = threads.into_iter().map(join).collect();
            self.over.cancel();
            watch.into_iter().for_each(join);
            first_cause(ends)
        })
    }

    /// Any failure ends everyone.
    pub fn ending_all(&self, result: Result<()>) -> Result<()> {
        if result.is_err() {
            self.cancel.cancel();
            self.queue.close();
        }
        result
    }

    fn sit(&self, path: usize, number: usize) -> Result<()> {
        let place = &self.queue.paths.list[path];
        let client = place.client.under(&self.cancel.child());
        let mut worker =
            Worker { client, connection: None, block: Vec::new(), failures: Failures::default(), path: place };
        while let Some(job) = self.queue.take(path, number, worker.client.cancel()) {
            let mut rest = Vec::new();
            let carried = self.carrier.carry(&job, &mut worker, &mut rest);
            let waited = match carried {
                // With the piece in hand: a worker that took it now would be refused as well.
                Err(error) if !matches!(error, Error::Unreachable { .. } | Error::Interrupted) => {
                    self.carrier.refused(error, &mut worker)
                }
                other => other,
            };
            let was_relieved = worker.client.cancel().is_cancelled() && !self.cancel.is_cancelled();
            let failure = match waited {
                Err(Error::Interrupted) if was_relieved => Err(worker.path.too_slow()),
                other => other,
            };
            // Before its piece is on the queue again, so that no other worker of the path takes that.
            let is_ours = matches!(failure, Err(Error::Unreachable { .. })) && self.queue.suspect(path);
            self.queue.end(&job, rest, was_relieved);
            if was_relieved {
                worker.renew(&self.cancel);
            }
            match failure {
                Ok(()) => {}
                Err(error @ Error::Unreachable { .. }) if is_ours => self.recover(path, error)?,
                Err(Error::Unreachable { .. }) => {} // another worker of the path sees to it
                Err(error) => return Err(error),
            }
        }
        self.over.cancel();
        Ok(())
    }

    /// Waits until the path can be trusted again, or the work is done.
    fn recover(&self, path: usize, error: Error) -> Result<()> {
        let place = &self.queue.paths.list[path];
        let endpoint = || place.client.address().to_string();
        let is_one_of_several = self.queue.paths.are_several();
        if is_one_of_several {
            self.meter.note(Note::EndpointLost { endpoint: endpoint() });
        }
        let mut failures = std::mem::take(&mut *place.failures());
        let mut error = error;
        loop {
            let waited = match self.queue.others_carry(path) {
                true => {
                    self.patience.progressed(); // theirs is progress enough
                    self.over.sleep(failures.next_pause(&error)).map(|()| error)
                }
                false => failures.wait_out(error, self.patience, &self.over, self.meter),
            };
            if self.over.is_cancelled() {
                return self.cancel.check();
            }
            error = waited?;
            if !is_one_of_several || self.is_there(place) {
                break;
            }
        }
        *place.failures() = failures;
        self.queue.trust(path);
        if is_one_of_several {
            self.meter.note(Note::EndpointBack { endpoint: endpoint() });
        }
        Ok(())
    }

    fn is_there(&self, path: &NicPath) -> bool {
        let Some(identity) = &self.queue.paths.identity else { return false };
        identity.meets(&path.client.probing(path.client.address().clone(), PROBE_TIMEOUT, &self.over)).is_ok()
    }

    /// Relieves, and sets how many connections carry; until the work is done.
    fn watch(&self) {
        let paths = &self.queue.paths;
        let (first, most) = paths.workers();
        let rate_of = |path: &NicPath| path.moved.load(Ordering::Relaxed);
        let mut widths: Vec<(Width, u64)> =
            paths.list.iter().map(|path| (Width::new(first, most), rate_of(path))).collect();
        let (mut stepped_at, mut tick) = (Instant::now(), 0);
        while self.over.sleep(TICK).is_ok() {
            self.queue.relieve();
            tick += 1;
            if tick % TICKS_PER_STEP != 0 {
                continue;
            }
            let time = stepped_at.elapsed().as_secs_f64();
            stepped_at = Instant::now();
            for (at, (width, moved)) in widths.iter_mut().enumerate() {
                let before = std::mem::replace(moved, rate_of(&paths.list[at]));
                if self.queue.is_busy(at) {
                    self.queue.set_width(at, width.observe((*moved - before) as f64 / time));
                }
            }
        }
    }
}

impl NicPath {
    fn too_slow(&self) -> Error {
        Error::Unreachable { server: self.client.address().to_string(), source: WireError::TimedOut }
    }
}

/// What a thread of a scope brought; its panic goes on here.
pub(crate) fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The failure that ended the others; theirs is only "interrupted".
pub(crate) fn first_cause(ends: Vec<Result<()>>) -> Result<()> {
    let mut errors: Vec<Error> = ends.into_iter().filter_map(Result::err).collect();
    let cause = errors.iter().position(|error| !matches!(error, Error::Interrupted)).unwrap_or(0);
    if errors.is_empty() { Ok(()) } else { Err(errors.swap_remove(cause)) }
}
