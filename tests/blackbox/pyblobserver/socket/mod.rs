//! pyblobserver/CONTRACT.md §8, `WS /upload_socket`: by hand what no polite client sends; `clients.rs` has the polite
//! one.

pub mod talk;

use serde_json::json;

use super::crash::stored;
use super::{USER, User, blob_env, open, setup, text};
use crate::support::node::Role;
use crate::support::raw::Request;
use crate::support::wait;
use talk::{BINARY, CLOSE, FIN, PING, PONG, TEXT, Talk, frame, head, upgrade};

#[test]
fn section_8_a_token_then_a_name_and_a_content_per_file() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let mut talk = Talk::of(&node, &user, USER);
    let told = talk.file("../t.txt", b"hello");
    let id = text(&told["file_id"]);
    let url = format!("{}/blob/s/{id}", node.url());
    assert_eq!(told, json!({"file_id": id, "file_url": url, "show_image": format!("{url}?output=html")}));
    assert_eq!(open(&node, Request::get(&format!("/s/{id}"))).is(200).body, b"hello");
    let listed = user.list();
    assert_eq!((&listed[0]["file_name"], &listed[0]["file_size"]), (&json!("t.txt"), &json!(5)));
    assert_eq!(user.total(USER), 5);
    talk.conn.send(&frame(FIN | CLOSE, &[&1000_u16.to_be_bytes()[..], b"bye"].concat()));
    assert_eq!(talk.goodbye(), 1000);
}

#[test]
fn section_8_whoever_asks_for_no_websocket_is_told_how() {
    let node = setup().start();
    for request in [
        Request::get("/blob/upload_socket"),
        upgrade().without("Upgrade"),
        upgrade().without("Connection").header("Connection", "keep-alive"),
        upgrade().without("Sec-WebSocket-Key"),
        upgrade().without("Sec-WebSocket-Key").header("Sec-WebSocket-Key", "c2hvcnQ="),
        upgrade().without("Sec-WebSocket-Version").header("Sec-WebSocket-Version", "8"),
        upgrade().body("x"),
    ] {
        let mut conn = node.connect();
        let refused = conn.ask(&request).is(426);
        let fields = ["Upgrade", "Connection", "Sec-WebSocket-Version"].map(|name| refused.field(name));
        assert_eq!(fields, ["websocket", "Upgrade, keep-alive", "13"], "{refused:?}");
        assert!(refused.json()["detail"].is_string());
        // It is still HTTP.
        conn.ask(&Request::get("/blob/health")).is(200);
    }
    open(&node, Request::new("POST", "/upload_socket")).is(405);
}

#[test]
fn section_8_a_wrong_token_is_1008_and_costs() {
    let node = blob_env(setup(), &[("REQUESTS_PER_MINUTE", "20")]).start();
    let user = User::first(&node, USER);
    for wrong in ["", &user.token[1..]] {
        let mut talk = Talk::begin(&node);
        // Whatever comes with it is nothing.
        talk.conn.send(
            &[frame(FIN | TEXT, wrong.as_bytes()), frame(FIN | TEXT, b"t.txt"), frame(FIN | BINARY, b"x")].concat(),
        );
        assert_eq!(talk.goodbye(), 1008);
    }
    let mut talk = Talk::begin(&node);
    talk.binary(user.token.as_bytes());
    assert_eq!(talk.goodbye(), 1008);
    // One for the user, five for each wrong token, one for content instead of a token: twelve of twenty.
    let listed = (0..12).map(|_| user.send(Request::get("/list"))).filter(|reply| reply.status == 200).count();
    assert_eq!(listed, 8);
    assert!(node.connect().ask(&upgrade()).is(429).number("Retry-After") > 0);
}

#[test]
fn section_8_a_token_counts_as_long_as_it_is_one() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let mut talk = Talk::of(&node, &user, USER);
    talk.file("t.txt", b"hello");
    talk.text("late.txt");
    user.send(Request::get(&format!("/user/{USER}?function=change_token"))).is(200);
    talk.binary(b"late");
    assert_eq!(talk.goodbye(), 1008);
    assert_eq!(user.total(USER), 5);
}

