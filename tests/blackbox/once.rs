//! PROMISES.md P10: who has a `download_once` file is what the receiver's kernel acknowledged. A *narrow* receiver's
//! kernel takes little more than what is read, so that a test knows what it can have.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::support::netns::NetNs;
use crate::support::tus::Upload;
use crate::support::{Conn, DEADLINE, NoReply, Node, OTHER_TOKEN, Oracle, Request, TOKEN, wait};

/// What the data plane holds back until it may go.
const BLOCK: usize = 64 * 1024;
/// What a narrow receiver's kernel takes: less than any file here, by far.
const NARROW_BYTES: usize = 2 * 1024;
/// The same for long transfers.
const WIDER_BYTES: usize = 16 * 1024;

#[track_caller]
fn once(node: &Node, content: &[u8]) -> Upload {
    node.complete_as(&[("filename", "once.bin"), ("retention", "download_once")], content)
}

fn get(upload: &Upload, token: &str) -> Request {
    Request::get(&upload.download()).header("X-API-Token", token)
}

fn range(upload: &Upload, token: &str, range: &str) -> Request {
    get(upload, token).header("Range", range)
}

/// Asks, reads at least this much of the content, and resets.
fn cut(node: &Node, request: &Request, taken: usize, narrow: usize) {
    let mut conn = wait::until("the end of the others is known", || {
        let mut conn = Conn::open_narrow(node.addr(), narrow);
        conn.send_request(request);
        conn.read_head(Instant::now() + DEADLINE).ok().map(|_| conn)
    });
    conn.read_some(taken);
    conn.reset();
}

/// The file is there, and this receiver gets it whole once the node knows how the others ended.
fn still_there(node: &Node, upload: &Upload, token: &str, content: &[u8]) {
    node.get(&upload.file()).is(200);
    let reply = wait::until("the end of the others is known", || {
        let mut conn = node.connect();
        conn.try_ask(&get(upload, token)).ok().filter(|reply| reply.status == 200)
    });
    assert!(reply.body == content, "other bytes");
    gone(node, upload);
}

fn gone(node: &Node, upload: &Upload) {
    wait::until("the file is gone", || (node.get(&upload.file()).status == 404).then_some(()));
    for token in [TOKEN, OTHER_TOKEN] {
        node.send(&get(upload, token)).is(404);
    }
}

/// faults.md O1: all but the end, by a transfer that breaks, and then the end by a range: that is everything, and
/// nothing is left for another receiver.
#[test]
fn o1_what_a_broken_transfer_brought_counts() {
    let node = Node::start();
    let content = Oracle(1).bytes(0..8 << 20);
    for request_all_but_one_byte in [false, true] {
        let upload = once(&node, &content);
        let request = if request_all_but_one_byte {
            range(&upload, TOKEN, &format!("bytes=0-{}", content.len() - 2))
        } else {
            get(&upload, TOKEN)
        };
        let most = content.len() - 2 * BLOCK;
        cut(&node, &request, most, WIDER_BYTES);
        node.get(&upload.file()).is(200);
        let tail = range(&upload, TOKEN, &format!("bytes={most}-"));
        let reply = wait::until("the cut one's end is known", || {
            node.connect().try_ask(&tail).ok().filter(|reply| reply.status == 206)
        });
        assert!(reply.body == content[most..], "other bytes");
        gone(&node, &upload);
    }
}

/// The same while the first transfer is still open: the other receiver gets less than all of it, whichever way round.
#[test]
fn o1_what_a_transfer_under_way_may_bring_counts() {
    let node = Node::start();
    let content = Oracle(2).bytes(0..4 << 20);
    let upload = once(&node, &content);
    let mut first = Conn::open_narrow(node.addr(), WIDER_BYTES);
    first.send_request(&get(&upload, TOKEN));
    first.read_head(Instant::now() + DEADLINE).expect("a head");
    first.read_some(1);
    let most = content.len() - BLOCK;
    assert_eq!(node.send(&range(&upload, TOKEN, &format!("bytes={}-", most - 1))).is(206).body, content[most - 1..]);
    // The first one may bring the rest: until it ended no other receiver gets everything.
    let refused = node.connect().try_ask(&get(&upload, OTHER_TOKEN));
    assert!(!refused.is_ok_and(|reply| reply.status == 200 && reply.body == content));
    first.reset();
    still_there(&node, &upload, OTHER_TOKEN, &content);
}

