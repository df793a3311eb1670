//! More clients at once than there are slots.

use std::thread;
use std::time::Duration;

use etransfer_dataplane::config::Limits;

use super::bed::{Bed, content, evict, on_both, path};
use super::client::Client;

/// Over two cores: more than the slots of both.
const CLIENTS: u8 = 200;
const BYTES: u64 = 3 << 20;

/// Uploads of an object each, all at once.
fn upload(bed: &Bed, numbers: std::ops::Range<u8>, bytes: &[u8]) {
    thread::scope(|scope| {
        for number in numbers {
            let address = bed.address;
            scope.spawn(move || {
                let mut client = Client::connect(address);
                client.upload("PATCH", &path("append", number, bytes.len()), 0, BYTES, bytes).unwrap();
                assert_eq!(client.head().expect("an answer").status, 204);
            });
        }
    });
}

#[test]
fn uploads_that_share_all_slots_all_end() {
    let bytes = content(BYTES);
    on_both(&Limits::default(), |bed| upload(bed, 0..CLIENTS, &bytes));
}

#[test]
fn readers_that_stop_reading_leave_uploads_their_slots() {
    // No reader is cut for being slow before the uploads have ended.
    let limits = Limits { body_idle_timeout: Duration::from_secs(600), ..Limits::default() };
    let bytes = content(BYTES);
    on_both(&limits, |bed| {
        bed.store(0, &bytes);
        let file = bed.cold(0);
        let read = |_| {
            evict(&file);
            let mut client = Client::connect_narrow(bed.address);
            client.ask("GET", &path("serve", 0, bytes.len()), "");
            let answer = client.head().expect("an answer");
            assert_eq!((answer.status, answer.number("content-length")), (200, Some(BYTES)));
            client
        };
        let readers: Vec<_> = (0..CLIENTS).map(read).collect();
        // Enough of them that each core has some.
        upload(bed, 1..17, &bytes);
        for mut reader in readers.into_iter().step_by(20) {
            assert!(reader.exactly(bytes.len()) == bytes, "something was sent twice, or not at all");
        }
    });
}
