//! Sixty-four clients at once against one node while its rules change under them: tokens, room, retention
//! (easytransfer/CONTRACT.md §7, §4, §3).

mod quota;
mod reload;
mod retention;

use std::sync::Barrier;

/// How many.
const CROWD: usize = 64;

/// What each of the crowd came to; all begin at the same instant.
fn together<T: Send>(act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(CROWD);
    std::thread::scope(|scope| {
        let start = |at| {
            let (act, barrier) = (&act, &barrier);
            scope.spawn(move || {
                barrier.wait();
                act(at)
            })
        };
        let threads: Vec<_> = (0..CROWD).map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("one of the crowd")).collect()
    })
}
