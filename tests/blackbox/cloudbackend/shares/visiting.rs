//! `POST /drop/get-drop/` and downloads by code: what a code gives, how often, to whom.

use serde_json::{Value, json};

use super::{
    Person, as_person, behind, behind_a_proxy, count, download, error, from, id, json_post, setup, share, visit, with,
};
use crate::support::wait;

#[test]
fn case_18_a_password_and_two_times() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a.txt", b"12345");
    let made = share(
        &alice,
        json!({
            "files": [file["id"]], "code": "Abc1", "password": "芝麻开门", "expire_days": 7, "max_download_count": 2,
        }),
    );
    assert_eq!((&made["password"], &made["has_password"], &made["expire_days"]), (&json!(""), &json!(true), &json!(7)));
    for body in
        [json!({"code": "Abc1"}), json!({"code": "Abc1", "password": ""}), json!({"code": "Abc1", "password": "x"})]
    {
        assert_eq!(error(visit(&node, body), 403), "密码错误");
    }
    let right = json!({"code": "Abc1", "password": "芝麻开门"});
    let told = visit(&node, right.clone()).is(200).json();
    assert_eq!((&told["drop"]["download_count"], &told["drop"]["password"]), (&json!(1), &json!("")));
    assert_eq!(count(visit(&node, right.clone())), 2);
    assert_eq!(error(visit(&node, right), 400), "下载次数已达上限");
    assert_eq!(alice.get("/drop/").is(200).json()[0]["download_count"], 2);
    for body in [json!({}), json!({"code": ""}), json!({"code": null}), json!({"code": ["Abc1"]})] {
        assert_eq!(error(visit(&node, body), 400), "需要提供分享code");
    }
    for code in ["abc1", "Abc1 ", "zzz", "../Abc1", &"x".repeat(500)] {
        assert_eq!(error(visit(&node, json!({"code": code})), 404), "分享不存在", "{code}");
    }
    let clear = std::process::Command::new("grep").args(["-rFl", "芝麻开门"]).arg(node.dir()).output().expect("grep");
    assert!(clear.stdout.is_empty(), "a password is stored in clear: {:?}", String::from_utf8_lossy(&clear.stdout));
}

#[test]
fn case_19_of_a_hundred_at_once_exactly_five_get_through() {
    let mut node = setup().start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a.txt", b"12345");
    share(&alice, json!({"files": [file["id"]], "code": "five", "max_download_count": 5}));
    let replies: Vec<_> = std::thread::scope(|scope| {
        let ask = || visit(&node, json!({"code": "five"}));
        let calls: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        calls.into_iter().map(|call| call.join().expect("a call")).collect()
    });
    let (through, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    let mut counts: Vec<u64> = through.into_iter().map(count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3, 4, 5]);
    for reply in refused {
        assert_eq!(error(reply, 400), "下载次数已达上限");
    }
    node.kill_and_start_again();
    assert_eq!(error(visit(&node, json!({"code": "five"})), 400), "下载次数已达上限");
}

#[test]
fn case_20_who_may_and_until_when() {
    let node = with(&[("SHARE__EXPIRE_DAYS", "[0, 1]")]).start();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let file = alice.file("/", "a.txt", b"12345");
    share(
        &alice,
        json!({"files": [file["id"]], "code": "login", "expire_days": 1, "require_login": true, "max_download_count": 9}),
    );
    for body in [json!({"code": "login"}), json!({"code": "login", "require_login": false})] {
        assert_eq!(error(visit(&node, body), 401), "需要登录后访问");
    }
    assert_eq!(count(bob.post("/drop/get-drop/", json!({"code": "login"}))), 1);
    let stale = super::with_token(json_post("/drop/get-drop/", &json!({"code": "login"})), "stale");
    assert_eq!(error(node.send(&stale), 401), "需要登录后访问", "a token that counts for nothing is none");

    let open = share(&alice, json!({"files": [file["id"]], "code": "open", "expire_days": 1}));
    let stale = super::with_token(json_post("/drop/get-drop/", &json!({"code": "open"})), "stale");
    node.send(&stale).is(200);
    alice.post(&format!("/drop/{}/delete/", id(&open)), json!({})).is(200);
    assert_eq!(error(visit(&node, json!({"code": "open"})), 404), "分享不存在");

    // A lifetime of 0 days, for tests alone: over when it is made.
    let over = share(&alice, json!({"files": [file["id"]], "code": "over", "expire_days": 0}));
    wait::until("it expires", || {
        let told = alice.get(&format!("/drop/{}/", id(&over))).is(200).json();
        (told["is_expired"] == true).then_some(())
    });
    assert_eq!(error(visit(&node, json!({"code": "over"})), 400), "分享已过期");
    assert_eq!(error(download(&node, &file, json!({"code": "over"})), 400), "分享已过期");
    share(&alice, json!({"files": [file["id"]], "code": "over", "expire_days": 1}));
    assert_eq!(count(visit(&node, json!({"code": "over"}))), 1, "its code is free again");
    assert_eq!(alice.get("/drop/").is(200).json().as_array().map(Vec::len), Some(3), "expired ones stay listed");
}

