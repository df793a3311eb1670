//! The laws of a bucket over a clock of the test's own, then the table and the meters that share it.

use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::bucket::{BURST_NS, Bucket, Reservation};
use super::*;
use crate::config::EngineChoice;
use crate::driver::{CoreOptions, run_core};

const SECOND_NS: u64 = 1_000_000_000;

/// Bytes that may be moved from some moment on.
#[derive(Debug, Clone, Copy)]
struct Permit {
    at_ns: u64,
    bytes: u64,
}

impl Permit {
    /// At its due time, or at once when that has passed.
    fn of(held: &Reservation, bytes: u64, now_ns: u64) -> Self {
        Self { at_ns: held.due_ns().max(now_ns), bytes }
    }
}

/// The most any window holds beyond `rate × its length`, in bytes.
fn excess(permits: &mut [Permit], bytes_per_s: u64) -> u64 {
    permits.sort_by_key(|permit| permit.at_ns);
    let paid = |from: &Permit, to: &Permit| u128::from(bytes_per_s) * u128::from(to.at_ns - from.at_ns);
    let mut most = 0;
    for (index, from) in permits.iter().enumerate() {
        let mut moved = 0;
        for to in &permits[index..] {
            moved += to.bytes;
            most = most.max(moved.saturating_sub((paid(from, to) / u128::from(SECOND_NS)) as u64));
        }
    }
    most
}

fn burst(bytes_per_s: u64) -> u64 {
    (u128::from(bytes_per_s) * u128::from(BURST_NS) / u128::from(SECOND_NS)) as u64
}

/// From the slowest to faster than any wire.
fn rates() -> impl Strategy<Value = u64> {
    (10_u32..40, any::<u32>()).prop_map(|(bits, low)| (1 << bits) | (u64::from(low) % (1 << bits)))
}

/// (time since the asking before, bytes)
fn askings() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..SECOND_NS / 4, 1..1_u64 << 20), 1..80)
}

