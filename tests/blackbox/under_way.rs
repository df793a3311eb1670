//! faults.md B6: how many requests one token, user, device or account may have under way
//! (`limits.transfers_per_credential`): who is at the limit is told so, everybody else goes on, and what ended, however
//! it ended, makes room.

use std::time::Instant;

use crate::dialects;
use crate::oss::signed_head;
use crate::pyblobserver::{self, Part, User};
use crate::secure_file_transfer::{Device, frame};
use crate::stream_upload::Upload as Stream;
use crate::support::idle::Idle;
use crate::support::node::Setup;
use crate::support::tus::{OCTETS, head, patch, patch_head, post, tus};
use crate::support::{Conn, DEADLINE, Node, OTHER_TOKEN, Reply, Request, Role, TOKEN, Upload, wait};

/// More than the kernel takes for a client that reads nothing.
const LARGE: u64 = 16 << 20;

fn limited(at_once: u32) -> Setup {
    Node::setup().env("LIMITS_TRANSFERS_PER_CREDENTIAL", at_once)
}

fn by_other(request: Request) -> Request {
    request.without("X-API-Token").header("X-API-Token", OTHER_TOKEN)
}

/// A request of which the last byte of the body is missing; it is under way.
fn begun(node: &Node, request: &Request) -> Conn {
    let mut conn = node.connect();
    let length = (request.body.len() + 1).to_string();
    let head = request.clone().body(Vec::new()).header("Content-Length", length).header("Expect", "100-continue");
    conn.send_head(&head);
    let (status, _) = conn.read_head(Instant::now() + DEADLINE).expect("an interim answer");
    assert_eq!(status, 100, "{request:?}");
    conn.send(&request.body);
    conn
}

/// An upload that waits for its last byte.
fn uploading(node: &Node) -> Conn {
    begun(node, &patch(&node.create(5), 0, b"hell"))
}

/// A download whose client reads nothing more than its head.
fn downloading(node: &Node, file: &Upload) -> Conn {
    let mut conn = Conn::open_narrow(node.addr(), 4096);
    conn.send_head(&Request::get(&file.download()).header("X-API-Token", TOKEN));
    let (status, _) = conn.read_head(Instant::now() + DEADLINE).expect("a head");
    assert_eq!(status, 200);
    conn
}

/// 429, when to come again, and why.
#[track_caller]
fn refused(reply: Reply) {
    let reply = reply.is(429);
    assert!(reply.number("Retry-After") > 0 && reply.header("Location").is_none(), "{reply:?}");
    let detail = reply.json()["detail"].as_str().expect("a reason").to_owned();
    assert!(detail.contains("limits.transfers_per_credential"), "{detail}");
}

/// Waits until a request with this credential is refused: what was begun before is under way.
#[track_caller]
fn until_refused(node: &Node, request: &Request, what: &str) {
    let reply = wait::until(&format!("one is too many: {what}"), || {
        Some(node.send(request)).filter(|reply| reply.status == 429)
    });
    assert!(reply.number("Retry-After") > 0 && !reply.body.is_empty(), "{reply:?}");
}

/// Waits until it is let in.
#[track_caller]
fn until_let_in(node: &Node, request: &Request) -> Reply {
    wait::until("there is room again", || Some(node.send(request)).filter(|reply| reply.status != 429))
}

#[test]
fn b6_a_token_at_its_limit_stops_no_other_and_what_ends_makes_room_however_it_ends() {
    let node = limited(3).env("LIMITS_BODY_IDLE_TIMEOUT", 2).env("LIMITS_ANSWER_TIMEOUT", 3).start();
    let large = node.complete(&vec![7; LARGE as usize]);
    let small = node.complete(b"hello");
    let read = Request::get(&small.download()).header("X-API-Token", TOKEN);
    let whole = || post().header("Upload-Length", "5").header("Content-Type", OCTETS).body("hello");
    let idle = Idle::of(&node);
    type End = fn(Conn);
    let ends: [(&str, End); 4] = [
        ("it is answered", |mut conn| {
            conn.send(b"o");
            conn.reply().is(204);
        }),
        ("the client goes", drop),
        ("it is reset", Conn::reset),
        ("it is cut for being silent", |mut conn| {
            conn.drain(DEADLINE);
        }),
    ];
    for (what, end) in ends {
        let held = [uploading(&node), uploading(&node)];
        let stalled = downloading(&node, &large);
        until_refused(&node, &read, what);
        let files = node.listed();
        refused(node.send(&read));
        refused(node.send(&patch(&node.create(5), 0, b"hello")));
        refused(node.send(&whole()));
        assert_eq!(node.listed(), files + 1, "{what}: a refused creation leaves no record");
        // What only looks, and everybody else, goes on.
        node.send(&head(&small)).is(200);
        node.send(&by_other(read.clone())).is(200);
        node.send(&by_other(whole())).is(201);
        let [one, two] = held;
        end(one);
        assert_eq!(until_let_in(&node, &read).is(200).body, b"hello", "{what}");
        end(two);
        drop(stalled);
        // All three places are free.
        let again = [uploading(&node), uploading(&node)];
        until_let_in(&node, &read).is(200);
        drop(again);
    }
    idle.is_back(&node, 64 << 20);
}

