//! How often one client may try something (PROMISES.md §5, "Costs"): counted per address over a minute, an IPv6 client
//! by its /64, a client behind a trusted proxy by the address the proxy tells.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use etransfer_contract::list::members_of;
use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::authority::table::Table;
use crate::bounds::ADDRESSES_MAX;
use crate::config::Config;
use crate::core::network::network;
use crate::link::meta::Meta;
use crate::surface::refusal::Refused;

const WINDOW: Duration = Duration::from_secs(60);

/// The counts of one thing that may be tried `max` times in a while.
#[derive(Debug)]
pub struct Attempts {
    max: u32,
    window: Duration,
    counts: Mutex<Table<IpAddr, (Instant, u32)>>,
}

impl Attempts {
    /// No attempts yet; `max` a minute.
    pub fn new(max: u32) -> Self {
        Self::within(max, WINDOW)
    }

    /// The same for another time than a minute.
    pub fn within(max: u32, window: Duration) -> Self {
        Self { max, window, counts: Mutex::new(Table::new(ADDRESSES_MAX)) }
    }

    /// 429 once `client` has tried often enough. Counts nothing. Without an address nothing is counted: then no data
    /// plane asks, but the operator on the socket.
    pub fn check(&self, client: Option<IpAddr>) -> Result<(), Refused> {
        self.wait_s(client).map_or(Ok(()), |left| {
            Err(Refused::new(429, "too many attempts from this address").with(RETRY_AFTER, left))
        })
    }

    /// Seconds until it may try again; `None`: now.
    pub fn wait_s(&self, client: Option<IpAddr>) -> Option<u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, _) = counts.get(&client?).filter(|(_, count)| *count >= self.max)?;
        Some(self.window.checked_sub(since.elapsed())?.as_secs() + 1)
    }

    /// Counts one.
    pub fn count(&self, client: Option<IpAddr>) {
        let Some(client) = client else { return };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&client).filter(|(since, _)| since.elapsed() < self.window) {
            Some((_, count)) => *count += 1,
            None => {
                counts.put(client, (Instant::now(), 1));
            }
        }
    }
}

/// Whom to count a request against.
pub fn client(config: &Config, meta: &Meta, headers: &HeaderMap) -> Option<IpAddr> {
    address(config, meta, headers).map(network)
}

/// Where a request comes from.
pub fn address(config: &Config, meta: &Meta, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = meta.peer?.ip().to_canonical();
    if !config.server.trusts(peer) {
        return Some(peer);
    }
    // Each proxy adds whom it was asked by at the end; the last one that is none of ours is the client.
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let told: Vec<&str> = lines.flat_map(members_of).collect();
    let told = told.iter().rev().map_while(|text| text.parse::<IpAddr>().ok()).map(|address| address.to_canonical());
    Some(told.into_iter().find(|address| !config.server.trusts(*address)).unwrap_or(peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Network, Setting};
    use crate::link::meta::{BodyKind, Call};

    #[test]
    fn each_address_has_its_own_count() {
        let attempts = Attempts::new(3);
        let (a, b) = (Some(IpAddr::from([1, 1, 1, 1])), Some(IpAddr::from([2, 2, 2, 2])));
        for _ in 0..3 {
            attempts.check(a).unwrap();
            attempts.count(a);
        }
        assert!(attempts.check(a).is_err() && attempts.check(b).is_ok() && attempts.check(None).is_ok());
    }

    #[test]
    fn whom_a_request_counts_against() {
        let mut config = Config::defaults();
        config.server.trusted_proxies = vec![Network::from_text("10.0.0.0/8").unwrap()];
        for (peer, forwarded, expected) in [
            ("192.0.2.7:1", "", "192.0.2.7"),
            ("192.0.2.7:1", "198.51.100.1", "192.0.2.7"),
            ("10.0.0.1:1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1:1", "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1:1", "203.0.113.9, nonsense", "10.0.0.1"),
            ("10.0.0.1:1", "", "10.0.0.1"),
            ("[::ffff:192.0.2.7]:1", "", "192.0.2.7"),
            ("[2001:db8:1:2:3:4:5:6]:1", "", "2001:db8:1:2::"),
        ] {
            let meta = Meta {
                call: Call::Decide,
                peer: peer.parse().ok(),
                listener: None,
                body: BodyKind::None,
                is_head: false,
            };
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("x-forwarded-for"),
                http::HeaderValue::from_static(forwarded),
            )]);
            assert_eq!(client(&config, &meta, &headers), expected.parse().ok(), "{peer} {forwarded}");
        }
    }
}
