//! TUS.md §A4: PATCH stores its body at the offset, or changes nothing. Interrupted bodies: `patch_interrupted.rs`.

use std::time::Duration;

use crate::support::tus::{OCTETS, head, patch, patch_head, tus};
use crate::support::{Node, Oracle, Request};

#[test]
fn a_body_lands_only_at_the_present_offset() {
    let node = Node::start();
    let content = Oracle(1).bytes(0..10_000);
    let upload = node.create(10_000);
    node.patch(&upload, 0, &content[..6_000]).is(204);
    for wrong in [0, 1, 5_999, 6_001, 9_999] {
        let reply = node.refused(&upload, &patch(&upload, wrong, b"x"), 409);
        assert_eq!(reply.number("Upload-Offset"), 6_000, "a 409 tells the truth");
    }
    // The same PATCH twice: the second is told where things stand.
    node.patch(&upload, 6_000, &content[6_000..8_000]).is(204);
    let again = node.refused(&upload, &patch(&upload, 6_000, &content[6_000..8_000]), 409);
    assert_eq!(again.number("Upload-Offset"), 8_000);
    node.patch(&upload, 8_000, &content[8_000..]).is(204);
    node.whole(&upload, &content);
}

#[test]
fn sequential_mode_refuses_every_other_offset() {
    let node = Node::setup().config("tus:\n  parallel_writes: false\n").start();
    let content = Oracle(1).bytes(0..70_000);
    let upload = node.create(70_000);
    node.patch(&upload, 0, &content[..8_192]).is(204);
    for wrong in [0, 4_096, 12_288, 65_536] {
        let reply = node.refused(&upload, &patch(&upload, wrong, &content[wrong as usize..]), 409);
        assert_eq!(reply.number("Upload-Offset"), 8_192);
    }
    node.patch(&upload, 8_192, &content[8_192..]).is(204);
    node.whole(&upload, &content);
}

/// easytransfer/CONTRACT.md §2.4, the table for `parallel_writes`.
#[test]
fn parallel_writes_follow_their_table() {
    let node = Node::start();
    let content = Oracle(2).bytes(0..70_000);
    let upload = node.create(70_000);
    // Beyond the prefix, aligned: stored.
    let reply = node.patch(&upload, 65_536, &content[65_536..]).is(204);
    assert_eq!((reply.number("Upload-Offset"), reply.number("X-Received-Bytes")), (0, 4_464));
    assert_eq!(node.head(&upload).field("X-Received-Ranges"), "65536-70000");
    // Wholly in received bytes: 409, the truth, nothing changed.
    let stored = node.refused(&upload, &patch(&upload, 65_536, &content[65_536..69_000]), 409);
    assert_eq!(stored.number("Upload-Offset"), 0);
    node.refused(&upload, &patch(&upload, 66_000, &content[66_000..67_000]), 409);
    // New bytes, not aligned: 409.
    node.refused(&upload, &patch(&upload, 5_000, &content[5_000..6_000]), 409);
    // Beyond the length: 409 when the offset itself is beyond it, else 400.
    node.refused(&upload, &patch(&upload, 73_728, b"x"), 409);
    node.refused(&upload, &patch(&upload, 69_632, &[0; 500]), 400);
    // Over received bytes into new ones: accepted, what is there is not rewritten.
    node.patch(&upload, 0, &content[..8_192]).is(204);
    let mut altered = content[4_096..12_288].to_vec();
    altered[..4_096].fill(0xEE);
    assert_eq!(node.patch(&upload, 4_096, &altered).is(204).number("Upload-Offset"), 12_288);
    node.prefix(&upload, Oracle(2), 12_288);
    assert_eq!(node.head(&upload).field("X-Received-Ranges"), "0-12288,65536-70000");
    node.patch(&upload, 12_288, &content[12_288..65_536]).is(204);
    node.whole(&upload, &content);
}

