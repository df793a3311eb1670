//! RFC 9110 §13 in every dialect that serves content (faults.md C7): a download that is resumed never mixes two
//! versions.

use crate::oss;
use crate::secure_file_transfer::Device;
use crate::support::{Node, Reply, Request, TOKEN};

const FIRST: &[u8] = b"the first version, as it was";
const SECOND: &[u8] = b"the second one, of another length";

/// What resumes a download of the first version, asked of the second one.
#[track_caller]
fn resumes_only_its_own_version(ask: impl Fn(&[(&str, &str)]) -> Reply, first: &Reply, second: &Reply) {
    let (old_tag, old_date) = (first.field("ETag"), first.field("Last-Modified"));
    let (tag, date) = (second.field("ETag"), second.field("Last-Modified"));
    assert_ne!((old_tag, old_date), (tag, date));
    assert_ne!(old_date, date, "replaced within the same second, and still told apart by its date");
    let range = ("Range", "bytes=5-");
    for (name, value) in [("If-Match", old_tag), ("If-Unmodified-Since", old_date)] {
        ask(&[range, (name, value)]).is(412);
        ask(&[(name, value)]).is(412);
    }
    for value in [old_tag, old_date] {
        assert_eq!(ask(&[range, ("If-Range", value)]).is(200).body, SECOND, "If-Range: {value}");
    }
    for (name, value) in
        [("If-Match", tag), ("If-Unmodified-Since", date), ("If-Range", tag), ("If-Range", date), ("If-Match", "*")]
    {
        assert_eq!(ask(&[range, (name, value)]).is(206).body, SECOND[5..], "{name}: {value}");
    }
    let listed = format!("\"x\", , {old_tag},, {tag}");
    assert_eq!(ask(&[range, ("If-Match", &listed)]).is(206).body, SECOND[5..]);
    for (name, value, status) in [
        ("If-None-Match", tag, 304),
        ("If-None-Match", old_tag, 200),
        ("If-Modified-Since", date, 304),
        ("If-Modified-Since", old_date, 200),
    ] {
        let reply = ask(&[(name, value)]).is(status);
        assert_eq!((reply.field("ETag"), reply.field("Last-Modified")), (tag, date), "{name}: {value}");
    }
    // RFC 9110 §13.2.2: tags before dates, 412 before 304.
    ask(&[("If-Match", tag), ("If-Unmodified-Since", old_date)]).is(200);
    ask(&[("If-None-Match", old_tag), ("If-Modified-Since", date)]).is(200);
    ask(&[("If-Match", old_tag), ("If-None-Match", tag)]).is(412);
}

fn with(request: Request, fields: &[(&str, &str)]) -> Request {
    fields.iter().fold(request, |request, (name, value)| request.header(name, value))
}

#[test]
fn c7_a_file_of_a_device_that_is_replaced() {
    let node = crate::secure_file_transfer::devices(Node::setup()).start();
    let device = Device::one(&node);
    let get = |fields: &[(&str, &str)]| node.send(&with(device.request("GET", "/api/files/download/a.bin"), fields));
    device.send("a.bin", 0, FIRST, Some(FIRST.len() as u64)).one_of(&[200, 201]);
    let first = get(&[]).is(200);
    assert_eq!(first.body, FIRST);
    device.send("a.bin", 0, SECOND, Some(SECOND.len() as u64)).one_of(&[200, 201]);
    let second = get(&[]).is(200);
    assert_eq!(second.body, SECOND);
    resumes_only_its_own_version(get, &first, &second);
}

#[test]
fn c7_an_object_that_is_replaced() {
    let node = oss::setup().start();
    let get = |fields: &[(&str, &str)]| {
        node.send(&with(Request::get(&oss::signed_until("GET", "u/a", &[], oss::LATER)), fields))
    };
    node.send(&oss::signed_head("PUT", "u/a", "", &[]).body(FIRST)).is(200);
    let first = get(&[]).is(200);
    node.send(&oss::signed_head("PUT", "u/a", "", &[]).body(SECOND)).is(200);
    let second = get(&[]).is(200);
    resumes_only_its_own_version(get, &first, &second);
}

/// Files that never change: their conditions are judged all the same.
#[test]
fn c7_a_file_that_never_changes() {
    let node = Node::start();
    let upload = node.complete(FIRST);
    let get = |fields: &[(&str, &str)]| {
        node.send(&with(Request::get(&upload.download()).header("X-API-Token", TOKEN), fields))
    };
    let etag = get(&[]).is(200).field("ETag").to_owned();
    for (name, value, status) in [
        ("If-Match", "\"x\"", 412),
        ("If-Match", &format!("W/{etag}"), 412),
        ("If-Match", &etag, 206),
        ("If-Match", "*", 206),
        ("If-None-Match", &etag, 304),
        ("If-None-Match", "\"x\"", 206),
        ("If-Range", &etag, 206),
        ("If-Range", "\"x\"", 200),
        // It has no date, so conditions on dates say nothing, and a range on one is of something else.
        ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", 206),
        ("If-Range", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
    ] {
        let reply = get(&[("Range", "bytes=5-9"), (name, value)]).is(status);
        match status {
            206 => assert_eq!(reply.body, FIRST[5..10]),
            200 => assert_eq!(reply.body, FIRST),
            _ => {}
        }
    }
}
