//! PROMISES.md P6 on either engine: an error of the disk is believed. The errors come from the hook in
//! `world/faults.rs`, one engine after the other, for the hook is the whole process's.

use std::cell::Cell;
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::{Duration, Instant};

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Fact;
use etransfer_dataplane::config::{Durability, EngineChoice, Limits};
use etransfer_dataplane::testing::faults::{Failing, order};
use rustix::fs::{FileType, Mode};

use super::bed::{Bed, content, path};
use super::client::{Client, PATIENCE};

/// Runs a test on each engine.
fn on_each(durability: Durability, test: impl Fn(&Bed)) {
    for engine in [EngineChoice::Ring, EngineChoice::Readiness] {
        for what in [Failing::Write, Failing::Sync, Failing::Read, Failing::Keep, Failing::Record] {
            order(what, 0, 0);
        }
        test(&Bed::start_at(engine, Limits::default(), durability));
    }
}

fn patch(bed: &Bed, length: usize, offset: usize, body: &[u8]) -> u16 {
    let mut client = Client::connect(bed.address);
    client.upload("PATCH", &path("append", 1, length), offset as u64, body.len() as u64, body).unwrap();
    client.head().map_or(0, |answer| answer.status)
}

/// Status, offset, bytes received.
fn head(bed: &Bed, length: usize) -> (u16, Option<u64>, Option<u64>) {
    let mut client = Client::connect(bed.address);
    client.ask("HEAD", &path("state", 1, length), "");
    let answer = client.head().expect("an answer");
    (answer.status, answer.number("upload-offset"), answer.number("x-received-bytes"))
}

