//! The three policies of easytransfer/CONTRACT.md §3: who chooses, what consumes, when a file goes.

use std::time::{Duration, Instant};

use crate::support::tus::{Upload, head, metadata, patch};
use crate::support::{DEADLINE, Node, OTHER_TOKEN, Oracle, Request, TOKEN, audit, wait};

fn get(upload: &Upload) -> Request {
    Request::get(&upload.download()).header("X-API-Token", TOKEN)
}
#[track_caller]
fn once(node: &Node, content: &[u8]) -> Upload {
    node.complete_as(&[("filename", "once.bin"), ("retention", "download_once")], content)
}
#[track_caller]
fn gone(node: &Node, upload: &Upload) {
    wait::until("the file is gone", || (node.get(&upload.file()).status == 404).then_some(()));
    node.send(&get(upload)).is(404);
    node.send(&head(upload)).one_of(&[404, 410]);
    node.get(&format!("{}/info/download", upload.file())).is(404);
    assert!(!node.get("/api/files").json().to_string().contains(&upload.id));
}

#[test]
fn who_chooses_the_policy() {
    let policies = format!("{{\"{TOKEN}\": {{\"default_retention\": \"download_once\"}}}}");
    let node = Node::setup()
        .env("TOKEN_RETENTION_POLICIES", policies)
        .env("DEFAULT_RETENTION", "ttl")
        .env("DEFAULT_RETENTION_TTL", 7_200)
        .start();
    let chosen = |pairs: &[(&str, &str)], token: &str| {
        let request = crate::support::tus::post().without("X-API-Token").header("X-API-Token", token);
        let request = request.header("Upload-Length", "5").header("Upload-Metadata", metadata(pairs));
        let upload = Upload::at(node.send(&request).is(201).field("Location"));
        let info = node.get(&upload.file()).is(200).json();
        (info["metadata"]["retention"].as_str().expect("text").to_owned(), info["metadata"]["retention_ttl"].as_u64())
    };
    let name = ("filename", "a");
    // Client over token over global; the seconds are filled in the same order.
    assert_eq!(chosen(&[name, ("retention", "permanent")], TOKEN), ("permanent".into(), None));
    assert_eq!(chosen(&[name], TOKEN), ("download_once".into(), None));
    assert_eq!(chosen(&[name], OTHER_TOKEN), ("ttl".into(), Some(7_200)));
    assert_eq!(chosen(&[name, ("retention", "ttl"), ("retention_ttl", "60")], TOKEN), ("ttl".into(), Some(60)));
    assert_eq!(chosen(&[name, ("retention", "ttl")], TOKEN), ("ttl".into(), Some(7_200)));
    assert_eq!(chosen(&[name, ("retention_ttl", "60")], OTHER_TOKEN), ("ttl".into(), Some(60)));
    // An unknown word is the seed's permanent.
    assert_eq!(chosen(&[name, ("retention", "forever")], OTHER_TOKEN), ("permanent".into(), None));
    assert!(node.log().contains("unknown retention"), "\u{a7}2.2: it is logged");
}

#[test]
fn ttl_without_seconds_anywhere_is_400() {
    let node = Node::start();
    let request = crate::support::tus::post().header("Upload-Length", "5");
    let pairs = metadata(&[("filename", "a"), ("retention", "ttl")]);
    node.send(&request.clone().header("Upload-Metadata", pairs)).is(400);
    let pairs = metadata(&[("filename", "a"), ("retention", "ttl"), ("retention_ttl", "soon")]);
    node.send(&request.header("Upload-Metadata", pairs)).is(400);
}

