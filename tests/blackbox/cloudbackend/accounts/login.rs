//! `POST /user/login/`, and whose token it is (cloudbackend/CONTRACT.md §A2, Authentication).

use serde_json::json;

use super::{PASSWORD, User, call, claims, cloud, setup, with_token};
use crate::support::{Reply, Request};

const WRONG: &str = "用户名或密码错误";

#[track_caller]
fn unauthorized(reply: Reply) -> serde_json::Value {
    let reply = reply.is(401);
    assert_eq!(reply.field("WWW-Authenticate"), "Bearer realm=\"api\"");
    reply.json()
}

#[test]
fn case_2_login() {
    let node = setup().start();
    let registered = User::register(&node, "alice");
    let told = call(&node, "/user/login/", &json!({"username": "alice", "password": PASSWORD})).is(200).json();
    let members: Vec<&String> = told.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["access", "refresh", "user"]);
    let user = User::of(&node, &told);
    assert_eq!((user.id, &told["user"]["username"]), (registered.id, &json!("alice")));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    for (token, kind, lives) in [(&user.access, "access", 3600), (&user.refresh, "refresh", 7 * 86_400)] {
        let claims = claims(token);
        let mut names: Vec<&String> = claims.as_object().expect("an object").keys().collect();
        names.sort();
        assert_eq!(names, ["exp", "iat", "jti", "token_type", "user_id"]);
        let (issued, ends) = (claims["iat"].as_u64().expect("a number"), claims["exp"].as_u64().expect("a number"));
        assert!(ends == issued + lives && issued.abs_diff(now) <= 60, "{claims}");
        assert_eq!((&claims["token_type"], &claims["user_id"]), (&json!(kind), &json!(user.id)));
        let jti = claims["jti"].as_str().expect("a text");
        assert!(jti.len() == 32 && jti.bytes().all(|byte| byte.is_ascii_hexdigit()), "{jti}");
    }
    for body in [
        json!({"username": "alice", "password": "wrong"}),
        json!({"username": "stranger", "password": PASSWORD}),
        json!({"username": "ALICE", "password": PASSWORD}),
        json!({"username": "alice"}),
        json!({"password": PASSWORD}),
        json!({}),
        json!({"username": ["alice"], "password": {"$ne": ""}}),
        json!({"username": "alice/../alice", "password": PASSWORD}),
    ] {
        assert_eq!(unauthorized(call(&node, "/user/login/", &body)), json!({"detail": WRONG}), "{body}");
    }
    // A stale header does not keep anybody from logging in.
    let request = super::json_post("/user/login/", &json!({"username": "alice", "password": PASSWORD}));
    node.send(&with_token(request, "stale")).is(200);
}

#[test]
fn case_3_tokens_nobody_gets_in_with() {
    let node = setup().start();
    let user = User::register(&node, "alice");
    let profile = |header: Option<&str>| {
        let request = Request::get("/user/profile/");
        node.send(&header.into_iter().fold(request, |request, header| request.header("Authorization", header)))
    };
    let no_credentials = json!({"detail": "Authentication credentials were not provided."});
    for header in [None, Some("Token x"), Some("Basic YTpi"), Some("")] {
        assert_eq!(unauthorized(profile(header)), no_credentials, "{header:?}");
    }
    let invalid = |message: &str| {
        json!({
            "detail": "Given token not valid for any token type",
            "code": "token_not_valid",
            "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
        })
    };
    let (signed, signature) = user.access.rsplit_once('.').expect("three parts");
    let swapped = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", signed.split('.').nth(1).expect("claims"));
    for token in ["garbage", "a.b.c", "", &swapped, &unsigned, &user.access[..user.access.len() - 1]] {
        let told = unauthorized(profile(Some(&format!("Bearer {token}"))));
        assert_eq!(told, invalid("Token is invalid or expired"), "{token}");
    }
    let told = unauthorized(profile(Some(&format!("Bearer {}", user.refresh))));
    assert_eq!(told, invalid("Token has wrong type"));
    profile(Some(&format!("bearer {}", user.access))).is(200);
}

#[test]
fn a3_failed_logins_are_throttled_by_name_and_by_address() {
    let node = cloud(setup(), &[("LOGIN_FAILURES", "3"), ("LOGIN_WINDOW_SECONDS", "300")])
        .env("AUTH_FAILURES_PER_ADDRESS", 3)
        .start();
    let proxied = cloud(setup(), &[("LOGIN_FAILURES", "3")]).env("TRUSTED_PROXIES", "127.0.0.0/8").start();
    let body = |name: &str, password: &str| json!({"username": name, "password": password});
    User::register(&node, "alice");
    User::log_in(&node, "alice", PASSWORD);
    for round in 0..3 {
        call(&node, "/user/login/", &body(&format!("stranger{round}"), "wrong")).is(401);
    }
    let refused = call(&node, "/user/login/", &body("alice", PASSWORD)).is(429);
    assert!((1..=301).contains(&refused.number("Retry-After")), "{refused:?}");
    assert_eq!(refused.json(), json!({"detail": "Request was throttled."}));

    let from = |address: &str, name: &str, password: &str| {
        let request = super::json_post("/user/login/", &body(name, password));
        proxied.send(&request.header("X-Forwarded-For", address)).status
    };
    User::register(&proxied, "alice");
    User::register(&proxied, "bob");
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(from(address, "alice", "wrong"), 401);
    }
    assert_eq!(from("192.0.2.4", "alice", PASSWORD), 429, "the name is throttled wherever from");
    assert_eq!(from("192.0.2.1", "bob", PASSWORD), 200, "and no other client is");
}

#[test]
fn a3_guesses_made_at_once_count_as_those_made_one_by_one() {
    let node = cloud(setup(), &[("LOGIN_FAILURES", "5")]).start();
    User::register(&node, "alice");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guess = |number| {
            let password = if number == 39 { PASSWORD.to_owned() } else { format!("guess {number}") };
            call(&node, "/user/login/", &json!({"username": "alice", "password": password})).status
        };
        let guesses: Vec<_> = (0..40).map(|number| scope.spawn(move || guess(number))).collect();
        guesses.into_iter().map(|guess| guess.join().expect("a guess")).collect()
    });
    let judged = statuses.iter().filter(|status| **status == 401).count();
    // Two are judged at the same moment.
    assert!((5..=6).contains(&judged) && statuses.contains(&429), "{statuses:?}");
}
