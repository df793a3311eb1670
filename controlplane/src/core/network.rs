//! Which addresses count as one client.

use std::net::{IpAddr, Ipv6Addr};

/// Who has a /64 has more addresses than anyone can count.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}
