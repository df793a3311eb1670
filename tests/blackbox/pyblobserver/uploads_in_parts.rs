//! pyblobserver/CONTRACT.md §8: TUS below `/upload_tus`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{OTHER, USER, User, open, setup};
use crate::support::raw::{Reply, Request};

impl User<'_> {
    fn create(&self, fields: &[(&str, &str)]) -> Reply {
        let request = Request::new("POST", "/upload_tus").header("Tus-Resumable", "1.0.0");
        self.send(fields.iter().fold(request, |request, (name, value)| request.header(name, value)))
    }
    /// The path of a new upload, below the prefix.
    #[track_caller]
    fn created(&self, length: usize, name: &str) -> String {
        let metadata = format!("filename {},filetype {}", STANDARD.encode(name), STANDARD.encode("text/plain"));
        let reply = self.create(&[("Upload-Length", &length.to_string()), ("Upload-Metadata", &metadata)]).is(201);
        path(self, &reply)
    }
    fn patch(&self, path: &str, offset: usize, content: &[u8]) -> Reply {
        self.send(patch(path, offset).body(content))
    }
    fn head(&self, path: &str) -> Reply {
        self.send(Request::new("HEAD", path).header("Tus-Resumable", "1.0.0"))
    }
}

fn patch(path: &str, offset: usize) -> Request {
    Request::new("PATCH", path)
        .header("Tus-Resumable", "1.0.0")
        .header("Content-Type", "application/offset+octet-stream")
        .header("Upload-Offset", offset.to_string())
}

#[track_caller]
fn path(user: &User<'_>, created: &Reply) -> String {
    let location = created.field("Location");
    let path = location.strip_prefix(&format!("{}/blob", user.node.url())).expect("an absolute link to this surface");
    let id = path.strip_prefix("/upload_tus/").expect("an upload");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{id}");
    path.to_owned()
}

#[test]
fn case_24_parts_and_a_wrong_offset() {
    let mut node = setup().start();
    let token = {
        let user = User::first(&node, USER);
        let path = user.created(10, "naïve.txt");
        let first = user.patch(&path, 0, b"hello").is(204);
        assert_eq!(first.number("Upload-Offset"), 5);
        let expires = first.field("Upload-Expires").to_owned();
        let wrong = user.patch(&path, 3, b"XXXXX").is(409);
        assert_eq!(wrong.field("Tus-Resumable"), "1.0.0");
        let state = user.head(&path).is(200);
        assert_eq!((state.number("Upload-Offset"), state.number("Upload-Length")), (5, 10));
        assert_eq!(
            (state.field("Cache-Control"), state.field("Upload-Expires")),
            ("no-store", expires.as_str()),
            "five days after its creation"
        );
        assert_eq!(state.field("Upload-Metadata"), "filename bmHDr3ZlLnR4dA==,filetype dGV4dC9wbGFpbg==");
        assert!(user.list().is_empty() && user.total(USER) == 0, "no file before its last byte");
        assert_eq!(first.header("X-File-Id"), None);
        let last = user.patch(&path, 5, b"world").is(204);
        assert_eq!((last.number("Upload-Offset"), last.header("Upload-Expires")), (10, None));
        let id = last.field("X-File-Id").to_owned();
        assert_eq!(last.field("X-File-Url"), format!("{}/blob/s/{id}", node.url()));
        let listed = user.list();
        assert_eq!(
            (listed.len(), &listed[0]["file_id"], &listed[0]["file_name"]),
            (1, &json!(id), &json!("naïve.txt"))
        );
        assert_eq!(open(&node, Request::get(&format!("/s/{id}"))).is(200).body, b"helloworld");
        // The upload can still be asked for, and the lost answer of the last part again.
        assert_eq!(user.head(&path).is(200).number("Upload-Offset"), 10);
        assert_eq!(user.patch(&path, 10, b"").is(204).field("X-File-Id"), id);
        user.patch(&path, 5, b"world").is(409);
        let record = open(&node, Request::get("/user/user1")).json();
        assert_eq!(
            (&record["total_size"], &record["total_upload_times"], &record["total_upload_byte"]),
            (&json!(10), &json!(1), &json!(10))
        );
        user.token.clone()
    };
    node.kill_and_start_again();
    let record = open(&node, Request::get("/user/user1")).json();
    assert_eq!((&record["total_size"], &record["total_upload_times"]), (&json!(10), &json!(1)), "counted once");
    assert_eq!(User { node: &node, token }.list().len(), 1);
}

