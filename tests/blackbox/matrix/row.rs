//! A row: one thing that a client says, tried as large as it may be, one above, empty, a hundred times, and one byte per
//! second. Every answer has a reason, and when all are given the node holds what it held when it was idle.

use std::time::{Duration, Instant};

use super::Ground;
use crate::support::idle::Idle;
use crate::support::{Conn, DEADLINE, NoReply, Request};

/// As often as a repeated value stands in a request.
pub const TIMES: usize = 100;
/// What the allocators of the cores may keep; the requests of a row bring less than they could hold.
const SLACK: u64 = 24 << 20;
/// One byte per second: longer than every time a sender has here (see [`Ground::start`]).
const SLOW: Duration = Duration::from_secs(1);

/// What is said.
#[derive(Debug, Clone)]
pub enum Said {
    /// Once.
    Value(String),
    /// A hundred times.
    Repeated(String),
}

/// What may come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// 4xx with a reason.
    Refused,
    /// Taken, or refused with a reason, also for what is not built (501) and has no room (507): the words allow it.
    Answered,
}

use Fate::{Answered, Refused};

/// One thing that a client says.
pub struct Row {
    pub what: &'static str,
    /// The request that says it.
    pub ask: fn(&Ground, &Said) -> Request,
    pub largest: String,
    pub above: String,
    /// One above is within what another part of the system judges.
    pub above_is: Fate,
    /// An empty list, and an empty field where a contract says that it is absent, is [`Answered`].
    pub empty_is: Fate,
    pub repeated_is: Fate,
}

impl Row {
    /// Each of them is refused.
    pub fn new(
        what: &'static str,
        ask: fn(&Ground, &Said) -> Request,
        largest: impl ToString,
        above: impl ToString,
    ) -> Self {
        let (largest, above) = (largest.to_string(), above.to_string());
        Self { what, ask, largest, above, above_is: Refused, empty_is: Refused, repeated_is: Refused }
    }
    pub fn above_is(self, above_is: Fate) -> Self {
        Self { above_is, ..self }
    }
    pub fn empty_is(self, empty_is: Fate) -> Self {
        Self { empty_is, ..self }
    }
    pub fn repeated_is(self, repeated_is: Fate) -> Self {
        Self { repeated_is, ..self }
    }
}

/// Tries all rows on one node.
#[track_caller]
pub fn try_all(ground: &Ground, rows: &[Row]) {
    // What a dialect takes once, for the first client, is taken before.
    for row in rows {
        let _warm = ground.node.try_send(&(row.ask)(ground, &Said::Value(row.largest.clone())));
    }
    let idle = Idle::of(&ground.node);
    let mut wrong = Vec::new();
    for row in rows {
        for (how, said, fate) in [
            ("the largest", Said::Value(row.largest.clone()), Answered),
            ("one above", Said::Value(row.above.clone()), row.above_is),
            ("empty", Said::Value(String::new()), row.empty_is),
            ("repeated", Said::Repeated(row.largest.clone()), row.repeated_is),
        ] {
            let request = (row.ask)(ground, &said);
            let fault = match ground.node.try_send(&request) {
                Ok(reply) => fault(reply.status, &reply.body, request.method == "HEAD", fate),
                Err(error) => Some(format!("{error:?}")),
            };
            wrong.extend(fault.map(|fault| format!("{}, {how}: {fault}", row.what)));
        }
    }
    wrong.extend(slowly(ground, rows));
    assert!(wrong.is_empty(), "{wrong:#?}");
    ground.node.get("/api/health").is(200);
    idle.is_back(&ground.node, SLACK);
}

/// What is wrong with an answer.
fn fault(status: u16, body: &[u8], is_head: bool, fate: Fate) -> Option<String> {
    let is_right = match fate {
        Refused => (400..500).contains(&status),
        Answered => (200..500).contains(&status) || matches!(status, 501 | 507),
    };
    let has_reason = status < 400 || is_head || !body.is_empty();
    let text = || String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    (!is_right || !has_reason).then(|| format!("{status} {:?}, {fate:?} is right", text()))
}

/// A sender of one byte per second.
struct Slow {
    what: String,
    conn: Conn,
    rest: Vec<u8>,
    at: usize,
}

/// All of them side by side, from the head on and from the body on: each is 408, refused before, or content that is cut.
fn slowly(ground: &Ground, rows: &[Row]) -> Vec<String> {
    let mut slow = Vec::new();
    for row in rows {
        let request = (row.ask)(ground, &Said::Value(row.largest.clone()));
        let mut conn = ground.node.connect();
        let host = conn.host().to_owned();
        let (head, body) = (request.head_bytes(&host), request.body_bytes());
        slow.push(Slow { what: format!("{}, a slow head", row.what), conn, rest: head.clone(), at: 0 });
        if body.len() > 1 {
            conn = ground.node.connect();
            conn.send(&head);
            slow.push(Slow { what: format!("{}, a slow body", row.what), conn, rest: body, at: 0 });
        }
    }
    let (mut wrong, until) = (Vec::new(), Instant::now() + DEADLINE);
    while !slow.is_empty() {
        if Instant::now() >= until {
            wrong.extend(slow.iter().map(|slow| format!("{} goes on after {} bytes", slow.what, slow.at)));
            return wrong;
        }
        std::thread::sleep(SLOW);
        slow.retain_mut(|slow| {
            let is_over = slow.conn.is_answered() || slow.at == slow.rest.len();
            if !is_over {
                slow.conn.send(&slow.rest[slow.at..][..1]);
                slow.at += 1;
                return true;
            }
            let fault = match slow.conn.try_reply(false, DEADLINE) {
                Ok(reply) => fault(reply.status, &reply.body, false, Refused),
                // Content that comes too slowly is cut without an answer, its prefix kept (T-PAT-13).
                Err(NoReply::Closed(rest) | NoReply::Reset(rest)) if rest.is_empty() => None,
                Err(error) => Some(format!("{error:?}")),
            };
            wrong.extend(fault.map(|fault| format!("{}: {fault}", slow.what)));
            false
        });
    }
    wrong
}