#[test]
fn parallel_slices_in_any_order_from_many_connections_make_the_file() {
    let node = Node::start();
    const SLICE: u64 = 256 * 1024;
    let length = 40 * SLICE + 777;
    let content = Oracle(6);
    let upload = node.create(length);
    let mut slices: Vec<u64> = (0..length.div_ceil(SLICE)).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut slices);
    std::thread::scope(|scope| {
        for share in slices.chunks(slices.len().div_ceil(8)) {
            let (node, upload) = (&node, &upload);
            scope.spawn(move || {
                let mut conn = node.connect();
                for slice in share {
                    let (from, to) = (slice * SLICE, length.min((slice + 1) * SLICE));
                    conn.ask(&patch(upload, from, &content.bytes(from..to))).is(204);
                }
            });
        }
    });
    node.whole(&upload, &content.bytes(0..length));
}

#[test]
fn another_content_type_is_415() {
    let node = Node::start();
    let upload = node.create(100);
    node.refused(&upload, &patch(&upload, 0, b"x").without("Content-Type"), 415);
    for other in ["text/plain", "application/octet-stream", "application/offset+octet-stream; charset=x", ""] {
        let request = patch(&upload, 0, b"x").without("Content-Type").header("Content-Type", other);
        node.refused(&upload, &request, 415);
    }
}

#[test]
fn no_offset_or_a_malformed_one_is_400() {
    let node = Node::start();
    let upload = node.create(100);
    node.refused(&upload, &patch(&upload, 0, b"x").without("Upload-Offset"), 400);
    for value in super::versions::NO_NUMBERS {
        node.refused(&upload, &patch(&upload, 0, b"x").without("Upload-Offset").header("Upload-Offset", value), 400);
    }
}

#[test]
fn success_tells_the_new_offset() {
    let node = Node::start();
    let content = Oracle(8).bytes(0..3_000_001);
    let upload = node.create(content.len() as u64);
    let one = node.patch(&upload, 0, &content[..1]).is(204);
    assert_eq!(one.number("Upload-Offset"), 1);
    assert!(one.header("Content-Length").is_none_or(|n| n == "0"));
    assert_eq!(node.patch(&upload, 1, &[]).is(204).number("Upload-Offset"), 1);
    assert_eq!(node.patch(&upload, 1, &content[1..2_000_000]).is(204).number("Upload-Offset"), 2_000_000);
    let last = node.patch(&upload, 2_000_000, &content[2_000_000..]).is(204);
    assert_eq!(last.number("Upload-Offset"), 3_000_001);
    assert_eq!(last.header("Upload-Expires"), None, "complete: it expires no more");
    node.whole(&upload, &content);
}

#[test]
fn an_empty_body_at_the_offset_changes_nothing() {
    let node = Node::start();
    let upload = node.create(100);
    node.patch(&upload, 0, b"hello").is(204);
    let before = node.state(&upload);
    assert_eq!(node.patch(&upload, 5, &[]).is(204).number("Upload-Offset"), 5);
    assert_eq!(node.send(&patch_head(&upload, 5).chunked(1)).is(204).number("Upload-Offset"), 5);
    assert_eq!(node.state(&upload), before);
    node.refused(&upload, &patch(&upload, 4, &[]), 409);
}

#[test]
fn an_unknown_upload_is_404_before_its_body() {
    let node = Node::start();
    let mut conn = node.connect();
    let request = tus("PATCH", "/tus/00000000000000000000000000000000")
        .header("Upload-Offset", "0")
        .header("Content-Type", OCTETS)
        .header("Content-Length", "1073741824");
    conn.send_head(&request);
    let reply = conn.reply().is(404);
    assert!(reply.closes(), "a large body is announced and will not be read: {reply:?}");
    conn.ends();
}

#[test]
fn an_early_refusal_of_a_large_body_can_be_read() {
    let node = Node::start();
    let upload = node.create(8 << 20);
    node.patch(&upload, 0, b"hello").is(204);
    // The whole body is sent without listening; the reply must have survived it (no reset before it).
    let body = vec![7; 4 << 20];
    for _ in 0..8 {
        let mut conn = node.connect();
        let request = patch(&upload, 1, &body);
        conn.send_request(&request);
        assert_eq!(conn.reply().is(409).number("Upload-Offset"), 5);
    }
}

