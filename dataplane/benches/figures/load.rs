//! Load threads: one per connection, all on the load's CPU, all waited for; and the memory touch before a window.

use std::time::Instant;

use anyhow::Result;
use rustix::thread::{CpuSet, sched_setaffinity};

use super::settings::{GIB, Settings};

/// Keeps the calling thread on `cpu`.
pub fn pin(cpu: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

/// Runs `work(0..files)`, a thread each, on the load's CPU; what they returned, and the seconds it took altogether.
pub fn each<T: Send>(settings: &Settings, work: impl Fn(usize) -> Result<T> + Sync) -> Result<(Vec<T>, f64)> {
    let start = Instant::now();
    let results: Result<Vec<T>> = std::thread::scope(|scope| {
        let one = |index| {
            let work = &work;
            scope.spawn(move || {
                pin(settings.load_cpu)?;
                work(index)
            })
        };
        let threads: Vec<_> = (0..settings.files).map(one).collect();
        threads.into_iter().map(|thread| thread.join().expect("a load thread returns its errors")).collect()
    });
    Ok((results?, start.elapsed().as_secs_f64()))
}

/// Makes the host give us the memory a window may need (page cache, buffers), then frees it for the window. More would be
/// handed back before it is used.
pub fn touch_memory(settings: &Settings) {
    if !settings.touch {
        return;
    }
    let available = available_bytes().saturating_sub(3 * GIB);
    let mut memory: Vec<u8> = Vec::with_capacity(available.min(2 * GIB) as usize);
    memory.resize(memory.capacity(), 1);
    std::hint::black_box(&memory);
}

fn available_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
