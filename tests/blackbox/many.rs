//! Many small files: a node that holds them starts, answers at once, and tells its control plane of them while it serves.

use crate::support::idle::memory_of;
use crate::support::node::Setup;
use crate::support::{Node, Request, Role, TOKEN, wait};

/// More than fit several pages of an inventory.
const FILES: u64 = 6_000;

fn planted(setup: Setup) -> Node {
    let mut node = setup.start();
    plant(&mut node, FILES);
    node
}

/// Restarts the node with this many more files.
fn plant(node: &mut Node, files: u64) {
    node.stop();
    let planted = wait::run(node.et(&["server", "plant", "--objects", &files.to_string(), "--bytes", "3"])).ok().stdout;
    assert_eq!(planted.trim(), format!("{files} files of 3 bytes"));
    node.start_again();
}

#[track_caller]
fn all_there(node: &Node, others: u64) {
    let list = node.get("/api/files?page_size=100&page=7").is(200).json();
    assert_eq!(list["total"], FILES + others, "{}", list["total"]);
    assert_eq!(list["files"].as_array().expect("a list").len(), 100);
    let id = list["files"][50]["file_id"].as_str().expect("an id").to_owned();
    assert_eq!(node.get(&format!("/api/files/{id}/download")).is(200).body, b"xxx");
}

#[test]
fn b5_a_node_with_many_files_decides_while_it_tells_what_it_holds() {
    let mut node = planted(Node::setup());
    for _start in 0..2 {
        // Nothing of this waits for the inventory, and none of it is a 503.
        node.get("/api/health").is(200);
        let upload = node.create(5);
        node.patch(&upload, 0, b"he").is(204);
        all_there(&node, 1);
        wait::until("it is ready", || (node.get("/readyz").status == 200).then_some(()));
        node.kill_and_start_again();
        assert_eq!(node.offset(&upload), 2, "an open upload is told before everything else");
        node.patch(&upload, 2, b"llo").is(204);
        node.delete(&upload.file()).one_of(&[200, 204]);
    }
    node.stop();
    assert!(wait::run(node.et(&["server", "verify"])).ok().stdout.contains(&FILES.to_string()));
}

#[test]
fn b5_a_limit_counts_what_is_there_before_the_inventory_was_told() {
    let mut node = planted(Node::setup().two_processes().env("MAX_STORAGE_SIZE", FILES * 3 + 10));
    for _start in 0..3 {
        let small = node.create(5);
        node.patch(&small, 0, b"hello").is(204);
        node.delete(&small.file()).one_of(&[200, 204]);
        let large = node.create_with(|request| request.without("Upload-Length").header("Upload-Defer-Length", "1"));
        node.patch(&large, 0, &[7; 11]).is(507);
        node.send(
            &Request::new("DELETE", &format!("/tus/{}", large.id))
                .header("Tus-Resumable", "1.0.0")
                .header("X-API-Token", TOKEN),
        );
        // The control plane alone: it asks for everything again.
        node.kill_one(Role::Control);
        node.spawn(Role::Control).expect("it starts");
        wait::until("it decides", || (node.get("/api/health").status == 200).then_some(()));
    }
    all_there(&node, 0);
}

/// Bytes of memory that the data plane has, started and left alone.
#[track_caller]
fn resident(node: &Node) -> u64 {
    wait::until("it is ready", || (node.get("/readyz").status == 200).then_some(()));
    memory_of(node, Role::Data, "VmRSS:")
}

#[test]
fn b5_a_complete_file_that_nobody_uses_costs_the_data_plane_little_memory() {
    const MORE: u64 = 30_000;
    const BYTES_EACH: u64 = 250;
    /// What two starts differ by whatever they hold: heaps of threads, pages that were used once.
    const NOISE: u64 = 2 << 20;
    let mut node = Node::setup().two_processes().start();
    // Both are restarts: what a start needs for itself is in both.
    plant(&mut node, 100);
    let few = resident(&node);
    plant(&mut node, MORE);
    let many = resident(&node);
    assert!(many < few + MORE * BYTES_EACH + NOISE, "{few} bytes with 100 files, {many} with {MORE} more");
    println!("{} bytes a file", many.saturating_sub(few) / MORE);
}
