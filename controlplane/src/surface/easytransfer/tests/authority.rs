//! CONTRACT.md §1.2 - §1.5: every route × credential, CORS, bodies.

use super::*;

#[tokio::test]
async fn section_1_3_every_route_asks_every_time() {
    let node = Node::new(|_| {});
    let (id, _) = node.create("0", &[]).await;
    let own = [format!("/api/files/{id}"), format!("/api/files/{id}/download"), format!("/tus/{id}")];
    for (method, path) in [
        ("POST", "/tus"),
        ("HEAD", own[2].as_str()),
        ("PATCH", own[2].as_str()),
        ("DELETE", own[2].as_str()),
        ("GET", "/api/files"),
        ("GET", own[0].as_str()),
        ("DELETE", own[0].as_str()),
        ("GET", own[1].as_str()),
        ("POST", "/api/files/cleanup"),
        ("GET", "/api/endpoints"),
        ("GET", "/api/storage"),
        ("GET", "/api/traffic"),
        ("GET", "/api/stats"),
        ("GET", "/api/tasks"),
    ] {
        for fields in [&[][..], &[("x-api-token", "wrong")], &[("authorization", "Bearer wrong")]] {
            let answer = node.ask_as(method, path, fields, "none").await;
            assert_eq!(answer.status, 401, "{method} {path} {fields:?}");
            assert!(!answer.field("www-authenticate").is_empty());
            if method != "HEAD" {
                let body: Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!(body["error"], "Unauthorized");
            }
        }
        let with = node.ask_as(method, path, &[("authorization", "Bearer secret")], "none").await;
        assert_ne!(with.status, 401, "{method} {path}");
    }
    for (path, status) in [
        ("/api/health", 200),
        ("/api/info", 200),
        ("/", 404),
        ("/nothing", 404),
        ("/docs", 200),
        ("/redoc", 200),
        ("/openapi.json", 200),
        ("/api/nothing", 401),
        ("/api", 401),
        ("/api/users/me", 401),
        ("/api/users/callback", 404),
        ("/tus/x/y", 404),
        ("/api/auth/verify", 405),
        ("/tus", 405),
    ] {
        assert_eq!(node.ask_as("GET", path, &[], "none").await.status, status, "{path}");
    }
    assert_eq!(node.ask_as("GET", "/api/users/login-info", &[], "none").await.status, 501);
    assert_eq!(node.ask_as("POST", "/api/users/login/start", &[], "none").await.status, 501);
    assert_eq!(node.ask("GET", "/api/tasks", &[], "none").await.status, 501);
    assert_eq!(node.ask("GET", "/api/nothing", &[], "none").await.status, 404);
}

#[tokio::test]
async fn section_1_5_cors_on_answers_refusals_and_grants() {
    let node = Node::new(|_| {});
    let page = ("origin", "https://page.test");
    let preflight = [page, ("access-control-request-method", "PATCH"), ("access-control-request-headers", "x-a, x-b")];
    let answer = node.ask_as("OPTIONS", "/tus/x", &preflight, "none").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "OK"));
    assert_eq!(answer.field("access-control-allow-headers"), "x-a, x-b");
    assert_eq!(answer.field("access-control-max-age"), "600");
    for method in ["PATCH", "HEAD", "DELETE"] {
        assert!(answer.field("access-control-allow-methods").contains(method));
    }
    let refused = node.ask_as("GET", "/api/files", &[page], "none").await;
    assert_eq!((refused.status, refused.field("access-control-allow-origin")), (401, "*"));
    assert!(refused.field("access-control-expose-headers").contains("Upload-Offset"));
    let (id, _) = node.create("0", &[]).await;
    let grant = node.ask("GET", &format!("/api/files/{id}/download"), &[page], "none").await.grant();
    assert_eq!(header(&grant, "Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(header(&grant, "Access-Control-Allow-Credentials"), None);
    let strict = Node::new(|config| config.cors_origins = vec!["https://page.test".into()]);
    let allowed = strict.ask("GET", "/api/health", &[page], "none").await;
    assert_eq!(allowed.field("access-control-allow-origin"), "https://page.test");
    assert_eq!(allowed.field("access-control-allow-credentials"), "true");
    let foreign = strict.ask("GET", "/api/health", &[("origin", "https://evil.test")], "none").await;
    assert!(foreign.field("access-control-allow-origin").is_empty() && foreign.status == 200);
}

#[tokio::test]
async fn section_1_5_every_field_the_contract_names_is_exposed() {
    let node = Node::new(|_| {});
    let answer = node.ask_as("GET", "/api/health", &[("origin", "https://page.test")], "none").await;
    let exposed: Vec<&str> = answer.field("access-control-expose-headers").split(',').map(str::trim).collect();
    for name in "Tus-Resumable Tus-Version Tus-Extension Tus-Max-Size Upload-Offset Upload-Length Upload-Metadata \
                 Upload-Expires Location Content-Range X-Retention-Policy X-Retention-Expires X-Retention-Warning \
                 X-Download-Count X-Sink-Parts Retry-After Upload-Checksum X-Received-Bytes X-Received-Ranges \
                 X-Chunk-Size X-Chunk-Index X-Total-Chunks Accept-Ranges Content-Disposition ETag"
        .split_whitespace()
    {
        assert!(exposed.contains(&name), "{name} is not exposed: {exposed:?}");
    }
}

#[tokio::test]
async fn section_5_7_verify_gets_its_body_in_a_second_step() {
    let node = Node::new(|_| {});
    let first = node.ask_as("POST", "/api/auth/verify", &[], "20").await;
    assert!(matches!(first.grant().act, Act::Forward { bytes_max } if bytes_max >= 1 << 20));
    let attached = |body: &'static str| {
        Request::post("/api/auth/verify")
            .header(link::CALL, "attached")
            .header(link::PEER, "192.0.2.7:1")
            .body(body.into())
    };
    for (body, status, valid) in [
        (r#"{"token":"secret"}"#, 200, json!(true)),
        (r#"{"token":"wrong"}"#, 200, json!(false)),
        (r#"{}"#, 422, json!(null)),
        ("", 422, json!(null)),
    ] {
        let answer = node.raw(attached(body).unwrap()).await;
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, &value["valid"]), (status, &valid), "{body}");
    }
}

#[tokio::test]
async fn nobody_but_the_data_plane_speaks_the_line() {
    let node = Node::new(|_| {});
    let batch = FactBatch { version: VERSION, run: 1, asked_by: 0, facts: vec![] };
    for (call, status) in [(None, 404), (Some("decide"), 404), (Some("call"), 204)] {
        let mut request = Request::post(link::FACTS_PATH).header("x-api-token", "secret");
        if let Some(call) = call {
            request = request.header(link::CALL, call);
        }
        let body = Body::from(serde_json::to_vec(&batch).unwrap());
        assert_eq!(node.raw(request.body(body).unwrap()).await.status, status, "{call:?}");
    }
    let future = FactBatch { version: VERSION + 1, ..batch };
    assert_eq!(node.call(link::FACTS_PATH, &future).await.status, 400);
}

#[tokio::test]
async fn a_bare_request_is_a_decide_without_a_body() {
    let node = Node::new(|_| {});
    let request = Request::get("/api/health").body(Body::empty()).unwrap();
    assert_eq!(node.raw(request).await.status, 200);
    let (id, path) = node.create("5", &[]).await;
    let request = Request::head(&path).header("x-api-token", "secret").body(Body::empty()).unwrap();
    assert_eq!(node.raw(request).await.status, 200, "{id}");
}
