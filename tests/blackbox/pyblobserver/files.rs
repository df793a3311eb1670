//! pyblobserver/CONTRACT.md §4.1, §4.3 to §4.5: taking files in, listing and deleting them.

use serde_json::json;

use super::{BOUNDARY, OTHER, Part, USER, User, blob_env, both, form, open, setup, text};
use crate::support::raw::Request;
use crate::support::wait::next_millisecond;

const ALPHABET: &str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnprstuvwxyz2345678";
const MB: usize = 1 << 20;

#[test]
fn cases_6_and_9_a_file_goes_in_and_out() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let told = user.upload("t.txt", b"hello").is(200).json();
    let id = text(&told["file_id"]);
    assert!(id.len() == 8 && id.chars().all(|symbol| ALPHABET.contains(symbol)), "{id}");
    let url = format!("{}/blob/s/{id}", node.url());
    let expected = json!({"file_id": id, "file_url": url, "show_image": format!("{url}?output=html"), "available_space": "2.000 MB"});
    assert_eq!(told, expected);
    let got = open(&node, Request::get(&format!("/s/{id}"))).is(200);
    assert_eq!(got.body, b"hello");
    assert_eq!(got.field("Content-Disposition"), "attachment; filename=\"t.txt\"");
    assert_eq!(got.field("Content-Type"), "text/plain; charset=utf-8");
    let record = open(&node, Request::get("/user/user1")).json();
    assert_eq!(
        (&record["total_size"], &record["total_upload_times"], &record["total_upload_byte"]),
        (&json!(5), &json!(1), &json!(5))
    );
    assert!(record["last_upload_at"].is_string());
}

#[test]
fn section_1_base_url_length_and_times_are_configured() {
    let settings = [
        ("BASE_URL", "https://files.example.org/"),
        ("SHORT_PATH_LENGTH", "12"),
        ("DATETIME_FORMAT", "iso"),
        ("TIMEZONE", "UTC"),
    ];
    let node = blob_env(setup(), &settings).start();
    let user = User::first(&node, USER);
    let told = user.upload("t.txt", b"hello").is(200).json();
    let id = text(&told["file_id"]);
    assert_eq!(id.len(), 12);
    assert_eq!(told["file_url"], format!("https://files.example.org/s/{id}"));
    let at = text(&user.list()[0]["upload_at"]);
    assert!(at.len() == "2026-11-20T12:19:03.114000+00:00".len() && at.ends_with("+00:00"), "{at}");
}

#[test]
fn case_7_forms_without_the_part() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let missing =
        json!({"detail": [{"type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": null}]});
    for request in [
        form("/upload", &[]),
        form("/upload", &[Part::file("f", "t.txt", b"hello")]),
        form("/upload", &[Part::field("x", "y"), Part::file("files", "t.txt", &[7; 100_000])]),
        Request::new("POST", "/upload"),
        Request::new("POST", "/upload").header("Content-Type", "application/json").body("{}"),
    ] {
        assert_eq!(user.send(request).is(422).json(), missing);
    }
    let field = user.send(form("/upload", &[Part::field("file", "hello")])).is(422).json();
    assert_eq!(
        (&field["detail"][0]["type"], &field["detail"][0]["loc"]),
        (&json!("value_error"), &json!(["body", "file"]))
    );
    // Other fields, before and after, and other files before it change nothing.
    let parts = [
        Part::field("token", "x"),
        Part::file("f", "no.txt", b"no"),
        Part::file("file", "t.txt", b"hello"),
        Part::field("a", "b"),
    ];
    user.send(form("/upload", &parts)).is(200);
    user.send(form("/upload/", &parts).chunked(7)).is(200);
    let broken = |body: &str| {
        Request::new("POST", "/upload")
            .header("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(body)
    };
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t\"\r\n\r\n");
    for body in [
        "hello",
        "",
        &format!("--{BOUNDARY}\r\nno head\r\n\r\nx"),
        &head,
        &format!("{head}hello"),
        &format!("{head}hello\r\n--{BOUNDAR}", BOUNDAR = &BOUNDARY[1..]),
    ] {
        user.send(broken(body)).is(400);
    }
    let nameless = broken("x").without("Content-Type").header("Content-Type", "multipart/form-data");
    user.send(nameless).is(400);
    assert_eq!(user.list().len(), 2, "nothing of the refused ones is there");
    assert_eq!(user.total(USER), 10);
}

