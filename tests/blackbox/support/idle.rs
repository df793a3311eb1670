//! What a server holds when no client asks it anything, so that a test can say that all of it is back.

use std::time::Duration;

use super::node::{Node, Role};
use super::{audit, wait};

/// How long a server may take to let go.
const LETTING_GO: Duration = Duration::from_secs(10);

/// Descriptors and memory of an idle node of one process.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    sockets: usize,
    files: usize,
    resident: u64,
}

impl Idle {
    /// What the node holds now.
    pub fn of(node: &Node) -> Self {
        let pid = node.pid(Role::Both).expect("it runs");
        let (sockets, files) = audit::counts(&audit::open_files(pid));
        Self { sockets, files, resident: memory(node, "VmRSS:") }
    }

    /// Within ten seconds there is no connection of a client, no file more than before, and at most `slack` bytes of memory
    /// more. Each core may keep one connection to the control plane, which has two ends here.
    #[track_caller]
    pub fn is_back(&self, node: &Node, slack: u64) {
        let pid = node.pid(Role::Both).expect("it runs");
        let kept = 2 * std::thread::available_parallelism().map_or(1, usize::from);
        let mut seen = None;
        let is_back = || {
            let now = Self::of(node);
            seen = Some((now, audit::look(pid, node.addr().port())));
            let (_, clients) = seen.as_ref()?;
            let has_descriptors = now.sockets <= self.sockets + kept && now.files <= self.files && clients.is_empty();
            (has_descriptors && now.resident <= self.resident + slack).then_some(())
        };
        let back = wait::within(LETTING_GO, is_back);
        assert!(back.is_some(), "idle: {self:?}; after {LETTING_GO:?}, and what is left: {seen:?}");
    }
}

/// Memory of the server in bytes: `VmRSS:` what is resident now, `VmHWM:` the most so far.
pub fn memory(node: &Node, what: &str) -> u64 {
    memory_of(node, Role::Both, what)
}

/// As [`memory`], of one of its processes.
pub fn memory_of(node: &Node, role: Role, what: &str) -> u64 {
    let pid = node.pid(role).expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("its memory");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect(line);
    kib << 10
}
