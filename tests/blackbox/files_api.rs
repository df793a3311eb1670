//! `/api/*`: the list, the union shapes of easytransfer/CONTRACT.md §2.9, server facts, the node's quota.

use serde_json::Value;

use crate::support::tus::{metadata, patch, tus};
use crate::support::{Node, Oracle, Request, TOKEN, wait};

/// Every named key with its kind; more keys are allowed.
#[track_caller]
fn shape(value: &Value, keys: &[(&str, &str)]) {
    for (key, kinds) in keys {
        let Some(found) = value.get(*key) else { panic!("{key} is missing in {value:#}") };
        let kind = match found {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(n) if n.is_u64() || n.is_i64() => "int",
            Value::Number(_) => "float",
            Value::String(_) => "str",
            Value::Array(_) => "list",
            Value::Object(_) => "map",
        };
        let fits = kinds.split('|').any(|k| k == kind || (k == "float" && kind == "int"));
        assert!(fits, "{key} is {kind}, not {kinds}, in {value:#}");
    }
}

const FILE_INFO: &[(&str, &str)] = &[
    ("file_id", "str"),
    ("filename", "str"),
    ("size", "int"),
    ("mime_type", "str"),
    ("checksum", "str"),
    ("status", "str"),
    ("uploaded_size", "int"),
    ("chunk_size", "int"),
    ("total_chunks", "int"),
    ("uploaded_chunks", "int"),
    ("created_at", "str"),
    ("updated_at", "str"),
    ("expires_at", "str|null"),
    ("metadata", "map"),
];
const FILE_METADATA: &[(&str, &str)] = &[
    ("retention", "str"),
    ("retention_ttl", "int|null"),
    ("retention_expires_at", "str|null"),
    ("download_count", "int"),
    ("chunks_consumed", "int"),
    ("chunked_storage", "bool"),
    ("total_chunks", "int"),
    ("uploaded_chunks", "int"),
];
const DOWNLOAD_INFO: &[(&str, &str)] = &[
    ("file_id", "str"),
    ("filename", "str"),
    ("size", "int"),
    ("available_size", "int"),
    ("mime_type", "str"),
    ("checksum", "str"),
    ("supports_range", "bool"),
    ("is_upload_complete", "bool"),
    ("chunked_storage", "bool"),
    ("chunk_size", "int"),
    ("total_chunks", "int"),
    ("available_chunks", "list"),
    ("chunks_consumed", "int"),
    ("upload_active", "bool"),
];

/// `2026-11-20T12:19:03.114410`
#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no time"));
    let mask: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(mask, "9999-99-99T99:99:99.999999", "{text}");
}

#[test]
fn the_shapes_are_the_union_of_both_generations() {
    let node = Node::setup().env("CHUNK_SIZE", 1_000).start();
    let half = node.create_with(|request| {
        request.header("Upload-Length", "2500").header("Upload-Metadata", metadata(&[("filename", "half.bin")]))
    });
    node.patch(&half, 0, &Oracle(1).bytes(0..1_500)).is(204);
    let pairs = [
        ("filename", "done.txt"),
        ("filetype", "text/plain"),
        ("checksum", "abc"),
        ("retention", "ttl"),
        ("retention_ttl", "3600"),
    ];
    let done = node.complete_as(&pairs, b"hello");
    for upload in [&half, &done] {
        let info = node.get(&upload.file()).is(200).json();
        shape(&info, FILE_INFO);
        shape(&info["metadata"], FILE_METADATA);
        is_time(&info["created_at"]);
        is_time(&info["updated_at"]);
        shape(&node.get(&format!("{}/info/download", upload.file())).is(200).json(), DOWNLOAD_INFO);
    }
    let info = node.get(&half.file()).json();
    for (key, value) in [
        ("file_id", Value::from(half.id.as_str())),
        ("filename", "half.bin".into()),
        ("size", 2_500.into()),
        ("mime_type", "application/octet-stream".into()),
        ("checksum", "".into()),
        ("status", "partial".into()),
        ("uploaded_size", 1_500.into()),
        ("chunk_size", 1_000.into()),
        ("total_chunks", 3.into()),
        ("uploaded_chunks", 2.into()),
    ] {
        assert_eq!(info[key], value, "{key}");
    }
    is_time(&info["expires_at"]);
    assert_eq!(info["metadata"]["retention"], "permanent");
    let download = node.get(&format!("{}/info/download", half.file())).json();
    for (key, value) in [
        ("available_size", Value::from(1_500)),
        ("supports_range", true.into()),
        ("is_upload_complete", false.into()),
        ("chunked_storage", false.into()),
        ("chunk_size", 0.into()),
        ("total_chunks", 0.into()),
        ("available_chunks", serde_json::json!([])),
        ("chunks_consumed", 0.into()),
        ("upload_active", true.into()),
    ] {
        assert_eq!(download[key], value, "{key}");
    }
    let info = node.get(&done.file()).json();
    for (key, value) in [
        ("filename", Value::from("done.txt")),
        ("mime_type", "text/plain".into()),
        ("checksum", "abc".into()),
        ("status", "complete".into()),
        ("uploaded_size", 5.into()),
        ("total_chunks", 1.into()),
        ("uploaded_chunks", 1.into()),
        ("expires_at", Value::Null),
    ] {
        assert_eq!(info[key], value, "{key}");
    }
    assert_eq!(info["metadata"]["retention_ttl"], 3_600);
    is_time(&info["metadata"]["retention_expires_at"]);
}

