//! One NIC: its speed and MTU, its queues against the cores, and on which cores its interrupts and its sending are
//! handled. NICs with hardware behind them, and those that `network.interfaces` names.

use std::collections::BTreeSet;

use etransfer_controlplane::config::Nics;

use super::{Files, Finding};

/// Below it a cable is bad or a port is set up wrong.
const SPEED_MIN_MBPS: u64 = 1000;
/// From this speed on, small packets are what a core is busy with.
const JUMBO_FROM_MBPS: u64 = 10_000;
/// The MTU that is meant by jumbo frames.
const JUMBO: u64 = 9000;
/// More queues than this are not worth a word.
const QUEUES_MAX: usize = 16;

/// What is known about a NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    name: String,
    /// `None`: it is unknown.
    pub speed_mbps: Option<u64>,
    mtu: u64,
    receive_queues: usize,
    /// Cores that software spreads received packets over (RPS).
    spread_over: u32,
    send_queues: usize,
    /// Send queues of which no core is told to use them (XPS).
    unassigned: usize,
    /// Its interrupts.
    interrupts: usize,
    /// Where they are handled, as the kernel lists cores.
    handled_on: BTreeSet<String>,
}

pub fn find(files: &Files, nics: &Nics) -> Vec<Nic> {
    let counts = |name: &String| match nics.interfaces.as_slice() {
        [] => files.path(&format!("/sys/class/net/{name}/device")).exists() && is_up(files, name),
        named => named.contains(name) && name != "lo",
    };
    let found = files.names("/sys/class/net").into_iter().filter(counts);
    found.map(|name| look(files, nics.speed_mbps.get(&name).copied(), name)).collect()
}

fn is_up(files: &Files, name: &str) -> bool {
    let state = files.text(&format!("/sys/class/net/{name}/operstate"));
    state.is_some_and(|state| matches!(state.as_str(), "up" | "unknown"))
}

fn look(files: &Files, said: Option<u64>, name: String) -> Nic {
    let at = format!("/sys/class/net/{name}");
    let queues = |kind: &str| -> Vec<String> {
        let names = files.names(&format!("{at}/queues")).into_iter();
        names.filter(|queue| queue.starts_with(kind)).map(|queue| format!("{at}/queues/{queue}")).collect()
    };
    let cores = |path: String| files.text(&path).map(|mask| set_bits(&mask));
    let (receive, send) = (queues("rx-"), queues("tx-"));
    let interrupts = interrupts(files, &at);
    let list = |number: &String| {
        let of = |name: &str| files.text(&format!("/proc/irq/{number}/{name}")).filter(|list| !list.is_empty());
        of("effective_affinity_list").or_else(|| of("smp_affinity_list"))
    };
    Nic {
        speed_mbps: said.or_else(|| files.number(&format!("{at}/speed")).filter(|speed| *speed > 0)),
        mtu: files.number(&format!("{at}/mtu")).unwrap_or(0),
        receive_queues: receive.len(),
        spread_over: receive.iter().filter_map(|queue| cores(format!("{queue}/rps_cpus"))).max().unwrap_or(0),
        unassigned: send.iter().filter(|queue| cores(format!("{queue}/xps_cpus")) == Some(0)).count(),
        send_queues: send.len(),
        handled_on: interrupts.iter().filter_map(list).collect(),
        interrupts: interrupts.len(),
        name,
    }
}

/// Numbers of the device's interrupts; a virtio device has them one level up.
fn interrupts(files: &Files, at: &str) -> Vec<String> {
    let own = files.names(&format!("{at}/device/msi_irqs"));
    if own.is_empty() { files.names(&format!("{at}/device/../msi_irqs")) } else { own }
}

/// Of a mask such as `00000003,ffffffff`.
fn set_bits(mask: &str) -> u32 {
    mask.chars().filter_map(|digit| digit.to_digit(16)).map(u32::count_ones).sum()
}

impl Nic {
    pub fn findings(&self, cores: usize) -> Vec<Finding> {
        let mut found = vec![self.speed(), self.mtu()];
        if self.receive_queues > 0 {
            found.push(self.queues(cores));
        }
        if self.send_queues > 1 {
            found.push(self.sending());
        }
        if self.receive_queues > 1 && self.interrupts > 1 {
            found.push(self.handling());
        }
        found
    }

