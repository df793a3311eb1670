//! A right that ends, ends the transfers that run under it, in every dialect (EasyTransfer: `people/under_way.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloudbackend::accounts::console::done;
use crate::oss::{LATER, key_pair, signed_until};
use crate::pyblobserver::{Part, form};
use crate::secure_file_transfer::{Device, frame};
use crate::stream_upload::{ANN, BEN, Upload};
use crate::support::{Conn, Node, Request, TOKEN, audit, wait};

/// Much more than the sockets of a connection hold.
const LENGTH: usize = 64 << 20;
const SENT: usize = 1 << 20;

/// A node of which one dialect is set up by its file, so that a reload changes it.
fn start(surface: &str, settings: Value) -> Node {
    let pinned = format!("SURFACES__{}", surface.to_ascii_uppercase());
    Node::setup().without_env(&pinned).config(&written(surface, settings)).start()
}

fn written(surface: &str, settings: Value) -> String {
    json!({"surfaces": {surface: settings}}).to_string()
}

#[track_caller]
fn reload(node: &Node, surface: &str, settings: Value) {
    std::fs::write(node.config_path(), written(surface, settings)).expect("write the configuration");
    let request = Request::new("POST", "/api/admin/reload-config").header("X-API-Token", TOKEN);
    let told = node.send(&request).is(200).json();
    assert_eq!(told["reloaded"], true, "{told}");
}

/// A request of which the first part has arrived, and more is to come.
#[track_caller]
fn begin(node: &Node, request: &Request, first: &[u8]) -> Conn {
    let before = audit::objects_below(node.storage()).len();
    let mut conn = node.connect();
    conn.send_head(&request.clone().header("Content-Length", LENGTH.to_string()));
    conn.send(first);
    wait::until("what arrives is stored", || (audit::objects_below(node.storage()).len() > before).then_some(()));
    conn
}

/// The node answers before the rest comes, and takes no more.
#[track_caller]
fn is_refused(mut conn: Conn) {
    let refused = conn.reply().one_of(&[401, 403]);
    assert!(refused.closes(), "{refused:?}");
}

/// A download of which the first bytes have come.
#[track_caller]
fn read_first(node: &Node, request: &Request) -> Conn {
    let mut conn = node.connect();
    conn.send_head(request);
    let first = conn.read_some(4096);
    assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first[..300]));
    conn
}

/// A slow reader, at 64 KiB in 25 ms at most, does not get all of it.
#[track_caller]
fn is_cut(mut conn: Conn) {
    let (mut came, mut ended) = (0, false);
    while !ended && came < LENGTH {
        let (count, is_over) = conn.drain_some(Duration::from_secs(60));
        (came, ended) = (came + count, is_over);
        std::thread::sleep(Duration::from_millis(25));
    }
    assert!(came < LENGTH - (1 << 20), "{came} bytes came after all");
}

#[test]
fn o4_a_device_that_is_disabled_ends_its_chunk_and_its_download() {
    let name = "secure_file_transfer";
    let devices = |is_off: bool| {
        json!({"devices": [{"device_id": "one", "secret": "password1", "disabled": is_off},
                           {"device_id": "two", "secret": "password2"}]})
    };
    let node = start(name, devices(false));
    let (one, two) = (Device::log_in(&node, "one", "password1"), Device::log_in(&node, "two", "password2"));
    let content = frame(0, LENGTH as u64 - 1, 0, &vec![0; LENGTH]);
    let post = |device: &Device<'_>, name: &str| device.request("POST", &format!("/api/files/upload?filename={name}"));
    node.send(&post(&one, "whole").body(content.clone())).is(200);
    let download = read_first(&node, &one.request("GET", "/api/files/download/whole"));
    // What is announced is shorter than the frame by its header: the chunk ends that much earlier.
    let short = frame(0, (LENGTH - 18) as u64, 0, &vec![0; LENGTH - 17]);
    let chunk = begin(&node, &post(&one, "part"), &short[..SENT]);
    let mut other = begin(&node, &post(&two, "part"), &short[..SENT]);
    reload(&node, name, devices(true));
    is_refused(chunk);
    is_cut(download);
    node.send(&post(&one, "more").body(frame(0, 0, 0, b"\0"))).is(401);
    // That of another goes on.
    other.send(&short[SENT..]);
    other.reply().is(200);
}

#[test]
fn o4_a_stream_token_that_is_removed_ends_its_chunk_and_its_download() {
    let name = "stream_upload";
    let both = json!({"tokens": [{"token": ANN, "user": "ann"}, {"token": BEN, "user": "ben"}]});
    let node = start(name, both);
    let whole = Upload::new(&node, "whole", LENGTH as u64, 1).request(0, &vec![7; LENGTH]);
    let asset = node.send(&whole).is(200).json()["asset"].clone();
    let url = asset["url"].as_str().expect("an address").strip_prefix(&node.url()).expect("on this node").to_owned();
    let download = read_first(&node, &Request::get(&url).header("Authorization", ANN));
    let chunk = begin(&node, &Upload::new(&node, "part", LENGTH as u64, 1).request(0, b""), &[7; SENT]);
    reload(&node, name, json!({"tokens": [{"token": BEN, "user": "ben"}]}));
    is_refused(chunk);
    is_cut(download);
}

#[test]
fn o4_a_blob_user_whose_token_changes_or_who_is_removed_ends_with_it() {
    let name = "pyblobserver";
    let settings = |users: Value| {
        json!({"allowed_users": users, "require_auth_for_download": true, "file_size_limit_mb": 100,
               "total_size_limit_mb": 500, "requests_per_minute": 0})
    };
    let (ann, ben) = (json!({"user": "ann", "token": ANN}), json!({"user": "ben", "token": BEN}));
    let node = start(name, settings(json!([ann, ben])));
    let by = |token: &str, request: Request| request.header("Authorization", format!("Bearer {token}"));
    let stored =
        node.send(&by(BEN, form("/blob/upload", &[Part::file("file", "whole", &vec![7; LENGTH])]))).is(200).json();
    let file = format!("/blob/s/{}", stored["file_id"].as_str().expect("an id"));
    let download = read_first(&node, &by(BEN, Request::get(&file)));
    let part = form("/blob/upload", &[Part::file("file", "part", &vec![7; SENT])]);
    let first = part.body.clone();
    let upload = begin(&node, &by(ANN, part.body("")), &first[..SENT / 2]);
    node.send(&by(ANN, Request::get("/blob/user/ann?function=change_token"))).is(200);
    is_refused(upload);
    reload(&node, name, settings(json!([ann])));
    is_cut(download);
}

#[test]
fn o4_a_disabled_account_ends_the_signed_transfers_of_its_objects() {
    let node = key_pair(Node::setup()).start();
    done(&node, &["add", "alice"], "correct horse battery\n");
    let url = |method: &str, key: &str| Request::new(method, &signed_until(method, key, &[], LATER));
    node.send(&url("PUT", "alice/whole").body(vec![7; LENGTH])).is(200);
    let download = read_first(&node, &url("GET", "alice/whole"));
    let upload = begin(&node, &url("PUT", "alice/part"), &[7; SENT]);
    done(&node, &["disable", "alice"], "");
    is_refused(upload);
    is_cut(download);
    node.send(&url("GET", "alice/whole")).is(403);
    node.send(&url("PUT", "alice/part").body("x")).is(403);
}
