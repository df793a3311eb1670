//! Downloads: the table and the vectors of easytransfer/CONTRACT.md §2.8 and §18, validators, partial files, chunks,
//! and that one response is one version (PROMISES.md P12).

use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::support::tus::{Upload, patch, patch_head, tus};
use crate::support::{Conn, DEADLINE, Node, Oracle, Reply, Request, TOKEN, wait};

fn get(upload: &Upload) -> Request {
    Request::get(&upload.download()).header("X-API-Token", TOKEN)
}
#[track_caller]
fn range(node: &Node, upload: &Upload, range: &str) -> Reply {
    node.send(&get(upload).header("Range", range))
}
fn chunk(upload: &Upload, index: impl std::fmt::Display) -> Request {
    Request::get(&format!("{}?chunk={index}", upload.download())).header("X-API-Token", TOKEN)
}

#[test]
fn the_vectors_on_a_complete_file() {
    let node = Node::start();
    let upload = node.complete(b"abcde");
    for (asked, got, told) in [
        ("bytes=0-1", "ab", "bytes 0-1/5"),
        ("bytes=1-", "bcde", "bytes 1-4/5"),
        ("bytes=-2", "de", "bytes 3-4/5"),
        ("bytes=-9", "abcde", "bytes 0-4/5"),
        ("bytes=4-100", "e", "bytes 4-4/5"),
        ("bytes=0-4", "abcde", "bytes 0-4/5"),
        ("bytes=0-", "abcde", "bytes 0-4/5"),
        ("Bytes=0-0", "a", "bytes 0-0/5"),
    ] {
        let reply = range(&node, &upload, asked).is(206);
        assert_eq!((reply.field("Content-Range"), &reply.body[..]), (told, got.as_bytes()), "{asked}");
        assert_eq!(reply.number("Content-Length"), got.len() as u64);
    }
    for asked in ["bytes=5-", "bytes=3-1", "bytes=a-b", "bytes=0-1,3-4"] {
        assert_eq!(range(&node, &upload, asked).is(416).field("Content-Range"), "bytes */5", "{asked}");
    }
}

#[test]
fn a_whole_file_comes_with_all_its_fields() {
    let node = Node::start();
    let content = Oracle(1).bytes(0..1_000_000);
    let upload = node.complete_as(&[("filename", "data set.bin"), ("filetype", "application/x-test")], &content);
    let reply = node.send(&get(&upload)).is(200);
    assert!(reply.body == content);
    assert_eq!(reply.number("Content-Length"), 1_000_000);
    assert_eq!(reply.field("Content-Type"), "application/x-test");
    assert_eq!(reply.field("Accept-Ranges"), "bytes");
    assert_eq!(reply.field("X-Retention-Policy"), "permanent");
    assert_eq!(reply.header("X-Retention-Warning"), None);
    assert_eq!(reply.header("X-Retention-Expires"), None);
    assert_eq!(reply.header("Content-Encoding"), None);
    assert!(reply.field("Content-Disposition").starts_with("attachment; filename=\"data set.bin\""), "{reply:?}");
    let etag = reply.field("ETag");
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "a strong validator: {etag}");
    let plain = node.complete(b"x");
    assert_eq!(node.send(&get(&plain)).is(200).field("Content-Type"), "application/octet-stream");
}

#[test]
fn downloads_are_counted_and_head_is_none() {
    let node = Node::start();
    let upload = node.complete(b"abcde");
    let count = |node: &Node| node.get(&upload.file()).json()["metadata"]["download_count"].as_u64().expect("a number");
    for told in ["1", "2", "3"] {
        assert_eq!(node.send(&get(&upload)).is(200).field("X-Download-Count"), told);
        let want = told.parse::<u64>().expect("a number");
        wait::until("the download is counted", || (count(&node) == want).then_some(()));
    }
    assert_eq!(range(&node, &upload, "bytes=0-1").is(206).field("X-Download-Count"), "4");
    let head = Request::new("HEAD", &upload.download()).header("X-API-Token", TOKEN);
    for _ in 0..3 {
        let reply = node.send(&head).is(200);
        assert_eq!(reply.number("Content-Length"), 5);
        assert_eq!(reply.field("Accept-Ranges"), "bytes");
    }
    // A range means something on GET only (PROMISES.md §4, RFC 9110 §14.2).
    assert_eq!(node.send(&head.clone().header("Range", "bytes=1-2")).is(200).number("Content-Length"), 5);
    node.send(&head.header("Range", "bytes=9-")).is(200);
    assert_eq!(count(&node), 3, "neither a part nor a HEAD is a download");
}

