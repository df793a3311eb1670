//! TUS.md §A11: finals made of partials.

use crate::support::database::Database;
use crate::support::disk::Disk;
use crate::support::node::Role;
use crate::support::tus::{OCTETS, Upload, head, metadata, patch, post, tus};
use crate::support::{Node, OTHER_TOKEN, Oracle, Request, TOKEN, audit, wait};

#[track_caller]
fn partial(node: &Node, content: &[u8]) -> Upload {
    let part = unfinished(node, content.len() as u64);
    if !content.is_empty() {
        node.patch(&part, 0, content).is(204);
    }
    part
}
#[track_caller]
fn unfinished(node: &Node, length: u64) -> Upload {
    node.create_with(|request| request.header("Upload-Length", length.to_string()).header("Upload-Concat", "partial"))
}
fn finish(urls: &[&str]) -> Request {
    post().header("Upload-Concat", format!("final;{}", urls.join(" ")))
}
#[track_caller]
fn finished(node: &Node, urls: &[&str]) -> Upload {
    Upload::at(node.send(&finish(urls)).is(201).field("Location"))
}

#[test]
fn partials_and_finals_are_announced_and_nothing_else_is_a_kind() {
    let node = Node::start();
    let list = node.send(&Request::new("OPTIONS", "/tus")).field("Tus-Extension").to_owned();
    assert!(list.split(',').any(|n| n == "concatenation"), "{list}");
    let (a, b) = (partial(&node, b"a"), partial(&node, b"b"));
    let double = format!("final;{}  {}", a.path, b.path);
    for kind in
        ["Partial", "PARTIAL", "partial ", "final", "final;", "final; ", "Final;/tus/x", "whole", "partial;x", &double]
    {
        // Surrounding blanks are not part of a field value: `partial ` is `partial`.
        let fine = kind.trim() == "partial";
        let request = post().header("Upload-Concat", kind);
        let request = if kind.starts_with("final") { request } else { request.header("Upload-Length", "5") };
        node.send(&request).is(if fine { 201 } else { 400 });
    }
    assert_eq!(node.listed(), 0);
}

#[test]
fn a_final_is_the_sum_of_its_parts_in_the_given_order() {
    let node = Node::start();
    let (first, second) = (Oracle(1).bytes(0..300_001), Oracle(2).bytes(0..4_097));
    let (a, b) = (partial(&node, &first), partial(&node, &second));
    let nothing = partial(&node, &[]);
    for (urls, content) in [
        (vec![&a.path, &b.path], [&first[..], &second].concat()),
        (vec![&b.path, &a.path], [&second[..], &first].concat()),
        (vec![&a.path, &b.path, &a.path], [&first[..], &second, &first].concat()),
        (vec![&b.path, &nothing.path, &b.path, &b.path], [&second[..], &second, &second].concat()),
        (vec![&nothing.path], Vec::new()),
    ] {
        let urls: Vec<&str> = urls.into_iter().map(String::as_str).collect();
        let whole = finished(&node, &urls);
        let reply = node.head(&whole).is(200);
        assert_eq!(reply.number("Upload-Length"), content.len() as u64);
        assert_eq!(reply.number("Upload-Offset"), content.len() as u64);
        node.whole(&whole, &content);
    }
}

#[test]
fn a_final_with_a_length_or_a_body_is_400() {
    let node = Node::start();
    let a = partial(&node, b"hello");
    node.send(&finish(&[&a.path]).header("Upload-Length", "5")).is(400);
    node.send(&finish(&[&a.path]).header("Upload-Defer-Length", "1")).is(400);
    node.send(&finish(&[&a.path]).header("Content-Type", OCTETS).body("hello")).is(400);
    assert_eq!(node.listed(), 0);
    node.whole(&finished(&node, &[&a.path]), b"hello");
}

#[test]
fn the_metadata_of_a_final_is_its_own() {
    let node = Node::start();
    let of_part = metadata(&[("filename", "part.bin"), ("note", "of the part")]);
    let part = node.create_with(|request| {
        request.header("Upload-Length", "5").header("Upload-Concat", "partial").header("Upload-Metadata", &of_part)
    });
    node.patch(&part, 0, b"hello").is(204);
    let of_final = metadata(&[("filename", "whole.bin"), ("filetype", "text/plain")]);
    let location = node.send(&finish(&[&part.path]).header("Upload-Metadata", &of_final)).is(201);
    let whole = Upload::at(location.field("Location"));
    assert_eq!(node.head(&whole).field("Upload-Metadata"), of_final);
    assert_eq!(node.get(&whole.file()).json()["filename"], "whole.bin");
    let bare = finished(&node, &[&part.path]);
    assert_eq!(node.head(&bare).header("Upload-Metadata"), None, "nothing is inherited");
    assert_eq!(node.head(&part).field("Upload-Metadata"), of_part);
}

