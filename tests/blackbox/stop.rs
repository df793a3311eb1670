//! PROMISES.md P17: SIGTERM ends a node in order: no new work, bodies end with their prefix kept, journals are synced,
//! exit 0 within the grace; a second SIGTERM ends it at once.

use rustix::process::Signal;

use crate::support::tus::{head, patch_head};
use crate::support::{Conn, DEADLINE, Node, Oracle, Request, Role, wait};

const LENGTH: u64 = 4 << 20;

#[test]
fn an_idle_node_stops_with_success() {
    for planes in [Node::setup(), Node::setup().two_processes()] {
        let mut node = planes.start();
        node.complete(b"hello");
        let status = node.stop();
        assert!(status.success(), "{status:?}");
    }
}

#[test]
fn stalled_writers_do_not_hold_it_and_keep_their_prefix() {
    let mut node = Node::setup().env("GRACE", 2).start();
    let content = Oracle(1).bytes(0..LENGTH);
    let stalled: Vec<_> = (0..8)
        .map(|_| {
            let upload = node.create(LENGTH);
            let mut conn = node.connect();
            conn.send_head(&patch_head(&upload, 0).header("Content-Length", LENGTH.to_string()));
            conn.send(&content[..500_000]);
            (upload, conn)
        })
        .collect();
    let idle: Vec<Conn> = (0..8)
        .map(|_| {
            let mut conn = node.connect();
            conn.ask(&Request::get("/api/health")).is(200);
            conn
        })
        .collect();
    for (upload, _) in &stalled {
        wait::until("the bytes arrive", || {
            (node.get(&upload.file()).json()["uploaded_size"].as_u64()? > 0).then_some(())
        });
    }
    let status = node.stop();
    assert!(status.success(), "{status:?}");
    let mut uploads = Vec::new();
    for (upload, mut conn) in stalled {
        let (bytes, ended) = conn.drain(DEADLINE);
        assert!(ended && !String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 2"));
        uploads.push(upload);
    }
    drop(idle);
    node.start_again();
    for upload in uploads {
        let offset = node.offset(&upload);
        assert!(offset > 0 && offset <= 500_000, "{offset}");
        node.prefix(&upload, Oracle(1), offset);
        node.patch(&upload, offset, &content[offset as usize..]).is(204);
        node.whole(&upload, &content);
    }
}

#[test]
fn no_new_work_is_taken_while_it_stops() {
    let mut node = Node::setup().env("GRACE", 10).start();
    let upload = node.create(LENGTH);
    let content = Oracle(2).bytes(0..LENGTH);
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 0).header("Content-Length", LENGTH.to_string()));
    conn.send(&content[..500_000]);
    wait::until("the bytes arrive", || (node.get(&upload.file()).json()["uploaded_size"].as_u64()? > 0).then_some(()));
    node.signal(Role::Both, Signal::TERM);
    wait::until("new connections are refused or closed", || {
        node.try_send(&head(&upload)).map_or(true, |reply| reply.status == 503).then_some(())
    });
    // The body that runs may end well within the grace, or is ended with its prefix kept.
    conn.send(&content[500_000..]);
    let acked = conn.try_reply(false, DEADLINE).is_ok_and(|reply| reply.status == 204);
    drop(conn);
    assert!(node.wait_end(Role::Both).success());
    node.start_again();
    let offset = node.offset(&upload);
    assert!(offset == LENGTH || (!acked && offset > 0), "{offset}, acknowledged: {acked}");
    node.prefix(&upload, Oracle(2), offset);
}

#[test]
fn a_second_sigterm_ends_it_at_once() {
    let mut node = Node::setup().env("GRACE", 3_600).start();
    let upload = node.create(LENGTH);
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 0).header("Content-Length", LENGTH.to_string()));
    conn.send(&Oracle(3).bytes(0..500_000));
    wait::until("the bytes arrive", || (node.get(&upload.file()).json()["uploaded_size"].as_u64()? > 0).then_some(()));
    // Readers keep it busy even where a silent writer would not.
    node.signal(Role::Both, Signal::TERM);
    wait::until("it is stopping", || {
        node.try_send(&Request::get("/api/health")).map_or(true, |reply| reply.status == 503).then_some(())
    });
    if node.pid(Role::Both).is_some() {
        let _ = wait::within(std::time::Duration::from_millis(50), || None::<()>);
        node.signal(Role::Both, Signal::TERM);
    }
    node.wait_end(Role::Both);
    drop(conn);
    node.start_again();
    let offset = node.offset(&upload);
    assert!(offset <= 500_000);
    node.prefix(&upload, Oracle(3), offset);
}
