//! Sections 2.1 and 3: users and their tokens.

use serde_json::json;

use super::{OTHER, USER, User, blob_env, open, setup, text};
use crate::support::node::TOKEN;
use crate::support::raw::Request;

#[test]
fn cases_1_to_3_open_paths_and_the_first_call() {
    let node = setup().start();
    assert!(open(&node, Request::get("/")).is(200).json().get("message").is_some());
    assert_eq!(open(&node, Request::get("/health")).is(200).json(), json!({"status": "ok"}));
    for id in ["zzz", "USER1", "user1%20", "user1%2F", "..%2Fuser1"] {
        let refused = open(&node, Request::get(&format!("/user/{id}"))).is(403);
        assert_eq!(refused.json()["detail"], "User not allowed", "{id}");
    }
    let first = open(&node, Request::get("/user/user1")).is(200).json();
    let token = text(&first["token"]);
    assert_eq!((token.len(), token.matches('-').count(), &token[14..15]), (36, 4, "4"), "a UUID: {token}");
    let second = open(&node, Request::get("/user/user1/")).is(200).json();
    assert_eq!(second["token"], "[hidden...]");
    for key in ["total_size", "total_upload_times", "total_upload_byte", "total_download_times", "total_download_byte"]
    {
        assert_eq!(second[key], 0, "{key}");
    }
    assert_eq!(second["user"], "user1");
    assert_eq!(text(&second["created_at"]).len(), "2026-11-20 20:19:03".len());
    for key in ["last_upload_at", "last_download_at"] {
        assert!(second.as_object().expect("an object").contains_key(key) && second[key].is_null(), "{key}");
    }
    // Ids are e-mail addresses in practice, in either spelling.
    assert_eq!(open(&node, Request::get("/user/luzheng%40live.com")).is(200).json()["user"], OTHER);
    assert_eq!(open(&node, Request::get("/user/luzheng@live.com")).json()["token"], "[hidden...]");
}

#[test]
fn case_3_of_many_first_calls_one_gets_the_token() {
    let node = setup().start();
    let record = || open(&node, Request::get("/user/user1")).is(200).json();
    let told: Vec<String> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..16).map(|_| scope.spawn(|| text(&record()["token"]))).collect();
        calls.into_iter().map(|call| call.join().expect("a call")).collect()
    });
    assert_eq!(told.iter().filter(|token| *token != "[hidden...]").count(), 1, "{told:?}");
}

#[test]
fn case_4_a_token_is_changed_by_its_owner_alone() {
    let mut node = setup().start();
    let change = |id: &str| Request::get(&format!("/user/{id}?function=change_token"));
    let refused = open(&node, change(USER)).is(401);
    assert_eq!(
        (refused.json()["detail"].as_str(), refused.field("WWW-Authenticate")),
        (Some("Not authenticated"), "Bearer")
    );
    let (one, other) = (User::first(&node, USER).token, User::first(&node, OTHER).token);
    let with = |token: &str, request: Request| open(&node, request.header("Authorization", format!("Bearer {token}")));
    assert_eq!(with("nobodys", change(USER)).is(401).json()["detail"], "Invalid Token");
    assert_eq!(with(&other, change(USER)).is(403).json()["detail"], "User not allowed");
    let changed = text(&with(&one, change(USER)).is(200).json()["token"]);
    assert!(changed.len() == 36 && changed != one);
    let old = with(&one, Request::get("/list")).is(401);
    assert_eq!((old.json()["detail"].as_str(), old.field("WWW-Authenticate")), (Some("Invalid Token"), "Bearer"));
    with(&changed, Request::get("/list")).is(200);
    with(&other, Request::get("/list")).is(200);
    // An administrator of the node may, and an unknown function is none.
    with(&changed, Request::get("/user/user1?function=other")).is(200);
    assert_eq!(with(&changed, Request::get("/auth")).is(200).json(), json!({"user": USER, "token": changed}));
    node.kill_and_start_again();
    let with = |token: &str, request: Request| open(&node, request.header("Authorization", format!("Bearer {token}")));
    with(&changed, Request::get("/list")).is(200);
    with(&one, Request::get("/list")).is(401);
    assert!(!node.log().contains(&changed), "a token stands in the log");
    let kept = std::process::Command::new("grep").args(["-rFl", &changed]).arg(node.storage()).output().expect("grep");
    assert!(kept.stdout.is_empty(), "a token is stored in clear: {:?}", String::from_utf8_lossy(&kept.stdout));
}

