//! Signed URLs (cloudbackend/CONTRACT.md §B6) and signed heads (cloudbackend/CONTRACT.md §B5) against the running
//! server.

use std::time::SystemTime;

use super::{
    Form, KEY_ID, LATER, content, date, minutes, policy, refused, setup, signed_head, signed_head_at, signed_until,
};
use crate::support::{Node, Request};

fn with_object(key: &str) -> Node {
    let node = setup().start();
    post(&node, key, "123456789");
    node
}

#[track_caller]
fn post(node: &Node, key: &str, content: &str) {
    Form::new(key, &policy(serde_json::json!([{"bucket": "cloud"}])), content).post(node).is(204);
}

/// cloudbackend/CONTRACT.md §C case 12.
#[test]
fn a_signed_url_is_good_for_what_it_was_signed_for() {
    let node = with_object("u1/a.txt");
    let url = signed_until("GET", "u1/a.txt", &[], LATER);
    assert_eq!(node.send(&Request::get(&url)).is(200).body, b"123456789");
    let part = node.send(&Request::get(&url).header("Range", "bytes=0-3")).is(206);
    assert_eq!((part.field("Content-Range"), part.body.as_slice()), ("bytes 0-3/9", &b"1234"[..]));
    assert_eq!(part.header("x-oss-hash-crc64ecma"), None, "it is that of the whole");

    let expired = signed_until("GET", "u1/a.txt", &[], 1_000_000_000);
    let why = refused(node.send(&Request::get(&expired)), 403, "AccessDenied");
    assert!(why.contains("<Message>Request has expired.</Message>"), "{why}");
    // The time is judged before the signature.
    let forged = expired.replace("Signature=", "Signature=A");
    assert!(refused(node.send(&Request::get(&forged)), 403, "AccessDenied").contains("expired"));

    let changed = url.replace("Signature=", "Signature=A");
    let why = refused(node.send(&Request::get(&changed)), 403, "SignatureDoesNotMatch");
    assert!(why.contains(&format!("<OSSAccessKeyId>{KEY_ID}</OSSAccessKeyId><SignatureProvided>A")), "{why}");
    assert!(!why.contains("/cloud/u1") && !why.contains("StringToSign"), "the text to sign is not shown: {why}");
    for method in ["PUT", "DELETE"] {
        refused(node.send(&Request::new(method, &url)), 403, "SignatureDoesNotMatch");
    }
    let head = node.send(&Request::new("HEAD", &url)).is(403);
    assert!(head.body.is_empty());
    node.send(&Request::new("HEAD", &signed_until("HEAD", "u1/a.txt", &[], LATER))).is(200);

    for (query, status, code) in [
        ("", 403, "AccessDenied"),
        ("?Signature=x", 403, "AccessDenied"),
        ("?Expires=4102444800&Signature=x", 403, "AccessDenied"),
        ("?OSSAccessKeyId=x&Expires=soon&Signature=x", 403, "AccessDenied"),
        ("?OSSAccessKeyId=unknown&Expires=4102444800&Signature=x", 403, "InvalidAccessKeyId"),
    ] {
        refused(node.send(&Request::get(&format!("/cloud/u1/a.txt{query}"))), status, code);
    }
    let mut both = signed_head("GET", "u1/a.txt", "", &[]);
    both.target.clone_from(&url);
    refused(node.send(&both), 400, "InvalidArgument");
    let twice = format!("{url}&Signature=x&Expires=1");
    node.send(&Request::get(&twice)).is(200);
    assert_eq!(content(&node, "u1/a.txt").as_deref(), Some(&b"123456789"[..]));
}

