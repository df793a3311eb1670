//! PostObject (cloudbackend/CONTRACT.md §B4): what a form may be, and each reason it is refused for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::json;

use super::{BOUNDARY, FORM_TYPE, Form, content, policy, refused, setup, signed_until};
use crate::support::{Oracle, Request, audit, wait};

/// Cases 8 and 9.
#[test]
fn the_form_of_the_front_end_is_stored_and_answered_as_it_asks() {
    let node = setup().start();
    let key = "alice//0f3a9c.bin";
    let reply = Form::of_front_end(key, "123456789").post(&node).is(200);
    assert!(reply.body.is_empty());
    assert_eq!(reply.field("Content-Length"), "0");
    assert_eq!(reply.field("ETag"), "\"25F9E794323B453885F5181F1B624D0B\"");
    assert_eq!(reply.field("x-oss-hash-crc64ecma"), "11051210869376104954");
    assert_eq!(reply.field("Content-MD5"), STANDARD.encode(Md5::digest("123456789")));
    assert_eq!(content(&node, key).as_deref(), Some(&b"123456789"[..]));

    for (status, expected) in [(Some("201"), 201), (Some("204"), 204), (Some("999"), 204), (None, 204)] {
        let form = Form::of_front_end("alice/<a&b> 报告.txt", "hello").without("success_action_status");
        let form = status.into_iter().fold(form, |form, status| form.field("success_action_status", status));
        let reply = form.post(&node).is(expected);
        assert_eq!(reply.field("x-oss-hash-crc64ecma"), "11177612005948864433");
        if expected == 201 {
            assert_eq!(reply.field("Content-Type"), "application/xml");
            let document = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Bucket>cloud</Bucket>\
                 <Location>{}/cloud/alice/%3Ca%26b%3E%20%E6%8A%A5%E5%91%8A.txt</Location>\
                 <Key>alice/&lt;a&amp;b&gt; 报告.txt</Key><ETag>\"5D41402ABC4B2A76B9719D911017C592\"</ETag></PostResponse>",
                node.url()
            );
            assert_eq!(String::from_utf8_lossy(&reply.body), document);
        }
    }
}