#[test]
fn section_8_each_file_counts_as_a_request() {
    let node = blob_env(setup(), &[("REQUESTS_PER_MINUTE", "5")]).start();
    let mut talk = Talk::of(&node, &User::first(&node, USER), USER);
    (0..3).for_each(|_| assert!(talk.file("t", b"hello")["file_id"].is_string()));
    assert_eq!(
        talk.file("late", b"hello"),
        json!({"filename": "late", "status_code": 429, "error": "Too many requests"})
    );
}

#[test]
fn section_10_limits_apply_and_the_conversation_goes_on() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let mut talk = Talk::of(&node, &user, USER);
    let (full, one_more) = (vec![7; 1 << 20], vec![7; (1 << 20) + 1]);
    let too_large = json!({"filename": "big", "status_code": 413, "error": "File size exceeds limit of 1MB"});
    let too_much = json!({"filename": "late", "status_code": 403, "error": "Total size limit of 2MB exceeded"});
    assert_eq!(talk.file("big", &one_more), too_large);
    // It is not known how long a message in fragments will be.
    talk.text("big");
    talk.conn.send(&frame(BINARY, &full));
    talk.conn.send(&[frame(0, b"x"), frame(FIN, &full)].concat());
    assert_eq!(talk.hear_json(), too_large);
    assert!(talk.file("full", &full)["file_id"].is_string(), "exactly the limit is allowed");
    talk.text("half");
    talk.conn.send(&[frame(BINARY, &full[..1 << 19]), frame(FIN, b"")].concat());
    assert!(talk.hear_json()["file_id"].is_string());
    assert_eq!(talk.file("late", &full), too_much);
    talk.text("late");
    talk.conn.send(&[frame(BINARY, &full[..1 << 19]), frame(FIN, b"x")].concat());
    assert_eq!(talk.hear_json(), too_much);
    // A frame that says it is huge is refused before it is read.
    talk.text("big");
    talk.conn.send(&head(FIN | BINARY, 1 << 40));
    assert_eq!(talk.hear_json(), too_large);
    drop(talk);
    assert_eq!(user.total(USER), 3 << 19);
    assert_eq!(Talk::of(&node, &user, USER).file("rest", &full[..1 << 19])["filename"], json!(null));
}

#[test]
fn section_8_a_message_is_the_same_in_any_fragments_with_pings_between() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let mut talk = Talk::begin(&node);
    let content: Vec<u8> = (0..3_000_u32).map(|at| at.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
    let token = user.token.as_bytes();
    let mut bytes = [frame(TEXT, &token[..5]), frame(FIN | PING, b""), frame(FIN, &token[5..])].concat();
    bytes.extend(frame(FIN | TEXT, "é.bin".as_bytes()));
    bytes.extend(frame(BINARY, b""));
    for byte in &content {
        bytes.extend(frame(0, &[*byte]));
    }
    bytes.extend([frame(FIN | PONG, b"not asked for"), frame(FIN | PING, &[1; 125]), frame(FIN, b"")].concat());
    bytes.extend([frame(FIN | TEXT, b"next"), frame(FIN | BINARY, b"next"), frame(FIN | PING, b"last")].concat());
    talk.conn.send_split(&bytes, &[1, 2, 3, 500, 7]);
    assert_eq!(talk.hear(), (FIN | PONG, Vec::new()));
    assert_eq!(talk.hear_text(), format!("user is: {USER}"));
    assert_eq!(talk.hear(), (FIN | PONG, vec![1; 125]));
    let id = text(&talk.hear_json()["file_id"]);
    assert_eq!(open(&node, Request::get(&format!("/s/{id}"))).is(200).body, content);
    assert!(talk.hear_json()["file_id"].is_string());
    assert_eq!(talk.hear(), (FIN | PONG, b"last".to_vec()));
    assert_eq!(user.list()[1]["file_name"], "é.bin");
}

