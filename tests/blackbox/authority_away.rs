//! PROMISES.md P14: the control plane is killed, stopped and restarted while bytes move. What has a grant goes on, what
//! is finished is acknowledged, facts take effect once; new decisions get 503 with `Retry-After`; nothing hangs.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::raw::NoReply;
use crate::support::tus::{Upload, metadata, patch, patch_head, post};
use crate::support::{Conn, DEADLINE, Node, OTHER_TOKEN, Oracle, Request, Role, TOKEN, wait};

const LENGTH: u64 = 8 << 20;

fn two() -> Node {
    Node::setup().two_processes().start()
}

/// A PATCH for all of `upload` whose first half is sent and known to have arrived.
fn half_way(node: &Node, upload: &Upload, content: &[u8]) -> Conn {
    let mut conn = node.connect();
    conn.send_head(&patch_head(upload, 0).header("Content-Length", content.len().to_string()));
    conn.send(&content[..content.len() / 2]);
    wait::until("the first half arrives", || {
        let info = node.get(&upload.file()).is(200).json();
        (info["uploaded_size"].as_u64()? > 0).then_some(())
    });
    conn
}

#[track_caller]
fn refused_for_now(node: &Node) {
    for request in [
        post().header("Upload-Length", "5"),
        Request::get("/api/files").header("X-API-Token", TOKEN),
        Request::get("/api/files/00000000000000000000000000000000/download").header("X-API-Token", TOKEN),
    ] {
        let reply = node.send(&request).is(503);
        assert!(reply.number("Retry-After") > 0);
        assert_eq!(reply.header("Location"), None);
    }
}

#[track_caller]
fn back(node: &mut Node) {
    node.spawn(Role::Control).expect("the control plane starts");
    wait::until("decisions are made again", || {
        let asked = node.try_send(&Request::get("/api/files").header("X-API-Token", TOKEN));
        asked.ok().filter(|reply| reply.status == 200)
    });
}

#[test]
fn a_killed_authority_stops_no_running_upload() {
    let mut node = two();
    let content = Oracle(1).bytes(0..LENGTH);
    let upload = node.create(LENGTH);
    let mut conn = half_way(&node, &upload, &content);
    node.kill_one(Role::Control);
    conn.send(&content[content.len() / 2..]);
    assert_eq!(conn.reply().is(204).number("Upload-Offset"), LENGTH, "finished and acknowledged");
    refused_for_now(&node);
    back(&mut node);
    node.whole(&upload, &content);
    assert_eq!(node.listed(), 1, "its completion took effect once");
    assert_eq!(node.get("/api/storage").json()["used"], LENGTH);
}

#[test]
fn p9_what_was_promised_counts_for_an_authority_that_started_anew() {
    let mut node = Node::setup().two_processes().env("MAX_STORAGE_SIZE", LENGTH + LENGTH / 4).start();
    let content = Oracle(3).bytes(0..LENGTH);
    let (first, second) = (node.create(LENGTH), node.create(LENGTH / 2));
    let mut conn = half_way(&node, &first, &content);
    node.kill_one(Role::Control);
    back(&mut node);
    // What is stored leaves room for it; what was promised to the body under way does not.
    node.patch(&second, 0, &content[..content.len() / 2]).is(507);
    conn.send(&content[content.len() / 2..]);
    conn.reply().is(204);
    node.whole(&first, &content);
    node.patch(&second, 0, &content[..content.len() / 2]).is(507);
    node.patch(&second, 0, &content[..content.len() / 4]).is(204);
    assert_eq!(node.get("/api/storage").json()["used"], LENGTH + LENGTH / 4, "and not one byte is promised any more");
}

#[test]
fn a_fact_that_waits_survives_the_data_planes_death_too() {
    let mut node = two();
    let content = Oracle(2).bytes(0..LENGTH);
    let upload = node.create(LENGTH);
    let mut conn = half_way(&node, &upload, &content);
    node.kill_one(Role::Control);
    conn.send(&content[content.len() / 2..]);
    conn.reply().is(204);
    node.kill_one(Role::Data);
    node.start_again();
    node.whole(&upload, &content);
    assert_eq!(node.listed(), 1);
}

