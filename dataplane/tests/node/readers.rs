//! Readers that are slow, stop, or are too many.

use etransfer_dataplane::config::Limits;
use std::time::Duration;

use super::bed::{Bed, content, on_both, path};
use super::client::{Client, PATIENCE};

const BYTES: u64 = 3 << 20;

/// A reader has stalled after a second of taking nothing.
fn quick() -> Limits {
    Limits { body_idle_timeout: Duration::from_secs(1), ..Limits::default() }
}

/// A client that reads no more than the head of its answer.
fn stalled(bed: &Bed) -> Client {
    let mut client = Client::connect_narrow(bed.address);
    client.ask("GET", &path("serve", 0, BYTES as usize), "");
    let answer = client.head().expect("an answer");
    assert_eq!((answer.status, answer.number("content-length")), (200, Some(BYTES)));
    client
}

/// Waits until the node has cut senders that began now and send nothing: the time after which a reader has stalled is over,
/// several times.
fn windows_pass(bed: &Bed, windows: usize) {
    for _ in 0..windows {
        let mut silent = Client::connect(bed.address);
        silent.upload("PATCH", &path("append", 200, 5), 0, 5, b"").unwrap();
        assert!(silent.head().is_none(), "a silent sender is cut");
    }
}

#[test]
fn c2_a_reader_that_stops_for_longer_than_a_sender_may_gets_all_bytes() {
    let bytes = content(BYTES);
    on_both(&quick(), |bed| {
        bed.store(0, &bytes);
        let mut small = Client::connect_narrow(bed.address);
        let mut reader = stalled(bed);
        small.ask("GET", &path("serve", 0, bytes.len()), "Range: bytes=100-9099\r\n");
        windows_pass(bed, 4);
        assert!(reader.exactly(bytes.len()) == bytes, "all of it, once");
        let (answer, part) = small.whole();
        assert!(answer.status == 206 && part == bytes[100..9_100], "{answer:?}");
        // The connection is as good as before.
        reader.ask("GET", &path("serve", 0, bytes.len()), "Range: bytes=0-4\r\n");
        assert_eq!(reader.whole().1, bytes[..5]);
    });
}

#[test]
fn b6_one_stalled_reader_too_many_cuts_the_one_that_stalled_first() {
    let bytes = content(BYTES);
    on_both(&Limits { stalled_readers_max: 2, ..quick() }, |bed| {
        bed.store(0, &bytes);
        let readers = [0; 3].map(|_| {
            let reader = stalled(bed);
            windows_pass(bed, 3);
            reader
        });
        let all = readers.map(|mut reader| reader.try_exactly(bytes.len()).is_ok_and(|read| read == bytes));
        assert_eq!(all, [false, true, true]);
    });
}

#[test]
fn b6_a_reader_does_not_stall_for_ever() {
    let bytes = content(BYTES);
    on_both(&Limits { answer_timeout: Duration::from_secs(2), ..quick() }, |bed| {
        bed.store(0, &bytes);
        let mut reader = stalled(bed);
        windows_pass(bed, 6);
        assert!(reader.try_exactly(bytes.len()).is_err(), "it was cut");
    });
}

#[test]
fn b6_one_address_does_not_take_all_connections() {
    let limits = Limits { connections_per_source_max: 3, keep_alive_timeout: PATIENCE, ..Limits::default() };
    on_both(&limits, |bed| {
        let state = path("state", 1, 5);
        let ask = |client: &mut Client| {
            client
                .try_send(format!("HEAD {state} HTTP/1.1\r\nHost: node\r\nTus-Resumable: 1.0.0\r\n\r\n").as_bytes())
                .ok()?;
            client.head()
        };
        let mut open: Vec<_> = (0..3).map(|_| Client::connect(bed.address)).collect();
        for client in &mut open {
            assert_eq!(ask(client).expect("an answer").status, 200);
        }
        let mut refused = Client::connect(bed.address);
        let answer = ask(&mut refused).expect("an answer");
        assert_eq!((answer.status, answer.number("retry-after")), (503, Some(1)));
        assert_eq!(ask(&mut open[0]).expect("those that are there go on").status, 200);
        open.pop();
        let deadline = std::time::Instant::now() + PATIENCE;
        while ask(&mut Client::connect(bed.address)).is_none_or(|answer| answer.status != 200) {
            assert!(std::time::Instant::now() < deadline, "the place is free again");
        }
    });
}
