//! Open connections by source, so that one address, or one /64 of IPv6, does not take them all.
//!
//! Must stay true: an address without a connection takes no room; the lock is taken at the beginning and at the end of a
//! connection, never by a request.
#![expect(clippy::disallowed_types, reason = "shared by the cores, held for one entry of a map")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bits of an IPv6 address that identify its owner, who chooses the others freely.
const PREFIX_BITS_V6: u32 = 64;

/// The connections of all cores.
#[derive(Debug, Default)]
pub struct Sources(Mutex<HashMap<IpAddr, usize>>);

/// One open connection, until it drops.
#[derive(Debug)]
pub struct CountedConnection {
    of: Arc<Sources>,
    from: IpAddr,
}

impl Sources {
    /// Counts one more from `address`; `None` when it has `max` already.
    pub fn enter(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<CountedConnection> {
        let from = source(address);
        let mut open = self.lock();
        let count = open.entry(from).or_default();
        if *count >= max {
            if *count == 0 {
                open.remove(&from);
            }
            return None;
        }
        *count += 1;
        Some(CountedConnection { of: Arc::clone(self), from })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let mut open = self.of.lock();
        if let Some(count) = open.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.from);
            }
        }
    }
}

/// Whether `address` lies in one of the networks, each an address and its bits.
pub fn is_among(networks: &[(IpAddr, u32)], address: IpAddr) -> bool {
    let shared = |network: u128, address: u128, width: u32, bits: u32| {
        let rest = width - bits.min(width);
        network.checked_shr(rest).unwrap_or(0) == address.checked_shr(rest).unwrap_or(0)
    };
    networks.iter().any(|(network, bits)| match (network.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            shared(network.to_bits().into(), address.to_bits().into(), 32, *bits)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => shared(network.to_bits(), address.to_bits(), 128, *bits),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    })
}

/// The source that an address belongs to.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> PREFIX_BITS_V6 << PREFIX_BITS_V6).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_known_by_their_networks() {
        let network = |text: &str, bits| (text.parse().unwrap(), bits);
        let networks =
            [network("10.0.0.0", 8), network("192.0.2.7", 32), network("2001:db8::", 32), network("::1", 128)];
        for (address, among) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:10.0.0.1", true),
            ("192.0.2.7", true),
            ("192.0.2.6", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(is_among(&networks, address.parse().unwrap()), among, "{address}");
        }
        assert!(is_among(&[network("0.0.0.0", 0)], "1.2.3.4".parse().unwrap()));
        assert!(is_among(&[network("::", 0)], "2001:db8::1".parse().unwrap()));
        assert!(!is_among(&[], "::1".parse().unwrap()));
    }

    #[test]
    fn p16_one_source_has_so_many_connections_and_leaves_nothing_behind() {
        let crowd = Arc::<Sources>::default();
        let enter = |text: &str| crowd.enter(text.parse().unwrap(), 2);
        let same = [enter("2001:db8::1"), enter("2001:db8::ffff:2")];
        assert!(same.iter().all(Option::is_some) && enter("2001:db8::3").is_none());
        let other = [enter("2001:db8:0:1::1"), enter("10.0.0.1"), enter("::ffff:10.0.0.1")];
        assert!(other.iter().all(Option::is_some) && enter("10.0.0.1").is_none());
        drop(same);
        assert!(enter("2001:db8::4").is_some());
        drop(other);
        assert!(crowd.lock().is_empty());
        assert!(crowd.enter(IpAddr::from([10, 0, 0, 1]), 0).is_none() && crowd.lock().is_empty());
    }
}
