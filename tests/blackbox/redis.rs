//! PROMISES.md P15: the catalogue lives in Redis, and Redis is killed, stopped, emptied. No acknowledged byte is lost,
//! running transfers go on, what has to be written down is 503 with `Retry-After` until Redis is back, and nothing
//! needs a restart.

use rustix::process::Signal;

use crate::support::node::Setup;
use crate::support::redis::Redis;
use crate::support::tus::{Upload, metadata, post};
use crate::support::{Conn, Node, Oracle, Request, TOKEN, wait};

const LENGTH: u64 = 4 << 20;

fn on(redis: &Redis) -> Setup {
    Node::setup().env("STATE_BACKEND", "redis").env("REDIS_URL", redis.url())
}

#[track_caller]
fn refused_for_now(node: &Node) {
    let reply = node.send(&post().header("Upload-Length", "5")).is(503);
    assert!(reply.number("Retry-After") > 0);
    assert_eq!(reply.header("Location"), None);
}

/// Until an upload can be created, without a restart.
#[track_caller]
fn back(node: &Node) -> Upload {
    wait::until("an upload is created", || {
        let reply = node.send(&post().header("Upload-Length", "5")).one_of(&[201, 503]);
        (reply.status == 201).then(|| Upload::at(reply.field("Location")))
    })
}

/// Half of an upload sent under a grant that the data plane now has.
fn half(node: &Node, content: &[u8]) -> (Upload, usize) {
    let (upload, middle) = (node.create(content.len() as u64), content.len() / 2);
    node.patch(&upload, 0, &content[..middle]).is(204);
    (upload, middle)
}

#[test]
fn p1_both_killed_and_started_again_everything_acknowledged_is_there() {
    let mut redis = Redis::durable();
    let mut node = on(&redis).start();
    let content = Oracle(1).bytes(0..LENGTH);
    let (whole, gone) = (node.complete(&content), node.complete(b"gone"));
    let (upload, middle) = half(&node, &content);
    node.delete(&gone.file()).is(200);
    for _ in 0..2 {
        node.kill();
        redis.kill();
        redis.run();
        node.start_again();
        node.whole(&whole, &content);
        node.get(&gone.file()).is(404);
        assert_eq!(node.offset(&upload), middle as u64);
    }
    node.patch(&upload, middle as u64, &content[middle..]).is(204);
    node.whole(&upload, &content);
    assert!(node.stop().success());
}

/// What must hold while Redis is away, and after it is back.
fn away(redis: &mut Redis, leave: impl FnOnce(&mut Redis), come_back: impl FnOnce(&mut Redis)) {
    let mut node = on(redis).start();
    let content = Oracle(2).bytes(0..LENGTH);
    let whole = node.complete(&content);
    node.whole(&whole, &content);
    let (upload, middle) = half(&node, &content);
    leave(redis);
    refused_for_now(&node);
    node.patch(&upload, middle as u64, &content[middle..]).is(204);
    node.whole(&upload, &content);
    node.whole(&whole, &content);
    assert_eq!(node.listed(), 2);
    refused_for_now(&node);
    come_back(redis);
    let later = back(&node);
    node.patch(&later, 0, b"hello").is(204);
    // What was acknowledged meanwhile is in Redis, not in the process alone.
    node.kill_and_start_again();
    node.whole(&upload, &content);
    node.whole(&whole, &content);
    node.whole(&later, b"hello");
    assert_eq!(node.listed(), 3);
    assert_eq!(node.get("/api/storage").json()["used"], 2 * LENGTH + 5);
}

#[test]
fn p15_killed_and_back_with_its_data() {
    away(&mut Redis::durable(), Redis::kill, Redis::run);
}

#[test]
fn p15_killed_and_back_empty() {
    away(&mut Redis::forgetful(), Redis::kill, Redis::run);
}

#[test]
fn p15_stopped_and_continued() {
    let stop = |redis: &mut Redis| redis.signal(Signal::STOP);
    away(&mut Redis::forgetful(), stop, |redis| redis.signal(Signal::CONT));
}

#[test]
fn a_connection_that_was_closed_while_idle_refuses_nobody() {
    let redis = Redis::durable();
    let node = on(&redis).start();
    for _ in 0..5 {
        node.complete(b"hello");
        let killed = redis.ask("CLIENT KILL TYPE normal SKIPME yes").expect("an answer");
        assert_ne!(killed, ":0", "the node's connection is killed");
        node.send(&post().header("Upload-Length", "5")).is(201);
    }
}

