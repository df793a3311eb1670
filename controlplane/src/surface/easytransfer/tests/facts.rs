//! CONTRACT.md §5: endpoints and traffic, as clients ask for them.

use std::time::Duration;

use http_body_util::BodyExt as _;

use super::*;
use crate::bounds::LIVE_AUDIENCE_MAX;

const STREAM: &str = "/api/traffic/stream";

fn asks(path: &str) -> Request {
    Request::get(path).header("x-api-token", "secret").body(Body::empty()).unwrap()
}

/// The next event's JSON; `None`: the stream ended.
async fn event(body: &mut Body) -> Option<Value> {
    let frame = tokio::time::timeout(Duration::from_secs(30), body.frame()).await.expect("an event each second")?;
    let bytes = frame.unwrap().into_data().unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    let data = text.strip_prefix("data: ").and_then(|text| text.strip_suffix("\n\n"));
    Some(serde_json::from_str(data.unwrap_or_else(|| panic!("{text:?} is no event"))).unwrap())
}

#[tokio::test]
async fn section_5_3_those_who_ask_together_are_spread_over_the_endpoints() {
    let node = Node::new(|config| config.nics.advertised_endpoints = vec!["a.test".into(), "https://b.test".into()]);
    let mut best = Vec::new();
    for _ in 0..4 {
        let told = node.json("/api/endpoints").await;
        best.push((told["best_for_upload"].clone(), told["best_for_download"].clone()));
        assert_eq!((&told["total_endpoints"], &told["server_port"]), (&json!(2), &json!(8765)));
        assert_eq!(told["endpoints"][0]["is_available"], true);
    }
    let (a, b) = (json!("http://a.test:8765"), json!("https://b.test"));
    assert_eq!(best, [(a.clone(), a.clone()), (b.clone(), b.clone()), (a.clone(), a), (b.clone(), b)]);
}

#[tokio::test]
async fn section_5_5_the_stream_says_each_second_what_traffic_says_and_ends_with_the_node() {
    let node = Node::new(|_| {});
    let response = handle(&node.app, &node.routes, asks(STREAM)).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &http::HeaderValue::from_static("text/event-stream"))
    );
    let mut body = response.into_body();
    let traffic = node.json("/api/traffic").await;
    for _ in 0..2 {
        assert_eq!(event(&mut body).await.as_ref(), Some(&traffic), "nothing moves in a test");
    }
    node._stop.send_replace(true);
    assert_eq!(event(&mut body).await, None);
    assert_eq!(node.raw(Request::get(STREAM).body(Body::empty()).unwrap()).await.status, 401);
}

#[tokio::test]
async fn the_stream_ends_when_grants_are_revoked() {
    let node = Node::new(|_| {});
    let mut body = handle(&node.app, &node.routes, asks(STREAM)).await.into_body();
    assert!(event(&mut body).await.is_some());
    node.app.node.revoke();
    assert_eq!(event(&mut body).await, None);
}

#[tokio::test]
async fn p16_the_audience_is_bounded_and_a_seat_comes_back() {
    let node = Node::new(|_| {});
    let mut audience = Vec::new();
    for _ in 0..LIVE_AUDIENCE_MAX {
        audience.push(handle(&node.app, &node.routes, asks(STREAM)).await);
    }
    let refused = node.raw(asks(STREAM)).await;
    assert_eq!((refused.status, refused.field("retry-after")), (503, "10"));
    audience.pop();
    assert_eq!(handle(&node.app, &node.routes, asks(STREAM)).await.status(), 200);
}

#[tokio::test]
async fn health_proves_the_local_address_to_a_nonce_and_no_open_route_tells_the_key() {
    let node = Node::new(|_| {});
    let nonce = "0f".repeat(16);
    let proven = node.ask_as("GET", "/api/health", &[("x-node-nonce", &nonce)], "none").await;
    let expected = node.app.proof.prove(&nonce, "192.0.2.1:8765".parse().unwrap());
    assert_eq!((proven.status, proven.field("x-node-proof")), (200, expected.as_str()));
    for odd in ["", "0f", "g".repeat(32).as_str(), "0".repeat(4096).as_str()] {
        assert_eq!(node.ask_as("GET", "/api/health", &[("x-node-nonce", odd)], "none").await.status, 400);
    }
    for open in ["/api/health", "/api/info"] {
        assert!(!node.ask_as("GET", open, &[], "none").await.text().contains(node.app.proof.expose()));
    }
    assert_eq!(node.ask_as("GET", "/api/endpoints", &[], "none").await.status, 401);
    assert_eq!(node.json("/api/endpoints").await["proof_key"], node.app.proof.expose());
}
