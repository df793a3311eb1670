//! `network.bind_device`: answers leave by the NIC their requests came in by.
//!
//! ```text
//!  server 10.78.0.1 eth0 ═══ wire0 10.78.0.2 client
//!         10.78.1.1 eth1 ═══ wire1 10.78.1.2
//! ```
//!
//! The client asks 10.78.1.1 from 10.78.0.2: the server's routing table answers that peer through eth0.

use std::net::{SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType};

use crate::support::netns::NetNs;
use crate::support::{Node, Oracle, TOKEN};

const BYTES: u64 = 4 << 20;

/// Downloads a file of [`BYTES`] from eth1's address as 10.78.0.2; what eth0 and eth1 sent for it.
fn sent_by(bind_device: bool) -> (u64, u64) {
    let (server, client) = (NetNs::new(), NetNs::new());
    server.cable("eth0", "10.78.0.1/24", &client, "wire0");
    server.cable("eth1", "10.78.1.1/24", &client, "wire1");
    client.address("wire0", "10.78.0.2/24");
    client.address("wire1", "10.78.1.2/24");
    for namespace in [&server, &client] {
        namespace.accept_any_way();
    }
    let (node, target) = server.inside(|| {
        let setup = Node::setup().wrapped(&server.wrapper()).hosts("127.0.0.1,10.78.0.1,10.78.1.1");
        let node = setup.env("NETWORK_BIND_DEVICE", bind_device).start();
        let upload = node.complete(&Oracle(5).bytes(0..BYTES));
        let target = upload.download();
        (node, target)
    });
    let sent = || (server.counters("eth0").sent, server.counters("eth1").sent);
    let before = sent();
    client.inside(|| {
        let mut conn = connect_from("10.78.0.2:0", SocketAddr::from(([10, 78, 1, 1], node.addr().port())));
        download(&mut conn, &target);
    });
    let after = sent();
    (after.0 - before.0, after.1 - before.1)
}

fn connect_from(local: &str, server: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    rustix::net::bind(&socket, &local.parse::<SocketAddr>().expect("address")).expect("bind");
    rustix::net::connect(&socket, &server).expect("connect");
    TcpStream::from(socket)
}

fn download(conn: &mut TcpStream, target: &str) {
    use std::io::{Read as _, Write as _};
    conn.set_read_timeout(Some(crate::support::DEADLINE)).expect("set the time limit");
    let head = format!("GET {target} HTTP/1.1\r\nHost: here\r\nX-API-Token: {TOKEN}\r\nConnection: close\r\n\r\n");
    conn.write_all(head.as_bytes()).expect("ask");
    let mut reply = Vec::new();
    conn.read_to_end(&mut reply).expect("the whole reply");
    assert!(reply.starts_with(b"HTTP/1.1 200") && reply.len() as u64 > BYTES, "{} bytes", reply.len());
    assert!(reply.ends_with(&Oracle(5).bytes(BYTES - 64..BYTES)));
}

#[test]
fn answers_follow_the_routing_table_and_with_bind_device_the_nic_they_came_by() {
    let (eth0, eth1) = sent_by(false);
    assert!(eth0 > BYTES && eth1 < BYTES / 10, "by the routing table: eth0 sent {eth0}, eth1 sent {eth1}");
    let (eth0, eth1) = sent_by(true);
    assert!(eth1 > BYTES && eth0 < BYTES / 10, "by the device: eth0 sent {eth0}, eth1 sent {eth1}");
}

#[test]
fn an_address_that_no_interface_has_stops_the_start() {
    let failure = Node::setup().hosts("192.0.2.77").env("NETWORK_BIND_DEVICE", "true").try_start().err();
    let failure = failure.expect("no interface has that address");
    assert!(failure.contains("no interface has 192.0.2.77, which server.host names"), "{failure}");
}