#[test]
fn once_is_gone_after_a_full_download() {
    let node = Node::start();
    let content = Oracle(1).bytes(0..300_000);
    for sized in [0usize, 1, 4_096, 300_000] {
        let upload = once(&node, &content[..sized]);
        let info = node.get(&upload.file()).is(200).json();
        assert_eq!(info["metadata"]["retention"], "download_once");
        assert_eq!(info["metadata"]["chunked_storage"], true);
        let reply = node.send(&get(&upload)).is(200);
        assert!(reply.body == content[..sized]);
        assert_eq!(reply.field("X-Retention-Policy"), "download_once");
        assert!(reply.header("X-Retention-Warning").is_some(), "{reply:?}");
        let second = Duration::from_secs(1);
        let out = wait::within(second, || (node.get(&upload.file()).status == 404).then_some(()));
        assert_eq!(out, Some(()), "\u{a7}3 rule 5: gone within a second");
        gone(&node, &upload);
    }
    wait::until("its bytes are removed", || audit::objects_below(node.storage()).is_empty().then_some(()));
    assert_eq!(node.get("/api/storage").json()["used"], 0);
}

#[test]
fn what_consumes_nothing() {
    let node = Node::start();
    // Larger than what kernels hold of a connection: handed to the transport is as good as received.
    let content = Oracle(2).bytes(0..32 << 20);
    let upload = once(&node, &content);
    let etag =
        node.send(&Request::new("HEAD", &upload.download()).header("X-API-Token", TOKEN)).field("ETag").to_owned();
    for _ in 0..3 {
        node.send(&Request::new("HEAD", &upload.download()).header("X-API-Token", TOKEN)).is(200);
        node.get(&upload.file()).is(200);
        node.get(&format!("{}/info/download", upload.file())).is(200);
        node.send(&get(&upload).header("Range", "bytes=0-99")).is(206);
        node.send(&get(&upload).header("Range", "bytes=99999999-")).is(416);
        node.send(&get(&upload).header("If-None-Match", "\"other\"").header("Range", "bytes=0-0")).is(206);
        node.send(&get(&upload).without("X-API-Token")).is(401);
    }
    // A 304, should it be spoken.
    let reply =
        node.send(&get(&upload).header("If-None-Match", &etag).header("Range", "bytes=5-9")).one_of(&[206, 304]);
    assert!(reply.body.len() <= 5);
    // A receiver that goes away in the middle, early and late.
    for taken in [1usize, 1 << 20, 12 << 20] {
        let mut conn = node.connect();
        conn.send_request(&get(&upload).header("X-Session-Token", format!("receiver-{taken}")));
        conn.read_head(Instant::now() + DEADLINE).expect("a head");
        conn.read_some(taken);
        conn.reset();
    }
    wait::within(Duration::from_millis(1_500), || (node.get(&upload.file()).status != 200).then_some(()));
    assert_eq!(node.get(&upload.file()).is(200).json()["metadata"]["download_count"], 0);
    assert!(node.send(&get(&upload)).is(200).body == content);
    gone(&node, &upload);
}

#[test]
fn an_upload_in_progress_is_never_consumed_by_a_get() {
    let node = Node::start();
    let upload = node.create_with(|request| {
        let pairs = metadata(&[("filename", "once.bin"), ("retention", "download_once")]);
        request.header("Upload-Length", "10").header("Upload-Metadata", pairs)
    });
    node.patch(&upload, 0, b"hello").is(204);
    for _ in 0..3 {
        let reply = node.send(&get(&upload)).is(206);
        assert_eq!(reply.body, b"hello");
        node.send(&get(&upload).header("Range", "bytes=0-4")).is(206);
    }
    node.patch(&upload, 5, b"world").is(204);
    assert_eq!(node.send(&get(&upload)).is(200).body, b"helloworld");
    gone(&node, &upload);
}

#[test]
fn ranges_of_one_receiver_add_up() {
    let node = Node::start();
    let content = Oracle(3).bytes(0..1_000_000);
    let upload = once(&node, &content);
    let mut rng = fastrand::Rng::with_seed(5);
    let mut parts: Vec<usize> = (0..10).collect();
    rng.shuffle(&mut parts);
    for (count, part) in parts.iter().enumerate() {
        let (from, to) = (part * 100_000, (part + 1) * 100_000);
        node.get(&upload.file()).is(200);
        // Overlaps count once.
        let from = from.saturating_sub(500 * (count % 2));
        let reply = node.send(&get(&upload).header("Range", format!("bytes={from}-{}", to - 1))).is(206);
        assert!(reply.body == content[from..to]);
    }
    gone(&node, &upload);
}