#[test]
fn p15_emptied_while_nobody_asks_it_is_filled_again() {
    let redis = Redis::forgetful();
    let mut node = on(&redis).start();
    let content = Oracle(3).bytes(0..LENGTH);
    let whole = node.complete(&content);
    let key = format!("HLEN etransfer:2:{{{}}}:records", &name_in_redis(&node));
    assert_eq!(redis.ask(&key).as_deref(), Some(":1"));
    redis.ask("FLUSHALL").expect("an answer");
    wait::until("its catalogue is there again", || redis.ask(&key).filter(|said| said == ":1"));
    node.kill_and_start_again();
    node.whole(&whole, &content);
}

fn name_in_redis(node: &Node) -> String {
    let line = std::fs::read_to_string(node.storage().join("state/redis-node")).expect("the node's name in redis");
    line.split(' ').next().expect("a name").to_owned()
}

/// Redis lost everything and the node ends before it could say so: the objects on disk are not taken for garbage.
#[test]
fn p15_an_emptied_catalogue_costs_no_object() {
    let mut redis = Redis::forgetful();
    let mut node = on(&redis).start();
    let upload = node.complete(&Oracle(4).bytes(0..LENGTH));
    node.kill();
    redis.kill();
    redis.run();
    node.start_again();
    back(&node);
    let log = wait::until("it says so", || Some(node.log()).filter(|log| log.contains("these objects are kept")));
    assert!(log.contains("Redis"), "{log}");
    node.get(&upload.file()).is(404);
    let has_bytes = |node: &Node| {
        let objects = crate::support::audit::objects_below(node.storage());
        objects.iter().any(|path| path.ends_with(&upload.id))
    };
    assert!(has_bytes(&node));
    node.kill_and_start_again();
    node.send(&Request::new("POST", "/api/files/cleanup").header("X-API-Token", TOKEN)).is(200);
    assert!(has_bytes(&node), "also after the next start, and a sweep");
}

#[test]
fn p10_nothing_is_consumed_while_the_claim_cannot_be_written() {
    let mut redis = Redis::durable();
    let mut node = on(&redis).start();
    let content = Oracle(5).bytes(0..LENGTH);
    let upload = node.complete_as(&[("filename", "once.bin"), ("retention", "download_once")], &content);
    redis.kill();
    refused_for_now(&node);
    let mut conn = Conn::open(node.addr());
    conn.send_request(&Request::get(&upload.download()).header("X-API-Token", TOKEN));
    let (got, _) = conn.drain(std::time::Duration::from_secs(3));
    assert!(!got.ends_with(&content[content.len() - 4096..]), "the last block was sent without a claim");
    drop(conn);
    redis.run();
    back(&node);
    let reply = wait::until("the file is given out", || {
        let reply = node.try_send(&Request::get(&upload.download()).header("X-API-Token", TOKEN)).ok()?;
        (reply.status == 200 && reply.body.len() == content.len()).then_some(reply)
    });
    assert!(reply.body == content);
    wait::until("consumed", || (node.get(&upload.file()).status == 404).then_some(()));
    node.kill_and_start_again();
    node.get(&upload.file()).is(404);
}

#[test]
fn p22_a_start_without_redis_names_it_and_not_the_password() {
    const CANARY: &str = "canary-7b1e";
    let mut redis = Redis::start(&["--requirepass", CANARY]);
    let setup = || on(&redis).env("REDIS_URL", format!("{}?pass={CANARY}", redis.url()));
    let wrong = on(&redis).env("REDIS_URL", format!("{}?pass=wrong-{CANARY}", redis.url())).try_start().err();
    let wrong = wrong.expect("no start with a wrong password");
    assert!(wrong.contains("user or password") && !wrong.contains(CANARY), "{wrong}");
    let mut node = setup().start();
    let upload = node.create_with(|request| {
        request.header("Upload-Length", "5").header("Upload-Metadata", metadata(&[("filename", "f")]))
    });
    node.patch(&upload, 0, b"hello").is(204);
    let mut config = node.et(&["server", "config"]);
    config.env("ETRANSFER_REDIS_URL", format!("{}?pass={CANARY}", redis.url()));
    let printed = wait::run(config).ok();
    assert!(printed.stdout.contains("redis_url") && !printed.stdout.contains(CANARY), "{printed:?}");
    let path = redis.url().trim_start_matches("unix://").to_owned();
    redis.kill();
    refused_for_now(&node);
    assert!(!node.log().contains(CANARY), "{}", node.log());
    assert!(!node.said().join("\n").contains(CANARY));
    node.kill();
    let refused = node.try_start_again().expect_err("no start without Redis");
    assert!(refused.contains(&path) && !refused.contains(CANARY), "{refused}");
    assert!(!node.log().contains(CANARY));
}