#[test]
fn a_known_longer_body_is_400_before_it_is_read() {
    let node = Node::start();
    let upload = node.create(100);
    node.patch(&upload, 0, &[1; 40]).is(204);
    let before = node.state(&upload);
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 40).header("Content-Length", "61"));
    conn.reply().is(400);
    drop(conn);
    assert_eq!(node.state(&upload), before);
}

#[test]
fn a_chunked_longer_body_is_400_and_the_surplus_is_never_stored() {
    let node = Node::start();
    let content = Oracle(9).bytes(0..200_000);
    for chunk in [1_000, 65_536, 200_000] {
        let upload = node.create(100_000);
        node.send(&patch(&upload, 0, &content).chunked(chunk)).is(400);
        let reply = node.head(&upload).is(200);
        let offset = reply.number("Upload-Offset");
        assert!(offset <= 100_000, "{reply:?}");
        node.prefix(&upload, Oracle(9), offset);
        if offset < 100_000 {
            node.patch(&upload, offset, &content[offset as usize..100_000]).is(204);
        }
        node.whole(&upload, &content[..100_000]);
    }
}

#[test]
fn chunked_bodies_work_in_any_split() {
    let node = Node::start();
    let content = Oracle(10).bytes(0..20_000);
    for (chunk, pieces) in
        [(1, &[1usize][..]), (7, &[3, 1, 2]), (1_000, &[1_003]), (20_000, &[1, 19_000]), (4_096, &[4_096])]
    {
        let upload = node.create(20_000);
        let mut conn = node.connect();
        let bytes = patch(&upload, 0, &content).chunked(chunk).bytes(conn.host());
        conn.send_split(&bytes, pieces);
        assert_eq!(conn.reply().is(204).number("Upload-Offset"), 20_000);
        conn.ask(&head(&upload)).is(200);
        node.whole(&upload, &content);
    }
}

#[test]
fn hundred_continue_comes_after_the_head_checks_and_only_then() {
    let node = Node::start();
    let content = Oracle(11).bytes(0..50_000);
    let upload = node.create(50_000);
    let expecting =
        |offset| patch_head(&upload, offset).header("Expect", "100-continue").header("Content-Length", "50000");
    let mut conn = node.connect();
    conn.send_head(&expecting(1));
    let reply = conn.reply().is(409);
    assert!(reply.interim.is_empty(), "no 100 for a body that is not wanted: {reply:?}");
    drop(conn);
    let mut conn = node.connect();
    conn.send_head(&expecting(0));
    let hundred = conn.read_some(25);
    assert!(hundred.starts_with(b"HTTP/1.1 100"), "{:?}", String::from_utf8_lossy(&hundred));
    conn.send(&content);
    assert_eq!(conn.reply().is(204).number("Upload-Offset"), 50_000);
    node.whole(&upload, &content);
}

#[test]
fn expect_with_a_body_sent_at_once_works() {
    let node = Node::start();
    let upload = node.create(5);
    let mut conn = node.connect();
    conn.ask(&patch(&upload, 0, b"hello").header("Expect", "100-Continue")).is(204);
    conn.ask(&head(&upload)).is(200);
}

#[test]
fn a_complete_upload_takes_no_more() {
    let node = Node::start();
    let upload = node.complete(b"hello");
    node.refused(&upload, &patch(&upload, 0, b"HE"), 409);
    node.refused(&upload, &patch(&upload, 0, b"HELLO"), 409);
    node.refused(&upload, &patch(&upload, 5, b"x"), 400);
    node.refused(&upload, &patch(&upload, 0, b"HELLO!"), 400);
    node.whole(&upload, b"hello");
}

/// Whichever plane answers, the one that has the grant or the one that gives it: the connections go to every core.
#[test]
fn a_complete_upload_takes_nothing_at_its_end() {
    let node = Node::start();
    let upload = node.complete(b"hello");
    for _ in 0..16 {
        let done = node.patch(&upload, 5, b"").is(204);
        assert_eq!((done.header("upload-offset"), done.header("x-received-bytes")), (Some("5"), Some("5")));
    }
    let empty = node.create(0);
    node.patch(&empty, 0, b"").is(204);
    node.whole(&upload, b"hello");
}

