//! The kernel: its version, whether it lets us use io_uring, its clock, and the settings of its network stack.

use etransfer_dataplane::config::EngineChoice;
use etransfer_dataplane::{CoreOptions, run_core};

use super::{Files, Finding};

/// Below it the io_uring engine does not run.
const FLOOR: Version = Version { major: 6, minor: 1 };
/// From here on every lever of the byte path is there.
const GOOD: Version = Version { major: 6, minor: 12 };
/// Connections the kernel keeps for a listener until they are accepted.
const SOMAXCONN_MIN: u64 = 4096;
/// What a socket must be able to hold: the bytes that fit through the fastest NIC in this time on their way.
const ROUND_TRIP_MS: u64 = 10;
/// Of it, at least this: the kernel's usual bound.
const BUFFER_MIN: u64 = 4 << 20;

/// Of a kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    /// `6.12.9-amd64`; what cannot be read is 0.0.
    fn parse(text: &str) -> Self {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        Self { major: numbers.next().unwrap_or(0), minor: numbers.next().unwrap_or(0) }
    }

    pub fn finding(self) -> Finding {
        let why =
            if self < FLOOR { "io_uring is too old here, epoll costs twice" } else { "newer ones cost less per byte" };
        let fix = format!(
            "install a kernel of {}.{} or newer (Debian: linux-image-amd64 of backports)",
            GOOD.major, GOOD.minor
        );
        Finding::new("kernel", format!("{}.{}", self.major, self.minor)).unless(self < GOOD, why, fix)
    }
}

pub fn version(files: &Files) -> Version {
    Version::parse(&files.text("/proc/sys/kernel/osrelease").unwrap_or_default())
}

/// Tries it: only the kernel knows what a container's filter refuses.
pub fn io_uring(files: &Files) -> Finding {
    let options = CoreOptions { engine: EngineChoice::Ring, slots: 1, ..CoreOptions::default() };
    let tried = std::thread::spawn(move || run_core(options, |_| async {})).join();
    let refusal = match tried {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("it panicked".to_owned()),
    };
    let fix = match files.number("/proc/sys/kernel/io_uring_disabled") {
        Some(1 | 2) => "sysctl -w kernel.io_uring_disabled=0",
        _ => "in a container: --security-opt seccomp=unconfined, or a profile that allows io_uring",
    };
    let found = refusal.clone().unwrap_or_else(|| "allowed".to_owned());
    Finding::new("io_uring", found).unless(refusal.is_some(), "the epoll engine costs 1.3 to 1.8 times as much", fix)
}

pub fn clock(files: &Files) -> Finding {
    let source = files.text("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.unwrap_or_else(|| "unknown".to_owned());
    let is_slow = matches!(source.as_str(), "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies");
    let fix = "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource (or kvm-clock)";
    Finding::new("clock source", source).unless(is_slow, "reading the time costs a trip to a device", fix)
}

/// Settings of the network stack, for a fastest NIC of `fastest_mbps` Mbit/s.
pub fn sysctls(files: &Files, fastest_mbps: Option<u64>) -> Vec<Finding> {
    let somaxconn = files.number("/proc/sys/net/core/somaxconn").unwrap_or(0);
    let backlog = Finding::new("net.core.somaxconn", somaxconn.to_string()).unless(
        somaxconn < SOMAXCONN_MIN,
        "a burst of connections is dropped",
        format!("sysctl -w net.core.somaxconn={SOMAXCONN_MIN}"),
    );
    let wanted = fastest_mbps.map_or(0, |speed| speed * 1_000_000 / 8 * ROUND_TRIP_MS / 1000).max(BUFFER_MIN);
    let buffer = |name: &str| {
        let values = files.text(&format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
        let mut values = values.split_whitespace();
        let (least, usual, most) = (values.next(), values.next(), values.next());
        let max: u64 = most.and_then(|max| max.parse().ok()).unwrap_or(0);
        let key = format!("net.ipv4.{name}");
        let fix = format!("sysctl -w {key}='{} {} {wanted}'", least.unwrap_or("4096"), usual.unwrap_or("131072"));
        let why = format!("{wanted} bytes are on their way at {ROUND_TRIP_MS} ms of round trip");
        Finding::new(key, format!("at most {max}")).unless(max < wanted, &why, fix)
    };
    vec![backlog, buffer("tcp_rmem"), buffer("tcp_wmem")]
}

#[cfg(test)]
mod tests {
    use super::super::tests::Sample;
    use super::*;

    #[test]
    fn kernel_versions_compare_as_numbers() {
        for (text, major, minor, is_well) in [
            ("6.18.44-fc-v657", 6, 18, true),
            ("6.12", 6, 12, true),
            ("6.6.0-rc1", 6, 6, false),
            ("5.15.0-91-generic", 5, 15, false),
            ("", 0, 0, false),
        ] {
            let version = Version::parse(text);
            assert_eq!((version, version.finding().problem.is_none()), (Version { major, minor }, is_well), "{text}");
        }
    }

    #[test]
    fn buffers_hold_what_is_on_its_way_at_the_fastest_nic() {
        let sample = Sample::new(&[
            ("/proc/sys/net/core/somaxconn", "128"),
            ("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456"),
            ("/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304"),
        ]);
        let fixes = |speed| -> Vec<Option<String>> {
            sysctls(&sample.files(), speed)
                .into_iter()
                .map(|finding| finding.problem.map(|problem| problem.fix))
                .collect()
        };
        let backlog = Some("sysctl -w net.core.somaxconn=4096".to_owned());
        assert_eq!(fixes(Some(1000)), [backlog.clone(), None, None]);
        let buffer = |name, usual| Some(format!("sysctl -w net.ipv4.{name}='4096 {usual} 12500000'"));
        assert_eq!(fixes(Some(10_000)), [backlog, buffer("tcp_rmem", 131_072), buffer("tcp_wmem", 16_384)]);
    }

    #[test]
    fn a_slow_clock_is_told() {
        let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        for (source, is_well) in [("tsc", true), ("kvm-clock", true), ("arch_sys_counter", true), ("hpet", false)] {
            assert_eq!(clock(&Sample::new(&[(path, source)]).files()).problem.is_none(), is_well, "{source}");
        }
    }

    #[test]
    fn io_uring_is_tried_and_a_refusal_says_how_to_lift_it() {
        let sample = Sample::new(&[("/proc/sys/kernel/io_uring_disabled", "2")]);
        let finding = io_uring(&sample.files());
        match finding.problem {
            None => assert_eq!(finding.found, "allowed"),
            Some(problem) => assert_eq!(problem.fix, "sysctl -w kernel.io_uring_disabled=0"),
        }
    }
}
