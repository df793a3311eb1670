//! Numbers that a client only declares, at the largest value their words allow and one above: each is answered at once, and
//! the node goes on serving. Nothing loops over, sums up or sets aside what a head says.

use super::setup;
use crate::oss::{signed_head, signed_until};
use crate::pyblobserver::User;
use crate::secure_file_transfer::{Device, frame};
use crate::stream_upload;
use crate::support::tus::{OCTETS, Upload, head, metadata, patch_head, post, tus};
use crate::support::{Node, Request, TOKEN};

/// What an offset can be, and the numbers around the ends of 63 and 64 bits.
const NUMBERS: [u64; 5] = [i64::MAX as u64 - 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX];

/// Of every dialect; the node has no limit that would refuse the large ones before they are worked on.
fn start(limited: bool) -> Node {
    let setup = setup()
        .env("SURFACES__STREAM_UPLOAD__MAX_FILE_BYTES", i64::MAX)
        .env("SURFACES__PYBLOBSERVER__FILE_SIZE_LIMIT_MB", "8796093022207")
        .env("SURFACES__PYBLOBSERVER__TOTAL_SIZE_LIMIT_MB", "8796093022207");
    if limited { setup.env("MAX_STORAGE_SIZE", i64::MAX) } else { setup }.start()
}

/// Sent twice: the second time what the first one left is looked at. Every answer is one that a client can act on.
#[track_caller]
fn answered(node: &Node, what: &str, request: &Request) {
    for _again in 0..2 {
        let reply = node.send(request);
        assert!((200..500).contains(&reply.status) || matches!(reply.status, 501 | 507), "{what}: {reply:?}");
    }
}

fn created(node: &Node, length: u64, pairs: &[(&str, &str)]) -> Option<Upload> {
    let request = post().header("Upload-Length", length.to_string()).header("Upload-Metadata", metadata(pairs));
    let reply = node.send(&request);
    assert!(matches!(reply.status, 201 | 400 | 413 | 507), "{length}: {reply:?}");
    (reply.status == 201).then(|| Upload::at(reply.field("Location")))
}

/// All that looks at one upload.
fn look(node: &Node, what: &str, upload: &Upload) {
    let token = |request: Request| request.header("X-API-Token", TOKEN);
    answered(node, what, &head(upload));
    for target in ["", "/info/download"] {
        answered(node, what, &token(Request::get(&format!("{}{target}", upload.file()))));
    }
    answered(node, what, &token(Request::get("/api/files?status=all")));
    answered(node, what, &token(Request::get(&upload.download())));
    for number in NUMBERS {
        answered(node, what, &token(Request::get(&format!("{}?chunk={number}", upload.download()))));
        for range in [format!("{number}-"), format!("0-{number}"), format!("-{number}"), format!("{number}-{number}")] {
            answered(node, what, &token(Request::get(&upload.download())).header("Range", format!("bytes={range}")));
        }
    }
}

#[test]
fn easytransfer() {
    for limited in [false, true] {
        let node = start(limited);
        for length in NUMBERS {
            for retention in ["permanent", "download_once"] {
                let what = format!("Upload-Length {length}, {retention}");
                let ttl = length.to_string();
                created(&node, length, &[("filename", "a"), ("retention", "ttl"), ("retention_ttl", &ttl)]);
                let Some(upload) = created(&node, length, &[("filename", "a"), ("retention", retention)]) else {
                    continue;
                };
                look(&node, &what, &upload);
                node.patch(&upload, 0, b"first").one_of(&[204, 507]);
                // The last bytes there can be, while all the others are missing.
                let last = tus("PATCH", &format!("/tus/{}", upload.id)).header("Content-Type", OCTETS);
                answered(&node, &what, &last.header("Upload-Offset", (length - 1).to_string()).body("x"));
                look(&node, &what, &upload);
            }
        }
        let deferred = node.create_with(|request| request.without("Upload-Length").header("Upload-Defer-Length", "1"));
        for number in NUMBERS {
            answered(&node, "Upload-Offset", &patch_head(&deferred, number).body("x"));
            let declared = patch_head(&deferred, 0).header("Upload-Length", number.to_string());
            answered(&node, "a length declared late", &declared.body(""));
        }
        look(&node, "a length declared late", &deferred);
        for field in ["page", "page_size", "per_page"] {
            for number in NUMBERS {
                answered(
                    &node,
                    field,
                    &Request::get(&format!("/api/files?{field}={number}")).header("X-API-Token", TOKEN),
                );
            }
        }
        serves(node);
    }
}

#[test]
fn secure_file_transfer() {
    let node = start(false);
    let device = Device::one(&node);
    for number in NUMBERS {
        for (start, end) in [(0, number), (number, number), (number - 1, number), (number, 0)] {
            let what = format!("a chunk of bytes {start} to {end}");
            answered(&node, &what, &device.posting("a.bin", &frame(start, end, b'x', b"x")));
        }
        let total = device.posting("b.bin", &frame(0, 0, b'x', b"x"));
        answered(&node, "a total", &total.header("Content-Range", format!("bytes 0-0/{number}")));
        for target in ["/api/files", "/api/files/status/b.bin", "/api/files/download/b.bin"] {
            answered(&node, target, &device.request("GET", target));
        }
    }
    serves(node);
}

#[test]
fn stream_upload() {
    let node = start(false);
    for (number, id) in NUMBERS.into_iter().zip(["a", "b", "c", "d", "e"]) {
        for (size, total, index) in
            [(number, 1, 0), (number, number, 0), (5, number, number - 1), (5, 2, number), (number, 10_000, 9_999)]
        {
            let upload = stream_upload::Upload::new(&node, id, size, total);
            answered(&node, &format!("{size} bytes in {total} chunks"), &upload.request(index, b"x"));
        }
    }
    serves(node);
}

#[test]
fn pyblobserver() {
    let node = start(false);
    let user = User::first(&node, "tus");
    for number in NUMBERS {
        let creation = Request::new("POST", "/files/").header("Tus-Resumable", "1.0.0");
        let creation = user.authorized(creation).header("Upload-Length", number.to_string());
        answered(&node, "Upload-Length", &creation);
        let reply = node.send(&creation);
        if let Some(location) = reply.header("Location") {
            let target = location.strip_prefix(&node.url()).unwrap_or(location).to_owned();
            let asked = user.authorized(Request::new("HEAD", &target).header("Tus-Resumable", "1.0.0"));
            answered(&node, "HEAD", &asked);
        }
    }
    answered(&node, "the list", &user.authorized(Request::get("/list")));
    serves(node);
}

#[test]
fn object_store() {
    let node = start(false);
    node.send(&signed_head("PUT", "a", "", &[]).body("content")).is(200);
    for number in NUMBERS {
        for field in ["max-keys", "limit"] {
            let mut listing = signed_head("GET", "", "", &[]);
            listing.target.push_str(&format!("?{field}={number}"));
            answered(&node, field, &listing);
        }
        for range in [format!("{number}-"), format!("0-{number}"), format!("-{number}")] {
            answered(&node, "Range", &signed_head("GET", "a", "", &[]).header("Range", format!("bytes={range}")));
        }
        answered(&node, "Expires", &Request::get(&signed_until("GET", "a", &[], number)));
    }
    serves(node);
}

/// Still, and after a restart.
#[track_caller]
fn serves(mut node: Node) {
    node.get("/api/health").is(200);
    node.kill_and_start_again();
    node.get("/api/health").is(200);
    node.get("/api/files").is(200);
    answered(&node, "a creation", &post().header("Upload-Length", "5"));
}
