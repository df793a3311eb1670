//! TUS.md §A5 and §A7: creation, with and without a body.

use std::collections::HashSet;

use crate::support::tus::{OCTETS, Upload, head, patch, post, tus};
use crate::support::{Node, Oracle, Request};

#[test]
fn creation_is_announced() {
    let node = Node::start();
    let list = node.send(&Request::new("OPTIONS", "/tus")).field("Tus-Extension").to_owned();
    for name in ["creation", "creation-with-upload"] {
        assert!(list.split(',').any(|n| n == name), "{list}");
    }
}

#[test]
fn a_created_upload_answers_at_once_under_an_absolute_location() {
    let node = Node::start();
    let reply = node.send(&tus("POST", "/tus?token=secret&x=1").header("Upload-Length", "5")).is(201);
    let location = reply.field("Location").to_owned();
    assert!(location.starts_with(&format!("{}/tus/", node.url())), "{location}");
    assert!(!location.contains('?'), "no query string is copied: {location}");
    assert!(reply.body.is_empty());
    assert_eq!(reply.field("Upload-Offset"), "0");
    assert_eq!(reply.field("Tus-Version"), "1.0.0");
    let upload = Upload::at(&location);
    assert_eq!(node.head(&upload).is(200).number("Upload-Offset"), 0);
    // The authority is the one of the request.
    let named = node.send(&post().header("Host", "files.example:8080").header("Upload-Length", "5")).is(201);
    assert!(named.field("Location").starts_with("http://files.example:8080/tus/"), "{named:?}");
    // Forwarded fields of a peer that is no configured proxy count for nothing.
    let forwarded = post()
        .header("Upload-Length", "5")
        .header("X-Forwarded-Host", "evil.example")
        .header("X-Forwarded-Proto", "https");
    let reply = node.send(&forwarded).is(201);
    assert!(reply.field("Location").starts_with(&node.url()), "{reply:?}");
}

#[test]
fn ids_are_unguessable() {
    let node = Node::start();
    let mut conn = node.connect();
    let ids: Vec<String> = (0..200)
        .map(|_| Upload::at(conn.ask(&post().header("Upload-Length", "5")).is(201).field("Location")).id)
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 200);
    // Random ids differ from their neighbour in about half of the free bits; counters and clocks do not.
    for pair in ids.windows(2) {
        let [a, b] = [&pair[0], &pair[1]].map(|id| u128::from_str_radix(id, 16).expect("hex"));
        let differing = (a ^ b).count_ones();
        assert!((24..=104).contains(&differing), "{} and {} are alike", pair[0], pair[1]);
    }
}

#[test]
fn a_head_on_another_core_sees_the_upload_at_once() {
    let node = Node::start();
    let mut conns: Vec<_> = (0..8).map(|_| node.connect()).collect();
    for round in 0..100 {
        let upload = Upload::at(conns[round % 8].ask(&post().header("Upload-Length", "5")).is(201).field("Location"));
        conns[(round + 3) % 8].ask(&head(&upload)).is(200);
    }
}

#[test]
fn neither_length_nor_deferral_is_400_and_so_are_both() {
    let node = Node::start();
    for request in [post(), post().header("Upload-Length", "5").header("Upload-Defer-Length", "1")] {
        let reply = node.send(&request).is(400);
        assert_eq!(reply.header("Location"), None, "errors carry no Location");
    }
    assert_eq!(node.listed(), 0);
}

#[test]
fn the_maximum_is_exact() {
    let node = Node::setup().env("MAX_UPLOAD_SIZE", 1_000).start();
    for (length, status) in [
        ("999", 201),
        ("1000", 201),
        ("1001", 413),
        ("9223372036854775807", 413),
        ("9223372036854775808", 400),
        ("18446744073709551616", 400),
        ("-1", 400),
    ] {
        let reply = node.send(&post().header("Upload-Length", length)).is(status);
        assert_eq!(reply.header("Location").is_some(), status == 201, "{reply:?}");
    }
    assert_eq!(node.listed(), 2);
}

