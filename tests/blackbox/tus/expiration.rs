//! TUS.md §A8: incomplete uploads expire a period after the last accepted byte; complete ones never do by this rule.

use std::time::{Duration, Instant};

use crate::support::tus::{Upload, head, patch, patch_head, tus};
use crate::support::{Node, Oracle, Request, wait};

/// An IMF-fixdate as seconds since 1970; panics when it is none.
#[track_caller]
fn fixdate(text: &str) -> i64 {
    let field: Vec<&str> = text.split([' ', ':']).collect();
    let [week, day, month, year, h, m, s, "GMT"] = field[..] else { panic!("{text} is no IMF-fixdate") };
    assert!(["Mon,", "Tue,", "Wed,", "Thu,", "Fri,", "Sat,", "Sun,"].contains(&week), "{text}");
    assert!(text.len() == 29, "{text}");
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month).unwrap_or_else(|| panic!("{text}")) as i64 + 1;
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("{text}"));
    let (y, m_shift) = if month <= 2 { (number(year) - 1, month + 9) } else { (number(year), month - 3) };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (m_shift * 306 + 5) / 10 + number(day)
            - 1
            - 719_468;
    days * 86_400 + number(h) * 3_600 + number(m) * 60 + number(s)
}

fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

/// A period short enough to see its end; the sweep runs every second.
const PERIOD: Duration = Duration::from_millis(3_600);

fn short_lived() -> Node {
    Node::setup().env("UPLOAD_EXPIRATION_HOURS", "0.001").env("CLEANUP_INTERVAL", 1).start()
}

#[test]
fn the_time_of_expiry_is_told_while_incomplete() {
    let node = Node::start();
    let created = node.send(&super::creation_request(10)).is(201);
    let day = 24 * 3_600;
    let expires = fixdate(created.field("Upload-Expires"));
    assert!((expires - now() - day).abs() < 120, "{expires} against {}", now());
    let upload = Upload::at(created.field("Location"));
    for reply in [node.head(&upload), node.patch(&upload, 0, b"hello").is(204), node.head(&upload)] {
        let later = fixdate(reply.field("Upload-Expires"));
        assert!(later >= expires && (later - now() - day).abs() < 120, "{reply:?}");
    }
    let last = node.patch(&upload, 5, b"world").is(204);
    assert_eq!(last.header("Upload-Expires"), None);
    assert_eq!(node.head(&upload).header("Upload-Expires"), None);
    assert!(node.get(&upload.file()).json()["expires_at"].is_null());
}

#[test]
fn the_time_of_expiry_only_moves_later() {
    let node = Node::start();
    let upload = node.create(10);
    let mut last = 0;
    for offset in 0..5 {
        let expires = fixdate(node.patch(&upload, offset, b"x").is(204).field("Upload-Expires"));
        assert!(expires >= last);
        last = expires;
        let refused = node.patch(&upload, 0, b"x").is(409);
        assert!(refused.header("Upload-Expires").is_none_or(|t| fixdate(t) >= last));
        let seen = fixdate(node.head(&upload).field("Upload-Expires"));
        assert!(seen >= last);
        last = seen;
    }
}

#[test]
fn after_expiry_it_is_gone_and_its_space_is_back() {
    let node = Node::setup()
        .env("UPLOAD_EXPIRATION_HOURS", "0.0005")
        .env("CLEANUP_INTERVAL", 1)
        .env("UPLOADS_TOMBSTONE", 5)
        .start();
    let upload = node.create(100_000);
    node.patch(&upload, 0, &[7; 50_000]).is(204);
    assert_eq!(node.get("/api/storage").json()["used"], 50_000);
    let gone = wait::until("the upload expires", || Some(node.head(&upload)).filter(|reply| reply.status != 200));
    assert_eq!(gone.status, 410, "while the tombstone lasts");
    assert_eq!(gone.header("Upload-Offset"), None);
    node.patch(&upload, 50_000, b"x").one_of(&[404, 410]);
    node.get(&upload.file()).is(404);
    wait::until("its space comes back", || (node.get("/api/storage").json()["used"] == 0).then_some(()));
    wait::until("its bytes are removed", || {
        crate::support::audit::objects_below(node.storage()).is_empty().then_some(())
    });
    wait::until("the tombstone ends", || (node.send(&head(&upload)).one_of(&[404, 410]).status == 404).then_some(()));
}

#[test]
fn an_upload_that_moves_is_never_removed() {
    let node = short_lived();
    let length = 200u64;
    let upload = node.create(length);
    let content = Oracle(1).bytes(0..length);
    let mut conn = node.connect();
    conn.send_head(&patch_head(&upload, 0).header("Content-Length", length.to_string()));
    // One slow body, longer than two periods, a byte at a time.
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < PERIOD * 2 || sent < 50 {
        conn.try_send(&content[sent..sent + 1]).expect("the upload is still wanted");
        sent += 1;
        assert!(conn.quiet_for(Duration::from_millis(60)), "answered in the middle of the body");
        if sent as u64 == length - 1 {
            break;
        }
    }
    conn.send(&content[sent..]);
    conn.reply().is(204);
    node.whole(&upload, &content);
}

#[test]
fn the_period_counts_from_the_last_accepted_byte() {
    let node = short_lived();
    let upload = node.create(1_000);
    let begun = Instant::now();
    let mut offset = 0;
    while begun.elapsed() < PERIOD * 2 {
        node.patch(&upload, offset, b"x").is(204);
        offset += 1;
        // Waits in the server, not here: a PATCH at a wrong offset neither moves the end nor is it refused for age.
        wait::within(Duration::from_millis(400), || {
            (node.head(&upload).is(200).number("Upload-Offset") != offset).then_some(())
        });
    }
    assert_eq!(node.offset(&upload), offset);
}

#[test]
fn complete_uploads_do_not_expire() {
    let node = short_lived();
    let done = node.complete(b"hello");
    let watched = node.create(5);
    wait::until("the incomplete one expires", || (node.head(&watched).status != 200).then_some(()));
    node.send(&Request::new("POST", "/api/files/cleanup").header("X-API-Token", crate::support::TOKEN)).is(200);
    assert_eq!(node.head(&done).is(200).number("Upload-Offset"), 5);
    node.whole(&done, b"hello");
}

#[test]
fn expiry_holds_across_a_restart() {
    let mut node = short_lived();
    let upload = node.create(5);
    node.patch(&upload, 0, b"he").is(204);
    node.kill();
    let until = Instant::now() + PERIOD + Duration::from_millis(500);
    wait::within(PERIOD * 2, || (Instant::now() > until).then_some(()));
    node.start_again();
    node.head(&upload).one_of(&[404, 410]);
    node.send(&patch(&upload, 2, b"llo")).one_of(&[404, 410]);
    node.send(&tus("DELETE", &upload.path)).one_of(&[404, 410]);
}
