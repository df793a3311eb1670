//! GET, HEAD, PUT, DELETE of objects (cloudbackend/CONTRACT.md §B7).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::{Form, LATER, content, refused, setup, signed_head, signed_until};
use crate::support::{Oracle, Request, audit, wait};

#[test]
fn put_get_head_delete() {
    let node = setup().start();
    let digest = STANDARD.encode(Md5::digest("123456789"));
    let fields = [
        ("content-type", "text/x-test"),
        ("content-md5", digest.as_str()),
        ("x-oss-meta-who", "me"),
        ("cache-control", "no-cache"),
    ];
    let reply = node.send(&signed_head("PUT", "u/a", "", &fields).body("123456789")).is(200);
    assert_eq!(reply.field("ETag"), "\"25F9E794323B453885F5181F1B624D0B\"");
    assert_eq!(reply.field("x-oss-hash-crc64ecma"), "11051210869376104954");
    for query in ["", "objectMeta"] {
        let reply = node.send(&signed_head("HEAD", "u/a", query, &[])).is(200);
        for (name, value) in [
            ("Content-Type", "text/x-test"),
            ("Content-Length", "9"),
            ("ETag", "\"25F9E794323B453885F5181F1B624D0B\""),
            ("x-oss-hash-crc64ecma", "11051210869376104954"),
            ("x-oss-meta-who", "me"),
            ("Cache-Control", "no-cache"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{reply:?}");
        }
        reply.field("Last-Modified");
    }
    // Without a length, and as a signed URL.
    let put =
        Request::new("PUT", &signed_until("PUT", "u/b", &[], LATER)).body(Oracle(1).bytes(0..300_000)).chunked(9_999);
    node.send(&put).is(200);
    assert_eq!(content(&node, "u/b"), Some(Oracle(1).bytes(0..300_000)));
    // Nothing is an object too.
    node.send(&signed_head("PUT", "u/empty", "", &[])).is(200);
    let empty =
        node.send(&Request::get(&signed_until("GET", "u/empty", &[], LATER)).header("Range", "bytes=0-1,3-4")).is(200);
    assert_eq!((empty.field("Content-Length"), empty.field("ETag")), ("0", "\"D41D8CD98F00B204E9800998ECF8427E\""));
    assert_eq!(empty.field("x-oss-hash-crc64ecma"), "0");
    // 16, 15
    let wrong = [("content-md5", STANDARD.encode([1; 16]))];
    let wrong: Vec<(&str, &str)> = wrong.iter().map(|(name, value)| (*name, value.as_str())).collect();
    refused(node.send(&signed_head("PUT", "u/a", "", &wrong).body("other")), 400, "InvalidDigest");
    let forbid = [("x-oss-forbid-overwrite", "true")];
    refused(node.send(&signed_head("PUT", "u/a", "", &forbid).body("other")), 409, "FileAlreadyExists");
    assert_eq!(content(&node, "u/a").as_deref(), Some(&b"123456789"[..]));
    for key in ["u/a", "u/a", "u/never", "u/empty"] {
        let reply = node.send(&signed_head("DELETE", key, "", &[])).is(204);
        reply.field("x-oss-request-id");
    }
    assert_eq!(content(&node, "u/a"), None);
    let why = refused(node.send(&signed_head("GET", "u/a", "", &[])), 404, "NoSuchKey");
    assert!(why.contains("<Message>The specified key does not exist.</Message>"), "{why}");
    assert!(node.send(&signed_head("HEAD", "u/a", "", &[])).is(404).body.is_empty());
    wait::until("the bytes are gone", || (audit::objects_below(node.storage()).len() == 1).then_some(()));
}

#[test]
fn what_is_not_built_is_said_and_does_nothing() {
    let node = setup().start();
    node.send(&signed_head("PUT", "u/a", "", &[]).body("hello")).is(200);
    let copy = [("x-oss-copy-source", "/cloud/u/a")];
    for request in [
        signed_head("GET", "", "", &[]),
        signed_head("GET", "", "acl", &[]),
        signed_head("GET", "", "uploads", &[]),
        signed_head("PUT", "", "", &[]),
        signed_head("DELETE", "", "", &[]),
        signed_head("POST", "", "delete", &[]),
        signed_head("GET", "u/a", "acl", &[]),
        signed_head("POST", "u/a", "uploads", &[]),
        signed_head("POST", "u/a", "append&position=0", &[]),
        signed_head("POST", "u/a", "uploadId=x", &[]),
        signed_head("PUT", "u/a", "acl", &[]),
        signed_head("PUT", "u/a", "tagging", &[]),
        signed_head("PUT", "u/a", "partNumber=1&uploadId=x", &[]),
        signed_head("PUT", "u/a", "", &copy),
        signed_head("DELETE", "u/a", "uploadId=x", &[]),
    ] {
        refused(node.send(&request), 501, "NotImplemented");
    }
    // Who may not ask is not told what there is.
    for target in ["/cloud", "/cloud/?acl", "/cloud/u/a", "/cloud/u/none"] {
        refused(node.send(&Request::get(target)), 403, "AccessDenied");
    }
    assert_eq!(content(&node, "u/a").as_deref(), Some(&b"hello"[..]));
    // Another bucket is another's; the rest of this surface has its own words.
    let mut other = signed_head("GET", "u/a", "", &[]);
    other.target = "/other/u/a".into();
    assert_eq!(node.send(&other).is(404).json()["detail"], "Not Found", "the path is not of this surface");
    assert_eq!(node.send(&Request::get("/file/list/")).is(405).header("x-oss-request-id"), None);
}

#[test]
fn conditions_and_ranges() {
    let node = setup().start();
    let bytes = Oracle(3).bytes(0..70_000);
    node.send(&signed_head("PUT", "u/a", "", &[]).body(bytes.clone())).is(200);
    let url = signed_until("GET", "u/a", &[], LATER);
    let whole = node.send(&Request::get(&url)).is(200);
    let (etag, modified) = (whole.field("ETag").to_owned(), whole.field("Last-Modified").to_owned());
    let past = "Sat, 01 Jan 2000 00:00:00 GMT";
    for (name, value, status) in [
        ("If-Match", etag.as_str(), 200),
        ("If-Match", "\"X\"", 412),
        ("If-None-Match", &etag, 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", "\"X\"", 200),
        ("If-Modified-Since", &modified, 304),
        ("If-Modified-Since", past, 200),
        ("If-Unmodified-Since", past, 412),
        ("If-Unmodified-Since", &modified, 200),
        ("Range", "bytes=0-9", 206),
        ("Range", "bytes=-10", 206),
        ("Range", "bytes=69999-", 206),
        ("Range", "bytes=70000-", 416),
        ("Range", "bytes=-0", 416),
        ("Range", "bytes=0-1,5-6", 200),
        ("Range", "bytes=9-1", 200),
        ("Range", "bytes=x", 200),
        ("Range", "lines=1-2", 200),
    ] {
        for method in ["GET", "HEAD"] {
            let request = Request::new(method, &signed_until(method, "u/a", &[], LATER)).header(name, value);
            let reply = node.send(&request);
            // A range means nothing to HEAD.
            let status = if method == "HEAD" && matches!(status, 206 | 416) { 200 } else { status };
            assert_eq!(reply.status, status, "{name}: {value}: {reply:?}");
            if method == "HEAD" || status == 304 {
                assert!(reply.body.is_empty(), "{reply:?}");
            } else if status == 200 {
                assert_eq!(reply.body, bytes, "{name}: {value}");
            }
            match status {
                304 => assert_eq!(reply.field("ETag"), etag),
                412 if method == "GET" => drop(refused(reply, 412, "PreconditionFailed")),
                416 => {
                    assert_eq!(reply.field("Content-Range"), "bytes */70000");
                    refused(reply, 416, "InvalidRange");
                }
                _ => {}
            }
        }
    }
    let both = Request::get(&url).header("Range", "bytes=5-9").header("If-Range", &etag);
    assert_eq!(node.send(&both).is(206).body, bytes[5..10]);
    let stale = Request::get(&url).header("Range", "bytes=5-9").header("If-Range", "\"X\"");
    assert_eq!(node.send(&stale).is(200).body, bytes);
}

/// cloudbackend/CONTRACT.md §B1: the bucket as a host, and under a prefix; `token.host` with a path.
#[test]
fn the_bucket_is_where_it_is_mounted() {
    let yaml = "surfaces: {cloudbackend: {prefix: /cb, oss_endpoint: 'http://oss.test'}}";
    let node = setup().config(yaml).start();
    let post = |target: &str, host: &str, status: &str| {
        let mut request = Form::of_front_end("alice/a b", "hello").field("success_action_status", status).request();
        request.target = target.into();
        node.send(&request.header("Host", host))
    };
    let on = |target: String, host: &str| node.send(&Request::get(&target).header("Host", host));
    let url = signed_until("GET", "alice/a b", &[], LATER);
    for (target, host, location) in [
        ("/cb/cloud", "a.test", "http://a.test/cb/cloud/alice/a%20b"),
        ("/", "cloud.oss.test", "http://cloud.oss.test/alice/a%20b"),
        ("/", "CLOUD.oss.test:8765", "http://CLOUD.oss.test:8765/alice/a%20b"),
    ] {
        let reply = post(target, host, "201").is(201);
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.contains(&format!("<Location>{location}</Location>")), "{text}");
    }
    assert_eq!(on(format!("/cb{url}"), "a.test").is(200).body, b"hello");
    assert_eq!(on(url["/cloud".len()..].to_owned(), "cloud.oss.test").is(200).body, b"hello");
    refused(on(format!("/cb/other{}", &url["/cloud".len()..]), "a.test"), 404, "NoSuchBucket");
    assert_eq!(on("/cb/other".into(), "a.test").is(404).json()["detail"], "Not found.");
    assert_eq!(on(url, "a.test").status, 404, "nothing is at the root");
}

#[test]
fn an_object_that_nobody_registers_goes() {
    let node = setup().env("SURFACES__CLOUDBACKEND__ORPHAN_SECONDS", "0").env("CLEANUP_INTERVAL", "1").start();
    Form::of_front_end("alice/x", "hello").post(&node).is(200);
    wait::until("the object is gone", || content(&node, "alice/x").is_none().then_some(()));
    wait::until("its bytes are gone", || audit::objects_below(node.storage()).is_empty().then_some(()));
}