#[test]
fn a_final_takes_no_patch() {
    let node = Node::start();
    let (a, b) = (partial(&node, b"hello "), partial(&node, b"world"));
    let whole = finished(&node, &[&a.path, &b.path]);
    for (offset, body) in [(0, &b"X"[..]), (11, b"X"), (11, b""), (5, b"XX")] {
        node.refused(&whole, &patch(&whole, offset, body), 403);
    }
    // Its parts' bytes neither change nor carry it along when they go.
    node.send(&patch(&a, 0, b"X")).one_of(&[400, 403, 409]);
    node.send(&tus("DELETE", &a.path)).is(204);
    node.whole(&whole, b"hello world");
}

#[test]
fn head_tells_the_kind_as_it_was_received() {
    let mut node = Node::start();
    let (a, b) = (partial(&node, b"hello "), partial(&node, b"world"));
    let absolute = format!("{}{}", node.url(), b.path);
    let whole = finished(&node, &[&a.path, &absolute]);
    for _ in 0..2 {
        assert_eq!(node.head(&a).is(200).field("Upload-Concat"), "partial");
        let reply = node.head(&whole).is(200);
        assert_eq!(reply.field("Upload-Concat"), format!("final;{} {absolute}", a.path));
        assert_eq!((reply.number("Upload-Offset"), reply.number("Upload-Length")), (11, 11));
        node.kill_and_start_again();
    }
    let plain = node.create(5);
    assert_eq!(node.head(&plain).header("Upload-Concat"), None);
}

#[test]
fn an_unfinished_part_is_400() {
    let node = Node::start();
    let (done, half, deferred) = (
        partial(&node, b"hello"),
        unfinished(&node, 10),
        node.create_with(|request| request.header("Upload-Defer-Length", "1").header("Upload-Concat", "partial")),
    );
    node.patch(&half, 0, b"half ").is(204);
    node.patch(&deferred, 0, b"more").is(204);
    let list = node.send(&Request::new("OPTIONS", "/tus")).field("Tus-Extension").to_owned();
    assert!(!list.contains("concatenation-unfinished"), "{list}");
    node.send(&finish(&[&done.path, &half.path])).is(400);
    node.send(&finish(&[&done.path, &deferred.path])).is(400);
    assert_eq!(node.listed(), 0);
    node.patch(&half, 5, b"whole").is(204);
    node.whole(&finished(&node, &[&done.path, &half.path]), b"hellohalf whole");
}

#[test]
fn only_this_servers_partials_are_parts() {
    let node = Node::start();
    let a = partial(&node, b"hello");
    let whole = finished(&node, &[&a.path]);
    let plain = node.complete(b"hello");
    let absolute = format!("{}{}", node.url(), a.path);
    node.whole(&finished(&node, &[&absolute]), b"hello");
    // Whatever name of the node it was reached by: the path decides (faults.md C5).
    let port = node.addr().port();
    for host in ["LOCALHOST", "127.0.0.2", "[::1]", "proxy.example", "proxy.example/at/a/prefix"] {
        let (host, prefix) = host.split_once('/').map_or((host, String::new()), |(host, at)| (host, format!("/{at}")));
        for authority in [host.to_owned(), format!("{host}:80"), format!("{host}:{port}")] {
            for scheme in ["http", "https", "HTTP"] {
                let link = format!("{scheme}://{authority}{prefix}{}", a.path);
                node.whole(&finished(&node, &[&link, &a.path]), b"hellohello");
            }
        }
    }
    let before = node.listed();
    let climbing = format!("/tus/../tus/{}", a.id);
    for url in [
        whole.path.as_str(),
        &plain.path,
        "/tus/00000000000000000000000000000000",
        &climbing,
        &a.id,
        "/tus/",
        "/tus",
        "/api/files",
        "..",
        &a.file(),
        &format!("{}?x=1", a.path),
        &format!("ftp://{}{}", node.addr(), a.path),
    ] {
        node.send(&finish(&[&a.path, url])).is(400);
    }
    let many: Vec<&str> = std::iter::repeat_n(a.path.as_str(), 257).collect();
    node.send(&finish(&many)).is(400);
    assert_eq!(node.listed(), before);
    node.whole(&finished(&node, &many[..256]), &b"hello".repeat(256));
    // A static token has no identity of its own: another one may use the part, as it may read the file.
    let foreign = finish(&[&a.path]).without("X-API-Token");
    node.send(&foreign).is(401);
    node.send(&foreign.header("X-Session-Token", "no-such-session")).is(401);
    assert_ne!(TOKEN, OTHER_TOKEN);
}

