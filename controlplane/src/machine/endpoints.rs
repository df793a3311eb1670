//! The addresses clients are told (contract §5.3): configured ones as given; otherwise those the listeners serve.

use std::net::{IpAddr, SocketAddr};

use super::traffic::Interface;

/// One address of this node.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Interface name, or `advertised`.
    pub interface: String,
    /// Host part.
    pub address: String,
    /// `host:port`
    pub endpoint: String,
    /// `http://host:port`
    pub url: String,
    /// The interface behind it.
    pub load: Option<Interface>,
}

impl Endpoint {
    /// The first one with the strictly lowest load.
    pub fn least(all: &[Self], load: impl Fn(&Self) -> f64) -> Option<&Self> {
        all.iter().reduce(|best, other| if load(other) < load(best) { other } else { best })
    }
}

/// Where clients reach a node that listens on `bound`.
pub fn endpoints(advertised: &[String], bound: &[SocketAddr], port: u16, interfaces: &[Interface]) -> Vec<Endpoint> {
    if !advertised.is_empty() {
        return advertised.iter().map(|text| configured(text, port, interfaces)).collect();
    }
    let mut found: Vec<Endpoint> = Vec::new();
    for address in bound {
        let (ip, port) = (address.ip(), address.port());
        let served = interfaces.iter().filter(|interface| interface.is_up && interface.address.is_some());
        let served = served.filter(|interface| ip.is_unspecified() || interface.address.map(IpAddr::V4) == Some(ip));
        let before = found.len();
        found.extend(served.filter_map(|interface| {
            let socket = SocketAddr::new(interface.address?.into(), port);
            Some(at(&interface.name, socket, Some(interface.clone())))
        }));
        if found.len() == before && !ip.is_unspecified() {
            found.push(at(if ip.is_loopback() { "lo" } else { "bound" }, *address, None));
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|endpoint| seen.insert(endpoint.endpoint.clone()));
    found
}

fn at(interface: &str, socket: SocketAddr, load: Option<Interface>) -> Endpoint {
    Endpoint {
        interface: interface.to_owned(),
        address: socket.ip().to_string(),
        endpoint: socket.to_string(),
        url: format!("http://{socket}"),
        load,
    }
}

/// `host`, `host:port`, `[v6]:port`, or a URL, listed as given.
fn configured(text: &str, port: u16, interfaces: &[Interface]) -> Endpoint {
    let (scheme, authority) = text.split_once("://").unwrap_or(("http", text));
    let authority = authority.trim_end_matches('/');
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    let is_bare_v6 = authority.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, endpoint) = match () {
        () if is_bare_v6 => (authority, format!("[{authority}]:{port}")),
        () if host == authority && !text.contains("://") => (host, format!("{authority}:{port}")),
        () => (host, authority.to_owned()),
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let load = interfaces.iter().find(|interface| interface.address.is_some_and(|ip| ip.to_string() == address));
    let url = format!("{scheme}://{endpoint}");
    Endpoint { interface: "advertised".into(), address, endpoint, url, load: load.cloned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, address: [u8; 4], receive_rate: f64) -> Interface {
        Interface {
            name: name.into(),
            address: Some(address.into()),
            is_up: true,
            speed_mbps: Some(1000),
            sent: 0,
            received: 0,
            send_rate: 0.0,
            receive_rate,
        }
    }

    #[test]
    fn section_5_3_advertised_addresses_are_listed_as_given() {
        for (text, address, url) in [
            ("10.0.0.1", "10.0.0.1", "http://10.0.0.1:8765"),
            ("10.0.0.1:80", "10.0.0.1", "http://10.0.0.1:80"),
            ("[fd00::1]:80", "fd00::1", "http://[fd00::1]:80"),
            ("fd00::1", "fd00::1", "http://[fd00::1]:8765"),
            ("https://files.example.org/", "files.example.org", "https://files.example.org"),
        ] {
            let found = endpoints(&[text.to_owned()], &[], 8765, &[]);
            assert_eq!((found[0].address.as_str(), found[0].url.as_str()), (address, url));
        }
    }

    #[test]
    fn section_5_3_detected_addresses_are_those_the_listener_serves() {
        let interfaces = [interface("eth0", [10, 0, 0, 1], 5.0), interface("eth1", [10, 0, 1, 1], 1.0)];
        let urls = |bound: &str| {
            let found = endpoints(&[], &[bound.parse().unwrap()], 1, &interfaces);
            found.iter().map(|endpoint| endpoint.url.clone()).collect::<Vec<_>>()
        };
        assert_eq!(urls("0.0.0.0:9"), ["http://10.0.0.1:9", "http://10.0.1.1:9"]);
        assert_eq!(urls("10.0.1.1:9"), ["http://10.0.1.1:9"]);
        assert_eq!(urls("127.0.0.1:9"), ["http://127.0.0.1:9"]);
        let all = endpoints(&[], &["0.0.0.0:9".parse().unwrap()], 1, &interfaces);
        let best = Endpoint::least(&all, |endpoint| endpoint.load.as_ref().unwrap().receive_load()).unwrap();
        assert_eq!(best.interface, "eth1");
    }
}