/// cloudbackend/CONTRACT.md §C case 13.
#[test]
fn any_name_can_be_posted_and_fetched() {
    let node = setup().start();
    for key in [
        "u/报告 1.pdf",
        "u/a b",
        "u/#hash",
        "u/100%",
        "u/a+b",
        "u//double//slash",
        "u/a?b=c&d",
        "u/..",
        "u/./../x",
        "u/%2e%2e",
        "u/\u{202e}gpj.exe",
        "u/quo\"te'",
        "u/semi;colon",
        "u/back\\slash",
        "u/emoji 😀",
        "no-prefix",
    ] {
        // Quotes are how a form says where a name ends, not what is in it: the key is a field, so any text will do.
        post(&node, key, key);
        assert_eq!(content(&node, key).as_deref(), Some(key.as_bytes()), "{key}");
        // Some clients encode the slashes too.
        let url = signed_until("GET", key, &[], LATER);
        let (path, query) = url.split_once('?').expect("it is signed");
        let encoded = format!("/cloud/{}?{query}", path["/cloud/".len()..].replace('/', "%2F"));
        assert_eq!(node.send(&Request::get(&encoded)).is(200).body, key.as_bytes(), "{key}");
    }
}

#[test]
fn signed_parameters_change_the_words_of_an_answer() {
    let node = with_object("u1/a.txt");
    let wanted = [
        ("response-cache-control", "no-cache"),
        ("response-content-disposition", "attachment; filename=\"x y.txt\""),
        ("response-content-type", "text/x-test"),
        ("response-expires", "0"),
    ];
    let url = signed_until("GET", "u1/a.txt", &wanted, LATER);
    let reply = node.send(&Request::get(&url)).is(200);
    for (name, value) in [
        ("Cache-Control", "no-cache"),
        ("Content-Disposition", "attachment; filename=\"x y.txt\""),
        ("Content-Type", "text/x-test"),
        ("Expires", "0"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{reply:?}");
    }
    let unsigned = format!("{}&response-content-type=text/html", signed_until("GET", "u1/a.txt", &[], LATER));
    refused(node.send(&Request::get(&unsigned)), 403, "SignatureDoesNotMatch");
    let other = format!("{}&anything=else", signed_until("GET", "u1/a.txt", &[], LATER));
    node.send(&Request::get(&other)).is(200);
    let split = signed_until("GET", "u1/a.txt", &[("response-expires", "0\r\nSet-Cookie: a=b")], LATER);
    refused(node.send(&Request::get(&split)), 400, "InvalidArgument");
    // Whatever the type: a page of this origin does not run it.
    let page = signed_until("GET", "u1/a.txt", &[("response-content-type", "text/html")], LATER);
    let page = node.send(&Request::get(&page)).is(200);
    assert_eq!(page.field("Content-Disposition"), "attachment");
    assert_eq!(page.field("Content-Security-Policy"), "sandbox");
}

#[test]
fn b5_heads_are_signed_with_their_time() {
    let node = with_object("u1/a.txt");
    let now = SystemTime::now();
    node.send(&signed_head("GET", "u1/a.txt", "", &[])).is(200);
    node.send(&signed_head("GET", "u1/a.txt", "", &[("x-oss-meta-b", "1"), ("x-oss-a", "2"), ("content-type", "a/b")]))
        .is(200);
    node.send(&signed_head_at("GET", "u1/a.txt", "", &[], &date(now - minutes(14)))).is(200);
    for far in [now - minutes(16), now + minutes(16)] {
        refused(node.send(&signed_head_at("GET", "u1/a.txt", "", &[], &date(far))), 403, "RequestTimeTooSkewed");
    }
    refused(node.send(&signed_head("GET", "u1/a.txt", "", &[]).without("Date")), 403, "AccessDenied");
    refused(
        node.send(&signed_head("GET", "u1/a.txt", "", &[]).header("x-oss-extra", "1")),
        403,
        "SignatureDoesNotMatch",
    );
    let with = |value: &str| Request::get("/cloud/u1/a.txt").header("Date", date(now)).header("Authorization", value);
    refused(node.send(&with("OSS unknown:x")), 403, "InvalidAccessKeyId");
    refused(node.send(&with(&format!("OSS {KEY_ID}:x"))), 403, "SignatureDoesNotMatch");
    for value in ["OSS", "Basic eDp5", "OSS2 AccessKeyId:x", "OSS4-HMAC-SHA256 Credential=x"] {
        refused(node.send(&with(value)), 400, "InvalidArgument");
    }
}
