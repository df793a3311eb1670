//! IPv4 addresses of the interfaces, from the kernel's own tables (`/proc/net/fib_trie`, `/proc/net/route`), so that no
//! unsafe call is needed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// One connected network.
struct Route {
    interface: String,
    network: u32,
    mask: u32,
}

/// One address per interface; loopback and `169.254.*` left out (contract §5.3).
pub fn ipv4() -> BTreeMap<String, Ipv4Addr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    assign(&local_addresses(&read("/proc/net/fib_trie")), &routes(&read("/proc/net/route")))
}

fn assign(addresses: &[Ipv4Addr], routes: &[Route]) -> BTreeMap<String, Ipv4Addr> {
    let mut found = BTreeMap::new();
    for address in addresses.iter().filter(|address| !address.is_loopback() && !address.is_link_local()) {
        let bits = u32::from(*address);
        let within = routes.iter().filter(|route| route.mask != 0 && bits & route.mask == route.network);
        if let Some(route) = within.max_by_key(|route| route.mask.count_ones()) {
            found.entry(route.interface.clone()).or_insert(*address);
        }
    }
    found
}

/// Every address followed by `/32 host LOCAL`.
fn local_addresses(trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Columns: interface, destination, gateway, flags, refcnt, use, metric, mask; addresses in little-endian hex.
fn routes(table: &str) -> Vec<Route> {
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| u32::from_str_radix(columns.get(index)?, 16).ok().map(u32::swap_bytes);
        Some(Route { interface: (*columns.first()?).to_owned(), network: number(1)?, mask: number(7)? })
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_interface_of_its_narrowest_network() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.1.0.0\n        /16 link UNICAST\n     |-- 10.1.2.3\n        \
                    /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n     |-- 10.1.2.3\n        \
                    /32 host LOCAL\n";
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t0100010A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n\
                     eth0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let found = assign(&local_addresses(trie), &routes(table));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("eth0".to_owned(), Ipv4Addr::new(10, 1, 2, 3))]);
    }
}
