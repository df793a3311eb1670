//! Our command line under kill -9 of itself and of the server: run again, it goes on where it was, and the bytes are equal.

use std::time::{Duration, Instant};

use super::{id_in, source};
use crate::support::{Node, Oracle, Role, oracle, wait};

const LENGTH: u64 = 200 << 20;

/// Kills at random instants until the work is done; `again` restarts what was killed.
fn survive(node: &mut Node, args: &[&str], seed: u64, server: bool) -> String {
    let mut rng = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    let mut kills = 0;
    loop {
        let mut running = wait::Running::start(node.et(args));
        // Some runs are let go: even the unluckiest machine must come to an end.
        let span = Duration::from_millis(rng.u64(20..600) + if kills > 12 { 600_000 } else { 0 });
        let at = Instant::now() + span;
        wait::within(span, || (running.ended() || Instant::now() >= at).then_some(()));
        if running.ended() {
            let ran = running.finish();
            if ran.code == Some(0) {
                return ran.stdout;
            }
            assert!(server, "nothing was killed, and yet it failed: {ran:?}");
            assert!(begun.elapsed() < Duration::from_secs(300), "no end after {kills} kills: {ran:?}");
            continue;
        }
        kills += 1;
        if server && rng.bool() {
            node.kill();
            node.start_again();
            // Alive, the client may go on by itself; it is given the chance.
            let ended = wait::within(Duration::from_secs(rng.u64(0..4)), || running.ended().then_some(()));
            if ended.is_some() {
                let ran = running.finish();
                if ran.code == Some(0) {
                    return ran.stdout;
                }
                continue;
            }
        }
        running.kill();
        assert!(begun.elapsed() < Duration::from_secs(300), "no end after {kills} kills");
    }
}

#[test]
fn an_upload_survives_kills_of_the_client() {
    let mut node = Node::start();
    source(&node, "iso", Oracle(1), LENGTH);
    let id = id_in(&survive(&mut node, &["upload", "iso"], 1, false));
    wait::run(node.et(&["download", &id, "-o", "back"])).ok();
    oracle::check_file(&node.dir().join("back"), Oracle(1), LENGTH);
    let list = node.get("/api/files?page_size=100").json();
    let files = list["files"].as_array().expect("a list");
    let complete = files.iter().filter(|file| file["status"] == "complete").count();
    assert_eq!(complete, 1, "one upload, taken up again each time: {list}");
    // A kill between the server's creation and the client's record leaves an upload without a byte, which expires.
    assert!(files.iter().all(|file| file["status"] == "complete" || file["uploaded_size"] == 0), "{list}");
}

#[test]
fn an_upload_survives_kills_of_both_sides() {
    let mut node = Node::start();
    source(&node, "iso", Oracle(2), LENGTH);
    let id = id_in(&survive(&mut node, &["upload", "iso"], 2, true));
    wait::run(node.et(&["download", &id, "-o", "back"])).ok();
    oracle::check_file(&node.dir().join("back"), Oracle(2), LENGTH);
}

#[test]
fn a_download_survives_kills_of_both_sides() {
    let mut node = Node::start();
    source(&node, "iso", Oracle(3), LENGTH);
    let id = id_in(&wait::run(node.et(&["upload", "iso"])).ok().stdout);
    survive(&mut node, &["download", &id, "-o", "back"], 3, true);
    oracle::check_file(&node.dir().join("back"), Oracle(3), LENGTH);
    assert!(node.pid(Role::Both).is_some());
}

#[test]
fn a_changed_file_is_not_continued_as_the_old_one() {
    let node = Node::start();
    let path = source(&node, "iso", Oracle(4), LENGTH);
    let mut running = wait::Running::start(node.et(&["upload", "iso"]));
    wait::until("some of it is there", || {
        let list = node.get("/api/files").json();
        (list["files"].get(0)?["uploaded_size"].as_u64()? > 1 << 20).then_some(())
    });
    running.kill();
    oracle::write_file(&path, Oracle(5), LENGTH);
    let id = id_in(&wait::run(node.et(&["upload", "iso"])).ok().stdout);
    wait::run(node.et(&["download", &id, "-o", "back"])).ok();
    oracle::check_file(&node.dir().join("back"), Oracle(5), LENGTH);
}
