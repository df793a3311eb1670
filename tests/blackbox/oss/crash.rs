//! cloudbackend/CONTRACT.md §C case 25: a kill in the middle of a form leaves nothing, and what was acknowledged is
//! there.

use super::{Form, content, setup};
use crate::support::{Conn, Oracle, audit, wait};

#[test]
fn a_kill_forgets_what_was_not_acknowledged_and_nothing_else() {
    // What no record tells of goes when an unfinished upload would.
    let mut node = setup().env("UPLOAD_EXPIRATION_HOURS", "2s").env("CLEANUP_INTERVAL", 1).start();
    let bytes = Oracle(5).bytes(0..3_000_000);
    Form::of_front_end("alice/kept", bytes.clone()).post(&node).is(200);
    Form::of_front_end("alice/replaced", "before").post(&node).is(200);
    let mut halves = Vec::new();
    for key in ["alice/new", "alice/replaced"] {
        let request = Form::of_front_end(key, bytes.clone()).request();
        let mut conn = Conn::open(node.addr());
        let whole = request.bytes(&node.addr().to_string());
        conn.send(&whole[..whole.len() / 2]);
        halves.push(conn);
    }
    wait::until("their bytes reach the disk", || (audit::blocks_below(node.storage()) > 4_000_000).then_some(()));
    node.kill_and_start_again();
    drop(halves);
    assert_eq!(content(&node, "alice/new"), None);
    assert_eq!(content(&node, "alice/replaced").as_deref(), Some(&b"before"[..]));
    assert!(content(&node, "alice/kept") == Some(bytes), "what was acknowledged is intact");
    wait::until("the halves are gone", || (audit::objects_below(node.storage()).len() == 2).then_some(()));
}

#[test]
fn a_kill_right_after_the_answer_loses_nothing() {
    let mut node = setup().start();
    for round in 0..3u64 {
        let bytes = Oracle(round).bytes(0..100_000 + round);
        Form::of_front_end("alice/x", bytes.clone()).post(&node).is(200);
        node.kill_and_start_again();
        assert!(content(&node, "alice/x") == Some(bytes), "round {round}");
    }
    wait::until("what was replaced is gone", || (audit::objects_below(node.storage()).len() == 1).then_some(()));
}

#[test]
fn a_client_that_leaves_leaves_nothing() {
    let node = setup().start();
    let request = Form::of_front_end("alice/x", Oracle(7).bytes(0..2_000_000)).request();
    let whole = request.bytes(&node.addr().to_string());
    for cut in [whole.len() - 20, whole.len() / 2, 1_200, 300] {
        let mut conn = Conn::open(node.addr());
        conn.send(&whole[..cut]);
        conn.reset();
    }
    wait::until("nothing is left", || audit::objects_below(node.storage()).is_empty().then_some(()));
    assert_eq!(content(&node, "alice/x"), None);
}
