//! Several NICs of different speeds between a server and a client, each a cable of its own:
//!
//! ```text
//!  server 10.79.0.1 eth0 ═ 100 Mbit/s ═ wire0 10.79.0.2 client
//!         10.79.1.1 eth1 ═ 200 Mbit/s ═ wire1 10.79.1.2
//!         10.79.2.1 eth2 ═ 400 Mbit/s ═ wire2 10.79.2.2
//! ```

use std::net::SocketAddr;
use std::sync::mpsc;

use serde_json::Value;

use crate::support::netns::{Counters, NetNs};
use crate::support::node::Setup;
use crate::support::tus::{patch, post};
use crate::support::{Conn, Node, Oracle, Request, TOKEN, Upload, wait};

pub const MBIT: [u32; 3] = [100, 200, 400];
pub const NICS: usize = MBIT.len();

pub struct Cables {
    pub server: NetNs,
    pub client: NetNs,
}

impl Cables {
    pub fn new() -> Self {
        let cables = Self { server: NetNs::new(), client: NetNs::new() };
        for (index, mbit) in MBIT.into_iter().enumerate() {
            let (nic, wire) = (format!("eth{index}"), format!("wire{index}"));
            cables.server.cable(&nic, &format!("10.79.{index}.1/24"), &cables.client, &wire);
            cables.client.address(&wire, &format!("10.79.{index}.2/24"));
            cables.server.shape(&nic, mbit);
            cables.client.shape(&wire, mbit);
        }
        cables
    }

    pub fn setup(&self) -> Setup {
        let speeds: Vec<String> = (0..NICS).map(|index| format!(r#""eth{index}": {}"#, MBIT[index])).collect();
        let speeds = format!("{{{}}}", speeds.join(", "));
        Node::setup().wrapped(&self.server.wrapper()).hosts("0.0.0.0").env("NETWORK_SPEED_MBPS", speeds)
    }

    pub fn counters(&self) -> Vec<Counters> {
        (0..NICS).map(|index| self.server.counters(&format!("eth{index}"))).collect()
    }

    /// Does `work` and tells how many bytes each of the server's NICs sent and received meanwhile.
    pub fn counted(&self, work: impl FnOnce()) -> Vec<Counters> {
        let before = self.counters();
        work();
        let grown = |(after, before): (Counters, Counters)| Counters {
            sent: after.sent - before.sent,
            received: after.received - before.received,
        };
        self.counters().into_iter().zip(before).map(grown).collect()
    }
}

pub fn address(node: &Node, nic: usize) -> SocketAddr {
    SocketAddr::from(([10, 79, nic as u8, 1], node.addr().port()))
}

#[test]
fn the_nic_whose_address_a_client_picks_carries_its_bytes() {
    const BYTES: u64 = 1 << 20;
    let cables = Cables::new();
    let content = Oracle(3).bytes(0..BYTES);
    let node = cables.server.inside(|| cables.setup().start());
    for nic in 0..NICS {
        let carried = cables.counted(|| {
            cables.client.inside(|| {
                let mut conn = Conn::open(address(&node, nic));
                let created = conn.ask(&post().header("Upload-Length", BYTES.to_string())).is(201);
                let upload = Upload::at(created.header("Location").expect("where it is"));
                conn.ask(&patch(&upload, 0, &content)).is(204);
                let reply = conn.ask(&Request::get(&upload.download()).header("X-API-Token", TOKEN)).is(200);
                assert!(reply.body == content, "other bytes came back");
            });
        });
        for (index, Counters { sent, received }) in carried.into_iter().enumerate() {
            let is_picked = index == nic;
            let fits = |bytes: u64| if is_picked { bytes > BYTES } else { bytes < BYTES / 10 };
            assert!(fits(sent) && fits(received), "eth{nic} was picked; eth{index} sent {sent}, received {received}");
        }
    }
    cables.server.inside(|| {
        wait::until("the node tells what the kernel counted", || {
            let told = node.get("/api/traffic").is(200).json();
            let sent: Vec<u64> =
                list(&told, "interfaces").iter().filter_map(|nic| nic["bytes_sent"].as_u64()).collect();
            (sent.len() == NICS && sent.iter().all(|bytes| *bytes > BYTES)).then_some(())
        });
        drop(node);
    });
}

#[test]
fn section_16_24_a_nic_that_sends_is_full_for_downloads_and_free_for_uploads() {
    const BYTES: u64 = 64 << 20;
    const BUSY: usize = 2;
    let cables = Cables::new();
    let (node, target) = cables.server.inside(|| {
        let node = cables.setup().start();
        let target = node.complete(&Oracle(4).bytes(0..BYTES)).download();
        (node, target)
    });
    let (server, busy) = (address(&node, BUSY), format!("http://{}", address(&node, BUSY)));
    let (seen, is_seen) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            cables.client.inside(move || {
                // One download after the other, until the figures have shown them.
                while matches!(is_seen.try_recv(), Err(mpsc::TryRecvError::Empty)) {
                    let request = Request::get(&target).header("X-API-Token", TOKEN);
                    Conn::open(server).ask(&request).is(200);
                }
            });
        });
        cables.server.inside(|| {
            // It would be the answer to most who ask at once: more than half of the speed there is.
            wait::until("the busy NIC is told for uploads only", || {
                let told: Vec<Value> = (0..6).map(|_| node.get("/api/endpoints").is(200).json()).collect();
                let best = |name: &str| told.iter().filter(|told| told[name] == busy.as_str()).count();
                (best("best_for_download") == 0 && best("best_for_upload") >= 3).then_some(())
            });
        });
        drop(seen);
    });
    cables.server.inside(|| drop(node));
}

#[test]
fn uploads_under_way_send_the_next_ones_to_another_nic() {
    let (server, client) = (NetNs::new(), NetNs::new());
    for nic in 0..2 {
        server.cable(&format!("eth{nic}"), &format!("10.79.{nic}.1/24"), &client, &format!("wire{nic}"));
        client.address(&format!("wire{nic}"), &format!("10.79.{nic}.2/24"));
    }
    let node = server.inside(|| Node::setup().wrapped(&server.wrapper()).hosts("0.0.0.0").start());
    let first = address(&node, 0);
    // Silent ones: no rate tells of them.
    let mut held: Vec<Conn> = client.inside(|| {
        let open = || {
            let mut conn = Conn::open(first);
            let created = conn.ask(&post().header("Upload-Length", "1048576")).is(201);
            let upload = Upload::at(created.header("Location").expect("where it is"));
            conn.send_head(&patch(&upload, 0, &[0; 1 << 20]));
            conn
        };
        (0..8).map(|_| open()).collect()
    });
    server.inside(|| {
        let other = format!("http://{}", address(&node, 1));
        wait::until("four who ask one after the other are all told the NIC without uploads", || {
            let told = || node.get("/api/endpoints").is(200).json()["best_for_upload"] == other.as_str();
            (0..4).all(|_| told()).then_some(())
        });
        held.drain(..).for_each(Conn::reset);
        drop(node);
    });
}

pub fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("no list {name} in {value}"))
}