proptest! {
    #[test]
    fn section_8_7_no_window_holds_more_than_the_rate_and_the_burst(rate in rates(), askings in askings()) {
        let bucket = Bucket::new(rate);
        let mut now = 0;
        let mut largest = burst(rate);
        let mut permits = Vec::new();
        for (gap, bytes) in askings {
            now += gap;
            let bytes = bytes.min(bucket.piece(1));
            largest = largest.max(bytes);
            permits.push(Permit::of(&bucket.reserve(bytes, now), bytes, now));
        }
        // One byte for each rounding of the two ends.
        prop_assert!(excess(&mut permits, rate) <= largest + 2);
    }

    #[test]
    fn who_is_always_hungry_gets_the_whole_rate(rate in rates(), sharers in 1..50_u64) {
        let bucket = Bucket::new(rate);
        let piece = bucket.piece(sharers);
        let mut due = vec![0; sharers as usize];
        let rounds = 40;
        for _ in 0..rounds {
            due.iter_mut().for_each(|due| *due = bucket.reserve(piece, *due).due_ns().max(*due));
        }
        let all = u128::from(piece * sharers * rounds);
        let paid = u128::from(rate) * u128::from(due.iter().max().copied().unwrap_or(0)) / u128::from(SECOND_NS);
        // All of it in the time the rate needs; a nanosecond of rounding per piece.
        let rounding = all / 1000 + u128::from(rate) * u128::from(sharers * rounds) / u128::from(SECOND_NS);
        prop_assert!(paid <= all + rounding, "{paid} could have moved, {all} did");
    }

    #[test]
    fn nobody_is_overtaken_twice(rate in rates(), sharers in 2..50_usize) {
        let bucket = Bucket::new(rate);
        let piece = bucket.piece(sharers as u64);
        let mut line: Vec<(u64, usize)> = (0..sharers).map(|body| (bucket.reserve(piece, 0).due_ns(), body)).collect();
        let mut pieces = vec![0_u64; sharers];
        for _ in 0..sharers * 20 {
            let (place, &(due, body)) = line.iter().enumerate().min_by_key(|(_, (due, _))| *due).expect("a line");
            pieces[body] += 1;
            line.remove(place);
            line.push((bucket.reserve(piece, due).due_ns(), body));
            let (most, least) = (pieces.iter().max(), pieces.iter().min());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{pieces:?}");
        }
    }

    #[test]
    fn another_rate_holds_at_once_and_voids_the_line(old in rates(), new in rates(), waiting in 1..50_u64) {
        prop_assume!(old != new);
        let bucket = Bucket::new(old);
        let mut now = 0;
        let line: Vec<_> = (0..waiting).map(|_| bucket.reserve(bucket.piece(waiting), now)).collect();
        now += SECOND_NS / 10;
        bucket.set_rate(new, now);
        prop_assert!(line.iter().all(|held| bucket.left(held) == 0));
        line.iter().for_each(|held| bucket.give_back(held, now));
        let piece = bucket.piece(waiting);
        let again: Vec<_> = (0..waiting).map(|_| bucket.reserve(piece, now)).collect();
        let mut permits: Vec<_> = again.iter().map(|held| Permit::of(held, piece, now)).collect();
        let last = permits.last().expect("one body waits").at_ns - now;
        let needed = u128::from(piece * waiting) * u128::from(SECOND_NS) / u128::from(new);
        prop_assert!(u128::from(last) <= needed + u128::from(waiting), "waits {last} ns for {needed} ns worth");
        prop_assert!(excess(&mut permits, new) <= burst(new).max(piece) + 2);
    }

    #[test]
    fn what_was_not_moved_is_as_if_it_had_not_been_asked_for(rate in rates(), askings in askings(), part in 0..=100_u64) {
        let (modest, greedy) = (Bucket::new(rate), Bucket::new(rate));
        let mut now = 0;
        for (gap, bytes) in askings {
            now += gap;
            let moved = bytes * part / 100;
            let mut held = greedy.reserve(bytes, now);
            held.count(moved);
            greedy.give_back(&held, now);
            let horizon = modest.reserve(moved, now).due_ns();
            prop_assert_eq!(greedy.reserve(0, now).due_ns(), horizon);
        }
    }

    #[test]
    fn giving_back_lends_no_more_than_was_given(rate in rates(), askings in askings(), keep in any::<u64>()) {
        let bucket = Bucket::new(rate);
        let mut now = 0;
        let mut permits = Vec::new();
        let mut given = 0;
        for (index, (gap, bytes)) in askings.into_iter().enumerate() {
            now += gap;
            let bytes = bytes.min(bucket.piece(1));
            let held = bucket.reserve(bytes, now);
            if keep >> (index % 64) & 1 == 1 {
                permits.push(Permit::of(&held, bytes, now));
            } else {
                bucket.give_back(&held, now);
                given += bytes;
            }
        }
        prop_assert!(excess(&mut permits, rate) <= burst(rate).max(bucket.piece(1)) + given + 2);
    }

    #[test]
    fn the_edges_of_the_numbers_are_no_edges(bytes: u64, rate in 1..=u64::MAX, now: u64, later: u64) {
        let bucket = Bucket::new(rate);
        let mut held = bucket.reserve(bytes, now);
        prop_assert!(held.due_ns() >= now.saturating_sub(BURST_NS));
        held.count(later);
        held.count(u64::MAX);
        prop_assert_eq!(bucket.left(&held), 0);
        bucket.give_back(&bucket.reserve(u64::MAX, now), later);
        bucket.set_rate(rate / 2 + 1, later);
        prop_assert!(bucket.reserve(0, later).due_ns() <= later.max(now));
        prop_assert!((4096..=1 << 20).contains(&bucket.piece(bytes)));
    }
}

#[test]
fn the_largest_rate_makes_nobody_wait() {
    let bucket = Bucket::new(u64::MAX);
    let waits = (0..1_000_000).any(|_| bucket.reserve(bucket.piece(1), 0).due_ns() > 0);
    assert!(!waits);
}

#[test]
fn threads_stand_in_one_line() {
    let bucket = Bucket::new(1 << 20);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| _ = bucket.reserve(1 << 10, 0)));
        }
    });
    let all_ns = 40_000 * (SECOND_NS.div_ceil(1 << 10));
    assert_eq!(bucket.reserve(0, 0).due_ns(), all_ns - BURST_NS);
}