#[test]
fn the_list_pages_newest_first() {
    let node = Node::start();
    // Ties go by id: every change of this test has a millisecond of its own.
    let made = |n| {
        let upload = node.complete_as(&[("filename", &format!("f{n}"))], b"x");
        wait::next_millisecond();
        upload.id
    };
    let ids: Vec<String> = (0..25).map(made).collect();
    let half = node.create(5);
    let page = |query: &str| node.get(&format!("/api/files{query}")).is(200).json();
    let names = |list: &Value| -> Vec<String> {
        let files = list["files"].as_array().expect("a list");
        files.iter().map(|file| file["file_id"].as_str().expect("an id").to_owned()).collect()
    };
    let first = page("");
    assert_eq!((&first["total"], &first["page"], &first["page_size"]), (&26.into(), &1.into(), &20.into()));
    assert_eq!(names(&first).len(), 20);
    assert_eq!(names(&first)[0], half.id, "newest first");
    assert_eq!(names(&first)[1], ids[24]);
    shape(&first["files"][1], FILE_INFO);
    shape(&first["files"][1]["metadata"], FILE_METADATA);
    let second = page("?page=2");
    assert_eq!(names(&second).len(), 6);
    assert_eq!(names(&second)[5], ids[0]);
    assert_eq!(names(&page("?page=9")), Vec::<String>::new());
    assert_eq!(names(&page("?page_size=100")).len(), 26);
    assert_eq!(names(&page("?per_page=1000")).len(), 26, "the later client's name for it");
    assert_eq!(names(&page("?per_page=3&page=2")), [ids[22].clone(), ids[21].clone(), ids[20].clone()]);
    for off in ["false", "0", "no", "False"] {
        let list = page(&format!("?include_partial={off}&page_size=100"));
        assert_eq!((&list["total"], names(&list).len()), (&25.into(), 25));
    }
    assert_eq!(names(&page("?status=partial")), std::slice::from_ref(&half.id));
    assert_eq!(page("?status=complete")["total"], 25);
    assert_eq!(page("?unknown=1&page_size=5")["page_size"], 5);
    for (query, name) in [
        ("?page_size=101", "page_size"),
        ("?page_size=0", "page_size"),
        ("?page=0", "page"),
        ("?page=x", "page"),
        ("?per_page=1001", "per_page"),
        ("?page_size=-1", "page_size"),
        ("?include_partial=maybe", "include_partial"),
    ] {
        let refusal = node.get(&format!("/api/files{query}")).is(422).json();
        let detail = &refusal["detail"][0];
        assert_eq!(detail["loc"], serde_json::json!(["query", name]), "{query}: {refusal}");
        assert!(detail["type"].is_string() && detail["msg"].is_string(), "{refusal}");
    }
    // A PATCH moves its upload to the front.
    let again = node.complete(b"y");
    assert_eq!(names(&page(""))[0], again.id);
    node.patch(&half, 0, b"x").is(204);
    wait::until("the touched one is the newest", || (names(&page(""))[0] == half.id).then_some(()));
}

