//! TUS.md §A1: the version header, numbers in headers, repeated headers, the method override.

use crate::support::tus::{OCTETS, head, patch, post, tus};
use crate::support::{Node, Oracle, Reply, Request, TOKEN};

/// Spellings that are no number here: sign, space, dot, hex, exponent, list, nothing, too long, too large.
pub const NO_NUMBERS: [&str; 13] = [
    "",
    "+5",
    "-1",
    "-0",
    "5 5",
    "5.0",
    "0x5",
    "5e0",
    "5,5",
    "five",
    "5;",
    "00000000000000000005",
    "9223372036854775808",
];

fn is_decimal(value: &str) -> bool {
    value == "0" || (!value.is_empty() && !value.starts_with('0') && value.bytes().all(|b| b.is_ascii_digit()))
}

#[track_caller]
fn numbers_are_decimal(reply: &Reply) {
    for name in ["Upload-Offset", "Upload-Length", "Tus-Max-Size", "X-Received-Bytes"] {
        if let Some(value) = reply.header(name) {
            assert!(is_decimal(value), "{name}: {value} in {reply:?}");
        }
    }
}

#[test]
fn every_answer_but_to_options_names_the_version() {
    let node = Node::setup().env("MAX_UPLOAD_SIZE", 1_000_000).env("MAX_STORAGE_SIZE", 600_000).start();
    let upload = node.create(900_000);
    let unknown = "/tus/00000000000000000000000000000000";
    let answers = [
        (201, node.send(&post().header("Upload-Length", "5"))),
        (204, node.patch(&upload, 0, b"hello")),
        (200, node.head(&upload)),
        (404, node.send(&tus("HEAD", unknown))),
        (404, node.send(&tus("PATCH", unknown).header("Upload-Offset", "0").header("Content-Type", OCTETS).body("x"))),
        (404, node.send(&tus("DELETE", unknown))),
        (409, node.patch(&upload, 3, b"x")),
        (413, node.send(&post().header("Upload-Length", "1000001"))),
        (415, node.send(&patch(&upload, 5, b"x").without("Content-Type"))),
        (400, node.send(&patch(&upload, 5, b"x").without("Upload-Offset"))),
        (460, node.send(&patch(&upload, 5, b"x").header("Upload-Checksum", "sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw="))),
        (507, node.patch(&upload, 5, &vec![0; 700_000])),
        (401, node.send(&post().without("X-API-Token").header("Upload-Length", "5"))),
        (405, node.send(&tus("PUT", &upload.path).body("x"))),
    ];
    for (status, reply) in answers {
        let reply = reply.is(status);
        assert_eq!(reply.header("Tus-Resumable"), Some("1.0.0"), "{reply:?}");
        numbers_are_decimal(&reply);
    }
}

#[test]
fn another_version_is_412_and_nothing_is_processed() {
    let node = Node::start();
    let reply =
        node.send(&post().without("Tus-Resumable").header("Tus-Resumable", "0.2.2").header("Upload-Length", "5"));
    let reply = reply.is(412);
    assert_eq!(reply.field("Tus-Version"), "1.0.0");
    assert_eq!(reply.header("Location"), None, "errors carry no Location");
    assert_eq!(node.listed(), 0);
    let upload = node.create(100);
    let old = patch(&upload, 0, b"never stored").without("Tus-Resumable").header("Tus-Resumable", "0.2.2");
    assert_eq!(node.refused(&upload, &old, 412).field("Tus-Version"), "1.0.0");
    let remove = tus("DELETE", &upload.path).without("Tus-Resumable").header("Tus-Resumable", "2.0.0");
    node.refused(&upload, &remove, 412);
}

#[test]
fn the_version_is_judged_before_everything_but_authentication() {
    let node = Node::start();
    let upload = node.create(100);
    let wrong = Request::new("PATCH", &upload.path)
        .header("Tus-Resumable", "0.2.2")
        .header("Upload-Offset", "seven")
        .header("Content-Type", "text/plain")
        .body("x");
    node.refused(&upload, &wrong.clone().header("X-API-Token", TOKEN), 412);
    node.refused(&upload, &wrong, 401);
}

#[test]
fn no_version_is_the_supported_one_and_a_wrong_spelling_is_412() {
    let node = Node::start();
    let upload = node.create_with(|request| request.without("Tus-Resumable").header("Upload-Length", "5"));
    node.send(&patch(&upload, 0, b"hello").without("Tus-Resumable")).is(204);
    node.send(&head(&upload).without("Tus-Resumable")).is(200);
    // An empty one is none (faults.md C3).
    node.send(&post().without("Tus-Resumable").header("Tus-Resumable", "").header("Upload-Length", "5")).is(201);
    for value in ["abc", "1.0", "1.0.0.0", "1.0.0, 0.2.2"] {
        let odd = post().without("Tus-Resumable").header("Tus-Resumable", value).header("Upload-Length", "5");
        let reply = node.send(&odd).is(412);
        assert_eq!(reply.field("Tus-Version"), "1.0.0");
    }
}

#[test]
fn supported_versions_are_listed() {
    let node = Node::start();
    assert_eq!(node.send(&Request::new("OPTIONS", "/tus")).field("Tus-Version"), "1.0.0");
}