#[test]
fn case_21_downloads_by_code() {
    let mut node = behind_a_proxy().start();
    let alice = Person::register(&node, "alice");
    let (file, other) = (alice.file("/", "报告 1.txt", b"12345"), alice.file("/", "other", b"1"));
    let folder = alice.folder("/", "folder");
    let files = json!([file["id"], folder["id"]]);
    share(&alice, json!({"files": files, "code": "once", "password": "sesame", "max_download_count": 1}));
    let (wrong, right) = (json!({"code": "once"}), json!({"code": "once", "password": "sesame"}));
    assert_eq!(error(download(&node, &file, wrong), 403), "密码错误");
    assert_eq!(error(download(&node, &file, json!({"code": "none"})), 404), "分享不存在");
    assert_eq!(error(download(&node, &other, right.clone()), 404), "分享中没有此文件");
    assert_eq!(count(visit(&node, right.clone())), 1);
    // A visitor that was let in downloads as often as it likes.
    for _ in 0..3 {
        assert_eq!(behind(&node, download(&node, &file, right.clone())), b"12345");
    }
    assert_eq!(error(download(&node, &folder, right.clone()), 400), "文件夹无法下载");
    let target = format!("/file/{}/download/", file["id"]);
    let elsewhere = |address: &str| node.send(&from(json_post(&target, &right), address));
    assert_eq!(error(elsewhere("192.0.2.9"), 400), "下载次数已达上限", "no other visitor was let in");
    node.kill_and_start_again();
    assert_eq!(behind(&node, download(&node, &file, right.clone())), b"12345", "after a restart too");
}

#[test]
fn a6_a_download_without_a_visit_counts_as_one() {
    let node = behind_a_proxy().start();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let file = alice.file("/", "a.txt", b"12345");
    let made = share(&alice, json!({"files": [file["id"]], "code": "two", "max_download_count": 2}));
    let (target, body) = (format!("/file/{}/download/", file["id"]), json!({"code": "two"}));
    for _ in 0..2 {
        node.send(&from(json_post(&target, &body), "192.0.2.1")).is(200);
    }
    // An account is itself wherever it asks from.
    for address in ["192.0.2.1", "192.0.2.2"] {
        node.send(&from(as_person(&bob, &target, &body), address)).is(200);
    }
    assert_eq!(error(node.send(&from(json_post(&target, &body), "192.0.2.3")), 400), "下载次数已达上限");
    let count = || alice.get(&format!("/drop/{}/", id(&made))).is(200).json()["download_count"].clone();
    assert_eq!(count(), 2);
    // What its owner takes away is gone at once, also for who was let in.
    let second = alice.file("/", "b.txt", b"123");
    let both = share(&alice, json!({"files": [file["id"], second["id"]], "code": "both"}));
    assert_eq!(visit(&node, json!({"code": "both"})).is(200).json()["files"].as_array().map(Vec::len), Some(2));
    alice.delete(&second).is(200);
    assert_eq!(error(download(&node, &second, json!({"code": "both"})), 404), "分享中没有此文件");
    download(&node, &file, json!({"code": "both"})).is(200);
    alice.post(&format!("/drop/{}/delete/", id(&both)), json!({})).is(200);
    assert_eq!(error(download(&node, &file, json!({"code": "both"})), 404), "分享不存在");
    node.send(&from(json_post(&target, &body), "192.0.2.1")).is(200);
}

#[test]
fn a5_who_was_let_in_may_keep_the_file() {
    let node = setup().start();
    let (alice, bob, eve) =
        (Person::register(&node, "alice"), Person::register(&node, "bob"), Person::register(&node, "eve"));
    let file = alice.file("/", "a.txt", b"12345");
    let made = share(&alice, json!({"files": [file["id"]], "code": "keep"}));
    bob.post("/drop/get-drop/", json!({"code": "keep"})).is(200);
    let element = json!({
        "name": "mine", "content_type": "text/plain", "size": 5, "oss_url": file["oss_url"], "path": "/",
    });
    let refused = |reply: crate::support::Reply| reply.is(400).json()["errors"]["oss_url"].clone();
    assert_eq!(refused(eve.notify(element.clone())), json!(["文件不存在或无权限"]));
    let kept = bob.notify(element.clone()).is(201).json()["file"].clone();
    assert_eq!((&kept["user_id"], &kept["size"], bob.used()), (&json!(bob.id), &json!(5), 5));
    alice.post(&format!("/drop/{}/delete/", id(&made)), json!({})).is(200);
    assert_eq!(refused(bob.notify(element)), json!(["文件不存在或无权限"]), "with the share the right ends");
    alice.delete(&file).is(200);
    assert_eq!(bob.download(&kept), b"12345", "what was kept is bob's own");
    let names: Vec<Value> = bob.list("/").iter().map(|file| file["name"].clone()).collect();
    assert_eq!(names, [json!("mine")]);
}
