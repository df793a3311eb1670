//! Credentials and secure defaults: easytransfer/CONTRACT.md §1. Which route asks whom stands in `route_table`.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::tus::{head, post, tus};
use crate::support::{Node, OTHER_TOKEN, Request, TOKEN, wait};

#[test]
fn both_generations_of_clients_are_let_in() {
    let node = Node::start();
    let upload = node.complete(b"hello");
    let ask = |edit: &dyn Fn(Request) -> Request| node.send(&edit(Request::get(&upload.file())));
    ask(&|r| r.header("X-API-Token", TOKEN)).is(200);
    ask(&|r| r.header("Authorization", format!("Bearer {TOKEN}"))).is(200);
    ask(&|r| r.header("authorization", format!("bearer {TOKEN}"))).is(200);
    ask(&|r| r.header("X-API-Token", TOKEN).header("Authorization", format!("Bearer {TOKEN}"))).is(200);
    // A bearer that is no session must not spoil a valid token (quirk 17).
    ask(&|r| r.header("X-API-Token", TOKEN).header("Authorization", "Bearer not-a-session")).is(200);
    ask(&|r| r.header("X-API-Token", OTHER_TOKEN)).is(200);
}

#[test]
fn a_token_opens_as_it_is_written_or_is_refused_at_the_start() {
    let config = "auth:\n  tokens: [1e5, 1.10, 007, yes, 0x1F, 1_000, .nan, '~']\n  admin_tokens: [0x1F]\n";
    let node = Node::setup().without_env("AUTH_TOKENS").config(config).start();
    let ask = |token: &str| node.send(&Request::get("/api/files").header("X-API-Token", token));
    for token in ["1e5", "1.10", "007", "yes", "0x1F", "1_000", ".nan", "~"] {
        ask(token).is(200);
    }
    for token in ["100000", "100000.0", "1.1", "7", "true", "31", "1000", "NaN"] {
        ask(token).is(401);
    }
    for tokens in ["[1e5]", "[1.10]", "[null]"] {
        let said = Node::setup().env("AUTH_TOKENS", tokens).try_start().err().expect("no node with another token");
        let names_it = said.contains("auth.tokens (from ETRANSFER_AUTH_TOKENS)") && said.contains("quote it");
        assert!(names_it, "{tokens}: {said}");
    }
}

#[test]
fn a_refusal_names_itself_and_can_be_read_by_a_page() {
    let node = Node::start();
    let reply = node.send(&Request::get("/api/files").header("Origin", "https://page.example")).is(401);
    let json = reply.json();
    assert_eq!(json["error"], "Unauthorized");
    assert!(json["message"].is_string());
    assert_eq!(reply.field("Access-Control-Allow-Origin"), "*");
    assert_eq!(reply.header("Access-Control-Allow-Credentials"), None);
}

#[test]
fn listed_origins_are_the_only_ones() {
    let node = Node::setup().env("CORS_ORIGINS", "https://a.example,https://b.example").start();
    let allowed = |origin: &str| {
        let reply = node.send(&Request::get("/api/health").header("Origin", origin)).is(200);
        reply.header("Access-Control-Allow-Origin").map(str::to_owned)
    };
    assert_eq!(allowed("https://a.example").as_deref(), Some("https://a.example"));
    assert_eq!(allowed("https://b.example").as_deref(), Some("https://b.example"));
    assert_eq!(allowed("https://evil.example"), None);
    assert_eq!(allowed("https://a.example.evil.example"), None);
}

#[test]
fn a_token_can_be_verified() {
    let node = Node::start();
    let verify = |token: &str| {
        let body = serde_json::json!({"token": token}).to_string();
        let request = Request::new("POST", "/api/auth/verify").header("Content-Type", "application/json").body(body);
        node.send(&request).is(200).json()
    };
    assert_eq!(verify(TOKEN), serde_json::json!({"valid": true, "expires_at": null}));
    assert_eq!(verify("wrong")["valid"], false);
    assert_eq!(verify("")["valid"], false);
    let none = Request::new("POST", "/api/auth/verify").header("Content-Type", "application/json").body("{}");
    let refusal = node.send(&none).is(422).json();
    assert_eq!(refusal["detail"][0]["loc"], serde_json::json!(["body", "token"]), "{refusal}");
}