#[test]
fn a_stopped_authority_hangs_nothing() {
    let node = two();
    let content = Oracle(3).bytes(0..LENGTH);
    let upload = node.create(LENGTH);
    let mut conn = half_way(&node, &upload, &content);
    node.signal(Role::Control, Signal::STOP);
    conn.send(&content[content.len() / 2..]);
    assert_eq!(conn.reply().is(204).number("Upload-Offset"), LENGTH);
    refused_for_now(&node);
    node.signal(Role::Control, Signal::CONT);
    wait::until("decisions are made again", || {
        let asked = node.try_send(&Request::get("/api/files").header("X-API-Token", TOKEN));
        asked.ok().filter(|reply| reply.status == 200)
    });
    node.whole(&upload, &content);
    assert_eq!(node.listed(), 1);
}

#[test]
fn a_running_download_goes_on() {
    let mut node = two();
    let length = 48u64 << 20;
    let content = Oracle(4);
    let upload = node.complete(&content.bytes(0..length));
    for stop in [false, true] {
        let mut conn = node.connect();
        conn.send_request(&Request::get(&upload.download()).header("X-API-Token", TOKEN));
        let (status, _) = conn.read_head(std::time::Instant::now() + DEADLINE).expect("a head");
        assert_eq!(status, 200);
        let mut got = conn.read_some(1);
        if stop {
            node.signal(Role::Control, Signal::STOP);
        } else {
            node.kill_one(Role::Control);
        }
        while (got.len() as u64) < length {
            got.extend(conn.read_some(1));
        }
        content.check(0, &got).unwrap_or_else(|wrong| panic!("{wrong}"));
        drop(conn);
        if stop {
            node.signal(Role::Control, Signal::CONT);
        } else {
            back(&mut node);
        }
    }
}

#[test]
fn nothing_is_consumed_without_the_authority() {
    let mut node = two();
    let content = Oracle(5).bytes(0..16 << 20);
    let pairs = [("filename", "once.bin"), ("retention", "download_once")];
    let upload = node.complete_as(&pairs, &content);
    let mut conn = node.connect();
    conn.send_request(&Request::get(&upload.download()).header("X-API-Token", TOKEN));
    conn.read_head(std::time::Instant::now() + DEADLINE).expect("a head");
    let mut got = conn.read_some(1);
    node.kill_one(Role::Control);
    // The last block waits for a claim that cannot be decided: cut short, or held until the authority is back.
    let (rest, ended) = conn.drain(Duration::from_secs(3));
    got.extend(rest);
    assert!(got.len() < content.len(), "the last block was sent without a claim");
    back(&mut node);
    if !ended {
        let (rest, _) = conn.drain(Duration::from_secs(5));
        got.extend(rest);
    }
    drop(conn);
    if got.len() == content.len() {
        wait::until("consumed", || (node.get(&upload.file()).status == 404).then_some(()));
    } else {
        let reply = node.get(&upload.download()).is(200);
        assert!(reply.body == content, "a claim that was never made is no claim");
        wait::until("consumed", || (node.get(&upload.file()).status == 404).then_some(()));
    }
    assert!(content.starts_with(&got[..got.len().min(content.len())]));
}

#[test]
fn a_removal_asked_for_in_between_holds() {
    let mut node = two();
    let upload = node.complete(b"hello");
    node.delete(&upload.file()).is(200);
    node.kill_one(Role::Control);
    node.send(&Request::get(&upload.download()).header("X-API-Token", TOKEN)).one_of(&[404, 410, 503]);
    back(&mut node);
    node.get(&upload.file()).is(404);
    node.head(&upload).one_of(&[404, 410]);
    wait::until("its bytes are removed", || {
        crate::support::audit::objects_below(node.storage()).is_empty().then_some(())
    });
}