#[test]
fn files_are_deleted_once() {
    let node = Node::start();
    for upload in [node.complete(b"hello"), node.create(5)] {
        let gone = node.delete(&upload.file()).is(200).json();
        assert_eq!(gone, serde_json::json!({"status": "deleted", "file_id": upload.id}));
        node.delete(&upload.file()).is(404);
        node.get(&upload.file()).is(404);
        node.head(&upload).one_of(&[404, 410]);
    }
    assert_eq!(node.listed(), 0);
}

#[test]
fn health_and_info_are_open_and_tell_the_truth() {
    let node = Node::setup().env("MAX_UPLOAD_SIZE", "10MB").start();
    assert_eq!(node.send(&Request::get("/api/health")).is(200).json(), serde_json::json!({"status": "healthy"}));
    node.complete(b"hello");
    let half = node.create(100);
    node.patch(&half, 0, b"abc").is(204);
    let info = node.send(&Request::get("/api/info")).is(200).json();
    shape(
        &info,
        &[
            ("version", "str"),
            ("tus_version", "str"),
            ("tus_extensions", "list"),
            ("max_upload_size", "int|null"),
            ("chunk_size", "int"),
            ("interfaces", "list"),
            ("endpoints", "list"),
            ("total_files", "int"),
            ("total_size", "int"),
            ("retention_policies", "list"),
            ("default_retention", "str"),
            ("max_concurrent_tasks", "int"),
            ("engine", "str"),
        ],
    );
    assert_eq!(info["tus_version"], "1.0.0");
    assert_eq!(info["max_upload_size"], 10 << 20);
    assert_eq!(info["chunk_size"], 4 << 20);
    assert_eq!((&info["total_files"], &info["total_size"]), (&1.into(), &8.into()), "each counted once");
    assert_eq!(info["retention_policies"], serde_json::json!(["permanent", "download_once", "ttl"]));
    assert_eq!(info["default_retention"], "permanent");
    let options = node.send(&Request::new("OPTIONS", "/tus"));
    let announced: Vec<Value> = options.field("Tus-Extension").split(',').map(Value::from).collect();
    assert_eq!(info["tus_extensions"], Value::from(announced));
    let engine = crate::support::node::engine();
    if engine != "auto" {
        assert_eq!(info["engine"], engine.as_str(), "{info}");
    }
}

#[test]
fn storage_counts_every_byte_once() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 1_000_000).start();
    let storage = || node.get("/api/storage").is(200).json();
    let empty = storage();
    shape(
        &empty,
        &[
            ("used", "int"),
            ("used_formatted", "str"),
            ("max", "int|null"),
            ("max_formatted", "str"),
            ("available", "int|null"),
            ("available_formatted", "str"),
            ("usage_percent", "float"),
            ("is_full", "bool"),
            ("can_accept_uploads", "bool"),
            ("files_count", "int"),
            ("uploads_count", "int"),
        ],
    );
    assert_eq!((&empty["used"], &empty["max"], &empty["available"]), (&0.into(), &1_000_000.into(), &1_000_000.into()));
    let done = node.complete(&[1; 250_000]);
    let half = node.create(900_000);
    node.patch(&half, 0, &[2; 500_000]).is(204);
    let now = storage();
    assert_eq!((&now["used"], &now["available"]), (&750_000.into(), &250_000.into()));
    assert_eq!(now["usage_percent"].as_f64(), Some(75.0));
    assert_eq!((&now["files_count"], &now["uploads_count"]), (&1.into(), &1.into()));
    assert_eq!((&now["is_full"], &now["can_accept_uploads"]), (&false.into(), &true.into()));
    assert_eq!(now["used_formatted"], "732.4 KB");
    node.patch(&half, 500_000, &[2; 250_000]).is(204);
    let full = storage();
    assert_eq!((&full["is_full"], &full["can_accept_uploads"]), (&true.into(), &false.into()));
    node.send(&patch(&half, 750_000, b"x")).is(507);
    // A full node still answers, and recovers.
    node.head(&half).is(200);
    node.create(10_000_000);
    node.delete(&done.file()).is(200);
    assert_eq!(storage()["used"], 750_000);
    node.patch(&half, 750_000, &[2; 150_000]).is(204);
    let unlimited = Node::start().get("/api/storage").is(200).json();
    assert_eq!((&unlimited["max"], &unlimited["max_formatted"]), (&Value::Null, &"unlimited".into()));
    assert_eq!(unlimited["usage_percent"].as_f64(), Some(0.0));
}

