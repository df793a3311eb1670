//! easytransfer/CONTRACT.md §3: each policy, with a crowd at its edge.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{CROWD, together};
use crate::support::{Conn, NoReply, Node, OTHER_TOKEN, Oracle, Request, TOKEN, Upload, audit, wait};

#[test]
fn section_3_rule_4_of_64_receivers_one_gets_everything() {
    of_all_one_gets_everything(&Node::start(), &[200, 404]);
}

#[test]
fn section_17_6_of_64_receivers_one_gets_everything_and_others_may_be_told_to_wait() {
    of_all_one_gets_everything(&Node::setup().env("RETENTION_ONCE_MODE", "exclusive").start(), &[200, 404, 409]);
}

/// PROMISES.md P10: however many ask at once, one gets all of it; the others are refused with one of `told`, or cut.
fn of_all_one_gets_everything(node: &Node, told: &[u16]) {
    for (round, length) in [100_000usize, 1, 0, 3 << 20, 70_000, 4_096].into_iter().enumerate() {
        let content = Oracle(round as u64).bytes(0..length as u64);
        let upload = node.complete_as(&[("filename", "once.bin"), ("retention", "download_once")], &content);
        let results = together(|at| {
            let mut conn: Conn = node.connect();
            let token = if at % 2 == 0 { TOKEN } else { OTHER_TOKEN };
            match conn.try_ask(&Request::get(&upload.download()).header("X-API-Token", token)) {
                Ok(reply) => {
                    assert!(reply.status != 200 || reply.body == content, "wrong bytes");
                    Some(reply.status)
                }
                Err(NoReply::Closed(part) | NoReply::Reset(part)) => {
                    assert!(part.len() < content.len().max(1), "everything, without an end");
                    None
                }
                Err(error) => panic!("{error:?}"),
            }
        });
        let winners = results.iter().filter(|status| **status == Some(200)).count();
        assert_eq!(winners, 1, "{length} bytes: {results:?}");
        assert!(results.iter().flatten().all(|status| told.contains(status)), "{results:?}");
        wait::until("it is gone", || (node.get(&upload.file()).status == 404).then_some(()));
    }
    wait::until("its space is free", || (node.get("/api/storage").json()["used"] == 0).then_some(()));
    wait::until("nothing is left", || audit::objects_below(node.storage()).is_empty().then_some(()));
}

fn short(node: &Node) -> Upload {
    node.complete_as(&[("filename", "short.bin"), ("retention", "ttl"), ("retention_ttl", "1")], b"for a second")
}

const LIFE: Duration = Duration::from_secs(1);
/// The node counts in whole milliseconds.
const TICK: Duration = Duration::from_millis(1);

#[test]
fn section_3_rule_6_64_readers_never_see_a_file_after_its_time() {
    let node = Node::start();
    let reads = together(|_| {
        let before = Instant::now();
        let upload = short(&node);
        let after = Instant::now();
        let request = Request::get(&upload.download()).header("X-API-Token", TOKEN);
        let mut conn = node.connect();
        for read in 0.. {
            let asked = Instant::now();
            let reply = conn.ask(&request).one_of(&[200, 404]);
            let answered = Instant::now();
            if reply.status == 404 {
                assert!(answered + TICK >= before + LIFE, "gone {:?} too early", before + LIFE - answered);
                return read;
            }
            assert!(asked < after + LIFE + TICK, "served {:?} after its time", asked - (after + LIFE));
            assert_eq!(reply.body, b"for a second");
            std::thread::sleep(TICK);
        }
        unreachable!("the loop ends with its file")
    });
    assert!(reads.iter().all(|reads| *reads > 0), "{reads:?}");
    assert_eq!(node.listed(), 0);
}

#[test]
fn section_3_64_permanent_files_are_untouched_by_sweeps() {
    let node = Node::start();
    let sweep = Request::new("POST", "/api/files/cleanup").header("X-API-Token", TOKEN);
    let (reading, cleaned) = (AtomicUsize::new(CROWD), AtomicUsize::new(0));
    let files = std::thread::scope(|scope| {
        scope.spawn(|| {
            while reading.load(Ordering::SeqCst) > 0 {
                let told = node.send(&sweep).is(200).json();
                cleaned.fetch_add(told["cleaned"].as_u64().expect("a number") as usize, Ordering::SeqCst);
            }
        });
        together(|at| {
            let content = Oracle(at as u64).bytes(0..10_000);
            let upload = node.complete(&content);
            // Never downloaded: only a sweep takes it away.
            short(&node);
            let over = Instant::now() + LIFE;
            while Instant::now() < over {
                node.whole(&upload, &content);
            }
            reading.fetch_sub(1, Ordering::SeqCst);
            (upload, content)
        })
    });
    files.iter().for_each(|(upload, content)| node.whole(upload, content));
    wait::until("the short ones are swept", || {
        let told = node.send(&sweep).is(200).json()["cleaned"].as_u64().expect("a number") as usize;
        (cleaned.fetch_add(told, Ordering::SeqCst) + told == CROWD).then_some(())
    });
    wait::until("the short ones are gone", || (audit::objects_below(node.storage()).len() == CROWD).then_some(()));
    assert_eq!(node.listed(), CROWD as u64);
    assert_eq!(node.get("/api/storage").json()["used"], 10_000 * CROWD);
}
