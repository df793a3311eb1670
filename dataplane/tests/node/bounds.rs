//! What a stranger may hold, and for how long: fields of a form, time of a body, slots of a core.

use std::thread;
use std::time::{Duration, Instant};

use etransfer_contract::step::{Failure, StepReport};
use etransfer_dataplane::config::{EngineChoice, Limits};

use super::bed::{Bed, content, on_both, path};
use super::client::{Client, PATIENCE};
use super::steps::{form, received, stored, whole, written};

/// Pieces of a form, each of [`FIELDS`]: far more than is read, also away; a client that may send them all has found no bound.
const ENDLESS: usize = 5_000;
const FIELDS: usize = 1_000;

/// A sender has this long to send what it must.
fn impatient() -> Limits {
    Limits { body_idle_timeout: Duration::from_secs(1), keep_alive_timeout: PATIENCE, ..Limits::default() }
}

/// The pace of a client that dribbles.
#[expect(clippy::disallowed_methods, reason = "a slow client, on a thread of its own")]
fn between_bites() {
    thread::sleep(Duration::from_millis(40));
}

/// Sends `again` after `head` in small bites, each soon after the one before, until the node has enough.
fn dribble(bed: &Bed, head: &str, first: &[u8], again: &[u8]) {
    let mut client = Client::connect(bed.address);
    client.send(head.as_bytes());
    client.send(first);
    let since = Instant::now();
    while client.try_send(again).is_ok() {
        assert!(since.elapsed() < PATIENCE, "{head}: dribbles on after {PATIENCE:?}");
        between_bites();
    }
}

#[test]
fn a_form_has_few_fields_however_small_they_are() {
    use etransfer_contract::step::What;
    on_both(&Limits::default(), |bed| {
        for (fields, end) in [
            (64, received(5)),
            (65, StepReport::Failed(Failure::Malformed)),
            (6_400, StepReport::Failed(Failure::Malformed)),
        ] {
            let mut parts: Vec<(&str, Option<&str>, &[u8])> = vec![("", None, b""); fields];
            parts.push(("f", Some("name"), b"hello"));
            bed.control.play(vec![form(&[], false, 0), What::Receive(whole(1, 100))]);
            let mut client = Client::connect(bed.address);
            let body = written(&parts);
            client.ask("POST", "/steps", &format!("Content-Length: {}\r\n", body.len()));
            // The answer may come before all of it was taken.
            let _ = client.try_send(&body);
            assert_eq!(client.head().expect("an answer").status, 418);
            let told = bed.control.reports();
            assert!(told.contains(&end), "{fields} fields: {told:?}");
        }
        bed.control.play(vec![form(&[], false, 0)]);
        let mut client = Client::connect(bed.address);
        client.ask("POST", "/steps", "Transfer-Encoding: chunked\r\n");
        let field = written(&[("", None, b"")]);
        let field = &field[..field.len() - "------cut--\r\n".len()];
        let field = &field.repeat(FIELDS)[..];
        let chunk = [format!("{:x}\r\n", field.len()).as_bytes(), field, b"\r\n"].concat();
        let sent = (0..ENDLESS).take_while(|_| client.try_send(&chunk).is_ok()).count();
        assert!(sent < ENDLESS, "an endless form was read");
    });
}

/// A request that holds memory before it is decided: what is sent of it first, what ends it, and what it is charged.
struct Unfinished {
    begun: Vec<u8>,
    rest: &'static [u8],
    charge: usize,
    status: u16,
}

