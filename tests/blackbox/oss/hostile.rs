//! Names, fields and keys that are meant to do harm: labels all of them, or refused; never a path.

use serde_json::json;

use super::{Form, LATER, content, policy, setup, signed_head, signed_until};
use crate::support::{Request, audit};

const NAMES: [&str; 14] = [
    "../../../../etc/passwd",
    "u/../../x",
    "..",
    ".",
    "u/..\\..\\x",
    "C:\\x",
    "u/\u{0}x",
    "u/%00",
    "u/%2e%2e%2fx",
    "u/\u{1b}[2Jx",
    "objects/00/00",
    "state/catalogue.redb",
    "o/../o/x",
    "{\"a\":1}",
];

#[test]
fn traversal_is_a_name_like_any_other() {
    let node = setup().start();
    let open = policy(json!([{"bucket": "cloud"}]));
    for name in NAMES {
        let mut form = Form::new(name, &open, name);
        form.filename = Some(name.replace(['"', '\\', '\0', '\u{1b}'], "_"));
        form.post(&node).is(204);
        assert_eq!(content(&node, name).as_deref(), Some(name.as_bytes()), "{name:?}");
        let put = Request::new("PUT", &signed_until("PUT", name, &[], LATER)).body("again");
        node.send(&put).is(200);
        assert_eq!(content(&node, name).as_deref(), Some(&b"again"[..]), "{name:?}");
        node.send(&Request::new("DELETE", &signed_until("DELETE", name, &[], LATER))).is(204);
        assert_eq!(content(&node, name), None, "{name:?}");
    }
    for path in audit::files_below(node.storage()) {
        let name = path.0.strip_prefix(node.storage()).expect("below the storage").display().to_string();
        assert!(!name.contains("..") && !name.contains("passwd"), "{name}");
    }
    assert!(!node.dir().join("x").exists() && !node.storage().join("x").exists());
}

#[test]
fn paths_that_look_like_the_bucket_lead_nowhere() {
    let node = setup().start();
    node.send(&signed_head("PUT", "u/a", "", &[]).body("hello")).is(200);
    let url = signed_until("GET", "u/a", &[], LATER);
    let query = url.split_once('?').expect("it is signed").1;
    for path in [
        "//cloud/u/a",
        "/./cloud/u/a",
        "/x/../cloud/u/a",
        "/%63loud/u/a",
        "/cloud%2Fu/a",
        "/Cloud/u/a",
        "/cloud//u/a",
        "/cloud/./u/a",
        "/cloud/x/../u/a",
        "/cloud/u//a",
        "/cloud/u/a/",
        "/cloud/u/a%00",
        "/cloud/%252e/u/a",
        "/cloud/%c0%ae/u/a",
        "/cloud/%",
        "/cloud/%zz",
    ] {
        let reply = node.send(&Request::get(&format!("{path}?{query}")));
        assert!(matches!(reply.status, 400 | 403 | 404), "{path}: {reply:?}");
        assert_ne!(reply.body, b"hello", "{path}");
    }
    node.send(&Request::get(&url)).is(200);
}

#[test]
fn heads_are_not_split_by_what_people_store() {
    let node = setup().start();
    let hostile = "x\r\nSet-Cookie: a=b";
    for (name, value) in [
        ("Cache-Control", hostile),
        ("x-oss-meta-a", hostile),
        ("x-oss-meta-a\r\nSet-Cookie: a=b", "x"),
        ("x-oss-content-type", hostile),
        ("Content-Disposition", "attachment; filename=\"\u{0}\""),
    ] {
        let form = Form::of_front_end("alice/x", "hello").field(name, value);
        let reply = form.post(&node);
        assert_eq!(reply.status, 400, "{name:?}: {reply:?}");
        assert_eq!(content(&node, "alice/x"), None);
    }
    // What a name may be, a head may have; in the content of a form nothing is special.
    let inside =
        format!("--{}\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nbob/x\r\n", &super::BOUNDARY[..10]);
    Form::of_front_end("alice/文", inside.clone()).field("x-oss-meta-文件", "x").post(&node).one_of(&[400]);
    Form::of_front_end("alice/文", inside.clone()).field("x-oss-meta-name", "文件").post(&node).is(200);
    let reply = node.send(&Request::get(&signed_until("GET", "alice/文", &[], LATER))).is(200);
    assert_eq!(reply.field("x-oss-meta-name"), "文件");
    assert_eq!(reply.body, inside.as_bytes());
    assert_eq!(content(&node, "bob/x"), None);
}