/// faults.md O2, C1: a file that fits the node's send buffer, whose receiver goes away before its kernel had the end.
#[test]
fn o2_a_small_file_whose_end_was_never_acknowledged_is_still_there() {
    let node = Node::start();
    for length in [32 * 1024, 40_000, BLOCK, BLOCK + 1, 200_000] {
        let content = Oracle(3).bytes(0..length as u64);
        let upload = once(&node, &content);
        for taken in [0, 1024] {
            cut(&node, &get(&upload, TOKEN), taken, NARROW_BYTES);
        }
        still_there(&node, &upload, OTHER_TOKEN, &content);
    }
}

/// A receiver that asks and resets at once has nothing, or all of it in its kernel: never is the file gone with no receiver
/// who could have got it, nor there for two.
#[test]
fn o2_a_reset_right_after_the_request_never_gives_a_file_to_two() {
    let node = Node::start();
    for _ in 0..20 {
        let upload = once(&node, b"small enough for one segment");
        let mut conn = node.connect();
        conn.send_request(&get(&upload, TOKEN));
        conn.reset();
        let retried = wait::until("how it ended is known", || {
            let reply = node.connect().try_ask(&get(&upload, TOKEN)).ok()?;
            (reply.status != 409).then_some(reply.status)
        });
        assert!(matches!(retried, 200 | 404), "{retried}");
        gone(&node, &upload);
    }
}

/// PROMISES.md P10: cut at every block boundary, and one byte around it, by two receivers in turn: the file stays, and
/// the last one gets all of it.
#[test]
fn p10_cut_at_every_block_boundary_it_stays() {
    let node = Node::start();
    let content = Oracle(4).bytes(0..6 * BLOCK as u64);
    let upload = once(&node, &content);
    // Of the last block a receiver must not have everything.
    let cuts = (1..=5).flat_map(|block| [block * BLOCK - 1, block * BLOCK, block * BLOCK + 1]);
    for (at, taken) in cuts.enumerate() {
        let token = if at % 2 == 0 { TOKEN } else { OTHER_TOKEN };
        assert!(taken + 2 * WIDER_BYTES < content.len());
        cut(&node, &get(&upload, token), taken, WIDER_BYTES);
        node.get(&upload.file()).is(200);
    }
    still_there(&node, &upload, OTHER_TOKEN, &content);
}

/// easytransfer/CONTRACT.md §3 rule 3: segments in parallel, some of them aborted and asked for again from where they
/// were read.
#[test]
fn section_3_rule_3_segments_and_aborted_requests_of_one_receiver_add_up() {
    const SEGMENTS: usize = 4;
    let node = Node::start();
    let content = Oracle(5).bytes(0..4 << 20);
    let upload = once(&node, &content);
    let segment = content.len() / SEGMENTS;
    std::thread::scope(|scope| {
        for index in 0..SEGMENTS {
            let (node, upload, content) = (&node, &upload, &content);
            scope.spawn(move || {
                let (mut from, to) = (index * segment, (index + 1) * segment);
                if index % 2 == 0 {
                    let mut conn = Conn::open_narrow(node.addr(), WIDER_BYTES);
                    conn.send_request(&range(upload, TOKEN, &format!("bytes={from}-{}", to - 1)));
                    conn.read_head(Instant::now() + DEADLINE).expect("a head");
                    let got = conn.read_some(segment / 2);
                    assert!(got[..] == content[from..from + got.len()], "other bytes");
                    from += got.len();
                    conn.reset();
                }
                let rest = range(upload, TOKEN, &format!("bytes={from}-{}", to - 1));
                let reply = wait::until("the aborted one's end is known", || {
                    node.connect().try_ask(&rest).ok().filter(|reply| reply.status == 206)
                });
                assert!(reply.body == content[from..to], "other bytes");
            });
        }
    });
    gone(&node, &upload);
}