#[test]
fn section_8_whoever_breaks_the_rules_is_told_which_way_and_leaves_nothing() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let named = |rest: &[u8]| [&frame(FIN | TEXT, b"t.txt"), rest].concat();
    let began = |rest: Vec<u8>| named(&[frame(BINARY, &[7; 200_000]), rest].concat());
    for (what, bytes, code) in [
        ("not masked", named(b"\x82\x05hello"), 1002),
        ("not masked, in the middle", began(b"\x80\x05hello".to_vec()), 1002),
        ("a reserved bit", named(&frame(FIN | 0x40 | BINARY, b"hello")), 1002),
        ("an unknown opcode", named(&frame(FIN | 3, b"hello")), 1002),
        ("2^63 bytes", named(&head(FIN | BINARY, 1 << 63)), 1002),
        ("a continuation of nothing", named(&frame(FIN, b"hello")), 1002),
        ("a message inside a message", began(frame(FIN | BINARY, b"hello")), 1002),
        ("a ping in fragments", began(frame(PING, b"")), 1002),
        ("a long ping", began(frame(FIN | PING, &[0; 126])), 1002),
        ("a close of one byte", began(frame(FIN | CLOSE, b"x")), 1002),
        ("a forbidden close code", frame(FIN | CLOSE, &1006_u16.to_be_bytes()), 1002),
        ("a name that is no text", frame(FIN | TEXT, b"\xff.txt"), 1007),
        ("a reason that is no text", frame(FIN | CLOSE, b"\x03\xe8\xff"), 1007),
        ("a long name", frame(FIN | TEXT, &[b'x'; 8193]), 1009),
        ("content without a name", frame(FIN | BINARY, b"hello"), 1003),
        ("a name without content", named(&frame(FIN | TEXT, b"another.txt")), 1003),
        ("goodbye in the middle", began(frame(FIN | CLOSE, &1001_u16.to_be_bytes())), 1001),
    ] {
        let mut talk = Talk::of(&node, &user, USER);
        talk.conn.send(&bytes);
        assert_eq!(talk.goodbye(), code, "{what}");
    }
    // A goodbye without a word is answered without one.
    let mut talk = Talk::of(&node, &user, USER);
    talk.conn.send(&frame(FIN | CLOSE, b""));
    assert_eq!(talk.hear(), (FIN | CLOSE, Vec::new()));
    talk.conn.ends();
    wait::until("nothing of it is left", || (stored(&node) == 0).then_some(()));
    assert!(user.list().is_empty());
    let full = vec![7; 1 << 20];
    (0..2).for_each(|_| drop(user.uploaded("t", &full)));
}

#[test]
fn section_8_a_stop_ends_a_conversation_with_1001() {
    let mut node = setup().start();
    let mut idle = Talk::of(&node, &User::first(&node, USER), USER);
    let mut busy = Talk::begin(&node);
    busy.conn.send(&frame(TEXT, b"half a tok"));
    node.stop();
    assert_eq!(idle.goodbye(), 1001);
    assert_eq!(busy.goodbye(), 1001);
}

#[test]
fn p14_a_conversation_goes_on_with_a_control_plane_that_started_anew() {
    let mut node = setup().two_processes().start();
    let mut talk = Talk::of(&node, &User::first(&node, USER), USER);
    talk.text("t.txt");
    let content = vec![7; 900_000];
    let message = frame(FIN | BINARY, &content);
    let (begun, rest) = message.split_at(800_000);
    talk.conn.send(begun);
    wait::until("bytes of it are on the disk", || (stored(&node) > 100_000).then_some(()));
    node.kill_one(Role::Control);
    node.start_again();
    talk.conn.send(rest);
    let id = text(&talk.hear_json()["file_id"]);
    assert_eq!(open(&node, Request::get(&format!("/s/{id}"))).is(200).body, content);
    // Without one nothing can be decided.
    node.kill_one(Role::Control);
    talk.text("late.txt");
    assert_eq!(talk.goodbye(), 1013);
    node.start_again();
}