/// PROMISES.md P9: however many write at once, what is stored never exceeds the limit, and a restart counts the same.
#[test]
fn the_quota_is_never_over_committed() {
    const ROOM: u64 = 3_000_000;
    let mut node = Node::setup().env("MAX_STORAGE_SIZE", ROOM).start();
    let uploads: Vec<_> = (0..16).map(|_| node.create(ROOM * 2 / 3)).collect();
    let body = vec![7; (ROOM * 2 / 3) as usize];
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            uploads.iter().map(|upload| scope.spawn(|| node.send(&patch(upload, 0, &body)).status)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 204).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 204 | 507)), "{answers:?}");
    let used = node.get("/api/storage").json()["used"].clone();
    assert_eq!(used, ROOM * 2 / 3);
    node.kill_and_start_again();
    assert_eq!(node.get("/api/storage").json()["used"], used, "a rebuilt ledger equals the sum of the objects");
    for upload in &uploads {
        node.send(&tus("DELETE", &upload.path)).is(204);
    }
    wait::until("all of it comes back", || (node.get("/api/storage").json()["used"] == 0).then_some(()));
    node.complete(&vec![8; ROOM as usize]);
}

#[test]
fn a_file_larger_than_the_node_may_start_unless_told_otherwise() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 1_000).start();
    node.create(5_000);
    let strict = Node::setup().env("MAX_STORAGE_SIZE", 1_000).env("QUOTA_REJECT_IMPOSSIBLE", "true").start();
    strict.send(&crate::support::tus::post().header("Upload-Length", "1001")).is(413);
    strict.create(1_000);
}

#[test]
fn the_catalogue_in_memory_forgets_and_says_so() {
    // What it forgot stays as long as a quarantine would keep it.
    let mut node = Node::setup().env("STATE_BACKEND", "memory").env("STORAGE_QUARANTINE", 1).start();
    let upload = node.complete(b"hello");
    node.whole(&upload, b"hello");
    assert!(node.log().to_lowercase().contains("memory"), "it says so at start: {}", node.log_tail());
    node.kill_and_start_again();
    node.get(&upload.file()).is(404);
    assert_eq!(node.listed(), 0);
    wait::until("bytes without a record are removed", || {
        let swept = Request::new("POST", "/api/files/cleanup").header("X-API-Token", TOKEN);
        node.send(&swept).is(200);
        crate::support::audit::objects_below(node.storage()).is_empty().then_some(())
    });
}

#[test]
fn the_catalogue_in_a_file_keeps_everything() {
    let mut node = Node::start();
    let pairs = [
        ("filename", "\u{6587}\u{4EF6}.txt"),
        ("filetype", "text/plain"),
        ("retention", "download_once"),
        ("checksum", "c"),
    ];
    let (done, half) = (node.complete_as(&pairs, b"hello"), node.create(10));
    node.patch(&half, 0, b"abc").is(204);
    let before: Vec<Value> = [&done, &half].map(|upload| node.get(&upload.file()).is(200).json()).to_vec();
    for kill in [true, false, true] {
        if kill {
            node.kill();
        } else {
            assert!(node.stop().success());
        }
        node.start_again();
        let after: Vec<Value> = [&done, &half].map(|upload| node.get(&upload.file()).is(200).json()).to_vec();
        assert_eq!(before, after);
    }
    node.patch(&half, 3, b"defghij").is(204);
    node.whole(&half, b"abcdefghij");
}
