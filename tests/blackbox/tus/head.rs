//! TUS.md §A3: what HEAD tells about an upload, and that it changes nothing.

use crate::support::tus::{head, metadata, patch_head, tus};
use crate::support::{Node, Oracle, Request};

#[test]
fn the_offset_is_told_when_new_half_and_complete() {
    let node = Node::start();
    let content = Oracle(3).bytes(0..10_000);
    let upload = node.create(10_000);
    for (from, to) in [(0, 0), (0, 5_000), (5_000, 10_000)] {
        if to > from {
            node.patch(&upload, from as u64, &content[from..to]).is(204);
        }
        let reply = node.head(&upload).is(200);
        assert_eq!(reply.number("Upload-Offset"), to as u64);
        assert_eq!(reply.number("Upload-Length"), 10_000);
        assert_eq!(reply.number("X-Received-Bytes"), to as u64);
        let ranges = (to > 0).then(|| format!("0-{to}"));
        assert_eq!(reply.header("X-Received-Ranges").map(str::to_owned), ranges);
    }
}

/// easytransfer/CONTRACT.md §2.3: what the later clients are told of an upload that is stored in chunks.
#[test]
fn section_2_3_chunks_are_told_in_chunk_mode() {
    let node = Node::setup().env("CHUNK_SIZE", 4_096).start();
    let content = Oracle(5).bytes(0..10_000);
    let pairs = metadata(&[("filename", "relay.bin"), ("retention", "download_once")]);
    let upload = node.create_with(|request| request.header("Upload-Length", "10000").header("Upload-Metadata", pairs));
    let told = || {
        let reply = node.head(&upload).is(200);
        (reply.number("X-Chunk-Size"), reply.number("X-Available-Chunks"))
    };
    assert_eq!(told(), (4_096, 0));
    node.patch(&upload, 0, &content[..4_095]).is(204);
    assert_eq!(told(), (4_096, 0), "a chunk counts when it is whole");
    node.patch(&upload, 4_095, &content[4_095..]).is(204);
    assert_eq!(told(), (4_096, 3));
    let chunk = Request::get(&format!("{}?chunk=1", upload.download())).header("X-API-Token", crate::support::TOKEN);
    assert!(node.send(&chunk).is(200).body == content[4_096..8_192]);
    crate::support::wait::until("the chunk is consumed", || (told() == (4_096, 2)).then_some(()));
    let other = node.create(5);
    assert_eq!(node.head(&other).is(200).header("X-Chunk-Size"), None, "other uploads are not");
}

#[test]
fn what_is_not_there_is_404_without_an_offset() {
    let node = Node::start();
    let upload = node.create(5);
    node.send(&tus("DELETE", &upload.path)).is(204);
    for path in ["/tus/00000000000000000000000000000000", "/tus/short", &upload.path] {
        let reply = node.send(&tus("HEAD", path)).one_of(&[404, 410]);
        assert_eq!(reply.header("Upload-Offset"), None);
        assert!(path == upload.path || reply.status == 404, "{reply:?}");
    }
}

#[test]
fn an_answer_to_head_is_never_cached() {
    let node = Node::start();
    let upload = node.create(5);
    assert_eq!(node.head(&upload).is(200).field("Cache-Control"), "no-store");
    let unknown = node.send(&tus("HEAD", "/tus/00000000000000000000000000000000")).is(404);
    assert_eq!(unknown.field("Cache-Control"), "no-store");
    let foreign = node.send(&head(&upload).without("X-API-Token")).is(401);
    assert_eq!(foreign.field("Cache-Control"), "no-store");
}

#[test]
fn metadata_comes_back_byte_for_byte() {
    let node = Node::start();
    let long = metadata(&[("long", &"v".repeat(2048))]);
    for given in [
        "filename dGVzdC50eHQ=,filetype dGV4dC9wbGFpbg==",
        "z YQ==,filename YQ==,a Yg==",
        "filename YQ==,blob //79AAEC",
        "filename YQ==,empty ,valueless",
        "valueless,filename YQ==",
        &format!("filename YQ==,{long}"),
        "filename 5paH5Lu2LnR4dA==",
    ] {
        let upload = node.create_with(|request| request.header("Upload-Length", "5").header("Upload-Metadata", given));
        assert_eq!(node.head(&upload).is(200).field("Upload-Metadata"), given.trim_end());
    }
    let upload = node.create(5);
    assert_eq!(node.head(&upload).is(200).header("Upload-Metadata"), None, "none was given");
}

