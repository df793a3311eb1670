//! Which pieces no worker carries yet, and which worker carries each other one.
//!
//! What must stay true: a piece is on the queue, or in one worker's hands, or done; never two of these. The worker that
//! takes a piece ends it ([`WorkQueue::end`]), with what is left of it. On every way out the queue is closed, so no
//! worker waits ever.
//!
//! Over several paths a worker takes no more of a piece than half of what its speed would be due of all that waits: pieces
//! get smaller towards the end, and the paths end together however much their speeds differ.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use etransfer_contract::Span;

use super::NicPaths;
use crate::Cancel;
use crate::slices::ALIGNMENT;

/// A piece is not taken from its carrier before this age, nor when it would be done in this time. The age doubles with
/// every time it was taken: when a disk is what is slow, no other address is quicker.
const RELIEF_MIN: Duration = Duration::from_secs(1);
/// Bytes are told in steps of about this size (a receiver's block, one `sendfile`), so up to this many more have moved.
const GRAIN: u64 = 1024 * 1024;
/// Relief is worth the break when the other path needs less than this part of the time.
const RELIEF_GAIN: f64 = 0.5;
/// A piece of a path of unknown speed: enough to tell it, and not much to wait for should it crawl.
const FIRST_BYTES: u64 = 1024 * 1024;
/// Below this a request costs more than the paths gain by ending together.
const PART_BYTES_MIN: u64 = 256 * 1024;

const _: () = assert!(FIRST_BYTES.is_multiple_of(ALIGNMENT) && PART_BYTES_MIN.is_multiple_of(ALIGNMENT));

/// A span that travels in one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub span: Span,
    /// An attempt failed: what of it is there is to be asked first.
    pub unsure: bool,
    /// Attempts that ended in a conflict while nothing was stored.
    pub conflicts: usize,
    /// How often it was taken from a carrier that was slow ([`WorkQueue::relieve`]).
    reliefs: u32,
}

impl Piece {
    pub fn new(span: Span) -> Self {
        Self { span, unsure: false, conflicts: 0, reliefs: 0 }
    }

    /// What is left of it after an attempt that failed.
    pub fn unsure(span: Span, conflicts: usize) -> Self {
        Self { unsure: true, conflicts, ..Self::new(span) }
    }
}

/// A piece in a worker's hands.
pub(crate) struct Job {
    key: u64,
    pub piece: Piece,
    moved: Arc<AtomicU64>,
}

impl Job {
    /// Bytes went over the wire.
    pub fn count(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The queue of one file.
pub(crate) struct WorkQueue<'a> {
    pub(super) paths: &'a NicPaths,
    /// One piece at a time, in order.
    in_order: bool,
    /// Bytes that may still be on the way although they left our hands: what the kernel buffers for sending.
    hidden: u64,
    state: Mutex<State>,
    bell: Condvar,
}

struct State {
    queued: VecDeque<Piece>,
    /// Bytes of all that is queued.
    waiting: u64,
    carried: BTreeMap<u64, Carried>,
    key_next: u64,
    /// More pieces may come.
    growing: bool,
    closed: bool,
    paths: Vec<LaneState>,
}

struct LaneState {
    width: usize,
    /// Seats that wait for a piece.
    idle: usize,
    /// Bytes per second of one connection, from pieces that ended; 0 before the first.
    pace: f64,
}

struct Carried {
    path: usize,
    length: u64,
    moved: Arc<AtomicU64>,
    reliefs: u32,
    cancel: Cancel,
    since: Instant,
}

impl Carried {
    /// Bytes per second since it was taken, at most.
    fn rate(&self) -> f64 {
        let untold = GRAIN.min(self.length);
        (self.moved.load(Ordering::Relaxed) + untold) as f64 / self.since.elapsed().as_secs_f64()
    }

    /// Seconds until it is done, at least.
    fn time_left(&self, hidden: u64) -> f64 {
        self.left(hidden) as f64 / self.rate()
    }

    fn left(&self, hidden: u64) -> u64 {
        self.length.saturating_sub(self.moved.load(Ordering::Relaxed).saturating_sub(hidden))
    }
}

impl<'a> WorkQueue<'a> {
    /// Empty. `hidden`: bytes a kernel may hold back of what was sent; 0 for receivers.
    pub fn new(paths: &'a NicPaths, in_order: bool, hidden: u64) -> Self {
        let path = |_| LaneState { width: paths.workers().0, idle: 0, pace: 0.0 };
        let state = State {
            queued: VecDeque::new(),
            waiting: 0,
            carried: BTreeMap::new(),
            key_next: 0,
            growing: true,
            closed: false,
            paths: (0..paths.list.len()).map(path).collect(),
        };
        Self { paths, in_order, hidden, state: Mutex::new(state), bell: Condvar::new() }
    }