#[test]
fn case_8_limits_are_exact() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let content = vec![7u8; MB + 1];
    let refused = user.upload("big", &content).is(413);
    assert_eq!(refused.json(), json!({"detail": "File size exceeds limit of 1MB"}));
    let chunked = form("/upload", &[Part::file("file", "big", &content)]).chunked(100_000);
    user.send(chunked).is(413);
    let fits = user.upload("fits", &content[..MB]).is(200).json();
    assert_eq!(fits["available_space"], "1.000 MB");
    assert_eq!(user.upload("again", &content[..MB]).is(200).json()["available_space"], "0.000 MB");
    for bytes in [1, MB] {
        let refused = user.upload("more", &content[..bytes]).is(403);
        assert_eq!(refused.json(), json!({"detail": "Total size limit of 2MB exceeded"}), "{bytes}");
    }
    user.upload("empty", b"").is(200);
    // The other user has a limit of their own, and space that was given back is there at once.
    User::first(&node, OTHER).upload("t.txt", &content[..MB]).is(200);
    user.send(Request::new("DELETE", &format!("/delete/{}", text(&fits["file_id"])))).is(200);
    assert_eq!(user.upload("again", &content[..MB]).is(200).json()["available_space"], "0.000 MB");
    assert_eq!(user.total(USER), 2 * MB as u64);
    user.send(Request::new("DELETE", "/delete_all?confirm=yes")).is(200);
    user.uploaded("a", &content[..MB]);
    user.uploaded("b", &content[..MB]);
}

#[test]
fn cases_13_and_14_lists_and_deletions() {
    let node = setup().start();
    let (user, other) = (User::first(&node, USER), User::first(&node, OTHER));
    assert!(user.list().is_empty());
    let ids: Vec<String> = ["a.png", "b", "c.txt"]
        .map(|name| {
            next_millisecond();
            user.uploaded(name, name.as_bytes())
        })
        .into();
    let theirs = other.uploaded("t.txt", b"theirs");
    let listed = user.list();
    let listed_ids: Vec<String> = listed.iter().map(|file| text(&file["file_id"])).collect();
    assert_eq!(listed_ids, ids.iter().rev().cloned().collect::<Vec<_>>(), "newest first");
    let mut keys: Vec<&String> = listed[2].as_object().expect("an object").keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "download_times",
            "file_id",
            "file_name",
            "file_size",
            "file_type",
            "last_download_at",
            "upload_at",
            "user_id"
        ]
    );
    assert_eq!(
        (&listed[2]["file_name"], &listed[2]["file_size"], &listed[2]["user_id"], &listed[2]["file_type"]),
        (&json!("a.png"), &json!(5), &json!(USER), &json!("image/png"))
    );
    assert_eq!((&listed[1]["file_type"], &listed[1]["last_download_at"]), (&json!(""), &json!(null)));
    let delete = |id: &str| user.send(Request::new("DELETE", &format!("/delete/{id}")));
    for id in [theirs.as_str(), "vP4rgaBW", "..%2F..", "%00"] {
        assert_eq!(both(&delete(id).is(404)), "File not found", "{id}");
    }
    assert_eq!(delete(&ids[1]).is(200).json(), json!({"message": "File deleted"}));
    assert_eq!(user.list().len(), 2);
    assert_eq!(both(&delete(&ids[1]).is(404)), "File not found");
    open(&node, Request::get(&format!("/s/{}", ids[1]))).is(404);
    open(&node, Request::get(&format!("/s/{theirs}"))).is(200);
}

#[test]
fn cases_15_and_16_everything_at_once() {
    let node = setup().start();
    let (user, other) = (User::first(&node, USER), User::first(&node, OTHER));
    let theirs = other.uploaded("t.txt", b"theirs");
    let delete = |query: &str| user.send(Request::new("DELETE", &format!("/delete_all{query}")));
    for target in ["/?confirm=yes", "?confirm=YES", "?confirm=Yes&function=all"] {
        user.uploaded("a", b"a");
        user.uploaded("b", b"b");
        assert_eq!(delete(target).is(200).json(), json!({"message": "All files deleted"}), "{target}");
        assert!(user.list().is_empty() && user.total(USER) == 0);
    }
    let id = user.uploaded("a", b"a");
    for target in ["", "/", "?confirm=no", "?function=bogus", "?confirm=yes%20"] {
        let refused = both(&delete(target).is(404));
        assert_eq!(refused, "Invalid delete_all parameter. Use '?confirm=yes' to confirm deletion of all files.");
    }
    assert_eq!(both(&delete("?confirm=yes&function=bogus").is(405)), "Invalid function parameter");
    let expired = delete("?confirm=yes&function=expired").is(200).json();
    assert_eq!(expired, json!({"message": "All files not been download for 90 days are deleted"}));
    assert_eq!(user.list()[0]["file_id"], id.as_str());
    assert_eq!(other.list()[0]["file_id"], theirs.as_str());
}

#[test]
fn case_17_expiry_can_be_forced() {
    let node = blob_env(setup(), &[("EXPIRE_DAYS", "0")]).start();
    let user = User::first(&node, USER);
    user.uploaded("a", b"a");
    next_millisecond();
    let expired = user.send(Request::new("DELETE", "/delete_all?confirm=yes&function=expired")).is(200).json();
    assert_eq!(expired, json!({"message": "All files not been download for 0 days are deleted"}));
    assert!(user.list().is_empty());
}
