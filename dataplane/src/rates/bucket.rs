//! The arithmetic of one speed limit: a generic cell rate algorithm, in one atomic word.
//!
//! The word is the *horizon*: the moment when all that was reserved so far is paid for. A reservation moves the horizon
//! on by its bytes' time at the rate and is due once its own end is less than [`BURST_NS`] ahead. So bodies that wait
//! queue in the order of their requests, and what falls due in any span of time `t` is at most `rate × t` and the burst
//! (or one piece, where that is more).
//!
//! Time is nanoseconds since a start of the caller's choice; nothing here reads a clock.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far bodies may be ahead of the rate. A second of burst, as the original had, is half as much again over the first
/// two seconds; an eighth is 6 %, and more than a timer of a busy core is ever late, so that lateness costs no rate.
pub const BURST_NS: u64 = SECOND_NS / 8;
/// Reserved at once by all bodies of a key together, as a part of a second: smooth to watch, and soon done with.
const PIECES_PER_S: u64 = 8;
/// Pieces are whole blocks, so that a file that is written by the block stays so.
const PIECE_STEP_BYTES: u64 = 4096;
/// The largest piece: as much as a slot holds.
const PIECE_BYTES_MAX: u64 = 1 << 20;
const SECOND_NS: u64 = 1_000_000_000;

/// One key's rate and how much of it is spoken for.
#[derive(Debug)]
pub struct Bucket {
    bytes_per_s: AtomicU64,
    horizon_ns: AtomicU64,
}

/// Bytes that one body may move once they are due.
#[derive(Debug, Clone, Copy)]
pub struct Reservation {
    bytes: u64,
    moved: u64,
    bytes_per_s: u64,
    end_ns: u64,
}

impl Bucket {
    /// A bucket from which nothing was taken yet; `bytes_per_s` is not 0.
    pub fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s: AtomicU64::new(bytes_per_s), horizon_ns: AtomicU64::new(0) }
    }

    /// Another rate. Who waits at the old one reserves again ([`Bucket::left`]): all that may have moved so far ends within
    /// the burst, so what the horizon holds beyond it is void.
    pub fn set_rate(&self, bytes_per_s: u64, now_ns: u64) {
        if self.bytes_per_s.load(Ordering::Relaxed) != bytes_per_s {
            // The queue first: no body may wait behind it at the new rate.
            self.horizon_ns.fetch_min(now_ns.saturating_add(BURST_NS), Ordering::Relaxed);
            self.bytes_per_s.store(bytes_per_s, Ordering::Relaxed);
        }
    }

    /// How much one of `sharers` bodies should reserve at a time. The smaller for the more, so that the queue is short:
    /// no body waits long, and one that disappears leaves a small gap.
    pub fn piece(&self, sharers: u64) -> u64 {
        let share = self.bytes_per_s.load(Ordering::Relaxed) / PIECES_PER_S / sharers.max(1);
        (share / PIECE_STEP_BYTES * PIECE_STEP_BYTES).clamp(PIECE_STEP_BYTES, PIECE_BYTES_MAX)
    }

    /// Stands in line for `bytes`.
    pub fn reserve(&self, bytes: u64, now_ns: u64) -> Reservation {
        let bytes_per_s = self.bytes_per_s.load(Ordering::Relaxed);
        let end = |horizon: u64| horizon.max(now_ns).saturating_add(cost_ns(bytes, bytes_per_s));
        let end_ns = end(self.horizon_ns.update(Ordering::Relaxed, Ordering::Relaxed, end));
        Reservation { bytes, moved: 0, bytes_per_s, end_ns }
    }

    /// Gives back what was reserved and not moved: the horizon is where it were, had only the moved part been reserved.
    /// Time that has passed cannot be given back, nor what another rate made void.
    pub fn give_back(&self, held: &Reservation, now_ns: u64) {
        if self.left(held) > 0 {
            let unmoved = cost_ns(held.bytes, held.bytes_per_s) - cost_ns(held.moved, held.bytes_per_s);
            let back = unmoved.min(held.end_ns.saturating_sub(now_ns));
            self.horizon_ns.update(Ordering::Relaxed, Ordering::Relaxed, |horizon| horizon.saturating_sub(back));
        }
    }

    /// What of a reservation can still be moved; nothing when it was made at another rate.
    pub fn left(&self, held: &Reservation) -> u64 {
        if held.bytes_per_s == self.bytes_per_s.load(Ordering::Relaxed) { held.bytes - held.moved } else { 0 }
    }

    /// Whether a new bucket would permit just as much.
    pub fn is_like_new(&self, now_ns: u64) -> bool {
        self.horizon_ns.load(Ordering::Relaxed) <= now_ns
    }
}

impl Reservation {
    /// From when its bytes may be moved.
    pub fn due_ns(&self) -> u64 {
        self.end_ns.saturating_sub(BURST_NS)
    }

    /// Counts bytes as moved; more than reserved count as all of it.
    pub fn count(&mut self, moved: u64) {
        self.moved = self.moved.saturating_add(moved).min(self.bytes);
    }
}

/// Rounded up: a rate is never exceeded by rounding.
fn cost_ns(bytes: u64, bytes_per_s: u64) -> u64 {
    let cost = (u128::from(bytes) * u128::from(SECOND_NS)).div_ceil(u128::from(bytes_per_s));
    u64::try_from(cost).unwrap_or(u64::MAX)
}