    fn finding(&self, what: &str, found: impl Into<String>) -> Finding {
        Finding::new(format!("nic {} {what}", self.name), found)
    }

    fn speed(&self) -> Finding {
        let name = &self.name;
        match self.speed_mbps {
            Some(speed) => self.finding("speed", format!("{speed} Mbit/s")).unless(
                speed < SPEED_MIN_MBPS,
                "a bad cable or a port that is set up wrong",
                format!("ethtool {name}; ethtool -s {name} autoneg on"),
            ),
            None => self.finding("speed", "unknown").unless(
                true,
                "clients are told the best NIC by what is free",
                format!(
                    "network.speed_mbps: {{{name}: MBITS}} in the configuration, as your provider or hypervisor says"
                ),
            ),
        }
    }

    fn mtu(&self) -> Finding {
        let is_small = self.mtu < JUMBO && self.speed_mbps.is_some_and(|speed| speed >= JUMBO_FROM_MBPS);
        let fix =
            format!("ip link set {} mtu {JUMBO}, if every station and switch of that network does the same", self.name);
        self.finding("mtu", self.mtu.to_string()).unless(is_small, "six times the packets of jumbo frames", fix)
    }

    fn queues(&self, cores: usize) -> Finding {
        let (name, wanted) = (&self.name, cores.min(QUEUES_MAX));
        let spread = self.receive_queues.max(self.spread_over as usize);
        let mask = format!("{:x}", u64::MAX >> (64 - wanted.clamp(1, 64)));
        let found = match self.spread_over {
            0 => format!("{} receive queues for {cores} cores", self.receive_queues),
            over => format!("{} receive queues spread over {over} of {cores} cores", self.receive_queues),
        };
        self.finding("queues", found).unless(
            spread < wanted,
            "the other cores wait for those that receive",
            format!(
                "ethtool -L {name} combined {wanted}; where the hardware has fewer: \
                 for q in /sys/class/net/{name}/queues/rx-*; do echo {mask} > $q/rps_cpus; done"
            ),
        )
    }

    fn sending(&self) -> Finding {
        let found = format!("{} of {} send queues belong to no core", self.unassigned, self.send_queues);
        self.finding("xps", found).unless(
            self.unassigned > 0,
            "cores wait for each other's queues",
            format!(
                "for q in /sys/class/net/{}/queues/tx-*; do printf %x $((1 << ${{q##*-}})) > $q/xps_cpus; done",
                self.name
            ),
        )
    }

    fn handling(&self) -> Finding {
        let on: Vec<&str> = self.handled_on.iter().map(String::as_str).collect();
        let is_one = matches!(on[..], [one] if one.bytes().all(|byte| byte.is_ascii_digit()));
        self.finding("interrupts", format!("{} handled on cores {}", self.interrupts, on.join(" "))).unless(
            is_one,
            "one core answers for the whole NIC",
            "systemctl enable --now irqbalance, or echo CORE > /proc/irq/NUMBER/smp_affinity_list for each",
        )
    }
}

#[cfg(test)]
mod tests {
    use etransfer_controlplane::config::Config;

    use super::super::tests::Sample;
    use super::*;

    fn nics(interfaces: &[&str], speed: Option<(&str, u64)>) -> Nics {
        Nics {
            interfaces: interfaces.iter().map(|name| (*name).to_owned()).collect(),
            speed_mbps: speed.into_iter().map(|(name, speed)| (name.to_owned(), speed)).collect(),
            ..Config::defaults().nics
        }
    }

