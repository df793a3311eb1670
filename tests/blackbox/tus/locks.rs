//! TUS.md §A13: two requests for one upload. One writer per byte; the silent are ended, the busy are waited for.

use std::time::Duration;

use crate::support::tus::{Upload, head, patch, patch_head, tus};
use crate::support::{Conn, Node, Oracle, wait};

const MIB: u64 = 1 << 20;

/// A writer that announced `length` bytes at `offset`, sent the first of them, and falls silent.
fn stalled(node: &Node, upload: &Upload, offset: u64, length: u64, sent: &[u8]) -> Conn {
    let before = received(node, upload);
    let mut conn = node.connect();
    conn.send_head(&patch_head(upload, offset).header("Content-Length", length.to_string()));
    conn.send(sent);
    wait::until("the writer's bytes arrive", || (received(node, upload) > before).then_some(()));
    conn
}

/// Progress, watched without touching any writer.
fn received(node: &Node, upload: &Upload) -> u64 {
    node.get(&upload.file()).is(200).json()["uploaded_size"].as_u64().expect("a number")
}

#[test]
fn sixteen_writers_for_the_same_bytes_leave_one_winner() {
    let node = Node::start();
    const SIZE: usize = 40_000;
    for round in 0..100 {
        let upload = node.create(SIZE as u64);
        let barrier = std::sync::Barrier::new(16);
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16u8)
                .map(|fill| {
                    let mut conn = node.connect();
                    let request = patch(&upload, 0, &vec![fill + 1; SIZE]);
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        conn.ask(&request).status
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let winners: Vec<usize> = (0..16).filter(|at| answers[*at] == 204).collect();
        let others = answers.iter().filter(|status| matches!(status, 409 | 423)).count();
        assert!(winners.len() == 1 && others == 15, "round {round}: {answers:?}");
        let got = node.get(&upload.download()).is(200).body;
        assert!(got == vec![winners[0] as u8 + 1; SIZE], "round {round}: not the winner's bytes alone");
        node.delete(&upload.file()).is(200);
    }
}

#[test]
fn a_silent_writer_is_ended_by_head_and_its_prefix_counts() {
    let node = Node::start();
    let content = Oracle(1).bytes(0..MIB);
    let upload = node.create(MIB);
    let mut conn = stalled(&node, &upload, 0, MIB, &content[..300_000]);
    // The answer is one to continue at; the silent writer is gone when it comes, or the offset is its own.
    let offset = wait::until("HEAD tells the prefix", || Some(node.offset(&upload)).filter(|offset| *offset > 0));
    node.prefix(&upload, Oracle(1), offset);
    node.patch(&upload, offset, &content[offset as usize..]).is(204);
    node.whole(&upload, &content);
    let (bytes, ended) = conn.drain(crate::support::DEADLINE);
    assert!(ended, "the ended writer's connection is closed");
    assert!(!String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 2"));
}

#[test]
fn a_silent_writer_is_ended_by_a_patch_that_wants_its_bytes() {
    let node = Node::start();
    let content = Oracle(2).bytes(0..MIB);
    let upload = node.create(MIB);
    let mut conn = stalled(&node, &upload, 0, MIB, &content[..300_000]);
    // Offset 0 is behind the prefix by now: answered from the state reached, with the truth.
    let reply = node.patch(&upload, 0, &content[..100_000]).is(409);
    let offset = reply.number("Upload-Offset");
    assert!(offset > 0 && offset <= 300_000, "{offset}");
    node.patch(&upload, offset, &content[offset as usize..]).is(204);
    node.whole(&upload, &content);
    assert!(conn.drain(crate::support::DEADLINE).1);
}

#[test]
fn bytes_of_an_ended_writer_never_land() {
    let node = Node::start();
    let right = Oracle(3).bytes(0..MIB);
    let wrong = Oracle(4).bytes(0..MIB);
    for _ in 0..5 {
        let upload = node.create(MIB);
        let mut conn = stalled(&node, &upload, 0, MIB, &right[..300_000]);
        assert!(conn.quiet_for(Duration::from_millis(1_500)), "silent, and so far without a consequence");
        let offset = node.offset(&upload) as usize;
        // The first writer wakes up and goes on with other bytes while the second one writes the right ones.
        let late = wrong.clone();
        let writer = std::thread::spawn(move || {
            for piece in late[300_000..].chunks(10_000) {
                if conn.try_send(piece).is_err() {
                    break;
                }
            }
            let (bytes, _) = conn.drain(crate::support::DEADLINE);
            assert!(!String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 2"), "an ended writer gets no success");
        });
        node.patch(&upload, offset as u64, &right[offset..]).is(204);
        node.whole(&upload, &right);
        writer.join().expect("no panic");
        node.whole(&upload, &right);
    }
}

#[test]
fn a_busy_writer_is_not_ended_by_head_or_patch() {
    let node = Node::start();
    let length = 60_000u64;
    let content = Oracle(5).bytes(0..length);
    let upload = node.create(length);
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 0).header("Content-Length", length.to_string()));
    // 10 KiB/s: a piece every 100 ms, never silent for a second.
    let (mut sent, mut last) = (0usize, 0);
    let mut rival: Option<std::thread::JoinHandle<(u16, Option<String>)>> = None;
    while sent < content.len() {
        let piece = 1_000.min(content.len() - sent);
        conn.try_send(&content[sent..sent + piece]).expect("the busy writer is not ended");
        sent += piece;
        if sent < content.len() {
            assert!(conn.quiet_for(Duration::from_millis(100)), "answered in the middle of its body");
        }
        if sent == 10_000 {
            let (addr, upload) = (node.addr(), upload.clone());
            rival = Some(std::thread::spawn(move || {
                let reply = Conn::open(addr).ask(&patch(&upload, 0, &[0xEE; 1_000]));
                (reply.status, reply.header("Retry-After").map(str::to_owned))
            }));
        }
        if sent % 5_000 == 0 {
            let seen = node.offset(&upload);
            assert!(seen >= last && seen <= sent as u64, "{seen} after {last}, {sent} sent");
            last = seen;
        }
    }
    assert_eq!(conn.reply().is(204).number("Upload-Offset"), length);
    let (status, retry) = rival.expect("was started").join().expect("no panic");
    assert!(status == 409 || (status == 423 && retry.as_deref() == Some("1")), "{status} {retry:?}");
    node.whole(&upload, &content);
}

#[test]
fn delete_ends_even_a_busy_writer() {
    let node = Node::start();
    let upload = node.create(10 * MIB);
    let mut conn = stalled(&node, &upload, 0, 10 * MIB, &[1; 600_000]);
    let busy = std::thread::spawn(move || {
        let ended = wait::within(crate::support::DEADLINE, || {
            (conn.try_send(&[1; 1_000]).is_err() || !conn.quiet_for(Duration::from_millis(50))).then_some(())
        });
        assert!(ended.is_some(), "the writer goes on after the removal");
        conn.drain(crate::support::DEADLINE).0
    });
    node.send(&tus("DELETE", &upload.path)).is(204);
    let bytes = busy.join().expect("no panic");
    assert!(!String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 2"));
    node.head(&upload).one_of(&[404, 410]);
}

#[test]
fn a_writer_of_other_bytes_is_nobodys_business() {
    let node = Node::start();
    let content = Oracle(6).bytes(0..8 * MIB);
    let upload = node.create(8 * MIB);
    // One of eight stalls in its slice; the others write theirs undisturbed, before and after.
    let slice = |at: u64| &content[(at * MIB) as usize..((at + 1) * MIB) as usize];
    let mut silent = stalled(&node, &upload, 3 * MIB, MIB, &slice(3)[..600_000]);
    std::thread::scope(|scope| {
        for at in [0, 1, 2, 4, 5, 6] {
            let (node, upload) = (&node, &upload);
            scope.spawn(move || node.patch(upload, at * MIB, slice(at)).is(204));
        }
    });
    assert!(silent.quiet_for(Duration::ZERO), "a writer was ended for bytes that are not wanted");
    // Its slice is retried: only now it is ended, and its prefix may count.
    node.patch(&upload, 3 * MIB, slice(3)).is(204);
    assert!(silent.drain(crate::support::DEADLINE).1, "the retried slice's silent writer is closed");
    node.patch(&upload, 7 * MIB, slice(7)).is(204);
    node.whole(&upload, &content);
}

#[test]
fn progress_can_be_watched_without_touching_the_writer() {
    let node = Node::start();
    let content = Oracle(7).bytes(0..MIB);
    let upload = node.create(MIB);
    let mut conn = stalled(&node, &upload, 0, MIB, &content[..600_000]);
    for _ in 0..50 {
        received(&node, &upload);
        let info = node.get(&format!("/api/files/{}/info/download", upload.id)).is(200).json();
        assert_eq!(info["is_upload_complete"], false);
        assert_eq!(info["upload_active"], true, "{info}");
    }
    assert!(conn.quiet_for(Duration::ZERO), "looking ended the writer");
    conn.send(&content[600_000..]);
    conn.reply().is(204);
    node.whole(&upload, &content);
}

#[test]
fn a_lock_dies_with_its_holder() {
    let mut node = Node::start();
    let content = Oracle(8).bytes(0..MIB);
    let upload = node.create(MIB);
    // A lost connection.
    stalled(&node, &upload, 0, MIB, &content[..300_000]).reset();
    let offset = node.offset(&upload);
    node.patch(&upload, offset, &content[offset as usize..310_000]).is(204);
    // A killed server.
    let conn = stalled(&node, &upload, 310_000, MIB - 310_000, &content[310_000..910_000]);
    node.kill_and_start_again();
    drop(conn);
    let offset = node.offset(&upload);
    assert!((310_000..=910_000).contains(&offset), "{offset}");
    node.patch(&upload, offset, &content[offset as usize..]).is(204);
    node.whole(&upload, &content);
}

#[test]
fn a_stuck_disk_is_423_for_the_others() {
    let Some(disk) = crate::support::disk::Disk::ext4(256) else { return };
    let mut node = Node::setup().storage(&disk.path().join("storage")).env("DURABILITY", "every").start();
    let content = Oracle(9).bytes(0..4 * MIB);
    let upload = node.create(4 * MIB);
    node.patch(&upload, 0, &content[..4_096]).is(204);
    let frozen = disk.freeze();
    // The writer hangs in the disk, not in the network: everything it announced is sent.
    let mut writer = node.connect();
    writer.send_request(&patch(&upload, 4_096, &content[4_096..2 * MIB as usize]));
    assert!(writer.quiet_for(Duration::from_secs(2)), "written to a frozen disk");
    let mut others: Vec<Conn> = (0..3).map(|_| node.connect()).collect();
    for conn in &mut others {
        conn.send_request(&patch(&upload, 4_096, &content[4_096..8_192]));
    }
    for conn in &mut others {
        let reply = conn.reply().is(423);
        assert_eq!(reply.field("Retry-After"), "1");
    }
    node.get("/api/health").is(200);
    drop(frozen);
    writer.reply().is(204);
    let offset = node.send(&head(&upload)).is(200).number("Upload-Offset");
    node.patch(&upload, offset, &content[offset as usize..]).is(204);
    node.whole(&upload, &content);
    drop((writer, others));
    node.stop();
}