#[test]
fn numbers_in_answers_are_plain_decimals() {
    let node = Node::setup().env("MAX_UPLOAD_SIZE", 5_000_000).start();
    numbers_are_decimal(&node.send(&Request::new("OPTIONS", "/tus")));
    let upload = node.create(1_000_000);
    numbers_are_decimal(&node.head(&upload));
    numbers_are_decimal(&node.patch(&upload, 0, &Oracle(1).bytes(0..500_000)));
    numbers_are_decimal(&node.head(&upload));
    numbers_are_decimal(&node.patch(&upload, 7, b"x").is(409));
}

#[test]
fn a_number_is_digits_only() {
    let node = Node::start();
    let upload = node.create(100);
    for value in NO_NUMBERS {
        let odd = patch(&upload, 0, b"x").without("Upload-Offset").header("Upload-Offset", value);
        node.refused(&upload, &odd, 400);
        let before = node.listed();
        let reply = node.send(&post().header("Upload-Length", value)).is(400);
        assert_eq!(reply.header("Location"), None, "errors carry no Location");
        assert_eq!(node.listed(), before, "Upload-Length: {value:?} created something");
    }
}

#[test]
fn a_protocol_header_given_twice_is_400_even_when_both_agree() {
    let node = Node::start();
    let upload = node.create(100);
    let sum = "sha1 2iNhTgJGmg18e9G9q1ycR0sZBNw=";
    for (name, first, second) in [
        ("Upload-Offset", "0", "0"),
        ("Upload-Offset", "0", "5"),
        ("Content-Type", OCTETS, OCTETS),
        ("Tus-Resumable", "1.0.0", "1.0.0"),
        ("Upload-Checksum", sum, sum),
        ("Upload-Length", "100", "100"),
    ] {
        let base = patch(&upload, 0, b"ab").without("Upload-Offset").without("Content-Type").without("Tus-Resumable");
        let mut twice = base.header(name, first).header(name, second);
        for (other, value) in [("Upload-Offset", "0"), ("Content-Type", OCTETS), ("Tus-Resumable", "1.0.0")] {
            if other != name {
                twice = twice.header(other, value);
            }
        }
        node.refused(&upload, &twice, 400);
    }
    for (name, value) in [("Upload-Length", "5"), ("Upload-Metadata", "filename YQ=="), ("Upload-Defer-Length", "1")] {
        let mut twice = post().header(name, value).header(name, value);
        if name == "Upload-Metadata" {
            twice = twice.header("Upload-Length", "5");
        }
        node.send(&twice).is(400);
    }
    let concat =
        post().header("Upload-Length", "5").header("Upload-Concat", "partial").header("Upload-Concat", "partial");
    node.send(&concat).is(400);
    assert_eq!(node.listed(), 1);
}

#[test]
fn header_names_compare_without_case() {
    let node = Node::start();
    let upload = node.create_with(|_| {
        Request::new("POST", "/tus")
            .header("x-api-token", TOKEN)
            .header("tus-resumable", "1.0.0")
            .header("UPLOAD-LENGTH", "5")
    });
    let lower = Request::new("PATCH", &upload.path)
        .header("x-api-token", TOKEN)
        .header("upload-offset", "0")
        .header("content-type", OCTETS)
        .body("hello");
    assert_eq!(node.send(&lower).is(204).number("Upload-Offset"), 5);
    node.whole(&upload, b"hello");
}

#[test]
fn the_override_is_the_method() {
    let node = Node::start();
    let upload = node.create(10);
    let append = tus("POST", &upload.path)
        .header("X-HTTP-Method-Override", "PATCH")
        .header("Upload-Offset", "0")
        .header("Content-Type", OCTETS)
        .body("hello");
    assert_eq!(node.send(&append).is(204).number("Upload-Offset"), 5);
    assert_eq!(node.offset(&upload), 5);
    let look = node.send(&tus("POST", &upload.path).header("X-HTTP-Method-Override", "HEAD").without("Content-Length"));
    assert_eq!(look.is(200).number("Upload-Offset"), 5);
    node.send(&tus("POST", &upload.path).header("X-HTTP-Method-Override", "DELETE")).is(204);
    node.head(&upload).one_of(&[404, 410]);
}

#[test]
fn the_override_counts_on_post_only_and_for_three_methods() {
    let node = Node::start();
    let upload = node.create(10);
    for method in ["GET", "HEAD", "PATCH", "DELETE"] {
        let odd = tus(method, &upload.path).header("X-HTTP-Method-Override", "DELETE");
        if method == "HEAD" {
            let before = node.state(&upload);
            node.send(&odd).is(400);
            assert_eq!(node.state(&upload), before);
        } else {
            node.refused(&upload, &odd, 400);
        }
    }
    for value in ["GET", "PUT", "POST", "OPTIONS", "patch", "BREW", ""] {
        node.refused(&upload, &tus("POST", &upload.path).header("X-HTTP-Method-Override", value), 400);
    }
    let foreign = Request::new("POST", &upload.path).header("X-HTTP-Method-Override", "DELETE");
    node.refused(&upload, &foreign, 401);
}
