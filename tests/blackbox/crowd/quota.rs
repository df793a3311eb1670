//! easytransfer/CONTRACT.md §4: a crowd waits for room, of a person and of the node, and all finish.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::{CROWD, together};
use crate::support::database::Database;
use crate::support::tus::{patch, post};
use crate::support::{Node, Reply, Request, TOKEN, Upload, audit, wait};

const SIZE: u64 = 20_000;
/// Ann's limit: ten files. The node's: four more.
const HERS: u64 = 10 * SIZE;
const ALL: u64 = 14 * SIZE;
/// This many of the crowd are ann's; the rest come with a static token and have no owner.
const OF_ANN: usize = 48;
/// This many of hers send two bodies: what they hold half sent leaves room for others, so that none waits forever.
const IN_HALVES: usize = 8;
const ANN: &str = "session-of-ann";

#[test]
fn section_4_64_uploads_wait_for_room_and_all_finish() {
    let quotas = format!("user_system: {{enabled: true, role_quotas: {{user: {{max_storage_size: {HERS}}}}}}}");
    let node = Node::setup().config(&quotas).env("MAX_STORAGE_SIZE", ALL).start();
    Database::of(&node).add_session("ann", "user", ANN);
    let seen = Refusals::default();
    let unfinished = AtomicUsize::new(CROWD);
    let uploads = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait::until("both limits are met", || seen.both().then_some(()));
            while unfinished.load(Ordering::SeqCst) > 0 {
                within_the_limits(&node);
                make_room(&node);
            }
        });
        together(|at| {
            let token = if at < OF_ANN { ANN } else { TOKEN };
            if at >= OF_ANN {
                // Hers first, so that her own limit is met and not only the node's.
                wait::until("ann is at her limit", || (seen.person.load(Ordering::SeqCst) > 0).then_some(()));
            }
            let upload = send(&node, token, at, &seen);
            unfinished.fetch_sub(1, Ordering::SeqCst);
            upload
        })
    });
    within_the_limits(&node);
    let left = files(&node);
    assert!(left.iter().all(|(_, status, size)| status == "complete" && *size == SIZE), "{left:?}");
    assert!(left.iter().all(|(id, _, _)| uploads.iter().any(|upload| upload.id == *id)), "{left:?}");
    let sum = left.len() as u64 * SIZE;
    assert_eq!(node.get("/api/storage").json()["used"], sum, "the ledger is the sum of the files");
    assert_eq!(used_by_ann(&node) + of_nobody(&left, &uploads), sum, "hers too");
    wait::until("and so is the disk", || (audit::objects_below(node.storage()).len() == left.len()).then_some(()));
}

/// How often each limit refused.
#[derive(Default)]
struct Refusals {
    person: AtomicU64,
    node: AtomicU64,
}

impl Refusals {
    fn note(&self, reply: &Reply) {
        let whose = if reply.header("X-User-Storage-Max").is_some() { &self.person } else { &self.node };
        whose.fetch_add(1, Ordering::SeqCst);
        assert!(reply.header("X-User-Storage-Max").is_some() || reply.number("X-Storage-Max") == ALL, "{reply:?}");
    }
    fn both(&self) -> bool {
        self.person.load(Ordering::SeqCst) > 0 && self.node.load(Ordering::SeqCst) > 0
    }
}

fn by(token: &str, request: Request) -> Request {
    request.without("X-API-Token").header("X-API-Token", token)
}

/// One upload to its end, as clients do it: 507 is waited out, then HEAD says where to go on.
fn send(node: &Node, token: &str, at: usize, seen: &Refusals) -> Upload {
    let created = node.send(&by(token, post().header("Upload-Length", SIZE.to_string()))).is(201);
    let upload = Upload::at(created.field("Location"));
    let step = if at < IN_HALVES { SIZE / 2 } else { SIZE };
    let mut offset = 0;
    while offset < SIZE {
        let body = vec![at as u8; step as usize];
        let reply = node.send(&by(token, patch(&upload, offset, &body))).one_of(&[204, 507]);
        assert_eq!(reply.number("Upload-Offset"), if reply.status == 204 { offset + step } else { offset });
        if reply.status == 507 {
            seen.note(&reply);
            std::thread::sleep(Duration::from_millis(30));
        }
        let head = Request::new("HEAD", &upload.path).header("Tus-Resumable", "1.0.0");
        let reply = node.send(&by(token, head)).one_of(&[200, 404]);
        // Gone: it was complete, and then made room for others.
        offset = if reply.status == 200 { reply.number("Upload-Offset") } else { SIZE };
    }
    upload
}

fn used_by_ann(node: &Node) -> u64 {
    let quota = node.send(&by(ANN, Request::get("/api/users/me/quota"))).is(200).json();
    quota["storage_used"].as_u64().expect("a number")
}

fn within_the_limits(node: &Node) {
    let used = node.get("/api/storage").is(200).json()["used"].as_u64().expect("a number");
    assert!(used <= ALL, "{used} of {ALL} are stored");
    let used = used_by_ann(node);
    assert!(used <= HERS, "{used} of {HERS} are hers");
}

/// Deletes every file that is complete.
fn make_room(node: &Node) {
    for (id, status, _) in files(node) {
        if status == "complete" {
            node.delete(&format!("/api/files/{id}")).is(200);
        }
    }
}

/// (id, status, bytes received)
fn files(node: &Node) -> Vec<(String, String, u64)> {
    let list = node.get("/api/files?page_size=100").is(200).json();
    let text = |file: &serde_json::Value, key: &str| file[key].as_str().expect("a text").to_owned();
    let of = |file: &serde_json::Value| {
        (text(file, "file_id"), text(file, "status"), file["uploaded_size"].as_u64().expect("a number"))
    };
    list["files"].as_array().expect("a list").iter().map(of).collect()
}

fn of_nobody(left: &[(String, String, u64)], uploads: &[Upload]) -> u64 {
    let nobodys = &uploads[OF_ANN..];
    left.iter().filter(|(id, _, _)| nobodys.iter().any(|upload| upload.id == *id)).map(|(_, _, size)| size).sum()
}