#[test]
fn section_5_7_guessing_is_limited_per_address() {
    let node = Node::setup().env("AUTH_FAILURES_PER_ADDRESS", 20).start();
    let verify = |token: &str| {
        let body = serde_json::json!({"token": token}).to_string();
        node.send(&Request::new("POST", "/api/auth/verify").body(body))
    };
    for guess in 0..20 {
        assert_eq!(verify(&format!("guess {guess}")).is(200).json()["valid"], false);
    }
    assert!(verify("one guess more").is(429).number("Retry-After") > 0);
    // Who is right, and was before, is let in whatever others behind the same address do.
    node.get("/api/files").is(200);
    assert_eq!(verify(TOKEN).is(200).json()["valid"], true);
    verify(OTHER_TOKEN).is(429);
}

#[test]
fn there_is_no_login_here_and_that_is_501() {
    let node = Node::start();
    node.send(&Request::get("/api/users/login-info")).is(501);
    node.send(&Request::new("POST", "/api/users/login/start")).is(501);
    node.send(&Request::get("/api/users/callback")).is(404);
    node.get("/api/users/me").is(404);
}

/// Secure by default: no token configured makes one, 0600, printed once, and known to the same user's client.
#[test]
fn without_a_configured_token_one_is_made() {
    let mut node = Node::setup().without_env("AUTH_TOKENS").start();
    node.without_audit();
    let refused = node.send(&Request::get("/api/files")).is(401);
    assert!(refused.json()["message"].is_string());
    let said = node.said().join("\n");
    assert!(said.contains("et setup"), "the line to paste is printed: {said}");
    // No other user may read it.
    let secrets = wait::until("the token is kept", || {
        let found: Vec<_> = crate::support::audit::files_below(&node.storage().join("state"))
            .into_iter()
            .filter(|(path, _)| path.file_name().is_some_and(|name| name.to_string_lossy().contains("token")))
            .collect();
        (!found.is_empty()).then_some(found)
    });
    let mode = std::fs::metadata(&secrets[0].0).expect("the token's file").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{:o}", mode);
    let token = std::fs::read_to_string(&secrets[0].0).expect("the token").trim().to_owned();
    assert!(token.len() >= 20, "{} characters", token.len());
    node.send(&Request::get("/api/files").header("X-API-Token", &token)).is(200);
    assert!(!node.log().contains(&token), "the token stands in the log");
    // The same user's client finds it.
    let plain = |args: &[&str]| {
        let mut command = node.et(args);
        command.env_remove("ETRANSFER_SERVER").env_remove("ETRANSFER_TOKEN");
        wait::run(command)
    };
    plain(&["setup", &node.addr().to_string()]).ok();
    plain(&["list"]).ok();
    // It is the same after a restart, and not printed again.
    let before = node.said().iter().filter(|line| line.contains(&token)).count();
    assert_eq!(before, 1, "printed once");
    node.kill_and_start_again();
    node.send(&Request::get("/api/files").header("X-API-Token", &token)).is(200);
    assert_eq!(node.said().iter().filter(|line| line.contains(&token)).count(), 1, "printed once, ever");
}

#[test]
fn an_open_node_is_open_only_when_told() {
    let node = Node::setup().open().start();
    let request = Request::new("POST", "/tus").header("Upload-Length", "5");
    node.send(&request).is(201);
    node.send(&Request::get("/api/files")).is(200);
}

#[test]
fn a_token_in_the_query_never_reaches_the_log() {
    let node = Node::start();
    let upload = node.complete(b"hello");
    for target in [
        format!("/api/files/{}/download?token={TOKEN}", upload.id),
        format!("/no/such/path?token={TOKEN}&x=1"),
        format!("/tus/{}?token={TOKEN}", upload.id),
    ] {
        node.send(&Request::get(&target));
    }
    node.send(&Request::get("/api/files").header("Authorization", format!("Basic {TOKEN}")));
    node.send(&tus("HEAD", &format!("{}?token={TOKEN}", upload.path)));
    // The audit at the end greps the log for it; so do the answers.
    let location = node.send(&post().header("Upload-Length", "5").header("Referer", "x")).is(201);
    assert!(!location.field("Location").contains("token"), "{location:?}");
    node.send(&head(&upload)).is(200);
}

#[test]
fn the_storage_is_private() {
    let node = Node::start();
    node.complete(b"hello");
    for dir in ["objects", "journal"] {
        let path = node.storage().join(dir);
        let mode =
            std::fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{dir}: {mode:o}");
    }
    // Nothing of what another user may read holds a token.
    for (path, _) in crate::support::audit::files_below(node.dir()) {
        let text = std::fs::read(&path).unwrap_or_default();
        let mode = std::fs::metadata(&path).map(|meta| meta.permissions().mode()).unwrap_or(0);
        let has = text.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        assert!(!has || mode & 0o077 == 0, "{} holds a token with mode {mode:o}", path.display());
    }
}
