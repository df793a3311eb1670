//! CONTRACT.md §2.8, §3: what a serve grant permits, and what its end does.

use etransfer_contract::fact::Reach;

use super::*;

const ONCE: (&str, &str) = ("upload-metadata", "filename 5paHLnR4dA==,retention ZG93bmxvYWRfb25jZQ==");

async fn served(node: &Node, grant: &Grant, span: Option<Span>, whole: bool) {
    let Act::Serve(serve) = &grant.act else { panic!() };
    let receiver = serve.receiver.clone();
    let bytes = span.filter(|_| whole).map_or(0, Span::len);
    node.tell(vec![Fact::Served {
        number: grant.ticket,
        object: serve.object,
        ticket: grant.ticket,
        receiver,
        span,
        whole,
        reach: Some(Reach { acknowledged: bytes, sent: bytes }),
        times: 1,
    }])
    .await;
}

async fn claim(node: &Node, grant: &Grant, span: Option<Span>) -> bool {
    let Act::Serve(serve) = &grant.act else { panic!() };
    let claim =
        Claim { ticket: grant.ticket, object: serve.object, receiver: serve.receiver.clone(), span, held_from: None };
    let answer = node.call(link::CLAIM_PATH, &claim).await;
    serde_json::from_slice::<Verdict>(&answer.body).unwrap().go
}

