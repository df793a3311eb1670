//! One node at several addresses: a file goes over all of them, and older clients find them too. Loopback addresses stand
//! in for NICs; what each carried is what the client says it sent there, or what a relay in between counted.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Node, Oracle, TOKEN, oracle, wait};

const LENGTH: u64 = 40_000_003;

/// A node that listens on 127.0.0.1 and 127.0.0.2 and advertises these, at one port.
pub fn node(advertised: &str) -> Node {
    let port = || {
        let first = TcpListener::bind("127.0.0.1:0").ok()?;
        let port = first.local_addr().ok()?.port();
        TcpListener::bind(("127.0.0.2", port)).is_ok().then_some(port)
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

/// What becomes of a relay after its first bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// 256 KiB a second from then on.
    Crawls,
    /// Keeps its connections and lets nothing through: a NIC that went down.
    Silent,
    /// Breaks its connections, and every new one.
    Cut,
}

/// Bytes before that.
const HEALTHY: u64 = 256 << 10;

/// Another way to a node, which goes wrong on the way. Its threads end with the test's process.
struct Relay {
    address: SocketAddr,
    node: Arc<OnceLock<SocketAddr>>,
    /// Bytes it let through, both ways.
    moved: Arc<AtomicU64>,
}

impl Relay {
    fn start(fate: Fate) -> Self {
        let listener = TcpListener::bind("127.0.0.2:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (node, moved) = (Arc::<OnceLock<SocketAddr>>::default(), Arc::<AtomicU64>::default());
        let (known, counted) = (Arc::clone(&node), Arc::clone(&moved));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(known.get().expect("the node is up")).expect("the node");
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let moved = Arc::clone(&counted);
                    std::thread::spawn(move || pass(from, to, fate, &moved));
                }
            }
        });
        Self { address, node, moved }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, fate: Fate, moved: &AtomicU64) {
    let mut block = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut block) {
        match fate {
            _ if moved.load(Ordering::SeqCst) < HEALTHY => {}
            Fate::Crawls => std::thread::sleep(Duration::from_millis(1000 / 16)),
            Fate::Silent => loop {
                std::thread::park();
            },
            Fate::Cut => break,
        }
        moved.fetch_add(count as u64, Ordering::SeqCst);
        if to.write_all(&block[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_way_that_fails_midway_costs_no_byte() {
    for fate in [Fate::Crawls, Fate::Silent, Fate::Cut] {
        for is_upload in [true, false] {
            let relay = Relay::start(fate);
            let mut node = Node::setup().env("ADVERTISED_ENDPOINTS", format!("127.0.0.1,{}", relay.address)).start();
            node.without_audit(); // a silent relay keeps its connections
            relay.node.set(node.addr()).expect("set once");
            let length = 12_000_003;
            let content = Oracle(9).bytes(0..length);
            // Small slices: the relay gets some of the file although the other way is as quick as memory.
            if is_upload {
                oracle::write_file(&node.dir().join("a.bin"), Oracle(9), length);
                let up = wait::run(node.et(&["upload", "a.bin", "-c", "256K", "--json"])).ok().stdout;
                let up: Value = serde_json::from_str(&up).expect("JSON");
                let id = up["id"].as_str().expect("an id");
                let stored = node.get(&format!("/api/files/{id}/download")).is(200).body;
                assert!(stored == content, "{fate:?}: the bytes differ");
            } else {
                let upload = node.complete(&content);
                wait::run(node.et(&["download", &upload.id, "-o", "b.bin", "-c", "256K"])).ok();
                oracle::check_file(&node.dir().join("b.bin"), Oracle(9), length);
            }
            assert!(relay.moved.load(Ordering::SeqCst) >= HEALTHY / 2, "{fate:?}: it was used until it failed");
        }
    }
}
