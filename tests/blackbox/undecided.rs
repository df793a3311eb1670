//! faults.md B1: strangers who fill the memory for requests that are not decided yet (`limits.undecided_memory`, as it
//! is by default).

use crate::oss;
use crate::support::idle::{Idle, memory};
use crate::support::{Conn, Node, wait};

/// More than the budget has room for, of either kind.
const STRANGERS: usize = 1_900;
/// As many of them find room at once, each with all that it is charged.
const ROOM: usize = (64 << 20) / (72 << 10);
/// What the budget lets them hold, and buffers that no request is charged for.
const HELD_MAX: u64 = (64 + 64) << 20;
/// What may stay with the allocator of each core; far below the budget.
const SLACK: u64 = 24 << 20;

/// A head of 60 kB that does not end.
fn head() -> Vec<u8> {
    let fields: String = (0..4).map(|number| format!("X-{number}: {}\r\n", "v".repeat(15_000))).collect();
    format!("GET /api/health HTTP/1.1\r\nHost: node\r\n{fields}").into_bytes()
}

/// A form that does not end, without credentials: small fields, and one of 4 kB.
fn form() -> Vec<u8> {
    let field = |name: &str, value: &str| {
        format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = (0..60).map(|_| field("", "")).collect();
    let body = format!("{fields}{}", field("policy", &"p".repeat(4_000)));
    let fields = "Content-Type: multipart/form-data; boundary=cut\r\nContent-Length: 100000\r\n";
    format!("POST /cloud HTTP/1.1\r\nHost: node\r\n{fields}\r\n{body}").into_bytes()
}

/// Connections that sent this.
fn strangers(node: &Node, count: usize, begun: &[u8]) -> Vec<Conn> {
    let begin = |_| {
        let mut conn = node.connect();
        conn.send(begun);
        conn
    };
    (0..count).map(begin).collect()
}

#[test]
fn b1_strangers_who_fill_the_memory_of_the_undecided_are_told_503_and_leave_nothing() {
    // They are all one address, and stay until they are told to go.
    let setup = oss::key_pair(Node::setup()).env("LIMITS_HEAD_TIMEOUT", 600).env("LIMITS_BODY_IDLE_TIMEOUT", 600);
    let node = setup.env("LIMITS_CONNECTIONS_PER_ADDRESS", 4_000).start();
    let upload = node.complete(b"hello");
    node.whole(&upload, b"hello");
    let (idle, resident) = (Idle::of(&node), memory(&node, "VmRSS:"));
    for begun in [head(), form(), head(), form()] {
        let mut all = strangers(&node, STRANGERS, &begun);
        let refused = wait::until("one is too many", || all.iter_mut().position(Conn::is_answered));
        let reply = all.swap_remove(refused).reply().is(503);
        assert!(reply.number("Retry-After") > 0, "{reply:?}");
        assert!(String::from_utf8_lossy(&reply.body).contains("too many unfinished requests"), "{reply:?}");
        let held = memory(&node, "VmRSS:").saturating_sub(resident);
        assert!(held <= HELD_MAX, "{held} bytes more than when it was idle");
        // Requests with small heads, and transfers, go on.
        node.get("/api/health").is(200);
        node.whole(&upload, b"hello");
        drop(all);
        wait::until("as many as the budget has room for are heard again", || {
            let mut all = strangers(&node, ROOM, &begun);
            node.get("/api/health").is(200);
            (!all.iter_mut().any(Conn::is_answered)).then_some(())
        });
        idle.is_back(&node, SLACK);
    }
}
