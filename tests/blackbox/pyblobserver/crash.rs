//! pyblobserver/CONTRACT.md §9 case 25: kill -9 while files come in leaves no record, no bytes and no used space.

use std::io::Write;

use super::socket::talk::{BINARY, FIN, Talk, frame, head};
use super::{Part, USER, User, form, open, setup};
use crate::support::node::Setup;
use crate::support::raw::Request;
use crate::support::wait;

/// What no record tells of goes when an unfinished upload would.
fn forgetting_soon() -> Setup {
    setup().env("UPLOAD_EXPIRATION_HOURS", "2s").env("CLEANUP_INTERVAL", 1)
}

#[test]
fn case_25_a_kill_during_uploads() {
    let mut node = forgetting_soon().start();
    let token = User::first(&node, USER).token;
    for sent in [0.05, 0.5, 0.99] {
        let before = User { node: &node, token: token.clone() }.list().len();
        let user = User { node: &node, token: token.clone() };
        user.uploaded("acknowledged", b"hello");
        let mut request = user.authorized(form("/upload", &[Part::file("file", "t", &vec![7; 900_000])]));
        request.target = "/blob/upload".into();
        let mut conn = node.connect();
        let bytes = request.bytes(conn.host());
        let cut = (bytes.len() as f64 * sent) as usize;
        conn.stream.write_all(&bytes[..cut]).expect("send most of a form");
        if sent > 0.4 {
            wait::until("bytes of it are on the disk", || (stored(&node) > 100_000).then_some(()));
        }
        node.kill_and_start_again();
        let user = User { node: &node, token: token.clone() };
        assert_eq!(user.list().len(), before + 1, "what was answered, and no more");
        assert_eq!(user.total(USER), 5 * (before as u64 + 1));
        assert_eq!(user.upload("t", b"").is(200).json()["available_space"], "2.000 MB");
        user.send(Request::new("DELETE", &format!("/delete/{}", super::text(&user.list()[0]["file_id"])))).is(200);
    }
    wait::until("the bytes of the interrupted ones are gone", || (stored(&node) < 1_000).then_some(()));
    let user = User { node: &node, token };
    assert!(
        user.list()
            .iter()
            .all(|file| open(&node, Request::get(&format!("/s/{}", file["file_id"].as_str().unwrap()))).is(200).body
                == b"hello")
    );
}

/// The same over a WebSocket: what was answered stays, what was on its way is as if it had never been.
#[test]
fn case_25_a_kill_during_a_conversation() {
    let mut node = forgetting_soon().start();
    let token = User::first(&node, USER).token;
    let mut talk = Talk::of(&node, &User { node: &node, token: token.clone() }, USER);
    talk.file("acknowledged", b"hello");
    talk.text("t");
    talk.conn.send(&head(FIN | BINARY, 900_000));
    talk.conn.send(&[7; 800_000]);
    wait::until("bytes of it are on the disk", || (stored(&node) > 100_000).then_some(()));
    node.kill_and_start_again();
    let user = User { node: &node, token };
    assert_eq!((user.list().len(), user.total(USER)), (1, 5));
    assert_eq!(user.upload("t", b"").is(200).json()["available_space"], "2.000 MB");
    wait::until("the bytes of the interrupted one are gone", || (stored(&node) < 1_000).then_some(()));
}

/// pyblobserver/CONTRACT.md §5: a client that goes away leaves nothing.
#[test]
fn section_5_an_interrupted_upload_leaves_nothing() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let mut request = user.authorized(form("/upload", &[Part::file("file", "t", &vec![7; 900_000])]));
    request.target = "/blob/upload".into();
    for _ in 0..3 {
        let mut conn = node.connect();
        let bytes = request.bytes(conn.host());
        conn.stream.write_all(&bytes[..800_000]).expect("send most of a form");
        wait::until("bytes of it are on the disk", || (stored(&node) > 100_000).then_some(()));
        drop(conn);
        wait::until("they are gone", || (stored(&node) < 1_000).then_some(()));
        let mut talk = Talk::of(&node, &user, USER);
        talk.text("t");
        talk.conn.send(&frame(BINARY, &[7; 800_000]));
        wait::until("bytes of it are on the disk", || (stored(&node) > 100_000).then_some(()));
        drop(talk);
        wait::until("they are gone", || (stored(&node) < 1_000).then_some(()));
    }
    assert!(user.list().is_empty());
    let content = vec![7; 1 << 20];
    user.uploaded("a", &content);
    user.uploaded("b", &content);
}

/// Bytes of all objects on the disk.
pub fn stored(node: &crate::support::Node) -> u64 {
    let objects = std::process::Command::new("find")
        .arg(node.storage().join("objects"))
        .args(["-type", "f", "-printf", "%s\n"])
        .output();
    let sizes = String::from_utf8(objects.expect("find").stdout).expect("numbers");
    sizes.lines().filter_map(|line| line.parse::<u64>().ok()).sum()
}
