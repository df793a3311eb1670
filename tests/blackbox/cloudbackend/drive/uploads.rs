//! Token, form, notify (cloudbackend/CONTRACT.md §A5): cases 7, 8, 12, 13, 15.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Person, element, error, errors, setup};
use crate::oss::{KEY_ID, refused, sign};
use crate::support::{Node, Request};

const UNFIT: &str = "Invalid file data provided";

fn node() -> Node {
    setup().start()
}

/// cloudbackend/CONTRACT.md §C case 7.
#[test]
fn a_token_has_everything_a_form_needs() {
    let node = node();
    let alice = Person::register(&node, "alice");
    let told = alice.get("/file/get-token/").is(200).json();
    assert_eq!(told["message"], "已生成token");
    let token = &told["token"];
    for (member, value) in [
        ("accessid", json!(KEY_ID)),
        ("access_key_id", json!(KEY_ID)),
        ("bucket", json!("cloud")),
        ("endpoint", json!(node.url())),
        ("prefix", json!("alice/")),
        ("host", json!(format!("{}/cloud", node.url()))),
        ("max_file_size", json!(104_857_600)),
    ] {
        assert_eq!(token[member], value, "{member}: {token}");
    }
    let policy = token["policy"].as_str().expect("a text");
    assert_eq!(token["signature"], sign(policy.as_bytes()));
    let policy: Value = serde_json::from_slice(&STANDARD.decode(policy).expect("base64")).expect("JSON");
    let conditions =
        json!([{"bucket": "cloud"}, ["starts-with", "$key", "alice/"], ["content-length-range", 0, 104_857_600]]);
    assert_eq!((&policy["conditions"], &policy["expiration"]), (&conditions, &token["expiration"]));
    let ends = token["expiration"].as_str().expect("a text");
    assert!(ends.len() == 24 && ends.ends_with('Z'), "{ends}");

    let announce = |body: Value| alice.post("/file/get-token/", body);
    let told = announce(json!({"file_name": "a.pdf", "file_size": 20_971_520, "content_type": "application/pdf"}));
    let told = told.is(200).json();
    let size = (&told["token"]["max_file_size"], &told["token"]["declared_file_size"]);
    assert_eq!(size, (&json!(20_971_520 + 2_097_152), &json!(20_971_520)));
    let id = told["upload_id"].as_str().expect("a text");
    assert!(id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    for body in [
        json!({}),
        json!({"file_name": "a"}),
        json!({"file_size": 5}),
        json!({"file_name": "", "file_size": 5}),
        json!({"file_name": "a", "file_size": 0}),
    ] {
        assert_eq!(error(announce(body), 400), "需要提供file_name和file_size");
    }
    for size in [json!("abc"), json!(-1), json!(1.5), json!([1])] {
        assert_eq!(error(announce(json!({"file_name": "a", "file_size": size})), 400), "file_size必须是整数");
    }
    let too_much = announce(json!({"file_name": "a", "file_size": 10_737_418_241_u64}));
    assert_eq!(error(too_much, 400), "存储空间不足");
    node.send(&Request::get("/file/get-token/")).is(401);
}

/// cloudbackend/CONTRACT.md §C case 8.
#[test]
fn what_was_posted_and_told_is_a_file() {
    let node = node();
    let alice = Person::register(&node, "alice");
    let content = b"123456789".repeat(1000);
    let url = alice.put("alice//0f3a9c.bin", &content);
    let told = alice.notify(json!([element("/", "报告.pdf", &url)])).is(201).json();
    assert_eq!(told["message"], "Successfully created 1 file record(s)");
    let file = &told["file"];
    assert_eq!(told["files"], json!([file]));
    for (member, value) in [
        ("name", json!("报告.pdf")),
        ("content_type", json!("application/pdf")),
        ("size", json!(9000)),
        ("oss_url", json!(url)),
        ("path", json!("/")),
        ("user_id", json!(alice.id)),
    ] {
        assert_eq!(file[member], value, "{member}");
    }
    let created = file["created_at"].as_str().expect("a time");
    assert!(created.len() == 27 && created.ends_with('Z'), "{created}");
    let listed = alice.post("/file/list/", json!({})).is(200).json();
    assert_eq!((&listed["files"], &listed["message"]), (&json!([file]), &json!("文件列表获取成功")));
    assert_eq!((&listed["quota"], &listed["used_space"]), (&json!(10_737_418_240_u64), &json!(9000)));
    assert_eq!(alice.download(file), content);

    // Bodies of either shape, and of a form; an empty array; a file told twice is two.
    let again = alice.notify(element("docs", "b.pdf", &url)).is(201).json();
    assert_eq!(again["file"]["path"], "/docs/");
    let form =
        format!("name=c.pdf&content_type=text%2Fplain&size=5&oss_url={}", super::encoded(&url).replace('/', "%2F"));
    let form =
        Request::new("POST", "/file/uploaded").header("Content-Type", "application/x-www-form-urlencoded").body(form);
    assert_eq!(alice.send(form).is(201).json()["file"]["size"], 9000);
    let none = alice.notify(json!([])).is(201).json();
    assert_eq!((&none["files"], &none["file"]), (&json!([]), &json!(null)));
    assert_eq!(alice.used(), 27_000);
}

/// cloudbackend/CONTRACT.md §C case 12, by the URL the API makes.
#[test]
fn a_download_url_is_signed_for_one_thing_and_a_time() {
    let node = node();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "文 \"x\".html", b"123456789");
    let url = alice.link(&file);
    let reply = node.send(&Request::get(&url)).is(200);
    assert_eq!(reply.body, b"123456789");
    let disposition = "attachment; filename=\"_ _x_.html\"; filename*=UTF-8''%E6%96%87%20%22x%22.html";
    assert_eq!(reply.field("Content-Disposition"), disposition);
    assert_eq!(node.send(&Request::get(&url).header("Range", "bytes=0-3")).is(206).body, b"1234");
    node.send(&Request::new("HEAD", &url)).is(403);
    refused(node.send(&Request::get(&url.replace("Signature=", "Signature=A"))), 403, "SignatureDoesNotMatch");
    refused(node.send(&Request::get(&url.replace("%25E6", "%25E5"))), 403, "SignatureDoesNotMatch");
    let before = url.split("Expires=").nth(1).and_then(|rest| rest.split('&').next()).expect("a time");
    let expired = url.replace(before, "1000000000");
    assert!(refused(node.send(&Request::get(&expired)), 403, "AccessDenied").contains("Request has expired."));

    let target = format!("/file/{}/download/", file["id"]);
    node.send(&Request::new("POST", &target)).is(401);
    let bob = Person::register(&node, "bob");
    assert_eq!(error(bob.post(&target, json!({})), 403), "没有权限下载此文件");
    let missing = json!({"error": "文件不存在", "message": "生成下载链接失败"});
    assert_eq!(bob.post("/file/999/download/", json!({})).is(404).json(), missing);
}

