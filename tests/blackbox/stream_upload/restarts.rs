//! What outlives a kill, and what is not continued: cases 23 and 25 of stream_upload/CONTRACT.md §9.

use serde_json::{Value, json};

use super::{Upload, check_asset, counted, refused, setup, start};
use crate::support::node::Setup;
use crate::support::raw::Conn;
use crate::support::redis::Redis;
use crate::support::{Oracle, audit, wait};

#[test]
fn section_9_23_25_a_kill_in_the_middle_of_a_chunk() {
    let mut node = start();
    let (oracle, size) = (Oracle(23), 3_000_000u64);
    let data = |index: u64| oracle.bytes(index * 1_000_000..(index + 1) * 1_000_000);
    let held = {
        let upload = Upload::new(&node, "k", size, 3);
        counted(upload.send(0, &data(0)), 0, 1, 3);
        // A connection that ends in the middle of its chunk.
        let mut conn = Conn::open(node.addr());
        let bytes = upload.request(1, &data(1)).bytes(conn.host());
        conn.send(&bytes[..bytes.len() / 2]);
        conn.reset();
        assert_eq!(upload.status().is(200).json()["chunks"], json!([0]));
        let mut conn = Conn::open(node.addr());
        let bytes = upload.request(2, &data(2)).bytes(conn.host());
        conn.send(&bytes[..bytes.len() / 2]);
        conn
    };
    node.kill_and_start_again();
    drop(held);
    let upload = Upload::new(&node, "k", size, 3);
    assert_eq!(upload.status().is(200).json()["chunks"], json!([0]));
    counted(upload.send(2, &data(2)), 2, 2, 3);
    let asset = counted(upload.send(1, &data(1)), 1, 3, 3);
    node.kill_and_start_again();
    check_asset(&node, &asset, &oracle.bytes(0..size));
    let upload = Upload::new(&node, "k", size, 3);
    assert_eq!(counted(upload.send(1, &data(1)), 1, 3, 3)["id"], asset["id"], "it is remembered");
}

#[test]
fn b8_chunks_at_every_second_index_survive_a_kill_and_their_number_is_bounded() {
    let redis = Redis::durable();
    scattered(setup(), true);
    scattered(setup().env("STATE_BACKEND", "redis").env("REDIS_URL", redis.url()), true);
    scattered(setup().env("STATE_BACKEND", "memory"), false);
}

fn scattered(setup: Setup, survives_a_kill: bool) {
    const CHUNKS: u64 = 150;
    let mut node = setup.env("SURFACES__STREAM_UPLOAD__MAX_CHUNKS", CHUNKS).start();
    let oracle = Oracle(8);
    let byte = |index: u64| oracle.bytes(index..index + 1);
    let more = Upload::new(&node, "more", CHUNKS + 1, CHUNKS + 1);
    assert_eq!(more.send(0, &byte(0)).is(400).json(), refused("缺少必要的文件信息"));
    let upload = Upload::new(&node, "s", CHUNKS, CHUNKS);
    for number in 0..CHUNKS / 2 {
        counted(upload.send(2 * number, &byte(2 * number)), 2 * number, number + 1, CHUNKS);
    }
    if survives_a_kill {
        node.kill_and_start_again();
    }
    let upload = Upload::new(&node, "s", CHUNKS, CHUNKS);
    let status = upload.status().is(200).json();
    let even: Vec<u64> = (0..CHUNKS).step_by(2).collect();
    assert_eq!((&status["chunks"], &status["receivedBytes"]), (&json!(even), &json!(CHUNKS / 2)));
    let mut asset = Value::Null;
    for number in 0..CHUNKS / 2 {
        let (index, count) = (2 * number + 1, CHUNKS / 2 + number + 1);
        asset = counted(upload.send(index, &byte(index)), index, count, CHUNKS);
    }
    check_asset(&node, &asset, &oracle.bytes(0..CHUNKS));
}

#[test]
fn section_9_25_an_abandoned_upload_is_gone() {
    let node = setup()
        .env("SURFACES__STREAM_UPLOAD__UPLOAD_TTL_SECONDS", 2)
        .env("SURFACES__STREAM_UPLOAD__CLEANUP_INTERVAL_SECONDS", 1)
        .start();
    let upload = Upload::new(&node, "gone", 10, 2);
    counted(upload.send(0, b"hello"), 0, 1, 2);
    wait::until("it is over", || (upload.status().status == 404).then_some(()));
    wait::until("its space is free", || audit::objects_below(node.storage()).is_empty().then_some(()));
    counted(upload.send(0, b"hello"), 0, 1, 2);
}
