//! `/api/traffic/stream` through the data plane: events as they happen, an end with the node, no client that vanishes
//! stays.

use serde_json::Value;

use crate::support::{Conn, Node, Request, TOKEN};

fn asks() -> Request {
    Request::get("/api/traffic/stream").header("X-API-Token", TOKEN)
}

/// Reads until this many whole events are there.
fn events(conn: &mut Conn, count: usize) -> String {
    let mut text = String::new();
    while text.matches("\n\n").count() < count {
        text += &String::from_utf8(conn.read_some(1)).expect("text");
    }
    text
}

#[test]
fn section_5_5_traffic_is_streamed_and_a_stop_ends_the_stream() {
    // The stop would wait this long for a request that goes on.
    let mut node = Node::setup().env("GRACE", "3600").start();
    let mut conn = node.connect();
    conn.send(&asks().head_bytes("here"));
    let text = events(&mut conn, 2);
    assert!(
        text.starts_with("HTTP/1.1 200") && text.to_lowercase().contains("content-type: text/event-stream"),
        "{text}"
    );
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("an event");
    let event: Value = serde_json::from_str(data).expect("JSON");
    assert!(event["interfaces"].is_array() && event["total"]["upload_rate_formatted"].is_string(), "{event}");
    assert!(node.stop().success());
    let (rest, ended) = conn.drain(crate::support::DEADLINE);
    assert!(ended && rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
}

#[test]
fn a_follower_who_vanishes_leaves_nothing_and_http_1_0_is_told_why_not() {
    let node = Node::start();
    // The audit at the end finds what these leave.
    for _ in 0..8 {
        let mut conn = node.connect();
        conn.send(&asks().head_bytes("here"));
        events(&mut conn, 1);
    }
    let mut old = node.connect();
    old.send(format!("GET /api/traffic/stream HTTP/1.0\r\nX-API-Token: {TOKEN}\r\n\r\n").as_bytes());
    let (reply, _) = old.drain(crate::support::DEADLINE);
    assert!(reply.starts_with(b"HTTP/1.1 505"), "{}", String::from_utf8_lossy(&reply));
    node.send(&Request::new("HEAD", "/api/traffic/stream").header("X-API-Token", TOKEN)).is(200);
}
