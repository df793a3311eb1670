//! More uploads at once than there are slots.

use std::thread;

use etransfer_dataplane::config::Limits;

use super::bed::{content, on_both, path};
use super::client::Client;

/// Over two cores: more than the slots of both.
const CLIENTS: u8 = 200;
const BYTES: u64 = 3 << 20;

#[test]
fn uploads_that_share_all_slots_all_end() {
    let bytes = content(BYTES);
    on_both(&Limits::default(), |bed| {
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (address, bytes) = (bed.address, &bytes);
                scope.spawn(move || {
                    let mut client = Client::connect(address);
                    client.upload("PATCH", &path("append", number, bytes.len()), 0, BYTES, bytes).unwrap();
                    assert_eq!(client.head().expect("an answer").status, 204);
                });
            }
        });
    });
}