#[test]
fn b6_neither_a_restart_nor_a_reload_of_the_control_plane_forgets_what_is_under_way() {
    let mut node = limited(1).two_processes().start();
    let small = node.complete(b"hello");
    let read = Request::get(&small.download()).header("X-API-Token", TOKEN);
    let mut held = uploading(&node);
    until_refused(&node, &read, "a download");
    node.send(&Request::new("POST", "/api/admin/reload-config").header("X-API-Token", TOKEN)).is(200);
    refused(node.send(&read));
    node.kill_one(Role::Control);
    node.start_again();
    refused(wait::until("the planes know each other again", || {
        Some(node.send(&read)).filter(|reply| reply.status != 503)
    }));
    node.send(&by_other(read.clone())).is(200);
    held.send(b"o");
    held.reply().is(204);
    until_let_in(&node, &read).is(200);
    // With the data plane go its connections.
    let _held = uploading(&node);
    until_refused(&node, &read, "a download");
    node.kill_one(Role::Data);
    node.start_again();
    assert_eq!(until_let_in(&node, &read).is(200).body, b"hello");
}

#[test]
fn b6_a_node_without_credentials_counts_by_address() {
    let node = limited(1).open().env("TRUSTED_PROXIES", "127.0.0.0/8").start();
    let create = |from: &str| {
        let request = tus("POST", "/tus").without("X-API-Token").header("X-Forwarded-For", from);
        Upload::at(node.send(&request.header("Upload-Length", "5")).is(201).field("Location"))
    };
    let from = |address: &str, upload: &Upload| {
        patch_head(upload, 0).without("X-API-Token").header("X-Forwarded-For", address).body("hell")
    };
    let (one, two) = (create("192.0.2.1"), create("192.0.2.2"));
    let held = begun(&node, &from("192.0.2.1", &one));
    let again = create("192.0.2.1");
    until_refused(&node, &from("192.0.2.1", &again), "of an address");
    node.send(&from("192.0.2.2", &two)).is(204);
    drop(held);
    until_let_in(&node, &from("192.0.2.1", &again)).is(204);
}

/// Two requests of one user, and one of another user.
type Ask = fn(&Node) -> [Request; 3];

fn devices(node: &Node) -> [Request; 3] {
    let sum = b"hello".iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let content = frame(0, 4, sum, b"hello");
    let (one, other) = (Device::one(node), Device::log_in(node, "device2", "password2"));
    [one.posting("a.bin", &content), one.posting("b.bin", &content), other.posting("a.bin", &content)]
}

fn blobs(node: &Node) -> [Request; 3] {
    let form = || pyblobserver::form("/blob/upload", &[Part::file("file", "a.bin", b"hello")]);
    let (one, other) = (User::first(node, "curl"), User::first(node, "tus"));
    [one.authorized(form()), one.authorized(form()), other.authorized(form())]
}

fn streams(node: &Node) -> [Request; 3] {
    let [one, again, other] = ["one", "two", "three"].map(|id| Stream::new(node, id, 5, 1).request(0, b"hello"));
    [one, again, other.without("Authorization").header("Authorization", format!("Bearer {OTHER_TOKEN}"))]
}

fn objects(node: &Node) -> [Request; 3] {
    let [one, again] = ["u/a", "u/b"].map(|key| signed_head("PUT", key, "", &[]).body("hello"));
    [one, again, by_other(patch(&node.create(5), 0, b"hello"))]
}

#[test]
fn b6_one_of_a_dialect_at_its_limit_stops_no_other() {
    let node = dialects::setup().env("LIMITS_TRANSFERS_PER_CREDENTIAL", 1).start();
    let all: [(&str, Ask); 4] = [("devices", devices), ("blobs", blobs), ("streams", streams), ("objects", objects)];
    for (dialect, ask) in all {
        let [one, again, other] = ask(&node);
        let mut held = begun(&node, &cut(&one));
        until_refused(&node, &again, dialect);
        let reply = node.send(&other);
        assert!((200..300).contains(&reply.status), "{dialect}: {reply:?}");
        held.send(&one.body[one.body.len() - 1..]);
        let reply = held.reply();
        assert!((200..300).contains(&reply.status), "{dialect}: {reply:?}");
        let reply = until_let_in(&node, &again);
        assert!((200..300).contains(&reply.status), "{dialect}: {reply:?}");
    }
}

/// Without its last byte.
fn cut(request: &Request) -> Request {
    let mut body = request.body.clone();
    body.pop();
    request.clone().body(body)
}
