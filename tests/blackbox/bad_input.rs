//! PROMISES.md §4: hostile and broken requests from raw sockets, with their exact answers. After each batch nothing is
//! stored, nothing is listed, and the server answers as before.

use std::time::Duration;

use crate::support::tus::{OCTETS, Upload, head, patch, post, tus};
use crate::support::{Conn, DEADLINE, Node, Oracle, Reply, Request, TOKEN, audit};

/// What comes back for these bytes: the status (0: closed without an answer) and whether the connection then ends.
fn answer(node: &Node, bytes: &[u8]) -> (u16, bool) {
    let mut conn = node.connect();
    conn.send(bytes);
    let reply = match conn.try_reply(bytes.starts_with(b"HEAD "), DEADLINE) {
        Ok(reply) => reply,
        Err(crate::support::NoReply::Closed(rest)) if rest.is_empty() => return (0, true),
        Err(error) => panic!("{error:?} for {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)])),
    };
    let (rest, ended) = if reply.closes() { conn.drain(DEADLINE) } else { (Vec::new(), false) };
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.is_empty(), "a second answer after {reply:?}: {rest}");
    (reply.status, ended)
}

/// Each case is refused with its status and the connection ends; in one piece and byte by byte.
#[track_caller]
fn all_close(node: &Node, cases: &[(u16, Vec<u8>)]) {
    let mut wrong = Vec::new();
    for (status, bytes) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let whole = answer(node, bytes);
        if whole != (*status, true) {
            wrong.push(format!("{whole:?} instead of ({status}, closed) for {shown:?}"));
        }
        if bytes.len() < 2_000 {
            let mut conn = node.connect();
            conn.send_split(bytes, &[1]);
            let split = conn.try_reply(bytes.starts_with(b"HEAD "), DEADLINE).map(|reply| reply.status).unwrap_or(0);
            if split != *status {
                wrong.push(format!("{split} in single bytes, {status} wanted, for {shown:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    nothing_stored(node);
}

#[track_caller]
fn nothing_stored(node: &Node) {
    assert_eq!(node.listed(), 0);
    assert_eq!(node.get("/api/storage").is(200).json()["used"], 0);
    let objects = audit::objects_below(node.storage());
    assert!(objects.is_empty(), "{objects:?}");
    node.get("/api/health").is(200);
}

/// A creation as raw text, with these lines added to the head and this behind it. Authorised, so that only what the case
/// is about can refuse it.
fn creation(lines: &str, rest: &str) -> Vec<u8> {
    raw(&format!("POST /tus HTTP/1.1\r\nHost: x\r\nX-API-Token: {TOKEN}\r\nUpload-Length: 5\r\n{lines}\r\n{rest}"))
}
fn raw(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}
fn get(lines: &str) -> Vec<u8> {
    raw(&format!("GET /api/files HTTP/1.1\r\nHost: x\r\nX-API-Token: {TOKEN}\r\n{lines}\r\n"))
}

#[test]
fn body_framing() {
    let node = Node::start();
    let typed = |lines: &str, rest: &str| creation(&format!("Content-Type: {OCTETS}\r\n{lines}"), rest);
    let chunked = |rest: &str| typed("Transfer-Encoding: chunked\r\n", rest);
    let mut cases = vec![
        (400, typed("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        (400, typed("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")),
        (400, typed("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
        (400, typed("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")),
        (400, typed("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        (400, typed("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")),
        (400, typed("Transfer-Encoding:\r\n", "0\r\n\r\n")),
        (501, typed("Transfer-Encoding: gzip\r\n", "0\r\n\r\n")),
        (501, typed("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
        (501, typed("Transfer-Encoding: identity\r\n", "hello")),
        (501, typed("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
    ];
    for value in [
        "5, 5",
        "+5",
        "-5",
        "5 5",
        "0x5",
        "five",
        "",
        "5.0",
        "9223372036854775808",
        "18446744073709551621",
        "5;",
        "\u{b2}",
    ] {
        cases.push((400, typed(&format!("Content-Length: {value}\r\n"), "hello")));
    }
    for rest in [
        "\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello",
        "ffffffffffffffff\r\nhello",
        "5\r\nhelloX0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
    ] {
        cases.push((400, chunked(rest)));
    }
    let ten = raw("POST /tus HTTP/1.0\r\nHost: x\r\nUpload-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    cases.push((400, ten));
    for (_, bytes) in &cases {
        // A body of any kind may create the upload before its framing breaks; such an upload is no success and holds only
        // the bytes that came in order. What the head says is judged before.
        let head_only = !String::from_utf8_lossy(bytes).contains("Transfer-Encoding: chunked\r\n\r\n");
        if head_only {
            let (status, closed) = answer(&node, bytes);
            assert!(status >= 400 && closed);
            nothing_stored(&node);
        }
    }
    let mut wrong = Vec::new();
    for (status, bytes) in &cases {
        let got = answer(&node, bytes);
        if got != (*status, true) {
            wrong.push(format!("{got:?}, not ({status}, closed): {:?}", String::from_utf8_lossy(bytes)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Whatever was begun by a broken chunked body is incomplete.
    for file in node.get("/api/files").json()["files"].as_array().expect("a list") {
        assert_eq!(file["status"], "partial", "{file}");
    }
    node.get("/api/health").is(200);
}

#[test]
fn chunked_in_any_case_is_chunked() {
    let node = Node::start();
    for word in ["chunked", "CHUNKED", "Chunked"] {
        let bytes = creation(
            &format!("Content-Type: {OCTETS}\r\nTransfer-Encoding: {word}\r\n"),
            "5;name=\"value; with\"\r\nhello\r\n0;x\r\nNote: y\r\n\r\n",
        );
        assert_eq!(answer(&node, &bytes), (201, false));
    }
}

#[test]
fn chunk_extensions_and_trailers_are_bounded() {
    let node = Node::start();
    let chunked = |rest: &str| creation(&format!("Content-Type: {OCTETS}\r\nTransfer-Encoding: chunked\r\n"), rest);
    let extended = |bytes: usize| format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(bytes - 1));
    assert_eq!(answer(&node, &chunked(&extended(200))).0, 201);
    assert_eq!(answer(&node, &chunked(&extended(300))), (400, true));
    // Each below its limit, together above the message's 16 KiB.
    let many: String = (0..100).map(|_| format!("1;{}\r\nh\r\n", "e".repeat(200))).collect();
    let long = raw(&format!(
        "POST /tus HTTP/1.1\r\nHost: x\r\nX-API-Token: {TOKEN}\r\nUpload-Length: 100\r\nContent-Type: {OCTETS}\r\n\
         Transfer-Encoding: chunked\r\n\r\n{many}0\r\n\r\n"
    ));
    assert_eq!(answer(&node, &long), (400, true));
    let fields = |count: usize, bytes: usize| {
        let all: String = (0..count).map(|n| format!("X-{n}: {}\r\n", "v".repeat(bytes))).collect();
        chunked(&format!("5\r\nhello\r\n0\r\n{all}\r\n"))
    };
    assert_eq!(answer(&node, &fields(30, 10)).0, 201);
    assert_eq!(answer(&node, &fields(33, 10)), (431, true));
    assert_eq!(answer(&node, &fields(5, 2_000)), (431, true));
}

#[test]
fn field_syntax() {
    let node = Node::start();
    let mut cases = Vec::new();
    for lines in [
        "X-A : b\r\n",
        "X-A\r\n",
        "X-A: b\r\n folded\r\n",
        "X-A: b\r\n\tfolded\r\n",
        " X-A: b\r\n",
        "X-A: b\rc\r\n",
        "X-A: b\nX-B: c\r\n",
        "X-A: b\0c\r\n",
        "X\0A: b\r\n",
        ": b\r\n",
        "X\u{e9}: b\r\n",
        "X\x01A: b\r\n",
        "X\x7fA: b\r\n",
        "X A: b\r\n",
        "X(A): b\r\n",
    ] {
        cases.push((400, get(lines)));
    }
    all_close(&node, &cases);
    // Obs-text in a value is data.
    let mut conn = node.connect();
    conn.send(&get("X-A: caf\u{e9}\r\n"));
    conn.reply().is(200);
}

#[test]
fn hosts() {
    let node = Node::start();
    let with = |lines: &str| raw(&format!("GET /api/health HTTP/1.1\r\n{lines}\r\n"));
    let absolute = |target: &str, host: &str| raw(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    all_close(
        &node,
        &[
            (400, with("")),
            (400, with("Host: a\r\nHost: a\r\n")),
            (400, with("Host: a\r\nHost: b\r\n")),
            (400, with("Host: user@a\r\n")),
            (400, with("Host: a/b\r\n")),
            (400, with("Host: a b\r\n")),
            (400, with("Host: a, b\r\n")),
            (400, absolute("http://a/api/health", "b")),
            (400, absolute("http://user@a/api/health", "a")),
        ],
    );
    for bytes in [
        absolute("http://a/api/health", "a"),
        with("Host: a:80\r\n"),
        with("Host: [::1]:8765\r\n"),
        raw("GET /api/health HTTP/1.0\r\n\r\n"),
    ] {
        assert_eq!(answer(&node, &bytes).0, 200, "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn heads_too_large() {
    let node = Node::start();
    let line = |bytes: usize| raw(&format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "p".repeat(bytes)));
    let field = |bytes: usize| get(&format!("X-A: {}\r\n", "v".repeat(bytes)));
    let fields = |count: usize| get(&(0..count).map(|n| format!("X-{n}: v\r\n")).collect::<String>());
    let big = get(&(0..10).map(|n| format!("X-{n}: {}\r\n", "v".repeat(8_000))).collect::<String>());
    all_close(
        &node,
        &[
            (414, line(9_000)),
            (414, line(100_000)),
            (431, field(17_000)),
            (431, field(70_000)),
            (431, fields(110)),
            (431, big),
        ],
    );
    assert_eq!(answer(&node, &line(8_000)).0, 404);
    assert_eq!(answer(&node, &field(15_000)).0, 200);
    assert_eq!(answer(&node, &fields(90)).0, 200);
    let metadata = format!("Upload-Metadata: filename YQ==,{}\r\n", "k".repeat(9_000));
    assert_eq!(answer(&node, &creation(&metadata, "")).0, 400);
    assert_eq!(node.listed(), 0);
}

#[test]
fn a_head_that_does_not_end_is_408() {
    let node = Node::setup().env("LIMITS_HEAD_TIMEOUT", 1).start();
    for begun in ["G", "GET /api/health HTTP/1.1\r\nHost: x\r\n", "\r\nGET"] {
        let mut conn = node.connect();
        conn.send(begun.as_bytes());
        let reply = conn.reply().is(408);
        assert!(reply.closes());
        conn.ends();
    }
    // A trickle does not help.
    let mut conn = node.connect();
    let bytes = get(&format!("X-A: {}\r\n", "v".repeat(2_000)));
    for byte in bytes.chunks(1) {
        if conn.try_send(byte).is_err() || !conn.quiet_for(Duration::from_millis(20)) {
            break;
        }
    }
    conn.reply().is(408);
}

#[test]
fn an_idle_connection_is_closed_silently() {
    let node = Node::setup().env("LIMITS_KEEP_ALIVE_TIMEOUT", 1).start();
    let mut fresh = node.connect();
    fresh.ends();
    let mut used = node.connect();
    used.ask(&Request::get("/api/health")).is(200);
    used.ends();
}

#[test]
fn methods() {
    let node = Node::start();
    let ask = |method: &str, target: &str| node.send(&tus(method, target).without("Content-Length"));
    let upload = node.create(5);
    for (method, target, status) in [
        ("BREW", "/tus", 501),
        ("get", "/api/health", 501),
        ("PROPFIND", "/api/files", 501),
        ("PUT", "/tus", 405),
        ("PATCH", "/tus", 405),
        ("DELETE", "/tus", 405),
        ("PUT", upload.path.as_str(), 405),
        ("POST", "/api/health", 405),
        ("DELETE", "/api/files", 405),
        ("PATCH", &upload.download(), 405),
        ("TRACE", "/api/health", 405),
        ("CONNECT", "/api/health", 405),
    ] {
        let reply = ask(method, target).is(status);
        if status == 405 && !matches!(method, "TRACE" | "CONNECT") {
            let allow = reply.field("Allow").to_owned();
            assert!(!allow.split(", ").any(|m| m == method), "{method}: {allow}");
        }
    }
    let authority = answer(&node, b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n");
    assert!(matches!(authority.0, 400 | 405), "{authority:?}");
    assert_eq!(node.offset(&upload), 0);
}

#[test]
fn versions() {
    let node = Node::start();
    let line = |version: &str| raw(&format!("GET /api/health {version}\r\nHost: x\r\n\r\n"));
    all_close(
        &node,
        &[
            (505, raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
            (505, line("HTTP/1.2")),
            (505, line("HTTP/2.0")),
            (505, line("HTTP/3.0")),
            (400, raw("GET /api/health\r\n\r\n")),
            (400, line("HTTP/0.9")),
            (400, line("http/1.1")),
            (400, line("HTTP/1")),
            (400, line("HTTP/1.1 ")),
            (400, raw("GET  /api/health HTTP/1.1\r\nHost: x\r\n\r\n")),
            (400, raw("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03\r\n\r\n")),
        ],
    );
}

#[test]
fn expectations() {
    let node = Node::start();
    let upload = node.create(5);
    for value in ["200-ok", "100-continue, 200-ok", "x"] {
        let reply = node.refused(&upload, &patch(&upload, 0, b"hello").header("Expect", value), 417);
        assert!(reply.interim.is_empty());
    }
}

#[test]
fn bodies_where_none_belongs() {
    let node = Node::start();
    let upload = node.create(5);
    for method in ["GET", "HEAD", "DELETE"] {
        let target = if method == "DELETE" { "/tus/00000000000000000000000000000000" } else { "/api/files" };
        let target = if method == "HEAD" { &upload.path } else { target };
        let small = tus(method, target).body(vec![b'x'; 60_000]);
        // Up to 64 KiB are drained, and the connection goes on in step.
        let mut conn = node.connect();
        let reply = conn.ask(&small);
        assert!(matches!(reply.status, 200 | 404), "{reply:?}");
        conn.ask(&Request::get("/api/health")).is(200);
        let mut conn = node.connect();
        conn.send_head(&tus(method, target).header("Content-Length", "70000"));
        let reply = conn.try_reply(method == "HEAD", DEADLINE).expect("an answer").is(413);
        assert!(reply.closes());
        conn.ends();
        // Without an announced length the answer may come before the limit is reached; then the connection ends.
        let mut conn = node.connect();
        conn.send_request(&tus(method, target).body(vec![b'x'; 70_000]).chunked(10_000));
        let reply = conn.try_reply(method == "HEAD", DEADLINE).expect("an answer").one_of(&[413, 200, 404]);
        assert!(reply.closes(), "{reply:?}");
    }
}

#[test]
fn an_upgrade_is_ignored() {
    let node = Node::start();
    let mut conn = node.connect();
    let request = Request::get("/api/health")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c, websocket")
        .header("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA");
    conn.ask(&request).is(200);
    conn.ask(&Request::get("/api/health")).is(200);
    // With a body: what follows is parsed as HTTP only after all of it.
    let upload = node.create(30);
    let hidden = b"GET /api/files HTTP/1.1\r\n\r\n...";
    let smuggle = patch(&upload, 0, hidden).header("Connection", "Upgrade").header("Upgrade", "websocket");
    conn.ask(&smuggle).is(204);
    assert!(conn.quiet_for(Duration::from_millis(200)), "body bytes were parsed as a request");
    node.whole(&upload, hidden);
}

#[test]
fn the_rest_of_a_refused_body_is_never_parsed_as_a_request() {
    let node = Node::start();
    let victim = node.create(5);
    let upload = node.create(1_000);
    node.patch(&upload, 0, b"hello").is(204);
    let smuggled =
        format!("DELETE {} HTTP/1.1\r\nHost: x\r\nX-API-Token: {TOKEN}\r\nTus-Resumable: 1.0.0\r\n\r\n", victim.path);
    for fill in [0usize, 10, 65_536, 300_000] {
        let body = [vec![b'\n'; fill], smuggled.clone().into_bytes()].concat();
        for request in [
            patch(&upload, 1, &body),
            patch(&upload, 5, &body).without("Content-Type"),
            post().header("Upload-Length", "x").body(body.clone()),
            tus("PATCH", "/tus/00000000000000000000000000000000").body(body.clone()),
            Request::new("POST", "/tus").body(body.clone()),
        ] {
            for chunk in [None, Some(7_000)] {
                let mut request = request.clone();
                request.chunk = chunk;
                let mut conn = node.connect();
                conn.send_request(&request);
                let reply = conn.reply();
                assert!((400..500).contains(&reply.status), "{reply:?}");
                if reply.closes() {
                    let (rest, _) = conn.drain(DEADLINE);
                    assert!(rest.is_empty(), "a second answer: {}", String::from_utf8_lossy(&rest));
                } else {
                    conn.ask(&Request::get("/api/health")).is(200);
                }
                assert_eq!(node.head(&victim).status, 200, "a body was executed as a request");
            }
        }
    }
}

#[test]
fn a_refused_sender_that_never_stops_is_closed() {
    let node = Node::start();
    let mut conn = node.connect();
    let unknown = tus("PATCH", "/tus/00000000000000000000000000000000")
        .header("Content-Type", OCTETS)
        .header("Upload-Offset", "0")
        .header("Content-Length", (1u64 << 40).to_string());
    conn.send_head(&unknown);
    conn.reply().is(404);
    let block = vec![0; 1 << 16];
    let mut sent = 0u64;
    while conn.try_send(&block).is_ok() {
        sent += block.len() as u64;
        assert!(sent < 256 << 20, "a refused body is read forever");
    }
}

#[test]
fn ten_thousand_pipelined_requests_are_answered_in_order() {
    let node = Node::start();
    let uploads: Vec<Upload> = (1..=5).map(|length| node.create(length)).collect();
    let mut conn = node.connect();
    let host = conn.host().to_owned();
    let mut sender = conn.stream.try_clone().expect("a second handle");
    let requests: Vec<Vec<u8>> = (0..10_000).map(|n| head(&uploads[n % 5]).bytes(&host)).collect();
    let thread = std::thread::spawn(move || {
        for batch in requests.chunks(100) {
            std::io::Write::write_all(&mut sender, &batch.concat()).expect("the server reads on");
        }
    });
    for n in 0..10_000 {
        let reply = conn.try_reply(true, DEADLINE).unwrap_or_else(|error| panic!("answer {n}: {error:?}"));
        assert_eq!((reply.status, reply.number("Upload-Length")), (200, (n % 5 + 1) as u64), "answer {n}");
    }
    thread.join().expect("no panic");
}

#[test]
fn pipelined_bodies_stay_apart() {
    let node = Node::start();
    let content = Oracle(1).bytes(0..50_000);
    let uploads: Vec<Upload> = (0..20).map(|_| node.create(50_000)).collect();
    let mut conn = node.connect();
    let host = conn.host().to_owned();
    let mut all = Vec::new();
    for (at, upload) in uploads.iter().enumerate() {
        let request = patch(upload, 0, &content);
        all.extend(if at % 2 == 0 { request } else { request.chunked(3_333) }.bytes(&host));
        all.extend(head(upload).bytes(&host));
    }
    let mut sender = conn.stream.try_clone().expect("a second handle");
    let thread = std::thread::spawn(move || std::io::Write::write_all(&mut sender, &all).expect("the server reads on"));
    for upload in &uploads {
        assert_eq!(conn.reply().is(204).number("Upload-Offset"), 50_000);
        let reply = conn.try_reply(true, DEADLINE).expect("an answer");
        assert_eq!(reply.is(200).number("Upload-Offset"), 50_000);
        node.whole(upload, &content);
    }
    thread.join().expect("no panic");
}

#[test]
fn paths() {
    let node = Node::start();
    let upload = node.complete(b"hello");
    let id = &upload.id;
    let upper = id.to_uppercase();
    let mut odd: Vec<String> = [
        "/api/files/%00",
        "/api/files/%2e%2e",
        "/api/files/%2e%2e%2fhealth",
        "/api/files/../health",
        "/api/./files",
        "/api//files",
        "//api/files",
        "/api/files/",
        "/api/files;x=1",
        "/api\\files",
        "/api%2ffiles",
        "/api/files/%c0%ae%c0%ae",
        "/api/files/%ff",
        "/tus/..",
        "/API/files",
        "/api/files/x",
        "/objects",
        "/storage",
        "/..%2f..%2fetc/passwd",
        "/etc/passwd",
    ]
    .map(str::to_owned)
    .to_vec();
    for form in [
        format!("/api/files/{upper}"),
        format!("/api/files/{id}0"),
        format!("/api/files/{}", &id[..31]),
        format!("/api/files/{id};x"),
        format!("/api/files/{id}%00"),
        format!("/api/files//{id}"),
        format!("/api/files/{id}/download/"),
        format!("/api/files/{id}/../{id}"),
        format!("/api/files/{}", "g".repeat(32)),
        format!("/api/files/{}/{}", &id[..2], &id[2..]),
    ] {
        odd.push(form.clone());
        odd.push(form.replace("/api/files", "/tus"));
    }
    let mut wrong = Vec::new();
    for path in &odd {
        let method = if path.starts_with("/tus/") { "HEAD" } else { "GET" };
        let status = node.send(&tus(method, path)).status;
        if status != 404 {
            wrong.push(format!("{method} {path}: {status}"));
        }
    }
    for path in ["/api/files/%", "/api/files/%4", "/api/files/%zz", "/tus/%-1"] {
        let status = node.send(&tus("HEAD", path)).status;
        if status != 400 {
            wrong.push(format!("{path}: {status} instead of 400"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    node.send(&tus("GET", "/tus/")).is(405);
    let reply = node.send(&tus("POST", "/tus/").header("Upload-Length", "5")).is(201);
    assert!(reply.field("Location").contains("/tus/"), "{reply:?}");
    // A load balancer's check.
    for text in ["OPTIONS / HTTP/1.0\r\n\r\n", "OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        assert_eq!(answer(&node, &raw(text)).0, 204, "{text}");
    }
    for target in ["*", "api/health", "/api/health#x", "/api/he alth"] {
        let status = answer(&node, &raw(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))).0;
        assert_eq!(status, 400, "{target}");
    }
    // One decode per segment: an escaped letter is the letter.
    node.send(&tus("HEAD", &format!("/tus/%{:02x}{}", id.as_bytes()[0], &id[1..]))).is(200);
    node.whole(&upload, b"hello");
}

#[test]
fn json_bodies() {
    let node = Node::start();
    let verify =
        |body: &[u8]| Request::new("POST", "/api/auth/verify").header("Content-Type", "application/json").body(body);
    node.send(&verify(&[&b"{\"token\":\""[..], &vec![b'a'; 1 << 20], b"\"}"].concat())).is(413);
    let deep = [&b"{\"token\":"[..], &b"[".repeat(100), &b"]".repeat(100), b"}"].concat();
    for body in [
        &deep[..],
        b"",
        b"{",
        b"[]",
        b"{}",
        b"{\"token\":1}",
        b"{\"token\":null}",
        b"{\"token\":\"a\",\"token\":\"b\"}",
        b"{\"token\":NaN}",
        b"{\"token\":\"\\ud800\"}",
        b"{\"token\":\"a\"} x",
        b"\xff\xfe",
    ] {
        let reply = node.send(&verify(body)).one_of(&[400, 422]);
        assert!(reply.json()["detail"] != serde_json::Value::Null, "{reply:?}");
    }
    let reply = node.send(&verify(b"{\"token\":\"no such token\"}")).is(200);
    assert_eq!(reply.json()["valid"], false);
}

#[test]
fn ranges_that_cannot_be() {
    let node = Node::start();
    let upload = node.complete(b"hello");
    let empty = node.create(0);
    let ask = |upload: &Upload, range: &str| {
        node.send(&Request::get(&upload.download()).header("X-API-Token", TOKEN).header("Range", range))
    };
    let many = format!("bytes={}0-1", "0-1,".repeat(1_000));
    let long = format!("bytes=0-{}", "1".repeat(9_000));
    for range in [
        "bytes=5-2",
        "bytes=a-b",
        "bytes=-0",
        "bytes=-",
        "bytes=",
        "bytes=0-1,3-4",
        "bytes=,",
        "bytes=123456789012345678901-",
        "bytes=5-",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1--2",
        "bytes=0-1x",
        &many,
        &long,
    ] {
        let reply = ask(&upload, range);
        assert_eq!(reply.status, 416, "Range: {}: {reply:?}", &range[..range.len().min(60)]);
        assert_eq!(reply.field("Content-Range"), "bytes */5");
    }
    for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
        let reply = ask(&empty, range).is(416);
        assert_eq!(reply.field("Content-Range"), "bytes */0");
    }
    let clamped = ask(&upload, "bytes=1-18446744073709551616").is(206);
    assert_eq!((clamped.field("Content-Range"), &clamped.body[..]), ("bytes 1-4/5", &b"ello"[..]));
    for unit in ["lines=0-1", "chars=1-2"] {
        let whole = ask(&upload, unit).is(200);
        assert_eq!(whole.body, b"hello");
    }
    // On something that is no GET it means nothing.
    node.send(&head(&upload).header("Range", "bytes=7-")).is(200);
    let half = node.create(5);
    node.send(&patch(&half, 0, b"hello").header("Range", "bytes=7-")).is(204);
}

#[test]
fn a_content_encoding_is_stored_as_it_was_sent() {
    let node = Node::start();
    let body = b"\x1f\x8b\x08\x00this only looks compressed";
    let upload = node.create(body.len() as u64);
    node.send(&patch(&upload, 0, body).header("Content-Encoding", "gzip")).is(204);
    let accepting = Request::get(&upload.download()).header("X-API-Token", TOKEN).header("Accept-Encoding", "gzip");
    let reply = node.send(&accepting).is(200);
    assert_eq!(reply.body, body);
    assert_eq!(reply.header("Content-Encoding"), None);
    assert_eq!(reply.number("Content-Length"), body.len() as u64);
}

#[test]
fn credentials_that_are_none_get_one_answer() {
    let node = Node::start();
    let upload = node.complete(b"hello");
    let with = |edit: &dyn Fn(Request) -> Request| node.send(&edit(Request::get(&upload.file())));
    let answers: Vec<Reply> = vec![
        with(&|r| r),
        with(&|r| r.header("X-API-Token", "wrong")),
        with(&|r| r.header("X-API-Token", "")),
        with(&|r| r.header("X-API-Token", TOKEN.to_uppercase())),
        with(&|r| r.header("X-API-Token", format!("{TOKEN}x"))),
        with(&|r| r.header("X-API-Token", &TOKEN[..TOKEN.len() - 1])),
        with(&|r| r.header("X-API-Token", "x".repeat(9_000))),
        with(&|r| r.header("Authorization", "Bearer wrong")),
        with(&|r| r.header("Authorization", format!("Basic {TOKEN}"))),
        with(&|r| r.header("X-Session-Token", TOKEN)),
        node.send(&Request::get(&format!("{}?token={TOKEN}", upload.file()))),
    ];
    let first = answers[0].body.clone();
    for reply in answers {
        let reply = reply.is(401);
        assert_eq!(reply.body, first, "the answers can be told apart");
        let json = reply.json();
        assert_eq!(json["error"], "Unauthorized");
        assert!(json["message"].is_string());
        assert!(reply.header("WWW-Authenticate").is_some(), "{reply:?}");
    }
    // A caller without rights learns nothing about what exists.
    let known = node.send(&Request::get(&upload.file())).is(401);
    let unknown = node.send(&Request::get("/api/files/00000000000000000000000000000000")).is(401);
    assert_eq!(known.body, unknown.body);
}

#[test]
fn fields_of_the_line_between_the_planes_mean_nothing_from_outside() {
    let node = Node::start();
    for path in ["/line/facts", "/line/orders", "/line/claim", "/line/counters"] {
        for kind in ["call", "decide", "attached"] {
            let request = Request::new("POST", path)
                .header("Etransfer-Line", kind)
                .header("Etransfer-Peer", "127.0.0.1:1")
                .header("X-API-Token", TOKEN)
                .body("{}");
            node.send(&request).is(404);
        }
    }
    let forged = Request::get("/api/files").header("Etransfer-Line", "call").header("Etransfer-Peer", "127.0.0.1:1");
    node.send(&forged).is(401);
    // An answer that looks like a grant is not asked for by saying so.
    let named = Request::get("/api/health").header("Accept", "application/vnd.etransfer.grant+json");
    let reply = node.send(&named).is(200);
    assert!(!reply.field("Content-Type").contains("grant"), "{reply:?}");
}

#[test]
fn a_split_anywhere_gives_the_same_answer() {
    let node = Node::start();
    let mut rng = fastrand::Rng::with_seed(11);
    for _ in 0..60 {
        let upload = node.create(3_000);
        let content = Oracle(rng.u64(..)).bytes(0..3_000);
        let mut conn: Conn = node.connect();
        let host = conn.host().to_owned();
        let request = patch(&upload, 0, &content);
        let request = if rng.bool() { request.chunked(rng.usize(1..3_000)) } else { request };
        let all = [request.bytes(&host), head(&upload).bytes(&host)].concat();
        let pieces: Vec<usize> = (0..8).map(|_| rng.usize(1..700)).collect();
        conn.send_split(&all, &pieces);
        conn.reply().is(204);
        let reply = conn.try_reply(true, DEADLINE).expect("an answer");
        assert_eq!(reply.is(200).number("Upload-Offset"), 3_000);
        node.whole(&upload, &content);
    }
}

#[test]
fn more_connections_than_allowed_get_503() {
    let node = Node::setup().env("LIMITS_CONNECTIONS", 20).start();
    let mut held: Vec<Conn> = Vec::new();
    let mut refused = None;
    for _ in 0..60 {
        let mut conn = node.connect();
        match conn.try_ask(&Request::get("/api/health")) {
            Ok(reply) if reply.status == 200 => held.push(conn),
            Ok(reply) => {
                refused = Some(reply.is(503));
                break;
            }
            Err(error) => panic!("no answer at all: {error:?}"),
        }
    }
    let refused = refused.unwrap_or_else(|| panic!("{} connections were taken", held.len()));
    assert!(refused.number("Retry-After") > 0);
    assert_eq!(refused.json()["detail"], "too many connections are open; try again");
    assert!(held.len() >= 15, "{} of 20", held.len());
    held.clear();
    crate::support::wait::until("there is room again", || {
        node.try_send(&Request::get("/api/health")).ok().filter(|reply| reply.status == 200)
    });
}

#[test]
fn b7_as_many_uploads_and_files_as_one_may_have_and_one_above() {
    for (key, length) in [("OPEN_PER_PRINCIPAL", "5"), ("RECORDS_PER_PRINCIPAL", "5"), ("RECORDS_PER_PRINCIPAL", "0")] {
        let node = Node::setup().env(&format!("UPLOADS_{key}"), 2).start();
        let mut conn = node.connect();
        let create = post().header("Upload-Length", length);
        for _ in 0..2 {
            conn.ask(&create).is(201);
        }
        for _ in 0..2 {
            let refused = conn.ask(&create).is(429);
            assert!(refused.number("Retry-After") > 0 && refused.header("Location").is_none(), "{refused:?}");
        }
        assert_eq!(node.listed(), 2, "{key}");
        conn.ask(&Request::get("/api/health")).is(200);
    }
}
