//! How many uploads and files one user, token or address may have (`uploads.*_per_principal`): who reaches a limit is told
//! which, and everybody else goes on.

use crate::support::database::Database;
use crate::support::node::Setup;
use crate::support::tus::{patch, tus};
use crate::support::{Node, OTHER_TOKEN, Reply, Request, TOKEN, Upload};

const ANN: &str = "session-of-ann";
const BEN: &str = "session-of-ben";

fn limited(open: u64, records: u64) -> Setup {
    let setup = Node::setup().env("UPLOADS_OPEN_PER_PRINCIPAL", open);
    setup.env("UPLOADS_RECORDS_PER_PRINCIPAL", records).env("TRUSTED_PROXIES", "127.0.0.0/8")
}

/// A creation by a token or session.
#[track_caller]
fn create(node: &Node, token: &str, length: u64) -> Reply {
    node.send(&by(token, tus("POST", "/tus").header("Upload-Length", length.to_string())))
}

fn by(token: &str, request: Request) -> Request {
    request.without("X-API-Token").header("X-API-Token", token)
}

/// A creation by a guest behind a proxy.
#[track_caller]
fn guest(node: &Node, address: &str, length: u64) -> Reply {
    let request = tus("POST", "/tus").without("X-API-Token").header("X-Forwarded-For", address);
    node.send(&request.header("Upload-Length", length.to_string()))
}

/// 429 with its reason, and nothing came of it.
#[track_caller]
fn refused(reply: Reply, reason: &str) {
    let reply = reply.is(429);
    assert!(reply.number("Retry-After") > 0 && reply.header("Location").is_none(), "{reply:?}");
    let detail = reply.json()["detail"].as_str().expect("a reason").to_owned();
    assert!(detail.contains(reason), "{detail}");
}

#[test]
fn b7_a_guest_with_too_many_open_uploads_stops_no_other_and_a_restart_forgets_none() {
    let mut node = limited(3, 0).open().start();
    let uploads: Vec<Upload> =
        (0..3).map(|_| Upload::at(guest(&node, "192.0.2.1", 5).is(201).field("Location"))).collect();
    refused(guest(&node, "192.0.2.1", 5), "3 unfinished uploads");
    guest(&node, "192.0.2.2", 5).is(201);
    node.kill_and_start_again();
    refused(guest(&node, "192.0.2.1", 5), "uploads.open_per_principal");
    // What is complete at once opens nothing; one that is finished, or removed, makes room for another.
    guest(&node, "192.0.2.1", 0).is(201);
    node.send(&patch(&uploads[0], 0, b"hello").without("X-API-Token")).is(204);
    guest(&node, "192.0.2.1", 5).is(201);
    refused(guest(&node, "192.0.2.1", 5), "unfinished");
    node.send(&tus("DELETE", &uploads[1].path).without("X-API-Token")).is(204);
    guest(&node, "192.0.2.1", 5).is(201);
    // Who has a /64 has all of its addresses.
    for last in 1..=3 {
        guest(&node, &format!("2001:db8::{last}"), 5).is(201);
    }
    refused(guest(&node, "2001:db8::4", 5), "unfinished");
    guest(&node, "2001:db8:0:1::4", 5).is(201);
}

#[test]
fn b7_a_token_at_its_limit_of_files_stops_no_other_although_they_are_empty() {
    let node = limited(0, 3).start();
    let files: Vec<Upload> = (0..3).map(|_| Upload::at(create(&node, TOKEN, 0).is(201).field("Location"))).collect();
    refused(create(&node, TOKEN, 0), "3 files and uploads");
    refused(create(&node, TOKEN, 5), "uploads.records_per_principal");
    let with_body =
        tus("POST", "/tus").header("Content-Type", crate::support::tus::OCTETS).header("Upload-Length", "5");
    refused(node.send(&with_body.body("hello")), "files and uploads");
    create(&node, OTHER_TOKEN, 0).is(201);
    node.delete(&files[0].file()).is(200);
    create(&node, TOKEN, 0).is(201);
    refused(create(&node, TOKEN, 0), "files and uploads");
    assert_eq!(node.listed(), 4, "three of one, and the other's");
}

#[test]
fn b7_a_user_is_one_principal_through_all_sessions_and_another_one_goes_on() {
    let node = limited(2, 3).config("user_system: {enabled: true}").start();
    let people = Database::of(&node);
    people.add_session("ann", "user", ANN);
    people.add_session("ben", "user", BEN);
    create(&node, ANN, 5).is(201);
    create(&node, ANN, 5).is(201);
    refused(create(&node, ANN, 5), "2 unfinished uploads");
    create(&node, ANN, 0).is(201);
    refused(create(&node, ANN, 0), "3 files and uploads");
    create(&node, BEN, 5).is(201);
    create(&node, TOKEN, 5).is(201);
}
