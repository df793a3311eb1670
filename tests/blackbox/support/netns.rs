//! Network namespaces of our own: NICs that come, go, and have a speed, without a word to the machine's own. Made by
//! name, removed by name, also when the test panics. Needs root and `ip` and `tc` (iproute2).
//!
//! ```text
//!   server ── eth0 ═══ wire0 ── client      a cable: two veth ends, each in its namespace
//!          ── eth1 ═══ wire1 ──
//! ```

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::wait;

/// A namespace; its loopback is up.
pub struct NetNs {
    name: String,
}

/// What the kernel counted on one NIC, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    pub sent: u64,
    pub received: u64,
}

impl NetNs {
    #[track_caller]
    pub fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("et-test-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        must(&["ip", "netns", "add", &name]);
        let made = Self { name };
        made.ip("link set lo up");
        made
    }

    /// `ip <words>` in here.
    #[track_caller]
    pub fn ip(&self, words: &str) {
        let command: Vec<&str> = ["ip", "-n", &self.name].into_iter().chain(words.split(' ')).collect();
        must(&command);
    }

    /// A cable: `nic` here, `peer` over there. Both ends are up, the far one has no address yet.
    #[track_caller]
    pub fn cable(&self, nic: &str, address: &str, there: &Self, peer: &str) {
        self.ip(&format!("link add {nic} type veth peer name {peer} netns {}", there.name));
        self.ip(&format!("link set {nic} up"));
        there.ip(&format!("link set {peer} up"));
        self.address(nic, address);
    }

    /// One more address; an IPv6 one is usable at once.
    #[track_caller]
    pub fn address(&self, nic: &str, address: &str) {
        let at_once = if address.contains(':') { " nodad" } else { "" };
        self.ip(&format!("addr add {address} dev {nic}{at_once}"));
    }

    /// What `nic` sends gets no faster than this.
    #[track_caller]
    pub fn shape(&self, nic: &str, mbit: u32) {
        let rate = format!("{mbit}mbit");
        let tbf = ["qdisc", "replace", "dev", nic, "root", "tbf", "rate", &rate, "burst", "64kb", "latency", "100ms"];
        must(&[&["tc", "-n", &self.name], &tbf[..]].concat());
    }

    /// What `nic` sends stays in a queue, but for some 70 bytes: the next small packet goes, the ones after it wait.
    #[track_caller]
    pub fn hold_back(&self, nic: &str) {
        let tbf = ["qdisc", "replace", "dev", nic, "root", "tbf", "rate", "100bit", "burst", "100", "limit", "100000"];
        must(&[&["tc", "-n", &self.name], &tbf[..]].concat());
    }

    /// What was held back is lost, and the NIC sends again.
    #[track_caller]
    pub fn lose_held_back(&self, nic: &str) {
        must(&["tc", "-n", &self.name, "qdisc", "del", "dev", nic, "root"]);
    }

    /// Takes packets that came by a NIC the answer would not leave by, as a network with several ways has to.
    pub fn accept_any_way(&self) {
        let set = || {
            for nic in std::fs::read_dir("/proc/sys/net/ipv4/conf").expect("kernel settings") {
                let setting = nic.expect("kernel settings").path().join("rp_filter");
                std::fs::write(&setting, "0").unwrap_or_else(|error| panic!("{}: {error}", setting.display()));
            }
        };
        self.inside(set);
    }

    /// Starts a program in here that replaces this command: for [`Setup::wrapped`](super::node::Setup::wrapped).
    pub fn wrapper(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// Does `work` in here: the sockets it opens belong to this namespace.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.name);
        let namespace = File::open(&path).unwrap_or_else(|error| panic!("open {path}: {error}"));
        let enter = move || {
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network))
                .expect("enter a network namespace, as root");
            work()
        };
        // A thread of its own: it never comes out again.
        let done = std::thread::scope(|scope| scope.spawn(enter).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    #[track_caller]
    pub fn counters(&self, nic: &str) -> Counters {
        let read = |name: &str| {
            let path = format!("/sys/class/net/{nic}/statistics/{name}");
            let text = must(&["ip", "netns", "exec", &self.name, "cat", &path]);
            text.trim().parse().unwrap_or_else(|_| panic!("{path} holds {text:?}"))
        };
        Counters { sent: read("tx_bytes"), received: read("rx_bytes") }
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        // The NICs in it and their far ends go with it.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

#[track_caller]
fn must(words: &[&str]) -> String {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(words[0]).exists()));
    assert!(found, "{} is not installed; apt-get install iproute2", words[0]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    wait::run(command).ok().stdout
}
