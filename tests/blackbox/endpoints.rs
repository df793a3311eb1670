//! One node at several addresses: a file goes over all of them, and older clients find them too. Loopback addresses stand
//! in for NICs; what each carried is read off the sockets of the client, which says where it sent what.

use serde_json::Value;

use crate::support::{Node, Oracle, TOKEN, oracle, wait};

const LENGTH: u64 = 40_000_003;

/// A node that listens on 127.0.0.1 and 127.0.0.2 and advertises these, at one port.
pub fn node(advertised: &str) -> Node {
    let port = || {
        let first = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
        let port = first.local_addr().ok()?.port();
        std::net::TcpListener::bind(("127.0.0.2", port)).is_ok().then_some(port)
    };
    let port = wait::until("a port is free on both addresses", port);
    Node::setup().hosts("127.0.0.1,127.0.0.2").port(port).env("ADVERTISED_ENDPOINTS", advertised).start()
}

fn shares(json: &str) -> Vec<u64> {
    let json: Value = serde_json::from_str(json).expect("one JSON value");
    json["shares"].as_array().expect("shares").iter().map(|share| share["bytes"].as_u64().expect("bytes")).collect()
}

#[test]
fn one_file_goes_over_both_addresses_and_back() {
    let node = node("127.0.0.1,127.0.0.2");
    oracle::write_file(&node.dir().join("a.bin"), Oracle(7), LENGTH);
    let up = wait::run(node.et(&["upload", "a.bin", "-c", "1M", "--json"])).ok().stdout;
    let id = serde_json::from_str::<Value>(&up).expect("JSON")["id"].as_str().expect("an id").to_owned();
    let down = wait::run(node.et(&["download", &id, "-o", "b.bin", "-c", "1M", "--json"])).ok().stdout;
    oracle::check_file(&node.dir().join("b.bin"), Oracle(7), LENGTH);
    for shares in [shares(&up), shares(&down)] {
        assert_eq!(shares.len(), 2);
        assert!(shares.iter().all(|bytes| *bytes > 0), "{shares:?}");
        assert!(shares.iter().sum::<u64>() >= LENGTH, "{shares:?}");
    }
    let best = wait::run(node.et(&["download", &id, "-o", "c.bin", "--nics", "best", "--json"])).ok().stdout;
    oracle::check_file(&node.dir().join("c.bin"), Oracle(7), LENGTH);
    assert_eq!(shares(&best).iter().filter(|bytes| **bytes > 0).count(), 1);
}

#[test]
fn addresses_that_are_wrong_are_left_out() {
    let other = Node::start();
    let stranger = other.addr().to_string();
    let node = node(&format!("127.0.0.1,127.0.0.2,{stranger},127.0.0.3:1,nonsense://x"));
    oracle::write_file(&node.dir().join("a.bin"), Oracle(8), LENGTH);
    let up = wait::run(node.et(&["upload", "a.bin", "-c", "1M", "--json"])).ok().stdout;
    assert_eq!(shares(&up).len(), 2);
    assert_eq!((node.listed(), other.listed()), (1, 0));
    let info = wait::run(node.et(&["info"])).ok().stdout;
    assert!(info.contains("another server") && info.contains("no answer"), "{info}");
    assert!(!info.contains(TOKEN));
}