#[test]
fn a_partial_file_is_206_with_the_declared_total() {
    let node = Node::start();
    let upload = node.create(5);
    // Nothing received.
    assert_eq!(node.send(&get(&upload)).is(416).field("Content-Range"), "bytes */5");
    assert_eq!(range(&node, &upload, "bytes=0-1").is(416).field("Content-Range"), "bytes */5");
    node.patch(&upload, 0, b"ab").is(204);
    let reply = node.send(&get(&upload)).is(206);
    assert_eq!((reply.field("Content-Range"), &reply.body[..]), ("bytes 0-1/5", &b"ab"[..]));
    for (asked, told, got) in [
        ("bytes=0-0", "bytes 0-0/5", "a"),
        ("bytes=0-4", "bytes 0-1/5", "ab"),
        ("bytes=1-", "bytes 1-1/5", "b"),
        ("bytes=-1", "bytes 1-1/5", "b"),
    ] {
        let reply = range(&node, &upload, asked).is(206);
        assert_eq!((reply.field("Content-Range"), &reply.body[..]), (told, got.as_bytes()), "{asked}");
    }
    assert_eq!(range(&node, &upload, "bytes=2-").is(416).field("Content-Range"), "bytes */5");
    let info = node.get(&format!("{}/info/download", upload.file())).is(200).json();
    assert_eq!((&info["available_size"], &info["is_upload_complete"]), (&2.into(), &false.into()), "{info}");
    node.patch(&upload, 2, b"cde").is(204);
    node.whole(&upload, b"abcde");
}

#[test]
fn what_lies_beyond_a_gap_is_not_available() {
    let node = Node::start();
    let content = Oracle(2).bytes(0..20_000);
    let upload = node.create(20_000);
    node.patch(&upload, 8_192, &content[8_192..]).is(204);
    node.send(&get(&upload)).is(416);
    node.patch(&upload, 0, &content[..4_096]).is(204);
    let reply = node.send(&get(&upload)).is(206);
    assert_eq!(reply.field("Content-Range"), "bytes 0-4095/20000");
    assert!(reply.body == content[..4_096]);
    range(&node, &upload, "bytes=4096-").is(416);
    node.patch(&upload, 4_096, &content[4_096..8_192]).is(204);
    node.whole(&upload, &content);
}

#[test]
fn if_range_counts_only_with_the_present_strong_tag() {
    let node = Node::start();
    let upload = node.complete(b"abcde");
    let etag = node.send(&get(&upload)).field("ETag").to_owned();
    let with = |tag: &str| node.send(&get(&upload).header("Range", "bytes=1-2").header("If-Range", tag));
    assert_eq!(with(&etag).is(206).body, b"bc");
    for stale in ["\"other\"", &format!("W/{etag}"), "Sat, 21 Nov 2020 09:00:00 GMT", "x", ""] {
        let reply = with(stale);
        assert_eq!((reply.status, &reply.body[..]), (200, &b"abcde"[..]), "If-Range: {stale}: {reply:?}");
    }
    // Without a range it has nothing to say.
    node.send(&get(&upload).header("If-Range", &etag)).is(200);
    // A tag belongs to one upload.
    let other = node.complete(b"abcde");
    assert_ne!(node.send(&get(&other)).field("ETag"), etag);
    assert_eq!(node.send(&get(&upload)).field("ETag"), etag, "the same file keeps its tag");
}

#[test]
fn unknown_files_are_404() {
    let node = Node::start();
    for id in ["00000000000000000000000000000000", "short", "..", "0000000000000000000000000000000G"] {
        for path in ["", "/download", "/info/download"] {
            node.get(&format!("/api/files/{id}{path}")).is(404);
        }
    }
}

#[test]
fn chunks_of_any_file() {
    let node = Node::setup().env("CHUNK_SIZE", 1_000).start();
    let content = Oracle(3).bytes(0..2_500);
    let upload = node.create(2_500);
    node.patch(&upload, 0, &content[..1_500]).is(204);
    let reply = node.send(&chunk(&upload, 0)).is(200);
    assert!(reply.body == content[..1_000]);
    let told = ["X-Chunk-Index", "X-Chunk-Size", "X-Total-Chunks"].map(|name| reply.number(name));
    assert_eq!(told, [0, 1_000, 3]);
    assert_eq!(reply.field("X-Retention-Policy"), "permanent");
    // Half there; not there; no such chunk.
    node.send(&chunk(&upload, 1)).is(404);
    node.send(&chunk(&upload, 2)).is(404);
    for index in ["3", "9999999999"] {
        node.send(&chunk(&upload, index)).is(416);
    }
    for index in ["-1", "x", "", "1.0", "99999999999999999999"] {
        node.send(&chunk(&upload, index)).one_of(&[400, 416, 422]);
    }
    node.patch(&upload, 1_500, &content[1_500..]).is(204);
    for (index, part) in content.chunks(1_000).enumerate() {
        let reply = node.send(&chunk(&upload, index)).is(200);
        assert!(reply.body == part, "chunk {index}");
        assert_eq!(reply.number("X-Chunk-Index"), index as u64);
    }
    node.whole(&upload, &content);
}