/// cloudbackend/CONTRACT.md §C case 13.
#[test]
fn any_name_goes_all_the_way() {
    let node = node();
    let alice = Person::register(&node, "alice");
    for (number, key) in [
        "alice//报告 1.pdf",
        "alice/a b",
        "alice/#hash",
        "alice/100%",
        "alice/a+b",
        "alice/(1)!'*~.txt",
        "alice//double//slash",
        "alice/a?b=c&d",
        "alice/..",
        "alice/./../../x",
        "alice/%2e%2e",
        "alice/<\"'&>",
        "alice/\\",
    ]
    .into_iter()
    .enumerate()
    {
        let content = format!("content {number}");
        let url = alice.put(key, content.as_bytes());
        let name = key.strip_prefix("alice/").expect("a prefix");
        let file = alice.notify(element("/", name, &url)).is(201).json()["file"].clone();
        assert_eq!((&file["name"], &file["oss_url"]), (&json!(name), &json!(url)));
        assert_eq!(alice.download(&file), content.as_bytes(), "{key}");
    }
}

/// cloudbackend/CONTRACT.md §C case 15.
#[test]
fn only_what_is_there_and_ones_own_becomes_a_file() {
    let node = node();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let good = alice.put("alice//good", b"good");
    let theirs = bob.put("bob//secret", b"secret");
    bob.notify(element("/", "secret", &theirs)).is(201);
    let no_object = json!({"oss_url": ["文件不存在或无权限"]});
    for url in [
        theirs,
        alice.url("alice//missing"),
        "http://evil.example/cloud/alice//good".into(),
        good.replace("/cloud/", "/clouds/"),
        good.replace("/alice/", "/bob/"),
        format!("{good}?x=y"),
    ] {
        assert_eq!(errors(alice.notify(element("/", "x", &url)), UNFIT), no_object, "{url}");
        let both = json!([element("/", "good", &good), element("/", "bad", &url)]);
        assert_eq!(errors(alice.notify(both), UNFIT), no_object, "{url}");
    }
    let element = |change: &dyn Fn(&mut Value)| {
        let mut element = element("/", "x", &good);
        change(&mut element);
        element
    };
    let required = "This field is required.";
    for (element, field, text) in [
        (element(&|e| drop(e.as_object_mut().expect("an object").remove("name"))), "name", required),
        (element(&|e| drop(e.as_object_mut().expect("an object").remove("size"))), "size", required),
        (element(&|e| drop(e.as_object_mut().expect("an object").remove("oss_url"))), "oss_url", required),
        (element(&|e| e["name"] = json!(" ")), "name", "This field may not be blank."),
        (element(&|e| e["size"] = json!("abc")), "size", "A valid integer is required."),
        (element(&|e| e["oss_url"] = json!("alice//good")), "oss_url", "Enter a valid URL."),
        (
            element(&|e| e["content_type"] = json!("x".repeat(256))),
            "content_type",
            "Ensure this field has no more than 255 characters.",
        ),
        (element(&|e| e["path"] = json!("/a/../b")), "path", "路径无效"),
    ] {
        assert_eq!(errors(alice.notify(element.clone()), UNFIT), json!({field: [text]}), "{element}");
    }
    alice.notify(json!([5])).is(400);
    assert_eq!((alice.list("/"), alice.used()), (vec![], 0));
    node.send(&super::json_post("/file/uploaded/", &json!([]))).is(401);
    alice.notify(json!([super::element("/", "a", &good), super::element("/", "b", &good)])).is(201);
    assert_eq!(alice.names("/"), ["a", "b"]);
}

