//! Names, paths and ids that mean harm (cases 12 and 18, PROMISES.md §4).

use serde_json::json;

use super::{Part, USER, User, form, open, setup, text};
use crate::support::raw::Request;

#[test]
fn case_12_ids_are_ids_and_nothing_else() {
    let node = setup().start();
    let user = User::first(&node, USER);
    user.uploaded("t.txt", b"hello");
    for id in [
        "nope",
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e",
        "..",
        "%2Fetc%2Fpasswd",
        "vP4rgaBW%00",
        "%00",
        "a%5Cb",
        "*",
        "vP4rgaBWvP4rgaBWvP4rgaBWvP4rgaBWvP4rgaBWvP4rgaBWvP4rgaBWvP4rgaBWvP4rgaBW",
        "user%2F7573657231",
    ] {
        for query in ["", "?output=json", "?output=html", "?output=inline"] {
            let refused = open(&node, Request::get(&format!("/s/{id}{query}"))).is(404);
            assert_eq!(refused.json(), json!({"detail": "File not found"}), "{id}{query}");
        }
        open(&node, Request::new("HEAD", &format!("/s/{id}"))).is(404);
    }
    for (target, status) in [
        ("/s/%zz", 400),
        ("/s/%2", 400),
        ("/s/%ff", 404),
        ("/s/%c0%ae%c0%ae", 404),
        ("/s//x", 404),
        ("//list", 404),
        ("/s/../list", 404),
        ("/list;x", 404),
        ("/LIST", 404),
        ("/nope", 404),
        ("/user/", 404),
        ("/static/uppy.html", 404),
    ] {
        user.send(Request::get(target)).is(status);
    }
    for (method, target, allow) in [
        ("POST", "/list", "GET"),
        ("GET", "/upload", "POST"),
        ("PUT", "/s/vP4rgaBW", "GET, HEAD"),
        ("GET", "/delete_all", "DELETE"),
        ("DELETE", "/", "GET"),
        ("HEAD", "/user/luzheng@live.com", "GET"),
        ("GET", "/upload_tus/0123456789abcdef0123456789abcdef", "HEAD, PATCH, DELETE, OPTIONS"),
    ] {
        let refused = user.send(Request::new(method, target)).is(405);
        assert_eq!(refused.field("Allow"), allow, "{method} {target}");
    }
    assert_ne!(
        open(&node, Request::get("/user/luzheng@live.com")).json()["token"],
        "[hidden...]",
        "a HEAD made no user"
    );
}

#[test]
fn case_18_names_of_any_kind() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let long = "é".repeat(300);
    for (name, kept) in [
        ("é 文\".txt", Some("é 文\".txt")),
        ("<script>a.html", Some("<script>a.html")),
        ("", None),
        ("../../etc/passwd", Some("passwd")),
        ("C:\\x\\t.txt", Some("t.txt")),
        ("a/", None),
        (".", Some(".")),
        ("..", Some("..")),
        ("%0d%0aX-Evil: 1", Some("%0d%0aX-Evil: 1")),
        ("a%0D%0AX-Evil: 1", Some("a\r\nX-Evil: 1")),
        ("'><img src=x onerror=alert(1)>.png", Some("'><img src=x onerror=alert(1)>.png")),
        ("\u{202e}gpj.exe", Some("\u{202e}gpj.exe")),
        (&long, Some(&long[..254])),
    ] {
        let told = user.upload(name, b"hello").is(200).json();
        let id = text(&told["file_id"]);
        let kept = kept.unwrap_or(&id);
        let get = |query: &str| open(&node, Request::get(&format!("/s/{id}{query}"))).is(200);
        assert_eq!(get("?output=json").json()["file_name"], kept, "{name:?}");
        let file = get("");
        assert_eq!((file.body.as_slice(), file.header("X-Evil")), (&b"hello"[..], None));
        let disposition = file.field("Content-Disposition");
        assert!(disposition.starts_with("attachment; filename=\"") && disposition.is_ascii(), "{disposition}");
        let html = String::from_utf8(get("?output=html").body).expect("UTF-8");
        assert_eq!(html.matches('<').count(), 13, "no tag of its own: {html}");
        assert!(!html.contains("onerror=alert(1)>"), "{html}");
    }
    assert_eq!(user.list().len(), 13);
    // Nothing of a name became a path.
    let storage = std::process::Command::new("find")
        .arg(node.storage())
        .args(["-name", "*passwd*", "-o", "-name", "*.html"])
        .output();
    assert!(storage.expect("find").stdout.is_empty());
}

#[test]
fn reliability_4_forms_that_mean_harm() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let fields: Vec<Part> = (0..20).map(|number| Part::field(&format!("f{number}"), &"x".repeat(60_000))).collect();
    user.send(form("/upload", &fields)).is(400);
    user.send(form("/upload", &[Part::field("token", &"x".repeat(70_000))])).is(400);
    let head = Part {
        head: format!("form-data; name=\"file\"; filename=\"t\"\r\nX: {}", "x".repeat(20_000)),
        content: b"x".to_vec(),
    };
    user.send(form("/upload", &[head])).is(400);
    assert!(user.list().is_empty());
    // A second file in a form for one changes nothing: the first one is the file.
    let two = [Part::file("file", "a", b"first"), Part::file("file", "b", b"second")];
    user.send(form("/upload", &two)).is(200);
    assert_eq!((user.list().len(), user.total(USER)), (1, 5));
}