#[test]
fn acknowledged_bytes_are_there_after_a_kill_at_every_level() {
    for level in ["none", "complete", "every"] {
        let mut node = Node::setup().env("DURABILITY", level).start();
        let content = Oracle(12).bytes(0..3_000_000);
        let upload = node.create(3_000_000);
        node.patch(&upload, 0, &content[..1_000_001]).is(204);
        node.kill_and_start_again();
        assert_eq!(node.offset(&upload), 1_000_001, "durability {level}");
        node.prefix(&upload, Oracle(12), 1_000_001);
        node.patch(&upload, 1_000_001, &content[1_000_001..]).is(204);
        node.kill_and_start_again();
        node.whole(&upload, &content);
        assert_eq!(node.listed(), 1);
    }
}

#[test]
fn completion_happens_once_even_when_killed_around_the_last_byte() {
    let mut node = Node::setup().env("DURABILITY", "every").start();
    let content = Oracle(13).bytes(0..600_000);
    let mut rng = fastrand::Rng::with_seed(13);
    let rounds = 8;
    for round in 0..rounds {
        let upload = node.create(600_000);
        node.patch(&upload, 0, &content[..500_000]).is(204);
        let mut conn = node.connect();
        conn.send_request(&patch(&upload, 500_000, &content[500_000..]));
        // A random instant between the last byte and its acknowledgement, or just after.
        std::thread::sleep(Duration::from_micros(rng.u64(0..6_000)));
        node.kill();
        let acked = conn.try_reply(false, crate::support::DEADLINE).is_ok_and(|reply| reply.status == 204);
        node.start_again();
        let offset = node.offset(&upload);
        assert!(!acked || offset == 600_000, "acknowledged and lost");
        if offset < 600_000 {
            node.patch(&upload, offset, &content[offset as usize..]).is(204);
        }
        node.whole(&upload, &content);
        let list = node.get("/api/files?page_size=100").is(200).json();
        let files = list["files"].as_array().expect("a list");
        assert_eq!(files.iter().filter(|file| file["file_id"] == upload.id.as_str()).count(), 1, "listed once");
        assert_eq!(files.len(), round + 1);
    }
}

#[test]
fn no_room_is_507_with_the_offset_and_a_time_to_come_back() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 1_000_000).start();
    let content = Oracle(14).bytes(0..900_000);
    let first = node.complete(&content[..800_000]);
    let upload = node.create(900_000);
    let reply = node.refused(&upload, &patch(&upload, 0, &content), 507);
    assert_eq!(reply.number("Upload-Offset"), 0);
    assert!(reply.number("Retry-After") > 0);
    assert_eq!(reply.number("X-Storage-Max"), 1_000_000);
    assert_eq!(reply.number("X-Storage-Used"), 800_000);
    assert_eq!(reply.number("X-Storage-Available"), 200_000);
    assert_eq!(reply.json()["retry_after"].as_u64(), Some(reply.number("Retry-After")));
    // Answered before the body is read.
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 0).header("Content-Length", "900000").header("Expect", "100-continue"));
    assert!(conn.reply().is(507).interim.is_empty());
    // What fits is taken; what is freed can be used again.
    node.patch(&upload, 0, &content[..150_000]).is(204);
    node.refused(&upload, &patch(&upload, 150_000, &content[150_000..]), 507);
    node.delete(&first.file()).is(200);
    node.patch(&upload, 150_000, &content[150_000..]).is(204);
    node.whole(&upload, &content);
}

#[test]
fn one_gibibyte_in_one_body() {
    let node = Node::start();
    let length = 1u64 << 30;
    let block = Oracle(15).bytes(0..1 << 20);
    let upload = node.create(length);
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 0).header("Content-Length", length.to_string()));
    for _ in 0..1024 {
        conn.try_send(&block).expect("the server takes the body");
    }
    assert_eq!(conn.reply().is(204).number("Upload-Offset"), length);
    assert_eq!(node.offset(&upload), length);
    for at in [0, 511, 1023] {
        let range = format!("bytes={}-{}", at << 20, ((at + 1) << 20) - 1);
        let request =
            Request::get(&upload.download()).header("X-API-Token", crate::support::TOKEN).header("Range", range);
        assert!(node.send(&request).is(206).body == block, "block {at} differs");
    }
}
