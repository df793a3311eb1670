//! Chunks, states and downloads: cases 5 to 16, 18 to 20, 25 of secure_file_transfer/CONTRACT.md §9.

use serde_json::json;
use sha2::Digest as _;

use super::{BOUNDARY, Device, chunk, complete, detail, form, frame, partial, pending, setup, start};
use crate::support::{Oracle, audit, wait};

#[test]
fn section_9_5_to_9_and_25_frames() {
    let node = start();
    let device = Device::one(&node);
    let data = b"This is a test file for SFT upload"; // 34 bytes
    for (content, status, text) in [
        (frame(0, 33, 255, data), 400, "Checksum validation failed"),
        (vec![0; 3], 400, "Chunk data too small to contain valid header"),
        (vec![], 400, "Chunk data too small to contain valid header"),
        (frame(9, 0, 0, data), 400, "Invalid byte range (end_byte < start_byte)"),
        (frame(0, 99, 0, &data[..10]), 400, "Chunk length does not match byte range"),
        (frame(0, 4, 0, &data[..10]), 400, "Chunk length does not match byte range"),
        (frame(0, u64::MAX, 0, data), 413, "File size exceeds limit"),
        (frame(1 << 40, (1 << 40) + 33, 0, data), 413, "File size exceeds limit"),
    ] {
        let plain = device.request("POST", "/api/files/upload?filename=bad.txt").body(content.clone());
        for reply in [device.post("bad.txt", &content), node.send(&plain)] {
            let reply = reply.is(status);
            assert_eq!(reply.json(), detail(text), "{reply:?}");
        }
        assert_eq!(device.status("bad.txt"), pending("bad.txt"));
    }
    assert_eq!(device.list(), [""; 0]);
    assert_eq!(device.post("test_file.txt", &chunk(0, data)).is(200).json(), complete("test_file.txt", 34));
    assert_eq!(device.download("test_file.txt"), data);
    // 9: what is missing.
    let reply = device.ask("POST", "/api/files/upload").is(422).json();
    assert_eq!(reply["detail"][0]["loc"], json!(["query", "filename"]));
    let other = device.posting("a.txt", b"").body(form("chunk", &chunk(0, data)));
    assert_eq!(node.send(&other).is(422).json()["detail"][0]["loc"], json!(["body", "file"]));
    // Parts with other names are passed over.
    let (first, second) = (form("chunk", b"x"), form("file", &chunk(0, data)));
    let both = [&first[..first.len() - "--\r\n".len()], &second["--".len() + BOUNDARY.len()..]].concat();
    assert_eq!(node.send(&device.posting("b.txt", b"").body(both)).is(200).json(), complete("b.txt", 34));
    // The sum of the vector in secure_file_transfer/CONTRACT.md §4.
    assert_eq!(chunk(0, b"Hello"), frame(0, 4, 0xf4, b"Hello"));
    // No space was reserved for what a header claims.
    wait::until("nothing else is stored", || (audit::objects_below(node.storage()).len() == 2).then_some(()));
}

#[test]
fn section_4_stronger_sums_and_empty_files() {
    let node = start();
    let device = Device::one(&node);
    let sha: String = sha2::Sha256::digest(b"data").iter().map(|byte| format!("{byte:02x}")).collect();
    for (name, value, status) in [
        ("Content-MD5", "jXd/OF09/siBXSD3SWAm3A==", 200),
        ("Content-MD5", "jXd/OF09/siBXSD3SWAm3Q==", 400),
        ("Content-MD5", "zzz", 400),
        ("X-Chunk-SHA256", sha.as_str(), 200),
        ("X-Chunk-SHA256", &sha.to_uppercase(), 200),
        ("X-Chunk-SHA256", &sha.replace('a', "b"), 400),
        ("X-Chunk-SHA256", "", 400),
    ] {
        let reply = node.send(&device.posting("sums", &chunk(0, b"data")).header(name, value));
        assert_eq!(reply.status, status, "{name} {value}: {reply:?}");
    }
    for (name, request) in [
        ("form", device.posting("form", &frame(0, 0, 0, b""))),
        ("plain", device.request("POST", "/api/files/upload?filename=plain").body(frame(0, 0, 0, b""))),
    ] {
        assert_eq!(node.send(&request).is(200).json(), complete(name, 0), "{name}");
        let reply = device.ask("GET", &format!("/api/files/download/{name}")).is(200);
        assert_eq!((reply.field("Content-Length"), reply.body.len()), ("0", 0));
    }
    device.send("one", 0, b"\0", None).is(200);
    assert_eq!(
        device.post("one", &frame(0, 0, 0, b"")).is(400).json(),
        detail("Chunk length does not match byte range")
    );
    assert_eq!(device.download("one"), b"\0");
}