#[test]
fn section_3_a_first_token_is_an_administrators_to_give() {
    let setup = blob_env(setup().env("AUTH_ADMIN_TOKENS", format!("[\"{TOKEN}\"]")), &[("TOKEN_BOOTSTRAP", "admin")]);
    let node = setup.start();
    // A caller without a right learns neither a token nor who is a user here.
    for id in ["user1", "luzheng@live.com", "stranger", "user1?function=change_token", "stranger?function=change_token"]
    {
        let refused = open(&node, Request::get(&format!("/user/{id}"))).is(401);
        assert_eq!(refused.json()["detail"], "Not authenticated", "{id}");
    }
    let admin = |request: Request| open(&node, request.header("Authorization", format!("Bearer {TOKEN}")));
    let change = || Request::get("/user/user1?function=change_token");
    assert_eq!(admin(change()).is(404).json()["detail"], "User not found");
    let first = text(&admin(Request::get("/user/user1")).is(200).json()["token"]);
    assert_eq!(admin(Request::get("/user/user1")).is(200).json()["token"], "[hidden...]");
    let token = text(&admin(change()).is(200).json()["token"]);
    assert_ne!(first, token);
    let user = User { node: &node, token };
    assert!(user.list().is_empty());
    assert_eq!(user.send(Request::get("/user/user1")).is(200).json()["token"], "[hidden...]");
    for other in ["luzheng@live.com", "stranger"] {
        let refused = user.send(Request::get(&format!("/user/{other}"))).is(403);
        assert_eq!(refused.json()["detail"], "User not allowed", "{other}");
    }
    admin(Request::get("/list")).is(401);
}

#[test]
fn section_3_a_configured_token_counts_until_it_is_changed() {
    let users = r#"[{"user":"user1","token":"configured-for-user1"},"luzheng@live.com"]"#;
    let mut node = blob_env(setup(), &[("ALLOWED_USERS", users)]).start();
    let user = User { node: &node, token: "configured-for-user1".into() };
    assert!(user.list().is_empty());
    let id = user.uploaded("t.txt", b"hello");
    assert_eq!(open(&node, Request::get("/user/user1")).is(200).json()["token"], "[hidden...]");
    let changed = text(&user.send(Request::get("/user/user1?function=change_token")).is(200).json()["token"]);
    user.send(Request::get("/list")).is(401);
    node.kill_and_start_again();
    let user = User { node: &node, token: changed };
    assert_eq!(user.list()[0]["file_id"], id.as_str());
    User { node: &node, token: "configured-for-user1".into() }.send(Request::get("/list")).is(401);
}

#[test]
fn case_5_credentials_that_are_none() {
    let node = setup().start();
    for request in [
        Request::get("/list"),
        Request::get("/list").header("Authorization", "Basic x"),
        Request::get("/list").header("Authorization", "Bearer"),
        Request::get("/list?token=x").header("X-API-Token", TOKEN),
        Request::get("/auth"),
        Request::new("POST", "/upload"),
        Request::new("POST", "/upload_batch"),
        Request::new("POST", "/upload_tus"),
        Request::new("PATCH", "/upload_tus/0123456789abcdef0123456789abcdef"),
        Request::new("DELETE", "/delete/vP4rgaBW"),
        Request::new("DELETE", "/delete_all?confirm=yes"),
    ] {
        let refused = open(&node, request).is(401);
        assert_eq!(
            (refused.json()["detail"].as_str(), refused.field("WWW-Authenticate")),
            (Some("Not authenticated"), "Bearer")
        );
    }
    let wrong = open(&node, Request::get("/list").header("Authorization", format!("Bearer {TOKEN}"))).is(401);
    assert_eq!((wrong.json()["detail"].as_str(), wrong.field("WWW-Authenticate")), (Some("Invalid Token"), "Bearer"));
}
