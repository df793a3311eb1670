//! TUS.md §A9: checksums in the head or in a trailer; what does not match never becomes visible.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Digest as _;

use crate::support::tus::{Upload, patch, patch_head, post};
use crate::support::{Node, Oracle, Request, TOKEN};

/// Digest of `body` in base64 and in hex.
fn digests(name: &str, body: &[u8]) -> [String; 2] {
    let raw: Vec<u8> = match name {
        "sha1" => sha1::Sha1::digest(body).to_vec(),
        "sha256" => sha2::Sha256::digest(body).to_vec(),
        "md5" => md5::Md5::digest(body).to_vec(),
        "crc32" => crc32(body, 0xEDB8_8320).to_be_bytes().to_vec(),
        "crc32c" => crc32(body, 0x82F6_3B78).to_be_bytes().to_vec(),
        other => panic!("{other}"),
    };
    let hex = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    [STANDARD.encode(&raw), hex]
}

/// Bit by bit, so that it shares nothing with what it judges.
fn crc32(body: &[u8], polynomial: u32) -> u32 {
    let mut crc = u32::MAX;
    for byte in body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { polynomial } else { 0 };
        }
    }
    !crc
}

fn sum(upload: &Upload, offset: u64, body: &[u8], value: &str) -> Request {
    patch(upload, offset, body).header("Upload-Checksum", value)
}
fn in_trailer(upload: &Upload, offset: u64, body: &[u8]) -> Request {
    patch(upload, offset, body).chunked(1_000).header("Trailer", "Upload-Checksum")
}
fn sha1_of(body: &[u8]) -> String {
    format!("sha1 {}", digests("sha1", body)[0])
}

#[test]
fn a_matching_checksum_is_204_in_base64_and_in_hex() {
    let node = Node::start();
    for name in ["sha1", "sha256", "md5", "crc32", "crc32c"] {
        for (size, seed) in [(0usize, 1), (1, 2), (2, 3), (5_000, 4), (1_000_001, 5)] {
            let content = Oracle(seed).bytes(0..size as u64 * 2);
            let (first, second) = content.split_at(size);
            let upload = node.create(content.len() as u64);
            let [base64, hex] = digests(name, first);
            if size > 0 {
                node.send(&sum(&upload, 0, first, &format!("{name} {base64}"))).is(204);
                let hexed = digests(name, second)[1].clone();
                node.send(&sum(&upload, size as u64, second, &format!("{name} {hexed}")).chunked(70_000)).is(204);
                node.whole(&upload, &content);
            } else {
                let half = node.create(5);
                node.send(&sum(&half, 0, &[], &format!("{name} {hex}"))).is(204);
            }
        }
    }
}

#[test]
fn the_vectors_of_the_contract() {
    let node = Node::start();
    for value in ["sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw=", "sha1 da23614e02469a0d7c7bd1bdab5c9c474b1904dc"] {
        let upload = node.create(2);
        node.refused(&upload, &sum(&upload, 0, b"xy", value), 460);
        node.send(&sum(&upload, 0, b"ab", value)).is(204);
        node.whole(&upload, b"ab");
    }
}

#[test]
fn a_mismatch_is_460_and_gives_the_space_back() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 3_000_000).start();
    let content = Oracle(6).bytes(0..2_000_000);
    for name in ["sha1", "sha256", "md5", "crc32", "crc32c"] {
        let upload = node.create(2_000_000);
        node.patch(&upload, 0, &content[..5_000]).is(204);
        let wrong = format!("{name} {}", digests(name, b"something else")[0]);
        for _ in 0..3 {
            node.refused(&upload, &sum(&upload, 5_000, &content[5_000..], &wrong), 460);
        }
        assert_eq!(node.get("/api/storage").json()["used"], 5_000, "only what counts is counted");
        let right = format!("{name} {}", digests(name, &content[5_000..])[0]);
        node.send(&sum(&upload, 5_000, &content[5_000..], &right)).is(204);
        node.whole(&upload, &content);
        node.delete(&upload.file()).is(200);
    }
}

#[test]
fn an_unknown_algorithm_is_400_before_the_body() {
    let node = Node::start();
    let upload = node.create(1_000_000);
    for value in ["sha99 AAAA", "SHA1 2iNhTgJGmg18e9G9q1ycR0sZBNw=", "blake9 "] {
        let before = node.state(&upload);
        let mut conn = node.connect();
        let request = patch_head(&upload, 0).header("Upload-Checksum", value).header("Content-Length", "1000000");
        conn.send_head(&request);
        conn.reply().is(400);
        drop(conn);
        assert_eq!(node.state(&upload), before);
    }
}

#[test]
fn a_malformed_value_is_400() {
    let node = Node::start();
    let upload = node.create(2);
    for value in [
        "sha1",
        "sha1 ",
        "sha1  2iNhTgJGmg18e9G9q1ycR0sZBNw=",
        "sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw",
        "sha1 2iNhTgJGmg18e9G9q1ycR0sZBN==",
        "sha1 da23614e02469a0d7c7bd1bdab5c9c474b1904d",
        "sha1 !!!!",
        "sha12iNhTgJGmg18e9G9q1ycR0sZBNw=",
        "",
        "sha256 2iNhTgJGmg18e9G9q1ycR0sZBNw=",
    ] {
        node.refused(&upload, &sum(&upload, 0, b"ab", value), 400);
    }
}

