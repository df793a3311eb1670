//! pyblobserver/CONTRACT.md §8 without TUS and the WebSocket: `/auth`, `/upload_batch`.

use serde_json::{Value, json};

use super::{Part, USER, User, blob_env, form, open, setup, text};
use crate::support::raw::Request;

#[test]
fn case_23_batches() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let batch = |parts: &[Part]| user.send(form("/upload_batch", parts));
    let told = batch(&[
        Part::field("token", "ignored"),
        Part::file("files", "a.txt", b"first"),
        Part::file("other", "x.txt", b"ignored"),
        Part::field("files_count", "2"),
        Part::file("files", "b.txt", b""),
    ])
    .is(200)
    .json();
    let ids: Vec<String> = told.as_array().expect("an array").iter().map(|one| text(&one["file_id"])).collect();
    assert_eq!(ids.len(), 2);
    for (id, content) in ids.iter().zip([&b"first"[..], b""]) {
        assert_eq!(open(&node, Request::get(&format!("/s/{id}"))).is(200).body, content);
    }
    let (big, half) = (vec![7; (1 << 20) + 1], vec![7; 700_000]);
    let told = batch(&[
        Part::file("files", "half.bin", &half),
        Part::file("files", "big.bin", &big),
        Part::file("files", "half2.bin", &half),
        Part::file("files", "half3.bin", &half),
        Part::file("files", "last.txt", b"fits"),
    ])
    .is(207)
    .json();
    assert!(told[0]["file_url"].is_string() && told[2]["file_url"].is_string() && told[4]["file_url"].is_string());
    assert_eq!(told[1], json!({"filename": "big.bin", "status_code": 413, "error": "File size exceeds limit of 1MB"}));
    assert_eq!(
        told[3],
        json!({"filename": "half3.bin", "status_code": 403, "error": "Total size limit of 2MB exceeded"})
    );
    assert_eq!(user.total(USER), 5 + 1_400_000 + 4);
    let missing =
        json!({"detail": [{"type": "missing", "loc": ["body", "files"], "msg": "Field required", "input": null}]});
    for parts in [&[][..], &[Part::file("file", "a", b"a")]] {
        assert_eq!(batch(parts).is(422).json(), missing);
    }
    let hundred: Vec<Part> = (0..100).map(|_| Part::file("files", "t", b"x")).collect();
    assert_eq!(batch(&hundred).is(200).json().as_array().map(Vec::len), Some(100));
    assert_eq!(user.list().len(), 5 + 100);
}

#[test]
fn section_8_auth() {
    let node = setup().start();
    let user = User::first(&node, USER);
    assert_eq!(user.send(Request::get("/auth/")).is(200).json(), json!({"user": USER, "token": user.token}));
}

#[test]
fn section_8_can_be_switched_off() {
    let node = blob_env(setup(), &[("EXTENDED", "false")]).start();
    let user = User::first(&node, USER);
    for (method, target) in [
        ("GET", "/auth"),
        ("POST", "/upload_batch"),
        ("GET", "/upload_socket"),
        ("POST", "/upload_tus"),
        ("OPTIONS", "/upload_tus/"),
    ] {
        let refused: Value = user.send(Request::new(method, target)).is(404).json();
        assert_eq!(refused, json!({"detail": "Not Found"}), "{method} {target}");
    }
    user.uploaded("t.txt", b"hello");
}
