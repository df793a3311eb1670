//! Which of the kernel's links count as interfaces, and under which address (easytransfer/CONTRACT.md §5.3): the rule,
//! without the kernel.

use std::collections::HashMap;
use std::net::IpAddr;

use super::interface::Interface;
use super::netlink::{Address, Link};
use crate::config::Nics;

/// Up, counting, not loopback unless named, and with an address others can reach: a port of a bridge or a bond has none,
/// and its bytes are counted there. Rates are 0; a reader that saw the counters before knows them.
pub fn interfaces(
    links: &[Link],
    addresses: &[Address],
    speeds: &HashMap<String, u64>,
    nics: &Nics,
) -> Vec<(u32, Interface)> {
    let is_wanted = |link: &&Link| match nics.interfaces.as_slice() {
        [] => !link.is_loopback,
        named => named.contains(&link.name),
    };
    let interface = |link: &Link| {
        let counters = link.counters?;
        let own = addresses.iter().filter(|address| address.link == link.index).map(|address| address.ip);
        let own: Vec<IpAddr> = own.filter(|ip| !is_link_local(*ip)).collect();
        let address = told(&own, nics.prefer_ipv4);
        let interface = Interface {
            name: link.name.clone(),
            address,
            is_up: link.is_up,
            speed_mbps: nics.speed_mbps.get(&link.name).or_else(|| speeds.get(&link.name)).copied(),
            sent: counters.sent,
            received: counters.received,
            send_rate: 0.0,
            receive_rate: 0.0,
            addresses: own,
        };
        (!interface.addresses.is_empty()).then_some((link.index, interface))
    };
    links.iter().filter(|link| link.is_up).filter(is_wanted).filter_map(interface).collect()
}

/// Only the neighbours on the same cable could use it, and they would have to name a device.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn told(own: &[IpAddr], prefer_ipv4: bool) -> Option<IpAddr> {
    let ipv4 = own.iter().find(|ip| ip.is_ipv4());
    let ipv6 = own.iter().find(|ip| ip.is_ipv6() && !prefer_ipv4);
    ipv4.or(ipv6).copied()
}

#[cfg(test)]
mod tests {
    use super::super::netlink::Counters;
    use super::*;
    use crate::config::Config;

    fn link(index: u32, name: &str) -> Link {
        let counters = Some(Counters { sent: 2, received: 1 });
        Link { index, name: name.into(), is_up: true, is_loopback: name == "lo", counters }
    }

    fn nics(interfaces: &[&str], prefer_ipv4: bool) -> Nics {
        let interfaces = interfaces.iter().map(|name| (*name).to_owned()).collect();
        Nics { interfaces, prefer_ipv4, ..Config::defaults().nics }
    }

    #[test]
    fn section_5_3_interface_discovery() {
        let links = [
            link(1, "lo"),
            link(2, "eth0"),
            link(3, "six"),
            link(4, "local"),
            Link { is_up: false, ..link(5, "down") },
            Link { counters: None, ..link(6, "mute") },
            link(7, "port"),
        ];
        let addresses = [
            (1, "127.0.0.1"),
            (1, "::1"),
            (2, "169.254.7.7"),
            (2, "fe80::1"),
            (2, "fd00::1"),
            (2, "10.0.0.1"),
            (2, "10.0.0.2"),
            (3, "fe80::2"),
            (3, "fd00::2"),
            (4, "169.254.9.9"),
            (4, "fe80::3"),
            (5, "10.0.1.1"),
            (6, "10.0.2.1"),
        ];
        let addresses = addresses.map(|(link, ip)| Address { link, ip: ip.parse().unwrap() });
        let found = |nics: &Nics| {
            let found = interfaces(&links, &addresses, &HashMap::new(), nics).into_iter();
            let text = |address: Option<IpAddr>| address.map_or_else(String::new, |ip| ip.to_string());
            found.map(|(_, interface)| (interface.name, text(interface.address))).collect::<Vec<_>>()
        };
        let row = |name: &str, address: &str| (name.to_owned(), address.to_owned());
        assert_eq!(found(&nics(&[], true)), [row("eth0", "10.0.0.1"), row("six", "")]);
        assert_eq!(found(&nics(&[], false)), [row("eth0", "10.0.0.1"), row("six", "fd00::2")]);
        assert_eq!(found(&nics(&["lo", "eth0", "down"], true)), [row("lo", "127.0.0.1"), row("eth0", "10.0.0.1")]);
        assert_eq!(found(&nics(&["eth9"], true)), []);
    }

    #[test]
    fn the_operator_knows_the_speed_better_than_the_driver() {
        let driver = HashMap::from([("eth0".to_owned(), 10), ("eth1".to_owned(), 1000)]);
        let address = |link| Address { link, ip: IpAddr::from([10, 0, 0, link as u8]) };
        let mut nics = nics(&[], true);
        nics.speed_mbps.insert("eth0".into(), 25_000);
        let links = [link(1, "eth0"), link(2, "eth1"), link(3, "eth2")];
        let found = interfaces(&links, &[address(1), address(2), address(3)], &driver, &nics).into_iter();
        let speeds: Vec<_> = found.map(|(_, interface)| interface.speed_mbps).collect();
        assert_eq!(speeds, [Some(25_000), Some(1000), None]);
    }
}
