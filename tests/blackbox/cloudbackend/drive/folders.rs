//! Folders (cloudbackend/CONTRACT.md §A4): case 17.

use serde_json::{Value, json};

use super::{Person, error, errors, setup};

/// cloudbackend/CONTRACT.md §C case 17.
#[test]
fn what_is_in_a_folder_goes_where_it_goes() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    let told = alice.post("/file/new-folder/", json!({"folder_name": "新文件夹"})).is(201).json();
    assert_eq!(told["message"], "文件夹创建成功");
    let folder = told["folder"].clone();
    let kind = (&folder["content_type"], &folder["size"], &folder["oss_url"], &folder["path"]);
    assert_eq!(kind, (&json!("folder"), &json!(0), &json!(""), &json!("/")));
    let deep = alice.folder("/新文件夹/", "deep");
    let file = alice.file("新文件夹/deep", "a.txt", b"12345");
    alice.file("/新文件夹2", "beside", b"1");
    for path in ["新文件夹/deep", "/新文件夹/deep", "//新文件夹///deep/"] {
        assert_eq!(alice.list(path), std::slice::from_ref(&file), "{path}");
    }
    assert_eq!(alice.names("/"), ["新文件夹"], "only what is directly there");

    let renamed = alice.update(&folder, json!({"name": "documents"})).is(200).json()["file"].clone();
    assert_eq!((&renamed["id"], &renamed["name"]), (&folder["id"], &json!("documents")));
    for path in ["documents", "/documents", "/documents/"] {
        assert_eq!(alice.names(path), ["deep"], "{path}");
    }
    assert_eq!((alice.list("/新文件夹"), alice.names("/documents/deep")), (vec![], vec!["a.txt".to_owned()]));
    // A client that moves what is in it by itself gets the same.
    alice.update(&deep, json!({"path": "/documents/"})).is(200);
    alice.update(&file, json!({"path": "/documents/deep/"})).is(200);
    assert_eq!(alice.names("/documents/deep"), ["a.txt"]);

    let moved = alice.update(&renamed, json!({"path": "/far/away"})).is(200).json()["file"].clone();
    assert_eq!(alice.names("/far/away/documents/deep"), ["a.txt"]);
    for path in ["/far/away/documents", "/far/away/documents/deep/x"] {
        let refused = alice.update(&moved, json!({"path": path}));
        assert_eq!(errors(refused, "Invalid data provided"), json!({"path": ["路径无效"]}), "{path}");
    }
    assert_eq!(alice.names("/far/away/documents/deep"), ["a.txt"]);

    let link = format!("/file/{}/download/", moved["id"]);
    assert_eq!(error(alice.post(&link, json!({})), 400), "文件夹无法下载");
    assert_eq!(alice.used(), 6);
    alice.delete(&moved).is(200);
    assert_eq!((alice.list("/far/away"), alice.list("/far/away/documents/deep"), alice.used()), (vec![], vec![], 1));
    alice.get(&format!("/file/{}/", file["id"])).is(404);
    assert_eq!(alice.names("/新文件夹2"), ["beside"]);
}

/// cloudbackend/CONTRACT.md §A6: a folder of a share is listed, and asking for its content costs no download.
#[test]
fn a_shared_folder_is_shown_and_not_downloaded() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    let folder = alice.folder("/", "f");
    alice.post("/drop/create/", json!({"files": [folder["id"]], "code": "folder"})).is(201);
    let link = super::json_post(&format!("/file/{}/download/", folder["id"]), &json!({"code": "folder"}));
    assert_eq!(error(node.send(&link), 400), "文件夹无法下载");
    let visit = super::json_post("/drop/get-drop/", &json!({"code": "folder"}));
    assert_eq!(node.send(&visit).is(200).json()["files"], json!([folder]), "the one visit is still there");
}

#[test]
fn names_of_folders_are_single_segments() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    let make = |body: Value| alice.post("/file/new-folder/", body);
    for body in [json!({}), json!({"folder_name": ""}), json!({"folder_name": null})] {
        assert_eq!(error(make(body), 400), "需要提供folder_name");
    }
    for name in ["a/b", "/", ".", "..", "a\0b", &"x".repeat(256)] {
        assert_eq!(error(make(json!({"folder_name": name})), 400), "文件夹名称无效", "{name:?}");
    }
    let path = errors(make(json!({"folder_name": "a", "path": "/x/../y"})), "Invalid file data provided");
    assert_eq!(path, json!({"path": ["路径无效"]}));
    let listed = errors(alice.post("/file/list/", json!({"path": ".."})), "Invalid file data provided");
    assert_eq!(listed, json!({"path": ["路径无效"]}));
    assert_eq!(alice.list("/"), Vec::<Value>::new());
    // Two of a name are fine, and so is a folder that was told as if it were uploaded.
    let (one, two) = (alice.folder("/", "same"), alice.folder("/", "same"));
    assert_ne!(one["id"], two["id"]);
    let told = json!({"name": "told", "content_type": "folder", "size": 0, "path": "/"});
    let folder = alice.notify(told).is(201).json()["file"].clone();
    assert_eq!((&folder["content_type"], &folder["oss_url"]), (&json!("folder"), &json!("")));
    for change in [json!({"name": "a/b"}), json!({"content_type": "text/plain"}), json!({"oss_url": "http://x/y"})] {
        errors(alice.update(&folder, change), "Invalid data provided");
    }
    alice.update(&folder, json!({"oss_url": "", "size": 0, "content_type": "folder"})).is(200);
    assert_eq!(alice.names("/"), ["same", "same", "told"]);
}