#[test]
fn a_length_near_the_end_of_numbers_reserves_nothing() {
    let node = Node::start();
    let upload = node.create(1 << 62);
    assert_eq!(node.head(&upload).is(200).number("Upload-Length"), 1 << 62);
    node.patch(&upload, 0, b"hello").is(204);
    let blocks = crate::support::audit::blocks_below(&node.storage().join("objects"));
    assert!(blocks < 2 << 20, "{blocks} bytes of disk for five bytes of content");
}

#[test]
fn length_zero_is_complete_at_creation() {
    let mut node = Node::start();
    let upload = node.create(0);
    let reply = node.head(&upload).is(200);
    assert_eq!((reply.number("Upload-Offset"), reply.number("Upload-Length")), (0, 0));
    for _ in 0..2 {
        let got = node.get(&upload.download()).is(200);
        assert_eq!((got.field("Content-Length"), got.body.len()), ("0", 0));
        assert_eq!(node.get(&upload.file()).is(200).json()["status"], "complete");
        node.kill_and_start_again();
    }
}

#[test]
fn a_location_survives_a_kill_right_after_the_201() {
    let mut node = Node::setup().env("DURABILITY", "every").start();
    for round in 0..5 {
        let upload = node.create(100 + round);
        node.kill_and_start_again();
        assert_eq!(node.head(&upload).is(200).number("Upload-Length"), 100 + round);
    }
}

#[test]
fn a_body_is_stored_with_the_creation() {
    let node = Node::start();
    let content = Oracle(1).bytes(0..500_000);
    let with_body =
        |length: &str, body: &[u8]| post().header("Upload-Length", length).header("Content-Type", OCTETS).body(body);
    let part = node.send(&with_body("500000", &content[..123_456])).is(201);
    assert_eq!(part.number("Upload-Offset"), 123_456);
    assert!(part.header("Upload-Expires").is_some());
    let upload = Upload::at(part.field("Location"));
    assert_eq!(node.offset(&upload), 123_456);
    node.patch(&upload, 123_456, &content[123_456..]).is(204);
    node.whole(&upload, &content);
    // Nothing in the body: created, nothing stored.
    let none = node.send(&with_body("500000", &[])).is(201);
    assert_eq!(none.number("Upload-Offset"), 0);
    // Chunked.
    let chunked = node.send(&with_body("500000", &content).chunked(10_000)).is(201);
    assert_eq!(chunked.number("Upload-Offset"), 500_000);
    node.whole(&Upload::at(chunked.field("Location")), &content);
}

#[test]
fn a_complete_body_completes_the_upload() {
    let node = Node::start();
    let content = Oracle(2).bytes(0..77_777);
    let request = post().header("Upload-Length", "77777").header("Content-Type", OCTETS).body(content.clone());
    let reply = node.send(&request).is(201);
    assert_eq!(reply.number("Upload-Offset"), 77_777);
    node.whole(&Upload::at(reply.field("Location")), &content);
    assert_eq!(node.listed(), 1);
}

#[test]
fn a_body_of_another_type_is_ignored() {
    let node = Node::start();
    for kind in ["text/plain", "application/octet-stream"] {
        let mut conn = node.connect();
        let request = post().header("Upload-Length", "5").header("Content-Type", kind).body("hello");
        let reply = conn.ask(&request).is(201);
        assert_eq!(reply.number("Upload-Offset"), 0);
        assert_eq!(node.offset(&Upload::at(reply.field("Location"))), 0);
    }
}