#[test]
fn a_part_that_is_gone_is_no_part() {
    let node = Node::start();
    let (a, b) = (partial(&node, b"hello"), partial(&node, b"world"));
    node.send(&tus("DELETE", &b.path)).is(204);
    node.send(&finish(&[&a.path, &b.path])).one_of(&[400, 404, 410]);
    assert_eq!(node.listed(), 0);
}

#[test]
fn a_repeated_final_with_an_idempotency_key_makes_one_copy() {
    let node = Node::start();
    let a = partial(&node, b"hello");
    let keyed = finish(&[&a.path]).header("Idempotency-Key", "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"");
    let first = node.send(&keyed).is(201).field("Location").to_owned();
    assert_eq!(node.send(&keyed).is(201).field("Location"), first);
    assert_eq!(node.listed(), 1);
    let other = finish(&[&a.path]).header("Idempotency-Key", "\"another\"");
    assert_ne!(node.send(&other).is(201).field("Location"), first);
    assert_eq!(node.listed(), 2);
}

#[test]
fn no_half_built_final_is_ever_visible() {
    let mut node = Node::setup().env("DURABILITY", "every").start();
    let content = Oracle(3).bytes(0..8 << 20);
    let (a, b) = (partial(&node, &content), partial(&node, &content));
    let both = [&content[..], &content].concat();
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..6 {
        let mut conn = node.connect();
        conn.send_request(&finish(&[&a.path, &b.path]));
        std::thread::sleep(std::time::Duration::from_micros(rng.u64(0..15_000)));
        node.kill();
        node.start_again();
        let list = node.get("/api/files?page_size=100").is(200).json();
        for file in list["files"].as_array().expect("a list") {
            let upload = Upload::at(&format!("/tus/{}", file["file_id"].as_str().expect("an id")));
            assert_eq!(file["status"], "complete", "a final is there whole or not at all: {file}");
            node.whole(&upload, &both);
            node.send(&tus("DELETE", &upload.path)).is(204);
        }
        node.prefix(&finished(&node, &[&a.path]), Oracle(3), 100_000);
        for file in node.get("/api/files").json()["files"].as_array().expect("a list") {
            node.delete(&format!("/api/files/{}", file["file_id"].as_str().expect("an id"))).is(200);
        }
    }
}

#[test]
fn partials_are_no_files() {
    let node = Node::start();
    let (a, half) = (partial(&node, b"hello"), unfinished(&node, 10));
    node.patch(&half, 0, b"half ").is(204);
    assert_eq!(node.listed(), 0);
    for upload in [&a, &half] {
        node.get(&upload.file()).is(404);
        node.get(&upload.download()).is(404);
        node.get(&format!("/api/files/{}/info/download", upload.id)).is(404);
        node.send(&head(upload)).is(200);
    }
    assert_eq!(node.get("/api/info").json()["total_files"], 0);
    let storage = node.get("/api/storage").json();
    assert_eq!((&storage["files_count"], &storage["used"]), (&0.into(), &10.into()), "{storage}");
}

#[test]
fn a_final_counts_what_it_stores_again() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 1_000_000).start();
    let content = Oracle(4).bytes(0..400_000);
    let a = partial(&node, &content);
    let used = |node: &Node| node.get("/api/storage").json()["used"].as_u64().expect("a number");
    assert_eq!(used(&node), 400_000);
    let whole = finished(&node, &[&a.path]);
    let stored = used(&node);
    assert!(stored == 400_000 || stored == 800_000, "{stored}");
    if stored == 800_000 {
        // Stored again: the next one has no room.
        node.send(&finish(&[&a.path])).is(507);
        assert_eq!(used(&node), 800_000);
    }
    node.send(&tus("DELETE", &a.path)).is(204);
    node.whole(&whole, &content);
    wait::until("what is left is the final", || (used(&node) == 400_000).then_some(()));
}