/// PROMISES.md P10: 32 receivers at once, each reset at a random point or not at all: at most one has all of it; when
/// none has, the file is still there.
#[test]
fn p10_of_32_receivers_reset_at_random_points_at_most_one_has_everything() {
    const RECEIVERS: usize = 32;
    let node = Node::start();
    for round in 0..8u64 {
        let content = Oracle(round).bytes(0..300_000);
        let upload = once(&node, &content);
        let complete = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for index in 0..RECEIVERS {
                let (node, upload, content, complete) = (&node, &upload, &content, &complete);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(round * 1000 + index as u64);
                    let token = if index % 2 == 0 { TOKEN } else { OTHER_TOKEN };
                    if random.u8(..4) != 0 {
                        let mut conn = Conn::open_narrow(node.addr(), WIDER_BYTES);
                        conn.send_request(&get(upload, token));
                        let Ok((200, _)) = conn.read_head(Instant::now() + DEADLINE) else { return };
                        let most = random.usize(..content.len() - BLOCK);
                        let mut got = conn.take_pending().len();
                        while got < most {
                            let (some, ended) = conn.drain_some(DEADLINE);
                            got += some;
                            if ended {
                                return;
                            }
                        }
                        return conn.reset();
                    }
                    match node.connect().try_ask(&get(upload, token)) {
                        Ok(reply) if reply.status == 200 => {
                            assert!(reply.body == *content, "other bytes");
                            complete.fetch_add(1, Ordering::SeqCst);
                        }
                        Ok(reply) => assert!(matches!(reply.status, 404 | 409), "{reply:?}"),
                        Err(NoReply::Closed(part) | NoReply::Reset(part)) => assert!(part.len() < content.len()),
                        Err(error) => panic!("{error:?}"),
                    }
                });
            }
        });
        match complete.load(Ordering::SeqCst) {
            0 => still_there(&node, &upload, TOKEN, &content),
            1 => gone(&node, &upload),
            more => panic!("{more} receivers have all of it"),
        }
    }
}

/// PROMISES.md P10: the receiver has all of it, and what its kernel answers is lost. The node cannot know, so the file
/// is neither gone nor given to another receiver: this one may try again.
#[test]
fn p10_a_last_block_whose_answer_is_lost_binds_the_file_to_its_receiver() {
    let (server, client) = (NetNs::new(), NetNs::new());
    server.cable("eth0", "10.81.0.1/24", &client, "wire0");
    client.address("wire0", "10.81.0.2/24");
    let node = server.inside(|| Node::setup().wrapped(&server.wrapper()).hosts("0.0.0.0").start());
    let address = SocketAddr::from(([10, 81, 0, 1], node.addr().port()));
    let content = Oracle(6).bytes(0..1_000);
    // On a busy machine an answer may come through before the reset does: then the file is gone, as it should be.
    let is_bound = (0..20).any(|_| {
        let upload = server.inside(|| once(&node, &content));
        client.inside(|| {
            let mut conn = Conn::open(address);
            let request = get(&upload, TOKEN).bytes(conn.host());
            let (head, end) = request.split_at(request.len() - 2);
            conn.send(head);
            client.hold_back("wire0");
            conn.send(end);
            assert!(conn.reply().is(200).body == content, "other bytes");
            client.lose_held_back("wire0");
            conn.reset();
        });
        server.inside(|| {
            let other = wait::until("the end is known", || match node.connect().try_ask(&get(&upload, OTHER_TOKEN)) {
                Ok(reply) => Some(reply.one_of(&[404, 409])),
                Err(_) => None,
            });
            if other.status == 409 {
                assert!(other.json()["detail"].is_string());
                node.get(&upload.file()).is(200);
                assert!(node.send(&get(&upload, TOKEN)).is(200).body == content, "other bytes");
            }
            gone(&node, &upload);
            other.status == 409
        })
    });
    server.inside(|| drop(node));
    assert!(is_bound, "the answer came through each time");
}
