//! faults.md C6: descriptors. The soft limit is raised at the start, and with none left a client is told so.

use std::process::Command;

use crate::support::audit;
use crate::support::node::{Node, Role, TOKEN};
use crate::support::raw::{Conn, Request};
use crate::support::tus::{patch, post};
use crate::support::wait;

fn limit(pid: u32) -> (String, String) {
    let table = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits of the node");
    let line = table.lines().find(|line| line.starts_with("Max open files")).expect("open files");
    let mut words = line.split_whitespace().skip(3).map(str::to_owned);
    (words.next().expect("soft"), words.next().expect("hard"))
}

#[test]
fn c6_the_soft_limit_is_raised_to_the_hard_one_at_the_start() {
    let node = Node::setup().wrapped(&["prlimit", "--nofile=1024:3000"]).start();
    let pid = node.pid(Role::Both).expect("it runs");
    assert_eq!(limit(pid), ("3000".to_owned(), "3000".to_owned()));
}

#[test]
fn c6_with_no_descriptor_free_every_client_is_answered_and_nothing_stays() {
    let node = Node::start();
    let pid = node.pid(Role::Both).expect("it runs");
    let content = vec![7; 300_000];
    let upload = node.complete(&content);
    let files = node.listed();
    let mut early: Vec<Conn> = (0..4).map(|_| node.connect()).collect();
    for conn in &mut early {
        conn.ask(&Request::get("/livez")).is(200);
    }
    // Room for a few more; the rest finds none.
    let open = audit::open_files(pid).len();
    let set = |limit: usize| {
        let status = Command::new("prlimit").args([format!("--pid={pid}"), format!("--nofile={limit}:")]).status();
        assert!(status.expect("prlimit").success());
    };
    set(open + 50);
    let mut crowd = Vec::new();
    let mut come = || {
        let mut conn = node.connect();
        conn.send(&Request::get("/livez").bytes("node"));
        // Refused ones are closed, the others stay: each takes a descriptor.
        let reply = conn.reply().one_of(&[200, 503]);
        match reply.status {
            200 => crowd.push(conn),
            _ => assert_eq!(reply.field("Retry-After"), "1"),
        }
        reply.status
    };
    let answers: Vec<u16> = (0..60).map(|_| come()).collect();
    assert!(answers.contains(&200) && answers[50..].iter().all(|status| *status == 503), "{answers:?}");
    // And with none left at all, also for files.
    set(audit::open_files(pid).len());
    for _ in 0..4 {
        assert_eq!(come(), 503);
    }
    let [download, creation, whole, last] = &mut early[..] else { unreachable!("four of them") };
    let reply = download.ask(&Request::get(&upload.download()).header("X-API-Token", TOKEN)).one_of(&[200, 503]);
    assert!(
        if reply.status == 200 { reply.body == content } else { reply.header("Retry-After").is_some() },
        "{reply:?}"
    );
    let mut made = 0;
    for conn in [creation, whole] {
        let octets = "application/offset+octet-stream";
        let request = post().header("Upload-Length", "5").header("Content-Type", octets).body("hello");
        let reply = conn.ask(&request).one_of(&[201, 503]);
        made += u64::from(reply.status == 201);
        assert!(reply.status == 201 || reply.header("Retry-After").is_some(), "{reply:?}");
    }
    drop(crowd);
    set(open + 200);
    wait::until("descriptors are free", || {
        let reply = last.ask(&Request::get("/api/files").header("X-API-Token", TOKEN));
        (reply.status == 200).then_some(())
    });
    wait::until("a creation works again", || {
        let upload = node.send(&post().header("Upload-Length", "5"));
        let upload = (upload.status == 201).then(|| crate::support::tus::Upload::at(upload.field("Location")))?;
        node.send(&patch(&upload, 0, b"hello")).is(204);
        made += 1;
        Some(())
    });
    assert_eq!(node.listed(), files + made, "what was refused left nothing");
    node.whole(&upload, &content);
}