/// One small request that names one part 256 times.
fn many_times(part: &Upload) -> Request {
    finish(&[part.path.as_str(); 256])
}

#[test]
fn one_part_many_times_is_bounded_by_the_room_of_the_node() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 1_000_000).start();
    let content = Oracle(5).bytes(0..100_000);
    let part = partial(&node, &content);
    let refused = node.send(&many_times(&part)).is(507);
    assert_eq!((refused.number("X-Storage-Max"), refused.number("Retry-After")), (1_000_000, 10));
    nothing_but_the_part(&node, &part, &content);
    assert_eq!(node.get("/api/storage").json()["used"], 100_000);
    // Nothing of the refused one stays promised: what fits exactly is made.
    node.whole(&finished(&node, &[part.path.as_str(); 9]), &content.repeat(9));
    node.send(&finish(&[&part.path])).is(507);
}

#[test]
fn one_part_many_times_is_bounded_by_the_room_of_its_person() {
    const ANN: &str = "session-of-ann";
    let quotas = "user_system: {enabled: true, role_quotas: {user: {max_storage_size: 1000000}}}";
    let node = Node::setup().config(quotas).start();
    Database::of(&node).add_session("ann", "user", ANN);
    let by_ann = |request: Request| request.without("X-API-Token").header("X-API-Token", ANN);
    let content = Oracle(6).bytes(0..100_000);
    let created = post().header("Upload-Length", "100000").header("Upload-Concat", "partial");
    let part = Upload::at(node.send(&by_ann(created)).is(201).field("Location"));
    node.send(&by_ann(patch(&part, 0, &content))).is(204);
    let refused = node.send(&by_ann(many_times(&part))).is(507);
    assert_eq!(refused.number("X-User-Storage-Max"), 1_000_000);
    nothing_but_the_part(&node, &part, &content);
    let used = || node.send(&by_ann(Request::get("/api/users/me/quota"))).is(200).json()["storage_used"].clone();
    assert_eq!(used(), 100_000);
    let nine = node.send(&by_ann(finish(&[part.path.as_str(); 9]))).is(201);
    node.whole(&Upload::at(nine.field("Location")), &content.repeat(9));
    assert_eq!(used(), 1_000_000);
    node.send(&by_ann(finish(&[&part.path]))).is(507);
}

#[test]
fn one_part_many_times_on_a_small_disk_writes_nothing() {
    const MIB: u64 = 1 << 20;
    let Some(disk) = Disk::tmpfs("size=96m") else { return };
    let node = Node::setup().storage(&disk.path().join("storage")).start();
    let content = Oracle(7).bytes(0..MIB);
    let part = partial(&node, &content);
    let written = || {
        let pid = node.pid(Role::Both).expect("it runs");
        let text = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("its counters");
        let line = text.lines().find_map(|line| line.strip_prefix("wchar: ")).expect("bytes it wrote");
        line.parse::<u64>().expect("a number")
    };
    let before = written();
    for _ in 0..3 {
        let refused = node.send(&many_times(&part)).is(507);
        assert_eq!(refused.header("Location"), None, "errors carry no Location");
        assert!(refused.number("Retry-After") > 0);
    }
    assert!(written() - before < MIB, "{} bytes were written for what never fits", written() - before);
    nothing_but_the_part(&node, &part, &content);
    wait::until("nothing is counted", || (node.get("/api/storage").json()["used"] == MIB).then_some(()));
    node.whole(&finished(&node, &[part.path.as_str(); 8]), &content.repeat(8));
}

#[track_caller]
fn nothing_but_the_part(node: &Node, part: &Upload, content: &[u8]) {
    assert_eq!(node.listed(), 0);
    wait::until("the disk has the part and nothing else", || {
        (audit::objects_below(node.storage()).len() == 1).then_some(())
    });
    assert_eq!(audit::objects_below(node.storage())[0].file_name().and_then(|name| name.to_str()), Some(&*part.id));
    assert_eq!(std::fs::read(&audit::objects_below(node.storage())[0]).expect("the part"), content);
}