#[test]
fn section_8_options_limits_and_owners() {
    let node = setup().start();
    let (user, other) = (User::first(&node, USER), User::first(&node, OTHER));
    for target in ["/upload_tus", "/upload_tus/", "/upload_tus/0123456789abcdef0123456789abcdef"] {
        let told = open(&node, Request::new("OPTIONS", target)).is(204);
        assert_eq!(
            (told.field("Tus-Resumable"), told.field("Tus-Version"), told.number("Tus-Max-Size")),
            ("1.0.0", "1.0.0", 1 << 20)
        );
        assert_eq!(
            told.field("Tus-Extension"),
            "creation,creation-defer-length,creation-with-upload,expiration,termination"
        );
    }
    assert_eq!(user.create(&[("Upload-Length", "1048577")]).is(413).json()["detail"], "File size exceeds limit of 1MB");
    user.create(&[]).is(400);
    user.create(&[("Upload-Length", "5"), ("Upload-Defer-Length", "1")]).is(400);
    let path = user.created(10, "t.txt");
    let without_type = patch(&path, 0).without("Content-Type").body("hello");
    user.send(without_type).is(415);
    let old = patch(&path, 0).without("Tus-Resumable").header("Tus-Resumable", "0.2.2").body("hello");
    user.send(old).is(412);
    for reply in [
        other.head(&path),
        other.patch(&path, 0, b"hello"),
        other.send(Request::new("DELETE", &path).header("Tus-Resumable", "1.0.0")),
    ] {
        let reply = reply.is(404);
        assert!(reply.body.is_empty() || reply.json()["detail"] == "Upload not found", "{reply:?}");
    }
    // The id of a file is not that of an upload.
    let etag = {
        let id = user.uploaded("t.txt", b"hello");
        open(&node, Request::get(&format!("/s/{id}"))).field("ETag").trim_matches('"').to_owned()
    };
    user.head(&format!("/upload_tus/{etag}")).is(404);
    for id in ["x", "..%2F..", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcdef"] {
        user.head(&format!("/upload_tus/{id}")).is(404);
    }
    assert_eq!(user.head(&path).is(200).number("Upload-Offset"), 0);
    user.send(Request::new("DELETE", &path).header("Tus-Resumable", "1.0.0")).is(204);
    user.head(&path).is(404);
    let gone = user.send(Request::new("DELETE", &path).header("Tus-Resumable", "1.0.0")).is(404);
    assert_eq!(gone.json()["detail"], "Upload not found");
}

#[test]
fn section_8_deferred_lengths_first_bytes_and_nothing_at_all() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let deferred = path(&user, &user.create(&[("Upload-Defer-Length", "1")]).is(201));
    user.patch(&deferred, 0, b"hello").is(204);
    assert_eq!(user.head(&deferred).is(200).field("Upload-Defer-Length"), "1");
    user.send(patch(&deferred, 5).header("Upload-Length", "1048577").body("x")).is(413);
    user.patch(&deferred, 5, &[7; 1 << 20]).is(413);
    let last = user.send(patch(&deferred, 5).header("Upload-Length", "10").body("world")).is(204);
    let id = last.field("X-File-Id").to_owned();
    let record = open(&node, Request::get(&format!("/s/{id}?output=json"))).is(200).json();
    assert_eq!(
        (&record["file_name"], &record["file_size"]),
        (&json!(id), &json!(10)),
        "without a name it is called as its id"
    );

    let request = Request::new("POST", "/upload_tus/").header("Tus-Resumable", "1.0.0").header("Upload-Length", "5");
    let request =
        request.header("Upload-Metadata", "name dC50eHQ=").header("Content-Type", "application/offset+octet-stream");
    let early = user.send(request.body("hello")).is(201);
    let id = early.field("X-File-Id").to_owned();
    assert_eq!(early.number("Upload-Offset"), 5);
    assert_eq!(
        open(&node, Request::get(&format!("/s/{id}"))).is(200).field("Content-Disposition"),
        "attachment; filename=\"t.txt\""
    );

    let empty = user.create(&[("Upload-Length", "0")]).is(201);
    let id = empty.field("X-File-Id").to_owned();
    assert!(open(&node, Request::get(&format!("/s/{id}"))).is(200).body.is_empty());
    assert_eq!(user.head(&path(&user, &empty)).is(200).number("Upload-Offset"), 0);
    let record = open(&node, Request::get("/user/user1")).json();
    assert_eq!((&record["total_upload_times"], &record["total_upload_byte"]), (&json!(3), &json!(15)));
    // Deleted before anybody asked for the counts: counted all the same.
    let path = user.created(5, "t.txt");
    let id = user.patch(&path, 0, b"hello").is(204).field("X-File-Id").to_owned();
    user.send(Request::new("DELETE", &format!("/delete/{id}"))).is(200);
    user.head(&path).is(404);
    assert_eq!(open(&node, Request::get("/user/user1")).json()["total_upload_times"], 4);
}

#[test]
fn section_8_the_total_holds_for_parts_too() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let half = vec![7u8; 1 << 20];
    user.uploaded("a", &half);
    let (one, two) = (user.created(1 << 20, "b"), user.created(1 << 20, "c"));
    user.patch(&one, 0, &half[..600_000]).is(204);
    let refused = user.patch(&two, 0, &half[..600_000]).is(403);
    assert_eq!(refused.json()["detail"], "Total size limit of 2MB exceeded");
    user.patch(&two, 5, &half[..600_000]).is(409);
    user.create(&[("Upload-Length", "1048576")]).is(403);
    user.send(Request::new("DELETE", &two).header("Tus-Resumable", "1.0.0")).is(204);
    user.patch(&one, 600_000, &half[600_000..]).is(204);
    assert_eq!(user.total(USER), 2 << 20);
}
