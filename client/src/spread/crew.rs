//! The threads of one transfer: seats that carry, and one that watches over them when there are several lanes.
//!
//! What must stay true: the first fatal error ends everybody; a lane's failure is nobody's fatal error while another
//! lane is left; nobody waits for a lane that is asked about once the work is done.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::width::Width;
use super::{Board, Job, Lane, Piece};
use crate::endpoints::PROBE_TIMEOUT;
use crate::http1::{Connection, WireError};
use crate::patience::{Failures, Patience};
use crate::progress::{Meter, Note};
use crate::{Cancel, Client, Error, Result};

/// Between two looks at who is slow.
const TICK: Duration = Duration::from_millis(200);
/// So many looks make one observation of a lane's rate.
const TICKS_PER_STEP: u32 = 5;

/// Moves one piece.
pub(crate) trait Carry: Sync {
    /// Moves the piece of `job` over `seat`. What is left of it goes to `rest`, also when this fails.
    /// [`Error::Unreachable`] is about the lane, any other error about the transfer.
    fn carry(&self, job: &Job, seat: &mut Seat<'_>, rest: &mut Vec<Piece>) -> Result<()>;

    /// Waits out a refusal; gives it back when that is hopeless.
    fn refused(&self, error: Error, seat: &mut Seat<'_>) -> Result<()>;
}

/// One connection of a lane.
pub(crate) struct Seat<'a> {
    /// Ends when this seat's piece is taken away.
    pub client: Client,
    pub connection: Option<Connection>,
    /// Memory to receive into, made at the first use.
    pub block: Vec<u8>,
    /// Refusals in a row.
    pub failures: Failures,
    lane: &'a Lane,
}

impl Seat<'_> {
    /// Something arrived: whatever failed before is over.
    pub fn moved_on(&mut self) {
        self.failures.forget();
        self.lane.failures().forget();
    }

    /// Bytes went over the wire.
    pub fn count(&self, job: &Job, bytes: u64) {
        job.count(bytes);
        self.lane.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The connection was broken on purpose: new ones shall not be.
    fn renew(&mut self, crew: &Cancel) {
        self.connection = None;
        self.client = self.lane.client.under(&crew.child());
    }
}

/// Everybody who carries for one transfer.
pub(crate) struct Crew<'a, C> {
    pub board: &'a Board<'a>,
    pub carrier: &'a C,
    pub cancel: Cancel,
    pub patience: &'a Patience,
    pub meter: &'a Meter<'a>,
    over: Cancel,
}

impl<'a, C: Carry> Crew<'a, C> {
    /// All of them end with `cancel`, and end it when one of them fails.
    pub fn new(
        board: &'a Board<'a>,
        carrier: &'a C,
        cancel: &Cancel,
        patience: &'a Patience,
        meter: &'a Meter<'a>,
    ) -> Self {
        Self { board, carrier, cancel: cancel.clone(), patience, meter, over: cancel.child() }
    }

    /// Carries until the board is complete and empty, with at most `pieces` seats per lane.
    pub fn run(&self, pieces: usize) -> Result<()> {
        let lanes = self.board.lanes;
        if lanes.are_several() {
            self.meter.note(Note::Spread { over: lanes.active() });
        }
        lanes.list.iter().for_each(|lane| lane.trusted.store(true, Ordering::Relaxed)); // an earlier crew's worries
        let seats = lanes.seats().1.min(pieces);
        std::thread::scope(|scope| {
            let places = (0..lanes.list.len()).flat_map(|lane| (0..seats).map(move |seat| (lane, seat)));
            let threads: Vec<_> =
                places.map(|(lane, seat)| scope.spawn(move || self.ending_all(self.sit(lane, seat)))).collect();
            let watch = lanes.are_several().then(|| scope.spawn(|| self.watch()));
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
            self.board.close();
        }
        result
    }

    fn sit(&self, lane: usize, number: usize) -> Result<()> {
        let place = &self.board.lanes.list[lane];
        let client = place.client.under(&self.cancel.child());
        let mut seat = Seat { client, connection: None, block: Vec::new(), failures: Failures::default(), lane: place };
        while let Some(job) = self.board.take(lane, number, seat.client.cancel()) {
            let mut rest = Vec::new();
            let carried = self.carrier.carry(&job, &mut seat, &mut rest);
            let waited = match carried {
                // With the piece in hand: whoever took it now would be refused as well.
                Err(error) if !matches!(error, Error::Unreachable { .. } | Error::Interrupted) => {
                    self.carrier.refused(error, &mut seat)
                }
                other => other,
            };
            let was_relieved = seat.client.cancel().is_cancelled() && !self.cancel.is_cancelled();
            let failure = match waited {
                Err(Error::Interrupted) if was_relieved => Err(seat.lane.too_slow()),
                other => other,
            };
            // Before its piece is on the board again, so that no other seat of the lane takes that.
            let is_ours = matches!(failure, Err(Error::Unreachable { .. })) && self.board.suspect(lane);
            self.board.end(&job, rest, was_relieved);
            if was_relieved {
                seat.renew(&self.cancel);
            }
            match failure {
                Ok(()) => {}
                Err(error @ Error::Unreachable { .. }) if is_ours => self.recover(lane, error)?,
                Err(Error::Unreachable { .. }) => {} // another seat of the lane sees to it
                Err(error) => return Err(error),
            }
        }
        self.over.cancel();
        Ok(())
    }

    /// Waits until the lane can be trusted again, or the work is done.
    fn recover(&self, lane: usize, error: Error) -> Result<()> {
        let place = &self.board.lanes.list[lane];
        let endpoint = || place.client.address().to_string();
        let is_one_of_several = self.board.lanes.are_several();
        if is_one_of_several {
            self.meter.note(Note::EndpointLost { endpoint: endpoint() });
        }
        let mut failures = std::mem::take(&mut *place.failures());
        let mut error = error;
        loop {
            let waited = match self.board.others_carry(lane) {
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
        self.board.trust(lane);
        if is_one_of_several {
            self.meter.note(Note::EndpointBack { endpoint: endpoint() });
        }
        Ok(())
    }

    fn is_there(&self, lane: &Lane) -> bool {
        let Some(identity) = &self.board.lanes.identity else { return false };
        identity.meets(&lane.client.probing(lane.client.address().clone(), PROBE_TIMEOUT, &self.over)).is_ok()
    }

    /// Relieves, and sets how many connections carry; until the work is done.
    fn watch(&self) {
        let lanes = &self.board.lanes;
        let (first, most) = lanes.seats();
        let rate_of = |lane: &Lane| lane.moved.load(Ordering::Relaxed);
        let mut widths: Vec<(Width, u64)> =
            lanes.list.iter().map(|lane| (Width::new(first, most), rate_of(lane))).collect();
        let (mut stepped_at, mut tick) = (Instant::now(), 0);
        while self.over.sleep(TICK).is_ok() {
            self.board.relieve();
            tick += 1;
            if tick % TICKS_PER_STEP != 0 {
                continue;
            }
            let time = stepped_at.elapsed().as_secs_f64();
            stepped_at = Instant::now();
            for (at, (width, moved)) in widths.iter_mut().enumerate() {
                let before = std::mem::replace(moved, rate_of(&lanes.list[at]));
                if self.board.is_busy(at) {
                    self.board.set_width(at, width.observe((*moved - before) as f64 / time));
                }
            }
        }
    }
}

impl Lane {
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