#[test]
fn metadata_comes_back_after_completion_and_a_restart() {
    let mut node = Node::start();
    let given = "filename YQ==,blob //79AAEC,valueless";
    let upload = node.create_with(|request| request.header("Upload-Length", "2").header("Upload-Metadata", given));
    node.patch(&upload, 0, b"ab").is(204);
    assert_eq!(node.head(&upload).field("Upload-Metadata"), given);
    node.kill_and_start_again();
    assert_eq!(node.head(&upload).is(200).field("Upload-Metadata"), given);
}

#[test]
fn an_offset_told_during_a_stalled_patch_is_one_the_next_patch_is_accepted_at() {
    let node = Node::start();
    let content = Oracle(4).bytes(0..1_000_000);
    let upload = node.create(1_000_000);
    let mut stalled = node.connect();
    stalled.send_head(&patch_head(&upload, 0).header("Content-Length", "1000000"));
    stalled.send(&content[..300_000]);
    let offset = node.offset(&upload);
    assert!(offset <= 300_000, "{offset}");
    node.patch(&upload, offset, &content[offset as usize..]).is(204);
    node.whole(&upload, &content);
}

#[test]
fn head_has_no_body_and_changes_nothing() {
    let node = Node::start();
    let content = Oracle(5).bytes(0..100);
    let upload = node.create_with(|request| {
        let once = metadata(&[("filename", "once.bin"), ("retention", "download_once")]);
        request.header("Upload-Length", "100").header("Upload-Metadata", once)
    });
    node.patch(&upload, 0, &content).is(204);
    let before = node.get(&upload.file()).is(200).json();
    let mut conn = node.connect();
    for _ in 0..1_000 {
        let reply = conn.ask(&head(&upload)).is(200);
        assert!(reply.header("Content-Length").is_none_or(|n| n == "0"), "{reply:?}");
        assert_eq!(reply.number("Upload-Offset"), 100);
    }
    assert_eq!(node.get(&upload.file()).is(200).json(), before);
    // The connection is in step: a body would have been read as the next reply.
    conn.ask(&Request::get("/api/health")).is(200);
}

/// faults.md E10: a list that would not fit a head is cut, says so, and is told whole elsewhere.
#[test]
fn e10_many_ranges_are_cut_in_the_head_and_told_whole_as_json() {
    const RANGES: u64 = 1_000;
    // Parallel writers start at multiples of 4096.
    let start = |index: u64| 8192 * index + 4096;
    let node = Node::start();
    let upload = node.create(8192 * RANGES);
    let mut conn = node.connect();
    for index in 0..RANGES {
        conn.ask(&crate::support::tus::patch(&upload, start(index), b"x")).is(204);
    }
    let head = node.head(&upload).is(200);
    let text = head.field("X-Received-Ranges").to_owned();
    assert!(text.len() <= 4096 && text.len() > 4000, "{} bytes", text.len());
    assert_eq!(head.number("X-Received-Ranges-Count"), RANGES);
    let listed: Vec<&str> = text.split(',').collect();
    assert!(
        listed
            .iter()
            .enumerate()
            .all(|(index, range)| *range == format!("{}-{}", start(index as u64), start(index as u64) + 1))
    );
    let (mut ranges, mut from) = (Vec::new(), Some(0));
    while let Some(offset) = from {
        let page = node.get(&format!("{}/ranges?from={offset}&limit=300", upload.file())).is(200).json();
        assert_eq!((page["total"].as_u64(), page["received_bytes"].as_u64()), (Some(RANGES), Some(RANGES)));
        let told = page["ranges"].as_array().expect("a list").clone();
        assert!(told.len() <= 300);
        ranges.extend(told);
        from = page["next"].as_u64();
    }
    let expected: Vec<_> = (0..RANGES).map(|index| serde_json::json!([start(index), start(index) + 1])).collect();
    assert_eq!(ranges, expected);
    node.send(&crate::support::Request::get(&format!("{}/ranges", upload.file()))).is(401);
    // Few ranges are told as ever.
    let few = node.create(10);
    node.patch(&few, 0, b"hello").is(204);
    let head = node.head(&few);
    assert_eq!((head.field("X-Received-Ranges"), head.header("X-Received-Ranges-Count")), ("0-5", None));
}
