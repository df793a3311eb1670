//! easytransfer/CONTRACT.md §1.1: bodies come with a length or in chunks, announced by `Expect` or not, on every route
//! that has one.

use crate::support::{Node, Request};

type Framing = (&'static str, fn(Request) -> Request);

const FRAMINGS: [Framing; 5] = [
    ("a length", |request| request),
    ("a length, expected", |request| request.header("Expect", "100-continue")),
    ("chunks", |request| request.chunked(7)),
    ("one chunk", |request| request.chunked(1 << 20)),
    ("chunks, expected", |request| request.chunked(7).header("Expect", "100-continue")),
];

#[test]
fn section_1_1_every_framing_of_a_body_is_read_on_every_route() {
    let node = Node::setup().open().config("user_system: {enabled: true}").start();
    for (at, (framing, framed)) in FRAMINGS.into_iter().enumerate() {
        let send = |request: Request| {
            let method = request.method.clone();
            let reply = node.send(&framed(request));
            assert!(reply.status < 400, "{framing}, {method}: {reply:?}");
            reply
        };
        let group = format!(r#"{{"name": "group {at}", "max_storage_size": 5}}"#);
        let made = send(Request::new("POST", "/api/groups").body(group.clone())).json();
        let path = format!("/api/groups/{}/quota", made["group"]["id"]);
        let changed = send(Request::new("PUT", &path).body(group.replace('5', "6"))).json();
        assert_eq!(changed["group"]["quota"]["max_storage_size"], 6, "{framing}");
        let verdict = send(Request::new("POST", "/api/auth/verify").body(r#"{"token": "no such token"}"#)).json();
        assert_eq!(verdict["valid"], false, "{framing}");
        let create = Request::new("POST", "/tus").header("Upload-Length", "24");
        let create = create.header("Content-Type", crate::support::tus::OCTETS).body("twelve bytes");
        let upload = crate::support::Upload::at(send(create).field("Location"));
        let patch = Request::new("PATCH", &upload.path).header("Upload-Offset", "12");
        let patch = patch.header("Content-Type", crate::support::tus::OCTETS).body(", and twelve");
        assert_eq!(send(patch).number("Upload-Offset"), 24, "{framing}");
        node.whole(&upload, b"twelve bytes, and twelve");
        // Routes without a body read an empty one.
        for path in ["/api/files/cleanup", "/api/users/logout", "/api/admin/reload-config"] {
            send(Request::new("POST", path));
        }
    }
}