/// One of each kind: a long head, a form, a chunked form with its trailers, a body for the control plane.
fn unfinished() -> [Unfinished; 4] {
    use etransfer_dataplane::bounds::{FIELD_CHARGE, READ_AHEAD_CHARGE, TRAILER_BYTES_MAX};
    let state = path("state", 1, 5);
    let head = |line: &str, fields: &str| format!("{line} HTTP/1.1\r\nHost: node\r\nTus-Resumable: 1.0.0\r\n{fields}");
    let fields: String = (0..4).map(|number| format!("X-{number}: {}\r\n", "v".repeat(15_000))).collect();
    let long = head(&format!("HEAD {state}"), &fields).into_bytes();
    let part = "------cut\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n";
    let length = part.len() + "\r\n------cut--".len();
    let form = head("POST /steps", &format!("Content-Length: {length}\r\n\r\n{part}"));
    let chunked = head("POST /steps", &format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{part}", part.len()));
    let forwarded = head(&format!("POST {}", path("forward", 1, 100)), "Content-Length: 5\r\n\r\nhell");
    [
        Unfinished { charge: long.len(), begun: long, rest: b"\r\n", status: 200 },
        Unfinished {
            begun: form.into_bytes(),
            rest: b"\r\n------cut--",
            charge: READ_AHEAD_CHARGE + FIELD_CHARGE,
            status: 418,
        },
        Unfinished {
            begun: chunked.into_bytes(),
            rest: b"\r\nd\r\n\r\n------cut--\r\n0\r\n\r\n",
            charge: READ_AHEAD_CHARGE + FIELD_CHARGE + TRAILER_BYTES_MAX,
            status: 418,
        },
        Unfinished { begun: forwarded.into_bytes(), rest: b"o", charge: READ_AHEAD_CHARGE + 4, status: 200 },
    ]
}

/// Fills the budget of `max` bytes until one more is refused; then all that were there first can end. `false`: one of them was
/// refused, so something of the budget was held by others.
fn fills(bed: &Bed, max: usize, kind: &Unfinished) -> bool {
    let [.., probe] = unfinished();
    assert!(max % kind.charge < probe.charge, "one more finds no room");
    let begin = |kind: &Unfinished| {
        let mut client = Client::connect(bed.address);
        client.send(&kind.begun);
        client
    };
    bed.control.play(vec![form(&[], false, 0); 10_000]);
    let mut held: Vec<_> = (0..max / kind.charge).map(|_| begin(kind)).collect();
    let since = Instant::now();
    // One that comes before all the others were read is answered, and then holds nothing.
    let (refused, reason) = loop {
        let mut client = begin(&probe);
        client.send(probe.rest);
        let (answer, body) = client.whole();
        if answer.status == 503 {
            break (answer, String::from_utf8(body).unwrap());
        }
        if held.iter_mut().any(Client::is_answered) {
            return false;
        }
        assert!(since.elapsed() < PATIENCE, "more was held than allowed");
    };
    assert_eq!(refused.number("retry-after"), Some(1));
    assert!(reason.contains("too many unfinished requests"), "{reason}");
    // What holds nothing is served.
    let mut small = Client::connect(bed.address);
    small.ask("HEAD", &path("state", 1, 5), "");
    assert_eq!(small.head().expect("an answer").status, 200);
    bed.control.play(Vec::new());
    let ends = |client: &mut Client| {
        let _refused_before = client.try_send(kind.rest);
        client.head().is_some_and(|answer| answer.status == kind.status)
    };
    held.iter_mut().all(ends)
}

#[test]
fn b1_strangers_who_fill_the_budget_are_told_503_and_it_is_whole_again_when_they_are_gone() {
    const BUDGET: usize = 1 << 20;
    let limits = Limits { undecided_bytes_max: BUDGET, head_timeout: PATIENCE * 4, ..Limits::default() };
    on_both(&limits, |bed| {
        bed.store(1, b"hello");
        // Each kind after all the others, and after connections that broke off in the middle.
        for turn in 0..2 {
            for (at, kind) in unfinished().iter().enumerate() {
                bed.control.play(vec![form(&[], false, 0); 10_000]);
                for broken in &unfinished() {
                    for _ in 0..2 * BUDGET / broken.charge {
                        let _refused = Client::connect(bed.address).try_send(&broken.begun);
                    }
                }
                let since = Instant::now();
                while !fills(bed, BUDGET, kind) {
                    assert!(since.elapsed() < PATIENCE, "turn {turn}, kind {at}: some of the budget is lost");
                }
            }
        }
    });
}

#[test]
fn the_name_of_a_field_counts_like_its_value() {
    let long = "n".repeat(61);
    let nearly = "n".repeat(30);
    on_both(&Limits::default(), |bed| {
        for parts in [
            vec![(long.as_str(), None, &b""[..])],
            vec![(nearly.as_str(), None, &b""[..]), (nearly.as_str(), None, b""), ("n", None, b"")],
        ] {
            bed.control.play(vec![form(&[], false, 0)]);
            let mut client = Client::connect(bed.address);
            let body = written(&parts);
            client.ask("POST", "/steps", &format!("Content-Length: {}\r\n", body.len()));
            client.send(&body);
            assert_eq!(client.head().expect("an answer").status, 418);
            assert_eq!(bed.control.reports(), [StepReport::Failed(Failure::FieldTooLong)]);
        }
    });
}

#[test]
fn a_body_that_dribbles_ends_whatever_carries_it() {
    let chunked = "Host: node\r\nTransfer-Encoding: chunked\r\n\r\n";
    let state = path("state", 1, 5);
    let append = path("append", 2, 1 << 20);
    on_both(&impatient(), |bed| {
        let upload = format!(
            "PATCH {append} HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
             Content-Type: application/offset+octet-stream\r\n{chunked}"
        );
        let steps = format!("POST /steps HTTP/1.1\r\n{chunked}");
        let opening = b"8\r\n------cu\r\n";
        let rows: [(String, &[u8], &[u8]); 8] = [
            (upload.clone(), b"", b"1\r\na\r\n"),
            (upload.clone(), b"", b"1;a=b\r\na\r\n"),
            (upload, b"1;", b"x"),
            (format!("GET {state} HTTP/1.1\r\n{chunked}"), b"", b"1\r\na\r\n"),
            (format!("HEAD {state} HTTP/1.1\r\n{chunked}"), b"1;", b"x"),
            (format!("DELETE {state} HTTP/1.1\r\n{chunked}"), b"0\r\n", b"x: y\r\n"),
            (steps.clone(), opening, b"1\r\n-\r\n"),
            (steps, b"0\r\nx: ", b"x"),
        ];
        thread::scope(|scope| {
            for (head, first, again) in &rows {
                bed.control.play(vec![form(&[], false, 0); rows.len()]);
                scope.spawn(|| dribble(bed, head, first, again));
            }
        });
    });
}

#[test]
fn senders_that_dribble_leave_uploads_their_slots() {
    /// Over two cores: more than the slots of both.
    const CLIENTS: u8 = 200;
    // No sender is cut for being slow before the upload has ended.
    let limits = Limits { body_idle_timeout: Duration::from_secs(600), ..Limits::default() };
    let bytes = content(3 << 20);
    let burst = content(256 << 10);
    on_both(&limits, |bed| {
        let slow = |number: u8| {
            let mut client = Client::connect(bed.address);
            let place = "Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n";
            let fields = format!("{place}Transfer-Encoding: chunked\r\n");
            client.ask("PATCH", &path("append", number, 4 << 20), &fields);
            client.send(format!("{:x}\r\n", burst.len()).as_bytes());
            client.send(&burst);
            client.send(b"\r\n");
            client
        };
        let mut clients: Vec<_> = (0..CLIENTS).map(slow).collect();
        let upload = |number: u8| {
            let mut client = Client::connect(bed.address);
            let whole = path("append", number, bytes.len());
            client.upload("PATCH", &whole, 0, bytes.len() as u64, &bytes).unwrap();
            assert_eq!(client.head().expect("an answer").status, 204);
        };
        thread::scope(|scope| {
            // Enough of them that each core has some.
            let uploads: Vec<_> = (0..16).map(|number| scope.spawn(move || upload(CLIENTS + number))).collect();
            while uploads.iter().any(|upload| !upload.is_finished()) {
                clients.iter_mut().for_each(|client| client.send(b"1\r\na\r\n"));
                between_bites();
            }
        });
    });
}

#[test]
fn rfc_2046_a_line_that_goes_on_after_the_boundary_is_content() {
    use etransfer_contract::step::What;
    let lines =
        ["\r\n------cutter\r\nmore", "\r\n------cut-\r\nmore", "\r\n------cut--more\r\n", "\r\n------cut x\r\nmore"];
    on_both(&Limits::default(), |bed| {
        for (number, line) in lines.iter().enumerate() {
            for padding in [0, 3 << 20] {
                let bytes = [&content(padding)[..], line.as_bytes()].concat();
                let body = written(&[("a", None, b"\r\n------cut1"), ("f", Some("name"), &bytes), ("b", None, b"2")]);
                let number = number as u8 * 2 + u8::from(padding > 0);
                bed.control.play(vec![form(&[], false, 0), What::Receive(whole(number, 1 << 30)), form(&[], false, 0)]);
                let mut client = Client::connect(bed.address);
                client.ask("POST", "/steps", &format!("Content-Length: {}\r\n", body.len()));
                // Byte by byte around the place that matters.
                let (early, late) = body.split_at(body.len() - 120);
                client.send(early);
                late.iter().for_each(|byte| client.send(&[*byte]));
                assert_eq!(client.whole().0.status, 418);
                let told = bed.control.reports();
                assert_eq!(told[1], received(bytes.len() as u64), "{line:?}");
                let StepReport::FormFields(end) = &told[2] else { panic!("{told:?}") };
                assert!(end.is_end && end.fields == [("b".into(), "2".into())], "{end:?}");
                assert!(stored(bed, number, bytes.len()) == bytes, "{line:?}");
            }
        }
        // No delimiter at all: never a success with less.
        let body = written(&[("f", Some("name"), b"hello")]);
        for (number, cut) in ["------cut--\r\n", "--\r\n", "\r\n"].into_iter().enumerate() {
            let body = body.strip_suffix(cut.as_bytes()).unwrap();
            bed.control.play(vec![
                form(&[], false, 0),
                What::Receive(whole(100 + number as u8, 1 << 30)),
                form(&[], false, 0),
            ]);
            let mut client = Client::connect(bed.address);
            client.ask("POST", "/steps", &format!("Content-Length: {}\r\n", body.len()));
            client.send(body);
            assert_eq!(client.whole().0.status, 418);
            let told = bed.control.reports();
            // A closing delimiter needs no line end.
            let expected = if cut == "\r\n" { received(5) } else { StepReport::Failed(Failure::Malformed) };
            assert_eq!(told[1], expected, "{cut:?}");
        }
    });
}

#[test]
fn parallel_writes_open_few_separate_ranges_and_fill_gaps_at_any_time() {
    const BLOCK: u64 = 4096;
    const CONNECTIONS: u64 = 8;
    const AT_ONCE: u64 = 64;
    const RANGES: u64 = etransfer_dataplane::bounds::SPANS_MAX as u64;
    let every_second = |number: u64| (2 * number + 1) * BLOCK;
    let whole = path("parallel", 1, (4 * RANGES * BLOCK) as usize);
    let bed = Bed::start(EngineChoice::Ring, Limits::default());
    let address = bed.address;
    let one = |client: &mut Client, offset: u64| client.upload("PATCH", &whole, offset, 1, b"x").unwrap();
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut client = Client::connect(address);
                let mine: Vec<u64> = (connection..RANGES).step_by(CONNECTIONS as usize).collect();
                for numbers in mine.chunks(AT_ONCE as usize) {
                    numbers.iter().for_each(|number| one(&mut client, every_second(*number)));
                    for number in numbers {
                        let (answer, reason) = client.whole();
                        let reason = String::from_utf8_lossy(&reason);
                        assert_eq!(answer.status, 204, "range {number}: {reason}");
                    }
                }
            });
        }
    });
    let mut client = Client::connect(address);
    one(&mut client, every_second(RANGES));
    let (answer, reason) = client.whole();
    let reason = String::from_utf8(reason).unwrap();
    assert_eq!((answer.status, answer.number("retry-after")), (429, Some(1)), "{reason}");
    assert!(reason.contains("the upload has 8192 separate ranges; fill gaps first"), "{reason}");
    // At the true offset the client can always go on; once two ranges are one, also elsewhere again.
    for (offset, bytes, then) in [(0, BLOCK, 429), (BLOCK + 1, 2 * BLOCK - 1, 204)] {
        client.upload("PATCH", &whole, offset, bytes, &content(bytes)).unwrap();
        assert_eq!(client.head().expect("an answer").status, 204, "at {offset}");
        one(&mut client, every_second(RANGES));
        assert_eq!(client.whole().0.status, then, "after {offset}");
    }
}
