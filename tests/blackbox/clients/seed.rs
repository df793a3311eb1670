//! The seed generation (0.1.x), by the exact requests it makes (easytransfer/CONTRACT.md §12.1, §12.3): lower-case
//! fields, every request on a new connection, offsets taken from replies, downloads in ranges of 4 MiB, five at a time.

use std::sync::Mutex;

use crate::support::tus::{OCTETS, Upload, metadata};
use crate::support::{Conn, NoReply, Node, Oracle, Reply, Request, TOKEN};

const CHUNK: u64 = 4 << 20;

/// The fields its HTTP library always sends.
fn request(method: &str, target: &str) -> Request {
    Request::new(method, target)
        .header("User-Agent", "python-requests/2.31.0")
        .header("Accept-Encoding", "gzip, deflate")
        .header("Accept", "*/*")
        .header("Connection", "keep-alive")
        .header("X-API-Token", TOKEN)
        .header("Tus-Resumable", "1.0.0")
}

fn ask(node: &Node, request: &Request) -> Result<Reply, NoReply> {
    Conn::open(node.addr()).try_ask(request)
}

#[track_caller]
fn create(node: &Node, name: &str, length: u64) -> Upload {
    let pairs = metadata(&[("filename", name), ("filetype", "application/octet-stream")]);
    let post = request("POST", "/tus").header("upload-length", length.to_string()).header("upload-metadata", pairs);
    let reply = ask(node, &post.header("Content-Length", "0")).expect("an answer").is(201);
    let location = reply.field("Location");
    assert!(location.starts_with("http://"), "an absolute address: {location}");
    Upload::at(location)
}

fn patch(upload: &Upload, offset: u64, body: &[u8]) -> Request {
    let request = request("PATCH", &upload.path).header("upload-offset", offset.to_string());
    request.header("Content-Type", OCTETS).body(body)
}

/// Offsets from each reply; anything but success: HEAD and again, three times.
#[track_caller]
fn upload(node: &Node, upload: &Upload, content: &[u8]) {
    let (mut offset, mut retries) = (0u64, 0);
    while (offset as usize) < content.len() {
        let end = content.len().min((offset + CHUNK) as usize);
        match ask(node, &patch(upload, offset, &content[offset as usize..end])) {
            Ok(reply) if reply.status == 204 => (offset, retries) = (reply.number("Upload-Offset"), 0),
            other => {
                retries += 1;
                assert!(retries <= 3, "{other:?}");
                let head = ask(node, &request("HEAD", &upload.path)).expect("an answer").is(200);
                offset = head.number("Upload-Offset");
            }
        }
    }
}

#[track_caller]
fn download(node: &Node, id: &str) -> Vec<u8> {
    let info = ask(node, &request("GET", &format!("/api/files/{id}/info/download"))).expect("an answer").is(200).json();
    let size = info["size"].as_u64().expect("a size");
    let pieces = Mutex::new(vec![Vec::new(); size.div_ceil(CHUNK) as usize]);
    let next = Mutex::new(0u64);
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                loop {
                    let index = {
                        let mut next = next.lock().expect("the next piece");
                        *next += 1;
                        *next - 1
                    };
                    if index * CHUNK >= size {
                        return;
                    }
                    let end = size.min((index + 1) * CHUNK) - 1;
                    let get = request("GET", &format!("/api/files/{id}/download"));
                    let reply = ask(node, &get.header("Range", format!("bytes={}-{end}", index * CHUNK)));
                    pieces.lock().expect("the pieces")[index as usize] = reply.expect("an answer").is(206).body;
                }
            });
        }
    });
    pieces.into_inner().expect("the pieces").concat()
}

#[test]
fn sequential_upload_and_ranged_download() {
    let node = Node::start();
    for (seed, length) in [0u64, 1, 4_095, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 17].into_iter().enumerate() {
        let content = Oracle(seed as u64).bytes(0..length);
        let made = create(&node, &format!("seed-{length}.bin"), length);
        upload(&node, &made, &content);
        assert!(download(&node, &made.id) == content, "{length} bytes");
    }
}

#[test]
fn a_lost_reply_is_found_out_by_head() {
    let node = Node::start();
    let content = Oracle(3).bytes(0..3 * CHUNK);
    let made = create(&node, "lost.bin", 3 * CHUNK);
    // The first PATCH is sent whole, its reply never read.
    let mut conn = Conn::open(node.addr());
    conn.send_request(&patch(&made, 0, &content[..CHUNK as usize]));
    drop(conn);
    upload(&node, &made, &content);
    assert!(download(&node, &made.id) == content);
}

#[test]
fn a_full_node_is_waited_for() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 2 * CHUNK).start();
    let content = Oracle(4).bytes(0..2 * CHUNK);
    let blocker = node.complete(&Oracle(5).bytes(0..CHUNK));
    let made = create(&node, "waits.bin", 2 * CHUNK);
    let first = ask(&node, &patch(&made, 0, &content[..CHUNK as usize])).expect("an answer").is(204);
    assert_eq!(first.number("Upload-Offset"), CHUNK);
    // 507 stands in the error the library shows; it then looks at the storage and asks where it is.
    let full = ask(&node, &patch(&made, CHUNK, &content[CHUNK as usize..])).expect("an answer").is(507);
    assert_eq!(full.number("Upload-Offset"), CHUNK);
    let storage = ask(&node, &request("GET", "/api/storage")).expect("an answer").is(200).json();
    assert_eq!(storage["is_full"], true, "{storage}");
    let head = ask(&node, &request("HEAD", &made.path)).expect("an answer").is(200);
    assert_eq!(head.number("Upload-Offset"), CHUNK, "HEAD works while the quota is full");
    node.delete(&blocker.file()).is(200);
    upload(&node, &made, &content);
    assert!(download(&node, &made.id) == content);
}
