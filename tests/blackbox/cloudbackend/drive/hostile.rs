//! Names, paths and keys that mean harm (PROMISES.md §4, §5): they are text, and no path on a disk is made of them.

use serde_json::json;

use super::{Person, element, setup};
use crate::support::audit;

const NAMES: [&str; 14] = [
    "../../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows\\system32",
    "a/b",
    ".",
    "..",
    "%2e%2e%2fx",
    "CON",
    "a\r\nSet-Cookie: x=y",
    "\u{202e}fdp.exe",
    "<script>alert(1)</script>",
    "'; drop table files; --",
    "file:///etc/passwd",
    "a\u{1}b",
];

#[test]
fn names_are_text() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    let url = alice.put("alice//a", b"content");
    for name in NAMES {
        let file = alice.notify(element("/", name, &url)).is(201).json()["file"].clone();
        assert_eq!(file["name"], name);
        assert_eq!(alice.download(&file), b"content");
        let renamed = alice.update(&file, json!({"name": format!("{name}x")})).is(200).json();
        assert_eq!(renamed["file"]["name"], format!("{name}x"));
    }
    assert_eq!(alice.list("/").len(), NAMES.len());
    assert_eq!(audit::objects_below(node.storage()).len(), 1);
}

#[test]
fn paths_are_text_or_refused() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    for (path, kept) in [
        ("../../etc", None),
        ("/a/../../b", None),
        ("/./", None),
        ("/a\0b/", None),
        ("\\..\\..", Some("/\\..\\../")),
        ("/%2e%2e/%2e%2e/", Some("/%2e%2e/%2e%2e/")),
        ("/.../", Some("/.../")),
        ("//etc//passwd", Some("/etc/passwd/")),
        ("/a\r\nb", Some("/a\r\nb/")),
    ] {
        let reply = alice.post("/file/new-folder/", json!({"folder_name": "f", "path": path}));
        match kept {
            None => drop(reply.is(400)),
            Some(kept) => assert_eq!(reply.is(201).json()["folder"]["path"], kept),
        }
    }
    let deep = "d/".repeat(600);
    alice.post("/file/new-folder/", json!({"folder_name": "f", "path": deep})).is(400);
    alice.post("/file/list/", json!({"path": ["/"]})).is(400);
}

/// What is decoded once stays in the prefix, and what leaves the prefix is refused.
#[test]
fn keys_that_leave_the_prefix_are_somebody_elses() {
    let node = setup().start();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let theirs = bob.file("/", "secret", b"secret");
    let key = theirs["oss_url"].as_str().and_then(|url| url.split("/cloud/bob/").nth(1)).expect("a key");
    let base = format!("{}/cloud", node.url());
    for url in [
        format!("{base}/alice/../bob/{key}"),
        format!("{base}/alice/%2e%2e/bob/{key}"),
        format!("{base}/alice%2F..%2Fbob/{key}"),
        format!("{base}/./bob/{key}"),
        format!("{base}//bob/{key}"),
        format!("{base}/alice\\..\\bob/{key}"),
        format!("{base}/%62ob/{key}"),
        format!("{}/x/../cloud/bob/{key}", node.url()),
        format!("{base}/ALICE/{key}"),
        format!("{base}/alice"),
        format!("{base}/alice/%00"),
        format!("{base}/alice/%ff"),
        format!("{base}/{}", "a".repeat(3000)),
    ] {
        alice.notify(element("/", "x", &url)).is(400);
    }
    assert_eq!((alice.used(), alice.list("/").len()), (0, 0));
    // Nor does a policy let anybody write there.
    alice.try_put("bob//x", b"x").is(403);
    alice.try_put("../bob//x", b"x").is(403);
    assert_eq!(alice.try_put("alice/../bob/x", b"x").status, 200, "a label below alice/");
    assert_eq!(bob.download(&theirs), b"secret");
}
