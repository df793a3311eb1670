//! TUS.md §A2: what OPTIONS tells, to whom, and that it tells the truth.

use crate::support::tus::{OCTETS, patch, post, tus};
use crate::support::{Node, Request};

fn options(target: &str) -> Request {
    Request::new("OPTIONS", target)
}

fn announced(node: &Node) -> Vec<String> {
    node.send(&options("/tus")).field("Tus-Extension").split(',').map(str::to_owned).collect()
}

#[test]
fn options_succeeds_on_the_collection_and_on_any_upload_url() {
    let node = Node::start();
    let upload = node.create(5);
    for target in ["/tus", &upload.path, "/tus/00000000000000000000000000000000", "/tus/no-such-id"] {
        let reply = node.send(&options(target)).is(204);
        assert_eq!(reply.field("Tus-Version"), "1.0.0");
        assert!(reply.header("Content-Length").is_none_or(|n| n == "0"), "{reply:?}");
    }
}

#[test]
fn the_extensions_announced_are_the_ones_that_work() {
    let node = Node::start();
    let list = announced(&node);
    let known = [
        "creation",
        "creation-with-upload",
        "termination",
        "checksum",
        "checksum-trailer",
        "expiration",
        "creation-defer-length",
        "concatenation",
        "concatenation-unfinished",
        "parallel-writes",
    ];
    for name in &list {
        assert!(known.contains(&name.as_str()), "{name} is announced and no test knows it");
    }
    let works = |name: &str| match name {
        "creation" => node.send(&post().header("Upload-Length", "5")).status == 201,
        "creation-with-upload" => {
            let with_body = post().header("Upload-Length", "5").header("Content-Type", OCTETS).body("hel");
            node.send(&with_body).header("Upload-Offset") == Some("3")
        }
        "termination" => {
            let upload = node.create(5);
            node.send(&tus("DELETE", &upload.path)).status == 204
        }
        "checksum" => {
            let upload = node.create(5);
            let wrong = patch(&upload, 0, b"hello").header("Upload-Checksum", "sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw=");
            node.send(&wrong).status == 460
        }
        "checksum-trailer" => {
            let upload = node.create(5);
            let wrong = patch(&upload, 0, b"hello")
                .chunked(5)
                .header("Trailer", "Upload-Checksum")
                .trailer("Upload-Checksum", "sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw=");
            node.send(&wrong).status == 460
        }
        "expiration" => node.send(&post().header("Upload-Length", "5")).header("Upload-Expires").is_some(),
        "creation-defer-length" => node.send(&post().header("Upload-Defer-Length", "1")).status == 201,
        "concatenation" => {
            node.send(&post().header("Upload-Length", "5").header("Upload-Concat", "partial")).status == 201
        }
        "parallel-writes" => {
            let upload = node.create(8192);
            node.patch(&upload, 4096, b"x").status == 204
        }
        _ => false,
    };
    for name in known.iter().filter(|name| **name != "concatenation-unfinished") {
        assert_eq!(works(name), list.iter().any(|l| l == name), "{name}: announced and working must agree: {list:?}");
    }
}

#[test]
fn parallel_writes_is_announced_only_when_it_is_on() {
    let node = Node::setup().config("tus:\n  parallel_writes: false\n").start();
    assert!(!announced(&node).iter().any(|name| name == "parallel-writes"));
    let upload = node.create(8192);
    let reply = node.refused(&upload, &patch(&upload, 4096, b"x"), 409);
    assert_eq!(reply.number("Upload-Offset"), 0);
    let info = node.get("/api/info").is(200).json();
    assert!(!info["tus_extensions"].as_array().expect("a list").iter().any(|name| name == "parallel-writes"), "{info}");
}

#[test]
fn the_maximum_is_told_when_there_is_one() {
    let with = Node::setup().env("MAX_UPLOAD_SIZE", 12_345).start();
    assert_eq!(with.send(&options("/tus")).number("Tus-Max-Size"), 12_345);
    let without = Node::start();
    assert_eq!(without.send(&options("/tus")).header("Tus-Max-Size"), None);
}

#[test]
fn the_version_of_the_request_does_not_matter_here() {
    let node = Node::start();
    node.send(&options("/tus").header("Tus-Resumable", "9.9.9")).is(204);
}

#[test]
fn checksum_algorithms_are_lower_case_and_include_sha1() {
    let node = Node::start();
    let reply = node.send(&options("/tus"));
    let names: Vec<&str> = reply.field("Tus-Checksum-Algorithm").split(',').collect();
    for wanted in ["sha1", "sha256", "md5", "crc32", "crc32c"] {
        assert!(names.contains(&wanted), "{wanted} is missing in {names:?}");
    }
    for name in names {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
    }
}

#[test]
fn options_needs_no_token_and_a_preflight_is_answered_by_the_cors_rules() {
    let node = Node::start();
    let upload = node.create(5);
    let preflight = options(&upload.path)
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "PATCH")
        .header("Access-Control-Request-Headers", "upload-offset, content-type, x-api-token");
    let reply = node.send(&preflight).is(200);
    assert_eq!(reply.body, b"OK");
    let methods = reply.field("Access-Control-Allow-Methods").to_owned();
    for method in ["PATCH", "HEAD", "DELETE"] {
        assert!(methods.contains(method), "{methods}");
    }
    assert_eq!(reply.field("Access-Control-Allow-Origin"), "*");
    let allowed = reply.field("Access-Control-Allow-Headers").to_ascii_lowercase();
    assert!(allowed.contains("upload-offset"), "{allowed}");
    assert_eq!(reply.field("Access-Control-Max-Age"), "600");
}