#[test]
fn uploads_and_downloads_live_through_many_restarts() {
    let mut node = two();
    let shared = Oracle(99).bytes(0..3 << 20);
    let read = node.complete(&shared);
    let over = std::sync::atomic::AtomicBool::new(false);
    let addr = node.addr();
    let load = || over.load(std::sync::atomic::Ordering::SeqCst);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3u64)
            .map(|seed| {
                scope.spawn(move || {
                    let oracle = Oracle(seed);
                    let upload = wait::until("an upload is created", || {
                        let pairs = metadata(&[("filename", "w")]);
                        let request =
                            post().header("Upload-Length", LENGTH.to_string()).header("Upload-Metadata", pairs);
                        let reply = Conn::open(addr).ask(&request).one_of(&[201, 503]);
                        (reply.status == 201).then(|| Upload::at(reply.field("Location")))
                    });
                    let mut offset = 0;
                    while offset < LENGTH {
                        let to = LENGTH.min(offset + 100_000);
                        let reply = Conn::open(addr).ask(&patch(&upload, offset, &oracle.bytes(offset..to)));
                        match reply.status {
                            204 => offset = reply.number("Upload-Offset"),
                            503 => std::thread::sleep(Duration::from_millis(5)),
                            other => panic!("{other}: {reply:?}"),
                        }
                    }
                    (upload, oracle)
                })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut whole = 0;
                    while !load() {
                        let request = Request::get(&read.download()).header("X-API-Token", TOKEN);
                        let reply = Conn::open(addr).ask(&request).one_of(&[200, 503]);
                        if reply.status == 200 {
                            assert!(reply.body == shared);
                            whole += 1;
                        }
                    }
                    whole
                })
            })
            .collect();
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..6 {
            std::thread::sleep(Duration::from_millis(rng.u64(20..250)));
            node.kill_one(Role::Control);
            std::thread::sleep(Duration::from_millis(rng.u64(0..150)));
            back(&mut node);
        }
        let done: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("no panic")).collect();
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(readers.into_iter().map(|reader| reader.join().expect("no panic")).sum::<u64>() > 0);
        for (upload, oracle) in done {
            node.whole(&upload, &oracle.bytes(0..LENGTH));
        }
    });
    assert_eq!(node.listed(), 4);
    assert_eq!(node.get("/api/storage").json()["used"], 3 * LENGTH + (3 << 20));
}

#[test]
fn the_data_plane_comes_back_to_an_authority_that_stayed() {
    let mut node = two();
    let content = Oracle(6).bytes(0..LENGTH);
    let upload = node.create(LENGTH);
    node.patch(&upload, 0, &content[..1_000_000]).is(204);
    for _ in 0..3 {
        node.kill_one(Role::Data);
        node.spawn(Role::Data).expect("the data plane starts");
        let offset = wait::until("it answers", || {
            node.try_send(&crate::support::tus::head(&upload)).ok().filter(|reply| reply.status == 200)
        });
        assert!(offset.number("Upload-Offset") >= 1_000_000);
    }
    let offset = node.offset(&upload);
    node.patch(&upload, offset, &content[offset as usize..]).is(204);
    node.whole(&upload, &content);
    assert!(node.stop().success());
}

/// The program that replaces itself by the one after it, whose wall clock it sets back a day.
fn a_day_back() -> Option<Vec<String>> {
    let library = etransfer_tests::library("faketime/libfaketime.so.1", "libfaketime")?;
    let preload = format!("LD_PRELOAD={}", library.display());
    Some(vec!["env".into(), preload, "FAKETIME=-1d".into(), "DONT_FAKE_MONOTONIC=1".into()])
}

#[test]
fn o3_a_removed_tokens_upload_ends_although_the_clock_of_the_authority_went_back_a_day() {
    let Some(wrapper) = a_day_back() else { return };
    let mut node = two();
    let content = Oracle(4).bytes(0..LENGTH);
    let upload = node.create(LENGTH);
    let mut conn = half_way(&node, &upload, &content);
    node.kill_one(Role::Control);
    node.wrap_from_now_on(&wrapper.iter().map(String::as_str).collect::<Vec<_>>());
    node.set_env("AUTH_TOKENS", &format!("[\"{OTHER_TOKEN}\"]"));
    node.spawn(Role::Control).expect("the control plane starts");
    // Fast enough for the limit of slow senders, slow enough to be at it for a minute.
    let mut rest = content[content.len() / 2..].chunks(2048);
    wait::until("the upload is cut", || {
        let more = rest.next().expect("the whole upload was taken although its token is removed");
        let wait = if conn.try_send(more).is_ok() { Duration::from_millis(20) } else { DEADLINE };
        match conn.try_reply(false, wait) {
            Err(NoReply::TimedOut(_)) => None,
            Err(_) => Some(()),
            Ok(reply) => {
                reply.is(401);
                Some(())
            }
        }
    });
    let info = Request::get(&upload.file()).header("X-API-Token", OTHER_TOKEN);
    assert!(node.send(&info).is(200).json()["uploaded_size"].as_u64() < Some(LENGTH));
}
