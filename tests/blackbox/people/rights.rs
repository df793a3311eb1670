//! easytransfer/CONTRACT.md §1.2, §6.3, §15.22, §16.11, §16.12: what is whose, and rights that end.

use std::time::Duration;

use super::{by, get};
use crate::support::database::{Database, session};
use crate::support::provider::{Provider, sign_in};
use crate::support::tus::{patch, post};
use crate::support::{Node, Reply, Request, Upload, wait};

fn create(node: &Node, token: &str, length: u64) -> Upload {
    let created = node.send(&by(token, post().header("Upload-Length", length.to_string()))).is(201);
    Upload::at(created.field("Location"))
}

fn append(node: &Node, token: &str, upload: &Upload, offset: u64) -> Reply {
    node.send(&by(token, patch(upload, offset, &[9; 4096])))
}

/// PATCHes on new connections until every core has a grant of this person.
fn warm(node: &Node, token: &str, upload: &Upload) -> u64 {
    for round in 0..8 {
        append(node, token, upload, round * 4096).is(204);
    }
    8 * 4096
}

fn out_within_a_second(node: &Node, token: &str, upload: &Upload, offset: u64) {
    let out = wait::within(Duration::from_millis(1_500), || {
        (0..8).all(|_| append(node, token, upload, offset).status == 401).then_some(())
    });
    assert_eq!(out, Some(()), "a right that ended still counts");
}

#[test]
fn people_reach_what_is_theirs_and_rights_end_at_once() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let (ann, bob, chief) = (sign_in(&node, "ann"), sign_in(&node, "bob"), sign_in(&node, "chief+admins"));
    let upload = create(&node, &ann, 1 << 20);
    let offset = warm(&node, &ann, &upload);
    for (method, path) in [
        ("GET", upload.file()),
        ("GET", upload.download()),
        ("DELETE", upload.file()),
        ("HEAD", format!("/tus/{}", upload.id)),
        ("DELETE", format!("/tus/{}", upload.id)),
    ] {
        assert_eq!(node.send(&by(&bob, Request::new(method, &path))).status, 404, "{method} {path}");
    }
    append(&node, &bob, &upload, offset).is(404);
    assert_eq!(get(&node, &bob, "/api/files").is(200).json()["total"], 0);
    for other in [chief.as_str(), crate::support::TOKEN] {
        get(&node, other, &upload.file()).is(200);
    }

    node.send(&by(&ann, Request::new("POST", "/api/users/logout"))).is(200);
    out_within_a_second(&node, &ann, &upload, offset);

    let ann = sign_in(&node, "ann");
    append(&node, &ann, &upload, offset).is(204);
    let offset = offset + 4096;
    let id = get(&node, &ann, "/api/users/me").is(200).json()["id"].as_i64().expect("an id");
    node.send(&by(&chief, Request::new("PUT", &format!("/api/users/{id}/active?active=false")))).is(200);
    out_within_a_second(&node, &ann, &upload, offset);
    get(&node, &chief, "/api/users/me").is(200);
}

#[test]
fn rows_of_other_programs_count_at_once() {
    let provider = Provider::start();
    let node = Node::setup().config(&provider.config("")).start();
    let bob = sign_in(&node, "bob");
    let upload = create(&node, &bob, 1 << 20);
    let offset = warm(&node, &bob, &upload);
    let other = Database::of(&node);
    other.run(&session("bob", "a-token-of-another-program"));
    assert_eq!(get(&node, "a-token-of-another-program", "/api/users/me").is(200).json()["username"], "bob");
    other.run("DELETE FROM sessions");
    out_within_a_second(&node, &bob, &upload, offset);
    get(&node, "a-token-of-another-program", "/api/users/me").is(401);
}

/// PROMISES.md P9: however many ask at once, no user gets more than the limit.
#[test]
fn p9_a_persons_limit_holds_under_many_uploads_at_once() {
    let provider = Provider::start();
    let limit = 1_000_000u64;
    let quotas = format!("  role_quotas: {{user: {{max_storage_size: {limit}}}}}\n");
    let mut node = Node::setup().config(&provider.config(&quotas)).start();
    let ann = sign_in(&node, "ann");
    let size = limit * 2 / 3;
    let uploads: Vec<Upload> = (0..64).map(|_| create(&node, &ann, size)).collect();
    let content = vec![7; size as usize];
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let send = |upload| {
            let (node, ann, content) = (&node, &ann, &content);
            scope.spawn(move || node.send(&by(ann, patch(upload, 0, content))).status)
        };
        let running: Vec<_> = uploads.iter().map(send).collect();
        running.into_iter().map(|thread| thread.join().expect("an upload")).collect()
    });
    assert_eq!(
        (
            answers.iter().filter(|status| **status == 204).count(),
            answers.iter().filter(|status| **status == 507).count()
        ),
        (1, 63),
        "{answers:?}"
    );
    let used = |node: &Node| get(node, &ann, "/api/users/me/quota").is(200).json()["storage_used"].as_u64();
    assert_eq!(used(&node), Some(size));
    node.kill_and_start_again();
    wait::until("the ledger is rebuilt", || (used(&node) == Some(size)).then_some(()));
    let refused = wait::until("it is counted", || {
        let reply = node.send(&by(&ann, patch(&uploads[1], 0, &content)));
        // One of them is the whole one: that one says 409.
        (reply.status != 503).then_some(reply)
    });
    assert!(matches!(refused.status, 507 | 409), "{}", refused.status);
    let whole = answers.iter().position(|status| *status == 204).expect("one of them");
    node.send(&by(&ann, Request::new("DELETE", &uploads[whole].file()))).is(200);
    assert_eq!(used(&node), Some(0), "credited once");
    let other = usize::from(whole == 0);
    node.send(&by(&ann, patch(&uploads[other], 0, &content))).is(204);
}
