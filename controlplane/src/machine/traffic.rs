//! The newest sample of the interfaces: a new list as soon as the kernel tells of a change, new counters and rates once a
//! second. What the data plane counts itself, per listener, is not here: these are the kernel's figures, and they hold
//! the bytes of everybody on the machine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::discovery;
use super::interface::Interface;
use super::netlink::{self, Counters, Link, NetlinkError};
use crate::node::Node;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(1);
/// Before a netlink socket that failed is opened again.
const RETRY: Duration = Duration::from_secs(5);

/// The newest sample.
#[derive(Debug, Default)]
pub struct Traffic {
    interfaces: watch::Sender<Arc<Vec<Interface>>>,
}

impl Traffic {
    /// What was sampled last; empty until then, and when the kernel does not tell.
    pub fn interfaces(&self) -> Arc<Vec<Interface>> {
        Arc::clone(&self.interfaces.borrow())
    }

    /// Samples until the runtime ends, as the node's settings say.
    pub async fn follow(self: Arc<Self>, node: Arc<Node>) {
        let mut is_told = false;
        loop {
            let Err(error) = self.sample(&node).await;
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(%error, "interfaces and their traffic are not known; asking again every few seconds");
            }
            self.interfaces.send_replace(Arc::default());
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn sample(&self, node: &Node) -> Result<std::convert::Infallible, NetlinkError> {
        let (netlink, mut changes) = netlink::open()?;
        let mut addresses = netlink.addresses().await?;
        let mut links = netlink.links().await?;
        let mut speeds = speeds(&links).await;
        let mut meter = Meter::default();
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_tick = tokio::select! {
                _ = tick.tick() => true,
                changed = changes.next() => {
                    changed?;
                    false
                }
            };
            links = netlink.links().await?;
            if is_tick {
                let counters = links.iter().filter_map(|link| Some((link.index, link.counters?)));
                meter.read(Instant::now(), counters.collect());
            } else {
                addresses = netlink.addresses().await?;
                speeds = self::speeds(&links).await;
            }
            let found = discovery::interfaces(&links, &addresses, &speeds, &node.config().nics);
            self.interfaces.send_replace(Arc::new(found.into_iter().map(|found| meter.rated(found)).collect()));
        }
    }
}

/// What the drivers say, in Mbit/s, of those that know: a virtual one has -1 or an error. They are read when something changed,
/// because a new speed comes with a new carrier; off the runtime, because a driver may take its time.
async fn speeds(links: &[Link]) -> HashMap<String, u64> {
    let names: Vec<String> = links.iter().map(|link| link.name.clone()).collect();
    let look = move || {
        let speed = |name: String| {
            let text = std::fs::read_to_string(format!("/sys/class/net/{name}/speed")).ok()?;
            Some((name, text.trim().parse().ok().filter(|speed| *speed > 0)?))
        };
        names.into_iter().filter_map(speed).collect()
    };
    // It neither panics nor is it aborted while the runtime lives.
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// Rates from the counters of two moments, by link: a new link under an old name begins at zero.
#[derive(Debug, Default)]
struct Meter {
    read: Option<(Instant, HashMap<u32, Counters>)>,
    rates: HashMap<u32, Rates>,
}

/// Bytes a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Rates {
    sent: f64,
    received: f64,
}

impl Meter {
    fn read(&mut self, at: Instant, now: HashMap<u32, Counters>) {
        if let Some((then, before)) = &self.read {
            let seconds = at.duration_since(*then).as_secs_f64().max(0.001);
            let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
            let rates = now.iter().filter_map(|(link, now)| {
                let before = before.get(link)?;
                let sent = rate(now.sent, before.sent);
                Some((*link, Rates { sent, received: rate(now.received, before.received) }))
            });
            self.rates = rates.collect();
        }
        self.read = Some((at, now));
    }

    fn rated(&self, (link, interface): (u32, Interface)) -> Interface {
        let rates = self.rates.get(&link).copied().unwrap_or_default();
        Interface { send_rate: rates.sent, receive_rate: rates.received, ..interface }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_5_5_rate_texts() {
        for (rate, text) in
            [(0.0, "0 B/s"), (1536.0, "1.5 KB/s"), (1_572_864.0, "1.5 MB/s"), (1_610_612_736.0, "1.50 GB/s")]
        {
            assert_eq!(rate_text(rate), text);
        }
    }

    #[test]
    fn section_5_3_a_rate_is_the_difference_of_counters_over_the_time_between() {
        let start = Instant::now();
        let counters = |sent, received| Counters { sent, received };
        let mut meter = Meter::default();
        meter.read(start, HashMap::from([(1, counters(100, 100)), (2, counters(9000, 0))]));
        assert!(meter.rates.is_empty(), "one look tells no rate");
        let next = HashMap::from([(1, counters(1100, 300)), (2, counters(5, 0)), (3, counters(7, 7))]);
        meter.read(start + Duration::from_secs(2), next);
        let expected = [(1, Rates { sent: 500.0, received: 100.0 }), (2, Rates::default())];
        assert_eq!(meter.rates, HashMap::from(expected), "a counter that fell and a new link have no rate");
    }
}