#[test]
fn b8_a_file_in_many_pieces_is_compared_with_what_comes() {
    let node = start();
    let device = Device::one(&node);
    let mut content = vec![b'a'; 300];
    device.send("m", 0, &content, None).is(200);
    for at in (1..290).step_by(4) {
        content[at] = b'b';
        assert_eq!(device.send("m", at as u64, b"b", None).is(200).json(), complete("m", 300));
    }
    // The same bytes again change nothing, although they begin at 0 and end before the file does.
    assert_eq!(device.send("m", 0, &content[..290], None).is(200).json(), complete("m", 300));
    assert!(device.download("m") == content);
    wait::until("one object is left", || (audit::objects_below(node.storage()).len() == 1).then_some(()));
    // Others replace it.
    assert_eq!(device.send("m", 0, &[b'c'; 290], None).is(200).json(), complete("m", 290));
    assert!(device.download("m") == [b'c'; 290]);
}

#[test]
fn section_9_10_to_15_orders_overlaps_and_repetitions() {
    let node = start();
    let device = Device::one(&node);
    let (a, b, c) = (&b"aaaaaaaaaa"[..], &b"bbbbbbbbbb"[..], &b"cccccccccc"[..]);
    let all = [a, b, c].concat();
    let total = Some(30);
    for (name, steps) in [
        (
            "10",
            vec![
                (20, c, None, partial("10", 10, 30, 0)),
                (0, a, None, partial("10", 20, 30, 10)),
                (10, b, None, complete("10", 30)),
            ],
        ),
        (
            "11",
            vec![
                (0, a, None, complete("11", 10)),
                (10, b, None, complete("11", 20)),
                (20, c, None, complete("11", 30)),
            ],
        ),
        (
            "12",
            vec![
                (0, a, total, partial("12", 10, 30, 10)),
                (10, b, total, partial("12", 20, 30, 20)),
                (20, c, total, complete("12", 30)),
            ],
        ),
        (
            "13",
            vec![
                (0, a, None, complete("13", 10)),
                (20, c, None, partial("13", 20, 30, 10)),
                (10, b, None, complete("13", 30)),
            ],
        ),
        (
            "15",
            vec![
                (0, a, total, partial("15", 10, 30, 10)),
                (0, a, total, partial("15", 10, 30, 10)),
                (0, a, total, partial("15", 10, 30, 10)),
                (10, b, total, partial("15", 20, 30, 20)),
                (20, c, total, complete("15", 30)),
                (20, c, total, complete("15", 30)),
                (20, c, None, complete("15", 30)),
            ],
        ),
    ] {
        for (index, (start, data, total, status)) in steps.iter().enumerate() {
            assert_eq!(&device.send(name, *start, data, *total).is(200).json(), status, "{name} {index}");
            assert_eq!(&device.status(name), status, "{name} {index}");
            if name == "12" && index < 2 {
                let early = device.ask("GET", "/api/files/download/12").is(404).json();
                assert_eq!(early, detail("File is not complete and cannot be downloaded"));
            }
        }
        assert_eq!(device.download(name), all, "{name}");
    }
    assert_eq!(device.send("14", 0, &[b'A'; 10], Some(20)).is(200).json(), partial("14", 10, 20, 10));
    assert_eq!(device.send("14", 5, &[b'B'; 10], Some(20)).is(200).json(), partial("14", 15, 20, 15));
    assert_eq!(device.send("14", 15, b"DDDDD", None).is(200).json(), complete("14", 20));
    assert_eq!(device.download("14"), b"AAAAABBBBBBBBBBDDDDD");
    // Totals that do not match.
    device.send("t", 0, a, total).is(200);
    for (start, total, status, text) in [
        (10, Some(31), 409, "Declared total does not match"),
        (10, Some(15), 400, "Content-Range does not match chunk header"),
        (25, None, 409, "Declared total does not match"),
    ] {
        assert_eq!(device.send("t", start, b, total).is(status).json(), detail(text), "{start} {total:?}");
    }
    let lying = device.posting("t", &chunk(10, b)).header("Content-Range", "bytes 11-20/30");
    assert_eq!(node.send(&lying).is(400).json(), detail("Content-Range does not match chunk header"));
    assert_eq!(device.status("t"), partial("t", 10, 30, 10));
    assert_eq!(device.list(), ["10", "11", "12", "13", "14", "15", "t"]);
    // What was put together, patched or cancelled leaves nothing behind.
    for name in device.list() {
        device.ask("DELETE", &format!("/api/files/{name}")).is(200);
    }
    wait::until("every byte is gone", || audit::objects_below(node.storage()).is_empty().then_some(()));
}