#[test]
fn a_chunk_beyond_a_gap_is_there_when_all_of_it_is() {
    let node = Node::setup().env("CHUNK_SIZE", 33_554_432).start();
    let length = 70_000_000u64;
    let upload = node.create(length);
    let last = Oracle(4).bytes(67_108_864..length);
    let reply = node.patch(&upload, 67_108_864, &last).is(204);
    assert_eq!((reply.number("Upload-Offset"), reply.number("X-Received-Bytes")), (0, 2_891_136));
    assert_eq!(node.head(&upload).field("X-Received-Ranges"), "67108864-70000000");
    let got = node.send(&chunk(&upload, 2)).is(200);
    assert!(got.body == last);
    assert_eq!(got.number("X-Total-Chunks"), 3);
    node.send(&chunk(&upload, 0)).is(404);
}

#[test]
fn a_download_of_a_growing_file_follows_by_ranges() {
    let node = Node::start();
    let content = Oracle(5);
    let length = 3u64 << 20;
    let body = content.bytes(0..length);
    let upload = node.create(length);
    let writer = {
        let (addr, upload, body) = (node.addr(), upload.clone(), body.clone());
        std::thread::spawn(move || {
            let mut conn = Conn::open(addr);
            conn.send_head(&patch_head(&upload, 0).header("Content-Length", length.to_string()));
            for piece in body.chunks(65_536) {
                conn.try_send(piece).expect("the server takes the body");
                conn.quiet_for(Duration::from_millis(2));
            }
            conn.reply().is(204);
        })
    };
    let mut got = Vec::new();
    let mut conn = node.connect();
    while (got.len() as u64) < length {
        let reply = conn.ask(&get(&upload).header("Range", format!("bytes={}-", got.len())));
        match reply.status {
            206 => {
                assert!(reply.field("Content-Range").ends_with(&format!("/{length}")), "{reply:?}");
                got.extend_from_slice(&reply.body);
            }
            _ => drop(reply.is(416)),
        }
    }
    writer.join().expect("no panic");
    assert!(got == body);
    node.whole(&upload, &body);
}

#[test]
fn large_files_come_whole_in_one_and_in_many_ranges() {
    let node = Node::start();
    let content = Oracle(6);
    let length = (64u64 << 20) + 123;
    let upload = node.create(length);
    let mut conn = node.connect();
    for from in (0..length).step_by(16 << 20) {
        let to = length.min(from + (16 << 20));
        conn.ask(&patch(&upload, from, &content.bytes(from..to))).is(204);
    }
    let whole = node.send(&get(&upload)).is(200);
    assert_eq!(whole.body.len() as u64, length);
    content.check(0, &whole.body).unwrap_or_else(|wrong| panic!("{wrong}"));
    std::thread::scope(|scope| {
        for share in 0..4u64 {
            let (node, upload) = (&node, &upload);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(share);
                let mut conn = node.connect();
                for _ in 0..40 {
                    let from = rng.u64(0..length);
                    let to = length.min(from + rng.u64(1..3 << 20));
                    let reply = conn.ask(&get(upload).header("Range", format!("bytes={from}-{}", to - 1))).is(206);
                    assert_eq!(reply.body.len() as u64, to - from);
                    content.check(from, &reply.body).unwrap_or_else(|wrong| panic!("{wrong}"));
                }
            });
        }
    });
}