fn get(bed: &Bed, length: usize) -> (u16, Vec<u8>) {
    let mut client = Client::connect(bed.address);
    client.ask("GET", &path("serve", 1, length), "");
    let (answer, body) = client.whole();
    (answer.status, body)
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn p6_windows_after_a_failed_one_do_not_count() {
    on_each(Durability::Complete, |bed| {
        let bytes = content(6 << 20);
        order(Failing::Write, 0, 1);
        assert_eq!(patch(bed, bytes.len(), 0, &bytes), 500);
        assert_eq!(head(bed, bytes.len()), (200, Some(0), Some(0)), "no byte behind the hole is claimed");
        until("the node is degraded", || bed.control.degraded().is_some_and(|why| why.contains("write")));
        assert_eq!(patch(bed, bytes.len(), 0, &bytes), 204);
        assert_eq!(get(bed, bytes.len()), (200, bytes));
        until("the node is well", || bed.control.degraded().is_none());
    });
}

#[test]
fn p6_after_a_failed_sync_only_what_was_synced_counts() {
    on_each(Durability::Every, |bed| {
        let bytes = content(3000);
        assert_eq!(patch(bed, 3000, 0, &bytes[..1000]), 204);
        order(Failing::Sync, 0, 1);
        assert_eq!(patch(bed, 3000, 1000, &bytes[1000..2000]), 500);
        assert_eq!(head(bed, 3000), (200, Some(1000), Some(1000)));
        assert_eq!(patch(bed, 3000, 1000, &bytes[1000..]), 204);
        assert_eq!(get(bed, 3000), (200, bytes));
    });
}

/// A request that tells how far an upload of 3000 bytes is: its status and what it acknowledges.
type Answer = fn(&Bed, u8) -> (u16, Option<u64>);

fn told(mut client: Client) -> (u16, Option<u64>) {
    let answer = client.head().expect("an answer");
    (answer.status, answer.number("upload-offset"))
}

/// An append without a body.
fn empty(bed: &Bed, target: &str, offset: u64, fields: &str) -> (u16, Option<u64>) {
    let mut client = Client::connect(bed.address);
    let kind = "Content-Type: application/offset+octet-stream\r\nContent-Length: 0\r\n";
    client.ask("PATCH", target, &format!("Upload-Offset: {offset}\r\n{kind}{fields}"));
    told(client)
}

/// Everything that acknowledges bytes beside the body that brings them.
const ANSWERS: [(&str, u16, Answer); 6] = [
    ("HEAD", 200, |bed, number| {
        let mut client = Client::connect(bed.address);
        client.ask("HEAD", &path("state", number, 3000), "");
        told(client)
    }),
    ("409 below", 409, |bed, number| empty(bed, &path("append", number, 3000), 500, "")),
    ("409 above", 409, |bed, number| {
        let mut client = Client::connect(bed.address);
        client.upload("PATCH", &path("append", number, 3000), 2999, 1, b"x").unwrap();
        told(client)
    }),
    ("409 of a parallel upload", 409, |bed, number| empty(bed, &path("parallel", number, 3000), 500, "")),
    ("204 of an empty body", 204, |bed, number| empty(bed, &path("append", number, 3000), 1000, "")),
    ("204 of a declared length", 204, |bed, number| {
        empty(bed, &path("defer", number, 0), 1000, "Upload-Length: 3000\r\n")
    }),
];

#[test]
fn e3_whatever_answer_acknowledges_bytes_they_were_synced() {
    on_each(Durability::Every, |bed| {
        let bytes = content(3000);
        let rows = || (1u8..).zip(ANSWERS);
        let target = |number: u8, what: &str| match what {
            "204 of a declared length" => path("defer", number, 0),
            _ => path("append", number, 3000),
        };
        order(Failing::Sync, 0, usize::MAX);
        for (number, (what, _, ask)) in rows() {
            // A body that breaks off leaves bytes that no sync covers.
            let mut client = Client::connect(bed.address);
            client.upload("PATCH", &target(number, what), 0, 2000, &bytes[..1000]).unwrap();
            client.finish();
            assert!(client.head().is_none_or(|answer| answer.status >= 400), "{what}");
            let (status, offset) = ask(bed, number);
            let is_silent = (400..=500).contains(&status) && offset.is_none();
            assert!(is_silent || offset == Some(0), "{what}: {status} with {offset:?} while no sync succeeds");
        }
        let lists = |fact: &Fact| matches!(fact, Fact::Progress(told) if told.contiguous > 0 || !told.spans.is_empty());
        assert!(!bed.control.facts().iter().any(lists), "the control plane lists what was not synced");
        order(Failing::Sync, 0, 0);
        let (_, _, look) = ANSWERS[0];
        for (number, (what, status, ask)) in rows() {
            until("the disk is believed again", || look(bed, number).0 == 200);
            // The same answer acknowledges all that is synced then, and all of it is there.
            let at = look(bed, number).1.expect("an offset");
            let mut client = Client::connect(bed.address);
            client.upload("PATCH", &target(number, what), at, 1000 - at, &bytes[at as usize..1000]).unwrap();
            assert_eq!(told(client), (204, Some(1000)), "{what}");
            assert_eq!(ask(bed, number), (status, Some(1000)), "{what}");
            let mut client = Client::connect(bed.address);
            client.upload("PATCH", &path("append", number, 3000), 1000, 2000, &bytes[1000..]).unwrap();
            assert_eq!(told(client), (204, Some(3000)), "{what}");
            assert!(super::steps::stored(bed, number, 3000) == bytes, "{what}");
        }
    });
}

#[test]
fn e3_a_final_upload_is_acknowledged_when_it_was_synced() {
    on_each(Durability::Every, |bed| {
        let bytes = content(3000);
        assert_eq!(patch(bed, 3000, 0, &bytes), 204);
        // One that failed is gone: each try is another upload.
        let last = Cell::new(1);
        let join = || {
            last.set(last.get() + 1);
            let mut client = Client::connect(bed.address);
            client.ask("POST", &path("concat", last.get(), 3000), "Content-Length: 0\r\n");
            told(client).0
        };
        order(Failing::Sync, 0, usize::MAX);
        assert_eq!(join(), 500);
        let is_told =
            |fact: &Fact| matches!(fact, Fact::Completed(told) if told.object != ObjectId::from_bytes([1; 16]));
        assert!(!bed.control.facts().iter().any(is_told));
        order(Failing::Sync, 0, 0);
        // As many appends as that meet the journals of both cores.
        let append = || {
            let mut client = Client::connect(bed.address);
            client.ask("HEAD", &path("state", 200, 3000), "");
            let offset = told(client).1.unwrap_or(0);
            let mut client = Client::connect(bed.address);
            client.upload("PATCH", &path("append", 200, 3000), offset, 1, b"x").unwrap();
            told(client).0 == 204
        };
        until("the journals are believed again", || (0..20).all(|_| append()));
        assert_eq!(join(), 201);
        assert!(super::steps::stored(bed, last.get(), 3000) == bytes);
    });
}

#[test]
fn e3_while_a_body_comes_the_control_plane_hears_of_synced_bytes_only() {
    on_each(Durability::Every, |bed| {
        let bytes = content(8 << 20);
        let mut client = Client::connect(bed.address);
        client.upload("PATCH", &path("append", 1, bytes.len()), 0, bytes.len() as u64, &bytes[..4 << 20]).unwrap();
        let heard = || {
            let facts = bed.control.facts();
            let progress = facts.into_iter().filter_map(|fact| match fact {
                Fact::Progress(told) => Some(told),
                _ => None,
            });
            progress.collect::<Vec<_>>()
        };
        until("progress is told", || heard().iter().any(|told| told.received > 0));
        for told in heard() {
            assert!(told.contiguous == 0 && told.spans.is_empty(), "{told:?}");
        }
        client.send(&bytes[4 << 20..]);
        assert_eq!(client.head().expect("an answer").status, 204);
        until("it is told", || bed.control.facts().iter().any(|fact| matches!(fact, Fact::Completed(_))));
    });
}

#[test]
fn p6_what_was_synced_is_read_from_the_disk_before_it_counts_again() {
    on_each(Durability::Every, |bed| {
        let bytes = content(2000);
        assert_eq!(patch(bed, 2000, 0, &bytes[..1000]), 204);
        spoil(bed, 500);
        order(Failing::Write, 0, 1);
        assert_eq!(patch(bed, 2000, 1000, &bytes[1000..]), 500);
        assert_eq!(head(bed, 2000), (200, Some(0), Some(0)));
        assert_eq!(patch(bed, 2000, 0, &bytes), 204);
        assert_eq!(get(bed, 2000), (200, bytes));
    });
}

#[test]
fn p6_a_small_upload_whose_last_sync_failed_starts_again() {
    on_each(Durability::Complete, |bed| {
        let bytes = content(3000);
        assert_eq!(patch(bed, 3000, 0, &bytes[..1000]), 204);
        assert_eq!(patch(bed, 3000, 1000, &bytes[1000..2000]), 204);
        order(Failing::Sync, 0, 1);
        assert_eq!(patch(bed, 3000, 2000, &bytes[2000..]), 500);
        assert_eq!(head(bed, 3000), (200, Some(0), Some(0)), "nothing was ever synced");
        assert_eq!(patch(bed, 3000, 0, &bytes), 204);
        assert_eq!(get(bed, 3000), (200, bytes));
    });
}

/// Changes a byte behind the node's back, as a writeback would that failed while no descriptor was open.
fn spoil(bed: &Bed, at: u64) {
    let file = std::fs::File::options().read(true).write(true).open(bed.file(1)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}

#[test]
fn p6_a_completion_reads_back_what_was_written_while_no_descriptor_was_kept() {
    on_each(Durability::Complete, |bed| {
        let bytes = content(3000);
        order(Failing::Keep, 0, 1);
        assert_eq!(patch(bed, 3000, 0, &bytes[..1000]), 204);
        spoil(bed, 500);
        assert_eq!(patch(bed, 3000, 1000, &bytes[1000..]), 500);
        assert_eq!(head(bed, 3000), (200, Some(0), Some(0)));
        assert_eq!(patch(bed, 3000, 0, &bytes), 204);
        assert_eq!(get(bed, 3000), (200, bytes));
    });
}

#[test]
fn p5_a_completion_whose_journal_was_not_synced_is_not_seen() {
    on_each(Durability::Complete, |bed| {
        let bytes = content(3000);
        let is_told = || bed.control.facts().iter().any(|fact| matches!(fact, Fact::Completed(_)));
        order(Failing::Sync, 1, usize::MAX);
        assert_eq!(patch(bed, 3000, 0, &bytes), 500);
        assert_eq!(head(bed, 3000).0, 500, "an offset that equals the length would say that it is complete");
        assert!(!is_told());
        order(Failing::Sync, 0, 0);
        until("a checkpoint cures the journal, and HEAD completes the upload", || {
            head(bed, 3000) == (200, Some(3000), Some(3000))
        });
        until("it is told", is_told);
        assert_eq!(get(bed, 3000), (200, bytes));
    });
}

#[test]
fn p6_a_record_that_cannot_be_written_is_said_and_counts_when_it_is_written() {
    on_each(Durability::Complete, |bed| {
        let bytes = content(3000);
        order(Failing::Record, 0, 1);
        assert_eq!(patch(bed, 3000, 0, &bytes[..1000]), 500);
        until("the node is degraded", || bed.control.degraded().is_some_and(|why| why.contains("journal")));
        assert_eq!(head(bed, 3000), (200, Some(1000), Some(1000)), "the bytes are there, and now their record is");
        assert_eq!(patch(bed, 3000, 1000, &bytes[1000..]), 204);
        assert_eq!(get(bed, 3000), (200, bytes));
        until("the node is well", || bed.control.degraded().is_none());
    });
}

#[test]
fn p1_p5_nothing_is_told_whose_record_is_not_written() {
    for durability in [Durability::None, Durability::Complete, Durability::Every] {
        on_each(durability, |bed| {
            let bytes = content(3000);
            let is_told = || bed.control.facts().iter().any(|fact| matches!(fact, Fact::Completed(_)));
            assert_eq!(patch(bed, 3000, 0, &bytes[..1000]), 204);
            order(Failing::Record, 0, usize::MAX);
            assert_eq!(patch(bed, 3000, 1000, &bytes[1000..2000]), 500);
            assert_eq!(head(bed, 3000).0, 500, "neither the old offset nor the new one is true");
            order(Failing::Record, 0, 0);
            assert_eq!(head(bed, 3000), (200, Some(2000), Some(2000)));
            order(Failing::Record, 0, usize::MAX);
            assert_eq!(patch(bed, 3000, 2000, &bytes[2000..]), 500);
            assert!(!is_told());
            order(Failing::Record, 0, 0);
            until("HEAD completes the upload", || head(bed, 3000) == (200, Some(3000), Some(3000)));
            until("it is told", is_told);
            assert_eq!(get(bed, 3000), (200, bytes));
        });
    }
}

#[test]
fn a_file_that_is_gone_or_another_is_500_and_no_zeros() {
    on_each(Durability::Complete, |bed| {
        let bytes = content(3000);
        assert_eq!(patch(bed, 3000, 0, &bytes[..1000]), 204);
        std::fs::remove_file(bed.file(1)).unwrap();
        assert_eq!(patch(bed, 3000, 1000, &bytes[1000..]), 500, "removed");
        assert_eq!(get(bed, 3000).0, 500, "removed");
        rustix::fs::mknodat(rustix::fs::CWD, bed.file(1), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(patch(bed, 3000, 1000, &bytes[1000..]), 500, "a pipe");
        assert_eq!(get(bed, 3000).0, 500, "a pipe");
        std::fs::remove_file(bed.file(1)).unwrap();
        // Kept open, so that the new one is another inode.
        let _other = std::fs::File::create(bed.file(1).with_extension("other")).unwrap();
        std::fs::write(bed.file(1), &bytes).unwrap();
        assert_eq!(patch(bed, 3000, 1000, &bytes[1000..]), 500, "another file");
        assert_eq!(get(bed, 3000).0, 500, "another file");
        std::fs::remove_file(bed.file(1).with_extension("other")).unwrap();
    });
}
