//! hyper as a judge: what it refuses we refuse, what we accept it reads the same way. Where we refuse and it does not,
//! the reason has to stand in [`stricter`].
#![expect(clippy::disallowed_types, reason = "hyper's service may run anywhere")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::http::tests::splits::mangled;

/// Refusals of ours that hyper does not share: why, and an example that shows it. Anything else both must refuse.
fn stricter() -> Vec<(Reject, &'static str, Vec<u8>)> {
    let get = |line: &str, fields: &str| format!("{line}\r\n{fields}\r\n").into_bytes();
    let host = |fields: &str| get("GET / HTTP/1.1", &format!("Host: h\r\n{fields}"));
    let chunked = |body: &str| [post(&["Transfer-Encoding: chunked"]), body.as_bytes().to_vec()].concat();
    let coded = |lines: &[&str]| [post(lines), b"0\r\n\r\n".to_vec()].concat();
    let large = format!("A: {}\r\n", "b".repeat(16_000)).repeat(5);
    vec![
        (
            Reject::LengthAndCoding,
            "hyper lets the coding win, as RFC 9112 §6.1 allows; smuggling starts there",
            coded(&["Content-Length: 5", "Transfer-Encoding: chunked"]),
        ),
        (Reject::LengthRepeated, "hyper takes equal ones", post(&["Content-Length: 0", "Content-Length: 0"])),
        (Reject::LengthMalformed, "hyper takes any number of zeros", post(&["Content-Length: 00000000000000000000"])),
        (Reject::CodingRepeated, "hyper looks at the last coding", coded(&["Transfer-Encoding: chunked, chunked"])),
        (Reject::CodingUnknown, "hyper takes lists that end in chunked", coded(&["Transfer-Encoding: gzip, chunked"])),
        (Reject::ChunkSize, "hyper takes white space after a size", chunked("0 \r\n\r\n")),
        (Reject::ChunkExtensions, "hyper takes control bytes in extensions", chunked("0;\u{1}\r\n\r\n")),
        (Reject::TrailersTooLarge, "hyper takes 100", chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(33)))),
        (Reject::TrailerForbidden, "hyper leaves trailers to the handler", chunked("0\r\nHost: i\r\n\r\n")),
        (Reject::LineEnd, "httparse takes bare LF in heads", b"GET / HTTP/1.1\nHost: h\n\n".to_vec()),
        (Reject::RequestLine, "httparse skips any number of empty lines", [b"\r\n\r\n".to_vec(), host("")].concat()),
        (Reject::Target, "hyper cuts fragments off", get("GET /a#b HTTP/1.1", "Host: h\r\n")),
        (Reject::HostMissing, "hyper leaves Host to the handler", get("GET / HTTP/1.1", "")),
        (Reject::HostRepeated, "as above", host("Host: h\r\n")),
        (Reject::HostMalformed, "as above", get("GET / HTTP/1.1", "Host: u@h\r\n")),
        (Reject::HostDisagrees, "as above", get("GET http://i/ HTTP/1.1", "Host: h\r\n")),
        (
            Reject::RequestLineTooLong,
            "hyper takes 64 KiB",
            get(&format!("GET /{} HTTP/1.1", "a".repeat(9000)), "Host: h\r\n"),
        ),
        (Reject::FieldTooLarge, "hyper takes 64 KiB", host(&format!("A: {}\r\n", "b".repeat(17_000)))),
        (Reject::HeadTooLarge, "hyper takes 400 KiB", host(&large)),
    ]
}

/// What hyper hands to a handler.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    /// The body ended as its framing says.
    whole: bool,
}

/// The first request hyper sees in these bytes.
fn hyper_reads(bytes: &[u8]) -> Option<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let seen = Arc::new(Mutex::new(None));
        let sink = Arc::clone(&seen);
        let service = service_fn(move |request: Request<Incoming>| {
            let sink = Arc::clone(&sink);
            async move {
                let found = look(request).await;
                sink.lock().unwrap().get_or_insert(found);
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let connection = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service);
        let drain = async {
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
        };
        let _ = tokio::join!(connection, drain);
        seen.lock().unwrap().take()
    })
}

async fn look(request: Request<Incoming>) -> Seen {
    let (parts, mut body) = request.into_parts();
    let fields = |map: &hyper::HeaderMap| {
        map.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect::<Vec<_>>()
    };
    let target = parts.uri.path_and_query().map_or_else(|| parts.uri.to_string(), ToString::to_string);
    let mut seen = Seen { method: parts.method.to_string(), target, fields: fields(&parts.headers), ..Seen::default() };
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data().map_err(|frame| frame.into_trailers())) {
            Ok(Ok(data)) => seen.body.extend_from_slice(&data),
            Ok(Err(trailers)) => seen.trailers = fields(&trailers.unwrap_or_default()),
            Err(_) => return seen,
        }
    }
    seen.whole = true;
    seen
}

fn sorted(mut fields: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    fields.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    fields.sort();
    fields
}

/// Compares the two readings of the first message.
fn judge(bytes: &[u8]) -> Result<(), String> {
    let ours = read(bytes, &[]);
    let theirs = hyper_reads(bytes);
    match (&ours, &theirs) {
        (Outcome::Message(ours), Some(theirs)) => {
            let same = ours.method == theirs.method
                && ours.target == theirs.target
                && ours.body == theirs.body
                && sorted(ours.fields.clone()) == sorted(theirs.fields.clone())
                && sorted(ours.trailers.clone()) == sorted(theirs.trailers.clone())
                && theirs.whole;
            if same { Ok(()) } else { Err(format!("read differently: {ours:?} and {theirs:?}")) }
        }
        (Outcome::Message(ours), None) => Err(format!("hyper refuses what we accept: {ours:?}")),
        (Outcome::Rejected(reject), Some(theirs)) if theirs.whole => {
            let known = stricter().iter().any(|(stricter, ..)| stricter == reject);
            if known { Ok(()) } else { Err(format!("only we refuse: {reject:?}")) }
        }
        (Outcome::Rejected(_), Some(_) | None) => Ok(()),
        // The bytes end inside a message: hyper may have seen the head, but never the end.
        (Outcome::Incomplete, Some(theirs)) if theirs.whole => Err(format!("hyper sees a whole message: {theirs:?}")),
        (Outcome::Incomplete, _) => Ok(()),
    }
}

#[test]
fn plain_messages_are_read_alike() {
    for text in [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX:  y \t\r\n\r\nhello",
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nUpload-Checksum: x\r\n\r\n",
        "POST http://h:80/a HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST http://h HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "PUT /%00/%2e%2e/\\;^|{}~ HTTP/1.1\r\nHost: h\r\nA: \u{e9}\r\n\r\n",
    ] {
        assert!(matches!(read(text.as_bytes(), &[]), Outcome::Message(_)), "{text:?}");
        judge(text.as_bytes()).unwrap();
    }
}

#[test]
fn every_stated_difference_is_real() {
    for (reject, reason, bytes) in stricter() {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        assert_eq!(read(&bytes, &[]), Outcome::Rejected(reject), "{text:?}");
        assert!(hyper_reads(&bytes).is_some_and(|seen| seen.whole), "hyper refuses too, but \"{reason}\": {text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hyper_never_reads_what_we_accept_differently(bytes in mangled()) {
        if let Err(difference) = judge(&bytes) {
            prop_assert!(false, "{}\n{:?}", difference, String::from_utf8_lossy(&bytes));
        }
    }
}
