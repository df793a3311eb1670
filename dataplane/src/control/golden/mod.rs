//! The data plane's side of the control link: its requests, byte for byte.
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::{Claim, Verdict};
use etransfer_tests::golden::Golden;

use crate::config::EngineChoice;
use crate::control::decide::{Client, forwarded};
use crate::driver::{CoreOptions, run_core};
use crate::http::{Framing, Head, HeadLimits};
use crate::link::ControlLink;

fn golden(name: &str, about: &str) -> Golden {
    Golden::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/golden").join(name), about)
}

fn parse(text: &str) -> Head {
    Head::parse(text.as_bytes(), &HeadLimits::default()).unwrap().unwrap().0
}

fn shown(request: Vec<u8>) -> String {
    String::from_utf8(request).unwrap().replace("\r\n", "\n")
}

#[test]
fn heads_of_clients_travel_as_ever() {
    let client = Client { peer: "192.0.2.1:5".parse().unwrap(), local: "[::1]:8765".parse().unwrap() };
    let fields = "Host: h.example\r\nAuthorization: Bearer t\r\nConnection: close\r\nExpect: 100-continue\r\n\
                  Etransfer-Line: call\r\nX-Forwarded-For: 198.51.100.1\r\n";
    let get = parse(&format!("GET /api/files?x=%2f HTTP/1.1\r\n{fields}\r\n"));
    let head = parse(&format!("HEAD /tus/files/1 HTTP/1.1\r\n{fields}\r\n"));
    let patch = parse(&format!("PATCH /tus/files/1 HTTP/1.1\r\n{fields}Content-Length: 300\r\n\r\n"));
    let post = parse(&format!("POST /tus/files HTTP/1.1\r\n{fields}Transfer-Encoding: chunked\r\n\r\n"));
    let mut golden = golden("heads.txt", "Heads of clients on the control link; lines end with CR LF there.");
    let decide = |head: &Head| forwarded(head, &client, "decide", &head.framing().announcement(), Framing::None);
    golden.text("decide", &shown(decide(&get)));
    golden.text("decide of a HEAD", &shown(decide(&head)));
    golden.text("decide of a body", &shown(decide(&patch)));
    golden.text("decide of a body in chunks", &shown(decide(&post)));
    golden.text("attached", &shown(forwarded(&post, &client, "attached", "9", Framing::Length(9))));
    let announced = patch.framing().announcement();
    golden.text("outcome", &shown(forwarded(&patch, &client, "outcome", &announced, Framing::Length(9))));
    golden.text("recheck", &shown(forwarded(&patch, &client, "recheck", "none", Framing::None)));
    golden.check();
}

/// A control plane that answers one request with yes, and tells what it was.
fn listen(path: &Path) -> thread::JoinHandle<Vec<u8>> {
    let listener = UnixListener::bind(path).expect("a socket");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"}") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
            request.extend(byte);
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n";
        stream.write_all(&[&answer[..], br#"{"go":false,"bound": true}"#].concat()).expect("an answer");
        request
    })
}

#[test]
fn calls_of_the_data_plane_itself_are_as_ever() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("line");
    let heard = listen(&path);
    let options = CoreOptions { engine: EngineChoice::Readiness, slots: 1, ..CoreOptions::default() };
    let run = run_core(options, move |io| async move {
        let object = ObjectId::from_bytes([7; 16]);
        let claim = Claim { ticket: 1, object, receiver: "r".into(), span: None, held_from: None };
        let verdict = ControlLink::new(io, path).claim(&claim).await;
        assert_eq!(verdict, Some(Verdict { go: false, bound: true }));
    });
    run.expect("a core");
    let mut golden = golden("calls.txt", "A call of the data plane itself; lines end with CR LF on the link.");
    golden.text("claim", &shown(heard.join().expect("the request")));
    golden.check();
}
