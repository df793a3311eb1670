//! Storage directories as both generations leave them (easytransfer/CONTRACT.md §10).

use std::path::{Path, PathBuf};

use etransfer_contract::Span;
use serde_json::{Value, json};

use super::*;
use crate::catalogue::Owner;
use crate::core::Policy;
use crate::retention::policy::Keep;

const NOW_MS: u64 = 1_795_300_000_000;
const A: &str = "0123456789abcdef0123456789abcdef";
const B: &str = "11111111111111111111111111111111";
const C: &str = "22222222222222222222222222222222";

/// A storage directory with these records and files.
fn storage(records: &[(&str, Value)], files: &[(&str, usize)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let entry = |value: &Value| json!({"value": value.to_string(), "expires_at": null});
    let state: serde_json::Map<_, _> = records.iter().map(|(key, value)| ((*key).to_owned(), entry(value))).collect();
    let write = |path: &Path, content: &[u8]| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write(&dir.path().join("state/state.json"), Value::from(state).to_string().as_bytes());
    files.iter().for_each(|(name, size)| write(&dir.path().join(name), &vec![b'x'; *size]));
    dir
}

fn read(dir: &tempfile::TempDir) -> Inventory {
    inventory(dir.path(), &State::File, NOW_MS).unwrap()
}

fn piece(dir: &tempfile::TempDir, name: &str, from: u64, start: u64, end: u64) -> Piece {
    Piece { path: dir.path().join(name), from, span: Span::new(start, end).unwrap() }
}

#[test]
fn section_10_a_file_of_the_seed() {
    let upload = json!({"file_id": A, "filename": "naïve.txt", "size": 5, "offset": 5, "metadata": {"checksum": "abc"},
        "created_at": "2026-11-20T12:00:00", "is_final": true, "checksum": "abc", "storage_path": "/old/uploads/x",
        "download_count": 2, "owner_id": 7});
    let file = json!({"file_id": A, "filename": "naïve.txt", "size": 5, "available_size": 5, "mime_type": "text/plain",
        "checksum": null, "is_complete": true, "created_at": "2026-11-20T12:00:00",
        "completed_at": "2026-11-20T12:19:03.114410", "storage_path": "/old/files/x", "retention": "ttl",
        "retention_ttl": 60, "retention_expires_at": "2026-11-20T12:20:03.114410", "download_count": 1, "owner_id": null});
    let name = format!("files/{A}_naïve.txt");
    let dir =
        storage(&[(&format!("etransfer:upload:{A}"), upload), (&format!("etransfer:file:{A}"), file)], &[(&name, 5)]);
    let found = read(&dir);
    assert!(found.left.is_empty(), "{found:?}");
    let [one] = found.found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.pieces, [piece(&dir, &name, 0, 0, 5)]);
    let record = &one.record;
    assert_eq!((record.id.to_string().as_str(), record.filename.as_str()), (A, "naïve.txt"));
    assert_eq!((record.length, record.owner.clone(), record.download_count), (Some(5), Some(Owner::Person(7)), 2));
    assert_eq!((record.mime.as_deref(), record.checksum.as_str()), (Some("text/plain"), "abc"));
    assert_eq!(record.created_ms, 1_795_176_000_000);
    assert_eq!(record.completed_ms, Some(1_795_177_143_114));
    assert_eq!(record.keep, Keep { policy: Policy::Ttl, ttl_s: Some(60) });
    assert_eq!(record.metadata.as_deref(), Some("filename bmHDr3ZlLnR4dA==,filetype dGV4dC9wbGFpbg=="));
}

#[test]
fn section_10_an_upload_out_of_order() {
    let upload = json!({"file_id": B, "filename": "big", "size": 100, "offset": 10, "retention": "permanent",
        "received_ranges": [[0, 10], [40, 90]], "expires_at": "2036-01-01T00:00:00.000000"});
    let name = format!("uploads/{B}");
    let dir = storage(&[(&format!("et:upload:{B}"), upload)], &[(&name, 60)]);
    let found = read(&dir);
    let [one] = found.found.as_slice() else { panic!("{found:?}") };
    // The record says more than the file holds: the file is believed.
    assert_eq!(one.pieces, [piece(&dir, &name, 0, 0, 10), piece(&dir, &name, 40, 40, 60)]);
    assert_eq!((one.record.completed_ms, one.record.length), (None, Some(100)));
}

