//! What the control plane ends: epochs before orders, rights that end without an epoch, promises that no request uses.

use std::thread;
use std::time::Duration;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Fact;
use etransfer_dataplane::config::Limits;

use super::bed::{Bed, content, on_both, path};
use super::client::Client;

const LONG: u64 = 4 << 20;

/// Waits for something that happens by itself.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the test waits for a condition on a thread of its own")]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6000 {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} did not happen");
}

fn removed(bed: &Bed) -> usize {
    bed.control.facts().iter().filter(|fact| matches!(fact, Fact::Removed { .. })).count()
}

#[test]
fn o3_a_poll_does_not_wait_for_the_orders_of_the_last_one() {
    on_both(&Limits::default(), |bed| {
        let many = 1000;
        bed.control.order_removals((0..many).map(|number: u128| ObjectId::from_bytes(number.to_be_bytes())));
        eventually("every removal", || (removed(bed) == many as usize).then_some(()));
        eventually("the last order is told done", || {
            bed.control.polls().last().is_some_and(|poll| poll.after == many as u64).then_some(())
        });
        let is_beside = bed.control.polls().iter().any(|poll| poll.busy && poll.after == 0);
        assert!(is_beside, "no poll came while orders were carried out");
    });
}

#[test]
fn o5_a_body_asks_whether_it_may_go_on_although_no_epoch_rose() {
    on_both(&Limits::default(), |bed| {
        for (number, full, status) in [(1, false, 401), (2, true, 507)] {
            let mut client = Client::connect(bed.address);
            let bytes = content(LONG / 2);
            client.upload("POST", &path("create", number, LONG as usize), 0, LONG, &bytes).unwrap();
            bed.control.recheck(false, full);
            let answer = client.head().expect("an answer");
            assert_eq!(answer.status, status);
        }
    });
}

#[test]
fn o4_a_right_that_ended_before_the_first_byte_is_an_answer() {
    on_both(&Limits::default(), |bed| {
        for (number, bytes) in [(1, 1_000), (2, 100_000), (3, LONG)] {
            bed.store(number, &content(bytes));
        }
        bed.control.recheck(false, false);
        bed.control.raise_epoch();
        let mut client = Client::connect(bed.address);
        for (number, bytes) in [(1, 1_000), (2, 100_000), (3, LONG)] {
            let ask = |client: &mut Client| {
                client.ask("GET", &path("serve", number, bytes as usize), "");
                client.whole()
            };
            // The epoch comes with a poll; from then on each request hears of it on this connection.
            eventually("the node hears of the epoch", || {
                let (answer, body) = ask(&mut client);
                assert!(answer.status == 401 || body.len() as u64 == bytes, "{answer:?}");
                (answer.status == 401).then_some(())
            });
        }
    });
}

#[test]
fn o6_a_promise_no_request_uses_is_settled_when_it_is_asked_about() {
    on_both(&Limits::default(), |bed| {
        bed.control.ask_about(&[41, 42]);
        let settled = |wanted| {
            let facts = bed.control.facts();
            facts.iter().any(|fact| matches!(fact, Fact::Settled { ticket, stored: 0 } if *ticket == wanted))
        };
        eventually("both are settled", || (settled(41) && settled(42)).then_some(()));
    });
}
