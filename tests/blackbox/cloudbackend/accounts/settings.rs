//! What an account changes about itself, under both prefixes.

use serde_json::json;

use super::{PASSWORD, User, call, error, refresh, setup};

#[test]
fn case_5_a_password_is_changed_under_both_prefixes() {
    let node = setup().start();
    let user = User::register(&node, "alice");
    let change_by = |user: &User<'_>, prefix: &str, old: &str, new: &str| {
        user.post(&format!("{prefix}/change-password/"), json!({"old_password": old, "new_password": new}))
    };
    let change = |prefix: &str, old: &str, new: &str| change_by(&user, prefix, old, new);
    for prefix in ["/user", "/user-settings"] {
        assert_eq!(error(change(prefix, "wrong", "another one"), 400), "旧密码错误");
    }
    for body in [
        json!({"old_password": PASSWORD}),
        json!({"old_password": PASSWORD, "new_password": ""}),
        json!({"old_password": PASSWORD, "new_password": "      "}),
        json!({"old_password": PASSWORD, "new_password": "12345"}),
        json!({"old_password": PASSWORD, "new_password": 123_456}),
    ] {
        assert_eq!(error(user.post("/user-settings/change-password/", body.clone()), 400), "新密码无效", "{body}");
    }
    assert_eq!(change("/user", PASSWORD, "second one").is(200).json(), json!({"status": "密码更新成功"}));
    refresh(&node, &user.refresh).is(401);
    // faults.md O7: an access token ends with the password it came of.
    user.get("/user/profile/").is(401);
    let again = User::log_in(&node, "alice", "second one");
    call(&node, "/user/login/", &json!({"username": "alice", "password": PASSWORD})).is(401);
    change_by(&again, "/user-settings", "second one", "third one").is(200);
    refresh(&node, &again.refresh).is(401);
    User::log_in(&node, "alice", "third one").get("/user/profile/").is(200);
    again.get("/user/profile/").is(401);
}

#[test]
fn a3_names_and_addresses() {
    let node = setup().start();
    let (user, other) = (User::register(&node, "alice"), User::register(&node, "bob"));
    for prefix in ["/user", "/user-settings"] {
        let name = |body| user.post(&format!("{prefix}/update-display-name/"), body);
        assert_eq!(name(json!({"display_name": "Al 爱丽丝"})).is(200).json()["display_name"], "Al 爱丽丝");
        assert_eq!(name(json!({"display_name": " "})).is(200).json()["display_name"], "alice");
        assert_eq!(name(json!({"display_name": "x"})).is(200).json()["display_name"], "x");
        assert_eq!(name(json!({})).is(200).json()["display_name"], "alice");
        assert!(name(json!({"display_name": "x".repeat(151)})).is(400).json()["display_name"].is_array());

        let email = |body| user.post(&format!("{prefix}/update-email/"), body);
        assert_eq!(error(email(json!({})), 400), "邮箱不能为空");
        assert_eq!(error(email(json!({"email": "bob@Example.ORG"})), 400), "邮箱已存在");
        assert_eq!(error(email(json!({"email": "stranger"})), 400), "邮箱格式错误");
        let changed = email(json!({"email": "New@Example.org"})).is(200).json();
        assert_eq!((&changed["email"], &changed["username"]), (&json!("New@example.org"), &json!("alice")));
        assert_eq!(email(json!({"email": "New@example.org"})).is(200).json(), changed, "one's own is not taken");
    }
    // The old address is free again, the new one is not.
    other.post("/user-settings/update-email/", json!({"email": "alice@example.org"})).is(200);
    assert_eq!(error(other.post("/user/update-email/", json!({"email": "New@example.org"})), 400), "邮箱已存在");
    user.get("/user-settings/profile/").is(404);
}
