//! easytransfer/CONTRACT.md §7: settings change every few milliseconds while a crowd transfers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{CROWD, together};
use crate::support::tus::{OCTETS, Upload, post};
use crate::support::{Conn, Node, OTHER_TOKEN, Oracle, Reply, Request, TOKEN, wait};

/// The one that is taken away.
const LEAVING: &str = "token-that-is-taken-away";
/// Reloads before that, and after everybody with it is out.
const RELOADS: u64 = 50;
const LENGTH: u64 = 100_000;

fn configure(node: &Node, tokens: &[&str], round: u64) {
    let yaml = format!("auth: {{tokens: {}}}\nretention: {{default_ttl: {}}}\n", json!(tokens), 100 + round);
    std::fs::write(node.config_path(), yaml).expect("write the configuration");
    let reload = Request::new("POST", "/api/admin/reload-config").header("X-API-Token", TOKEN);
    let told = node.send(&reload).is(200).json();
    assert_eq!(told["reloaded"], true, "{told}");
    std::thread::sleep(Duration::from_millis(3));
}

/// One of the crowd, on a connection it keeps.
struct Client {
    conn: Conn,
    token: &'static str,
    content: Vec<u8>,
}

impl Client {
    fn ask(&mut self, request: Request, status: u16) -> Result<Reply, Reply> {
        let request = request.without("X-API-Token").header("X-API-Token", self.token);
        let reply = self.conn.ask(&request);
        if reply.closes() {
            self.conn = Conn::open(self.conn.stream.peer_addr().expect("the node's address"));
        }
        if reply.status == status { Ok(reply) } else { Err(reply) }
    }

    /// An upload in two bodies, a download, and the end of it. `Err`: the first answer that was another.
    fn round(&mut self) -> Result<(), Reply> {
        let created = self.ask(post().header("Upload-Length", LENGTH.to_string()), 201)?;
        let upload = Upload::at(created.field("Location"));
        for (from, to) in [(0, 40_000), (40_000, LENGTH as usize)] {
            let patch = Request::new("PATCH", &upload.path).header("Upload-Offset", from.to_string());
            let body = &self.content[from..to];
            self.ask(patch.header("Content-Type", OCTETS).body(body), 204)?;
        }
        let got = self.ask(Request::get(&upload.download()), 200)?;
        assert!(got.body == self.content, "other bytes came back");
        self.ask(Request::new("DELETE", &upload.file()), 200).map(drop)
    }
}

/// Set when dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn section_7_reloads_disturb_no_token_that_stays_and_one_taken_away_is_out_within_a_second() {
    let tokens = json!([TOKEN, OTHER_TOKEN, LEAVING]);
    let node = Node::setup().without_env("AUTH_TOKENS").config(&format!("auth: {{tokens: {tokens}}}\n")).start();
    let (is_over, is_taken, out) = (AtomicBool::new(false), AtomicBool::new(false), std::sync::Mutex::new(0));
    let leavers = CROWD / 8;
    let reload = || {
        // Also when one of these fails: the crowd would run forever.
        let _over = Over(&is_over);
        (0..RELOADS).for_each(|round| configure(&node, &[TOKEN, OTHER_TOKEN, LEAVING], round));
        is_taken.store(true, Ordering::SeqCst);
        configure(&node, &[TOKEN, OTHER_TOKEN], RELOADS);
        let taken = Instant::now();
        wait::until("everybody with it is out", || (*out.lock().expect("a count") == leavers).then_some(()));
        let late = taken.elapsed();
        (RELOADS + 1..2 * RELOADS).for_each(|round| configure(&node, &[TOKEN, OTHER_TOKEN], round));
        late
    };
    let stay = |client: &mut Client| {
        let mut rounds = 0;
        while !is_over.load(Ordering::SeqCst) {
            client.round().unwrap_or_else(|reply| panic!("{}: {reply:?}", client.token));
            rounds += 1;
        }
        rounds
    };
    let leave = |client: &mut Client| {
        let refused = loop {
            let was_taken = is_taken.load(Ordering::SeqCst);
            assert!(!is_over.load(Ordering::SeqCst), "the reloads ended, and the token still counts");
            if let Err(reply) = client.round() {
                break (reply.status, is_taken.load(Ordering::SeqCst) || was_taken);
            }
        };
        assert_eq!(refused, (401, true), "a token that still counts is not refused");
        for _ in 0..5 {
            assert_eq!(client.round().map_err(|reply| reply.status), Err(401), "it does not come back");
        }
        *out.lock().expect("a count") += 1;
    };
    let (rounds, late) = std::thread::scope(|scope| {
        let reloads = scope.spawn(reload);
        let rounds = together(|at| {
            let token = if at < leavers { LEAVING } else { [TOKEN, OTHER_TOKEN][at % 2] };
            let mut client = Client { conn: node.connect(), token, content: Oracle(at as u64).bytes(0..LENGTH) };
            if at < leavers { leave(&mut client) } else { assert!(stay(&mut client) > 0, "no round in all that time") }
        });
        (rounds.len(), reloads.join().expect("the reloads"))
    });
    assert_eq!(rounds, CROWD);
    assert!(late < Duration::from_secs(1), "a token taken away still counted after {late:?}");
}