#[test]
fn two_halves_by_two_receivers_consume_nothing() {
    let node = Node::start();
    let content = Oracle(4).bytes(0..100_000);
    let upload = once(&node, &content);
    let half = |token: &str, range: &str| {
        let request = Request::get(&upload.download()).header("X-API-Token", token).header("Range", range);
        node.send(&request).is(206)
    };
    half(TOKEN, "bytes=0-49999");
    half(OTHER_TOKEN, "bytes=50000-99999");
    wait::within(Duration::from_millis(1_200), || (node.get(&upload.file()).status != 200).then_some(()));
    node.get(&upload.file()).is(200);
    half(OTHER_TOKEN, "bytes=0-49999");
    gone(&node, &upload);
}

#[test]
fn chunks_of_an_unfinished_once_are_consumed_one_by_one() {
    let node = Node::setup().env("CHUNK_SIZE", 4_096).start();
    let content = Oracle(5).bytes(0..10_000);
    let upload = node.create_with(|request| {
        let pairs = metadata(&[("filename", "relay.bin"), ("retention", "download_once")]);
        request.header("Upload-Length", "10000").header("Upload-Metadata", pairs)
    });
    let chunk = |index: u64| Request::get(&format!("{}?chunk={index}", upload.download())).header("X-API-Token", TOKEN);
    let info = |name: &str| node.get(&format!("{}/info/download", upload.file())).is(200).json()[name].clone();
    node.patch(&upload, 0, &content[..8_192]).is(204);
    assert_eq!(info("available_chunks"), serde_json::json!([0, 1]));
    let reply = node.send(&chunk(0)).is(200);
    assert!(reply.body == content[..4_096]);
    assert!(reply.header("X-Retention-Warning").is_some());
    wait::until("the chunk is consumed", || (info("available_chunks") == serde_json::json!([1])).then_some(()));
    assert_eq!(info("chunks_consumed"), 1);
    node.send(&chunk(0)).is(404);
    // A range that touches what was consumed.
    node.send(&get(&upload).header("Range", "bytes=0-10")).is(410);
    node.send(&get(&upload).header("Range", "bytes=4000-5000")).is(410);
    // The upload goes on as if nothing had been taken.
    assert_eq!(node.offset(&upload), 8_192);
    node.patch(&upload, 8_192, &content[8_192..]).is(204);
    assert!(node.send(&chunk(2)).is(200).body == content[8_192..]);
    node.get(&upload.file()).is(200);
    assert!(node.send(&chunk(1)).is(200).body == content[4_096..8_192]);
    gone(&node, &upload);
}

#[test]
fn section_17_6_exclusive_refuses_a_second_whole_download_while_one_runs() {
    let node = Node::setup().env("RETENTION_ONCE_MODE", "exclusive").start();
    // Larger than what kernels hold of a connection, so that the first one is still running.
    let content = Oracle(6).bytes(0..32 << 20);
    let upload = once(&node, &content);
    let mut first = node.connect();
    first.send_request(&get(&upload));
    first.read_head(Instant::now() + DEADLINE).expect("a head");
    first.read_some(1);
    for second in [get(&upload), get(&upload).header("Range", "bytes=0-")] {
        assert!(node.send(&second).is(409).json()["detail"].is_string());
    }
    node.send(&Request::new("HEAD", &upload.download()).header("X-API-Token", TOKEN)).is(200);
    node.send(&get(&upload).header("Range", "bytes=0-99")).is(206);
    first.reset();
    let reply = wait::until("the first one's end is seen", || {
        let reply = node.send(&get(&upload)).one_of(&[200, 409]);
        (reply.status == 200).then_some(reply)
    });
    assert!(reply.body == content);
    gone(&node, &upload);
}