#[test]
fn section_10_a_file_in_chunks() {
    let chunks = |size: u64| {
        json!({"filename": "c", "size": size, "offset": size, "is_final": true, "chunk_size": 4,
        "chunked_storage": true, "retention": "download_once"})
    };
    let names = [0, 1, 2].map(|index| format!("uploads/{C}/chunk_{index:06}"));
    let files = [(names[0].as_str(), 4), (&names[1], 4), (&names[2], 2)];
    let dir = storage(&[(&format!("et:file:{C}"), chunks(10))], &files);
    let found = read(&dir);
    let [one] = found.found.as_slice() else { panic!("{found:?}") };
    let expected = [piece(&dir, &names[0], 0, 0, 4), piece(&dir, &names[1], 0, 4, 8), piece(&dir, &names[2], 0, 8, 10)];
    assert_eq!(one.pieces, expected);
    assert_eq!(one.record.keep.policy, Policy::DownloadOnce);

    // One chunk was downloaded and is gone: no client can have the whole any more.
    std::fs::remove_file(dir.path().join(&names[1])).unwrap();
    assert_eq!(read(&dir).left, [LeftAlone { id: C.parse().unwrap(), why: Why::Short { present: 6, size: 10 } }]);
}

#[test]
fn section_10_a_file_of_a_folder() {
    let file = json!({"filename": "c.txt", "size": 3, "is_final": true, "relative_path": "a/c.txt", "folder_id": B,
        "folder_name": "album"});
    let name = format!("files/{A}/a/c.txt");
    let dir = storage(&[(&format!("et:file:{A}"), file)], &[(&name, 3)]);
    let found = read(&dir);
    assert_eq!(found.found[0].pieces, [piece(&dir, &name, 0, 0, 3)]);
    let metadata = found.found[0].record.metadata.clone().unwrap();
    assert!(metadata.contains("relativePath YS9jLnR4dA==,folderId") && metadata.contains("folderName"), "{metadata}");
}

#[test]
fn section_10_what_is_left_alone_and_why() {
    let records = [
        (format!("etransfer:file:{A}"), json!({"filename": "a", "size": 5, "is_complete": true})),
        (format!("etransfer:upload:{B}"), json!({"size": 5, "offset": 1, "expires_at": "2026-11-01T00:00:00"})),
        (format!("et:upload:{C}"), json!({"size": -1})),
        (format!("et:upload:{C}:size"), json!(3)),
        (format!("etransfer:lock:{C}"), json!(1)),
        ("et:quota:7".to_owned(), json!(12)),
    ];
    let records: Vec<_> = records.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let found = read(&storage(&records, &[(&format!("files/{A}_a"), 4)]));
    assert!(found.found.is_empty(), "{found:?}");
    let texts: Vec<_> = found.left.iter().map(|left| left.why.to_string()).collect();
    assert!(texts[0].contains("only 4 of 5 bytes"), "{texts:?}");
    assert!(texts[1].contains("expired"), "{texts:?}");
    assert!(texts[2].contains("cannot be read") && texts[2].contains("-1"), "{texts:?}");
}

#[test]
fn section_10_links_are_not_followed() {
    let file = json!({"filename": "a", "size": 4, "is_complete": true});
    let dir = storage(&[(&format!("etransfer:file:{A}"), file)], &[("secret", 4), ("files/x", 1)]);
    let target: PathBuf = dir.path().join("secret");
    std::os::unix::fs::symlink(target, dir.path().join(format!("files/{A}_a"))).unwrap();
    assert_eq!(read(&dir).left[0].why, Why::Short { present: 0, size: 4 });
}

#[test]
fn a_directory_without_state_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = inventory(dir.path(), &State::File, NOW_MS).unwrap_err().to_string();
    assert!(error.contains("state/state.json"), "{error}");
    std::fs::create_dir_all(dir.path().join("state")).unwrap();
    std::fs::write(dir.path().join("state/state.json"), "[]").unwrap();
    let error = inventory(dir.path(), &State::File, NOW_MS).unwrap_err().to_string();
    assert!(error.contains("not a state file"), "{error}");
}
