//! TUS.md §A10: removal, under running writers and readers, and that nothing comes back.

use std::io::Read as _;

use crate::support::tus::{patch, patch_head, post, tus};
use crate::support::{Conn, Node, Oracle, Request, TOKEN, audit, wait};

#[test]
fn delete_removes_complete_and_incomplete_uploads() {
    let node = Node::start();
    let list = node.send(&Request::new("OPTIONS", "/tus")).field("Tus-Extension").to_owned();
    assert!(list.split(',').any(|n| n == "termination"), "{list}");
    let half = node.create(100);
    node.patch(&half, 0, b"hello").is(204);
    for upload in [node.create(100), half, node.complete(b"hello"), node.create(0)] {
        node.send(&tus("DELETE", &upload.path)).is(204);
        for method in ["HEAD", "PATCH", "DELETE"] {
            let request = tus(method, &upload.path)
                .header("Upload-Offset", "0")
                .header("Content-Type", "application/offset+octet-stream");
            node.send(&request).one_of(&[404, 410]);
        }
        node.get(&upload.file()).is(404);
        node.get(&upload.download()).is(404);
        node.get(&format!("/api/files/{}/info/download", upload.id)).is(404);
    }
    assert_eq!(node.listed(), 0);
    wait::until("no object file stays", || audit::objects_below(node.storage()).is_empty().then_some(()));
}

#[test]
fn an_unknown_upload_is_404() {
    let node = Node::start();
    node.send(&tus("DELETE", "/tus/00000000000000000000000000000000")).is(404);
}

#[test]
fn space_is_given_back_once() {
    let node = Node::setup().env("MAX_STORAGE_SIZE", 10_000_000).start();
    let keep = node.complete(&[1; 1_000_000]);
    for round in 0..10 {
        let upload = node.complete(&vec![2; 3_000_000]);
        assert_eq!(node.get("/api/storage").json()["used"], 4_000_000);
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let node = &node;
            let ask = |request: Request| scope.spawn(move || node.send(&request).status);
            let way = if round % 2 == 0 { tus("DELETE", &upload.path) } else { files_delete(&upload.file()) };
            let (a, b) = (ask(tus("DELETE", &upload.path)), ask(way));
            [a, b].map(|thread| thread.join().expect("no panic")).to_vec()
        });
        let won = answers.iter().filter(|status| matches!(status, 200 | 204)).count();
        assert_eq!(won, 1, "{answers:?}");
        assert!(answers.iter().all(|status| matches!(status, 200 | 204 | 404 | 410)), "{answers:?}");
        wait::until("the space is back, once", || (node.get("/api/storage").json()["used"] == 1_000_000).then_some(()));
    }
    node.whole(&keep, &[1; 1_000_000]);
}

fn files_delete(path: &str) -> Request {
    Request::new("DELETE", path).header("X-API-Token", TOKEN)
}

#[test]
fn an_active_writer_is_ended_and_gets_no_204() {
    let node = Node::start();
    for stalled in [true, false] {
        let upload = node.create(100 << 20);
        let mut conn = node.connect();
        conn.send_head(&patch_head(&upload, 0).header("Content-Length", (100 << 20).to_string()));
        let block = vec![5; 1 << 20];
        conn.send(&block);
        wait::until("bytes arrive", || (node.get(&upload.file()).json()["uploaded_size"].as_u64()? > 0).then_some(()));
        let writer = std::thread::spawn(move || {
            if !stalled {
                for _ in 0..99 {
                    if conn.try_send(&block).is_err() {
                        break;
                    }
                }
            }
            let (bytes, ended) = conn.drain(crate::support::DEADLINE);
            (String::from_utf8_lossy(&bytes).into_owned(), ended)
        });
        node.send(&tus("DELETE", &upload.path)).one_of(&[204, 404]);
        let (text, _ended) = writer.join().expect("no panic");
        let finished_first = !stalled && text.starts_with("HTTP/1.1 204");
        assert!(!text.starts_with("HTTP/1.1 2") || finished_first, "{text}");
        node.head(&upload).one_of(&[404, 410]);
        wait::until("its bytes are removed", || audit::objects_below(node.storage()).is_empty().then_some(()));
    }
    assert_eq!(node.get("/api/storage").json()["used"], 0);
}

#[test]
fn an_active_reader_gets_the_right_bytes_or_is_cut_short() {
    let node = Node::start();
    let content = Oracle(1);
    let length = 48u64 << 20;
    let body = content.bytes(0..length);
    for _ in 0..3 {
        let upload = node.complete(&body);
        let mut conn = node.connect();
        conn.send_request(&Request::get(&upload.download()).header("X-API-Token", TOKEN));
        let (status, headers) = conn.read_head(std::time::Instant::now() + crate::support::DEADLINE).expect("a head");
        assert_eq!(status, 200, "{headers:?}");
        let mut got = conn.read_some(1);
        node.send(&tus("DELETE", &upload.path)).is(204);
        // New files take the place of the old one's blocks while the reader goes on.
        let other = node.complete(&vec![0xAA; 8 << 20]);
        conn.stream.set_read_timeout(Some(crate::support::DEADLINE)).expect("set the limit");
        let mut buffer = vec![0; 1 << 20];
        while (got.len() as u64) < length {
            match conn.stream.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(n) => got.extend_from_slice(&buffer[..n]),
            }
        }
        assert!(got.len() as u64 <= length);
        if let Err(wrong) = content.check(0, &got) {
            panic!("after the removal a reader got other bytes: {wrong}");
        }
        drop(conn);
        node.send(&tus("DELETE", &other.path)).is(204);
    }
}

#[test]
fn what_was_removed_stays_removed() {
    let mut node = Node::setup().env("DURABILITY", "every").start();
    let (done, half) = (node.complete(b"hello"), node.create(100));
    node.patch(&half, 0, b"hello").is(204);
    let uploads = [done, half];
    for upload in &uploads {
        node.send(&tus("DELETE", &upload.path)).is(204);
    }
    for round in 0..3 {
        if round == 2 {
            node.stop();
            node.start_again();
        } else {
            node.kill_and_start_again();
        }
        for upload in &uploads {
            node.head(upload).one_of(&[404, 410]);
            node.get(&upload.file()).is(404);
            node.patch(upload, 5, b"x").one_of(&[404, 410]);
        }
        assert_eq!(node.listed(), 0);
        assert_eq!(node.get("/api/storage").json()["used"], 0);
    }
    assert!(audit::objects_below(node.storage()).is_empty());
}

#[test]
fn a_racing_patch_does_not_bring_it_back() {
    let node = Node::start();
    for _ in 0..30 {
        let upload = node.create(2_000_000);
        let barrier = std::sync::Barrier::new(3);
        std::thread::scope(|scope| {
            for offset in [0, 4_096 * 200] {
                let (barrier, upload) = (&barrier, &upload);
                let mut conn: Conn = node.connect();
                scope.spawn(move || {
                    let request = patch(upload, offset, &[3; 500_000]);
                    barrier.wait();
                    let _ = conn.try_ask(&request);
                });
            }
            barrier.wait();
            node.send(&tus("DELETE", &upload.path)).is(204);
        });
        node.head(&upload).one_of(&[404, 410]);
        node.get(&upload.file()).is(404);
    }
    wait::until("no object file stays", || audit::objects_below(node.storage()).is_empty().then_some(()));
    assert_eq!(node.get("/api/storage").json()["used"], 0);
    node.send(&post().header("Upload-Length", "5")).is(201);
}
