//! What the server's processes use, when they run on this machine: CPU time and resident memory from `/proc`.
//!
//! Threads that have ended and io_uring's kernel workers are counted with their process. Writeback by kernel threads is
//! no process's.

use serde::{Deserialize, Serialize};

/// One look at `/proc`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time since the processes began.
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
}

/// A process that cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("process {0} is not there or not ours to see; leave --pid out when the server is on another machine")]
pub struct NotThere(u32);

/// The processes and their children, as they are now.
pub fn usage(pids: &[u32]) -> Result<Usage, NotThere> {
    let mut all = pids.to_vec();
    let mut total = Usage::default();
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        at += 1;
        match usage_of(pid) {
            Some(one) => {
                total.cpu_seconds += one.cpu_seconds;
                total.resident_bytes += one.resident_bytes;
            }
            None if pids.contains(&pid) => return Err(NotThere(pid)),
            None => {} // a child that has just ended
        }
        for child in children(pid) {
            if !all.contains(&child) {
                all.push(child);
            }
        }
    }
    Ok(total)
}

/// CPU seconds of this process so far.
pub fn own_cpu_seconds() -> f64 {
    usage_of(std::process::id()).map_or(0.0, |usage| usage.cpu_seconds)
}

fn usage_of(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may itself hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = number(11)? + number(12)?;
    Some(Usage {
        cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        resident_bytes: number(21)? * rustix::param::page_size() as u64,
    })
}

fn children(pid: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn we_use_memory_and_time() {
        let me = std::process::id();
        let before = usage(&[me]).expect("we are there");
        let deadline = Instant::now() + Duration::from_secs(60);
        // The clock of CPU time ticks a hundred times a second.
        while usage(&[me]).expect("we are still there").cpu_seconds <= before.cpu_seconds {
            assert!(Instant::now() < deadline, "a minute of work is no CPU time: {before:?}");
        }
        assert!(before.resident_bytes > 0);
    }

    #[test]
    fn children_are_counted() {
        let mut parent = std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().expect("start sh");
        let deadline = Instant::now() + Duration::from_secs(60);
        let pid = parent.id();
        let resident = |usage: Option<Usage>| usage.map_or(0, |usage| usage.resident_bytes);
        let mut seen = false;
        while !seen && Instant::now() < deadline {
            seen = resident(usage(&[pid]).ok()) > resident(usage_of(pid)) && !children(pid).is_empty();
        }
        for child in children(pid) {
            let child = rustix::process::Pid::from_raw(child as i32).expect("a pid is positive");
            let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
        }
        parent.wait().expect("it ended");
        assert!(seen, "for a minute the child's memory was not in the sum");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(usage(&[u32::MAX]).is_err());
    }
}