#[test]
fn section_6_2_a_file_stays_downloadable_until_its_replacement_is_whole() {
    let node = start();
    let device = Device::one(&node);
    device.send("f", 0, b"old content", None).is(200);
    let etag = device.ask("HEAD", "/api/files/download/f").is(200).field("ETag").to_owned();
    device.send("f", 0, b"new", Some(8)).is(200);
    assert_eq!((device.status("f"), device.download("f")), (partial("f", 3, 8, 3), b"old content".to_vec()));
    assert_eq!(device.send("f", 3, b" text", Some(8)).is(200).json(), complete("f", 8));
    let reply = device.ask("GET", "/api/files/download/f").is(200);
    assert_eq!(reply.body, b"new text");
    assert_ne!(reply.field("ETag"), etag, "another content has another tag");
    // secure_file_transfer/CONTRACT.md §6.2 item 3: the same bytes again, an extension with an overlap, a replacement
    // from the start, a patch.
    for (start, data, content) in [
        (4, &b"text"[..], &b"new text"[..]),
        (6, b"xt and more", b"new text and more"),
        (0, b"other", b"other"),
        (3, b"OMAN", b"othOMAN"),
    ] {
        let length = content.len() as u64;
        assert_eq!(device.send("f", start, data, None).is(200).json(), complete("f", length), "{start}");
        assert_eq!(device.download("f"), content);
    }
}

