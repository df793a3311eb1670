//! easytransfer/CONTRACT.md §4: what a person's files use, on every way a byte can leave.

use super::{by, get};
use crate::support::database::Database;
use crate::support::tus::{metadata, patch, post, tus};
use crate::support::{Node, Request, Upload, wait};

const ANN: &str = "session-of-ann";
const KEPT: u64 = 1_000;
const SIZE: u64 = 5_000;

fn used(node: &Node) -> u64 {
    get(node, ANN, "/api/users/me/quota").is(200).json()["storage_used"].as_u64().expect("a number")
}

fn hers(node: &Node, size: u64, stored: u64, retention: &[(&str, &str)]) -> Upload {
    let pairs = [&[("filename", "hers.bin")], retention].concat();
    let create = post().header("Upload-Length", size.to_string()).header("Upload-Metadata", metadata(&pairs));
    let upload = Upload::at(node.send(&by(ANN, create)).is(201).field("Location"));
    node.send(&by(ANN, patch(&upload, 0, &vec![7; stored as usize]))).is(204);
    upload
}

/// (what it is called, bytes stored of an upload, its retention, what frees them)
type Way<'w> = (&'w str, u64, &'w [(&'w str, &'w str)], &'w dyn Fn(&Upload));

/// A file that stays shows a credit given twice, which nothing else would.
#[test]
fn section_4_every_path_that_frees_bytes_credits_the_owner_once() {
    let setup = Node::setup().config("user_system: {enabled: true}").env("CHUNK_SIZE", SIZE / 2);
    let node = setup.env("UPLOAD_EXPIRATION_HOURS", "0.0003").start();
    Database::of(&node).add_session("ann", "user", ANN);
    hers(&node, KEPT, KEPT, &[]);
    let send = |method: &str, path: &str| node.send(&by(ANN, Request::new(method, path)));
    let gone = |upload: &Upload| wait::until("it expires", || (node.head(upload).status != 200).then_some(()));
    let once = [("retention", "download_once")];
    let short = [("retention", "ttl"), ("retention_ttl", "1")];
    let ways: [Way<'_>; 9] = [
        ("DELETE /tus of a file", SIZE, &[], &|upload| drop(node.send(&by(ANN, tus("DELETE", &upload.path))).is(204))),
        ("DELETE /tus of an upload", 9, &[], &|upload| drop(node.send(&by(ANN, tus("DELETE", &upload.path))).is(204))),
        ("DELETE /api/files of a file", SIZE, &[], &|upload| drop(send("DELETE", &upload.file()).is(200))),
        ("DELETE /api/files of an upload", 9, &[], &|upload| drop(send("DELETE", &upload.file()).is(200))),
        ("a whole download", SIZE, &once, &|upload| drop(send("GET", &upload.download()).is(200))),
        ("downloads of chunks", SIZE, &once, &|upload| {
            for chunk in 0..2 {
                send("GET", &format!("{}?chunk={chunk}", upload.download())).is(200);
            }
        }),
        ("a time to live", SIZE, &short, &|upload| {
            gone(upload);
            send("POST", "/api/files/cleanup").is(200);
        }),
        ("HEAD of an expired upload", 9, &[], &gone),
        ("the sweep of an expired upload", 9, &[], &|_| {
            wait::until("it is swept", || {
                (send("POST", "/api/files/cleanup").is(200).json()["cleaned"] == 1).then_some(())
            });
        }),
    ];
    for (way, stored, retention, free) in ways {
        let upload = hers(&node, SIZE, stored, retention);
        assert_eq!(used(&node), KEPT + stored, "before {way}");
        free(&upload);
        send("POST", "/api/files/cleanup").is(200);
        wait::until(way, || (used(&node) <= KEPT).then_some(()));
        assert_eq!(used(&node), KEPT, "{way}");
        wait::until(way, || (node.get("/api/storage").json()["used"] == KEPT).then_some(()));
    }
    assert_eq!(used(&node), KEPT, "nothing is credited later");
}
