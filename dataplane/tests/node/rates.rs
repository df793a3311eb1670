//! Speed limits as a client sees them: counted by its own clock from before its first request, so what it counts too
//! much can only be the server's.

use std::thread;
use std::time::{Duration, Instant};

use etransfer_dataplane::config::Limits;

use super::bed::{Bed, content, on_both, path};
use super::client::Client;

/// A rate that any machine reaches, also a busy one.
const RATE: u64 = 2 << 20;
/// Three seconds' worth.
const MOVED: u64 = 3 * RATE;
const CONNECTIONS: u64 = 4;

/// What moved since `since` is within 10 % of `rate`; below it, a busy machine gets more room.
#[track_caller]
fn assert_rate(moved: u64, rate: u64, since: Instant) {
    let due = rate as f64 * since.elapsed().as_secs_f64();
    let share = moved as f64 / due;
    assert!((0.75..=1.10).contains(&share), "{moved} bytes moved where {due:.0} were due: {share:.3}");
}

/// Moves [`MOVED`] bytes, `one` connection's part each, and judges the sum; none may be done long before the others.
#[track_caller]
fn all_at_rate(bed: &Bed, rate: u64, one: impl Fn(u8, &mut Client) + Sync) {
    bed.control.set_rate(Some(rate));
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| Client::connect(bed.address)).collect();
    let since = Instant::now();
    let ends: Vec<_> = thread::scope(|scope| {
        let one = &one;
        let run = |(number, client): (usize, _)| {
            scope.spawn(move || {
                one(number as u8, client);
                since.elapsed()
            })
        };
        let running: Vec<_> = clients.iter_mut().enumerate().map(run).collect();
        running.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_rate(MOVED, rate, since);
    assert!(ends.iter().all(|end| *end * 2 >= since.elapsed()), "one got all before the others: {ends:?}");
}

#[test]
fn section_8_7_downloads_over_many_connections_keep_to_the_rate() {
    on_both(&Limits::default(), |bed| {
        let bytes = content(MOVED / CONNECTIONS);
        bed.store(1, &bytes);
        all_at_rate(bed, RATE, |_, client| {
            client.ask("GET", &path("serve", 1, bytes.len()), "");
            let (answer, body) = client.whole();
            assert_eq!(answer.status, 200);
            assert!(body == bytes);
        });
    });
}

#[test]
fn section_8_7_uploads_over_many_connections_keep_to_the_rate() {
    on_both(&Limits::default(), |bed| {
        let bytes = content(MOVED / CONNECTIONS);
        all_at_rate(bed, RATE, |number, client| {
            let (method, act, status) = if number == 0 { ("POST", "create", 201) } else { ("PATCH", "append", 204) };
            client.upload(method, &path(act, number, bytes.len()), 0, bytes.len() as u64, &bytes).unwrap();
            assert_eq!(client.head().unwrap().status, status);
        });
        bed.control.set_rate(None);
        for number in 0..CONNECTIONS as u8 {
            let mut client = Client::connect(bed.address);
            client.ask("GET", &path("serve", number, bytes.len()), "");
            assert!(client.whole().1 == bytes);
        }
    });
}

#[test]
fn section_8_7_short_requests_do_not_slip_through() {
    const ONE: usize = 16 << 10;
    let rate = RATE / 4;
    on_both(&Limits::default(), |bed| {
        bed.store(1, &content(ONE as u64));
        bed.control.set_rate(Some(rate));
        let mut client = Client::connect(bed.address);
        let since = Instant::now();
        let (mut moved, mut round) = (0, 0);
        while moved < 2 * rate {
            let bytes = match round % 4 {
                0 => {
                    client.ask("GET", &path("serve", 1, ONE), "");
                    client.whole()
                }
                1 => {
                    client.ask("GET", &path("serve", 1, ONE), &format!("Range: bytes=1-{}\r\n", ONE - 1));
                    client.whole()
                }
                2 => {
                    client.ask("GET", &format!("{}/0/{ONE}", path("chunk", 1, ONE)), "");
                    client.whole()
                }
                _ => {
                    let object = 2 + (round / 4) as u8;
                    client.upload("PATCH", &path("append", object, ONE), 0, ONE as u64, &content(ONE as u64)).unwrap();
                    (client.head().unwrap(), vec![0; ONE])
                }
            };
            assert!(matches!(bytes.0.status, 200 | 204 | 206), "{:?}", bytes.0);
            moved += bytes.1.len() as u64;
            round += 1;
        }
        assert_rate(moved, rate, since);
    });
}

#[test]
fn section_8_7_the_live_quota_reaches_bodies_that_already_run() {
    on_both(&Limits::default(), |bed| {
        let bytes = content(4 << 20);
        bed.store(1, &bytes);
        bed.control.set_rate(Some(32 << 10));
        let since = Instant::now();
        let mut slow = Client::connect(bed.address);
        slow.ask("GET", &path("serve", 1, bytes.len()), "");
        assert_eq!(slow.head().unwrap().status, 200);
        bed.control.set_rate(Some(u64::MAX));
        let mut other = Client::connect(bed.address);
        other.ask("GET", &path("serve", 1, bytes.len()), "Range: bytes=0-0\r\n");
        assert_eq!(other.whole().0.status, 206);
        let mut moved = 0;
        let mut buf = vec![0; 64 << 10];
        while moved < bytes.len() {
            let some = slow.some(&mut buf);
            assert!(some > 0, "ended after {moved}");
            moved += some;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "at the old rate it takes 128 s");
    });
}

#[test]
fn section_8_7_who_is_made_to_wait_is_not_slow() {
    let patience = Duration::from_secs(1);
    let limits = Limits { body_idle_timeout: patience, body_rate_min: 1 << 20, ..Limits::default() };
    on_both(&limits, |bed| {
        // A block of 4 KiB takes 2 s, twice as long as any sender may be silent.
        bed.control.set_rate(Some(2 << 10));
        let bytes = content(8 << 10);
        let mut client = Client::connect(bed.address);
        client.upload("PATCH", &path("append", 1, bytes.len()), 0, bytes.len() as u64, &bytes).unwrap();
        assert_eq!(client.head().unwrap().status, 204);
        client.ask("GET", &path("serve", 1, bytes.len()), "");
        assert!(client.whole().1 == bytes);
    });
}

#[test]
fn p17_a_stop_does_not_wait_for_the_rate() {
    on_both(&Limits::default(), |bed| {
        let bytes = content(1 << 20);
        bed.store(1, &bytes);
        bed.control.set_rate(Some(16 << 10));
        let mut reader = Client::connect(bed.address);
        reader.ask("GET", &path("serve", 1, bytes.len()), "");
        assert_eq!(reader.head().unwrap().status, 200);
        let mut writer = Client::connect(bed.address);
        writer.upload("PATCH", &path("append", 2, bytes.len()), 0, bytes.len() as u64, &bytes[..64 << 10]).unwrap();
        while offset(bed, 2, bytes.len()) == 0 {
            thread::yield_now();
        }
        assert!(bed.stop() < Duration::from_secs(20), "the grace is 60 s, the bodies take longer");
    });
}

#[test]
fn section_8_7_who_went_away_while_waiting_does_not_hold_the_upload() {
    on_both(&Limits::default(), |bed| {
        let bytes = content(1 << 20);
        bed.control.set_rate(Some(2 << 10));
        let mut gone = Client::connect(bed.address);
        // So little that all of it is in the node's socket, and yet 24 s worth.
        gone.upload("PATCH", &path("append", 1, bytes.len()), 0, bytes.len() as u64, &bytes[..48 << 10]).unwrap();
        while offset(bed, 1, bytes.len()) == 0 {
            thread::yield_now();
        }
        drop(gone);
        bed.control.set_rate(None);
        let mut heir = Client::connect(bed.address);
        let since = Instant::now();
        let status = loop {
            let at = offset(bed, 1, bytes.len());
            let rest = &bytes[at as usize..];
            // A refusal may come before all of it is sent.
            let _ = heir.upload("PATCH", &path("append", 1, bytes.len()), at, rest.len() as u64, rest);
            let status = heir.head().map(|answer| answer.status);
            if status == Some(204) || since.elapsed() > Duration::from_secs(10) {
                break status;
            }
            heir = Client::connect(bed.address);
        };
        assert_eq!(status, Some(204));
    });
}

/// What HEAD says of an upload.
fn offset(bed: &Bed, object: u8, length: usize) -> u64 {
    let mut client = Client::connect(bed.address);
    client.ask("HEAD", &path("state", object, length), "");
    client.head().unwrap().number("upload-offset").unwrap()
}
