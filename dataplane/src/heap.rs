//! Memory that was freed goes back to the kernel. The allocator keeps what a burst of connections or forms used, on each
//! core, until something at the end of its heap is freed; a node that was crowded once would look crowded
//! for the rest of its life.
//!
//! Must stay true: a node whose memory does not grow is never disturbed; the work is done on a helper thread, and a core
//! waits for it only when it allocates from the very heap that is looked at.
#![expect(clippy::disallowed_methods, reason = "the memory of this process, whichever machine the node is on")]

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::bounds::HEAP_SURPLUS_BYTES;
use crate::core::Core;

/// How often the memory of the process is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Watches the memory of the process until the core ends.
pub async fn watch(core: Rc<Core>) {
    let mut kept = 0;
    loop {
        core.io.sleep(LOOK).await;
        kept = core.io.off_core(move || look(kept)).await;
    }
}

/// Gives surplus memory back; returns what stays resident without being in use: buffers that are no allocation, and what no
/// trim gives back.
fn look(kept: u64) -> u64 {
    let Some(before) = resident() else { return kept };
    let unused = before.saturating_sub(in_use());
    if unused <= kept + HEAP_SURPLUS_BYTES {
        return kept.min(unused);
    }
    let since = Instant::now();
    give_back();
    let took = since.elapsed();
    let after = resident().unwrap_or(before);
    tracing::debug!(before, after, ?took, "freed memory goes back to the kernel");
    after.saturating_sub(in_use())
}

/// Resident memory of this process that no file stands for.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// How much of the allocator's memory is in use; with another allocator unknown, and then nothing is surplus.
#[cfg(target_env = "gnu")]
fn in_use() -> u64 {
    // SAFETY: it takes nothing, returns numbers by value, and may be called from any thread at any time.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

#[cfg(not(target_env = "gnu"))]
fn in_use() -> u64 {
    u64::MAX
}

/// Gives pages that hold nothing back to the kernel.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number, touches no memory that is in use, and may be called from any thread at any time.
    unsafe {
        libc::malloc_trim(0)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_memory_is_no_longer_resident() {
        // Small enough that each is part of the heap; the last one keeps the heap from shrinking by itself.
        let mut held: Vec<Vec<u8>> = (0..4_000).map(|_| vec![1; 32 << 10]).collect();
        let last = held.pop();
        let full = resident().unwrap();
        drop(held);
        look(0);
        assert!(resident().unwrap() + (100 << 20) < full, "{full} before");
        drop(last);
    }
}
