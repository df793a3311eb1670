//! One NIC at one moment: its addresses, what passed through it, and how loaded that makes it.

use std::net::IpAddr;

/// One interface at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// `eth0`
    pub name: String,
    /// The one clients are told: IPv4, or IPv6 when that is wanted and there is no other.
    pub address: Option<IpAddr>,
    /// All of them that can be reached from elsewhere.
    pub addresses: Vec<IpAddr>,
    /// Carrier is there.
    pub is_up: bool,
    /// Mbit/s, never 0. `None`: unknown.
    pub speed_mbps: Option<u64>,
    /// Bytes sent since the interface was made.
    pub sent: u64,
    /// Bytes received since the interface was made.
    pub received: u64,
    /// Bytes a second.
    pub send_rate: f64,
    /// Bytes a second.
    pub receive_rate: f64,
}

impl Interface {
    /// Load in percent of what it sends.
    pub fn send_load(&self) -> f64 {
        load(self.send_rate, self.speed_mbps)
    }

    /// Load in percent of what it receives.
    pub fn receive_load(&self) -> f64 {
        load(self.receive_rate, self.speed_mbps)
    }

    /// Load in percent of both.
    pub fn total_load(&self) -> f64 {
        load(self.send_rate + self.receive_rate, self.speed_mbps)
    }
}

/// Bytes a second that fit through `speed_mbps` Mbit/s, as the contract counts them (easytransfer/CONTRACT.md §5.3).
pub fn bytes_per_second(speed_mbps: u64) -> f64 {
    speed_mbps as f64 * 1024.0 * 1024.0 / 8.0
}

/// `min(100, rate / (speed_mbps*1024*1024/8) * 100)`; 0 when the speed is not known (easytransfer/CONTRACT.md §5.3).
fn load(rate: f64, speed_mbps: Option<u64>) -> f64 {
    speed_mbps.map_or(0.0, |speed| (rate / bytes_per_second(speed) * 100.0).min(100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_18_load() {
        assert_eq!(load(125.0 * 1024.0 * 1024.0, Some(1000)), 100.0);
        assert_eq!(load(13_107_200.0, Some(1000)), 10.0);
        assert_eq!(load(1e12, Some(1000)), 100.0);
        assert_eq!(load(1e9, None), 0.0);
    }
}