#[test]
fn a_body_that_may_not_be_creates_nothing() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 100_000).start();
    let with_body =
        |length: &str, body: Vec<u8>| post().header("Upload-Length", length).header("Content-Type", OCTETS).body(body);
    let wrong = "sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw=";
    for (request, status) in [
        (with_body("4", b"hello".to_vec()), 400),
        (with_body("4", b"hello".to_vec()).chunked(2), 400),
        (with_body("5", b"hello".to_vec()).header("Upload-Checksum", wrong), 460),
        (with_body("9", b"hello".to_vec()).header("Upload-Checksum", wrong), 460),
        (with_body("5", b"hello".to_vec()).header("Upload-Checksum", "sha99 AAAA"), 400),
        (with_body("5", b"hello".to_vec()).header("Upload-Checksum", "sha1 AAAA"), 400),
        (with_body("200000", vec![0; 150_000]), 507),
    ] {
        let reply = node.send(&request).is(status);
        assert_eq!(reply.header("Location"), None, "errors carry no Location: {reply:?}");
        assert_eq!(node.listed(), 0, "{reply:?}");
    }
    assert_eq!(node.get("/api/storage").is(200).json()["used"], 0);
    assert!(crate::support::audit::objects_below(node.storage()).is_empty(), "no object file stays behind");
    // Right, and it fits.
    let right = with_body("2", b"ab".to_vec()).header("Upload-Checksum", wrong);
    assert_eq!(node.send(&right).is(201).number("Upload-Offset"), 2);
}

#[test]
fn hundred_continue_comes_only_when_the_creation_will_succeed() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 100_000).start();
    let expecting = |length: &str, body: &str| {
        post()
            .header("Upload-Length", length)
            .header("Content-Type", OCTETS)
            .header("Content-Length", body)
            .header("Expect", "100-continue")
    };
    let mut conn = node.connect();
    conn.send_head(&expecting("200000", "200000"));
    assert!(conn.reply().is(507).interim.is_empty());
    drop(conn);
    let mut conn = node.connect();
    conn.send_head(&expecting("5", "5"));
    let hundred = conn.read_some(25);
    assert!(hundred.starts_with(b"HTTP/1.1 100"), "{:?}", String::from_utf8_lossy(&hundred));
    conn.send(b"hello");
    assert_eq!(conn.reply().is(201).number("Upload-Offset"), 5);
}

#[test]
fn an_interrupted_creation_keeps_what_came() {
    let node = Node::start();
    let content = Oracle(3).bytes(0..1 << 20);
    let mut conn = node.connect();
    let request =
        post().header("Upload-Length", "1048576").header("Content-Type", OCTETS).header("Content-Length", "1048576");
    conn.send_head(&request);
    conn.send(&content[..300_000]);
    let listed = crate::support::wait::until("the upload and its first bytes show", || {
        let list = node.get("/api/files").is(200).json();
        let file = list["files"].get(0)?.clone();
        (file["uploaded_size"].as_u64()? > 0).then_some(file)
    });
    drop(conn);
    let id = listed["file_id"].as_str().expect("an id");
    let upload = Upload::at(&format!("/tus/{id}"));
    let offset = node.offset(&upload);
    assert!(offset > 0 && offset <= 300_000, "{offset}");
    node.prefix(&upload, Oracle(3), offset);
    node.patch(&upload, offset, &content[offset as usize..]).is(204);
    node.whole(&upload, &content);
}

#[test]
fn a_partial_may_come_with_its_bytes() {
    let node = Node::start();
    let request = post()
        .header("Upload-Length", "5")
        .header("Upload-Concat", "partial")
        .header("Content-Type", OCTETS)
        .body("hello");
    let reply = node.send(&request).is(201);
    assert_eq!(reply.number("Upload-Offset"), 5);
    let part = Upload::at(reply.field("Location"));
    let of_it = post().header("Upload-Concat", format!("final;{}", part.path));
    node.whole(&Upload::at(node.send(&of_it).is(201).field("Location")), b"hello");
}

#[test]
fn open_uploads_of_one_credential_are_bounded() {
    let node = Node::setup().env("UPLOADS_OPEN_MAX", 10).start();
    let uploads: Vec<Upload> = (0..10).map(|_| node.create(5)).collect();
    let reply = node.send(&post().header("Upload-Length", "5")).is(429);
    assert!(reply.number("Retry-After") > 0);
    // One that is finished, or removed, makes room for another.
    node.patch(&uploads[0], 0, b"hello").is(204);
    node.create(5);
    node.send(&post().header("Upload-Length", "5")).is(429);
    node.send(&tus("DELETE", &uploads[1].path)).is(204);
    let last = node.create(5);
    node.send(&patch(&last, 0, b"hello")).is(204);
}
