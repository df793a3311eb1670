//! What a record costs in memory. A process of its own, because it looks at what the process has.

use std::sync::Arc;

use etransfer_contract::fact::{Fact, FactBatch, Presence};
use etransfer_contract::link::VERSION;
use etransfer_contract::{ObjectId, SpanSet};
use etransfer_controlplane::catalogue::{Kind, Owner, Record, Snapshot};
use etransfer_controlplane::config::Config;
use etransfer_controlplane::core::{Policy, SurfaceId};
use etransfer_controlplane::node::Node;
use etransfer_controlplane::retention::policy::Keep;

const FILES: u64 = 100_000;
/// Files in one page of the inventory.
const PAGE: u64 = 1_000;
/// The control plane's part of what a file may cost the node.
const BYTES_PER_FILE_MAX: u64 = 400;

/// Memory of this process that is in use, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// In any order, and always the same.
fn id(number: u64) -> ObjectId {
    let scattered = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    ObjectId::from_bytes(scattered.to_be_bytes())
}

/// As a signed-in person leaves it: it stands in four lists.
fn file(number: u64) -> Record {
    let at = 1_700_000_000_000 + number * 7_919 % FILES;
    Record {
        id: id(number),
        created_ms: at,
        filename: format!("report-{number:06}.pdf"),
        mime: Some("application/pdf".into()),
        checksum: String::new(),
        metadata: Some("filename cmVwb3J0LTAwMDAwMC5wZGY=,filetype YXBwbGljYXRpb24vcGRm".into()),
        length: Some(1),
        keep: Keep { policy: Policy::Permanent, ttl_s: None },
        kind: Kind::File,
        completed_ms: Some(at + 5),
        download_count: 0,
        once: Default::default(),
        idempotency_key: None,
        owner: Some(Owner::Person((number % 50) as i64)),
        maker: String::new(),
        surface: SurfaceId::EasyTransfer,
        key: String::new(),
        detail: serde_json::Value::Null,
    }
}

/// As the data plane tells it.
fn presence(number: u64) -> Presence {
    Presence {
        object: id(number),
        received: 1,
        contiguous: 1,
        spans: SpanSet::new(),
        length: Some(1),
        complete: true,
        at_unix_ms: 1_700_000_000_000,
    }
}

/// Files, and then an inventory of them.
async fn fill(node: &Node, numbers: std::ops::Range<u64>) {
    for number in numbers.clone() {
        node.create(file(number)).await.unwrap();
    }
    for from in numbers.clone().step_by(PAGE as usize) {
        let objects = (from..numbers.end.min(from + PAGE)).map(presence).collect();
        let facts = vec![Fact::Inventory { objects, last: false }];
        node.apply(FactBatch { version: VERSION, run: 1, asked_by: 0, facts }).await.unwrap();
    }
}

#[tokio::test]
async fn b5_a_complete_file_costs_the_control_plane_at_most_400_bytes() {
    let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
    fill(&node, 0..PAGE).await;
    let before = resident();
    fill(&node, PAGE..FILES + PAGE).await;
    let each = (resident() - before) / FILES;
    println!("{each} bytes of memory for each file");
    assert!(each <= BYTES_PER_FILE_MAX, "{each} bytes of memory for each file");
}
