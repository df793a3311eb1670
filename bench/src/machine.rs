//! Where a run was made: what a reader needs before two figures may be compared.

use serde::{Deserialize, Serialize};

/// The machine of the load (and of the server, when it is local).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    /// CPUs this process may use.
    pub cpus: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub congestion_control: String,
}

impl Machine {
    /// This one. What cannot be read is empty or zero.
    pub fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let memory = memory.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        let uname = rustix::system::uname();
        Self {
            cpu: model.map_or_else(|| uname.machine().to_string_lossy().into_owned(), |(_, model)| model.to_owned()),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: memory.unwrap_or(0) * 1024,
            kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
            congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control").trim().to_owned(),
        }
    }
}

/// The commit of the working directory, when it is a checkout: what was probably built and is tested.
pub fn commit() -> Option<String> {
    let output = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
