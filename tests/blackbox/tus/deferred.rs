//! TUS.md §A6: uploads that learn their length later.

use crate::support::tus::{Upload, patch, post};
use crate::support::{Node, Oracle, Request};

#[track_caller]
fn deferred(node: &Node) -> Upload {
    node.create_with(|request| request.header("Upload-Defer-Length", "1"))
}
fn with_length(upload: &Upload, offset: u64, body: &[u8], length: &str) -> Request {
    patch(upload, offset, body).header("Upload-Length", length)
}

#[test]
fn deferral_is_announced_and_its_only_value_is_one() {
    let node = Node::start();
    let list = node.send(&Request::new("OPTIONS", "/tus")).field("Tus-Extension").to_owned();
    assert!(list.split(',').any(|n| n == "creation-defer-length"), "{list}");
    for value in ["0", "2", "true", "", "1 1", "-1"] {
        node.send(&post().header("Upload-Defer-Length", value)).is(400);
    }
    assert_eq!(node.listed(), 0);
}

#[test]
fn head_says_deferred_until_the_length_is_set() {
    let mut node = Node::start();
    let upload = deferred(&node);
    let unknown = |node: &Node| {
        let reply = node.head(&upload).is(200);
        assert_eq!(reply.field("Upload-Defer-Length"), "1");
        assert_eq!(reply.header("Upload-Length"), None);
        reply.number("Upload-Offset")
    };
    assert_eq!(unknown(&node), 0);
    node.patch(&upload, 0, b"hello").is(204);
    assert_eq!(unknown(&node), 5);
    node.kill_and_start_again();
    assert_eq!(unknown(&node), 5);
    node.send(&with_length(&upload, 5, b" ", "11")).is(204);
    for _ in 0..2 {
        let reply = node.head(&upload).is(200);
        assert_eq!(reply.header("Upload-Defer-Length"), None);
        assert_eq!((reply.number("Upload-Offset"), reply.number("Upload-Length")), (6, 11));
        node.kill_and_start_again();
    }
    node.patch(&upload, 6, b"world").is(204);
    assert_eq!(node.head(&upload).header("Upload-Defer-Length"), None);
    node.whole(&upload, b"hello world");
}

#[test]
fn the_length_may_come_with_any_patch() {
    let node = Node::start();
    let content = Oracle(1).bytes(0..30_000);
    // (the patch that carries the length, whether it is an empty one)
    for (at, empty) in [(0, false), (10_000, false), (20_000, false), (0, true), (10_000, true), (30_000, true)] {
        let upload = deferred(&node);
        for from in [0usize, 10_000, 20_000] {
            if empty && from == at {
                node.send(&with_length(&upload, from as u64, &[], "30000")).is(204);
            }
            let body = &content[from..from + 10_000];
            let plain = patch(&upload, from as u64, body);
            let request = if !empty && from == at { plain.header("Upload-Length", "30000") } else { plain };
            node.send(&request).is(204);
        }
        if empty && at == 30_000 {
            assert_eq!(node.get(&upload.file()).json()["status"], "partial");
            node.send(&with_length(&upload, 30_000, &[], "30000")).is(204);
        }
        node.whole(&upload, &content);
    }
}

#[test]
fn a_length_once_set_never_changes() {
    let node = Node::start();
    let upload = deferred(&node);
    node.send(&with_length(&upload, 0, b"hello", "11")).is(204);
    for other in ["10", "12", "5", "0"] {
        node.refused(&upload, &with_length(&upload, 5, b" ", other), 400);
    }
    node.refused(&upload, &with_length(&upload, 5, b" ", "eleven"), 400);
    node.send(&with_length(&upload, 5, b" world", "11")).is(204);
    node.whole(&upload, b"hello world");
}

#[test]
fn a_length_below_the_offset_is_400_and_one_equal_to_it_completes() {
    let node = Node::start();
    let upload = deferred(&node);
    node.patch(&upload, 0, b"hello").is(204);
    node.refused(&upload, &with_length(&upload, 5, &[], "4"), 400);
    node.refused(&upload, &with_length(&upload, 5, b"xyz", "6"), 400);
    assert_eq!(node.get(&upload.file()).json()["status"], "partial");
    node.send(&with_length(&upload, 5, &[], "5")).is(204);
    node.whole(&upload, b"hello");
}

#[test]
fn the_maximum_holds_for_unknown_lengths() {
    let node = Node::setup().env("MAX_UPLOAD_SIZE", 100_000).start();
    let content = Oracle(2).bytes(0..150_000);
    let upload = deferred(&node);
    node.patch(&upload, 0, &content[..60_000]).is(204);
    node.refused(&upload, &with_length(&upload, 60_000, &[], "100001"), 413);
    let reply = node.send(&patch(&upload, 60_000, &content[60_000..]).chunked(5_000)).is(413);
    let offset = node.offset(&upload);
    assert_eq!(reply.number("Upload-Offset"), offset, "the refusal tells the offset reached");
    assert!((60_000..=100_000).contains(&offset), "{offset}");
    node.prefix(&upload, Oracle(2), offset);
    node.send(&with_length(&upload, offset, &content[offset as usize..100_000], "100000")).is(204);
    node.whole(&upload, &content[..100_000]);
}

#[test]
fn the_quota_holds_for_unknown_lengths() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 100_000).start();
    let content = Oracle(3).bytes(0..150_000);
    let upload = deferred(&node);
    node.patch(&upload, 0, &content[..60_000]).is(204);
    let known = node.refused(&upload, &patch(&upload, 60_000, &content[60_000..]), 507);
    assert_eq!(known.number("Upload-Offset"), 60_000);
    let reply = node.send(&patch(&upload, 60_000, &content[60_000..]).chunked(5_000)).is(507);
    let offset = node.offset(&upload);
    assert_eq!(reply.number("Upload-Offset"), offset);
    assert!((60_000..=100_000).contains(&offset), "{offset}");
    node.prefix(&upload, Oracle(3), offset);
    let used = node.get("/api/storage").is(200).json()["used"].as_u64().expect("a number");
    assert_eq!(used, offset, "what was not stored is not counted");
}

#[test]
fn a_length_on_an_upload_that_knows_it_must_be_the_same() {
    let node = Node::start();
    let upload = node.create(11);
    node.send(&with_length(&upload, 0, b"hello", "11")).is(204);
    node.refused(&upload, &with_length(&upload, 5, b" world", "12"), 400);
    node.refused(&upload, &with_length(&upload, 5, b" world", ""), 400);
    node.send(&with_length(&upload, 5, b" world", "11")).is(204);
    node.whole(&upload, b"hello world");
}