#[tokio::test]
async fn section_2_8_a_permanent_file_is_served_with_all_its_fields() {
    let node = Node::new(|_| {});
    let (id, _) = node.create("5", &[("upload-metadata", "filename 5paHLnR4dA==")]).await;
    let path = format!("/api/files/{id}/download");
    let partial = node.ask("GET", &path, &[], "none").await.serve();
    assert_eq!((partial.complete, partial.length), (false, Some(5)));
    node.complete(id, 5).await;
    let grant = node.ask("GET", &path, &[], "none").await.grant();
    assert_eq!(grant.cache_ms, 2000);
    let Act::Serve(serve) = &grant.act else { panic!() };
    assert!(serve.complete && serve.report && !serve.hold_last);
    assert_eq!(serve.counted, Some(0));
    assert_eq!(serve.etag, format!("\"{id}\""));
    for (name, value) in [
        ("Content-Disposition", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E6%96%87.txt"),
        ("Content-Type", "application/octet-stream"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "sandbox"),
        ("X-Retention-Policy", "permanent"),
    ] {
        assert_eq!(serve_field(serve, name), Some(value), "{name}");
    }
    assert_eq!(serve_field(serve, "X-Retention-Warning"), None);
    let ranged = node.ask("GET", &path, &[("range", "bytes=0-1")], "none").await.grant();
    assert_eq!(ranged.cache_ms, 2000);
    served(&node, &grant, Span::new(0, 5), true).await;
    let again = node.ask("GET", &path, &[], "none").await.serve();
    assert_eq!(again.counted, Some(1));
    let head = node.ask("HEAD", &path, &[], "none").await.serve();
    assert!(!head.report && !head.hold_last);
    let info = node.json(&format!("/api/files/{id}/info/download")).await;
    assert_eq!((&info["available_size"], &info["is_upload_complete"]), (&json!(5), &json!(true)));
}

#[tokio::test]
async fn section_3_rules_1_to_5_download_once() {
    let node = Node::new(|_| {});
    let (id, _) = node.create("5", &[ONCE]).await;
    let path = format!("/api/files/{id}/download");
    let early = node.ask("GET", &path, &[], "none").await.grant();
    served(&node, &early, Span::new(0, 2), true).await;
    assert_eq!(node.json(&format!("/api/files/{id}")).await["status"], "partial", "rule 1");
    node.complete(id, 5).await;
    let (first, second) =
        (node.ask("GET", &path, &[], "none").await.grant(), node.ask("GET", &path, &[], "none").await.grant());
    let Act::Serve(serve) = &first.act else { panic!() };
    assert!(serve.hold_last && first.cache_ms == 0 && serve_field(serve, "X-Retention-Warning").is_some());
    assert!(claim(&node, &first, Span::new(0, 5)).await);
    assert!(!claim(&node, &second, Span::new(0, 5)).await, "rule 4: the first wins");
    served(&node, &second, Span::new(0, 5), false).await;
    served(&node, &first, Span::new(0, 5), false).await;
    assert_eq!(node.ask("GET", &path, &[], "none").await.grant().cache_ms, 0, "rule 2: an abort consumes nothing");
    let head = node.ask("HEAD", &format!("/tus/{id}"), &[], "none").await.grant();
    assert_eq!(head.cache_ms, 0, "no client may get 200 after rule 4");
    let third = node.ask("GET", &path, &[], "none").await.grant();
    assert!(claim(&node, &third, Span::new(0, 5)).await);
    served(&node, &third, Span::new(0, 5), true).await;
    for path in [path.clone(), format!("/api/files/{id}"), format!("/api/files/{id}/info/download")] {
        assert_eq!(node.ask("GET", &path, &[], "none").await.status, 404, "rule 5: {path}");
    }
    assert_eq!(node.ask("HEAD", &format!("/tus/{id}"), &[], "none").await.status, 404);
    assert_eq!((node.json("/api/files").await["total"].clone(), node.removals().await), (json!(0), vec![id]));
}

#[tokio::test]
async fn section_3_rule_3_ranges_of_one_receiver_add_up() {
    let node = Node::new(|_| {});
    let (id, _) = node.create("5", &[ONCE]).await;
    node.complete(id, 5).await;
    let path = format!("/api/files/{id}/download");
    for (range, start, end) in [("bytes=0-2", 0, 3), ("bytes=3-4", 3, 5)] {
        let grant = node.ask("GET", &path, &[("range", range)], "none").await.grant();
        assert!(claim(&node, &grant, Span::new(start, end)).await);
        served(&node, &grant, Span::new(start, end), true).await;
    }
    assert_eq!(node.ask("GET", &path, &[], "none").await.status, 404);
}

#[tokio::test]
async fn section_2_8_chunks_by_index() {
    let node = Node::new(|config| config.server.chunk_size = Size(2));
    let (id, _) = node.create("5", &[ONCE]).await;
    let path = format!("/api/files/{id}/download");
    let grant = node.ask("GET", &format!("{path}?chunk=1"), &[], "none").await.grant();
    let Act::Serve(serve) = &grant.act else { panic!() };
    assert_eq!(serve.chunk, Span::new(2, 4));
    for (name, value) in [("X-Chunk-Index", "1"), ("X-Chunk-Size", "2"), ("X-Total-Chunks", "3")] {
        assert_eq!(serve_field(serve, name), Some(value), "{name}");
    }
    assert!(serve_field(serve, "X-Retention-Warning").is_some());
    let last = node.ask("GET", &format!("{path}?chunk=2"), &[], "none").await.serve();
    assert_eq!(last.chunk, Span::new(4, 5));
    let beyond = node.ask("GET", &format!("{path}?chunk=3"), &[], "none").await;
    assert_eq!((beyond.status, beyond.field("content-range")), (416, "bytes */5"));
    assert_eq!(node.ask("GET", &format!("{path}?chunk=x"), &[], "none").await.status, 422);
    // The relay: a chunk is consumed while the upload still runs.
    assert!(claim(&node, &grant, Span::new(2, 4)).await);
    served(&node, &grant, Span::new(2, 4), true).await;
    assert_eq!(node.ask("GET", &format!("{path}?chunk=1"), &[], "none").await.status, 404);
    assert_eq!(node.ask("GET", &path, &[], "none").await.serve().consumed, [Span::new(2, 4).unwrap()]);
    node.tell(vec![Fact::Progress(presence(id, 4, 5))]).await;
    let info = node.json(&format!("/api/files/{id}/info/download")).await;
    assert_eq!((&info["available_chunks"], &info["chunks_consumed"]), (&json!([0]), &json!(1)));
    for (index, start, end) in [(0, 0, 2), (2, 4, 5)] {
        let grant = node.ask("GET", &format!("{path}?chunk={index}"), &[], "none").await.grant();
        assert!(claim(&node, &grant, Span::new(start, end)).await);
        served(&node, &grant, Span::new(start, end), true).await;
    }
    assert_eq!(node.json(&format!("/api/files/{id}")).await["status"], "partial", "its upload still runs");
    node.complete(id, 5).await;
    assert_eq!(node.ask("GET", &format!("/api/files/{id}"), &[], "none").await.status, 404, "no chunk is left");
}

#[tokio::test]
async fn section_3_a_running_ttl_is_told() {
    let node = Node::new(|_| {});
    let (id, _) = node.create("5", &[("upload-metadata", "filename YQ==,retention dHRs,retention_ttl MzYwMA==")]).await;
    let path = format!("/api/files/{id}");
    assert_eq!(node.json(&path).await["metadata"]["retention_expires_at"], json!(null));
    node.complete(id, 5).await;
    assert!(node.json(&path).await["metadata"]["retention_expires_at"].is_string());
    let grant = node.ask("GET", &format!("{path}/download"), &[("range", "bytes=0-1")], "none").await.grant();
    assert_eq!(grant.cache_ms, 0, "the time is looked at each time");
    let Act::Serve(serve) = &grant.act else { panic!() };
    assert!(serve_field(serve, "X-Retention-Expires").is_some());
}