#[test]
fn section_9_16_sixty_four_connections() {
    let node = start();
    let device = Device::one(&node);
    let (oracle, length, step) = (Oracle(16), 64 * 40_000u64, 40_000);
    let complete_seen: usize = std::thread::scope(|scope| {
        let send = |start: u64| {
            let device = &device;
            move || {
                let data = oracle.bytes(start..start + step);
                device.send("many", start, &data, Some(length)).is(200).json()["status"] == "complete"
            }
        };
        let threads: Vec<_> = (0..64).map(|index| scope.spawn(send(index * step))).collect();
        threads.into_iter().map(|thread| usize::from(thread.join().expect("a sender"))).sum()
    });
    assert!(complete_seen >= 1, "one of them saw it complete");
    assert_eq!(device.status("many"), complete("many", length));
    let content = device.download("many");
    assert_eq!(content.len() as u64, length);
    oracle.check(0, &content).unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[test]
fn section_9_18_to_20_downloads_and_deletions() {
    let node = start();
    let device = Device::one(&node);
    let alphabet = b"abcdefghijklmnopqrstuvwxyz";
    device.send("alphabet.txt", 0, alphabet, None).is(200);
    device.send("twenty", 0, &alphabet[..20], None).is(200);
    let get = |name: &str, range: &str| {
        node.send(&device.request("GET", &format!("/api/files/download/{name}")).header("Range", range))
    };
    let reply = get("alphabet.txt", "bytes=5-15").is(206);
    assert_eq!((reply.field("Content-Range"), reply.body.as_slice()), ("bytes 5-15/26", &b"fghijklmnop"[..]));
    assert_eq!(get("alphabet.txt", "bytes=-5").is(206).body, b"vwxyz");
    assert_eq!(get("alphabet.txt", "bytes=20-").is(206).body, b"uvwxyz");
    assert_eq!(get("alphabet.txt", "bytes=20-99").is(206).body, b"uvwxyz");
    for range in ["bytes=20-", "bytes=-0", "bytes=5-4"] {
        let reply = get("twenty", range).is(416);
        assert_eq!(reply.json(), detail("Range not satisfiable for file of size 20"), "{range}");
        assert_eq!(reply.field("Content-Range"), "bytes */20");
    }
    for range in ["bytes=a-b", "bytes=0-1,4-5", "items=0-1", "0-1", "bytes=-", "bytes=5"] {
        assert_eq!(get("twenty", range).is(400).json(), detail("Invalid range header format"), "{range}");
    }
    let reply = device.ask("HEAD", "/api/files/download/alphabet.txt").is(200);
    for (name, value) in [
        ("Content-Type", "application/octet-stream"),
        ("Accept-Ranges", "bytes"),
        ("Content-Length", "26"),
        ("Content-Disposition", "attachment; filename=\"alphabet.txt\"; filename*=UTF-8''alphabet.txt"),
    ] {
        assert_eq!(reply.field(name), value);
    }
    let (etag, changed) = (reply.field("ETag").to_owned(), reply.field("Last-Modified").to_owned());
    assert!(etag.starts_with('"') && changed.ends_with("GMT"));
    let ask = |name: &str, value: &str, range: &str| {
        let request = device.request("GET", "/api/files/download/alphabet.txt").header(name, value);
        node.send(&if range.is_empty() { request } else { request.header("Range", range) })
    };
    ask("If-None-Match", &etag, "").is(304);
    assert_eq!(ask("If-Range", &etag, "bytes=0-1").is(206).body, b"ab");
    assert_eq!(ask("If-Range", "\"stale\"", "bytes=0-1").is(200).body, alphabet);
    // 19: asking creates nothing. 20: deleting.
    assert_eq!(device.status("never"), pending("never"));
    assert_eq!(device.list(), ["alphabet.txt", "twenty"]);
    device.ask("GET", "/api/files/download/never").is(404);
    let gone = device.ask("DELETE", "/api/files/twenty").is(200).json();
    assert_eq!(gone, detail("File twenty deleted successfully"));
    assert_eq!(device.status("twenty"), pending("twenty"));
    assert_eq!(device.ask("DELETE", "/api/files/twenty").is(404).json(), detail("File twenty not found"));
}

#[test]
fn a_device_s_quota_is_507_and_stores_nothing() {
    let node = setup().start();
    let device = Device::log_in(&node, "small", "password3");
    device.send("a", 0, &[1; 60], Some(200)).is(200);
    assert_eq!(device.send("a", 60, &[1; 41], Some(200)).is(507).json(), detail("Storage quota exceeded"));
    device.send("b", 0, &[1; 40], None).is(200);
    device.ask("DELETE", "/api/files/a").is(200);
    wait::until("the room is free again", || (device.send("c", 0, &[1; 60], None).status == 200).then_some(()));
}