#[test]
fn an_upload_id_stands_for_what_was_announced_once() {
    let node = node();
    let (alice, bob) = (Person::register(&node, "alice"), Person::register(&node, "bob"));
    let announced = json!({"file_name": "a.pdf", "file_size": 7, "content_type": "application/pdf"});
    let id = alice.post("/file/get-token/", announced).is(200).json()["upload_id"].clone();
    let url = alice.put("alice//a", b"content");
    let foreign = bob.notify(json!({"upload_id": id, "oss_url": url})).is(403).json();
    let session = |error: &str, message: &str| json!({"error": error, "message": message});
    assert_eq!(foreign, session("Permission denied", "Upload session belongs to different user"));
    let urlless = alice.notify(json!({"upload_id": id})).is(400).json();
    assert_eq!(urlless, session("oss_url is required", "Missing oss_url"));
    let twice = json!({"upload_id": id, "oss_url": url});
    let unknown = session("Invalid or expired upload_id", "Upload session not found");
    assert_eq!(alice.notify(json!([twice, twice])).is(400).json(), unknown);
    let file = alice.notify(json!({"upload_id": id, "oss_url": url, "path": "/docs"})).is(201).json()["file"].clone();
    let told = (&file["name"], &file["content_type"], &file["size"], &file["path"]);
    assert_eq!(told, (&json!("a.pdf"), &json!("application/pdf"), &json!(7), &json!("/docs/")));
    for id in [id, json!("0".repeat(32)), json!("x"), json!(5)] {
        assert_eq!(alice.notify(json!({"upload_id": id, "oss_url": url})).is(400).json(), unknown, "{id}");
    }
}
