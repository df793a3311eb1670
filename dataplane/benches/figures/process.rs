//! A server under test: started on its CPU, asked for what it used, ended.
#![expect(clippy::disallowed_methods, reason = "the bench waits for a process; nothing else runs on this thread")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::settings::GIB;

/// A child process that is killed when dropped.
pub struct Process {
    child: Child,
}

/// `program`, kept on `cpu` with all its threads.
pub fn pinned(cpu: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(cpu.to_string()).arg(program).stdin(Stdio::null());
    command
}

impl Process {
    pub fn start(mut command: Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        Ok(Self { child })
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// CPU seconds of the process and its children so far, threads that have ended included.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(own).chain(children).map(cpu_seconds_of).sum()
    }

    /// CPU seconds of the threads that are alive, by name.
    pub fn cpu_seconds_by_thread(&self) -> Result<BTreeMap<String, f64>> {
        let mut named = BTreeMap::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let task = task?.path();
            let (Ok(name), Ok(used)) =
                (std::fs::read_to_string(task.join("comm")), std::fs::read_to_string(task.join("schedstat")))
            else {
                continue; // it has just ended
            };
            let nanoseconds: f64 = used.split_whitespace().next().unwrap_or("0").parse()?;
            let name = name.trim().split_once("iou-wrk-").map_or(name.trim(), |_| "iou-wrk");
            *named.entry(name.to_owned()).or_default() += nanoseconds / 1e9;
        }
        Ok(named)
    }

    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// SIGTERM, and SIGKILL ten seconds later.
    pub fn stop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn cpu_seconds_of(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(") ").context("stat")?.1.split(' ').collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// What one window cost: CPU seconds per GiB and bytes per second, as the report names them.
pub fn bulk_sample(cpu_seconds: f64, bytes: u64, seconds: f64) -> super::report::Sample {
    let per_gib = cpu_seconds / (bytes as f64 / GIB as f64);
    [("cpu_s_per_gib", per_gib), ("gb_per_s", bytes as f64 / seconds / 1e9)].into()
}

/// Waits until something listens there.
pub fn wait_listening(addr: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if std::net::TcpStream::connect(addr).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("nothing listens on {addr}")
}