/// cloudbackend/CONTRACT.md §C case 10, and the table of cloudbackend/CONTRACT.md §B4.
#[test]
fn each_check_has_its_answer_and_stores_nothing() {
    let node = setup().start();
    let good = || Form::of_front_end("alice/x", "hello");
    let with = |conditions| Form::new("alice/x", &policy(conditions), "hello");
    let signed = |text: &str| Form::new("alice/x", &STANDARD.encode(text), "hello");
    let altered = policy(json!([["starts-with", "$key", ""]]));
    let expired = STANDARD.encode(r#"{"expiration":"2020-01-01T00:00:00.000Z","conditions":[{"bucket":"cloud"}]}"#);
    let mut late = good().without("key");
    late.after = vec![("key".into(), "alice/x".into())];
    let mut fileless = good();
    fileless.file = None;
    for (form, status, code) in [
        // 1
        (fileless, 400, "MalformedPOSTRequest"),
        // 2
        (good().field("x", &"x".repeat((2 << 20) + 1)), 400, "FieldItemTooLong"),
        // 3
        (good().without("key"), 400, "InvalidArgument"),
        (late, 400, "InvalidArgument"),
        // 4, 5
        (good().without("OSSAccessKeyId").without("policy").without("signature"), 403, "AccessDenied"),
        (good().without("OSSAccessKeyId"), 400, "InvalidArgument"),
        (good().without("policy"), 400, "InvalidArgument"),
        (good().without("signature"), 400, "InvalidArgument"),
        // 6, 7
        (good().field("OSSAccessKeyId", "another"), 403, "InvalidAccessKeyId"),
        (good().field("policy", &altered), 403, "SignatureDoesNotMatch"),
        (good().field("signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="), 403, "SignatureDoesNotMatch"),
        // 8
        (Form::new("alice/x", "not base64", "hello"), 400, "InvalidPolicyDocument"),
        (signed("{"), 400, "InvalidPolicyDocument"),
        (signed(r#"{"conditions":[{"bucket":"cloud"}]}"#), 400, "InvalidPolicyDocument"),
        (with(json!([])), 400, "InvalidPolicyDocument"),
        (with(json!([["like", "$key", "x"]])), 400, "InvalidPolicyDocument"),
        // 9
        (Form::new("alice/x", &expired, "hello"), 403, "AccessDenied"),
        // 10
        (good().field("key", "bob/x"), 403, "AccessDenied"),
        (with(json!([{"bucket": "other"}])), 403, "AccessDenied"),
        (with(json!([["eq", "$x-oss-meta-a", "b"]])), 403, "AccessDenied"),
        // 11
        (with(json!([{"bucket": "cloud"}])).field("key", ""), 400, "InvalidObjectName"),
        (with(json!([{"bucket": "cloud"}])).field("key", "/x"), 400, "InvalidObjectName"),
        (with(json!([{"bucket": "cloud"}])).field("key", "\\x"), 400, "InvalidObjectName"),
        (with(json!([{"bucket": "cloud"}])).field("key", &"k".repeat(1024)), 400, "InvalidObjectName"),
        // 12, 13
        (with(json!([["content-length-range", 0, 4]])), 400, "EntityTooLarge"),
        (with(json!([["content-length-range", 6, 10]])), 400, "EntityTooSmall"),
        // What is kept goes into heads.
        (good().field("x-oss-meta-a", "b\r\nc: d"), 400, "InvalidArgument"),
        (good().field("x-oss-meta-a", &"m".repeat(9000)), 400, "InvalidArgument"),
    ] {
        let shown: Vec<_> = form.fields.iter().map(|(name, value)| (name, &value[..value.len().min(60)])).collect();
        eprintln!("{status} {code}: {shown:?}");
        refused(form.post(&node), status, code);
    }
    let why = refused(good().field("key", "bob/x").post(&node), 403, "AccessDenied");
    let condition = r#"Invalid according to Policy: Policy Condition failed: ["starts-with", "$key", "alice/"]"#;
    assert!(why.contains(condition), "{why}");
    let why = refused(Form::new("alice/x", &expired, "hello").post(&node), 403, "AccessDenied");
    assert!(why.contains("<Message>Invalid according to Policy: Policy expired.</Message>"), "{why}");

    // 1: what is no form at all.
    for (kind, body) in [
        ("application/json", "{}".to_owned()),
        ("multipart/form-data", format!("--{BOUNDARY}--\r\n")),
        ("multipart/form-data; boundary=", format!("--{BOUNDARY}--\r\n")),
        (FORM_TYPE, String::new()),
        (FORM_TYPE, "nothing of the sort".to_owned()),
        (FORM_TYPE, format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nalice/x")),
        (FORM_TYPE, format!("--{BOUNDARY}--\r\n")),
    ] {
        let request = Request::new("POST", "/cloud").header("Content-Type", kind).body(body);
        refused(node.send(&request), 400, "MalformedPOSTRequest");
    }
    // The content is there, but its end is not.
    let mut torn = good().body();
    torn.truncate(torn.len() - BOUNDARY.len() - 8);
    let request = Request::new("POST", "/cloud").header("Content-Type", FORM_TYPE).body(torn);
    refused(node.send(&request), 400, "MalformedPOSTRequest");
    // 16
    refused(node.send(&good().request().header("Content-MD5", STANDARD.encode([7; 16]))), 400, "InvalidDigest");
    refused(node.send(&good().request().header("Content-MD5", "nonsense")), 400, "InvalidDigest");

    refused(node.send(&Request::new("POST", "/cloud/alice/x").body("x")), 405, "MethodNotAllowed");
    assert_eq!(content(&node, "alice/x"), None);
    wait::until("nothing is left on the disk", || audit::objects_below(node.storage()).is_empty().then_some(()));
}

/// cloudbackend/CONTRACT.md §C case 11; the same for a body that tells no length.
#[test]
fn the_largest_content_passes_and_one_byte_more_does_not() {
    let node = setup().start();
    let policy = policy(json!([["content-length-range", 3, 100_000]]));
    for (key, bytes, status) in
        [("a", 2u64, 400), ("b", 3, 204), ("c", 100_000, 204), ("d", 100_001, 400), ("e", 3_000_000, 400)]
    {
        for chunk in [None, Some(7_000)] {
            let key = format!("u/{key}{}", chunk.is_some());
            let mut request = Form::new(&key, &policy, Oracle(bytes).bytes(0..bytes)).request();
            request.chunk = chunk;
            let reply = node.send(&request);
            if status == 204 {
                reply.is(204);
                assert_eq!(content(&node, &key), Some(Oracle(bytes).bytes(0..bytes)));
            } else {
                refused(reply, 400, if bytes < 3 { "EntityTooSmall" } else { "EntityTooLarge" });
                assert_eq!(content(&node, &key), None);
            }
        }
    }
    assert_eq!(audit::objects_below(node.storage()).len(), 4);
}

#[test]
fn fields_have_no_case_no_order_and_their_words_come_back() {
    let node = setup().start();
    let policy = policy(json!([["starts-with", "$KEY", "u/"], ["in", "$x-oss-meta-a", ["b", "c"]]]));
    let mut form = Form::new("u/dir/${filename}", &policy, "hello");
    form.filename = Some("报告 1.txt".into());
    form.file_type = Some("text/plain".into());
    form.fields = form.fields.iter().rev().map(|(name, value)| (name.to_uppercase(), value.clone())).collect();
    form = form
        .field("Cache-Control", "max-age=7")
        .field("Content-Disposition", "inline; filename=\"a.txt\"")
        .field("Content-Encoding", "identity")
        .field("Expires", "Tue, 01 Jan 2030 00:00:00 GMT")
        .field("X-Oss-Meta-A", "b")
        .field("x-oss-object-acl", "public-read")
        .field("callback", "e30=");
    form.after = vec![("submit".into(), "Upload".into())];
    form.post(&node).is(204);
    let reply = node.send(&Request::get(&signed_until("GET", "u/dir/报告 1.txt", &[], super::LATER))).is(200);
    for (name, value) in [
        ("Content-Type", "text/plain"),
        ("Cache-Control", "max-age=7"),
        ("Content-Disposition", "inline; filename=\"a.txt\""),
        ("Content-Encoding", "identity"),
        ("Expires", "Tue, 01 Jan 2030 00:00:00 GMT"),
        ("x-oss-meta-a", "b"),
        ("x-oss-object-type", "Normal"),
        ("ETag", "\"5D41402ABC4B2A76B9719D911017C592\""),
        ("x-oss-hash-crc64ecma", "11177612005948864433"),
        ("Accept-Ranges", "bytes"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "sandbox"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{reply:?}");
    }
    assert_eq!(reply.header("x-oss-object-acl"), None);
    assert_eq!(reply.body, b"hello");

    // The precedence of content types.
    let typed = |field: Option<&str>, part: Option<&str>, own: Option<&str>| {
        let mut form = Form::of_front_end("alice/t", "x");
        form.file_type = part.map(str::to_owned);
        let fields = [("Content-Type", field), ("x-oss-content-type", own)];
        for (name, value) in fields {
            form = value.into_iter().fold(form, |form, value| form.field(name, value));
        }
        form.post(&node).is(200);
        let reply = node.send(&Request::get(&signed_until("GET", "alice/t", &[], super::LATER))).is(200);
        reply.field("Content-Type").to_owned()
    };
    assert_eq!(typed(Some("a/field"), Some("a/part"), Some("a/own")), "a/own");
    assert_eq!(typed(Some("a/field"), Some("a/part"), None), "a/part");
    assert_eq!(typed(Some("a/field"), None, None), "a/field");
    assert_eq!(typed(None, None, None), "application/octet-stream");
}

#[test]
fn a_key_is_overwritten_whole_or_not_at_all() {
    let node = setup().start();
    let form = |content: &str| Form::of_front_end("alice/x", content);
    form("one").post(&node).is(200);
    form("second").post(&node).is(200);
    assert_eq!(content(&node, "alice/x").as_deref(), Some(&b"second"[..]));
    refused(form("third").field("x-oss-forbid-overwrite", "true").post(&node), 409, "FileAlreadyExists");
    form("fourth").field("x-oss-forbid-overwrite", "false").post(&node).is(200);
    let refusal = node.send(&form("fifth").request().header("Content-MD5", STANDARD.encode([0; 16])));
    refused(refusal, 400, "InvalidDigest");
    assert_eq!(content(&node, "alice/x").as_deref(), Some(&b"fourth"[..]));
    let digest = STANDARD.encode(Md5::digest("sixth"));
    node.send(&form("sixth").request().header("Content-MD5", digest)).is(200);
    assert_eq!(content(&node, "alice/x").as_deref(), Some(&b"sixth"[..]));
    wait::until("what was replaced is gone", || (audit::objects_below(node.storage()).len() == 1).then_some(()));
}

/// cloudbackend/CONTRACT.md §B4 check 14: the user whose prefix it is pays, and no other user.
#[test]
fn the_quota_of_a_prefix_is_kept() {
    let node = setup().env("SURFACES__CLOUDBACKEND__USER_QUOTA", "1000").start();
    let open = policy(json!([{"bucket": "cloud"}]));
    let form = |key: &str, bytes: usize| Form::new(key, &open, vec![b'x'; bytes]);
    form("alice/1", 600).post(&node).is(204);
    refused(form("alice/2", 600).post(&node), 403, "QuotaExceeded");
    form("alice/3", 400).post(&node).is(204);
    refused(form("alice/4", 1).post(&node), 403, "QuotaExceeded");
    // What adds no byte fits.
    form("alice/empty 1", 0).post(&node).is(204);
    let put = |key: &str| super::signed_head("PUT", key, "", &[]);
    node.send(&put("alice/empty 2")).is(200);
    node.send(&put("alice/empty 3").chunked(1)).is(200);
    for key in ["alice/empty 1", "alice/empty 2", "alice/empty 3"] {
        assert_eq!(content(&node, key).as_deref(), Some(&b""[..]), "{key}");
    }
    refused(node.send(&put("alice/4").body("x").chunked(1)), 403, "QuotaExceeded");
    form("bob/1", 1000).post(&node).is(204);
    node.send(&super::signed_head("DELETE", "alice/1", "", &[])).is(204);
    wait::until("the bytes are given back", || (form("alice/4", 500).post(&node).status == 204).then_some(()));
    for key in ["alice/1", "alice/2"] {
        assert_eq!(content(&node, key), None, "{key}");
    }
}

/// The node's limit is not the user's.
#[test]
fn a_node_without_room_is_no_used_up_quota() {
    let node = setup().env("MAX_STORAGE_SIZE", "1000").start();
    let open = policy(json!([{"bucket": "cloud"}]));
    let form = |key: &str, bytes: usize| Form::new(key, &open, vec![b'x'; bytes]);
    refused(form("alice/1", 1001).post(&node), 507, "InsufficientStorage");
    form("alice/2", 1000).post(&node).is(204);
    refused(form("alice/3", 1).post(&node), 507, "InsufficientStorage");
}

/// cloudbackend/CONTRACT.md §C case 24, and cloudbackend/CONTRACT.md §B2: pages of other origins; curl with a
/// preflight's eyes.
#[test]
fn pages_of_other_origins_may_post() {
    let node = setup().start();
    for target in ["/cloud", "/cloud/", "/cloud/alice//x"] {
        let request = Request::new("OPTIONS", target)
            .header("Origin", "http://front.example")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "x-requested-with, content-type");
        let reply = node.send(&request).is(200);
        for (name, value) in [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, HEAD"),
            ("Access-Control-Allow-Headers", "x-requested-with, content-type"),
            ("Access-Control-Expose-Headers", "ETag, x-oss-request-id"),
            ("Access-Control-Max-Age", "3600"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{reply:?}");
        }
        reply.field("x-oss-request-id");
    }
    let form = Form::of_front_end("alice/x", "hello").request().header("Origin", "http://front.example");
    for reply in [
        node.send(&form).is(200),
        node.send(&Request::get(&signed_until("GET", "alice/x", &[], super::LATER)).header("Origin", "http://a"))
            .is(200),
        node.send(&Request::get("/cloud/alice/x").header("Origin", "http://a")).is(403),
    ] {
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"), "{reply:?}");
        assert!(
            reply.header("Access-Control-Expose-Headers").is_some_and(|fields| fields.contains("ETag")),
            "{reply:?}"
        );
        reply.field("x-oss-request-id");
        reply.field("Server");
        reply.field("Date");
    }
    // Signed with a form, nothing else is looked at.
    let request = Form::of_front_end("alice/y", "hello").request().header("Authorization", "OSS unknown:nothing");
    node.send(&request).is(200);
    let mut request = Form::of_front_end("alice/z", "hello").request();
    request.target = "/cloud/?Signature=x&OSSAccessKeyId=y".into();
    node.send(&request).is(200);
}