#[test]
fn pieces_are_blocks_and_an_eighth_of_a_second_together() {
    let rows = [
        // (rate, sharers, piece)
        (1 << 10, 1, 4096),
        (1 << 20, 1, 1 << 17),
        (1 << 20, 4, 1 << 15),
        (1 << 20, 1000, 4096),
        (1_000_000, 1, 122_880),
        (1 << 40, 1, 1 << 20),
        (1 << 20, 0, 1 << 17),
    ];
    for (rate, sharers, piece) in rows {
        assert_eq!(Bucket::new(rate).piece(sharers), piece, "{rate} {sharers}");
    }
}

fn rate(key: impl Into<String>, bytes_per_s: u64) -> Rate {
    Rate { key: key.into(), bytes_per_s }
}

#[test]
fn keys_without_bodies_are_forgotten_once_they_owe_nothing() {
    let mut table = Table::default();
    let user = table.bucket(&rate("user", 1 << 20), 0);
    table.bucket(&rate("debtor", 1 << 20), 0).reserve(2 << 20, 0);
    for visitor in 0..10_000_u64 {
        table.bucket(&rate(format!("visitor {visitor}"), 1 << 20), SECOND_NS);
        assert!(table.buckets.len() <= SWEEP_MIN + 2);
    }
    assert!(Arc::ptr_eq(&user, &table.bucket(&rate("user", 1 << 20), SECOND_NS)));
    assert!(table.buckets.contains_key("debtor"), "ending a request must not pay a debt");
    for visitor in 0..200_u64 {
        table.bucket(&rate(format!("later visitor {visitor}"), 1 << 20), 3 * SECOND_NS);
    }
    assert!(!table.buckets.contains_key("debtor"));
}

/// Runs `test` on a core.
fn on_a_core(test: impl AsyncFnOnce(Io) + Send + 'static) {
    let options = CoreOptions { engine: EngineChoice::Readiness, slots: 1, ..CoreOptions::default() };
    thread::spawn(move || run_core(options, |io| test(io))).join().expect("no panic").expect("a core");
}

#[test]
fn a_rate_of_nothing_is_the_slowest_there_is() {
    on_a_core(async |io| {
        let rates = Rates::new(Instant::now());
        let mut meter = rates.join(&rate("key", 0), &io);
        assert_eq!(meter.turn(100), Turn::Now(100));
    });
}

#[test]
fn a_meter_keeps_its_place_and_gives_back_the_rest() {
    on_a_core(async |io| {
        let rates = Rates::new(Instant::now());
        let slow = rate("key", 8 << 10);
        let mut first = rates.join(&slow, &io);
        assert_eq!(first.turn(1 << 10), Turn::Now(1 << 10), "the burst");
        first.moved(1 << 10);
        let Turn::Later(wait) = first.turn(1 << 20) else { panic!("the burst is used up") };
        assert!(wait <= Duration::from_millis(200), "{wait:?}");
        let horizon = || rates.table().buckets["key"].reserve(0, 0).due_ns();
        let before = horizon();
        assert!(matches!(first.turn(1 << 20), Turn::Later(_)));
        assert_eq!(horizon(), before, "asking again reserves nothing");
        drop(first);
        assert!(horizon() < before);
    });
}

#[test]
fn the_newest_grant_wins_and_a_remembered_one_changes_nothing() {
    on_a_core(async |io| {
        let rates = Rates::new(Instant::now());
        let (old, new) = (rate("key", 4 << 10), rate("key", u64::MAX));
        let mut running = rates.join(&old, &io);
        assert_eq!(running.turn(512), Turn::Now(512));
        running.moved(512);
        assert!(matches!(running.turn(1 << 20), Turn::Later(_)));
        rates.learn(&new, io.now());
        while let Turn::Later(wait) = running.turn(1 << 20) {
            assert!(wait < Duration::from_millis(1), "the place in the old line is void, not {wait:?} long");
            io.sleep(wait).await;
        }
        let mut remembered = rates.join(&old, &io);
        while let Turn::Later(wait) = remembered.turn(1 << 20) {
            assert!(wait < Duration::from_millis(1), "the old rate is gone, {wait:?}");
            io.sleep(wait).await;
        }
    });
}
