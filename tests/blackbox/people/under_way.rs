//! PROMISES.md §5: a right that ends, ends the transfers that run under it; a limit that changes counts for them too.

use std::time::Duration;

use super::{by, get};
use crate::support::provider::{Provider, sign_in};
use crate::support::tus::{Upload, patch_head, post};
use crate::support::{Conn, Node, Oracle, Request, TOKEN, wait};

/// Much more than the sockets of a connection hold.
const LENGTH: u64 = 64 << 20;
const SENT: u64 = 1 << 20;

fn create(node: &Node, token: &str) -> Upload {
    let created = node.send(&by(token, post().header("Upload-Length", LENGTH.to_string()))).is(201);
    Upload::at(created.field("Location"))
}

/// A PATCH of which the first part has arrived, and more is to come.
fn begin(node: &Node, token: &str, upload: &Upload) -> Conn {
    let mut conn = node.connect();
    conn.send_head(&by(token, patch_head(upload, 0).header("Content-Length", LENGTH.to_string())));
    conn.send(&Oracle(1).bytes(0..SENT));
    wait::until("the first part arrives", || {
        let info = get(node, TOKEN, &upload.file()).is(200).json();
        (info["uploaded_size"].as_u64()? == SENT).then_some(())
    });
    conn
}

fn log_out(node: &Node, token: &str) {
    node.send(&by(token, Request::new("POST", "/api/users/logout"))).is(200);
}

#[test]
fn an_upload_ends_with_the_right_to_it_and_keeps_its_prefix() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let (ann, bob, chief) = (sign_in(&node, "ann"), sign_in(&node, "bob"), sign_in(&node, "chief+admins"));
    let (hers, his, ours) = (create(&node, &ann), create(&node, &bob), create(&node, TOKEN));
    let (mut her, mut him, mut other) =
        (begin(&node, &ann, &hers), begin(&node, &bob, &his), begin(&node, TOKEN, &ours));
    let id = get(&node, &bob, "/api/users/me").is(200).json()["id"].as_i64().expect("an id");
    log_out(&node, &ann);
    let refused = her.reply().is(401);
    assert!(refused.closes() && refused.field("WWW-Authenticate") == "Bearer", "{refused:?}");
    node.send(&by(&chief, Request::new("PUT", &format!("/api/users/{id}/active?active=false")))).is(200);
    him.reply().is(401);
    for upload in [&hers, &his] {
        assert_eq!(node.offset(upload), SENT, "what was stored is kept");
        node.prefix(upload, Oracle(1), SENT);
    }
    // Everybody else's goes on.
    other.send(&Oracle(1).bytes(SENT..LENGTH));
    other.reply().is(204);
    node.whole(&ours, &Oracle(1).bytes(0..LENGTH));
}

#[test]
fn a_download_ends_with_the_right_to_it() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let ann = sign_in(&node, "ann");
    let upload = create(&node, &ann);
    node.send(&by(&ann, crate::support::tus::patch(&upload, 0, &Oracle(2).bytes(0..LENGTH)))).is(204);
    let mut conn = node.connect();
    conn.send_head(&by(&ann, Request::get(&upload.download())));
    conn.read_some(4096);
    log_out(&node, &ann);
    wait::until("the grant is asked about again", || (get(&node, &ann, &upload.file()).status == 401).then_some(()));
    let (rest, ended) = conn.drain(Duration::from_secs(10));
    assert!(ended && (rest.len() as u64) < LENGTH, "{} bytes came after all", rest.len());
}

#[test]
fn section_8_7_a_limit_that_changes_counts_for_what_is_under_way() {
    let provider = Provider::start();
    let quotas = "  role_quotas: {user: {download_speed_limit: 262144}}\n";
    let node = Node::setup().config(&provider.config(quotas)).start();
    let (ann, chief) = (sign_in(&node, "ann"), sign_in(&node, "chief+admins"));
    let upload = create(&node, &ann);
    let content = Oracle(3).bytes(0..LENGTH);
    node.send(&by(&ann, crate::support::tus::patch(&upload, 0, &content))).is(204);
    let mut conn = node.connect();
    conn.send_head(&by(&ann, Request::get(&upload.download())));
    conn.read_some(4096);
    // Four minutes' worth at that rate: a group without a limit lifts it now.
    let group = node
        .send(
            &by(&chief, Request::new("POST", "/api/groups"))
                .header("Content-Type", "application/json")
                .body(r#"{"name":"fast","max_storage_size":null,"download_speed_limit":null,"upload_speed_limit":1}"#),
        )
        .is(200)
        .json();
    let (group, me) = (group["group"]["id"].clone(), get(&node, &ann, "/api/users/me").is(200).json()["id"].clone());
    node.send(&by(&chief, Request::new("POST", &format!("/api/groups/{group}/members/{me}")))).is(200);
    conn.read_some((LENGTH - (8 << 20)) as usize);
}
