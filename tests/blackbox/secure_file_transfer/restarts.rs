//! What outlives a kill, and what is not continued: cases 17 and 24 of secure_file_transfer/CONTRACT.md §9.

use super::{Device, complete, detail, partial, pending, setup, start};
use crate::support::node::Setup;
use crate::support::raw::Conn;
use crate::support::redis::Redis;
use crate::support::{Oracle, audit, wait};

#[test]
fn section_9_17_a_kill_between_chunks_and_in_the_middle_of_one() {
    let mut node = start();
    let (oracle, length) = (Oracle(17), 3_000_000u64);
    let (token, held) = {
        let device = Device::one(&node);
        device.send("k", 0, &oracle.bytes(0..1_000_000), Some(length)).is(200);
        device.send("k", 2_000_000, &oracle.bytes(2_000_000..3_000_000), Some(length)).is(200);
        device.send("open", 0, b"abc", None).is(200);
        device.send("open", 3, b"def", None).is(200);
        // Half of a chunk, and its sender stays on the line.
        let request = device.posting("k", &super::chunk(1_000_000, &oracle.bytes(1_000_000..2_000_000)));
        let mut conn = Conn::open(node.addr());
        let bytes = request.bytes(conn.host());
        conn.send(&bytes[..bytes.len() / 2]);
        (device.token.clone(), conn)
    };
    node.kill_and_start_again();
    drop(held);
    // The key of the tokens is the same after a restart.
    let device = Device { node: &node, token };
    assert_eq!(device.status("k"), partial("k", 2_000_000, length, 1_000_000));
    assert_eq!(device.status("open"), complete("open", 6));
    assert_eq!(device.download("open"), b"abcdef");
    let rest = device.send("k", 1_000_000, &oracle.bytes(1_000_000..2_000_000), None).is(200);
    assert_eq!(rest.json(), complete("k", length));
    oracle.check(0, &device.download("k")).unwrap_or_else(|wrong| panic!("{wrong}"));
    wait::until("nothing of the half chunk is left", || {
        (audit::objects_below(node.storage()).len() == 2).then_some(())
    });
}

#[test]
fn b8_chunks_at_every_second_offset_are_refused_in_time_and_the_gaps_can_be_filled() {
    let redis = Redis::durable();
    scattered(setup(), true);
    scattered(setup().env("STATE_BACKEND", "redis").env("REDIS_URL", redis.url()), true);
    scattered(setup().env("STATE_BACKEND", "memory"), false);
}

fn scattered(setup: Setup, survives_a_kill: bool) {
    const PIECES: u64 = 100;
    let mut node = setup.env("SURFACES__SECURE_FILE_TRANSFER__MAX_PIECES", PIECES).start();
    let (oracle, length) = (Oracle(8), 1000);
    let byte = |at: u64| oracle.bytes(at..at + 1);
    let token = {
        let device = Device::one(&node);
        for number in 0..PIECES {
            device.send("s", 2 * number, &byte(2 * number), Some(length)).is(200);
        }
        for start in [2 * PIECES, 900] {
            let reply = device.send("s", start, &byte(start), Some(length)).is(429);
            assert_eq!(reply.field("Retry-After"), "1");
            let reason = "The upload has 100 separate pieces; send chunks first that go on where received bytes end";
            assert_eq!(reply.json(), detail(reason));
        }
        // What is there may come again.
        device.send("s", 4, &byte(4), Some(length)).is(200);
        device.token.clone()
    };
    if survives_a_kill {
        node.kill_and_start_again();
    }
    let device = Device { node: &node, token };
    assert_eq!(device.status("s"), partial("s", PIECES, length, 1));
    for number in 0..PIECES {
        device.send("s", 2 * number + 1, &byte(2 * number + 1), Some(length)).is(200);
    }
    assert_eq!(device.status("s"), partial("s", 2 * PIECES, length, 2 * PIECES));
    let rest = device.send("s", 2 * PIECES, &oracle.bytes(2 * PIECES..length), Some(length)).is(200);
    assert_eq!(rest.json(), complete("s", length));
    oracle.check(0, &device.download("s")).unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[test]
fn section_9_24_a_stale_upload_becomes_a_partial_file() {
    let node = setup()
        .env("SURFACES__SECURE_FILE_TRANSFER__CLEANUP_INTERVAL_SECONDS", 1)
        .env("SURFACES__SECURE_FILE_TRANSFER__STALE_UPLOAD_TIMEOUT_SECONDS", 2)
        .start();
    let device = Device::one(&node);
    device.send("replaced", 0, b"the file", None).is(200);
    device.send("replaced", 0, b"x", Some(100)).is(200);
    device.send("s.bin", 0, b"0123456789", Some(100)).is(200);
    device.send("s.bin", 20, b"0123456789", Some(100)).is(200);
    wait::until("it went stale", || (device.status("s.bin") == pending("s.bin")).then_some(()));
    assert_eq!(device.status("s.bin.partial"), complete("s.bin.partial", 30));
    assert_eq!(device.list(), ["replaced", "s.bin.partial"]);
    assert_eq!(device.download("s.bin.partial"), b"0123456789\0\0\0\0\0\0\0\0\0\x000123456789");
    // Where there is a file, the upload over it goes.
    wait::until("the other one too", || (device.status("replaced") == complete("replaced", 8)).then_some(()));
    wait::until("two objects are left", || (audit::objects_below(node.storage()).len() == 2).then_some(()));
}