#[test]
fn consumed_stays_consumed_across_a_kill() {
    let mut node = Node::setup().env("DURABILITY", "every").start();
    for _ in 0..4 {
        let upload = once(&node, b"hello");
        node.send(&get(&upload)).is(200);
        // Gone for those who ask; then the process dies.
        wait::until("consumed", || (node.get(&upload.file()).status == 404).then_some(()));
        node.kill_and_start_again();
        gone(&node, &upload);
    }
    wait::until("nothing is left", || audit::objects_below(node.storage()).is_empty().then_some(()));
}

#[test]
fn ttl_counts_from_completion_and_is_kept_at_each_access() {
    // The sweep is an hour away: only the accesses themselves can enforce it.
    let node = Node::start();
    let pairs = [("filename", "short.bin"), ("retention", "ttl"), ("retention_ttl", "2")];
    let upload =
        node.create_with(|request| request.header("Upload-Length", "5").header("Upload-Metadata", metadata(&pairs)));
    node.patch(&upload, 0, b"he").is(204);
    let info = node.get(&upload.file()).is(200).json();
    assert!(info["metadata"]["retention_expires_at"].is_null(), "the clock starts at completion: {info}");
    node.patch(&upload, 2, b"llo").is(204);
    let completed = Instant::now();
    let info = node.get(&upload.file()).is(200).json();
    let expires = info["metadata"]["retention_expires_at"].as_str().expect("set at once").to_owned();
    let reply = node.send(&get(&upload)).is(200);
    assert_eq!(reply.field("X-Retention-Expires"), expires);
    assert_eq!(reply.field("X-Retention-Policy"), "ttl");
    wait::until("the time passes", || (node.send(&get(&upload)).one_of(&[200, 404]).status == 404).then_some(()));
    assert!(completed.elapsed() >= Duration::from_millis(1_900), "gone after {:?}", completed.elapsed());
    node.get(&upload.file()).is(404);
    node.send(&head(&upload)).one_of(&[404, 410]);
    node.get(&format!("{}/info/download", upload.file())).is(404);
    assert_eq!(node.listed(), 0);
    // The sweep gives the space back.
    let swept = node.send(&Request::new("POST", "/api/files/cleanup").header("X-API-Token", TOKEN)).is(200).json();
    assert_eq!(swept["status"], "ok");
    wait::until("the space is back", || (node.get("/api/storage").json()["used"] == 0).then_some(()));
    wait::until("its bytes are removed", || audit::objects_below(node.storage()).is_empty().then_some(()));
}

#[test]
fn the_sweep_runs_by_itself_and_on_request() {
    let node = Node::setup().env("CLEANUP_INTERVAL", 1).start();
    let pairs = [("filename", "short.bin"), ("retention", "ttl"), ("retention_ttl", "1")];
    let keep = node.complete(b"keep");
    node.complete_as(&pairs, b"hello");
    wait::until("the sweep removes it", || (audit::objects_below(node.storage()).len() == 1).then_some(()));
    node.whole(&keep, b"keep");
    // What was written down since the last sweep counts for the next one.
    wait::until("nothing is left to sweep", || {
        let swept = node.send(&Request::new("POST", "/api/files/cleanup").header("X-API-Token", TOKEN)).is(200).json();
        ((&swept["status"], swept["cleaned"].as_u64()) == (&"ok".into(), Some(0))).then_some(())
    });
}

#[test]
fn permanent_stays() {
    let mut node = Node::setup().env("CLEANUP_INTERVAL", 1).env("UPLOAD_EXPIRATION_HOURS", "0.0003").start();
    let upload = node.complete(b"hello");
    for _ in 0..3 {
        assert_eq!(node.send(&get(&upload)).is(200).body, b"hello");
    }
    let other = node.create(5);
    wait::until("an unfinished one expires", || (node.head(&other).status != 200).then_some(()));
    node.send(&patch(&other, 0, b"x")).one_of(&[404, 410]);
    node.kill_and_start_again();
    node.whole(&upload, b"hello");
}
