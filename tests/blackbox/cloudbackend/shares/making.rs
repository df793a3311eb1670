//! `POST /drop/create/`, and shares of one's own.

use serde_json::{Value, json};

use super::{Person, error, id, setup, share, visit};

#[test]
fn case_20_what_a_share_may_not_be() {
    let node = setup().start();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let (file, theirs) = (alice.file("/", "a.txt", b"12345"), bob.file("/", "b.txt", b"1"));
    let with = |name: &str, value: Value| {
        let mut body = json!({"files": [file["id"]]});
        body[name] = value;
        body
    };
    for (body, text) in [
        (json!({}), "需要提供文件列表"),
        (with("files", json!([])), "需要提供文件列表"),
        (with("files", json!("1")), "需要提供文件列表"),
        (with("files", json!([theirs["id"]])), "部分文件不存在或无权限"),
        (with("files", json!([file["id"], 999])), "部分文件不存在或无权限"),
        (with("files", json!(["../1"])), "部分文件不存在或无权限"),
        (with("files", (1..=1001).collect()), "文件数量过多"),
        (with("expire_days", json!(5)), "expire_days无效"),
        (with("expire_days", json!("abc")), "expire_days无效"),
        (with("code", json!("12345678901")), "分享码无效"),
        (with("code", json!("a b")), "分享码无效"),
        (with("code", json!("a\nb")), "分享码无效"),
        (with("max_download_count", json!(0)), "max_download_count无效"),
        (with("max_download_count", json!(1_000_001)), "max_download_count无效"),
    ] {
        assert_eq!(error(alice.post("/drop/create/", body.clone()), 400), text, "{body}");
    }
    assert_eq!(alice.get("/drop/").is(200).json(), json!([]));
    assert_eq!(alice.delete(&file).is(200).status, 200);
    assert_eq!(error(alice.post("/drop/create/", json!({"files": [file["id"]]})), 400), "部分文件不存在或无权限");
    node.send(&super::json_post("/drop/create/", &json!({"files": [theirs["id"]]}))).is(401);
}

#[test]
fn a6_a_share_and_its_defaults() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a.txt", b"12345");
    let made = share(&alice, json!({"files": [file["id"], file["id"]]}));
    let code = made["code"].as_str().expect("a code");
    assert!(code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{code}");
    for (name, value) in [
        ("id", json!(1)),
        ("expire_days", json!(1)),
        ("is_expired", json!(false)),
        ("require_login", json!(false)),
        ("download_count", json!(0)),
        ("max_download_count", json!(1)),
        ("password", json!("")),
        ("has_password", json!(false)),
        ("is_deleted", json!(false)),
        ("user_id", json!(alice.id)),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    for name in ["expire_time", "created_at"] {
        let text = made[name].as_str().expect("a text");
        assert!(text.len() == "2024-01-01T12:00:00.123456Z".len() && text.ends_with('Z'), "{name} {text}");
    }
    let told = visit(&node, json!({"code": code})).is(200).json();
    assert_eq!((&told["files"], &told["message"]), (&json!([file]), &json!("获取分享详情成功")));
}

#[test]
fn case_20_a_live_code_is_one_shares_alone() {
    let node = setup().start();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let (file, theirs) = (alice.file("/", "a.txt", b"12345"), bob.file("/", "b.txt", b"1"));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let make = || alice.post("/drop/create/", json!({"files": [file["id"]], "code": "Same1"})).status;
        let calls: Vec<_> = (0..16).map(|_| scope.spawn(make)).collect();
        calls.into_iter().map(|call| call.join().expect("a call")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    let body = json!({"files": [theirs["id"]], "code": "Same1"});
    assert_eq!(error(bob.post("/drop/create/", body.clone()), 400), "分享码已存在");
    share(&bob, json!({"files": [theirs["id"]], "code": "same1"}));
    let first = alice.get("/drop/").is(200).json()[0].clone();
    assert_eq!(
        alice.post(&format!("/drop/{}/delete/", id(&first)), json!({})).is(200).json(),
        json!({"message": "分享已删除"})
    );
    let again = share(&bob, body);
    let told = visit(&node, json!({"code": "Same1"})).is(200).json();
    assert_eq!((id(&told["drop"]), &told["files"][0]["name"]), (id(&again), &json!("b.txt")));
}

#[test]
fn a6_shares_of_ones_own() {
    let mut node = setup().start();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let file = alice.file("/", "a.txt", b"12345");
    let first = share(&alice, json!({"files": [file["id"]], "password": "open sesame", "code": "first"}));
    let second = share(&alice, json!({"files": [file["id"]], "max_download_count": 3, "code": "second"}));
    assert_eq!((&first["password"], &first["has_password"]), (&json!(""), &json!(true)));
    assert_eq!(alice.get("/drop/").is(200).json(), json!([first, second]));
    assert_eq!(bob.get("/drop/").is(200).json(), json!([]));
    let (own, delete) = (format!("/drop/{}/", id(&first)), format!("/drop/{}/delete/", id(&first)));
    let shown = alice.get(&own).is(200).json();
    assert_eq!((&shown["drop"], &shown["id"], shown.get("code")), (&first, &id(&first), None));
    for (person, target) in [(&bob, own.as_str()), (&alice, "/drop/999/"), (&alice, "/drop/x/")] {
        assert_eq!(person.get(target).is(404).json(), json!({"detail": "Not found."}));
    }
    assert_eq!(error(bob.post(&delete, json!({})), 403), "没有权限删除此分享");
    alice.post(&delete, json!({})).is(200);
    let missing = json!({"error": "分享不存在", "message": "删除分享失败"});
    assert_eq!(alice.post(&delete, json!({})).is(404).json(), missing);
    assert_eq!(alice.post("/drop/999/delete/", json!({})).is(404).json(), missing);
    alice.get(&own).is(404);
    let (access, name) = (alice.access.clone(), alice.name.clone());
    let alice_id = alice.id;
    node.kill_and_start_again();
    let alice = Person { node: &node, name, id: alice_id, access };
    assert_eq!(alice.get("/drop/").is(200).json(), json!([second]));
    assert_eq!(error(visit(&node, json!({"code": "first", "password": "open sesame"})), 404), "分享不存在");
}
