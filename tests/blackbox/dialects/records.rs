//! How many files one principal may have counts in every dialect, and is told in its words.

use super::setup;
use crate::secure_file_transfer::Device;
use crate::support::{Node, Reply, Request};
use crate::{oss, pyblobserver, stream_upload};

/// One file more of one principal, then of another.
type Sender<'n> = Box<dyn Fn(usize, bool) -> Reply + 'n>;
/// Its name, and how its files are sent.
type Dialect = (&'static str, fn(&Node) -> Sender<'_>);

fn device(node: &Node) -> Sender<'_> {
    let [one, two] = [("device1", "password1"), ("device2", "password2")]
        .map(|(name, password)| Device::log_in(node, name, password));
    Box::new(move |at, is_other| if is_other { &two } else { &one }.send(&format!("f{at}"), 0, b"x", Some(1)))
}

fn stream(node: &Node) -> Sender<'_> {
    Box::new(move |at, is_other| {
        let request = stream_upload::Upload::new(node, &format!("upload-{at}"), 1, 1).request(0, b"x");
        let request = if is_other {
            request.without("Authorization").header("Authorization", format!("Bearer {}", stream_upload::BEN))
        } else {
            request
        };
        node.send(&request)
    })
}

fn bucket(node: &Node) -> Sender<'_> {
    Box::new(move |at, is_other| {
        let owner = if is_other { "bob" } else { "alice" };
        node.send(&oss::signed_head("PUT", &format!("{owner}/{at}"), "", &[]))
    })
}

fn blob<'n>(node: &'n Node, request: impl Fn() -> Request + 'n) -> Sender<'n> {
    let [one, two] = ["curl", "tus"].map(|id| {
        let mut first = Request::get(&format!("/user/{id}"));
        first.target = format!("/blob{}", first.target);
        node.send(&first).is(200).json()["token"].as_str().expect("a token in clear").to_owned()
    });
    Box::new(move |_, is_other| {
        let token = if is_other { &two } else { &one };
        node.send(&request().header("Authorization", format!("Bearer {token}")))
    })
}

fn form() -> Request {
    pyblobserver::form("/blob/upload", &[pyblobserver::Part::file("file", "a", b"")])
}

fn empty_upload() -> Request {
    Request::new("POST", "/blob/upload_tus").header("Tus-Resumable", "1.0.0").header("Upload-Length", "0")
}

#[test]
fn b7_who_has_as_many_files_as_allowed_is_refused_in_every_dialect_and_others_are_not() {
    let dialects: [Dialect; 5] = [
        ("secure_file_transfer", device),
        ("stream_upload", stream),
        ("cloudbackend", bucket),
        ("pyblobserver, form", |node| blob(node, form)),
        ("pyblobserver, tus", |node| blob(node, empty_upload)),
    ];
    for (dialect, sender) in dialects {
        let node = setup().env("UPLOADS_RECORDS_PER_PRINCIPAL", 2).start();
        let send = sender(&node);
        for at in 0..2 {
            let reply = send(at, false);
            assert!((200..300).contains(&reply.status), "{dialect}, the last within the limit: {reply:?}");
        }
        let reply = send(2, false);
        assert_eq!(reply.status, 429, "{dialect}, one above: {reply:?}");
        assert!(reply.number("Retry-After") > 0, "{dialect}");
        let words = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(words.contains('2'), "{dialect}: the limit is told: {words}");
        let reply = send(3, true);
        assert!((200..300).contains(&reply.status), "{dialect}, another one: {reply:?}");
    }
}

#[test]
fn b7_an_object_in_the_place_of_another_adds_nothing() {
    let node = setup().env("UPLOADS_RECORDS_PER_PRINCIPAL", 1).start();
    let put = |key: &str| node.send(&oss::signed_head("PUT", key, "", &[]));
    put("alice/a").is(200);
    put("alice/a").is(200);
    oss::refused(put("alice/b"), 429, "TooManyObjects");
}
