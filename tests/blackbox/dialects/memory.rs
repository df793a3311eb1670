//! What a server holds in memory does not grow with what is uploaded, whichever dialect brings it: what it holds afterwards
//! and its peak are compared, after a small and after a large upload by one request each. The content is made as it goes
//! and never kept.

use serde_json::json;

use super::setup;
use crate::oss::{Form, policy, signed_head};
use crate::pyblobserver::{self, Part, User};
use crate::secure_file_transfer::{Device, frame};
use crate::stream_upload::Upload;
use crate::support::idle::memory;
use crate::support::tus::patch_head;
use crate::support::{Node, Reply, Request};

const SMALL: u64 = 16 << 20;
const LARGE: u64 = 512 << 20;
/// A server that kept a twentieth of the large upload has more.
const GROWTH_MAX: u64 = 24 << 20;
const BLOCK: u64 = 1 << 20;
/// Stands in a request's body where the content comes.
const CONTENT: &[u8] = b"<content>";

/// A request that uploads this many bytes.
type Ask = fn(&Node, u64) -> Request;

fn tus(node: &Node, bytes: u64) -> Request {
    patch_head(&node.create(bytes), 0).body(CONTENT)
}

fn device_chunk(node: &Node, bytes: u64) -> Request {
    let sum = (0..BLOCK).fold(0u8, |sum, at| sum.wrapping_add(byte(at)));
    let sum = sum.wrapping_mul((bytes / BLOCK) as u8);
    Device::one(node).posting(&format!("{bytes}.bin"), &frame(0, bytes - 1, sum, CONTENT))
}

fn stream_chunk(node: &Node, bytes: u64) -> Request {
    Upload::new(node, &format!("upload-{bytes}"), bytes, 1).request(0, CONTENT)
}

fn blob_form(node: &Node, bytes: u64) -> Request {
    let form = pyblobserver::form("/blob/upload", &[Part::file("file", "a.bin", CONTENT)]);
    // A token is told once.
    User::first(node, if bytes == SMALL { "curl" } else { "tus" }).authorized(form)
}

fn post_object(_: &Node, bytes: u64) -> Request {
    let conditions = json!([{"bucket": "cloud"}, ["starts-with", "$key", "u/"], ["content-length-range", 0, bytes]]);
    Form::new("u/a", &policy(conditions), CONTENT).request()
}

fn put_object(_: &Node, _: u64) -> Request {
    signed_head("PUT", "u/a", "", &[]).body(CONTENT)
}

#[test]
fn a_large_upload_takes_no_more_memory_than_a_small_one_in_any_dialect() {
    let dialects: [(&str, Ask); 6] = [
        ("TUS PATCH", tus),
        ("a device's chunk", device_chunk),
        ("a chunk of a stream", stream_chunk),
        ("a blob's form", blob_form),
        ("PostObject", post_object),
        ("PutObject", put_object),
    ];
    // The disk is not what is tried: nothing is synced.
    let setup = pyblobserver::blob_env(setup(), &[("FILE_SIZE_LIMIT_MB", "600")]).env("DURABILITY", "none");
    let node = setup.start();
    warm_up(&node);
    let mut grown = Vec::new();
    for (dialect, ask) in dialects {
        // Both are asked for first: a login takes memory of its own.
        let requests = [SMALL, LARGE].map(|bytes| (ask(&node, bytes), bytes));
        let [small, large] = requests.map(|(request, bytes)| {
            send(&node, request, bytes).one_of(&[200, 204]);
            ["VmRSS:", "VmHWM:"].map(|what| memory(&node, what))
        });
        grown.push((dialect, [large[0].saturating_sub(small[0]), large[1].saturating_sub(small[1])]));
    }
    let is_small = |(_, growth): &(&str, [u64; 2])| growth.iter().all(|bytes| *bytes <= GROWTH_MAX);
    assert!(grown.iter().all(is_small), "bytes more, held and at the peak: {grown:#?}");
}

/// What a server takes once, for the first client: buffers on every core, and the hashes of its devices' passwords,
/// each of which needs much memory while it is made.
fn warm_up(node: &Node) {
    for (device, password) in [("device1", "password1"), ("device2", "password2"), ("small", "password3")] {
        Device::log_in(node, device, password);
    }
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| send(node, tus(node, SMALL), SMALL).is(204));
        }
    });
}

/// Sends the request with this much content in it.
#[track_caller]
fn send(node: &Node, mut request: Request, bytes: u64) -> Reply {
    let body = std::mem::take(&mut request.body);
    let at = body.windows(CONTENT.len()).position(|bytes| bytes == CONTENT).expect("a place for the content");
    let (before, after) = (&body[..at], &body[at + CONTENT.len()..]);
    let length = bytes + (before.len() + after.len()) as u64;
    let block: Vec<u8> = (0..BLOCK).map(byte).collect();
    let mut conn = node.connect();
    conn.send_head(&request.header("Content-Length", length.to_string()));
    conn.send(before);
    (0..bytes / BLOCK).for_each(|_| conn.send(&block));
    conn.send(after);
    conn.reply()
}

fn byte(at: u64) -> u8 {
    (at % 251) as u8
}
