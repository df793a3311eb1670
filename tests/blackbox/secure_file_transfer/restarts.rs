//! What outlives a kill, and what nobody goes on with: cases 17 and 24 of §9.

use super::{Device, complete, partial, pending, setup, start};
use crate::support::raw::Conn;
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
