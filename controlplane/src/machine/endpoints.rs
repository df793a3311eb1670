//! The addresses clients are told (easytransfer/CONTRACT.md §5.3): configured ones as given; otherwise those the
//! listeners serve.

use std::net::{IpAddr, SocketAddr};

use super::interface::Interface;

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

/// Where clients reach a node that listens on `bound`: what is configured, as it is; else an entry for each interface
/// that a listener serves.
pub fn endpoints(advertised: &[String], bound: &[SocketAddr], port: u16, interfaces: &[Interface]) -> Vec<Endpoint> {
    if !advertised.is_empty() {
        return advertised.iter().map(|text| configured(text, port, interfaces)).collect();
    }
    let mut found: Vec<Endpoint> = bound.iter().flat_map(|bound| served(*bound, interfaces)).collect();
    if found.is_empty() {
        // A node for this machine alone.
        let loopback = bound.iter().filter(|bound| bound.ip().is_loopback());
        found = loopback.map(|bound| at("lo", *bound, None)).collect();
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|endpoint| seen.insert(endpoint.endpoint.clone()));
    found
}

/// What one listener serves now; an address that went away with its interface is served by no listener.
fn served(bound: SocketAddr, interfaces: &[Interface]) -> Vec<Endpoint> {
    let ip = bound.ip();
    if ip.is_unspecified() {
        let reached = |interface: &Interface| {
            // A listener on `::` takes no IPv4.
            let told = interface.address.filter(|told| told.is_ipv4() == ip.is_ipv4())?;
            Some(at(&interface.name, SocketAddr::new(told, bound.port()), Some(interface.clone())))
        };
        return interfaces.iter().filter_map(reached).collect();
    }
    match holder(ip, interfaces) {
        Some(interface) => vec![at(&interface.name, bound, Some(interface.clone()))],
        None if ip.is_loopback() => Vec::new(),
        // The kernel does not tell who has which address: the listener is all that is known.
        None if interfaces.is_empty() => vec![at("bound", bound, None)],
        None => Vec::new(),
    }
}

fn holder(ip: IpAddr, interfaces: &[Interface]) -> Option<&Interface> {
    interfaces.iter().find(|interface| interface.addresses.contains(&ip))
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
    let load = address.parse().ok().and_then(|ip| holder(ip, interfaces));
    let url = format!("{scheme}://{endpoint}");
    Endpoint { interface: "advertised".into(), address, endpoint, url, load: load.cloned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, addresses: &[&str], receive_rate: f64) -> Interface {
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        Interface {
            name: name.into(),
            address: addresses.first().copied(),
            addresses,
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
    fn section_5_3_an_advertised_address_has_the_load_of_the_interface_that_holds_it() {
        let interfaces = [interface("eth0", &["10.0.0.1", "fd00::1"], 5.0), interface("eth1", &["10.0.1.1"], 1.0)];
        for (text, rate) in [("10.0.1.1", Some(1.0)), ("[fd00::1]:80", Some(5.0)), ("http://router.example", None)] {
            let found = endpoints(&[text.to_owned()], &[], 8765, &interfaces);
            assert_eq!(found[0].load.as_ref().map(|load| load.receive_rate), rate, "{text}");
            assert_eq!(found[0].interface, "advertised");
        }
    }

    #[test]
    fn section_5_3_detected_addresses_are_those_the_listeners_serve() {
        let interfaces = [
            interface("eth0", &["10.0.0.1", "10.0.0.2", "fd00::1"], 5.0),
            interface("eth1", &["10.0.1.1"], 1.0),
            interface("six", &["fd00::2"], 1.0),
        ];
        let row = |name: &str, url: &str| (name.to_owned(), url.to_owned());
        let told = |bound: &[&str], interfaces: &[Interface]| {
            let bound: Vec<SocketAddr> = bound.iter().map(|bound| bound.parse().unwrap()).collect();
            let found = endpoints(&[], &bound, 1, interfaces).into_iter();
            found.map(|endpoint| (endpoint.interface, endpoint.url)).collect::<Vec<_>>()
        };
        let ipv4 = [row("eth0", "http://10.0.0.1:9"), row("eth1", "http://10.0.1.1:9")];
        let six = [row("six", "http://[fd00::2]:9")];
        assert_eq!(told(&["0.0.0.0:9"], &interfaces), ipv4);
        assert_eq!(told(&["[::]:9"], &interfaces), six);
        assert_eq!(told(&["0.0.0.0:9", "[::]:9"], &interfaces), [&ipv4[..], &six[..]].concat());
        assert_eq!(told(&["10.0.1.1:9", "10.0.1.1:9"], &interfaces), [row("eth1", "http://10.0.1.1:9")]);
        let second = [row("eth0", "http://10.0.0.2:9"), row("eth0", "http://[fd00::1]:9")];
        assert_eq!(told(&["10.0.0.2:9", "[fd00::1]:9"], &interfaces), second, "bound beside the one that is told");
        assert_eq!(told(&["127.0.0.1:9"], &interfaces), [row("lo", "http://127.0.0.1:9")]);
        assert_eq!(told(&["127.0.0.1:9", "10.0.1.1:9"], &interfaces), [row("eth1", "http://10.0.1.1:9")]);
        assert_eq!(told(&["10.0.9.9:9"], &interfaces), [], "its interface is gone, or does not count");
        assert_eq!(told(&["10.0.9.9:9"], &[]), [row("bound", "http://10.0.9.9:9")]);
    }
}
