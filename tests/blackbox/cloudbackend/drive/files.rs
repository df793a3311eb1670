//! Records (cloudbackend/CONTRACT.md §A4): case 16, deletion, what others may not.

use serde_json::json;

use super::{Person, error, errors, setup};
use crate::oss::{content, refused};
use crate::support::{Node, Request, wait};

const UNFIT: &str = "Invalid data provided";

/// cloudbackend/CONTRACT.md §C case 16.
#[test]
fn a_record_can_be_changed_and_what_it_is_cannot_be_forged() {
    let node = setup().start();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let file = alice.file("/", "a.txt", b"12345");
    let theirs = bob.file("/", "b.txt", b"secret of bob");
    let target = format!("/file/{}/update/", file["id"]);
    for (change, field, text) in [
        (json!({"oss_url": theirs["oss_url"]}), "oss_url", "文件不存在或无权限"),
        (json!({"oss_url": "http://evil.example/cloud/alice/x"}), "oss_url", "文件不存在或无权限"),
        (json!({"oss_url": "nowhere"}), "oss_url", "Enter a valid URL."),
        (json!({"name": ""}), "name", "This field may not be blank."),
        (json!({"name": "x".repeat(256)}), "name", "Ensure this field has no more than 255 characters."),
        (json!({"size": "many"}), "size", "A valid integer is required."),
        (json!({"path": "/.."}), "path", "路径无效"),
        (json!({"content_type": "folder"}), "content_type", "文件与文件夹不能互换"),
    ] {
        assert_eq!(errors(alice.post(&target, change.clone()), UNFIT), json!({field: [text]}), "{change}");
    }
    let same = alice.post(&target, json!({"size": 1, "id": 77, "whatever": true})).is(200).json();
    assert_eq!((&same["file"], &same["message"]), (&file, &json!("文件信息更新成功")));
    let other = alice.put("alice//other", b"1234567");
    let change = json!({"name": "../b.txt", "content_type": "text/x", "path": "docs", "oss_url": other});
    let changed = alice.post(&target, change).is(200).json()["file"].clone();
    assert_eq!(
        (&changed["name"], &changed["content_type"], &changed["path"], &changed["size"]),
        (&json!("../b.txt"), &json!("text/x"), &json!("/docs/"), &json!(7))
    );
    assert_eq!((alice.used(), alice.download(&changed)), (7, b"1234567".to_vec()));
    assert_eq!(alice.get(&format!("/file/{}/", file["id"])).is(200).json(), changed);

    assert_eq!(error(bob.post(&target, json!({"name": "x"})), 403), "没有权限更新此文件");
    let missing = json!({"error": "文件不存在", "message": "更新文件信息失败"});
    assert_eq!(alice.post("/file/999/update/", json!({"name": "x"})).is(404).json(), missing);
    node.send(&super::json_post(&target, &json!({"name": "x"}))).is(401);
}

#[test]
fn a_deleted_file_is_gone_and_its_object_later() {
    let grace = [("DELETED_GRACE_SECONDS", "2"), ("ORPHAN_SECONDS", "86400")];
    let setup =
        grace.iter().fold(setup(), |setup, (key, value)| setup.env(&format!("SURFACES__CLOUDBACKEND__{key}"), value));
    let node = setup.env("CLEANUP_INTERVAL", "1").start();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let file = alice.file("/", "a.txt", b"12345");
    let url = file["oss_url"].as_str().expect("a text");
    let second = alice.notify(super::element("/", "again", url)).is(201).json()["file"].clone();
    let key = url.strip_prefix(&format!("{}/cloud/", node.url())).expect("an object of this node");
    let (link, target) = (alice.link(&file), format!("/file/{}/delete/", file["id"]));
    refused(node.send(&crate::oss::signed_head("DELETE", key, "", &[])), 409, "FileImmutable");
    assert_eq!(error(bob.post(&target, json!({})), 403), "没有权限删除此文件");

    assert_eq!(alice.delete(&file).is(200).json(), json!({"message": "文件已删除"}));
    assert_eq!((alice.names("/"), alice.used()), (vec!["again".to_owned()], 5));
    let missing = json!({"error": "文件不存在", "message": "删除文件失败"});
    assert_eq!(alice.delete(&file).is(404).json(), missing);
    assert_eq!(bob.post(&target, json!({})).is(404).json(), missing);
    alice.get(&format!("/file/{}/", file["id"])).is(404);
    refused(node.send(&crate::oss::signed_head("DELETE", key, "", &[])), 409, "FileImmutable");
    alice.delete(&second).is(200);
    assert_eq!(alice.used(), 0);
    refused(node.send(&Request::get(&link)), 403, "AccessDenied");
    wait::until("the object is no longer needed", || content(&node, key).is_none().then_some(()));
}

/// "Not carried over" (cloudbackend/CONTRACT.md §A3), and that one sees one's own files only.
#[test]
fn generic_routes_show_ones_own_files_and_change_nothing() {
    let node = setup().start();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let (first, second) = (alice.file("/", "a", b"1"), alice.folder("/x", "b"));
    bob.file("/", "c", b"2");
    assert_eq!(alice.get("/file/").is(200).json(), json!([first, second]));
    assert_eq!(alice.get("/file").is(200).json(), json!([first, second]));
    let one = format!("/file/{}/", first["id"]);
    assert_eq!(alice.get(&one).is(200).json(), first);
    assert_eq!(bob.get(&one).is(404).json(), json!({"detail": "Not found."}));
    node.send(&Request::get(&one)).is(401);
    for (method, target) in
        [("PUT", one.as_str()), ("DELETE", &one), ("POST", &one), ("POST", "/file/"), ("GET", "/file/list/")]
    {
        let reply = alice.send(Request::new(method, target)).is(405);
        assert_eq!(reply.json()["detail"], format!("Method \"{method}\" not allowed."));
        assert!(!reply.field("Allow").contains(method), "{reply:?}");
    }
    for target in ["/file/x/", "/file/-1/", "/file//", "/file/1/x/", "/file/%31/", "/file/../user/"] {
        assert_eq!(alice.get(target).is(404).json(), json!({"detail": "Not found."}), "{target}");
    }
    assert_eq!(alice.used(), 1);
}

#[test]
fn english_when_it_is_configured() {
    let node: Node = setup().env("SURFACES__CLOUDBACKEND__MESSAGES", "en").start();
    let alice = Person::register(&node, "alice");
    let folder = alice.folder("/", "f");
    assert_eq!(alice.post("/file/list/", json!({})).is(200).json()["message"], "Success");
    assert_eq!(
        error(alice.post(&format!("/file/{}/download/", folder["id"]), json!({})), 400),
        "You cannot download a folder"
    );
    assert_eq!(error(alice.post("/file/new-folder/", json!({})), 400), "Need folder_name");
    assert_eq!(error(alice.post("/file/get-token/", json!({})), 400), "Need file_name and file_size");
}
