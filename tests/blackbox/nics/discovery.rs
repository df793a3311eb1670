//! easytransfer/CONTRACT.md §5.3: interfaces and addresses are told as they are now, while they come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::support::netns::NetNs;
use crate::support::node::Setup;
use crate::support::{Node, wait};

/// A change is told "within a second or so"; a machine under load gets more.
const SOON: Duration = Duration::from_secs(10);

fn setup(namespace: &NetNs) -> Setup {
    Node::setup().wrapped(&namespace.wrapper())
}

/// Interface → URL, of every endpoint.
fn told(node: &Node) -> BTreeMap<String, String> {
    let endpoints = node.get("/api/endpoints").is(200).json();
    let entry = |entry: &Value| (text(&entry["interface"]), text(&entry["url"]));
    endpoints["endpoints"].as_array().expect("a list").iter().map(entry).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

#[track_caller]
fn soon(node: &Node, expected: &[(&str, &str)]) {
    let expected: BTreeMap<String, String> =
        expected.iter().map(|(name, ip)| ((*name).to_owned(), format!("http://{ip}:{}", node.addr().port()))).collect();
    let mut last = BTreeMap::new();
    let seen = wait::within(SOON, || {
        last = told(node);
        (last == expected).then_some(())
    });
    assert!(seen.is_some(), "told {last:?}, expected {expected:?}");
}

#[test]
fn section_5_3_interfaces_and_addresses_that_come_and_go_are_told_while_the_node_runs() {
    let (server, far) = (NetNs::new(), NetNs::new());
    server.cable("eth0", "10.77.0.1/24", &far, "wire0");
    server.inside(|| {
        let node = setup(&server).hosts("0.0.0.0").start();
        soon(&node, &[("eth0", "10.77.0.1")]);
        // A second NIC, and a second address of the first, which is not told.
        server.cable("eth1", "10.77.1.1/24", &far, "wire1");
        server.address("eth0", "10.77.9.1/24");
        soon(&node, &[("eth0", "10.77.0.1"), ("eth1", "10.77.1.1")]);
        // Another address, the cable pulled and back, the address gone, the NIC gone.
        server.ip("addr del 10.77.0.1/24 dev eth0");
        soon(&node, &[("eth0", "10.77.9.1"), ("eth1", "10.77.1.1")]);
        far.ip("link set wire1 down");
        soon(&node, &[("eth0", "10.77.9.1")]);
        far.ip("link set wire1 up");
        soon(&node, &[("eth0", "10.77.9.1"), ("eth1", "10.77.1.1")]);
        server.ip("addr flush dev eth1");
        soon(&node, &[("eth0", "10.77.9.1")]);
        server.ip("link del eth0");
        soon(&node, &[]);
        // No IPv4 address: prefer_ipv4 keeps the IPv6 one to itself; link-local ones are never told.
        server.address("eth1", "169.254.3.3/16");
        server.address("eth1", "fd77::1/64");
        server.address("eth1", "10.77.1.2/24");
        soon(&node, &[("eth1", "10.77.1.2")]);
    });
}

#[test]
fn section_5_3_named_interfaces_their_speed_and_ipv6_addresses() {
    let (server, far) = (NetNs::new(), NetNs::new());
    server.cable("eth0", "10.77.0.1/24", &far, "wire0");
    server.cable("eth1", "10.77.1.1/24", &far, "wire1");
    server.cable("eth2", "fd77::1/64", &far, "wire2");
    server.inside(|| {
        let node = setup(&server)
            .hosts("0.0.0.0,::")
            .env("INTERFACES", "lo,eth1,eth2")
            .env("PREFER_IPV4", "false")
            .env("NETWORK_SPEED_MBPS", r#"{"eth1": 25000}"#)
            .start();
        soon(&node, &[("lo", "127.0.0.1"), ("eth1", "10.77.1.1"), ("eth2", "[fd77::1]")]);
        let info = node.get("/api/info").json();
        let speeds: BTreeMap<String, Option<u64>> = info["interfaces"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|interface| (text(&interface["name"]), interface["speed_mbps"].as_u64()))
            .collect();
        // What the driver of a veth says is 10000; loopback's says nothing.
        let expected = [("eth1", Some(25_000)), ("eth2", Some(10_000)), ("lo", None)];
        assert_eq!(speeds, expected.map(|(name, speed)| (name.to_owned(), speed)).into());
        let machine = &node.get("/api/stats").is(200).json()["machine"];
        assert!(machine["cpus"].as_u64() > Some(0) && machine["memory_available"].as_u64() > Some(0), "{machine}");
    });
}
