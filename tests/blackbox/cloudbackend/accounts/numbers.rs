//! Accounts by their number: what the original gave to every user, and here only an administrator has.

use serde_json::{Value, json};

use super::{PASSWORD, User, call, cloud, json_post, setup};
use crate::support::Request;

fn not_found() -> Value {
    json!({"detail": "Not found."})
}

fn forbidden() -> Value {
    json!({"detail": "You do not have permission to perform this action."})
}

#[test]
fn case_6_an_account_sees_and_changes_itself_alone() {
    let node = setup().start();
    let (user, other) = (User::register(&node, "alice"), User::register(&node, "bob"));
    assert_eq!(user.get("/user/").is(403).json(), forbidden());
    let (own, foreign) = (format!("/user/{}/", user.id), format!("/user/{}/", other.id));
    assert_eq!(user.send(Request::new("DELETE", &foreign)).is(403).json(), forbidden());
    assert_eq!(user.send(Request::new("DELETE", &own)).is(403).json(), forbidden());
    other.get("/user/profile/").is(200);
    for target in [foreign.as_str(), "/user/999/", "/user/18446744073709551616/", "/user/x/", "/user/-1/", "/user/+1/"]
    {
        assert_eq!(user.get(target).is(404).json(), not_found(), "{target}");
    }
    for method in ["PUT", "PATCH"] {
        let mut change = json_post(&foreign, &json!({"display_name": "mine"}));
        change.method = method.into();
        assert_eq!(user.send(change.clone()).is(404).json(), not_found());
        change.target.clone_from(&own);
        assert_eq!(user.send(change).is(200).json()["display_name"], "mine");
        let mut change = json_post(
            &own,
            &json!({
                "email": "bob@example.org", "username": "root", "permission": "admin", "quota": 1, "is_active": false,
            }),
        );
        change.method = method.into();
        let taken = json!({"email": ["user with this email already exists."]});
        assert_eq!(user.send(change).is(400).json(), taken);
    }
    let mut change = json_post(&own, &json!({"username": "root", "permission": "admin", "quota": 1, "id": 9}));
    change.method = "PATCH".into();
    let same = user.send(change).is(200).json();
    assert_eq!(same, user.get(&own).is(200).json());
    assert_eq!((&same["username"], &same["permission"], &same["id"]), (&json!("alice"), &json!("user"), &json!(1)));
    let refused = user.post("/user/", json!({})).is(405);
    assert_eq!(refused.json(), json!({"detail": "Method \"POST\" not allowed."}));
    assert!(refused.field("Allow").contains("GET"));
    node.send(&Request::get(&own)).is(401);
    assert_eq!(other.get("/user/profile/").is(200).json()["display_name"], "bob");
}

#[test]
fn a3_an_administrator_sees_all_accounts_and_ends_one() {
    let mut node = cloud(setup(), &[("ADMINS", "root")]).start();
    // An administrator's name is the operator's to give.
    super::console::done(&node, &["add", "root", "--email", "root@example.org"], &format!("{PASSWORD}\n"));
    let (admin, user) = (User::log_in(&node, "root", PASSWORD), User::register(&node, "alice"));
    let all = admin.get("/user/").is(200).json();
    let told = |name: &str| all.as_array().expect("an array").iter().find(|user| user["username"] == name).cloned();
    assert_eq!(told("root").expect("listed")["permission"], "admin");
    assert_eq!(told("alice"), Some(user.get("/user/profile/").is(200).json()));
    let target = format!("/user/{}/", user.id);
    let mut change = json_post(&target, &json!({"display_name": "Al", "email": "al@example.org"}));
    change.method = "PUT".into();
    assert_eq!(admin.send(change).is(200).json()["email"], "al@example.org");

    assert!(admin.send(Request::new("DELETE", &target)).is(204).body.is_empty());
    assert_eq!(admin.send(Request::new("DELETE", &target)).is(404).json(), not_found());
    let gone = json!({"detail": "User not found", "code": "user_not_found"});
    assert_eq!(user.get("/user/profile/").is(401).json(), gone);
    call(&node, "/user/login/", &json!({"username": "alice", "password": PASSWORD})).is(401);
    super::refresh(&node, &user.refresh).is(401);
    node.kill_and_start_again();
    // Its name begins the keys of objects: no other account gets it. Its address is free.
    let again = json!({"username": "alice", "password": PASSWORD, "email": "al@example.org"});
    let taken = json!({"username": ["user with this username already exists."]});
    assert_eq!(call(&node, "/user/register/", &again).is(400).json(), taken);
    let other = json!({"username": "alice2", "password": PASSWORD, "email": "al@example.org"});
    assert_eq!(call(&node, "/user/register/", &other).is(201).json()["id"], 3, "numbers never come again");
}