    /// `eth0`: 25 Gbit/s and all well, for two cores. `ens1`: virtual hardware with everything to find. `veth0`: none.
    fn sample() -> Sample {
        let sample = Sample::new(&[
            ("/sys/class/net/eth0/operstate", "up"),
            ("/sys/class/net/eth0/speed", "25000"),
            ("/sys/class/net/eth0/mtu", "9000"),
            ("/sys/class/net/eth0/queues/rx-0/rps_cpus", "0"),
            ("/sys/class/net/eth0/queues/rx-1/rps_cpus", "0"),
            ("/sys/class/net/eth0/queues/tx-0/xps_cpus", "1"),
            ("/sys/class/net/eth0/queues/tx-1/xps_cpus", "2"),
            ("/sys/class/net/eth0/device/msi_irqs/41", "msix"),
            ("/sys/class/net/eth0/device/msi_irqs/42", "msix"),
            ("/proc/irq/41/effective_affinity_list", "0"),
            ("/proc/irq/42/effective_affinity_list", "1"),
            ("/sys/class/net/ens1/operstate", "up"),
            ("/sys/class/net/ens1/speed", "-1"),
            ("/sys/class/net/ens1/mtu", "1500"),
            ("/sys/class/net/ens1/queues/rx-0/rps_cpus", "00000000,00000000"),
            ("/sys/class/net/ens1/queues/rx-1/rps_cpus", "00000000,00000000"),
            ("/sys/class/net/ens1/queues/tx-0/xps_cpus", "00000000,00000001"),
            ("/sys/class/net/ens1/queues/tx-1/xps_cpus", "00000000,00000000"),
            ("/sys/class/net/ens1/device/features", "0"),
            ("/sys/class/net/ens1/msi_irqs/51", "msix"),
            ("/sys/class/net/ens1/msi_irqs/52", "msix"),
            ("/proc/irq/51/smp_affinity_list", "3"),
            ("/proc/irq/52/smp_affinity_list", "3"),
            ("/sys/class/net/veth0/operstate", "up"),
            ("/sys/class/net/veth0/speed", "100"),
            ("/sys/class/net/veth0/mtu", "1500"),
            ("/sys/class/net/down0/operstate", "down"),
            ("/sys/class/net/down0/device/features", "0"),
        ]);
        sample.write("/sys/class/net/lo/operstate", "unknown");
        sample
    }

    fn wrong(nics: &[Nic], cores: usize) -> Vec<String> {
        let findings = nics.iter().flat_map(|nic| nic.findings(cores));
        findings.filter(|finding| finding.problem.is_some()).map(|finding| finding.check).collect()
    }

    #[test]
    fn nics_with_hardware_are_looked_at_and_each_fault_is_found() {
        let found = find(&sample().files(), &nics(&[], None));
        assert_eq!(found.iter().map(|nic| nic.name.as_str()).collect::<Vec<_>>(), ["ens1", "eth0"]);
        assert_eq!(wrong(&found[1..], 2), [] as [&str; 0]);
        assert_eq!(wrong(&found[1..], 4), ["nic eth0 queues"]);
        let faults = ["nic ens1 speed", "nic ens1 queues", "nic ens1 xps", "nic ens1 interrupts"];
        assert_eq!(wrong(&found[..1], 4), faults);
    }

    #[test]
    fn what_the_operator_says_counts() {
        let sample = sample();
        let found = find(&sample.files(), &nics(&["veth0", "lo"], None));
        assert_eq!(wrong(&found, 4), ["nic veth0 speed"]);
        // With a speed, an MTU can be small; packets spread by software are spread.
        sample.write("/sys/class/net/ens1/queues/rx-0/rps_cpus", "00000000,0000000f");
        let found = find(&sample.files(), &nics(&["ens1"], Some(("ens1", 40_000))));
        assert_eq!(wrong(&found, 4), ["nic ens1 mtu", "nic ens1 xps", "nic ens1 interrupts"]);
    }

    #[test]
    fn masks_are_counted_over_all_their_words() {
        for (mask, bits) in [("0", 0), ("f", 4), ("00000003,ffffffff", 34), ("", 0)] {
            assert_eq!(set_bits(mask), bits, "{mask}");
        }
    }

    #[test]
    fn a_fix_can_be_pasted() {
        let found = find(&sample().files(), &nics(&[], None));
        let fixes: Vec<String> =
            found[0].findings(4).into_iter().filter_map(|finding| finding.problem).map(|problem| problem.fix).collect();
        assert!(fixes[1].starts_with("ethtool -L ens1 combined 4;") && fixes[1].contains("echo f > $q/rps_cpus"));
        assert!(fixes[2].contains("/sys/class/net/ens1/queues/tx-*") && fixes[2].contains("$((1 << ${q##*-}))"));
    }
}
