//! PROMISES.md P7: a full disk is 507 with the prefix kept; deleting, completing, reading and reporting still work; it
//! recovers by itself when space appears.

use crate::support::disk::Disk;
use crate::support::tus::{Upload, patch, post};
use crate::support::{Node, Oracle, wait};
use crate::{oss, pyblobserver, secure_file_transfer};

const MIB: u64 = 1 << 20;

/// Fills the disk through the front door; gives back the upload that did not fit and how far it came.
fn fill(node: &Node, length: u64) -> (Upload, u64) {
    let upload = node.create(length);
    let content = Oracle(77);
    let mut offset = 0;
    for _ in 0..200 {
        let to = length.min(offset + MIB);
        let reply = node.send(&patch(&upload, offset, &content.bytes(offset..to))).one_of(&[204, 507]);
        let told = reply.number("Upload-Offset");
        assert!(told >= offset, "the offset went back from {offset} to {told}");
        if reply.status == 507 {
            assert!(reply.number("Retry-After") > 0);
            // What fits of a body is kept; a smaller one may still find room, until nothing does.
            if told == offset {
                return (upload, offset);
            }
        }
        offset = told;
    }
    panic!("the disk is never full: {offset} bytes are stored");
}

fn full(disk: &Disk, setup: crate::support::node::Setup, room: u64) {
    let mut node = setup.storage(&disk.path().join("storage")).start();
    let kept: Vec<(Upload, Vec<u8>)> = (0..4)
        .map(|seed| {
            let content = Oracle(seed).bytes(0..200_000);
            (node.complete(&content), content)
        })
        .collect();
    let (upload, offset) = fill(&node, room * 2);
    assert!(offset > 0);
    node.prefix(&upload, Oracle(77), offset);
    // Nothing else is harmed, and it still reports.
    for (upload, content) in &kept {
        node.whole(upload, content);
    }
    node.get("/api/info").is(200);
    node.get("/api/storage").is(200);
    assert_eq!(node.offset(&upload), offset);
    // A restart on a full disk works, and loses nothing.
    node.kill_and_start_again();
    assert_eq!(node.offset(&upload), offset);
    node.prefix(&upload, Oracle(77), offset);
    for (upload, content) in &kept {
        node.whole(upload, content);
    }
    // Deleting works and makes room; what waits goes on without a restart.
    node.delete(&kept[0].0.file()).is(200);
    let next = Oracle(77).bytes(offset..offset + 100_000);
    wait::until("there is room again", || {
        let reply = node.send(&patch(&upload, offset, &next)).one_of(&[204, 507, 409]);
        (reply.status != 507 || reply.number("Upload-Offset") > offset).then_some(())
    });
    let now = node.offset(&upload);
    node.prefix(&upload, Oracle(77), now);
    node.delete(&upload.file()).is(200);
    node.complete(&Oracle(5).bytes(0..MIB));
    assert!(node.stop().success());
}

#[test]
fn a_full_tmpfs() {
    let Some(disk) = Disk::tmpfs("size=96m") else { return };
    full(&disk, Node::setup(), 96 * MIB);
}

#[test]
fn a_full_ext4() {
    let Some(disk) = Disk::ext4(128) else { return };
    full(&disk, Node::setup().env("DURABILITY", "every"), 128 * MIB);
}

#[test]
fn a_full_ext4_with_buffered_writes() {
    let Some(disk) = Disk::ext4(128) else { return };
    full(&disk, Node::setup().env("WRITE_MODE", "buffered"), 128 * MIB);
}

#[test]
fn no_inodes_left() {
    let Some(disk) = Disk::tmpfs("size=64m,nr_inodes=400") else { return };
    let node = Node::setup().storage(&disk.path().join("storage")).start();
    let mut made = Vec::new();
    let refused = (0..600).find_map(|seed| {
        let content = Oracle(seed).bytes(0..1_000);
        let created = node.send(&post().header("Upload-Length", "1000")).one_of(&[201, 507]);
        if created.status == 507 {
            return Some(created);
        }
        let upload = Upload::at(created.field("Location"));
        let reply = node.patch(&upload, 0, &content).one_of(&[204, 507]);
        if reply.status == 507 {
            return Some(reply);
        }
        made.push((upload, content));
        None
    });
    let refused = refused.unwrap_or_else(|| panic!("{} files on 400 inodes", made.len()));
    assert!(refused.number("Retry-After") > 0);
    assert_eq!(refused.header("Location"), None, "errors carry no Location");
    for (upload, content) in &made {
        node.whole(upload, content);
    }
    for (upload, _) in made.drain(..20) {
        node.delete(&upload.file()).is(200);
    }
    wait::until("there is room again", || {
        let reply = node.send(&post().header("Upload-Length", "0")).one_of(&[201, 507]);
        (reply.status == 201).then_some(())
    });
    node.complete(b"hello");
}

#[test]
fn a_limit_on_file_size_is_507_too() {
    let setup = Node::setup().wrapped(&["prlimit", "--fsize=20000000"]);
    let node = setup.start();
    let keep = node.complete(b"hello");
    let upload = node.create(50_000_000);
    let content = Oracle(1);
    let mut offset = 0;
    let reply = loop {
        let reply = node.send(&patch(&upload, offset, &content.bytes(offset..offset + 4 * MIB))).one_of(&[204, 507]);
        let told = reply.number("Upload-Offset");
        if reply.status == 507 && told == offset {
            break reply;
        }
        offset = told;
        assert!(offset <= 20_000_000);
    };
    assert!(reply.number("Retry-After") > 0);
    node.prefix(&upload, content, offset);
    node.whole(&keep, b"hello");
    node.delete(&upload.file()).is(200);
    node.complete(&content.bytes(0..MIB));
}

#[test]
fn no_dialect_takes_a_full_disk_for_a_used_up_quota() {
    let setup = Node::setup().wrapped(&["prlimit", "--fsize=20000000"]);
    let setup = secure_file_transfer::devices(oss::key_pair(setup));
    let node = pyblobserver::blob_env(
        setup,
        &[("ALLOWED_USERS", "user1"), ("TOKEN_BOOTSTRAP", "open"), ("FILE_SIZE_LIMIT_MB", "100")],
    )
    .start();
    let content = Oracle(1).bytes(0..21_000_000);

    oss::refused(oss::Form::of_front_end("alice/x", content.clone()).post(&node), 507, "InsufficientStorage");
    let put = oss::signed_head("PUT", "alice/x", "", &[]).body(content.clone());
    oss::refused(node.send(&put), 507, "InsufficientStorage");
    assert_eq!(oss::content(&node, "alice/x"), None);

    let frame = secure_file_transfer::frame(0, content.len() as u64 - 1, 0, &content);
    let reply = node.send(&secure_file_transfer::Device::one(&node).posting("x", &frame)).is(507);
    assert_eq!(reply.json()["detail"], "No space left on this server");

    let file = pyblobserver::Part::file("file", "x", &content);
    let user = pyblobserver::User::first(&node, "user1");
    let reply = node.send(&user.authorized(pyblobserver::form("/blob/upload", &[file]))).is(507);
    assert_eq!(reply.json()["detail"], "No space left on this server");
    node.complete(b"hello");
}
