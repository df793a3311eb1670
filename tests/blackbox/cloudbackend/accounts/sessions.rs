//! `POST /user/refresh-token/` and `POST /user/logout/`: case 4, and copies of refresh tokens (PROMISES.md §4).

use serde_json::{Value, json};

use super::{PASSWORD, User, call, claims, cloud, error, refresh, setup, text};
use crate::support::wait;

const BAD: &str = "token无效或已过期";

fn pair(told: &Value) -> (String, String) {
    (text(&told["access"]), text(&told["refresh"]))
}

#[test]
fn case_4_a_refresh_token_is_replaced_by_its_use() {
    let mut node = cloud(setup(), &[("ACCESS_TOKEN_MINUTES", "0"), ("REFRESH_REUSE_SECONDS", "1")]).start();
    let user = User::register(&node, "alice");
    wait::until("the access token expires", || (user.get("/user/profile/").status == 401).then_some(()));
    // The front end sends its expired access token along.
    let (access, second) = pair(&user.post("/user/refresh-token/", json!({"refresh": user.refresh})).is(200).json());
    assert!(access != user.access && second != user.refresh);
    let (old, new) = (claims(&user.refresh), claims(&second));
    assert!(old["jti"] != new["jti"] && new["token_type"] == "refresh" && new["exp"].as_u64() >= old["exp"].as_u64());
    node.kill_and_start_again();
    let (_, third) = pair(&refresh(&node, &second).is(200).json());
    assert_eq!(error(refresh(&node, &access), 401), BAD, "an access token");
    // After its moment the replaced one is a stolen copy: the session ends.
    wait::until("a replaced token counts no more", || (refresh(&node, &second).status == 401).then_some(()));
    assert_eq!(error(refresh(&node, &third), 401), BAD);
    assert_eq!(error(refresh(&node, &second), 401), BAD);
    let other = User::log_in(&node, "alice", PASSWORD);
    refresh(&node, &other.refresh).is(200);
}

#[test]
fn a3_tabs_that_refresh_at_once_get_one_pair() {
    let node = setup().start();
    let user = User::register(&node, "alice");
    let pairs: Vec<(String, String)> = std::thread::scope(|scope| {
        let calls: Vec<_> =
            (0..8).map(|_| scope.spawn(|| pair(&refresh(&node, &user.refresh).is(200).json()))).collect();
        calls.into_iter().map(|call| call.join().expect("a call")).collect()
    });
    assert!(pairs.iter().all(|pair| *pair == pairs[0]), "{pairs:?}");
    assert_eq!(pair(&refresh(&node, &user.refresh).is(200).json()), pairs[0], "a moment later too");
    let (access, next) = &pairs[0];
    User { node: &node, id: 1, access: access.clone(), refresh: next.clone() }.get("/user/profile/").is(200);
    refresh(&node, next).is(200);
}

#[test]
fn section_4_with_no_moment_of_grace_a_second_use_ends_the_session() {
    let node = cloud(setup(), &[("REFRESH_REUSE_SECONDS", "0")]).start();
    let user = User::register(&node, "alice");
    let (_, next) = pair(&refresh(&node, &user.refresh).is(200).json());
    assert_eq!(error(refresh(&node, &user.refresh), 401), BAD);
    assert_eq!(error(refresh(&node, &next), 401), BAD, "for either copy");
    user.get("/user/profile/").is(401);
}

#[test]
fn a3_refresh_tokens_that_are_none() {
    let node = setup().start();
    let user = User::register(&node, "alice");
    for body in [json!({}), json!({"refresh": ""}), json!({"refresh": null}), json!({"refresh": 7})] {
        assert_eq!(error(call(&node, "/user/refresh-token/", &body), 400), "需要refresh token", "{body}");
    }
    let (head, rest) = user.refresh.rsplit_once('.').expect("three parts");
    let forged = format!("{head}.{}", rest.chars().rev().collect::<String>());
    for token in ["x", "a.b.c", &user.access, &forged] {
        assert_eq!(error(refresh(&node, token), 401), BAD, "{token}");
    }
    refresh(&node, &user.refresh).is(200);
}

#[test]
fn case_4_after_logout_no_token_of_the_session_counts() {
    let node = setup().start();
    let (user, other) = (User::register(&node, "alice"), User::register(&node, "bob"));
    let second = User::log_in(&node, "alice", PASSWORD);
    let (access, next) = pair(&refresh(&node, &user.refresh).is(200).json());
    let done = json!({"status": "登出成功"});
    for body in [json!({}), json!({"refresh": "x"}), json!({"refresh": other.refresh}), json!({"refresh": access})] {
        // faults.md O7: whatever else it brings, the session of the access token ends.
        let third = User::log_in(&node, "alice", PASSWORD);
        assert_eq!(third.post("/user/logout/", body).is(200).json(), done);
        third.get("/user/profile/").is(401);
        assert_eq!(error(refresh(&node, &third.refresh), 401), BAD);
    }
    refresh(&node, &other.refresh).is(200);
    assert_eq!(user.post("/user/logout/", json!({"refresh": next})).is(200).json(), done);
    for token in [&next, &user.refresh] {
        assert_eq!(error(refresh(&node, token), 401), BAD);
    }
    user.get("/user/profile/").is(401);
    second.get("/user/profile/").is(200);
    refresh(&node, &second.refresh).is(200);
    call(&node, "/user/logout/", &json!({"refresh": second.refresh})).is(401);
}