#[test]
fn an_interrupted_body_with_a_checksum_keeps_nothing() {
    let node = Node::start();
    let content = Oracle(7).bytes(0..1 << 20);
    let upload = node.create(1 << 20);
    node.patch(&upload, 0, &content[..1_000]).is(204);
    let mut conn = node.connect();
    let value = sha1_of(&content[1_000..]);
    let request = patch_head(&upload, 1_000).header("Upload-Checksum", &value).header("Content-Length", "1047576");
    conn.send_head(&request);
    conn.send(&content[1_000..500_000]);
    conn.finish_sending();
    let (bytes, _) = conn.drain(crate::support::DEADLINE);
    assert!(!String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 2"));
    assert_eq!(node.offset(&upload), 1_000);
    assert_eq!(node.head(&upload).field("X-Received-Ranges"), "0-1000");
    node.send(&sum(&upload, 1_000, &content[1_000..], &value)).is(204);
    node.whole(&upload, &content);
}

#[test]
fn readers_never_see_unverified_bytes() {
    let node = Node::start();
    let content = Oracle(8).bytes(0..1 << 20);
    let upload = node.create(1 << 20);
    node.patch(&upload, 0, &content[..1_000]).is(204);
    let value = sha1_of(b"not what is sent");
    let mut conn = node.connect();
    let request = patch_head(&upload, 1_000).header("Upload-Checksum", &value).header("Content-Length", "1047576");
    conn.send_head(&request);
    conn.send(&content[1_000..900_000]);
    // Whatever arrived meanwhile, a reader gets the verified 1,000 bytes.
    for _ in 0..20 {
        let got = node.get(&upload.download()).is(206);
        assert_eq!(got.field("Content-Range"), "bytes 0-999/1048576");
        assert!(got.body == content[..1_000]);
        let beyond = Request::get(&upload.download()).header("X-API-Token", TOKEN).header("Range", "bytes=1000-");
        node.send(&beyond).is(416);
        let info = node.get(&format!("/api/files/{}/info/download", upload.id)).is(200).json();
        assert_eq!(info["available_size"], 1_000);
    }
    conn.send(&content[900_000..]);
    conn.reply().is(460);
    assert_eq!(node.offset(&upload), 1_000);
}

#[test]
fn concatenation_never_sees_unverified_bytes() {
    let node = Node::start();
    let part = node.create_with(|request| request.header("Upload-Length", "100000").header("Upload-Concat", "partial"));
    let mut conn = node.connect();
    let value = sha1_of(b"not what is sent");
    conn.send_head(&patch_head(&part, 0).header("Upload-Checksum", &value).header("Content-Length", "100000"));
    conn.send(&[1; 90_000]);
    let of_it = post().header("Upload-Concat", format!("final;{}", part.path));
    node.send(&of_it).is(400);
    conn.send(&[1; 10_000]);
    conn.reply().is(460);
    node.send(&of_it).is(400);
}

#[test]
fn a_checksum_may_come_in_the_trailer() {
    let node = Node::start();
    let list = node.send(&Request::new("OPTIONS", "/tus")).field("Tus-Extension").to_owned();
    assert!(list.split(',').any(|n| n == "checksum-trailer"), "{list}");
    let content = Oracle(9).bytes(0..10_000);
    let right = sha1_of(&content);
    let upload = node.create(10_000);
    let wrong = sha1_of(b"something else");
    // Wrong, announced and missing, malformed, unknown, twice.
    node.refused(&upload, &in_trailer(&upload, 0, &content).trailer("Upload-Checksum", &wrong), 460);
    node.refused(&upload, &in_trailer(&upload, 0, &content), 400);
    node.refused(&upload, &in_trailer(&upload, 0, &content).trailer("Upload-Checksum", "sha1"), 400);
    node.refused(&upload, &in_trailer(&upload, 0, &content).trailer("Upload-Checksum", "sha99 AAAA"), 400);
    let twice = in_trailer(&upload, 0, &content).trailer("Upload-Checksum", &right).trailer("Upload-Checksum", &right);
    node.refused(&upload, &twice, 400);
    // Header and trailer: 400 unless equal.
    let both = |header: &str| {
        in_trailer(&upload, 0, &content).header("Upload-Checksum", header).trailer("Upload-Checksum", &right)
    };
    node.refused(&upload, &both(&wrong), 400);
    node.send(&both(&right)).is(204);
    node.whole(&upload, &content);
    let upload = node.create(10_000);
    node.send(&in_trailer(&upload, 0, &content).trailer("upload-checksum", &right)).is(204);
    node.whole(&upload, &content);
}

#[test]
fn other_trailer_fields_are_ignored_or_refused() {
    let node = Node::start();
    let content = Oracle(10).bytes(0..5_000);
    let mut upload = node.create(10_000);
    for (name, value) in [
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Host", "other.example"),
        ("Authorization", "Bearer x"),
        ("X-API-Token", "x"),
        ("Upload-Offset", "0"),
        ("Upload-Length", "5"),
    ] {
        let mut conn = node.connect();
        let reply = conn.ask(&patch(&upload, 0, &content).chunked(1_000).trailer(name, value)).is(400);
        assert!(reply.closes(), "{reply:?}");
        conn.ends();
        // As with any body that breaks off: what came before may count, and is right; it was never a success.
        let offset = node.offset(&upload);
        assert!(offset <= 5_000, "{offset}");
        node.prefix(&upload, Oracle(10), offset);
        upload = node.create(10_000);
    }
    let harmless = patch(&upload, 0, &content).chunked(1_000).trailer("X-Note", "hello").trailer("Server-Timing", "x");
    let mut conn = node.connect();
    assert_eq!(conn.ask(&harmless).is(204).number("Upload-Offset"), 5_000);
    conn.ask(&Request::get("/api/health")).is(200);
    node.prefix(&upload, Oracle(10), 5_000);
}
