//! T-LOCK-1 and PROMISES.md P4 with real threads: one owner per byte, one completion, whatever the timing.
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event_listener::Listener;

use super::*;

/// Claims, waiting while others write, until the body is taken or refused for good.
fn claim_or_lose(object: &Arc<Object>, want: Want) -> Option<Claim> {
    loop {
        match object.claim(want) {
            Ok(claim) => return Some(claim),
            Err(Refused::Busy { listener, .. }) => {
                listener.wait_timeout(Duration::from_secs(10)).expect("a writer that ends tells");
            }
            Err(_) => return None,
        }
    }
}

#[test]
fn of_16_writers_at_one_offset_exactly_one_wins_100_times() {
    let root = directory();
    let (store, _) = Store::open_in(options(root.path(), 4), BOOT).unwrap();
    for round in 0..100u8 {
        let object = store.find_or_create(id(round), Some(8192)).unwrap();
        let (winners, barrier) = (AtomicUsize::new(0), Barrier::new(16));
        std::thread::scope(|scope| {
            for writer in 0..16u8 {
                let (store, object, winners, barrier) = (&store, &object, &winners, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let want = Want { offset: 0, body: Some(8192), parallel: round % 2 == 0 };
                    let Some(mut claim) = claim_or_lose(object, want) else { return };
                    winners.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(claim.owned(), [span(0, 8192)]);
                    let (bytes, journal) = ([writer + 1; 4096], store.journal(usize::from(writer) % 4));
                    for at in [0, 4096] {
                        write_file(store, object.id(), at, &bytes);
                        claim.commit(journal, span(at, at + 4096), crc32fast::hash(&bytes)).unwrap();
                    }
                });
            }
        });
        assert_eq!(winners.into_inner(), 1);
        assert_eq!(store.verify(id(round)).unwrap().good, 8192, "the bytes are of one writer");
    }
    assert_eq!(store.audit().writers, 0);
}

#[test]
fn overlapping_slices_from_many_threads_make_one_whole_object_once() {
    const SLICES: u64 = 64;
    const SLICE: u64 = 8192;
    let root = directory();
    let (store, _) = Store::open_in(options(root.path(), 4), BOOT).unwrap();
    for round in 0..10 {
        let object = store.find_or_create(id(round), Some(SLICES * SLICE)).unwrap();
        let completed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (store, object, completed) = (&store, &object, &completed);
                scope.spawn(move || {
                    let journal = store.journal(thread as usize % 4);
                    let mut order: Vec<u64> = (0..SLICES).collect();
                    fastrand::Rng::with_seed(thread).shuffle(&mut order);
                    for slice in order {
                        let (offset, body) = (slice * SLICE, SLICE + SLICE / 2 * (thread % 2));
                        let body = Some(body.min(SLICES * SLICE - offset));
                        let Some(mut claim) = claim_or_lose(object, Want { offset, body, parallel: true }) else {
                            continue;
                        };
                        for span in claim.owned().to_vec() {
                            let bytes = vec![thread as u8 + 1; span.len() as usize];
                            write_file(store, object.id(), span.start(), &bytes);
                            journal.make_room_blocking(1, false).unwrap();
                            claim.commit(journal, span, crc32fast::hash(&bytes)).unwrap();
                        }
                        drop(claim);
                        if let Some(completion) = object.try_complete() {
                            journal.make_room_blocking(1, true).unwrap();
                            completion.finish(journal, false).unwrap();
                            completed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(completed.into_inner(), 1);
        assert!(object.look().complete);
        assert_eq!(store.verify(id(round)).unwrap().good, SLICES * SLICE);
    }
    flush(&store);
    drop(store);
    let (store, _) = open(root.path());
    assert!((0..10).all(|round| store.verify(id(round)).unwrap().good == SLICES * SLICE));
}

#[test]
fn a_removal_in_the_middle_of_writers_and_readers_is_final() {
    let root = directory();
    let (store, _) = Store::open_in(options(root.path(), 4), BOOT).unwrap();
    for round in 0..50 {
        store.find_or_create(id(round), Some(1 << 20)).unwrap();
        let (removals, barrier) = (AtomicUsize::new(0), Barrier::new(6));
        std::thread::scope(|scope| {
            for thread in 0..6usize {
                let (store, removals, barrier) = (&store, &removals, &barrier);
                scope.spawn(move || {
                    let journal = store.journal(thread % 4);
                    barrier.wait();
                    if thread < 2 {
                        removals.fetch_add(usize::from(remove(store, id(round), journal).unwrap()), Ordering::Relaxed);
                        return;
                    }
                    while let Ok(object) = store.find_or_create(id(round), None) {
                        let offset = object.look().contiguous;
                        let Ok(mut claim) = object.claim(sequential(offset, 64)) else { continue };
                        write_file(store, id(round), offset, &[1; 64]);
                        let _ = claim.commit(journal, span(offset, offset + 64), crc32fast::hash(&[1; 64]));
                    }
                });
            }
        });
        assert_eq!(removals.into_inner(), 1);
        assert!(store.is_removed(id(round)));
    }
    drop(store);
    let (store, _) = open(root.path());
    assert!((0..50).all(|round| store.is_removed(id(round))));
    // A writer that was late put a file there again: the decision stands, and it goes.
    (0..50).for_each(|round| erase(&store, id(round)));
    assert_eq!(store.inventory(None, 10), []);
}
