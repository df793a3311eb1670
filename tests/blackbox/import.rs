//! `et server import` (easytransfer/CONTRACT.md §10): what a server of the Python releases left behind is served by a
//! node, byte for byte, and unfinished uploads go on.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::node::et;
use crate::support::redis::Redis;
use crate::support::tus::Upload;
use crate::support::{Node, Oracle, wait};

const FILE: &str = "0123456789abcdef0123456789abcdef";
const CHUNKED: &str = "11111111111111111111111111111111";
const PARTIAL: &str = "22222222222222222222222222222222";
const SHORT: &str = "33333333333333333333333333333333";
const LENGTH: u64 = 300_000;

/// The records of four objects, by their keys; the last one's file is too short.
fn records() -> Vec<(String, Value)> {
    let done = |name: &str| {
        json!({"filename": name, "size": LENGTH, "offset": LENGTH, "is_final": true, "is_complete": true,
            "mime_type": "text/plain", "created_at": "2026-01-02T03:04:05.678901", "retention": "permanent",
            "completed_at": "2026-01-02T03:05:05.678901", "download_count": 4})
    };
    let mut chunked = done("chunked.bin");
    chunked["retention"] = json!("download_once");
    chunked["chunk_size"] = json!(100_000);
    let partial = json!({"filename": "partial.bin", "size": LENGTH, "offset": 0, "chunk_size": 100_000,
        "received_ranges": [[0, 70_001], [200_000, 250_000]], "expires_at": "2096-01-02T03:05:05.678901"});
    vec![
        (format!("etransfer:upload:{FILE}"), done("old name.txt")),
        (format!("etransfer:file:{FILE}"), done("old name.txt")),
        (format!("et:file:{CHUNKED}"), chunked),
        (format!("et:upload:{PARTIAL}"), partial),
        (format!("et:file:{SHORT}"), done("short.bin")),
        (format!("et:lock:{SHORT}"), json!("someone")),
    ]
}

/// Their bytes as the original lays them out.
pub(super) fn data(storage: &Path) {
    let write = |name: String, bytes: Vec<u8>| {
        let path = storage.join(name);
        std::fs::create_dir_all(path.parent().expect("below the storage")).expect("a directory");
        std::fs::write(path, bytes).expect("a file of the original");
    };
    write(format!("files/{FILE}_old name.txt"), Oracle(1).bytes(0..LENGTH));
    for index in 0..3 {
        let part = Oracle(2).bytes(index * 100_000..(index + 1) * 100_000);
        write(format!("uploads/{CHUNKED}/chunk_{index:06}"), part);
    }
    let mut sparse = Oracle(3).bytes(0..250_000);
    sparse[70_001..200_000].fill(0);
    write(format!("uploads/{PARTIAL}"), sparse);
    write(format!("files/{SHORT}_short.bin"), vec![0; 299_999]);
}

pub(super) fn state_file(storage: &Path) {
    let entry = |value: &Value| json!({"value": value.to_string(), "expires_at": null});
    let all: serde_json::Map<_, _> = records().iter().map(|(key, value)| (key.clone(), entry(value))).collect();
    std::fs::create_dir_all(storage.join("state")).expect("the state directory");
    std::fs::write(storage.join("state/state.json"), Value::from(all).to_string()).expect("the state file");
}

pub(super) fn import(home: &Path, from: &Path, to: &Path, more: &[&str]) -> wait::Ran {
    import_under(home, from, to, more, &[])
}

/// Run by another program.
pub(super) fn import_under(home: &Path, from: &Path, to: &Path, more: &[&str], wrapper: &[&str]) -> wait::Ran {
    let mut command = match wrapper {
        [] => std::process::Command::new(et()),
        [program, rest @ ..] => {
            let mut command = std::process::Command::new(program);
            command.args(rest).arg(et());
            command
        }
    };
    command.env_clear().envs(crate::support::node::clean_env(home)).current_dir(home);
    command.args(["server", "import"]).arg(from).arg("--storage").arg(to).args(more);
    wait::run(command)
}

fn at(id: &str) -> Upload {
    Upload { id: id.into(), path: format!("/tus/{id}") }
}