    /// More to carry.
    pub fn push(&self, spans: impl IntoIterator<Item = Span>) {
        let mut state = self.state();
        spans.into_iter().for_each(|span| state.push_back(Piece::new(span)));
        drop(state);
        self.bell.notify_all();
    }

    /// Nothing more will come.
    pub fn complete(&self) {
        self.state().growing = false;
        self.bell.notify_all();
    }

    /// Nothing more is to be carried.
    pub fn close(&self) {
        self.state().closed = true;
        self.bell.notify_all();
    }

    /// Nothing waits to be carried.
    pub fn is_empty(&self) -> bool {
        self.state().queued.is_empty()
    }

    /// Waits for a piece; `None` when there will be none. `cancel` breaks the connection the piece is carried over.
    pub(super) fn take(&self, path: usize, worker: usize, cancel: &Cancel) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.closed || (!state.growing && state.queued.is_empty() && state.carried.is_empty()) {
                return None;
            }
            let is_free = worker < state.paths[path].width && self.paths.may_carry(path);
            let is_turn = !self.in_order || state.carried.is_empty();
            if is_free
                && is_turn
                && let Some(piece) = self.next(&mut state, path)
            {
                return Some(state.carry(piece, path, cancel));
            }
            state.paths[path].idle += usize::from(is_free);
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.paths[path].idle -= usize::from(is_free);
        }
    }

    /// The first piece, or what of it a worker of this path should take.
    fn next(&self, state: &mut State, path: usize) -> Option<Piece> {
        let piece = state.pop_front()?;
        // One path ends with itself; in order, the others wait anyway; and the end of what grows is not known.
        if !self.paths.are_several() || self.in_order || state.growing {
            return Some(piece);
        }
        let part = part_bytes(piece.span.len() + state.waiting, state.paths[path].pace, self.pace_of_all(state));
        let Some((part, rest)) = split(&piece.span, part) else { return Some(piece) };
        state.push_front(Piece { span: rest, ..piece.clone() });
        Some(Piece { span: part, ..piece })
    }

    /// Bytes per second of everybody who may carry, as far as known.
    fn pace_of_all(&self, state: &State) -> f64 {
        let carrying = state.paths.iter().enumerate().filter(|(at, _)| self.paths.may_carry(*at));
        carrying.map(|(_, path)| path.width as f64 * path.pace).sum()
    }

    /// A piece is carried no more; `rest` is what is left of it.
    pub(super) fn end(&self, job: &Job, mut rest: Vec<Piece>, was_relieved: bool) {
        rest.iter_mut().for_each(|piece| piece.reliefs = job.piece.reliefs + u32::from(was_relieved));
        let mut state = self.state();
        state.ended(job);
        rest.into_iter().rev().for_each(|piece| state.push_front(piece));
        drop(state);
        self.bell.notify_all();
    }

    /// The path carries nothing until it is trusted again. `true` for the first who says so.
    pub(super) fn suspect(&self, path: usize) -> bool {
        let first = self.paths.list[path].trusted.swap(false, Ordering::Relaxed);
        self.ring();
        first
    }

    pub(super) fn trust(&self, path: usize) {
        self.paths.list[path].trusted.store(true, Ordering::Relaxed);
        self.ring();
    }

    /// Whether another worker keeps the transfer going.
    pub(super) fn others_carry(&self, path: usize) -> bool {
        self.paths.list.iter().enumerate().any(|(at, other)| at != path && other.is_trusted())
    }

    /// How many workers of the path may carry from now on; not told while there is too little to do to tell the rate.
    pub(super) fn set_width(&self, path: usize, width: usize) {
        self.state().paths[path].width = width;
        self.ring();
    }

    /// Whether the path had all the work it could take.
    pub(super) fn is_busy(&self, path: usize) -> bool {
        let state = self.state();
        !state.queued.is_empty() && state.paths[path].idle == 0 && self.paths.may_carry(path)
    }

    /// Breaks the connection of the piece that would be last, when an idle path would bring the rest of it much sooner.
    pub(super) fn relieve(&self) {
        let state = self.state();
        if !state.queued.is_empty() {
            return;
        }
        let known = state.paths.iter().map(|path| path.pace).fold(0.0, f64::max);
        let pace = |path: &LaneState| if path.pace > 0.0 { path.pace } else { known };
        let idle = state.paths.iter().enumerate().filter(|(at, path)| path.idle > 0 && self.paths.may_carry(*at));
        let Some((helper, path)) = idle.max_by(|a, b| pace(a.1).total_cmp(&pace(b.1))) else { return };
        let others = state.carried.values().filter(|carried| carried.path != helper && !carried.cancel.is_cancelled());
        let old = others.filter(|carried| carried.since.elapsed() >= RELIEF_MIN * (1 << carried.reliefs.min(6)));
        let last = old.max_by(|a, b| a.time_left(self.hidden).total_cmp(&b.time_left(self.hidden)));
        let Some(last) = last else { return };
        let (slow, quick) = (last.time_left(self.hidden), last.left(self.hidden) as f64 / pace(path).max(1.0));
        if slow > RELIEF_MIN.as_secs_f64() && quick < slow * RELIEF_GAIN {
            last.cancel.cancel();
        }
    }

    /// The state is taken so that no worker is between looking and waiting.
    fn ring(&self) {
        drop(self.state());
        self.bell.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much a worker takes while `waiting` bytes wait: half of its due, as the next ones take half of what is left then.
fn part_bytes(waiting: u64, pace: f64, of_all: f64) -> u64 {
    match pace > 0.0 {
        true => ((waiting as f64 * pace / of_all.max(pace) / 2.0) as u64).max(PART_BYTES_MIN),
        false => FIRST_BYTES,
    }
}

/// About `bytes` and the rest, which begins where a slice may begin; `None` when too little would be left for that.
fn split(span: &Span, bytes: u64) -> Option<(Span, Span)> {
    let at = span.start() + bytes;
    let at = at - at % ALIGNMENT;
    let rest = Span::new(at, span.end()).filter(|rest| rest.len() >= PART_BYTES_MIN)?;
    Some((Span::new(span.start(), at)?, rest))
}

impl State {
    fn push_back(&mut self, piece: Piece) {
        self.waiting += piece.span.len();
        self.queued.push_back(piece);
    }

    fn push_front(&mut self, piece: Piece) {
        self.waiting += piece.span.len();
        self.queued.push_front(piece);
    }

    fn pop_front(&mut self) -> Option<Piece> {
        let piece = self.queued.pop_front()?;
        self.waiting -= piece.span.len();
        Some(piece)
    }

    fn carry(&mut self, piece: Piece, path: usize, cancel: &Cancel) -> Job {
        let (key, moved) = (self.key_next, Arc::new(AtomicU64::new(0)));
        self.key_next += 1;
        let carried = Carried {
            path,
            length: piece.span.len(),
            moved: Arc::clone(&moved),
            reliefs: piece.reliefs,
            cancel: cancel.clone(),
            since: Instant::now(),
        };
        self.carried.insert(key, carried);
        Job { key, piece, moved }
    }

    fn ended(&mut self, job: &Job) {
        let carried = self.carried.remove(&job.key).expect("a job ends once");
        let moved = carried.moved.load(Ordering::Relaxed) as f64;
        if moved > 0.0 {
            let (pace, rate) = (&mut self.paths[carried.path].pace, moved / carried.since.elapsed().as_secs_f64());
            *pace = if *pace > 0.0 { (*pace + rate) / 2.0 } else { rate };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::paths;
    use super::*;

    fn span(start: u64, end: u64) -> Span {
        Span::new(start, end).unwrap()
    }

    #[test]
    fn what_is_left_of_a_piece_goes_first_and_the_last_one_out_ends_it() {
        let paths = paths(2, 2, 4);
        let queue = WorkQueue::new(&paths, false, 0);
        let cancel = Cancel::new();
        queue.push([span(0, 10), span(10, 20)]);
        queue.complete();
        let first = queue.take(0, 0, &cancel).unwrap();
        assert_eq!(first.piece.span, span(0, 10));
        queue.end(&first, vec![Piece::unsure(span(4, 6), 1), Piece::new(span(8, 10))], false);
        let order: Vec<Job> = (0..3).map(|_| queue.take(1, 0, &cancel).unwrap()).collect();
        let spans: Vec<Span> = order.iter().map(|job| job.piece.span).collect();
        assert_eq!(spans, [span(4, 6), span(8, 10), span(10, 20)]);
        assert!(order[0].piece.unsure && order[0].piece.conflicts == 1 && !order[1].piece.unsure);
        order.iter().for_each(|job| queue.end(job, Vec::new(), false));
        assert!(queue.take(0, 0, &cancel).is_none());
    }

    #[test]
    fn lanes_of_any_speed_end_together() {
        const SIZE: u64 = 256 << 20;
        for (paces, is_over) in [([1e6, 2e6, 4e6], 0.03), ([1e6, 1e6, 1e8], 0.3), ([1e7, 1e7, 1e7], 0.03)] {
            let paths = paths(3, 3, 3); // one connection each
            let queue = WorkQueue::new(&paths, false, 0);
            let cancel = Cancel::new();
            queue.push((0..64).map(|at| span(at * (SIZE / 64), (at + 1) * (SIZE / 64))));
            queue.complete();
            let (mut ends, mut covered) = ([0.0; 3], etransfer_contract::SpanSet::new());
            while !queue.is_empty() {
                let path = (0..3).min_by(|a, b| f64::total_cmp(&ends[*a], &ends[*b])).unwrap();
                let job = queue.take(path, 0, &cancel).unwrap();
                assert!(job.piece.span.start().is_multiple_of(ALIGNMENT) && !covered.contains(job.piece.span));
                covered.insert(job.piece.span);
                ends[path] += job.piece.span.len() as f64 / paces[path];
                queue.end(&job, Vec::new(), false);
                queue.state().paths[path].pace = paces[path];
            }
            assert!(covered.contains(span(0, SIZE)) && queue.state().waiting == 0);
            let (least, most) =
                (ends.iter().copied().fold(f64::MAX, f64::min), ends.iter().copied().fold(0.0, f64::max));
            assert!(most - least <= most * is_over, "{paces:?}: {ends:?}");
        }
    }

    #[test]
    fn one_lane_takes_pieces_as_they_are() {
        let (one, three) = (paths(1, 1, 3), paths(3, 3, 3));
        for (paths, in_order, expected) in
            [(&one, false, 8 << 20), (&three, true, 8 << 20), (&three, false, FIRST_BYTES)]
        {
            let queue = WorkQueue::new(paths, in_order, 0);
            queue.push([span(0, 8 << 20)]);
            queue.complete();
            let job = queue.take(0, 0, &Cancel::new()).unwrap();
            assert_eq!(job.piece.span.len(), expected, "{in_order}");
        }
    }

    #[test]
    fn seats_beyond_the_width_and_lanes_under_suspicion_wait() {
        let paths = paths(2, 2, 2);
        let queue = WorkQueue::new(&paths, true, 0);
        let cancel = Cancel::new();
        queue.push([span(0, 10), span(10, 20)]);
        queue.complete();
        assert!(queue.suspect(0) && !queue.suspect(0), "the first who says so sees to it");
        let take = |path, worker| queue.take(path, worker, &cancel).map(|job| job.piece.span);
        // Nothing is asserted before the queue is closed: a failure would leave the others waiting.
        let (first, waiting, second, rest) = std::thread::scope(|scope| {
            let others = [scope.spawn(|| take(0, 0)), scope.spawn(|| take(1, 1))];
            let job = queue.take(1, 0, &cancel).unwrap();
            let waiting = others.iter().all(|thread| !thread.is_finished());
            let second = scope.spawn(|| take(1, 0));
            queue.end(&job, Vec::new(), false); // in order: only now may the next one go
            let second = second.join().unwrap();
            queue.close();
            (job.piece.span, waiting, second, others.map(|thread| thread.join().unwrap()))
        });
        assert_eq!((first, waiting), (span(0, 10), true));
        assert_eq!((second, rest), (Some(span(10, 20)), [None, None]));
    }

    #[test]
    fn the_last_piece_of_a_slow_lane_is_freed_for_an_idle_quick_one() {
        for (pace, is_relieved) in [(1e9, true), (1e3, false)] {
            let paths = paths(2, 2, 2);
            let queue = WorkQueue::new(&paths, false, 0);
            let (slow, quick) = (Cancel::new(), Cancel::new());
            queue.push([span(0, FIRST_BYTES)]); // what a path takes at first: nothing is left for the other
            queue.complete();
            let job = queue.take(0, 0, &slow).unwrap();
            queue.state().paths[1].pace = pace;
            let (at_once, later) = std::thread::scope(|scope| {
                scope.spawn(|| queue.take(1, 0, &quick).is_none());
                while queue.state().paths[1].idle == 0 {
                    std::thread::yield_now();
                }
                queue.relieve();
                let at_once = slow.is_cancelled();
                queue.state().carried.get_mut(&job.key).unwrap().since -= Duration::from_secs(4);
                queue.relieve();
                queue.close();
                (at_once, slow.is_cancelled())
            });
            assert_eq!((at_once, later), (false, is_relieved), "{pace}");
        }
    }
}
