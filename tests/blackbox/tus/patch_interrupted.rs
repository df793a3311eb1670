//! TUS.md §A4: bodies that end early keep their prefix, never get a 204, and never hold the upload.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::tus::{Upload, patch_head};
use crate::support::{Conn, Node, Oracle, Role, wait};

const LENGTH: u64 = 1 << 20;
const SENT: u64 = 300_000;

/// A PATCH that announced 1 MiB and sent 300,000 bytes, some of which the server has.
fn half_sent(node: &Node, upload: &Upload, content: &[u8]) -> Conn {
    let mut conn = node.connect();
    conn.send_head(&patch_head(upload, 0).header("Content-Length", LENGTH.to_string()));
    conn.send(&content[..SENT as usize]);
    wait::until("the first bytes arrive", || {
        let info = node.get(&upload.file()).is(200).json();
        info["uploaded_size"].as_u64().filter(|n| *n > 0)
    });
    conn
}

/// A prefix is kept, and the upload can be finished from there.
fn prefix_kept(node: &Node, upload: &Upload, oracle: Oracle) {
    let content = oracle.bytes(0..LENGTH);
    let offset = node.offset(upload);
    assert!(offset > 0 && offset <= SENT, "offset {offset}");
    node.prefix(upload, oracle, offset);
    node.patch(upload, offset, &content[offset as usize..]).is(204);
    node.whole(upload, &content);
}

#[test]
fn a_reset_keeps_the_prefix() {
    let node = Node::start();
    let upload = node.create(LENGTH);
    half_sent(&node, &upload, &Oracle(1).bytes(0..LENGTH)).reset();
    prefix_kept(&node, &upload, Oracle(1));
}

#[test]
fn an_early_end_keeps_the_prefix_and_gets_no_204() {
    let node = Node::start();
    let upload = node.create(LENGTH);
    let mut conn = half_sent(&node, &upload, &Oracle(2).bytes(0..LENGTH));
    conn.finish_sending();
    let (bytes, ended) = conn.drain(crate::support::DEADLINE);
    let text = String::from_utf8_lossy(&bytes);
    assert!(ended && !text.starts_with("HTTP/1.1 2"), "{text}");
    prefix_kept(&node, &upload, Oracle(2));
}

#[test]
fn a_silent_sender_is_ended_by_the_next_head() {
    let node = Node::start();
    let upload = node.create(LENGTH);
    let mut conn = half_sent(&node, &upload, &Oracle(3).bytes(0..LENGTH));
    prefix_kept(&node, &upload, Oracle(3));
    let (bytes, ended) = conn.drain(crate::support::DEADLINE);
    assert!(ended, "the ended writer's connection is closed");
    assert!(!String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 2"));
}

#[test]
fn sigterm_keeps_the_prefix() {
    let mut node = Node::start();
    let upload = node.create(LENGTH);
    let conn = half_sent(&node, &upload, &Oracle(4).bytes(0..LENGTH));
    node.signal(Role::Both, Signal::TERM);
    let status = node.wait_end(Role::Both);
    assert!(status.success(), "{status:?}");
    drop(conn);
    node.start_again();
    prefix_kept(&node, &upload, Oracle(4));
}

#[test]
fn a_chunked_body_cut_in_the_middle_keeps_its_prefix() {
    let node = Node::start();
    let content = Oracle(5).bytes(0..LENGTH);
    let upload = node.create(LENGTH);
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 0).header("Transfer-Encoding", "chunked"));
    for piece in content[..SENT as usize].chunks(10_000) {
        conn.send(format!("{:x}\r\n", piece.len()).as_bytes());
        conn.send(piece);
        conn.send(b"\r\n");
    }
    conn.finish_sending();
    let (bytes, _) = conn.drain(crate::support::DEADLINE);
    assert!(!String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 2"));
    prefix_kept(&node, &upload, Oracle(5));
}

/// The 30 s of the default, shortened: silence and slowness are judged over this time.
fn impatient() -> Node {
    Node::setup().env("LIMITS_BODY_IDLE_TIMEOUT", 2).start()
}

#[test]
fn a_sender_silent_for_too_long_is_cut() {
    let node = impatient();
    let content = Oracle(6).bytes(0..LENGTH);
    let upload = node.create(LENGTH);
    let mut conn = half_sent(&node, &upload, &content);
    let (bytes, ended) = conn.drain(crate::support::DEADLINE);
    assert!(ended, "a silent sender keeps its connection");
    assert!(!String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 2"));
    prefix_kept(&node, &upload, Oracle(6));
}

#[test]
fn a_trickle_is_cut() {
    let node = impatient();
    let content = Oracle(7).bytes(0..LENGTH);
    let upload = node.create(LENGTH);
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 0).header("Content-Length", LENGTH.to_string()));
    // Ten bytes each twentieth of a second: never silent, always under 1 KiB/s.
    let mut sent = 0;
    let cut = wait::within(crate::support::DEADLINE, || {
        let end = !conn.quiet_for(Duration::from_millis(50)) || conn.try_send(&content[sent..sent + 10]).is_err();
        sent += 10;
        end.then_some(())
    });
    assert!(cut.is_some(), "a trickle goes on forever");
    let offset = node.offset(&upload);
    assert!(offset > 0 && offset <= sent as u64, "offset {offset} of {sent}");
    node.prefix(&upload, Oracle(7), offset);
}