/// The three good ones are served as they were there, and the unfinished one can be finished.
#[track_caller]
pub(super) fn served(node: &Node) {
    let info = node.get(&at(FILE).file()).is(200).json();
    assert_eq!((&info["filename"], &info["mime_type"]), (&json!("old name.txt"), &json!("text/plain")), "{info}");
    assert_eq!(info["created_at"], "2026-01-02T03:04:05.678000", "{info}");
    assert_eq!(info["metadata"]["download_count"], 4, "{info}");
    node.whole(&at(FILE), &Oracle(1).bytes(0..LENGTH));
    assert_eq!(node.get(&at(SHORT).file()).status, 404);
    let partial = at(PARTIAL);
    let head = node.head(&partial).is(200);
    assert_eq!((head.number("Upload-Offset"), head.number("Upload-Length")), (70_001, LENGTH));
    assert_eq!(head.field("X-Received-Ranges"), "0-70001,200000-250000");
    node.patch(&partial, 70_001, &Oracle(3).bytes(70_001..LENGTH)).is(204);
    node.whole(&partial, &Oracle(3).bytes(0..LENGTH));
    let info = node.get(&at(CHUNKED).file()).is(200).json();
    assert_eq!(info["metadata"]["retention"], "download_once", "{info}");
    let got = node.get(&at(CHUNKED).download()).is(200);
    assert!(got.body == Oracle(2).bytes(0..LENGTH));
    wait::until("the download_once file is gone", || (node.get(&at(CHUNKED).file()).status == 404).then_some(()));
}

#[test]
fn section_10_files_are_adopted_in_place_and_a_second_run_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = dir.path().join("storage");
    data(&storage);
    state_file(&storage);
    for (imported, before) in [("3 objects with 720001 bytes", "0 were"), ("0 objects with 0 bytes", "3 were")] {
        let ran = import(dir.path(), &storage, &storage, &[]);
        assert_eq!(ran.code, Some(1), "one is left alone: {ran:?}");
        assert!(ran.stderr.contains(SHORT) && ran.stderr.contains("only 299999 of 300000 bytes"), "{ran:?}");
        assert!(ran.stdout.contains(imported) && ran.stdout.contains(before), "{ran:?}");
        let left: Vec<_> = std::fs::read_dir(storage.join("files")).expect("files/").flatten().collect();
        assert_eq!(left.len(), 1, "only the short one has its old name: {left:?}");
        assert_eq!(std::fs::read_dir(storage.join("uploads")).expect("uploads/").count(), 0);
    }
    let mut node = Node::setup().storage(&storage).start();
    let running = import(dir.path(), &storage, &storage, &[]);
    assert!(running.code != Some(0) && running.stderr.contains("another control plane works on"), "{running:?}");
    served(&node);
    node.kill_and_start_again();
    node.whole(&at(FILE), &Oracle(1).bytes(0..LENGTH));
    node.whole(&at(PARTIAL), &Oracle(3).bytes(0..LENGTH));
    node.stop();
    let verified = wait::run(node.et(&["server", "verify", "--storage", &storage.display().to_string()])).ok();
    assert!(verified.stdout.contains("0 without a checksum, 0 objects damaged"), "{verified:?}");
}

#[test]
fn section_10_records_in_redis_and_files_that_are_kept() {
    let redis = Redis::forgetful();
    for (key, value) in records() {
        assert_eq!(redis.ask(&format!("SET {key} {:?}", value.to_string())).as_deref(), Some("+OK"));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    data(&old);
    let none = import(dir.path(), &old, &new, &[]);
    assert!(none.code != Some(0) && none.stderr.contains("state/state.json"), "{none:?}");
    let ran = import(dir.path(), &old, &new, &["--keep", "--from-redis", &redis.url()]);
    assert!(ran.code == Some(1) && ran.stdout.contains("3 objects with 720001 bytes"), "{ran:?}");
    let node = Node::setup().storage(&new).start();
    served(&node);
    // What was written to the node since did not reach the original's files.
    let kept = std::fs::read(old.join(format!("uploads/{PARTIAL}"))).expect("the original's file");
    assert!(kept.len() == 250_000 && kept[70_001..200_000].iter().all(|byte| *byte == 0));
}
