//! How often one client may try something (reliability.md §5, "Costs"): counted per address over a minute, an IPv6 client by
//! its /64, a client behind a trusted proxy by the address the proxy tells.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use etransfer_contract::list::members_of;
use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::config::Config;
use crate::line::meta::Meta;
use crate::surface::refusal::Refused;

const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered; beyond it the table starts afresh.
const ADDRESSES_MAX: usize = 10_000;

/// The counts of one thing that may be tried `max` times a minute.
#[derive(Debug)]
pub struct Attempts {
    max: u32,
    counts: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Attempts {
    /// Nobody tried yet.
    pub fn new(max: u32) -> Self {
        Self { max, counts: Mutex::default() }
    }

    /// 429 once `client` has tried often enough. Counts nothing. Without an address nobody is counted: then no data plane
    /// asks, but somebody on the socket.
    pub fn check(&self, client: Option<IpAddr>) -> Result<(), Refused> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let tried = client.and_then(|client| counts.get(&client)).filter(|(since, _)| since.elapsed() < WINDOW);
        match tried {
            Some((since, count)) if *count >= self.max => {
                let left = WINDOW.saturating_sub(since.elapsed()).as_secs() + 1;
                Err(Refused::new(429, "too many attempts from this address").with(RETRY_AFTER, left))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts one.
    pub fn count(&self, client: Option<IpAddr>) {
        let Some(client) = client else { return };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES_MAX {
            counts.retain(|_, (since, _)| since.elapsed() < WINDOW);
        }
        if counts.len() >= ADDRESSES_MAX {
            counts.clear();
        }
        let (since, count) = counts.entry(client).or_insert((Instant::now(), 0));
        if since.elapsed() >= WINDOW {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
    }
}

/// Whom to count a request against.
pub fn client(config: &Config, meta: &Meta, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = meta.peer?.ip().to_canonical();
    if !config.server.trusts(peer) {
        return Some(network(peer));
    }
    // Each proxy adds whom it was asked by at the end; the last one that is none of ours is the client.
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let told: Vec<&str> = lines.flat_map(members_of).collect();
    let told = told.iter().rev().map_while(|text| text.parse::<IpAddr>().ok()).map(|address| address.to_canonical());
    Some(network(told.into_iter().find(|address| !config.server.trusts(*address)).unwrap_or(peer)))
}

/// Who has a /64 has more addresses than anyone can count.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Network, Setting};
    use crate::line::meta::{BodyKind, Call};

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
