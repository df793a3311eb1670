//! Counters and rates of the interfaces, sampled once a second from `/proc/net/dev` and `/sys/class/net`.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::addresses;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(1);

/// One interface at one moment.
#[derive(Debug, Clone)]
pub struct Interface {
    /// `eth0`
    pub name: String,
    /// Its IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// Carrier is there.
    pub is_up: bool,
    /// `None`: unknown.
    pub speed_mbps: Option<u64>,
    /// Bytes sent since boot.
    pub sent: u64,
    /// Bytes received since boot.
    pub received: u64,
    /// Bytes a second.
    pub send_rate: f64,
    /// Bytes a second.
    pub receive_rate: f64,
}

/// The newest sample.
#[derive(Debug, Default)]
pub struct Traffic {
    interfaces: Mutex<Arc<Vec<Interface>>>,
}

/// Bytes received and sent.
type Counters = BTreeMap<String, (u64, u64)>;

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

impl Traffic {
    /// What was sampled last.
    pub fn interfaces(&self) -> Arc<Vec<Interface>> {
        Arc::clone(&self.interfaces.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Samples for ever.
    pub async fn follow(self: Arc<Self>) {
        let mut before: Option<(Instant, Counters)> = None;
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let (now, counters) = (Instant::now(), counters(&read("/proc/net/dev")));
            let sample = sample(&counters, before.as_ref().map(|(then, old)| (now - *then, old)));
            *self.interfaces.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(sample);
            before = Some((now, counters));
        }
    }
}

/// Interfaces that are up and not loopback (contract §5.3).
fn sample(counters: &Counters, before: Option<(Duration, &Counters)>) -> Vec<Interface> {
    let addresses: HashMap<String, Ipv4Addr> = addresses::ipv4().into_iter().collect();
    let rate = |name: &str, pick: fn(&(u64, u64)) -> u64| {
        let Some((passed, old)) = before else { return 0.0 };
        let (Some(now), Some(then)) = (counters.get(name), old.get(name)) else { return 0.0 };
        pick(now).saturating_sub(pick(then)) as f64 / passed.as_secs_f64().max(0.001)
    };
    let interface = |(name, (received, sent)): (&String, &(u64, u64))| Interface {
        name: name.clone(),
        address: addresses.get(name).copied(),
        is_up: matches!(read(&format!("/sys/class/net/{name}/operstate")).trim(), "up" | "unknown"),
        // -1 or an error on virtual interfaces.
        speed_mbps: read(&format!("/sys/class/net/{name}/speed")).trim().parse().ok().filter(|speed| *speed > 0),
        sent: *sent,
        received: *received,
        send_rate: rate(name, |(_, sent)| *sent),
        receive_rate: rate(name, |(received, _)| *received),
    };
    counters.iter().filter(|(name, _)| *name != "lo").map(interface).filter(|interface| interface.is_up).collect()
}

/// `name: rx_bytes 7 columns tx_bytes …`
fn counters(table: &str) -> Counters {
    let row = |line: &str| {
        let (name, columns) = line.split_once(':')?;
        let mut columns = columns.split_whitespace().map(str::parse::<u64>);
        let received = columns.next()?.ok()?;
        let sent = columns.nth(7)?.ok()?;
        Some((name.trim().to_owned(), (received, sent)))
    };
    table.lines().filter_map(row).collect()
}

/// `min(100, rate / (speed_mbps*1024*1024/8) * 100)`; 0 when the speed is not known (contract §5.3).
fn load(rate: f64, speed_mbps: Option<u64>) -> f64 {
    speed_mbps.map_or(0.0, |speed| (rate / (speed as f64 * 1024.0 * 1024.0 / 8.0) * 100.0).min(100.0))
}

/// `0 B/s`, `1.5 KB/s`, `1.5 MB/s`, `1.50 GB/s`.
pub fn rate_text(rate: f64) -> String {
    const K: f64 = 1024.0;
    match rate {
        rate if rate < K => format!("{rate:.0} B/s"),
        rate if rate < K * K => format!("{:.1} KB/s", rate / K),
        rate if rate < K * K * K => format!("{:.1} MB/s", rate / K / K),
        rate => format!("{:.2} GB/s", rate / K / K / K),
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_18_load_and_section_5_5_rates() {
        assert_eq!(load(125.0 * 1024.0 * 1024.0, Some(1000)), 100.0);
        assert_eq!(load(13_107_200.0, Some(1000)), 10.0);
        assert_eq!(load(1e9, None), 0.0);
        for (rate, text) in
            [(0.0, "0 B/s"), (1536.0, "1.5 KB/s"), (1_572_864.0, "1.5 MB/s"), (1_610_612_736.0, "1.50 GB/s")]
        {
            assert_eq!(rate_text(rate), text);
        }
    }

    #[test]
    fn counters_are_read_by_column() {
        let table =
            "Inter-|   Receive\n face |bytes\n  eth0: 10 2 3 4 5 6 7 8 90 1 1 1 1 1 1 1\nlo:1 0 0 0 0 0 0 0 2 0\n";
        assert_eq!(counters(table), [("eth0".to_owned(), (10, 90)), ("lo".to_owned(), (1, 2))].into());
    }
}