#[test]
fn a_slow_reader_gets_the_right_bytes() {
    let node = Node::start();
    let content = Oracle(7);
    let length = 12u64 << 20;
    let upload = node.complete(&content.bytes(0..length));
    let mut conn = node.connect();
    rustix::net::sockopt::set_socket_recv_buffer_size(&conn.stream, 131_072).expect("set the buffer size");
    conn.send_request(&get(&upload));
    let (status, _) = conn.read_head(Instant::now() + DEADLINE).expect("a head");
    assert_eq!(status, 200);
    let mut got = conn.read_some(1);
    let (mut buffer, mut reads) = (vec![0; 100_000], 0);
    while (got.len() as u64) < length {
        let n = conn.stream.read(&mut buffer).expect("more of the body");
        assert!(n > 0, "closed after {} of {length}", got.len());
        got.extend_from_slice(&buffer[..n]);
        reads += 1;
        if reads % 10 == 0 {
            // Between reads another file comes and goes.
            node.send(&tus("DELETE", &node.complete(&[9; 100_000]).path)).is(204);
        }
    }
    content.check(0, &got).unwrap_or_else(|wrong| panic!("{wrong}"));
}

/// PROMISES.md P12: readers during storms of removal and creation see one version or a closed connection.
#[test]
fn a_response_is_one_version() {
    let node = Node::start();
    let length = 2u64 << 20;
    let until = Instant::now() + Duration::from_secs(4);
    let current = std::sync::Mutex::new((node.complete(&Oracle(0).bytes(0..length)), 0u64));
    let (mut whole, mut cut) = (0u64, 0u64);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (node, current) = (&node, &current);
                scope.spawn(move || {
                    let (mut whole, mut cut) = (0u64, 0u64);
                    while Instant::now() < until {
                        let (upload, seed) = current.lock().expect("the present file").clone();
                        let mut conn = node.connect();
                        conn.send_request(&get(&upload));
                        let Ok((status, _)) = conn.read_head(Instant::now() + DEADLINE) else {
                            cut += 1;
                            continue;
                        };
                        let (body, ended) = read_body(&mut conn, if status == 200 { length as usize } else { 0 });
                        match status {
                            200 => {
                                Oracle(seed).check(0, &body).unwrap_or_else(|wrong| panic!("other bytes: {wrong}"));
                                assert!(ended || body.len() as u64 == length);
                                if body.len() as u64 == length { whole += 1 } else { cut += 1 }
                            }
                            404 => {}
                            other => panic!("{other}"),
                        }
                    }
                    (whole, cut)
                })
            })
            .collect();
        let mut seed = 0;
        while Instant::now() < until {
            seed += 1;
            let next = node.complete(&Oracle(seed).bytes(0..length));
            let (old, _) = std::mem::replace(&mut *current.lock().expect("the present file"), (next, seed));
            node.send(&tus("DELETE", &old.path)).is(204);
        }
        for reader in readers {
            let (w, c) = reader.join().expect("no panic");
            (whole, cut) = (whole + w, cut + c);
        }
    });
    assert!(whole > 0, "no reader ever got a whole file ({cut} cut)");
}

/// Up to `length` bytes, and whether the peer ended before.
fn read_body(conn: &mut Conn, length: usize) -> (Vec<u8>, bool) {
    if length == 0 {
        return (Vec::new(), true);
    }
    let mut body = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    conn.stream.set_read_timeout(Some(DEADLINE)).expect("set the limit");
    body.extend(conn.take_pending());
    while body.len() < length {
        match conn.stream.read(&mut buffer) {
            Ok(0) | Err(_) => return (body, true),
            Ok(n) => body.extend_from_slice(&buffer[..n]),
        }
    }
    (body, false)
}

#[test]
fn cors_fields_are_on_downloads_and_refusals() {
    let node = Node::start();
    let upload = node.complete(b"abcde");
    for request in [get(&upload), get(&upload).without("X-API-Token"), get(&upload).header("Range", "bytes=9-")] {
        let reply = node.send(&request.header("Origin", "https://page.example"));
        assert_eq!(reply.field("Access-Control-Allow-Origin"), "*", "{reply:?}");
        let exposed = reply.field("Access-Control-Expose-Headers").to_ascii_lowercase();
        for name in ["upload-offset", "location", "content-range", "x-received-ranges", "retry-after", "etag"] {
            assert!(exposed.split(',').any(|n| n.trim() == name), "{name} in {exposed}");
        }
    }
}

#[test]
fn a_connection_serves_many_files_one_after_another() {
    let node = Node::start();
    let files: Vec<(Upload, Vec<u8>)> = (0..20)
        .map(|seed| {
            let content = Oracle(seed).bytes(0..seed * 7_919);
            (node.complete_as(&[("filename", "f")], &content), content)
        })
        .collect();
    let mut conn = node.connect();
    for round in 0..5 {
        for (upload, content) in &files {
            let reply = conn.ask(&get(upload)).is(200);
            assert!(reply.body == *content, "round {round}");
        }
    }
}
